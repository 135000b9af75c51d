//! The packages of a day: what a build would have installed then, as uv finds it in the index, put under the build as pip's
//! constraints.
//!
//! pip takes its constraints from the environment, and a Dockerfile sees no variable of ours; so, for one build, the name of
//! its base leads to an image that is the same but for that variable and its file. What is handed in stays as it is.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;

use super::images::bounded;
use crate::backend::{BackendError, Site, origin};
use crate::exec::{Cmd, Shell, ShellExt};
use crate::stack::Stack;
use crate::submission::pip;
use crate::text::Text;

/// Where the lab has it.
const UV: &str = "/usr/local/bin/uv";
/// Names inside of containers.
const UV_INSIDE: &str = "/imparcial-uv";
const CONTEXT: &str = "/imparcial-context";
const CONSTRAINTS: &str = "/imparcial-constraints.txt";

/// Dozens of packages take seconds; an index that does not answer is not waited for.
const RESOLVING: Duration = Duration::from_secs(90);
const DERIVING: Duration = Duration::from_secs(120);
/// Differences that are named.
const NAMED: usize = 6;

/// A package and its version.
pub type Pin = (String, String);

/// The packages of a day, by the service that is built with them.
#[derive(Clone, Debug, Default)]
pub struct AsOf {
    pub pins: BTreeMap<String, Vec<Pin>>,
    /// What that changes, for people.
    pub said: Vec<Text>,
}

impl AsOf {
    /// A constraints file for a service's build; none where it has no packages of that day.
    pub fn constraints_of(&self, service: &str) -> Option<String> {
        let pins = self.pins.get(service)?;
        Some(pins.iter().map(|(name, version)| format!("{name}=={version}\n")).collect())
    }
}

/// A service's packages of a day, beside those that were installed now.
#[derive(Clone, Debug)]
pub enum Then {
    /// Nothing is installed with pip.
    Nothing,
    /// The same as now: it is not the day that matters.
    Same,
    /// Other ones, and what is to be said of them.
    Other(Vec<Pin>, Text),
    /// It could not be found out.
    Unknown(Text),
}

/// What a service would have been built with on `day`, of all that was published until `until` (RFC 3339).
pub async fn packages(site: &Site, stack: &Stack, service: &str, day: &str, until: &str) -> Then {
    let (Some(build), Some(def)) = (stack.submission.builds.get(service), stack.config.resolved.service(service))
    else {
        return Then::Nothing;
    };
    let roots = pip::roots(&stack.submission, build);
    let (Some(context), Some(base)) = (def.build.as_ref().map(|b| b.context.clone()), build.base()) else {
        return Then::Nothing;
    };
    if roots.is_empty() {
        return Then::Nothing;
    }
    if site.hosting.is_some() {
        return Then::Unknown(Text::new(
            "the packages of that day are only tried in a lab",
            "los paquetes de ese día solo se prueban en un laboratorio",
        ));
    }
    match resolve(site.shell.as_ref(), base, &context, &roots, until).await {
        Ok(pins) => {
            let log = stack.services.get(service).map(|s| s.image.log.as_str()).unwrap_or_default();
            compare(service, day, pins, &origin::installed(log))
        }
        Err(why) => Then::Unknown(why),
    }
}

/// Asks uv: in a container of the build's own base, so that it counts for its Python and what a package runs to say what it
/// needs runs there; where uv cannot run in it, in the lab, with nothing built.
async fn resolve(
    shell: &dyn Shell,
    base: &str,
    context: &str,
    roots: &[String],
    until: &str,
) -> Result<Vec<Pin>, Text> {
    let here = shell.run(&Cmd::new(["test", "-x", UV]).timeout(Duration::from_secs(10))).await;
    if !here.is_ok_and(|o| o.ok()) {
        return Err(Text::new(
            "this lab has no uv: run `imparcial setup` where a package index can be reached",
            "este laboratorio no tiene uv: ejecute `imparcial setup` donde se alcance un índice de paquetes",
        ));
    }
    let fixed = ["pip", "compile", "--quiet", "--color", "never", "--no-config", "--no-cache", "--no-python-downloads"];
    let more = ["--no-header", "--no-annotate", "--strip-extras", "--exclude-newer", until];
    let asked = |cmd: Cmd| {
        let cmd = cmd.args(fixed).args(more).arg("-");
        cmd.stdin(roots.join("\n") + "\n").timeout(RESOLVING)
    };
    let volumes = [format!("{UV}:{UV_INSIDE}:ro"), format!("{context}:{CONTEXT}:ro")];
    let inside = Cmd::new(["docker", "run", "--rm", "--interactive", "--volume", &volumes[0], "--volume", &volumes[1]])
        .args(["--workdir", CONTEXT, "--entrypoint", UV_INSIDE, base]);
    let mut said = bounded(shell.run(&asked(inside)).await);
    if said.as_ref().is_ok_and(|o| !o.ok() && !o.err().contains("No solution found")) {
        let mut cmd = asked(Cmd::new([UV])).cwd(context);
        let python = version_of(base).into_iter().flat_map(|version| ["--python-version".to_owned(), version]);
        cmd = cmd.arg("--no-build").args(python);
        let second = bounded(shell.run(&cmd).await);
        // Where neither can, the base's own words say more.
        if second.as_ref().is_ok_and(crate::exec::Output::ok) {
            said = second;
        }
    }
    match said {
        Ok(output) if output.ok() => Ok(pins(&output.out())),
        Ok(output) => {
            let shown = why(&output.err());
            Err(Text::new(
                format!("the packages of that day could not be found: {shown}"),
                format!("no se pudieron determinar los paquetes de ese día: {shown}"),
            ))
        }
        Err(error) => Err(error.text()),
    }
}

/// The line that says most, of many.
fn why(said: &str) -> String {
    let lines = || said.lines().map(str::trim).filter(|line| !line.is_empty());
    let telling = lines().find(|line| line.starts_with("cause:") || line.starts_with("╰─▶"));
    let error = lines().find(|line| line.starts_with("error:"));
    crate::sanitize::line(telling.or(error).or_else(|| lines().next_back()).unwrap_or("uv said nothing"), 300)
}

/// The Python of an image's name: `python:3.9-slim` has 3.9.
fn version_of(base: &str) -> Option<String> {
    static VERSION: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?:^|/)python:(\d+\.\d+)").expect("a constant pattern"));
    VERSION.captures(base).map(|found| found[1].to_owned())
}

fn pins(text: &str) -> Vec<Pin> {
    let lines = text.lines().map(|line| line.split([';', ' ']).next().unwrap_or_default());
    let pairs = lines.filter_map(|line| line.split_once("=="));
    let plain = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.+!".contains(c));
    pairs.filter(|(name, version)| plain(name) && plain(version)).map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
}

/// Beside what pip said that it installed; where it said nothing, all of it may differ.
fn compare(service: &str, day: &str, pins: Vec<Pin>, now: &[Pin]) -> Then {
    let version = |name: &str| now.iter().rev().find(|(n, _)| *n == origin::normal(name)).map(|(_, v)| v.as_str());
    let other: Vec<(&Pin, Option<&str>)> =
        pins.iter().map(|pin| (pin, version(&pin.0))).filter(|(pin, now)| now.is_none_or(|now| now != pin.1)).collect();
    if other.is_empty() {
        return Then::Same;
    }
    // What is known to differ says most.
    let (known, unknown): (Vec<_>, Vec<_>) = other.iter().partition(|(_, now)| now.is_some());
    let list = |instead: &str, more: &str| {
        let one = |(pin, now): &(&Pin, Option<&str>)| match now {
            Some(now) => format!("{} {} {instead} {now}", pin.0, pin.1),
            None => format!("{} {}", pin.0, pin.1),
        };
        let mut named: Vec<String> = known.iter().chain(&unknown).take(NAMED).map(one).collect();
        if other.len() > NAMED {
            named.push(format!("{} {more}", other.len() - NAMED));
        }
        named.join(", ")
    };
    let said = Text::new(
        format!(
            "{service} was built with the packages of {day}, since it no longer works with those of today: {}",
            list("instead of", "more")
        ),
        format!(
            "{service} se construyó con los paquetes de {day}, porque con los de hoy ya no funciona: {}",
            list("en lugar de", "más")
        ),
    );
    Then::Other(pins, said)
}

/// Bases whose names lead to another image for a while: name and image.
#[derive(Debug, Default)]
pub struct Under(Vec<(String, String)>);

/// Puts constraints under the bases of a build.
pub async fn under(bases: &[&String], constraints: &str, shell: &dyn Shell) -> Result<Under, BackendError> {
    let mut under = Under::default();
    for base in bases {
        let Some(id) = id_of(base, shell).await? else { continue };
        let context = context(&id, constraints).map_err(|e| BackendError::Other(Text::same(e.to_string())))?;
        let build = Cmd::new(["docker", "build", "--quiet", "--tag", base, "-"]).env("DOCKER_BUILDKIT", "0");
        shell.must(&build.stdin(context).timeout(DERIVING)).await?;
        under.0.push(((*base).clone(), id));
    }
    Ok(under)
}

impl Under {
    /// Gives the bases their own images back.
    pub async fn put_back(self, shell: &dyn Shell) -> Result<(), BackendError> {
        for (base, id) in self.0 {
            shell.must(&Cmd::new(["docker", "tag", &id, &base]).timeout(Duration::from_secs(30))).await?;
        }
        Ok(())
    }
}

/// The image that a name leads to; none where it cannot be had: the build will say so.
async fn id_of(base: &str, shell: &dyn Shell) -> Result<Option<String>, BackendError> {
    let ask = Cmd::new(["docker", "image", "inspect", "--format", "{{.Id}}", base]).timeout(Duration::from_secs(30));
    let mut said = shell.run(&ask).await?;
    if !said.ok() {
        bounded(shell.run(&Cmd::new(["docker", "pull", "--quiet", base]).timeout(DERIVING)).await)?;
        said = shell.run(&ask).await?;
    }
    Ok(said.ok().then(|| said.out().trim().to_owned()))
}

/// The build context of an image that is another one with constraints in it.
fn context(id: &str, constraints: &str) -> std::io::Result<Vec<u8>> {
    let dockerfile = format!("FROM {id}\nCOPY constraints.txt {CONSTRAINTS}\nENV PIP_CONSTRAINT={CONSTRAINTS}\n");
    let mut tar = tar::Builder::new(Vec::new());
    for (name, text) in [("Dockerfile", dockerfile.as_str()), ("constraints.txt", constraints)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        tar.append_data(&mut header, name, text.as_bytes())?;
    }
    tar.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(name: &str, version: &str) -> Pin {
        (name.to_owned(), version.to_owned())
    }

    #[test]
    fn only_plain_pins_are_taken() {
        let text = "# by uv\nflask==2.0.1\nwerkzeug==2.0.3 ; python_version < '3.12'\n-e file:///x\nx @ git+https://y/z\na==$(b)\n";
        assert_eq!(pins(text), [pin("flask", "2.0.1"), pin("werkzeug", "2.0.3")]);
        let as_of = AsOf { pins: BTreeMap::from([("app".to_owned(), pins(text))]), said: Vec::new() };
        assert_eq!(as_of.constraints_of("app").as_deref(), Some("flask==2.0.1\nwerkzeug==2.0.3\n"));
        assert_eq!(as_of.constraints_of("db"), None);
    }

    #[test]
    fn what_differs_is_named_and_nothing_else() {
        let then = vec![pin("click", "8.0.1"), pin("flask", "2.0.1"), pin("werkzeug", "2.0.1")];
        let now = [pin("flask", "2.0.1"), pin("click", "8.0.1"), pin("werkzeug", "3.1.3")];
        let Then::Other(pins, said) = compare("app", "2021-10-04", then.clone(), &now) else { panic!("other ones") };
        assert_eq!(pins, then);
        assert!(said.en.ends_with("today: werkzeug 2.0.1 instead of 3.1.3"), "{}", said.en);
        assert!(said.es.ends_with("funciona: werkzeug 2.0.1 en lugar de 3.1.3"), "{}", said.es);
        let same = [pin("flask", "2.0.1"), pin("click", "8.0.1"), pin("werkzeug", "2.0.1"), pin("uvicorn", "1")];
        assert!(matches!(compare("app", "2021-10-04", then.clone(), &same), Then::Same));
        assert!(matches!(compare("app", "2021-10-04", then, &[]), Then::Other(..)), "nothing is known of now");
    }

    #[test]
    fn the_base_is_the_same_but_for_the_constraints() {
        let bytes = context("sha256:ab", "flask==2.0.1\n").unwrap();
        let mut tar = tar::Archive::new(bytes.as_slice());
        let texts: Vec<String> =
            tar.entries().unwrap().map(|entry| std::io::read_to_string(entry.unwrap()).unwrap()).collect();
        assert!(texts[0].starts_with("FROM sha256:ab\n") && texts[0].contains("ENV PIP_CONSTRAINT=/imparcial-"));
        assert_eq!(texts[1], "flask==2.0.1\n");
    }

    #[test]
    fn a_python_image_says_its_version() {
        assert_eq!(version_of("python:3.9-slim").as_deref(), Some("3.9"));
        assert_eq!(version_of("docker.io/library/python:3.11").as_deref(), Some("3.11"));
        assert_eq!((version_of("python"), version_of("ipython:3.1")), (None, None));
    }

    #[test]
    fn of_a_long_refusal_the_cause_is_shown() {
        let said =
            "error: No solution found when resolving dependencies\n  cause: Because you require flaskk, it fails.\n";
        assert_eq!(why(said), "cause: Because you require flaskk, it fails.");
        assert_eq!(why("error: x\n"), "error: x");
    }
}

//! The packages of a day: what a build would have installed then, as uv finds it in the index, put under the build as pip's
//! constraints.
//!
//! pip takes its constraints from the environment, and a Dockerfile sees no variable of ours; so, for one build, the name of
//! its base leads to an image that is the same but for that variable and its file. What is handed in stays as it is.

use std::collections::BTreeMap;
use std::time::Duration;

use super::images::bounded;
use super::uv;
use crate::backend::{BackendError, Site, origin};
use crate::exec::{Cmd, Shell, ShellExt};
use crate::stack::Stack;
use crate::submission::{pip, requirements};
use crate::text::Text;

/// Inside of images.
const CONSTRAINTS: &str = "/imparcial-constraints.txt";

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
    let Some(build) = stack.submission.builds.get(service) else { return Then::Nothing };
    let (Some(context), Some(base)) = (&build.context, build.base()) else { return Then::Nothing };
    let plain = requirements::plain(&stack.submission, context, &pip::roots(&stack.submission, build));
    if plain.wanted.is_empty() {
        return Then::Nothing;
    }
    if site.hosting.is_some() {
        return Then::Unknown(Text::new(
            "the packages of that day are only tried in a lab",
            "los paquetes de ese día solo se prueban en un laboratorio",
        ));
    }
    if !uv::can_lead(base) {
        return Then::Unknown(uv::not_under(base));
    }
    match uv::resolve(site.shell.as_ref(), service, base, &plain, until).await {
        Ok(pins) => {
            let log = stack.services.get(service).map(|s| s.image.log.as_str()).unwrap_or_default();
            compare(service, day, pins, &origin::installed(log))
        }
        Err(why) => Then::Unknown(why),
    }
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

/// Puts constraints under the bases of a build. On an error every base has its own image again.
pub async fn under(bases: &[&String], constraints: &str, shell: &dyn Shell) -> Result<Under, BackendError> {
    let mut under = Under::default();
    for base in bases.iter().filter(|base| uv::can_lead(base)) {
        if let Err(error) = under.add(base, constraints, shell).await {
            under.put_back(shell).await?;
            return Err(error);
        }
    }
    Ok(under)
}

impl Under {
    async fn add(&mut self, base: &str, constraints: &str, shell: &dyn Shell) -> Result<(), BackendError> {
        if self.0.iter().any(|(done, _)| done == base) {
            return Ok(());
        }
        let Some(id) = id_of(base, shell).await? else { return Ok(()) };
        let context = context(&id, constraints).map_err(|e| BackendError::Other(Text::same(e.to_string())))?;
        // A build that is not waited for any longer may still give it the name.
        self.0.push((base.to_owned(), id));
        let build = Cmd::new(["docker", "build", "--quiet", "--tag", base, "-"]).env("DOCKER_BUILDKIT", "0");
        shell.must(&build.stdin(context).timeout(DERIVING)).await?;
        Ok(())
    }

    /// Gives the bases their own images back: each that can have it, whatever comes of another.
    pub async fn put_back(self, shell: &dyn Shell) -> Result<(), BackendError> {
        let mut all = Ok(());
        for (base, id) in self.0 {
            let tagged = shell.must(&Cmd::new(["docker", "tag", &id, &base]).timeout(Duration::from_secs(30))).await;
            all = all.and(tagged.map(drop));
        }
        Ok(all?)
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
    fn constraints_are_a_services_own() {
        let pins = vec![pin("flask", "2.0.1"), pin("werkzeug", "2.0.3")];
        let as_of = AsOf { pins: BTreeMap::from([("app".to_owned(), pins)]), said: Vec::new() };
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

    #[tokio::test]
    async fn a_base_that_cannot_be_derived_leaves_every_base_as_it_was() {
        use crate::exec::scripted::{Reply, Scripted};

        let lab = Scripted::default()
            .on(["docker", "image", "inspect"], vec![Reply::out("sha256:one\n"), Reply::out("sha256:two\n")])
            .on(["docker", "build"], vec![Reply::out("sha256:x\n"), Reply::fail(1, "no space")])
            .on(["docker", "tag"], vec![Reply::fail(1, "busy"), Reply::out("")]);
        let digest = format!("python@sha256:{}", "0".repeat(64));
        let bases = ["python:3.9", &digest, "--privileged", "python:3.9", "node:16"].map(str::to_owned);
        let bases: Vec<&String> = bases.iter().collect();
        assert!(under(&bases, "flask==2.0.1\n", &lab).await.is_err());
        let of = |word: &str| lab.asked().into_iter().filter(|cmd| cmd.contains(word)).collect::<Vec<_>>();
        assert_eq!(
            of("docker build"),
            ["docker build --quiet --tag python:3.9 -", "docker build --quiet --tag node:16 -"],
            "one that is pinned keeps its image, and one that is named twice is derived once"
        );
        assert_eq!(of("docker tag"), ["docker tag sha256:one python:3.9", "docker tag sha256:two node:16"]);
    }
}

//! What uv makes of plain requirements on a day: asked in a container, and only there.
//!
//! uv runs what a package runs to say what it needs, and the interpreter that it finds. So nothing of a submission is before
//! it but names and versions in a file of ours, and it never runs in the lab itself: its container has a build's network,
//! no folder of the submission, and is removed however it ends.

use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;

use super::as_of::Pin;
use super::images::bounded;
use crate::backend::BackendError;
use crate::exec::{Cmd, Output, Shell};
use crate::submission::requirements::Plain;
use crate::text::Text;

/// Where the lab has it.
const UV: &str = "/usr/local/bin/uv";
/// Names inside of containers.
const UV_INSIDE: &str = "/imparcial-uv";
const WANTED: &str = "imparcial-wanted.txt";
const LIMITS: &str = "imparcial-limits.txt";
/// On its containers, for people.
const LABEL: &str = "imparcial.packages=as-of";

/// Dozens of packages take seconds; an index that does not answer is not waited for.
const RESOLVING: Duration = Duration::from_secs(90);
/// Its image may have to be pulled.
const CREATING: Duration = Duration::from_secs(120);
const QUICK: Duration = Duration::from_secs(30);

/// Has a Python that uv can run, for bases whose own it cannot.
const FALLBACK: &str = "python:3-slim";

/// The packages of everything that was published until `until` (RFC 3339), for the Python of `base`.
///
/// In a container of the build's own base, so that it counts for its Python; where uv cannot run in that, in one of another
/// image, with nothing built.
pub(super) async fn resolve(
    shell: &dyn Shell,
    service: &str,
    base: &str,
    plain: &Plain,
    until: &str,
) -> Result<Vec<Pin>, Text> {
    let here = shell.run(&Cmd::new(["test", "-x", UV]).timeout(QUICK)).await;
    if !here.is_ok_and(|o| o.ok()) {
        return Err(Text::new(
            "this lab has no uv: run `imparcial setup` where a package index can be reached",
            "este laboratorio no tiene uv: ejecute `imparcial setup` donde se alcance un índice de paquetes",
        ));
    }
    if !is_image(base) {
        return Err(not_under(base));
    }
    let mut said = contained(shell, service, base, &[], plain, until).await;
    if said.as_ref().is_ok_and(|o| !o.ok() && !o.err().contains("No solution found")) {
        let python = version_of(base).into_iter().flat_map(|version| ["--python-version".to_owned(), version]);
        let more: Vec<String> = std::iter::once("--no-build".to_owned()).chain(python).collect();
        let second = contained(shell, service, FALLBACK, &more, plain, until).await;
        // Where neither can, the base's own words say more.
        if second.as_ref().is_ok_and(Output::ok) {
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

/// Runs it in a container of an image, which is removed however that ends.
async fn contained(
    shell: &dyn Shell,
    service: &str,
    image: &str,
    more: &[String],
    plain: &Plain,
    until: &str,
) -> Result<Output, BackendError> {
    let plain_name = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name = format!("imparcial-packages-{}", service.chars().map(plain_name).collect::<String>());
    let remove = Cmd::new(["docker", "rm", "--force", "--volumes", &name]).timeout(QUICK);
    // An earlier one that could not be removed.
    let _ = shell.run(&remove).await;
    let output = run(shell, &name, image, more, plain, until).await;
    let removed = shell.run(&remove).await;
    if !removed.as_ref().is_ok_and(Output::ok) {
        tracing::warn!(name, ?removed, "a container that resolves packages could not be removed");
    }
    output
}

async fn run(
    shell: &dyn Shell,
    name: &str,
    image: &str,
    more: &[String],
    plain: &Plain,
    until: &str,
) -> Result<Output, BackendError> {
    let uv = format!("{UV}:{UV_INSIDE}:ro");
    let create = Cmd::new(["docker", "create", "--name", name, "--label", LABEL, "--volume", &uv, "--workdir", "/"])
        .args(["--pids-limit", "512", "--security-opt", "no-new-privileges", "--entrypoint", UV_INSIDE, image])
        .args(["pip", "compile", "--quiet", "--color", "never", "--no-config", "--no-cache", "--no-python-downloads"])
        .args(["--no-header", "--no-annotate", "--strip-extras", "--exclude-newer", until])
        .args(more.iter().cloned())
        .args(["--constraint".to_owned(), format!("/{LIMITS}"), format!("/{WANTED}")]);
    let created = bounded(shell.run(&create.timeout(CREATING)).await)?;
    if !created.ok() {
        return Ok(created);
    }
    let files = files(plain).map_err(|e| BackendError::Other(Text::same(e.to_string())))?;
    let copy = Cmd::new(["docker".to_owned(), "cp".to_owned(), "-".to_owned(), format!("{name}:/")]);
    let copied = bounded(shell.run(&copy.stdin(files).timeout(QUICK)).await)?;
    if !copied.ok() {
        return Ok(copied);
    }
    bounded(shell.run(&Cmd::new(["docker", "start", "--attach", name]).timeout(RESOLVING)).await)
}

/// All that it is given, as an archive.
fn files(plain: &Plain) -> std::io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, lines) in [(WANTED, &plain.wanted), (LIMITS, &plain.constraints)] {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        tar.append_data(&mut header, name, text.as_bytes())?;
    }
    tar.into_inner()
}

/// Whether a base is an image's name and nothing that the engine's client would take for an option.
pub(super) fn is_image(base: &str) -> bool {
    static IMAGE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^[A-Za-z0-9][A-Za-z0-9._-]*(:\d+)?(/[A-Za-z0-9][A-Za-z0-9._-]*)*(:[A-Za-z0-9_][A-Za-z0-9._-]*)?(@sha256:[0-9a-f]{64})?$")
            .expect("a constant pattern, compiled in a test")
    });
    IMAGE.is_match(base)
}

/// Whether a base's name can lead to another image for a while: one that names its very image by a digest cannot.
pub(super) fn can_lead(base: &str) -> bool {
    let number = base.len() == 64 && base.bytes().all(|b| b.is_ascii_hexdigit());
    is_image(base) && !base.contains('@') && !base.starts_with("sha256:") && !number
}

/// Why no packages can be put under a base.
pub(super) fn not_under(base: &str) -> Text {
    let base = crate::sanitize::line(base, 100);
    Text::new(
        format!("no packages of that day can be put under its base `{base}`"),
        format!("bajo su base `{base}` no se pueden poner los paquetes de ese día"),
    )
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::scripted::{Reply, Scripted};

    fn plain() -> Plain {
        Plain { wanted: vec!["flask".to_owned()], constraints: vec!["werkzeug<2.1".to_owned()] }
    }

    fn lab(start: Vec<Reply>) -> Scripted {
        Scripted::default()
            .on(["test", "-x"], vec![Reply::out("")])
            .on(["docker", "rm"], vec![Reply::out("")])
            .on(["docker", "create"], vec![Reply::out("id")])
            .on(["docker", "cp"], vec![Reply::out("")])
            .on(["docker", "start"], start)
    }

    const REMOVE: &str = "docker rm --force --volumes imparcial-packages-app";

    #[tokio::test]
    async fn it_runs_in_a_container_without_the_submission_and_only_there() {
        let lab = lab(vec![Reply::fail(2, "error: no interpreter"), Reply::out("flask==2.0.1\n")]);
        let found = resolve(&lab, "app", "python:3.6", &plain(), "2021-10-05T00:00:00Z").await.unwrap();
        assert_eq!(found, [("flask".to_owned(), "2.0.1".to_owned())]);
        let asked = lab.asked();
        assert!(asked.iter().all(|cmd| cmd.starts_with("docker ") || cmd == "test -x /usr/local/bin/uv"), "{asked:?}");
        let created: Vec<&String> = asked.iter().filter(|cmd| cmd.starts_with("docker create ")).collect();
        assert_eq!(created.len(), 2);
        for (cmd, image) in created.iter().zip(["python:3.6", "python:3-slim"]) {
            assert!(
                cmd.starts_with("docker create --name imparcial-packages-app --label imparcial.packages="),
                "{cmd}"
            );
            assert_eq!(cmd.matches("--volume").count(), 1, "uv and nothing else: {cmd}");
            assert!(cmd.contains(&format!("--workdir / --pids-limit 512 --security-opt no-new-privileges --entrypoint /imparcial-uv {image} pip compile")), "{cmd}");
        }
        assert!(created[1].contains("--no-build --python-version 3.6") && !created[0].contains("--no-build"));
        assert_eq!(asked.iter().filter(|cmd| *cmd == REMOVE).count(), 4, "before and after each");
        assert_eq!(asked.last().map(String::as_str), Some(REMOVE));
    }

    #[tokio::test]
    async fn its_container_is_removed_however_it_ends() {
        for (start, why) in [
            (Reply::Gone("away".to_owned()), "away"),
            (Reply::fail(1, "error: No solution found when resolving"), "No solution found"),
            (Reply::fail(124, "no end after 90 s"), "no end after 90 s"),
        ] {
            let lab = lab(vec![start]);
            let said = resolve(&lab, "app", "python:3.9", &plain(), "2021-10-05T00:00:00Z").await.unwrap_err();
            assert!(said.en.contains(why), "{}", said.en);
            assert_eq!(lab.asked().last().map(String::as_str), Some(REMOVE), "{why}");
        }
    }

    #[tokio::test]
    async fn a_base_that_is_an_option_is_given_to_nobody() {
        for base in ["--privileged", "-v=/:/host", "", "a b", "python:3.9 --x", "../x", "$(x)", "x@sha256:0", "a//b"] {
            let lab = lab(vec![Reply::out("flask==2.0.1\n")]);
            assert!(!is_image(base), "{base}");
            let said = resolve(&lab, "app", base, &plain(), "2021-10-05T00:00:00Z").await.unwrap_err();
            assert!(said.en.contains("no packages of that day"), "{}", said.en);
            assert_eq!(lab.asked(), ["test -x /usr/local/bin/uv"], "{base}");
        }
        let digest = format!("python@sha256:{}", "0".repeat(64));
        for base in ["python", "python:3.9-slim", "localhost:5000/a/b_c:x", "docker.io/library/python:3.11", &digest] {
            assert!(is_image(base), "{base}");
            assert_eq!(can_lead(base), base != digest, "{base}");
        }
        assert!(!can_lead(&"0".repeat(64)) && !can_lead("sha256:00") && !can_lead("--privileged"));
    }

    #[test]
    fn it_is_given_two_files_of_ours() {
        let bytes = files(&plain()).unwrap();
        let mut tar = tar::Archive::new(bytes.as_slice());
        let read = tar.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            (entry.path().unwrap().display().to_string(), std::io::read_to_string(entry).unwrap())
        });
        let expected = [(WANTED, "flask\n"), (LIMITS, "werkzeug<2.1\n")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(read.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn only_plain_pins_are_taken() {
        let text = "# by uv\nflask==2.0.1\nwerkzeug==2.0.3 ; python_version < '3.12'\n-e file:///x\nx @ git+https://y/z\na==$(b)\n";
        let expected = [("flask", "2.0.1"), ("werkzeug", "2.0.3")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        assert_eq!(pins(text), expected);
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

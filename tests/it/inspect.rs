//! `imparcial inspect` as it is called: what it prints, in which language, with which exit code.

use std::path::Path;

use assert_cmd::Command;

fn inspect(args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_imparcial"));
    let output = command.env("LANG", "C").env_remove("LC_ALL").arg("inspect").args(args).output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

fn reference() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/seed/reference").display().to_string()
}

#[test]
fn the_reference_is_read_whole() {
    let (code, out, err) = inspect(&[&reference()]);
    assert_eq!((code, err.as_str()), (0, ""));
    for piece in [
        "docker-compose.yml",
        "app = app: ",
        "db = db: ",
        "given: db/init.sql",
        "one that is not there is made, empty): /mnt/volumen/mysql",
    ] {
        assert!(out.contains(piece), "{piece}\n{out}");
    }
    let (code, out, _) = inspect(&[&reference(), "--lang", "es"]);
    assert_eq!(code, 0);
    assert!(out.contains("archivo compose") && out.contains("construido desde"), "{out}");
}

#[test]
fn json_is_for_programs() {
    let (code, out, _) = inspect(&[&reference(), "--json"]);
    assert_eq!(code, 0);
    let view: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(view["version"], 1);
    let roles: Vec<_> = view["roles"].as_array().expect("roles").iter().map(|r| (&r["role"], &r["service"])).collect();
    assert_eq!(roles.iter().map(|(r, s)| format!("{r}={s}")).collect::<Vec<_>>(), ["\"app\"=\"app\"", "\"db\"=\"db\""]);
    assert_eq!(view["scripts"]["given"][0], "db/init.sql");
    assert_eq!(view["policy"].as_array().map(Vec::len), Some(0));
}

#[test]
fn what_is_not_there_is_said_with_the_right_exit_code() {
    let (code, out, err) = inspect(&["/nowhere/at/all"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("there is no folder `/nowhere/at/all`"), "{err}");
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().display().to_string();
    let (code, out, _) = inspect(&[&path]);
    assert_eq!(code, 1);
    assert!(out.contains("the folder is empty"), "{out}");
    std::fs::write(dir.path().join("docker-compose.yml"), [0_u8, 159, 146, 150]).expect("a file");
    let (code, out, _) = inspect(&[&path]);
    assert_eq!(code, 1);
    assert!(out.contains("is a binary file"), "{out}");
    let (code, _, err) = inspect(&[&path, "--compose-file", "other.yml"]);
    assert_eq!(code, 2);
    assert!(err.contains("--compose-file other.yml"), "{err}");
    let (code, _, _) = inspect(&[&path, "--role", "app"]);
    assert_eq!(code, 2);
}

#[test]
fn a_role_that_is_named_is_taken() {
    let (code, out, _) = inspect(&[&reference(), "--role", "app=db"]);
    assert_eq!(code, 0);
    assert!(out.contains("app = db: `--role app=db` says so"), "{out}");
    let (code, out, err) = inspect(&[&reference(), "--role", "web=app"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("there is no role `web`"), "{err}");
}

#[test]
fn quiet_prints_only_what_is_wrong() {
    let (code, out, err) = inspect(&[&reference(), "-q"]);
    assert_eq!((code, out.as_str(), err.as_str()), (0, "", ""));
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().display().to_string();
    let compose = "services:\n  a:\n    biuld: .\n    image: x\n    privileged: true\n";
    std::fs::write(dir.path().join("docker-compose.yml"), compose).expect("a file");
    let (code, out, _) = inspect(&[&path, "-q"]);
    assert_eq!(code, 0);
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines.len() == 2 && lines[0].contains("[privileged]"), "{out}");
    assert!(lines[1].contains("did you mean `build`?") && lines[1].contains("docker-compose.yml:3:5"), "{out}");
}

#[test]
fn what_could_not_be_read_is_not_called_harmless() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(dir.path().join("docker-compose.yml"), "services: [\n").expect("a file");
    let (code, out, _) = inspect(&[&dir.path().display().to_string()]);
    assert_eq!(code, 1);
    assert!(out.contains("could not be judged") && !out.contains("nothing is asked"), "{out}");
}

#[test]
fn machines_are_not_read_without_an_engine_and_that_is_said() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/data/vagrantfiles/written_out");
    let mut command = Command::new(env!("CARGO_BIN_EXE_imparcial"));
    command.env("DOCKER_HOST", "unix:///nowhere/docker.sock").arg("inspect").arg(folder).arg("--json");
    let output = command.output().expect("it runs");
    assert_eq!(output.status.code(), Some(0), "nothing is wrong with what was handed in");
    let view: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let file = &view["vagrantfile"];
    assert_eq!(
        (&file["path"], &file["state"], &file["reason"]),
        (&"Vagrantfile".into(), &"unknown".into(), &"host".into())
    );
    assert!(file["why"]["en"].as_str().is_some_and(|why| why.contains("/nowhere/docker.sock")), "{file}");
}

//! `imparcial plan` as people call it: what is printed where, and the exit codes.

use std::path::{Path, PathBuf};

use assert_cmd::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn plan(scenario: &Path, more: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_imparcial"));
    command
        .current_dir(root())
        .env("LC_ALL", "C")
        .args(["plan", "scenarios/seed/reference", "--scenario"])
        .arg(scenario);
    let output = command.args(more).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn problems_of_the_scenario_are_all_said_and_the_exit_code_is_2() {
    let file = root().join("tests/it/data/invalid/everything-at-once.yaml");
    let (code, stdout, stderr) = plan(&file, &[]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(stderr.contains("everything-at-once.yaml:2:7"), "{stderr}");
    assert!(stderr.contains("everything-at-once.yaml:15:13"), "{stderr}");
    assert!(!stderr.contains('\u{1b}'), "colours where nobody looks: {stderr}");
}

#[test]
fn an_unknown_scenario_names_what_there_is() {
    let (code, stdout, stderr) = plan(Path::new("sead"), &[]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert_eq!(stderr, "error: there is no scenario `sead`: did you mean `seed`?\n");
}

#[test]
fn a_scenario_that_is_no_text_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let file: PathBuf = dir.path().join("binary.yaml");
    std::fs::write(&file, [0x7f, b'E', b'L', b'F', 0xff, 0x00]).unwrap();
    let (code, _, stderr) = plan(&file, &[]);
    assert_eq!(code, 2);
    assert!(stderr.contains("not a text file in UTF-8"), "{stderr}");
}

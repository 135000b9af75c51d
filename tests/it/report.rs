//! `imparcial report` as people call it, on a record of version 1 that was written when that was the newest.

use std::fs;
use std::path::Path;

use assert_cmd::Command;

const RECORD: &str = include_str!("data/record-1.json");

struct Shown {
    code: i32,
    out: String,
    err: String,
}

fn report(dir: &Path, args: &[&str]) -> Shown {
    let mut command = Command::new(env!("CARGO_BIN_EXE_imparcial"));
    let output = command.current_dir(dir).env("LC_ALL", "C").arg("report").args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Shown { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

fn recorded() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("reports/run-1")).unwrap();
    fs::write(dir.path().join("reports/run-1/record.json"), RECORD).unwrap();
    std::os::unix::fs::symlink("run-1", dir.path().join("reports/latest")).unwrap();
    dir
}

#[test]
fn a_run_is_shown_again_in_any_format_and_language() {
    let dir = recorded();
    let text = report(dir.path(), &[]);
    assert_eq!(text.code, 0, "showing is not grading: {}", text.err);
    assert!(text.out.contains("10 of 60 points earned, 32 lost, 18 undecided (not final)"), "{}", text.out);
    assert!(text.out.contains("reports/latest/junit.xml") && !text.out.contains('\u{1b}'), "{}", text.out);
    let spanish = report(dir.path(), &["run-1", "--lang", "es"]);
    assert!(spanish.out.contains("10 de 60 puntos obtenidos, 32 perdidos, 18 sin decidir"), "{}", spanish.out);
    let junit = report(dir.path(), &["reports/run-1", "--format", "junit"]);
    assert!(junit.out.starts_with("<?xml") && junit.out.contains(r#"tests="8" failures="2" errors="1" skipped="2""#));
    let json = report(dir.path(), &["reports/run-1/record.json", "--format", "json"]);
    let value: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((&value["version"], &value["final"]), (&1.into(), &false.into()));
}

#[test]
fn what_is_no_run_is_said_on_stderr_with_exit_code_2() {
    let dir = recorded();
    let nowhere = report(dir.path(), &["run-2"]);
    assert_eq!((nowhere.code, nowhere.out.as_str()), (2, ""));
    let said = "there is no run `run-2`\nhint: did you mean `run-1`? in `reports` there are `run-1`, `latest`\n";
    assert!(nowhere.err.contains(said), "{}", nowhere.err);

    let record = dir.path().join("reports/run-1/record.json");
    fs::write(&record, b"\x7fELF\x01\0\0").unwrap();
    let binary = report(dir.path(), &["run-1", "--lang", "es"]);
    assert_eq!(binary.code, 2);
    assert!(binary.err.contains("sugerencia: indique la carpeta de una ejecución"), "{}", binary.err);

    fs::write(&record, RECORD.replacen("\"version\": 1", "\"version\": 2", 1)).unwrap();
    let newer = report(dir.path(), &["run-1"]);
    assert_eq!(newer.code, 2);
    assert!(newer.err.contains("use the newer one that wrote it"), "{}", newer.err);

    assert_eq!(report(dir.path(), &["--format", "pdf"]).code, 2);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let dir = recorded();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_imparcial"))
        .current_dir(dir.path())
        .args(["report", "--format", "json"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

/// An empty submission is graded without a lab, so this needs no engine.
#[test]
fn a_job_of_github_actions_gets_a_summary_annotations_and_a_quiet_log() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("team ::error::x")).unwrap();
    let summary = dir.path().join("summary.md");
    fs::write(&summary, "before\n").unwrap();
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/seed/scenario.yaml");
    let output = Command::new(env!("CARGO_BIN_EXE_imparcial"))
        .current_dir(dir.path())
        .env("LC_ALL", "C")
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_STEP_SUMMARY", &summary)
        .args(["grade", "team ::error::x", "--for", "student", "--scenario"])
        .arg(scenario)
        .output()
        .unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{out}");

    let lines: Vec<_> = out.lines().collect();
    let token = lines[0].strip_prefix("::stop-commands::").expect("off before anything is printed");
    let on = lines.iter().position(|line| *line == format!("::{token}::")).expect("on again");
    assert!(lines[1..on].iter().all(|line| !line.trim_start().starts_with("::")), "{out}");
    assert!(lines[1..on].iter().any(|line| line.contains("0 of 91 points earned, 91 lost")), "{out}");
    let roots = ["compose-valid", "vagrantfile-valid"];
    assert_eq!(lines[on + 1..].len(), roots.len(), "what is behind a root has no annotation: {out}");
    for (line, root) in lines[on + 1..].iter().zip(roots) {
        assert!(line.starts_with("::error file=") && line.contains(&format!("title={root} (-2)")), "{out}");
    }

    let text = fs::read_to_string(&summary).unwrap();
    assert!(text.starts_with("before\n## "), "{text}");
    assert!(text.contains("**0 of 91 points earned") && !text.contains("page-from-database"), "{text}");
}

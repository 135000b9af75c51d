//! Criteria that people judge, from a scenario to the reports, as people call it: no stack is brought up.

use std::fs;
use std::path::Path;

use assert_cmd::Command;

/// A run of a scenario with three criteria, pending, as `record.json` was written when it was new.
const RECORD: &str = include_str!("data/record-1-manual.json");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn imparcial(dir: &Path, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_imparcial"));
    let output = command.current_dir(dir).env("LC_ALL", "C").args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// A reports' folder with that run, and a file of marks.
fn recorded(marks: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("reports/run-1")).unwrap();
    fs::write(dir.path().join("reports/run-1/record.json"), RECORD).unwrap();
    fs::write(dir.path().join("marks.csv"), marks).unwrap();
    dir
}

fn report(dir: &Path, more: &[&str]) -> (i32, String, String) {
    imparcial(dir, &[&["report", "run-1"], more].concat())
}

const MARKS: &str = "\u{feff}entrega;criterio;nivel;comentario\r\nteam-07;readme;parcial;\"Faltan los nombres; \u{1b}[31mrevise\"\r\nluis;readme;nonsense;x\r\nteam-07;problems;missing;\r\n";

#[test]
fn the_exam_plans_for_both_references() {
    for (folder, app, db) in [("seed", "app", "db"), ("compose-basics", "web", "database")] {
        let submission = format!("scenarios/{folder}/reference");
        let (code, out, err) = imparcial(root(), &["plan", &submission, "--scenario", "parcial-2-2019"]);
        assert_eq!((code, err.as_str()), (0, ""), "{out}");
        assert!(
            out.contains("25 (checks: 17 with points, 24 without), and 75 that people judge (criteria: 10)"),
            "{out}"
        );
        assert!(out.contains("readme-format 5, readme-names 5") && out.contains("logs 15"), "{out}");
        for (role, service) in [("app", app), ("db", db)] {
            let bound = out.lines().find(|line| line.starts_with(&format!("{role} "))).unwrap();
            assert!(bound.contains(&format!("{service}: ")), "{folder}: {bound}");
        }
    }
    // Found by role: whatever the exam's own names and ports are, nothing of it is asked for.
    let text = fs::read_to_string(root().join("scenarios/parcial-2-2019/scenario.yaml")).unwrap();
    let asked: Vec<_> =
        text.lines().filter(|line| line.trim_start().starts_with("expect:") || line.contains("tcp:")).collect();
    assert!(
        asked.len() > 10 && asked.iter().all(|line| !line.contains("5000}") && !line.contains("32000")),
        "{asked:#?}"
    );
}

#[test]
fn marks_are_shown_beside_the_checks_and_the_record_stays_as_it_is() {
    let dir = recorded(MARKS);
    let (code, out, err) = report(dir.path(), &[]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("10 of 90 points earned, 32 lost, 18 undecided, 30 pending (not final)"), "{out}");
    assert!(out.contains("0.6 – 3.2 of 5.0 (passes from 3.0)"), "{out}");

    let (code, out, err) = report(dir.path(), &["--marks", "marks.csv", "--lang", "es"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("15 de 90 puntos obtenidos, 47 perdidos, 18 sin decidir, 10 pendientes"), "{out}");
    assert!(out.contains("~ readme  (+5 de 10) El README está completo"), "{out}");
    assert!(out.contains("comentario Faltan los nombres; revise"), "what a table holds is text: {out}");
    assert!(out.contains("0.8 – 2.4 de 5.0 (aprueba desde 3.0)"), "{out}");

    let (_, junit, _) = report(dir.path(), &["--marks", "marks.csv", "--format", "junit"]);
    assert!(junit.contains(r#"tests="11" failures="3" errors="1" skipped="3""#), "{junit}");
    assert!(junit.contains(r#"<skipped type="manual" message="pending: judged by a person"/>"#), "{junit}");
    let (_, json, _) = report(dir.path(), &["--marks", "marks.csv", "--format", "json", "--for", "student"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["manual"][0]["mark"]["level"], "partial");
    let kept = fs::read_to_string(dir.path().join("reports/run-1/record.json")).unwrap();
    assert_eq!(kept, RECORD);
}

#[test]
fn mistakes_in_marks_are_told_at_once_and_cost_nobody_anything() {
    let dir = recorded("submission,criterion,level\nteam-07,redame,complete\nteam-07,readme,partail\n");
    let (code, out, err) = report(dir.path(), &["--marks", "marks.csv"]);
    assert_eq!((code, out.as_str()), (2, ""));
    insta::assert_snapshot!(err, @r"
    error: marks.csv:2: the scenario has no criterion `redame`: did you mean `readme`?
    error: marks.csv:3: `readme` has no level `partail`: did you mean `partial`?
    mistakes in the marks: 2; none of them was used
    ");
    let (code, _, err) = report(dir.path(), &["--marks", "marks.csv", "--lang", "es"]);
    assert!(
        code == 2 && err.contains("marks.csv:3: `readme` no tiene el nivel `partail`: ¿quiso decir `partial`?"),
        "{err}"
    );
    let (code, _, err) = report(dir.path(), &["--marks", "none.csv"]);
    assert!(code == 2 && err.contains("error: the marks cannot be read from `none.csv`: No such file"), "{err}");
    // Before anything is brought up: there is no engine here.
    let marks = dir.path().join("marks.csv");
    let args =
        ["grade", "scenarios/seed/reference", "--scenario", "parcial-2-2019", "--marks", marks.to_str().unwrap()];
    let text = fs::read_to_string(&marks).unwrap().replace("team-07", "reference");
    fs::write(&marks, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_imparcial"));
    command.current_dir(root()).env("LC_ALL", "C").env("DOCKER_HOST", "unix:///nowhere.sock");
    let output = command.args(args).args(["--reports", dir.path().join("r").to_str().unwrap()]).output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert!(
        err.contains("marks.csv:2: the scenario has no criterion `redame`") && !dir.path().join("r").exists(),
        "{err}"
    );
}

#[test]
fn a_table_without_this_submission_marks_nothing_and_says_so_to_the_teacher_alone() {
    let dir = recorded("submission,criterion,level\nteam-7,readme,complete\n");
    let (code, out, err) = report(dir.path(), &["--marks", "marks.csv"]);
    assert_eq!(err, "warning: marks.csv: no row of the marks is for `team-07`: did you mean `team-7`?\n");
    assert!(code == 0 && out.contains("30 pending") && !out.contains("team-7`"), "{out}");
    // A run without criteria has nothing to mark.
    fs::write(dir.path().join("reports/run-1/record.json"), include_str!("data/record-1.json")).unwrap();
    let (code, _, err) = report(dir.path(), &["--marks", "marks.csv"]);
    assert!(code == 2 && err.contains("no criteria that people judge"), "{err}");
}

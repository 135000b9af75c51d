//! `imparcial compare` as people call it, on records of version 1: one that was written when that was the newest, and others made
//! from it.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use serde_json::{Value, json};

const RECORD: &str = include_str!("data/record-1.json");

struct Shown {
    code: i32,
    out: String,
    err: String,
}

impl Shown {
    fn has(&self, wanted: &[&str]) {
        for piece in wanted {
            assert!(self.out.contains(piece), "no `{piece}` in\n{}{}", self.out, self.err);
        }
    }
}

fn compare(dir: &Path, args: &[&str]) -> Shown {
    let mut command = Command::new(env!("CARGO_BIN_EXE_imparcial"));
    let output = command.current_dir(dir).env("LC_ALL", "C").arg("compare").args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Shown { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

fn write(dir: &Path, run: &str, record: &Value) {
    fs::create_dir_all(dir.join("reports").join(run)).unwrap();
    fs::write(dir.join("reports").join(run).join("record.json"), record.to_string()).unwrap();
}

fn check<'a>(record: &'a mut Value, id: &str) -> &'a mut Value {
    record["checks"].as_array_mut().unwrap().iter_mut().find(|check| check["id"] == id).unwrap()
}

/// `nodes`, and `machines`: the same submission on virtual machines, where the SQL was applied and the database was not to be
/// looked at.
fn recorded() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut record: Value = serde_json::from_str(RECORD).unwrap();
    record["machines"] = json!({"provider": "docker", "boxes": []});
    write(dir.path(), "nodes", &record);
    std::os::unix::fs::symlink("nodes", dir.path().join("reports/latest")).unwrap();

    record["run"] = "20261125-010203-cd34".into();
    record["elapsed_ms"] = 226_000.into();
    record["machines"]["provider"] = "libvirt".into();
    let init = check(&mut record, "init-applied");
    init["verdict"] = "pass".into();
    init["explanation"] = json!({"en": "", "es": ""});
    init["attempts"] = 2.into();
    init["elapsed_ms"] = 900.into();
    init["look_at"] = json!([]);
    let missing = &mut init["findings"][1];
    (missing["observed"], missing["holds"]) = ("none".into(), true.into());
    let runs = check(&mut record, "db-runs");
    runs["verdict"] = "error".into();
    runs["reason"] = "host".into();
    runs["explanation"] = json!({"en": "the disk is full", "es": "el disco está lleno"});
    write(dir.path(), "machines", &record);
    dir
}

/// Changes a record that is there.
fn change(dir: &Path, run: &str, change: impl FnOnce(&mut Value)) {
    let file = dir.join("reports").join(run).join("record.json");
    let mut record = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    change(&mut record);
    fs::write(&file, record.to_string()).unwrap();
}

#[test]
fn what_differs_is_said_with_what_both_saw() {
    let dir = recorded();
    let shown = compare(dir.path(), &["nodes", "reports/machines/record.json"]);
    assert_eq!((shown.code, shown.err.as_str()), (1, ""));
    let lines: Vec<_> = shown.out.lines().collect();
    assert_eq!(lines[0], "imparcial · two runs of Exam 2: services (seed)");
    let words = shown.out.split_whitespace().collect::<Vec<_>>().join(" ");
    for head in [
        "run 1 20261124-204305-ab12 · seed · team-07 ·",
        "container nodes, not virtual machines (0 machines declared) · 10 of 60 points earned, 32 lost, 18 undecided (not final) · 41.2 s",
        "run 2 20261125-010203-cd34 · seed · team-07 ·",
        "virtual machines (0 machines declared) · 19 of 60 points earned, 17 lost, 24 undecided (not final) · 3 min 46 s",
    ] {
        assert!(words.contains(head), "no `{head}` in\n{}", shown.out);
    }
    let differing = "
Decided by both, differently (1)
  ≠ init-applied  -15 | +15 init.sql was applied
      run 1      fail: the database has none of the tables that init.sql declares (last of 118 looks
                 in 1 min 00 s)
      run 2      pass (last of 2 looks in 900 ms)
      missing_tables
        expected   none
        run 1      favorite_colors
        run 2      none
";
    let evidence = "
      evidence   reports/nodes/evidence/init-applied.txt
                 reports/nodes/evidence/db.log
                 reports/machines/evidence/init-applied.txt
                 reports/machines/evidence/db.log
";
    let by_one = "
Decided by one only (1)
  db-runs 6
      run 1      pass
      run 2      error: the host: the disk is full
";
    shown.has(&[differing, evidence, by_one]);
    assert!(!shown.out.contains("compose-valid"), "what agrees is only counted: {}", shown.out);
    let last = "4 checks decided by both: 3 agree, 1 differ; 1 decided by one only; 3 by neither";
    assert_eq!(lines.last(), Some(&last), "{}", shown.out);
}

#[test]
fn the_same_in_spanish() {
    let dir = recorded();
    let shown = compare(dir.path(), &["nodes", "machines", "--lang", "es"]);
    assert_eq!((shown.code, shown.err.as_str()), (1, ""));
    shown.has(&[
        "imparcial · dos ejecuciones de Parcial 2: servicios (seed)\nejec. 1       20261124-204305-ab12 · seed",
        "\nDecididas por ambas, con distinto resultado (1)\n  ≠ init-applied  -15 | +15 Se aplicó init.sql\n",
        "      ejec. 1    falla: la base de datos no tiene ninguna de las tablas que init.sql declara",
        "        esperado   ninguno\n        ejec. 1    favorite_colors\n        ejec. 2    ninguno\n",
        "\nDecididas solo por una (1)\n  db-runs 6\n      ejec. 1    pasa\n      ejec. 2    error: la máquina anfitriona: el disco está lleno\n",
        "\n4 comprobaciones decididas por ambas: coinciden 3, difieren 1; por una sola: 1; por ninguna: 3\n",
    ]);
}

#[test]
fn as_data_it_is_whole() {
    let dir = recorded();
    let shown = compare(dir.path(), &["nodes", "machines", "--format", "json"]);
    assert_eq!((shown.code, shown.err.as_str()), (1, ""));
    let json: Value = serde_json::from_str(&shown.out).unwrap();
    assert_eq!((&json["version"], &json["counts"]["differ"]), (&1.into(), &1.into()));
    assert_eq!(
        (&json["runs"][1]["provider"], &json["runs"][1]["folder"]),
        (&"libvirt".into(), &"reports/machines".into())
    );
    let [one, other] = [0, 1].map(|n| &json["differ"][0]["runs"][n]);
    assert_eq!((&one["verdict"], &other["verdict"]), (&"fail".into(), &"pass".into()));
    assert_eq!(json["decided_by_one"][0]["runs"][1]["explanation"]["es"], "el disco está lleno");
}

#[test]
fn what_agrees_is_0_and_what_nobody_decided_twice_is_3() {
    let dir = recorded();
    let same = compare(dir.path(), &["latest", "nodes"]);
    assert_eq!((same.code, same.err.as_str()), (0, ""));
    same.has(&["5 checks decided by both: 5 agree, 0 differ; 0 decided by one only; 3 by neither"]);
    change(dir.path(), "machines", |record| {
        record["checks"].as_array_mut().unwrap().iter_mut().for_each(|check| check["verdict"] = "error".into());
    });
    let open = compare(dir.path(), &["nodes", "machines"]);
    assert_eq!(open.code, 3, "{}", open.out);
    open.has(&["\n0 checks decided by both: 0 agree, 0 differ; 5 decided by one only; 3 by neither\n"]);
}

#[test]
fn only_runs_of_one_scenario_are_compared_but_of_any_submissions() {
    let dir = recorded();
    change(dir.path(), "machines", |record| record["submission"]["name"] = "team-08".into());
    let shown = compare(dir.path(), &["nodes", "machines"]);
    assert_eq!(shown.code, 1);
    shown.has(&["note          the submissions differ (team-07; team-08): what differs below may be"]);

    change(dir.path(), "machines", |record| record["scenario"]["name"] = "recovery".into());
    for (lang, said) in [
        (
            "en",
            "error: the runs are of different scenarios: `seed` (20261124-204305-ab12) and `recovery` (20261125-010203-cd34)\nhint: ",
        ),
        (
            "es",
            "error: las ejecuciones son de escenarios distintos: `seed` (20261124-204305-ab12) y `recovery` (20261125-010203-cd34)\nsugerencia: ",
        ),
    ] {
        let other = compare(dir.path(), &["nodes", "machines", "--lang", lang]);
        assert_eq!((other.code, other.out.as_str()), (2, ""));
        assert!(other.err.starts_with(said), "{}", other.err);
    }
}

#[test]
fn what_is_no_run_is_2_and_what_cannot_be_read_3_with_what_report_says() {
    let dir = recorded();
    let nowhere = compare(dir.path(), &["nodes", "machine"]);
    assert_eq!((nowhere.code, nowhere.out.as_str()), (2, ""));
    assert!(
        nowhere.err.starts_with("error: there is no run `machine`\nhint: did you mean `machines`?"),
        "{}",
        nowhere.err
    );
    let both = compare(dir.path(), &["one", "other", "--lang", "es"]);
    assert_eq!(both.code, 2);
    assert!(both.err.contains("no existe la ejecución `one`") && both.err.contains("`other`"), "{}", both.err);
    fs::create_dir(dir.path().join("reports/empty")).unwrap();
    let empty = compare(dir.path(), &["nodes", "empty"]);
    assert_eq!(empty.code, 2);
    assert!(empty.err.contains("no run was recorded there"), "{}", empty.err);
    assert_eq!(compare(dir.path(), &["nodes"]).code, 2);
    assert_eq!(compare(dir.path(), &["nodes", "machines", "--format", "pdf"]).code, 2);

    change(dir.path(), "machines", |record| record["version"] = 2.into());
    let newer = compare(dir.path(), &["nodes", "machines"]);
    assert_eq!((newer.code, newer.out.as_str()), (3, ""));
    assert!(newer.err.contains("use the newer one that wrote it"), "{}", newer.err);
    fs::write(dir.path().join("reports/machines/record.json"), b"\x7fELF\x01\0\0").unwrap();
    let binary = compare(dir.path(), &["machines", "nodes", "--lang", "es"]);
    assert_eq!(binary.code, 3);
    assert!(binary.err.contains("sugerencia: indique la carpeta de una ejecución"), "{}", binary.err);
}

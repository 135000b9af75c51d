//! Kinds of checks that no shipped scenario uses, and `never`: each passing and failing on the reference, in a lab.

use std::path::Path;
use std::time::Duration;

use imparcial::record::{CheckRecord, RunRecord, Verdict};
use tokio::process::Command;

use super::live;

const SCENARIO: &str = include_str!("data/kinds.yaml");

/// A copy of the reference that is the scenario's own: its failures are nobody's stand-in's.
fn folder() -> tempfile::TempDir {
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/seed/reference");
    let dir = tempfile::tempdir().unwrap();
    for entry in walkdir::WalkDir::new(&reference).into_iter().map(Result::unwrap) {
        let to = dir.path().join("reference").join(entry.path().strip_prefix(&reference).unwrap());
        if entry.file_type().is_dir() {
            std::fs::create_dir_all(to).unwrap();
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
    std::fs::write(dir.path().join("scenario.yaml"), SCENARIO).unwrap();
    dir
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_passes_and_fails_on_the_reference() {
    if live::engine().await.is_none() {
        return;
    }
    let dir = folder();
    let output = Command::new(env!("CARGO_BIN_EXE_imparcial"))
        .args(["--lang", "en", "grade", "--patience", "60s", "--scenario"])
        .arg(dir.path().join("scenario.yaml"))
        .arg("--reports")
        .arg(dir.path().join("reports"))
        .arg(dir.path().join("reference"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output();
    let output = tokio::time::timeout(Duration::from_secs(400), output).await.unwrap().unwrap();
    let record = std::fs::read(dir.path().join("reports/latest/record.json"));
    let record = record.unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)));
    let record: RunRecord = serde_json::from_slice(&record).unwrap();
    let should = |check: &CheckRecord| if check.id.starts_with("not-") { Verdict::Fail } else { Verdict::Pass };
    let wrong: Vec<String> = record
        .checks
        .iter()
        .filter(|check| check.verdict != should(check))
        .map(|check| format!("{}: {:?} {} {:?}", check.id, check.verdict, check.explanation.en, check.findings))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(record.checks.len() > 15, "{}", record.checks.len());

    let check = |id: &str| record.checks.iter().find(|c| c.id == id).unwrap();
    let never = check("never-a-crash");
    assert!(never.elapsed_ms >= 3000 && never.attempts >= 3, "watched to the end: {} ms", never.elapsed_ms);
    let seen = check("not-never-there");
    assert!(seen.elapsed_ms < 30_000, "a failure ends it: {} ms", seen.elapsed_ms);
    assert!(seen.explanation.en.contains("must never be true"), "{}", seen.explanation.en);
    assert_eq!(check("not-file-there").explanation.en, "there is nothing at /app/nothing");
}

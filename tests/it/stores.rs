//! Kind `store`: a PostgreSQL and several Redis, each passing and failing, in a lab.

use std::path::Path;
use std::time::Duration;

use imparcial::record::{CheckRecord, RunRecord, Verdict};
use tokio::process::Command;

use crate::live;

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_any_family_is_reached_and_keeps_a_value_or_it_is_said_why_not() {
    if live::engine().await.is_none() {
        return;
    }
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/data");
    let reports = tempfile::tempdir().unwrap();
    let roles = ["app", "db", "cache", "copy", "apart", "shut"].map(|role| format!("{role}={role}"));
    let mut grade = Command::new(env!("CARGO_BIN_EXE_imparcial"));
    grade.args(["--lang", "en", "grade", "--patience", "60s", "--scenario"]).arg(data.join("stores/scenario.yaml"));
    for role in &roles {
        grade.arg("--role").arg(role);
    }
    let output = grade.arg("--reports").arg(reports.path()).arg(data.join("stores/reference")).output();
    let output = tokio::time::timeout(Duration::from_secs(400), output).await.unwrap().unwrap();
    let record = std::fs::read(reports.path().join("latest/record.json"));
    let record = record.unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)));
    let record: RunRecord = serde_json::from_slice(&record).unwrap();
    let should = |check: &CheckRecord| match check.id.split('-').next() {
        Some("not") => Verdict::Fail,
        Some("undecided") => Verdict::Error,
        _ => Verdict::Pass,
    };
    let wrong: Vec<String> = record
        .checks
        .iter()
        .filter(|check| check.verdict != should(check))
        .map(|check| format!("{}: {:?} {} {:?}", check.id, check.verdict, check.explanation.en, check.findings))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let said = |id: &str| record.checks.iter().find(|c| c.id == id).unwrap().explanation.en.clone();
    assert!(said("not-copy-keeps").contains("could not be written: READONLY"), "{}", said("not-copy-keeps"));
    assert!(said("not-apart-there").contains("no name of apart resolves inside app"), "{}", said("not-apart-there"));
    assert!(said("undecided-shut").contains("NOAUTH"), "{}", said("undecided-shut"));
}

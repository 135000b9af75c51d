//! The same submission graded again and again: the same verdicts.
//!
//! Twice by default; `IMPARCIAL_GRADES=20 cargo test --test it -- --nocapture same_verdicts` asks for more.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::live::engine;

/// Each check with its verdict and what it was skipped for, in the record's order.
fn verdicts(record: &Value) -> Vec<String> {
    let checks = record["checks"].as_array().unwrap();
    checks.iter().map(|c| format!("{} {} {}", c["id"], c["verdict"], c["cause"]["check"])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn same_verdicts_every_time() {
    if engine().await.is_none() {
        return;
    }
    let times = std::env::var("IMPARCIAL_GRADES").map_or(2, |n| n.parse().expect("IMPARCIAL_GRADES is a number"));
    let mut first: Option<Vec<String>> = None;
    for n in 1..=times {
        let reports = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_imparcial"));
        command.args([
            "--lang",
            "en",
            "grade",
            "--quiet",
            "scenarios/seed/reference",
            "--scenario",
            "seed",
            "--reports",
        ]);
        command.arg(reports.path()).current_dir(env!("CARGO_MANIFEST_DIR"));
        let output = tokio::task::block_in_place(|| command.output()).unwrap();
        let record = fs::read_to_string(reports.path().join("latest/record.json")).unwrap();
        let record: Value = serde_json::from_str(&record).unwrap();
        let found = verdicts(&record);
        assert!(!found.is_empty() && output.status.success(), "{n}: {}", String::from_utf8_lossy(&output.stdout));
        let first = first.get_or_insert_with(|| found.clone());
        assert_eq!(&found, first, "run {n} and the first");
        eprintln!("{n:>3} of {times}: {} verdicts, equal; {} ms", found.len(), record["elapsed_ms"]);
    }
}

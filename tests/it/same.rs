//! The same submission graded again and again: the same verdicts.
//!
//! Twice by default; `IMPARCIAL_GRADES=20 cargo test --test it -- --nocapture same_verdicts` asks for more.

use std::fs;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::live::engine;

/// Each check with its verdict and what it was skipped for, in the record's order.
fn verdicts(record: &Value) -> Vec<String> {
    let checks = record["checks"].as_array().unwrap();
    checks.iter().map(|c| format!("{} {} {}", c["id"], c["verdict"], c["cause"]["check"])).collect()
}

/// A run of the reference, machines and services, in a process of its own.
struct Run {
    child: Child,
    reports: tempfile::TempDir,
}

impl Run {
    fn start() -> Self {
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
            "--layers",
            "machines,services",
            "--reports",
        ]);
        command.arg(reports.path()).current_dir(env!("CARGO_MANIFEST_DIR")).stdout(Stdio::piped());
        Self { child: command.spawn().unwrap(), reports }
    }

    /// Its record, when it has ended well.
    fn end(self) -> Value {
        let output = self.child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let record = fs::read_to_string(self.reports.path().join("latest/record.json")).unwrap();
        serde_json::from_str(&record).unwrap()
    }
}

/// Two at the same time, each with four machines in the network 192.168.56.0/24.
#[tokio::test(flavor = "multi_thread")]
async fn same_verdicts_every_time() {
    if engine().await.is_none() {
        return;
    }
    let times = std::env::var("IMPARCIAL_GRADES").map_or(2, |n| n.parse().expect("IMPARCIAL_GRADES is a number"));
    let mut first: Option<Vec<String>> = None;
    for n in (1..=times).step_by(2) {
        let pair: Vec<Run> = (n..=times.min(n + 1)).map(|_| Run::start()).collect();
        for (run, n) in pair.into_iter().zip(n..) {
            let record = tokio::task::block_in_place(|| run.end());
            let found = verdicts(&record);
            assert!(!found.is_empty());
            let first = first.get_or_insert_with(|| found.clone());
            assert_eq!(&found, first, "run {n} and the first");
            eprintln!("{n:>3} of {times}: {} verdicts, equal; {} ms", found.len(), record["elapsed_ms"]);
        }
    }
}

//! What tests with a real engine need. Without one they fail and say so, unless `IMPARCIAL_SKIP_LIVE=1`.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use imparcial::docker::Engine;
use imparcial::lab::LabSpec;
use imparcial::notice::Reason;
use imparcial::record::{RunRecord, Verdict};

/// The host's engine; none where the live tests are to be skipped.
pub(crate) async fn engine() -> Option<Engine> {
    if std::env::var("IMPARCIAL_SKIP_LIVE").is_ok_and(|v| v == "1") {
        eprintln!("skipped: IMPARCIAL_SKIP_LIVE=1");
        return None;
    }
    match Engine::host().await {
        Ok(engine) => Some(engine),
        Err(error) => panic!("{error}; {} (IMPARCIAL_SKIP_LIVE=1 skips the tests that need one)", error.next().en),
    }
}

/// Tests that publish the exam's ports on this machine itself: one at a time.
pub(crate) static PORTS: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A name that no other run of these tests has.
pub(crate) fn run_name(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("dev-test-{what}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A lab whose agent is the binary under test.
pub(crate) fn spec(what: &str, submission: &std::path::Path) -> LabSpec {
    LabSpec { binary: env!("CARGO_BIN_EXE_imparcial").into(), ..LabSpec::new(run_name(what), submission) }
}

/// Asks until it holds or `within` has passed.
pub(crate) async fn eventually<F: Future<Output = bool>>(within: Duration, mut holds: impl FnMut() -> F) -> bool {
    let deadline = Instant::now() + within;
    while !holds().await {
        if Instant::now() > deadline {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    true
}

/// A folder with all that is in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    for entry in walkdir::WalkDir::new(from).into_iter().map(Result::unwrap) {
        let at = to.join(entry.path().strip_prefix(from).unwrap());
        if entry.file_type().is_dir() {
            std::fs::create_dir_all(at).unwrap();
        } else {
            std::fs::copy(entry.path(), at).unwrap();
        }
    }
}

/// Where the reference of `seed` has its database's data: no host has such a folder, and none is made on one.
pub(crate) const ON_THE_VOLUME: &str = "      - /mnt/volumen/mysql:/var/lib/mysql\n";

/// The record without its checks of machines, after a look that each of them which needs one that is up is undecided and says
/// why: such a run brings none up. What is read from the Vagrantfile alone passes.
pub(crate) fn machines_are_undecided(record: &RunRecord) -> RunRecord {
    let read = ["vagrantfile"];
    let looked =
        ["machine", "disk", "mount", "ansible", "package", "service", "process", "port", "gluster", "replicate"];
    let mut seen = 0;
    for check in &record.checks {
        if read.contains(&check.kind.as_str()) {
            assert_eq!(check.verdict, Verdict::Pass, "{}: {}", check.id, check.explanation.en);
        } else if looked.contains(&check.kind.as_str()) {
            seen += 1;
            match check.verdict {
                Verdict::Error => {
                    assert_eq!(check.reason, Some(Reason::NotHere), "{}", check.id);
                    let (en, es) = (&check.explanation.en, &check.explanation.es);
                    assert!(
                        en.contains("brought up in a lab") && es.contains("en un laboratorio"),
                        "{}: {en}",
                        check.id
                    );
                }
                Verdict::Skip => {
                    assert_eq!(check.cause.as_ref().map(|c| c.verdict), Some(Verdict::Error), "{}", check.id);
                }
                other => panic!("{}: {other:?}: {}", check.id, check.explanation.en),
            }
        }
    }
    assert!(seen > 5 && record.machines.is_none(), "{seen}");
    let mut rest = record.clone();
    rest.checks.retain(|c| !read.contains(&c.kind.as_str()) && !looked.contains(&c.kind.as_str()));
    rest
}

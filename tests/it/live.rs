//! What tests with a real engine need. Without one they fail and say so, unless `IMPARCIAL_SKIP_LIVE=1`.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use imparcial::docker::Engine;
use imparcial::lab::LabSpec;

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

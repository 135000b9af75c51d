//! The same checks written for bats with curl, and for pytest-testinfra, at the same ready stack, in pairs.
//!
//! They run on this host with `DOCKER_HOST` at the lab's engine: what a person would type on a machine of their own, and
//! cheaper for them than a `docker exec` into the lab around each `docker exec` into a container.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::looks::Looking;
use crate::exec::local::Local;
use crate::exec::{Cmd, RunErrorKind, Shell};
use crate::plan::Plan;
use crate::text::Text;

/// The scenario that the peers' files are written for.
pub const SCENARIO: &str = "seed";
/// The checks that are in them.
pub const SAME: [&str; 6] = ["db-runs", "app-runs", "db-by-name", "init-applied", "page", "memory-effective"];
/// Looked up in `PATH`; the name shown, and the files of its folder: the checks, and one that does nothing.
const TOOLS: [Tool; 2] = [
    Tool { name: "bats + curl", argv: &["bats"], files: ["bats/seed.bats", "bats/empty.bats"] },
    Tool {
        name: "pytest-testinfra",
        argv: &["pytest", "-q", "-p", "no:cacheprovider"],
        files: ["testinfra/test_seed.py", "testinfra/test_empty.py"],
    },
];
/// Longer than any of them takes where all is well.
const PATIENCE: Duration = Duration::from_secs(60);

struct Tool {
    name: &'static str,
    argv: &'static [&'static str],
    files: [&'static str; 2],
}

/// Seconds, one of each pair.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    pub ours: Vec<f64>,
    pub tools: Vec<(&'static str, Peer)>,
}

#[derive(Clone, Debug)]
pub enum Peer {
    /// The checks, and beside each the tool with one test that does nothing.
    Measured {
        whole: Vec<f64>,
        empty: Vec<f64>,
    },
    NotInstalled,
    Failed(String),
}

/// What the peers' files are told.
pub(super) struct Told {
    pub(super) engine: String,
    pub(super) page: String,
    pub(super) app: String,
    pub(super) db: String,
}

/// None where nothing is written for this plan.
pub(super) async fn compare(
    folder: &Path,
    plan: &Plan,
    looking: &Looking<'_>,
    told: &Told,
    pairs: usize,
) -> Result<Option<Peers>, Text> {
    let same: Option<Vec<usize>> = SAME.iter().map(|id| plan.index(id)).collect();
    let Some(same) = same.filter(|_| plan.scenario.name == SCENARIO) else { return Ok(None) };
    let unmeasured = || Peer::Measured { whole: Vec::new(), empty: Vec::new() };
    let mut peers = Peers { ours: Vec::new(), tools: TOOLS.iter().map(|t| (t.name, unmeasured())).collect() };
    for _ in 0..pairs {
        peers.ours.push(looking.these(&same).await?);
        for (tool, (_, peer)) in TOOLS.iter().zip(&mut peers.tools) {
            let Peer::Measured { whole, empty } = peer else { continue };
            let [checks, nothing] = tool.files.map(|file| folder.join(file));
            let ran = match tool.run(&checks, told).await {
                Ok(took) => tool.run(&nothing, told).await.map(|other| (took, other)),
                Err(end) => Err(end),
            };
            match ran {
                Ok((took, other)) => {
                    whole.push(took);
                    empty.push(other);
                }
                Err(end) => *peer = end,
            }
        }
    }
    Ok(Some(peers))
}

impl Tool {
    /// Seconds, as who typed it waits.
    async fn run(&self, file: &Path, told: &Told) -> Result<f64, Peer> {
        let cmd = Cmd::new(self.argv.iter().copied())
            .arg(file.display().to_string())
            .env("DOCKER_HOST", &told.engine)
            .env("PAGE", &told.page)
            .env("APP", &told.app)
            .env("DB", &told.db)
            .timeout(PATIENCE);
        let began = Instant::now();
        match Local.run(&cmd).await {
            Ok(output) if output.ok() => Ok(began.elapsed().as_secs_f64()),
            // pytest is often there without it.
            Ok(output) if output.both().contains("No module named 'testinfra'") => Err(Peer::NotInstalled),
            Ok(output) => Err(Peer::Failed(output.both())),
            Err(error) => match error.kind {
                RunErrorKind::Start(e) if e.kind() == io::ErrorKind::NotFound => Err(Peer::NotInstalled),
                _ => Err(Peer::Failed(error.to_string())),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peers_have_the_same_checks() {
        let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers");
        let read = |file: &str| std::fs::read_to_string(peers.join(file)).unwrap();
        let (bats, pytest) = (read("bats/seed.bats"), read("testinfra/test_seed.py"));
        for id in SAME {
            assert!(bats.contains(&format!("@test \"{id}\"")), "{id}");
            assert!(pytest.contains(&format!("def test_{}(", id.replace('-', "_"))), "{id}");
        }
        assert_eq!(bats.matches("@test").count(), SAME.len());
        assert_eq!(pytest.matches("def test_").count(), SAME.len());
    }

    #[tokio::test]
    async fn a_tool_that_is_not_there_is_said_and_is_no_failure() {
        let told = Told { engine: String::new(), page: String::new(), app: String::new(), db: String::new() };
        let none = Tool { name: "none", argv: &["imparcial-no-such-tool"], files: ["a", "b"] };
        assert!(matches!(none.run(Path::new("a"), &told).await, Err(Peer::NotInstalled)));
        let refuses = Tool { name: "false", argv: &["false"], files: ["a", "b"] };
        assert!(matches!(refuses.run(Path::new("a"), &told).await, Err(Peer::Failed(_))));
        let works = Tool { name: "true", argv: &["true"], files: ["a", "b"] };
        assert!(works.run(Path::new("a"), &told).await.is_ok());
    }
}

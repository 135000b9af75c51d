//! Probes: each looks at one kind of thing and reports facts. A probe never judges, waits or writes.
//!
//! Adding a kind: one file with its `KIND`, a `mod` line and a row in [`PROBES`]. Decoding with places, matchers, waiting,
//! points, documentation and the JSON schema follow from the row.

pub mod cluster;
pub mod command;
pub mod common;
pub mod compose;
pub mod container;
pub mod dials;
pub mod dns;
pub mod dockerfile;
pub mod drill;
pub mod enforced;
pub mod file;
pub mod greeting;
pub mod http;
pub mod limits;
pub mod log;
pub mod logs_collected;
pub mod machines;
pub mod mysql;
pub mod names;
pub mod page;
pub mod policy;
pub mod round_trip;
pub mod store;
pub mod stores;
pub mod swarm;
pub mod tcp;
pub mod visit;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::expect::{Expectation, FactSpec, Facts};
use crate::fault::Ground;
use crate::notice::Reason;
use crate::scenario::tree::Decoder;
use crate::stack::Stack;
use crate::text::Text;

/// Every kind of check, in the order of the documentation.
pub static PROBES: &[&ProbeKind] = &[
    &http::KIND,
    &tcp::KIND,
    &dns::KIND,
    &dials::KIND,
    &mysql::KIND,
    &stores::KIND,
    &page::KIND,
    &round_trip::KIND,
    &compose::KIND,
    &container::KIND,
    &limits::KIND,
    &policy::KIND,
    &file::KIND,
    &log::KIND,
    &command::KIND,
    &dockerfile::KIND,
    &logs_collected::KIND,
    &enforced::KIND,
    &machines::vagrantfile::KIND,
    &machines::machine::KIND,
    &machines::disk::KIND,
    &machines::mount::KIND,
    &machines::ansible::KIND,
    &machines::package::KIND,
    &machines::service::KIND,
    &machines::process::KIND,
    &machines::port::KIND,
    &swarm::KIND,
    &cluster::gluster::KIND,
    &cluster::replicate::KIND,
    &cluster::volume::KIND,
    &drill::KIND,
];

pub fn kind(name: &str) -> Option<&'static ProbeKind> {
    PROBES.iter().copied().find(|k| k.name == name)
}

/// A row of the table: all that the rest of the program knows of a kind.
pub struct ProbeKind {
    pub name: &'static str,
    pub summary: &'static str,
    pub facts: &'static [FactSpec],
    /// A check in YAML that uses it, shown in the documentation and run by a test.
    pub example: &'static str,
    /// JSON Schema of its parameters.
    pub schema: fn() -> serde_json::Value,
    /// Reads its parameters; problems go to the decoder, with their places.
    pub decode: fn(&mut Decoder<'_>) -> Option<Box<dyn Probe>>,
}

/// When a check of this kind may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Decided by reading the submission: before anything starts.
    Static,
    /// Looks at the running stack, beside others.
    Look,
    /// Writes, allocates, restarts or brings up again: alone, after all looking, undone.
    Exercise,
    /// Breaks something and watches it recover: alone, after all exercises.
    Drill,
}

/// The layers that probes look at.
pub const SERVICES: &str = "services";
pub const MACHINES: &str = "machines";
/// And the layer that breaks them on purpose.
pub const DRILLS: &str = "drills";

/// An exercise may take so long at least: it restarts services, and undoes what it did.
pub const EXERCISE: Duration = Duration::from_secs(180);

/// Whether an expectation is settled when all looking is over: it may turn a pass into a fail.
pub fn settled_last(expectation: &Expectation) -> bool {
    ["until_end", "quiet_for_s"].contains(&expectation.fact.as_str())
}

/// Looks at one thing.
#[async_trait]
pub trait Probe: Send + Sync {
    fn phase(&self) -> Phase {
        Phase::Look
    }

    /// The layer that it looks at, as scenarios name it: a plan that brings another up leaves it out.
    fn layer(&self) -> &'static str {
        SERVICES
    }

    /// Further layers that it cannot do without: a plan that does not bring them up leaves it out too.
    fn also(&self) -> Vec<&'static str> {
        Vec::new()
    }

    /// Of an exercise or a drill: the longest that it may take.
    fn longest(&self) -> Duration {
        EXERCISE
    }

    /// The drill that it is an objective of.
    fn drill(&self) -> Option<&str> {
        None
    }

    /// What that drill breaks.
    fn breaks(&self) -> Option<Breaking<'_>> {
        None
    }

    /// Why it cannot be decided in such a place, as far as that is known before anything starts.
    fn cannot(&self, _ground: Ground) -> Option<Text> {
        None
    }

    /// The roles that it looks at: a failure behind a stand-in in one of them may be the stand-in's.
    fn roles(&self) -> Vec<String> {
        Vec::new()
    }

    /// Begins, in the background, what its look will need and what takes long. Called once, as soon as the stack is up.
    fn begin(&self, _stack: &Arc<Stack>) {}

    /// Whether it requests pages of the app. It is looked at after what is asked [before any visit](Probe::before_visits).
    fn visits(&self) -> bool {
        false
    }

    /// Whether what it looks at must be as it came up: a page may drop and fill its tables anew at its first visit.
    fn before_visits(&self) -> bool {
        false
    }

    /// The role whose published ports it looks at, if that is what it is about.
    fn published(&self) -> Option<&str> {
        None
    }

    /// Whether a failure may be a stand-in's doing. Limits, policies and files are the same with any version.
    fn excusable(&self) -> bool {
        true
    }

    /// Of [`Phase::Exercise`]: it is run once, by itself, and does its own bounded waiting on events of its own making.
    async fn observe(&self, stack: &Arc<Stack>, attempt: Attempt) -> Result<Observation, ProbeError>;
}

/// What a drill breaks, and what it watches.
#[derive(Clone, Copy, Debug)]
pub struct Breaking<'a> {
    pub fault: &'static str,
    pub title: &'a Text,
    /// The role that is hit; none where machines are named.
    pub hit: Option<&'a str>,
    pub watched: &'a str,
}

/// The bounds of one look.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    pub timeout: Duration,
    /// Time since the check's waiting began.
    pub waited: Duration,
    /// How long it waits at most.
    pub within: Duration,
    /// The last look of all, after the looking is over.
    pub last: bool,
}

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Observation {
    /// One for each of several things looked at; a single one has an empty name.
    pub subjects: Vec<(String, Facts)>,
    /// What it means if the facts are not as they should be: one sentence.
    pub explanation: Option<Text>,
    pub notes: Vec<Text>,
    /// Name, and content for the run's folder.
    pub evidence: Vec<(String, Vec<u8>)>,
    /// Conditions that hold now and may end a wait early: `exited_for_good`, `oom_killed`, `restart_loop`.
    pub conditions: Vec<String>,
    /// Whom it dials instead of whom it should: names and addresses as its code may write them.
    pub dialled: Vec<String>,
    /// The ports that were dialled there, where they are known.
    pub ports: Vec<u16>,
    /// What it printed while it was looked at.
    pub printed: String,
    /// What it means where a fact is not as it should be, by the fact: where one sentence for all of them will not do.
    pub means: BTreeMap<String, Text>,
    /// Facts that could not be had, each with the reason: what is expected of them is undecided.
    pub open: BTreeMap<String, (Reason, Text)>,
}

impl Observation {
    pub fn of(facts: Facts) -> Self {
        Self { subjects: vec![(String::new(), facts)], ..Self::default() }
    }

    /// The page or response that was seen, headers and all.
    pub fn page(&self) -> Option<&[u8]> {
        let page = |name: &str| matches!(name, "page.txt" | "response.txt");
        self.evidence.iter().find(|(name, _)| page(name)).map(|(_, bytes)| bytes.as_slice())
    }
}

/// The condition of an observation that no waiting changes: a build that failed, a service that was refused.
pub const SETTLED: &str = "settled";

/// It could not be looked at: becomes `error`, never `fail`.
#[derive(Debug, thiserror::Error)]
#[error("{}", text.en)]
pub struct ProbeError {
    pub reason: Reason,
    /// What was tried, what was seen, what to do next.
    pub text: Text,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::tree;

    #[test]
    fn whoever_requests_pages_says_so() {
        let visits = |kind: &&&ProbeKind| {
            let node = tree::read(kind.example, "s.yaml").unwrap();
            let mut problems = Vec::new();
            let mut check = Decoder::new(&node, &mut problems);
            let probe = check.map(kind.name, |d| (kind.decode)(d)).unwrap_or_else(|| panic!("{}", kind.name));
            probe.visits()
        };
        let found: Vec<&str> = PROBES.iter().filter(visits).map(|kind| kind.name).collect();
        assert_eq!(found, ["http", "dials", "page", "round_trip", "logs_collected", "drill"]);
    }
}

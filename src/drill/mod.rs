//! What happened in a drill, as data: one timeline of samples and events, what was measured on it, what the ledger holds.
//!
//! Pure. Times are milliseconds since the drill began, by a monotonic clock; `started_ms` places that in the run.

pub mod measure;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::expect::Facts;
use crate::notice::Reason;
use crate::text::Text;

/// The facts that samples tell: how long it was down, and whether it stayed up.
pub const TIMES: [&str; 4] = ["recovery_time_s", "longest_downtime_s", "availability", "held_s"];

/// What the ledger tells of time.
pub const SILENCE: &str = "longest_silence_s";

/// Those that are longer on a machine that is slower.
pub const LASTS: [&str; 3] = ["recovery_time_s", "longest_downtime_s", SILENCE];

/// Whether a fact is about how long something took.
pub fn is_of_time(fact: &str) -> bool {
    fact == SILENCE || TIMES.contains(&fact)
}

/// What a drill came to: its record, and the facts that its objectives are judged by.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub record: DrillRecord,
    pub facts: Facts,
    /// Facts that could not be had.
    pub open: BTreeMap<String, (Reason, Text)>,
    /// What it means where a fact is not as it should be, by the fact.
    pub means: BTreeMap<String, Text>,
    /// It could not be made at all, or not to its end.
    pub unable: Option<(Reason, Text)>,
    /// What it left was not as before.
    pub left_broken: bool,
    /// An earlier drill, for whose leavings this one could not begin.
    pub broken_by: Option<String>,
}

/// A drill from its steady state to its end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DrillRecord {
    pub id: String,
    pub title: Text,
    /// The kind of fault: `kill`, `crash`.
    pub fault: String,
    /// Who was hit: `app (app_1)`, `worker2`.
    pub hit: Vec<String>,
    /// What random choices came from, where there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Since the run began.
    pub started_ms: u64,
    pub elapsed_ms: u64,
    /// Between two samples, as it was in the end: widened where answering cost the service too much.
    pub every_ms: u64,
    /// As the scenario asks for it.
    pub asked_every_ms: u64,
    /// What answering costs the service, where that could be measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// What was watched: `http://192.168.56.10:5000/`.
    pub watched: String,
    pub samples: Vec<Sample>,
    pub events: Vec<Event>,
    pub measured: Measured,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger: Option<Ledger>,
    /// Everything that was broken was put back, and that was seen.
    pub healed: bool,
    /// What is to be known besides: what stayed broken, what was done to help.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Text>,
}

/// One look at the service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// When it was begun.
    pub at_ms: u64,
    pub took_ms: u64,
    pub ok: bool,
    /// What came instead, where it is not ok: `connection refused`, `status 500`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub said: String,
}

impl Sample {
    /// When it was known.
    pub fn end_ms(&self) -> u64 {
        self.at_ms + self.took_ms
    }
}

/// Something that happened, on the same timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    pub at_ms: u64,
    pub what: What,
    /// The service, or the machine, that it is about.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub who: String,
    /// More of it: which container, with which status.
    #[serde(default, skip_serializing_if = "Text::is_empty")]
    pub said: Text,
}

/// What an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The steady state held.
    Steady,
    /// The fault began to be made, and was made.
    Inject,
    Injected,
    /// The same of its undoing.
    Heal,
    Healed,
    /// So many samples in a row had passed.
    Recovered,
    /// It had not recovered when the time was over, or nothing would bring it back: it was helped, to go on with.
    Aided,
    /// A container of the stack ended, was killed for want of memory, or started.
    Died,
    OutOfMemory,
    Started,
    /// The ledger was read back.
    Read,
}

/// What one answer costs the service that gives it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Processor time of one look, in milliseconds.
    pub cpu_ms: f64,
    /// Of the service's quota, at the interval that was used; of one cpu where it has none. 0.2 is a fifth.
    pub share: f64,
    /// In cpus; 0 is no limit.
    pub quota_cpus: f64,
}

/// What was measured. What could not be is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// From the end of the injection (or of the healing, where the scenario counts from there) to the first of the
    /// samples in a row that passed after the outage. Absent where it never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_time_ms: Option<u64>,
    /// From the last failing sample to the first passing one: what the recovery time is exact to. Where nothing failed,
    /// the interval of sampling.
    pub resolution_ms: u64,
    /// The longest time without a passing sample since the injection began.
    pub longest_downtime_ms: u64,
    /// Samples begun while the fault was active, and how many of them passed.
    pub during: u64,
    pub during_passed: u64,
    /// How long it was watched to hold after it had recovered.
    pub held_ms: u64,
    /// It failed again after that.
    pub fell_again: bool,
    /// No sample failed at all.
    pub never_down: bool,
}

/// The numbered writes of a drill, kept apart as Jepsen's set checker does: what was acknowledged must be there, what failed
/// must not be counted on, what nobody knows of may be either.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// How it was written: `sql`, `page`, `files`.
    pub through: String,
    /// Where: a table, a page, a folder of the volume.
    pub place: String,
    pub acknowledged: u64,
    /// Of those, before the fault: what was at risk.
    #[serde(default)]
    pub before: u64,
    pub failed: u64,
    pub unknown: u64,
    /// Acknowledged, and not there at the end: their numbers, the first hundred.
    pub lost: Vec<u64>,
    pub lost_count: u64,
    /// How long before the fault the oldest lost one was acknowledged, in milliseconds; negative after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_lost_ms: Option<i64>,
    /// From the fault on, the longest time without an acknowledged write, in milliseconds: a distributed volume stands still while
    /// it finds out that a node is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest_silence_ms: Option<u64>,
    /// It was not over when the ledger was closed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub silent_to_the_end: bool,
    /// A write within it could not be tried, for no reason of the submission's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub silence_untried: bool,
    /// Not acknowledged, and there all the same: of those that failed, and of those that nobody knew of.
    pub failed_but_there: u64,
    pub unknown_and_there: u64,
    /// Where it was read back, which may be another node than it was written on.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub read_at: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub written_at: String,
}

//! The system under test as it was brought up: its services, the roles they play, and how to look at them.
//!
//! A backend fills it, probes read it. It holds no expectation and no verdict.

pub mod attached;
mod body;
pub mod declared;
pub mod found;
pub mod machines;
pub mod memory;
pub mod snapshot;
mod spot;
pub mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::notice::Reason;
use crate::submission::{ComposeFile, Submission, policy};
use crate::text::Text;

pub use crate::submission::bind::Binding;
pub use attached::Doubt;
pub use body::{Body, Guest, Started, virsh};
pub(crate) use body::{CLOCK, clock_set};
pub use found::{Found, Unknown};
pub(crate) use memory::in_meminfo;
pub use spot::Spot;

/// How long a service must have lived since its last start when all looking is over.
pub const LIVE_FOR: Duration = Duration::from_secs(15);

/// Everything that a probe may look at.
pub struct Stack {
    /// The lab, or the host: what has everything in it, and from where machines are looked at.
    pub ground: Spot,
    /// Where the services were brought up: the ground itself, or one of the machines.
    pub home: Spot,
    /// The other machines that may run containers of theirs.
    pub others: Vec<Spot>,
    /// The compose project's name, or the stack's.
    pub project: String,
    /// Whether it is a stack of a swarm, whose tasks may be on every node.
    pub swarm: bool,
    /// Of a stack, the services whose ports of every node were made ports of their tasks' nodes: by us, for want of IP_VS.
    pub unmeshed: BTreeSet<String>,
    /// Of a stack, the services that have no address of their own: for want of IP_VS we let their names lead to their tasks, and
    /// an address is another one after each start.
    pub addressless: BTreeSet<String>,
    /// The provisioning started it: once it is down, nobody brings it up again.
    pub provisioned: bool,
    /// The submission's copy on that machine.
    pub workdir: String,
    /// The folder and file that the compose tool was run with there.
    pub compose_dir: String,
    pub compose_file: String,
    pub submission: Arc<Submission>,
    /// Of the submission, what is not in that copy although it was handed in.
    pub left_out: Vec<PathBuf>,
    /// What the compose tool made of the file.
    pub config: Config,
    pub policy: Vec<policy::Hit>,
    pub services: BTreeMap<String, Service>,
    pub roles: BTreeMap<String, Binding>,
    /// The roles that points hang on.
    pub judged: BTreeSet<String>,
    /// What was seen of the stack as handed in, before any override; by service.
    pub as_written: BTreeMap<String, AsWritten>,
    /// What was overridden, in words; empty where the stack runs as handed in.
    pub overrides: Vec<Text>,
    /// What cannot be told of it because it was up before we came.
    pub doubts: Vec<Doubt>,
    /// Folders of the machine, outside of the submission's copy, that were made for it, or were empty before it came up.
    pub made: Vec<String>,
    /// Why there are no services at all; none where there are.
    pub no_services: Option<LeftOut>,
    /// Its machines; empty where the plan asks for none.
    pub machines: machines::Machines,
    /// How the first `up` went; `None` where nothing could be started.
    pub first_up: Option<FirstUp>,
    /// What the submission's SQL declares: found by `probe::mysql`, in the background.
    pub declared: declared::Declaring,
    /// What everything that a look makes is labelled with; the lab itself bears it where there is one.
    pub labels: BTreeMap<String, String>,
    /// Where what undoes a fault is written down before it is made; none where nothing is to be broken.
    pub healing: Option<Healing>,
    /// Machines that are off because of a drill: they are not asked.
    pub off: RwLock<BTreeSet<String>>,
    /// Held while something is broken: whoever ends a run waits for it.
    pub breaking: Arc<Mutex<()>>,
    /// What each drill came to, once it was run.
    pub drills: Mutex<Vec<Arc<crate::drill::Outcome>>>,
    /// Facts that one check found and later ones need (where the page is).
    pub notebook: Mutex<BTreeMap<String, serde_json::Value>>,
}

/// Where a run's stack is, as far as faults depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ground {
    /// A lab with container nodes.
    Lab,
    /// A lab with virtual machines.
    Guests,
    /// This machine's own engine.
    Host,
    /// The same, with a stack that somebody else brought up.
    Attached,
}

impl Ground {
    /// All that is broken there goes with it.
    pub fn is_lab(self) -> bool {
        matches!(self, Self::Lab | Self::Guests)
    }
}

/// Where what undoes faults is written down, and for which run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Healing {
    pub state: PathBuf,
    pub run: String,
    pub ground: Ground,
    /// What random choices are made from.
    pub seed: u64,
}

impl Stack {
    /// By how much whoever plays a role is slower than on a processor: 1, or more on machines that are emulated.
    pub fn slowness(&self) -> f64 {
        if self.home.node.is_some() { self.machines.slower() } else { 1.0 }
    }

    /// Whether what a policy found stops the layer: refused, in a service that points hang on, or in none of its own.
    pub fn is_stopped_by(&self, hit: &policy::Hit) -> bool {
        let plays = |service: &String| {
            let of = |role: &String| self.roles.get(role).is_some_and(|b| b.service.as_ref() == Some(service));
            self.judged.iter().any(of)
        };
        hit.action == policy::Action::Refuse && hit.service.as_ref().is_none_or(plays)
    }
}

/// What `config` of the compose tool said.
#[derive(Clone, Debug, Default)]
pub struct Config {
    pub valid: bool,
    /// What the tool printed where it refused the file.
    pub message: String,
    /// Whether all that it minded is what only the newer generation of the tool knows.
    pub for_newer: bool,
    /// The resolved file; empty where it is not valid.
    pub resolved: ComposeFile,
}

/// A service of the submission and what became of it.
#[derive(Clone, Debug, Default)]
pub struct Service {
    pub name: String,
    /// The image that it runs or would run.
    pub image: ImageState,
    /// Why it was not started at all.
    pub left_out: Option<LeftOut>,
}

#[derive(Clone, Debug, Default)]
pub struct ImageState {
    pub reference: String,
    /// Built from the submission in this run: the image's id.
    pub built: Option<String>,
    /// The ids that the same build has on other machines.
    pub built_elsewhere: Vec<String>,
    /// The stand-in that serves it, or the base that it was built on.
    pub stand_in: Option<StandIn>,
    pub missing: Option<LeftOut>,
    /// Log of its build or pull, for evidence and for telling whose fault a failure is.
    pub log: String,
}

impl ImageState {
    /// Whether an image is what was built from the submission in this run, on whichever machine.
    pub fn is_built(&self, id: &str) -> bool {
        self.built.iter().chain(&self.built_elsewhere).any(|built| built == id)
    }
}

/// A stand-in in use: which image it serves for, and what it really is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandIn {
    pub reference: String,
    pub name: String,
    pub version: String,
}

/// Why something is not there: the submission's fault, or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// `None`: the submission's fault. Else why it is undecided.
    pub reason: Option<Reason>,
    pub text: Text,
}

/// A service as handed in, before any override.
#[derive(Clone, Debug, Default)]
pub struct AsWritten {
    /// The memory limit of the created container, in bytes; 0 is none.
    pub memory_bytes: u64,
    /// CPU limit of the created container, in cpus; 0 is none.
    pub cpus: f64,
    /// As its cgroup had it, where it lived long enough to be read.
    pub cgroup_memory_bytes: Option<u64>,
    pub cgroup_cpus: Option<f64>,
    /// It died at its memory limit, or was silent while its memory events climbed.
    pub died_at_limit: bool,
    /// At twice its limit as well.
    pub fails_at_twice: Option<bool>,
    /// The engine would not create the container with it.
    pub refused: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub struct FirstUp {
    /// Services that were not running after the first `up` and were after a second.
    pub healed_by_second: Vec<String>,
    /// Nothing ran after it, nor after a second one.
    pub nothing_ran: bool,
    pub output: String,
}

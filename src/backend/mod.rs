//! Backends: each brings one layer of the stack up and down, and knows nothing of checks or points.

pub mod blame;
pub mod compose;
pub mod disk;
pub mod getting;
pub mod log;
pub mod origin;
pub mod serving;
pub mod swarm;
pub mod vagrant;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::agent::client::{AgentError, Agents};
use crate::docker::Engine;
use crate::exec::{RunError, Shell};
use crate::notice::Notice;
use crate::stack::{Spot, Stack, StandIn};
use crate::submission::Submission;
use crate::submission::bind::RoleSpec;
use crate::submission::policy::Action;
use crate::text::Text;

/// Where a layer is brought up: a lab, or the host itself.
#[derive(Clone)]
pub struct Site {
    pub engine: Engine,
    pub shell: Arc<dyn Shell>,
    pub agents: Agents,
    /// A non-loopback address of that machine.
    pub address: String,
    /// The submission's copy there.
    pub workdir: String,
    /// On the host's own engine, what a run there has to mark and to keep apart.
    pub hosting: Option<Hosting>,
    /// The lab or the host, where the site is one of its machines.
    pub ground: Spot,
    /// The machine's name then.
    pub node: Option<String>,
}

impl Site {
    /// A machine with a copy of the submission on it; `ground` is the lab or the host that it is in, or itself.
    pub fn new(spot: Spot, ground: Spot, workdir: String, hosting: Option<Hosting>) -> Self {
        let Spot { node, engine, shell, agents, address } = spot;
        Self { engine, shell, agents, address, workdir, hosting, ground, node }
    }

    /// As the stack knows it.
    pub fn spot(&self) -> Spot {
        Spot {
            node: self.node.clone(),
            engine: self.engine.clone(),
            shell: self.shell.clone(),
            agents: self.agents.clone(),
            address: self.address.clone(),
        }
    }
}

/// What tells a run's things from the user's own, where both are on one engine.
#[derive(Clone, Debug, Default)]
pub struct Hosting {
    /// On everything that is made.
    pub labels: BTreeMap<String, String>,
    /// The compose project.
    pub project: String,
}

/// Where an image comes from, decided before the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A stand-in serves under the original name.
    StandIn(StandIn),
    /// A registry answers: it is pulled.
    Registry,
    /// No registry answers and there is no stand-in. `official`: it does exist elsewhere.
    Nowhere { official: bool },
}

/// What is asked of a backend. Nothing of the scenario's expectations is in it.
pub struct Request {
    pub submission: Arc<Submission>,
    pub policy: Vec<(String, Action)>,
    pub roles: Vec<RoleSpec>,
    /// The roles that points hang on: what is refused in one of them stops the layer.
    pub judged: BTreeSet<String>,
    /// `--role app=web`.
    pub bound: Vec<(String, String)>,
    /// By reference, for every image that the submission names.
    pub sources: BTreeMap<String, Source>,
    /// Of the submission, what is not in the copy: too large for one, or the disk of a machine.
    pub left_out: Vec<PathBuf>,
    /// Family of an image's name: `mysql:5.7` is of `mysql`.
    pub family: fn(&str) -> Option<String>,
    pub fetch: Duration,
    pub build: Duration,
    pub ready: Duration,
    /// By how much longer everything takes where the services run; the budgets have it in them.
    pub slowness: f64,
    /// Limits for all services after a death by limit, or silence at it: bytes and cpus.
    pub overrides: Option<(u64, f64)>,
    /// The statement's own memory figure: dying of it is not held against anyone.
    pub demanded_memory: Option<u64>,
    /// The packages of the day of the delivery, where it is tried once more with them.
    pub as_of: Option<Arc<compose::as_of::AsOf>>,
    /// Told of each step as it begins.
    pub told: getting::Told,
    /// Whether someone watches: then it is told, too, how far each image is.
    pub watched: bool,
}

impl Request {
    /// Tells how far a service's image is; none where nobody watches.
    pub fn watch(&self, service: &str) -> Option<getting::Watch> {
        self.watched.then(|| getting::Watch::new(service, &self.told))
    }
}

/// What came of a bring-up: the stack as it is, however little of it there is.
pub struct Up {
    pub stack: Stack,
    pub notices: Vec<Notice>,
    /// Name and content for the run's folder.
    pub evidence: Vec<(String, Vec<u8>)>,
    /// Phase name, seconds since the bring-up began, seconds taken.
    pub phases: Vec<(String, f64, f64)>,
}

/// The layer could not be brought up for a reason of ours or the host's; a submission that does not come up is no error.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    #[error(transparent)]
    Run(Box<RunError>),
    #[error(transparent)]
    Engine(#[from] crate::docker::EngineError),
    #[error(transparent)]
    Agent(#[from] AgentError),
    #[error("{}", .0.en)]
    Other(Text),
}

impl BackendError {
    /// For people.
    pub fn text(&self) -> Text {
        match self {
            Self::Run(error) => error.text(),
            Self::Engine(error) => error.text(),
            Self::Agent(error) => Text::new(format!("could not look: {error}"), format!("no se pudo mirar: {error}")),
            Self::Other(text) => text.clone(),
        }
    }
}

impl From<RunError> for BackendError {
    fn from(error: RunError) -> Self {
        Self::Run(Box::new(error))
    }
}

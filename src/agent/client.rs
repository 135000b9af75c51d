//! The callers' side: one agent for each place stays up for the run, started where and when it is first needed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::connection::Connection;
use super::join::Inside;
use super::serve::NAME;
use super::{Look, Sight, looks};
use super::{allocate, exhaust};
use crate::docker::Container;
use crate::exec::{Cmd, Output, Shell};

/// It could not be looked at: never the submission's fault.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error("could not start an agent in {place}: {message}")]
    Start { place: String, message: String },
    #[error("the agent in {place} is gone: {message}")]
    Ended { place: String, message: String },
    #[error("the agent in {place} did not answer within {after:?}")]
    Late { place: String, after: Duration },
    /// There is nothing to stand in. Whether it should run is for a check to say.
    #[error("container {container} does not run")]
    NotRunning { container: String },
    /// [`Agents::default`] knows this host only.
    #[error("this run has no lab to look from")]
    NoLab,
}

/// The agents of a run. Cheap to clone; they end with the last clone.
#[derive(Clone, Default)]
pub struct Agents {
    place: Option<Arc<Place>>,
}

struct Place {
    shell: Arc<dyn Shell>,
    binary: String,
    lab: Slot,
    inside: Mutex<HashMap<String, Arc<Start>>>,
    visits: Visits,
}

/// When looks were made from inside containers, by the container's id: seconds of the epoch.
type Visits = Arc<Mutex<HashMap<String, Vec<(f64, f64)>>>>;
/// After an answer nothing more of a look leaves, but what the engine's own resolver may still pass on: seconds.
const TRAIL: f64 = 0.005;
/// A resolver that is given up goes on asking, in seconds.
const LONG_TRAIL: f64 = 30.0;

/// An agent that is started once, by whoever needs it first.
type Slot = tokio::sync::Mutex<Option<Arc<Connection>>>;

/// One start of a container: another one has another network.
struct Start {
    started_at: f64,
    slot: Slot,
}

impl Agents {
    /// Agents where `shell` runs commands; `binary` is our own executable there.
    pub fn new(shell: Arc<dyn Shell>, binary: impl Into<String>) -> Self {
        let place = Place {
            shell,
            binary: binary.into(),
            lab: Slot::default(),
            inside: Mutex::default(),
            visits: Visits::default(),
        };
        Self { place: Some(Arc::new(place)) }
    }

    /// Looks from this host, without a process of its own.
    pub fn host(&self) -> Agent {
        Agent(Stand::Here)
    }

    /// Looks from the lab itself.
    pub async fn lab(&self) -> Result<Agent, AgentError> {
        let place = self.place()?;
        let name = place.shell.place();
        place.get(&place.lab, name, None).await.map(|c| Agent(Stand::There(c)))
    }

    /// Looks from inside a container as it is now. After a restart the old agent is dropped: where it stands, only `lo`
    /// is left.
    pub async fn inside(&self, container: &Container) -> Result<Agent, AgentError> {
        let place = self.place()?;
        if !container.running() || container.pid <= 0 {
            return Err(AgentError::NotRunning { container: container.name.clone() });
        }
        let start = {
            let mut inside = place.inside.lock().unwrap_or_else(PoisonError::into_inner);
            let new = || Arc::new(Start { started_at: container.started_at, slot: Slot::default() });
            let start = inside.entry(container.id.clone()).or_insert_with(new);
            if start.started_at != container.started_at {
                *start = new();
            }
            start.clone()
        };
        let target = Inside {
            pid: container.pid,
            container: container.id.clone(),
            hosts: container.hosts_path.clone().into(),
            resolv: container.resolv_conf_path.clone().into(),
        };
        let name = format!("container {} of {}", container.name, place.shell.place());
        let connection = place.get(&start.slot, name, Some(&target)).await?;
        Ok(Agent(Stand::Inside(connection, container.id.clone(), place.visits.clone())))
    }

    /// When our own looks were made from inside a container, one under way included: what was asked for or dialled there
    /// in these times may be ours.
    pub fn visits(&self, container: &str) -> Vec<(f64, f64)> {
        let visits = self.place.as_ref().map(|p| p.visits.lock().unwrap_or_else(PoisonError::into_inner));
        visits.and_then(|visits| visits.get(container).cloned()).unwrap_or_default()
    }

    /// Takes memory as a member of a control group of the lab, given by its folder, until that is denied or `bytes` are had.
    /// The status is 137 where the kernel killed it, 0 where it had it all.
    ///
    /// # Errors
    /// Where it could not be started, or did not end in time.
    pub async fn allocate(&self, group: &str, bytes: u64, timeout: Duration) -> Result<Output, AgentError> {
        self.within(allocate::args(group, bytes), timeout).await
    }

    /// Fills a control group of the lab, given by its folder, with memory of no process's, until the kernel kills one of its
    /// processes for it, or `bytes` are had. Its output names who was killed; see [`exhaust`] for its status.
    ///
    /// # Errors
    /// Where it could not be started, or did not end in time.
    pub async fn exhaust(&self, group: &str, bytes: u64, timeout: Duration) -> Result<Output, AgentError> {
        self.within(exhaust::args(group, bytes), timeout).await
    }

    /// Runs our executable for one thing.
    async fn within(&self, args: Vec<String>, timeout: Duration) -> Result<Output, AgentError> {
        let place = self.place()?;
        let cmd = Cmd::new([&place.binary, NAME]).args(args).timeout(timeout);
        let failed =
            |e: crate::exec::RunError| AgentError::Start { place: place.shell.place(), message: e.to_string() };
        place.shell.run(&cmd).await.map_err(failed)
    }

    fn place(&self) -> Result<&Arc<Place>, AgentError> {
        self.place.as_ref().ok_or(AgentError::NoLab)
    }
}

impl Place {
    async fn get(&self, slot: &Slot, name: String, inside: Option<&Inside>) -> Result<Arc<Connection>, AgentError> {
        let mut slot = slot.lock().await;
        if let Some(connection) = slot.as_ref().filter(|c| c.alive()) {
            return Ok(connection.clone());
        }
        // The old one ends before the new one begins.
        *slot = None;
        let cmd = Cmd::new([&self.binary, NAME]).args(inside.map(Inside::args).unwrap_or_default());
        let connection = Arc::new(Connection::start(&*self.shell, &cmd, name).await?);
        *slot = Some(connection.clone());
        Ok(connection)
    }
}

/// One place to look from.
#[derive(Clone)]
pub struct Agent(pub(super) Stand);

#[derive(Clone)]
pub(super) enum Stand {
    Here,
    There(Arc<Connection>),
    Inside(Arc<Connection>, String, Visits),
}

/// A look from inside a container, noted from before its beginning until after its end, however it ends.
struct Visit<'a> {
    visits: &'a Visits,
    container: &'a str,
    number: usize,
    trail: f64,
}

impl<'a> Visit<'a> {
    fn begin(visits: &'a Visits, container: &'a str) -> Self {
        let mut all = visits.lock().unwrap_or_else(PoisonError::into_inner);
        let of = all.entry(container.to_owned()).or_default();
        of.push((now(), f64::INFINITY));
        let number = of.len() - 1;
        drop(all);
        Self { visits, container, number, trail: LONG_TRAIL }
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        let mut all = self.visits.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(visit) = all.get_mut(self.container).and_then(|of| of.get_mut(self.number)) {
            visit.1 = now() + self.trail;
        }
    }
}

/// Seconds of the epoch: a lab's clock is its host's.
fn now() -> f64 {
    time::OffsetDateTime::now_utc().unix_timestamp_nanos() as f64 / 1e9
}

impl Agent {
    /// Looks once; `timeout` bounds the look itself, and with a little more the whole of it.
    ///
    /// # Errors
    /// Where the agent could not look at all. Ask [`Agents`] again after one: a new agent is started then.
    pub async fn look(&self, look: Look, timeout: Duration) -> Result<Sight, AgentError> {
        match &self.0 {
            Stand::Here => Ok(looks::look(look, timeout).await),
            Stand::There(connection) => connection.look(look, timeout).await,
            Stand::Inside(connection, container, visits) => {
                // Reading a file leaves no trace in the network.
                let quiet = matches!(look, Look::Files { .. } | Look::Ping);
                let mut visit = (!quiet).then(|| Visit::begin(visits, container));
                let began = tokio::time::Instant::now();
                let sight = connection.look(look, timeout).await?;
                if let Some(visit) = visit.as_mut().filter(|_| began.elapsed() < timeout) {
                    visit.trail = TRAIL;
                }
                Ok(sight)
            }
        }
    }
}

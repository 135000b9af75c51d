//! A machine with an engine, and how to look at it: the lab or the host itself, or a node.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::time::timeout;

use super::Stack;
use crate::agent::client::Agents;
use crate::docker::{Container, Engine, EngineError};
use crate::exec::Shell;

/// An engine, on an emulated processor.
const SAYS_ITS_TIME: Duration = Duration::from_secs(5);

/// Where containers run.
#[derive(Clone)]
pub struct Spot {
    /// The node's name; none where it is the lab or the host itself.
    pub node: Option<String>,
    pub engine: Engine,
    /// The machine of that engine.
    pub shell: Arc<dyn Shell>,
    /// Looks from that machine, and from inside its containers.
    pub agents: Agents,
    /// An address of that machine that is not loopback, where published ports are judged.
    pub address: String,
}

impl Stack {
    /// The services' containers as they are now, wherever they run.
    ///
    /// # Errors
    /// Where an engine does not say.
    pub async fn containers(&self) -> Result<Vec<Container>, EngineError> {
        if self.swarm {
            return self.tasks().await;
        }
        let mut all = Vec::new();
        if !self.is_off(&self.home) {
            all = self.home.engine.project_containers(&self.project).await?;
        }
        for (number, spot) in self.others.iter().enumerate().filter(|(_, spot)| !self.is_off(spot)) {
            let there = spot.engine.project_containers(&self.project).await?;
            all.extend(there.into_iter().map(|container| Container { spot: number + 1, ..container }));
        }
        Ok(all)
    }

    /// The containers of a stack's tasks, each in its place, on whichever node that is.
    async fn tasks(&self) -> Result<Vec<Container>, EngineError> {
        let spots = std::iter::once(&self.home).chain(&self.others).enumerate().filter(|(_, spot)| !self.is_off(spot));
        let there =
            spots.map(|(number, spot)| async move { (number, spot.engine.stack_containers(&self.project).await) });
        let mut all = Vec::new();
        for (number, containers) in futures_util::future::join_all(there).await {
            all.extend(containers?.into_iter().map(|container| Container { spot: number, ..container }));
        }
        Ok(crate::docker::container::in_their_places(all))
    }

    /// Seconds of the epoch by the clock of an engine's machine: this host's, but of a virtual machine.
    pub async fn now_at(&self, spot: &Spot) -> f64 {
        let node = spot.node.as_deref().and_then(|name| self.machines.node(name));
        let own = match node.and_then(|node| node.guest.as_ref()) {
            Some(_) => timeout(SAYS_ITS_TIME, spot.engine.clock()).await.ok().flatten(),
            None => None,
        };
        own.unwrap_or_else(|| time::OffsetDateTime::now_utc().unix_timestamp_nanos() as f64 / 1e9)
    }

    /// The machines that are off because of a drill: nothing of theirs runs, and nobody waits for their answers.
    pub fn set_off(&self, machines: BTreeSet<String>) {
        *self.off.write().unwrap_or_else(PoisonError::into_inner) = machines;
    }

    /// Whether a drill has turned that machine off.
    pub fn turned_off(&self, node: &str) -> bool {
        self.off.read().unwrap_or_else(PoisonError::into_inner).contains(node)
    }

    fn is_off(&self, spot: &Spot) -> bool {
        spot.node.as_ref().is_some_and(|node| self.turned_off(node))
    }

    /// Where a container runs.
    pub fn spot_of(&self, container: &Container) -> &Spot {
        self.spot(container.spot)
    }

    /// By the number that containers and published ports have.
    pub fn spot(&self, number: usize) -> &Spot {
        number.checked_sub(1).and_then(|other| self.others.get(other)).unwrap_or(&self.home)
    }
}

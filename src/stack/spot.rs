//! A machine with an engine, and how to look at it: the lab or the host itself, or a node.

use std::sync::Arc;

use super::Stack;
use crate::agent::client::Agents;
use crate::docker::{Container, Engine, EngineError};
use crate::exec::Shell;

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
        let mut all = self.home.engine.project_containers(&self.project).await?;
        for (number, spot) in self.others.iter().enumerate() {
            let there = spot.engine.project_containers(&self.project).await?;
            all.extend(there.into_iter().map(|container| Container { spot: number + 1, ..container }));
        }
        Ok(all)
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

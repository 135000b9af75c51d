//! Which machines have an engine, what each says of its part in a swarm, and the swarm as its managers know it.

use futures_util::future::join_all;

use crate::agent::dial;
use crate::docker::Engine;
use crate::docker::swarm::{Membership, Swarm};
use crate::probe::ProbeError;
use crate::probe::common::Found;
use crate::probe::machines::{On, chosen, up};
use crate::stack::machines::Node;
use crate::stack::{Body, Stack};
use crate::text::Text;

/// A machine, and what its engine says.
pub(super) struct Machine {
    pub(super) name: String,
    /// What it is; none where it is not up.
    pub(super) body: Option<Body>,
    pub(super) engine: Option<Engine>,
    pub(super) membership: Membership,
    /// Why nothing is known of its engine: the submission's doing.
    pub(super) why: Option<Text>,
}

/// What could be reached.
pub(super) struct Reached {
    pub(super) machines: Vec<Machine>,
    /// The swarm, and which machine was asked.
    pub(super) swarm: Option<(usize, Swarm)>,
    /// What a manager said that could not tell.
    pub(super) unable: Option<Text>,
}

impl Reached {
    /// The machine that a node of the swarm is.
    pub(super) fn machine_of(&self, node: &str) -> Option<&Machine> {
        self.machines.iter().find(|machine| !node.is_empty() && machine.membership.node == node)
    }

    /// Where a node of the swarm is reached from the lab; none where it is no machine that is up.
    pub(super) fn address_of(&self, node: &str) -> Option<&String> {
        self.machine_of(node)?.body.as_ref()?.addresses().values().next()
    }
}

/// Asks every machine's engine, and the first manager that answers about its swarm.
pub(super) async fn reach(stack: &Stack) -> Result<Found<Reached>, ProbeError> {
    let nodes = match chosen(stack, &On::All)? {
        Found::Here(nodes) => nodes,
        Found::Absent(why) => return Ok(Found::Absent(why)),
    };
    let mut machines = Vec::new();
    for machine in join_all(nodes.into_iter().map(|node| ask(stack, node))).await {
        machines.push(machine?);
    }
    let mut reached = Reached { machines, swarm: None, unable: None };
    for (number, machine) in reached.machines.iter().enumerate().filter(|(_, m)| m.membership.manager) {
        let Some(engine) = &machine.engine else { continue };
        match engine.swarm().await {
            Ok(swarm) => {
                reached.swarm = Some((number, swarm));
                break;
            }
            // A manager without the others has no leader: its swarm answers nobody.
            Err(error) => reached.unable = Some(error.text()),
        }
    }
    Ok(Found::Here(reached))
}

async fn ask(stack: &Stack, node: &Node) -> Result<Machine, ProbeError> {
    let name = crate::sanitize::line(node.name(), 60);
    let mut machine = Machine { name, body: None, engine: None, membership: Membership::default(), why: None };
    match up(stack, node).await? {
        Found::Absent(why) => machine.why = Some(why),
        Found::Here(body) => {
            match engine(stack, node, &body).await? {
                Found::Here(engine) => {
                    machine.membership = engine.membership().await?;
                    machine.engine = Some(engine);
                }
                Found::Absent(why) => machine.why = Some(why),
            }
            machine.body = Some(body);
        }
    }
    Ok(machine)
}

/// The engine of a machine: as the stack has it, else asked for.
async fn engine(stack: &Stack, node: &Node, body: &Body) -> Result<Found<Engine>, ProbeError> {
    let known =
        std::iter::once(&stack.home).chain(&stack.others).find(|spot| spot.node.as_deref() == Some(node.name()));
    if let Some(spot) = known {
        return Ok(Found::Here(spot.engine.clone()));
    }
    match Engine::behind(body.shell(&stack.ground), dial::engine()).await {
        Ok(engine) => Ok(Found::Here(engine)),
        Err(error) => {
            tracing::debug!(%error, "no engine in a machine");
            match crate::probe::machines::ended(stack, node, body).await? {
                Some(why) => Ok(Found::Absent(why)),
                None => {
                    let name = crate::sanitize::line(node.name(), 60);
                    Ok(Found::Absent(Text::new(
                        format!("no container engine answers on machine {name}"),
                        format!("ningún motor de contenedores responde en la máquina {name}"),
                    )))
                }
            }
        }
    }
}

//! Whether each task of a service answers: at its node's port where it has one there, else from within its own network.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep_until};

use super::reach::Reached;
use crate::agent::client::Agent;
use crate::agent::{Look, Sight};
use crate::docker::swarm::{Swarm, SwarmService, SwarmTask};
use crate::probe::ProbeError;
use crate::probe::common::look;
use crate::stack::{Spot, Stack};
use crate::text::Text;

const AGAIN: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_secs(10);
/// A task that has only just started may not listen yet: each has so long at least, however long it took to start.
const LEAST: Duration = Duration::from_secs(10);

/// How many tasks answered, and what is to be said of each that did not. They are asked side by side: each new one competes for
/// the same processors, and has all the time that there is.
pub(super) async fn answers(
    stack: &Stack,
    reached: &Reached,
    swarm: &Swarm,
    service: &SwarmService,
    port: Option<u16>,
    until: Instant,
) -> Result<(u64, Vec<Text>), ProbeError> {
    let until = until.max(Instant::now() + LEAST);
    let tasks = swarm.tasks_of(service).filter(|task| task.running());
    let asked = tasks.map(|task| asked(stack, reached, swarm, service, task, port, until));
    let (mut answered, mut silent) = (0, Vec::new());
    for said in join_all(asked).await {
        match said? {
            None => answered += 1,
            Some(said) => silent.push(said),
        }
    }
    Ok((answered, silent))
}

/// None where the task answered.
async fn asked(
    stack: &Stack,
    reached: &Reached,
    swarm: &Swarm,
    service: &SwarmService,
    task: &SwarmTask,
    port: Option<u16>,
    until: Instant,
) -> Result<Option<Text>, ProbeError> {
    let node = swarm.member(&task.node).map(|member| member.hostname.clone()).unwrap_or_default();
    let node = crate::sanitize::line(&node, 60);
    let (agent, address, port) = door(stack, reached, service, task, port, &node).await?;
    let said = one(&agent, &address, port, LOOK, until).await?;
    Ok(said.map(|said| {
        Text::new(
            format!("the one on {node} did not, at {address}:{port}: {said}"),
            format!("la de {node} no, en {address}:{port}: {said}"),
        )
    }))
}

/// From where a task is asked, and at which address.
async fn door(
    stack: &Stack,
    reached: &Reached,
    service: &SwarmService,
    task: &SwarmTask,
    port: Option<u16>,
    node: &str,
) -> Result<(Agent, String, u16), ProbeError> {
    let unknown = |what_en: &str, what_es: &str| {
        ProbeError::ours(
            format!("a task on {node} could not be asked: {what_en}"),
            format!("no se pudo preguntar a una tarea en {node}: {what_es}"),
        )
    };
    let machine = reached.machine_of(&task.node);
    let at_node = service.ports.iter().find(|p| p.host && p.published != 0 && port.is_none_or(|port| port == p.target));
    if let Some(published) = at_node {
        let address = reached
            .address_of(&task.node)
            .ok_or_else(|| unknown("its node is no machine", "su nodo no es ninguna máquina"))?;
        return Ok((stack.ground.agents.lab().await?, address.clone(), published.published));
    }
    let port = port.or_else(|| service.ports.first().map(|port| port.target));
    let port = port.ok_or_else(|| {
        unknown("it publishes no port, and no `port` is named", "no publica ningún puerto y no se indica `port`")
    })?;
    let spots = || std::iter::once(&stack.home).chain(&stack.others);
    let spot: &Spot = machine
        .and_then(|machine| spots().find(|spot| spot.node.as_deref() == Some(machine.name.as_str())))
        .ok_or_else(|| unknown("nothing of ours is on its node", "no hay nada nuestro en su nodo"))?;
    let container = spot.engine.container(&task.container).await?;
    let address = container.addresses.values().next().cloned();
    let address = address.ok_or_else(|| unknown("it has no address", "no tiene dirección"))?;
    Ok((spot.agents.inside(&container).await?, address, port))
}

/// None when it answered; else what was seen last. Each look has so long.
pub(super) async fn one(
    agent: &Agent,
    address: &str,
    port: u16,
    each: Duration,
    until: Instant,
) -> Result<Option<String>, ProbeError> {
    let url = format!("http://{address}:{port}/");
    loop {
        let round = Instant::now();
        let ask =
            Look::Http { method: "GET".to_owned(), url: url.clone(), headers: Vec::new(), body: None, max_bytes: 4096 };
        let said = match look(agent, ask, each).await? {
            Sight::Http { status, .. } if status < 500 => return Ok(None),
            Sight::Http { status, .. } => format!("HTTP {status}"),
            Sight::No { message, .. } => crate::sanitize::line(&message, 200),
            other => crate::sanitize::line(&format!("{other:?}"), 200),
        };
        if Instant::now() >= until {
            return Ok(Some(said));
        }
        sleep_until((round + AGAIN).min(until)).await;
    }
}

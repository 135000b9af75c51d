//! Scaling a service up, as its owner would: every replica runs and answers, and afterwards it is as it was.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep_until};

use super::answers::answers;
use super::reach::Reached;
use super::service::{meshed_room, room, short_of};
use crate::docker::Engine;
use crate::docker::swarm::{Swarm, SwarmService};
use crate::exec::{Cmd, ShellExt};
use crate::expect::Facts;
use crate::notice::Reason;
use crate::probe::{Observation, ProbeError};
use crate::stack::Stack;
use crate::text::Text;

const AGAIN: Duration = Duration::from_millis(500);
const ORDER: Duration = Duration::from_secs(30);
/// Of the time of an exercise, what is kept for putting it back.
const TO_UNDO: Duration = Duration::from_secs(45);

/// What is scaled, and how.
pub(super) struct How {
    /// Of the machines, the one that orders it.
    pub(super) manager: usize,
    pub(super) service: SwarmService,
    pub(super) port: Option<u16>,
    /// Its ports are ports of the node for our sake.
    pub(super) unmeshed: bool,
    pub(super) timeout: Duration,
}

/// Scales the service up, asks each replica, and scales it back.
pub(super) async fn exercise(stack: &Stack, reached: &Reached, how: &How) -> Result<Observation, ProbeError> {
    let began = Instant::now();
    let How { service, port, timeout, .. } = how;
    let Some((_, swarm)) = &reached.swarm else { return Ok(Observation::default()) };
    let Some(manager) = reached.machines.get(how.manager) else { return Ok(Observation::default()) };
    let (Some(engine), Some(body)) = (&manager.engine, &manager.body) else {
        return Ok(Observation::default());
    };
    let shell = body.shell(&stack.ground);
    let order = |replicas: u64| {
        let count = format!("{}={replicas}", service.name);
        let cmd = Cmd::new(["docker", "service", "scale", "--detach"]).arg(count).timeout(ORDER);
        let shell = shell.clone();
        async move { shell.must(&cmd).await.map_err(|error| ProbeError { reason: Reason::Host, text: error.text() }) }
    };
    let until = began + timeout.saturating_sub(TO_UNDO);
    let Some(before) = service.replicas else {
        // It runs on every node that takes it: there is nothing to scale, and each task answers or not.
        return Ok(seen(stack, reached, swarm, service, *port, swarm.replicas(service).1, until).await?.with(true));
    };
    // Only where a mesh would have room for more is it our change that leaves none.
    let ours = how.unmeshed && meshed_room(swarm, service).is_none_or(|room| room > before);
    let (target, again) = match way(before, room(swarm, service), ours) {
        Way::Up(target) => (target, false),
        Way::Again => (before, true),
        Way::NotHere => return Err(ProbeError { reason: Reason::NotHere, text: no_mesh(service) }),
        Way::No => {
            let facts = Facts::from([("target".to_owned(), json!(before)), ("scaled".to_owned(), json!(false))]);
            return Ok(Observation { explanation: Some(no_room(service, before)), ..Observation::of(facts) });
        }
    };
    let up = async {
        if again {
            order(before - 1).await?;
            settled(engine, service, before - 1, until).await?;
        }
        order(target).await?;
        let swarm = settled(engine, service, target, until).await?;
        seen(stack, reached, &swarm, service, *port, target, until).await
    };
    let up = up.await;
    // Whatever was seen, it is put back; an order of which nothing was heard may have come through.
    order(before).await?;
    let after = settled(engine, service, before, began + *timeout).await?;
    let left = after.tasks_of(service).filter(|task| task.running()).count() as u64;
    Ok(up?.with(left == before))
}

/// How it can be seen whether a service scales.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    Up(u64),
    /// Every place that there is has a replica already: it was scaled up to that, and one of them is made anew.
    Again,
    /// It could only be seen on a mesh.
    NotHere,
    No,
}

/// As many as the nodes can place, and one more where nothing bounds it.
fn way(before: u64, room: Option<u64>, ours: bool) -> Way {
    /// A replica more than this shows nothing that fewer do not.
    const MOST_MORE: u64 = 2;
    let target = room.unwrap_or(before + 1).min(before + MOST_MORE);
    match (target > before, ours) {
        (true, _) => Way::Up(target),
        _ if room == Some(before) && before > 1 => Way::Again,
        (false, true) => Way::NotHere,
        (false, false) => Way::No,
    }
}

fn no_mesh(service: &SwarmService) -> Text {
    let Text { en, es } = unmeshed(service);
    Text::new(format!("{en}, there is no room to scale it"), format!("{es}, no queda lugar para escalarlo"))
}

/// What its ports are here instead of ports of every node.
pub(super) fn unmeshed(service: &SwarmService) -> Text {
    let name = crate::sanitize::line(&service.name, 80);
    Text::new(
        format!(
            "{name} is published on a port of every node, which needs IP_VS: with ports of the node, which container nodes have instead"
        ),
        format!(
            "{name} se publica en un puerto de todos los nodos, lo que necesita IP_VS: con puertos del nodo, que es lo que hay en nodos en contenedores"
        ),
    )
}

fn no_room(service: &SwarmService, before: u64) -> Text {
    let name = crate::sanitize::line(&service.name, 80);
    let host = service.ports.iter().any(|port| port.host);
    let (mut en, mut es) = (Vec::new(), Vec::new());
    if host {
        en.push("its port is one of the node, so that each node has room for one".to_owned());
        es.push("su puerto es uno del nodo, así que en cada nodo cabe una".to_owned());
    }
    if !service.constraints.is_empty() {
        let constraints = crate::sanitize::line(&service.constraints.join(", "), 200);
        en.push(format!("its constraints are {constraints}"));
        es.push(format!("sus restricciones son {constraints}"));
    }
    let said = |all: Vec<String>| if all.is_empty() { String::new() } else { format!(": {}", all.join("; ")) };
    Text::new(
        format!("no node has room for more than the {before} replicas of {name}{}", said(en)),
        format!("ningún nodo tiene lugar para más de las {before} réplicas de {name}{}", said(es)),
    )
}

/// The swarm when as many tasks run as were ordered, no more and no fewer, or when the time is over.
async fn settled(engine: &Engine, service: &SwarmService, want: u64, until: Instant) -> Result<Swarm, ProbeError> {
    loop {
        let round = Instant::now();
        let swarm = engine.swarm().await?;
        let (wanted, running) = swarm
            .tasks_of(service)
            .filter(|task| task.wanted)
            .fold((0, 0), |(wanted, running), task| (wanted + 1, running + u64::from(task.running())));
        if (wanted == want && running == want) || Instant::now() >= until {
            return Ok(swarm);
        }
        sleep_until((round + AGAIN).min(until)).await;
    }
}

/// What was seen of a service that was scaled up.
struct Up {
    facts: Facts,
    why: Option<Text>,
    notes: Vec<Text>,
}

impl Up {
    fn with(mut self, back: bool) -> Observation {
        self.facts.insert("back".to_owned(), json!(back));
        Observation { explanation: self.why, notes: self.notes, ..Observation::of(self.facts) }
    }
}

async fn seen(
    stack: &Stack,
    reached: &Reached,
    swarm: &Swarm,
    service: &SwarmService,
    port: Option<u16>,
    target: u64,
    until: Instant,
) -> Result<Up, ProbeError> {
    let (running, _) = swarm.replicas(service);
    let mut facts = Facts::from([
        ("target".to_owned(), json!(target)),
        ("running".to_owned(), json!(running)),
        ("scaled".to_owned(), json!(running >= target)),
    ]);
    if running < target {
        let why = Some(short_of(swarm, service, running, target));
        return Ok(Up { facts, why, notes: Vec::new() });
    }
    let (answered, silent) = answers(stack, reached, swarm, service, port, until).await?;
    facts.insert("answered".to_owned(), json!(answered));
    facts.insert("all_answer".to_owned(), json!(silent.is_empty() && answered > 0));
    let name = crate::sanitize::line(&service.name, 80);
    let why = silent.first().map(|first| {
        Text::new(
            format!("{answered} of {target} replicas of {name} answered; {}", first.en),
            format!("respondieron {answered} de {target} réplicas de {name}; {}", first.es),
        )
    });
    let notes = vec![Text::new(
        format!("scaled to {target}: {running} ran, {answered} answered"),
        format!("escalado a {target}: corrieron {running}, respondieron {answered}"),
    )];
    Ok(Up { facts, why, notes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::swarm::SwarmPort;

    #[test]
    fn it_grows_to_what_the_nodes_can_place() {
        assert_eq!(way(2, Some(3), false), Way::Up(3));
        assert_eq!(way(1, Some(20), false), Way::Up(3), "two more show what twenty would");
        assert_eq!(way(2, None, false), Way::Up(3));
    }

    #[test]
    fn what_fills_every_place_was_scaled_to_that() {
        assert_eq!(way(3, Some(3), false), Way::Again);
        assert_eq!(way(3, Some(3), true), Way::Again);
        assert_eq!(way(1, Some(1), false), Way::No, "one of one place shows nothing");
        assert_eq!(way(4, Some(3), false), Way::No);
        assert_eq!(
            (way(1, Some(1), true), way(4, Some(3), true)),
            (Way::NotHere, Way::NotHere),
            "it is for our change"
        );
    }

    #[test]
    fn no_room_says_what_bounds_it() {
        let port = SwarmPort { host: true, ..SwarmPort::default() };
        let constraints = vec!["node.role == manager".to_owned()];
        let service = SwarmService { name: "x_app".into(), ports: vec![port], constraints, ..SwarmService::default() };
        let said = no_room(&service, 1).en;
        assert!(said.contains("each node has room for one") && said.contains("node.role == manager"), "{said}");
    }
}

//! `swarm`: which machines are in a swarm and take tasks; how many tasks of a role's service run, and where; and whether it
//! scales, as an exercise.
//!
//! What is known comes from the engine of a manager, which is the student's own machine: testimony. What carries weight is
//! corroborated by what the services do: `scale` asks every replica.

mod answers;
mod everywhere;
mod members;
mod reach;
mod scale;
mod service;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;

use self::reach::reach;
use super::common::{Found, service_of};
use super::{Attempt, MACHINES, Observation, Phase, Probe, ProbeError, ProbeKind, SERVICES};
use crate::docker::swarm::{Swarm, SwarmService};
use crate::expect::{FactSpec, Facts, Unit};
use crate::notice::Reason;
use crate::scenario::tree::Decoder;
use crate::stack::Stack;
use crate::text::Text;

pub static KIND: ProbeKind = ProbeKind {
    name: "swarm",
    summary: "Which machines are in a Docker swarm and take tasks; with `role`, how many tasks of that service run, and on which nodes; with `scale`, whether it can be scaled up, each replica answers, and it goes back to what it was. As a manager's engine says it",
    facts: &[
        FactSpec { name: "active", unit: Unit::Bool, summary: "a machine manages a swarm that answers" },
        FactSpec { name: "nodes", unit: Unit::Number, summary: "how many nodes the swarm has" },
        FactSpec { name: "managers", unit: Unit::Number, summary: "how many of them are managers" },
        FactSpec { name: "managers_reachable", unit: Unit::Number, summary: "managers that are reachable" },
        FactSpec { name: "workers", unit: Unit::Number, summary: "how many are workers" },
        FactSpec {
            name: "workers_ready",
            unit: Unit::Number,
            summary: "workers that are ready and active: one that is drained or down does not count",
        },
        FactSpec { name: "not_in_swarm", unit: Unit::List, summary: "machines that are no nodes of it" },
        FactSpec { name: "services", unit: Unit::List, summary: "the swarm's services, by their full names" },
        FactSpec {
            name: "desired",
            unit: Unit::Number,
            summary: "with `role`: how many tasks the service should have",
        },
        FactSpec { name: "running", unit: Unit::Number, summary: "with `role`: how many of them run" },
        FactSpec {
            name: "converged",
            unit: Unit::Bool,
            summary: "with `role`: as many run as should, and one at least; where its ports of every node had to become ports of the node, as many as the nodes then have room for",
        },
        FactSpec { name: "mode", unit: Unit::Text, summary: "with `role`: `replicated` or `global`" },
        FactSpec { name: "spread", unit: Unit::Number, summary: "with `role`: on how many nodes its tasks run" },
        FactSpec { name: "placed_on", unit: Unit::List, summary: "with `role`: the names of these nodes" },
        FactSpec { name: "all_on_manager", unit: Unit::Bool, summary: "with `role`: all its tasks run on managers" },
        FactSpec {
            name: "endpoint",
            unit: Unit::Text,
            summary: "with `role`: `vip` (one address for the service) or `dnsrr` (the addresses of its tasks); undecided where our nodes have no IP_VS, which `vip` needs",
        },
        FactSpec {
            name: "publishes",
            unit: Unit::Text,
            summary: "with `role`: `ingress` (a port of every node), `host` (of the nodes of its tasks) or `nothing`; undecided where our nodes have no IP_VS, which `ingress` needs",
        },
        FactSpec {
            name: "silent_on",
            unit: Unit::List,
            summary: "with `every_node`: the nodes that are up and on whose published port it did not answer an HTTP request",
        },
        FactSpec {
            name: "target",
            unit: Unit::Number,
            summary: "with `scale`: how many replicas were asked for; as many as there were, and one of them anew, where the nodes have no room for more",
        },
        FactSpec { name: "scaled", unit: Unit::Bool, summary: "with `scale`: so many ran" },
        FactSpec {
            name: "answered",
            unit: Unit::Number,
            summary: "with `scale`: how many of them answered an HTTP request; what speaks no HTTP never does",
        },
        FactSpec { name: "all_answer", unit: Unit::Bool, summary: "with `scale`: each of them answered" },
        FactSpec { name: "back", unit: Unit::Bool, summary: "with `scale`: afterwards as many ran as before" },
    ],
    example: "{id: workers-ready, points: 6, swarm: {}, expect: {managers_reachable: {ge: 1}, workers_ready: {ge: 2}, not_in_swarm: []}}",
    schema: || {
        json!({"type": "object", "additionalProperties": false, "properties": {
            "role": {"type": "string", "description": "the service that plays this role, instead of the swarm as a whole"},
            "scale": {"type": "boolean", "description": "with `role`: scales it up to what the nodes can place, asks each replica, and scales it back; alone, after all looking"},
            "every_node": {"type": "boolean", "description": "with `role`: asks its published port on each node of the swarm, whichever nodes its tasks are on"},
            "port": {"type": "integer", "minimum": 1, "maximum": 65535, "description": "with `scale` or `every_node`: the container's port where it answers; by default the one that it publishes"}
        }})
    },
    decode: |d| decode(d).map(|probe| Box::new(probe) as Box<dyn Probe>),
};

struct SwarmProbe {
    role: Option<String>,
    scale: bool,
    every_node: bool,
    port: Option<u16>,
}

fn decode(d: &mut Decoder<'_>) -> Option<SwarmProbe> {
    // Asked for either way, so that a mistyped key is told what it may be.
    let role = if d.has("role") { d.role("role") } else { d.node("role").and(None) };
    let (scale, every_node, port) = (d.bool_or("scale", false), d.bool_or("every_node", false), d.port("port"));
    for (key, there) in [("scale", scale), ("every_node", every_node), ("port", port.is_some())] {
        if there && role.is_none() {
            d.problem_with(key, format!("`{key}` needs a `role`"), None);
        }
    }
    if scale && every_node {
        d.problem_with(
            "every_node",
            "`scale` and `every_node` are two checks: give each one of its own".to_owned(),
            None,
        );
    }
    Some(SwarmProbe { role, scale, every_node, port })
}

#[async_trait]
impl Probe for SwarmProbe {
    fn phase(&self) -> Phase {
        if self.scale { Phase::Exercise } else { Phase::Look }
    }

    fn layer(&self) -> &'static str {
        if self.role.is_some() { SERVICES } else { MACHINES }
    }

    fn roles(&self) -> Vec<String> {
        self.role.iter().cloned().collect()
    }

    fn visits(&self) -> bool {
        self.every_node
    }

    /// No version of a base image decides where a swarm puts its tasks; whether they run is another check's.
    fn excusable(&self) -> bool {
        self.role.is_some()
    }

    async fn observe(&self, stack: &Arc<Stack>, attempt: Attempt) -> Result<Observation, ProbeError> {
        let reached = match reach(stack).await? {
            Found::Here(reached) => reached,
            Found::Absent(why) => return Ok(absent(self.role.is_some(), why)),
        };
        let Some(role) = &self.role else {
            let (facts, explanation) = members::facts(&reached);
            return Ok(Observation { explanation, ..Observation::of(facts) });
        };
        let name = match service_of(stack, role)? {
            Found::Here(name) => name,
            Found::Absent(why) => return Ok(absent(true, why)),
        };
        let Some((manager, swarm)) = &reached.swarm else {
            let (_, why) = members::facts(&reached);
            return Ok(absent(true, why.unwrap_or_default()));
        };
        let service = find(swarm, &stack.project, &name);
        if self.scale
            && let Some(service) = service
        {
            let how = scale::How {
                manager: *manager,
                service: service.clone(),
                port: self.port,
                unmeshed: unmeshed(stack, service),
                timeout: attempt.timeout,
            };
            // A task of its own: it is put back also where nobody waits for it any more.
            let stack = stack.clone();
            let made = tokio::spawn(async move { scale::exercise(&stack, &reached, &how).await }).await;
            return made.map_err(|e| {
                ProbeError::ours(format!("the exercise broke off: {e}"), format!("el ejercicio se interrumpió: {e}"))
            })?;
        }
        let unmeshed = service.is_some_and(|service| unmeshed(stack, service));
        let (mut facts, mut explanation) = service::facts(swarm, service, &name, unmeshed);
        let mut open = BTreeMap::new();
        match service {
            // What they are here says nothing of what was handed in.
            Some(service) if unmeshed => {
                let why = (Reason::NotHere, everywhere::not_here(service));
                open.extend(["publishes", "endpoint", "silent_on"].map(|fact| (fact.to_owned(), why.clone())));
                facts.retain(|fact, _| !open.contains_key(fact));
            }
            Some(service) if self.every_node => {
                let port = everywhere::Port { target: self.port, timeout: attempt.timeout };
                let (silent, why) = everywhere::silent_on(stack, &reached, swarm, service, port).await?;
                facts.insert("silent_on".to_owned(), json!(silent));
                explanation = why.or(explanation);
            }
            _ => {}
        }
        Ok(Observation { explanation, open, ..Observation::of(facts) })
    }
}

/// A role's service: of the stack that was brought up, else one that bears its name and no other does.
fn find<'a>(swarm: &'a Swarm, stack: &str, name: &str) -> Option<&'a SwarmService> {
    swarm.service(stack, name).or_else(|| {
        let mut named = swarm.services.iter().filter(|service| service.short_name() == name);
        named.next().filter(|_| named.next().is_none())
    })
}

/// Whether its ports of every node were made ports of the node, by us.
fn unmeshed(stack: &Stack, service: &SwarmService) -> bool {
    service.stack == stack.project && stack.unmeshed.contains(service.short_name())
}

/// Why a service of the stack has no container, by what the swarm says of its tasks: it may still be about to make one.
pub(super) async fn without_container(stack: &Stack, name: &str) -> Result<Text, ProbeError> {
    let swarm = stack.home.engine.swarm().await?;
    let Some(service) = swarm.service(&stack.project, name) else {
        let (_, why) = service::facts(&swarm, None, name, false);
        return Ok(why.unwrap_or_default());
    };
    let (running, desired) = swarm.replicas(service);
    if running > 0 {
        return Err(ProbeError::new(
            crate::notice::Reason::Host,
            format!("{name} runs on a node that could not be looked into"),
            format!("{name} corre en un nodo que no se pudo mirar"),
        ));
    }
    Ok(service::short_of(&swarm, service, running, desired))
}

fn absent(of_a_service: bool, why: Text) -> Observation {
    let none = json!(0);
    let facts: Facts = if of_a_service {
        ["desired", "running", "spread"].map(|fact| (fact.to_owned(), none.clone())).into()
    } else {
        let facts = ["nodes", "managers", "managers_reachable", "workers", "workers_ready"];
        let mut facts: Facts = facts.map(|fact| (fact.to_owned(), none.clone())).into();
        facts.insert("active".to_owned(), json!(false));
        facts
    };
    Observation { explanation: Some(why), ..Observation::of(facts) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::tree;

    fn decoded(text: &str) -> (Option<SwarmProbe>, Vec<String>) {
        let node = tree::read(text, "s.yaml").unwrap();
        let mut problems = Vec::new();
        let mut d = Decoder::new(&node, &mut problems);
        let probe = decode(&mut d);
        d.finish();
        (probe, problems.into_iter().map(|p| p.message).collect())
    }

    #[test]
    fn the_swarm_is_of_the_machines_and_its_services_are_services() {
        let whole = decoded("{}").0.unwrap();
        assert_eq!((whole.layer(), whole.phase()), (MACHINES, Phase::Look));
        let (scaled, problems) = decoded("{role: app, scale: true, port: 5000}");
        let scaled = scaled.unwrap();
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(
            (scaled.layer(), scaled.phase(), scaled.roles()),
            (SERVICES, Phase::Exercise, vec!["app".to_owned()])
        );
        assert_eq!(decoded("{scale: true}").1, ["`scale` needs a `role`"]);
        let asks = decoded("{role: app, every_node: true}").0.unwrap();
        assert!(asks.phase() == Phase::Look && asks.visits() && !scaled.visits());
        assert_eq!(decoded("{every_node: true}").1, ["`every_node` needs a `role`"]);
        let both = decoded("{role: app, scale: true, every_node: true}").1;
        assert_eq!(both, ["`scale` and `every_node` are two checks: give each one of its own"]);
    }

    #[test]
    fn a_service_is_found_by_its_stack_or_by_a_name_that_one_bears() {
        let service = |name: &str, stack: &str| SwarmService {
            id: format!("id-{name}"),
            name: name.into(),
            stack: stack.into(),
            ..SwarmService::default()
        };
        let swarm = Swarm {
            services: vec![service("x_app", "x"), service("y_app", "y"), service("y_db", "y")],
            ..Swarm::default()
        };
        assert_eq!(find(&swarm, "x", "app").unwrap().name, "x_app");
        assert_eq!(find(&swarm, "other", "db").unwrap().name, "y_db");
        assert!(find(&swarm, "other", "app").is_none(), "two could be meant");
    }
}

//! What several kinds need: who plays a role and whether it runs, where it can be looked at, and from where to look.

use std::time::Duration;

use crate::agent::client::{Agent, AgentError};
use crate::agent::{Look, Sight};
use crate::docker::{Container, EngineError};
use crate::fault::FaultError;
use crate::notice::Reason;
use crate::probe::{MACHINES, ProbeError, SERVICES};
use crate::scenario::From as Stand;
pub use crate::stack::Found;
use crate::stack::Stack;
use crate::stack::found::{Unknown, no_container, not_running};
use crate::text::Text;

impl ProbeError {
    pub fn new(reason: Reason, en: impl Into<String>, es: impl Into<String>) -> Self {
        Self { reason, text: Text::new(en, es) }
    }

    /// Our own limits.
    pub fn ours(en: impl Into<String>, es: impl Into<String>) -> Self {
        Self::new(Reason::Imparcial, en, es)
    }

    /// Nothing that is there would prove it.
    pub fn unproven(en: impl Into<String>, es: impl Into<String>) -> Self {
        Self::new(Reason::Unproven, en, es)
    }
}

impl From<EngineError> for ProbeError {
    fn from(error: EngineError) -> Self {
        Self { reason: Reason::Host, text: error.text() }
    }
}

impl From<Unknown> for ProbeError {
    fn from(unknown: Unknown) -> Self {
        Self { reason: unknown.reason, text: unknown.text }
    }
}

impl From<FaultError> for ProbeError {
    fn from(error: FaultError) -> Self {
        Self { reason: error.reason, text: error.text }
    }
}

impl From<AgentError> for ProbeError {
    fn from(error: AgentError) -> Self {
        Self::new(Reason::Host, error.to_string(), format!("no se pudo mirar: {error}"))
    }
}

/// Goes on with what is there; gives back the observation that there is nothing.
macro_rules! here {
    ($found:expr, $absent:expr) => {
        match $found {
            $crate::probe::common::Found::Here(found) => found,
            $crate::probe::common::Found::Absent(why) => return $absent(why),
        }
    };
}
pub(crate) use here;

/// See [`Stack::bound`].
pub fn bound(stack: &Stack, role: &str) -> Result<Option<String>, ProbeError> {
    Ok(stack.bound(role)?)
}

/// See [`Stack::service_of`].
pub fn service_of(stack: &Stack, role: &str) -> Result<Found<String>, ProbeError> {
    Ok(stack.service_of(role)?)
}

/// The running container of a role, as it is now.
pub async fn player(stack: &Stack, role: &str) -> Result<Found<Container>, ProbeError> {
    let service = match service_of(stack, role)? {
        Found::Here(service) => service,
        Found::Absent(why) => return Ok(Found::Absent(why)),
    };
    let all = stack.containers().await?;
    let mut ours = all.into_iter().filter(|c| c.service == service).collect::<Vec<_>>();
    // Of several replicas, one that runs.
    ours.sort_by_key(|c| !c.running());
    Ok(match ours.into_iter().next() {
        Some(container) if container.running() => Found::Here(container),
        Some(container) => Found::Absent(not_running(&container)),
        None => Found::Absent(no_container(&service)),
    })
}

/// The role that a service plays, else its own name.
pub fn role_of(stack: &Stack, service: &str) -> String {
    let role = stack.roles.iter().find(|(_, b)| b.service.as_deref() == Some(service));
    role.map_or_else(|| service.to_owned(), |(role, _)| role.clone())
}

/// Where a probe stands, ready to look.
pub async fn observer(stack: &Stack, from: &Stand) -> Result<Found<Agent>, ProbeError> {
    Ok(match from {
        Stand::Host => Found::Here(stack.ground.agents.host()),
        Stand::Lab => Found::Here(stack.ground.agents.lab().await?),
        Stand::Inside(role) => match player(stack, role).await? {
            Found::Absent(why) => Found::Absent(why),
            Found::Here(container) => inside(stack, &container).await?,
        },
        Stand::Node(name) => super::machines::inside(stack, name).await?,
    })
}

/// Where a container's own address can be dialled: on its machine. That of a swarm's task is on a network which no machine
/// is on, so that is dialled from within.
pub async fn beside(stack: &Stack, container: &Container) -> Result<Found<Agent>, ProbeError> {
    if stack.swarm {
        return inside(stack, container).await;
    }
    Ok(Found::Here(stack.spot_of(container).agents.lab().await?))
}

/// An agent inside a container. That it stopped meanwhile is a fact.
pub async fn inside(stack: &Stack, container: &Container) -> Result<Found<Agent>, ProbeError> {
    match stack.spot_of(container).agents.inside(container).await {
        Ok(agent) => Ok(Found::Here(agent)),
        Err(AgentError::NotRunning { .. }) => Ok(Found::Absent(not_running(container))),
        Err(error) => {
            // It may have stopped, or started anew, while the agent went in.
            let now = stack.spot_of(container).engine.container(&container.id).await?;
            if !now.running() {
                return Ok(Found::Absent(not_running(&now)));
            }
            Err(error.into())
        }
    }
}

/// Looks; what the agent itself could not do is an error.
pub async fn look(agent: &Agent, look: Look, timeout: Duration) -> Result<Sight, ProbeError> {
    match agent.look(look, timeout).await? {
        Sight::Unable { message } => {
            Err(ProbeError::ours(format!("could not look: {message}"), format!("no se pudo mirar: {message}")))
        }
        sight => Ok(sight),
    }
}

/// Seconds of the epoch by the clock of the engine that a role's container is on; of home's where it has none.
pub(super) async fn now_at(stack: &Stack, role: &str) -> f64 {
    match player(stack, role).await {
        Ok(Found::Here(container)) => stack.now_at(stack.spot_of(&container)).await,
        _ => stack.now_at(&stack.home).await,
    }
}

/// A TCP port of one of the stack's machines that leads to a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    pub service: String,
    pub container: u16,
    pub host: u16,
    /// Only at 127.0.0.1.
    pub loopback: bool,
    /// Which of the stack's machines it is a port of.
    pub spot: usize,
}

impl Published {
    /// Where it is reached.
    pub fn address<'a>(&self, stack: &'a Stack) -> &'a str {
        if self.loopback { "127.0.0.1" } else { &stack.spot(self.spot).address }
    }
}

/// What the containers publish over TCP.
pub fn published(containers: &[Container]) -> Vec<Published> {
    let mut out: Vec<Published> = Vec::new();
    for container in containers.iter().filter(|c| c.running()) {
        for (port, bindings) in &container.ports {
            let Some(inner) = port.strip_suffix("/tcp").and_then(|p| p.parse().ok()) else { continue };
            // A port that the engine chose may be another one on IPv6, where nobody looks.
            let four = bindings.iter().any(|(ip, _)| !ip.contains(':'));
            let wanted = |(ip, host): &&(String, u16)| *host != 0 && !(four && ip.contains(':'));
            for (ip, host) in bindings.iter().filter(wanted) {
                let loopback = ip.starts_with("127.") || ip == "::1";
                match out.iter_mut().find(|p| p.host == *host && p.spot == container.spot) {
                    Some(known) => known.loopback &= loopback,
                    None => {
                        out.push(Published {
                            service: container.service.clone(),
                            container: inner,
                            host: *host,
                            loopback,
                            spot: container.spot,
                        });
                    }
                }
            }
        }
    }
    out.sort_by_key(|p| p.host);
    out
}

/// Where the page of a role may be, best first: its own ports, and where it publishes none, those of services that play
/// no other role (a proxy in front of it).
pub fn doors(stack: &Stack, role: &str, containers: &[Container]) -> Vec<Published> {
    let service = stack.playing(role);
    let all = published(containers);
    let own: Vec<Published> = all.iter().filter(|p| Some(p.service.as_str()) == service).cloned().collect();
    if !own.is_empty() {
        return own;
    }
    let taken = |name: &str| stack.roles.iter().any(|(r, b)| r != role && b.service.as_deref() == Some(name));
    all.into_iter().filter(|p| !taken(&p.service)).collect()
}

/// The layer that a probe needs which stands there.
pub fn layer_of(from: &Stand) -> &'static str {
    if matches!(from, Stand::Node(_)) { MACHINES } else { SERVICES }
}

/// JSON Schema of `from:`.
pub fn from_schema() -> serde_json::Value {
    serde_json::json!({
        "description": "where the probe stands: this host, the lab, inside of the container of a role, or inside of a machine (`first`, or its name)",
        "oneOf": [
            {"enum": ["host", "lab"]},
            {
                "type": "object",
                "additionalProperties": false,
                "required": ["inside"],
                "properties": {"inside": {"type": "string", "description": "a role"}}
            },
            {
                "type": "object",
                "additionalProperties": false,
                "required": ["node"],
                "properties": {"node": {"type": "string", "description": "a machine's name, or `first`"}}
            }
        ]
    })
}

/// The role of a text such as `{role.names}`, if it is such a template.
pub fn template<'a>(text: &'a str, what: &str) -> Option<&'a str> {
    text.strip_prefix('{')?.strip_suffix('}')?.strip_suffix(what)?.strip_suffix('.')
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn container(service: &str, ports: &[(&str, &str, u16)]) -> Container {
        let mut map: BTreeMap<String, Vec<(String, u16)>> = BTreeMap::new();
        for (inner, ip, host) in ports {
            map.entry((*inner).to_owned()).or_default().push(((*ip).to_owned(), *host));
        }
        Container { service: service.into(), state: "running".into(), ports: map, ..Container::default() }
    }

    #[test]
    fn published_ports_are_tcp_ports_of_running_containers() {
        let mut dead = container("old", &[("80/tcp", "0.0.0.0", 81)]);
        dead.state = "exited".into();
        let all = [
            container("app", &[("5000/tcp", "0.0.0.0", 5000), ("5000/tcp", "::", 5000), ("53/udp", "0.0.0.0", 53)]),
            container("db", &[("3306/tcp", "127.0.0.1", 32000)]),
            container("chosen", &[("80/tcp", "::", 32901), ("80/tcp", "0.0.0.0", 32907)]),
            dead,
        ];
        let found = published(&all);
        let p = |service: &str, container, host, loopback| Published {
            service: service.into(),
            container,
            host,
            loopback,
            spot: 0,
        };
        assert_eq!(found, [p("app", 5000, 5000, false), p("db", 3306, 32000, true), p("chosen", 80, 32907, false)]);
    }

    #[test]
    fn templates_name_a_role() {
        assert_eq!(template("{db.names}", "names"), Some("db"));
        assert_eq!(template("db", "names"), None);
        assert_eq!(template("{db.published}", "names"), None);
    }
}

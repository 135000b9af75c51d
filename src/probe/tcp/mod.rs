//! `tcp`: a port answers, and who greets behind it.
//!
//! With `role` alone it is the role's published port, looked at from the lab; with `host` it is what that name means
//! where the probe stands, and `{db.names}` is any name of the role.

mod dial;

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::join_all;
use serde_json::json;

use self::dial::{View, dial};
use super::common::{Published, from_schema, here, layer_of, observer, player, published, template};
use super::{Attempt, Observation, Probe, ProbeError, ProbeKind, names};
use crate::expect::{FactSpec, Facts, Unit};
use crate::scenario::From;
use crate::scenario::tree::Decoder;
use crate::stack::Stack;
use crate::text::Text;

pub static KIND: ProbeKind = ProbeKind {
    name: "tcp",
    summary: "A TCP port accepts connections, and whose server greets",
    facts: &[
        FactSpec { name: "connected", unit: Unit::Bool, summary: "the port accepted, and did not hang up at once" },
        FactSpec {
            name: "address",
            unit: Unit::Text,
            summary: "`not_loopback`, or `loopback` where only the machine itself gets in",
        },
        FactSpec {
            name: "greeted_by",
            unit: Unit::Text,
            summary: "the role, else the service, whose server answers; or `nobody`",
        },
        FactSpec { name: "name", unit: Unit::Text, summary: "the name or address that worked" },
        FactSpec { name: "refused", unit: Unit::Text, summary: "why there was no connection" },
        FactSpec { name: "published", unit: Unit::Bool, summary: "the role publishes the port that is asked for" },
    ],
    example: "{id: db-by-name, points: 8, tcp: {host: \"{db.names}\", port: 3306, from: {inside: app}}, expect: {connected: true, greeted_by: db}}",
    schema: || {
        json!({
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "role": {"type": "string", "description": "the role whose published port is meant; without `port`, any of them"},
                "host": {"type": "string", "description": "a name or address, or `{role.names}` for any name of a role"},
                "port": {"type": "integer", "minimum": 1, "maximum": 65535, "description": "from `lab` and `host` the published one, from inside the container's own"},
                "from": from_schema()
            },
            "oneOf": [{"required": ["role"]}, {"required": ["host", "port"]}]
        })
    },
    decode: |d| decode(d).map(|probe| Box::new(probe) as Box<dyn Probe>),
};

/// Where a MySQL server listens, which speaks first.
const MYSQL: u16 = 3306;

#[derive(Debug)]
struct Tcp {
    target: Target,
    from: From,
}

#[derive(Debug)]
enum Target {
    /// A published port of a role.
    Published {
        role: String,
        port: Option<u16>,
    },
    /// Any name of a role.
    Names {
        role: String,
        port: u16,
    },
    Host {
        host: String,
        port: u16,
    },
}

fn decode(d: &mut Decoder<'_>) -> Option<Tcp> {
    let host_at = d.place("host").clone();
    let host = d.text("host");
    let port = d.port("port");
    let from = d.from("from");
    let named = host.as_deref().and_then(|h| template(h, "names")).map(str::to_owned);
    if let Some(role) = &named {
        d.names_role(role, &host_at);
    }
    let role = if d.has("role") || host.is_none() { Some(d.role("role")?) } else { None };
    let target = match (role, host) {
        (Some(_), Some(_)) => {
            d.problem_with("host", "`host` and `role` name two targets", Some("keep one: `role` for a published port"));
            return None;
        }
        (Some(role), None) => match (&from, port) {
            (From::Inside(_), Some(port)) => Target::Names { role, port },
            (From::Inside(_), None) => {
                d.problem_with(
                    "port",
                    "`port` is missing",
                    Some("from inside a service only the container's own port is known"),
                );
                return None;
            }
            _ => Target::Published { role, port },
        },
        (None, host) => {
            let Some(port) = port else {
                if !d.has("port") {
                    d.problem_with("port", "`port` is missing", None);
                }
                return None;
            };
            match named {
                Some(role) => Target::Names { role, port },
                None => Target::Host { host: host?, port },
            }
        }
    };
    Some(Tcp { target, from })
}

#[async_trait]
impl Probe for Tcp {
    fn roles(&self) -> Vec<String> {
        let mut roles = match &self.target {
            Target::Published { role, .. } | Target::Names { role, .. } => vec![role.clone()],
            Target::Host { .. } => Vec::new(),
        };
        if let From::Inside(role) = &self.from {
            roles.push(role.clone());
        }
        roles
    }

    fn layer(&self) -> &'static str {
        layer_of(&self.from)
    }

    fn published(&self) -> Option<&str> {
        match &self.target {
            Target::Published { role, .. } => Some(role),
            Target::Names { .. } | Target::Host { .. } => None,
        }
    }

    async fn observe(&self, stack: &Arc<Stack>, attempt: Attempt) -> Result<Observation, ProbeError> {
        match &self.target {
            Target::Published { role, port } => self.at_published(stack, role, *port, attempt).await,
            Target::Names { role, port } => self.by_name(stack, role, *port, attempt).await,
            Target::Host { host, port } => {
                let agent = here!(observer(stack, &self.from).await?, absent);
                let containers = stack.containers().await?;
                let dialled = dial(&agent, host, *port, *port == MYSQL, attempt).await?;
                let view = View { stack, containers: &containers, from: &self.from, attempt };
                view.observation(dialled, *port).await
            }
        }
    }
}

/// Any name of a role, from inside another: what a check of `{role.names}` sees.
pub(super) async fn by_name(
    stack: &Arc<Stack>,
    inside: &str,
    role: &str,
    port: u16,
    attempt: Attempt,
) -> Result<Observation, ProbeError> {
    let target = Target::Names { role: role.to_owned(), port };
    Tcp { target, from: From::Inside(inside.to_owned()) }.by_name(stack, role, port, attempt).await
}

fn absent(why: Text) -> Result<Observation, ProbeError> {
    let facts = Facts::from([
        ("connected".to_owned(), json!(false)),
        ("greeted_by".to_owned(), json!("nobody")),
        ("refused".to_owned(), json!(why.en)),
    ]);
    Ok(Observation { explanation: Some(why), ..Observation::of(facts) })
}

/// Whether a service in front evidently leads to another: it was built or configured by the submission, and names the other in
/// its dependences. A stock server that says "It works!" leads nowhere.
fn leads_to(stack: &Stack, proxy: &str, to: &str) -> bool {
    let Some(def) = stack.config.resolved.service(proxy) else { return false };
    let own = def.build.is_some() || def.mounts.iter().any(|m| m.bind);
    own && (def.depends_on.iter().any(|d| d == to) || def.links.iter().any(|(d, _)| d == to))
}

impl Tcp {
    async fn at_published(
        &self,
        stack: &Arc<Stack>,
        role: &str,
        port: Option<u16>,
        attempt: Attempt,
    ) -> Result<Observation, ProbeError> {
        let container = here!(player(stack, role).await?, absent);
        let containers = stack.containers().await?;
        let agent = here!(observer(stack, &self.from).await?, absent);
        let all = published(&containers);
        let own = all.iter().filter(|p| p.service == container.service);
        // A proxy in front of the role may publish the port for it; another role's port is not it.
        let alone = all.iter().all(|p| p.service != container.service);
        let taken = |p: &&Published| {
            (alone && leads_to(stack, &p.service, &container.service)) || p.service == container.service
        };
        let doors: Vec<&Published> = match port {
            Some(port) => all.iter().filter(|p| p.host == port).filter(taken).collect(),
            None => own.clone().collect(),
        };
        if doors.is_empty() {
            let elsewhere: Vec<String> = own.map(|p| p.host.to_string()).collect();
            let mut seen = absent(nothing_published(&container.service, port, &elsewhere))?;
            is_published(&mut seen, false);
            return Ok(seen);
        }
        let view = View { stack, containers: &containers, from: &self.from, attempt };
        let mut last = None;
        for door in doors {
            // Only its own machine reaches what is published on a loopback address.
            let near = if door.loopback && self.from == From::Lab { stack.spot(door.spot) } else { &stack.ground };
            let agent = if door.loopback && self.from == From::Lab { near.agents.lab().await? } else { agent.clone() };
            let dialled = dial(&agent, door.address(stack), door.host, door.container == MYSQL, attempt).await?;
            let connected = dialled.connected();
            let mut observation = view.observation(dialled, door.host).await?;
            is_published(&mut observation, true);
            if !connected {
                let (service, host, inner) = (&door.service, door.host, door.container);
                observation.explanation = Some(Text::new(
                    format!(
                        "port {host} is published, but nothing in service {service} answers on its port {inner} from outside"
                    ),
                    format!(
                        "el puerto {host} está publicado, pero nada en el servicio {service} responde desde afuera en su puerto {inner}"
                    ),
                ));
            }
            last = Some(observation);
            if connected {
                break;
            }
        }
        Ok(last.unwrap_or_default())
    }

    async fn by_name(
        &self,
        stack: &Arc<Stack>,
        role: &str,
        port: u16,
        attempt: Attempt,
    ) -> Result<Observation, ProbeError> {
        let target = here!(player(stack, role).await?, absent);
        let agent = here!(observer(stack, &self.from).await?, absent);
        let asking = match &self.from {
            From::Inside(role) => Some(here!(player(stack, role).await?, absent)),
            _ => None,
        };
        let containers = stack.containers().await?;
        let names = names::names(&agent, asking.as_ref(), &target, attempt.timeout).await?;
        // At once: a name that nobody knows may take a resolver its whole time.
        let dialled = join_all(names.iter().map(|name| dial(&agent, name, port, port == MYSQL, attempt))).await;
        let view = View { stack, containers: &containers, from: &self.from, attempt };
        let mut best: Option<(u8, Observation)> = None;
        let mut unknown = Vec::new();
        for dialled in dialled {
            let dialled = dialled?;
            let resolved = dialled.resolved();
            if !resolved {
                unknown.push(dialled.name.clone());
            }
            let connected = dialled.connected();
            let observation = view.observation(dialled, port).await?;
            let right = observation.subjects.first().and_then(|(_, f)| f.get("greeted_by")) == Some(&json!(role));
            let rank = u8::from(resolved) + u8::from(connected) + u8::from(connected && right);
            if best.as_ref().is_none_or(|(known, _)| rank > *known) {
                best = Some((rank, observation));
            }
        }
        let (rank, mut observation) = best.unwrap_or_default();
        if rank == 0 {
            let place = match &self.from {
                From::Inside(role) => role.clone(),
                other => other.to_string(),
            };
            let all = unknown.join(", ");
            observation.explanation = Some(Text::new(
                format!("no name of {role} resolves inside {place} (tried: {all}); are they on one network?"),
                format!(
                    "ningún nombre de {role} se resuelve dentro de {place} (se probó: {all}); ¿están en una misma red?"
                ),
            ));
        }
        Ok(observation)
    }
}

fn is_published(seen: &mut Observation, whether: bool) {
    if let Some((_, facts)) = seen.subjects.first_mut() {
        facts.insert("published".to_owned(), json!(whether));
    }
}

fn nothing_published(service: &str, port: Option<u16>, elsewhere: &[String]) -> Text {
    let list = elsewhere.join(", ");
    match (port, elsewhere.is_empty()) {
        (Some(port), true) => Text::new(
            format!("service {service} publishes no port; {port} was looked for"),
            format!("el servicio {service} no publica ningún puerto; se buscaba el {port}"),
        ),
        (Some(port), false) => Text::new(
            format!("service {service} publishes {list}, not {port}"),
            format!("el servicio {service} publica {list}, no {port}"),
        ),
        (None, _) => Text::new(
            format!("service {service} publishes no port"),
            format!("el servicio {service} no publica ningún puerto"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::tree::{self, Problem};

    fn decoded(text: &str) -> (Option<Tcp>, Vec<String>) {
        let node = tree::read(text, "s.yaml").unwrap();
        let mut problems: Vec<Problem> = Vec::new();
        let mut d = Decoder::new(&node, &mut problems);
        let probe = decode(&mut d);
        d.finish();
        (probe, problems.into_iter().map(|p| p.message).collect())
    }

    #[test]
    fn targets_are_told_apart() {
        let (probe, problems) = decoded("{role: app, port: 5000, from: lab}");
        assert!(problems.is_empty(), "{problems:?}");
        assert!(matches!(probe.unwrap().target, Target::Published { port: Some(5000), .. }));
        let (probe, _) = decoded("{host: \"{db.names}\", port: 3306, from: {inside: app}}");
        let probe = probe.unwrap();
        assert_eq!(probe.roles(), ["db", "app"]);
        assert!(matches!(probe.target, Target::Names { .. }));
        let (probe, _) = decoded("{role: db, port: 3306, from: {inside: app}}");
        assert!(matches!(probe.unwrap().target, Target::Names { .. }));
        let (probe, _) = decoded("{host: db, port: 3306, from: {inside: app}}");
        assert!(matches!(probe.unwrap().target, Target::Host { .. }));
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(decoded("{}").1, ["`role` is missing"]);
        assert_eq!(decoded("{host: db}").1, ["`port` is missing"]);
        assert_eq!(decoded("{role: app, host: x, port: 1}").1, ["`host` and `role` name two targets"]);
    }
}

//! `file`: what is at a path in a service's container, in a machine, or in what was handed in.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::common::{Found, here, look, player};
use super::machines::{Looks, On, Seen, Target, each, or_ended};
use super::page::text;
use super::{Attempt, Observation, Phase, Probe, ProbeError, ProbeKind, SERVICES};
use crate::agent::client::Agent;
use crate::agent::{Look, PathSeen, Root, Sight};
use crate::expect::{FactSpec, Facts, Unit};
use crate::scenario::tree::Decoder;
use crate::stack::machines::Node;
use crate::stack::{Body, Stack};
use crate::text::Text;

pub static KIND: ProbeKind = ProbeKind {
    name: "file",
    summary: "What is at a path: in a service's container or a machine, as they themselves see it, or in what was handed in; nothing is run for it",
    facts: &[
        FactSpec { name: "exists", unit: Unit::Bool, summary: "there is something; a link counts as what it leads to" },
        FactSpec {
            name: "kind",
            unit: Unit::Text,
            summary: "file, folder, device, pipe or socket; link for one that leads nowhere",
        },
        FactSpec { name: "link_to", unit: Unit::Text, summary: "what the path itself says where it is a link" },
        FactSpec { name: "mode", unit: Unit::Text, summary: "its permissions in octal: `0644`" },
        FactSpec { name: "owner", unit: Unit::Text, summary: "the user's name in the container, else the number" },
        FactSpec { name: "uid", unit: Unit::Number, summary: "the user's number" },
        FactSpec { name: "gid", unit: Unit::Number, summary: "the group's number" },
        FactSpec { name: "size_bytes", unit: Unit::Bytes, summary: "of a plain file" },
        FactSpec { name: "sha256", unit: Unit::Text, summary: "in hexadecimal; of a plain file of 64 MiB at most" },
        FactSpec {
            name: "content",
            unit: Unit::Text,
            summary: "the first 64 KiB of a plain file as text, whatever its charset",
        },
    ],
    example: "{id: app-is-there, points: 1, file: {role: app, path: /etc/hostname}, expect: {kind: file, mode: \"0644\", content: {matches: '\\S'}}}",
    schema: || {
        json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["path"],
            "not": {"required": ["role", "node"]},
            "properties": {
                "path": {"type": "string", "description": "absolute in a container or a machine, else relative to what was handed in"},
                "role": {"type": "string", "description": "whose container; with neither this nor `node`, in what was handed in"},
                "node": On::schema()
            }
        })
    },
    decode: |d| decode(d).map(|probe| Box::new(probe) as Box<dyn Probe>),
};

/// As much of a file as is a fact.
const MAX_CONTENT: usize = 64 * 1024;

struct File {
    path: String,
    /// None: in what was handed in.
    target: Option<Target>,
}

fn decode(d: &mut Decoder<'_>) -> Option<File> {
    let path = d.required_text("path");
    let inside = d.has("role") || d.has("node");
    let target = Target::decode(d);
    let path = path?;
    if target.is_some() && !path.starts_with('/') {
        d.problem_with("path", format!("`{path}` is no path in a container"), Some("it begins with `/`"));
    }
    if !inside && path.starts_with('/') {
        let hint = "name the `role` or the `node` that it is in, or leave the first `/` out";
        d.problem_with("path", format!("`{path}` is no path in what was handed in"), Some(hint));
    }
    Some(File { path, target })
}

#[async_trait]
impl Probe for File {
    fn phase(&self) -> Phase {
        if self.target.is_some() { Phase::Look } else { Phase::Static }
    }

    fn layer(&self) -> &'static str {
        self.target.as_ref().map_or(SERVICES, Target::layer)
    }

    fn roles(&self) -> Vec<String> {
        self.target.as_ref().map(Target::roles).unwrap_or_default()
    }

    fn excusable(&self) -> bool {
        self.target.is_some()
    }

    async fn observe(&self, stack: &Arc<Stack>, attempt: Attempt) -> Result<Observation, ProbeError> {
        let seen = match &self.target {
            None => {
                let root = Root::Folder(stack.submission.root.clone());
                see(&stack.ground.agents.host(), root, &self.path, MAX_CONTENT, attempt.timeout).await?
            }
            Some(Target::Role(role)) => {
                here!(in_container(stack, role, &self.path, MAX_CONTENT, attempt.timeout).await?, unseen)
            }
            Some(Target::Node(on)) => return each(stack, on, attempt, self).await,
        };
        Ok(observed(&self.path, seen.as_ref()))
    }
}

#[async_trait]
impl Looks for File {
    async fn at(&self, stack: &Stack, node: &Node, body: &Body, timeout: Duration) -> Result<Seen, ProbeError> {
        let looked =
            see(&body.seen_by(&stack.ground).lab().await?, body.root(), &self.path, MAX_CONTENT, timeout).await;
        Ok(match or_ended(looked, stack, node, body).await? {
            Found::Here(seen) => Seen::from(observed(&self.path, seen.as_ref())),
            Found::Absent(why) => Seen::default().because(why),
        })
    }

    fn without(&self, _node: Option<&Node>) -> Facts {
        Facts::new()
    }
}

fn observed(path: &str, seen: Option<&PathSeen>) -> Observation {
    let Some(seen) = seen else {
        let path = crate::sanitize::line(path, 200);
        let nothing = Text::new(format!("there is nothing at {path}"), format!("no hay nada en {path}"));
        let facts = Facts::from([("exists".to_owned(), json!(false))]);
        return Observation { explanation: Some(nothing), ..Observation::of(facts) };
    };
    observation(path, seen)
}

/// What cannot be looked into has not been seen to lack anything.
fn unseen(why: Text) -> Result<Observation, ProbeError> {
    Ok(Observation { explanation: Some(why), ..Observation::of(Facts::new()) })
}

/// What is at a path of a role's container.
pub(super) async fn in_container(
    stack: &Stack,
    role: &str,
    path: &str,
    max_bytes: usize,
    timeout: Duration,
) -> Result<Found<Option<PathSeen>>, ProbeError> {
    let container = match player(stack, role).await? {
        Found::Here(container) => container,
        Found::Absent(why) => return Ok(Found::Absent(why)),
    };
    let root = Root::Process { pid: container.pid, container: container.id.clone() };
    match see(&stack.spot_of(&container).agents.lab().await?, root, path, max_bytes, timeout).await {
        Ok(seen) => Ok(Found::Here(seen)),
        Err(error) => {
            // It may have stopped, or started anew, while it was looked into.
            let now = stack.spot_of(&container).engine.container(&container.id).await?;
            if now.is_same_start(&container) {
                return Err(error);
            }
            Ok(Found::Absent(Text::new(
                format!("service {} stopped while it was looked into", container.service),
                format!("el servicio {} se detuvo mientras se miraba dentro", container.service),
            )))
        }
    }
}

async fn see(
    agent: &Agent,
    root: Root,
    path: &str,
    max_bytes: usize,
    timeout: Duration,
) -> Result<Option<PathSeen>, ProbeError> {
    match look(agent, Look::Path { root, path: path.to_owned(), max_bytes }, timeout).await? {
        Sight::Path { seen } => Ok(seen),
        Sight::No { message, .. } => Err(ProbeError::ours(
            format!("could not read {path}: {message}"),
            format!("no se pudo leer {path}: {message}"),
        )),
        other => {
            Err(ProbeError::ours(format!("unexpected answer: {other:?}"), format!("respuesta inesperada: {other:?}")))
        }
    }
}

fn observation(path: &str, seen: &PathSeen) -> Observation {
    let dangling = seen.kind == "link";
    let mut facts = Facts::from([
        ("exists".to_owned(), json!(!dangling)),
        ("kind".to_owned(), json!(seen.kind)),
        ("link_to".to_owned(), seen.link_to.as_ref().map_or(Value::Null, |to| json!(to))),
    ]);
    if dangling {
        let to = crate::sanitize::line(seen.link_to.as_deref().unwrap_or_default(), 200);
        let why = Text::new(
            format!("{path} is a link to {to}, where there is nothing"),
            format!("{path} es un enlace a {to}, donde no hay nada"),
        );
        return Observation { explanation: Some(why), ..Observation::of(facts) };
    }
    facts.extend([
        ("mode".to_owned(), json!(format!("{:04o}", seen.mode))),
        ("owner".to_owned(), json!(seen.owner.clone().unwrap_or_else(|| seen.uid.to_string()))),
        ("uid".to_owned(), json!(seen.uid)),
        ("gid".to_owned(), json!(seen.gid)),
    ]);
    let mut evidence = Vec::new();
    if seen.kind == "file" {
        facts.extend([
            ("size_bytes".to_owned(), json!(seen.size_bytes)),
            ("sha256".to_owned(), seen.sha256.as_ref().map_or(Value::Null, |sum| json!(sum))),
            ("content".to_owned(), json!(text::decode(&seen.content, None))),
        ]);
        evidence.push(("content.txt".to_owned(), seen.content.clone()));
    }
    Observation { evidence, ..Observation::of(facts) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::tree;

    fn decoded(text: &str) -> (Option<File>, Vec<String>) {
        let node = tree::read(text, "s.yaml").unwrap();
        let mut problems = Vec::new();
        let mut d = Decoder::new(&node, &mut problems);
        let probe = decode(&mut d);
        d.finish();
        (probe, problems.into_iter().map(|p| p.message).collect())
    }

    #[test]
    fn a_role_or_what_was_handed_in() {
        let (probe, problems) = decoded("{role: app, path: /app/app.py}");
        let probe = probe.unwrap();
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!((probe.phase(), probe.roles()), (Phase::Look, vec!["app".to_owned()]));
        let (probe, problems) = decoded("{path: README.md}");
        assert!(problems.is_empty());
        assert_eq!(probe.unwrap().phase(), Phase::Static);
        assert_eq!(decoded("{path: /etc/passwd}").1, ["`/etc/passwd` is no path in what was handed in"]);
        assert_eq!(decoded("{role: app, path: app.py}").1, ["`app.py` is no path in a container"]);
        assert_eq!(decoded("{role: app}").1, ["`path` is missing"]);
        let (probe, problems) = decoded("{node: others, path: /etc/hosts}");
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(probe.map(|probe| (probe.layer(), probe.phase())), Some(("machines", Phase::Look)));
        assert_eq!(decoded("{node: all, role: app, path: /x}").1, ["`node` and `role` name two targets"]);
    }

    #[test]
    fn a_link_to_nothing_is_nothing_and_says_where_it_leads() {
        let seen = PathSeen { kind: "link".into(), link_to: Some("/gone".into()), ..PathSeen::default() };
        let observation = observation("/app", &seen);
        assert_eq!(observation.subjects[0].1["exists"], json!(false));
        assert_eq!(observation.explanation.unwrap().en, "/app is a link to /gone, where there is nothing");
    }
}

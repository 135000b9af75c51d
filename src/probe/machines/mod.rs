//! What the kinds that look at machines share: which machines are meant, whether one is up, and how to look at each of them.
//!
//! A student is root in a machine, so what its programs say is testimony. What can be had from the kernel is had from there,
//! through the lab: its tables of mounts, sockets and routes by the machine's first process.

pub mod ansible;
pub mod disk;
mod each;
pub(super) mod from_outside;
pub(super) mod kernel;
pub mod machine;
pub mod mount;
pub mod package;
pub mod port;
pub mod process;
pub mod service;
pub mod vagrantfile;

use serde_json::json;

use super::common::Found;
use super::{MACHINES, Observation, ProbeError, SERVICES};
use crate::agent::client::{Agent, AgentError};
use crate::expect::Facts;
use crate::scenario::tree::Decoder;
use crate::stack::machines::Node;
use crate::stack::{Body, Stack, found};
use crate::submission::machines::{Loaded, Vagrantfile};
use crate::text::Text;
use each::OnMachines;
pub(super) use each::{Looks, each};
pub(in crate::probe) use from_outside::{or_ended, unexpected};

/// Which machines are looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum On {
    #[default]
    All,
    First,
    Others,
    Named(String),
}

impl On {
    /// What the key says; all of them where it is not there.
    pub(super) fn decode(d: &mut Decoder<'_>, key: &'static str) -> Self {
        match d.text(key) {
            None => Self::All,
            Some(word) => match word.trim() {
                "all" => Self::All,
                "first" => Self::First,
                "others" => Self::Others,
                "" => {
                    d.problem_with(key, format!("`{key}` names no machine"), None);
                    Self::All
                }
                name => Self::Named(name.to_owned()),
            },
        }
    }

    pub(super) fn schema() -> serde_json::Value {
        json!({
            "type": "string",
            "description": "which machines: `all` (the default), `first` (the first that the Vagrantfile defines), `others` (all but that one), or a machine's name; each is a subject of its own, and what is expected must hold for all of them"
        })
    }

    fn takes(&self, number: usize, node: &Node) -> bool {
        match self {
            Self::All => true,
            Self::First => number == 0,
            Self::Others => number > 0,
            Self::Named(name) => node.name() == name,
        }
    }
}

/// Where a kind looks that looks into services and into machines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Role(String),
    Node(On),
}

impl Target {
    /// `role` or `node`; none where neither is there.
    pub(super) fn decode(d: &mut Decoder<'_>) -> Option<Self> {
        if !d.has("node") {
            // Asked for, so that a mistyped key is told what it may be.
            d.node("node");
            if !d.has("role") {
                d.node("role");
                return None;
            }
            return d.role("role").map(Self::Role);
        }
        let on = On::decode(d, "node");
        if d.has("role") {
            d.role("role");
            d.problem_with("node", "`node` and `role` name two targets", Some("keep one"));
        }
        Some(Self::Node(on))
    }

    pub(super) fn layer(&self) -> &'static str {
        if matches!(self, Self::Node(_)) { MACHINES } else { SERVICES }
    }

    pub(super) fn roles(&self) -> Vec<String> {
        match self {
            Self::Role(role) => vec![role.clone()],
            Self::Node(_) => Vec::new(),
        }
    }
}

/// A machine as a sentence begins with it.
pub(super) fn called(node: &Node) -> Text {
    let name = crate::sanitize::line(node.name(), 60);
    Text::new(format!("machine {name}"), format!("la máquina {name}"))
}

/// The machines that are meant, up or not; that there are none is a fact.
///
/// # Errors
/// Where it is not known what the Vagrantfile defines, or the layer could not be had for no fault of the submission's.
pub(super) fn chosen<'a>(stack: &'a Stack, on: &On) -> Result<Found<Vec<&'a Node>>, ProbeError> {
    let nodes = &stack.machines.nodes;
    if nodes.is_empty() {
        return none(stack).map(Found::Absent);
    }
    let chosen: Vec<&Node> = nodes.iter().enumerate().filter(|(n, node)| on.takes(*n, node)).map(|(_, n)| n).collect();
    if !chosen.is_empty() {
        return Ok(Found::Here(chosen));
    }
    let names: Vec<String> = nodes.iter().map(|node| crate::sanitize::line(node.name(), 60)).collect();
    let names = names.join(", ");
    Ok(Found::Absent(match on {
        On::Named(name) => Text::new(
            format!("the Vagrantfile defines no machine called {name}; it defines: {names}"),
            format!("el Vagrantfile no define ninguna máquina llamada {name}; define: {names}"),
        ),
        _ => Text::new(
            format!("the Vagrantfile defines one machine only: {names}"),
            format!("el Vagrantfile define una sola máquina: {names}"),
        ),
    }))
}

/// Why there are no machines at all: the submission's doing.
fn none(stack: &Stack) -> Result<Text, ProbeError> {
    if let Some(left_out) = &stack.machines.left_out {
        return Ok(left_out.fault()?);
    }
    let file = stack.submission.vagrantfile.as_ref();
    if declared(file)? == Declared::Machines {
        return Err(ProbeError::ours(
            "the machines were not brought up in this run",
            "las máquinas no se levantaron en esta ejecución",
        ));
    }
    Ok(match file.map(|file| &file.loaded) {
        Some(Loaded::Refused { text, .. }) => text.clone(),
        Some(_) => Text::new("the Vagrantfile defines no machine", "el Vagrantfile no define ninguna máquina"),
        None => no_vagrantfile(),
    })
}

fn no_vagrantfile() -> Text {
    Text::new("there is no Vagrantfile in what was handed in", "no hay ningún Vagrantfile en lo entregado")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Declared {
    Nothing,
    Machines,
}

/// Whether machines are declared.
///
/// # Errors
/// Where that is not known.
fn declared(file: Option<&Vagrantfile>) -> Result<Declared, ProbeError> {
    match file.map(|file| &file.loaded) {
        None | Some(Loaded::Refused { .. }) => Ok(Declared::Nothing),
        Some(Loaded::Machines(machines)) if machines.is_empty() => Ok(Declared::Nothing),
        Some(Loaded::Machines(_)) => Ok(Declared::Machines),
        Some(Loaded::Unknown { reason, text }) => Err(ProbeError { reason: *reason, text: text.clone() }),
        Some(Loaded::NotYet) => Err(ProbeError::ours(
            "the Vagrantfile was not read by Vagrant's loader in this run",
            "el Vagrantfile no se leyó con el cargador de Vagrant en esta ejecución",
        )),
    }
}

/// See [`Stack::machine`].
pub(super) async fn up(stack: &Stack, node: &Node) -> Result<Found<Body>, ProbeError> {
    Ok(stack.machine(node).await?)
}

/// An agent in the network of a machine: `first`, or its name.
pub(super) async fn inside(stack: &Stack, name: &str) -> Result<Found<Agent>, ProbeError> {
    let on = if name == "first" { On::First } else { On::Named(name.to_owned()) };
    let node = match chosen(stack, &on)? {
        Found::Here(nodes) => nodes.into_iter().next(),
        Found::Absent(why) => return Ok(Found::Absent(why)),
    };
    let Some(node) = node else { return Ok(Found::Absent(no_vagrantfile())) };
    let body = match up(stack, node).await? {
        Found::Here(body) => body,
        Found::Absent(why) => return Ok(Found::Absent(why)),
    };
    match (body.stand(&stack.ground).await, &body) {
        (Ok(agent), _) => Ok(Found::Here(agent)),
        (Err(AgentError::NotRunning { .. }), Body::Container(container)) => {
            Ok(Found::Absent(found::ended(node, container)))
        }
        (Err(error), _) => match ended(stack, node, &body).await? {
            Some(why) => Ok(Found::Absent(why)),
            None => Err(error.into()),
        },
    }
}

/// That a machine ended, or started anew, while it was looked at.
pub(super) async fn ended(stack: &Stack, node: &Node, body: &Body) -> Result<Option<Text>, ProbeError> {
    let anew = match body {
        Body::Container(container) => {
            let now = stack.ground.engine.container(&container.id).await?;
            if !now.running() {
                return Ok(Some(found::ended(node, &now)));
            }
            now.started_at != container.started_at
        }
        // One that does not answer may be down or busy: nobody knows.
        Body::Guest(before) => before.guest.boot().await? != before.boot,
    };
    let name = crate::sanitize::line(node.name(), 60);
    Ok(anew.then(|| {
        Text::new(
            format!("machine {name} started anew while it was looked at"),
            format!("la máquina {name} se reinició mientras se miraba"),
        )
    }))
}

/// What was seen of one machine.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) facts: Facts,
    /// What it means where they are not as they should be.
    pub(super) why: Option<Text>,
    pub(super) evidence: Vec<(String, Vec<u8>)>,
}

impl Seen {
    pub(super) fn of<const N: usize>(facts: [(&str, serde_json::Value); N]) -> Self {
        Self { facts: facts.map(|(name, value)| (name.to_owned(), value)).into(), ..Self::default() }
    }

    pub(super) fn because(mut self, why: Text) -> Self {
        self.why = Some(why);
        self
    }
}

impl From<Observation> for Seen {
    /// Of the only subject.
    fn from(mut observation: Observation) -> Self {
        let facts = observation.subjects.pop().map(|(_, facts)| facts).unwrap_or_default();
        Self { facts, why: observation.explanation, evidence: observation.evidence }
    }
}

#[cfg(test)]
mod tests;

//! `ansible`: what came of the provisioning: whether plays ran against machines, what they changed, what failed; and what a
//! second run changes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;

use super::{On, chosen};
use crate::backend::vagrant::again::again;
use crate::backend::vagrant::blame::changed_again;
use crate::expect::{FactSpec, Facts, Unit};
use crate::probe::common::Found;
use crate::probe::{Attempt, MACHINES, Observation, Phase, Probe, ProbeError, ProbeKind, SETTLED};
use crate::scenario::tree::Decoder;
use crate::stack::machines::{HostStats, Machines, Provisioned, Task};
use crate::stack::{LeftOut, Stack};
use crate::text::Text;

pub static KIND: ProbeKind = ProbeKind {
    name: "ansible",
    summary: "What came of the provisioning with Ansible, by what its controller in the lab reported task by task; with `again`, what a second run of all provisioners changes",
    facts: &[
        FactSpec { name: "ran", unit: Unit::Bool, summary: "at least one play ran against a machine" },
        FactSpec { name: "ok", unit: Unit::Bool, summary: "one did, and the provisioning as a whole went well" },
        FactSpec {
            name: "changed_something",
            unit: Unit::Bool,
            summary: "a task changed a machine, or would have changed a machine of the box that is declared",
        },
        FactSpec { name: "changed", unit: Unit::Number, summary: "how many tasks did, machines taken together" },
        FactSpec {
            name: "failed",
            unit: Unit::Number,
            summary: "tasks that failed; one that was ignored or rescued is not among them",
        },
        FactSpec { name: "unreachable", unit: Unit::Number, summary: "machines that could not be reached" },
        FactSpec {
            name: "tasks",
            unit: Unit::Number,
            summary: "tasks that ran, machines taken together; none that was skipped",
        },
        FactSpec { name: "ignored", unit: Unit::Number, summary: "failures that `ignore_errors` passed over" },
        FactSpec { name: "rescued", unit: Unit::Number, summary: "failures that a `rescue` caught" },
        FactSpec {
            name: "mapped",
            unit: Unit::Number,
            summary: "tasks that a module of ours served in place of the one named, since the node is another system than the box",
        },
        FactSpec { name: "by", unit: Unit::List, summary: "the kinds of provisioners that are declared, each once" },
        FactSpec {
            name: "changed_again",
            unit: Unit::Number,
            summary: "with `again`: tasks that changed a machine in the second run",
        },
        FactSpec {
            name: "unchanged",
            unit: Unit::Bool,
            summary: "with `again`: the second run went well and changed nothing",
        },
    ],
    example: "{id: provisioned, points: 6, ansible: {}, expect: {ran: true, ok: true, changed_something: true, failed: 0, unreachable: 0}}",
    schema: || {
        json!({"type": "object", "additionalProperties": false, "properties": {
            "again": {"type": "boolean", "description": "runs all provisioners once more, alone, after all looking"}
        }})
    },
    decode: |d| decode(d).map(|probe| Box::new(probe) as Box<dyn Probe>),
};

/// Of the time of an exercise, what is left to say how it went.
const TO_TELL: Duration = Duration::from_secs(5);
/// Of tasks that changed again, so many are named.
const NAMED: usize = 10;

struct Ansible {
    again: bool,
}

fn decode(d: &mut Decoder<'_>) -> Option<Ansible> {
    Some(Ansible { again: d.bool_or("again", false) })
}

#[async_trait]
impl Probe for Ansible {
    fn phase(&self) -> Phase {
        if self.again { Phase::Exercise } else { Phase::Look }
    }

    fn layer(&self) -> &'static str {
        MACHINES
    }

    async fn observe(&self, stack: &Arc<Stack>, attempt: Attempt) -> Result<Observation, ProbeError> {
        if let Found::Absent(why) = chosen(stack, &On::All)? {
            return Ok(nothing(&stack.machines, why));
        }
        let Some(first) = &stack.machines.provisioned else { return without_a_run(&stack.machines) };
        if !self.again {
            return provisioned(&stack.machines, first);
        }
        if first.why.is_some() || !ran(first) {
            let mut observation = provisioned(&stack.machines, first)?;
            // A second run says nothing of one that did not come to its end.
            let facts = observation.subjects.iter_mut().map(|(_, facts)| facts);
            facts.for_each(|facts| facts.retain(|name, _| name == "by"));
            return Ok(observation);
        }
        let second = again(stack, attempt.timeout.saturating_sub(TO_TELL)).await.map_err(|error| {
            let text = error.text();
            ProbeError::ours(
                format!("could not provision a second time: {}", text.en),
                format!("no se pudo aprovisionar por segunda vez: {}", text.es),
            )
        })?;
        repeated(&stack.machines, &second)
    }
}

fn nothing(machines: &Machines, why: Text) -> Observation {
    let facts = Facts::from([("ran".to_owned(), json!(false)), ("by".to_owned(), json!(kinds(machines)))]);
    Observation { explanation: Some(why), conditions: vec![SETTLED.to_owned()], ..Observation::of(facts) }
}

/// The machines are known, and no provisioner was run.
fn without_a_run(machines: &Machines) -> Result<Observation, ProbeError> {
    // Those of a machine that was not started are nobody's to run.
    let declared = machines.nodes.iter().filter(|node| node.is_up()).any(|node| !node.def.provisioners.is_empty());
    let left_out = machines.left_out.iter().chain(machines.nodes.iter().filter_map(|node| node.left_out.as_ref()));
    match left_out.into_iter().next() {
        Some(LeftOut { reason: Some(reason), text }) => Err(ProbeError { reason: *reason, text: text.clone() }),
        Some(LeftOut { reason: None, text }) => Ok(nothing(machines, text.clone())),
        None if declared => Err(ProbeError::ours(
            "provisioners are declared, and none was run",
            "se declaran aprovisionadores, y no se ejecutó ninguno",
        )),
        None => Ok(nothing(machines, no_ansible(machines))),
    }
}

/// Why there was nothing to run: what the Vagrantfile has instead.
fn no_ansible(machines: &Machines) -> Text {
    let kinds = crate::sanitize::line(&kinds(machines).join(", "), 100);
    if kinds.is_empty() {
        return Text::new("the Vagrantfile has no provisioner", "el Vagrantfile no tiene aprovisionador");
    }
    Text::new(
        format!("the Vagrantfile has no Ansible provisioner, only: {kinds}"),
        format!("el Vagrantfile no tiene aprovisionador Ansible, solo: {kinds}"),
    )
}

fn kinds(machines: &Machines) -> Vec<String> {
    let mut kinds: Vec<String> = Vec::new();
    for provisioner in machines.nodes.iter().flat_map(|node| &node.def.provisioners) {
        if provisioner.run.as_deref() != Some("never") && !kinds.contains(&provisioner.kind) {
            kinds.push(provisioner.kind.clone());
        }
    }
    kinds
}

fn tasks(of: &Provisioned) -> impl Iterator<Item = &Task> {
    of.plays.iter().flat_map(|play| &play.tasks).filter(|task| task.status != "skipped")
}

/// At least one task ran on a machine: a play on the controller alone provisions nothing.
fn ran(of: &Provisioned) -> bool {
    tasks(of).any(|task| task.on_machine && task.status != "unreachable")
}

fn facts(machines: &Machines, of: &Provisioned) -> Facts {
    let all = || of.plays.iter().flat_map(|play| &play.hosts);
    let sum = |count: fn(&HostStats) -> u64| all().map(count).sum::<u64>();
    // What a node had from the beginning would have been changed on a machine of the declared box.
    let changes = |task: &&Task| task.status == "changed" || (task.provided && task.status == "ok");
    let changed = tasks(of).filter(|task| task.on_machine).filter(changes).count();
    let ran = ran(of);
    Facts::from([
        ("ran".to_owned(), json!(ran)),
        ("ok".to_owned(), json!(ran && of.ok && of.why.is_none() && of.hung.is_none())),
        ("changed_something".to_owned(), json!(changed > 0)),
        ("changed".to_owned(), json!(changed)),
        ("failed".to_owned(), json!(sum(|stats| stats.failed))),
        ("unreachable".to_owned(), json!(sum(|stats| stats.unreachable))),
        ("tasks".to_owned(), json!(tasks(of).count())),
        ("ignored".to_owned(), json!(sum(|stats| stats.ignored))),
        ("rescued".to_owned(), json!(sum(|stats| stats.rescued))),
        ("mapped".to_owned(), json!(tasks(of).filter(|task| task.mapped.is_some()).count())),
        ("by".to_owned(), json!(kinds(machines))),
    ])
}

fn provisioned(machines: &Machines, of: &Provisioned) -> Result<Observation, ProbeError> {
    let why = why(of)?;
    let facts = facts(machines, of);
    let said = |fact: &str| facts.get(fact) == Some(&json!(true));
    let explanation = why.or_else(|| {
        if !kinds(machines).iter().any(|kind| kind.starts_with("ansible")) {
            Some(no_ansible(machines))
        } else if !said("ran") {
            Some(Text::new("no play ran against a machine", "ningún play se ejecutó contra una máquina"))
        } else if !said("changed_something") {
            Some(Text::new(
                "plays ran, and none of their tasks changed a machine",
                "los plays se ejecutaron, y ninguna de sus tareas cambió una máquina",
            ))
        } else {
            hidden(&facts)
        }
    });
    let mut observation = Observation { explanation, conditions: vec![SETTLED.to_owned()], ..Observation::of(facts) };
    observation.notes.extend(mapped(of));
    Ok(observation)
}

/// # Errors
/// Where it failed for no fault of the submission's.
fn why(of: &Provisioned) -> Result<Option<Text>, ProbeError> {
    match &of.why {
        Some(LeftOut { reason: Some(reason), text }) => Err(ProbeError { reason: *reason, text: text.clone() }),
        Some(LeftOut { reason: None, text }) => Ok(Some(text.clone())),
        None => Ok(None),
    }
}

/// Failures that the plays themselves passed over.
fn hidden(facts: &Facts) -> Option<Text> {
    let count = |fact: &str| facts.get(fact).and_then(serde_json::Value::as_u64).unwrap_or_default();
    let (ignored, rescued) = (count("ignored"), count("rescued"));
    (ignored + rescued > 0).then(|| {
        Text::new(
            format!("failures that the plays passed over: {ignored} ignored, {rescued} rescued"),
            format!("fallos que los plays dejaron pasar: {ignored} ignorados, {rescued} rescatados"),
        )
    })
}

/// What stood in for modules of another system.
fn mapped(of: &Provisioned) -> Option<Text> {
    let mut all: Vec<String> = Vec::new();
    for what in tasks(of).filter_map(|task| task.mapped.as_ref()) {
        let what = crate::sanitize::line(what, 100);
        if !all.contains(&what) {
            all.push(what);
        }
    }
    let shown = all.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
    let more = all.len().saturating_sub(NAMED);
    let more = match more {
        0 => Text::default(),
        _ => Text::new(format!(" (and {more} more)"), format!(" (y {more} más)")),
    };
    (!all.is_empty()).then(|| {
        Text::new(
            format!("the node is another system than the box, so modules were served by others: {shown}{}", more.en),
            format!(
                "el nodo es otro sistema que el box, así que otros módulos sirvieron en su lugar: {shown}{}",
                more.es
            ),
        )
    })
}

/// What the second run changed. That it changed nothing is no fault of it, as it would be of a first one.
fn repeated(machines: &Machines, second: &Provisioned) -> Result<Observation, ProbeError> {
    let broke = |stats: &HostStats| stats.failed + stats.unreachable > 0;
    let whole = second.plays.iter().all(|play| play.ended && !play.hosts.iter().any(broke));
    let well = second.ok && second.hung.is_none() && whole;
    let why = if well { None } else { why(second)? };
    let again: Vec<String> = changed_again(&second.plays)
        .into_iter()
        .map(|task| {
            let line = format!("{} {} ({})", task.at.as_deref().unwrap_or("-"), task.name, task.host);
            crate::sanitize::line(&line, 200)
        })
        .collect();
    let changed = again.len();
    let facts = Facts::from([
        ("changed_again".to_owned(), json!(changed)),
        ("unchanged".to_owned(), json!(well && changed == 0)),
        ("by".to_owned(), json!(kinds(machines))),
    ]);
    let mut observation = Observation::of(facts);
    for line in again.iter().take(NAMED) {
        observation.notes.push(Text::new(format!("changed again: {line}"), format!("cambió de nuevo: {line}")));
    }
    observation.explanation = why.or_else(|| {
        let first = again.first()?;
        Some(Text::new(
            format!("a second run changed {changed} more times; first: {first}"),
            format!("una segunda ejecución cambió {changed} veces más; primero: {first}"),
        ))
    });
    observation.evidence.push(("provision-again.txt".to_owned(), second.output.clone().into_bytes()));
    Ok(observation)
}

#[cfg(test)]
mod tests;

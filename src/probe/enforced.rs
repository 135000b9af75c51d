//! `enforced`: a limit in force is one that kills. A process of our own takes more than the service may have, as a member of
//! its control group, and asks to be killed first; the submission's image is not touched and its service lives on.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;

use super::common::{Found, player};
use super::{Attempt, Observation, Phase, Probe, ProbeError, ProbeKind};
use crate::docker::Container;
use crate::expect::{FactSpec, Facts, Unit};
use crate::notice::Reason;
use crate::stack::Stack;
use crate::text::Text;

pub static KIND: ProbeKind = ProbeKind {
    name: "enforced",
    summary: "A limit in force kills: a process of our own takes more memory than the service may have, as a member of its control group, and asks to be killed first",
    facts: &[
        FactSpec {
            name: "killed",
            unit: Unit::Bool,
            summary: "the kernel killed what took too much; false where there is no limit, and nothing is tried",
        },
        FactSpec {
            name: "service_unharmed",
            unit: Unit::Bool,
            summary: "the service is still the same start afterwards, and nothing else of it was killed",
        },
        FactSpec { name: "limit_bytes", unit: Unit::Bytes, summary: "the limit in force as it was tried; 0 is none" },
        FactSpec {
            name: "kills",
            unit: Unit::Number,
            summary: "how many processes the kernel killed meanwhile for this limit",
        },
    ],
    example: "{id: memory-enforced, points: 0, enforced: {role: [app, db], resource: memory}, expect: {killed: true, service_unharmed: true}}",
    schema: || {
        json!({"type": "object", "additionalProperties": false, "properties": {
            "role": {"type": ["string", "array"], "items": {"type": "string"}, "description": "a role, or several"},
            "resource": {"enum": ["memory"], "description": "whose limit"}}, "required": ["role", "resource"]})
    },
    decode: |d| {
        let roles = d.roles("role");
        d.required_word("resource", &["memory"])?;
        (!roles.is_empty()).then(|| Box::new(Enforced { roles }) as Box<dyn Probe>)
    },
};

/// A service that dies of it does so at once; its engine hears of it a little later.
const AFTER: Duration = Duration::from_secs(1);

struct Enforced {
    roles: Vec<String>,
}

#[async_trait]
impl Probe for Enforced {
    fn phase(&self) -> Phase {
        Phase::Exercise
    }

    fn roles(&self) -> Vec<String> {
        self.roles.clone()
    }

    fn excusable(&self) -> bool {
        false
    }

    async fn observe(&self, stack: &Arc<Stack>, attempt: Attempt) -> Result<Observation, ProbeError> {
        let mut all = Observation::default();
        for text in &stack.overrides {
            let (en, es) = (&text.en, &text.es);
            all.notes.push(Text::new(
                format!("not the limit as handed in was tried: {en}"),
                format!("no se probó el límite tal como se entregó: {es}"),
            ));
        }
        let each = attempt.timeout / u32::try_from(self.roles.len().max(1)).unwrap_or(1);
        for role in &self.roles {
            let (facts, why) = match player(stack, role).await? {
                Found::Here(container) => try_out(stack, &container, each).await?,
                Found::Absent(why) => (Facts::new(), Some(why)),
            };
            all.explanation = all.explanation.take().or(why);
            let name = if self.roles.len() == 1 { String::new() } else { role.clone() };
            all.subjects.push((name, facts));
        }
        Ok(all)
    }
}

async fn try_out(stack: &Stack, container: &Container, timeout: Duration) -> Result<(Facts, Option<Text>), ProbeError> {
    let service = &container.service;
    let group = stack.memory_group(container).await?;
    let Some(limit) = group.limit else {
        let facts = Facts::from([("killed".to_owned(), json!(false)), ("limit_bytes".to_owned(), json!(0))]);
        let why = Text::new(
            format!("{service} has no memory limit in force: there is nothing to try"),
            format!("{service} no tiene límite de memoria en vigor: no hay nada que probar"),
        );
        return Ok((facts, Some(why)));
    };
    let Some(bytes) = stack.spot_of(container).more_than(limit).await? else {
        let mib = limit >> 20;
        return Err(ProbeError::new(
            Reason::NotHere,
            format!("the limit of {service}, {mib} MiB, is too large to be tried on this machine"),
            format!("el límite de {service}, {mib} MiB, es demasiado grande para probarlo en esta máquina"),
        ));
    };
    let ended = stack.spot_of(container).agents.allocate(&group.folder, bytes, timeout).await?;
    tokio::time::sleep(AFTER).await;
    let after = stack.spot_of(container).engine.container(&container.id).await?;
    let same = after.is_same_start(container);
    // A service that died took its group with it.
    let kills = match (same, group.kills) {
        (true, Some(before)) => stack.memory_group(container).await?.kills.map(|now| now.saturating_sub(before)),
        _ => None,
    };
    let killed = match ended.status {
        0 => false,
        137 if kills != Some(0) => true,
        137 => {
            return Err(ProbeError::new(
                Reason::Host,
                format!("what took the memory of {service} was killed for the machine's own want of it"),
                format!("lo que tomó la memoria de {service} se mató porque a la propia máquina le faltaba"),
            ));
        }
        status => {
            let said = crate::sanitize::line(&ended.both(), 200);
            return Err(ProbeError::ours(
                format!("no memory could be taken within the limit of {service} (status {status}): {said}"),
                format!("no se pudo tomar memoria dentro del límite de {service} (estado {status}): {said}"),
            ));
        }
    };
    let unharmed = same && kills.is_none_or(|kills| kills <= 1);
    let mut facts = Facts::from([
        ("killed".to_owned(), json!(killed)),
        ("service_unharmed".to_owned(), json!(unharmed)),
        ("limit_bytes".to_owned(), json!(limit)),
    ]);
    facts.extend(kills.map(|kills| ("kills".to_owned(), json!(kills))));
    Ok((facts, meaning(service, killed, unharmed, bytes)))
}

fn meaning(service: &str, killed: bool, unharmed: bool, bytes: u64) -> Option<Text> {
    let mib = bytes >> 20;
    match (killed, unharmed) {
        (true, true) => None,
        (false, _) => Some(Text::new(
            format!(
                "{mib} MiB could be taken within the limit of {service}, and nothing was killed: it is not enforced"
            ),
            format!("se pudieron tomar {mib} MiB dentro del límite de {service} y no se mató nada: no se hace cumplir"),
        )),
        (true, false) => Some(Text::new(
            format!("the limit of {service} killed a process of the service as well"),
            format!("el límite de {service} mató también un proceso del servicio"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(meaning("app", true, true, 1 << 20), None);
        assert!(meaning("app", false, true, 5 << 20).unwrap().en.contains("5 MiB could be taken"));
        assert!(meaning("app", true, false, 0).unwrap().en.contains("killed a process of the service"));
    }
}

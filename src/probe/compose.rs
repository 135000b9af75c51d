//! `compose`: what the compose tool makes of the file, and whether bringing it up again changes anything.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Attempt, Observation, Phase, Probe, ProbeError, ProbeKind};
use crate::backend::{blame, compose as backend};
use crate::expect::{FactSpec, Facts, Unit};
use crate::notice::Reason;
use crate::stack::{FirstUp, Stack};
use crate::text::Text;

pub static KIND: ProbeKind = ProbeKind {
    name: "compose",
    summary: "The compose file: valid, its services, and what a second `up` changes",
    facts: &[
        FactSpec { name: "valid", unit: Unit::Bool, summary: "the compose tool accepts the file" },
        FactSpec { name: "message", unit: Unit::Text, summary: "what the tool printed where it does not" },
        FactSpec { name: "services", unit: Unit::List, summary: "names of the services" },
        FactSpec {
            name: "started",
            unit: Unit::Bool,
            summary: "with first_up: every service started at the first `up`",
        },
        FactSpec {
            name: "recreated",
            unit: Unit::List,
            summary: "with second_up: running services that a second `up` made anew",
        },
    ],
    example: "{id: compose-valid, points: 1, compose: {}, expect: {valid: true}}",
    schema: || {
        json!({"type": "object", "additionalProperties": false, "properties": {
            "first_up": {"type": "boolean", "description": "what the first `up` started; not with `second_up`"},
            "second_up": {"type": "boolean", "description": "brings it up again, after all looking"}}})
    },
    decode: |d| {
        let what = match (d.bool_or("first_up", false), d.bool_or("second_up", false)) {
            (false, false) => What::File,
            (true, false) => What::FirstUp,
            (false, true) => What::SecondUp,
            (true, true) => {
                d.problem_with("second_up", "first_up and second_up are two checks", Some("write one check for each"));
                return None;
            }
        };
        Some(Box::new(Compose { what }))
    },
};

struct Compose {
    what: What,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    File,
    FirstUp,
    SecondUp,
}

#[async_trait]
impl Probe for Compose {
    fn phase(&self) -> Phase {
        match self.what {
            What::File => Phase::Static,
            What::FirstUp => Phase::Look,
            What::SecondUp => Phase::Exercise,
        }
    }

    fn excusable(&self) -> bool {
        false
    }

    async fn observe(&self, stack: &Arc<Stack>, _attempt: Attempt) -> Result<Observation, ProbeError> {
        match self.what {
            What::File => file(stack),
            What::FirstUp => first_up(stack).await,
            What::SecondUp => second_up(stack).await,
        }
    }
}

fn file(stack: &Stack) -> Result<Observation, ProbeError> {
    let config = &stack.config;
    if !config.valid && config.for_newer {
        let text = Text::new(
            format!("the file is written for docker compose 2, and labs have 1.29: {}", config.message),
            format!(
                "el archivo está escrito para docker compose 2, y los laboratorios tienen 1.29: {}",
                config.message
            ),
        );
        return Err(ProbeError { reason: Reason::NotHere, text });
    }
    let names: Vec<&str> = config.resolved.services.iter().map(|s| s.name.as_str()).collect();
    let mut observation = Observation::of(Facts::from([
        ("valid".to_owned(), json!(config.valid)),
        ("message".to_owned(), json!(config.message)),
        ("services".to_owned(), json!(names)),
    ]));
    if !config.valid {
        observation.explanation = Some(Text::new(
            format!("the compose tool refuses the file: {}", config.message),
            format!("la herramienta compose rechaza el archivo: {}", config.message),
        ));
    }
    Ok(observation)
}

/// Services that only a second `up` started; unless it was a stand-in's version that the first one died of.
async fn first_up(stack: &Stack) -> Result<Observation, ProbeError> {
    let Some(FirstUp { healed_by_second: healed, .. }) = stack.first_up.as_ref().filter(|f| !f.nothing_ran) else {
        let text = Text::new(
            "nothing of the stack ran, so what one `up` is enough for was not seen",
            "nada de la pila llegó a funcionar, así que no se vio para qué basta un `up`",
        );
        return Err(ProbeError { reason: Reason::NotHere, text });
    };
    let mut observation = Observation::of(Facts::from([("started".to_owned(), json!(healed.is_empty()))]));
    if healed.is_empty() {
        return Ok(observation);
    }
    let containers = stack.containers().await?;
    for container in containers.iter().filter(|c| healed.contains(&c.service)) {
        let service = stack.services.get(&container.service);
        let Some(stand_in) = service.and_then(|s| s.image.stand_in.as_ref()) else { continue };
        let log = stack.spot_of(container).engine.logs(&container.id, None, None).await?;
        if let Some(line) = blame::version_line(&log) {
            let (name, version, line) = (&container.service, &stand_in.version, crate::sanitize::line(line, 200));
            return Err(ProbeError {
                reason: Reason::StandIn,
                text: Text::new(
                    format!("{name} died at its first start, behind a stand-in ({version}): {line}"),
                    format!("{name} murió en su primer arranque, detrás de un sustituto ({version}): {line}"),
                ),
            });
        }
    }
    let names = healed.join(", ");
    observation.explanation = Some(Text::new(
        format!("no start order: {names} ran only after a second `up`"),
        format!("sin orden de arranque: {names} solo funcionó tras un segundo `up`"),
    ));
    Ok(observation)
}

/// Only a running container that is made anew counts: a dead one that is started again is the first run's failure.
async fn second_up(stack: &Arc<Stack>) -> Result<Observation, ProbeError> {
    let error = |what: String| ProbeError {
        reason: Reason::Imparcial,
        text: Text::new(
            format!("could not bring the stack up a second time: {what}"),
            format!("no se pudo levantar la pila por segunda vez: {what}"),
        ),
    };
    let running = || async {
        let containers = stack.containers().await.map_err(|e| error(e.to_string()))?;
        Ok::<BTreeMap<String, String>, ProbeError>(
            containers.into_iter().filter(|c| c.running()).map(|c| (c.name, c.id)).collect(),
        )
    };
    let before = running().await?;
    let tool = backend::tool_of(stack).await.map_err(|e| error(e.to_string()))?;
    let started: Vec<String> =
        stack.services.values().filter(|s| s.left_out.is_none()).map(|s| s.name.clone()).collect();
    let all = started.len() == stack.services.len();
    let output = tool.up(&started, all, std::time::Duration::from_secs(60)).await.map_err(|e| error(e.to_string()))?;
    if !output.ok() {
        return Err(error(crate::sanitize::line(output.both().trim(), 300)));
    }
    let after = running().await?;
    let recreated: Vec<&String> =
        before.iter().filter(|(name, id)| after.get(*name) != Some(id)).map(|(name, _)| name).collect();
    let mut observation = Observation::of(Facts::from([(
        "recreated".to_owned(),
        Value::from(recreated.iter().map(|n| n.as_str()).collect::<Vec<_>>()),
    )]));
    observation.evidence.push(("compose-second-up.txt".to_owned(), output.both().into_bytes()));
    Ok(observation)
}

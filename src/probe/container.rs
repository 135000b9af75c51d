//! `container`: a service's container: running, quiet, built from the submission; never what it answers.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::common::bound;
use super::{Attempt, Observation, Probe, ProbeError, ProbeKind, SETTLED};
use crate::backend::blame;
use crate::docker::Container as Seen;
use crate::expect::{FactSpec, Facts, Unit};
use crate::notice::Reason;
use crate::stack::{LIVE_FOR, LeftOut, Stack};
use crate::text::Text;

pub static KIND: ProbeKind = ProbeKind {
    name: "container",
    summary: "A service's container: its state, how long it has been quiet, and where its image came from",
    facts: &[
        FactSpec { name: "state", unit: Unit::Text, summary: "running, restarting, exited, created or missing" },
        FactSpec {
            name: "quiet_for_s",
            unit: Unit::Seconds,
            summary: "time since its last start; settled when all looking is over",
        },
        FactSpec {
            name: "until_end",
            unit: Unit::Bool,
            summary: "still the same start when all looking is over, 15 s old at least",
        },
        FactSpec { name: "restarts", unit: Unit::Number, summary: "restarts so far" },
        FactSpec { name: "exit_code", unit: Unit::Number, summary: "of its last end" },
        FactSpec { name: "oom_killed", unit: Unit::Bool, summary: "the engine says that it was killed for memory" },
        FactSpec {
            name: "built_from_submission",
            unit: Unit::Bool,
            summary: "it runs the image that was built from the submission in this run",
        },
        FactSpec { name: "image", unit: Unit::Text, summary: "the image as asked for" },
        FactSpec {
            name: "health",
            unit: Unit::Text,
            summary: "what its own health check says; none where it has none",
        },
        FactSpec { name: "published", unit: Unit::List, summary: "host ports" },
        FactSpec {
            name: "fails_at_twice_its_limit",
            unit: Unit::Bool,
            summary: "as handed in: it dies or is silent at its memory limit, and at twice that too",
        },
    ],
    example: "{id: app-runs, points: 4, container: {role: app}, expect: {state: running, quiet_for_s: {ge: 10s}, until_end: true}}",
    schema: || {
        json!({"type": "object", "additionalProperties": false, "properties": {
            "role": {"type": ["string", "array"], "items": {"type": "string"}, "description": "a role, or several"},
            "bring_up": {"enum": ["as_written"], "description": "the stack as handed in, before any override"}}, "required": ["role"]})
    },
    decode: |d| {
        let roles = d.roles("role");
        let as_written = d.word("bring_up", &["as_written"]).is_some();
        (!roles.is_empty()).then(|| Box::new(Container { roles, as_written }) as Box<dyn Probe>)
    },
};

struct Container {
    roles: Vec<String>,
    as_written: bool,
}

#[async_trait]
impl Probe for Container {
    fn roles(&self) -> Vec<String> {
        self.roles.clone()
    }

    async fn observe(&self, stack: &Arc<Stack>, attempt: Attempt) -> Result<Observation, ProbeError> {
        let mut all = Observation::default();
        for role in &self.roles {
            let name = if self.roles.len() == 1 { String::new() } else { role.clone() };
            if self.as_written {
                all.subjects.push((name, as_written(stack, role, &mut all.notes)?));
            } else {
                let facts = now(stack, role, attempt, &mut all).await?;
                all.subjects.push((name, facts));
            }
        }
        Ok(all)
    }
}

async fn now(stack: &Stack, role: &str, attempt: Attempt, all: &mut Observation) -> Result<Facts, ProbeError> {
    let mut facts =
        Facts::from([("state".to_owned(), json!("missing")), ("built_from_submission".to_owned(), json!(false))]);
    let Some(name) = bound(stack, role)? else {
        all.explanation = stack.roles.get(role).map(|b| b.why.clone());
        all.conditions.push(SETTLED.to_owned());
        return Ok(facts);
    };
    if let Some(left) = stack.services.get(&name).and_then(|s| s.left_out.clone()) {
        return left_out(left, facts, all);
    }
    let containers = stack.containers().await?;
    let Some(container) = followed(stack, containers, &name).await else {
        let up = stack.first_up.as_ref().map(|f| f.output.as_str()).unwrap_or_default();
        if let Some(line) = blame::host_line(up) {
            return Err(hosts(&name, line));
        }
        // Its image can be there all the same: a limit that the engine refuses keeps only the container from being made.
        let built = stack.services.get(&name).is_some_and(|s| s.image.built.is_some());
        facts.insert("built_from_submission".to_owned(), json!(built));
        if stack.swarm {
            // A task may have none yet.
            all.explanation = Some(super::swarm::without_container(stack, &name).await?);
            return Ok(facts);
        }
        all.explanation = Some(Text::new(
            format!("{name} has no container: it was not created"),
            format!("{name} no tiene contenedor: no se creó"),
        ));
        all.conditions.push("exited_for_good".to_owned());
        return Ok(facts);
    };
    if let Some(line) = blame::host_line(&container.error) {
        return Err(hosts(&name, line));
    }
    if container.oom_killed && container.memory_bytes == 0 && !container.running() {
        return Err(hosts(&name, "killed for memory, and it has no limit of its own"));
    }
    let age = container.age().unwrap_or(0.0);
    let built = stack.services.get(&name).map(|service| &service.image);
    // On the host's own engine a stand-in runs under its own name.
    let named = container.image_name.starts_with("imparcial/");
    let asked = stack.services.get(&name).filter(|s| named && s.image.stand_in.is_some());
    let image = asked.map_or(container.image_name.as_str(), |s| s.image.reference.as_str());
    let published: Vec<u16> = container.ports.values().flatten().map(|(_, port)| *port).collect();
    facts.extend([
        ("state".to_owned(), json!(container.state)),
        ("quiet_for_s".to_owned(), json!(if container.running() { age } else { 0.0 })),
        ("restarts".to_owned(), json!(container.restarts)),
        ("exit_code".to_owned(), json!(container.exit_code)),
        ("oom_killed".to_owned(), json!(container.oom_killed)),
        ("built_from_submission".to_owned(), json!(built.is_some_and(|image| image.is_built(&container.image)))),
        ("image".to_owned(), json!(image)),
        ("health".to_owned(), container.health.as_ref().map_or(Value::Null, |h| json!(h))),
        ("published".to_owned(), json!(published)),
    ]);
    if container.restarts > 0 {
        all.notes.push(Text::new(
            format!("{name} was restarted {} times by its policy", container.restarts),
            format!("{name} fue reiniciado {} veces por su política", container.restarts),
        ));
    }
    let same = quiet_start(stack, &container, age, all).await;
    facts.insert(
        "until_end".to_owned(),
        json!(container.running() && same && (!attempt.last || age >= LIVE_FOR.as_secs_f64())),
    );
    let last_words = if container.running() { String::new() } else { last_words(stack, &container).await };
    explain(&name, &container, same, &last_words, all);
    Ok(facts)
}

/// Of a log, for its last words.
const LAST_LINES: usize = 20;

/// The engine, or the memory of the host, kept it from running.
fn hosts(name: &str, line: &str) -> ProbeError {
    let line = crate::sanitize::line(line, 300);
    let text = Text::new(
        format!("the engine could not keep {name} running for a reason of its own: {line}"),
        format!("el motor no pudo mantener {name} en marcha por una razón propia: {line}"),
    );
    ProbeError { reason: Reason::Host, text }
}

/// Why it is not there: the submission's doing is a fact, anybody else's an error.
fn left_out(left: LeftOut, facts: Facts, all: &mut Observation) -> Result<Facts, ProbeError> {
    if let Some(reason) = left.reason {
        return Err(ProbeError { reason, text: left.text });
    }
    all.explanation = Some(left.text);
    all.conditions.push(SETTLED.to_owned());
    Ok(facts)
}

/// A service's container. Of the several places of a stack's service, the one whose quiet start was noted, else one that runs.
async fn followed(stack: &Stack, containers: Vec<Seen>, name: &str) -> Option<Seen> {
    let own = containers.into_iter().filter(|c| c.service == name);
    if !stack.swarm {
        return own.into_iter().next();
    }
    let notebook = stack.notebook.lock().await;
    chosen(own.collect(), |container| notebook.contains_key(&quiet_key(true, container)))
}

fn chosen(mut own: Vec<Seen>, noted: impl Fn(&Seen) -> bool) -> Option<Seen> {
    own.sort_by_key(|container| (!noted(container), !container.running()));
    own.into_iter().next()
}

/// In a swarm by its place, `x_app.2` of `x_app.2.n4o6a1541lbg`, which one task has after the other; else by its service.
fn quiet_key(swarm: bool, container: &Seen) -> String {
    let place = container.name.rsplit_once('.').map(|(place, _)| place).filter(|_| swarm);
    format!("container.quiet.{}", place.unwrap_or(&container.service))
}

/// Once it has been quiet for ten seconds, its start is noted; a later start breaks it.
async fn quiet_start(stack: &Stack, container: &Seen, age: f64, all: &mut Observation) -> bool {
    let key = quiet_key(stack.swarm, container);
    let mut notebook = stack.notebook.lock().await;
    match notebook.get(&key).and_then(Value::as_f64) {
        Some(start) if (start - container.started_at).abs() > 0.001 || !container.running() => {
            all.conditions.push("restarted_after_quiet".to_owned());
            false
        }
        Some(_) => true,
        None => {
            if container.running() && age >= 10.0 {
                notebook.insert(key, json!(container.started_at));
            }
            true
        }
    }
}

/// What it printed before it ended, as far as one line says it: the last that names an error, else the last.
async fn last_words(stack: &Stack, container: &Seen) -> String {
    let log = stack.spot_of(container).engine.logs(&container.id, None, Some(LAST_LINES)).await.unwrap_or_default();
    said_last(&log).map(|line| format!(": `{line}`")).unwrap_or_default()
}

fn said_last(log: &str) -> Option<String> {
    let named = |line: &&str| ["error", "exception", "fatal"].iter().any(|word| line.to_lowercase().contains(word));
    let lines = || log.lines().rev().filter(|line| !line.trim().is_empty());
    lines().find(named).or_else(|| lines().next()).map(|line| crate::sanitize::line(line, 160))
}

fn explain(name: &str, container: &Seen, same: bool, last_words: &str, all: &mut Observation) {
    let code = container.exit_code;
    let so = [("oom_killed", container.killed_for_memory()), ("restart_loop", container.in_a_restart_loop())];
    all.conditions.extend(so.iter().filter(|(_, holds)| *holds).map(|(name, _)| (*name).to_owned()));
    if container.exited_for_good() {
        all.conditions.push("exited_for_good".to_owned());
        all.explanation = Some(if container.oom_killed {
            Text::new(
                format!("{name} was killed at its memory limit and nothing restarts it"),
                format!("{name} murió en su límite de memoria y nada lo reinicia"),
            )
        } else {
            Text::new(
                format!("{name} ended with exit code {code} and nothing restarts it{last_words}"),
                format!("{name} terminó con código {code} y nada lo reinicia{last_words}"),
            )
        });
    } else if container.state == "created" {
        all.explanation = Some(Text::new(
            format!("{name} could not be started: {}", crate::sanitize::line(&container.error, 300)),
            format!("{name} no pudo arrancar: {}", crate::sanitize::line(&container.error, 300)),
        ));
    } else if !same {
        all.explanation = Some(Text::new(
            format!("{name} ran for a while and started anew"),
            format!("{name} funcionó un rato y volvió a arrancar"),
        ));
    } else if !container.running() || container.restarts > 0 {
        all.explanation = Some(Text::new(
            format!(
                "{name} restarts again and again ({} times, last exit code {code}){last_words}",
                container.restarts
            ),
            format!(
                "{name} se reinicia una y otra vez ({} veces, último código {code}){last_words}",
                container.restarts
            ),
        ));
    }
}

/// What was seen as handed in, before any override.
fn as_written(stack: &Stack, role: &str, notes: &mut Vec<Text>) -> Result<Facts, ProbeError> {
    let mut facts = Facts::new();
    let Some(name) = bound(stack, role)? else { return Ok(facts) };
    match stack.services.get(&name).and_then(|s| s.left_out.clone()) {
        Some(LeftOut { reason: Some(reason), text }) => return Err(ProbeError { reason, text }),
        // What never lived has shown nothing of its limits.
        Some(LeftOut { reason: None, .. }) => return Ok(facts),
        None => {}
    }
    let seen = stack.as_written.get(&name).cloned().unwrap_or_default();
    if seen.refused.is_some() {
        return Ok(facts);
    }
    if seen.died_at_limit && seen.fails_at_twice.is_none() {
        notes.push(Text::new(
            format!("{name} does not live within the memory that the statement itself demands; not held against it"),
            format!("{name} no vive con la memoria que el propio enunciado exige; no se le descuenta"),
        ));
    }
    facts.insert("fails_at_twice_its_limit".to_owned(), json!(seen.fails_at_twice.unwrap_or(false)));
    Ok(facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_places_one_is_followed() {
        let at = |name: &str, state: &str| Seen {
            name: name.into(),
            service: "app".into(),
            state: state.into(),
            ..Seen::default()
        };
        let all = || vec![at("x_app.1.aa", "exited"), at("x_app.2.bb", "running"), at("x_app.3.cc", "running")];
        assert_eq!(chosen(all(), |_| false).unwrap().name, "x_app.2.bb", "one that runs");
        let noted = |container: &Seen| quiet_key(true, container) == "container.quiet.x_app.1";
        assert_eq!(chosen(all(), noted).unwrap().name, "x_app.1.aa", "it ran before, and that it ended shows");
        assert_eq!(quiet_key(false, &at("x_app.1", "running")), "container.quiet.app");
    }

    #[test]
    fn the_last_words_are_those_that_name_an_error() {
        let log = "Traceback (most recent call last):\n  File \"app.py\", line 3\nKeyError: 'CLAVE'\nbye\n\n";
        assert_eq!(said_last(log).as_deref(), Some("KeyError: 'CLAVE'"));
        assert_eq!(said_last("falta la variable CLAVE\n").as_deref(), Some("falta la variable CLAVE"));
        assert_eq!(said_last(" \n"), None);
    }
}

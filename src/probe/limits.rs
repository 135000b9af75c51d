//! `limits`: memory and cpu, as declared in any spelling, and as in force by the engine and the cgroup, before any override.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::common::bound;
use super::{Attempt, Observation, Probe, ProbeError, ProbeKind, SETTLED};
use crate::expect::{FactSpec, Facts, Unit};
use crate::stack::{AsWritten, LeftOut, Stack};
use crate::text::Text;

/// The engine rounds a limit to its page.
const PAGE: u64 = 4096;

pub static KIND: ProbeKind = ProbeKind {
    name: "limits",
    summary: "Memory and cpu limits: declared in any of their spellings, and in force by engine and cgroup",
    facts: &[
        FactSpec {
            name: "declared_bytes",
            unit: Unit::Bytes,
            summary: "memory limit as declared; 0 where there is none",
        },
        FactSpec { name: "declared_cpus", unit: Unit::Number, summary: "cpu limit as declared; 0 where there is none" },
        FactSpec { name: "spelling", unit: Unit::Text, summary: "the key that declares it" },
        FactSpec { name: "effective_bytes", unit: Unit::Bytes, summary: "memory limit in force, as handed in" },
        FactSpec { name: "effective_cpus", unit: Unit::Number, summary: "cpu limit in force, as handed in" },
        FactSpec {
            name: "effective_equals_declared",
            unit: Unit::Bool,
            summary: "equal within one memory page, or a hundredth of a cpu",
        },
    ],
    example: "{id: memory-declared, points: 3, limits: {role: [app, db], resource: memory}, expect: {declared_bytes: {ge: 6MiB}}}",
    schema: || {
        json!({"type": "object", "additionalProperties": false, "properties": {
            "role": {"type": ["string", "array"], "items": {"type": "string"}, "description": "a role, or several"},
            "resource": {"enum": ["memory", "cpu"], "description": "whose limit"},
            "bring_up": {"enum": ["as_written"], "description": "the stack as handed in, before any override"}}, "required": ["role", "resource"]})
    },
    decode: |d| {
        let roles = d.roles("role");
        let resource = d.word("resource", &["memory", "cpu"]);
        // Limits are always judged as handed in; the word may say so.
        d.word("bring_up", &["as_written"]);
        let memory = resource? == "memory";
        (!roles.is_empty()).then(|| Box::new(Limits { roles, memory }) as Box<dyn Probe>)
    },
};

struct Limits {
    roles: Vec<String>,
    memory: bool,
}

#[async_trait]
impl Probe for Limits {
    fn roles(&self) -> Vec<String> {
        self.roles.clone()
    }

    fn excusable(&self) -> bool {
        false
    }

    async fn observe(&self, stack: &Arc<Stack>, _attempt: Attempt) -> Result<Observation, ProbeError> {
        let mut all = Observation::default();
        let mut without = Vec::new();
        for role in &self.roles {
            let Some(service) = bound(stack, role)? else {
                all.subjects.push((
                    role.clone(),
                    Facts::from([("declared_bytes".to_owned(), json!(0)), ("declared_cpus".to_owned(), json!(0))]),
                ));
                without.push(role.clone());
                continue;
            };
            let facts =
                if self.memory { memory(stack, &service, &mut all.notes).await? } else { cpu(stack, &service).await? };
            let none = facts.get("spelling").is_none_or(Value::is_null);
            if none {
                without.push(service.clone());
            }
            all.subjects.push((role.clone(), facts));
        }
        if !without.is_empty() {
            // What a file does not say, no waiting adds.
            all.conditions.push(SETTLED.to_owned());
            let (names, what) = (without.join(", "), if self.memory { ("memory", "memoria") } else { ("cpu", "cpu") });
            all.explanation = Some(Text::new(
                format!("no {} limit is declared for {names}", what.0),
                format!("no hay límite de {} declarado para {names}", what.1),
            ));
        }
        Ok(all)
    }
}

async fn memory(stack: &Stack, service: &str, notes: &mut Vec<Text>) -> Result<Facts, ProbeError> {
    let declared = stack.config.resolved.service(service).and_then(|s| s.memory.clone());
    let own = stack.submission.compose.as_ref().and_then(|c| c.service(service)).and_then(|s| s.memory.clone());
    let bytes = declared.as_ref().map_or(0, |l| l.value as u64);
    // The tool rewrites spellings when it resolves; a student looks for the one in the file.
    let spelling = own.or(declared).map_or(Value::Null, |l| json!(l.spelling));
    let mut facts = Facts::from([("declared_bytes".to_owned(), json!(bytes)), ("spelling".to_owned(), spelling)]);
    if bytes == 0 || left_out(stack, service) {
        return Ok(facts);
    }
    let seen = in_force(stack, service).await?;
    if let Some(refused) = seen.refused {
        facts.insert("effective_bytes".to_owned(), json!(0));
        facts.insert("effective_equals_declared".to_owned(), json!(false));
        notes.push(Text::same(refused));
        return Ok(facts);
    }
    let effective = seen.cgroup_memory_bytes.unwrap_or(seen.memory_bytes);
    if seen.cgroup_memory_bytes.is_none() && seen.memory_bytes > 0 {
        notes.push(Text::new(
            format!("{service}: its cgroup could not be read while it lived; the created container's limit decides"),
            format!("{service}: no se pudo leer su cgroup mientras vivía; decide el límite del contenedor creado"),
        ));
    }
    facts.insert("effective_bytes".to_owned(), json!(effective));
    facts.insert("effective_equals_declared".to_owned(), json!(effective.abs_diff(bytes) <= PAGE));
    Ok(facts)
}

async fn cpu(stack: &Stack, service: &str) -> Result<Facts, ProbeError> {
    let declared = stack.config.resolved.service(service).and_then(|s| s.cpus.clone());
    let cpus = declared.as_ref().map_or(0.0, |l| l.value);
    let spelling = declared.map_or(Value::Null, |l| json!(l.spelling));
    let mut facts = Facts::from([("declared_cpus".to_owned(), json!(cpus)), ("spelling".to_owned(), spelling)]);
    if cpus == 0.0 || left_out(stack, service) {
        return Ok(facts);
    }
    let seen = in_force(stack, service).await?;
    let effective = seen.cgroup_cpus.unwrap_or(seen.cpus);
    facts.insert("effective_cpus".to_owned(), json!(effective));
    facts.insert("effective_equals_declared".to_owned(), json!((effective - cpus).abs() < 0.011));
    Ok(facts)
}

/// Declared is a fact of the file, whatever became of the service.
fn left_out(stack: &Stack, service: &str) -> bool {
    matches!(stack.services.get(service), Some(s) if matches!(s.left_out, Some(LeftOut { .. })))
}

/// As handed in; where nothing pressed, the running container says it.
async fn in_force(stack: &Stack, service: &str) -> Result<AsWritten, ProbeError> {
    let mut seen = stack.as_written.get(service).cloned().unwrap_or_default();
    if seen.refused.is_some() || seen.memory_bytes > 0 || seen.cpus > 0.0 || !stack.overrides.is_empty() {
        return Ok(seen);
    }
    let containers = stack.containers().await?;
    if let Some(container) = containers.iter().find(|c| c.service == service) {
        seen.memory_bytes = container.memory_bytes;
        seen.cpus = container.cpus();
    }
    Ok(seen)
}

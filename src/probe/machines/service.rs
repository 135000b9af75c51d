//! `service`: a unit of systemd in a machine, by what systemd there says.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;

use super::{Looks, On, OnMachines, Seen};
use crate::expect::{FactSpec, Facts, Unit};
use crate::probe::command::asked;
use crate::probe::common::Found;
use crate::probe::{Probe, ProbeError, ProbeKind};
use crate::scenario::tree::Decoder;
use crate::stack::machines::Node;
use crate::stack::{Body, Stack};
use crate::text::Text;

pub static KIND: ProbeKind = ProbeKind {
    name: "service",
    summary: "A service of systemd in a machine: it runs, and starts with the machine, as the machine's own systemd says: testimony, since a student is root there",
    facts: &[
        FactSpec { name: "exists", unit: Unit::Bool, summary: "there is such a unit (testimony)" },
        FactSpec { name: "active", unit: Unit::Bool, summary: "it is running, or did what it is for (testimony)" },
        FactSpec { name: "enabled", unit: Unit::Bool, summary: "it starts with the machine (testimony)" },
        FactSpec {
            name: "state",
            unit: Unit::Text,
            summary: "in systemd's words: running, dead, failed … (testimony)",
        },
    ],
    example: "{id: docker-enabled, points: 0, service: {on: all, name: docker}, expect: {active: true, enabled: true}}",
    schema: || {
        json!({"type": "object", "additionalProperties": false, "required": ["name"], "properties": {
            "name": {"type": "string", "description": "the unit as the node's system (Debian) calls it, with or without `.service`"},
            "on": On::schema()
        }})
    },
    decode: |d| decode(d).map(|probe| Box::new(probe) as Box<dyn Probe>),
};

struct Service {
    name: String,
    on: On,
}

fn decode(d: &mut Decoder<'_>) -> Option<Service> {
    let (name, on) = (d.required_text("name"), On::decode(d, "on"));
    let name = name?;
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c)) || name.starts_with('-') {
        d.problem_with("name", format!("`{name}` is no name of a service"), None);
    }
    Some(Service { name, on })
}

impl OnMachines for Service {
    fn on(&self) -> &On {
        &self.on
    }
}

#[async_trait]
impl Looks for Service {
    async fn at(&self, stack: &Stack, node: &Node, body: &Body, timeout: Duration) -> Result<Seen, ProbeError> {
        let argv = ["systemctl", "show", "--property=LoadState,ActiveState,SubState,UnitFileState", "--", &self.name];
        let ran = match asked(stack, node, body, &argv, timeout).await? {
            Found::Here(ran) => ran,
            Found::Absent(why) => {
                return Ok(Seen { facts: self.without(Some(node)), why: Some(why), ..Seen::default() });
            }
        };
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        // It says of a unit that there is not that it was not found, and ends well: all else is no answer.
        if ran.status != Some(0) || !said.contains("ActiveState=") {
            return Err(ran.unable());
        }
        Ok(judge(&self.name, &said))
    }

    fn without(&self, _node: Option<&Node>) -> Facts {
        Facts::new()
    }
}

fn judge(name: &str, said: &str) -> Seen {
    let value = |key: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_default().trim().to_owned()
    };
    let (loaded, active, state, file) =
        (value("LoadState"), value("ActiveState"), value("SubState"), value("UnitFileState"));
    let exists = loaded != "not-found" && !loaded.is_empty();
    let running = matches!(active.as_str(), "active" | "reloading");
    // What an old script of init is made into starts where its links say so; the generator makes units of those alone.
    let enabled = matches!(file.as_str(), "enabled" | "alias" | "generated");
    let mut seen = Seen::of([("exists", json!(exists)), ("active", json!(running)), ("enabled", json!(enabled))]);
    if exists {
        seen.facts.insert("state".to_owned(), json!(state));
    }
    let clean = |text: &str| crate::sanitize::line(text, 60);
    let (state, file) = (clean(&state), clean(if file.is_empty() { "-" } else { &file }));
    seen.because(if exists {
        Text::new(
            format!("{name} is {state}, and at a start of the machine: {file}"),
            format!("{name} está {state}, y al arrancar la máquina: {file}"),
        )
    } else {
        Text::new(format!("there is no service {name}"), format!("no hay ningún servicio {name}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(said: &str) -> Facts {
        judge("docker", said).facts
    }

    #[test]
    fn systemd_is_read_in_its_own_words() {
        let up = facts("LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\n");
        assert_eq!((&up["active"], &up["enabled"], &up["state"]), (&json!(true), &json!(true), &json!("running")));
        let down = facts("LoadState=loaded\nActiveState=inactive\nSubState=dead\nUnitFileState=disabled\n");
        assert_eq!((&down["active"], &down["enabled"], &down["exists"]), (&json!(false), &json!(false), &json!(true)));
        let none = judge("nope", "LoadState=not-found\nActiveState=inactive\nSubState=dead\nUnitFileState=\n");
        assert_eq!((&none.facts["exists"], &none.facts["enabled"]), (&json!(false), &json!(false)));
        assert_eq!(none.why.unwrap().en, "there is no service nope");
    }
}

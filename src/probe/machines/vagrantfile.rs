//! `vagrantfile`: what the Vagrantfile declares, as Vagrant's own loader reads it; no machine is started for it.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;

use super::{declared, no_vagrantfile};
use crate::expect::{FactSpec, Facts, Unit};
use crate::probe::{Attempt, MACHINES, Observation, Phase, Probe, ProbeError, ProbeKind, SETTLED};
use crate::stack::Stack;
use crate::submission::machines::{Loaded, MachineDef, Vagrantfile};
use crate::text::Text;

pub static KIND: ProbeKind = ProbeKind {
    name: "vagrantfile",
    summary: "What the Vagrantfile declares, as Vagrant's own loader reads it: loops, variables and conditions count as what they come to",
    facts: &[
        FactSpec { name: "valid", unit: Unit::Bool, summary: "it is there, and Vagrant loads it" },
        FactSpec { name: "machines", unit: Unit::Number, summary: "how many machines it defines" },
        FactSpec { name: "autostart", unit: Unit::Bool, summary: "`vagrant up` starts all of them" },
        FactSpec {
            name: "insert_key",
            unit: Unit::Bool,
            summary: "`config.ssh.insert_key` is on for one of them at least; it is on where nothing is said",
        },
        FactSpec { name: "provisioners", unit: Unit::List, summary: "their kinds, each once: ansible, shell …" },
        FactSpec { name: "ansible", unit: Unit::Bool, summary: "one of them is Ansible, run from outside or inside" },
    ],
    example: "{id: four-machines, points: 2, vagrantfile: {}, expect: {valid: true, machines: 4, autostart: true, insert_key: false, ansible: true}}",
    schema: || json!({"type": "object", "additionalProperties": false, "properties": {}}),
    decode: |_| Some(Box::new(TheFile) as Box<dyn Probe>),
};

struct TheFile;

#[async_trait]
impl Probe for TheFile {
    fn phase(&self) -> Phase {
        Phase::Static
    }

    fn layer(&self) -> &'static str {
        MACHINES
    }

    fn excusable(&self) -> bool {
        false
    }

    async fn observe(&self, stack: &Arc<Stack>, _attempt: Attempt) -> Result<Observation, ProbeError> {
        read(stack.submission.vagrantfile.as_ref())
    }
}

fn read(file: Option<&Vagrantfile>) -> Result<Observation, ProbeError> {
    declared(file)?;
    let (path, loaded) = match file {
        None => return Ok(invalid(no_vagrantfile())),
        Some(file) => (file.path.to_string_lossy(), &file.loaded),
    };
    if let Loaded::Refused { text, at } = loaded {
        let place = at.as_ref().map(|at| format!("{}:{}", at.file, at.line));
        let place = crate::sanitize::line(place.as_deref().unwrap_or(&path), 200);
        let said = |said: &str| if said.contains(&place) { said.to_owned() } else { format!("{place}: {said}") };
        return Ok(invalid(Text::new(said(&text.en), said(&text.es))));
    }
    let machines = file.map(Vagrantfile::machines).unwrap_or_default();
    let mut observation = Observation::of(facts(machines));
    observation.explanation = notes(machines);
    observation.conditions.push(SETTLED.to_owned());
    Ok(observation)
}

fn invalid(why: Text) -> Observation {
    let facts = Facts::from([("valid".to_owned(), json!(false))]);
    Observation { explanation: Some(why), conditions: vec![SETTLED.to_owned()], ..Observation::of(facts) }
}

fn facts(machines: &[MachineDef]) -> Facts {
    let mut kinds: Vec<&str> = Vec::new();
    for provisioner in machines.iter().flat_map(|m| &m.provisioners) {
        if !kinds.contains(&provisioner.kind.as_str()) {
            kinds.push(&provisioner.kind);
        }
    }
    let ansible = machines.iter().flat_map(|m| &m.provisioners).any(|p| p.is_ansible());
    Facts::from([
        ("valid".to_owned(), json!(true)),
        ("machines".to_owned(), json!(machines.len())),
        ("autostart".to_owned(), json!(machines.iter().all(|m| m.autostart))),
        ("insert_key".to_owned(), json!(machines.iter().any(|m| m.insert_key))),
        ("provisioners".to_owned(), json!(kinds)),
        ("ansible".to_owned(), json!(ansible)),
    ])
}

/// How many there are, and what of them is most often not as it should be.
fn notes(machines: &[MachineDef]) -> Option<Text> {
    let named = |of: &dyn Fn(&MachineDef) -> bool| {
        let names = machines.iter().filter(|m| of(m)).map(|m| crate::sanitize::line(&m.name, 60));
        names.collect::<Vec<_>>().join(", ")
    };
    let (all, keys, asleep) = (named(&|_| true), named(&|m| m.insert_key), named(&|m| !m.autostart));
    let n = machines.len();
    let mut text = if all.is_empty() {
        Text::new("it defines no machine", "no define ninguna máquina")
    } else {
        Text::new(format!("machines defined, {n}: {all}"), format!("máquinas definidas, {n}: {all}"))
    };
    let mut add = |en: String, es: String| {
        text.en.push_str(&en);
        text.es.push_str(&es);
    };
    if !keys.is_empty() {
        add(format!("; `ssh.insert_key` is on for: {keys}"), format!("; `ssh.insert_key` está activo en: {keys}"));
    }
    if !asleep.is_empty() {
        add(format!("; not started by `vagrant up`: {asleep}"), format!("; `vagrant up` no arranca: {asleep}"));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expect::Place;
    use crate::notice::Reason;
    use crate::submission::machines::ProvisionerDef;

    fn seen(loaded: Loaded) -> Result<Observation, ProbeError> {
        read(Some(&Vagrantfile { path: "Vagrantfile".into(), loaded }))
    }

    fn machine(name: &str, kinds: &[&str]) -> MachineDef {
        let provisioner = |kind: &&str| ProvisionerDef { kind: (*kind).to_owned(), ..ProvisionerDef::default() };
        let provisioners = kinds.iter().map(provisioner).collect();
        MachineDef { name: name.into(), autostart: true, provisioners, ..MachineDef::default() }
    }

    #[test]
    fn machines_are_counted_with_what_they_declare() {
        let asleep = MachineDef { autostart: false, insert_key: true, ..machine("worker1", &["shell"]) };
        let all = vec![machine("master", &["ansible", "shell"]), asleep];
        let seen = seen(Loaded::Machines(all)).unwrap();
        let facts = &seen.subjects[0].1;
        assert_eq!(
            (&facts["machines"], &facts["autostart"], &facts["insert_key"]),
            (&json!(2), &json!(false), &json!(true))
        );
        assert_eq!((&facts["provisioners"], &facts["ansible"]), (&json!(["ansible", "shell"]), &json!(true)));
        assert_eq!(
            seen.explanation.unwrap().en,
            "machines defined, 2: master, worker1; `ssh.insert_key` is on for: worker1; not started by `vagrant up`: worker1"
        );
    }

    #[test]
    fn what_cannot_be_loaded_is_said_with_its_line() {
        let at = Some(Place { file: "Vagrantfile".into(), line: 7, column: 1 });
        let text = Text::new("syntax error, unexpected end", "error de sintaxis");
        let refused = seen(Loaded::Refused { text, at }).unwrap();
        assert_eq!(refused.subjects[0].1["valid"], json!(false));
        assert_eq!(refused.explanation.unwrap().en, "Vagrantfile:7: syntax error, unexpected end");
        let none = read(None).unwrap();
        assert_eq!(none.subjects[0].1, Facts::from([("valid".to_owned(), json!(false))]));
        assert_eq!(none.explanation.unwrap().en, "there is no Vagrantfile in what was handed in");
    }

    #[test]
    fn what_was_not_asked_is_nobodys_fault() {
        let unknown = Loaded::Unknown { reason: Reason::Host, text: Text::same("x") };
        assert_eq!(seen(unknown).unwrap_err().reason, Reason::Host);
        assert_eq!(seen(Loaded::NotYet).unwrap_err().reason, Reason::Imparcial);
    }
}

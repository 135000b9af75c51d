//! `machine`: a machine runs, lets people in, and is what the Vagrantfile declares: name, addresses, box, memory, cpus.

use std::net::Ipv4Addr;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::from_outside::{only, or_ended, tables, unexpected};
use super::{Looks, On, OnMachines, Seen, kernel};
use crate::agent::{Look, Sight};
use crate::expect::{FactSpec, Facts, Unit};
use crate::probe::common::{Found, look};
use crate::probe::{Probe, ProbeError, ProbeKind};
use crate::scenario::tree::Decoder;
use crate::stack::machines::Node;
use crate::stack::{Body, Stack};
use crate::submission::machines::MachineDef;
use crate::submission::machines::boxes::{self, Served};
use crate::text::Text;
use crate::time::whole_ms;

pub static KIND: ProbeKind = ProbeKind {
    name: "machine",
    summary: "A machine of the Vagrantfile: it runs, answers over SSH, and has the name, addresses, memory and cpus that are declared; looked at from outside, by the kernel and the engine",
    facts: &[
        FactSpec { name: "running", unit: Unit::Bool, summary: "it is up" },
        FactSpec { name: "ssh", unit: Unit::Bool, summary: "an SSH server greets on its port 22" },
        FactSpec {
            name: "hostname_as_declared",
            unit: Unit::Bool,
            summary: "the kernel's name for it is the `vm.hostname` declared; false where none is",
        },
        FactSpec {
            name: "address_as_declared",
            unit: Unit::Bool,
            summary: "every private address declared is one of its own; false where it has no private network",
        },
        FactSpec {
            name: "private_addresses",
            unit: Unit::List,
            summary: "the addresses of its private networks, as declared",
        },
        FactSpec { name: "box", unit: Unit::Text, summary: "the box, as declared" },
        FactSpec {
            name: "box_family",
            unit: Unit::Text,
            summary: "the system that the box holds, by its name: centos7, centos, debian, ubuntu; none where the name does not say",
        },
        FactSpec {
            name: "memory_declared_bytes",
            unit: Unit::Bytes,
            summary: "memory as declared; none where it is not",
        },
        FactSpec {
            name: "memory_bytes",
            unit: Unit::Bytes,
            summary: "its limit of memory, as the engine has it; 0 is none",
        },
        FactSpec {
            name: "memory_as_declared",
            unit: Unit::Bool,
            summary: "the limit is the memory declared, or more where a node needs more to start; false where none is declared",
        },
        FactSpec { name: "cpus_declared", unit: Unit::Number, summary: "cpus as declared; none where they are not" },
        FactSpec { name: "cpus", unit: Unit::Number, summary: "its limit of cpus, as the engine has it; 0 is none" },
        FactSpec { name: "insert_key", unit: Unit::Bool, summary: "`ssh.insert_key` is on for it" },
    ],
    example: "{id: machines-up, points: 4, machine: {on: all}, expect: {running: true, ssh: true, address_as_declared: true, box_family: centos7}}",
    schema: || json!({"type": "object", "additionalProperties": false, "properties": {"on": On::schema()}}),
    decode: |d| decode(d).map(|probe| Box::new(probe) as Box<dyn Probe>),
};

/// The engine rounds a limit to its page.
const PAGE: u64 = 4096;
const SSH: u16 = 22;
const GREET: Duration = Duration::from_secs(3);

struct Machine {
    on: On,
}

fn decode(d: &mut Decoder<'_>) -> Option<Machine> {
    Some(Machine { on: On::decode(d, "on") })
}

impl OnMachines for Machine {
    fn on(&self) -> &On {
        &self.on
    }

    fn may_be_excused(&self) -> bool {
        false
    }
}

#[async_trait]
impl Looks for Machine {
    async fn at(&self, stack: &Stack, node: &Node, body: &Body, timeout: Duration) -> Result<Seen, ProbeError> {
        let looked = from_outside(stack, body, timeout).await;
        let outside = match or_ended(looked, stack, node, body).await? {
            Found::Here(outside) => outside,
            Found::Absent(why) => return Ok(only(why, self.without(Some(node)))),
        };
        if !body.is_capped() {
            limited(&node.def, body.memory_bytes())?;
        }
        Ok(judge(&node.def, body, &outside))
    }

    /// A machine that is up and answers has its name, its addresses and its limits.
    fn stays(&self, seen: &Facts) -> bool {
        seen.get("ssh") == Some(&json!(true)) || seen.get("running") == Some(&json!(false))
    }

    fn without(&self, node: Option<&Node>) -> Facts {
        let mut facts = node.map(|node| declared(&node.def)).unwrap_or_default();
        facts.insert("running".to_owned(), json!(false));
        facts
    }
}

/// What was seen past the machine's own programs.
#[derive(Debug, Default)]
struct Outside {
    hostname: String,
    addresses: Vec<Ipv4Addr>,
    /// Why no SSH server greeted; none where one did.
    no_ssh: Option<String>,
}

async fn from_outside(stack: &Stack, body: &Body, timeout: Duration) -> Result<Outside, ProbeError> {
    let lab = stack.ground.agents.lab().await?;
    let (pid, container) = body.first();
    let named = Look::Hostname { pid, container: container.to_owned() };
    let hostname = match look(&body.seen_by(&stack.ground).lab().await?, named, timeout).await? {
        Sight::Hostname { name } => name,
        other => return Err(unexpected(&other)),
    };
    let [trie] = tables(stack, body, ["net/fib_trie"], timeout).await?;
    let mut no_ssh = Some("it has no address".to_owned());
    // A port that swallows packets must not take the time of the address after it, nor all that this look has.
    let share = timeout / u32::try_from(body.addresses().len() + 1).unwrap_or(1);
    for address in body.addresses().values() {
        let greet_ms = whole_ms(stack.machines.stretched(GREET));
        let dial = Look::Tcp { host: address.clone(), port: SSH, greet_ms };
        no_ssh = match look(&lab, dial, share).await? {
            Sight::Tcp { greeting, .. } if greeting.starts_with(b"SSH-") => None,
            Sight::Tcp { connected: true, closed, .. } => Some(closed.unwrap_or_else(|| "no greeting".to_owned())),
            Sight::Tcp { refused, .. } => Some(refused.unwrap_or_default()),
            Sight::No { message, .. } => Some(message),
            other => return Err(unexpected(&other)),
        };
        if no_ssh.is_none() {
            break;
        }
    }
    Ok(Outside { hostname, addresses: kernel::addresses(&trie), no_ssh })
}

/// What the file alone says.
fn declared(def: &MachineDef) -> Facts {
    let mut facts = Facts::from([
        ("private_addresses".to_owned(), json!(def.addresses)),
        ("insert_key".to_owned(), json!(def.insert_key)),
    ]);
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            facts.insert(name.to_owned(), value);
        }
    };
    put("box", def.boxed.as_ref().map(|name| json!(name)));
    put("box_family", family(def).map(|name| json!(name)));
    put("memory_declared_bytes", def.memory_bytes.map(|bytes| json!(bytes)));
    put("cpus_declared", def.cpus.map(|cpus| json!(cpus)));
    facts
}

/// The system of its box, as the catalogue knows it.
fn family(def: &MachineDef) -> Option<String> {
    match boxes::of_machine(def) {
        Served::Node(entry) if entry.known => Some(entry.family),
        _ => None,
    }
}

/// A machine is given what it declares by us, and more where it could not start with that: where the engine has less, or no
/// limit at all, that is ours.
fn limited(def: &MachineDef, limit: u64) -> Result<(), ProbeError> {
    match def.memory_bytes.filter(|bytes| bytes.saturating_sub(limit) > PAGE) {
        None => Ok(()),
        Some(bytes) => Err(ProbeError::ours(
            format!("{bytes} bytes of memory are declared for {}, and it was given {limit}", def.name),
            format!("se declaran {bytes} bytes de memoria para {}, y se le dieron {limit}", def.name),
        )),
    }
}

fn judge(def: &MachineDef, body: &Body, outside: &Outside) -> Seen {
    let mut whys: Vec<(String, String)> = Vec::new();
    let clean = |text: &str| crate::sanitize::line(text, 120);
    if let Some(why) = &outside.no_ssh {
        whys.push((
            format!("no SSH server greets on port 22: {why}"),
            format!("ningún servidor SSH saluda en el puerto 22: {why}"),
        ));
    }
    let hostname = def.hostname.as_deref().is_some_and(|name| same_name(name, &outside.hostname));
    if !hostname {
        let is = clean(&outside.hostname);
        whys.push(match &def.hostname {
            Some(name) => {
                let name = clean(name);
                (format!("it is called {is}, and {name} is declared"), format!("se llama {is}, y se declara {name}"))
            }
            None => ("no `vm.hostname` is declared".to_owned(), "no se declara `vm.hostname`".to_owned()),
        });
    }
    let missing: Vec<String> =
        def.addresses.iter().filter(|address| !has(outside, address)).map(|address| clean(address)).collect();
    let address = missing.is_empty() && def.private_networks > 0;
    if !missing.is_empty() {
        let missing = missing.join(", ");
        let own = outside.addresses.iter().map(Ipv4Addr::to_string).collect::<Vec<_>>().join(", ");
        whys.push((
            format!("it lacks the address {missing}; its own: {own}"),
            format!("le falta la dirección {missing}; las suyas: {own}"),
        ));
    } else if !address {
        whys.push(("it has no private network".to_owned(), "no tiene red privada".to_owned()));
    }
    if def.memory_bytes.is_none() {
        whys.push(("no memory is declared".to_owned(), "no se declara memoria".to_owned()));
    }
    let mut facts = declared(def);
    facts.extend([
        ("running".to_owned(), json!(true)),
        ("ssh".to_owned(), json!(outside.no_ssh.is_none())),
        ("hostname_as_declared".to_owned(), json!(hostname)),
        ("address_as_declared".to_owned(), json!(address)),
        ("memory_bytes".to_owned(), json!(body.memory_bytes())),
        ("memory_as_declared".to_owned(), json!(def.memory_bytes.is_some())),
        ("cpus".to_owned(), json!(body.cpus())),
    ]);
    let said = |pick: fn(&(String, String)) -> &String| whys.iter().map(pick).cloned().collect::<Vec<_>>().join("; ");
    let why = (!whys.is_empty()).then(|| Text::new(said(|w| &w.0), said(|w| &w.1)));
    Seen { facts, why, ..Seen::default() }
}

/// A declared name may have a domain that the kernel's is without, and the other way round.
fn same_name(declared: &str, kernel: &str) -> bool {
    let first = |name: &str| name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let whole = declared.contains('.') && kernel.contains('.');
    if whole { declared.eq_ignore_ascii_case(kernel) } else { !declared.is_empty() && first(declared) == first(kernel) }
}

fn has(outside: &Outside, declared: &str) -> bool {
    let address = declared.trim().split('/').next().unwrap_or_default();
    address.parse().is_ok_and(|address: Ipv4Addr| outside.addresses.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::Container;

    fn def() -> MachineDef {
        MachineDef {
            name: "master".into(),
            autostart: true,
            boxed: Some("centos/7".into()),
            hostname: Some("master".into()),
            addresses: vec!["192.168.56.10".into()],
            private_networks: 1,
            memory_bytes: Some(512 << 20),
            cpus: Some(1.0),
            ..MachineDef::default()
        }
    }

    fn outside() -> Outside {
        Outside { hostname: "master".into(), addresses: vec![Ipv4Addr::new(192, 168, 56, 10)], no_ssh: None }
    }

    fn body() -> Body {
        let container = Container { memory_bytes: 512 << 20, nano_cpus: 1_000_000_000, ..Container::default() };
        Body::Container(Box::new(container))
    }

    #[test]
    fn a_machine_as_declared_has_nothing_to_explain() {
        let seen = judge(&def(), &body(), &outside());
        for fact in ["running", "ssh", "hostname_as_declared", "address_as_declared", "memory_as_declared"] {
            assert_eq!(seen.facts[fact], json!(true), "{fact}");
        }
        assert_eq!((&seen.facts["box_family"], &seen.facts["cpus"]), (&json!("centos7"), &json!(1.0)));
        assert_eq!(seen.why, None);
    }

    #[test]
    fn each_difference_is_named() {
        let outside = Outside { hostname: "f00d".into(), addresses: vec![], no_ssh: Some("connection refused".into()) };
        let seen = judge(&def(), &body(), &outside);
        assert_eq!(
            seen.why.unwrap().en,
            "no SSH server greets on port 22: connection refused; it is called f00d, and master is declared; \
             it lacks the address 192.168.56.10; its own: "
        );
        assert_eq!((&seen.facts["ssh"], &seen.facts["address_as_declared"]), (&json!(false), &json!(false)));
    }

    #[test]
    fn what_is_not_declared_is_not_as_declared() {
        let bare = MachineDef { name: "x".into(), ..MachineDef::default() };
        let seen = judge(&bare, &body(), &outside());
        for fact in ["hostname_as_declared", "address_as_declared", "memory_as_declared"] {
            assert_eq!(seen.facts[fact], json!(false), "{fact}");
        }
        assert!(!seen.facts.contains_key("memory_declared_bytes") && !seen.facts.contains_key("box_family"));
        let dhcp = MachineDef { private_networks: 1, ..bare };
        assert_eq!(judge(&dhcp, &body(), &outside()).facts["address_as_declared"], json!(true));
    }

    #[test]
    fn another_limit_than_declared_is_ours() {
        assert!(limited(&def(), 512 << 20).is_ok());
        assert!(limited(&def(), (512 << 20) - 4095).is_ok(), "an engine rounds");
        assert!(limited(&MachineDef { memory_bytes: Some(64 << 20), ..def() }, 512 << 20).is_ok());
        let error = limited(&def(), 0).unwrap_err();
        assert_eq!(error.reason, crate::notice::Reason::Imparcial);
        assert!(limited(&MachineDef::default(), 0).is_ok());
    }

    #[test]
    fn names_are_the_same_with_a_domain_or_without() {
        assert!(same_name("master.local", "master") && same_name("Master", "master.lab"));
        assert!(!same_name("master.local", "master.lab") && !same_name("master", "worker1") && !same_name("", "x"));
    }
}

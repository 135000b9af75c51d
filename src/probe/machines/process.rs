//! `process`: whether a program runs in a machine, by the lab's own view of the machine's processes.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;

use super::from_outside::{only, or_ended, unexpected};
use super::{Looks, On, OnMachines, Seen};
use crate::agent::{Look, ProcessSeen, Sight};
use crate::expect::{FactSpec, Facts, Unit};
use crate::probe::common::{Found, look};
use crate::probe::{Probe, ProbeError, ProbeKind};
use crate::scenario::tree::Decoder;
use crate::stack::machines::Node;
use crate::stack::{Body, Stack};
use crate::text::Text;

pub static KIND: ProbeKind = ProbeKind {
    name: "process",
    summary: "A program runs in a machine, by the kernel's list of its processes as the lab reads it; those of containers in the machine are not among them. A process may call itself what it likes, so its name is testimony",
    facts: &[
        FactSpec { name: "running", unit: Unit::Bool, summary: "one at least runs under that name" },
        FactSpec { name: "count", unit: Unit::Number, summary: "how many do" },
    ],
    example: "{id: gluster-runs, points: 0, process: {on: all, name: glusterd}, expect: {running: true}}",
    schema: || {
        json!({"type": "object", "additionalProperties": false, "required": ["name"], "properties": {
            "name": {"type": "string", "description": "the program's file name, or the kernel's name for the process"},
            "on": On::schema()
        }})
    },
    decode: |d| decode(d).map(|probe| Box::new(probe) as Box<dyn Probe>),
};

/// As much of a name as the kernel keeps.
const KEPT: usize = 15;

struct Process {
    name: String,
    on: On,
}

fn decode(d: &mut Decoder<'_>) -> Option<Process> {
    let (name, on) = (d.required_text("name"), On::decode(d, "on"));
    Some(Process { name: name?, on })
}

impl OnMachines for Process {
    fn on(&self) -> &On {
        &self.on
    }
}

#[async_trait]
impl Looks for Process {
    async fn at(&self, stack: &Stack, node: &Node, body: &Body, timeout: Duration) -> Result<Seen, ProbeError> {
        let looked = async {
            let (pid, container) = body.first();
            let ask = Look::Processes { pid, container: container.to_owned() };
            match look(&body.seen_by(&stack.ground).lab().await?, ask, timeout).await? {
                Sight::Processes { all } => Ok(all),
                other => Err(unexpected(&other)),
            }
        };
        Ok(match or_ended(looked.await, stack, node, body).await? {
            Found::Here(all) => judge(&self.name, &all),
            Found::Absent(why) => only(why, self.without(Some(node))),
        })
    }

    fn without(&self, _node: Option<&Node>) -> Facts {
        Facts::new()
    }
}

fn judge(name: &str, all: &[ProcessSeen]) -> Seen {
    let count = all.iter().filter(|process| is(process, name)).count();
    let seen = Seen::of([("running", json!(count > 0)), ("count", json!(count))]);
    let n = all.len();
    seen.because(if count > 0 {
        Text::new(format!("{count} processes are {name}, of {n}"), format!("{count} procesos son {name}, de {n}"))
    } else {
        Text::new(format!("none of its {n} processes is {name}"), format!("ninguno de sus {n} procesos es {name}"))
    })
}

fn is(process: &ProcessSeen, name: &str) -> bool {
    let short: String = name.chars().take(KEPT).collect();
    // A long name is compared as far as the kernel keeps it, and the rest by its command line.
    let program = process.argv.first().and_then(|program| program.rsplit('/').next()).unwrap_or_default();
    let program = program.split_whitespace().next().unwrap_or_default().trim_end_matches(':');
    program == name || (process.name == short && (name.chars().count() <= KEPT || process.argv.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(name: &str, argv: &[&str]) -> ProcessSeen {
        ProcessSeen { pid: 1, name: name.into(), argv: argv.iter().map(|word| (*word).to_owned()).collect() }
    }

    #[test]
    fn a_program_is_known_by_its_file_or_by_the_kernels_name() {
        let all = [
            process("glusterd", &["/usr/sbin/glusterd", "-p", "/run/glusterd.pid"]),
            process("glusterfsd", &["/usr/sbin/glusterfsd", "-s", "master"]),
            process("sshd", &["sshd: /usr/sbin/sshd -D"]),
            process("containerd-shim", &["/usr/bin/containerd-shim-runc-v2"]),
            process("kworker/u4:1", &[]),
        ];
        let count = |name: &str| judge(name, &all).facts["count"].clone();
        assert_eq!((count("glusterd"), count("glusterfsd"), count("sshd")), (json!(1), json!(1), json!(1)));
        assert_eq!((count("containerd-shim-runc-v2"), count("containerd-shim-other")), (json!(1), json!(0)));
        assert_eq!((count("gluster"), count("kworker/u4:1")), (json!(0), json!(1)));
        assert_eq!(judge("dockerd", &all).why.unwrap().en, "none of its 5 processes is dockerd");
    }
}

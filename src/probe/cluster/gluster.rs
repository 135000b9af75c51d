//! `gluster`: the distributed volume: its peers, its bricks and what they survive, and on which machines it is mounted.
//!
//! What Gluster says of itself is testimony of the machine that is asked; where bricks and mounts are is seen from outside.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use serde_json::json;

use super::ask::{Teller, tell, teller, which};
use super::members::{self, BrickSeen, MountSeen, members};
use super::picture::Picture;
use super::{copies, mounts, xml};
use crate::expect::{FactSpec, Facts, Unit};
use crate::probe::common::Found;
use crate::probe::machines::On;
use crate::probe::{Attempt, MACHINES, Observation, Probe, ProbeError, ProbeKind, SETTLED};
use crate::scenario::tree::Decoder;
use crate::stack::Stack;
use crate::text::Text;

pub static KIND: ProbeKind = ProbeKind {
    name: "gluster",
    summary: "A volume of GlusterFS: its peers, its bricks, whether it loses nothing when any one machine is lost, and where it is mounted. What a machine's `gluster` says is testimony; that bricks are there, on which disk and listening, and where the volume is mounted is seen from outside the machines",
    facts: &[
        FactSpec {
            name: "peers",
            unit: Unit::Number,
            summary: "machines of the cluster that are connected, the one that is asked among them (testimony)",
        },
        FactSpec { name: "peers_disconnected", unit: Unit::List, summary: "those that are not (testimony)" },
        FactSpec { name: "volumes", unit: Unit::List, summary: "the names of all volumes (testimony)" },
        FactSpec { name: "volume", unit: Unit::Text, summary: "the one that is looked at" },
        FactSpec {
            name: "type",
            unit: Unit::Text,
            summary: "in Gluster's words: replicate, distributed-replicate, distribute, disperse … (testimony)",
        },
        FactSpec {
            name: "replicated",
            unit: Unit::Bool,
            summary: "it loses nothing when any one machine is lost: copies, or pieces with enough to spare, on different machines; an arbiter holds no copy",
        },
        FactSpec { name: "bricks", unit: Unit::Number, summary: "how many it has (testimony)" },
        FactSpec { name: "brick_nodes", unit: Unit::List, summary: "the machines that they are on, each once" },
        FactSpec { name: "started", unit: Unit::Bool, summary: "it is started (testimony)" },
        FactSpec {
            name: "bricks_online",
            unit: Unit::Number,
            summary: "bricks that Gluster says are online, whose folder is there and on whose port something listens",
        },
        FactSpec { name: "bricks_offline", unit: Unit::List, summary: "the others, as `machine:/folder`" },
        FactSpec {
            name: "bricks_on_extra_disks",
            unit: Unit::Bool,
            summary: "every brick lies on an extra disk of its machine, by the kernel's table of mounts",
        },
        FactSpec {
            name: "mounted_on",
            unit: Unit::List,
            summary: "the machines that have it mounted, by the kernel's table",
        },
        FactSpec { name: "not_mounted_on", unit: Unit::List, summary: "the machines of the Vagrantfile that do not" },
        FactSpec {
            name: "not_mounted_at_start_on",
            unit: Unit::List,
            summary: "machines on which neither `/etc/fstab` nor an enabled unit of systemd mounts it where it is mounted now: their own files, so testimony of what comes back by itself",
        },
        FactSpec {
            name: "heal_pending",
            unit: Unit::Number,
            summary: "with `heal`: entries that a brick has still to get, over all bricks that answer (testimony)",
        },
        FactSpec {
            name: "split_brain",
            unit: Unit::Number,
            summary: "with `heal`: entries of which nobody can tell which copy is right (testimony)",
        },
    ],
    example: "{id: volume-replicated, points: 2, gluster: {}, expect: {started: true, replicated: true, bricks_on_extra_disks: true, not_mounted_on: []}}",
    schema: || {
        json!({"type": "object", "additionalProperties": false, "properties": {
            "on": {"type": "string", "description": "which machine is asked: `first` (that the Vagrantfile defines), or a machine's name; of `others` (all but that one), and of `all` (the default), the first that knows a volume"},
            "volume": {"type": "string", "description": "its name; without it, the only volume, or of several the only one that is mounted on a machine"},
            "heal": {"type": "boolean", "description": "asks also what is still to be healed, which takes Gluster a second or more"}
        }})
    },
    decode: |d| decode(d).map(|probe| Box::new(probe) as Box<dyn Probe>),
};

struct Gluster {
    on: On,
    volume: Option<String>,
    heal: bool,
}

fn decode(d: &mut Decoder<'_>) -> Option<Gluster> {
    let (on, volume) = (On::decode(d, "on"), d.text("volume"));
    Some(Gluster { on, volume, heal: d.bool_or("heal", false) })
}

#[async_trait]
impl Probe for Gluster {
    fn layer(&self) -> &'static str {
        MACHINES
    }

    async fn observe(&self, stack: &Arc<Stack>, attempt: Attempt) -> Result<Observation, ProbeError> {
        let timeout = attempt.timeout;
        let told = match teller(stack, &self.on, timeout).await? {
            Found::Here(told) => told,
            Found::Absent(why) => return Ok(Observation { explanation: Some(why), ..Observation::of(nothing()) }),
        };
        let (members, away) = members(stack, timeout).await?;
        let mounted = |name: &str| members.iter().any(|member| mounts::mounted(&member.mounts, name).is_some());
        let volume = match which(&told.volumes, self.volume.as_deref(), |volume| mounted(&volume.name))? {
            Found::Here(volume) => volume.clone(),
            Found::Absent(why) => {
                let mut facts = nothing();
                let names: Vec<&String> = told.volumes.iter().map(|volume| &volume.name).collect();
                facts.insert("volumes".to_owned(), json!(names));
                let conditions = vec![SETTLED.to_owned()];
                return Ok(Observation { explanation: Some(why), conditions, ..Observation::of(facts) });
            }
        };
        let mut picture = Picture::new(&told.volumes, volume, &members, &stack.machines.nodes, away);
        if let Some(why) = self.ask(stack, &told, &mut picture, timeout).await? {
            return Ok(Observation { explanation: Some(why), ..Observation::of(nothing()) });
        }
        picture.name_peers(&members);
        picture.bricks = bricks(stack, &members, &picture, timeout).await?;
        let mounts = members.iter().map(|member| members::mount(stack, member, &picture.volume.name, timeout));
        let mounts: Vec<MountSeen> = try_join_all(mounts).await?;
        picture.mounts.extend(mounts);
        Ok(picture.judge())
    }
}

impl Gluster {
    /// What more the machine's `gluster` has to say; why it does not, where that is a fact.
    async fn ask(
        &self,
        stack: &Stack,
        told: &Teller<'_>,
        picture: &mut Picture,
        timeout: Duration,
    ) -> Result<Option<Text>, ProbeError> {
        let (node, body) = (told.node, &told.body);
        match tell(stack, node, body, &["peer", "status"], xml::peers, timeout).await? {
            Found::Here(peers) => picture.peers = peers,
            Found::Absent(why) => return Ok(Some(why)),
        }
        if !picture.volume.started {
            return Ok(None);
        }
        let name = picture.volume.name.clone();
        match tell(stack, node, body, &["volume", "status", &name], xml::running, timeout).await? {
            Found::Here(running) => picture.running = running,
            Found::Absent(why) => return Ok(Some(why)),
        }
        if self.heal && copies::shape(&picture.volume) != copies::Shape::Single {
            let question = ["volume", "heal", &name, "info", "summary"];
            match tell(stack, node, body, &question, xml::heals, timeout).await? {
                Found::Here(heals) => picture.heals = Some(heals),
                Found::Absent(why) => return Ok(Some(why)),
            }
        }
        Ok(None)
    }
}

async fn bricks(
    stack: &Stack,
    members: &[members::Member<'_>],
    picture: &Picture,
    timeout: Duration,
) -> Result<Vec<BrickSeen>, ProbeError> {
    let each =
        picture.volume.bricks.iter().map(|brick| members::brick(stack, members, brick, &picture.running, timeout));
    try_join_all(each).await
}

/// The facts of where there is no volume.
fn nothing() -> Facts {
    Facts::from([("volumes".to_owned(), json!([]))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::tree;

    #[test]
    fn parameters_and_a_mistake() {
        let read = |text: &str| {
            let node = tree::read(text, "s.yaml").unwrap();
            let mut problems = Vec::new();
            let mut d = Decoder::new(&node, &mut problems);
            let probe = decode(&mut d);
            d.finish();
            (probe.unwrap(), problems.into_iter().map(|p| p.message).collect::<Vec<_>>())
        };
        let (probe, problems) = read("{on: first, volume: gv0, heal: true}");
        assert_eq!((probe.on, probe.volume.as_deref(), probe.heal), (On::First, Some("gv0"), true));
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(read("{volum: gv0}").1, ["unknown key `volum`"]);
    }
}

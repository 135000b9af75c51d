//! All that was seen of a volume, and what it comes to as facts. Pure.

use serde_json::json;

use super::copies;
use super::members::{BrickSeen, Member, MountSeen, machines_of, name_of};
use super::xml::{Heal, Peer, Running, Volume};
use crate::expect::Facts;
use crate::probe::{Observation, SETTLED};
use crate::stack::machines::Node;
use crate::text::Text;

#[derive(Debug, Default)]
pub(super) struct Picture {
    pub(super) volumes: Vec<String>,
    pub(super) volume: Volume,
    /// The machine of each brick, or its host where it is no machine of ours.
    pub(super) on: Vec<String>,
    pub(super) peers: Vec<Peer>,
    pub(super) running: Vec<Running>,
    pub(super) heals: Option<Vec<Heal>>,
    pub(super) bricks: Vec<BrickSeen>,
    /// Every machine of the Vagrantfile.
    pub(super) mounts: Vec<MountSeen>,
}

impl Picture {
    /// `away`: machines that are not up have nothing mounted.
    pub(super) fn new(
        all: &[Volume],
        volume: Volume,
        members: &[Member<'_>],
        nodes: &[Node],
        away: Vec<String>,
    ) -> Self {
        let not = |machine| MountSeen { machine, ..MountSeen::default() };
        Self {
            volumes: all.iter().map(|volume| volume.name.clone()).collect(),
            on: machines_of(members, nodes, &volume.bricks),
            volume,
            mounts: away.into_iter().map(not).collect(),
            ..Self::default()
        }
    }

    /// Peers by their machines' names.
    pub(super) fn name_peers(&mut self, members: &[Member<'_>]) {
        for peer in &mut self.peers {
            peer.names = vec![name_of(members, &peer.uuid, &peer.names)];
        }
    }

    fn machine(&self, brick: &super::xml::Brick) -> String {
        let at = self.volume.bricks.iter().position(|own| own == brick);
        at.and_then(|at| self.on.get(at).cloned()).unwrap_or_else(|| brick.host.clone())
    }

    pub(super) fn judge(&self) -> Observation {
        let loses = copies::loses(&self.volume, |brick| self.machine(brick));
        let names = |keep: &dyn Fn(&BrickSeen) -> bool| {
            self.bricks.iter().filter(|brick| keep(brick)).map(|brick| brick.name.clone()).collect::<Vec<_>>()
        };
        let offline = names(&|brick| !brick.online);
        let elsewhere = names(&|brick| !brick.on_extra_disk);
        let disconnected: Vec<String> =
            self.peers.iter().filter(|peer| !peer.connected).flat_map(|peer| peer.names.first().cloned()).collect();
        let machines = |keep: &dyn Fn(&MountSeen) -> bool| {
            self.mounts.iter().filter(|mount| keep(mount)).map(|mount| mount.machine.clone()).collect::<Vec<_>>()
        };
        let unmounted = machines(&|mount| mount.at.is_none());
        let mut nodes: Vec<&String> = Vec::new();
        for name in &self.on {
            if !nodes.contains(&name) {
                nodes.push(name);
            }
        }
        let mut facts = Facts::from([
            ("peers".to_owned(), json!(self.peers.len() - disconnected.len() + 1)),
            ("peers_disconnected".to_owned(), json!(disconnected)),
            ("volumes".to_owned(), json!(self.volumes)),
            ("volume".to_owned(), json!(self.volume.name)),
            ("type".to_owned(), json!(self.volume.kind.to_lowercase())),
            ("replicated".to_owned(), json!(loses.is_none())),
            ("bricks".to_owned(), json!(self.volume.bricks.len())),
            ("brick_nodes".to_owned(), json!(nodes)),
            ("started".to_owned(), json!(self.volume.started)),
            ("bricks_online".to_owned(), json!(self.bricks.len() - offline.len())),
            ("bricks_offline".to_owned(), json!(offline)),
            ("bricks_on_extra_disks".to_owned(), json!(elsewhere.is_empty() && !self.bricks.is_empty())),
            ("mounted_on".to_owned(), json!(machines(&|mount| mount.at.is_some()))),
            ("not_mounted_on".to_owned(), json!(unmounted)),
            ("not_mounted_at_start_on".to_owned(), json!(machines(&|mount| !mount.at_start))),
        ]);
        // A unit that mounts it may wait for the daemon a moment longer.
        let mut healthy = self.volume.started && offline.is_empty() && disconnected.is_empty() && unmounted.is_empty();
        if let Some(heals) = &self.heals {
            let sum = |count: fn(&Heal) -> u64| heals.iter().map(count).sum::<u64>();
            let (pending, split) = (sum(|heal| heal.pending), sum(|heal| heal.split_brain));
            facts.insert("heal_pending".to_owned(), json!(pending));
            facts.insert("split_brain".to_owned(), json!(split));
            healthy &= pending == 0;
        }
        let explanation = self.explain(loses, &elsewhere, &offline, &disconnected, &unmounted);
        // Provisioning is over, so what is healthy stays as it is.
        let conditions = if healthy { vec![SETTLED.to_owned()] } else { Vec::new() };
        Observation { explanation, conditions, ..Observation::of(facts) }
    }

    fn explain(
        &self,
        loses: Option<Text>,
        elsewhere: &[String],
        offline: &[String],
        disconnected: &[String],
        unmounted: &[String],
    ) -> Option<Text> {
        let name = crate::sanitize::line(&self.volume.name, 60);
        let mut whys: Vec<Text> = Vec::new();
        let mut say = |en: String, es: String| whys.push(Text::new(en, es));
        if !self.volume.started {
            say("it is not started".to_owned(), "no está iniciado".to_owned());
        }
        if let Some(why) = loses {
            say(why.en, why.es);
        }
        if !elsewhere.is_empty() {
            let bricks = elsewhere.join(", ");
            say(format!("on no extra disk: {bricks}"), format!("en ningún disco adicional: {bricks}"));
        }
        if self.volume.started && !offline.is_empty() {
            let bricks = offline.join(", ");
            say(format!("bricks that are not online: {bricks}"), format!("bricks que no están en línea: {bricks}"));
        }
        if !disconnected.is_empty() {
            let peers = disconnected.join(", ");
            say(format!("peers that are not connected: {peers}"), format!("pares que no están conectados: {peers}"));
        }
        for heal in self.heals.iter().flatten().filter(|heal| heal.pending + heal.split_brain > 0) {
            let (brick, pending, split) = (crate::sanitize::line(&heal.name, 120), heal.pending, heal.split_brain);
            say(
                format!("{brick} has {pending} entries to be healed and {split} in split brain"),
                format!("{brick} tiene {pending} entradas por sanar y {split} en split brain"),
            );
        }
        if !unmounted.is_empty() {
            let machines = unmounted.join(", ");
            say(format!("it is not mounted on {machines}"), format!("no está montado en {machines}"));
        }
        let started: Vec<&str> =
            self.mounts.iter().filter(|m| m.at.is_some() && !m.at_start).map(|m| m.machine.as_str()).collect();
        if !started.is_empty() {
            let machines = started.join(", ");
            say(
                format!("nothing mounts it again at a start of {machines}"),
                format!("nada lo monta de nuevo al arrancar {machines}"),
            );
        }
        let joined = |pick: fn(&Text) -> &String| whys.iter().map(pick).cloned().collect::<Vec<_>>().join("; ");
        (!whys.is_empty()).then(|| {
            Text::new(
                format!("volume {name}: {}", joined(|text| &text.en)),
                format!("el volumen {name}: {}", joined(|text| &text.es)),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::xml;
    use super::*;

    fn picture() -> Picture {
        let all = xml::volumes(include_str!("said/info.xml")).unwrap().unwrap();
        let volume = all.iter().find(|volume| volume.name == "volumen").cloned().unwrap();
        let names = ["master", "worker1", "worker2", "worker3"].map(str::to_owned);
        let seen = |name: &String| BrickSeen {
            name: format!("{name}:/gluster/brick/volumen"),
            on_extra_disk: true,
            online: true,
        };
        let mount =
            |name: &String| MountSeen { machine: name.clone(), at: Some("/mnt/volumen".into()), at_start: true };
        Picture {
            volumes: all.iter().map(|volume| volume.name.clone()).collect(),
            volume,
            on: names.to_vec(),
            peers: xml::peers(include_str!("said/peers.xml")).unwrap().unwrap(),
            bricks: names.iter().map(seen).collect(),
            mounts: names.iter().map(mount).collect(),
            ..Picture::default()
        }
    }

    #[test]
    fn a_volume_as_it_should_be_has_nothing_to_explain() {
        let seen = picture().judge();
        let facts = &seen.subjects[0].1;
        for (fact, is) in [
            ("peers", json!(4)),
            ("type", json!("replicate")),
            ("replicated", json!(true)),
            ("bricks_online", json!(4)),
            ("bricks_offline", json!([])),
            ("bricks_on_extra_disks", json!(true)),
            ("not_mounted_on", json!([])),
            ("not_mounted_at_start_on", json!([])),
            ("brick_nodes", json!(["master", "worker1", "worker2", "worker3"])),
        ] {
            assert_eq!(facts[fact], is, "{fact}");
        }
        assert_eq!((seen.explanation, seen.conditions), (None, vec![SETTLED.to_owned()]));
        assert!(!facts.contains_key("heal_pending"), "nobody asked");
    }

    #[test]
    fn each_thing_that_is_wrong_is_named() {
        let mut picture = picture();
        picture.bricks[2].online = false;
        picture.bricks[3].on_extra_disk = false;
        picture.peers[0].connected = false;
        picture.mounts[1] = MountSeen { machine: "worker1".into(), ..MountSeen::default() };
        picture.mounts[2].at_start = false;
        picture.heals = xml::heals(include_str!("said/heal-down.xml")).unwrap().ok();
        let seen = picture.judge();
        let facts = &seen.subjects[0].1;
        assert_eq!((&facts["peers"], &facts["bricks_online"]), (&json!(3), &json!(3)));
        assert_eq!((&facts["heal_pending"], &facts["split_brain"]), (&json!(4), &json!(0)));
        assert_eq!(
            seen.explanation.unwrap().en,
            "volume volumen: on no extra disk: worker3:/gluster/brick/volumen; bricks that are not online: \
             worker2:/gluster/brick/volumen; peers that are not connected: 192.168.56.11; \
             192.168.56.10:/gluster/brick/volumen has 2 entries to be healed and 0 in split brain; \
             192.168.56.11:/gluster/brick/volumen has 2 entries to be healed and 0 in split brain; \
             it is not mounted on worker1; nothing mounts it again at a start of worker2"
        );
        assert!(seen.conditions.is_empty(), "what is away may come back");
        assert_eq!(facts["not_mounted_at_start_on"], json!(["worker1", "worker2"]));
    }

    #[test]
    fn a_mount_that_is_missing_may_still_come() {
        let mut picture = picture();
        picture.mounts[3].at = None;
        assert!(picture.judge().conditions.is_empty());
    }

    #[test]
    fn a_volume_that_was_never_started_or_copies_nothing() {
        let mut picture = picture();
        picture.volume.started = false;
        picture.volume.kind = "Distribute".into();
        picture.volume.replicas = 1;
        let seen = picture.judge();
        let why = seen.explanation.unwrap().en;
        assert_eq!(
            why,
            "volume volumen: it is not started; it is of type distribute: each file lies on one brick only"
        );
        assert_eq!(seen.subjects[0].1["replicated"], json!(false));
    }
}

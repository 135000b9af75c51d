//! The machines of a cluster and the bricks that they have, seen from outside: by the number that each machine's Gluster has
//! of its own, its kernel's tables and its disks.

use std::time::Duration;

use futures_util::future::try_join_all;

use super::mounts;
use super::xml::{Brick, Running};
use crate::exec::Cmd;
use crate::probe::ProbeError;
use crate::probe::common::Found;
use crate::probe::machines::from_outside::{Disk, disks, path, tables};
use crate::probe::machines::kernel::{self, Mount};
use crate::probe::machines::up;
use crate::stack::machines::Node;
use crate::stack::{Body, Stack};

/// Where a machine's Gluster keeps its number.
const INFO: &str = "/var/lib/glusterd/glusterd.info";
const MAX_INFO: usize = 4 << 10;
const FSTAB: &str = "/etc/fstab";
const MAX_FSTAB: usize = 64 << 10;
/// Of places at which something is mounted on demand.
const MAX_WAITING: usize = 4;
/// Where systemd has the units that start with the machine.
const WANTS: [&str; 3] = ["remote-fs.target.wants", "multi-user.target.wants", "local-fs.target.wants"];

/// A machine that is up.
pub(super) struct Member<'a> {
    pub(super) node: &'a Node,
    pub(super) body: Body,
    /// None where it has no Gluster, or never started it.
    uuid: Option<String>,
    pub(super) mounts: Vec<Mount>,
    disks: Vec<Disk>,
    fstab: String,
    /// Where it listens over TCP.
    ports: Vec<u16>,
}

impl Member<'_> {
    pub(super) fn name(&self) -> String {
        crate::sanitize::line(self.node.name(), 60)
    }
}

/// All machines that are up, and the names of those that are not.
pub(super) async fn members<'a>(
    stack: &'a Stack,
    timeout: Duration,
) -> Result<(Vec<Member<'a>>, Vec<String>), ProbeError> {
    let each = stack.machines.nodes.iter().map(|node| async move {
        // That it does not run is the doing of a drill.
        if stack.turned_off(node.name()) {
            return Ok(Err(crate::sanitize::line(node.name(), 60)));
        }
        Ok::<_, ProbeError>(match up(stack, node).await? {
            Found::Here(body) => Ok(member(stack, node, body, timeout).await?),
            Found::Absent(_) => Err(crate::sanitize::line(node.name(), 60)),
        })
    });
    let (mut all, mut away) = (Vec::new(), Vec::new());
    for found in try_join_all(each).await? {
        match found {
            Ok(member) => all.push(member),
            Err(name) => away.push(name),
        }
    }
    Ok((all, away))
}

async fn member<'a>(stack: &Stack, node: &'a Node, body: Body, timeout: Duration) -> Result<Member<'a>, ProbeError> {
    let text = |seen: crate::agent::PathSeen| String::from_utf8_lossy(&seen.content).into_owned();
    let info = path(stack, &body, INFO, MAX_INFO, timeout).await?.map(text).unwrap_or_default();
    let fstab = path(stack, &body, FSTAB, MAX_FSTAB, timeout).await?.map(text).unwrap_or_default();
    let [table, four, six] = tables(stack, &body, ["mountinfo", "net/tcp", "net/tcp6"], timeout).await?;
    let mounts = come(stack, node, &body, kernel::mounts(&table), timeout).await?;
    let sockets = [four, six].map(|text| kernel::sockets(&text, kernel::TCP_LISTENS)).concat();
    let disks = disks(stack, node, &body, timeout).await?;
    Ok(Member {
        node,
        uuid: number(&info),
        mounts,
        disks,
        fstab,
        ports: sockets.into_iter().map(|(_, port)| port).collect(),
        body,
    })
}

/// Has mounted what is mounted as soon as somebody looks there, and reads the table again. Who looks must be a process of the
/// machine: the kernel asks the machine's own systemd, for nobody whom that does not see.
async fn come(
    stack: &Stack,
    node: &Node,
    body: &Body,
    mounts: Vec<Mount>,
    timeout: Duration,
) -> Result<Vec<Mount>, ProbeError> {
    let waiting: Vec<String> = mounts::waiting(&mounts).into_iter().take(MAX_WAITING).map(str::to_owned).collect();
    if waiting.is_empty() {
        return Ok(mounts);
    }
    let shell = body.shell(&stack.ground);
    for at in waiting {
        // Whether it came is told by the table.
        let look = Cmd::new(["ls", "-d", "--", &format!("{at}/.")]).timeout(timeout);
        shell.run(&look).await.map_err(|error| {
            let (name, at) = (crate::sanitize::line(node.name(), 60), crate::sanitize::line(&at, 160));
            let error = crate::sanitize::line(&error.to_string(), 200);
            ProbeError::ours(
                format!("could not look at {at} on {name}, where something is mounted on demand: {error}"),
                format!("no se pudo mirar {at} en {name}, donde se monta algo a demanda: {error}"),
            )
        })?;
    }
    let [table] = tables(stack, body, ["mountinfo"], timeout).await?;
    Ok(kernel::mounts(&table))
}

fn number(info: &str) -> Option<String> {
    info.lines().find_map(|line| line.strip_prefix("UUID=")).map(|uuid| uuid.trim().to_owned())
}

/// The machine that a brick is on: by the number that its Gluster has, else by an address or a name of its own.
pub(super) fn machine_of<'a, 'm>(members: &'a [Member<'m>], brick: &Brick) -> Option<&'a Member<'m>> {
    let by_number = members.iter().find(|member| member.uuid.as_ref() == Some(&brick.uuid));
    by_number.or_else(|| members.iter().find(|member| known_as(member.node, &brick.host)))
}

/// What each brick's machine is called: a machine that is up, else one of the Vagrantfile's, else by the number of its Gluster,
/// which is the same whatever its bricks call it.
pub(super) fn machines_of(members: &[Member<'_>], nodes: &[Node], bricks: &[Brick]) -> Vec<String> {
    named(bricks, |brick| {
        let down = || nodes.iter().find(|node| known_as(node, &brick.host));
        let name = || down().map(|node| crate::sanitize::line(node.name(), 60));
        machine_of(members, brick).map(Member::name).or_else(name)
    })
}

fn named(bricks: &[Brick], known: impl Fn(&Brick) -> Option<String>) -> Vec<String> {
    let name = |brick: &Brick| {
        let same = || bricks.iter().filter(|other| other.uuid == brick.uuid && !brick.uuid.is_empty());
        let first = || same().next().unwrap_or(brick).host.clone();
        known(brick).or_else(|| same().find_map(&known)).unwrap_or_else(first)
    };
    bricks.iter().map(name).collect()
}

fn known_as(node: &Node, host: &str) -> bool {
    let named = [Some(node.def.name.as_str()), node.def.hostname.as_deref()];
    let addresses = node.def.addresses.iter().map(|address| address.split('/').next().unwrap_or_default());
    named.into_iter().flatten().any(|name| name.eq_ignore_ascii_case(host)) || addresses.into_iter().any(|a| a == host)
}

/// The name that a peer has as a machine.
pub(super) fn name_of(members: &[Member<'_>], uuid: &str, names: &[String]) -> String {
    let by_number = members.iter().find(|member| member.uuid.as_deref() == Some(uuid));
    let by_name = || members.iter().find(|member| names.iter().any(|name| known_as(member.node, name)));
    let own = || crate::sanitize::line(names.first().map_or(uuid, String::as_str), 60);
    by_number.or_else(by_name).map_or_else(own, Member::name)
}

/// A brick as it is on its machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct BrickSeen {
    /// `worker1:/data/brick`.
    pub(super) name: String,
    /// That folder lies on an extra disk of the machine.
    pub(super) on_extra_disk: bool,
    /// Gluster says that its process runs, and something listens on the port that it names.
    pub(super) online: bool,
}

pub(super) async fn brick(
    stack: &Stack,
    members: &[Member<'_>],
    brick: &Brick,
    running: &[Running],
    timeout: Duration,
) -> Result<BrickSeen, ProbeError> {
    let Some(member) = machine_of(members, brick) else {
        let name = crate::sanitize::line(&brick.name(), 160);
        return Ok(BrickSeen { name, ..BrickSeen::default() });
    };
    let folder = path(stack, &member.body, &brick.path, 0, timeout).await?.filter(|seen| seen.kind == "folder");
    let on = folder.as_ref().and_then(|seen| mounts::lies_on(&member.mounts, &brick.path, &seen.device));
    let of = running.iter().find(|of| of.uuid == brick.uuid && of.path == brick.path);
    let listens = of.is_some_and(|of| of.online && of.port.is_some_and(|port| member.ports.contains(&port)));
    Ok(BrickSeen {
        name: crate::sanitize::line(&format!("{}:{}", member.node.name(), brick.path), 160),
        on_extra_disk: on.is_some_and(|mount| member.disks.iter().any(|disk| disk.part_of(mount).is_some())),
        online: folder.is_some() && listens,
    })
}

/// Where a machine has a volume mounted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct MountSeen {
    pub(super) machine: String,
    pub(super) at: Option<String>,
    /// Its `fstab`, or a unit of systemd that is enabled, mounts it there when it starts: its own files, so testimony.
    pub(super) at_start: bool,
}

pub(super) async fn mount(
    stack: &Stack,
    member: &Member<'_>,
    volume: &str,
    timeout: Duration,
) -> Result<MountSeen, ProbeError> {
    let Some((mount, _)) = mounts::mounted(&member.mounts, volume) else {
        return Ok(MountSeen { machine: member.name(), ..MountSeen::default() });
    };
    let mut at_start = mounts::in_fstab(&member.fstab, &mount.at);
    for target in WANTS {
        if !at_start {
            for kind in ["mount", "automount"] {
                let unit = format!("/etc/systemd/system/{target}/{}.{kind}", mounts::unit(&mount.at));
                at_start |= path(stack, &member.body, &unit, 0, timeout).await?.is_some();
            }
        }
    }
    Ok(MountSeen { machine: member.name(), at: Some(mount.at.clone()), at_start })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::submission::machines::MachineDef;

    #[test]
    fn bricks_of_one_machine_that_is_down_are_on_one_machine() {
        let brick = |uuid: &str, host: &str| Brick { uuid: uuid.into(), host: host.into(), ..Brick::default() };
        let bricks = [brick("1", "worker1"), brick("1", "192.168.56.11"), brick("2", "otra"), brick("", "sola")];
        assert_eq!(named(&bricks, |_| None), ["worker1", "worker1", "otra", "sola"]);
        let by_address = |brick: &Brick| (brick.host == "192.168.56.11").then(|| "w1".to_owned());
        assert_eq!(named(&bricks, by_address), ["w1", "w1", "otra", "sola"]);
        let def = MachineDef { name: "w1".into(), addresses: vec!["192.168.56.11".into()], ..MachineDef::default() };
        let nodes = [Node { def, ..Node::default() }];
        assert_eq!(machines_of(&[], &nodes, &bricks), ["w1", "w1", "otra", "sola"]);
    }

    #[test]
    fn a_machine_is_known_by_its_number_its_name_or_its_address() {
        assert_eq!(number("UUID=2fbc5326-8db1\noperating-version=100000\n").as_deref(), Some("2fbc5326-8db1"));
        assert_eq!(number(""), None);
        let def = MachineDef {
            name: "w1".into(),
            hostname: Some("worker1".into()),
            addresses: vec!["192.168.56.11/24".into()],
            ..MachineDef::default()
        };
        let node = Node { def, ..Node::default() };
        assert!(known_as(&node, "w1") && known_as(&node, "Worker1") && known_as(&node, "192.168.56.11"));
        assert!(!known_as(&node, "192.168.56.1") && !known_as(&node, ""));
    }
}

//! Looks at a machine through the lab: the kernel's tables of its first process, its extra disks, a path in it.

use std::time::Duration;

use super::kernel::{Mount, mounts};
use super::{Found, ended};
use crate::agent::{BlockSeen, Look, PathSeen, Sight};
use crate::probe::ProbeError;
use crate::probe::common::look;
use crate::stack::machines::{Node, NodeDisk};
use crate::stack::{Body, Stack};
use crate::text::Text;

pub(in crate::probe) fn unexpected(sight: &Sight) -> ProbeError {
    ProbeError::ours(format!("unexpected answer: {sight:?}"), format!("respuesta inesperada: {sight:?}"))
}

/// What only failed because the machine ended meanwhile is a fact; all else is an error.
pub(in crate::probe) async fn or_ended<T>(
    looked: Result<T, ProbeError>,
    stack: &Stack,
    node: &Node,
    body: &Body,
) -> Result<Found<T>, ProbeError> {
    match looked {
        Ok(seen) => Ok(Found::Here(seen)),
        Err(error) => match ended(stack, node, body).await? {
            Some(why) => Ok(Found::Absent(why)),
            None => Err(error),
        },
    }
}

/// The kernel's tables of a machine's first process, by their names below `/proc/PID`; one that there is not is empty.
pub(in crate::probe) async fn tables<const N: usize>(
    stack: &Stack,
    body: &Body,
    names: [&str; N],
    timeout: Duration,
) -> Result<[String; N], ProbeError> {
    let (pid, container) = body.first();
    let path = |name: &str| format!("/proc/{pid}/{name}");
    let mut paths: Vec<String> = names.iter().map(|name| path(name)).collect();
    // Read last: a process id that was given away before is another container's by then.
    paths.push(path("cgroup"));
    match look(&body.seen_by(&stack.ground).lab().await?, Look::Files { paths }, timeout).await? {
        Sight::Files { mut contents } => {
            if !contents.get(&path("cgroup")).is_some_and(|groups| groups.contains(container)) {
                return Err(ProbeError::ours(
                    format!("process {pid} is no longer the first of its machine"),
                    format!("el proceso {pid} ya no es el primero de su máquina"),
                ));
            }
            Ok(names.map(|name| contents.remove(&path(name)).unwrap_or_default()))
        }
        other => Err(unexpected(&other)),
    }
}

/// What is at a path of a machine, as its first process sees it.
pub(in crate::probe) async fn path(
    stack: &Stack,
    body: &Body,
    path: &str,
    max_bytes: usize,
    timeout: Duration,
) -> Result<Option<PathSeen>, ProbeError> {
    let seen_by = body.seen_by(&stack.ground).lab().await?;
    match look(&seen_by, Look::Path { root: body.root(), path: path.to_owned(), max_bytes }, timeout).await? {
        Sight::Path { seen } => Ok(seen),
        Sight::No { message, .. } => Err(ProbeError::ours(
            format!("could not read {path}: {message}"),
            format!("no se pudo leer {path}: {message}"),
        )),
        other => Err(unexpected(&other)),
    }
}

/// An extra disk of a machine: what the lab gave it, and what its device holds.
#[derive(Clone, Debug, Default)]
pub(in crate::probe) struct Disk {
    pub(in crate::probe) given: NodeDisk,
    pub(in crate::probe) seen: BlockSeen,
}

impl Disk {
    /// The disk and whatever lies on it: partitions, volumes.
    pub(in crate::probe) fn parts(&self) -> impl Iterator<Item = &BlockSeen> {
        std::iter::once(&self.seen).chain(&self.seen.parts)
    }

    /// The part that a mount is of. A file system that spans devices has a number of its own there (btrfs): it is known by
    /// the device that the kernel was told to mount.
    pub(in crate::probe) fn part_of(&self, mount: &Mount) -> Option<&BlockSeen> {
        self.parts().find(|part| {
            let node = self.in_node(part);
            part.number == mount.number
                || (mount.number.starts_with("0:") && mount.source == node && mount.kind == "btrfs")
        })
    }

    /// A part's device as the machine calls it: `/dev/sdb1` of `loop7p1`.
    pub(in crate::probe) fn in_node(&self, part: &BlockSeen) -> String {
        match part.name.strip_prefix(&format!("{}p", self.seen.name)) {
            Some(number) => format!("{}{number}", self.given.device),
            None if part.name == self.seen.name => self.given.device.clone(),
            None => format!("/dev/{}", part.name),
        }
    }
}

/// The machine's extra disks, each looked at in the lab.
///
/// # Errors
/// Where one that the lab gave it is not there, or not that one: nothing of a submission takes a device away.
pub(in crate::probe) async fn disks(
    stack: &Stack,
    node: &Node,
    body: &Body,
    timeout: Duration,
) -> Result<Vec<Disk>, ProbeError> {
    let lab = body.seen_by(&stack.ground).lab().await?;
    let mut all = Vec::new();
    for given in &node.disks {
        let (device, behind) = (&given.device, &given.behind);
        let seen = match look(&lab, Look::Block { device: behind.clone() }, timeout).await? {
            Sight::Block { seen } => seen,
            Sight::No { message, .. } => {
                return Err(ProbeError::ours(
                    format!("could not read {behind}: {message}"),
                    format!("no se pudo leer {behind}: {message}"),
                ));
            }
            other => return Err(unexpected(&other)),
        };
        let there = path(stack, body, device, 0, timeout).await?.and_then(|seen| seen.block);
        match seen {
            Some(seen) if there.as_ref() == Some(&seen.number) => all.push(Disk { given: given.clone(), seen }),
            _ => {
                return Err(ProbeError::ours(
                    format!("{device} of machine {} is not the disk that it was given", node.name()),
                    format!("{device} de la máquina {} no es el disco que se le dio", node.name()),
                ));
            }
        }
    }
    Ok(all)
}

/// The machine's mounts, as the kernel has them.
pub(in crate::probe) async fn mounted(stack: &Stack, body: &Body, timeout: Duration) -> Result<Vec<Mount>, ProbeError> {
    let [table] = tables(stack, body, ["mountinfo"], timeout).await?;
    let all = mounts(&table);
    if all.is_empty() {
        return Err(ProbeError::ours("the table of mounts is empty", "la tabla de montajes está vacía"));
    }
    Ok(all)
}

/// A sentence for a machine that stopped while it was looked at, as its only news.
pub(in crate::probe) fn only(why: Text, facts: crate::expect::Facts) -> super::Seen {
    super::Seen { facts, why: Some(why), ..super::Seen::default() }
}

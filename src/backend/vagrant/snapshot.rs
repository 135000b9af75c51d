//! Machines that begin where those of an earlier run of the same submission were after provisioning. What is done in the lab stands
//! in `vagrant/images/vms/lab-snapshot`; here is what was known of the machines, which is kept outside of any lab.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::boxes::{Decided, Known};
use crate::backend::log::Log;
use crate::backend::{BackendError, Site};
use crate::exec::{Cmd, ShellExt};
use crate::notice::{Level, Notice, Reason};
use crate::stack::machines::{Machines, Node};
use crate::stack::snapshot::Slot;
use crate::text::Text;

/// What each machine has of memory is written, or read, once; on a slow disk that takes its time.
const WITHIN: Duration = Duration::from_secs(300);

/// What a run knew of its machines when they were provisioned.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    /// When, as RFC 3339 has it.
    at: String,
    pub(super) machines: Machines,
    /// What their boxes came to.
    boxes: Known,
    /// By which each machine that was up is managed.
    pub(super) addresses: BTreeMap<String, String>,
    /// Name and content of what was kept of its bring-up.
    evidence: Vec<(String, String)>,
    /// What it took to come there, in seconds.
    took_s: u64,
}

impl Kept {
    /// What an earlier run left; nothing where that cannot be read.
    pub(super) fn read(slot: &Slot) -> Option<Self> {
        let kept = serde_json::from_slice(slot.kept.as_deref()?);
        kept.inspect_err(|error| tracing::warn!(%error, "a snapshot is of no use")).ok()
    }

    /// What a report has of it.
    pub(super) fn tell(&self, log: &mut Log) {
        for (name, content) in &self.evidence {
            log.keep(name.clone(), content.clone());
        }
        let Self { at, took_s, .. } = self;
        log.notices().push(notice(
            Level::Info,
            Text::new(
                format!("the machines begin where an earlier run had provisioned them (snapshot of {at}, {took_s} s spared); nothing that led there has changed since; `--fresh` does it again"),
                format!("las máquinas parten de donde otra ejecución las había aprovisionado (instantánea de {at}, {took_s} s ahorrados); nada de lo que llevó hasta ahí ha cambiado; `--fresh` lo repite"),
            ),
        ));
    }
}

/// The place for a snapshot, and what is kept there. Machines of other boxes than would be taken now are other machines: then this
/// lab has no such place, and makes them anew. Called before the hypervisor is started, which makes its disks there.
///
/// # Errors
/// The lab's volume cannot be taken away.
pub(super) async fn of<'s>(
    site: &Site,
    slot: Option<&'s Slot>,
    decided: &Decided,
    log: &mut Log,
) -> Result<(Option<&'s Slot>, Option<Kept>), BackendError> {
    let Some(slot) = slot else { return Ok((None, None)) };
    let kept = Kept::read(slot);
    if kept.as_ref().is_none_or(|kept| kept.boxes == decided.taken()) {
        return Ok((Some(slot), kept));
    }
    // Where nobody answers it is as good as it was, for when somebody does again.
    if !decided.is_for_lack_of_an_answer() {
        slot.forget();
    }
    site.shell.must(&Cmd::new(["umount", "/kept"]).timeout(Duration::from_secs(20))).await?;
    log.notices().push(notice(
        Level::Info,
        Text::new(
            "there is a snapshot of these machines, made of other boxes than are taken now: they are brought up anew",
            "hay una instantánea de estas máquinas, hechas de otros boxes que los de ahora: se levantan de nuevo",
        ),
    ));
    Ok((None, None))
}

/// Brings the machines to where they were.
///
/// # Errors
/// They do not come back.
pub(super) async fn restore(site: &Site) -> Result<(), BackendError> {
    site.shell.must(&Cmd::new(["lab-snapshot", "restore"]).timeout(WITHIN)).await?;
    Ok(())
}

/// Keeps what the machines are now, and goes on with them. What was not the submission's doing is not kept.
///
/// # Errors
/// The machines cannot go on.
pub(super) async fn keep(
    site: &Site,
    slot: &Slot,
    machines: &Machines,
    boxes: Known,
    took: Duration,
    log: &mut Log,
) -> Result<(), BackendError> {
    if !is_worth_it(machines) {
        return Ok(());
    }
    log.phase("snapshot");
    site.shell.must(&Cmd::new(["lab-snapshot", "save"]).timeout(WITHIN)).await?;
    let addresses =
        machines.nodes.iter().filter_map(|node| Some((node.name().to_owned(), node.guest.as_ref()?.address.clone())));
    let kept = Kept {
        at: OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default(),
        machines: machines.clone(),
        boxes,
        addresses: addresses.collect(),
        evidence: log
            .kept()
            .iter()
            .map(|(name, bytes)| (name.clone(), String::from_utf8_lossy(bytes).into_owned()))
            .collect(),
        took_s: took.as_secs(),
    };
    let written = serde_json::to_vec(&kept).map_err(std::io::Error::from).and_then(|known| slot.keep(&known));
    if let Err(error) = written {
        log.notices().push(notice(
            Level::Warning,
            Text::new(
                format!("the machines' snapshot could not be kept: {error}"),
                format!("no se pudo guardar la instantánea de las máquinas: {error}"),
            ),
        ));
    }
    Ok(())
}

/// Whether all came to its end, well or badly, by the submission's doing alone.
fn is_worth_it(machines: &Machines) -> bool {
    let ours = |reason: Option<Reason>| reason.is_some();
    let up = machines.nodes.iter().any(Node::is_up);
    let left = machines.nodes.iter().filter_map(|node| node.left_out.as_ref()).any(|left| ours(left.reason));
    let provisioned = machines.provisioned.as_ref();
    let cut =
        provisioned.is_some_and(|done| done.hung.is_some() || done.why.as_ref().is_some_and(|why| ours(why.reason)));
    up && !left && !cut
}

fn notice(level: Level, text: Text) -> Notice {
    Notice::new("machines.snapshot", level, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::LeftOut;
    use crate::stack::machines::Provisioned;

    fn machines(reason: Option<Reason>, hung: bool) -> Machines {
        let up = Node { virtual_machine: true, ..Node::default() };
        let other = Node { left_out: Some(LeftOut { reason, text: Text::same("x") }), ..Node::default() };
        let done = Provisioned { hung: hung.then(String::new), ..Provisioned::default() };
        Machines { nodes: vec![up, other], provisioned: Some(done), ..Machines::default() }
    }

    #[test]
    fn what_was_cut_short_or_is_the_hosts_doing_is_not_kept() {
        assert!(is_worth_it(&machines(None, false)), "a box that nobody has is the same the next time");
        assert!(!is_worth_it(&machines(Some(Reason::Host), false)) && !is_worth_it(&machines(None, true)));
        assert!(!is_worth_it(&Machines::default()));
    }

    #[test]
    fn what_was_known_is_read_as_it_was_written() {
        let kept = Kept {
            at: "2026-11-30T05:00:00Z".into(),
            machines: machines(None, false),
            boxes: Vec::new(),
            addresses: BTreeMap::from([("m".to_owned(), "192.168.121.7".to_owned())]),
            evidence: vec![("vagrant-up.txt".to_owned(), "==> m".to_owned())],
            took_s: 600,
        };
        let read: Kept = serde_json::from_slice(&serde_json::to_vec(&kept).unwrap()).unwrap();
        assert_eq!((read.addresses, read.machines.nodes.len()), (kept.addresses, 2));
        assert_eq!(read.machines.nodes[1].left_out, kept.machines.nodes[1].left_out);
    }
}

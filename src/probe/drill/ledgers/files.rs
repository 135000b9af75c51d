//! A ledger of files on the distributed volume: each entry is a file, written through one machine's mount, on its disk before it
//! counts, and read through another machine's mount, from outside the machine.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::sync::Mutex;

use super::super::world::{There, Written};
use super::{READ, here, patience};
use crate::exec::{Cmd, Output};
use crate::notice::Reason;
use crate::probe::ProbeError;
use crate::probe::cluster::reached::{Mounted, Part, part, places};
use crate::probe::common::Found;
use crate::probe::machines::from_outside::path;
use crate::probe::machines::up;
use crate::stack::Stack;
use crate::text::Text;

/// Files that are read at a time.
const AT_A_TIME: usize = 8;
/// So many that cannot be read through one mount, and it is the mount.
const HOPELESS: usize = 3;
/// Of asking the machines who has the volume mounted: one that came back just now takes its time.
const ASK: Duration = Duration::from_secs(20);

pub(super) struct Files {
    /// The folder's name, and what each file begins with.
    nonce: String,
    volume: Option<String>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    part: Part,
    /// The machines that the fault is about: they are asked last.
    hit: Vec<String>,
    /// Who may write, the one that does first.
    writers: Vec<Mounted>,
    /// Machines through whose mounts something was written.
    wrote: BTreeSet<String>,
    acknowledged: BTreeSet<u64>,
    /// The last number that was tried.
    last: u64,
}

/// What the mounts showed of the entries, one mount after the other.
#[derive(Debug, Default)]
struct Shown {
    numbers: BTreeSet<u64>,
    /// Those that no mount showed and one could not read, with what it said.
    unreadable: BTreeMap<u64, Text>,
    /// The first machine that could be read through.
    at: String,
}

/// Why a command did not come to an end.
enum Ran {
    NotStarted(String),
    /// Nobody knows whether the machine could have.
    Unasked(String),
    Broke(String),
}

impl Files {
    pub(super) fn new(nonce: &str, volume: Option<String>) -> Self {
        Self { nonce: nonce.to_owned(), volume, known: Mutex::default() }
    }

    pub(super) fn described(&self) -> String {
        let volume = self.volume.as_deref().unwrap_or("volume");
        format!("{volume}: .{}", self.nonce)
    }

    /// Through which machines' mounts something was written.
    pub(super) async fn wrote(&self) -> String {
        let known = self.known.lock().await;
        known.wrote.iter().map(|node| crate::sanitize::line(node, 60)).collect::<Vec<_>>().join(", ")
    }

    fn folder(&self, at: &Mounted) -> String {
        format!("{}/.{}", at.at.trim_end_matches('/'), self.nonce)
    }

    fn entry(&self, number: u64) -> String {
        format!("{} {number}\n", self.nonce)
    }

    /// Makes the folder; the machine that writes first. `hit` are the machines that the fault is about.
    pub(super) async fn open(&self, stack: &Stack, hit: &[String]) -> Result<String, ProbeError> {
        let (part, mut writers) = here(part(stack, self.volume.as_deref(), ASK).await?)?;
        writers.sort_by_key(|place| hit.contains(&place.node));
        let Some(first) = writers.first().cloned() else { return Ok(String::new()) };
        *self.known.lock().await = Known { part, hit: hit.to_vec(), writers, ..Known::default() };
        let made = run(stack, &first, Cmd::new(["mkdir", "--", &self.folder(&first)])).await;
        let node = crate::sanitize::line(&first.node, 60);
        let why = match made {
            Ok(output) if output.ok() => return Ok(node),
            Ok(output) => output.both(),
            Err(Ran::NotStarted(why) | Ran::Unasked(why) | Ran::Broke(why)) => why,
        };
        // It may have come about all the same.
        let _ = self.close(stack).await;
        Err(not_made(&node, &why))
    }

    pub(super) async fn write(&self, stack: &Stack, number: u64) -> Written {
        let (writer, hit) = {
            let mut known = self.known.lock().await;
            known.last = known.last.max(number);
            let Some(writer) = known.writers.first().cloned() else { return Written::Failed };
            let hit = known.hit.contains(&writer.node);
            (writer, hit)
        };
        let to = format!("of={}/{number}", self.folder(&writer));
        let dd = Cmd::new(["dd", &to, "conv=fsync", "status=none"]).env("LC_ALL", "C").stdin(self.entry(number));
        let written = match run(stack, &writer, dd).await {
            Ok(output) if output.ok() => Written::Acknowledged,
            // Nothing was opened: it is certain that nothing was written.
            Ok(output) if output.err().contains("failed to open") => Written::Failed,
            Err(Ran::NotStarted(_)) => Written::Failed,
            // Of a machine that was hit it is no wonder.
            Err(Ran::Unasked(_)) if hit => Written::Failed,
            Err(Ran::Unasked(_)) => Written::Untried,
            Ok(_) | Err(Ran::Broke(_)) => Written::Unknown,
        };
        let mut known = self.known.lock().await;
        if written == Written::Acknowledged {
            known.wrote.insert(writer.node);
            known.acknowledged.insert(number);
        } else {
            // As a client would: by another machine the next time.
            known.writers.rotate_left(1);
        }
        written
    }

    /// One mount may be behind, or alone: what it does not show is asked of the others.
    pub(super) async fn read(&self, stack: &Stack) -> Result<There, ProbeError> {
        let known = self.known.lock().await;
        // Asked anew: below a mount that did not come back there is nothing, and nothing of that is lost.
        let mut readers = here(places(stack, &known.part, ASK).await?)?;
        readers.sort_by_key(|place| (known.hit.contains(&place.node), known.wrote.contains(&place.node)));
        let mut shown = Shown::default();
        let mut unread = None;
        for reader in readers {
            let missing: Vec<u64> = (1..=known.last).filter(|number| !shown.numbers.contains(number)).collect();
            if known.acknowledged.is_subset(&shown.numbers) && !shown.at.is_empty() {
                break;
            }
            match self.read_through(stack, &reader, missing).await {
                Ok(seen) => shown.add(&reader, seen),
                Err(error) => unread = unread.or(Some(error)),
            }
        }
        match unread {
            Some(error) if shown.at.is_empty() => Err(error),
            _ => shown.judged(&known.acknowledged),
        }
    }

    /// Which of these numbers that mount shows, and which it cannot read.
    async fn read_through(
        &self,
        stack: &Stack,
        reader: &Mounted,
        numbers: Vec<u64>,
    ) -> Result<Vec<(u64, Result<bool, ProbeError>)>, ProbeError> {
        let node = stack.machines.node(&reader.node);
        let node = node.ok_or_else(|| ProbeError::ours("a machine is not known", "no se conoce una máquina"))?;
        let body = &here(up(stack, node).await?)?;
        let folder = self.folder(reader);
        let looks = numbers.into_iter().map(|number| {
            let (at, wanted) = (format!("{folder}/{number}"), self.entry(number));
            async move {
                let seen = path(stack, body, &at, wanted.len() + 1, READ).await;
                (number, seen.map(|seen| seen.is_some_and(|seen| seen.content == wanted.as_bytes())))
            }
        });
        let mut looks = stream::iter(looks).buffer_unordered(AT_A_TIME);
        let (mut seen, mut failed) = (Vec::new(), 0);
        while let Some((number, shown)) = looks.next().await {
            match shown {
                Err(error) if failed + 1 >= HOPELESS => return Err(error),
                Err(_) => failed += 1,
                Ok(_) => {}
            }
            seen.push((number, shown));
        }
        Ok(seen)
    }

    /// What could not be removed.
    pub(super) async fn close(&self, stack: &Stack) -> Option<Text> {
        let part = self.known.lock().await.part.clone();
        let mounted = places(stack, &part, ASK).await.ok().and_then(|found| here(found).ok()).unwrap_or_default();
        for place in mounted {
            let rm = Cmd::new(["rm", "-rf", "--", &self.folder(&place)]);
            if run(stack, &place, rm).await.is_ok_and(|output| output.ok()) {
                return None;
            }
        }
        let folder = format!(".{}", self.nonce);
        Some(Text::new(
            format!("the folder {folder} of the volume, which was made for the ledger, could not be removed"),
            format!("la carpeta {folder} del volumen, que se creó para el registro, no se pudo quitar"),
        ))
    }
}

impl Shown {
    fn add(&mut self, reader: &Mounted, seen: Vec<(u64, Result<bool, ProbeError>)>) {
        if self.at.is_empty() {
            self.at = crate::sanitize::line(&reader.node, 60);
        }
        for (number, shown) in seen {
            match shown {
                Ok(true) => {
                    self.unreadable.remove(&number);
                    self.numbers.insert(number);
                }
                Ok(false) => {}
                Err(error) => drop(self.unreadable.entry(number).or_insert(error.text)),
            }
        }
    }

    /// What is certainly gone is judged, whatever else could not be read; nothing that could not be read is called lost.
    fn judged(mut self, acknowledged: &BTreeSet<u64>) -> Result<There, ProbeError> {
        let open = |number: &&u64| !self.numbers.contains(number) && self.unreadable.contains_key(number);
        let unread: Vec<u64> = acknowledged.iter().filter(open).copied().collect();
        let gone = acknowledged.iter().any(|n| !self.numbers.contains(n) && !self.unreadable.contains_key(n));
        match unread.first().and_then(|number| self.unreadable.get(number)) {
            Some(why) if !gone => Err(ProbeError { reason: Reason::Unproven, text: why.clone() }),
            _ => {
                self.numbers.extend(unread);
                Ok(There { numbers: self.numbers, at: self.at })
            }
        }
    }
}

/// Runs it in the machine, which is asked for anew: after a loss of power it is another start.
async fn run(stack: &Stack, at: &Mounted, cmd: Cmd) -> Result<Output, Ran> {
    let none = || Ran::NotStarted(format!("there is no machine {}", at.node));
    let node = stack.machines.node(&at.node).ok_or_else(none)?;
    let body = match up(stack, node).await.map_err(|error| Ran::Unasked(error.text.en))? {
        Found::Here(body) => body,
        Found::Absent(why) => return Err(Ran::NotStarted(why.en)),
    };
    body.shell(&stack.ground).run(&cmd.timeout(patience(stack))).await.map_err(|error| Ran::Broke(error.to_string()))
}

fn not_made(node: &str, why: &str) -> ProbeError {
    let why = crate::sanitize::line(why.trim(), 200);
    ProbeError::unproven(
        format!("no folder for the ledger can be made on the volume, on {node}: {why}"),
        format!("no se puede crear en el volumen, en {node}, una carpeta para el registro: {why}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(mounts: &[&[(u64, Result<bool, &str>)]], acknowledged: &[u64]) -> Result<There, String> {
        let mut shown = Shown::default();
        for (number, mount) in mounts.iter().enumerate() {
            let reader = Mounted { node: format!("worker{}", number + 1), at: "/mnt".into() };
            let seen = mount.iter().map(|(n, seen)| (*n, seen.map_err(|why| ProbeError::ours(why, why)))).collect();
            shown.add(&reader, seen);
        }
        shown.judged(&acknowledged.iter().copied().collect()).map_err(|error| error.text.en)
    }

    #[test]
    fn what_one_mount_does_not_show_is_lost_only_where_no_other_does() {
        let behind: &[_] = &[(1, Ok(true)), (2, Ok(false)), (3, Ok(false))];
        let there = shown(&[behind, &[(2, Ok(true)), (3, Ok(false))]], &[1, 2, 3]).unwrap();
        assert_eq!((there.numbers, there.at.as_str()), (BTreeSet::from([1, 2]), "worker1"));
    }

    #[test]
    fn what_nobody_can_read_is_not_called_lost_and_hides_no_loss() {
        let broken = "Input/output error";
        let split: &[_] = &[(1, Ok(true)), (2, Err(broken))];
        assert_eq!(shown(&[split], &[1, 2]).unwrap_err(), broken);
        assert_eq!(shown(&[split], &[1]).unwrap().numbers, BTreeSet::from([1]), "it was never acknowledged");
        assert_eq!(shown(&[split, &[(2, Ok(true))]], &[1, 2]).unwrap().numbers, BTreeSet::from([1, 2]));
        let gone: &[_] = &[(1, Ok(false)), (2, Err(broken))];
        assert_eq!(shown(&[gone], &[1, 2]).unwrap().numbers, BTreeSet::from([2]), "the first one is lost");
    }
}

//! A ledger of files on the distributed volume: each entry is a file, written through one machine's mount, on its disk before it
//! counts, and read through another machine's mount, from outside the machine.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::sync::Mutex;

use super::super::world::{There, Written};
use super::{READ, WRITE};
use crate::exec::container::Container as InContainer;
use crate::exec::{Cmd, Output, Shell};
use crate::probe::ProbeError;
use crate::probe::cluster::reached::{Mounted, places};
use crate::probe::common::Found;
use crate::probe::machines::from_outside::path;
use crate::probe::machines::up;
use crate::stack::Stack;
use crate::text::Text;

/// Files that are read at a time.
const AT_A_TIME: usize = 8;
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
    /// Who may write, the one that does first.
    writers: Vec<Mounted>,
    /// Machines through whose mounts something was written.
    wrote: BTreeSet<String>,
    /// The last number that was tried.
    last: u64,
}

impl Files {
    pub(super) fn new(nonce: &str, volume: Option<String>) -> Self {
        Self { nonce: nonce.to_owned(), volume, known: Mutex::default() }
    }

    pub(super) fn described(&self) -> String {
        let volume = self.volume.as_deref().unwrap_or("volume");
        format!("{volume}: .{}", self.nonce)
    }

    fn folder(&self, at: &Mounted) -> String {
        format!("{}/.{}", at.at.trim_end_matches('/'), self.nonce)
    }

    fn entry(&self, number: u64) -> String {
        format!("{} {number}\n", self.nonce)
    }

    async fn mounted(&self, stack: &Stack) -> Result<Vec<Mounted>, ProbeError> {
        match places(stack, self.volume.as_deref(), ASK).await? {
            Found::Here(places) => Ok(places),
            Found::Absent(why) => Err(ProbeError { reason: crate::notice::Reason::Unproven, text: why }),
        }
    }

    /// Makes the folder; the machine that writes.
    pub(super) async fn open(&self, stack: &Stack, hit: &[String]) -> Result<String, ProbeError> {
        let mut writers = self.mounted(stack).await?;
        writers.sort_by_key(|place| hit.contains(&place.node));
        let Some(first) = writers.first().cloned() else { return Ok(String::new()) };
        let made = run(stack, &first, Cmd::new(["mkdir", "--", &self.folder(&first)])).await;
        let node = crate::sanitize::line(&first.node, 60);
        match made {
            Ok(output) if output.ok() => {}
            Ok(output) => return Err(not_made(&node, &output.both())),
            Err(why) => return Err(not_made(&node, &why)),
        }
        *self.known.lock().await = Known { writers, ..Known::default() };
        Ok(node)
    }

    pub(super) async fn write(&self, stack: &Stack, number: u64) -> Written {
        let writer = {
            let mut known = self.known.lock().await;
            known.last = known.last.max(number);
            known.writers.first().cloned()
        };
        let Some(writer) = writer else { return Written::Failed };
        let to = format!("of={}/{number}", self.folder(&writer));
        let dd = Cmd::new(["dd", &to, "conv=fsync", "status=none"]).env("LC_ALL", "C").stdin(self.entry(number));
        let written = match run(stack, &writer, dd).await {
            Ok(output) if output.ok() => Written::Acknowledged,
            // Nothing was opened: it is certain that nothing was written.
            Ok(output) if output.err().contains("failed to open") => Written::Failed,
            Ok(_) | Err(_) => Written::Unknown,
        };
        let mut known = self.known.lock().await;
        match written {
            Written::Acknowledged => drop(known.wrote.insert(writer.node)),
            // As a client would: by another machine the next time.
            Written::Failed | Written::Unknown => known.writers.rotate_left(1),
        }
        written
    }

    pub(super) async fn read(&self, stack: &Stack) -> Result<There, ProbeError> {
        let (wrote, last) = {
            let known = self.known.lock().await;
            (known.wrote.clone(), known.last)
        };
        // Asked anew: below a mount that did not come back there is nothing, and nothing of that is lost.
        let mut readers = self.mounted(stack).await?;
        readers.sort_by_key(|place| wrote.contains(&place.node));
        let mut unread = None;
        for reader in readers {
            match self.read_through(stack, &reader, last).await {
                Ok(numbers) => return Ok(There { numbers, at: crate::sanitize::line(&reader.node, 60) }),
                Err(error) => unread = Some(error),
            }
        }
        Err(unread.unwrap_or_else(|| ProbeError::unproven("nobody could read it back", "nadie pudo releerlo")))
    }

    async fn read_through(&self, stack: &Stack, reader: &Mounted, last: u64) -> Result<BTreeSet<u64>, ProbeError> {
        let container = match stack.machines.node(&reader.node) {
            Some(node) => match up(stack, node).await? {
                Found::Here(container) => container,
                Found::Absent(why) => return Err(ProbeError { reason: crate::notice::Reason::Unproven, text: why }),
            },
            None => return Ok(BTreeSet::new()),
        };
        let (folder, container) = (self.folder(reader), &container);
        let looks = (1..=last).map(|number| {
            let (at, wanted) = (format!("{folder}/{number}"), self.entry(number));
            async move {
                let seen = path(stack, container, &at, wanted.len() + 1, READ).await?;
                Ok::<_, ProbeError>(seen.is_some_and(|seen| seen.content == wanted.as_bytes()).then_some(number))
            }
        });
        let mut found = stream::iter(looks).buffer_unordered(AT_A_TIME);
        let mut numbers = BTreeSet::new();
        while let Some(number) = found.next().await {
            numbers.extend(number?);
        }
        Ok(numbers)
    }

    /// What could not be removed.
    pub(super) async fn close(&self, stack: &Stack) -> Option<Text> {
        let place = self.mounted(stack).await.ok().and_then(|places| places.into_iter().next());
        let done = match &place {
            Some(place) => {
                let rm = Cmd::new(["rm", "-rf", "--", &self.folder(place)]);
                run(stack, place, rm).await.is_ok_and(|output| output.ok())
            }
            None => false,
        };
        let folder = format!(".{}", self.nonce);
        (!done).then(|| {
            Text::new(
                format!("the folder {folder} of the volume, which was made for the ledger, could not be removed"),
                format!("la carpeta {folder} del volumen, que se creó para el registro, no se pudo quitar"),
            )
        })
    }
}

/// Runs it in the machine, which is asked for anew: after a loss of power it is another start.
async fn run(stack: &Stack, at: &Mounted, cmd: Cmd) -> Result<Output, String> {
    let node = stack.machines.node(&at.node).ok_or_else(|| format!("no machine {}", at.node))?;
    let container = match up(stack, node).await.map_err(|error| error.text.en)? {
        Found::Here(container) => container,
        Found::Absent(why) => return Err(why.en),
    };
    let shell = InContainer::new(stack.ground.shell.clone(), &container.id);
    shell.run(&cmd.timeout(WRITE)).await.map_err(|error| error.to_string())
}

fn not_made(node: &str, why: &str) -> ProbeError {
    let why = crate::sanitize::line(why.trim(), 200);
    ProbeError::unproven(
        format!("no folder for the ledger can be made on the volume, on {node}: {why}"),
        format!("no se puede crear en el volumen, en {node}, una carpeta para el registro: {why}"),
    )
}

//! Snapshots of virtual machines: what they were after provisioning, so that the next run of the same submission begins there.
//!
//! Each is a volume of its own, which the lab that makes it writes, and above which later ones write. The disks that all machines
//! read have to be open for writing in a hypervisor, so that no lab has the volume read-only: a submission can spoil what is its own.
//! What it is of is its key: all that went in, so none is ever used for another submission. What a run knew of its machines, and that it was made to its end, stands
//! outside of any lab, in the state's folder; a volume without that is the run's that made it, and goes with it.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bollard::models::Mount;
use bollard::query_parameters::{ListVolumesOptionsBuilder, RemoveVolumeOptions};
use sha2::{Digest, Sha256};

use super::copy::{self, Caps, CopyError};
use super::upload::hex;
use super::{layers, setup};
use crate::docker::{Engine, EngineError, EngineErrorKind};
use crate::stack::snapshot::{Slot, path};

/// Of such a volume: its key.
const LABEL: &str = "imparcial.snapshot";
/// Where it is in a lab.
const AT: &str = "/kept";
/// How many are kept, of all submissions together: one has gigabytes.
pub const MOST: usize = 2;
/// Raised where what is kept, or the way it is kept, is another.
const FORMAT: &str = "snapshot 1\n";
const LARGEST: u64 = 64 << 20;

/// All that goes in: the submission's files, when they were written and where it was handed in; and whatever else the machines
/// hang on. Blocks.
///
/// # Errors
/// The submission cannot be read, or is too large for a lab.
pub fn key(submission: &Path, besides: &[&str]) -> Result<String, CopyError> {
    let mut hash = Hash(Sha256::new());
    let _ = copy::tar_of(submission, "submission", Caps::default(), &mut hash)?;
    hash.0.update(FORMAT);
    for text in besides {
        hash.0.update((text.len() as u64).to_le_bytes());
        hash.0.update(text);
    }
    Ok(hex(&hash.0.finalize()))
}

struct Hash(Sha256);

impl Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The snapshot of that key, or the place for one; none where another run is making it.
///
/// # Errors
/// The engine does not answer.
pub async fn slot(host: &Engine, key: String) -> Result<Option<Slot>, EngineError> {
    let folder = folder();
    let there = volumes(host).await?.iter().any(|(name, _)| *name == volume(&key));
    let kept = read(&folder, &key).filter(|_| there);
    if kept.is_none() {
        let _ = fs::remove_file(path(&folder, &key));
        if there && !remove(host, &volume(&key)).await? {
            return Ok(None);
        }
        shorten(host, &folder).await?;
    }
    Ok(Some(Slot { key, kept, folder }))
}

/// Its volume as a lab is given it, with the labels of the run that makes it.
pub(super) fn mount(slot: &Slot, run: HashMap<String, String>) -> Mount {
    let labels = run.into_iter().chain([(LABEL.to_owned(), slot.key.clone())]).collect();
    Mount { target: Some(AT.to_owned()), ..layers::mount(volume(&slot.key), labels, false) }
}

/// Whether a volume with these labels is a snapshot that stays after its run.
pub(super) fn stays(labels: &HashMap<String, String>) -> bool {
    labels.get(LABEL).is_some_and(|key| path(&folder(), key).is_file())
}

/// How many there are that a run may begin from.
///
/// # Errors
/// The engine does not answer.
pub async fn count(host: &Engine) -> Result<usize, EngineError> {
    let folder = folder();
    Ok(volumes(host).await?.iter().filter(|(_, key)| path(&folder, key).is_file()).count())
}

/// Takes away every snapshot that no lab uses, and says how many.
///
/// # Errors
/// The engine does not answer.
pub async fn remove_all(host: &Engine) -> Result<usize, EngineError> {
    let mut removed = 0;
    for (name, key) in volumes(host).await? {
        let _ = fs::remove_file(path(&folder(), &key));
        removed += usize::from(remove(host, &name).await?);
    }
    Ok(removed)
}

/// Makes place for one more: those that were not used for the longest go.
async fn shorten(host: &Engine, folder: &Path) -> Result<(), EngineError> {
    let all = volumes(host).await?;
    let known: HashSet<PathBuf> = all.iter().map(|(_, key)| path(folder, key)).collect();
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut kept: Vec<(SystemTime, PathBuf)> =
        entries.filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()))).collect();
    kept.retain(|(_, path)| known.contains(path) || fs::remove_file(path).is_err());
    kept.sort();
    for (_, path) in kept.iter().take((kept.len() + 1).saturating_sub(MOST)) {
        let Some(key) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
        let _ = fs::remove_file(path);
        remove(host, &volume(key)).await?;
    }
    Ok(())
}

fn read(folder: &Path, key: &str) -> Option<Vec<u8>> {
    let path = path(folder, key);
    fs::metadata(&path).ok().filter(|about| about.is_file() && about.len() <= LARGEST)?;
    let known = fs::read(&path).ok()?;
    // It is in use.
    let touched = fs::File::options().append(true).open(&path).and_then(|file| file.set_modified(SystemTime::now()));
    drop(touched);
    Some(known)
}

/// Whether it is gone; one that a lab has stays.
async fn remove(host: &Engine, volume: &str) -> Result<bool, EngineError> {
    let removed = host.docker().remove_volume(volume, None::<RemoveVolumeOptions>).await;
    match removed.map_err(|e| host.explain(format!("remove the snapshot {volume}"), &e)) {
        Ok(()) | Err(EngineError { kind: EngineErrorKind::Missing(_), .. }) => Ok(true),
        Err(EngineError { kind: EngineErrorKind::Refused { status: 409, .. }, .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Name and key of each.
async fn volumes(host: &Engine) -> Result<Vec<(String, String)>, EngineError> {
    let filters = HashMap::from([("label".to_owned(), vec![LABEL.to_owned()])]);
    let listed = host.docker().list_volumes(Some(ListVolumesOptionsBuilder::new().filters(&filters).build())).await;
    let listed = listed.map_err(|e| host.explain("list the snapshots", &e))?.volumes.unwrap_or_default();
    Ok(listed.into_iter().filter_map(|mut volume| Some((volume.name, volume.labels.remove(LABEL)?))).collect())
}

fn folder() -> PathBuf {
    setup::state().join("snapshots")
}

fn volume(key: &str) -> String {
    format!("imparcial-snapshot-{}", key.get(..16).unwrap_or(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submission(text: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("Vagrantfile"), text).unwrap();
        let old = fs::File::options().append(true).open(folder.path().join("Vagrantfile")).unwrap();
        old.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000)).unwrap();
        folder
    }

    #[test]
    fn a_snapshot_is_of_all_that_went_in() {
        let (one, two, other) = (submission("x"), submission("x"), submission("y"));
        let of = |folder: &tempfile::TempDir, besides: &[&str]| key(folder.path(), besides).unwrap();
        assert_eq!(of(&one, &["handed in by one"]), of(&one, &["handed in by one"]));
        assert_ne!(of(&one, &["one"]), of(&two, &["two"]), "the same files of somebody else");
        assert_ne!(of(&one, &["one"]), of(&other, &["one"]));
        assert_ne!(of(&one, &["ab", "c"]), of(&one, &["a", "bc"]));
    }

    #[test]
    fn what_is_known_is_written_whole_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let slot = Slot { key: "k".repeat(64), kept: None, folder: folder.path().join("snapshots") };
        assert_eq!(read(&slot.folder, &slot.key), None);
        slot.keep(b"{}").unwrap();
        assert_eq!(read(&slot.folder, &slot.key).as_deref(), Some(&b"{}"[..]));
        slot.forget();
        assert_eq!(read(&slot.folder, &slot.key), None);
        assert_eq!(volume(&slot.key).len(), "imparcial-snapshot-".len() + 16);
    }
}

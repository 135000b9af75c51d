//! The heal log: what undoes a fault is written here before the fault is made, and struck out when that was seen.
//!
//! One file a run, `faults/RUN.json` below our state. It is there only while something is open, and is on the disk before the
//! call returns: what was broken is then known whatever ends this process.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::{FaultError, Ground, Undo};
use crate::owner::Owner;

/// Below the folder of our state.
pub(super) const FOLDER: &str = "faults";

/// A run's log as it lies on the disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Written {
    /// The tag of the process that makes the faults.
    pub(super) owner: String,
    pub(super) run: String,
    pub(super) ground: Ground,
    pub(super) entries: Vec<Entry>,
}

/// A fault that is about to be made, or was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub id: u64,
    /// The drill that makes it.
    pub drill: String,
    pub undos: Vec<Undo>,
    pub state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It may have been made.
    Planned,
    /// Its undoing was proven.
    Healed,
}

/// The log of this process's run.
pub struct HealLog {
    path: PathBuf,
    written: Mutex<Written>,
}

impl HealLog {
    /// Of a run whose stack is on `ground`; nothing is written before there is something to write, and what an earlier drill of
    /// the same run left open stays open. `state` is the folder of our state.
    pub fn open(state: &Path, run: &str, ground: Ground) -> Self {
        let (owner, path) = (Owner::this().tag(), path_of(state, run));
        let earlier = fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Written>(&text).ok());
        let entries = earlier.filter(|log| log.owner == owner).map(|log| log.entries).unwrap_or_default();
        Self { path, written: Mutex::new(Written { owner, run: run.to_owned(), ground, entries }) }
    }

    /// Writes down what undoes a fault that is about to be made, and gives the number to strike it out by. What needs no
    /// undoing is not written.
    ///
    /// # Errors
    /// It is not on the disk: the fault must not be made.
    pub fn planned(&self, drill: &str, undos: &[Undo]) -> Result<u64, FaultError> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let id = written.entries.iter().map(|entry| entry.id).max().unwrap_or_default() + 1;
        let state = if undos.is_empty() { State::Healed } else { State::Planned };
        written.entries.push(Entry { id, drill: drill.to_owned(), undos: undos.to_vec(), state });
        let kept = if undos.is_empty() { Ok(()) } else { store(&self.path, &written) };
        if kept.is_err() {
            written.entries.pop();
        }
        kept.map(|()| id).map_err(|error| self.failed(&error))
    }

    /// Strikes out what was proven to be undone. With the last of them the file goes.
    ///
    /// # Errors
    /// It could not be written: the next start will undo again what is undone, and find it so.
    pub fn healed(&self, id: u64) -> Result<(), FaultError> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in written.entries.iter_mut().filter(|entry| entry.id == id) {
            entry.state = State::Healed;
        }
        let kept = if written.open().next().is_some() { store(&self.path, &written) } else { remove(&self.path) };
        kept.map_err(|error| self.failed(&error))
    }

    /// What is not known to be undone yet.
    pub fn pending(&self) -> Vec<Entry> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).open().cloned().collect()
    }

    fn failed(&self, error: &io::Error) -> FaultError {
        let path = self.path.display();
        FaultError::host(
            format!("could not write the log of faults {path}: {error}; IMPARCIAL_HOME names another folder"),
            format!("no se pudo escribir el registro de fallas {path}: {error}; IMPARCIAL_HOME indica otra carpeta"),
        )
    }
}

impl Written {
    /// What is not known to be undone.
    pub(super) fn open(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.state == State::Planned)
    }
}

/// Run names are names of folders too; whatever else one holds must not lead out of ours.
fn path_of(state: &Path, run: &str) -> PathBuf {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let name: String = run.chars().map(plain).collect();
    state.join(FOLDER).join(format!("{name}.json"))
}

/// Whole or not at all, and on the disk when this returns.
pub(super) fn store(path: &Path, written: &Written) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().prefix(".half-").tempfile_in(folder)?;
    serde_json::to_writer(&mut file, written)?;
    file.flush()?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}

pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::exec::Cmd;
    use crate::fault::{At, Proof};
    use crate::text::Text;

    pub(crate) fn undo(name: &str) -> Undo {
        let (run, proof) = (Cmd::new(["start", name]), Proof::ok(Cmd::new(["is-up", name])));
        Undo::new(At::Ground, run, proof, Text::same(name))
    }

    fn on_disk(path: &Path) -> Option<Written> {
        fs::read(path).ok().map(|bytes| serde_json::from_slice(&bytes).unwrap())
    }

    #[test]
    fn what_is_planned_is_on_the_disk_and_goes_with_the_last_proof() {
        let state = tempfile::tempdir().unwrap();
        let log = HealLog::open(state.path(), "r1", Ground::Lab);
        let path = state.path().join("faults/r1.json");
        assert!(on_disk(&path).is_none() && log.pending().is_empty());
        let first = log.planned("d1", &[undo("a")]).unwrap();
        let second = log.planned("d2", &[undo("b")]).unwrap();
        let there = on_disk(&path).unwrap();
        assert_eq!((there.run.as_str(), there.ground, there.owner), ("r1", Ground::Lab, Owner::this().tag()));
        assert_eq!(there.entries.len(), 2);
        log.healed(first).unwrap();
        let states: Vec<State> = on_disk(&path).unwrap().entries.iter().map(|entry| entry.state).collect();
        assert_eq!(states, [State::Healed, State::Planned]);
        assert_eq!(log.pending().iter().map(|entry| entry.id).collect::<Vec<_>>(), [second]);
        log.healed(second).unwrap();
        log.healed(second).unwrap();
        assert!(!path.exists() && log.pending().is_empty());
        let left: Vec<_> = fs::read_dir(state.path().join("faults")).unwrap().collect();
        assert!(left.is_empty(), "nothing half-written stays");
    }

    #[test]
    fn what_needs_no_undoing_is_not_written() {
        let state = tempfile::tempdir().unwrap();
        let log = HealLog::open(state.path(), "r1", Ground::Host);
        let id = log.planned("d", &[]).unwrap();
        assert!(!state.path().join("faults").exists());
        log.healed(id).unwrap();
    }

    #[test]
    fn where_it_cannot_be_written_nothing_is_planned() {
        let state = tempfile::tempdir().unwrap();
        fs::write(state.path().join("faults"), "a file in the way").unwrap();
        let log = HealLog::open(state.path(), "r1", Ground::Lab);
        let error = log.planned("d", &[undo("a")]).unwrap_err();
        assert!(error.text.en.contains("faults/r1.json") && log.pending().is_empty(), "{}", error.text.en);
    }

    #[test]
    fn a_run_with_an_odd_name_stays_in_our_folder() {
        assert_eq!(path_of(Path::new("/s"), "../../x y"), Path::new("/s/faults/.._.._x_y.json"));
    }
}

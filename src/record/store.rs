//! Writing a run to its folder, in stages and atomically, with `reports/latest` pointing at it.
//!
//! A file is written beside its place and renamed into it, so that a reader, or a crash, never meets half of one. While the
//! run goes on, the record on disk says `interrupted`: that is what it is if nothing more is ever written.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use super::{Audience, RunRecord, VERSION};
use crate::sanitize;
use crate::text::Text;

/// The record's file in a run's folder.
pub const RECORD: &str = "record.json";
/// The link in the reports' folder to the newest finished run.
pub const LATEST: &str = "latest";
const EVIDENCE: &str = "evidence";
/// Where evidence is kept that is about no check but about the stack: logs, what the compose tool said.
pub const STACK: &str = "stack";

/// What is kept about the stack before the first look: what the compose tool and Vagrant said, and why an image is not there.
const EARLY: [&str; 4] = ["compose-", "image-", "machines.", "vagrant-"];

/// Whether this file of evidence is about the stack as it was after the checks: it may show what was asked of a service.
pub(super) fn is_late(file: &str) -> bool {
    let name =
        file.strip_prefix(EVIDENCE).and_then(|rest| rest.strip_prefix('/')?.strip_prefix(STACK)?.strip_prefix('/'));
    name.is_some_and(|name| !EARLY.iter().any(|early| name.starts_with(early)))
}

/// A run's folder, `reports/<run>/`.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// Names of evidence given out, in lower case.
    names: Mutex<BTreeSet<String>>,
}

impl RunFolder {
    /// Makes the folder and proves that it can be written to, so that a run does not find out at its end.
    ///
    /// # Errors
    /// The reports' folder cannot be made or written to, or this run has a folder already.
    pub fn create(reports_root: &Path, run_id: &str) -> Result<Self, StoreError> {
        if run_id == LATEST || run_id != sanitize::file_name(run_id) {
            let bad = io::Error::new(io::ErrorKind::InvalidInput, "not a name for a run");
            return Err(StoreError::new(Doing::Create, Path::new(run_id), bad.into()));
        }
        let make = |path: &Path, made: io::Result<()>| made.map_err(|e| StoreError::new(Doing::Create, path, e.into()));
        make(reports_root, fs::create_dir_all(reports_root))?;
        let path = reports_root.join(run_id);
        make(&path, fs::create_dir(&path))?;
        let folder = Self { path, names: Mutex::default() };
        folder.prepare().inspect_err(|_| {
            // Nothing is left of a run that did not begin.
            let _ = fs::remove_dir_all(&folder.path);
        })?;
        Ok(folder)
    }

    fn prepare(&self) -> Result<(), StoreError> {
        let evidence = self.path.join(EVIDENCE);
        fs::create_dir(&evidence).map_err(|e| StoreError::new(Doing::Create, &evidence, e.into()))?;
        // A page is written and synced: a full disk refuses here, not after the run.
        let trial = self.path.join(".writable");
        let written = write_synced(&trial, &[b'.'; 4096]).and_then(|()| fs::remove_file(&trial));
        written.map_err(|e| StoreError::new(Doing::Write, &trial, e.into()))
    }

    /// The folder of a finished run, to write reports to it again.
    pub fn open(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), names: Mutex::default() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the record as it is now, before the run's end. On disk it is an interrupted run's.
    pub fn stage(&self, record: &RunRecord) -> Result<(), StoreError> {
        let mut record = self.named(record);
        record.interrupted = true;
        let target = self.path.join(RECORD);
        let json = to_json(&record).map_err(|e| StoreError::new(Doing::Write, &target, io::Error::from(e).into()))?;
        self.write(RECORD, &json)
    }

    /// The record with this folder's name in it: relative to where imparcial was called where it is below, as readers
    /// of attachment tags want it.
    pub fn named(&self, record: &RunRecord) -> RunRecord {
        let here = std::env::current_dir().ok();
        let below = here.as_ref().and_then(|here| self.path.strip_prefix(here).ok());
        RunRecord { folder: below.unwrap_or(&self.path).to_string_lossy().into_owned(), ..record.clone() }
    }

    /// Writes a file of this folder, whole or not at all. `name` is ours, never the submission's.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let target = self.path.join(sanitize::file_name(name));
        write_atomic(&target, bytes).map_err(|e| StoreError::new(Doing::Write, &target, e.into()))
    }

    /// Writes evidence about a check, or about the stack ([`STACK`]), into a folder of its own: cleaned of escape sequences
    /// and cut to [`sanitize::EVIDENCE_LIMIT`] with its beginning and end kept, and how much was left out said. Gives its
    /// path in this folder for the record: the name made safe, and numbered where any file of the run has it.
    pub fn evidence(&self, about: &str, name: &str, bytes: &[u8]) -> Result<String, StoreError> {
        let about = sanitize::file_name(about);
        let folder = self.path.join(EVIDENCE).join(&about);
        fs::create_dir_all(&folder).map_err(|e| StoreError::new(Doing::Create, &folder, e.into()))?;
        let name = self.free_name(&sanitize::file_name(name));
        let target = folder.join(&name);
        let clean = sanitize::evidence(bytes, sanitize::EVIDENCE_LIMIT);
        write_atomic(&target, clean.as_bytes()).map_err(|e| StoreError::new(Doing::Write, &target, e.into()))?;
        Ok(format!("{EVIDENCE}/{about}/{name}"))
    }

    /// Jenkins drops a second attachment of the same name, and some file systems know no case.
    fn free_name(&self, name: &str) -> String {
        let mut names = self.names.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (stem, extension) = match name.rsplit_once('.') {
            Some((stem, extension)) => (stem, format!(".{extension}")),
            None => (name, String::new()),
        };
        let numbered = (2..).map(|n| format!("{stem}-{n}{extension}"));
        let mut candidates = std::iter::once(name.to_owned()).chain(numbered);
        candidates.find(|c| names.insert(c.to_ascii_lowercase())).unwrap_or_default()
    }

    /// A folder in this one with what `audience` may see: made anew, with copies of these files of evidence.
    pub fn part(&self, audience: Audience, evidence: &BTreeSet<&str>) -> Result<Self, StoreError> {
        let path = self.path.join(audience.name());
        let made = match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => fs::create_dir(&path),
        };
        made.map_err(|e| StoreError::new(Doing::Create, &path, e.into()))?;
        // A record may come from elsewhere: only what is below this folder is copied.
        let below = |name: &&&str| Path::new(name).components().all(|c| matches!(c, Component::Normal(_)));
        for name in evidence.iter().filter(below) {
            let (from, to) = (self.path.join(name), path.join(name));
            let copied = match to.parent() {
                Some(folder) => fs::create_dir_all(folder).and_then(|()| fs::copy(&from, &to)),
                None => continue,
            };
            match copied {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(StoreError::new(Doing::Write, &to, error.into()));
                }
                _ => {}
            }
        }
        Ok(Self::open(path))
    }

    /// Points `reports/latest` at this run; a reader sees the old one or the new one.
    pub fn link_latest(&self) -> Result<(), StoreError> {
        let (Some(root), Some(run)) = (self.path.parent(), self.path.file_name()) else { return Ok(()) };
        let link = root.join(LATEST);
        let beside = root.join(format!(".{LATEST}-{}", run.to_string_lossy()));
        let _ = fs::remove_file(&beside);
        let linked = std::os::unix::fs::symlink(run, &beside).and_then(|()| fs::rename(&beside, &link));
        linked.map_err(|e| {
            let _ = fs::remove_file(&beside);
            StoreError::new(Doing::Link, &link, e.into())
        })
    }
}

/// Reads a run back: `path` is its folder, or its `record.json`.
///
/// # Errors
/// There is none, it cannot be read, it is no record, or another version's.
pub fn load(path: &Path) -> Result<RunRecord, StoreError> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let file = if path.is_dir() { path.join(RECORD) } else { path.to_owned() };
    let fail = |kind| StoreError::new(Doing::Read, &file, kind);
    let bytes = fs::read(&file).map_err(|e| fail(e.into()))?;
    let versioned: Versioned = serde_json::from_slice(&bytes).map_err(|e| fail(StoreErrorKind::Format(e)))?;
    if versioned.version != VERSION {
        return Err(fail(StoreErrorKind::Version(versioned.version)));
    }
    let mut record: RunRecord = serde_json::from_slice(&bytes).map_err(|e| fail(StoreErrorKind::Format(e)))?;
    // The folder may have been moved since.
    let folder = file.parent().map(|f| f.to_string_lossy().into_owned()).unwrap_or_default();
    record.folder = if folder.is_empty() { ".".to_owned() } else { folder };
    Ok(record)
}

/// As JSON on lines, with a newline at the end, harmless to look at in a terminal.
pub fn to_json(value: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    Ok((sanitize::json(&serde_json::to_string_pretty(value)?) + "\n").into_bytes())
}

fn write_atomic(target: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = target.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let beside = target.with_file_name(format!(".{name}.{}", std::process::id()));
    let written = write_synced(&beside, bytes).and_then(|()| fs::rename(&beside, target));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    file.write_all(bytes)?;
    // Renaming what is not on the disk yet may leave an empty file after a power cut.
    file.sync_all()
}

/// What was tried with which file, what happened, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.text().en)]
pub struct StoreError {
    doing: Doing,
    path: PathBuf,
    pub kind: Box<StoreErrorKind>,
}

#[derive(Debug, thiserror::Error)]
pub enum StoreErrorKind {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("not a record: {0}")]
    Format(serde_json::Error),
    #[error("a record of version {0}")]
    Version(u32),
}

#[derive(Clone, Copy, Debug)]
enum Doing {
    Create,
    Write,
    Read,
    Link,
}

impl StoreError {
    fn new(doing: Doing, path: &Path, kind: StoreErrorKind) -> Self {
        Self { doing, path: path.to_owned(), kind: Box::new(kind) }
    }

    /// The whole of it for people, on two lines.
    pub fn text(&self) -> Text {
        let (en, es) = match self.doing {
            Doing::Create => ("could not make the run's folder", "no se pudo crear la carpeta de la ejecución"),
            Doing::Write => ("could not write", "no se pudo escribir"),
            Doing::Read => ("could not read the run's record", "no se pudo leer el registro de la ejecución"),
            Doing::Link => ("could not point `latest` at the run", "no se pudo apuntar `latest` a la ejecución"),
        };
        let (what, next) = (&self.kind, self.next());
        let path = self.path.display();
        Text::new(
            format!("{en} `{path}`: {what}\nhint: {}", next.en),
            format!("{es} `{path}`: {what}\nsugerencia: {}", next.es),
        )
    }

    fn next(&self) -> Text {
        match (&*self.kind, self.doing) {
            (StoreErrorKind::Version(found), _) if *found > VERSION => Text::new(
                format!("this imparcial reads version {VERSION}; use the newer one that wrote it"),
                format!("este imparcial lee la versión {VERSION}; use el más nuevo que lo escribió"),
            ),
            (StoreErrorKind::Version(_), _) => Text::new(
                format!("this imparcial reads version {VERSION}; use the older one that wrote it, or grade again"),
                format!(
                    "este imparcial lee la versión {VERSION}; use el anterior que lo escribió, o califique de nuevo"
                ),
            ),
            (StoreErrorKind::Format(_), _) => Text::new(
                "give the folder of a run, such as reports/latest",
                "indique la carpeta de una ejecución, por ejemplo reports/latest",
            ),
            (StoreErrorKind::Io(error), doing) => match (error.kind(), doing) {
                (io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded, _) => Text::new(
                    "the disk is full: free some space, or give another folder with --reports",
                    "el disco está lleno: libere espacio o indique otra carpeta con --reports",
                ),
                (io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem, _) => Text::new(
                    "give a folder that this user may use, with --reports",
                    "indique con --reports una carpeta que este usuario pueda usar",
                ),
                (io::ErrorKind::NotFound, Doing::Read) => Text::new(
                    "no run was recorded there: give the folder of one, such as reports/latest",
                    "allí no se registró ninguna ejecución: indique la carpeta de una, por ejemplo reports/latest",
                ),
                (io::ErrorKind::AlreadyExists, Doing::Create) => Text::new(
                    "this run has been recorded already; run it under another name",
                    "esta ejecución ya está registrada; ejecútela con otro nombre",
                ),
                _ => Text::new(
                    "see that the path is a folder and can be written to, or give another with --reports",
                    "compruebe que la ruta es una carpeta y se puede escribir en ella, o indique otra con --reports",
                ),
            },
        }
    }
}

#[cfg(test)]
mod tests;

//! What is known, outside of any lab, of a snapshot of virtual machines (`lab::snapshots` has its volume).

use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A snapshot that is there, or the place for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    pub key: String,
    /// What was known of the machines; none where there is no snapshot yet.
    pub kept: Option<Vec<u8>>,
    pub folder: PathBuf,
}

impl Slot {
    /// It was made to its end, and this is what is known of the machines.
    ///
    /// # Errors
    /// That cannot be written: then there is no snapshot.
    pub fn keep(&self, known: &[u8]) -> io::Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(known)?;
        file.persist(path(&self.folder, &self.key)).map_err(|error| error.error)?;
        Ok(())
    }

    /// What it turned out not to be good for: the next run makes it anew.
    pub fn forget(&self) {
        let _ = std::fs::remove_file(path(&self.folder, &self.key));
    }
}

/// The file of a key.
pub fn path(folder: &Path, key: &str) -> PathBuf {
    folder.join(format!("{key}.json"))
}

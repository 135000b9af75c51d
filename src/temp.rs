//! Temporary folders that bear their owner's tag: what a killed process left is known by its name alone.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

use crate::owner::Owner;

const PREFIX: &str = "imparcial-";

/// A folder for `what` (a word of letters) that only we may look into, removed when it is dropped, or after this process's end by whoever looks.
///
/// # Errors
/// It cannot be made.
pub fn folder(what: &str) -> io::Result<TempDir> {
    folder_in(&std::env::temp_dir(), what, &Owner::this().tag())
}

/// Removes the folders of processes that have ended, and says how many there were.
pub fn remove_abandoned() -> usize {
    remove_abandoned_in(&std::env::temp_dir())
}

fn folder_in(root: &Path, what: &str, tag: &str) -> io::Result<TempDir> {
    let ours = fs::Permissions::from_mode(0o700);
    tempfile::Builder::new().prefix(&format!("{PREFIX}{what}-{tag}-")).permissions(ours).tempdir_in(root)
}

fn remove_abandoned_in(root: &Path) -> usize {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let abandoned = folders.filter(|entry| {
        let name = entry.file_name();
        let tag = name.to_str().and_then(|n| n.strip_prefix(PREFIX)).and_then(|n| n.split('-').nth(1));
        tag.and_then(Owner::ended) == Some(true)
    });
    // Links inside are removed, not followed.
    abandoned.filter(|entry| fs::remove_dir_all(entry.path()).is_ok()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_of_ended_processes_go() {
        let root = tempfile::tempdir().unwrap();
        let dead = Owner { started: Owner::this().started + 1, ..Owner::this() };
        let ours = folder_in(root.path(), "mutant", &Owner::this().tag()).unwrap();
        let left = folder_in(root.path(), "mutant", &dead.tag()).unwrap();
        assert_eq!(ours.path().metadata().unwrap().permissions().mode() & 0o777, 0o700);
        fs::write(left.path().join("file"), "x").unwrap();
        for other in ["imparcial-x", "imparcial-a-b-c", "other-mutant-1.2.3.4-x"] {
            fs::create_dir(root.path().join(other)).unwrap();
        }
        assert_eq!(remove_abandoned_in(root.path()), 1);
        assert!(ours.path().exists() && !left.path().exists());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 4);
    }
}

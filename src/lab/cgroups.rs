//! A run's own part of the host's cgroup tree: it belongs to the kernel, so removing the lab leaves it behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep};

const ROOT: &str = "/sys/fs/cgroup";
/// How long the last processes of a removed lab may take to leave their groups.
const PATIENCE: Duration = Duration::from_secs(3);

/// Where the engine is to put a run's lab; `systemd` says which of the two drivers it has.
pub(crate) fn parent(run: &str, systemd: bool) -> String {
    if systemd { format!("imparcial-{}.slice", run.replace('-', "_")) } else { format!("/imparcial/{run}") }
}

/// Runs that have folders, whether or not anything else of them is left.
pub(crate) fn runs() -> Vec<String> {
    let named = |folder: PathBuf| folder.file_name().map(|n| n.to_string_lossy().into_owned());
    let mut runs: Vec<String> = hierarchies(Path::new(ROOT))
        .iter()
        .flat_map(|root| folders(&root.join("imparcial")))
        .filter_map(named)
        .collect();
    runs.sort();
    runs.dedup();
    runs
}

/// Lets everything of a run go on that stands still: in version 1 what is frozen is not ended by SIGKILL, and neither is the lab
/// that it is in. A container that is paused there is; nobody is left who would let it go on after a kill -9.
pub(crate) fn thaw(run: &str) {
    for folder in of_run(Path::new(ROOT), run) {
        thaw_tree(&folder);
    }
}

fn thaw_tree(folder: &Path) {
    for (file, frozen, thawed) in FREEZERS {
        let at = folder.join(file);
        // Of version 1, also what is about to be: it says FREEZING.
        if fs::read_to_string(&at).is_ok_and(|state| state.starts_with(frozen)) {
            // It may have gone meanwhile; the caller comes again.
            let _ = fs::write(&at, thawed);
        }
    }
    for inner in folders(folder) {
        thaw_tree(&inner);
    }
}

/// Of both versions: the file, how what it says begins where all stands still, and what lets it go on.
const FREEZERS: [(&str, &str, &str); 2] = [("freezer.state", "FR", "THAWED"), ("cgroup.freeze", "1", "0")];

/// Removes a run's folders in every hierarchy, and says which would not go. An empty folder costs nothing, so what stays
/// is no error.
pub(crate) async fn remove(run: &str) -> Vec<PathBuf> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = remove_now(Path::new(ROOT), run);
        if left.is_empty() || Instant::now() >= deadline {
            return left;
        }
        sleep(Duration::from_millis(25)).await;
    }
}

fn of_run(root: &Path, run: &str) -> Vec<PathBuf> {
    // A run's name comes from a command line or a label: it must not lead anywhere else.
    if run.is_empty() || run.contains('/') || run.starts_with('.') {
        return Vec::new();
    }
    let slice = Path::new("imparcial.slice").join(parent(run, true));
    let ours = hierarchies(root).into_iter().flat_map(|h| [h.join("imparcial").join(run), h.join(&slice)]);
    ours.filter(|folder| folder.is_dir()).collect()
}

fn remove_now(root: &Path, run: &str) -> Vec<PathBuf> {
    let ours = of_run(root, run);
    for folder in &ours {
        remove_tree(folder);
    }
    ours.into_iter().filter(|folder| folder.is_dir()).collect()
}

/// The files of a cgroup folder go with it: only folders can be removed, the innermost first.
fn remove_tree(folder: &Path) {
    for inner in folders(folder) {
        remove_tree(&inner);
    }
    // Busy: a process is still in it; the caller comes again.
    let _ = fs::remove_dir(folder);
}

/// One in version 2; one for each controller in version 1.
fn hierarchies(root: &Path) -> Vec<PathBuf> {
    if root.join("cgroup.controllers").exists() { vec![root.to_owned()] } else { folders(root) }
}

fn folders(of: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(of).into_iter().flatten().flatten();
    entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_run_s_own_folders_go_in_either_version() {
        let root = tempfile::tempdir().unwrap();
        for folder in ["memory/imparcial/r1/lab/docker/x", "cpu/imparcial/r1", "memory/imparcial/r2", "memory/docker"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        assert_eq!(remove_now(root.path(), "r1"), Vec::<PathBuf>::new());
        assert!(!root.path().join("memory/imparcial/r1").exists() && !root.path().join("cpu/imparcial/r1").exists());
        assert!(root.path().join("memory/imparcial/r2").exists() && root.path().join("memory/docker").exists());

        let unified = tempfile::tempdir().unwrap();
        fs::write(unified.path().join("cgroup.controllers"), "").unwrap();
        let slice = unified.path().join("imparcial.slice/imparcial-r_1.slice/docker-x.scope");
        fs::create_dir_all(&slice).unwrap();
        remove_now(unified.path(), "r-1");
        assert!(!slice.parent().unwrap().exists() && unified.path().join("imparcial.slice").exists());
    }

    #[test]
    fn what_stands_still_anywhere_below_goes_on_in_either_version() {
        let root = tempfile::tempdir().unwrap();
        let state = |folder: &str, file: &str, says: &str| {
            let folder = root.path().join(folder);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(file), says).unwrap();
            folder.join(file)
        };
        let first = [
            state("freezer/imparcial/r1/lab/docker/x", "freezer.state", "FROZEN\n"),
            state("freezer/imparcial/r1/lab", "freezer.state", "FREEZING\n"),
            state("freezer/imparcial/r1", "freezer.state", "THAWED\n"),
        ];
        let second = state("unified/imparcial/r1/x", "cgroup.freeze", "1\n");
        let others = state("freezer/imparcial/r2/x", "freezer.state", "FROZEN\n");
        for folder in of_run(root.path(), "r1") {
            thaw_tree(&folder);
        }
        let says = |path: &PathBuf| fs::read_to_string(path).unwrap().trim().to_owned();
        assert_eq!(first.each_ref().map(says), ["THAWED"; 3]);
        assert_eq!((says(&second), says(&others)), ("0".to_owned(), "FROZEN".to_owned()));
    }

    #[test]
    fn a_name_that_leads_elsewhere_removes_nothing() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("memory/docker")).unwrap();
        for run in ["", "..", "../docker", "/"] {
            remove_now(root.path(), run);
        }
        assert!(root.path().join("memory/docker").exists());
    }

    #[test]
    fn the_parent_is_what_the_engine_s_driver_understands() {
        assert_eq!(parent("a-1", false), "/imparcial/a-1");
        assert_eq!(parent("a-1", true), "imparcial-a_1.slice");
    }
}

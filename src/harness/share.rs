//! One bring-up for the many processes of a nextest run.
//!
//! nextest starts a process for each trial, in any order, several at once. The first takes a lock that is named after the
//! run, grades, and leaves a note of where its record is; the others wait for the lock and find the note. A process that
//! dies holding the lock gives it up, and the next one grades.

use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::record::{RunRecord, store};
use crate::sanitize;

/// Notes of runs that are over, in seconds.
const OLD: Duration = Duration::from_secs(24 * 60 * 60);

/// How the one run ended.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Note {
    Folder(String),
    Failed(String),
}

/// Calls `live` in one process of the run, and gives its record in all of them. Waits for `longest` at most.
pub(super) fn once(
    reports: &Path,
    run: &str,
    longest: Duration,
    live: impl FnOnce() -> Result<RunRecord, String>,
) -> Result<RunRecord, String> {
    let folder = reports.join(".nextest");
    let said =
        |doing: &str, error: &dyn std::fmt::Display| format!("could not {doing} `{}`: {error}", folder.display());
    fs::create_dir_all(&folder).map_err(|e| said("make", &e))?;
    forget_old(&folder);
    let run = sanitize::file_name(run);
    let note = folder.join(format!("{run}.json"));
    let lock = fs::File::create(folder.join(format!("{run}.lock"))).map_err(|e| said("lock a file in", &e))?;

    // The kernel's wait has no deadline; a thread that waits has: the process may end while it still does.
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let taken = lock.lock().map(|()| lock);
        let _ = sender.send(taken);
    });
    let _held = match receiver.recv_timeout(longest) {
        Ok(taken) => taken.map_err(|e| said("lock a file in", &e))?,
        Err(_) => {
            return Err(format!("another process of this nextest run has graded for {longest:?} and has not ended"));
        }
    };
    if let Some(known) = fs::read(&note).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
        return match known {
            Note::Folder(folder) => store::load(Path::new(&folder)).map_err(|error| error.to_string()),
            Note::Failed(why) => Err(why),
        };
    }
    let done = live();
    let left = match &done {
        Ok(record) => Note::Folder(record.folder.clone()),
        Err(why) => Note::Failed(why.clone()),
    };
    // Others read it only when this process has given the lock up, so that it need not be atomic.
    let bytes = serde_json::to_vec(&left).map_err(|e| e.to_string())?;
    fs::write(&note, bytes).map_err(|e| said("leave a note in", &e))?;
    done
}

/// Notes and locks of runs of days ago; what cannot be removed stays.
fn forget_old(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let age = entry.metadata().and_then(|m| m.modified()).ok().and_then(|at| at.elapsed().ok());
        if age.is_some_and(|age| age > OLD) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::record::{RunFolder, fixture};
    use crate::report;
    use crate::text::Lang;

    const SOON: Duration = Duration::from_secs(20);

    #[test]
    fn many_at_once_grade_once_and_see_the_same_record() {
        let dir = tempfile::tempdir().unwrap();
        let runs = AtomicUsize::new(0);
        let grade = || {
            runs.fetch_add(1, Ordering::SeqCst);
            let folder = RunFolder::create(dir.path(), "run-1").map_err(|e| e.to_string())?;
            let record = fixture::typical();
            report::write_all(&folder, &record, Lang::En).map_err(|e| e.to_string())?;
            Ok(folder.named(&record))
        };
        let seen: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| once(dir.path(), "id-1", SOON, grade))).collect();
            threads.into_iter().map(|t| t.join().unwrap().unwrap().folder).collect()
        });
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        assert!(seen.iter().all(|folder| folder.ends_with("/run-1")), "{seen:?}");
    }

    #[test]
    fn a_run_that_could_not_begin_is_not_tried_by_each() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(once(dir.path(), "id", SOON, || Err("no engine".to_owned())).unwrap_err(), "no engine");
        assert_eq!(once(dir.path(), "id", SOON, || panic!("tried again")).unwrap_err(), "no engine");
        assert!(once(dir.path(), "another", SOON, || Ok(fixture::empty())).is_ok());
    }

    #[test]
    fn one_that_died_holding_the_lock_is_followed_by_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let died = std::thread::scope(|scope| scope.spawn(|| once(dir.path(), "id", SOON, || panic!("dies"))).join());
        assert!(died.is_err());
        assert!(once(dir.path(), "id", SOON, || Ok(fixture::empty())).is_ok());
    }

    #[test]
    fn the_wait_has_an_end() {
        let dir = tempfile::tempdir().unwrap();
        let error = once(dir.path(), "id", SOON, || {
            once(dir.path(), "id", Duration::from_millis(50), || panic!("the lock is held"))
        });
        assert!(error.unwrap_err().contains("has not ended"));
    }
}

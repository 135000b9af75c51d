//! What the kernel says of a container without asking anything that is in it: its name for the machine, and the processes of
//! its first one's namespace.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, setns};
use serde::{Deserialize, Serialize};

use super::{Bounds, Sight};

/// More than any machine of an exam runs.
const MOST: usize = 20_000;
/// Of a command line.
const LONGEST: usize = 4096;

/// A process as the kernel has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessSeen {
    /// In the place that looks.
    pub pid: i64,
    /// The kernel's name for it, of 15 characters at most.
    pub name: String,
    pub argv: Vec<String>,
}

pub(super) async fn hostname(pid: i64, container: String, bounds: Bounds) -> Sight {
    blocking(bounds, move || Ok(Sight::Hostname { name: name_of(pid, &container)? })).await
}

pub(super) async fn processes(pid: i64, container: String, bounds: Bounds) -> Sight {
    blocking(bounds, move || Ok(Sight::Processes { all: all_of(pid, &container)? })).await
}

async fn blocking(bounds: Bounds, look: impl FnOnce() -> Result<Sight, String> + Send + 'static) -> Sight {
    match tokio::time::timeout_at(bounds.deadline(), tokio::task::spawn_blocking(look)).await {
        Ok(Ok(Ok(sight))) => sight,
        Ok(Ok(Err(message))) => Sight::Unable { message },
        Ok(Err(_)) => Sight::Unable { message: "the look at a container failed".to_owned() },
        Err(_) => bounds.late("read"),
    }
}

/// A process id may be given to another process after an exit.
fn verify(pid: i64, container: &str) -> Result<(), String> {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    if container.is_empty() || groups.contains(container) {
        return Ok(());
    }
    Err(format!("process {pid} is no longer one of container {container}"))
}

/// The name is that of whoever reads it: a thread of its own goes there, and ends there.
fn name_of(pid: i64, container: &str) -> Result<String, String> {
    let names = format!("/proc/{pid}/ns/uts");
    let names = File::open(&names).map_err(|e| format!("{names}: {e}"))?;
    verify(pid, container)?;
    let there = std::thread::spawn(move || {
        setns(names, CloneFlags::CLONE_NEWUTS)
            .map_err(|e| format!("could not join the container's name: {}", e.desc()))?;
        fs::read_to_string("/proc/sys/kernel/hostname").map_err(|e| format!("/proc/sys/kernel/hostname: {e}"))
    });
    let name = there.join().map_err(|_| "the look at a name failed".to_owned())??;
    Ok(name.trim_end().to_owned())
}

/// Those of the same process namespace: what runs in containers of the container's own is not among them.
fn all_of(pid: i64, container: &str) -> Result<Vec<ProcessSeen>, String> {
    let space = |pid: &Path| fs::read_link(pid.join("ns/pid"));
    let first = PathBuf::from(format!("/proc/{pid}"));
    let wanted = space(&first).map_err(|e| format!("/proc/{pid}: {e}"))?;
    verify(pid, container)?;
    let entries = fs::read_dir("/proc").map_err(|e| format!("/proc: {e}"))?;
    let mut all = Vec::new();
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let folder = entry.path();
        // One that ended meanwhile is not there, and one that is dead and not yet waited for does not run.
        if !space(&folder).is_ok_and(|space| space == wanted) {
            continue;
        }
        let Some((name, state)) = fs::read(folder.join("stat")).ok().as_deref().and_then(stat) else { continue };
        if matches!(state, 'Z' | 'X') {
            continue;
        }
        let line = fs::read(folder.join("cmdline")).unwrap_or_default();
        all.push(ProcessSeen { pid, name, argv: argv(&line) });
        if all.len() >= MOST {
            break;
        }
    }
    all.sort_by_key(|process| process.pid);
    Ok(all)
}

/// Name and state of `/proc/PID/stat`: the name stands in parentheses and may hold some of its own.
fn stat(line: &[u8]) -> Option<(String, char)> {
    let line = String::from_utf8_lossy(line);
    let (name, rest) = line.split_once('(')?.1.rsplit_once(')')?;
    Some((name.to_owned(), rest.trim_start().chars().next()?))
}

fn argv(line: &[u8]) -> Vec<String> {
    let line = &line[..line.len().min(LONGEST)];
    let words = line.split(|b| *b == 0).map(|word| String::from_utf8_lossy(word).into_owned());
    let mut words: Vec<String> = words.collect();
    while words.last().is_some_and(String::is_empty) {
        words.pop();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> i64 {
        i64::from(std::process::id())
    }

    #[test]
    fn a_line_of_the_kernel_is_read_whatever_the_name() {
        assert_eq!(stat(b"7 (glusterd) S 1 7 7 0"), Some(("glusterd".to_owned(), 'S')));
        assert_eq!(stat(b"8 (a) (b)) Z 1"), Some(("a) (b)".to_owned(), 'Z')));
        assert_eq!(stat(b"nothing"), None);
        assert_eq!(argv(b"/usr/sbin/glusterd\0-p\0\0"), ["/usr/sbin/glusterd", "-p"]);
        assert_eq!(argv(b""), [""; 0]);
    }

    #[test]
    fn the_own_process_is_among_those_of_its_namespace() {
        let all = all_of(own(), "").unwrap();
        let this = all.iter().find(|p| p.pid == own()).unwrap();
        assert!(!this.argv.is_empty(), "{this:?}");
    }

    #[test]
    fn a_process_of_another_container_is_refused() {
        assert!(all_of(own(), "f00dfeed").unwrap_err().contains("no longer one of container f00dfeed"));
        assert!(name_of(own(), "f00dfeed").unwrap_err().contains("no longer one of container f00dfeed"));
        assert!(name_of(4_194_400, "").is_err());
    }
}

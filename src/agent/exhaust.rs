//! Fills a container's control group with memory that is nobody's, until the kernel kills a process of the group for it.
//!
//! The memory is that of a file in memory, which counts against the group of who writes it and against no process: so the
//! kernel, which kills the largest process, kills the service's own and not this one, which has next to nothing of its own.
//! It ends, and all is given back, as soon as anybody was killed or has ended.

use std::fs::{self, File};
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use nix::sys::memfd::{MFdFlags, memfd_create};
use tokio::time::{Instant, sleep};

const ASKED: &str = "--exhaust";
/// Written at a time, in bytes: between two the kernel's count of kills is read.
const PIECE: usize = 64 << 10;
/// How long who was killed may take to end, and when to look again meanwhile.
const ENDS: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_millis(5);
/// It could not become a member: nothing was taken.
pub(crate) const OUTSIDE: u8 = 3;
/// All that was to be taken was had, and nobody was killed.
pub(crate) const UNHARMED: u8 = 4;

/// As arguments of `imparcial agent`: the group's folder, and how many bytes at most.
pub(crate) fn args(group: &str, bytes: u64) -> Vec<String> {
    [ASKED, &bytes.to_string(), group].map(str::to_owned).to_vec()
}

/// Fills the group where the arguments ask for it; none where they do not. Its output names who was killed.
pub(super) fn asked(args: &[String]) -> Option<ExitCode> {
    let [name, bytes, group] = args else { return None };
    let bytes = if name == ASKED { bytes.parse::<u64>().ok()? } else { return None };
    let group = Group { folder: group.clone() };
    let before = group.members();
    let kills = group.kills();
    let joined = group.join();
    let Ok(mut file) = memfd_create("imparcial", MFdFlags::MFD_CLOEXEC).map(File::from) else {
        return Some(ExitCode::from(OUTSIDE));
    };
    if !joined {
        return Some(ExitCode::from(OUTSIDE));
    }
    let piece = vec![1_u8; PIECE];
    let mut hit = false;
    for _ in 0..bytes.div_ceil(PIECE as u64) {
        let written = file.write_all(&piece).is_ok();
        hit = group.kills() != kills;
        if hit || !written {
            break;
        }
    }
    // The service must not be short of it a moment longer than it takes.
    drop(file);
    if !hit {
        return Some(ExitCode::from(UNHARMED));
    }
    let gone = gone(&before);
    let _ = writeln!(std::io::stdout(), "{}", gone.join(" "));
    Some(ExitCode::SUCCESS)
}

/// The names of those who have ended, as soon as anybody has.
fn gone(before: &[Member]) -> Vec<String> {
    let gone = || before.iter().filter(|member| !member.lives()).map(|member| member.name.clone()).collect();
    let looked = async {
        let deadline = Instant::now() + ENDS;
        loop {
            let names: Vec<String> = gone();
            if !names.is_empty() || Instant::now() >= deadline {
                return names;
            }
            sleep(AGAIN).await;
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.map_or_else(|_| gone(), |runtime| runtime.block_on(looked))
}

/// A control group, by its folder.
struct Group {
    folder: String,
}

/// A process of it.
#[derive(Debug, PartialEq, Eq)]
struct Member {
    pid: u32,
    name: String,
}

impl Group {
    fn members(&self) -> Vec<Member> {
        let text = fs::read_to_string(format!("{}/cgroup.procs", self.folder)).unwrap_or_default();
        let member = |pid: u32| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            // A name is the submission's own, and goes into a line of ours.
            let name = name.trim().chars().map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect();
            Member { pid, name }
        };
        text.lines().filter_map(|line| line.trim().parse().ok()).map(member).collect()
    }

    /// How many processes the kernel has killed for it; none where the group is gone, or does not say.
    fn kills(&self) -> Option<u64> {
        let read = |name: &str| fs::read_to_string(format!("{}/{name}", self.folder));
        let text = read("memory.oom_control").or_else(|_| read("memory.events")).ok()?;
        text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
    }

    fn join(&self) -> bool {
        let members = File::options().write(true).open(format!("{}/cgroup.procs", self.folder));
        members.and_then(|mut file| file.write_all(std::process::id().to_string().as_bytes())).is_ok()
    }
}

impl Member {
    fn lives(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        !matches!(state, None | Some('Z' | 'X'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_asked_for_by_name_and_nothing_is_taken_outside() {
        assert_eq!(args("/g", 7), ["--exhaust", "7", "/g"]);
        assert!(asked(&["--inside".into(), "7".into()]).is_none());
        assert!(asked(&["--allocate".into(), "7".into(), "/g".into()]).is_none());
        let outside = asked(&args("/no/such/group", 1 << 40)).unwrap();
        assert_eq!(format!("{outside:?}"), format!("{:?}", ExitCode::from(OUTSIDE)));
    }

    #[test]
    fn members_and_kills_of_either_kind_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let group = Group { folder: folder.path().display().to_string() };
        assert!(group.kills().is_none() && group.members().is_empty());
        fs::write(folder.path().join("cgroup.procs"), format!("{}\n", std::process::id())).unwrap();
        fs::write(folder.path().join("memory.events"), "oom 2\noom_kill 1\n").unwrap();
        assert_eq!(group.kills(), Some(1));
        fs::write(folder.path().join("memory.oom_control"), "under_oom 0\noom_kill 3\n").unwrap();
        assert_eq!(group.kills(), Some(3));
        let members = group.members();
        assert!(members.len() == 1 && members[0].lives() && !members[0].name.is_empty(), "{members:?}");
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let ended = Member { pid: child.id(), name: String::new() };
        child.wait().unwrap();
        assert!(!ended.lives());
    }
}

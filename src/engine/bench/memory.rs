//! Peak resident memory of this process and of the agents in a lab, as the kernel counts it (`VmHWM`).

use std::fs;
use std::path::Path;

use crate::lab::BINARY;

/// In kB, of 1024 bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    pub own: u64,
    /// Of each agent that runs, the largest first.
    pub agents: Vec<u64>,
}

/// `pid` is a process of the lab, as this host numbers it: its agents share its process namespace.
pub(super) fn now(pid: i64) -> Memory {
    let proc = Path::new("/proc");
    let own = peak(&proc.join("self")).unwrap_or_default();
    let namespace = |process: &Path| fs::read_link(process.join("ns/pid")).ok();
    let lab = namespace(&proc.join(pid.to_string()));
    let entries = fs::read_dir(proc).into_iter().flatten().flatten().map(|entry| entry.path());
    let ours = |process: &std::path::PathBuf| {
        fs::read_link(process.join("exe")).is_ok_and(|exe| exe == Path::new(BINARY))
            && lab.is_some()
            && namespace(process) == lab
    };
    let mut agents: Vec<u64> = entries.filter(ours).filter_map(|process| peak(&process)).collect();
    agents.sort_unstable_by(|a, b| b.cmp(a));
    Memory { own, agents }
}

fn peak(process: &Path) -> Option<u64> {
    let status = fs::read_to_string(process.join("status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_a_peak_and_no_agents() {
        let memory = now(i64::from(std::process::id()));
        assert!(memory.own > 1000, "{memory:?}");
        assert_eq!(memory.agents, Vec::<u64>::new());
    }
}

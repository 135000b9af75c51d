//! Docker clients that a killed process left: they end with their pipes, as a rule, or with their lab.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getsid};

/// Ends the docker clients of a session that were sent into the lab `lab`.
pub(super) fn end(session: Pid, lab: &str) -> usize {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).map(Pid::from_raw);
    let ours = numbers.filter(|pid| getsid(Some(*pid)) == Ok(session) && sent_into(lab, *pid));
    ours.filter(|pid| kill(*pid, Signal::SIGKILL).is_ok()).count()
}

fn sent_into(lab: &str, pid: Pid) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    is_client(lab, &line.split(|b| *b == 0).map(String::from_utf8_lossy).collect::<Vec<_>>())
}

fn is_client(lab: &str, line: &[impl AsRef<str>]) -> bool {
    let mut words = line.iter().map(AsRef::as_ref);
    let docker = words.next().is_some_and(|program| program.rsplit('/').next() == Some("docker"));
    docker && words.next() == Some("exec") && words.any(|word| word == lab)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_docker_exec_into_this_very_lab() {
        let line = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let is = |text| is_client("imparcial-r1", &line(text));
        assert!(is("docker exec -i imparcial-r1 /usr/local/bin/imparcial agent"));
        assert!(is("/usr/bin/docker exec -w /work imparcial-r1 cat x"));
        assert!(!is("docker exec -i imparcial-r12 bash"));
        assert!(!is("docker logs -f imparcial-r1"));
        assert!(!is("vim exec imparcial-r1"));
    }
}

//! Limits as they were handed in: what the created containers got, and whether a service dies at its limit or is silent there.
//!
//! It watches from outside, by the engine and the cgroup's counters, until each limited service answers, ends, or shows that
//! its limit does not press it. A service that answers is never held back by this.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::agent::{Look, Sight};
use crate::backend::{BackendError, Site};
use crate::docker::{Container, cgroup};
use crate::stack::AsWritten;
use crate::submission::ServiceDef;

const EVERY: Duration = Duration::from_millis(250);
/// A limit that never pushed in so long does not push.
const CALM: Duration = Duration::from_secs(3);
/// Silent for so long while the limit pushes: it will not answer either.
const SILENT: Duration = Duration::from_secs(25);

/// What the watch came to for one service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Watching,
    Fine,
    /// It was killed at its limit, or is silent while it pushes.
    Pressed,
}

/// Watches the services that have a memory limit; fills in what their cgroups say.
pub async fn watch(
    site: &Site,
    project: &str,
    limited: &[&ServiceDef],
    budget: Duration,
    seen: &mut BTreeMap<String, AsWritten>,
) -> Result<Vec<String>, BackendError> {
    let began = Instant::now();
    let mut states: BTreeMap<&str, State> = limited.iter().map(|s| (s.name.as_str(), State::Watching)).collect();
    let mut pushes: BTreeMap<String, (u64, Instant)> = BTreeMap::new();
    while states.values().any(|s| *s == State::Watching) && began.elapsed() < budget {
        let round = Instant::now();
        let containers = site.engine.project_containers(project).await?;
        for service in limited {
            let Some(state) = states.get_mut(service.name.as_str()) else { continue };
            if *state != State::Watching {
                continue;
            }
            let Some(container) = containers.iter().find(|c| c.service == service.name) else {
                *state = State::Fine;
                continue;
            };
            let entry = seen.entry(service.name.clone()).or_default();
            entry.memory_bytes = container.memory_bytes;
            entry.cpus = container.cpus();
            *state = one(site, container, entry, &mut pushes, began).await;
            entry.died_at_limit |= *state == State::Pressed;
        }
        tokio::time::sleep_until(round + EVERY).await;
    }
    Ok(states.into_iter().filter(|(_, s)| *s == State::Pressed).map(|(name, _)| name.to_owned()).collect())
}

async fn one(
    site: &Site,
    container: &Container,
    entry: &mut AsWritten,
    pushes: &mut BTreeMap<String, (u64, Instant)>,
    began: Instant,
) -> State {
    if container.oom_killed || (container.exit_code == 137 && !container.running() && container.memory_bytes > 0) {
        return State::Pressed;
    }
    if container.memory_bytes == 0 || container.exited_for_good() || container.state == "created" {
        return State::Fine;
    }
    if !container.running() {
        return State::Watching;
    }
    let counters = counters(site, container).await;
    entry.cgroup_memory_bytes = counters.limit.or(entry.cgroup_memory_bytes);
    entry.cgroup_cpus = counters.cpus.or(entry.cgroup_cpus);
    if counters.oom_kills > 0 {
        return State::Pressed;
    }
    if answers(site, container).await {
        return State::Fine;
    }
    let now = Instant::now();
    let last = pushes.entry(container.id.clone()).or_insert((counters.pushes, now));
    if counters.pushes > last.0 {
        *last = (counters.pushes, now);
    }
    silent(counters.pushes > 0, now.duration_since(last.1), began.elapsed())
}

/// What becomes of a service that lives and does not answer: whether its limit was ever hit, for how long it no longer was,
/// and how long the watch has lasted.
fn silent(pushed: bool, calm: Duration, watched: Duration) -> State {
    if !pushed || calm >= CALM {
        // Silent, but not for its limit: the checks will say what of.
        return if watched >= CALM { State::Fine } else { State::Watching };
    }
    if watched >= SILENT { State::Pressed } else { State::Watching }
}

/// Whether anything that the container publishes accepts a connection at the container's own address.
pub async fn answers(site: &Site, container: &Container) -> bool {
    let mut ports: Vec<u16> = container.ports.keys().filter_map(|p| p.split('/').next()?.parse().ok()).collect();
    ports.truncate(8);
    accepts(site, container, &ports).await
}

/// Whether one of these ports accepts a connection at the container's own address.
pub async fn accepts(site: &Site, container: &Container, ports: &[u16]) -> bool {
    let Some(address) = container.addresses.values().next().cloned() else { return false };
    let Ok(agent) = site.agents.lab().await else { return false };
    for &port in ports {
        let look = Look::Tcp { host: address.clone(), port, greet_ms: 0 };
        if matches!(agent.look(look, Duration::from_secs(1)).await, Ok(Sight::Tcp { connected: true, .. })) {
            return true;
        }
    }
    false
}

/// A cgroup's counters since its container's last start.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    pub limit: Option<u64>,
    pub cpus: Option<f64>,
    pub oom_kills: u64,
    /// How often the limit was hit.
    pub pushes: u64,
}

/// Reads a container's counters, cgroup v1 and v2, through the lab's agent.
pub async fn counters(site: &Site, container: &Container) -> Counters {
    let Ok(agent) = site.agents.lab().await else { return Counters::default() };
    let map = format!("/proc/{}/cgroup", container.pid);
    let Ok(Sight::Files { contents }) =
        agent.look(Look::Files { paths: vec![map.clone()] }, Duration::from_secs(5)).await
    else {
        return Counters::default();
    };
    let paths = cgroup_files(contents.get(&map).map_or("", String::as_str), &container.id);
    match agent.look(Look::Files { paths }, Duration::from_secs(5)).await {
        Ok(Sight::Files { contents }) => read(&contents),
        _ => Counters::default(),
    }
}

/// The counter files of a process's cgroups, from its `/proc/PID/cgroup`.
fn cgroup_files(map: &str, id: &str) -> Vec<String> {
    let mut files = Vec::new();
    const OLD: [(&str, &[&str]); 2] = [
        ("memory", &["memory.limit_in_bytes", "memory.failcnt", "memory.oom_control"]),
        ("cpu", &["cpu.cfs_quota_us", "cpu.cfs_period_us"]),
    ];
    for group in cgroup::own(map, id) {
        let path = group.path;
        if group.is_unified() {
            files.extend(["memory.max", "memory.events", "cpu.max"].map(|f| format!("/sys/fs/cgroup{path}/{f}")));
        }
        for (controller, names) in OLD.iter().filter(|(controller, _)| group.has(controller)) {
            files.extend(names.iter().map(|f| format!("/sys/fs/cgroup/{controller}{path}/{f}")));
        }
    }
    files
}

fn read(files: &BTreeMap<String, String>) -> Counters {
    let file = |name: &str| files.iter().find(|(path, _)| path.ends_with(name)).map(|(_, text)| text.trim());
    let field = |name: &str, key: &str| -> Option<u64> {
        file(name)?.lines().find_map(|l| l.strip_prefix(key)?.trim().parse().ok())
    };
    let number = |name: &str| -> Option<i64> { file(name)?.parse().ok() };
    let quota = match (number("/cpu.cfs_quota_us"), number("/cpu.cfs_period_us")) {
        (Some(quota), Some(period)) if quota > 0 && period > 0 => Some(quota as f64 / period as f64),
        _ => file("/cpu.max").and_then(|text| {
            let (quota, period) = text.split_once(' ')?;
            Some(quota.parse::<f64>().ok()? / period.parse::<f64>().ok()?)
        }),
    };
    Counters {
        limit: file("/memory.limit_in_bytes").or(file("/memory.max")).and_then(|t| t.parse().ok()),
        cpus: quota,
        oom_kills: field("/memory.oom_control", "oom_kill ").or(field("/memory.events", "oom_kill ")).unwrap_or(0),
        pushes: number("/memory.failcnt")
            .and_then(|n| u64::try_from(n).ok())
            .or(field("/memory.events", "max "))
            .unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_counts_only_while_the_limit_is_hit() {
        let s = Duration::from_secs;
        assert_eq!(silent(true, s(1), s(24)), State::Watching, "it may answer yet");
        assert_eq!(silent(true, s(1), s(25)), State::Pressed, "alive, and its limit leaves it no time to answer");
        assert_eq!(silent(true, s(3), s(30)), State::Fine, "the limit no longer pushes: it is silent for itself");
        assert_eq!((silent(false, s(0), s(2)), silent(false, s(0), s(3))), (State::Watching, State::Fine));
    }

    #[test]
    fn both_generations_of_cgroups_are_read() {
        let v1 = BTreeMap::from([
            ("/m/memory.limit_in_bytes".to_owned(), "20971520\n".to_owned()),
            ("/m/memory.failcnt".to_owned(), "417\n".to_owned()),
            ("/m/memory.oom_control".to_owned(), "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n".to_owned()),
            ("/c/cpu.cfs_quota_us".to_owned(), "10000\n".to_owned()),
            ("/c/cpu.cfs_period_us".to_owned(), "100000\n".to_owned()),
        ]);
        let c = read(&v1);
        assert_eq!((c.limit, c.cpus, c.oom_kills, c.pushes), (Some(20_971_520), Some(0.1), 2, 417));
        let v2 = BTreeMap::from([
            ("/u/memory.max".to_owned(), "max\n".to_owned()),
            ("/u/memory.events".to_owned(), "low 0\nhigh 0\nmax 9\noom 1\noom_kill 1\n".to_owned()),
            ("/u/cpu.max".to_owned(), "max 100000\n".to_owned()),
        ]);
        let c = read(&v2);
        assert_eq!((c.limit, c.cpus, c.oom_kills, c.pushes), (None, None, 1, 9));
    }

    #[test]
    fn only_the_containers_own_cgroup_counts() {
        let map = "9:memory:/docker/abc\n4:cpu:/docker/abc\n1:name=systemd:/docker/abc\n0::/\n";
        let files = cgroup_files(map, "abc");
        assert!(files.contains(&"/sys/fs/cgroup/memory/docker/abc/memory.failcnt".to_owned()));
        assert!(files.contains(&"/sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us".to_owned()));
        assert!(!files.iter().any(|f| f.ends_with("memory.max")));
        assert!(cgroup_files(map, "other").is_empty());
    }
}

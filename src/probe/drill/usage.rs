//! What a service has used of the processor: its control group's own count, read from its machine.

use std::collections::BTreeMap;
use std::time::Duration;

use super::world::Used;
use crate::docker::{Container, cgroup};
use crate::stack::Stack;

/// Of the running containers of a role together; none where that cannot be had.
pub(super) async fn of(stack: &Stack, role: &str) -> Option<Used> {
    let service = stack.playing(role)?;
    let containers = stack.containers().await.ok()?;
    let mut cpu = Duration::ZERO;
    let mut quota: Option<f64> = Some(0.0);
    let mut any = false;
    for container in containers.iter().filter(|c| c.service == service && c.running()) {
        cpu += one(stack, container).await?;
        any = true;
        // Any of them without a limit leaves all of them without one.
        quota = quota.filter(|_| container.cpus() > 0.0).map(|all| all + container.cpus());
    }
    any.then_some(Used { cpu, quota })
}

async fn one(stack: &Stack, container: &Container) -> Option<Duration> {
    let spot = stack.spot_of(container);
    let map = format!("/proc/{}/cgroup", container.pid);
    let contents = spot.files(vec![map.clone()]).await.ok()?;
    read(&spot.files(counters(contents.get(&map)?, &container.id)).await.ok()?)
}

/// Where either generation of control groups counts it.
fn counters(map: &str, id: &str) -> Vec<String> {
    let mut files = Vec::new();
    for group in cgroup::own(map, id) {
        let path = group.path;
        if group.is_unified() {
            files.push(format!("/sys/fs/cgroup{path}/cpu.stat"));
        } else if group.has("cpuacct") {
            files.extend(["cpuacct", "cpu,cpuacct"].map(|c| format!("/sys/fs/cgroup/{c}{path}/cpuacct.usage")));
        }
    }
    files
}

fn read(files: &BTreeMap<String, String>) -> Option<Duration> {
    let old = files.iter().find(|(path, _)| path.ends_with("/cpuacct.usage"));
    if let Some((_, nanos)) = old {
        return nanos.trim().parse().ok().map(Duration::from_nanos);
    }
    let new = files.iter().find(|(path, _)| path.ends_with("/cpu.stat"))?.1;
    let micros = new.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
    micros.trim().parse().ok().map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_generations_are_read() {
        let map = "5:cpu,cpuacct:/docker/abc\n0::/docker/abc\n";
        let files = counters(map, "abc");
        assert!(files.contains(&"/sys/fs/cgroup/cpuacct/docker/abc/cpuacct.usage".to_owned()), "{files:?}");
        assert!(counters(map, "other").is_empty());
        let of = |path: &str, text: &str| read(&BTreeMap::from([(path.to_owned(), text.to_owned())]));
        assert_eq!(of("/x/cpuacct.usage", "1500000\n"), Some(Duration::from_micros(1500)));
        assert_eq!(of("/x/cpu.stat", "usage_usec 2500\nuser_usec 1\n"), Some(Duration::from_micros(2500)));
        assert_eq!(of("/x/other", "1"), None);
    }
}

//! A container's control groups, as the kernel names them in `/proc/PID/cgroup`: cgroups(7).

use std::collections::BTreeMap;
use std::time::Duration;

/// One of them, in its hierarchy.
pub struct Group<'a> {
    controllers: &'a str,
    /// Below where the hierarchy is mounted.
    pub path: &'a str,
}

impl Group<'_> {
    /// Of the newer generation, which has one hierarchy for all controllers.
    pub fn is_unified(&self) -> bool {
        self.controllers.is_empty()
    }

    /// Of the older generation, and with this controller.
    pub fn has(&self, controller: &str) -> bool {
        self.controllers.split(',').any(|own| own == controller)
    }
}

/// Those that are the container's own. Where its machine has a cgroup namespace of its own the paths are already relative to
/// what that has mounted; seen from yet another namespace they lead elsewhere, and are left out.
pub fn own<'a>(map: &'a str, id: &'a str) -> impl Iterator<Item = Group<'a>> {
    map.lines().filter_map(move |line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?.trim_end_matches('/'));
        let own = path.contains(id) && path.split('/').all(|part| part != "..");
        own.then_some(Group { controllers, path })
    })
}

/// Where either generation counts what a container used of the processor.
pub fn cpu_files(map: &str, id: &str) -> Vec<String> {
    let mut files = Vec::new();
    for group in own(map, id) {
        let path = group.path;
        if group.is_unified() {
            files.push(format!("/sys/fs/cgroup{path}/cpu.stat"));
        } else if group.has("cpuacct") {
            files.extend(["cpuacct", "cpu,cpuacct"].map(|c| format!("/sys/fs/cgroup/{c}{path}/cpuacct.usage")));
        }
    }
    files
}

/// What those files say; none where they do not.
pub fn cpu_used(files: &BTreeMap<String, String>) -> Option<Duration> {
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
    fn only_a_containers_own_count_in_either_generation() {
        let of = |map: &'static str, id: &'static str| own(map, id).collect::<Vec<_>>();
        let map =
            "12:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n0::/docker/abc/\n4:memory:/docker/other\nnone";
        let [cpu, named, unified] = of(map, "abc").try_into().ok().unwrap();
        assert!(cpu.has("cpu") && cpu.has("cpuacct") && !cpu.has("memory") && !cpu.is_unified());
        assert!(!named.has("systemd") && !named.is_unified());
        assert!(unified.is_unified() && !unified.has("cpu"));
        assert_eq!((cpu.path, unified.path), ("/docker/abc", "/docker/abc"));
        assert!(of("0::/../abc\n", "abc").is_empty(), "seen from another namespace, it leads elsewhere");
    }

    #[test]
    fn what_was_used_of_a_processor_is_read_in_either_generation() {
        let map = "5:cpu,cpuacct:/docker/abc\n0::/docker/abc\n";
        let files = cpu_files(map, "abc");
        assert!(files.contains(&"/sys/fs/cgroup/cpuacct/docker/abc/cpuacct.usage".to_owned()), "{files:?}");
        assert!(cpu_files(map, "other").is_empty());
        let of = |path: &str, text: &str| cpu_used(&BTreeMap::from([(path.to_owned(), text.to_owned())]));
        assert_eq!(of("/x/cpuacct.usage", "1500000\n"), Some(Duration::from_micros(1500)));
        assert_eq!(of("/x/cpu.stat", "usage_usec 2500\nuser_usec 1\n"), Some(Duration::from_micros(2500)));
        assert_eq!(of("/x/other", "1"), None);
    }
}

//! A container's control groups, as the kernel names them in `/proc/PID/cgroup`: cgroups(7).

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
}

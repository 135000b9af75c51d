//! A container's memory group as its machine has it, and what the machine itself has left.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Spot, Stack, Unknown};
use crate::agent::{AgentError, Look, Sight};
use crate::docker::{Container, cgroup};
use crate::notice::Reason;
use crate::text::Text;

const READ: Duration = Duration::from_secs(5);
/// A larger limit is not tried: the memory would have to be there.
const MOST: u64 = 1 << 30;
/// Beyond twice the limit, which is what an engine allows where there is swap.
const OVER: u64 = 16 << 20;
/// What a machine must have left besides: so much, and of a small one a sixteenth of what it has.
const SPARE: u64 = 256 << 20;
const SPARE_PART: u64 = 16;

/// A container's memory group as its machine has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub folder: String,
    /// None is unlimited.
    pub limit: Option<u64>,
    /// Processes that were killed for it so far.
    pub kills: Option<u64>,
}

impl Stack {
    /// The memory group of a container that runs.
    ///
    /// # Errors
    /// It could not be found.
    pub async fn memory_group(&self, container: &Container) -> Result<Group, Unknown> {
        let service = &container.service;
        let unknown = || Unknown {
            reason: Reason::Host,
            text: Text::new(
                format!("the control group of {service} could not be found on its machine"),
                format!("no se encontró el grupo de control de {service} en su máquina"),
            ),
        };
        let spot = self.spot_of(container);
        let map = format!("/proc/{}/cgroup", container.pid);
        let contents = spot.files(vec![map.clone()]).await?;
        let folder = folder(contents.get(&map).map_or("", String::as_str), &container.id).ok_or_else(unknown)?;
        let names = ["memory.max", "memory.events", "memory.limit_in_bytes", "memory.oom_control"];
        let contents = spot.files(names.iter().map(|name| format!("{folder}/{name}")).collect()).await?;
        read(folder, &contents).ok_or_else(unknown)
    }
}

impl Spot {
    /// How many bytes are more than a limit allows; none where that is more than can be taken on this machine.
    ///
    /// # Errors
    /// The machine does not say how much it has left.
    pub async fn more_than(&self, limit: u64) -> Result<Option<u64>, Unknown> {
        let path = "/proc/meminfo".to_owned();
        let contents = self.files(vec![path.clone()]).await?;
        Ok(beyond(limit, contents.get(&path).map_or("", String::as_str)))
    }

    /// What these files of the machine hold, as far as they are there: of `/proc` and `/sys`, which are short.
    ///
    /// # Errors
    /// The machine could not be asked.
    pub async fn files(&self, paths: Vec<String>) -> Result<BTreeMap<String, String>, Unknown> {
        let lost = |error: AgentError| Unknown {
            reason: Reason::Host,
            text: Text::new(error.to_string(), format!("no se pudo mirar: {error}")),
        };
        match self.agents.lab().await.map_err(lost)?.look(Look::Files { paths }, READ).await.map_err(lost)? {
            Sight::Files { contents } => Ok(contents),
            other => Err(Unknown {
                reason: Reason::Imparcial,
                text: Text::new(format!("unexpected answer: {other:?}"), format!("respuesta inesperada: {other:?}")),
            }),
        }
    }
}

/// How many bytes are more than a limit allows, where the machine has them: up to the limit in memory, and only swap can take what
/// is beyond.
fn beyond(limit: u64, meminfo: &str) -> Option<u64> {
    if limit > MOST {
        return None;
    }
    let bytes = |name: &str| in_meminfo(meminfo, name).unwrap_or_default();
    let spare = SPARE.min(bytes("MemTotal") / SPARE_PART);
    let there = bytes("MemAvailable") >= limit + OVER + spare;
    let swap = bytes("SwapTotal") == 0 || bytes("SwapFree") >= limit + OVER;
    (there && swap).then_some(limit * 2 + OVER)
}

/// Of `/proc/meminfo`, in bytes.
pub(crate) fn in_meminfo(meminfo: &str, name: &str) -> Option<u64> {
    let said = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    said.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The folder of a process's memory group, from its `/proc/PID/cgroup`; none where that is not the container's own.
fn folder(map: &str, id: &str) -> Option<String> {
    let memory = cgroup::own(map, id).find(|group| group.has("memory"));
    let unified = || cgroup::own(map, id).find(cgroup::Group::is_unified);
    let old = memory.map(|group| format!("/sys/fs/cgroup/memory{}", group.path));
    old.or_else(|| unified().map(|group| format!("/sys/fs/cgroup{}", group.path)))
}

fn read(folder: String, contents: &BTreeMap<String, String>) -> Option<Group> {
    let file = |name: &str| contents.get(&format!("{folder}/{name}")).map(|text| text.trim());
    let limit = file("memory.limit_in_bytes").or(file("memory.max"))?;
    let events = file("memory.oom_control").or(file("memory.events")).unwrap_or_default();
    let kills = events.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok());
    // The older kind writes the largest number that there is.
    let limit = limit.parse::<u64>().ok().filter(|limit| *limit < 1 << 60);
    Some(Group { limit, kills, folder })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_is_the_containers_own_in_either_kind() {
        let one = "12:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n0::/system.slice\n";
        assert_eq!(folder(one, "abc").as_deref(), Some("/sys/fs/cgroup/memory/docker/abc"));
        assert_eq!(folder("0::/docker/abc\n", "abc").as_deref(), Some("/sys/fs/cgroup/docker/abc"));
        assert_eq!(folder("0::/docker/other\n", "abc"), None);
        assert_eq!(folder("0::/../abc\n", "abc"), None, "seen from another namespace, it leads elsewhere");
    }

    #[test]
    fn what_is_taken_has_to_be_there() {
        let of = |limit: u64, total: u64, free: u64, swap: u64, unused: u64| {
            let kib = |mib: u64| mib << 10;
            let said = format!(
                "MemTotal: {} kB\nMemAvailable:   {} kB\nSwapTotal: {} kB\nSwapFree: {} kB\n",
                kib(total),
                kib(free),
                kib(swap),
                kib(unused)
            );
            beyond(limit << 20, &said).map(|bytes| bytes >> 20)
        };
        assert_eq!(of(128, 469, 244, 2047, 2014), Some(272), "a machine of 512 MB whose first service may have 128");
        assert_eq!(of(128, 469, 150, 2047, 2014), None, "what is left must not be too little");
        assert_eq!(of(128, 469, 244, 2047, 100), None, "other programs have their memory there");
        assert_eq!([of(128, 24_000, 399, 0, 0), of(128, 24_000, 400, 0, 0)], [None, Some(272)]);
        assert_eq!(of(2048, 24_000, 20_000, 0, 0), None);
        assert_eq!([beyond(1, ""), beyond(u64::MAX - 1, "")], [None, None]);
    }

    #[test]
    fn limit_and_kills_are_read_and_no_limit_is_none() {
        let group = |files: &[(&str, &str)]| {
            let contents: BTreeMap<String, String> =
                files.iter().map(|(name, text)| (format!("/g/{name}"), (*text).to_owned())).collect();
            read("/g".to_owned(), &contents)
        };
        let v1 = group(&[("memory.limit_in_bytes", "20971520\n"), ("memory.oom_control", "under_oom 0\noom_kill 2\n")]);
        assert_eq!(v1.map(|g| (g.limit, g.kills)), Some((Some(20_971_520), Some(2))));
        let v2 = group(&[("memory.max", "max\n"), ("memory.events", "oom 0\noom_kill 0\n")]);
        assert_eq!(v2.map(|g| (g.limit, g.kills)), Some((None, Some(0))));
        assert_eq!(group(&[("memory.limit_in_bytes", "9223372036854771712\n")]).map(|g| g.limit), Some(None));
        assert_eq!(group(&[]), None);
    }
}

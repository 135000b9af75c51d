//! Limits as they were handed in: what the created containers got, and whether a service dies at its limit or is silent there.
//!
//! It watches from outside, by the engine and the cgroup's counters, until each limited service answers, ends, or shows that
//! its limit does not press it. A service that answers where it publishes a port is never held back by this.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::agent::{Look, Sight};
use crate::backend::{BackendError, Site};
use crate::docker::{Container, cgroup};
use crate::stack::AsWritten;
use crate::submission::ServiceDef;

const EVERY: Duration = Duration::from_millis(250);
/// A limit that has not pushed for so long does not push for now.
const CALM: Duration = Duration::from_secs(3);
/// Silent for so long while the limit pushes: it will not answer either. As much longer as the machine is slower.
const SILENT: Duration = Duration::from_secs(25);
/// What works takes more of a processor than this: on a busy host it has not come to its limit yet, however calm that is.
const BUSY: f64 = 0.02;

/// What the watch came to for one service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Watching,
    Fine,
    /// It was killed at its limit, or is silent while it pushes.
    Pressed,
}

/// How long services are watched.
pub struct Patience {
    pub budget: Duration,
    /// By how much longer their machine takes for anything.
    pub slowness: f64,
    /// Stores, which may work for minutes before they answer: their limits are not waited for while they do.
    pub stores: BTreeSet<String>,
}

/// Watches the services that have a memory limit; fills in what their cgroups say.
pub async fn watch(
    site: &Site,
    project: &str,
    limited: &[&ServiceDef],
    patience: &Patience,
    seen: &mut BTreeMap<String, AsWritten>,
) -> Result<Vec<String>, BackendError> {
    let began = Instant::now();
    let most = SILENT.mul_f64(patience.slowness);
    let mut states: BTreeMap<&str, State> = limited.iter().map(|s| (s.name.as_str(), State::Watching)).collect();
    let mut courses: BTreeMap<String, Course> = BTreeMap::new();
    while states.values().any(|s| *s == State::Watching) && began.elapsed() < patience.budget {
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
            *state = match one(site, container, entry).await {
                Ok(counters) => {
                    let now = Instant::now();
                    let course = courses.entry(container.id.clone()).or_insert_with(|| Course::new(now));
                    // What could not be read says nothing.
                    counters.iter().for_each(|counters| course.went_on(counters, now));
                    course.silent(now, began.elapsed(), most, !patience.stores.contains(&service.name))
                }
                Err(state) => state,
            };
            entry.died_at_limit |= *state == State::Pressed;
        }
        tokio::time::sleep_until(round + EVERY).await;
    }
    Ok(states.into_iter().filter(|(_, s)| *s == State::Pressed).map(|(name, _)| name.to_owned()).collect())
}

/// What a service has come to; of one that lives and does not answer, its counters, where they can be read.
async fn one(site: &Site, container: &Container, entry: &mut AsWritten) -> Result<Option<Counters>, State> {
    if container.oom_killed || (container.exit_code == 137 && !container.running() && container.memory_bytes > 0) {
        return Err(State::Pressed);
    }
    if container.memory_bytes == 0 || container.exited_for_good() || container.state == "created" {
        return Err(State::Fine);
    }
    if !container.running() {
        return Err(State::Watching);
    }
    let counters = counters(site, container).await;
    if let Some(counters) = &counters {
        entry.cgroup_memory_bytes = counters.limit.or(entry.cgroup_memory_bytes);
        entry.cgroup_cpus = counters.cpus.or(entry.cgroup_cpus);
        if counters.oom_kills > 0 {
            return Err(State::Pressed);
        }
    }
    if answers(site, container).await {
        return Err(State::Fine);
    }
    Ok(counters)
}

/// What a service that does not answer was seen to do so far.
struct Course {
    pushes: u64,
    pushed: Instant,
    /// Of a processor, where that is known.
    used: Option<Duration>,
    looked: Instant,
    worked: Instant,
    /// When its counters were first read: what could not be read is not calm.
    read: Option<Instant>,
    /// Its limit once left it alone: pages of files that fill it later press nobody, only a death counts.
    was_calm: bool,
}

impl Course {
    fn new(now: Instant) -> Self {
        Self { pushes: 0, pushed: now, used: None, looked: now, worked: now, read: None, was_calm: false }
    }

    fn went_on(&mut self, counters: &Counters, now: Instant) {
        self.read.get_or_insert(now);
        if counters.pushes > self.pushes {
            self.pushed = now;
        }
        if let (Some(used), Some(before)) = (counters.used, self.used) {
            // Less than before: it was started anew.
            let used = used.checked_sub(before);
            if used.is_none_or(|used| used > now.duration_since(self.looked).mul_f64(BUSY)) {
                self.worked = now;
            }
        }
        (self.pushes, self.used, self.looked) = (counters.pushes, counters.used, now);
    }

    /// What becomes of it, alive and silent, after it was `watched` for so long, `most` being the end. What works is
    /// `waited_for`, or not.
    fn silent(&mut self, now: Instant, watched: Duration, most: Duration, waited_for: bool) -> State {
        let read = self.read.is_some_and(|at| now.duration_since(at) >= CALM);
        self.was_calm |= read && (self.pushes == 0 || now.duration_since(self.pushed) >= CALM);
        let works = now.duration_since(self.worked) < CALM;
        match self.was_calm {
            // Silent, but not for its limit: the checks will say what of.
            true if watched >= most || !(works && waited_for) => State::Fine,
            // One that was never seen to push is not known to press.
            false if watched >= most && self.pushes > 0 => State::Pressed,
            false if watched >= most => State::Fine,
            _ => State::Watching,
        }
    }
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
    /// Of a processor, where that is counted.
    pub used: Option<Duration>,
}

/// Reads a container's counters, cgroup v1 and v2, through the lab's agent; none where they are not to be had.
pub async fn counters(site: &Site, container: &Container) -> Option<Counters> {
    let agent = site.agents.lab().await.ok()?;
    let files = async |paths: Vec<String>| match agent.look(Look::Files { paths }, Duration::from_secs(5)).await {
        Ok(Sight::Files { contents }) if !contents.is_empty() => Some(contents),
        _ => None,
    };
    let map = format!("/proc/{}/cgroup", container.pid);
    let contents = files(vec![map.clone()]).await?;
    let paths = cgroup_files(contents.get(&map)?, &container.id);
    Some(read(&files(paths).await?))
}

/// The counter files of a process's cgroups, from its `/proc/PID/cgroup`.
fn cgroup_files(map: &str, id: &str) -> Vec<String> {
    let mut files = cgroup::cpu_files(map, id);
    const OLD: [(&str, &[&str]); 2] = [
        ("memory", &["memory.limit_in_bytes", "memory.failcnt", "memory.oom_control"]),
        ("cpu", &["cpu.cfs_quota_us", "cpu.cfs_period_us"]),
    ];
    for group in cgroup::own(map, id) {
        let path = group.path;
        if group.is_unified() {
            let names = ["memory.max", "memory.events", "cpu.max"];
            files.extend(names.map(|f| format!("/sys/fs/cgroup{path}/{f}")));
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
        used: cgroup::cpu_used(files),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_counts_only_while_the_limit_is_hit() {
        let of = |pushed, calm, watched| {
            let began = Instant::now();
            let at = |s| began + Duration::from_secs(s);
            let mut course = Course::new(began);
            if pushed {
                course.went_on(&Counters { pushes: 7, ..Counters::default() }, at(watched - calm));
            }
            course.silent(at(watched), Duration::from_secs(watched), SILENT, false)
        };
        assert_eq!(of(true, 1, 24), State::Watching, "it may answer yet");
        assert_eq!(of(true, 1, 25), State::Pressed, "alive, and its limit leaves it no time to answer");
        assert_eq!(of(true, 3, 24), State::Fine, "the limit no longer pushes: it is silent for itself");
        assert_eq!((of(false, 0, 24), of(false, 0, 25)), (State::Watching, State::Fine), "nothing was ever read");
    }

    /// A service that is looked at each quarter of a second, until so many; what it has used and how often it pushed by then.
    fn after(s: u64, most: Duration, waited_for: bool, counters: impl Fn(u64) -> Counters) -> State {
        let began = Instant::now();
        let mut course = Course::new(began);
        let looks = (0..=s * 4).map(|look| Duration::from_millis(look * 250));
        let states = looks.map(|at| {
            course.went_on(&counters(at.as_millis() as u64), began + at);
            course.silent(began + at, at, most, waited_for)
        });
        states.last().unwrap_or(State::Watching)
    }

    fn used(ms: u64, pushes: u64) -> Counters {
        Counters { used: Some(Duration::from_millis(ms)), pushes, ..Counters::default() }
    }

    #[test]
    fn what_could_not_be_read_is_not_calm() {
        let began = Instant::now();
        let at = |s| began + Duration::from_secs(s);
        let mut course = Course::new(began);
        let mut states = (0..=25).map(|s| {
            if s >= 5 {
                course.went_on(&Counters { pushes: s, ..Counters::default() }, at(s));
            }
            course.silent(at(s), Duration::from_secs(s), SILENT, true)
        });
        assert!(states.by_ref().take(25).all(|state| state == State::Watching));
        assert_eq!(states.next(), Some(State::Pressed));
    }

    #[test]
    fn what_was_never_seen_to_push_does_not_press() {
        let began = Instant::now();
        let at = |s| began + Duration::from_secs(s);
        let mut course = Course::new(began);
        course.went_on(&Counters::default(), at(24));
        assert_eq!(course.silent(at(24), Duration::from_secs(24), SILENT, true), State::Watching);
        assert_eq!(course.silent(at(25), Duration::from_secs(25), SILENT, true), State::Fine, "read late, and calm");
    }

    #[test]
    fn what_still_works_has_not_come_to_its_limit() {
        let busy = |ms| used(ms / 20, 0);
        assert_eq!(after(24, SILENT, true, busy), State::Watching, "a busy host lets it start slowly");
        assert_eq!(after(25, SILENT, true, busy), State::Fine, "it works on, and its limit leaves it alone");
        assert_eq!(after(25, SILENT * 4, true, busy), State::Watching, "a slow machine has longer");
        assert_eq!(after(3, SILENT, false, busy), State::Fine, "a store may fill itself for minutes");
        assert_eq!(after(3, SILENT, true, |ms| used(ms / 100, 0)), State::Fine, "a hundredth is rest");
        assert_eq!(after(2, SILENT, true, |_| Counters::default()), State::Watching);
        assert_eq!(after(3, SILENT, true, |_| Counters::default()), State::Fine, "nobody counts what it uses");
        assert_eq!(after(9, SILENT, true, |ms| used(6_000 - ms / 2, 0)), State::Watching, "started again and again");
    }

    #[test]
    fn files_that_fill_a_limit_later_press_nobody() {
        assert_eq!(after(25, SILENT, true, |ms| used(ms, ms)), State::Pressed, "from the first on");
        let later = |ms: u64| used(ms, ms.saturating_sub(10_000));
        assert_eq!(after(24, SILENT, true, later), State::Watching);
        assert_eq!(after(25, SILENT, true, later), State::Fine, "it was calm for ten seconds");
    }

    #[test]
    fn both_generations_of_cgroups_are_read() {
        let v1 = BTreeMap::from([
            ("/m/memory.limit_in_bytes".to_owned(), "20971520\n".to_owned()),
            ("/m/memory.failcnt".to_owned(), "417\n".to_owned()),
            ("/m/memory.oom_control".to_owned(), "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n".to_owned()),
            ("/c/cpu.cfs_quota_us".to_owned(), "10000\n".to_owned()),
            ("/c/cpu.cfs_period_us".to_owned(), "100000\n".to_owned()),
            ("/a/cpuacct.usage".to_owned(), "1500000000\n".to_owned()),
        ]);
        let c = read(&v1);
        assert_eq!((c.limit, c.cpus, c.oom_kills, c.pushes), (Some(20_971_520), Some(0.1), 2, 417));
        assert_eq!(c.used, Some(Duration::from_millis(1500)));
        let v2 = BTreeMap::from([
            ("/u/memory.max".to_owned(), "max\n".to_owned()),
            ("/u/memory.events".to_owned(), "low 0\nhigh 0\nmax 9\noom 1\noom_kill 1\n".to_owned()),
            ("/u/cpu.max".to_owned(), "max 100000\n".to_owned()),
            ("/u/cpu.stat".to_owned(), "usage_usec 2500\nuser_usec 9\n".to_owned()),
        ]);
        let c = read(&v2);
        assert_eq!((c.limit, c.cpus, c.oom_kills, c.pushes), (None, None, 1, 9));
        assert_eq!(c.used, Some(Duration::from_micros(2500)));
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

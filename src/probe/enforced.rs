//! `enforced`: a limit in force is one that kills. A process of our own takes more than the service may have, as a member of
//! its control group, and asks to be killed first; the submission's image is not touched and its service lives on.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;

use super::common::{Found, look, player};
use super::{Attempt, Observation, Phase, Probe, ProbeError, ProbeKind};
use crate::agent::{Look, Sight};
use crate::docker::Container;
use crate::expect::{FactSpec, Facts, Unit};
use crate::notice::Reason;
use crate::stack::{Spot, Stack};
use crate::text::Text;

pub static KIND: ProbeKind = ProbeKind {
    name: "enforced",
    summary: "A limit in force kills: a process of our own takes more memory than the service may have, as a member of its control group, and asks to be killed first",
    facts: &[
        FactSpec {
            name: "killed",
            unit: Unit::Bool,
            summary: "the kernel killed what took too much; false where there is no limit, and nothing is tried",
        },
        FactSpec {
            name: "service_unharmed",
            unit: Unit::Bool,
            summary: "the service is still the same start afterwards, and nothing else of it was killed",
        },
        FactSpec { name: "limit_bytes", unit: Unit::Bytes, summary: "the limit in force as it was tried; 0 is none" },
        FactSpec {
            name: "kills",
            unit: Unit::Number,
            summary: "how many processes the kernel killed meanwhile for this limit",
        },
    ],
    example: "{id: memory-enforced, points: 0, enforced: {role: [app, db], resource: memory}, expect: {killed: true, service_unharmed: true}}",
    schema: || {
        json!({"type": "object", "additionalProperties": false, "properties": {
            "role": {"type": ["string", "array"], "items": {"type": "string"}, "description": "a role, or several"},
            "resource": {"enum": ["memory"], "description": "whose limit"}}, "required": ["role", "resource"]})
    },
    decode: |d| {
        let roles = d.roles("role");
        d.required_word("resource", &["memory"])?;
        (!roles.is_empty()).then(|| Box::new(Enforced { roles }) as Box<dyn Probe>)
    },
};

/// A larger limit is not tried: the memory would have to be there.
const MOST: u64 = 1 << 30;
/// Beyond twice the limit, which is what an engine allows where there is swap.
const OVER: u64 = 16 << 20;
/// What the machine must have left besides.
const SPARE: u64 = 256 << 20;
const READ: Duration = Duration::from_secs(5);
/// A service that dies of it does so at once; its engine hears of it a little later.
const AFTER: Duration = Duration::from_secs(1);

struct Enforced {
    roles: Vec<String>,
}

#[async_trait]
impl Probe for Enforced {
    fn phase(&self) -> Phase {
        Phase::Exercise
    }

    fn roles(&self) -> Vec<String> {
        self.roles.clone()
    }

    fn excusable(&self) -> bool {
        false
    }

    async fn observe(&self, stack: &Arc<Stack>, attempt: Attempt) -> Result<Observation, ProbeError> {
        let mut all = Observation::default();
        for text in &stack.overrides {
            let (en, es) = (&text.en, &text.es);
            all.notes.push(Text::new(
                format!("not the limit as handed in was tried: {en}"),
                format!("no se probó el límite tal como se entregó: {es}"),
            ));
        }
        let each = attempt.timeout / u32::try_from(self.roles.len().max(1)).unwrap_or(1);
        for role in &self.roles {
            let (facts, why) = match player(stack, role).await? {
                Found::Here(container) => try_out(stack, &container, each).await?,
                Found::Absent(why) => (Facts::new(), Some(why)),
            };
            all.explanation = all.explanation.take().or(why);
            let name = if self.roles.len() == 1 { String::new() } else { role.clone() };
            all.subjects.push((name, facts));
        }
        Ok(all)
    }
}

/// A container's memory group as its machine has it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    folder: String,
    /// None is unlimited.
    limit: Option<u64>,
    /// Processes that were killed for it so far.
    kills: Option<u64>,
}

async fn try_out(stack: &Stack, container: &Container, timeout: Duration) -> Result<(Facts, Option<Text>), ProbeError> {
    let service = &container.service;
    let group = group(stack, container).await?;
    let Some(limit) = group.limit else {
        let facts = Facts::from([("killed".to_owned(), json!(false)), ("limit_bytes".to_owned(), json!(0))]);
        let why = Text::new(
            format!("{service} has no memory limit in force: there is nothing to try"),
            format!("{service} no tiene límite de memoria en vigor: no hay nada que probar"),
        );
        return Ok((facts, Some(why)));
    };
    let bytes = limit * 2 + OVER;
    if limit > MOST || available(stack.spot_of(container)).await? < bytes + SPARE {
        let mib = limit >> 20;
        return Err(ProbeError::new(
            Reason::NotHere,
            format!("the limit of {service}, {mib} MiB, is too large to be tried on this machine"),
            format!("el límite de {service}, {mib} MiB, es demasiado grande para probarlo en esta máquina"),
        ));
    }
    let ended = stack.spot_of(container).agents.allocate(&group.folder, bytes, timeout).await?;
    tokio::time::sleep(AFTER).await;
    let after = stack.spot_of(container).engine.container(&container.id).await?;
    let same = after.running() && after.started_at == container.started_at && after.pid == container.pid;
    // A service that died took its group with it.
    let kills = match (same, group.kills) {
        (true, Some(before)) => self::group(stack, container).await?.kills.map(|now| now.saturating_sub(before)),
        _ => None,
    };
    let killed = match ended.status {
        0 => false,
        137 if kills != Some(0) => true,
        137 => {
            return Err(ProbeError::new(
                Reason::Host,
                format!("what took the memory of {service} was killed for the machine's own want of it"),
                format!("lo que tomó la memoria de {service} se mató porque a la propia máquina le faltaba"),
            ));
        }
        status => {
            let said = crate::sanitize::line(&ended.both(), 200);
            return Err(ProbeError::ours(
                format!("no memory could be taken within the limit of {service} (status {status}): {said}"),
                format!("no se pudo tomar memoria dentro del límite de {service} (estado {status}): {said}"),
            ));
        }
    };
    let unharmed = same && kills.is_none_or(|kills| kills <= 1);
    let mut facts = Facts::from([
        ("killed".to_owned(), json!(killed)),
        ("service_unharmed".to_owned(), json!(unharmed)),
        ("limit_bytes".to_owned(), json!(limit)),
    ]);
    facts.extend(kills.map(|kills| ("kills".to_owned(), json!(kills))));
    Ok((facts, meaning(service, killed, unharmed, bytes)))
}

fn meaning(service: &str, killed: bool, unharmed: bool, bytes: u64) -> Option<Text> {
    let mib = bytes >> 20;
    match (killed, unharmed) {
        (true, true) => None,
        (false, _) => Some(Text::new(
            format!(
                "{mib} MiB could be taken within the limit of {service}, and nothing was killed: it is not enforced"
            ),
            format!("se pudieron tomar {mib} MiB dentro del límite de {service} y no se mató nada: no se hace cumplir"),
        )),
        (true, false) => Some(Text::new(
            format!("the limit of {service} killed a process of the service as well"),
            format!("el límite de {service} mató también un proceso del servicio"),
        )),
    }
}

async fn files(spot: &Spot, paths: Vec<String>) -> Result<std::collections::BTreeMap<String, String>, ProbeError> {
    match look(&spot.agents.lab().await?, Look::Files { paths }, READ).await? {
        Sight::Files { contents } => Ok(contents),
        other => {
            Err(ProbeError::ours(format!("unexpected answer: {other:?}"), format!("respuesta inesperada: {other:?}")))
        }
    }
}

async fn group(stack: &Stack, container: &Container) -> Result<Group, ProbeError> {
    let service = &container.service;
    let unknown = || {
        ProbeError::new(
            Reason::Host,
            format!("the control group of {service} could not be found on its machine"),
            format!("no se encontró el grupo de control de {service} en su máquina"),
        )
    };
    let spot = stack.spot_of(container);
    let map = format!("/proc/{}/cgroup", container.pid);
    let contents = files(spot, vec![map.clone()]).await?;
    let folder = folder(contents.get(&map).map_or("", String::as_str), &container.id).ok_or_else(unknown)?;
    let names = ["memory.max", "memory.events", "memory.limit_in_bytes", "memory.oom_control"];
    let contents = files(spot, names.iter().map(|name| format!("{folder}/{name}")).collect()).await?;
    read(folder, &contents).ok_or_else(unknown)
}

/// The folder of a process's memory group, from its `/proc/PID/cgroup`; none where that is not the container's own.
fn folder(map: &str, id: &str) -> Option<String> {
    let mut unified = None;
    for line in map.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else { continue };
        if !path.contains(id) || path.split('/').any(|part| part == "..") {
            continue;
        }
        if controllers.split(',').any(|c| c == "memory") {
            return Some(format!("/sys/fs/cgroup/memory{path}"));
        }
        if controllers.is_empty() {
            unified = Some(format!("/sys/fs/cgroup{path}"));
        }
    }
    unified
}

fn read(folder: String, contents: &std::collections::BTreeMap<String, String>) -> Option<Group> {
    let file = |name: &str| contents.get(&format!("{folder}/{name}")).map(|text| text.trim());
    let limit = file("memory.limit_in_bytes").or(file("memory.max"))?;
    let events = file("memory.oom_control").or(file("memory.events")).unwrap_or_default();
    let kills = events.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok());
    // The older kind writes the largest number that there is.
    let limit = limit.parse::<u64>().ok().filter(|limit| *limit < 1 << 60);
    Some(Group { limit, kills, folder })
}

/// Memory that the machine has left, in bytes.
async fn available(spot: &Spot) -> Result<u64, ProbeError> {
    let path = "/proc/meminfo".to_owned();
    let contents = files(spot, vec![path.clone()]).await?;
    let line = contents.get(&path).and_then(|text| text.lines().find_map(|l| l.strip_prefix("MemAvailable:")));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    Ok(kib.unwrap_or_default() * 1024)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

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

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(meaning("app", true, true, 1 << 20), None);
        assert!(meaning("app", false, true, 5 << 20).unwrap().en.contains("5 MiB could be taken"));
        assert!(meaning("app", true, false, 0).unwrap().en.contains("killed a process of the service"));
    }
}

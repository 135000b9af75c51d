//! A service's container as the engine sees it now.

use std::collections::{BTreeMap, BTreeSet};

use bollard::models::{
    ContainerInspectResponse, HealthConfig, HealthStatusEnum, HealthcheckResult, RestartPolicyNameEnum,
};

use super::swarm;

/// The label that both generations of compose give: the project.
pub const PROJECT: &str = "com.docker.compose.project";
/// And the service.
pub const SERVICE: &str = "com.docker.compose.service";

/// Says `True` of what `run` of the tool made beside a service's own containers.
pub const ONE_OFF: &str = "com.docker.compose.oneoff";

/// Ends of one container that are a restart loop: the engine's pauses, doubled from 100 ms on, are 25 s together by then.
pub const RESTART_LOOP: u64 = 8;
/// Seconds after its last start from which it is no loop any more: an engine forgets its pauses after ten.
const SETTLES_AFTER: f64 = 10.0;

/// Seconds that a machine's clock may be ahead of ours by itself.
const AHEAD: f64 = 5.0;

/// A container of a service as it is now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Container {
    pub id: String,
    pub name: String,
    pub service: String,
    /// Which of the stack's machines it runs on: 0 is where the services were brought up.
    pub spot: usize,
    /// Made by `run` of the tool for one command: none of the service's own.
    pub one_off: bool,
    /// `created`, `running`, `restarting`, `exited`, `dead`, `paused`.
    pub state: String,
    pub pid: i64,
    /// Seconds since the Unix epoch, as the engine's clock has it; 0 where it never started.
    pub started_at: f64,
    pub exit_code: i64,
    pub oom_killed: bool,
    pub error: String,
    pub restarts: u64,
    pub restart_policy: String,
    /// The image's id: `sha256:…`.
    pub image: String,
    /// The image as it was asked for: `mysql:5.7`.
    pub image_name: String,
    pub health: Option<String>,
    /// 0 is no limit, here and in the next three.
    pub memory_bytes: u64,
    pub nano_cpus: i64,
    pub cpu_quota: i64,
    pub cpu_period: i64,
    pub env: Vec<String>,
    /// Published: container port (`5000/tcp`) to host ports.
    pub ports: BTreeMap<String, Vec<(String, u16)>>,
    /// Network name to address.
    pub addresses: BTreeMap<String, String>,
    /// The machine's addresses in these networks.
    pub gateways: Vec<String>,
    /// Names under which others reach it: service, aliases, links, container name.
    pub names: Vec<String>,
    /// Its links to others: container name and the name that it calls it by.
    pub links: Vec<(String, String)>,
    /// On the engine's machine.
    pub hosts_path: String,
    pub resolv_conf_path: String,
    /// The name of its network namespace in the engine's folder of them; another one after each start.
    pub namespace: String,
    /// When the engine's last health checks ran in it: seconds of the epoch.
    pub health_checks: Vec<(f64, f64)>,
    /// Seconds from the end of a health check to the next one, at least; none where it has none.
    pub health_every: Option<f64>,
}

impl Container {
    pub fn running(&self) -> bool {
        self.state == "running"
    }

    /// Whether it runs, and is still the start that was seen `before`: it did not end meanwhile, not even to start anew.
    pub fn is_same_start(&self, before: &Self) -> bool {
        self.running() && self.started_at == before.started_at && self.pid == before.pid
    }

    /// The limit in force for the container, in cpus; 0 is none. Quotas have a period of 100 ms where none is given.
    pub fn cpus(&self) -> f64 {
        if self.nano_cpus > 0 {
            return self.nano_cpus as f64 / 1e9;
        }
        let period = if self.cpu_period > 0 { self.cpu_period } else { 100_000 };
        if self.cpu_quota > 0 { self.cpu_quota as f64 / period as f64 } else { 0.0 }
    }

    /// Seconds since its last start, by this host's wall clock: the engine's too, but of a virtual machine, whose clock is
    /// about right, and not what a start says that was made while it was wrong. None where it never started.
    pub fn age(&self) -> Option<f64> {
        (self.started_at > 0.0).then_some((now() - self.started_at).max(0.0))
    }

    /// From when on its log is that of its last start, by the engine's clock. None where that is still to come: a machine's
    /// clock was ahead then, and what was printed since it is right would be left out.
    pub fn log_from(&self) -> Option<f64> {
        (self.started_at > 0.0 && self.started_at <= now() + AHEAD).then_some(self.started_at)
    }

    /// An exit that no restart policy answers.
    pub fn exited_for_good(&self) -> bool {
        let answered = match self.restart_policy.as_str() {
            "always" | "unless-stopped" => true,
            "on-failure" => self.exit_code != 0,
            _ => false,
        };
        matches!(self.state.as_str(), "exited" | "dead") && !answered
    }

    /// Killed for want of memory, the last time that it ended.
    pub fn killed_for_memory(&self) -> bool {
        self.oom_killed && !self.running()
    }

    /// It runs, and for so long that it is not between two ends.
    pub fn stays_up(&self) -> bool {
        self.running() && self.age().is_some_and(|age| age >= SETTLES_AFTER)
    }

    /// It ended so often that its restart policy only repeats what fails, and has not been up for long since.
    pub fn in_a_restart_loop(&self) -> bool {
        self.restarts >= RESTART_LOOP && !self.stays_up()
    }

    /// From what `inspect` says.
    pub(crate) fn of(inspect: ContainerInspectResponse) -> Self {
        let state = inspect.state.unwrap_or_default();
        let config = inspect.config.unwrap_or_default();
        let host = inspect.host_config.unwrap_or_default();
        let network = inspect.network_settings.unwrap_or_default();
        let id = inspect.id.unwrap_or_default();
        let name = inspect.name.unwrap_or_default().trim_start_matches('/').to_owned();
        let mut labels = config.labels.unwrap_or_default();
        let task = task(&labels);
        let (service, called) = match (labels.remove(SERVICE), &task) {
            (Some(service), _) => (service, Vec::new()),
            (None, Some(task)) => (task.service.clone(), task.names()),
            (None, None) => Default::default(),
        };
        let one_off = labels.get(ONE_OFF).is_some_and(|value| value.eq_ignore_ascii_case("true"));

        let mut links: BTreeSet<(String, String)> = host.links.iter().flatten().filter_map(|l| link(l)).collect();
        let mut names: Vec<String> = Vec::new();
        let mut add = |name: &str| {
            if !name.is_empty() && !names.iter().any(|n| n == name) {
                names.push(name.to_owned());
            }
        };
        add(&service);
        called.iter().for_each(|name| add(name));
        let mut addresses = BTreeMap::new();
        let mut gateways = Vec::new();
        for (net, endpoint) in network.networks.unwrap_or_default() {
            for alias in endpoint.aliases.iter().flatten().filter(|alias| !id.starts_with(alias.as_str())) {
                add(alias);
            }
            links.extend(endpoint.links.iter().flatten().filter_map(|l| link(l)));
            gateways.extend(endpoint.gateway.filter(|g| !g.is_empty()));
            if let Some(address) = endpoint.ip_address.filter(|a| !a.is_empty()) {
                addresses.insert(net, address);
            }
        }
        add(&name);

        let sandbox = network.sandbox_key.unwrap_or_default();
        let mut ports: BTreeMap<String, Vec<(String, u16)>> = BTreeMap::new();
        for (port, bindings) in network.ports.unwrap_or_default() {
            for binding in bindings.into_iter().flatten() {
                let number = binding.host_port.and_then(|p| p.parse().ok()).unwrap_or_default();
                ports.entry(port.clone()).or_default().push((binding.host_ip.unwrap_or_default(), number));
            }
        }
        let health = state.health.unwrap_or_default();
        // Of which type these times are depends on features that tests switch on: as JSON they are text.
        let ran = |check: &HealthcheckResult| {
            let check = serde_json::to_value(check).ok()?;
            Some((epoch(check.get("Start")?.as_str()?)?, epoch(check.get("End")?.as_str()?)?))
        };
        let status = health.status;
        Self {
            health_every: config.healthcheck.as_ref().and_then(every),
            health_checks: health.log.iter().flatten().filter_map(ran).collect(),
            namespace: sandbox.rsplit('/').next().unwrap_or_default().to_owned(),
            state: state.status.map(|s| s.to_string()).unwrap_or_default(),
            pid: state.pid.unwrap_or_default(),
            started_at: state.started_at.as_deref().and_then(epoch).unwrap_or_default(),
            exit_code: state.exit_code.unwrap_or_default(),
            oom_killed: state.oom_killed.unwrap_or_default(),
            error: state.error.unwrap_or_default(),
            restarts: inspect.restart_count.and_then(|n| u64::try_from(n).ok()).unwrap_or_default(),
            restart_policy: match host.restart_policy.filter(|_| task.is_none()).and_then(|p| p.name) {
                // A swarm puts another in the place of a task that ended.
                None if task.is_some() => "always".to_owned(),
                None | Some(RestartPolicyNameEnum::EMPTY) => "no".to_owned(),
                Some(policy) => policy.to_string(),
            },
            image: inspect.image.unwrap_or_default(),
            image_name: config.image.unwrap_or_default(),
            health: status
                .filter(|s| !matches!(s, HealthStatusEnum::EMPTY | HealthStatusEnum::NONE))
                .map(|s| s.to_string()),
            memory_bytes: host.memory.and_then(|n| u64::try_from(n).ok()).unwrap_or_default(),
            nano_cpus: host.nano_cpus.unwrap_or_default(),
            cpu_quota: host.cpu_quota.unwrap_or_default(),
            cpu_period: host.cpu_period.unwrap_or_default(),
            env: config.env.unwrap_or_default(),
            hosts_path: inspect.hosts_path.unwrap_or_default(),
            resolv_conf_path: inspect.resolv_conf_path.unwrap_or_default(),
            links: links.into_iter().collect(),
            id,
            name,
            service,
            spot: 0,
            one_off,
            ports,
            addresses,
            gateways,
            names,
        }
    }
}

/// Whose task a container is, by what a swarm labels it with.
struct Task {
    /// As the stack's file names it.
    service: String,
    full: String,
}

impl Task {
    /// Names that every service of the stack has for it, besides those of its networks.
    fn names(&self) -> Vec<String> {
        vec![self.full.clone(), format!("tasks.{}", self.service), format!("tasks.{}", self.full)]
    }
}

fn task(labels: &std::collections::HashMap<String, String>) -> Option<Task> {
    let full = labels.get(swarm::SERVICE_NAME)?;
    let stack = labels.get(swarm::NAMESPACE).map(String::as_str).unwrap_or_default();
    Some(Task { service: swarm::short(full, stack).to_owned(), full: full.clone() })
}

/// Of a stack's containers those that are: the newest of each task's place, which a swarm gives to one after the other.
/// What was there before it counts as its restarts.
pub(crate) fn in_their_places(containers: Vec<Container>) -> Vec<Container> {
    let mut places: BTreeMap<String, Container> = BTreeMap::new();
    for container in containers {
        // `stack_app.2.n4o6a1541lbg`, or the node instead of the number where the service is on each.
        let place = container.name.rsplit_once('.').map_or(container.name.as_str(), |(place, _)| place).to_owned();
        match places.get_mut(&place) {
            None => {
                places.insert(place, container);
            }
            Some(known) => {
                let newer = (container.running(), container.started_at) > (known.running(), known.started_at);
                let restarts = known.restarts + 1;
                if newer {
                    *known = container;
                }
                known.restarts = restarts;
            }
        }
    }
    places.into_values().collect()
}

/// The shortest time between two health checks, in seconds.
fn every(check: &HealthConfig) -> Option<f64> {
    let test = check.test.as_ref().and_then(|test| test.first()).map(String::as_str).unwrap_or_default();
    let set = |nanos: Option<i64>| nanos.filter(|n| *n > 0).map(|n| n as f64 / 1e9);
    let interval = set(check.interval).unwrap_or(30.0);
    // Newer engines check more often while a service starts.
    let starting = set(check.start_period).map(|_| set(check.start_interval).unwrap_or(5.0));
    (!matches!(test, "" | "NONE")).then(|| starting.map_or(interval, |starting| starting.min(interval)))
}

/// Gives each container the names by which the links of the others call it.
pub(crate) fn spread_links(containers: &mut [Container]) {
    let links: Vec<(String, String)> = containers.iter().flat_map(|c| c.links.clone()).collect();
    for container in containers {
        for (target, alias) in &links {
            let meant = *target == container.name || container.id.starts_with(target.as_str());
            if meant && !container.names.contains(alias) {
                container.names.push(alias.clone());
            }
        }
    }
}

/// `/db:/app/mysql` (of the host's own links) and `db:mysql` (of a network's) both are db called mysql.
fn link(text: &str) -> Option<(String, String)> {
    let (target, alias) = text.split_once(':')?;
    let alias = alias.rsplit('/').next()?;
    Some((target.trim_start_matches('/').to_owned(), alias.to_owned()))
}

fn now() -> f64 {
    time::OffsetDateTime::now_utc().unix_timestamp_nanos() as f64 / 1e9
}

/// Seconds since the epoch of an engine's timestamp; `None` for "never" (year 1) and what is no timestamp.
pub(crate) fn epoch(text: &str) -> Option<f64> {
    let time = time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok()?;
    let seconds = time.unix_timestamp_nanos() as f64 / 1e9;
    (seconds > 0.0).then_some(seconds)
}

#[cfg(test)]
mod tests;

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
mod tests {
    use super::*;

    fn read(json: serde_json::Value) -> Container {
        Container::of(serde_json::from_value(json).unwrap())
    }

    fn app() -> Container {
        read(serde_json::json!({
            "Id": "0123456789abcdef", "Name": "/x_app_1", "Image": "sha256:aa", "RestartCount": 2,
            "HostsPath": "/h", "ResolvConfPath": "/r",
            "State": {"Status": "running", "Pid": 7, "StartedAt": "2026-11-24T20:00:00.5Z", "Health": {"Status": "starting",
                "Log": [{"Start": "2026-11-24T20:00:01Z", "End": "2026-11-24T20:00:02Z"}]}},
            "Config": {"Image": "x_app", "Env": ["A=1"], "Labels": {SERVICE: "app"}},
            "HostConfig": {"Memory": 20971520, "NanoCpus": 100000000, "Links": ["/x_db_1:/x_app_1/mysql"],
                "RestartPolicy": {"Name": "on-failure"}},
            "NetworkSettings": {
                "SandboxKey": "/var/run/docker/netns/5f2d8a1b9c3e",
                "Ports": {"5000/tcp": [{"HostIp": "0.0.0.0", "HostPort": "32000"}], "9/tcp": null},
                "Networks": {"x_default": {"IPAddress": "172.28.1.2", "Gateway": "172.28.1.1", "Aliases": ["app", "web", "0123456789ab"]}}}
        }))
    }

    #[test]
    fn a_start_that_is_still_to_come_begins_no_log() {
        let started = |started_at| Container { started_at, ..Container::default() }.log_from();
        let now = now();
        assert_eq!((started(now - 60.0), started(now + 1.0)), (Some(now - 60.0), Some(now + 1.0)));
        assert_eq!((started(now + 600.0), started(0.0)), (None, None));
    }

    #[test]
    fn an_inspection_becomes_plain_facts() {
        let app = app();
        assert_eq!((app.name.as_str(), app.service.as_str(), app.image.as_str()), ("x_app_1", "app", "sha256:aa"));
        assert!(app.running() && !app.one_off);
        assert_eq!(app.started_at, 1_795_550_400.5);
        assert_eq!(app.names, ["app", "web", "x_app_1"], "its own id is no name that anyone uses");
        assert_eq!(app.ports["5000/tcp"], [("0.0.0.0".to_owned(), 32000)]);
        assert!(!app.ports.contains_key("9/tcp"), "exposed is not published");
        assert_eq!(app.addresses["x_default"], "172.28.1.2");
        assert_eq!(app.gateways, ["172.28.1.1"]);
        assert_eq!((app.memory_bytes, app.nano_cpus, app.restarts), (20_971_520, 100_000_000, 2));
        assert_eq!(app.health.as_deref(), Some("starting"));
        assert_eq!(app.namespace, "5f2d8a1b9c3e");
        assert_eq!(app.health_checks, [(1_795_550_401.0, 1_795_550_402.0)]);
        assert_eq!(app.links, [("x_db_1".to_owned(), "mysql".to_owned())]);
    }

    #[test]
    fn a_start_is_the_same_until_it_ends() {
        let before = app();
        assert!(app().is_same_start(&before));
        assert!(!Container { started_at: before.started_at + 1.0, ..app() }.is_same_start(&before));
        assert!(!Container { pid: 8, ..app() }.is_same_start(&before));
        assert!(!Container { state: "exited".into(), ..app() }.is_same_start(&before));
    }

    #[test]
    fn a_task_is_its_services_container() {
        let task = read(serde_json::json!({
            "Id": "aa", "Name": "/x_db.1.k2", "HostConfig": {"RestartPolicy": {"Name": ""}},
            "Config": {"Labels": {swarm::SERVICE_NAME: "x_db", swarm::NAMESPACE: "x"}}
        }));
        assert_eq!(task.service, "db");
        assert_eq!(task.names, ["db", "x_db", "tasks.db", "tasks.x_db", "x_db.1.k2"]);
        assert!(!Container { state: "exited".into(), ..task }.exited_for_good(), "another takes its place");
    }

    #[test]
    fn the_newest_is_in_a_tasks_place() {
        let at = |name: &str, state: &str, started_at| Container {
            name: name.into(),
            state: state.into(),
            started_at,
            ..Container::default()
        };
        let all = vec![
            at("x_app.1.a", "exited", 9.0),
            at("x_app.1.b", "running", 5.0),
            at("x_app.2.c", "exited", 1.0),
            at("x_app.2.d", "exited", 2.0),
        ];
        let left: Vec<(String, u64)> = in_their_places(all).into_iter().map(|c| (c.name, c.restarts)).collect();
        assert_eq!(left, [("x_app.1.b".to_owned(), 1), ("x_app.2.d".to_owned(), 1)]);
    }

    #[test]
    fn the_time_between_health_checks_is_the_engines() {
        let every = |check: serde_json::Value| read(serde_json::json!({"Config": {"Healthcheck": check}})).health_every;
        let test = ["CMD", "true"];
        assert_eq!(every(serde_json::json!({"Test": test})), Some(30.0));
        assert_eq!(every(serde_json::json!({"Test": test, "Interval": 2_000_000_000_i64})), Some(2.0));
        assert_eq!(every(serde_json::json!({"Test": test, "StartPeriod": 1_000_000_000})), Some(5.0));
        assert_eq!(every(serde_json::json!({"Test": ["NONE"]})), None);
        assert_eq!(app().health_every, None);
    }

    #[test]
    fn what_was_run_for_one_command_is_told_apart() {
        let labelled =
            |value: &str| read(serde_json::json!({"Config": {"Labels": {SERVICE: "app", ONE_OFF: value}}})).one_off;
        assert!(labelled("True") && !labelled("False"), "both are written");
    }

    #[test]
    fn links_of_others_are_names_too() {
        let mut both = [app(), Container { name: "x_db_1".into(), id: "ff".into(), ..Container::default() }];
        spread_links(&mut both);
        assert_eq!(both[1].names, ["mysql"]);
    }

    #[test]
    fn a_loop_is_told_by_its_restarts_and_a_death_at_the_limit_by_its_end() {
        let of = |restarts, oom_killed, state: &str| Container {
            restarts,
            oom_killed,
            state: state.into(),
            ..Container::default()
        };
        assert!(!of(7, false, "restarting").in_a_restart_loop() && of(8, false, "restarting").in_a_restart_loop());
        let up = |since: f64| {
            let now = time::OffsetDateTime::now_utc().unix_timestamp() as f64;
            Container { started_at: now - since, ..of(8, false, "running") }
        };
        assert!(up(1.0).in_a_restart_loop() && !up(60.0).in_a_restart_loop());
        assert!(of(0, true, "exited").killed_for_memory() && of(3, true, "restarting").killed_for_memory());
        assert!(!of(0, true, "running").killed_for_memory(), "a child of it was");
        assert!(!of(0, false, "exited").killed_for_memory());
    }

    #[test]
    fn an_exit_is_for_good_when_no_policy_answers_it() {
        let exited = |policy: &str, exit_code| Container {
            state: "exited".into(),
            restart_policy: policy.into(),
            exit_code,
            ..Container::default()
        };
        assert!(exited("no", 1).exited_for_good());
        assert!(exited("on-failure", 0).exited_for_good());
        assert!(!exited("on-failure", 1).exited_for_good());
        assert!(!exited("always", 0).exited_for_good());
        assert!(!Container { state: "restarting".into(), ..Container::default() }.exited_for_good());
    }

    #[test]
    fn never_started_has_no_time() {
        assert_eq!(epoch("0001-01-01T00:00:00Z"), None);
        assert_eq!(epoch("2026-11-24T20:00:00.123456789Z").map(|s| s as u64), Some(1_795_550_400));
    }
}

//! What an engine says of a container, in its own words.

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

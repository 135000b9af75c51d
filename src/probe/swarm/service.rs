//! A service of a swarm: how many of its tasks run, and where.

use std::cmp::min;
use std::collections::BTreeSet;

use serde_json::json;

use crate::docker::swarm::{Member, Swarm, SwarmService};
use crate::expect::Facts;
use crate::text::Text;

/// Of a role's service; none where the swarm has none of that name. `unmeshed`: its ports of every node were made ports of the
/// node, by us.
pub(super) fn facts(
    swarm: &Swarm,
    service: Option<&SwarmService>,
    name: &str,
    unmeshed: bool,
) -> (Facts, Option<Text>) {
    let Some(service) = service else {
        let facts = Facts::from([
            ("desired".to_owned(), json!(0)),
            ("running".to_owned(), json!(0)),
            ("spread".to_owned(), json!(0)),
        ]);
        let why =
            Text::new(format!("{name} is no service of the swarm"), format!("{name} no es un servicio del swarm"));
        return (facts, Some(why));
    };
    let (running, desired) = swarm.replicas(service);
    let on: BTreeSet<&str> = swarm.tasks_of(service).filter(|t| t.running()).map(|t| t.node.as_str()).collect();
    let members: Vec<&Member> = on.iter().filter_map(|node| swarm.member(node)).collect();
    let names: Vec<String> = members.iter().map(|member| crate::sanitize::line(&member.hostname, 60)).collect();
    let host = service.ports.iter().any(|port| port.host);
    let publishes = match (service.ports.is_empty(), host) {
        (true, _) => "nothing",
        (false, true) => "host",
        (false, false) => "ingress",
    };
    let facts = Facts::from([
        ("desired".to_owned(), json!(desired)),
        ("running".to_owned(), json!(running)),
        ("converged".to_owned(), json!(converged(swarm, service, unmeshed))),
        ("mode".to_owned(), json!(if service.replicas.is_some() { "replicated" } else { "global" })),
        ("spread".to_owned(), json!(on.len())),
        ("placed_on".to_owned(), json!(names)),
        ("all_on_manager".to_owned(), json!(!members.is_empty() && members.iter().all(|member| member.manager))),
        ("endpoint".to_owned(), json!(if service.dnsrr { "dnsrr" } else { "vip" })),
        ("publishes".to_owned(), json!(publishes)),
    ]);
    let why = if running < desired { Some(short_of(swarm, service, running, desired)) } else { None };
    (facts, why.or_else(|| placed(service, &names, desired)))
}

/// Whether all run that should. Those for which only our change of its ports leaves no node are not asked for.
fn converged(swarm: &Swarm, service: &SwarmService, unmeshed: bool) -> bool {
    let (running, desired) = swarm.replicas(service);
    let room =
        room(swarm, service).filter(|_| unmeshed && meshed_room(swarm, service).is_none_or(|room| room >= desired));
    let due = room.map_or(desired, |room| min(room, desired));
    due > 0 && running >= due && running <= desired
}

/// Why some tasks do not run, in the swarm's own words.
pub(super) fn short_of(swarm: &Swarm, service: &SwarmService, running: u64, desired: u64) -> Text {
    let name = crate::sanitize::line(&service.name, 80);
    let mut said: Vec<String> = Vec::new();
    // What waits says why; else the newest of what has failed does.
    let waiting = swarm.tasks_of(service).filter(|task| task.wanted && !task.running());
    let failed = swarm.tasks_of(service).filter(|task| !task.wanted);
    for task in waiting.chain(failed).filter(|task| !task.error.is_empty()) {
        let line = crate::sanitize::line(&task.error, 200);
        if !said.contains(&line) && said.len() < 2 {
            said.push(line);
        }
    }
    let said = if said.is_empty() { String::new() } else { format!(": {}", said.join("; ")) };
    Text::new(
        format!("{running} of {desired} tasks of {name} run{said}"),
        format!("corren {running} de {desired} tareas de {name}{said}"),
    )
}

fn placed(service: &SwarmService, names: &[String], desired: u64) -> Option<Text> {
    let name = crate::sanitize::line(&service.name, 80);
    let constraints = crate::sanitize::line(&service.constraints.join(", "), 200);
    let bound = |word: &str| if constraints.is_empty() { String::new() } else { format!(" ({word}: {constraints})") };
    let on = names.join(", ");
    (!names.is_empty()).then(|| {
        Text::new(
            format!("{name} has {desired} tasks, on: {on}{}", bound("constraints")),
            format!("{name} tiene {desired} tareas, en: {on}{}", bound("restricciones")),
        )
    })
}

/// How many tasks of a service the swarm can place on nodes that take tasks; none where nothing bounds it.
pub(super) fn room(swarm: &Swarm, service: &SwarmService) -> Option<u64> {
    if service.ports.iter().any(|port| port.host) {
        return Some(nodes(swarm, service));
    }
    meshed_room(swarm, service)
}

fn nodes(swarm: &Swarm, service: &SwarmService) -> u64 {
    swarm.members.iter().filter(|member| member.takes_tasks() && allowed(member, service)).count() as u64
}

/// The same where its ports are ports of every node.
pub(super) fn meshed_room(swarm: &Swarm, service: &SwarmService) -> Option<u64> {
    match (nodes(swarm, service), service.most_per_node) {
        (0, _) => Some(0),
        (_, 0) => None,
        (nodes, most) => Some(nodes * most),
    }
}

/// Whether the constraints that can be told from here leave a node.
fn allowed(member: &Member, service: &SwarmService) -> bool {
    service.constraints.iter().all(|constraint| {
        let (equal, (key, value)) = match (constraint.split_once("=="), constraint.split_once("!=")) {
            (Some(parts), _) => (true, parts),
            (None, Some(parts)) => (false, parts),
            (None, None) => return true,
        };
        let (key, value) = (key.trim(), value.trim());
        let role = if member.manager { "manager" } else { "worker" };
        let has = match key {
            "node.role" => role == value,
            "node.hostname" => member.hostname == value,
            "node.id" => member.id == value,
            // Platforms and the engine's own labels are alike here.
            _ => match key.strip_prefix("node.labels.") {
                Some(label) => member.labels.get(label).is_some_and(|has| has == value),
                None => return true,
            },
        };
        has == equal
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::swarm::{SwarmPort, SwarmTask};

    fn swarm(tasks: &[(&str, &str)]) -> Swarm {
        let member = |id: &str, manager| Member {
            id: id.into(),
            hostname: id.into(),
            manager,
            state: "ready".into(),
            availability: "active".into(),
            ..Member::default()
        };
        let task = |(node, state): &(&str, &str)| SwarmTask {
            service: "s".into(),
            node: (*node).into(),
            wanted: true,
            state: (*state).into(),
            error: if *state == "pending" { "no suitable node".into() } else { String::new() },
            ..SwarmTask::default()
        };
        Swarm {
            members: vec![member("master", true), member("worker1", false), member("worker2", false)],
            tasks: tasks.iter().map(task).collect(),
            ..Swarm::default()
        }
    }

    fn app(replicas: u64) -> SwarmService {
        SwarmService { id: "s".into(), name: "x_app".into(), replicas: Some(replicas), ..SwarmService::default() }
    }

    #[test]
    fn replicas_are_counted_where_they_run() {
        let (facts, _) = facts(&swarm(&[("worker1", "running"), ("worker2", "running")]), Some(&app(2)), "app", false);
        assert_eq!((&facts["running"], &facts["spread"]), (&json!(2), &json!(2)));
        assert_eq!((&facts["all_on_manager"], &facts["placed_on"]), (&json!(false), &json!(["worker1", "worker2"])));
    }

    #[test]
    fn all_on_the_manager_is_seen() {
        let (facts, why) = facts(&swarm(&[("master", "running"), ("master", "running")]), Some(&app(2)), "app", false);
        assert_eq!((&facts["spread"], &facts["all_on_manager"]), (&json!(1), &json!(true)));
        assert_eq!(why.unwrap().en, "x_app has 2 tasks, on: master");
    }

    #[test]
    fn what_does_not_run_says_why() {
        let (facts, why) = facts(&swarm(&[("worker1", "running"), ("", "pending")]), Some(&app(2)), "app", false);
        assert_eq!(facts["converged"], json!(false));
        assert_eq!(why.unwrap().en, "1 of 2 tasks of x_app run: no suitable node");
    }

    #[test]
    fn what_the_swarm_does_not_have_is_said() {
        let (facts, why) = super::facts(&swarm(&[]), None, "app", false);
        assert_eq!(facts["desired"], json!(0));
        assert_eq!(why.unwrap().en, "app is no service of the swarm");
    }

    #[test]
    fn nobody_is_blamed_for_the_room_that_our_change_of_ports_leaves() {
        let port = SwarmPort { target: 5000, published: 5000, host: true, udp: false };
        let four = SwarmService { ports: vec![port], ..app(4) };
        let three = [("master", "running"), ("worker1", "running"), ("worker2", "running"), ("", "pending")];
        assert!(converged(&swarm(&three), &four, true), "one on each node, and a mesh would have them all");
        assert!(!converged(&swarm(&three), &four, false), "the port of the node is the submission's own");
        assert!(!converged(&swarm(&three[1..]), &four, true), "a node has room for one more");
        let bounded = SwarmService { most_per_node: 1, ..four };
        assert!(!converged(&swarm(&three), &bounded, true), "no mesh would make room for it");
    }

    #[test]
    fn room_is_one_a_node_for_a_port_of_the_node() {
        let port = SwarmPort { target: 5000, published: 5000, host: true, udp: false };
        let mut service = SwarmService { ports: vec![port], ..app(1) };
        assert_eq!(room(&swarm(&[]), &service), Some(3));
        service.constraints = vec!["node.role != manager".into()];
        assert_eq!(room(&swarm(&[]), &service), Some(2));
        service.constraints = vec!["node.role==manager".into(), "node.hostname==master".into()];
        assert_eq!(room(&swarm(&[]), &service), Some(1));
        service.constraints = vec!["node.labels.disk == big".into()];
        assert_eq!(room(&swarm(&[]), &service), Some(0));
        assert_eq!(room(&swarm(&[]), &app(1)), None);
    }
}

//! The swarm's nodes: which machines are in it, and which of them take tasks.

use serde_json::json;

use super::reach::{Machine, Reached};
use crate::docker::swarm::Swarm;
use crate::expect::Facts;
use crate::text::Text;

/// What is to be said of a swarm as a whole.
pub(super) fn facts(reached: &Reached) -> (Facts, Option<Text>) {
    let swarm = reached.swarm.as_ref().map(|(_, swarm)| swarm);
    let outside: Vec<&Machine> = reached.machines.iter().filter(|machine| !is_in(machine, swarm)).collect();
    let names = |machines: &[&Machine]| machines.iter().map(|m| m.name.clone()).collect::<Vec<_>>();
    let mut facts = Facts::from([
        ("active".to_owned(), json!(swarm.is_some())),
        ("nodes".to_owned(), json!(0)),
        ("managers".to_owned(), json!(0)),
        ("managers_reachable".to_owned(), json!(0)),
        ("workers".to_owned(), json!(0)),
        ("workers_ready".to_owned(), json!(0)),
        ("services".to_owned(), json!(Vec::<String>::new())),
        ("not_in_swarm".to_owned(), json!(names(&outside))),
    ]);
    let Some(swarm) = swarm else { return (facts, Some(none(reached))) };
    let count = |what: &dyn Fn(&crate::docker::swarm::Member) -> bool| {
        json!(swarm.members.iter().filter(|member| what(member)).count())
    };
    facts.insert("nodes".to_owned(), json!(swarm.members.len()));
    facts.insert("managers".to_owned(), count(&|m| m.manager));
    facts.insert("managers_reachable".to_owned(), count(&|m| m.manager && m.reachable));
    facts.insert("workers".to_owned(), count(&|m| !m.manager));
    facts.insert("workers_ready".to_owned(), count(&|m| !m.manager && m.takes_tasks()));
    let services: Vec<String> = swarm.services.iter().map(|s| crate::sanitize::line(&s.name, 80)).collect();
    facts.insert("services".to_owned(), json!(services));
    (facts, trouble(&outside, swarm))
}

fn is_in(machine: &Machine, swarm: Option<&Swarm>) -> bool {
    machine.membership.active() && swarm.is_some_and(|swarm| swarm.member(&machine.membership.node).is_some())
}

fn none(reached: &Reached) -> Text {
    if let Some(unable) = &reached.unable {
        return Text::new(
            format!("a machine manages a swarm that does not answer: {}", unable.en),
            format!("una máquina administra un swarm que no responde: {}", unable.es),
        );
    }
    let why: Vec<&Text> = reached.machines.iter().filter_map(|machine| machine.why.as_ref()).collect();
    let said = |pick: fn(&Text) -> &String| {
        let each: Vec<&str> = why.iter().map(|text| pick(text).as_str()).collect();
        if each.is_empty() { String::new() } else { format!(": {}", each.join("; ")) }
    };
    Text::new(
        format!("no machine manages a swarm{}", said(|t| &t.en)),
        format!("ninguna máquina administra un swarm{}", said(|t| &t.es)),
    )
}

/// What keeps a machine from taking tasks.
fn trouble(outside: &[&Machine], swarm: &Swarm) -> Option<Text> {
    let (mut en, mut es) = (Vec::new(), Vec::new());
    for machine in outside {
        let name = &machine.name;
        match &machine.why {
            Some(why) => {
                en.push(why.en.clone());
                es.push(why.es.clone());
            }
            None if machine.membership.active() => {
                en.push(format!("{name} is in another swarm"));
                es.push(format!("{name} está en otro swarm"));
            }
            None => {
                let error = crate::sanitize::line(&machine.membership.error, 200);
                let error = if error.is_empty() { error } else { format!(" ({error})") };
                en.push(format!("{name} is not in the swarm{error}"));
                es.push(format!("{name} no está en el swarm{error}"));
            }
        }
    }
    for member in swarm.members.iter().filter(|member| !member.takes_tasks()) {
        let name = crate::sanitize::line(&member.hostname, 60);
        let (state, availability) = (&member.state, &member.availability);
        en.push(format!("node {name} takes no tasks: it is {state} and {availability}"));
        es.push(format!("el nodo {name} no recibe tareas: está {state} y {availability}"));
    }
    (!en.is_empty()).then(|| Text::new(en.join("; "), es.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::swarm::{Member, Membership};

    fn machine(name: &str, node: &str) -> Machine {
        let state = if node.is_empty() { "inactive" } else { "active" };
        Machine {
            name: name.to_owned(),
            body: None,
            engine: None,
            membership: Membership { state: state.into(), node: node.into(), ..Membership::default() },
            why: None,
        }
    }

    fn member(id: &str, manager: bool, availability: &str) -> Member {
        Member {
            id: id.into(),
            hostname: format!("host-{id}"),
            manager,
            reachable: manager,
            state: "ready".into(),
            availability: availability.into(),
            ..Member::default()
        }
    }

    fn three(members: Vec<Member>, worker2: &str) -> (Facts, Option<Text>) {
        let machines = vec![machine("master", "a"), machine("worker1", "b"), machine("worker2", worker2)];
        let swarm = Swarm { members, ..Swarm::default() };
        facts(&Reached { machines, swarm: Some((0, swarm)), unable: None })
    }

    #[test]
    fn a_whole_swarm_has_every_machine() {
        let members = vec![member("a", true, "active"), member("b", false, "active"), member("c", false, "active")];
        let (facts, why) = three(members, "c");
        assert_eq!((&facts["workers_ready"], &facts["managers_reachable"]), (&json!(2), &json!(1)));
        assert_eq!(facts["not_in_swarm"], json!([]));
        assert_eq!(why, None);
    }

    #[test]
    fn one_that_never_joined_and_one_in_a_swarm_of_its_own_are_outside() {
        let members = || vec![member("a", true, "active"), member("b", false, "active")];
        let (facts, why) = three(members(), "");
        assert_eq!((&facts["not_in_swarm"], &facts["workers_ready"]), (&json!(["worker2"]), &json!(1)));
        assert_eq!(why.unwrap().en, "worker2 is not in the swarm");
        let (facts, why) = three(members(), "z");
        assert_eq!(facts["not_in_swarm"], json!(["worker2"]));
        assert_eq!(why.unwrap().en, "worker2 is in another swarm");
    }

    #[test]
    fn a_drained_worker_is_there_and_does_not_count() {
        let members = vec![member("a", true, "active"), member("b", false, "drain"), member("c", false, "active")];
        let (facts, why) = three(members, "c");
        assert_eq!((&facts["workers"], &facts["workers_ready"]), (&json!(2), &json!(1)));
        assert_eq!(facts["not_in_swarm"], json!([]));
        assert_eq!(why.unwrap().en, "node host-b takes no tasks: it is ready and drain");
    }

    #[test]
    fn without_a_manager_there_is_no_swarm() {
        let lost = Machine { why: Some(Text::same("no engine")), ..machine("worker1", "") };
        let reached = Reached { machines: vec![machine("master", ""), lost], swarm: None, unable: None };
        let (facts, why) = facts(&reached);
        assert_eq!((&facts["active"], &facts["workers_ready"]), (&json!(false), &json!(0)));
        assert_eq!(why.unwrap().en, "no machine manages a swarm: no engine");
    }
}

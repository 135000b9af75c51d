//! Which machines are meant, and what is said of several.

use super::each::together;
use super::*;
use crate::notice::Reason;
use crate::scenario::tree;
use crate::submission::machines::MachineDef;

fn on(text: &str) -> (On, Vec<String>) {
    let node = tree::read(text, "s.yaml").unwrap();
    let mut problems = Vec::new();
    let mut d = Decoder::new(&node, &mut problems);
    let on = On::decode(&mut d, "on");
    d.finish();
    (on, problems.into_iter().map(|p| p.message).collect())
}

#[test]
fn machines_are_named_by_a_word_or_by_their_name() {
    assert_eq!(on("{}").0, On::All);
    assert_eq!(on("{on: first}").0, On::First);
    assert_eq!(on("{on: others}").0, On::Others);
    assert_eq!(on("{on: worker1}").0, On::Named("worker1".into()));
    assert_eq!(on("{on: ''}").1, ["`on` names no machine"]);
    let nodes = ["master", "worker1", "worker2"]
        .map(|name| Node { def: MachineDef { name: name.into(), ..MachineDef::default() }, ..Node::default() });
    let of = |on: On| {
        let taken = nodes.iter().enumerate().filter(|(n, node)| on.takes(*n, node));
        taken.map(|(_, node)| node.name().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(of(On::All).len(), 3);
    assert_eq!(of(On::First), ["master"]);
    assert_eq!(of(On::Others), ["worker1", "worker2"]);
    assert_eq!(of(On::Named("worker2".into())), ["worker2"]);
}

#[test]
fn what_is_the_same_of_several_is_said_once() {
    let seen =
        |why: &str| Seen { why: (!why.is_empty()).then(|| Text::same(why)), ..Seen::of([("running", json!(true))]) };
    let all = vec![
        ("master".to_owned(), Seen { evidence: vec![("stdout.txt".into(), b"x".to_vec())], ..seen("") }),
        ("worker1".to_owned(), seen("it has no extra disk")),
        ("worker2".to_owned(), seen("it has no extra disk")),
        ("worker3".to_owned(), seen("the disk is empty")),
    ];
    let observation = together(all);
    assert_eq!(
        observation.explanation.unwrap().en,
        "worker1, worker2: it has no extra disk; worker3: the disk is empty"
    );
    assert_eq!(observation.evidence[0].0, "master-stdout.txt");
    assert_eq!(observation.subjects.len(), 4);
}

#[test]
fn whether_machines_are_declared_is_known_or_nobodys_fault() {
    let file = |loaded| Vagrantfile { path: "Vagrantfile".into(), loaded };
    assert_eq!(declared(None).unwrap(), Declared::Nothing);
    assert_eq!(declared(Some(&file(Loaded::Machines(vec![])))).unwrap(), Declared::Nothing);
    let one = Loaded::Machines(vec![MachineDef::default()]);
    assert_eq!(declared(Some(&file(one))).unwrap(), Declared::Machines);
    let unknown = Loaded::Unknown { reason: Reason::Host, text: Text::same("x") };
    assert_eq!(declared(Some(&file(unknown))).unwrap_err().reason, Reason::Host);
    assert_eq!(declared(Some(&file(Loaded::NotYet))).unwrap_err().reason, Reason::Imparcial);
}

#[test]
fn a_target_is_a_role_or_machines() {
    let target = |text: &str| {
        let node = tree::read(text, "s.yaml").unwrap();
        let mut problems = Vec::new();
        let mut d = Decoder::new(&node, &mut problems);
        let target = Target::decode(&mut d);
        d.finish();
        (target, problems.into_iter().map(|p| p.message).collect::<Vec<_>>())
    };
    assert_eq!(target("{role: app}"), (Some(Target::Role("app".into())), vec![]));
    assert_eq!(target("{node: others}"), (Some(Target::Node(On::Others)), vec![]));
    assert_eq!(target("{}"), (None, vec![]));
    assert_eq!(target("{nod: all}").1, ["unknown key `nod`"]);
}

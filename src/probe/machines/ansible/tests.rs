//! What runs of plays come to, without a machine.

use super::*;
use crate::notice::Reason;
use crate::stack::machines::{Node, Playbook};
use crate::submission::machines::{MachineDef, ProvisionerDef};

fn machines(kinds: &[&str]) -> Machines {
    let provisioner = |kind: &&str| ProvisionerDef { kind: (*kind).to_owned(), ..ProvisionerDef::default() };
    let def = MachineDef {
        name: "master".into(),
        autostart: true,
        provisioners: kinds.iter().map(provisioner).collect(),
        ..MachineDef::default()
    };
    Machines { nodes: vec![Node { def, container: Some("c".into()), ..Node::default() }], ..Machines::default() }
}

fn task(host: &str, status: &str) -> Task {
    let at = Some("playbooks/site.yml:12".to_owned());
    let on_machine = host != "localhost";
    Task { host: host.into(), name: "format".into(), status: status.into(), at, on_machine, ..Task::default() }
}

fn run(host: &str, ok: u64, changed: u64, tasks: Vec<Task>) -> Provisioned {
    let hosts = vec![HostStats { host: host.into(), ok, changed, ..HostStats::default() }];
    let play = Playbook { file: "site.yml".into(), ended: true, tasks, hosts, ..Playbook::default() };
    Provisioned { ok: true, plays: vec![play], ..Provisioned::default() }
}

fn seen(of: &Provisioned) -> Observation {
    provisioned(&machines(&["ansible"]), of).unwrap()
}

fn fact(of: &Observation, name: &str) -> serde_json::Value {
    of.subjects[0].1.get(name).cloned().unwrap_or_default()
}

#[test]
fn a_run_that_changed_machines_is_one() {
    let of =
        seen(&run("master", 3, 1, vec![task("master", "ok"), task("master", "changed"), task("master", "skipped")]));
    assert_eq!((fact(&of, "ran"), fact(&of, "ok"), fact(&of, "changed")), (json!(true), json!(true), json!(1)));
    assert_eq!((fact(&of, "tasks"), fact(&of, "by"), of.explanation), (json!(2), json!(["ansible"]), None));
}

#[test]
fn a_play_that_only_prints_or_runs_on_the_controller_provisions_nothing() {
    let prints = seen(&run("master", 2, 0, vec![task("master", "ok")]));
    assert_eq!((fact(&prints, "ran"), fact(&prints, "changed_something")), (json!(true), json!(false)));
    assert_eq!(prints.explanation.unwrap().en, "plays ran, and none of their tasks changed a machine");
    let controller = seen(&run("localhost", 3, 3, vec![task("localhost", "changed")]));
    assert_eq!(
        (fact(&controller, "ran"), fact(&controller, "changed"), fact(&controller, "ok")),
        (json!(false), json!(0), json!(false))
    );
    // By its address, as an inventory of one's own may have it.
    assert_eq!(fact(&seen(&run("192.168.56.10", 1, 1, vec![task("192.168.56.10", "ok")])), "ran"), json!(true));
}

#[test]
fn what_the_node_brought_would_have_changed_the_declared_box() {
    let provided = Task { provided: true, ..task("master", "ok") };
    let of = seen(&run("master", 1, 0, vec![provided]));
    assert_eq!((fact(&of, "changed_something"), fact(&of, "changed")), (json!(true), json!(1)));
}

#[test]
fn failures_that_were_passed_over_are_counted_and_said() {
    let mut of = run("master", 3, 1, vec![task("master", "changed")]);
    of.plays[0].hosts[0].ignored = 1;
    of.plays[0].hosts[0].rescued = 2;
    let of = seen(&of);
    assert_eq!((fact(&of, "ok"), fact(&of, "ignored"), fact(&of, "rescued")), (json!(true), json!(1), json!(2)));
    assert!(of.explanation.unwrap().en.ends_with("1 ignored, 2 rescued"));
}

#[test]
fn whose_fault_a_failure_is_decides() {
    let mut failed = run("master", 1, 1, vec![task("master", "failed")]);
    failed.ok = false;
    failed.plays[0].hosts[0].failed = 1;
    failed.why = Some(LeftOut { reason: None, text: Text::same("playbooks/site.yml:12: no such folder") });
    let of = seen(&failed);
    assert_eq!((fact(&of, "ok"), fact(&of, "failed")), (json!(false), json!(1)));
    assert_eq!(of.explanation.unwrap().en, "playbooks/site.yml:12: no such folder");
    failed.why = Some(LeftOut { reason: Some(Reason::StandIn), text: Text::same("yum") });
    assert_eq!(provisioned(&machines(&["ansible"]), &failed).unwrap_err().reason, Reason::StandIn);
}

#[test]
fn no_run_is_explained_by_what_there_is() {
    let why =
        |kinds: &[&str]| without_a_run(&Machines { nodes: bare(kinds), ..Machines::default() }).unwrap().explanation;
    fn bare(kinds: &[&str]) -> Vec<Node> {
        let mut nodes = machines(kinds).nodes;
        nodes[0].container = None;
        nodes
    }
    assert_eq!(why(&[]).unwrap().en, "the Vagrantfile has no provisioner");
    assert_eq!(why(&["shell"]).unwrap().en, "the Vagrantfile has no Ansible provisioner, only: shell");
    assert_eq!(without_a_run(&machines(&["ansible"])).unwrap_err().reason, Reason::Imparcial);
    let shell = provisioned(&machines(&["shell"]), &Provisioned { ok: true, ..Provisioned::default() }).unwrap();
    assert_eq!((fact(&shell, "ran"), fact(&shell, "ok")), (json!(false), json!(false)));
    assert_eq!(shell.explanation.unwrap().en, "the Vagrantfile has no Ansible provisioner, only: shell");
}

#[test]
fn a_second_run_names_what_it_changed() {
    let all = machines(&["ansible"]);
    let of = repeated(&all, &run("master", 3, 1, vec![task("master", "ok"), task("master", "changed")])).unwrap();
    assert_eq!((fact(&of, "changed_again"), fact(&of, "unchanged")), (json!(1), json!(false)));
    assert_eq!(of.notes[0].en, "changed again: playbooks/site.yml:12 format (master)");
    // The same words would blame a first run.
    let mut quiet = run("master", 3, 0, vec![task("master", "ok")]);
    quiet.why = Some(LeftOut { reason: None, text: Text::same("changed nothing") });
    let same = repeated(&all, &quiet).unwrap();
    assert_eq!((fact(&same, "changed_again"), fact(&same, "unchanged")), (json!(0), json!(true)));
    assert_eq!(same.explanation, None);
    quiet.plays[0].hosts[0].failed = 1;
    let failed = repeated(&all, &quiet).unwrap();
    assert_eq!((fact(&failed, "unchanged"), failed.explanation.is_some()), (json!(false), true));
    quiet.why = Some(LeftOut { reason: Some(Reason::StandIn), text: Text::same("yum") });
    assert_eq!(repeated(&all, &quiet).unwrap_err().reason, Reason::StandIn);
}

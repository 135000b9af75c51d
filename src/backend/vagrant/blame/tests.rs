//! Each rule, on what Ansible 2.14 and its modules really said on a node: `failures.jsonl` was written down in real runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::*;
use crate::agent::Agents;
use crate::backend::vagrant::ansible::tests::of as read;
use crate::exec::local::Local;
use crate::stack::machines::{HostStats, NodeDisk, Taken};
use crate::stack::{Guest, StandIn};
use crate::submission::machines::{MachineDef, ProvisionerDef};

const FAILURES: &str = include_str!("failures.jsonl");

fn node(name: &str) -> Node {
    let ansible = ProvisionerDef { kind: "ansible".into(), ..ProvisionerDef::default() };
    Node {
        def: MachineDef {
            name: name.into(),
            boxed: Some("centos/7".into()),
            addresses: vec!["192.168.56.10".into()],
            private_networks: 1,
            provisioners: vec![ansible],
            ..MachineDef::default()
        },
        stand_in: Some(StandIn { reference: "centos/7".into(), name: "node".into(), version: "Debian 12".into() }),
        other_family: true,
        disks: vec![NodeDisk { device: "/dev/sdb".into(), ..NodeDisk::default() }],
        ..Node::default()
    }
}

#[test]
fn what_nobody_wrote_down_on_a_box_of_its_own_is_undecided() {
    let local = ProvisionerDef { kind: "ansible_local".into(), ..ProvisionerDef::default() };
    let mut own = node("master");
    own.def.provisioners = vec![local];
    own.taken = Some(Taken::default());
    let provisioned = Provisioned { ok: true, ..Provisioned::default() };
    let of = |nodes: &[Node]| why(&Seen { nodes, provisioned: &provisioned, old: None, again: false });
    assert_eq!(of(&[own.clone()]).unwrap().reason, Some(Reason::NotHere));
    own.taken = None;
    assert_eq!(of(&[own]).unwrap().reason, None, "on a node it is known that nothing ran");
}

fn task(name: &str, status: &str) -> Task {
    Task {
        host: "master".into(),
        name: name.into(),
        module: "ansible.builtin.command".into(),
        status: status.into(),
        at: Some("site.yml:3".into()),
        on_machine: true,
        ..Task::default()
    }
}

/// A task of `failures.jsonl`.
fn real(name: &str) -> Task {
    let row = FAILURES.lines().find(|line| line.contains(&format!("\"task\": \"{name}\""))).expect(name);
    let row: Value = serde_json::from_str(row).unwrap();
    let text = |key: &str| row[key].as_str().map(str::to_owned);
    Task {
        module: text("module").unwrap(),
        message: text("message").unwrap(),
        command: text("cmd"),
        mapped: text("mapped"),
        ..task(name, row["status"].as_str().unwrap())
    }
}

fn playbook(tasks: Vec<Task>) -> Playbook {
    let count = |status: &str| tasks.iter().filter(|task| task.status == status && !task.ignored).count() as u64;
    let stats = HostStats {
        host: "master".into(),
        failed: count("failed"),
        unreachable: count("unreachable"),
        ..HostStats::default()
    };
    Playbook { file: "site.yml".into(), ended: true, hosts: vec![stats], tasks, ..Playbook::default() }
}

fn ran(tasks: Vec<Task>) -> Provisioned {
    let plays = vec![playbook(tasks)];
    let ok = plays[0].hosts[0].failed + plays[0].hosts[0].unreachable == 0;
    Provisioned { ok, plays, ..Provisioned::default() }
}

fn why_of(provisioned: &Provisioned) -> Option<LeftOut> {
    why(&Seen { nodes: &[node("master")], provisioned, old: None, again: false })
}

#[track_caller]
fn is(provisioned: &Provisioned, reason: Option<Reason>, says: &str) {
    let left = why_of(provisioned).expect(says);
    assert_eq!(left.reason, reason, "{}", left.text.en);
    assert!(left.text.en.contains(says), "{}", left.text.en);
    assert_ne!(left.text.en, left.text.es);
}

#[test]
fn each_real_failure_is_blamed_rightly() {
    let mut wrong = Vec::new();
    for row in FAILURES.lines() {
        let row: Value = serde_json::from_str(row).unwrap();
        let name = row["task"].as_str().unwrap();
        let expected = match row["is"].as_str().unwrap() {
            "own" => None,
            "host" => Some(Reason::Host),
            "stand_in" => Some(Reason::StandIn),
            other => panic!("{other}"),
        };
        let left = why_of(&ran(vec![real(name)])).expect(name);
        if left.reason != expected {
            wrong.push(format!("{name}: {:?}: {}", left.reason, left.text.en));
        }
        assert!(
            left.text.en.contains(&format!("`{name}` (site.yml:3)")) && left.text.en.contains("on `master`"),
            "{name}"
        );
        assert!(left.text.es.contains("en `master`"), "{name}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(FAILURES.lines().count() > 60);
}

#[test]
fn what_is_written_wrong_is_so_on_emulated_machines_too() {
    let guest = Guest {
        domain: "imparcial_master".into(),
        address: "192.168.121.2".into(),
        addresses: BTreeMap::default(),
        memory_bytes: 512 << 20,
        capped: false,
        cpus: 1.0,
        shell: Arc::new(Local),
        agents: Agents::default(),
    };
    let emulated = Node { guest: Some(Arc::new(guest)), ..node("master") };
    let reason = |nodes: &[Node], tasks: Vec<Task>| {
        why(&Seen { nodes, provisioned: &ran(tasks), old: None, again: false }).unwrap().reason
    };
    let all = [emulated.clone()];
    assert_eq!(reason(&all, vec![real("undefined")]), None);
    assert_eq!(reason(&all, vec![real("rc1")]), Some(Reason::StandIn), "it may have been too slow for that");
    // A task that was skipped for what came of a slow one registered only that.
    assert_eq!(reason(&all, vec![real("badtask")]), Some(Reason::StandIn));
    assert_eq!(reason(&[node("master")], vec![real("badtask")]), None);
    // What came of a task that may have been too slow is nothing to go by.
    let ignored = Task { ignored: true, ..real("rc1") };
    assert_eq!(reason(&all, vec![ignored, real("undefined")]), Some(Reason::StandIn));
    // A machine that is not there has no variables either.
    let away = LeftOut { reason: Some(Reason::Host), text: Text::same("no memory left for it") };
    let without = [emulated, Node { left_out: Some(away), ..node("worker1") }];
    assert_eq!(reason(&without, vec![real("undefined")]), Some(Reason::Host));
}

#[test]
fn geo_replication_is_missing_from_stand_ins_alone() {
    let reason = |nodes: &[Node], host: &str| {
        let failed = Task { message: "geo-replication command failed".into(), ..task("replicate", "failed") };
        let tasks = vec![Task { host: host.into(), ..failed }];
        why(&Seen { nodes, provisioned: &ran(tasks), old: None, again: false }).unwrap().reason
    };
    let own = Node { stand_in: None, ..node("master") };
    let with_stand_in = [own.clone(), node("worker1")];
    assert_eq!(reason(&with_stand_in, "worker1"), Some(Reason::StandIn));
    assert_eq!(reason(&with_stand_in, "master"), None);
    // The controller is no machine: what it is told may be a stand-in's.
    assert_eq!(reason(&with_stand_in, "localhost"), Some(Reason::StandIn));
    assert_eq!(reason(&[own], "localhost"), None);
}

#[test]
fn provisioned_is_something_changed_and_nothing_failed() {
    assert_eq!(why_of(&ran(vec![task("x", "changed")])), None);
    let provided = Task { provided: true, ..task("install", "ok") };
    assert_eq!(why_of(&ran(vec![provided])), None);
    for tasks in [vec![], vec![task("print", "ok")], vec![task("x", "skipped")]] {
        let says = if tasks.is_empty() { "no task on any machine" } else { "changed nothing on any machine" };
        is(&ran(tasks), None, says);
    }
    let echo = Task { command: Some("echo listo".into()), ..task("print", "changed") };
    is(&ran(vec![echo.clone()]), None, "changed nothing");
    let written = Task { command: Some("echo listo > /etc/motd".into()), ..echo };
    assert_eq!(why_of(&ran(vec![written])), None);
    let here = Task { on_machine: false, ..task("x", "changed") };
    is(&ran(vec![here]), None, "no task on any machine");
}

#[test]
fn ignored_and_rescued_failures_are_none() {
    let ignored = Task { ignored: true, ..real("rc1") };
    assert_eq!(why_of(&ran(vec![ignored.clone(), task("x", "changed")])), None);
    is(&ran(vec![ignored, task("print", "ok")]), None, "changed nothing");
    let for_stand_in = Task { ignored: true, ..real("firewalld") };
    is(&ran(vec![for_stand_in, task("print", "ok")]), Some(Reason::StandIn), "container node");
}

#[test]
fn what_was_skipped_for_another_system_is_undecided() {
    let skipped = Task { when: Some("ansible_os_family == 'RedHat'".into()), ..task("install", "skipped") };
    is(&ran(vec![skipped.clone()]), Some(Reason::StandIn), "another system");
    // What hangs on it too, but no mistake that it cannot have led to.
    is(&ran(vec![skipped.clone(), real("rc1")]), Some(Reason::StandIn), "`install`");
    is(&ran(vec![skipped.clone(), real("src_missing")]), None, "no such file");
    let provisioned = ran(vec![skipped]);
    let same = Node { other_family: false, ..node("master") };
    let left = why(&Seen { nodes: &[same], provisioned: &provisioned, old: None, again: false }).unwrap();
    assert_eq!(left.reason, None, "{}", left.text.en);
}

#[test]
fn an_undecided_failure_before_excuses_what_it_may_have_led_to() {
    let before = Task { ignored: true, ..real("firewalld") };
    is(&ran(vec![before.clone(), real("gluster_peer")]), Some(Reason::StandIn), "before it");
    is(&ran(vec![before, real("template_bad")]), None, "the play itself is wrong");
    // One that came later excuses nothing, and the submission's own is what is said.
    is(&ran(vec![real("rc1"), real("firewalld")]), None, "`rc1`");
}

#[test]
fn yum_on_a_box_without_it_is_a_mistake() {
    let mut ubuntu = Node { other_family: false, ..node("master") };
    ubuntu.def.boxed = Some("ubuntu/bionic64".into());
    let provisioned = ran(vec![real("yum_unknown")]);
    let left = why(&Seen { nodes: &[ubuntu], provisioned: &provisioned, old: None, again: false }).unwrap();
    assert!(left.reason.is_none() && left.text.en.contains("ubuntu/bionic64"), "{}", left.text.en);
}

#[test]
fn disks_that_were_not_declared_are_the_submissions() {
    let mut bare = node("master");
    bare.disks.clear();
    for name in ["partition", "parted"] {
        let provisioned = ran(vec![real(name)]);
        let left =
            why(&Seen { nodes: std::slice::from_ref(&bare), provisioned: &provisioned, old: None, again: false })
                .unwrap();
        assert!(left.reason.is_none() && left.text.en.contains("/dev/sdb"), "{}", left.text.en);
    }
    let of_system = Task { message: "Device /dev/sda3 not found.".into(), ..real("partition") };
    is(&ran(vec![of_system]), Some(Reason::StandIn), "system's own disk");
}

#[test]
fn what_is_not_in_a_synced_folder_is_named() {
    let copy = |said: &str| ran(vec![Task { message: said.into(), ..task("names", "failed") }]);
    is(&copy("Source /vagrant/files/hosts not found"), None, "/vagrant/files/hosts is not on the machine");
    is(&copy("cat: /vagrant/x: No such file or directory"), None, "/vagrant/x is not on the machine");
    is(&copy("non-zero return code rc=1"), None, "nothing but the task itself");
    is(
        &copy("x went wrong\n\nThe error appears to be in '/work/machines/a.yml': line 3"),
        None,
        "(x went wrong): nothing",
    );
}

#[test]
fn what_was_not_reached() {
    let away = |address: &str, inventory: Option<&str>| {
        let mut node = node("master");
        node.def.provisioners[0].inventory = inventory.map(str::to_owned);
        let message = "Failed to connect to the host via ssh: Connection timed out during banner exchange";
        let task =
            Task { message: message.into(), address: Some(address.into()), ..task("Gathering Facts", "unreachable") };
        let provisioned = ran(vec![task]);
        why(&Seen { nodes: &[node], provisioned: &provisioned, old: None, again: false }).unwrap().reason
    };
    assert_eq!(away("192.168.56.10", None), Some(Reason::Host));
    assert_eq!(away("127.0.0.1", Some("hosts")), Some(Reason::StandIn));
    assert_eq!(away("192.168.56.10", Some("hosts")), Some(Reason::StandIn));
    assert_eq!(away("192.168.33.99", Some("hosts")), None);
}

#[test]
fn parameters_of_another_version() {
    let changed = Task {
        module: "community.docker.docker_image".into(),
        message: "missing required arguments: source".into(),
        ..task("image", "failed")
    };
    let of = |task: &Task, old| {
        let provisioned = ran(vec![task.clone()]);
        why(&Seen { nodes: &[node("master")], provisioned: &provisioned, old, again: false }).unwrap().reason
    };
    assert_eq!(of(&changed, Some(true)), Some(Reason::Age));
    assert_eq!(of(&changed, None), Some(Reason::StandIn));
    assert_eq!(of(&changed, Some(false)), None);
    assert_eq!(of(&real("unknownoption"), None), None);
}

fn printed(output: &str) -> LeftOut {
    let provisioned = Provisioned { ok: false, output: output.into(), ..Provisioned::default() };
    why_of(&provisioned).unwrap()
}

const WHERE: &str = "\n\nThe error appears to be in '/work/playbooks/site.yml': line 4, column 7, but may\nbe elsewhere in the file depending on the exact syntax problem.\n";

#[test]
fn what_ansible_refuses_before_any_task() {
    let own = [
        "ERROR! couldn't resolve module/action 'comandd'. This often indicates a misspelling, missing collection, or incorrect module path.",
        "ERROR! this task 'comand' has extra params, which is only allowed in the following modules: shell",
        "ERROR! 'taks' is not a valid attribute for a Play",
        "ERROR! We were unable to read either as JSON nor YAML, these are the errors we got from each:\nJSON: Expecting value: line 1 column 1 (char 0)\n\nSyntax Error while loading YAML.\n  did not find expected '-' indicator",
        "ERROR! the role 'norole' was not found in /work/bad/roles:/root/.ansible/roles",
        "ERROR! conflicting action statements: command, shell",
    ];
    for said in own {
        let left = printed(&format!("==> worker3: Running provisioner: ansible...\n{said}{WHERE}"));
        assert!(left.reason.is_none() && left.text.en.contains("playbooks/site.yml:4"), "{}", left.text.en);
    }
    assert!(printed(&format!("{}{WHERE}", own[1])).text.en.contains("did you mean `command`?"));
    assert!(printed(&format!("{}{WHERE}", own[3])).text.en.contains("did not find expected '-' indicator"));
    for (said, reason) in [
        ("ERROR! couldn't resolve module/action 'docker'. This often", Reason::StandIn),
        ("ERROR! [DEPRECATED]: community.general.docker_service has been removed. Use", Reason::StandIn),
        ("ERROR! 'sudo' is not a valid attribute for a Play", Reason::StandIn),
        ("ERROR! conflicting action statements: command, sudo", Reason::StandIn),
        ("ERROR! 'include' is not a valid attribute for a Play", Reason::StandIn),
        ("ERROR! couldn't resolve module/action 'nosuch.coll.mod'. This", Reason::NotHere),
        ("ERROR! the role 'geerlingguy.docker' was not found in /work", Reason::NotHere),
    ] {
        assert_eq!(printed(&format!("{said}{WHERE}")).reason, Some(reason), "{said}");
    }
    let provisioned =
        Provisioned { output: "ERROR! 'sudo' is not a valid attribute for a Play".into(), ..Provisioned::default() };
    let left =
        why(&Seen { nodes: &[node("master")], provisioned: &provisioned, old: Some(true), again: false }).unwrap();
    assert_eq!(left.reason, Some(Reason::Age));
}

#[test]
fn what_is_included_as_a_playbook_runs_is_read_then() {
    let said =
        format!("TASK [install ce] ***\nERROR! the role 'none' was not found in /work/roles:/etc/ansible/roles{WHERE}");
    // Its recap counts no failure.
    let provisioned = Provisioned { ok: false, output: said, ..ran(vec![task("before", "changed")]) };
    is(&provisioned, None, "the submission has no such role");
}

#[test]
fn what_is_the_hosts_or_a_modules_own() {
    let failed = |module: &str, message: &str| {
        let task = Task { module: module.into(), message: message.into(), ..task("x", "failed") };
        why_of(&ran(vec![task])).unwrap().reason
    };
    assert_eq!(failed("ansible.builtin.copy", "[Errno 28] No space left on device"), Some(Reason::Host));
    let joined = "rpc error: code = DeadlineExceeded desc = context deadline exceeded";
    assert_eq!(failed("community.docker.docker_swarm", joined), Some(Reason::Host));
    let gluster =
        |why: &str| failed("gluster.gluster.gluster_volume", &format!("(rc=1): volume create: v: failed: {why}"));
    let not_met = gluster("Staging failed on 192.168.56.12. Error: Host 192.168.56.13 not connected");
    assert_eq!((not_met, gluster("Host w3 is not in 'Peer in Cluster' state")), (Some(Reason::Host), None));
    let broke = "MODULE FAILURE\nSee stdout/stderr for the exact error\nAttributeError: module 'docker' has no attribute 'types'";
    assert_eq!(failed("community.docker.docker_image", broke), Some(Reason::StandIn));
    assert_eq!(failed("ansible.builtin.shell", "AttributeError: module 'docker' has no attribute 'types'"), None);
    // An engine that the play did not start is not the network's doing.
    let no_engine = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?";
    assert_eq!(failed("community.docker.docker_image", no_engine), None);
}

#[test]
fn what_vagrant_says_of_a_playbook_that_is_not_there_or_meets_nobody() {
    let left = printed("ansible remote provisioner:\n* `playbook` does not exist on the host: /work/playbooks/x.yml\n");
    assert!(left.reason.is_none() && left.text.en.contains("/work/playbooks/x.yml"), "{}", left.text.en);
    let said = "[WARNING]: Could not match supplied host pattern, ignoring: webservers\n\nPLAY [webservers] ****\nskipping: no hosts matched\n\nPLAY RECAP ****\n";
    let nobody =
        Playbook { file: "site.yml".into(), ended: true, nobody: vec!["webservers".into()], ..Playbook::default() };
    let provisioned = Provisioned { ok: true, output: said.into(), plays: vec![nobody], ..Provisioned::default() };
    is(&provisioned, None, "webservers");
    assert_eq!(printed("Vagrant failed to initialize at a very early stage").reason, Some(Reason::Host));
}

#[test]
fn a_shell_that_failed_is_judged_by_what_it_printed() {
    let shell = |said: &str| {
        printed(&format!(
            "==> master: Running provisioner: shell...\n    master: Running: inline script\n    master: {said}\nThe SSH command responded with a non-zero exit status. Vagrant\nassumes that this means the command failed."
        ))
    };
    assert_eq!(shell("/tmp/vagrant-shell: line 3: ./instalar.sh: No such file or directory").reason, None);
    assert_eq!(shell("/tmp/vagrant-shell: line 1: firewall-cmd: command not found").reason, Some(Reason::StandIn));
    assert_eq!(shell("imparcial: not on this stand-in, which is no CentOS: @Base").reason, Some(Reason::StandIn));
    let without = "geo-replication module not working as desired\n    master: geo-replication command failed";
    assert_eq!(shell(without).reason, Some(Reason::StandIn));
    assert_eq!(shell("curl: (6) Could not resolve host: get.docker.com").reason, Some(Reason::Host));
    assert!(shell("listo, salgo con 3").text.en.contains("shell provisioner of `master` failed (listo, salgo con 3)"));
}

#[test]
fn a_hang_names_its_task() {
    let hung_since = |at_s: f64, module: &str, command: Option<&str>| {
        let task = Task { module: module.into(), command: command.map(str::to_owned), at_s, ..task("espera", "") };
        let playbook = Playbook { unfinished: vec![task], ended: false, ..playbook(vec![]) };
        let provisioned = Provisioned {
            hung: Some("nothing".into()),
            ended_s: 300.0,
            plays: vec![playbook],
            ..Provisioned::default()
        };
        let left = why_of(&provisioned).unwrap();
        assert!(left.text.en.contains("`espera`"), "{}", left.text.en);
        left.reason
    };
    let hung = |module: &str, command: Option<&str>| hung_since(10.0, module, command);
    assert_eq!(hung_since(280.0, "ansible.builtin.pause", None), Some(Reason::Host), "it had only just begun");
    assert_eq!(hung("ansible.builtin.pause", None), None);
    assert_eq!(hung("ansible.builtin.shell", Some("while true; do :; done")), None);
    assert_eq!(hung("ansible.builtin.shell", Some("docker pull mysql:5.7")), Some(Reason::Host));
    assert_eq!(hung("ansible.builtin.get_url", None), Some(Reason::Host));
    assert_eq!(hung("ansible.builtin.service", None), Some(Reason::Host));
}

#[test]
fn a_second_run_changed_what_it_did_again() {
    let here = Task { on_machine: false, ..task("c", "changed") };
    let second = [playbook(vec![task("a", "ok"), task("b", "changed"), here])];
    assert_eq!(changed_again(&second).iter().map(|task| task.name.as_str()).collect::<Vec<_>>(), ["b"]);
}

#[test]
fn shell_alone_without_complaint_is_nobodys_fault() {
    let mut shell = node("master");
    shell.def.provisioners[0].kind = "shell".into();
    let provisioned =
        Provisioned { ok: true, output: "==> master: Running provisioner: shell...".into(), ..Provisioned::default() };
    assert_eq!(why(&Seen { nodes: &[shell], provisioned: &provisioned, old: None, again: false }), None);
    is(&provisioned, None, "no playbook ran");
    assert!(read("").is_empty());
}

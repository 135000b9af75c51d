//! Playbooks really run: the lab's image as controller over ssh to a node, with what stands in for CentOS between them, and what
//! `backend::vagrant` makes of the plugin's log.

use std::time::{Duration, Instant};

use imparcial::backend::vagrant::ansible::{Log, read};
use imparcial::backend::vagrant::blame::{Seen, changed_again, why};
use imparcial::exec::local::Local;
use imparcial::exec::{Cmd, Output, Shell};
use imparcial::notice::Reason;
use imparcial::stack::StandIn;
use imparcial::stack::machines::{Node, NodeDisk, Playbook, Provisioned, Task};
use imparcial::submission::machines::{MachineDef, ProvisionerDef};

use crate::live::{engine, eventually, run_name};

const OURS: &str = "/usr/local/share/imparcial/ansible";
const KEY: &str = "/usr/share/rubygems-integration/all/gems/vagrant-2.3.4/keys/vagrant";
/// What a node needs of a lab; a file stands in for its disk, with a loop device that the mount takes and gives back.
const NODE: &str = "--hostname master --cap-add SYS_ADMIN --cap-add NET_ADMIN --cap-add SYS_PTRACE --cap-add NET_RAW \
    --cap-add IPC_LOCK --cap-add SYS_NICE --cap-add SYSLOG --cap-add DAC_READ_SEARCH --security-opt seccomp=unconfined \
    --security-opt apparmor=unconfined --tmpfs /run:rw,exec --tmpfs /run/lock --tmpfs /tmp:rw,exec --device /dev/fuse \
    --device /dev/loop-control --device-cgroup-rule b\u{a0}7:*\u{a0}rmw -v /sys/fs/cgroup:/sys/fs/cgroup:ro";
const READY: &str = "for n in $(seq 0 63); do mknod /dev/loop$n b 7 $n; done; truncate -s 5G /var/disk.img; \
    ln -s /var/disk.img /dev/sdb; mkdir -p /etc/yum.repos.d /vagrant/playbooks/files; touch /vagrant/playbooks/files/hosts; \
    for n in dnf rpm yum-config-manager setenforce getenforce; do ln -sf yum /usr/local/bin/$n; done";

/// A controller and a node, gone with it.
struct Pair {
    lab: String,
    node: String,
}

impl Drop for Pair {
    fn drop(&mut self) {
        let _ = std::process::Command::new("docker").args(["rm", "-f", "-v", &self.lab, &self.node]).output();
    }
}

pub(crate) fn here(path: &str) -> String {
    format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))
}

pub(crate) async fn docker<S: Into<String>>(args: impl IntoIterator<Item = S>) -> Output {
    let cmd = Cmd::new(["docker"]).args(args).timeout(Duration::from_secs(120));
    Local.run(&cmd).await.unwrap()
}

impl Pair {
    async fn start() -> Self {
        let pair = Self { lab: run_name("controller"), node: run_name("node") };
        let ours = format!("{}:{OURS}:ro", here("vagrant/images/lab/ansible"));
        let data = format!("{}:/vagrant/data:ro", here("tests/it/data/ansible"));
        let mut run: Vec<String> = ["run", "-d", "--name", &pair.node].map(str::to_owned).to_vec();
        run.extend(NODE.split(' ').filter(|word| !word.is_empty()).map(|word| word.replace('\u{a0}', " ")));
        let to = [("yum", "/usr/local/bin/yum"), ("ansible-playbook", "/usr/local/bin/ansible-playbook")];
        let unit = [("firewalld.service", "/etc/systemd/system/firewalld.service")];
        for (file, path) in to.iter().chain(&unit) {
            run.extend(["-v".into(), format!("{}:{path}:ro", here(&format!("vagrant/images/node/{file}")))]);
        }
        run.extend(["-v", &ours, "-v", &data, "imparcial/node"].map(str::to_owned));
        let started = docker(run).await;
        assert!(started.ok(), "{}", started.both());
        let data = format!("{}:/work:ro", here("tests/it/data/ansible"));
        let controller = [
            "run",
            "-d",
            "--name",
            &pair.lab,
            "--entrypoint",
            "sleep",
            "-v",
            &ours,
            "-v",
            &data,
            "imparcial/lab",
            "300",
        ];
        assert!(docker(controller).await.ok());
        let ready = docker(["exec", &pair.node, "sh", "-c", READY]).await;
        assert!(ready.ok(), "{}", ready.both());
        let address = docker(["inspect", "-f", "{{.NetworkSettings.IPAddress}}", &pair.node]).await.out();
        let inventory = format!(
            "install -m 600 {KEY} /tmp/key && echo 'master ansible_host={} ansible_user=vagrant \
             ansible_ssh_private_key_file=/tmp/key' > /tmp/inventory",
            address.trim()
        );
        assert!(docker(["exec", &pair.lab, "sh", "-c", &inventory]).await.ok());
        let listens = async || docker(["exec", &pair.node, "systemctl", "is-active", "ssh"]).await.ok();
        assert!(eventually(Duration::from_secs(30), listens).await, "no ssh on the node");
        pair
    }

    /// Runs a playbook of the test's data; whether it ended well, and what was written down.
    async fn play(&self, playbook: &str) -> (bool, Vec<Playbook>) {
        let play = format!(
            "rm -f /tmp/log; ANSIBLE_HOST_KEY_CHECKING=False ANSIBLE_CALLBACK_PLUGINS={OURS}/callback \
             IMPARCIAL_ANSIBLE_LOG=/tmp/log ansible-playbook -i /tmp/inventory /work/{playbook}"
        );
        let ran = docker(["exec", &self.lab, "sh", "-c", &play]).await;
        let log = docker(["exec", &self.lab, "cat", "/tmp/log"]).await;
        assert!(log.ok(), "{}", ran.both());
        (ran.ok(), read(&Log { bytes: &log.stdout, on_node: None, roots: &["/work"] }))
    }
}

fn master() -> Node {
    let ansible = ProvisionerDef { kind: "ansible".into(), ..ProvisionerDef::default() };
    let def = MachineDef { name: "master".into(), provisioners: vec![ansible], ..MachineDef::default() };
    Node {
        def,
        stand_in: Some(StandIn { reference: "centos/7".into(), name: "node".into(), version: "Debian 12".into() }),
        other_family: true,
        disks: vec![NodeDisk { device: "/dev/sdb".into(), ..NodeDisk::default() }],
        ..Node::default()
    }
}

fn reason(ok: bool, plays: &[Playbook]) -> Option<(Option<Reason>, String)> {
    let provisioned = Provisioned { ok, plays: plays.to_vec(), ..Provisioned::default() };
    let left = why(&Seen { nodes: &[master()], provisioned: &provisioned, old: None, again: false })?;
    Some((left.reason, left.text.en))
}

/// Tasks that did what they say, of all; gathering facts is no task of the playbook.
fn counted(plays: &[Playbook]) -> (usize, usize, Vec<&Task>) {
    let all: Vec<&Task> =
        plays.iter().flat_map(|play| &play.tasks).filter(|task| task.name != "Gathering Facts").collect();
    let ran = all.iter().filter(|task| matches!(task.status.as_str(), "ok" | "changed")).count();
    (ran, all.len(), all)
}

/// How many tasks of the reference, and of a playbook written for CentOS, really run on a node.
#[tokio::test(flavor = "multi_thread")]
async fn playbooks_for_centos_run_on_a_node_and_what_does_not_is_undecided() {
    if engine().await.is_none() {
        return;
    }
    let began = Instant::now();
    let pair = Pair::start().await;

    let (ok, plays) = pair.play("reference.yml").await;
    let (ran, all, tasks) = counted(&plays);
    eprintln!("reference: {ran} of {all} tasks ran");
    assert!(ok && reason(ok, &plays).is_none(), "{plays:#?}");
    assert_eq!((ran, all), (5, 5), "{plays:#?}");
    assert!(tasks.iter().all(|task| task.status == "changed" && task.on_machine), "{tasks:#?}");
    let install = tasks[0];
    assert!(install.provided && install.mapped.as_deref().unwrap().contains("docker → docker.io"), "{install:#?}");
    assert_eq!(install.at.as_deref(), Some("reference.yml:8"));
    let (ok, again) = pair.play("reference.yml").await;
    assert!(ok && changed_again(&again).is_empty(), "{again:#?}");

    let (ok, plays) = pair.play("centos.yml").await;
    let (ran, all, tasks) = counted(&plays);
    let mapped = tasks.iter().filter(|task| task.mapped.is_some()).count();
    eprintln!(
        "for CentOS: {ran} of {all} tasks ran, {mapped} of them through a stand-in; {:?} in all",
        began.elapsed()
    );
    assert_eq!((ran, all), (12, 13), "{plays:#?}");
    let (reason, said) = reason(ok, &plays).expect("a firewall cannot be started");
    assert_eq!(reason, Some(Reason::StandIn), "{said}");
    assert!(said.contains("`a firewall` (centos.yml:") && said.contains("module `service`"), "{said}");
    let by_hand = tasks.iter().find(|task| task.name == "by hand").unwrap();
    assert!(by_hand.mapped.as_deref().unwrap().contains("docker-compose-plugin → docker-compose"), "{by_hand:#?}");

    // A node that is its own controller, as ansible_local has it.
    let local = "echo 'master ansible_connection=local' > /tmp/i && ansible-playbook -i /tmp/i /vagrant/data/local.yml";
    let ran = docker(["exec", "-u", "vagrant", &pair.node, "sh", "-c", local]).await;
    assert!(ran.ok(), "{}", ran.both());
    let log = docker(["exec", &pair.node, "cat", "/var/log/imparcial-ansible.jsonl"]).await;
    let plays = read(&Log { bytes: &log.stdout, on_node: Some("master"), roots: &["/vagrant"] });
    let (_, _, tasks) = counted(&plays);
    assert_eq!((plays[0].file.as_str(), tasks.len(), tasks[0].on_machine), ("data/local.yml", 1, true));
    assert_eq!((tasks[0].status.as_str(), tasks[0].provided), ("ok", false), "it was asked for before");
}

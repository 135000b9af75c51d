//! `--provider virtualbox` with Vagrant's own plugin: what is typed for it, what that comes to in VirtualBox, and what is left. In
//! a container of the lab's image that is somebody's computer: it has a home Vagrantfile and a machine of theirs, and in the place of
//! VirtualBox's tool one that writes down what it is told (`data/virtualbox`).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use imparcial::agent::Agents;
use imparcial::backend::vagrant::{self, Provider, Request};
use imparcial::backend::{Hosting, Site};
use imparcial::docker::Engine;
use imparcial::exec::container::Container;
use imparcial::exec::local::Local;
use imparcial::exec::{Cmd, Shell, ShellExt};
use imparcial::notice::Reason;
use imparcial::owner::Owner;
use imparcial::stack::Spot;
use imparcial::submission::Submission;

use crate::ansible::{docker, here};
use crate::live;
use crate::vagrantfile::load;

const TOOL: &str = "/usr/local/bin/VBoxManage";
/// What the tool and the guests write down.
const CALLS: &str = "/var/tmp/virtualbox/calls";
const ASKED: &str = "/var/tmp/virtualbox/asked";
/// Their own project, and that it is where whatever they type goes.
const OWN: &str = "/home/user/own";
const COMPUTER: &str = "--detach --rm --init --network none --memory 1g --memory-swap 1g --pids-limit 256 --entrypoint timeout \
    --env HOME=/home/user --env VAGRANT_CWD=/home/user/own --env VAGRANT_DOTFILE_PATH=/home/user/own/.vagrant";
/// A box of nothing; the home Vagrantfile; a machine of their own, with the name that the reference's first has.
const SETTLED: &str = r#"set -e
    cd "$(mktemp -d)"; echo '{"provider": "virtualbox"}' > metadata.json; touch box.ovf box.vmdk
    tar -cf it.box metadata.json box.ovf box.vmdk
    mkdir -p /home/user/.vagrant.d /home/user/own /work
    printf 'Vagrant.configure("2") { |c| c.vm.box = "centos/7"; c.vm.define("master") { |m| m.vm.provider(:virtualbox) { |v| v.name = "mine" } } }' \
        > /home/user/own/Vagrantfile
    vagrant box add --name centos/7 it.box
    cp /data/home /home/user/.vagrant.d/Vagrantfile
    cp -r /reference /work/reference; cp -r /data/other /work/other
    ln -s /home/user/own/.vagrant /work/reference/.vagrant"#;

/// One of them at a time.
static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Gone with it, or after its time.
struct Computer {
    name: String,
    engine: Engine,
}

impl Drop for Computer {
    fn drop(&mut self) {
        let _ = std::process::Command::new("docker").args(["rm", "-f", "-v", &self.name]).output();
    }
}

impl Computer {
    async fn start(engine: Engine, with_tool: bool) -> Self {
        let computer = Self { name: live::run_name("virtualbox"), engine };
        let mut run: Vec<String> = ["run", "--name", &computer.name].map(str::to_owned).to_vec();
        run.extend(COMPUTER.split_whitespace().map(str::to_owned));
        let labels = Owner::this().labels(&computer.name);
        run.extend(labels.iter().map(|(name, value)| format!("--label={name}={value}")));
        if with_tool {
            run.push(format!("--volume={}:{TOOL}:ro", here("tests/it/data/virtualbox/VBoxManage")));
        }
        run.push(format!("--volume={}:/data:ro", here("tests/it/data/virtualbox")));
        run.push(format!("--volume={}:/reference:ro", here("scenarios/seed/reference")));
        run.extend(["imparcial/lab", "1800", "sleep", "infinity"].map(str::to_owned));
        let started = docker(run).await;
        assert!(started.ok(), "{}", started.both());
        computer.typed(&["sh", "-c", SETTLED]).await;
        computer
    }

    fn shell(&self) -> Container {
        Container::new(Arc::new(Local), &self.name)
    }

    async fn typed(&self, argv: &[&str]) -> String {
        let cmd = Cmd::new(argv.iter().copied()).timeout(Duration::from_secs(300));
        self.shell().must(&cmd).await.unwrap_or_else(|error| panic!("{error}")).out()
    }

    /// As a run with `--place host` has it.
    fn site(&self, workdir: &str) -> Site {
        let shell: Arc<dyn Shell> = Arc::new(self.shell());
        let agents = Agents::new(shell.clone(), "/proc/self/exe");
        let spot = Spot { node: None, engine: self.engine.clone(), shell, agents, address: "127.0.0.1".into() };
        Site::new(spot.clone(), spot, workdir.to_owned(), Some(Hosting::default()))
    }

    async fn up(&self, workdir: &str, submission: &Arc<Submission>) -> vagrant::Up {
        let request = Request {
            provider: Provider::VirtualBox,
            submission: submission.clone(),
            image: String::new(),
            up: Duration::from_secs(600),
            boxes: Default::default(),
            fetch: Duration::from_secs(60),
            memory_cap: None,
            snapshot: None,
            provision: Duration::from_secs(120),
            state: "/nowhere".into(),
            told: Arc::new(|_| {}),
        };
        vagrant::up(&self.site(workdir), &request).await.unwrap_or_else(|error| panic!("{error}"))
    }

    async fn destroy(&self, workdir: &str, submission: &Submission) -> Result<(), String> {
        let destroyed = vagrant::destroy(&self.site(workdir), Provider::VirtualBox, submission).await;
        destroyed.map_err(|error| error.text().en)
    }

    /// What the tool was told since the last time that changes something. A machine's id is its place among those that were made.
    async fn told(&self) -> Vec<String> {
        let calls = self.typed(&["cat", CALLS]).await;
        self.typed(&["truncate", "--size=0", CALLS]).await;
        let made = self.typed(&["cat", "/var/tmp/virtualbox/made"]).await;
        let ids: Vec<&str> = made.lines().collect();
        let calls = calls.lines().map(|line| serde_json::from_str::<Vec<String>>(line).unwrap());
        let reads = ["list", "showvminfo", "guestproperty", "--version"];
        let calls = calls.filter(|argv| !reads.contains(&argv[0].as_str()) && argv[1] != "-n");
        let id = |word: String| ids.iter().position(|id| *id == word).map_or(word, |at| format!("#{at}"));
        calls.map(|argv| argv.into_iter().map(id).collect::<Vec<_>>().join(" ")).collect()
    }

    async fn machines(&self) -> Vec<String> {
        let listed = self.typed(&["VBoxManage", "list", "vms"]).await;
        listed.lines().filter_map(|line| Some(line.split('"').nth(1)?.to_owned())).collect()
    }
}

async fn submission(root: &Path) -> Arc<Submission> {
    let kept = tempfile::tempdir().unwrap();
    Arc::new(load(root, kept.path()).await)
}

/// Everything that VirtualBox is told of the reference's machine `name`, the `at`th that was made there.
fn of_the_reference(name: &str, at: usize) -> Vec<String> {
    let mut all = vec![
        "import /home/user/.vagrant.d/boxes/centos-VAGRANTSLASH-7/0/virtualbox/box.ovf".to_owned(),
        format!("modifyvm #{at} --macaddress1 auto"),
        format!("modifyvm #{at} --name reference_{name}"),
        format!("setextradata #{at} VBoxInternal2/SharedFoldersEnableSymlinksCreate/vagrant 1"),
        format!("sharedfolder add #{at} --name vagrant --hostpath /work/reference"),
        format!("modifyvm #{at}{}", (2..9).map(|nic| format!(" --nic{nic} none")).collect::<String>()),
    ];
    if at == 1 {
        all.push("hostonlyif create".to_owned());
        all.push("hostonlyif ipconfig vboxnet0 --ip 192.168.56.1 --netmask 255.255.255.0".to_owned());
    }
    all.extend([
        format!("modifyvm #{at} --nic1 nat --nic2 hostonly --hostonlyadapter2 vboxnet0 --cableconnected2 on"),
        // 2222 is that of their own machine.
        format!("modifyvm #{at} --natpf1 ssh,tcp,127.0.0.1,{},,22", 2199 + at),
        format!("modifyvm #{at} --rtcuseutc on"),
        format!("modifyvm #{at} --natdnsproxy1"),
        format!("modifyvm #{at} --memory 512 --cpus 1 --name {name}"),
        format!("createhd --filename ./disks/{name}.vdi --variant Standard --size 5120"),
        format!("storageattach #{at} --storagectl IDE --port 1 --device 0 --type hdd --medium ./disks/{name}.vdi"),
        format!("startvm #{at} --type headless"),
    ]);
    all
}

/// Without what is the moment's: a name's number, and what Vagrant makes of this host's name servers.
fn settled(told: &[String]) -> Vec<String> {
    let of_the_moment = regex::Regex::new(r"( --vsys .*|_\d{13}_\d+| on| off)$").unwrap();
    let cut = |line: &String| {
        if line.contains("--rtcuseutc") || line.contains("--cableconnected") {
            line.clone()
        } else {
            of_the_moment.replace(line, "").into_owned()
        }
    };
    told.iter().filter(|line| !line.contains("--natdnshostresolver1")).map(cut).collect()
}

#[tokio::test]
async fn virtualbox_is_told_what_the_vagrantfile_declares_and_nothing_else() {
    let Some(engine) = live::engine().await else { return };
    let _one = ONE.lock().await;
    let reference = submission(Path::new(&here("scenarios/seed/reference"))).await;
    let other = submission(Path::new(&here("tests/it/data/virtualbox/other"))).await;
    let computer = Computer::start(engine, true).await;
    // The machine that is theirs: in the container's own environment.
    computer.typed(&["vagrant", "up", "--provider=virtualbox"]).await;
    assert_eq!(computer.machines().await, ["mine"]);
    computer.told().await;
    computer.typed(&["truncate", "--size=0", ASKED]).await;

    the_reference(&computer, &reference).await;
    others(&computer, &other).await;
}

async fn the_reference(computer: &Computer, submission: &Arc<Submission>) {
    const NAMES: [&str; 4] = ["master", "worker1", "worker2", "worker3"];
    let up = computer.up("/work/reference", submission).await;
    let machines = up.machines;
    assert!(machines.nodes.iter().all(|node| node.is_up() && node.virtual_machine), "{machines:#?}");
    assert_eq!((machines.provider.as_str(), machines.nodes.len()), ("virtualbox", 4));
    let kept: Vec<&str> = up.evidence.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(kept, ["vagrant-up.txt", "vagrant-provision.txt"]);

    // One after another, with the user's own home Vagrantfile: without it nobody agrees. A lab's would have forwarded no port.
    let told = settled(&computer.told().await);
    let want: Vec<String> = NAMES.iter().enumerate().flat_map(|(at, name)| of_the_reference(name, at + 1)).collect();
    assert_eq!(told, want, "{told:#?}");

    // The addresses and names are the guests' to take.
    let asked = computer.typed(&["cat", ASKED]).await;
    for (at, name) in NAMES.iter().enumerate() {
        assert!(asked.contains(&format!(r#"["{name}","change_host_name","{name}"]"#)), "{asked}");
        let networks = format!(
            r#"["{name}","configure_networks",[{{"type":"static","adapter_ip":"192.168.56.1","ip":"192.168.56.1{at}""#
        );
        assert!(asked.contains(&networks), "{asked}");
    }

    // The controller is this computer's own, and what its play does is not read.
    let provisioned = machines.provisioned.expect("the last machine provisions them all");
    assert_eq!(provisioned.why.and_then(|left| left.reason), Some(Reason::NotHere));
    for port in 2200..2204 {
        let tried = format!("connect to host 127.0.0.1 port {port}");
        assert!(!provisioned.ok && provisioned.output.contains(&tried), "{}", provisioned.output);
    }

    assert_eq!(computer.destroy("/work/reference", submission).await, Ok(()));
    let want =
        (1..5).rev().flat_map(|at| [format!("controlvm #{at} poweroff"), format!("unregistervm #{at} --delete")]);
    assert_eq!(computer.told().await, want.collect::<Vec<_>>());
    assert_eq!(computer.machines().await, ["mine"], "theirs stays, whatever the copy's `.vagrant` leads to");
    // A second time there is nothing to do, and nothing is asked.
    assert_eq!(computer.destroy("/work/reference", submission).await, Ok(()));
    assert_eq!(computer.told().await, [""; 0]);
}

async fn others(computer: &Computer, submission: &Arc<Submission>) {
    let machines = computer.up("/work/other", submission).await.machines;
    let [novmx, shared, web, byhand] = machines.nodes.as_slice() else { panic!("{machines:#?}") };
    let left = |node: &imparcial::stack::machines::Node| node.left_out.clone().expect("it is not up");
    assert_eq!(left(novmx).reason, Some(Reason::Host));
    assert!(left(novmx).text.en.contains("VERR_VMX_NO_VMX"), "{:?}", left(novmx));
    assert_eq!(left(shared).reason, None, "{:?}", left(shared));
    assert!(left(shared).text.en.contains("shared folder is missing: ./nowhere"), "{:?}", left(shared));
    assert!(web.is_up(), "those before it did not hold it up: {web:#?}");
    assert_eq!(left(byhand).reason, None);
    assert!(left(byhand).text.en.contains("autostart: false"), "{:?}", left(byhand));
    assert!(machines.provisioned.is_none());

    let told = computer.told().await;
    for want in [
        "modifyvm #6 --name exam-web",
        "modifyvm #6 --memory 768",
        "modifyvm #6 --cpus 2",
        "hostonlyif ipconfig vboxnet1 --ip 192.168.57.1 --netmask 255.255.255.0",
        // The port of a machine that did not start is free again.
        "modifyvm #6 --natpf1 tcp5000,tcp,,5000,,5000 --natpf1 ssh,tcp,127.0.0.1,2200,,22",
        "startvm #6 --type headless",
    ] {
        assert!(told.iter().any(|line| line == want), "{want}: {told:#?}");
    }
    let made: Vec<&String> = told.iter().filter(|line| line.contains("data.vdi")).collect();
    assert!(made.len() == 2 && made[0].ends_with("--sizebyte 3221225472 --format VDI"), "{told:#?}");
    assert!(made[1].starts_with("storageattach #6 --storagectl IDE --port 0 --device 1 --type hdd"), "{told:#?}");

    // Of what cannot be taken away it is said how to; README says the same for a run that was killed.
    computer.typed(&["touch", "/var/tmp/virtualbox/stuck"]).await;
    let said = computer.destroy("/work/other", submission).await.expect_err("nothing can be taken away");
    computer.typed(&["rm", "/var/tmp/virtualbox/stuck"]).await;
    computer.typed(&["rm", "-rf", "/work/other"]).await;
    let known = computer.typed(&["vagrant", "global-status"]).await;
    assert!(known.contains("/work/other"), "{known}");
    for (name, machine) in [("novmx", "exam-novmx"), ("web", "exam-web")] {
        let id = said.split_once(&format!("{name} (")).and_then(|(_, rest)| rest.split_once(')')).expect(&said).0;
        let listed = computer.typed(&["VBoxManage", "list", "vms"]).await;
        assert!(listed.contains(&format!("\"{machine}\" {{{id}}}")), "{said}\n{listed}");
        computer.typed(&["VBoxManage", "controlvm", id, "poweroff"]).await;
        computer.typed(&["VBoxManage", "unregistervm", id, "--delete"]).await;
    }
    assert_eq!(computer.machines().await, ["mine"]);
    let known = computer.typed(&["vagrant", "global-status", "--prune"]).await;
    assert!(known.contains(OWN) && !known.contains("/work/other"), "{known}");
}

#[tokio::test]
async fn a_virtualbox_that_is_not_there_or_broken_is_held_against_nobody() {
    let Some(engine) = live::engine().await else { return };
    let _one = ONE.lock().await;
    let reference = submission(Path::new(&here("scenarios/seed/reference"))).await;
    let computer = Computer::start(engine, false).await;
    let machines = computer.up("/work/reference", &reference).await.machines;
    let left = machines.left_out.expect("there is no VirtualBox");
    assert_eq!(left.reason, Some(Reason::NotHere));
    assert!(left.text.en.contains("no `VBoxManage`") && left.text.es.contains("no tiene `VBoxManage`"), "{left:?}");
    assert_eq!(computer.destroy("/work/reference", &reference).await, Ok(()));

    // One that only fails: of which version it is cannot be told.
    computer.typed(&["ln", "-s", "/bin/false", TOOL]).await;
    let machines = computer.up("/work/reference", &reference).await.machines;
    assert!(machines.left_out.is_none() && machines.provisioned.is_none() && machines.nodes.len() == 4);
    for node in &machines.nodes {
        let left = node.left_out.as_ref().expect("it is not up");
        assert!(!node.is_up() && left.reason == Some(Reason::Host), "{left:?}");
        assert!(left.text.en.starts_with(&format!("{} could not be brought up: ", node.name())), "{left:?}");
    }
    assert_eq!(computer.destroy("/work/reference", &reference).await, Ok(()), "nothing was made");
}

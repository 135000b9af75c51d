//! Every fault that can be made in a lab: it breaks what it says, what undoes it does so as often as it is asked to, and a
//! restart policy is asked as after a crash.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use imparcial::docker::Container;
use imparcial::exec::local::Local;
use imparcial::exec::{Cmd, ShellExt};
use imparcial::fault::left::{heal_left, left_behind};
use imparcial::fault::service::all_started;
use imparcial::fault::undo::is_healed;
use imparcial::fault::{self, Aim, Fault, FaultError, Ground, HealLog, Undo, Victim, heal, shells};
use imparcial::lab::{Lab, LabSpec, registry};
use imparcial::notice::Reason;
use imparcial::owner::Owner;
use imparcial::scenario::tree::{self, Decoder};
use imparcial::stack::machines::{Machines, Node, NodeDisk};
use imparcial::stack::{FirstUp, Stack};
use imparcial::submission::ReadOptions;
use imparcial::submission::machines::MachineDef;

use super::{live, stack};

const SOON: Duration = Duration::from_secs(20);
const MINUTE: Duration = Duration::from_secs(60);

/// What holds its memory and is started again, and what has no limit and is not. Neither answers to TERM.
const COMPOSE: &str = "version: '2.4'
services:
  app:
    image: still:1
    command: [/usr/bin/dd, if=/dev/zero, of=/dev/null, bs=40M]
    restart: always
    stop_signal: SIGKILL
    mem_limit: 64m
    cpus: 0.1
  db: {image: 'still:1', stop_signal: SIGKILL}
";

struct World {
    lab: Lab,
    stack: Arc<Stack>,
    _dir: tempfile::TempDir,
}

/// A fault that was made.
struct Made {
    fault: Box<dyn Fault>,
    victims: Vec<Victim>,
    undos: Vec<Undo>,
}

fn fault(name: &str, params: &str) -> Box<dyn Fault> {
    let node = tree::read(params, "test.yaml").unwrap();
    let mut problems = Vec::new();
    let mut decoder = Decoder::new(&node, &mut problems);
    let fault = (fault::kind(name).unwrap().decode)(&mut decoder);
    decoder.finish();
    assert!(problems.is_empty(), "{problems:?}");
    fault.unwrap()
}

impl World {
    async fn up(what: &str, compose: &str) -> Option<Self> {
        live::engine().await?;
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("docker-compose.yml"), compose).unwrap();
        let spec = live::spec(what, dir.path());
        let lab = Lab::start(LabSpec { mirrors: vec![registry::MIRROR.to_owned()], ..spec }).await.unwrap();
        let stack = Arc::new(stack_of(&lab, dir.path()));
        Some(Self { lab, stack, _dir: dir })
    }

    async fn run(&self, argv: &[&str]) -> String {
        let cmd = Cmd::new(argv.iter().copied()).cwd(self.lab.workdir()).timeout(MINUTE);
        self.lab.shell().must(&cmd).await.unwrap().out().trim().to_owned()
    }

    /// Whether a command succeeds in a machine.
    async fn succeeds(&self, node: &str, argv: &[&str]) -> bool {
        let cmd = Cmd::new(["docker", "exec", node]).args(argv.iter().copied()).timeout(MINUTE);
        self.lab.shell().run(&cmd).await.unwrap().ok()
    }

    async fn service(&self, name: &str) -> Option<Container> {
        self.stack.containers().await.unwrap().into_iter().find(|c| c.service == name)
    }

    async fn aimed(&self, fault: &dyn Fault) -> Vec<Victim> {
        match fault.target().resolve(&self.stack, 0).await.unwrap() {
            Aim::At(victims) => victims,
            Aim::Nobody(why) => panic!("nobody: {}", why.en),
        }
    }

    async fn tried(&self, name: &str, params: &str) -> Result<(Made, Vec<String>), FaultError> {
        let fault = fault(name, params);
        assert!(fault.cannot(Ground::Lab).is_none(), "{name}");
        let victims = self.aimed(&*fault).await;
        let undos = fault.inverse(&self.stack, &victims).await?;
        let notes = fault.inject(&self.stack, &victims).await?;
        Ok((Made { fault, victims, undos }, notes.into_iter().map(|note| note.en).collect()))
    }

    /// Makes a fault that is to be undone.
    async fn made(&self, name: &str, params: &str) -> Made {
        let (made, _) = self.tried(name, params).await.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(!made.undos.is_empty() && !self.whole(&made.undos).await, "{name} broke nothing");
        made
    }

    async fn whole(&self, undos: &[Undo]) -> bool {
        is_healed(undos, &shells(&self.stack)).await
    }

    /// Undoes it twice.
    async fn healed(&self, made: &Made) {
        for _ in 0..2 {
            let healed = heal(&made.undos, &shells(&self.stack), MINUTE).await;
            healed.unwrap_or_else(|e| panic!("{}: {e}", made.fault.target().describe().en));
            assert!(self.whole(&made.undos).await);
        }
    }
}

fn stack_of(lab: &Lab, root: &Path) -> Stack {
    let submission = imparcial::submission::read(root, &ReadOptions::default()).unwrap();
    let stack = stack::stack(lab.engine().clone(), "x".into(), root, submission);
    Stack {
        ground: lab.spot(),
        home: lab.spot(),
        workdir: lab.workdir(),
        compose_dir: lab.workdir(),
        first_up: Some(FirstUp::default()),
        ..stack
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_broken_and_put_back() {
    let Some(world) = World::up("faults", COMPOSE).await else { return };
    super::lab::make_still_image(&*world.lab.shell()).await;
    world.run(&["docker-compose", "-p", "x", "up", "-d"]).await;
    let runs = |name: &'static str, not: f64| {
        let world = &world;
        async move { world.service(name).await.is_some_and(|c| c.running() && c.started_at != not) }
    };
    let since = |container: Option<Container>| container.map_or(0.0, |c| c.started_at);

    // Killed from outside of it, a policy answers; where there is none it stays down.
    let before = since(world.service("app").await);
    let (made, notes) = world.tried("kill", "{role: app}").await.unwrap();
    assert!(made.undos.is_empty() && notes.is_empty());
    assert!(live::eventually(SOON, || runs("app", before)).await, "`restart: always` did not answer");
    let (made, _) = world.tried("kill", "{role: db}").await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(world.service("db").await.unwrap().exit_code, 137);
    let undos = all_started(&world.stack, &made.victims).await.unwrap();
    assert!(!world.whole(&undos).await);
    world.healed(&Made { undos, ..made }).await;
    // A signal that its first process does not hear breaks nothing.
    let error = world.tried("kill", "{role: db, signal: HUP}").await.err().unwrap();
    assert!(error.reason == Reason::NotHere && error.text.en.contains("goes on after HUP"), "{error}");

    let made = world.made("stop", "{role: db}").await;
    assert_eq!(world.service("db").await.unwrap().state, "exited");
    world.healed(&made).await;
    assert!(runs("db", 0.0).await);

    let made = world.made("pause", "{role: app}").await;
    assert_eq!(world.service("app").await.unwrap().state, "paused");
    world.healed(&made).await;
    assert!(runs("app", 0.0).await);

    let before = world.service("db").await.unwrap();
    let made = world.made("remove", "{role: db}").await;
    assert!(world.service("db").await.is_none());
    world.healed(&made).await;
    let after = world.service("db").await.unwrap();
    assert!(after.running() && after.id != before.id && after.name == before.name);

    let made = world.made("isolate", "{role: db}").await;
    world.healed(&made).await;

    // Its own process is killed, not what takes its memory.
    let before = since(world.service("app").await);
    let (_, notes) = world.tried("exhaust_memory", "{role: app}").await.unwrap();
    assert_eq!(notes, ["at the limit of 64 MiB the kernel killed dd"]);
    assert!(live::eventually(SOON, || runs("app", before)).await);
    let error = world.tried("exhaust_memory", "{role: db}").await.err().unwrap();
    assert!(error.reason == Reason::NotHere && error.text.en.contains("no memory limit in force"), "{error}");
    world.lab.down().await.unwrap();
}

/// Two nodes with a network of their own, one of them with a disk.
async fn machines(world: &World) -> Machines {
    let shell = world.lab.shell();
    world.run(&["docker", "network", "create", "--subnet", "192.168.57.0/24", "private"]).await;
    world.run(&["truncate", "--size=512M", "/var/lib/docker/disk"]).await;
    let free = world.run(&["losetup", "--find"]).await;
    let number = free.trim_start_matches("/dev/loop").to_owned();
    // The next free one may have no node in the lab yet.
    let _ = shell.run(&Cmd::new(["mknod", &free, "b", "7", &number])).await.unwrap();
    world.run(&["losetup", &free, "/var/lib/docker/disk"]).await;
    let mut nodes = Vec::new();
    for (name, address) in [("worker1", "192.168.57.11"), ("worker2", "192.168.57.12")] {
        let run = "docker run --detach --cap-add SYS_ADMIN --cap-add NET_ADMIN --cap-add SYS_PTRACE --cap-add NET_RAW \
            --security-opt seccomp=unconfined --security-opt apparmor=unconfined --tmpfs /run:rw,exec --tmpfs /run/lock \
            --volume /sys/fs/cgroup:/sys/fs/cgroup --memory 512m";
        let device = format!("{free}:/dev/sdb");
        let words = run.split_ascii_whitespace().chain(["--device", &device, "--name", name, "--hostname", name]);
        let cmd = Cmd::new(words).arg("imparcial/node:current").timeout(MINUTE);
        let id = shell.must(&cmd).await.unwrap().out().trim().to_owned();
        world.run(&["docker", "network", "connect", "--ip", address, "private", name]).await;
        let def = MachineDef { name: name.into(), autostart: true, ..MachineDef::default() };
        let disks = vec![NodeDisk { device: "/dev/sdb".into(), behind: free.clone(), bytes: 512 << 20 }];
        nodes.push(Node { def, container: Some(id), disks, ..Node::default() });
    }
    Machines { provider: "docker".into(), nodes, ..Machines::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_is_broken_and_put_back() {
    let Some(mut world) = World::up("machines", "services: {app: {image: x}}\n").await else { return };
    let machines = machines(&world).await;
    let disk = machines.nodes[0].disks[0].behind.clone();
    world.stack = Arc::new(Stack { machines, ..stack_of(&world.lab, world._dir.path()) });
    let ping = ["ping", "-c", "1", "-W", "1", "192.168.57.12"];
    let hears = async || world.succeeds("worker1", &ping).await;
    assert!(live::eventually(SOON, hears).await, "the machines do not hear from each other");

    for (name, params) in [("isolate", "{node: worker2}"), ("partition", "{node: worker1}")] {
        let made = world.made(name, params).await;
        assert!(!hears().await, "{name}");
        // What manages a machine still reaches it.
        let address = world.run(&["docker", "inspect", "--format={{.NetworkSettings.IPAddress}}", "worker2"]).await;
        assert!(world.succeeds("worker1", &["ping", "-c", "1", "-W", "1", &address]).await, "{name}");
        world.healed(&made).await;
        assert!(hears().await, "{name}");
    }

    let error = world.tried("fill", "{node: worker2}").await.err().unwrap();
    assert!(error.reason == Reason::NotHere && error.text.en.contains("nothing to fill"), "{error}");
    for step in [&["mkfs.xfs", "-q", "/dev/sdb"][..], &["mkdir", "/data"], &["mount", "/dev/sdb", "/data"]] {
        assert!(world.succeeds("worker2", step).await, "{step:?}");
    }
    let write = ["dd", "if=/dev/zero", "of=/data/new", "bs=1M", "count=1", "status=none"];
    let made = world.made("fill", "{node: worker2}").await;
    assert!(!world.succeeds("worker2", &write).await, "there is space left");
    world.healed(&made).await;
    assert!(world.succeeds("worker2", &write).await);
    assert!(world.succeeds("worker2", &["umount", "/data"]).await);

    let error = world.tried("kill_brick", "{node: worker2}").await.err().unwrap();
    assert!(error.text.en.contains("no brick"), "{error}");

    // What a play wrote into a file that the engine writes anew is there after a start.
    let hosts = world.run(&["docker", "inspect", "--format={{.HostsPath}}", "worker2"]).await;
    world.lab.shell().must(&Cmd::new(["tee", "-a", &hosts]).stdin("192.168.57.11 db\n")).await.unwrap();
    let knows = async || world.succeeds("worker2", &["grep", "-qx", "192.168.57.11 db", "/etc/hosts"]).await;
    assert!(knows().await);
    for name in ["crash", "shutdown"] {
        let made = world.made(name, "{node: worker2}").await;
        assert!(!hears().await, "{name}");
        world.healed(&made).await;
        assert!(knows().await && live::eventually(SOON, hears).await, "{name}");
    }
    let started = async || world.run(&["docker", "inspect", "--format={{.State.StartedAt}}", "worker2"]).await;
    let before = started().await;
    let (made, _) = world.tried("reboot", "{node: worker2}").await.unwrap();
    assert!(world.whole(&made.undos).await && knows().await && started().await != before);

    let _ = world.lab.shell().run(&Cmd::new(["docker", "rm", "--force", "worker1", "worker2"]).timeout(MINUTE)).await;
    let _ = world.lab.shell().run(&Cmd::new(["losetup", "--detach", &disk])).await;
    world.lab.down().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_process_left_broken_of_somebody_elses_is_put_back() {
    let Some(engine) = live::engine().await else { return };
    let run = live::run_name("left");
    let name = format!("imparcial-{run}");
    let docker = async |args: &[&str]| {
        Local.must(&Cmd::new(["docker"]).args(args.iter().copied()).timeout(MINUTE)).await.unwrap();
    };
    docker(&["run", "--detach", "--rm", "--name", &name, "--entrypoint", "sleep", "imparcial/lab", "1000"]).await;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("docker-compose.yml"), "services: {app: {image: x}}\n").unwrap();
    let submission = imparcial::submission::read(dir.path(), &ReadOptions::default()).unwrap();
    let stack = Arc::new(stack::stack(engine.clone(), run.clone(), dir.path(), submission));
    let victims = vec![Victim::Service(Box::new(engine.container(&name).await.unwrap()))];
    let state = async || engine.container(&name).await.unwrap().state;

    let home = tempfile::tempdir().unwrap();
    let pause = fault("pause", "{role: app}");
    let undos = pause.inverse(&stack, &victims).await.unwrap();
    for (run, ground) in [(run.clone(), Ground::Attached), (format!("{run}-lab"), Ground::Lab)] {
        HealLog::open(home.path(), &run, ground).planned("drill", &undos).unwrap();
    }
    pause.inject(&stack, &victims).await.unwrap();
    assert_eq!(state().await, "paused");
    // Its process lives: it is nobody else's business.
    assert!(heal_left(home.path(), None, &engine).await.unwrap().is_empty());
    assert_eq!(state().await, "paused");

    let this = Owner::this();
    let dead = Owner { started: this.started + 1, ..this.clone() };
    for log in std::fs::read_dir(home.path().join("faults")).unwrap() {
        let path = log.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap().replace(&this.tag(), &dead.tag());
        std::fs::write(path, text).unwrap();
    }
    assert_eq!(left_behind(home.path()).len(), 2);
    let healed = heal_left(home.path(), Some(&run), &engine).await.unwrap();
    assert_eq!((healed, state().await), (vec![run.clone()], "running".to_owned()));
    // Of a lab that is gone there is nothing to undo.
    assert!(heal_left(home.path(), None, &engine).await.unwrap().is_empty());
    assert!(left_behind(home.path()).is_empty());
    docker(&["rm", "--force", "--volumes", &name]).await;
}

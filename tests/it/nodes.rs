//! The kinds that look at machines, at a real node with a real extra disk: a loop device of this host's.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bollard::models::{DeviceMapping, HostConfig};
use imparcial::docker::Engine;
use imparcial::exec::{Cmd, ShellExt};
use imparcial::lab::{Lab, LabSpec, registry};
use imparcial::notice::Reason;
use imparcial::probe::{Observation, ProbeError};
use imparcial::stack::Stack;
use imparcial::stack::machines::{Machines, Node, NodeDisk};
use imparcial::submission::machines::{DiskDef, Loaded, MachineDef, Vagrantfile};
use imparcial::submission::{ReadOptions, Submission};
use serde_json::{Value, json};
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, GenericImage, ImageExt};
use tokio::process::Command;

use super::live;
use super::stack::{self, look};

const FIVE: u64 = 5 << 30;
const MEMORY: u64 = 512 << 20;

/// A block device with a file of its own behind it, let go of however the test ends.
struct Loop {
    device: String,
    _file: tempfile::NamedTempFile,
}

impl Loop {
    fn new() -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(FIVE).unwrap();
        let make = ["--find", "--show", "--partscan"];
        let made = std::process::Command::new("losetup").args(make).arg(file.path()).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self { device: String::from_utf8(made.stdout).unwrap().trim().to_owned(), _file: file }
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = std::process::Command::new("losetup").args(["--detach", &self.device]).status();
    }
}

/// As a lab's Vagrant starts one.
async fn node(name: &str, disk: &str) -> ContainerAsync<GenericImage> {
    let list = |words: &str| Some(words.split(' ').map(str::to_owned).collect::<Vec<_>>());
    let disk = disk.to_owned();
    let as_machine = move |host: &mut HostConfig| {
        host.cap_add = list("SYS_ADMIN NET_ADMIN SYS_PTRACE NET_RAW IPC_LOCK SYS_NICE SYSLOG DAC_READ_SEARCH");
        host.security_opt = list("seccomp=unconfined apparmor=unconfined");
        let folder = |path: &str, options: &str| (path.to_owned(), options.to_owned());
        host.tmpfs = Some([folder("/run", "rw,exec"), folder("/run/lock", ""), folder("/tmp", "rw,exec")].into());
        host.binds = list("/sys/fs/cgroup:/sys/fs/cgroup:ro");
        host.device_cgroup_rules = Some(vec!["b 7:* rwm".to_owned(), "b 259:* rwm".to_owned()]);
        host.memory = Some(MEMORY as i64);
        host.nano_cpus = Some(1_000_000_000);
        host.devices = Some(vec![DeviceMapping {
            path_on_host: Some(disk.clone()),
            path_in_container: Some("/dev/sdb".to_owned()),
            cgroup_permissions: Some("rwm".to_owned()),
        }]);
    };
    GenericImage::new("imparcial/node", "latest")
        .with_container_name(name)
        .with_hostname("master")
        .with_host_config_modifier(as_machine)
        .start()
        .await
        .expect("the image imparcial/node is made by `imparcial setup`")
}

struct World {
    stack: Arc<Stack>,
    container: ContainerAsync<GenericImage>,
    disk: Loop,
    _dir: tempfile::TempDir,
}

impl World {
    async fn up() -> Option<Self> {
        let engine = live::engine().await?;
        let disk = Loop::new();
        let container = node(&format!("imparcial-{}", live::run_name("node")), &disk.device).await;
        let dir = tempfile::tempdir().unwrap();
        let stack = Arc::new(with_machines(engine, dir.path(), container.id(), &disk.device).await);
        Some(Self { stack, container, disk, _dir: dir })
    }

    async fn look(&self, kind: &str, params: &str) -> Observation {
        look(&self.stack, kind, params).await.unwrap_or_else(|e| panic!("{kind} {params}: {e}"))
    }

    async fn tried(&self, kind: &str, params: &str) -> Result<Observation, ProbeError> {
        look(&self.stack, kind, params).await
    }

    /// A fact of one machine.
    async fn fact(&self, kind: &str, params: &str, fact: &str) -> Value {
        let seen = self.look(kind, params).await;
        seen.subjects[0].1.get(fact).cloned().unwrap_or_default()
    }

    /// Runs something in the node, as a play would.
    async fn play(&self, argv: &[&str]) {
        let (ok, said) = self.played(argv).await;
        assert!(ok, "{argv:?}: {said}");
    }

    async fn played(&self, argv: &[&str]) -> (bool, String) {
        let output = Command::new("docker").args(["exec", self.container.id()]).args(argv).output().await.unwrap();
        (output.status.success(), String::from_utf8_lossy(&[output.stderr, output.stdout].concat()).into_owned())
    }
}

async fn with_machines(engine: Engine, root: &Path, id: &str, disk: &str) -> Stack {
    let own = engine.container(id).await.unwrap();
    let def = MachineDef {
        name: "master".into(),
        autostart: true,
        boxed: Some("centos/7".into()),
        hostname: Some("master".into()),
        addresses: own.addresses.values().cloned().collect(),
        private_networks: 1,
        memory_bytes: Some(MEMORY),
        cpus: Some(1.0),
        disks: vec![DiskDef { name: "master.vdi".into(), bytes: Some(FIVE), attached: true, ..DiskDef::default() }],
        ..MachineDef::default()
    };
    let asleep = MachineDef { name: "worker1".into(), autostart: false, ..MachineDef::default() };
    let disks = vec![NodeDisk { device: "/dev/sdb".into(), behind: disk.to_owned(), bytes: FIVE }];
    let nodes = vec![
        Node { def: def.clone(), container: Some(id.to_owned()), disks, ..Node::default() },
        Node { def: asleep.clone(), ..Node::default() },
    ];
    std::fs::write(root.join("docker-compose.yml"), "services: {app: {image: x}}\n").unwrap();
    let read = imparcial::submission::read(root, &ReadOptions::default()).unwrap();
    let vagrantfile = Vagrantfile { path: "Vagrantfile".into(), loaded: Loaded::Machines(vec![def, asleep]) };
    let submission = Submission { vagrantfile: Some(vagrantfile), ..read };
    let mut stack = stack::stack(engine, format!("imparcial-{}", live::run_name("nodes")), root, submission);
    stack.machines = Machines { provider: "docker".into(), nodes, ..Machines::default() };
    stack
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_seen_from_outside() {
    let Some(world) = World::up().await else { return };
    let ready = || async { world.fact("machine", "{on: first}", "ssh").await == json!(true) };
    assert!(live::eventually(Duration::from_secs(60), ready).await, "no SSH server greets");

    let seen = world.look("machine", "{on: master}").await;
    let facts = &seen.subjects[0].1;
    for fact in ["running", "hostname_as_declared", "address_as_declared", "memory_as_declared"] {
        assert_eq!(facts[fact], json!(true), "{fact}: {seen:?}");
    }
    assert_eq!((&facts["box_family"], &facts["cpus"], &seen.explanation), (&json!("centos7"), &json!(1.0), &None));
    let seen = world.look("machine", "{}").await;
    let running: Vec<_> = seen.subjects.iter().map(|(name, facts)| (name.as_str(), facts["running"].clone())).collect();
    assert_eq!(running, [("master", json!(true)), ("worker1", json!(false))]);
    assert!(seen.explanation.unwrap().en.contains("`vagrant up` does not start worker1"));
    let seen = world.look("disk", "{on: worker9}").await;
    assert!(seen.explanation.unwrap().en.contains("no machine called worker9; it defines: master, worker1"));
    assert_eq!(world.fact("vagrantfile", "{}", "machines").await, json!(2));

    // What the kernel calls it counts, not what a file of its says.
    world.play(&["hostname", "other"]).await;
    assert_eq!(world.fact("machine", "{on: first}", "hostname_as_declared").await, json!(false));

    assert_eq!(world.fact("process", "{on: first, name: sshd}", "running").await, json!(true));
    assert_eq!(world.fact("process", "{on: first, name: glusterd}", "count").await, json!(0));
    assert_eq!(world.fact("port", "{on: first, port: 22}", "address").await, json!("0.0.0.0"));
    assert_eq!(world.fact("port", "{on: first, port: 3306}", "listening").await, json!(false));
    assert_eq!(world.fact("service", "{on: first, name: ssh}", "active").await, json!(true));
    assert_eq!(world.fact("service", "{on: first, name: nothing}", "exists").await, json!(false));
    assert_eq!(world.fact("package", "{on: first, name: openssh-server}", "installed").await, json!(true));
    assert_eq!(world.fact("package", "{on: first, name: nothing}", "installed").await, json!(false));
    assert_eq!(world.fact("file", "{node: first, path: /dev/sdb}", "kind").await, json!("device"));
    assert_eq!(world.fact("command", "{node: first, argv: [id, -un]}", "stdout").await, json!("root"));
    let tcp = "{host: localhost, port: 22, from: {node: master}}";
    assert_eq!(world.fact("tcp", tcp, "connected").await, json!(true), "its own loopback");
    assert_eq!(world.fact("dns", "{name: localhost, from: {node: first}}", "resolves").await, json!(true));
    let seen = world.look("tcp", "{host: localhost, port: 22, from: {node: worker1}}").await;
    assert_eq!(seen.subjects[0].1["connected"], json!(false), "{seen:?}");

    world.container.stop_with_timeout(Some(0)).await.unwrap();
    let error = world.tried("machine", "{on: first}").await.unwrap_err();
    assert_eq!(error.reason, Reason::StandIn, "a virtual machine might not have ended");
    assert!(error.text.en.contains("machine master is not running: it ended with status"), "{}", error.text.en);
}

/// Where it counts: the lab's agent sees into containers of the lab's engine, and reads the lab's own loop devices.
#[tokio::test(flavor = "multi_thread")]
async fn a_lab_sees_into_its_nodes() {
    if live::engine().await.is_none() {
        return;
    }
    let handed_in = tempfile::tempdir().unwrap();
    std::fs::write(handed_in.path().join("docker-compose.yml"), "services: {app: {image: x}}\n").unwrap();
    let spec = live::spec("nodes", handed_in.path());
    let lab = Lab::start(LabSpec { mirrors: vec![registry::MIRROR.to_owned()], ..spec }).await.unwrap();
    let shell = lab.shell();
    let minute = Duration::from_secs(60);
    shell.must(&Cmd::new(["truncate", "--size=5G", "/var/lib/docker/disk"])).await.unwrap();
    // The next free one may have no node in the lab yet.
    let free = shell.must(&Cmd::new(["losetup", "--find"])).await.unwrap().out().trim().to_owned();
    let number = free.trim_start_matches("/dev/loop").to_owned();
    let _ = shell.run(&Cmd::new(["mknod", &free, "b", "7", &number])).await.unwrap();
    shell.must(&Cmd::new(["losetup", "--partscan", &free, "/var/lib/docker/disk"])).await.unwrap();
    let run = "docker run --detach --name node --hostname master --cap-add SYS_ADMIN --cap-add NET_ADMIN --cap-add SYS_PTRACE \
        --security-opt seccomp=unconfined --security-opt apparmor=unconfined --tmpfs /run:rw,exec --tmpfs /run/lock --tmpfs /tmp:rw,exec \
        --device-cgroup-rule=b\u{a0}7:*\u{a0}rwm --volume /sys/fs/cgroup:/sys/fs/cgroup:ro --memory 512m --cpus 1";
    let words = run.split_ascii_whitespace().map(|word| word.replace('\u{a0}', " "));
    let run =
        Cmd::new(words).arg("--device").arg(format!("{free}:/dev/sdb")).arg("imparcial/node:current").timeout(minute);
    let id = shell.must(&run).await.map(|output| output.out().trim().to_owned());
    let checked = match &id {
        Ok(id) => Ok(in_a_lab(&lab, handed_in.path(), id, &free).await),
        Err(error) => Err(error.to_string()),
    };
    let _ = shell.run(&Cmd::new(["docker", "rm", "--force", "node"]).timeout(minute)).await;
    let _ = shell.run(&Cmd::new(["losetup", "--detach", &free])).await;
    lab.down().await.unwrap();
    assert_eq!(checked, Ok(Vec::<String>::new()));
}

/// What was not as it should be.
async fn in_a_lab(lab: &Lab, root: &Path, id: &str, disk: &str) -> Vec<String> {
    let mut stack = with_machines(lab.engine().clone(), root, id, disk).await;
    stack.ground = lab.spot();
    let stack = Arc::new(stack);
    let fact = async |kind: &str, params: &str, name: &str| {
        let seen = look(&stack, kind, params).await;
        seen.map_or_else(|e| json!(e.to_string()), |seen| seen.subjects[0].1.get(name).cloned().unwrap_or_default())
    };
    let ready = || async { fact("machine", "{on: first}", "ssh").await == json!(true) };
    live::eventually(Duration::from_secs(60), ready).await;
    let mut wrong = Vec::new();
    let mut expect = async |kind: &str, params: &str, name: &str, wanted: Value| {
        let seen = fact(kind, params, name).await;
        if seen != wanted {
            wrong.push(format!("{kind} {params} {name}: {seen}"));
        }
    };
    expect("machine", "{on: first}", "ssh", json!(true)).await;
    expect("machine", "{on: first}", "hostname_as_declared", json!(true)).await;
    expect("machine", "{on: first}", "address_as_declared", json!(true)).await;
    expect("machine", "{on: first}", "memory_as_declared", json!(true)).await;
    expect("process", "{on: first, name: sshd}", "running", json!(true)).await;
    expect("port", "{on: first, port: 22}", "listening", json!(true)).await;
    expect("service", "{on: first, name: ssh}", "active", json!(true)).await;
    expect("tcp", "{host: localhost, port: 22, from: {node: first}}", "connected", json!(true)).await;
    expect("disk", "{on: first, min_size: 5GB}", "filesystem", json!("none")).await;
    let shell = lab.shell();
    // What fails here shows in what is expected next.
    let play = async |argv: &[&str]| {
        let cmd = Cmd::new(["docker", "exec", id]).args(argv.iter().copied()).timeout(Duration::from_secs(60));
        let _ = shell.run(&cmd).await;
    };
    play(&["mkfs.xfs", "-q", "/dev/sdb"]).await;
    play(&["mkdir", "/data"]).await;
    play(&["mount", "/dev/sdb", "/data"]).await;
    expect("disk", "{on: first, min_size: 5GB}", "filesystem", json!("xfs")).await;
    expect("disk", "{on: first, min_size: 5GB}", "mount_points", json!(["/data"])).await;
    expect("mount", "{on: first, path: /data}", "from_extra_disk", json!(true)).await;
    play(&["umount", "/data"]).await;
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_is_empty_formatted_mounted_and_partitioned() {
    let Some(world) = World::up().await else { return };
    let disk = "{on: first, min_size: 5GB}";
    let seen = world.look("disk", disk).await;
    let facts = &seen.subjects[0].1;
    assert_eq!(
        (&facts["present"], &facts["size_bytes"], &facts["device"]),
        (&json!(true), &json!(FIVE), &json!("/dev/sdb"))
    );
    assert_eq!((&facts["formatted"], &facts["filesystem"]), (&json!(false), &json!("none")), "{seen:?}");
    assert_eq!(world.fact("disk", "{on: first, min_size: 8GB}", "present").await, json!(false));

    world.play(&["mkfs.xfs", "-q", "/dev/sdb"]).await;
    world.play(&["mkdir", "-p", "/data"]).await;
    let seen = world.look("disk", disk).await;
    let facts = &seen.subjects[0].1;
    assert_eq!((&facts["filesystem"], &facts["mounted"]), (&json!("xfs"), &json!(false)), "{seen:?}");
    let seen = world.look("mount", "{on: first, path: /data}").await;
    assert_eq!(seen.subjects[0].1["exists"], json!(false), "a folder alone");
    assert!(seen.explanation.unwrap().en.contains("/data is a folder like any other"));

    world.play(&["mount", "/dev/sdb", "/data"]).await;
    let seen = world.look("disk", disk).await;
    let facts = &seen.subjects[0].1;
    assert_eq!((&facts["mounted"], &facts["mount_points"]), (&json!(true), &json!(["/data"])), "{seen:?}");
    let seen = world.look("mount", "{on: first, path: /data/}").await;
    let facts = &seen.subjects[0].1;
    assert_eq!((&facts["from_extra_disk"], &facts["filesystem"]), (&json!(true), &json!("xfs")), "{seen:?}");
    assert_eq!((&facts["source"], &facts["in_fstab"]), (&json!("/dev/sdb"), &json!(false)));
    world.play(&["sed", "-i", "$ a /dev/sdb /data xfs defaults 0 0", "/etc/fstab"]).await;
    assert_eq!(world.fact("mount", "{on: first}", "in_fstab").await, json!(true), "without a path, the extra disk's");

    world.play(&["umount", "/data"]).await;
    // Whoever started in the node while it was mounted may have the mount in a namespace of its own for a moment more.
    let wiped = || async { world.played(&["wipefs", "--all", "--quiet", "/dev/sdb"]).await.0 };
    assert!(live::eventually(Duration::from_secs(60), wiped).await, "{:?}", world.played(&["lsblk"]).await);
    assert_eq!(world.fact("disk", disk, "formatted").await, json!(false), "wiped");
    world.play(&["parted", "-s", "/dev/sdb", "mklabel", "msdos", "mkpart", "primary", "1MiB", "100%"]).await;
    assert_eq!(world.fact("disk", disk, "filesystem").await, json!("dos"));
    let name = world.disk.device.trim_start_matches("/dev/");
    let number = std::fs::read_to_string(format!("/sys/class/block/{name}/{name}p1/dev")).unwrap();
    let (major, minor) = number.trim().split_once(':').unwrap();
    world.play(&["mknod", "/dev/sdb1", "b", major, minor]).await;
    world.play(&["mkfs.ext4", "-q", "/dev/sdb1"]).await;
    assert_eq!(world.fact("disk", disk, "filesystem").await, json!("ext4"));
    assert_eq!(world.fact("disk", disk, "mounted").await, json!(false));
    world.play(&["mount", "/dev/sdb1", "/data"]).await;
    let seen = world.look("disk", disk).await;
    let facts = &seen.subjects[0].1;
    assert_eq!((&facts["filesystem"], &facts["mount_points"]), (&json!("ext4"), &json!(["/data"])), "{seen:?}");
    assert_eq!(world.fact("mount", "{on: first, path: /data}", "from_extra_disk").await, json!(true));

    // Another device under the old name is ours to explain, and nobody's fault.
    world.play(&["umount", "/data"]).await;
    world.play(&["rm", "/dev/sdb"]).await;
    let error = look(&world.stack, "disk", disk).await.unwrap_err();
    assert!(error.text.en.contains("is not the disk that it was given"), "{error}");
}

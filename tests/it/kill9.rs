//! kill -9 at random moments of a run: ten seconds later nothing of it is left, and another run has noticed nothing.
//!
//! Two kills by default. `IMPARCIAL_KILLS=30 cargo test --test it -- --nocapture kill9` asks for more and then looks at the
//! whole machine, so nothing else may be using it; `IMPARCIAL_SEED` asks for other moments.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bollard::query_parameters::{
    InspectContainerOptions, ListContainersOptionsBuilder, ListNetworksOptions, ListVolumesOptions,
};
use imparcial::docker::Engine;
use imparcial::exec::{Cmd, ShellExt};
use imparcial::lab::{Lab, sweep};

use crate::live::{engine, spec};

/// What is promised, on a machine that does nothing else.
const PROMISED: Duration = Duration::from_secs(10);
/// Beside the other tests, which start labs too.
pub(crate) const SHARED: Duration = Duration::from_secs(45);
/// About as long as the reference takes, machines and all; a moment after its end is drawn anew.
const SPAN_MS: u64 = 70_000;

/// The same moments every time, unless others are asked for.
pub(crate) const SEED: u64 = 9;

/// What the environment asks for, where it does.
pub(crate) fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|n| n.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Moments that can be repeated: splitmix64.
pub(crate) struct Moments(pub(crate) u64);

impl Moments {
    pub(crate) fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % below
    }
}

/// A grading that will be killed.
pub(crate) struct Run {
    pub(crate) child: Child,
    pub(crate) name: String,
    temp: tempfile::TempDir,
    pub(crate) reports: tempfile::TempDir,
    pub(crate) said: Arc<Mutex<String>>,
}

impl Run {
    /// Starts one and waits for its first sign: its record. Without drills: those have kills of their own.
    async fn start() -> Self {
        Self::of(&["scenarios/seed/reference", "--scenario", "seed", "--layers", "machines,services"]).await
    }

    pub(crate) async fn of(graded: &[&str]) -> Self {
        let (temp, reports) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_imparcial"));
        command.args(["--lang", "en", "grade"]).args(graded).arg("--reports");
        command.arg(reports.path()).env("TMPDIR", temp.path()).current_dir(env!("CARGO_MANIFEST_DIR"));
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let (stderr, last) = (child.stderr.take().unwrap(), said.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                *last.lock().unwrap() = line.split('(').next().unwrap_or_default().trim().to_owned();
            }
        });
        let deadline = Instant::now() + Duration::from_secs(30);
        let name = loop {
            let folders = fs::read_dir(reports.path()).unwrap().flatten();
            // It is there some time before what is in it.
            let folders = folders.filter(|e| e.path().join("record.json").exists());
            let mut names = folders.map(|e| e.file_name().into_string().unwrap());
            if let Some(name) = names.find(|name| name.starts_with("20")) {
                break name;
            }
            assert!(Instant::now() < deadline, "no run began");
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        Self { child, name, temp, reports, said }
    }
}

/// The whole machine, as far as a run changes it.
#[derive(PartialEq)]
pub(crate) struct Machine {
    containers: BTreeSet<String>,
    networks: BTreeSet<String>,
    volumes: BTreeSet<String>,
    loops: BTreeSet<String>,
    mounts: BTreeSet<String>,
}

impl Machine {
    pub(crate) async fn now(engine: &Engine) -> Self {
        let docker = engine.docker();
        let all = ListContainersOptionsBuilder::new().all(true).build();
        let containers = docker.list_containers(Some(all)).await.unwrap();
        let networks = docker.list_networks(None::<ListNetworksOptions>).await.unwrap();
        let volumes = docker.list_volumes(None::<ListVolumesOptions>).await.unwrap();
        let root = docker.info().await.unwrap().docker_root_dir.unwrap();
        let mounts = fs::read_to_string("/proc/mounts").unwrap();
        let mounts = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        Self {
            containers: containers.into_iter().filter_map(|c| c.id).collect(),
            networks: networks.into_iter().filter_map(|n| n.name).collect(),
            volumes: volumes.volumes.unwrap_or_default().into_iter().map(|v| v.name).collect(),
            loops: loops(Path::new(&root)),
            mounts: mounts.filter(|at| Path::new(at).starts_with(&root)).map(str::to_owned).collect(),
        }
    }

    /// What is here and was not there before.
    pub(crate) fn beyond(&self, before: &Self) -> Vec<String> {
        let pairs = [
            ("container", &self.containers, &before.containers),
            ("network", &self.networks, &before.networks),
            ("volume", &self.volumes, &before.volumes),
            ("loop device", &self.loops, &before.loops),
            ("mount", &self.mounts, &before.mounts),
        ];
        let new = |(what, now, was): (&str, &BTreeSet<String>, &BTreeSet<String>)| {
            now.difference(was).map(|thing| format!("{what} {thing}")).collect::<Vec<_>>()
        };
        pairs.into_iter().flat_map(new).collect()
    }
}

/// Loop devices whose file lies on the filesystem of this engine (a host may have another, with labs of its own), and those
/// of machines' disks, whose files lie in a lab's.
fn loops(root: &Path) -> BTreeSet<String> {
    let list = ["--list", "--noheadings", "--raw", "--output", "BACK-MAJ:MIN,NAME,BACK-FILE"];
    let listed = Command::new("losetup").args(list).output().unwrap();
    let device = fs::metadata(root).unwrap().dev();
    let own = format!("{}:{} ", nix::sys::stat::major(device), nix::sys::stat::minor(device));
    String::from_utf8_lossy(&listed.stdout)
        .lines()
        .filter(|line| line.starts_with(&own) || line.contains("imparcial-disk-"))
        .map(str::to_owned)
        .collect()
}

/// What a run had just before it was killed.
pub(crate) struct Had {
    id: Option<String>,
    volumes: Vec<String>,
    /// Number and start of each of its processes: those below it, and those in its lab.
    processes: Vec<(u32, String)>,
}

pub(crate) async fn had(engine: &Engine, run: &Run) -> Had {
    let name = format!("imparcial-{}", run.name);
    let lab = engine.docker().inspect_container(&name, None::<InspectContainerOptions>).await.ok();
    let id = lab.as_ref().and_then(|lab| lab.id.clone());
    let mounts = lab.and_then(|lab| lab.mounts).unwrap_or_default();
    let mut known = BTreeSet::from([run.child.id()]);
    // Twice, since a child may have a lower number than its parent.
    let all = processes();
    for _ in 0..3 {
        for (pid, parent, _) in &all {
            if known.contains(parent) {
                known.insert(*pid);
            }
        }
    }
    let ours = |pid: u32| known.contains(&pid) || names(pid, &run.name, id.as_deref());
    Had {
        volumes: mounts.into_iter().filter(|m| m.rw == Some(true)).filter_map(|m| m.name).collect(),
        processes: all.iter().filter(|(pid, ..)| ours(*pid)).map(|(pid, _, began)| (*pid, began.clone())).collect(),
        id,
    }
}

/// Number, parent and start of every process that has not ended.
fn processes() -> Vec<(u32, u32, String)> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let numbers = entries.filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    let about = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        (fields[0] != "Z").then(|| (pid, fields[1].parse().unwrap(), fields[19].to_owned()))
    };
    numbers.filter_map(about).collect()
}

/// Whether its command line or its control group bears the run's name or its lab's id.
fn names(pid: u32, run: &str, id: Option<&str>) -> bool {
    let read =
        |file: &str| String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default()).into_owned();
    let text = read("cmdline") + &read("cgroup");
    text.contains(run) || id.is_some_and(|id| text.contains(id))
}

/// All that is left of a run.
pub(crate) async fn left(engine: &Engine, run: &Run, had: &Had) -> Vec<String> {
    let mut found = Vec::new();
    for left in sweep::left(engine).await.unwrap().into_iter().filter(|left| left.run == run.name) {
        found.push(format!("labelled: {left:?}"));
    }
    if let Some(id) = &had.id {
        let there = engine.docker().inspect_container(id, None::<InspectContainerOptions>).await.is_ok();
        found.extend(there.then(|| format!("container {id}")));
    }
    for volume in &had.volumes {
        let there = engine.docker().inspect_volume(volume).await.is_ok();
        found.extend(there.then(|| format!("volume {volume}")));
        let path = format!("/{volume}/");
        let mounts = fs::read_to_string("/proc/mounts").unwrap();
        found.extend(mounts.lines().filter(|line| line.contains(&path)).map(|line| format!("mount {line}")));
    }
    for (pid, _, began) in processes() {
        if had.processes.contains(&(pid, began)) || names(pid, &run.name, had.id.as_deref()) {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            found.push(format!("process {pid} {}", String::from_utf8_lossy(&line).replace('\0', " ")));
        }
    }
    for controller in fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
        let folder = controller.path().join("imparcial").join(&run.name);
        found.extend(folder.exists().then(|| format!("cgroup folder {}", folder.display())));
    }
    found.extend(inside(run.temp.path()).into_iter().map(|path| format!("temporary {}", path.display())));
    let half = inside(&run.reports.path().join(&run.name));
    let half = half.into_iter().filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with('.'));
    found.extend(half.map(|path| format!("half a file {}", path.display())));
    found
}

fn inside(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect()
}

/// What is still there, looked for until it is nothing or so much time has passed since the kill; and how long that took.
pub(crate) async fn until_nothing(
    killed: Instant,
    within: Duration,
    look: impl AsyncFn() -> Vec<String>,
) -> (Vec<String>, Duration) {
    loop {
        let still = look().await;
        if still.is_empty() || killed.elapsed() >= within {
            return (still, killed.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kill9_at_random_moments_leaves_nothing_and_touches_no_other_run() {
    let Some(host) = engine().await else { return };
    let (many, seed) = (asked("IMPARCIAL_KILLS"), asked("IMPARCIAL_SEED").unwrap_or(SEED));
    let (kills, within) = (many.unwrap_or(2), if many.is_some() { PROMISED } else { SHARED });
    eprintln!("{kills} kills, IMPARCIAL_SEED={seed}");

    // Another run, which lives all the while.
    let handed_in = tempfile::tempdir().unwrap();
    let other = Lab::start(spec("bystander", handed_in.path())).await.unwrap();
    let before = Machine::now(&host).await;
    let mut moments = Moments(seed);
    let (mut table, mut dirty) = (Vec::new(), 0_u64);
    while (table.len() as u64) < kills {
        let mut run = Run::start().await;
        let moment = Duration::from_millis(moments.next(SPAN_MS));
        tokio::time::sleep(moment).await;
        let had = had(&host, &run).await;
        run.child.kill().unwrap();
        let killed = Instant::now();
        let ended = run.child.wait().unwrap();
        if ended.signal() != Some(9) {
            // It was over before: not a moment of a run.
            assert_eq!(ended.code(), Some(0), "the reference: {}", run.said.lock().unwrap());
            continue;
        }
        let record = fs::read_to_string(run.reports.path().join(&run.name).join("record.json")).unwrap();
        assert!(record.contains("\"interrupted\": true"), "{record}");
        let (still, after) = until_nothing(killed, within, async || {
            let mut still = left(&host, &run, &had).await;
            if many.is_some() {
                still.extend(Machine::now(&host).await.beyond(&before));
            }
            still
        })
        .await;
        other.shell().must(&Cmd::new(["true"])).await.expect("the other run's lab");
        dirty += u64::from(!still.is_empty());
        let phase = run.said.lock().unwrap().clone();
        let phase = phase.rsplit(' ').next().filter(|p| !p.is_empty()).map_or("lab".into(), |p| format!("after {p}"));
        let lab = if had.id.is_some() { "there" } else { "not yet" };
        let result =
            if still.is_empty() { format!("nothing after {:.1} s", after.as_secs_f64()) } else { still.join("; ") };
        let n = table.len() + 1;
        let (at, processes) = (moment.as_secs_f64(), had.processes.len());
        let row = format!("{n:>3}  {at:>6.2} s  {phase:<16} lab {lab:<8} {processes:>3} processes  {result}");
        eprintln!("{row}");
        table.push(row);
    }
    // A sweep, as the next start makes it, sees that one lives.
    sweep::sweep(&host).await.unwrap();
    other.shell().must(&Cmd::new(["true"])).await.expect("the other run's lab");
    if many.is_some() {
        // Nothing that came late, either.
        let late = Machine::now(&host).await.beyond(&before);
        assert!(late.is_empty(), "{late:?}");
    }
    other.down().await.unwrap();
    eprintln!("{} of {kills} clean", kills - dirty);
    assert_eq!(dirty, 0, "\n{}", table.join("\n"));
}

/// Where faults that are not undone yet are written down.
pub(crate) fn open_faults(run: &str) -> PathBuf {
    imparcial::lab::setup::state().join("faults").join(format!("{run}.json"))
}

/// Four drills whose faults last.
pub(crate) const LASTING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/data/put-back.yaml");
/// How long they take, from the first fault that is written down.
pub(crate) const LASTING_MS: u64 = 36_000;

/// When a run is killed, after its first fault was written down: the first two while a container is paused, which nobody can
/// end as it stands.
pub(crate) fn moment(before: usize, moments: &mut Moments) -> Duration {
    Duration::from_millis(if before < 2 { 1_600 } else { moments.next(LASTING_MS) })
}

/// One kill by default, `IMPARCIAL_KILLS` asks for more.
#[tokio::test(flavor = "multi_thread")]
async fn kill9_in_the_middle_of_drills_leaves_nothing_broken() {
    let Some(host) = engine().await else { return };
    let (kills, seed) = (asked("IMPARCIAL_KILLS").unwrap_or(1), asked("IMPARCIAL_SEED").unwrap_or(SEED));
    let mut moments = Moments(seed);
    let mut table = Vec::new();
    let mut dirty = 0;
    // Those that were over before they were killed are made again, and not for ever.
    for _ in 0..3 * kills {
        if table.len() as u64 == kills {
            break;
        }
        let mut run = Run::of(&["scenarios/recovery/reference", "--scenario", LASTING, "--role", "db=db"]).await;
        let broke = || async { open_faults(&run.name).exists() };
        assert!(crate::live::eventually(Duration::from_secs(180), broke).await, "{}", run.said.lock().unwrap());
        let moment = moment(table.len(), &mut moments);
        tokio::time::sleep(moment).await;
        let had = had(&host, &run).await;
        let open = fs::read_to_string(open_faults(&run.name)).is_ok_and(|log| log.contains("planned"));
        run.child.kill().unwrap();
        let killed = Instant::now();
        if run.child.wait().unwrap().signal() != Some(9) {
            continue;
        }
        let (still, after) = until_nothing(killed, SHARED, async || {
            let mut still = left(&host, &run, &had).await;
            let faults = open_faults(&run.name);
            still.extend(faults.exists().then(|| format!("faults {}", faults.display())));
            still
        })
        .await;
        dirty += usize::from(!still.is_empty());
        let (at, after) = (moment.as_secs_f64(), after.as_secs_f64());
        let fault = if open { "a fault was open" } else { "no fault was open" };
        let result = if still.is_empty() { format!("nothing after {after:.1} s") } else { still.join("; ") };
        let row = format!("{:>3}  {at:>6.2} s  {fault:<18}  {result}", table.len() + 1);
        eprintln!("{row}");
        table.push(row);
    }
    assert_eq!((table.len() as u64, dirty), (kills, 0), "\n{}", table.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lab_that_is_killed_from_outside_ends_its_run_with_a_record_and_nobody_to_blame() {
    let Some(host) = engine().await else { return };
    let mut run = Run::start().await;
    let name = format!("imparcial-{}", run.name);
    let checks = || async { run.said.lock().unwrap().ends_with("start") };
    assert!(crate::live::eventually(Duration::from_secs(400), checks).await, "{}", run.said.lock().unwrap());
    // `down` of a fresh process does not do it to a run that is being graded, unless it is told to.
    let down = |args: &[&str]| {
        let output = assert_cmd::Command::new(env!("CARGO_BIN_EXE_imparcial")).args(args).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = tokio::task::block_in_place(|| down(&["--lang", "en", "down", &run.name]));
    assert!(code == Some(2) && said.contains("is being graded by process"), "{said}");
    let had = had(&host, &run).await;
    let kill = None::<bollard::query_parameters::KillContainerOptions>;
    host.docker().kill_container(&name, kill).await.unwrap();
    let ended = tokio::task::block_in_place(|| run.child.wait()).unwrap();
    assert_eq!(ended.code(), Some(3), "{}", run.said.lock().unwrap());
    let record = fs::read_to_string(run.reports.path().join(&run.name).join("record.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    assert_eq!(record["interrupted"], false);
    let checks = record["checks"].as_array().unwrap();
    assert!(!checks.is_empty() && checks.iter().all(|c| c["verdict"] != "fail"), "{record}");
    assert!(record["errors"].to_string().contains("was ended from outside"), "{}", record["errors"]);
    let gone = crate::live::eventually(SHARED, || async { left(&host, &run, &had).await.is_empty() }).await;
    assert!(gone, "{:?}", left(&host, &run, &had).await);
}

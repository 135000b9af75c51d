//! Virtual machines in a lab. One small one boots in every `make test`; what takes many minutes is ignored until `make test-vms`
//! asks for it.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use imparcial::docker::Engine;
use imparcial::record::{RunRecord, Verdict};
use tokio::process::Command;

use crate::kill9::{Machine, Moments, Run, SEED, asked, had, left, until_nothing};
use crate::live::{copy, engine};

const GUEST: &str = "tests/it/data/guest/submission";
const GUEST_SCENARIO: &str = "tests/it/data/guest/scenario.yaml";
/// About as long as the small machine's run takes where it is emulated.
const SPAN_MS: u64 = 200_000;
/// A hypervisor's lab has more to end than others.
const GONE: Duration = Duration::from_secs(45);

/// A run, as somebody would call it.
struct Graded {
    code: Option<i32>,
    record: RunRecord,
    folder: PathBuf,
    took: Duration,
}

impl Graded {
    /// What was not passed, with the words.
    fn lacking(&self) -> Vec<String> {
        let lacking = self.record.checks.iter().filter(|check| check.verdict != Verdict::Pass);
        lacking.map(|check| format!("{} {:?}: {}", check.id, check.verdict, check.explanation.en)).collect()
    }

    fn has_phase(&self, name: &str) -> bool {
        self.record.phases.iter().any(|phase| phase.name == name)
    }

    fn shows(&self, what: &str) {
        let each =
            self.record.phases.iter().map(|phase| format!("{} {:.1}", phase.name, phase.elapsed_ms as f64 / 1e3));
        let each = each.collect::<Vec<_>>().join(", ");
        eprintln!("{what}: {:.1} s ({each}), in {}", self.took.as_secs_f64(), self.folder.display());
    }
}

/// Grades, and reads the record.
async fn graded(reports: &Path, args: &[&str]) -> Graded {
    let began = Instant::now();
    let mut command = Command::new(env!("CARGO_BIN_EXE_imparcial"));
    command.args(["--lang", "en", "grade"]).args(args).arg("--reports").arg(reports);
    command.current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.unwrap();
    let folder = reports.join("latest").canonicalize();
    let folder = folder.unwrap_or_else(|_| panic!("no run: {}", String::from_utf8_lossy(&output.stderr)));
    let record = std::fs::read_to_string(folder.join("record.json")).unwrap();
    let record = serde_json::from_str(&record).unwrap();
    Graded { code: output.status.code(), record, folder, took: began.elapsed() }
}

/// Labs that have virtual machines; a machine on which nobody set them up is told so.
fn set_up() {
    let mut check = std::process::Command::new(env!("CARGO_BIN_EXE_imparcial"));
    let output = check.args(["--lang", "en", "setup", "--vms", "--check"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "run `imparcial setup --vms`: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_machine_has_its_disk_loses_its_power_comes_back_and_is_gone() {
    let Some(host) = engine().await else { return };
    set_up();
    let reports = tempfile::tempdir().unwrap();
    let run = graded(
        reports.path(),
        &[GUEST, "--scenario", GUEST_SCENARIO, "--provider", "libvirt", "--fresh", "--boxes", "stand-in"],
    )
    .await;
    run.shows("one machine");
    let provider = run.record.machines.as_ref().map(|it| it.provider.as_str());
    assert_eq!(provider, Some("libvirt"), "{:?} {:?}", run.record.errors, run.lacking());
    // That the app is back after its machine's power cut may come late on a host that is busy with other tests, and is undecided
    // then. All else has to hold.
    let wrong: Vec<String> = run.lacking().into_iter().filter(|it| !it.starts_with("comes-back Error")).collect();
    assert_eq!(wrong, [""; 0]);
    assert_eq!(run.record.drills.len(), 1, "the power cut");
    gone(&host, &run.record.run).await;
}

/// Nothing has the run's label.
async fn gone(host: &Engine, run: &str) {
    let there = imparcial::lab::sweep::left(host).await.unwrap();
    assert!(there.iter().all(|left| left.run != run), "{there:?}");
}

/// What a lab's hypervisor might have made outside of it: network devices of the host's own, and processes.
fn of_a_hypervisor() -> BTreeSet<String> {
    let entries = |folder: &str| std::fs::read_dir(folder).unwrap().flatten().map(|it| it.path()).collect::<Vec<_>>();
    // A lab's own end of its network comes and goes with it.
    let devices =
        entries("/sys/class/net").into_iter().map(|it| it.file_name().unwrap().to_string_lossy().into_owned());
    let devices = devices.filter(|name| !name.starts_with("veth")).map(|name| format!("network device {name}"));
    let named = |path: PathBuf| Some((path.clone(), std::fs::read_to_string(path.join("comm")).ok()?));
    let daemons = ["qemu", "libvirtd", "virtlogd", "dnsmasq", "dbus-daemon"];
    let processes = entries("/proc").into_iter().filter_map(named).filter_map(|(path, name)| {
        let known = daemons.iter().any(|daemon| name.starts_with(daemon));
        known.then(|| format!("process {} {}", path.display(), name.trim()))
    });
    devices.chain(processes).collect()
}

/// Ten moments of runs with a virtual machine, every second one with a snapshot; `IMPARCIAL_KILLS` asks for more or fewer.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes: make test-vms"]
async fn kill9_at_moments_of_runs_with_virtual_machines_leaves_nothing() {
    let Some(host) = engine().await else { return };
    set_up();
    let (kills, seed) = (asked("IMPARCIAL_KILLS").unwrap_or(10), asked("IMPARCIAL_SEED").unwrap_or(SEED));
    let mut moments = Moments(seed);
    let (mut table, mut dirty) = (Vec::new(), 0_u64);
    let handed_in = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join(GUEST), handed_in.path());
    let submission = handed_in.path().to_str().unwrap();
    while (table.len() as u64) < kills {
        let (before, without) = (Machine::now(&host).await, of_a_hypervisor());
        let args =
            [submission, "--scenario", GUEST_SCENARIO, "--provider", "libvirt", "--boxes", "stand-in", "--fresh"];
        let snapshots = table.len() % 2 == 1;
        let mut run = Run::of(&args[..args.len() - usize::from(snapshots)]).await;
        let moment = Duration::from_millis(moments.next(SPAN_MS));
        tokio::time::sleep(moment).await;
        let had = had(&host, &run).await;
        let phase = run.said.lock().unwrap().clone();
        run.child.kill().unwrap();
        let killed = Instant::now();
        if run.child.wait().unwrap().signal() != Some(9) {
            // It was over before.
            continue;
        }
        let (still, after) = until_nothing(killed, GONE, async || {
            let mut still = left(&host, &run, &had).await;
            still.extend(Machine::now(&host).await.beyond(&before));
            // A snapshot that was made to its end is for the next run; what is left of any other is listed by its label.
            still.retain(|it| it.starts_with("labelled: ") || !it.contains("-snapshot-"));
            still.extend(of_a_hypervisor().difference(&without).cloned());
            still
        })
        .await;
        dirty += u64::from(!still.is_empty());
        let (at, after) = (moment.as_secs_f64(), after.as_secs_f64());
        let phase = phase.rsplit(' ').next().unwrap_or_default();
        let result = if still.is_empty() { format!("nothing after {after:.1} s") } else { still.join("; ") };
        let row = format!("{:>3}  {at:>6.1} s  snapshots {snapshots:<5}  after {phase:<12}  {result}", table.len() + 1);
        eprintln!("{row}");
        table.push(row);
    }
    assert_eq!(dirty, 0, "\n{}", table.join("\n"));
}

/// The exam from clean, once more from the snapshot of that, and on container nodes: all points, and the same verdicts.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "an hour where machines are emulated: make test-vms"]
async fn the_exam_on_four_virtual_machines_is_worth_all_points_and_agrees_with_container_nodes() {
    let Some(host) = engine().await else { return };
    set_up();
    let reports = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports/vms");
    // Handed in at a place that no snapshot is of.
    let handed_in = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/seed/reference"), handed_in.path());
    let submission = handed_in.path().to_str().unwrap();
    let guests = [submission, "--scenario", "seed", "--provider", "libvirt", "--boxes", "stand-in"];
    let clean = graded(&reports, &guests).await;
    clean.shows("four machines, from clean");
    let again = graded(&reports, &guests).await;
    again.shows("four machines, from the snapshot");
    let nodes = graded(&reports, &guests[..3]).await;
    nodes.shows("container nodes");
    let part = again.took.as_secs_f64() / clean.took.as_secs_f64();
    eprintln!("from the snapshot: {:.0} % of the time from clean", part * 100.0);
    for run in [&clean, &again, &nodes] {
        assert_eq!((run.lacking(), run.code), (Vec::new(), Some(0)), "{}", run.folder.display());
        gone(&host, &run.record.run).await;
    }
    assert!(!clean.has_phase("restore") && again.has_phase("restore"), "from the snapshot");
    let mut compare = Command::new(env!("CARGO_BIN_EXE_imparcial"));
    let compare =
        compare.args(["--lang", "en", "compare"]).args([&nodes.folder, &clean.folder]).output().await.unwrap();
    let said = String::from_utf8_lossy(&compare.stdout).into_owned();
    eprintln!("{said}");
    assert_eq!(compare.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&compare.stderr));
}

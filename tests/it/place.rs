//! `--place host`: the reference on this machine's own engine, what is in its way, what it refuses, and that nothing stays.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use imparcial::docker::Engine;
use imparcial::lab::sweep;
use imparcial::record::RunRecord;
use tokio::process::{Child, Command};

use super::live;

const REFERENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/seed/reference");

fn grade(submission: &Path, reports: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_imparcial"))
        .args(["--lang", "en", "grade", "--scenario", "seed", "--place", "host", "--layers", "machines,services"])
        .args(["--patience", "20s", "--reports"])
        .arg(reports)
        .arg(submission)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

async fn graded(submission: &Path, reports: &Path, engine: &Engine) -> (Output, RunRecord) {
    let child = grade(submission, reports);
    let pid = child.id().unwrap();
    let output = child.wait_with_output().await.unwrap();
    let record = std::fs::read(reports.join("latest/record.json")).unwrap();
    let record: RunRecord = serde_json::from_slice(&record).unwrap();
    assert_eq!(record.place, "host");
    assert!(nothing_of(pid, engine).await, "something of {} is left", record.run);
    (output, record)
}

/// Nothing on the engine is of this process, and no folder.
async fn nothing_of(pid: u32, engine: &Engine) -> bool {
    let left = sweep::left(engine).await.unwrap();
    let folder = |entry: std::fs::DirEntry| {
        let name = entry.file_name().into_string().unwrap_or_default();
        name.starts_with(&format!("imparcial-host-{pid}."))
    };
    let mut folders = std::fs::read_dir(std::env::temp_dir()).unwrap().flatten();
    left.iter().all(|l| l.owner.as_ref().is_none_or(|o| o.pid != pid)) && !folders.any(folder)
}

/// The reference as it can be brought up without a machine of its own: its database's data is on no volume.
fn handed_in() -> tempfile::TempDir {
    changed("    mem_limit: 256m", "    mem_limit: 256m")
}

/// The same, changed.
fn changed(from: &str, to: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    live::copy(Path::new(REFERENCE), folder.path());
    let file = folder.path().join("docker-compose.yml");
    let text = std::fs::read_to_string(&file).unwrap().replace(live::ON_THE_VOLUME, "");
    assert_eq!(text.matches(from).count(), 1);
    std::fs::write(file, text.replace(from, to)).unwrap();
    folder
}

#[tokio::test]
async fn the_reference_passes_on_the_hosts_own_engine() {
    let Some(engine) = live::engine().await else { return };
    let _one = live::PORTS.lock().await;
    let reports = tempfile::tempdir().unwrap();
    let handed_in = handed_in();
    let (output, record) = graded(handed_in.path(), reports.path(), &engine).await;
    let page = String::from_utf8_lossy(&output.stdout).into_owned();
    // The services, and what is read from the Vagrantfile; no machine is brought up on a host, and nobody loses for it.
    assert_eq!(output.status.code(), Some(3), "{page}");
    assert!(page.contains("66 of 100 points earned, 0 lost, 34 undecided"), "{page}");
    assert!(page.contains("host (not contained"), "{page}");
    live::machines_are_undecided(&record);
    let asked: Vec<&str> = record.images.iter().filter_map(|i| i.base.as_deref().or(Some(&i.reference))).collect();
    assert_eq!(asked, ["python:3.6", "mysql:5.7"], "reports name what was asked for");
    // What it uses in their place moved no name of the user's.
    assert!(engine.docker().inspect_image("mysql:5.7").await.is_err(), "this host has no mysql:5.7 of its own");
}

#[tokio::test]
async fn a_port_that_is_taken_is_the_hosts_and_nothing_starts() {
    let Some(engine) = live::engine().await else { return };
    let _one = live::PORTS.lock().await;
    let taken = TcpListener::bind("0.0.0.0:5000").unwrap();
    let handed_in = changed("    mem_limit: 256m", "    container_name: imparcial-registry\n    mem_limit: 256m");
    let reports = tempfile::tempdir().unwrap();
    let (output, record) = graded(handed_in.path(), reports.path(), &engine).await;
    assert_eq!(output.status.code(), Some(3));
    let said = &record.errors[0].en;
    let holder = format!("(process {})", std::process::id());
    assert!(said.contains("port 5000 of app is held by") && said.contains(&holder), "{said}");
    assert!(said.contains("the container name `imparcial-registry` of db is taken"), "all at once: {said}");
    assert!(!record.phases.iter().any(|p| p.name == "images"), "nothing was fetched or built");
    drop(taken);
}

#[tokio::test]
async fn what_only_a_lab_contains_never_starts_here_and_is_nobodys_failure() {
    let Some(engine) = live::engine().await else { return };
    let _one = live::PORTS.lock().await;
    let outside = tempfile::tempdir().unwrap();
    let path = outside.path().join("data");
    let bind = format!("      - {}:/data\n      - ./db:", path.display());
    let handed_in = changed("      - ./db:", &bind);
    let reports = tempfile::tempdir().unwrap();
    let (output, record) = graded(handed_in.path(), reports.path(), &engine).await;
    assert_eq!(output.status.code(), Some(3));
    assert!(record.errors[0].en.contains("needs a lab"), "{}", record.errors[0].en);
    assert!(!path.exists(), "a lab makes such a folder; nobody does on the host");
    assert!(record.phases.iter().all(|p| p.name != "start"));
}

/// Kills a run once something of it is up that is as `at` says, and waits until nothing of it is left.
async fn killed(handed_in: &Path, at: impl Fn(&str) -> bool) {
    let Some(engine) = live::engine().await else { return };
    let _one = live::PORTS.lock().await;
    let reports = tempfile::tempdir().unwrap();
    let mut child = grade(handed_in, reports.path());
    let pid = child.id().unwrap();
    let up = || async {
        let left = sweep::left(&engine).await.unwrap();
        left.iter().any(|l| l.running && at(&l.run) && l.owner.as_ref().is_some_and(|o| o.pid == pid))
    };
    assert!(live::eventually(Duration::from_secs(120), up).await, "it never ran");
    child.kill().await.unwrap();
    let went = live::eventually(Duration::from_secs(60), || nothing_of(pid, &engine)).await;
    let log = std::fs::read_to_string(reports.path().join("latest/reaper.log")).unwrap_or_default();
    assert!(went, "left after kill -9: {:?}\n{log}", sweep::left(&engine).await);
}

/// How the container is called that reads a Vagrantfile.
const READING: &str = "vagrantfile-";

#[tokio::test]
async fn a_run_that_is_killed_leaves_nothing_on_the_host() {
    killed(handed_in().path(), |run| !run.starts_with(READING)).await;
}

#[tokio::test]
async fn a_run_that_is_killed_while_it_reads_a_vagrantfile_leaves_nothing() {
    let handed_in = handed_in();
    let vagrantfile = handed_in.path().join("Vagrantfile");
    let text = std::fs::read_to_string(&vagrantfile).unwrap();
    // Nobody has read this one before.
    std::fs::write(vagrantfile, format!("# {}\n{text}", live::run_name("killed"))).unwrap();
    killed(handed_in.path(), |run| run.starts_with(READING)).await;
}

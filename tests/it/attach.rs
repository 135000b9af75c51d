//! `--attach`: a stack that the compose tool brought up on this machine's own engine is graded as it is, and stays so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use imparcial::docker::Engine;
use imparcial::lab::sweep;
use imparcial::record::{RunRecord, Verdict};
use tokio::process::{Child, Command};

use super::live;
use super::up::Up;

const REFERENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/seed/reference");

fn grade(submission: &Path, reports: &Path, args: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_imparcial"))
        .args(["--lang", "en", "grade", "--scenario", "seed", "--role", "db=db", "--patience", "20s"])
        .args(["--layers", "machines,services", "--reports"])
        .arg(reports)
        .arg(submission)
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

async fn graded(up: &Up, engine: &Engine, args: &[&str]) -> (Output, RunRecord) {
    let reports = tempfile::tempdir().unwrap();
    let child = grade(up.folder(), reports.path(), args);
    let pid = child.id().unwrap();
    let output = child.wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let record = std::fs::read(reports.path().join("latest/record.json")).unwrap_or_else(|e| panic!("{e}: {said}"));
    let record: RunRecord = serde_json::from_slice(&record).unwrap();
    assert_eq!((record.place.as_str(), record.project.as_ref()), ("attached", Some(&up.project)));
    assert!(nothing_of(pid, engine).await, "something of {} is left", record.run);
    (output, record)
}

/// Nothing on the engine is of this process, and no folder.
pub(crate) async fn nothing_of(pid: u32, engine: &Engine) -> bool {
    let left = sweep::left(engine).await.unwrap();
    let folder = |entry: std::fs::DirEntry| {
        let name = entry.file_name().into_string().unwrap_or_default();
        name.starts_with(&format!("imparcial-host-{pid}."))
    };
    let mut folders = std::fs::read_dir(std::env::temp_dir()).unwrap().flatten();
    left.iter().all(|l| l.owner.as_ref().is_none_or(|o| o.pid != pid)) && !folders.any(folder)
}

fn verdicts(record: &RunRecord, verdict: Verdict) -> Vec<&str> {
    record.checks.iter().filter(|c| c.verdict == verdict).map(|c| c.id.as_str()).collect()
}

#[tokio::test]
async fn a_stack_that_is_up_is_graded_as_it_is_and_stays_so() {
    let Some(engine) = live::engine().await else { return };
    let _one = live::PORTS.lock().await;
    let up = Up::new("attach", REFERENCE);
    let before = up.containers(&engine).await;
    assert_eq!(before.len(), 2);

    // Found by its folder. What only a bring-up shows, and what would disturb it, is undecided and nothing else.
    let (output, record) = graded(&up, &engine, &["--attach"]).await;
    let page = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(3), "{page}");
    assert!(
        page.contains("57 of 100 points earned, 0 lost")
            && page.contains(&format!("attached to project {}", up.project)),
        "{page}"
    );
    let open =
        ["data-on-volume", "page-from-database", "page-is-live", "starts-at-first-up", "second-up-changes-nothing"];
    let services = live::machines_are_undecided(&record);
    assert_eq!(verdicts(&services, Verdict::Error), open, "{page}");
    // The base that the stack stands on is this test's own choice, and not the one that the report shows.
    assert_eq!(verdicts(&record, Verdict::Fail), ["dockerfile-as-reported"], "{page}");
    assert_eq!(verdicts(&services, Verdict::Pass).len(), services.checks.len() - open.len() - 1, "{page}");
    for check in services.checks.iter().filter(|c| c.verdict == Verdict::Error) {
        assert!(check.explanation.en.starts_with("attached: ") && check.explanation.es.starts_with("adjunto: "));
    }
    assert_eq!(up.containers(&engine).await, before, "the same containers, none of them started anew");

    // By its name, from another folder, with exercises: what they wrote is taken back.
    let (output, record) = graded(&up, &engine, &["--attach", &up.project, "--allow-exercises"]).await;
    let page = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(3), "{page}");
    assert!(page.contains("66 of 100 points earned, 0 lost"), "{page}");
    let services = live::machines_are_undecided(&record);
    assert_eq!(verdicts(&services, Verdict::Error), ["starts-at-first-up", "second-up-changes-nothing"], "{page}");
    assert_eq!(up.containers(&engine).await, before, "it is live: nothing had to be restarted");

    // Killed in the middle: what it made beside the stack goes, and the stack stays.
    let reports = tempfile::tempdir().unwrap();
    let mut child = grade(up.folder(), reports.path(), &["--attach"]);
    let pid = child.id().unwrap();
    let scratch =
        || async { sweep::left(&engine).await.unwrap().iter().any(|l| l.owner.as_ref().is_some_and(|o| o.pid == pid)) };
    assert!(live::eventually(Duration::from_secs(60), scratch).await, "the scratch server never ran");
    child.kill().await.unwrap();
    let gone = || async { nothing_of(pid, &engine).await };
    assert!(live::eventually(Duration::from_secs(60), gone).await, "something is left after kill -9");
    assert_eq!(up.containers(&engine).await, before);

    // A database that was stopped is seen, and started by nobody.
    up.compose(&["stop", "-t", "1", "db"]);
    let (output, record) = graded(&up, &engine, &["--attach"]).await;
    let page = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{page}");
    assert_eq!(verdicts(&record, Verdict::Fail), ["db-runs", "dockerfile-as-reported"], "{page}");
    let ids = |all: BTreeMap<String, (String, f64)>| all.into_values().map(|(id, _)| id).collect::<Vec<_>>();
    assert_eq!(ids(up.containers(&engine).await), ids(before));
    let containers = engine.project_containers(&up.project).await.unwrap();
    assert!(containers.iter().any(|c| c.service == "db" && !c.running()), "it is still stopped");
}

#[tokio::test]
async fn what_cannot_be_attached_to_is_said_before_anything_is_done() {
    let Some(_) = live::engine().await else { return };
    let reports = tempfile::tempdir().unwrap();
    let said = |submission: PathBuf, args: &'static [&'static str]| {
        let child = grade(&submission, reports.path(), args);
        async move {
            let output = child.wait_with_output().await.unwrap();
            assert_eq!(output.status.code(), Some(2), "{args:?}");
            String::from_utf8_lossy(&output.stderr).into_owned()
        }
    };
    let reference = || PathBuf::from(REFERENCE);
    let none = said(reference(), &["--attach"]).await;
    assert!(none.contains("was brought up from") && none.contains("`--attach PROJECT`"), "{none}");
    let typo = said(reference(), &["--attach", "no-such-project"]).await;
    assert!(typo.contains("no compose project `no-such-project`"), "{typo}");
    assert!(said(reference(), &["--attach", "--place", "lab"]).await.contains("leave one out"));
    assert!(said(reference(), &["--attach", "--keep"]).await.contains("`--keep` needs a lab"));
    assert!(said(reference(), &["--allow-exercises"]).await.contains("--attach"));
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("exam.tar");
    let mut tar = tar::Builder::new(std::fs::File::create(&archive).unwrap());
    tar.append_dir_all("exam", REFERENCE).unwrap();
    tar.finish().unwrap();
    let refused = said(archive, &["--attach"]).await;
    assert!(refused.contains("needs the folder that the stack was brought up from"), "{refused}");
    assert!(!reports.path().join("latest").exists());
}

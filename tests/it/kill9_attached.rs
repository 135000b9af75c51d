//! kill -9 in the middle of drills on a stack that somebody else brought up: nothing of that goes with a lab, so each fault that is
//! open is undone, by a process of its own, and what stood before stands again.
//!
//! Two kills by default, of the second one's reaper too: then `imparcial down RUN` puts it back. `IMPARCIAL_KILLS=30` asks for
//! more, `IMPARCIAL_SEED` for other moments.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::attach::nothing_of;
use super::kill9::{LASTING, Moments, SEED, asked, moment, open_faults};
use super::live;
use super::up::Up;

const REFERENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/recovery/reference");
/// An engine that was asked to stop something goes on with that; what undoes a fault looks again twelve seconds later.
const WITHIN: Duration = Duration::from_secs(45);

fn grade(submission: &Path, reports: &Path) -> Child {
    let mut grade = Command::new(env!("CARGO_BIN_EXE_imparcial"));
    grade.args(["--lang", "en", "grade", "--scenario", LASTING, "--role", "db=db", "--attach", "--allow-exercises"]);
    grade.arg("--reports").arg(reports).arg(submission).current_dir(env!("CARGO_MANIFEST_DIR"));
    grade.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap()
}

/// The name of the run that has a folder here, once it has written down a fault.
fn broke_something(reports: &Path) -> Option<String> {
    let mut folders = std::fs::read_dir(reports).ok()?.flatten().filter_map(|e| e.file_name().into_string().ok());
    folders.find(|name| name.starts_with("20") && open_faults(name).exists())
}

/// The process that looks after a run: ours, since we started the run.
fn reaper_of(run: &str) -> Pid {
    let line = format!("imparcial\0reaper\0{run}\0");
    let numbers = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_str()?.parse().ok());
    let of =
        |pid: &i32| std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|own| own.starts_with(line.as_bytes()));
    Pid::from_raw(numbers.into_iter().find(of).expect("the run has a reaper"))
}

/// Whether the app shows what is in its database: it, its database and the way between them are there.
async fn page_is_whole() -> bool {
    let ask = async {
        let mut stream = TcpStream::connect("127.0.0.1:5000").await.ok()?;
        stream.write_all(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n").await.ok()?;
        let mut page = Vec::new();
        stream.read_to_end(&mut page).await.ok()?;
        Some(String::from_utf8_lossy(&page).contains("trocha del Mirador"))
    };
    tokio::time::timeout(Duration::from_secs(3), ask).await.ok().flatten() == Some(true)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_run_broke_of_somebody_elses_stack_is_put_back() {
    let Some(engine) = live::engine().await else { return };
    let _one = live::PORTS.lock().await;
    let (kills, seed) = (asked("IMPARCIAL_KILLS").unwrap_or(2), asked("IMPARCIAL_SEED").unwrap_or(SEED));
    let up = Up::new("put-back", REFERENCE);
    assert!(live::eventually(Duration::from_secs(90), page_is_whole).await, "the stack never served its page");
    let ids = async || up.containers(&engine).await.into_values().map(|(id, _)| id).collect::<Vec<_>>();
    let before = ids().await;
    let mut moments = Moments(seed);
    let (mut table, mut wrong, mut open) = (Vec::new(), 0_u64, 0_u64);
    // Those that were over before they were killed are made again, and not for ever.
    for _ in 0..3 * kills {
        if table.len() as u64 == kills {
            break;
        }
        let reports = tempfile::tempdir().unwrap();
        let mut child = grade(up.folder(), reports.path());
        let pid = child.id().unwrap();
        let broke = || async { broke_something(reports.path()).is_some() };
        assert!(live::eventually(Duration::from_secs(60), broke).await, "nothing was ever broken");
        let run = broke_something(reports.path()).unwrap_or_default();
        let moment = moment(table.len(), &mut moments);
        tokio::time::sleep(moment).await;
        let log = std::fs::read_to_string(open_faults(&run)).unwrap_or_default();
        let by_hand = table.len() == 1;
        if by_hand {
            kill(reaper_of(&run), Signal::SIGKILL).unwrap();
        }
        child.start_kill().unwrap();
        let killed = Instant::now();
        if child.wait().await.unwrap().signal() != Some(9) {
            continue;
        }
        let was_open = log.contains("planned");
        open += u64::from(was_open);
        if by_hand {
            assert!(was_open, "nothing was broken");
            let down =
                Command::new(env!("CARGO_BIN_EXE_imparcial")).args(["--lang", "en", "down", &run]).output().await;
            let said = String::from_utf8(down.unwrap().stderr).unwrap();
            // Another test's run, beginning just now, may have been quicker.
            let put_back = said.contains(&format!("undone what was broken by: {run}"));
            assert!(put_back || !open_faults(&run).exists(), "{said}");
        }
        let healed = live::eventually(WITHIN, || async { !open_faults(&run).exists() }).await;
        let after = killed.elapsed().as_secs_f64();
        let whole = live::eventually(Duration::from_secs(20), page_is_whole).await;
        let all = engine.project_containers(&up.project).await.unwrap();
        let run_as_before = all.iter().all(|c| c.running() && c.state == "running") && ids().await == before;
        let gone = live::eventually(Duration::from_secs(20), || async { nothing_of(pid, &engine).await }).await;
        let good = healed && whole && run_as_before && gone;
        wrong += u64::from(!good);
        let fault = if was_open { "a fault was open" } else { "no fault was open" };
        let result = if good {
            format!("as before after {after:.1} s")
        } else {
            format!("healed {healed}, page whole {whole}, containers as before {run_as_before}, nothing left {gone}")
        };
        let row = format!("{:>3}  {:>6.2} s  {fault:<18}  {result}", table.len() + 1, moment.as_secs_f64());
        eprintln!("{row}");
        table.push(row);
    }
    eprintln!("{} of {kills} put back; a fault was open in {open}", table.len() as u64 - wrong);
    assert_eq!((table.len() as u64, wrong), (kills, 0), "\n{}", table.join("\n"));
}

//! The reaper's own side: waits for the end of the process that started it, and removes what that left.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{Pid, getppid, getsid, setsid};
use tokio::time::{Instant, sleep};

use super::super::{loops, sweep};
use super::{DONE, FOLDERS, NAME, READY, clients};
use crate::docker::Engine;
use crate::owner::Owner;
use crate::temp;

/// How long it goes on where the engine does not answer; then it is the next start's.
const TRYING: Duration = Duration::from_secs(600);
/// How long it looks for what the engine may still be making of what it was asked for just before the end.
const MAKING: Duration = Duration::from_secs(4);
/// The same after something was there: the lab is the last thing that is made.
const SETTLED: Duration = Duration::from_secs(1);
const AGAIN: Duration = Duration::from_millis(300);
/// Between two tries at an engine that does not answer.
const PAUSE: Duration = Duration::from_secs(1);
/// Its log in the run's folder; made only where there was something to do.
const LOG: &str = "reaper.log";

/// Runs as reaper where the command line asks for one, and says how it ended. Every binary that starts labs with itself as
/// reaper calls it first thing in `main`.
pub fn dispatched() -> Option<ExitCode> {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() != Some(NAME) {
        return None;
    }
    let (Some(run), Some(owner)) = (args.next(), args.next()) else { return Some(ExitCode::FAILURE) };
    let run = Run { run, owner, folder: args.next().map(PathBuf::from), session: getsid(Some(getppid())).ok() };
    Some(match stand().map(ended_well) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => reap(&run),
        // It is not ready, and its run knows that.
        Err(_) => ExitCode::FAILURE,
    })
}

/// What it looks after.
struct Run {
    run: String,
    /// The tag of the process that started it.
    owner: String,
    folder: Option<PathBuf>,
    /// In which that process was.
    session: Option<Pid>,
}

/// Leaves the session, the terminal, its signals and the working folder; then says so.
fn stand() -> io::Result<UnixStream> {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGHUP, Signal::SIGTERM, Signal::SIGQUIT, Signal::SIGTSTP] {
        signals.add(signal);
    }
    signals.thread_block()?;
    setsid()?;
    std::env::set_current_dir("/")?;
    let mut socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    socket.write_all(READY)?;
    Ok(socket)
}

/// Waits for the other end to close, and says whether it had told that nothing is left.
fn ended_well(mut socket: UnixStream) -> bool {
    let mut told = Vec::new();
    // An error is an end as well: whatever had been told by then was told.
    let _ = socket.read_to_end(&mut told);
    told.ends_with(DONE)
}

fn reap(run: &Run) -> ExitCode {
    log(run.folder.as_deref());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map(|runtime| runtime.block_on(remove(run))) {
        Ok(true) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn log(folder: Option<&Path>) {
    let open = |folder: &Path| OpenOptions::new().create(true).append(true).open(folder.join(LOG)).ok();
    let Some(file) = folder.and_then(open) else { return };
    let filter = tracing_subscriber::EnvFilter::try_from_env("IMPARCIAL_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("imparcial=info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_target(false);
    log.with_writer(Mutex::<File>::new(file)).init();
}

/// Removes all that bears the run's name until nothing does, and says whether that was reached.
async fn remove(run: &Run) -> bool {
    tracing::info!(run = %run.run, owner = %run.owner, "the run was not taken down; removing it");
    let began = Instant::now();
    let mut seen = None;
    while began.elapsed() < TRYING {
        let round = Instant::now();
        match once(run).await {
            Ok(removed) => {
                let nothing = removed == sweep::Removed::default();
                // It may have taken long, as where a fault is undone: what came late is seen by a round that began late.
                let settled = seen.map_or(round - began >= MAKING, |seen: Instant| round - seen >= SETTLED);
                if !nothing {
                    tracing::info!(?removed, after = ?began.elapsed(), "removed");
                    seen = Some(Instant::now());
                } else if settled {
                    tracing::info!(after = ?began.elapsed(), "nothing is left");
                    return true;
                }
                sleep(AGAIN).await;
            }
            Err(error) => {
                tracing::warn!(%error, after = ?began.elapsed(), "could not be removed yet");
                sleep(PAUSE).await;
            }
        }
    }
    tracing::warn!("given up; the next start sweeps, and so does `imparcial down {}`", run.run);
    false
}

async fn once(run: &Run) -> Result<sweep::Removed, super::super::LabError> {
    // What needs no engine goes first: there may be none.
    if Owner::ended(&run.owner) == Some(true) {
        temp::remove_abandoned();
        if let Some(folder) = &run.folder {
            half_written(folder, &run.owner);
        }
    }
    if run.run == FOLDERS {
        return Ok(sweep::Removed::default());
    }
    let engine = Engine::host().await?;
    let removed = sweep::remove_run(&engine, &run.run).await;
    // A stack of somebody else's is put back whether or not all of the run's own could be removed.
    let undone = sweep::undo_faults(&engine, Some(&run.run)).await;
    let removed = removed?;
    undone?;
    loops::release().await;
    if let Some(session) = run.session.filter(|_| Owner::ended(&run.owner) == Some(true)) {
        clients::end(session, &format!("imparcial-{}", run.run));
    }
    Ok(removed)
}

/// Files of a run's folder that were being written: they bear the writer's number until they are whole.
fn half_written(folder: &Path, owner: &str) {
    let Some(pid) = owner.split('.').next() else { return };
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let half = name.to_str().is_some_and(|n| n.starts_with('.') && n.ends_with(&format!(".{pid}")));
        if half {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_dead_process_was_writing_goes() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".record.json.42", "record.json", ".record.json.43", "x.42"] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        half_written(folder.path(), "42.1.2.3");
        let mut left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        assert_eq!(left, [".record.json.43", "record.json", "x.42"]);
    }
}

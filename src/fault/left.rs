//! Faults that a dead process left: known by the logs that it kept, undone by whoever comes next.
//!
//! In a lab, and of what a run itself has made on the host, the removal of the containers takes the fault with it; only then is
//! there nothing more to know of it. A stack that somebody else brought up stays, and is put back.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bollard::query_parameters::ListContainersOptionsBuilder;
use tokio::time::sleep;

use super::log::{FOLDER, Written, remove};
use super::{At, FaultError, Ground, Undo, heal, undo};
use crate::docker::Engine;
use crate::exec::Shell;
use crate::exec::local::Local;
use crate::owner::{Owner, RUN};

/// For all that one run left.
const WITHIN: Duration = Duration::from_secs(60);
/// An engine goes on with a stop that it was asked for, for as long as the container is given to end: what seems undone before
/// that may not stay so.
const STAYS: Duration = Duration::from_secs(12);

/// A log whose process has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Left {
    pub run: String,
    pub ground: Ground,
    /// Of what is not known to be undone, in the order in which it is to be undone: the last fault first.
    pub undos: Vec<Undo>,
    path: PathBuf,
}

/// What dead processes of this machine left open; of the living and of other machines nothing.
pub fn left_behind(state: &Path) -> Vec<Left> {
    let entries = fs::read_dir(state.join(FOLDER)).into_iter().flatten().flatten();
    let logs = entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "json"));
    let mut left: Vec<Left> = logs.filter_map(read).collect();
    left.sort_by(|a, b| a.run.cmp(&b.run));
    left
}

fn read(path: PathBuf) -> Option<Left> {
    let text = fs::read(&path).ok()?;
    let written: Written = match serde_json::from_slice(&text) {
        Ok(written) => written,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "a log of faults that cannot be read");
            return None;
        }
    };
    if Owner::ended(&written.owner) != Some(true) {
        return None;
    }
    let undos = written.open().collect::<Vec<_>>().into_iter().rev().flat_map(|entry| entry.undos.clone()).collect();
    Some(Left { run: written.run, ground: written.ground, undos, path })
}

/// Undoes what dead processes left open, of one run or of all, and says of which runs that was done and proven.
///
/// # Errors
/// The first that could not be undone; its log stays for who comes next.
pub async fn heal_left(state: &Path, run: Option<&str>, engine: &Engine) -> Result<Vec<String>, FaultError> {
    let local: Arc<dyn Shell> = Arc::new(Local);
    let mut healed = Vec::new();
    let mut first = None;
    for left in left_behind(state).into_iter().filter(|left| run.is_none_or(|run| run == left.run)) {
        let there = match left.ground {
            Ground::Attached => true,
            Ground::Lab | Ground::Guests | Ground::Host => match containers(engine, &left.run).await {
                Ok(there) => there,
                Err(error) => {
                    first = first.or(Some(error));
                    continue;
                }
            },
        };
        let gone = !there;
        match (left.ground, there) {
            (_, false) => {}
            // Its own world is still there: whoever removes that calls again.
            (Ground::Lab | Ground::Guests, true) => continue,
            (Ground::Host | Ground::Attached, true) => {
                if let Err(error) = put_back(&left, &local, STAYS).await {
                    first = first.or(Some(error));
                    continue;
                }
            }
        }
        match remove(&left.path) {
            Ok(()) if gone => tracing::debug!(run = %left.run, "its faults went with its containers"),
            Ok(()) => healed.push(left.run),
            Err(error) => tracing::warn!(path = %left.path.display(), %error, "a log of faults could not be removed"),
        }
    }
    first.map_or(Ok(healed), Err)
}

async fn put_back(left: &Left, local: &Arc<dyn Shell>, stays: Duration) -> Result<(), FaultError> {
    tracing::info!(run = %left.run, "undoing faults that a dead run left behind");
    let shells = |at: &At| (*at == At::Ground).then(|| local.clone());
    heal(&left.undos, &shells, WITHIN).await?;
    sleep(stays).await;
    if undo::is_healed(&left.undos, &shells).await { Ok(()) } else { heal(&left.undos, &shells, WITHIN).await }
}

/// Whether anything of a run is on the engine.
async fn containers(engine: &Engine, run: &str) -> Result<bool, FaultError> {
    let labels = HashMap::from([("label".to_owned(), vec![format!("{RUN}={run}")])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&labels).build();
    let listed = engine.docker().list_containers(Some(options)).await;
    Ok(!listed.map_err(|e| engine.explain(format!("list the containers of run {run}"), &e))?.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::log::tests::undo;
    use super::super::log::{Entry, State, store};
    use super::*;
    use crate::exec::scripted::{Reply, Scripted};

    fn written(run: &str, owner: &Owner, ground: Ground, entries: &[(&str, State)]) -> Written {
        let entry = |(id, (name, state)): (usize, &(&str, State))| Entry {
            id: id as u64,
            drill: "d".into(),
            undos: vec![undo(name)],
            state: *state,
        };
        let entries = entries.iter().enumerate().map(entry).collect();
        Written { owner: owner.tag(), run: run.into(), ground, entries }
    }

    #[test]
    fn only_logs_of_dead_processes_are_left_behind_and_their_last_fault_is_undone_first() {
        let state = tempfile::tempdir().unwrap();
        assert!(left_behind(state.path()).is_empty());
        let folder = state.path().join(FOLDER);
        let dead = Owner { started: Owner::this().started + 1, ..Owner::this() };
        let elsewhere = Owner { space: "pid:[1]".into(), ..dead.clone() };
        for (run, owner) in [("live", &Owner::this()), ("dead", &dead), ("far", &elsewhere)] {
            let entries = [("a", State::Planned), ("b", State::Healed), ("c", State::Planned)];
            store(&folder.join(format!("{run}.json")), &written(run, owner, Ground::Attached, &entries)).unwrap();
        }
        fs::write(folder.join("broken.json"), "{").unwrap();
        fs::write(folder.join(".half-x"), "{").unwrap();
        let left = left_behind(state.path());
        assert_eq!(left.iter().map(|l| l.run.as_str()).collect::<Vec<_>>(), ["dead"]);
        assert_eq!(left[0].undos.iter().map(|u| u.what.en.as_str()).collect::<Vec<_>>(), ["c", "a"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_an_engine_goes_on_breaking_is_undone_once_more() {
        let up = vec![Reply::out(""), Reply::fail(1, ""), Reply::fail(1, ""), Reply::out("")];
        let shell = Arc::new(Scripted::default().on(["is-up", "a"], up).on(["start", "a"], vec![Reply::out("")]));
        let left = Left { run: "r".into(), ground: Ground::Attached, undos: vec![undo("a")], path: "/x".into() };
        let there: Arc<dyn Shell> = shell.clone();
        put_back(&left, &there, STAYS).await.unwrap();
        assert_eq!(shell.asked(), ["is-up a", "is-up a", "is-up a", "start a", "is-up a"]);
    }
}

//! Removes runs: one by name, every one, or those whose process died without doing it.
//!
//! Everything is found by its labels, so a fresh process can do it, any number of times and in any state.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use bollard::exec::StartExecResults;
use bollard::models::ExecConfig;
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListImagesOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder,
    RemoveImageOptionsBuilder, RemoveVolumeOptionsBuilder,
};

use futures_util::StreamExt;
use tokio::time::{Instant, sleep, timeout};

use super::{LabError, cgroups, loops};
use super::{setup, snapshots};
use crate::docker::{Engine, EngineError, EngineErrorKind};
use crate::fault::left;
use crate::owner::{KEEP, Life, Owner, RUN};
use crate::temp;

/// How long a lab's files may take to be deleted before it is removed with what is left of them.
const EMPTYING: Duration = Duration::from_secs(60);
/// Between two looks for what stands still.
const THAWING: Duration = Duration::from_millis(500);
/// How long the engine may go on listing what was removed.
const GOING: Duration = Duration::from_secs(90);

/// What was removed of a run, or of several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    pub runs: Vec<String>,
    pub containers: usize,
    pub networks: usize,
    pub volumes: usize,
}

/// A run that has something on an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    pub run: String,
    /// None where its labels do not say.
    pub owner: Option<Owner>,
    pub running: bool,
    pub keep: bool,
}

impl Left {
    /// Nobody uses it any more. Of a run of elsewhere that is only known where its lab has ended too.
    pub fn abandoned(&self) -> bool {
        match self.owner.as_ref().map(Owner::life) {
            Some(Life::Alive) => false,
            Some(Life::Dead) => true,
            Some(Life::Unknown) | None => !self.running,
        }
    }
}

/// Removes what dead runs left behind, before a new one begins. Runs that live, here or elsewhere, and those that were
/// asked to stay are left alone.
pub async fn sweep(engine: &Engine) -> Result<Removed, LabError> {
    temp::remove_abandoned();
    let folders = cgroups::runs();
    let left = left(engine).await?;
    let removed = remove_each(engine, left.iter().filter(|left| left.abandoned() && !left.keep)).await;
    // A lab that cannot be removed is no reason to leave somebody else's stack broken.
    let undone = undo_faults(engine, None).await;
    // A lab's container is made before its folder: a folder seen earlier, without one now, is nobody's.
    for run in folders.iter().filter(|run| left.iter().all(|left| left.run != **run)) {
        cgroups::remove(run).await;
    }
    loops::release().await;
    undone.and(removed)
}

async fn remove_each(engine: &Engine, runs: impl Iterator<Item = &Left>) -> Result<Removed, LabError> {
    let mut removed = Removed::default();
    for run in runs {
        tracing::info!(run = %run.run, "removing all that a run has");
        removed.add(remove_run(engine, &run.run).await?);
    }
    Ok(removed)
}

/// Removes every run, or, where `live` is not asked for, all that no living process uses, kept ones included.
pub async fn remove_all(engine: &Engine, live: bool) -> Result<Removed, LabError> {
    remove_each(engine, left(engine).await?.iter().filter(|left| live || left.abandoned())).await
}

/// Undoes the faults that dead processes left in what was not theirs to remove, of one run or of all; forgets those that went
/// with their containers. Says of which runs something was undone.
pub async fn undo_faults(engine: &Engine, run: Option<&str>) -> Result<Vec<String>, LabError> {
    let undone = left::heal_left(&setup::state(), run, engine).await.map_err(|error| LabError::Place(error.text))?;
    for run in &undone {
        tracing::info!(%run, "the faults of a dead run are undone");
    }
    Ok(undone)
}

/// Whether a run that is dead has written down faults that are not known to be undone.
pub fn broke_something(run: &str) -> bool {
    left::left_behind(&setup::state()).iter().any(|left| left.run == run)
}

/// Every run that has something on this engine.
pub async fn left(engine: &Engine) -> Result<Vec<Left>, LabError> {
    let mut runs: BTreeMap<String, Left> = BTreeMap::new();
    for container in containers(engine, None).await? {
        let labels = container.labels.unwrap_or_default();
        let Some(run) = labels.get(RUN) else { continue };
        let known = runs.entry(run.clone()).or_insert_with(|| Left {
            run: run.clone(),
            owner: Owner::read(&labels),
            running: false,
            keep: false,
        });
        // One that is only made yet is about to be started.
        known.running |= container.state.is_some_and(|s| !matches!(s.to_string().as_str(), "exited" | "dead"));
        known.keep |= labels.contains_key(KEEP);
    }
    for (_, labels) in
        [networks(engine, None).await?, volumes(engine, None).await?, images(engine, None).await?].concat()
    {
        let Some(run) = labels.get(RUN) else { continue };
        runs.entry(run.clone()).or_insert_with(|| Left {
            run: run.clone(),
            owner: Owner::read(&labels),
            running: false,
            keep: labels.contains_key(KEEP),
        });
    }
    Ok(runs.into_values().collect())
}

/// Removes one run, whoever uses it: containers with their anonymous volumes, networks, volumes, cgroup folders.
pub async fn remove_run(engine: &Engine, run: &str) -> Result<Removed, LabError> {
    let mut removed = Removed { containers: remove_containers(engine, run).await?, ..Removed::default() };
    for (name, _) in networks(engine, Some(run)).await? {
        let tried = format!("remove network {name}");
        missing_is_fine(engine.docker().remove_network(&name).await.map_err(|e| engine.explain(tried, &e)))?;
        removed.networks += 1;
    }
    for (name, _) in volumes(engine, Some(run)).await? {
        let tried = format!("remove volume {name}");
        let options = RemoveVolumeOptionsBuilder::new().force(true).build();
        let gone = engine.docker().remove_volume(&name, Some(options)).await;
        missing_is_fine(gone.map_err(|e| engine.explain(tried, &e)))?;
        removed.volumes += 1;
    }
    remove_images(engine, run).await?;
    let stays = cgroups::remove(run).await;
    if !stays.is_empty() {
        tracing::warn!(%run, ?stays, "cgroup folders that could not be removed");
    }
    if removed != Removed::default() {
        removed.runs.push(run.to_owned());
    }
    Ok(removed)
}

/// Removes a run's containers until none is listed any more: one that the engine is just making is listed before it can be
/// removed. Says how many there were.
async fn remove_containers(engine: &Engine, run: &str) -> Result<usize, LabError> {
    let deadline = Instant::now() + GOING;
    let mut seen = BTreeSet::new();
    loop {
        let found = containers(engine, Some(run)).await?;
        if found.is_empty() {
            return Ok(seen.len());
        }
        for container in found {
            let Some(id) = container.id else { continue };
            let lab = container.names.iter().flatten().any(|name| *name == format!("/imparcial-{run}"));
            let empties = lab && container.state.is_some_and(|s| s.to_string() == "running");
            going_on(run, async {
                if empties {
                    empty(engine, &id).await;
                }
                engine.remove(&id).await
            })
            .await?;
            seen.insert(id);
        }
        if Instant::now() > deadline {
            let kind = EngineErrorKind::Other(format!("still listed after {GOING:?}"));
            let tried = format!("remove the containers of run {run}");
            return Err(EngineError { place: engine.place().to_owned(), tried, kind }.into());
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Lets what stands still in the run go on for as long as it is being removed: what is frozen cannot be ended.
async fn going_on<T>(run: &str, removal: impl Future<Output = T>) -> T {
    let mut removal = std::pin::pin!(removal);
    loop {
        cgroups::thaw(run);
        if let Ok(removed) = timeout(THAWING, &mut removal).await {
            return removed;
        }
    }
}

/// What a run without a lab has built on this engine.
async fn remove_images(engine: &Engine, run: &str) -> Result<(), EngineError> {
    for (id, _) in images(engine, Some(run)).await? {
        let options = RemoveImageOptionsBuilder::new().force(true).build();
        let gone = engine.docker().remove_image(&id, Some(options), None).await.map(drop);
        missing_is_fine(gone.map_err(|e| engine.explain(format!("remove image {id}"), &e)))?;
    }
    Ok(())
}

/// Lets a lab delete its images and layers before it ends, where it has no filesystem of its own (`lab-store` of its image
/// says why). When it ends, each of its mounts makes the kernel write out all that is still in memory, only for it to be
/// deleted afterwards: on a busy disk that took a minute instead of seconds.
async fn empty(engine: &Engine, lab: &str) {
    let config = ExecConfig {
        cmd: Some(vec!["lab-empty".into()]),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        ..ExecConfig::default()
    };
    let emptied = timeout(EMPTYING, async {
        let exec = engine.docker().create_exec(lab, config).await?;
        if let StartExecResults::Attached { mut output, .. } = engine.docker().start_exec(&exec.id, None).await? {
            while output.next().await.is_some() {}
        }
        Ok::<(), bollard::errors::Error>(())
    });
    // It is removed all the same.
    match emptied.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%lab, %error, "the lab could not be emptied before its removal"),
        Err(_) => tracing::debug!(%lab, "the lab was not emptied in time before its removal"),
    }
}

impl Removed {
    fn add(&mut self, other: Self) {
        self.runs.extend(other.runs);
        self.containers += other.containers;
        self.networks += other.networks;
        self.volumes += other.volumes;
    }
}

fn missing_is_fine(result: Result<(), EngineError>) -> Result<(), EngineError> {
    result.or_else(|error| if error.is_missing() { Ok(()) } else { Err(error) })
}

/// The filter for things of one run, or of any.
fn labelled(run: Option<&str>) -> HashMap<String, Vec<String>> {
    let label = run.map_or(RUN.to_owned(), |run| format!("{RUN}={run}"));
    HashMap::from([("label".to_owned(), vec![label])])
}

async fn containers(engine: &Engine, run: Option<&str>) -> Result<Vec<bollard::models::ContainerSummary>, EngineError> {
    let options = ListContainersOptionsBuilder::new().all(true).filters(&labelled(run)).build();
    let listed = engine.docker().list_containers(Some(options)).await;
    listed.map_err(|e| engine.explain("list the containers of runs", &e))
}

type Labelled = (String, HashMap<String, String>);

async fn networks(engine: &Engine, run: Option<&str>) -> Result<Vec<Labelled>, EngineError> {
    let options = ListNetworksOptionsBuilder::new().filters(&labelled(run)).build();
    let listed = engine.docker().list_networks(Some(options)).await;
    let listed = listed.map_err(|e| engine.explain("list the networks of runs", &e))?;
    Ok(listed.into_iter().filter_map(|n| Some((n.name?, n.labels.unwrap_or_default()))).collect())
}

async fn images(engine: &Engine, run: Option<&str>) -> Result<Vec<Labelled>, EngineError> {
    let options = ListImagesOptionsBuilder::new().filters(&labelled(run)).build();
    let listed = engine.docker().list_images(Some(options)).await;
    let listed = listed.map_err(|e| engine.explain("list the images of runs", &e))?;
    Ok(listed.into_iter().map(|image| (image.id, image.labels)).collect())
}

async fn volumes(engine: &Engine, run: Option<&str>) -> Result<Vec<Labelled>, EngineError> {
    let options = ListVolumesOptionsBuilder::new().filters(&labelled(run)).build();
    let listed = engine.docker().list_volumes(Some(options)).await;
    let listed = listed.map_err(|e| engine.explain("list the volumes of runs", &e))?;
    let listed = listed.volumes.unwrap_or_default().into_iter();
    Ok(listed.filter(|v| !snapshots::stays(&v.labels)).map(|v| (v.name, v.labels)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_uses_is_abandoned() {
        let this = Owner::this();
        let dead = Owner { started: this.started + 1, ..this.clone() };
        let elsewhere = Owner { boot: "another".into(), ..this.clone() };
        let left =
            |owner: Option<&Owner>, running| Left { run: "r".into(), owner: owner.cloned(), running, keep: false };
        assert!(!left(Some(&this), true).abandoned());
        assert!(!left(Some(&this), false).abandoned(), "it may be between two steps");
        assert!(left(Some(&dead), true).abandoned());
        assert!(!left(Some(&elsewhere), true).abandoned(), "another machine's run may be using it");
        assert!(left(Some(&elsewhere), false).abandoned());
        assert!(!left(None, true).abandoned());
    }
}

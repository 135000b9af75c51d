//! Starts the containers, a few at once, and says which promises were broken; all of it is removed, whatever happens.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{ContainerCreateBody, HostConfig, NetworkCreateRequest};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, RestartContainerOptionsBuilder, StartContainerOptions,
    UploadToContainerOptionsBuilder,
};
use futures_util::{StreamExt, stream};
use imparcial::backend::blame;
use imparcial::docker::Engine;
use imparcial::lab::sweep::remove_run;
use imparcial::owner::Owner;

use super::look::At;
use super::table::{File, Promise, Start, Table, bytes};

/// More would only wait for each other on two cores.
const AT_ONCE: usize = 3;
const READY: Duration = Duration::from_secs(40);
const LOOK: Duration = Duration::from_secs(10);

/// Tries one stand-in alone, on an image of somebody's own: `mysql=my-build`.
pub(super) const TRIED: &str = "IMPARCIAL_CONFORMANCE";

/// Which images are tried.
pub(super) struct Tried {
    only: Option<(String, String)>,
}

impl Tried {
    pub(super) fn asked() -> Result<Self, String> {
        let Ok(asked) = std::env::var(TRIED) else { return Ok(Self { only: None }) };
        let (name, image) = asked.split_once('=').ok_or_else(|| format!("{TRIED}={asked}: STAND-IN=IMAGE is meant"))?;
        Ok(Self { only: Some((name.to_owned(), image.to_owned())) })
    }

    fn image(&self, start: &Start) -> Option<String> {
        match &self.only {
            None => Some(format!("imparcial/{}", start.image)),
            Some((name, image)) => (*name == start.image).then(|| image.clone()),
        }
    }
}

/// Tries every promise: how many there were, and what was broken, in the table's order.
pub(super) async fn all(engine: &Engine, table: &Table, tried: &Tried) -> Result<(usize, Vec<String>), String> {
    let run = crate::live::run_name("conformance");
    let labels = Owner::this().labels(&run);
    let asked: Vec<(&Start, String)> = table.starts.iter().filter_map(|s| Some((s, tried.image(s)?))).collect();
    let count = asked.iter().map(|(start, _)| start.promises.len()).sum();
    let outcome = async {
        let network = NetworkCreateRequest {
            name: format!("imparcial-{run}"),
            internal: Some(true),
            labels: Some(labels.clone()),
            ..NetworkCreateRequest::default()
        };
        let name = network.name.clone();
        engine.docker().create_network(network).await.map_err(|error| error.to_string())?;
        let tries: Vec<_> = asked.iter().map(|(start, image)| one(engine, start, image, &name, &labels)).collect();
        Ok::<_, String>(stream::iter(tries).buffered(AT_ONCE).collect::<Vec<_>>().await)
    };
    // What panics is an error as well: nothing may stay.
    let outcome = outcome.await;
    remove_run(engine, &run).await.map_err(|error| error.to_string())?;
    Ok((count, outcome?.into_iter().flatten().collect()))
}

/// Tries what is promised of one container.
async fn one(
    engine: &Engine,
    start: &Start,
    image: &str,
    network: &str,
    labels: &HashMap<String, String>,
) -> Vec<String> {
    let name = format!("{network}-{}", start.id);
    let at = At { engine, name: &name, image };
    let mut broken = Vec::new();
    if let Err(problem) = begin(&at, start, network, labels).await {
        broken.extend(start.promises.iter().map(|promise| said(start, promise, &problem)));
    } else {
        for promise in &start.promises {
            if let Err(problem) = keeps(&at, promise).await {
                broken.push(said(start, promise, &problem));
            }
        }
    }
    if let Err(error) = engine.remove(&name).await {
        broken.push(format!("{name}: {error}"));
    }
    broken
}

fn said(start: &Start, promise: &Promise, problem: &str) -> String {
    let kept = if promise.not_kept.is_some() { " (listed as not kept)" } else { "" };
    format!("{} ({}){kept}: {}\n  {problem}", promise.id, start.image, promise.says)
}

async fn begin(at: &At<'_>, start: &Start, network: &str, labels: &HashMap<String, String>) -> Result<(), String> {
    let outside = start.promises.iter().flat_map(|promise| &promise.see).chain(&start.ready).any(|look| look.outside());
    let body = ContainerCreateBody {
        image: Some(at.image.to_owned()),
        env: Some(start.env.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        cmd: (!start.command.is_empty()).then(|| start.command.clone()),
        user: start.user.clone(),
        labels: Some(labels.clone()),
        host_config: Some(HostConfig {
            network_mode: Some(if outside { network.to_owned() } else { "none".to_owned() }),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    let options = CreateContainerOptionsBuilder::new().name(at.name).build();
    let docker = at.engine.docker();
    docker.create_container(Some(options), body).await.map_err(|error| error.to_string())?;
    if !start.files.is_empty() {
        let options = UploadToContainerOptionsBuilder::new().path("/").build();
        let tar = bollard::body_full(packed(&start.files)?.into());
        docker.upload_to_container(at.name, Some(options), tar).await.map_err(|error| error.to_string())?;
    }
    docker.start_container(at.name, None::<StartContainerOptions>).await.map_err(|error| error.to_string())?;
    let Some(look) = &start.ready else { return Ok(()) };
    let ready = |problem: String| format!("it was never ready: {problem}");
    at.until(look, READY).await.map_err(ready)?;
    if start.again {
        let options = RestartContainerOptionsBuilder::new().t(20).build();
        docker.restart_container(at.name, Some(options)).await.map_err(|error| error.to_string())?;
        at.until(look, READY).await.map_err(ready)?;
    }
    Ok(())
}

async fn keeps(at: &At<'_>, promise: &Promise) -> Result<(), String> {
    let mut blamed = false;
    for look in &promise.see {
        let seen = at.until(look, LOOK).await?;
        blamed |= blame::version_line(&seen.text).is_some();
    }
    if promise.undecided && !blamed {
        return Err("nothing that is printed would make a failing check undecided".into());
    }
    Ok(())
}

fn packed(files: &[File]) -> Result<Vec<u8>, String> {
    let mut tar = tar::Builder::new(Vec::new());
    for file in files {
        let content = if file.hex.is_empty() { file.text.clone().into_bytes() } else { bytes(&file.hex)? };
        let mut header = tar::Header::new_gnu();
        header.set_mode(if file.runs { 0o755 } else { 0o644 });
        header.set_size(content.len() as u64);
        let path = file.path.trim_start_matches('/');
        tar.append_data(&mut header, path, content.as_slice()).map_err(|error| format!("{path}: {error}"))?;
    }
    tar.into_inner().map_err(|error| error.to_string())
}

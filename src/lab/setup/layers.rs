//! The volume of unpacked layers that labs read (`lab/layers.rs`): filled by a container of the lab's own image.

use std::time::Duration;

use bollard::models::{ContainerCreateBody, ContainerStateStatusEnum, HostConfig, NetworkingConfig};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, LogsOptionsBuilder, RemoveVolumeOptions,
    StartContainerOptions, WaitContainerOptionsBuilder,
};
use futures_util::StreamExt;
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use super::stand_ins::NODE;
use super::{NETWORK, Progress, Seen, SetupError, World};
use crate::docker::{Engine, EngineError, EngineErrorKind};
use crate::lab::catalogue::Catalogue;
use crate::lab::layers::{self, LAYERS};
use crate::lab::registry::MIRROR;
use crate::lab::upload::hex;
use crate::text::Text;

/// The container that fills, and what volumes' names begin with.
pub(super) const NAME: &str = "imparcial-layers";
/// Raised where `lab-layers` makes it otherwise.
const FORMAT: &str = "layers 1\n";
const FILLED_WITHIN: Duration = Duration::from_secs(600);
/// `lab-layers`: this host's filesystem cannot carry the labs' storage driver.
const NOT_HERE: i64 = 3;

pub(super) async fn look(world: &World) -> Result<Seen, SetupError> {
    let missing = Ok(Seen::Missing(Text::new(
        "the stand-ins' layers, unpacked for all labs; `imparcial setup` does it",
        "las capas de los sustitutos, desempaquetadas para todos los laboratorios; lo hace `imparcial setup`",
    )));
    let engine = world.engine().await?;
    let Some(hash) = hash(world).await? else { return missing };
    // Its filler is taken away when it is full.
    let filling = !matches!(engine.container(NAME).await, Err(error) if error.is_missing());
    let volumes = layers::all(engine).await?;
    if filling || !volumes.iter().any(|volume| volume.labels.get(LAYERS) == Some(&hash)) {
        return missing;
    }
    Ok(Seen::There(Text::new("unpacked for all labs", "desempaquetadas para todos los laboratorios")))
}

pub(super) async fn make(world: &World, progress: &dyn Progress) -> Result<Text, SetupError> {
    let engine = world.engine().await?;
    let hash = hash(world).await?.ok_or_else(|| failed("the images are not all there".to_owned()))?;
    if !begun(engine, &hash).await {
        remove(world).await?;
        begin(world, &hash).await?;
    }
    progress.begin("layers", &Text::new("unpacking for all labs", "desempaquetando para todos los laboratorios"));
    let Ok((status, last)) = timeout(FILLED_WITHIN, filled(world, progress)).await else {
        remove(world).await?;
        return Err(failed(format!("no end after {} s", FILLED_WITHIN.as_secs())));
    };
    match status {
        0 => {
            engine.remove(NAME).await?;
            Ok(Text::new("unpacked for all labs", "desempaquetadas para todos los laboratorios"))
        }
        NOT_HERE => {
            // The volume stays, empty: labs see that there is nothing in it, and set-up that it was tried.
            engine.remove(NAME).await?;
            Ok(Text::new(
                format!("each lab unpacks for itself: {last}"),
                format!("cada laboratorio desempaqueta por su cuenta: {last}"),
            ))
        }
        _ => {
            remove(world).await?;
            Err(failed(last))
        }
    }
}

/// Whether a set-up before began it, and it goes on without that one or has ended. One that never ran fills nothing.
async fn begun(engine: &Engine, hash: &str) -> bool {
    let Ok(found) = engine.docker().inspect_container(NAME, None::<InspectContainerOptions>).await else {
        return false;
    };
    let ran = found.state.and_then(|state| state.status).is_some_and(|s| s != ContainerStateStatusEnum::CREATED);
    let from = found.config.and_then(|config| config.labels).and_then(|mut labels| labels.remove(LAYERS));
    ran && from.as_deref() == Some(hash)
}

/// Starts the container that fills a volume of its own: never one that a lab may have.
async fn begin(world: &World, hash: &str) -> Result<(), SetupError> {
    let engine = world.engine().await?;
    let mut labels = world.labels("").await?;
    labels.insert(LAYERS.to_owned(), hash.to_owned());
    let volume = format!("{NAME}-{}-{}", &hash[..8], time::OffsetDateTime::now_utc().unix_timestamp());
    let names = unpacked().map(str::to_owned);
    let body = ContainerCreateBody {
        image: Some("imparcial/lab:latest".into()),
        entrypoint: Some(["/usr/bin/tini", "-g", "--", "/usr/local/sbin/lab-layers", "fill"].map(String::from).into()),
        cmd: Some(names.collect()),
        env: Some(vec![format!("IMPARCIAL_MIRROR={MIRROR}")]),
        labels: Some(labels.clone()),
        host_config: Some(HostConfig {
            // Made with the container: while that is there, no volume counts as full, whatever ends us.
            mounts: Some(vec![layers::mount(volume, labels, false)]),
            network_mode: Some(NETWORK.into()),
            // To unpack, an engine mounts. Nothing of a submission is ever in there.
            cap_add: Some(vec!["SYS_ADMIN".into()]),
            security_opt: Some(vec!["seccomp=unconfined".into(), "apparmor=unconfined".into()]),
            ..HostConfig::default()
        }),
        networking_config: Some(NetworkingConfig {
            endpoints_config: Some([(NETWORK.to_owned(), Default::default())].into()),
        }),
        ..ContainerCreateBody::default()
    };
    let options = CreateContainerOptionsBuilder::new().name(NAME).build();
    let created = engine.docker().create_container(Some(options), body).await;
    created.map_err(|e| engine.explain("create what unpacks the layers", &e))?;
    let started = engine.docker().start_container(NAME, None::<StartContainerOptions>).await;
    started.map_err(|e| engine.explain("start what unpacks the layers", &e))?;
    Ok(())
}

/// Follows the container to its end: its status, and its last line.
async fn filled(world: &World, progress: &dyn Progress) -> (i64, String) {
    let Ok(engine) = world.engine().await else { return (1, String::new()) };
    let options = LogsOptionsBuilder::new().follow(true).stdout(true).stderr(true).build();
    let mut lines = engine.docker().logs(NAME, Some(options));
    let mut last = String::new();
    while let Some(Ok(line)) = lines.next().await {
        last = String::from_utf8_lossy(line.as_ref()).trim_end().to_owned();
        progress.line("layers", &last);
    }
    let options = WaitContainerOptionsBuilder::new().condition("not-running").build();
    let ended = engine.docker().wait_container(NAME, Some(options)).next().await;
    match ended {
        Some(Ok(ended)) => (ended.status_code, last),
        Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => (code, last),
        Some(Err(error)) => (1, error.to_string()),
        None => (1, last),
    }
}

/// Takes away the container and every volume of layers that no lab uses.
pub(super) async fn remove(world: &World) -> Result<(), SetupError> {
    let engine = world.engine().await?;
    engine.remove(NAME).await?;
    for volume in layers::all(engine).await? {
        let removed = engine.docker().remove_volume(&volume.name, None::<RemoveVolumeOptions>).await;
        match removed.map_err(|e| engine.explain(format!("remove the volume {}", volume.name), &e)) {
            // A lab that is up reads it: the next set-up that makes one takes it away.
            Ok(())
            | Err(EngineError {
                kind: EngineErrorKind::Missing(_) | EngineErrorKind::Refused { status: 409, .. },
                ..
            }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Of the stand-ins that it is made from, and of the way it is made; none while one of them is missing.
async fn hash(world: &World) -> Result<Option<String>, SetupError> {
    let images = world.images().await?;
    let mut hasher = Sha256::new();
    hasher.update(FORMAT);
    for name in unpacked() {
        let Some(image) = world.made(&images, name) else { return Ok(None) };
        hasher.update(format!("{name} {}\n", image.id));
    }
    Ok(Some(hex(&hasher.finalize())))
}

/// The images that labs' own engines run.
fn unpacked() -> impl Iterator<Item = &'static str> {
    Catalogue::shipped().stand_ins.iter().map(|entry| entry.name.as_str()).chain([NODE])
}

fn failed(seen: String) -> SetupError {
    SetupError::new(
        Text::new("unpack the stand-ins' layers for all labs", "desempaquetar las capas de los sustitutos"),
        seen,
        Text::new("Run `imparcial setup` again.", "Ejecute `imparcial setup` otra vez."),
    )
}

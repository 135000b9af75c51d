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

use super::world::LAB_IMAGE;
use super::{NETWORK, Progress, Seen, SetupError, World};
use crate::docker::{Engine, EngineError, EngineErrorKind};
use crate::lab::LabError;
use crate::lab::layers::{self, Shelf, State};
use crate::lab::registry::MIRROR;
use crate::lab::upload::hex;
use crate::text::Text;

/// Raised where `lab-layers` makes it otherwise.
const FORMAT: &str = "layers 1\n";
const FILLED_WITHIN: Duration = Duration::from_secs(600);
/// `lab-layers`: this host's filesystem cannot carry the labs' storage driver.
const NOT_HERE: i64 = 3;

pub(super) async fn look(world: &World) -> Result<Seen, SetupError> {
    let missing = || {
        Ok(Seen::Missing(Text::new(
            "the stand-ins' layers, unpacked for all labs; `imparcial setup` does it",
            "las capas de los sustitutos, desempaquetadas para todos los laboratorios; lo hace `imparcial setup`",
        )))
    };
    let (engine, shelf) = (world.engine().await?, &world.shelf);
    let Some(hash) = hash(world).await? else { return missing() };
    // Its filler is taken away when it is full.
    let filling = !matches!(engine.container(&shelf.name).await, Err(error) if error.is_missing());
    let volumes = shelf.volumes(engine).await?;
    let Some(volume) = volumes.iter().find(|v| v.labels.get(&shelf.label) == Some(&hash)).filter(|_| !filling) else {
        return missing();
    };
    match shelf.state(volume, &world.sealer().await?).await.map_err(unsealed)? {
        State::Clean(_) => Ok(Seen::There(Text::new(
            "unpacked for all labs, and as they were filled",
            "desempaquetadas para todos los laboratorios, y como se llenaron",
        ))),
        State::Unsealed => missing(),
        State::Changed(parts) => {
            let parts = layers::shown(&parts);
            Ok(Seen::Missing(Text::new(
                format!(
                    "somebody wrote into the layers of all labs since they were filled ({parts}): no lab uses them; `imparcial setup` makes them anew"
                ),
                format!(
                    "alguien escribió en las capas de todos los laboratorios después de llenarlas ({parts}): ninguno las usa; `imparcial setup` las vuelve a hacer"
                ),
            )))
        }
    }
}

pub(super) async fn make(world: &World, progress: &dyn Progress) -> Result<Text, SetupError> {
    let (engine, shelf) = (world.engine().await?, &world.shelf);
    let hash = hash(world).await?.ok_or_else(|| failed("the images are not all there".to_owned()))?;
    let volume = match begun(engine, shelf, &hash).await {
        Some(volume) => volume,
        None => {
            remove(world).await?;
            begin(world, &hash).await?
        }
    };
    progress.begin("layers", &Text::new("unpacking for all labs", "desempaquetando para todos los laboratorios"));
    let Ok((status, last)) = timeout(FILLED_WITHIN, filled(world, progress)).await else {
        remove(world).await?;
        return Err(failed(format!("no end after {} s", FILLED_WITHIN.as_secs())));
    };
    match status {
        0 => {
            seal(world, &volume).await?;
            Ok(Text::new("unpacked for all labs", "desempaquetadas para todos los laboratorios"))
        }
        NOT_HERE => {
            // The volume stays, empty: labs see that there is nothing in it, and set-up that it was tried.
            seal(world, &volume).await?;
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

/// Seals what was filled, and takes away what filled it: until then no set-up takes it for there.
async fn seal(world: &World, volume: &str) -> Result<(), SetupError> {
    world.shelf.seal(volume, &world.sealer().await?).await.map_err(unsealed)?;
    world.engine().await?.remove(&world.shelf.name).await?;
    Ok(())
}

/// The volume that a set-up before began to fill, and that goes on without it or is full. What never ran fills nothing.
async fn begun(engine: &Engine, shelf: &Shelf, hash: &str) -> Option<String> {
    let found = engine.docker().inspect_container(&shelf.name, None::<InspectContainerOptions>).await.ok()?;
    let ran = found.state.and_then(|state| state.status).is_some_and(|s| s != ContainerStateStatusEnum::CREATED);
    let from = found.config.and_then(|config| config.labels).and_then(|mut labels| labels.remove(&shelf.label));
    let volume = found.mounts.unwrap_or_default().into_iter().find_map(|mount| mount.name)?;
    (ran && from.as_deref() == Some(hash)).then_some(volume)
}

/// Starts the container that fills a volume of its own: never one that a lab may have.
async fn begin(world: &World, hash: &str) -> Result<String, SetupError> {
    let (engine, shelf) = (world.engine().await?, &world.shelf);
    let mut labels = world.labels("").await?;
    labels.insert(shelf.label.clone(), hash.to_owned());
    let volume = format!("{}-{}-{}", shelf.name, &hash[..8], time::OffsetDateTime::now_utc().unix_timestamp());
    let body = ContainerCreateBody {
        image: Some(LAB_IMAGE.into()),
        entrypoint: Some(["/usr/bin/tini", "-g", "--", "/usr/local/sbin/lab-layers", "fill"].map(String::from).into()),
        cmd: Some(shelf.images.clone()),
        env: Some(vec![format!("IMPARCIAL_MIRROR={MIRROR}")]),
        labels: Some(labels.clone()),
        host_config: Some(HostConfig {
            // Made with the container: while that is there, no volume counts as full, whatever ends us.
            mounts: Some(vec![layers::mount(volume.clone(), labels, false)]),
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
    let options = CreateContainerOptionsBuilder::new().name(&shelf.name).build();
    let created = engine.docker().create_container(Some(options), body).await;
    created.map_err(|e| engine.explain("create what unpacks the layers", &e))?;
    let started = engine.docker().start_container(&shelf.name, None::<StartContainerOptions>).await;
    started.map_err(|e| engine.explain("start what unpacks the layers", &e))?;
    Ok(volume)
}

/// Follows the container to its end: its status, and its last line.
async fn filled(world: &World, progress: &dyn Progress) -> (i64, String) {
    let Ok(engine) = world.engine().await else { return (1, String::new()) };
    let options = LogsOptionsBuilder::new().follow(true).stdout(true).stderr(true).build();
    let mut lines = engine.docker().logs(&world.shelf.name, Some(options));
    let mut last = String::new();
    while let Some(Ok(line)) = lines.next().await {
        last = String::from_utf8_lossy(line.as_ref()).trim_end().to_owned();
        progress.line("layers", &last);
    }
    let options = WaitContainerOptionsBuilder::new().condition("not-running").build();
    let ended = engine.docker().wait_container(&world.shelf.name, Some(options)).next().await;
    match ended {
        Some(Ok(ended)) => (ended.status_code, last),
        Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => (code, last),
        Some(Err(error)) => (1, error.to_string()),
        None => (1, last),
    }
}

/// Takes away the container and every volume of layers that no lab uses.
pub(super) async fn remove(world: &World) -> Result<(), SetupError> {
    let (engine, shelf) = (world.engine().await?, &world.shelf);
    engine.remove(&shelf.name).await?;
    for volume in shelf.volumes(engine).await? {
        shelf.forget(&volume.name).map_err(unsealed)?;
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
    for name in &world.shelf.images {
        let Some(image) = world.made(&images, name) else { return Ok(None) };
        hasher.update(format!("{name} {}\n", image.id));
    }
    Ok(Some(hex(&hasher.finalize())))
}

/// Of the seal: it says itself what is wrong, and how it was seen.
fn unsealed(error: LabError) -> SetupError {
    failed(error.to_string())
}

fn failed(seen: String) -> SetupError {
    SetupError::new(
        Text::new("unpack the stand-ins' layers for all labs", "desempaquetar las capas de los sustitutos"),
        seen,
        Text::new("Run `imparcial setup` again.", "Ejecute `imparcial setup` otra vez."),
    )
}

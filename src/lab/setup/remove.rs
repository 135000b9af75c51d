//! `imparcial setup --remove`: takes away what set-up made. Packages and the engine stay: others may use them by now.

use std::collections::HashMap;

use bollard::query_parameters::{ListImagesOptionsBuilder, RemoveImageOptionsBuilder, RemoveVolumeOptions};

use super::build::prune;
use super::{NETWORK, SetupError, World, layers};
use crate::docker::{EngineError, EngineErrorKind};
use crate::lab::registry::NAME;
use crate::lab::snapshots;
use crate::text::Text;

/// Removes registry, network, volumes and images, and says how many images there were.
pub async fn remove(world: &World) -> Result<Text, SetupError> {
    let engine = world.engine().await?;
    engine.remove(NAME).await?;
    layers::remove(world).await?;
    snapshots::remove_all(engine).await?;
    let removed = engine.docker().remove_network(NETWORK).await;
    fine(removed.map_err(|e| engine.explain(format!("remove the network {NETWORK}"), &e))).map_err(|error| {
        let mut error = SetupError::from(error);
        error.next = Text::new(
            "Labs are still on it: run `imparcial down --all` and then `imparcial setup --remove` again.",
            "Aún hay laboratorios en ella: ejecute `imparcial down --all` y luego `imparcial setup --remove`.",
        );
        error
    })?;
    let removed = engine.docker().remove_volume(NAME, None::<RemoveVolumeOptions>).await;
    fine(removed.map_err(|e| engine.explain("remove the registry's volume", &e)))?;

    let filters = HashMap::from([("reference".to_owned(), vec!["imparcial/*".to_owned()])]);
    let listed = engine.docker().list_images(Some(ListImagesOptionsBuilder::new().filters(&filters).build())).await;
    let listed = listed.map_err(|e| engine.explain("list the images", &e))?;
    let mut names: Vec<String> = listed.into_iter().flat_map(|image| image.repo_tags).collect();
    names.retain(|name| name.starts_with("imparcial/"));
    for name in &names {
        let options = RemoveImageOptionsBuilder::new().force(true).build();
        let removed = engine.docker().remove_image(name, Some(options), None).await.map(drop);
        fine(removed.map_err(|e| engine.explain(format!("remove the image {name}"), &e)))?;
    }
    prune(engine, &world.installation().await?).await?;
    Ok(Text::new(
        format!(
            "removed: the registry with its volume, the network {NETWORK}, {} images; packages, the engine and {} stay",
            names.len(),
            world.state.display()
        ),
        format!(
            "retirado: el registro con su volumen, la red {NETWORK}, {} imágenes; quedan los paquetes, el motor y {}",
            names.len(),
            world.state.display()
        ),
    ))
}

/// What is not there is removed already.
fn fine(result: Result<(), EngineError>) -> Result<(), EngineError> {
    match result {
        Err(EngineError { kind: EngineErrorKind::Missing(_), .. }) => Ok(()),
        other => other,
    }
}

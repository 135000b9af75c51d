//! The stand-ins' layers, unpacked once into a volume that every lab reads: `vagrant/images/lab/lab-layers` says how.
//!
//! What it holds is known by content, as everything of an image is: a volume of yesterday only means that what is new is
//! fetched. So the newest is taken, and a lab without any pulls as usual.

use std::collections::HashMap;

use bollard::models::{Mount, MountType, MountVolumeOptions, Volume};
use bollard::query_parameters::ListVolumesOptionsBuilder;

use crate::docker::{Engine, EngineError};

/// Label of such a volume: what it was filled from.
pub(super) const LAYERS: &str = "imparcial.layers";
/// Where it is in a lab.
const SHELF: &str = "/layers";

/// Every volume of layers, the newest first.
pub(super) async fn all(host: &Engine) -> Result<Vec<Volume>, EngineError> {
    let filters = HashMap::from([("label".to_owned(), vec![LAYERS.to_owned()])]);
    let options = ListVolumesOptionsBuilder::new().filters(&filters).build();
    let listed = host.docker().list_volumes(Some(options)).await;
    let listed = listed.map_err(|e| host.explain("list the volumes of layers", &e))?;
    let mut volumes = listed.volumes.unwrap_or_default();
    volumes.sort_by(|a, b| (&b.created_at, &b.name).cmp(&(&a.created_at, &a.name)));
    Ok(volumes)
}

/// How a lab is given them; nothing where there are none.
pub(super) async fn shared(host: &Engine) -> Option<Mount> {
    let volumes = all(host).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "a lab goes without the layers that are unpacked already");
        Vec::new()
    });
    let full = volumes.into_iter().find(|volume| volume.labels.get(LAYERS).is_some_and(|from| !from.is_empty()))?;
    // Where set-up takes it away in this very moment, the engine makes an empty one of its name: it is to be known as ours.
    Some(mount(full.name, HashMap::from([(LAYERS.to_owned(), String::new())]), true))
}

/// A volume where layers lie in a container; one that is not there is made with these labels, together with the container.
pub(super) fn mount(volume: String, labels: HashMap<String, String>, read_only: bool) -> Mount {
    let options = MountVolumeOptions { labels: Some(labels), ..MountVolumeOptions::default() };
    Mount {
        typ: Some(MountType::VOLUME),
        source: Some(volume),
        target: Some(SHELF.to_owned()),
        read_only: Some(read_only),
        volume_options: Some(options),
        ..Mount::default()
    }
}

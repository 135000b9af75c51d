//! What every step is given: this host, its engine, the folder where our state lies.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bollard::query_parameters::ListImagesOptionsBuilder;
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

use super::host::{self, Mirrors};
use super::sources::Sources;
use super::{HASH, INSTALLATION, SetupError};
use crate::docker::Engine;
use crate::lab::layers::Shelf;
use crate::lab::sealing::Sealer;
use crate::lab::upload::hex;
use crate::text::Text;

/// What labs are made from.
pub(super) const LAB_IMAGE: &str = "imparcial/lab:latest";

/// Everything that set-up works with.
pub struct World {
    pub(super) state: PathBuf,
    pub(super) sources: Sources,
    pub(super) mirrors: Mirrors,
    /// Makes every image again.
    pub(super) rebuild: bool,
    /// Sees to what virtual machines need as well.
    pub(super) vms: bool,
    /// The volumes of unpacked layers.
    pub(super) shelf: Shelf,
    engine: OnceCell<Engine>,
}

/// An image that set-up made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Image {
    pub(super) id: String,
    pub(super) hash: Option<String>,
    pub(super) size: i64,
}

impl World {
    /// This host, with `$IMPARCIAL_HOME`, or the usual folder for our state.
    pub fn of_host(rebuild: bool) -> Self {
        let mirrors = Mirrors::of_host();
        let sources = Sources::embedded(&mirrors.sources_list(), &host::certificates());
        let state = state();
        let shelf = Shelf::of(&state);
        Self { state, sources, mirrors, rebuild, vms: false, shelf, engine: OnceCell::new() }
    }

    /// The same, with what virtual machines need.
    pub fn with_vms(self, vms: bool) -> Self {
        Self { vms, ..self }
    }

    /// The same with other volumes of layers.
    pub fn with_shelf(self, shelf: Shelf) -> Self {
        Self { shelf, ..self }
    }

    /// Who looks at volumes of layers.
    pub(super) async fn sealer(&self) -> Result<Sealer<'_>, SetupError> {
        Ok(Sealer { host: self.engine().await?, image: LAB_IMAGE, binary: Path::new("/proc/self/exe") })
    }

    /// The host's engine; looked for until it answers.
    pub(super) async fn engine(&self) -> Result<&Engine, SetupError> {
        Ok(self.engine.get_or_try_init(Engine::host).await?)
    }

    /// The folder of our state, made if it is not there.
    pub(super) fn folder(&self) -> Result<&PathBuf, SetupError> {
        std::fs::create_dir_all(&self.state).map_err(|error| {
            let shown = self.state.display();
            SetupError::new(
                Text::new(format!("make the folder {shown}"), format!("crear la carpeta {shown}")),
                error.to_string(),
                Text::new(
                    "IMPARCIAL_HOME names another folder for imparcial's state",
                    "IMPARCIAL_HOME indica otra carpeta para el estado de imparcial",
                ),
            )
        })?;
        Ok(&self.state)
    }

    /// The installation's name: one an engine, so that it is known again without a file.
    pub(super) async fn installation(&self) -> Result<String, SetupError> {
        let engine = self.engine().await?;
        let info = engine.docker().info().await.map_err(|e| engine.explain("ask the engine for its id", &e))?;
        Ok(hex(&Sha256::digest(info.id.unwrap_or_default()))[..12].to_owned())
    }

    /// Labels of what is made from something with this hash.
    pub(super) async fn labels(&self, hash: &str) -> Result<HashMap<String, String>, SetupError> {
        let mut labels = HashMap::from([(INSTALLATION.to_owned(), self.installation().await?)]);
        if !hash.is_empty() {
            labels.insert(HASH.to_owned(), hash.to_owned());
        }
        Ok(labels)
    }

    /// Every image named `imparcial/…`, by name and tag.
    pub(super) async fn images(&self) -> Result<HashMap<String, Image>, SetupError> {
        let engine = self.engine().await?;
        let filters = HashMap::from([("reference".to_owned(), vec!["imparcial/*".to_owned()])]);
        let options = ListImagesOptionsBuilder::new().filters(&filters).build();
        let listed = engine.docker().list_images(Some(options)).await;
        let listed = listed.map_err(|e| engine.explain("list the images", &e))?;
        let mut images = HashMap::new();
        for image in listed {
            let found = Image { id: image.id, hash: image.labels.get(HASH).cloned(), size: image.size };
            images.extend(image.repo_tags.into_iter().map(|tag| (tag, found.clone())));
        }
        Ok(images)
    }

    /// An image that is what its sources would make now, and is not to be made again.
    pub(super) fn current(&self, images: &HashMap<String, Image>, name: &str) -> Option<Image> {
        self.made(images, name).filter(|_| !self.rebuild)
    }

    /// An image that is what its sources would make now.
    pub(super) fn made(&self, images: &HashMap<String, Image>, name: &str) -> Option<Image> {
        let image = images.get(&format!("imparcial/{name}:latest"))?;
        (image.hash.as_deref() == Some(self.sources.hash(name).as_str())).then(|| image.clone())
    }
}

/// Where this installation keeps its state: `$IMPARCIAL_HOME`, else what is usual for this user.
pub fn state() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    match (set("IMPARCIAL_HOME"), set("HOME")) {
        (Some(home), _) => home.into(),
        (None, Some(home)) if !nix::unistd::geteuid().is_root() => PathBuf::from(home).join(".local/state/imparcial"),
        _ => "/var/lib/imparcial".into(),
    }
}

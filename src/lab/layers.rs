//! The stand-ins' layers, unpacked once into a volume that every lab reads: `vagrant/images/lab/lab-layers` says how.
//!
//! What it holds is known by content, as everything of an image is: a volume of yesterday only means that what is new is
//! fetched. So the newest is taken, and a lab without any pulls as usual.
//!
//! A lab's root can make the mount writable, and the next lab would run what this one wrote. So a volume has a seal from when
//! it was filled (`seal.rs`), and is proven to be as it was before a lab is given it, and once more when the lab's looks are
//! over: another lab may have run beside it.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bollard::models::{Mount, MountType, MountVolumeOptions, Volume};
use bollard::query_parameters::ListVolumesOptionsBuilder;

use super::LabError;
use super::catalogue::Catalogue;
use super::seal::Seal;
use super::sealing::Sealer;
use crate::docker::{Engine, EngineError};
use crate::notice::{Level, Notice};
use crate::text::Text;

/// Where it is in a lab.
pub(super) const SHELF: &str = "/layers";
/// The image of machines on container nodes: labs' engines run it as well.
pub(super) const NODE: &str = "node";

/// An installation's volumes of layers, and where their seals are kept: outside of any lab.
#[derive(Clone, Debug)]
pub struct Shelf {
    /// The container that fills a volume, and what volumes' names begin with.
    pub name: String,
    /// Label of such a volume: what it was filled from.
    pub label: String,
    /// The folder of their seals.
    pub seals: PathBuf,
    /// The images that are unpacked.
    pub images: Vec<String>,
}

/// What a lab is to be given.
#[derive(Debug, Default)]
pub(super) struct Proven {
    pub(super) volume: Option<Sealed>,
    /// Why it goes without, where somebody should know.
    pub(super) notice: Option<Notice>,
}

/// A volume that is as it was filled.
#[derive(Clone, Debug)]
pub(super) struct Sealed {
    name: String,
    seal: Seal,
}

/// How a volume is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Clean(Seal),
    /// Filled by nobody who sealed it, or half way.
    Unsealed,
    /// These parts are not as they were.
    Changed(Vec<String>),
}

impl Shelf {
    /// This installation's: its state lies in that folder.
    pub fn of(state: &Path) -> Self {
        let images = Catalogue::shipped().stand_ins.iter().map(|entry| entry.name.clone());
        Self {
            name: "imparcial-layers".to_owned(),
            label: "imparcial.layers".to_owned(),
            seals: state.join("layers"),
            images: images.chain([NODE.to_owned()]).collect(),
        }
    }

    /// Every volume of layers, the newest first.
    pub(super) async fn volumes(&self, host: &Engine) -> Result<Vec<Volume>, EngineError> {
        let filters = HashMap::from([("label".to_owned(), vec![self.label.clone()])]);
        let options = ListVolumesOptionsBuilder::new().filters(&filters).build();
        let listed = host.docker().list_volumes(Some(options)).await;
        let listed = listed.map_err(|e| host.explain("list the volumes of layers", &e))?;
        let mut volumes = listed.volumes.unwrap_or_default();
        volumes.sort_by(|a, b| (&b.created_at, &b.name).cmp(&(&a.created_at, &a.name)));
        Ok(volumes)
    }

    /// The newest that was filled and sealed, if it is as it was; nothing where there is none.
    pub(super) async fn proven(&self, by: &Sealer<'_>) -> Proven {
        let volumes = self.volumes(by.host).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "a lab goes without the layers that are unpacked already");
            Vec::new()
        });
        let full = |volume: &Volume| volume.labels.get(&self.label).is_some_and(|from| !from.is_empty());
        let mut unsealed = None;
        for volume in volumes.into_iter().filter(full) {
            match self.state(&volume, by).await {
                Ok(State::Clean(seal)) => {
                    let volume = Some(Sealed { name: volume.name, seal });
                    return Proven { volume, notice: None };
                }
                // One that is being filled has none yet: the one before is as good.
                Ok(State::Unsealed) => unsealed = unsealed.or(Some(no_seal(&volume.name))),
                Ok(State::Changed(parts)) => {
                    return Proven { volume: None, notice: Some(changed_before(&volume.name, &parts)) };
                }
                Err(error) => return Proven { volume: None, notice: Some(notice(Level::Info, error.text())) },
            }
        }
        Proven { volume: None, notice: unsealed }
    }

    /// Whether it is as it was filled.
    pub(super) async fn state(&self, volume: &Volume, by: &Sealer<'_>) -> Result<State, LabError> {
        let Some(kept) = self.kept(&volume.name) else { return Ok(State::Unsealed) };
        let now = by.seal(&volume.name, &volume.mountpoint).await?;
        let parts: Vec<String> = now.differs(&kept).into_iter().map(str::to_owned).collect();
        Ok(if parts.is_empty() { State::Clean(kept) } else { State::Changed(parts) })
    }

    /// Seals a volume that was filled just now: before this, no lab is given it.
    pub(super) async fn seal(&self, volume: &str, by: &Sealer<'_>) -> Result<(), LabError> {
        let found = by.host.docker().inspect_volume(volume).await;
        let found = found.map_err(|e| by.host.explain(format!("look at the volume {volume}"), &e))?;
        let seal = by.seal(volume, &found.mountpoint).await?;
        if let Some(part) = seal.beyond() {
            return Err(not_seen_whole(volume, part));
        }
        // Whole or not at all.
        let (path, beside) = (self.path(volume), self.seals.join(format!("{volume}.new")));
        let written = fs::create_dir_all(&self.seals)
            .and_then(|()| fs::write(&beside, seal.written()))
            .and_then(|()| fs::rename(&beside, &path));
        written.map_err(|error| unwritten(&path, &error))
    }

    /// Forgets a volume's seal: it is not to be given to a lab any more.
    pub(super) fn forget(&self, volume: &str) -> Result<(), LabError> {
        let path = self.path(volume);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unwritten(&path, &error)),
            _ => Ok(()),
        }
    }

    fn kept(&self, volume: &str) -> Option<Seal> {
        Seal::read(&fs::read_to_string(self.path(volume)).ok()?)
    }

    fn path(&self, volume: &str) -> PathBuf {
        self.seals.join(format!("{volume}.seal"))
    }

    /// A volume where layers lie in a lab.
    pub(super) fn given(&self, volume: &Sealed) -> Mount {
        // Where set-up takes it away in this very moment, the engine makes an empty one of its name: it is to be known as ours.
        mount(volume.name.clone(), HashMap::from([(self.label.clone(), String::new())]), true)
    }

    /// What was changed in it while a lab had it. Nothing where set-up took it away before the lab came to it.
    pub(super) async fn changed(&self, sealed: &Sealed, by: &Sealer<'_>) -> Result<Option<Text>, LabError> {
        let found = by.host.docker().inspect_volume(&sealed.name).await;
        let found = found.map_err(|e| by.host.explain(format!("look at the volume {}", sealed.name), &e))?;
        if found.labels.get(&self.label).is_none_or(String::is_empty) {
            return Ok(None);
        }
        let now = by.seal(&sealed.name, &found.mountpoint).await?;
        let parts: Vec<String> = now.differs(&sealed.seal).into_iter().map(str::to_owned).collect();
        Ok((!parts.is_empty()).then(|| changed_meanwhile(&sealed.name, &parts)))
    }
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

/// Of the parts that were changed, as many as a sentence bears.
pub(super) fn shown(parts: &[String]) -> String {
    let named: Vec<&str> = parts.iter().take(2).map(String::as_str).collect();
    let more = parts.len().saturating_sub(named.len());
    let more = if more > 0 { format!(" (+{more})") } else { String::new() };
    format!("{}{more}", named.join(", "))
}

fn notice(level: Level, text: Text) -> Notice {
    Notice::new("lab.layers", level, text)
}

fn no_seal(volume: &str) -> Notice {
    notice(
        Level::Info,
        Text::new(
            format!(
                "nobody vouches for the unpacked layers in the volume {volume}: this run did not use them and was slower; `imparcial setup` makes them anew"
            ),
            format!(
                "nadie responde por las capas desempaquetadas del volumen {volume}: esta ejecución no las usó y fue más lenta; `imparcial setup` las vuelve a hacer"
            ),
        ),
    )
}

fn changed_before(volume: &str, parts: &[String]) -> Notice {
    let parts = shown(parts);
    notice(
        Level::Warning,
        Text::new(
            format!(
                "the unpacked layers in the volume {volume} are not as they were filled ({parts}): an earlier lab, or somebody on this host, wrote into them. This run did not use them; `imparcial setup` makes them anew"
            ),
            format!(
                "las capas desempaquetadas del volumen {volume} no están como se llenaron ({parts}): escribió en ellas un laboratorio anterior, o alguien en este equipo. Esta ejecución no las usó; `imparcial setup` las vuelve a hacer"
            ),
        ),
    )
}

fn changed_meanwhile(volume: &str, parts: &[String]) -> Text {
    let parts = shown(parts);
    Text::new(
        format!(
            "the unpacked layers in the volume {volume}, which this run stood on, were written to while it ran ({parts}): by this submission, by another that ran beside it, or by somebody on this host. What was seen proves nothing; the next run does not use them, and `imparcial setup` makes them anew"
        ),
        format!(
            "en las capas desempaquetadas del volumen {volume}, sobre las que corría esta ejecución, se escribió mientras corría ({parts}): lo hizo esta entrega, otra que corría a la vez, o alguien en este equipo. Lo visto no prueba nada; la próxima ejecución no las usa, e `imparcial setup` las vuelve a hacer"
        ),
    )
}

fn not_seen_whole(volume: &str, part: &str) -> LabError {
    LabError::Place(Text::new(
        format!("{part} in the volume {volume} is too deep or has too many files to be sealed"),
        format!("{part} del volumen {volume} es demasiado profundo o tiene demasiados archivos para sellarlo"),
    ))
}

fn unwritten(path: &Path, error: &io::Error) -> LabError {
    LabError::Place(Text::new(
        format!("could not keep the seal of the layers in {}: {error}", path.display()),
        format!("no se pudo guardar el sello de las capas en {}: {error}", path.display()),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_names_two_parts_and_counts_the_others() {
        let parts = |n: usize| (0..n).map(|i| format!("overlay2/{i}")).collect::<Vec<_>>();
        assert_eq!(shown(&parts(1)), "overlay2/0");
        assert_eq!(shown(&parts(2)), "overlay2/0, overlay2/1");
        assert_eq!(shown(&parts(5)), "overlay2/0, overlay2/1 (+3)");
    }

    #[test]
    fn a_seal_that_is_not_there_or_not_whole_is_none_and_is_forgotten_twice() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::of(dir.path());
        assert_eq!(shelf.kept("v"), None);
        fs::create_dir_all(&shelf.seals).unwrap();
        fs::write(shelf.path("v"), "imparcial se").unwrap();
        assert_eq!(shelf.kept("v"), None);
        fs::write(shelf.path("v"), "imparcial seal 1\nab overlay2/x\n").unwrap();
        assert_eq!(shelf.kept("v").unwrap().written(), "imparcial seal 1\nab overlay2/x\n");
        shelf.forget("v").unwrap();
        shelf.forget("v").unwrap();
        assert_eq!(shelf.kept("v"), None);
    }
}

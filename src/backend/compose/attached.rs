//! A stack that is up already: the compose file is read and judged as ever, and the rest is looked up in what runs. Nothing is
//! created, started or removed here.

use bollard::models::ImageInspect;

use super::pressure;
use super::start::listen;
use super::{read, up_with};
use crate::backend::log::Log;
use crate::backend::{BackendError, Request, Site, Source, Up};
use crate::docker::container::{PROJECT, SERVICE};
use crate::docker::{Container, Engine};
use crate::stack::{AsWritten, Doubt, ImageState, StandIn};
use crate::submission::ServiceDef;
use crate::text::Text;

/// The facts that may be in doubt.
const BUILT: &str = "built_from_submission";
const LIVES: &str = "fails_at_twice_its_limit";

/// The stack of the project that `site` names, as it is now. `request.sources` are the stand-ins that could serve.
///
/// # Errors
/// Nothing of it is there any more, or it cannot be looked at.
pub async fn look(site: &Site, request: &Request) -> Result<Up, BackendError> {
    let mut log = Log::new(request.told.clone());
    let own = request.submission.compose.clone().unwrap_or_default();
    let (_, mut stack, read) = read(site, request, &own, &mut log).await?;
    let containers = site.engine.project_containers(&stack.project).await?;
    if containers.is_empty() {
        let project = &stack.project;
        return Err(BackendError::Other(Text::new(
            format!("attached: project {project} is gone; bring it up and grade it again"),
            format!("adjunto: el proyecto {project} ya no está; levántelo y califíquelo de nuevo"),
        )));
    }
    // From now on; what was asked for and dialled before is not known.
    listen(site).await;
    let Some((file, _)) = read else { return Ok(up_with(stack, log)) };
    for service in &file.services {
        let mut own: Vec<&Container> = containers.iter().filter(|c| c.service == service.name).collect();
        own.sort_by_key(|c| !c.running());
        let container = own.first().copied();
        let (image, built) = image(site, request, service, container, &stack.project).await?;
        if let Some(state) = stack.services.get_mut(&service.name) {
            state.image = image;
        }
        let (seen, lives) = limits(site, service, container).await;
        stack.as_written.insert(service.name.clone(), seen);
        let doubt = |fact, why: Option<Text>| why.map(|why| Doubt { service: service.name.clone(), fact, why });
        stack.doubts.extend(doubt(BUILT, built).into_iter().chain(doubt(LIVES, lives)));
    }
    Ok(up_with(stack, log))
}

/// A service's image as its container has it, and why it cannot be told whether it was built from the submission.
async fn image(
    site: &Site,
    request: &Request,
    service: &ServiceDef,
    container: Option<&Container>,
    project: &str,
) -> Result<(ImageState, Option<Text>), BackendError> {
    let reference = service.image.clone().unwrap_or_else(|| "build".to_owned());
    let mut state = ImageState { reference, ..ImageState::default() };
    let Some(container) = container else {
        let why = service.build.is_some().then(|| unseen(&service.name));
        return Ok((state, why));
    };
    let image = inspect(&site.engine, &container.image).await?;
    let base = request.submission.builds.get(&service.name).and_then(|build| build.base());
    let base = if service.build.is_some() { base } else { service.image.as_deref() };
    if let (Some(image), Some(Source::StandIn(stand_in))) = (&image, base.and_then(|base| request.sources.get(base))) {
        state.stand_in = stands_on(&site.engine, image, stand_in).await?;
    }
    if service.build.is_none() {
        return Ok((state, None));
    }
    let now = inspect(&site.engine, &container.image_name).await?.and_then(|image| image.id);
    match origin(service, container, image.as_ref(), now.as_deref(), project) {
        Ok(()) => {
            state.built = Some(container.image.clone());
            Ok((state, None))
        }
        Err(why) => Ok((state, Some(why))),
    }
}

fn unseen(service: &str) -> Text {
    Text::new(
        format!("attached: {service} has no container, so it was not seen whether its image builds"),
        format!("adjunto: {service} no tiene contenedor, así que no se vio si su imagen se construye"),
    )
}

/// Whether the image that runs is what the compose tool built for the service, on this engine; else why nobody can tell.
fn origin(
    service: &ServiceDef,
    container: &Container,
    image: Option<&ImageInspect>,
    now: Option<&str>,
    project: &str,
) -> Result<(), Text> {
    let name = &service.name;
    let doubt = |en: &str, es: &str| Err(Text::new(format!("attached: {name} {en}"), format!("adjunto: {name} {es}")));
    let Some(image) = image else {
        return doubt(
            "runs an image that was removed, so it cannot be told what it was built from",
            "corre una imagen que ya se borró, así que no se puede saber de qué se construyó",
        );
    };
    let plain = |name: &str| name.strip_suffix(":latest").unwrap_or(name).to_lowercase();
    let runs = plain(&container.image_name);
    let tools = [format!("{project}_{name}"), format!("{project}-{name}")].map(|name| plain(&name));
    let named = service.image.as_deref().map(plain);
    let ours = match &named {
        Some(named) => *named == runs,
        None => tools.contains(&runs),
    };
    if !ours {
        return doubt(
            "runs another image than the one that its `build:` makes",
            "corre otra imagen que la que produce su `build:`",
        );
    }
    if now.is_some_and(|now| now != container.image) {
        return doubt(
            "still runs an image that was built anew since",
            "corre todavía una imagen que después se construyó de nuevo",
        );
    }
    let labels = image.config.as_ref().and_then(|config| config.labels.clone()).unwrap_or_default();
    let labelled = labels.get(PROJECT).map(String::as_str) == Some(project) && labels.get(SERVICE) == Some(name);
    // A name of the tool's own is in no registry; another one may have been pulled.
    let pulled = image.repo_digests.as_ref().is_some_and(|digests| !digests.is_empty());
    if named.is_some() && pulled && !labelled {
        return doubt(
            "runs an image that a registry has too: it may have been pulled and not built",
            "corre una imagen que también está en un registro: puede haberse descargado y no construido",
        );
    }
    Ok(())
}

/// The stand-in, where the image is it or stands on it: its layers begin with the stand-in's.
async fn stands_on(engine: &Engine, image: &ImageInspect, stand_in: &StandIn) -> Result<Option<StandIn>, BackendError> {
    let below = inspect(engine, &format!("imparcial/{}:latest", stand_in.name)).await?;
    Ok(below.filter(|below| begins_with(image, below)).map(|_| stand_in.clone()))
}

fn begins_with(image: &ImageInspect, below: &ImageInspect) -> bool {
    let layers = |image: &ImageInspect| image.root_fs.as_ref().and_then(|fs| fs.layers.clone()).unwrap_or_default();
    let below = layers(below);
    !below.is_empty() && layers(image).starts_with(&below)
}

/// None where there is no such image.
async fn inspect(engine: &Engine, name: &str) -> Result<Option<ImageInspect>, BackendError> {
    match engine.docker().inspect_image(name).await.map_err(|e| engine.explain(format!("inspect image {name}"), &e)) {
        Ok(image) => Ok(Some(image)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The limits in force, and why it cannot be told whether the service lives within them.
pub(in crate::backend) async fn limits(
    site: &Site,
    service: &ServiceDef,
    container: Option<&Container>,
) -> (AsWritten, Option<Text>) {
    let Some(container) = container else {
        return (AsWritten::default(), service.memory.is_some().then(|| unlived(&service.name)));
    };
    let read = if container.running() { pressure::counters(site, container).await } else { None };
    let counters = read.unwrap_or_default();
    let seen = AsWritten {
        memory_bytes: container.memory_bytes,
        cpus: container.cpus(),
        cgroup_memory_bytes: counters.limit.filter(|_| container.memory_bytes > 0),
        cgroup_cpus: counters.cpus,
        ..AsWritten::default()
    };
    (seen, lives(container, counters.oom_kills).err().map(|()| unlived(&service.name)))
}

/// A service that runs under its limit, unharmed, lives within it. One that does not may have been stopped by anybody.
fn lives(container: &Container, oom_kills: u64) -> Result<(), ()> {
    let unharmed = container.running() && oom_kills == 0 && !container.oom_killed;
    if container.memory_bytes == 0 || unharmed { Ok(()) } else { Err(()) }
}

fn unlived(service: &str) -> Text {
    Text::new(
        format!(
            "attached: {service} does not run unharmed under its limit, and is not brought up with twice as much to see why"
        ),
        format!("adjunto: {service} no corre sin daño bajo su límite, y no se levanta con el doble para ver por qué"),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use bollard::models::{ImageConfig, ImageInspectRootFs};

    use super::*;
    use crate::submission::BuildDef;

    fn service(image: Option<&str>) -> ServiceDef {
        let build = Some(BuildDef::default());
        ServiceDef { name: "App".into(), image: image.map(str::to_owned), build, ..ServiceDef::default() }
    }

    fn runs(image_name: &str) -> Container {
        Container { image_name: image_name.into(), image: "sha256:aa".into(), ..Container::default() }
    }

    fn doubted(service: &ServiceDef, container: &Container, image: Option<&ImageInspect>, now: Option<&str>) -> String {
        origin(service, container, image, now, "exam").err().map(|why| why.en).unwrap_or_default()
    }

    #[test]
    fn what_the_tool_names_it_built() {
        let image = ImageInspect::default();
        for name in ["exam_app", "exam-app", "exam_app:latest"] {
            assert_eq!(doubted(&service(None), &runs(name), Some(&image), Some("sha256:aa")), "");
        }
        let other = doubted(&service(None), &runs("python:3.6"), Some(&image), None);
        assert!(other.contains("another image"), "{other}");
        let anew = doubted(&service(None), &runs("exam_app"), Some(&image), Some("sha256:bb"));
        assert!(anew.contains("built anew since"), "{anew}");
        assert!(doubted(&service(None), &runs("exam_app"), None, None).contains("was removed"));
    }

    #[test]
    fn a_name_of_ones_own_may_have_been_pulled() {
        let own = service(Some("ana/web"));
        let mut image = ImageInspect::default();
        assert_eq!(doubted(&own, &runs("ana/web:latest"), Some(&image), None), "");
        image.repo_digests = Some(vec!["ana/web@sha256:cc".into()]);
        assert!(doubted(&own, &runs("ana/web"), Some(&image), None).contains("may have been pulled"));
        let labels = HashMap::from([(PROJECT.to_owned(), "exam".to_owned()), (SERVICE.to_owned(), "App".to_owned())]);
        image.config = Some(ImageConfig { labels: Some(labels), ..ImageConfig::default() });
        assert_eq!(doubted(&own, &runs("ana/web"), Some(&image), None), "", "the newer tool labels what it builds");
    }

    #[test]
    fn a_stand_in_is_known_by_its_layers() {
        let of = |layers: &[&str]| ImageInspect {
            root_fs: Some(ImageInspectRootFs {
                layers: Some(layers.iter().map(|l| (*l).to_owned()).collect()),
                ..ImageInspectRootFs::default()
            }),
            ..ImageInspect::default()
        };
        assert!(begins_with(&of(&["a", "b", "c"]), &of(&["a", "b"])));
        assert!(!begins_with(&of(&["a", "c"]), &of(&["a", "b"])));
        assert!(!begins_with(&of(&["a"]), &of(&[])));
    }

    #[test]
    fn only_what_runs_unharmed_lives_within_its_limit() {
        let under = |state: &str, memory_bytes| Container { state: state.into(), memory_bytes, ..Container::default() };
        assert!(lives(&under("running", 1 << 20), 0).is_ok());
        assert!(lives(&under("exited", 0), 0).is_ok(), "it has no limit");
        assert!(lives(&under("running", 1 << 20), 1).is_err());
        assert!(lives(&under("exited", 1 << 20), 0).is_err());
    }
}

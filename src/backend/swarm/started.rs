//! What the provisioning itself started: it is taken as it is, and nothing is brought up a second time.

use std::collections::BTreeSet;

use futures_util::future::join_all;

use super::as_written;
use crate::backend::compose::{self, attached, start};
use crate::backend::log::Log;
use crate::backend::{BackendError, Hosting, Request, Site, Up};
use crate::docker::container::PROJECT;
use crate::docker::swarm::Swarm;
use crate::notice::{Level, Notice};
use crate::stack::{FirstUp, ImageState, Spot};
use crate::submission::ComposeFile;
use crate::text::Text;

/// What runs already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Started {
    /// A stack of the swarm that the site manages.
    Stack(String),
    /// A compose project on the site's engine.
    Project(String),
}

impl Started {
    pub fn notice(&self) -> Notice {
        let (en, es) = match self {
            Self::Stack(name) => (format!("the stack {name}"), format!("el stack {name}")),
            Self::Project(name) => (format!("the compose project {name}"), format!("el proyecto de compose {name}")),
        };
        Notice {
            id: "services.started".to_owned(),
            level: Level::Info,
            text: Text::new(
                format!("the provisioning started {en}: it was taken as it is"),
                format!("el aprovisionamiento arrancó {es}: se tomó tal como está"),
            ),
            at: None,
            service: None,
        }
    }
}

/// Looks for what runs on a machine of the submission's: the stack or project that has most of the file's services.
pub async fn find(site: &Site, file: Option<&ComposeFile>) -> Result<Option<Started>, BackendError> {
    if site.engine.membership().await?.manager {
        let swarm = site.engine.swarm().await?;
        if let Some(stack) = stack_of(&swarm, file) {
            return Ok(Some(Started::Stack(stack)));
        }
    }
    Ok(project(site).await?.map(Started::Project))
}

fn stack_of(swarm: &Swarm, file: Option<&ComposeFile>) -> Option<String> {
    let stacks: BTreeSet<&str> = swarm.services.iter().map(|s| s.stack.as_str()).filter(|s| !s.is_empty()).collect();
    let wanted = |stack: &str| {
        let services = file.map(|file| file.services.as_slice()).unwrap_or_default();
        services.iter().filter(|service| swarm.service(stack, &service.name).is_some()).count()
    };
    // Of several that have as many, the first by name.
    stacks.into_iter().rev().max_by_key(|stack| wanted(stack)).map(str::to_owned)
}

async fn project(site: &Site) -> Result<Option<String>, BackendError> {
    let filters = std::collections::HashMap::from([("label", vec![PROJECT])]);
    let options = bollard::query_parameters::ListContainersOptionsBuilder::new().filters(&filters).build();
    let listed = site.engine.docker().list_containers(Some(options)).await;
    let listed = listed.map_err(|e| site.engine.explain("list its containers", &e))?;
    let mut labels = listed.into_iter().filter_map(|container| container.labels?.remove(PROJECT));
    Ok(labels.next())
}

/// The stack as it is.
pub async fn take(site: &Site, others: Vec<Spot>, request: &Request, started: &Started) -> Result<Up, BackendError> {
    let name = match started {
        Started::Stack(name) | Started::Project(name) => name.clone(),
    };
    let hosting = Hosting { project: name, ..Hosting::default() };
    let named = Site { hosting: Some(hosting), ..site.clone() };
    let mut up = match started {
        Started::Project(_) => attached::look(&named, request).await?,
        Started::Stack(_) => stack(&named, others, request).await?,
    };
    // It came up under our eyes, in a lab of ours: what shows only then is known of it.
    up.stack.first_up.get_or_insert_with(FirstUp::default);
    up.notices.push(started.notice());
    Ok(up)
}

async fn stack(site: &Site, others: Vec<Spot>, request: &Request) -> Result<Up, BackendError> {
    let mut log = Log::new(request.told.clone());
    let own = request.submission.compose.clone().unwrap_or_default();
    let (_, mut stack, read) = compose::read(site, request, &own, &mut log).await?;
    stack.others = others;
    stack.swarm = true;
    let spots: Vec<Spot> = std::iter::once(&stack.home).chain(&stack.others).cloned().collect();
    join_all(spots.iter().map(|spot| {
        let site = Site::new(spot.clone(), site.ground.clone(), site.workdir.clone(), None);
        async move { start::listen(&site).await }
    }))
    .await;
    let Some((file, _)) = read else { return Ok(compose::up_with(stack, log)) };
    let containers = stack.containers().await?;
    for service in &file.services {
        let mut image = ImageState {
            reference: service.image.clone().unwrap_or_else(|| "build".to_owned()),
            ..ImageState::default()
        };
        let base = request.submission.builds.get(&service.name).and_then(|build| build.base());
        let base = if service.build.is_some() { base } else { service.image.as_deref() };
        if let Some(crate::backend::Source::StandIn(stand_in)) = base.and_then(|base| request.sources.get(base)) {
            image.stand_in = Some(stand_in.clone());
        }
        // Built on the nodes by the play: what no registry gave.
        for container in containers.iter().filter(|c| c.service == service.name && service.build.is_some()) {
            let engine = &stack.spot_of(container).engine;
            let known = engine.docker().inspect_image(&container.image).await;
            let pulled = known.is_ok_and(|image| image.repo_digests.is_some_and(|digests| !digests.is_empty()));
            match &image.built {
                _ if pulled => {}
                None => image.built = Some(container.image.clone()),
                Some(_) => image.built_elsewhere.push(container.image.clone()),
            }
        }
        if let Some(state) = stack.services.get_mut(&service.name) {
            state.image = image;
        }
    }
    as_written(site, &file, &mut stack).await?;
    Ok(compose::up_with(stack, log))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::swarm::SwarmService;
    use crate::submission::ServiceDef;

    #[test]
    fn the_stack_with_the_files_services_is_meant() {
        let service = |name: &str, stack: &str| SwarmService {
            name: format!("{stack}_{name}"),
            stack: stack.into(),
            ..SwarmService::default()
        };
        let swarm = Swarm {
            services: vec![service("viz", "aaa"), service("app", "faros"), service("db", "faros")],
            ..Swarm::default()
        };
        let app = ServiceDef { name: "app".into(), ..ServiceDef::default() };
        let file = ComposeFile { services: vec![app], ..ComposeFile::default() };
        assert_eq!(stack_of(&swarm, Some(&file)).as_deref(), Some("faros"));
        assert_eq!(stack_of(&swarm, None).as_deref(), Some("aaa"));
        assert_eq!(stack_of(&Swarm::default(), Some(&file)), None);
    }
}

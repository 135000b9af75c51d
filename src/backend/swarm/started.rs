//! What the provisioning itself started: it is taken as it is, and nothing is brought up a second time.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::future::join_all;

use super::{as_written, has_ingress, silent};
use crate::backend::compose::{self, attached, start};
use crate::backend::log::Log;
use crate::backend::{BackendError, Hosting, Request, Site, Up};
use crate::docker::container::{PROJECT, SERVICE};
use crate::docker::swarm::Swarm;
use crate::notice::{Level, Notice, Reason};
use crate::stack::{FirstUp, ImageState, LeftOut, Spot};
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
        Notice::new(
            "services.started",
            Level::Info,
            Text::new(
                format!("the provisioning started {en}: it was taken as it is"),
                format!("el aprovisionamiento arrancó {es}: se tomó tal como está"),
            ),
        )
    }
}

/// Looks for what runs on a machine of the submission's: the stack or the project that has most of the file's services, of
/// what is there, alive or dead. What has none of them is something else.
///
/// # Errors
/// Where it cannot be told.
pub async fn find(site: &Site, file: Option<&ComposeFile>) -> Result<Option<Started>, BackendError> {
    let mut unable = None;
    if site.engine.membership().await?.manager {
        match site.engine.swarm().await {
            Ok(swarm) => {
                if let Some(stack) = stack_of(&swarm, file) {
                    return Ok(Some(Started::Stack(stack)));
                }
            }
            // A swarm without a leader answers nobody; a project may be there all the same.
            Err(error) => unable = Some(error),
        }
    }
    match (project(site, file).await?, unable) {
        (None, Some(error)) => Err(error.into()),
        (project, _) => Ok(project.map(Started::Project)),
    }
}

fn stack_of(swarm: &Swarm, file: Option<&ComposeFile>) -> Option<String> {
    let services = swarm.services.iter().filter(|service| !service.stack.is_empty());
    most(services.map(|service| (service.stack.clone(), service.short_name().to_owned())), file)
}

/// Of services with what they are part of: the part that has most of the file's; of several that have as many, the first by name.
fn most(services: impl Iterator<Item = (String, String)>, file: Option<&ComposeFile>) -> Option<String> {
    let mut parts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (part, service) in services {
        parts.entry(part).or_default().insert(service);
    }
    let wanted = |has: &BTreeSet<String>| {
        let services = file.map(|file| file.services.as_slice()).unwrap_or_default();
        services.iter().filter(|service| has.contains(&service.name)).count()
    };
    parts.retain(|_, has| file.is_none() || wanted(has) > 0);
    parts.into_iter().rev().max_by_key(|(_, has)| wanted(has)).map(|(part, _)| part)
}

async fn project(site: &Site, file: Option<&ComposeFile>) -> Result<Option<String>, BackendError> {
    let filters = HashMap::from([("label", vec![PROJECT])]);
    let options = bollard::query_parameters::ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let listed = site.engine.docker().list_containers(Some(options)).await;
    let listed = listed.map_err(|e| site.engine.explain("list its containers", &e))?;
    let services = listed.into_iter().filter_map(|container| {
        let mut labels = container.labels?;
        Some((labels.remove(PROJECT)?, labels.remove(SERVICE)?))
    });
    Ok(most(services, file))
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
    up.stack.provisioned = true;
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
    let containers = match stack.containers().await {
        Ok(containers) => containers,
        Err(error) => {
            silent(&mut stack, &error.text());
            return Ok(compose::up_with(stack, log));
        }
    };
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
    if !has_ingress(site).await {
        match site.engine.swarm().await {
            Ok(swarm) => {
                for (service, text) in need_ip_vs(&swarm, &stack.project) {
                    let state = stack.services.get_mut(&service).filter(|state| state.left_out.is_none());
                    if let Some(state) = state {
                        state.left_out = Some(LeftOut { reason: Some(Reason::NotHere), text });
                    }
                }
            }
            Err(error) => silent(&mut stack, &error.text()),
        }
    }
    as_written(site, &file, &mut stack).await?;
    Ok(compose::up_with(stack, log))
}

/// What of a stack cannot work on nodes without IP_VS, and why. Nothing of it is changed: the student deployed it himself.
fn need_ip_vs(swarm: &Swarm, stack: &str) -> Vec<(String, Text)> {
    let services: Vec<_> = swarm.services.iter().filter(|service| service.stack == stack).collect();
    let said = |en: String, es: String| {
        Text::new(
            format!("undecided: {en}, which needs IP_VS: container nodes have none in their kernel, real machines do"),
            format!(
                "sin decidir: {es}, lo que necesita IP_VS: los nodos en contenedores no lo tienen en su kernel, las máquinas reales sí"
            ),
        )
    };
    let mut all = Vec::new();
    for service in &services {
        let name = service.short_name();
        let shown = crate::sanitize::line(name, 80);
        // Who it asks nobody can tell; one that asks nobody is undecided as well, and not failed for another's address.
        let other = services.iter().find(|other| other.id != service.id && !other.dnsrr);
        let text = match (service.ports.iter().any(|port| !port.host), service.dnsrr, other) {
            (true, ..) => said(
                format!("{shown} is published on a port of every node"),
                format!("{shown} se publica en un puerto de todos los nodos"),
            ),
            (_, false, _) => said(
                format!("the name {shown} leads to one address for all of its tasks"),
                format!("el nombre {shown} lleva a una sola dirección para todas sus tareas"),
            ),
            (_, true, Some(other)) => {
                let other = crate::sanitize::line(other.short_name(), 80);
                said(
                    format!("{shown} may ask {other}, whose name leads to one address for all of its tasks"),
                    format!(
                        "{shown} puede llamar a {other}, cuyo nombre lleva a una sola dirección para todas sus tareas"
                    ),
                )
            }
            (_, true, None) => continue,
        };
        all.push((name.to_owned(), text));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::swarm::{SwarmPort, SwarmService};
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
        let foreign = Swarm { services: vec![service("viz", "aaa")], ..Swarm::default() };
        assert_eq!(stack_of(&foreign, Some(&file)), None, "it has none of the file's services");
    }

    #[test]
    fn of_projects_too_the_one_with_the_files_services_is_meant() {
        let of = |names: &[&str]| ComposeFile {
            services: names.iter().map(|n| ServiceDef { name: (*n).into(), ..ServiceDef::default() }).collect(),
            ..ComposeFile::default()
        };
        let runs = || {
            let all = [("portainer", "portainer"), ("old", "app"), ("exam", "app"), ("exam", "db"), ("exam", "db")];
            all.into_iter().map(|(project, service)| (project.to_owned(), service.to_owned()))
        };
        assert_eq!(most(runs(), Some(&of(&["app", "db"]))).as_deref(), Some("exam"));
        assert_eq!(most(runs(), Some(&of(&["web"]))), None, "a project of another kind is none of it");
        assert_eq!(most(runs().take(1), None).as_deref(), Some("portainer"), "nothing says what is meant");
    }

    #[test]
    fn what_a_play_deployed_for_a_mesh_is_undecided_without_one() {
        let service = |name: &str, dnsrr, ports: &[bool]| SwarmService {
            id: name.into(),
            name: format!("x_{name}"),
            stack: "x".into(),
            dnsrr,
            ports: ports.iter().map(|host| SwarmPort { target: 1, published: 1, host: *host, udp: false }).collect(),
            ..SwarmService::default()
        };
        let names = |services| {
            let swarm = Swarm { services, ..Swarm::default() };
            need_ip_vs(&swarm, "x").into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert!(names(vec![service("app", true, &[true]), service("db", true, &[])]).is_empty(), "as it can run here");
        assert_eq!(names(vec![service("app", false, &[false]), service("db", true, &[])]), ["app", "db"]);
        assert_eq!(names(vec![service("app", true, &[true]), service("db", false, &[])]), ["app", "db"]);
        assert_eq!(names(vec![service("app", true, &[false])]), ["app"]);
        assert!(need_ip_vs(&Swarm { services: vec![service("app", false, &[])], ..Swarm::default() }, "y").is_empty());
    }
}

//! The swarm backend: a stack's file in, services over the nodes out. One page.
//!
//! `docker stack deploy` on a manager, as a student would; it ignores `build:`, so the images are built first, on every node
//! that may be given a task, which is what pushing them to a registry of the nodes comes to.

mod edit;
pub mod started;
mod wait;

use std::time::Duration;

use futures_util::future::{join_all, try_join_all};

pub use self::edit::needs_ingress;
use super::compose::tool::Tool;
use super::compose::{self, attached, edit as changes, images, start};
use super::log::Log;
use super::{BackendError, Request, Site, Up};
use crate::exec::{Cmd, Output};
use crate::notice::Reason;
use crate::stack::{FirstUp, ImageState, LeftOut, Spot, Stack};
use crate::submission::{ComposeFile, ServiceDef};
use crate::text::Text;

/// What only a swarm understands of a file: then it is one for it.
pub fn is_for_swarm(file: &ComposeFile) -> bool {
    let overlay = file
        .networks
        .values()
        .any(|network| network.get("driver").and_then(serde_json::Value::as_str) == Some("overlay"));
    overlay || file.services.iter().any(only_in_a_swarm)
}

fn only_in_a_swarm(service: &ServiceDef) -> bool {
    let deploy = service.raw.get("deploy");
    let has = |key: &str| deploy.is_some_and(|deploy| deploy.get(key).is_some());
    let ports = service.raw.get("ports").and_then(serde_json::Value::as_array);
    let host_mode = ports.is_some_and(|ports| {
        ports.iter().any(|port| port.get("mode").and_then(serde_json::Value::as_str) == Some("host"))
    });
    let fixed = service.ports.iter().any(|port| port.host.is_some());
    has("endpoint_mode") || has("placement") || host_mode || (fixed && service.replicas.is_some_and(|n| n > 1))
}

/// What an orchestrator is told and plain compose has no use for, in a file that a swarm takes: where somebody has made a swarm,
/// it is meant for it.
pub fn speaks_to_one(file: &ComposeFile) -> bool {
    let told = |service: &ServiceDef| {
        let deploy = &service.raw["deploy"];
        let replaced = ["update_config", "rollback_config"].iter().any(|word| !deploy[word].is_null());
        deploy["mode"] == "global" || deploy["replicas"].as_u64().is_some_and(|n| n > 1) || replaced
    };
    let taken = file.version.as_deref().is_some_and(|version| version.starts_with('3'));
    taken && file.services.iter().all(|service| without_image(service).is_none()) && file.services.iter().any(told)
}

/// Deploys the submission's stack on `site`, a manager; `others` are the swarm's other machines.
///
/// # Errors
/// For reasons of ours or the host's. What does not come up is in the stack, with the reason.
pub async fn up(site: &Site, others: Vec<Spot>, request: &Request) -> Result<Up, BackendError> {
    let mut log = Log::new(request.told.clone());
    let own = request.submission.compose.clone().unwrap_or_default();
    let (tool, mut stack, read) = compose::read(site, request, &own, &mut log).await?;
    stack.others = others;
    let Some((file, text)) = read else { return Ok(compose::up_with(stack, log)) };
    if compose::refused_role(&stack) {
        return Ok(compose::up_with(stack, log));
    }
    stack.swarm = true;
    for service in &file.services {
        if let Some(state) = stack.services.get_mut(&service.name)
            && let Some(left_out) = without_image(service)
        {
            state.left_out = Some(left_out);
        }
    }

    log.phase("images");
    pictures(site, request, &tool, &file, &mut stack, &mut log).await?;

    log.phase("start");
    let ingress = has_ingress(site).await;
    let stripped = changes::changes_in_swarm(&file, &stack.policy);
    let left_out: Vec<String> =
        stack.services.values().filter(|s| s.left_out.is_some()).map(|s| s.name.clone()).collect();
    let unmeshed = if ingress { Vec::new() } else { edit::needs_ingress(&file) };
    let (deployed, edited) = if stripped.is_empty() && left_out.is_empty() && unmeshed.is_empty() {
        (tool.clone(), false)
    } else {
        let confine = |value| edit::without(value, &left_out, &unmeshed);
        (changes::write(&text, &stripped, confine, &tool, site.shell.as_ref()).await?, true)
    };
    stack.overrides.extend(stripped.iter().map(|change| change.said.clone()));
    stack.overrides.extend(edit::said(&unmeshed));
    if !ingress {
        stack.unmeshed.extend(edit::on_the_mesh(&file));
        stack.addressless.extend(edit::addressed(&file));
    }
    if left_out.len() == file.services.len() {
        return Ok(compose::up_with(stack, log));
    }

    let spots: Vec<Spot> = std::iter::once(&stack.home).chain(&stack.others).cloned().collect();
    join_all(spots.into_iter().map(|spot| {
        let site = Site::new(spot, site.ground.clone(), site.workdir.clone(), None);
        async move { start::listen(&site).await }
    }))
    .await;
    // Our copy is resolved and complete: what the tool minds of the file itself does not show in it.
    if edited && let Some(said) = minds(site, &tool).await {
        log.keep("stack-config.txt", said.clone());
        stack.first_up = Some(FirstUp { output: said.clone(), nothing_ran: true, ..FirstUp::default() });
        refused(&mut stack, &said, None);
        return Ok(compose::up_with(stack, log));
    }
    let output = images::bounded(deploy(site, &deployed, request.ready).await)?;
    log.keep("stack-deploy.txt", output.both());
    stack.compose_file.clone_from(&deployed.file);
    let mut first_up = FirstUp { output: output.both(), nothing_ran: !output.ok(), ..FirstUp::default() };
    if !output.ok() {
        let reason = (edited || !of_the_loader(&output.both())).then_some(Reason::Imparcial);
        refused(&mut stack, &output.both(), reason);
    } else {
        match wait::until_settled(&site.engine, &stack.project, request.ready).await {
            Ok(swarm) => {
                log.keep("stack-tasks.txt", wait::table(&swarm, &stack.project));
                first_up.nothing_ran = !swarm.tasks.iter().any(|task| task.running());
            }
            Err(error) => silent(&mut stack, &error.text()),
        }
    }
    stack.first_up = Some(first_up);
    as_written(site, &file, &mut stack).await?;
    Ok(compose::up_with(stack, log))
}

/// `docker stack deploy` takes no `build:` for an image.
fn without_image(service: &ServiceDef) -> Option<LeftOut> {
    (service.image.is_none() && service.build.is_some()).then(|| LeftOut {
        reason: None,
        text: Text::new(
            format!(
                "service {} has a `build:` and no `image:`: `docker stack deploy` builds nothing, and needs the name of an image that the nodes can get",
                service.name
            ),
            format!(
                "el servicio {} tiene `build:` y no `image:`: `docker stack deploy` no construye nada y necesita el nombre de una imagen que los nodos puedan obtener",
                service.name
            ),
        ),
    })
}

/// Builds and fetches every image on every machine: a task may be given to any of them.
async fn pictures(
    site: &Site,
    request: &Request,
    tool: &Tool,
    file: &ComposeFile,
    stack: &mut Stack,
    log: &mut Log,
) -> Result<(), BackendError> {
    let wanted: Vec<&ServiceDef> =
        file.services.iter().filter(|s| stack.services.get(&s.name).is_some_and(|s| s.left_out.is_none())).collect();
    let spots: Vec<Spot> = std::iter::once(&stack.home).chain(&stack.others).cloned().collect();
    let each = spots.iter().map(|spot| {
        let (wanted, tool) = (wanted.clone(), tool.on(spot.shell.clone()));
        async move { images::all(&wanted, &tool, spot.shell.as_ref(), &spot.engine, request, None).await }
    });
    let all = try_join_all(each).await?;
    for (spot, made) in spots.iter().zip(all) {
        for (name, state) in made {
            if !state.log.is_empty() {
                let node = spot.node.as_deref().unwrap_or(&site.address);
                log.keep(format!("image-{name}-on-{}.txt", crate::sanitize::line(node, 40)), state.log.clone());
            }
            if let Some(service) = stack.services.get_mut(&name) {
                together(&mut service.image, state);
                service.left_out = service.left_out.take().or_else(|| service.image.missing.clone());
            }
        }
    }
    Ok(())
}

/// One image of several machines: the first that lacks it says why.
fn together(known: &mut ImageState, state: ImageState) {
    if known.reference.is_empty() {
        *known = state;
        return;
    }
    known.built_elsewhere.extend(state.built);
    if known.missing.is_none() && state.missing.is_some() {
        known.missing = state.missing;
        known.log = state.log;
    }
}

/// Whether the kernel has what spreads a service's one address, and a port of every node, over its tasks.
pub async fn has_ingress(site: &Site) -> bool {
    let look = Cmd::new(["test", "-e", "/proc/net/ip_vs"]).timeout(Duration::from_secs(10));
    // A node's kernel is the lab's; a virtual machine has its own.
    let has = async |shell: &dyn crate::exec::Shell| shell.run(&look).await.is_ok_and(|output| output.ok());
    has(site.ground.shell.as_ref()).await || has(site.shell.as_ref()).await
}

async fn deploy(site: &Site, tool: &Tool, budget: Duration) -> Result<Output, crate::exec::RunError> {
    // Nodes ask for images themselves, and through the mirror; the manager would ask a registry for each digest.
    let mut cmd = Cmd::new(["docker", "stack", "deploy", "--compose-file", &tool.file, "--resolve-image", "never"])
        .arg(&tool.project)
        .cwd(&tool.dir)
        .env("HOME", "/home/student")
        .timeout(budget);
    cmd.clean_env = true;
    site.shell.run(&cmd).await
}

/// What `docker stack` minds of the file as it was handed in; none also where its client has no such command, or cannot say.
async fn minds(site: &Site, tool: &Tool) -> Option<String> {
    let mut cmd = Cmd::new(["docker", "stack", "config", "--compose-file", &tool.file])
        .cwd(&tool.dir)
        .env("HOME", "/home/student")
        .timeout(Duration::from_secs(30));
    cmd.clean_env = true;
    let output = site.shell.run(&cmd).await.ok()?;
    let said = output.both();
    (!output.ok() && output.status < 124 && of_the_loader(&said)).then_some(said)
}

/// Whether these are words of what reads the file: whatever else ends a deploy is a registry's, a network's or the engine's.
fn of_the_loader(said: &str) -> bool {
    const WORDS: [&str; 4] =
        ["unsupported Compose file", "Additional property", "additional properties", "invalid interpolation"];
    // A value may be missing here that the student's shell has.
    let unset = said.contains("variable is not set");
    let shape = said.lines().any(|line| line.contains("services.") && line.contains(" must be "));
    WORDS.iter().any(|word| said.contains(word)) || (shape && !unset)
}

/// The swarm, or an engine of it, said nothing of what was deployed: of the machines more is known.
fn silent(stack: &mut Stack, why: &Text) {
    let text = Text::new(
        format!("the swarm does not say what became of the stack: {}", why.en),
        format!("el swarm no dice qué fue del stack: {}", why.es),
    );
    for service in stack.services.values_mut().filter(|service| service.left_out.is_none()) {
        service.left_out = Some(LeftOut { reason: Some(Reason::Host), text: text.clone() });
    }
}

/// The file as it was handed in is refused: the submission's, no reason; a copy of ours that is: nobody's.
fn refused(stack: &mut Stack, output: &str, reason: Option<Reason>) {
    let said = crate::sanitize::line(output.trim(), 300).replace(".imparcial.json", "");
    let text = Text::new(
        format!("`docker stack deploy` refuses the file: {said}"),
        format!("`docker stack deploy` rechaza el archivo: {said}"),
    );
    for service in stack.services.values_mut().filter(|service| service.left_out.is_none()) {
        service.left_out = Some(LeftOut { reason, text: text.clone() });
    }
}

/// The limits of the tasks' containers, as they are in force.
async fn as_written(site: &Site, file: &ComposeFile, stack: &mut Stack) -> Result<(), BackendError> {
    let containers = match stack.containers().await {
        Ok(containers) => containers,
        Err(error) => {
            silent(stack, &error.text());
            return Ok(());
        }
    };
    for service in &file.services {
        let mut own: Vec<_> = containers.iter().filter(|c| c.service == service.name).collect();
        own.sort_by_key(|c| !c.running());
        let Some(container) = own.first() else { continue };
        let spot = stack.spot_of(container).clone();
        let there = Site::new(spot, site.ground.clone(), site.workdir.clone(), None);
        let (seen, _) = attached::limits(&there, service, Some(container)).await;
        stack.as_written.insert(service.name.clone(), seen);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::submission::{BuildDef, PortDef};

    #[test]
    fn a_swarm_file_is_known_by_what_only_a_swarm_understands() {
        let of = |raw: serde_json::Value, replicas| {
            let ports = vec![PortDef { host: Some(5000), container: 5000, ..PortDef::default() }];
            let service = ServiceDef { name: "app".into(), ports, replicas, raw, ..ServiceDef::default() };
            is_for_swarm(&ComposeFile { services: vec![service], ..ComposeFile::default() })
        };
        assert!(of(json!({"deploy": {"endpoint_mode": "dnsrr"}}), None));
        assert!(of(json!({"deploy": {"placement": {"constraints": ["node.role == worker"]}}}), None));
        assert!(of(json!({"ports": [{"target": 5000, "published": 5000, "mode": "host"}]}), None));
        assert!(of(json!({}), Some(3)), "several on one port of the host");
        assert!(!of(json!({"deploy": {"resources": {}}, "ports": ["5000:5000"]}), Some(1)));
        let mut file = ComposeFile::default();
        file.networks.insert("net".to_owned(), json!({"driver": "overlay"}));
        assert!(is_for_swarm(&file));
    }

    #[test]
    fn a_file_speaks_to_an_orchestrator_where_it_tells_how_many_and_how_they_are_replaced() {
        let of = |raw: serde_json::Value| {
            let service = ServiceDef { name: "app".into(), raw, image: Some("app:1".into()), ..ServiceDef::default() };
            let version = Some("3.7".to_owned());
            speaks_to_one(&ComposeFile { services: vec![service], version, ..ComposeFile::default() })
        };
        assert!(of(json!({"deploy": {"mode": "global"}})));
        assert!(of(json!({"deploy": {"replicas": 2}})));
        assert!(of(json!({"deploy": {"update_config": {"parallelism": 1}}})));
        for compose_does_it_too in [
            json!({"deploy": {"resources": {"limits": {"cpus": "0.1"}}}}),
            json!({"deploy": {"restart_policy": {"condition": "any"}, "mode": "replicated", "replicas": 1}}),
            json!({"restart": "always"}),
        ] {
            assert!(!of(compose_does_it_too.clone()), "{compose_does_it_too}");
        }
        let raw = json!({"deploy": {"replicas": 2}});
        let with = |version: &str, image: Option<String>| {
            let build = Some(BuildDef::default());
            let service = ServiceDef { name: "app".into(), raw: raw.clone(), image, build, ..ServiceDef::default() };
            speaks_to_one(&ComposeFile {
                services: vec![service],
                version: Some(version.into()),
                ..ComposeFile::default()
            })
        };
        assert!(with("3", Some("app:1".into())));
        assert!(!with("2.4", Some("app:1".into())), "a swarm refuses it");
        assert!(!with("3", None), "no node could be told which image");
    }

    #[test]
    fn only_what_reads_the_file_blames_it() {
        for said in [
            "unsupported Compose file version: 2.1",
            "services.app Additional property cap_addd is not allowed",
            "services.app.deploy.replicas must be a integer",
            "invalid interpolation format for services.app.image: \"${\"",
        ] {
            assert!(of_the_loader(said), "{said}");
        }
        for said in [
            "network \"x_default\" is declared as external, but could not be found",
            "failed to create service x_app: Error response from daemon: rpc error: code = Unknown",
            "context deadline exceeded",
            "unknown command: docker stack config",
            "The \"N\" variable is not set. Defaulting to a blank string.\nservices.app.deploy.replicas must be a integer",
        ] {
            assert!(!of_the_loader(said), "{said}");
        }
    }

    #[test]
    fn a_build_without_a_name_is_the_submissions() {
        let service = ServiceDef { name: "app".into(), build: Some(BuildDef::default()), ..ServiceDef::default() };
        let left_out = without_image(&service).unwrap();
        assert_eq!(left_out.reason, None);
        assert!(left_out.text.en.contains("no `image:`"), "{}", left_out.text.en);
        assert!(without_image(&ServiceDef { image: Some("faros/app".into()), ..service }).is_none());
    }

    #[test]
    fn an_image_is_had_where_every_machine_has_it() {
        let built =
            |id: &str| ImageState { reference: "faros/app".into(), built: Some(id.into()), ..ImageState::default() };
        let mut state = ImageState::default();
        together(&mut state, built("a"));
        together(&mut state, built("b"));
        assert_eq!((state.built.as_deref(), state.built_elsewhere.as_slice()), (Some("a"), &["b".to_owned()][..]));
        let missing = Some(LeftOut { reason: None, text: Text::same("no") });
        together(&mut state, ImageState { missing, ..ImageState::default() });
        assert!(state.missing.is_some());
    }
}

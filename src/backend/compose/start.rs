//! Starting what can be started: as handed in first, a second `up` for what an order of start would have saved, and, only
//! after a death by limit or silence at it, once more under the scenario's limits.

use std::time::Duration;

use tokio::time::Instant;

use super::tool::Tool;
use super::{Log, pressure};
use crate::backend::{BackendError, Request, Site};
use crate::docker::Container;
use crate::exec::Output;
use crate::stack::{FirstUp, Stack};
use crate::submission::{ComposeFile, ServiceDef};
use crate::text::Text;

/// The engine's word where it will not create a container with so little memory.
const REFUSED_LIMIT: &str = "Minimum memory limit";

pub async fn start(
    site: &Site,
    request: &Request,
    tool: &Tool,
    file: &ComposeFile,
    stack: &mut Stack,
    log: &mut Log,
) -> Result<(), BackendError> {
    let services: Vec<String> =
        stack.services.values().filter(|s| s.left_out.is_none()).map(|s| s.name.clone()).collect();
    stack.compose_file.clone_from(&tool.file);
    if services.is_empty() {
        return Ok(());
    }
    let all = services.len() == file.services.len();
    let output = tool.up(&services, all, request.ready).await?;
    log.evidence.push(("compose-up.txt".to_owned(), output.both().into_bytes()));
    note_refused_limits(&output, file, stack);

    let limited: Vec<&ServiceDef> =
        file.services.iter().filter(|s| s.memory.is_some() && services.contains(&s.name)).collect();
    let mut pressed = pressure::watch(site, &tool.project, &limited, request.ready, &mut stack.as_written).await?;
    second_up(site, request, tool, &services, all, &output, stack, log).await?;

    pressed.retain(|name| stack.services.contains_key(name));
    if pressed.is_empty() {
        return Ok(());
    }
    if let Some((memory, cpus)) = request.overrides {
        held_against(site, request, tool, file, &services, all, &pressed, stack).await?;
        log.phase("start again under the scenario's limits", request);
        again(site, request, tool, &services, all, |c| (c.memory_bytes.max(memory), c.cpus().max(cpus))).await?;
        stack.overrides.push(Text::new(
            format!("{} cannot run within the memory declared; behaviour was judged with {} MiB and {cpus} cpu for every limited service", pressed.join(", "), memory >> 20),
            format!("{} no puede funcionar con la memoria declarada; el comportamiento se evaluó con {} MiB y {cpus} cpu para cada servicio limitado", pressed.join(", "), memory >> 20),
        ));
    }
    Ok(())
}

fn note_refused_limits(output: &Output, file: &ComposeFile, stack: &mut Stack) {
    let text = output.both();
    for service in &file.services {
        let line = text.lines().find(|l| l.contains(REFUSED_LIMIT) && l.contains(&service.name));
        if let Some(line) = line {
            stack.as_written.entry(service.name.clone()).or_default().refused = Some(line.trim().to_owned());
        }
    }
}

/// Services that are not running although nothing says that they are done get a second `up`, once.
#[allow(clippy::too_many_arguments, reason = "one step of one page")]
async fn second_up(
    site: &Site,
    request: &Request,
    tool: &Tool,
    services: &[String],
    all: bool,
    first: &Output,
    stack: &mut Stack,
    log: &mut Log,
) -> Result<(), BackendError> {
    let down = |containers: &[Container]| -> Vec<String> {
        containers
            .iter()
            .filter(|c| c.state == "created" || (c.exited_for_good() && c.exit_code != 0))
            .map(|c| c.service.clone())
            .collect()
    };
    let before = down(&site.engine.project_containers(&tool.project).await?);
    let mut first_up = FirstUp { output: first.both(), ..FirstUp::default() };
    if !before.is_empty() {
        wait_for_stores(site, request, tool, stack).await?;
        let output = tool.up(services, all, request.ready).await?;
        log.evidence.push(("compose-up-2.txt".to_owned(), output.both().into_bytes()));
        let began = Instant::now();
        // A process that dies at once shows it within a moment.
        while began.elapsed() < Duration::from_secs(2) {
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        let after = down(&site.engine.project_containers(&tool.project).await?);
        first_up.healed_by_second = before.into_iter().filter(|s| !after.contains(s)).collect();
    }
    stack.first_up = Some(first_up);
    Ok(())
}

/// A store that still initialises would let the second `up` fail as the first did.
async fn wait_for_stores(site: &Site, request: &Request, tool: &Tool, stack: &Stack) -> Result<(), BackendError> {
    let stores: Vec<&String> = stack
        .roles
        .iter()
        .filter(|(role, _)| request.roles.iter().any(|r| &r.name == *role && !r.image_family.is_empty()))
        .filter_map(|(_, binding)| binding.service.as_ref())
        .collect();
    let deadline = Instant::now() + request.ready.min(Duration::from_secs(30));
    while Instant::now() < deadline {
        let round = Instant::now();
        let containers = site.engine.project_containers(&tool.project).await?;
        let mut waiting = false;
        for container in containers.iter().filter(|c| stores.contains(&&c.service) && !c.exited_for_good()) {
            waiting |= !pressure::accepts(site, container, &[3306, 5432, 6379, 27017]).await;
        }
        if !waiting {
            break;
        }
        tokio::time::sleep_until(round + Duration::from_millis(250)).await;
    }
    Ok(())
}

/// Whether a death at the limit is held against the submission: not at the statement's own figure, and only if it fails at
/// twice its limit too, which is what an engine allows on a host with swap.
#[allow(clippy::too_many_arguments, reason = "one step of one page")]
async fn held_against(
    site: &Site,
    request: &Request,
    tool: &Tool,
    file: &ComposeFile,
    services: &[String],
    all: bool,
    pressed: &[String],
    stack: &mut Stack,
) -> Result<(), BackendError> {
    let judged: Vec<&ServiceDef> = file
        .services
        .iter()
        .filter(|s| pressed.contains(&s.name))
        .filter(|s| {
            let declared = s.memory.as_ref().map_or(0.0, |m| m.value) as u64;
            request.demanded_memory.is_none_or(|demanded| declared.abs_diff(demanded) > demanded / 16)
        })
        .collect();
    if judged.is_empty() {
        return Ok(());
    }
    again(site, request, tool, services, all, |c| (c.memory_bytes * 2, c.cpus())).await?;
    let mut seen = std::collections::BTreeMap::new();
    let still = pressure::watch(site, &tool.project, &judged, request.ready, &mut seen).await?;
    for service in judged {
        stack.as_written.entry(service.name.clone()).or_default().fails_at_twice = Some(still.contains(&service.name));
    }
    Ok(())
}

/// A second bring-up on fresh volumes and a fresh copy, with other limits on what is limited: a half-initialised data folder
/// would be blamed on the submission.
async fn again(
    site: &Site,
    request: &Request,
    tool: &Tool,
    services: &[String],
    all: bool,
    limits: impl Fn(&Container) -> (u64, f64),
) -> Result<(), BackendError> {
    tool.down().await?;
    let edited = [".imparcial.json", ".imparcial.yml"].iter().any(|end| tool.file.ends_with(end));
    let text = if edited { site.shell.run(&crate::exec::Cmd::new(["cat", "--", &tool.file])).await.ok() } else { None };
    super::fresh_copy(site).await?;
    if let Some(text) = text {
        site.shell.run(&crate::exec::Cmd::new(["tee", "--", &tool.file]).stdin(text.stdout)).await?;
    }
    tool.create(services, all, request.ready).await?;
    for container in site.engine.project_containers(&tool.project).await? {
        if container.memory_bytes == 0 && container.cpus() == 0.0 {
            continue;
        }
        let (memory, cpus) = limits(&container);
        let memory = (container.memory_bytes > 0).then_some(memory);
        let cpus = (container.cpus() > 0.0).then_some(cpus);
        site.engine.update_limits(&container, memory, cpus).await?;
    }
    tool.up(services, all, request.ready).await?;
    Ok(())
}

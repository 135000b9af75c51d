//! Starting what can be started: as handed in first, a second `up` for what an order of start would have saved, and, only
//! after a death by limit or silence at it, once more under the scenario's limits.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::pressure::Patience;
use super::tool::Tool;
use super::{images, pressure, resolve};
use crate::agent::{Look, Sight};
use crate::backend::log::Log;
use crate::backend::{BackendError, Request, Site};
use crate::docker::Container;
use crate::exec::{Cmd, Output, ShellExt};
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
    listen(site).await;
    let all = services.len() == file.services.len();
    let output = images::bounded(tool.up(&services, all, request.ready).await)?;
    log.keep("compose-up.txt", output.both());
    let output = resolve::could_run(output)?;
    if waited_for_health(&output) {
        // Health checks are observations: a stand-in may lack the tool that one calls.
        let rest = images::bounded(tool.up(&services, false, request.ready).await)?;
        log.keep("compose-up-without-health.txt", rest.both());
        stack.overrides.push(Text::new(
            "a health check that others wait for did not pass; everything was started without waiting for it",
            "una comprobación de salud que otros esperan no pasó; todo se arrancó sin esperarla",
        ));
    }
    note_refused_limits(&output, file, stack);

    let limited: Vec<&ServiceDef> =
        file.services.iter().filter(|s| s.memory.is_some() && services.contains(&s.name)).collect();
    let patience = Patience {
        budget: request.ready,
        slowness: request.slowness,
        stores: stores(request, stack).into_iter().cloned().collect(),
    };
    let mut pressed = pressure::watch(site, &tool.project, &limited, &patience, &mut stack.as_written).await?;
    let mut first_up = second_up(site, request, tool, &services, all, &output, stack, log).await?;
    // What dies at its limit is up or down as it happens: no order of start has a part in it.
    first_up.healed_by_second.retain(|service| !pressed.contains(service));
    stack.first_up = Some(first_up);

    pressed.retain(|name| stack.services.contains_key(name));
    if pressed.is_empty() {
        return Ok(());
    }
    if let Some((memory, cpus)) = request.overrides {
        held_against(site, request, tool, file, &services, all, &pressed, stack).await?;
        log.phase("start again under the scenario's limits");
        let output = again(site, request, tool, &stack.made, &services, all, |c| {
            (c.memory_bytes.max(memory), c.cpus().max(cpus))
        })
        .await?;
        // What an order of start would have saved is saved here as well.
        second_up(site, request, tool, &services, all, &output, stack, log).await?;
        stack.overrides.push(Text::new(
            format!("{} cannot run within the memory declared; behaviour was judged with {} MiB and {cpus} cpu for every limited service", pressed.join(", "), memory >> 20),
            format!("{} no puede funcionar con la memoria declarada; el comportamiento se evaluó con {} MiB y {cpus} cpu para cada servicio limitado", pressed.join(", "), memory >> 20),
        ));
    }
    Ok(())
}

/// Where the engine keeps the network namespaces of its containers.
const NAMESPACES: &str = "/var/run/docker/netns";

/// Hears what the services ask for and dial from before their first processes on. Where that cannot be, nothing here
/// depends on it: whoever asks what was heard is told.
pub(in crate::backend) async fn listen(site: &Site) {
    let look = Look::Listen { folder: NAMESPACES.to_owned() };
    let begun = match site.agents.lab().await {
        Ok(agent) => agent.look(look, Duration::from_secs(10)).await.map_err(|e| e.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match begun {
        Ok(Sight::Unable { message }) | Err(message) => tracing::warn!(%message, "nothing listens to the services"),
        Ok(_) => {}
    }
}

/// Whether `up` gave up on, or ran out of time for, a service that others wait to be healthy.
fn waited_for_health(output: &Output) -> bool {
    !output.ok() && (output.status == images::OUT_OF_TIME || output.both().contains("unhealthy"))
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
    stack: &Stack,
    log: &mut Log,
) -> Result<FirstUp, BackendError> {
    let down = |containers: &[Container]| -> Vec<String> {
        containers
            .iter()
            .filter(|c| c.state == "created" || (c.exited_for_good() && c.exit_code != 0))
            .map(|c| c.service.clone())
            .collect()
    };
    settled(site, tool).await?;
    let mut containers = site.engine.project_containers(&tool.project).await?;
    let before = down(&containers);
    let mut first_up = FirstUp { output: first.both(), ..FirstUp::default() };
    if !before.is_empty() {
        wait_for_stores(site, request, tool, stack).await?;
        let output = images::bounded(tool.up(services, all, request.ready).await)?;
        log.keep("compose-up-2.txt", output.both());
        settled(site, tool).await?;
        containers = site.engine.project_containers(&tool.project).await?;
        let after = down(&containers);
        first_up.healed_by_second = before.into_iter().filter(|s| !after.contains(s)).collect();
    }
    let ran = |c: &Container| c.running() || (c.exited_for_good() && c.exit_code == 0);
    first_up.nothing_ran = !containers.iter().any(ran);
    Ok(first_up)
}

/// Waits until every container has answered, has ended, or has been up for a moment: a process that dies of something that
/// is not there yet shows it by then.
async fn settled(site: &Site, tool: &Tool) -> Result<(), BackendError> {
    const MOMENT: f64 = 3.0;
    let deadline = Instant::now() + Duration::from_secs(6);
    loop {
        let round = Instant::now();
        let containers = site.engine.project_containers(&tool.project).await?;
        let mut open = false;
        for container in containers.iter().filter(|c| c.running()) {
            open |= container.age().is_none_or(|age| age < MOMENT) && !pressure::answers(site, container).await;
        }
        if !open || Instant::now() >= deadline {
            return Ok(());
        }
        tokio::time::sleep_until(round + Duration::from_millis(250)).await;
    }
}

/// The services of roles that hold data.
fn stores<'a>(request: &Request, stack: &'a Stack) -> Vec<&'a String> {
    stack
        .roles
        .iter()
        .filter(|(role, _)| request.roles.iter().any(|r| &r.name == *role && !r.image_family.is_empty()))
        .filter_map(|(_, binding)| binding.service.as_ref())
        .collect()
}

/// A store that still initialises would let the second `up` fail as the first did.
async fn wait_for_stores(site: &Site, request: &Request, tool: &Tool, stack: &Stack) -> Result<(), BackendError> {
    let stores = stores(request, stack);
    let deadline = Instant::now() + request.ready.min(Duration::from_secs(30));
    while Instant::now() < deadline {
        let round = Instant::now();
        let containers = site.engine.project_containers(&tool.project).await?;
        let mut waiting = false;
        for container in containers.iter().filter(|c| stores.contains(&&c.service) && !c.exited_for_good()) {
            waiting |= !pressure::accepts(site, container, &[3306, 5432, 6379, 9200, 27017]).await;
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
    again(site, request, tool, &stack.made, services, all, |c| (c.memory_bytes * 2, c.cpus())).await?;
    let mut seen = BTreeMap::new();
    // Each of them is known to have come to half of this: a store is waited for as any other.
    let patience = Patience { budget: request.ready, slowness: request.slowness, stores: BTreeSet::new() };
    let still = pressure::watch(site, &tool.project, &judged, &patience, &mut seen).await?;
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
    made: &[String],
    services: &[String],
    all: bool,
    limits: impl Fn(&Container) -> (u64, f64),
) -> Result<Output, BackendError> {
    tool.down().await?;
    let edited = [".imparcial.json", ".imparcial.yml"].iter().any(|end| tool.file.ends_with(end));
    let text = if edited {
        site.shell.must(&Cmd::new(["cat", "--", &tool.file]).timeout(Duration::from_secs(10))).await.ok()
    } else {
        None
    };
    super::fresh_copy(site).await?;
    super::emptied(site.shell.as_ref(), made).await?;
    if let Some(text) = text {
        site.shell
            .must(&Cmd::new(["tee", "--", &tool.file]).stdin(text.stdout).timeout(Duration::from_secs(10)))
            .await?;
    }
    images::bounded(tool.create(services, all, request.ready).await)?;
    for container in site.engine.project_containers(&tool.project).await? {
        if container.memory_bytes == 0 && container.cpus() == 0.0 {
            continue;
        }
        let (memory, cpus) = limits(&container);
        let memory = (container.memory_bytes > 0).then_some(memory);
        let cpus = (container.cpus() > 0.0).then_some(cpus);
        site.engine.update_limits(&container, memory, cpus).await?;
    }
    images::bounded(tool.up(services, all, request.ready).await)
}

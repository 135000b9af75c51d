//! Bringing both layers up: side by side where neither needs the other, one after the other where the services are to run on
//! a machine.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::place::Place;
use super::{Progress, RunOptions, sources};
use crate::backend::{self, BackendError, Request, Site, vagrant};
use crate::lab::catalogue::Catalogue;
use crate::notice::{Level, Notice, Reason};
use crate::plan::{self, Plan};
use crate::scenario::On;
use crate::stack::machines::{Machines, Node};
use crate::stack::{LeftOut, Spot};
use crate::text::Text;

/// The image of container nodes, as the labs' registry has it.
pub(super) const NODE: &str = "imparcial/node:current";

/// Brings up what the plan asks for. Machines that an earlier try brought up are taken as they are.
pub(super) async fn bring_up(
    plan: &Plan,
    options: &RunOptions,
    lab: &Place,
    site: &Site,
    as_of: Option<Arc<backend::compose::as_of::AsOf>>,
    before: Option<Machines>,
) -> Result<backend::Up, Text> {
    let attached = matches!(plan.options.place, plan::Place::Attached(_));
    if as_of.is_none() && !attached && plan.wants("services") && nothing_to_serve(plan).is_none() {
        backend::compose::keep_pristine(site).await.map_err(|e| e.text())?;
    }
    let (machines, services) = if on_a_machine(plan) {
        let began = Instant::now();
        let machines = machines(plan, options, lab, site, before).await?;
        // Machines can write into the copy; what is brought up is what was handed in.
        if nothing_to_serve(plan).is_none() {
            backend::compose::fresh_copy(site).await.map_err(|e| e.text())?;
        }
        let home = home(plan, site, &machines.machines).await;
        let after = began.elapsed().as_secs_f64();
        let notice = home.notice.clone();
        let mut services = services(plan, options, lab, home, as_of).await?;
        services.phases.iter_mut().for_each(|(_, at, _)| *at += after);
        services.notices.extend(notice);
        (machines, services)
    } else {
        tokio::try_join!(
            machines(plan, options, lab, site, before),
            services(plan, options, lab, Home::beside(site, None, None), as_of)
        )?
    };
    let backend::Up { mut stack, mut notices, mut evidence, mut phases } = services;
    stack.machines = machines.machines;
    notices.extend(machines.notices);
    evidence.extend(machines.evidence);
    phases.extend(machines.phases);
    phases.sort_by(|(_, one, _), (_, two, _)| one.total_cmp(two));
    Ok(backend::Up { stack, notices, evidence, phases })
}

/// Whether the services are to run on a machine, and there are to be some.
fn on_a_machine(plan: &Plan) -> bool {
    let wanted = plan.wants("machines") && plan.wants("services") && plan.options.place == plan::Place::Lab;
    wanted && plan.options.provider != vagrant::Provider::VirtualBox && plan.scenario.serving.on != On::Lab
}

/// Where the services go.
struct Home {
    site: Site,
    /// The other machines with an engine.
    others: Vec<Spot>,
    notice: Option<Notice>,
    /// The host's trouble, for which they go nowhere.
    unable: Option<LeftOut>,
    /// By how much it is slower than the lab itself.
    slowness: f64,
}

impl Home {
    /// The lab itself, beside the machines.
    fn beside(site: &Site, notice: Option<Notice>, unable: Option<LeftOut>) -> Self {
        Self { site: site.clone(), others: Vec::new(), notice, unable, slowness: 1.0 }
    }
}

/// The machine that the services are to run on. Where it cannot have them they are brought up beside the machines, so that all
/// that can be decided of them is; the notice says so. The other machines with an engine come with it.
async fn home(plan: &Plan, site: &Site, machines: &Machines) -> Home {
    let node = match &plan.scenario.serving.on {
        On::Named(name) => machines.node(name),
        _ => machines.nodes.first(),
    };
    let home = match node {
        Some(node) => with_copy(site, node).await,
        None => Err(BackendError::Other(Text::new("there is no such machine", "no hay tal máquina"))),
    };
    let beside = |notice, unable| Home::beside(site, notice, unable);
    match home {
        Ok(home) => {
            let rest = machines.nodes.iter().filter(|other| Some(other.name()) != home.node.as_deref());
            let mut others = Vec::new();
            for other in join_all(rest.map(|other| with_copy(site, other))).await {
                match other {
                    Ok(other) => others.push(other),
                    // That it is down, or has no engine, is for the checks to say.
                    Err(BackendError::Other(_)) => {}
                    Err(error) => return beside(None, Some(host_trouble(&error))),
                }
            }
            let name = home.node.clone().unwrap_or_default();
            let text = Text::new(
                format!("the services run on the machines' own engines ({name} first), not beside them in the lab"),
                format!(
                    "los servicios corren en los motores de las propias máquinas (primero {name}), no al lado en el laboratorio"
                ),
            );
            let notice = Notice::new("services.on_machine", Level::Info, text);
            let site = Site::new(home, site.ground.clone(), site.workdir.clone(), None);
            Home { site, others, notice: Some(notice), unable: None, slowness: machines.slower() }
        }
        Err(BackendError::Other(why)) => {
            let text = Text::new(
                format!("the services were brought up in the lab, beside the machines: {}", why.en),
                format!("los servicios se levantaron en el laboratorio, junto a las máquinas: {}", why.es),
            );
            let notice = Notice::new("services.in_lab", Level::Warning, text);
            beside(Some(notice), None)
        }
        Err(error) => beside(None, Some(host_trouble(&error))),
    }
}

/// The same, with a copy of the submission.
async fn with_copy(site: &Site, node: &Node) -> Result<Spot, BackendError> {
    let spot = spot(&site.ground, node).await?;
    vagrant::spot::carry(&site.ground, node, &site.workdir).await?;
    Ok(spot)
}

/// A machine as a place for services; what does not answer in time is asked once more.
async fn spot(ground: &Spot, node: &Node) -> Result<Spot, BackendError> {
    match vagrant::spot::spot(ground, node).await {
        known @ (Ok(_) | Err(BackendError::Other(_))) => known,
        Err(_) => vagrant::spot::spot(ground, node).await,
    }
}

fn host_trouble(error: &BackendError) -> LeftOut {
    LeftOut { reason: Some(Reason::Host), text: error.text() }
}

async fn machines(
    plan: &Plan,
    options: &RunOptions,
    lab: &Place,
    site: &Site,
    before: Option<Machines>,
) -> Result<vagrant::Up, Text> {
    let known = if plan.wants("machines") { before } else { Some(Machines::default()) };
    if let Some(machines) = known {
        return Ok(vagrant::Up { machines, notices: Vec::new(), evidence: Vec::new(), phases: Vec::new() });
    }
    let progress: Arc<Progress> = options.progress.clone();
    let request = vagrant::Request {
        provider: plan.options.provider,
        submission: plan.submission.clone(),
        image: NODE.to_owned(),
        up: plan.scenario.budgets.machines,
        provision: provisioning(plan),
        boxes: plan.options.boxes.clone(),
        fetch: plan.scenario.budgets.fetch,
        memory_cap: plan.options.machine_memory_cap,
        snapshot: lab.snapshot().cloned(),
        state: crate::lab::setup::state(),
        told: Arc::new(move |step| progress(step.into())),
    };
    // The services are graded all the same.
    Ok(vagrant::up(site, &request).await.unwrap_or_else(|error| {
        let left_out = Some(LeftOut { reason: Some(Reason::Host), text: error.text() });
        let machines = Machines { left_out, ..Machines::default() };
        vagrant::Up { machines, notices: Vec::new(), evidence: Vec::new(), phases: Vec::new() }
    }))
}

/// Patience is for one thing that does not come; a provisioning waits for many, and is never hurried below three minutes.
fn provisioning(plan: &Plan) -> Duration {
    const LEAST: Duration = Duration::from_secs(180);
    let budget = plan.scenario.budgets.provision;
    plan.options.patience.map_or(budget, |patience| patience.saturating_mul(15).max(LEAST).min(budget))
}

async fn services(
    plan: &Plan,
    options: &RunOptions,
    lab: &Place,
    home: Home,
    as_of: Option<Arc<backend::compose::as_of::AsOf>>,
) -> Result<backend::Up, Text> {
    let Home { site, others, unable, slowness, .. } = home;
    let site = &site;
    let slowed = |budget: Duration| budget.mul_f64(slowness);
    let absent = nothing_to_serve(plan).map(|(reason, text)| LeftOut { reason, text }).or(unable);
    let serves = absent.is_none() && plan.wants("services");
    let references = sources::references(&plan.submission);
    let attached = matches!(plan.options.place, plan::Place::Attached(_));
    let sources = if !serves {
        std::collections::BTreeMap::new()
    } else if attached {
        sources::possible(&references)
    } else {
        sources::find(&references, plan.options.images, lab.shell().as_ref(), site.hosting.is_none()).await?
    };
    let progress = options.progress.clone();
    let request =
        Request {
            submission: plan.submission.clone(),
            policy: plan.scenario.policy.actions.clone(),
            roles: plan.scenario.roles.clone(),
            judged: plan.checks.iter().filter(|c| c.spec.points > 0).flat_map(|c| c.probe.roles()).collect(),
            bound: plan.options.roles.clone(),
            sources,
            left_out: if attached {
                Vec::new()
            } else {
                let copy = lab.left_out().iter().filter(|it| it.why.is_missed()).map(|it| it.path.clone());
                copy.chain(plan.submission.not_unpacked.iter().cloned()).collect()
            },
            family: |reference| Catalogue::shipped().family_of(reference),
            fetch: slowed(plan.scenario.budgets.fetch),
            build: slowed(plan.scenario.budgets.build),
            ready: slowed(plan.options.patience.map_or(plan.scenario.budgets.ready, |p| {
                p.max(Duration::from_secs(30)).min(plan.scenario.budgets.ready)
            })),
            slowness,
            overrides: plan.scenario.overrides.as_ref().map(|o| (o.memory_bytes, o.cpus)),
            demanded_memory: plan.scenario.demanded_memory_bytes,
            as_of,
            told: Arc::new(move |step| progress(step.into())),
            watched: options.watched,
        };
    if !serves {
        return Ok(backend::compose::nothing(site, &request, absent));
    }
    let up = if attached {
        backend::compose::attached::look(site, &request).await
    } else {
        backend::serving::up(site, others, plan.scenario.serving.with, &request).await
    };
    up.map_err(|e| e.text())
}

/// What is handed in decides by itself: nothing to start, or two files that nothing tells apart.
pub(super) fn nothing_to_start(plan: &Plan) -> Option<(Option<Reason>, Text)> {
    let machines = plan.wants("machines") && plan.submission.vagrantfile.is_some();
    if machines || !plan.wants("services") { None } else { nothing_to_serve(plan) }
}

/// The same of the services alone.
fn nothing_to_serve(plan: &Plan) -> Option<(Option<Reason>, Text)> {
    let submission = &plan.submission;
    if submission.compose.is_some() || submission.compose_error.is_some() {
        return None;
    }
    let problem = submission.notices.iter().find(|n| n.level == Level::Problem);
    if let Some(unreadable) = submission.notices.iter().find(|n| n.id == "submission.unreadable") {
        return Some((Some(Reason::Host), unreadable.text.clone()));
    }
    // As for a folder: nobody saw it run.
    if let Some(large) = submission.notices.iter().find(|n| n.id == "submission.too_large") {
        return Some((Some(Reason::NotHere), large.text.clone()));
    }
    let ambiguous = problem.is_some_and(|n| n.id.contains("ambiguous") || n.id.contains("candidates"));
    let text = problem.map(|n| n.text.clone()).unwrap_or_else(|| {
        Text::new("no compose file was found in the submission", "no se encontró ningún archivo compose en la entrega")
    });
    Some((ambiguous.then_some(Reason::Ambiguous), text))
}

//! Machines against `vagrant up` typed by hand: the same file, the same lab, the same home Vagrantfile, in pairs. Virtual machines:
//! a lab for each pair, as its hypervisor starts once; ours first, so that what the host has cached by then is for the other's good.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::in_lab;
use crate::backend::vagrant::{self, Ground, Provider, Request, provision, run};
use crate::backend::{BackendError, Site};
use crate::engine::bring_up::NODE;
use crate::plan::Plan;
use crate::submission::Submission;
use crate::submission::machines::Loaded;
use crate::text::Text;

/// Until Vagrant is done.
const BY_HAND: Duration = Duration::from_secs(300);

/// What was measured, in seconds.
#[derive(Clone, Debug, Default)]
pub struct Machines {
    /// How many there are.
    pub count: usize,
    /// `vagrant up` until all are ready, their disks made before.
    pub by_hand: Vec<f64>,
    /// The same by the backend, with the copy, the disks and the looking for who is there.
    pub ours: Vec<f64>,
    /// The lab removed with all of them in it.
    pub gone: f64,
}

/// Brings the machines up by hand and by the backend, and removes the lab at the end with all of them in it.
///
/// # Errors
/// Some machine does not come up: that would measure something else.
pub async fn machines(plan: &Plan, rounds: usize, cancel: &CancellationToken) -> Result<Machines, Text> {
    let rounds = rounds.max(1);
    if plan.options.provider != Provider::Libvirt {
        return opened(plan, cancel, async |site| measure(plan, rounds, site).await).await;
    }
    let mut out = Machines::default();
    for _ in 0..rounds {
        let pair = opened(plan, cancel, async |site| guests(plan, site).await).await?;
        out.by_hand.extend(pair.by_hand);
        out.ours.extend(pair.ours);
        out = Machines { count: pair.count, gone: pair.gone, ..out };
    }
    Ok(out)
}

async fn opened(
    plan: &Plan,
    cancel: &CancellationToken,
    measure: impl AsyncFnOnce(&Site) -> Result<Machines, Text>,
) -> Result<Machines, Text> {
    let run = format!("bench-{}", crate::engine::run_id());
    let (measured, gone) = in_lab(plan, run, cancel, async |lab| measure(&lab.site()).await).await?;
    Ok(Machines { gone, ..measured })
}

fn request(plan: &Plan) -> Request {
    Request {
        state: crate::lab::setup::state(),
        provider: plan.options.provider,
        submission: Arc::new(without_provisioners(&plan.submission)),
        image: NODE.to_owned(),
        up: plan.scenario.budgets.machines,
        provision: plan.scenario.budgets.provision,
        boxes: plan.options.boxes.clone(),
        fetch: plan.scenario.budgets.fetch,
        memory_cap: plan.options.machine_memory_cap,
        snapshot: None,
        told: Arc::new(|_| ()),
    }
}

async fn measure(plan: &Plan, rounds: usize, site: &Site) -> Result<Machines, Text> {
    let said = |e: BackendError| e.text();
    let request = request(plan);
    let (file, defs) = vagrant::declared(&request.submission).map_err(|left| left.text)?;
    let ground = Ground::of(site, file);
    let mut out = Machines { count: defs.len(), ..Machines::default() };
    // What the first one fetches, the others find.
    vagrant::prepare(&ground, defs, NODE).await.map_err(said)?;
    for _ in 0..rounds {
        vagrant::prepare(&ground, defs, NODE).await.map_err(said)?;
        out.by_hand.push(typed(&ground, &["up", "--no-provision", "--provider=docker"], BY_HAND).await?);
        vagrant::down(site).await.map_err(said)?;
        out.ours.push(backend(site, &request).await?.0);
        if out.ours.len() < rounds {
            vagrant::down(site).await.map_err(said)?;
        }
    }
    Ok(out)
}

/// One pair. What ours was given stays for the other: the same disks, sizes and addresses.
async fn guests(plan: &Plan, site: &Site) -> Result<Machines, Text> {
    let request = request(plan);
    let (file, defs) = vagrant::declared(&request.submission).map_err(|left| left.text)?;
    let ground = Ground::of(site, file);
    let (ours, slowness) = backend(site, &request).await?;
    let within = BY_HAND.mul_f64(slowness.max(1.0));
    typed(&ground, &["destroy", "--force"], within).await?;
    let by_hand = typed(&ground, &["up", "--no-provision", "--provider=libvirt"], within).await?;
    Ok(Machines { count: defs.len(), by_hand: vec![by_hand], ours: vec![ours], gone: 0.0 })
}

/// How long the backend takes, in seconds, and how much slower than others the machines are.
async fn backend(site: &Site, request: &Request) -> Result<(f64, f64), Text> {
    let began = Instant::now();
    let machines = vagrant::up(site, request).await.map_err(|e| e.text())?.machines;
    let took = began.elapsed().as_secs_f64();
    let left_out = machines.nodes.iter().map(|node| &node.left_out).chain([&machines.left_out]).flatten().next();
    left_out.map_or(Ok((took, machines.slowness)), |left| Err(left.text.clone()))
}

/// How long Vagrant takes for what a person types, in seconds.
///
/// # Errors
/// It did not come to its end: that would measure something else.
pub(super) async fn typed(ground: &Ground<'_>, args: &[&str], within: Duration) -> Result<f64, Text> {
    let began = Instant::now();
    // A person's box has the packages that a play names; a node has them by our stand-in.
    let ran = run::vagrant(ground, args, &provision::STAND_IN, within).await.map_err(|e| e.text())?;
    let took = began.elapsed().as_secs_f64();
    // Of a play, what failed; else the last that was said.
    let failure = ran.text.lines().rev().find(|line| line.starts_with("fatal:"));
    let last = failure.or_else(|| ran.text.lines().next_back()).unwrap_or_default();
    let (line, last) = (args.join(" "), crate::sanitize::line(last, 400));
    let failed = || Text::new(format!("vagrant {line} failed: {last}"), format!("vagrant {line} falló: {last}"));
    if ran.status == Some(0) { Ok(took) } else { Err(failed()) }
}

/// Both are measured until the machines are ready.
fn without_provisioners(submission: &Submission) -> Submission {
    let mut bare = submission.clone();
    if let Some(Loaded::Machines(defs)) = bare.vagrantfile.as_mut().map(|file| &mut file.loaded) {
        for def in defs {
            def.provisioners.clear();
        }
    }
    bare
}

//! Machines against `vagrant up` typed by hand: the same file, the same lab, the same home Vagrantfile, in pairs.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backend::vagrant::{self, Ground, Request, run};
use crate::backend::{BackendError, Site};
use crate::engine::bring_up::NODE;
use crate::engine::place::Place;
use crate::lab::{LabSpec, registry};
use crate::plan::Plan;
use crate::submission::Submission;
use crate::submission::machines::Loaded;
use crate::text::Text;

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

/// Brings the machines up by hand and by the backend in turn, and removes the lab at the end with all of them in it.
///
/// # Errors
/// Some machine does not come up: that would measure something else.
pub async fn machines(plan: &Plan, rounds: usize, cancel: &CancellationToken) -> Result<Machines, Text> {
    let spec = LabSpec {
        mirrors: vec![registry::MIRROR.to_owned()],
        ..LabSpec::new(format!("bench-{}", crate::engine::run_id()), plan.submission.root.clone())
    };
    let lab = Place::open(&plan.options.place, spec).await.map_err(|e| e.text())?;
    let site = lab.site();
    let measured = tokio::select! {
        measured = measure(plan, rounds, &site) => measured,
        () = cancel.cancelled() => Err(Text::new("interrupted", "interrumpido")),
    };
    let began = Instant::now();
    lab.down().await.map_err(|e| e.text())?;
    Ok(Machines { gone: began.elapsed().as_secs_f64(), ..measured? })
}

async fn measure(plan: &Plan, rounds: usize, site: &Site) -> Result<Machines, Text> {
    let said = |e: BackendError| e.text();
    let request = Request {
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
    };
    let (file, defs) = vagrant::declared(&request.submission).map_err(|left| left.text)?;
    let ground = Ground::of(site, file);
    let mut out = Machines { count: defs.len(), ..Machines::default() };
    // What the first one fetches, the others find.
    vagrant::prepare(&ground, defs, NODE).await.map_err(said)?;
    for _ in 0..rounds.max(1) {
        vagrant::prepare(&ground, defs, NODE).await.map_err(said)?;
        let began = Instant::now();
        let args = ["up", "--no-provision", "--provider=docker"];
        let ran = run::vagrant(&ground, &args, &[], Duration::from_secs(300)).await.map_err(said)?;
        out.by_hand.push(began.elapsed().as_secs_f64());
        if ran.status != Some(0) {
            let last = ran.text.lines().next_back().unwrap_or_default().to_owned();
            return Err(Text::new(format!("vagrant up failed: {last}"), format!("vagrant up falló: {last}")));
        }
        vagrant::down(site).await.map_err(said)?;

        let began = Instant::now();
        let up = vagrant::up(site, &request).await.map_err(said)?;
        out.ours.push(began.elapsed().as_secs_f64());
        if let Some(left) = up.machines.nodes.iter().find_map(|node| node.left_out.clone()) {
            return Err(left.text);
        }
        if out.ours.len() < rounds.max(1) {
            vagrant::down(site).await.map_err(said)?;
        }
    }
    Ok(out)
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

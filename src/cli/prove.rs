//! Proving stand-ins before they are held against anyone: the reference is graded first, once an installation.

use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Ctx;
use super::planning::Planning;
use crate::engine::{self, RunOptions, proof};
use crate::plan::Plan;
use crate::{report, scenario};

/// Grades references until the plan's stand-ins are proven, or there is none left to try. What stays unproven makes failures
/// behind it undecided; that is said there.
pub async fn first(plan: &Plan, ctx: Ctx, reports: &Path, cancel: &CancellationToken) {
    if proof::is_reference(plan) {
        return;
    }
    of(plan, ctx, reports, cancel).await;
}

/// The same for a plan that may be the reference's own: for a whole table of mutants.
pub async fn of(plan: &Plan, ctx: Ctx, reports: &Path, cancel: &CancellationToken) {
    let mut tried = Vec::new();
    for file in std::iter::once(plan.scenario.file.clone()).chain(scenario::locate("seed").ok()) {
        let open = proof::unproven(plan).await;
        let reference = file.parent().map(|folder| folder.join("reference")).filter(|r| r.is_dir());
        let Some(reference) = reference.filter(|r| !open.is_empty() && !tried.contains(r) && !cancel.is_cancelled())
        else {
            continue;
        };
        tried.push(reference.clone());
        if !ctx.quiet {
            let names: Vec<&str> = open.iter().map(|s| s.version.as_str()).collect();
            let names = names.join(", ");
            eprintln!("not proven here yet: {names}; grading {} first, once", reference.display());
        }
        let Ok(model) = Planning::of(reference, &file).plan(ctx) else { continue };
        let options = RunOptions {
            reports: reports.join("reference"),
            run: engine::run_id(),
            cancel: cancel.clone(),
            progress: Arc::new(|_| ()),
        };
        if let Ok((record, folder)) = engine::run(&model, &options).await
            && let Err(error) = report::write_all(&folder, &record, ctx.lang)
        {
            tracing::warn!(%error, "the reference's reports could not be written");
        }
    }
}

//! Proving stand-ins before they are held against anyone: a reference is graded first, once an installation.

use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{RunOptions, proof};
use crate::plan::{self, Options, Plan};
use crate::probe::{DRILLS, PROBES};
use crate::submission::{self, ReadOptions};
use crate::text::Lang;
use crate::{report, scenario};

/// How a caller wants it done.
pub struct Proving<'a> {
    pub lang: Lang,
    /// The caller's own reports; the reference's go into a folder `reference` of them.
    pub reports: &'a Path,
    pub cancel: &'a CancellationToken,
    /// Told once for each reference that is graded, since it takes as long as a run.
    pub say: &'a (dyn Fn(&str) + Sync),
}

/// Grades references until the plan's stand-ins are proven, or there is none left to try. What stays unproven makes failures
/// behind it undecided; that is said there.
pub async fn first(plan: &Plan, how: &Proving<'_>) {
    if !proof::is_reference(plan) {
        of(plan, how).await;
    }
}

/// The same for a plan that may be the reference's own: for a whole table of mutants.
pub async fn of(plan: &Plan, how: &Proving<'_>) {
    let mut tried = Vec::new();
    let files = std::iter::once(plan.scenario.file.clone()).chain(scenario::locate("seed").ok());
    let answers = files.flat_map(|file| proof::models(&file).into_iter().map(move |model| (file.clone(), model)));
    for (file, reference) in answers {
        let open = proof::unproven(plan).await;
        if open.is_empty() || tried.contains(&reference) || how.cancel.is_cancelled() {
            continue;
        }
        tried.push(reference.clone());
        let Some(model) = model(&file, &reference, plan.wants(DRILLS)) else { continue };
        // One that runs on other images proves nothing of these.
        let wanted: Vec<&str> = open.iter().map(proof::interpreter).collect();
        if !proof::unproven(&model).await.iter().any(|own| wanted.contains(&proof::interpreter(own))) {
            continue;
        }
        let names: Vec<&str> = open.iter().map(|s| s.version.as_str()).collect();
        let (names, folder) = (names.join(", "), reference.display());
        (how.say)(&match how.lang {
            Lang::En => format!("not proven here yet: {names}; grading {folder} first, once"),
            Lang::Es => format!("sin probar aquí todavía: {names}; primero se califica {folder}, una sola vez"),
        });
        let options = RunOptions {
            reports: how.reports.join("reference"),
            run: super::run_id(),
            cancel: how.cancel.clone(),
            progress: Arc::new(|_| ()),
            watched: false,
        };
        if let Ok((record, folder)) = super::run(&model, &options).await
            && let Err(error) = report::write_all(&folder, &record, how.lang)
        {
            tracing::warn!(%error, "the reference's reports could not be written");
        }
    }
}

/// The plan of a scenario's model answer. A scenario that cannot be planned is said by whoever grades with it.
fn model(file: &Path, reference: &Path, drills: bool) -> Option<Plan> {
    let submission = submission::read(reference, &ReadOptions::default()).ok()?;
    let read = scenario::read(file, &plan::names(PROBES));
    // What nobody is going to break needs no proof of how it recovers.
    let layers = read.scenario.iter().flat_map(|scenario| &scenario.layers).filter(|layer| drills || *layer != DRILLS);
    let options = Options { layers: layers.cloned().collect(), ..Options::default() };
    plan::resolve(read, submission, options, PROBES).ok()
}

//! The engine: plan in, record out; on one page.
//!
//! Whatever happens between the lab's start and its end (a panic of ours, Ctrl-C, an engine that goes away), the lab is taken
//! down and a record is written.

mod as_of;
mod attached;
mod attempt;
pub mod bench;
mod bring_up;
pub mod conclude;
mod describe;
pub mod eventually;
mod exhibits;
mod halves;
mod host;
mod items;
mod live;
mod lost;
mod never;
mod place;
pub mod proof;
pub mod prove;
pub mod schedule;
pub mod settle;
mod snapshot;
mod sources;
mod where_to_look;

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;

use attempt::{Attempt, Tried};
use place::Place;

use crate::backend;
use crate::backend::getting::{At, Step};
use crate::drill::{DrillRecord, What};
use crate::lab::{LabSpec, registry};
use crate::notice::{Level, Notice, Reason};
use crate::plan::{self, Plan};
use crate::record::{
    CheckRecord, ManualRecord, PhaseRecord, RunFolder, RunRecord, ScenarioRecord, StoreError, SubmissionRecord,
};
use crate::stack::{Ground, Stack};
use crate::text::Text;
use crate::time::Clock;

/// Told of what happens, for people who wait.
pub type Progress = dyn Fn(Event<'_>) + Send + Sync;

pub enum Event<'a> {
    Phase(&'a str),
    /// A phase of one layer's bring-up, which others may run beside.
    Layer(&'a str),
    /// It is over.
    Ended(&'a str),
    /// So many services' images are to be had.
    Images(usize),
    /// How far one of them is.
    Image {
        service: &'a str,
        at: &'a At,
    },
    /// What is broken on purpose next.
    Drill {
        id: &'a str,
        fault: &'a str,
    },
    Check {
        id: &'a str,
        passed: bool,
    },
}

impl<'a> From<Step<'a>> for Event<'a> {
    fn from(step: Step<'a>) -> Self {
        match step {
            Step::Phase(name) => Self::Layer(name),
            Step::Ended(name) => Self::Ended(name),
            Step::Images(count) => Self::Images(count),
            Step::Image { service, at } => Self::Image { service, at },
        }
    }
}

/// What a run needs besides its plan.
pub struct RunOptions {
    /// Where run folders are made.
    pub reports: PathBuf,
    /// The run's name: unique, and part of the names of everything that it makes.
    pub run: String,
    pub cancel: CancellationToken,
    pub progress: Arc<Progress>,
    /// Whether someone watches: then `progress` is told how far each image is, too.
    pub watched: bool,
}

/// Runs a plan to its record. The error is only for a reports folder that cannot be written.
///
/// # Errors
/// The run's folder cannot be made, before anything has started.
pub async fn run(plan: &Plan, options: &RunOptions) -> Result<(RunRecord, RunFolder), StoreError> {
    let clock = Clock::start();
    let folder = RunFolder::create(&options.reports, &options.run)?;
    let mut record = begin(plan, options, clock);
    folder.stage(&record)?;

    if let Some((reason, text)) = bring_up::nothing_to_start(plan) {
        record.checks = conclude::hopeless(plan, reason, &text, &folder);
        return Ok(end(record, clock, folder));
    }
    (options.progress)(Event::Phase("lab"));
    let spec = LabSpec {
        mirrors: vec![registry::MIRROR.to_owned()],
        keep: plan.options.keep,
        folder: Some(folder.path().to_owned()),
        ..LabSpec::new(options.run.clone(), plan.submission.root.clone())
    };
    let spec = if plan.ground() == Ground::Guests { spec.with_machines() } else { spec };
    let started = clock.ms();
    let spec = LabSpec { snapshot: snapshot::slot(plan).await, ..spec };
    let opened = tokio::select! {
        opened = Place::open(&plan.options.place, spec) => Some(opened),
        () = options.cancel.cancelled() => None,
    };
    phase(&mut record, "lab", started, clock.ms());
    match opened {
        Some(Ok(lab)) => {
            let graded =
                AssertUnwindSafe(inside(plan, options, &lab, &mut record, clock, &folder)).catch_unwind().await;
            if let Err(panic) = graded {
                give_up(plan, &mut record, Reason::Imparcial, live::bug(panic.as_ref()), &folder);
            }
            (options.progress)(Event::Phase("teardown"));
            let started = clock.ms();
            if plan.options.keep {
                record.notices.push(Notice::new("run.kept", Level::Info, lab.how_to_look()));
            } else {
                let provider = plan.options.provider;
                let destroyed = backend::vagrant::destroy(&lab.site(), provider, &plan.submission).await;
                record.errors.extend(destroyed.err().map(|error| error.text()));
                if let Err(error) = lab.down().await {
                    record.errors.push(error.text());
                    record.errors.push(lab.what_is_left());
                }
            }
            phase(&mut record, "teardown", started, clock.ms());
        }
        Some(Err(error)) => {
            give_up(plan, &mut record, error.reason(), error.text(), &folder);
        }
        None => {
            interrupted(plan, &mut record, &folder);
        }
    }
    Ok(end(record, clock, folder))
}

/// All that happens in a lab. It leaves the record complete, whichever way it ends.
async fn inside(
    plan: &Plan,
    options: &RunOptions,
    lab: &Place,
    record: &mut RunRecord,
    clock: Clock,
    folder: &RunFolder,
) {
    match &plan.options.place {
        // Of the copy, only its compose files are read: the stack has what it was brought up with.
        plan::Place::Attached(to) => record.notices.extend(attached::notices(to, &plan.submission)),
        _ => record.notices.extend(crate::lab::left_out::notices(lab.left_out())),
    }
    record.notices.extend(lab.notices());
    let site = lab.site();
    let mut trial = as_of::Trial::of(plan, &site, clock);
    let attempt = Attempt { plan, options, lab, site: &site, clock, folder };
    let Some(mut tried) = attempt.run(record, trial.as_ref(), None, None).await else { return };
    if let Some(trial) = trial.as_mut().filter(|trial| trial.wants_another())
        && !tried.lost
        && !record.interrupted
    {
        let packages = trial.begin().await;
        let started = clock.ms();
        (options.progress)(Event::Phase("start-over"));
        let over = tokio::select! {
            over = backend::compose::start_over(&site, &tried.stack) => over,
            () = options.cancel.cancelled() => return interrupted(plan, record, folder),
        };
        if let Err(error) = over {
            return give_up(plan, record, Reason::Host, error.text(), folder);
        }
        phase(record, "start-over", started, clock.ms());
        let machines = Some(tried.stack.machines.clone());
        match attempt.run(record, Some(trial), Some(packages), machines).await {
            Some(again) => tried = again,
            None => return,
        }
    }
    if let Some(text) = lab.tampered().await {
        return give_up(plan, record, Reason::Host, text, folder);
    }
    let Tried { stack, outcomes, exhibits, logs, lost } = tried;
    let clues: Vec<_> = outcomes.iter().map(where_to_look::Clue::of).collect();
    let broken_by =
        stack.drills.lock().await.iter().filter_map(|it| Some((it.record.id.clone(), it.broken_by.clone()?))).collect();
    record.checks = conclude::checks(plan, outcomes, record.interrupted, &broken_by, folder);
    record.drills = drills(&stack, &record.checks).await;
    exhibits.link(plan, &stack, &mut record.checks);
    where_to_look::mark(plan, &stack, logs, clues, &mut record.checks).await;
    let verdicts: Vec<_> = record.checks.iter().map(|c| c.verdict).enumerate().collect();
    // Of a stack that somebody else brought up nobody knows whether it is the reference.
    if !lost && !matches!(plan.options.place, plan::Place::Attached(_)) {
        proof::note(plan, &stack, &verdicts).await;
    }
}

/// The drills that were made, each placed where its first objective began.
async fn drills(stack: &Stack, checks: &[CheckRecord]) -> Vec<DrillRecord> {
    let made = stack.drills.lock().await;
    let began = |id: &str| {
        let objectives = checks.iter().filter(|check| check.drill.as_deref() == Some(id));
        objectives.map(|check| check.started_ms).min().unwrap_or_default()
    };
    // One that could not begin has nothing to show.
    let begun = |drill: &&DrillRecord| drill.events.iter().any(|event| event.what == What::Inject);
    let shown = made.iter().map(|outcome| &outcome.record).filter(begun);
    shown.map(|drill| DrillRecord { started_ms: began(&drill.id), ..drill.clone() }).collect()
}

fn begin(plan: &Plan, options: &RunOptions, clock: Clock) -> RunRecord {
    let scenario = &plan.scenario;
    let submission = &plan.submission;
    RunRecord {
        run: options.run.clone(),
        started: crate::time::rfc3339(clock.began()),
        scenario: ScenarioRecord {
            name: scenario.name.clone(),
            title: scenario.title.clone(),
            file: scenario.file.display().to_string(),
            // All of them, also where `--only` leaves some out: what was not looked at is undecided.
            points: plan.scenario.points,
            scale: scenario.scale.map(Into::into),
        },
        submission: SubmissionRecord {
            path: submission.place(),
            name: submission.name.clone(),
            compose_file: submission.compose.as_ref().map(|c| c.path.display().to_string()),
            vagrantfile: submission.vagrantfile.as_ref().map(|file| file.path.display().to_string()),
            source: submission.handed.as_ref().and_then(|handed| handed.source.clone()),
            handed_in: submission.handed_in.clone(),
        },
        place: plan.options.place.name().to_owned(),
        project: match &plan.options.place {
            plan::Place::Attached(to) => Some(to.project.name.clone()),
            _ => None,
        },
        host: host::facts(),
        notices: submission.notices.clone(),
        manual: scenario.manual.iter().map(ManualRecord::of).collect(),
        ..RunRecord::empty()
    }
}

fn give_up(plan: &Plan, record: &mut RunRecord, reason: Reason, text: Text, folder: &RunFolder) {
    record.checks = conclude::unable(plan, reason, &text, false, folder);
    record.errors.push(text);
}

fn interrupted(plan: &Plan, record: &mut RunRecord, folder: &RunFolder) {
    record.interrupted = true;
    record.checks = conclude::unable(plan, Reason::Interrupted, &Text::default(), true, folder);
}

fn phase(record: &mut RunRecord, name: &str, started: u64, ended: u64) {
    record.phases.push(PhaseRecord {
        name: name.to_owned(),
        started_ms: started,
        elapsed_ms: ended - started,
        detail: Text::default(),
    });
}

fn end(mut record: RunRecord, clock: Clock, folder: RunFolder) -> (RunRecord, RunFolder) {
    record.elapsed_ms = clock.ms();
    let record = folder.named(&record);
    (record, folder)
}

fn ms(seconds: f64) -> u64 {
    (seconds * 1000.0) as u64
}

/// A name for a run: when it began, to the second, and four random letters.
pub fn run_id() -> String {
    let now = time::OffsetDateTime::now_utc();
    let noise: String = std::iter::repeat_with(|| char::from(b'a' + random_byte() % 26)).take(4).collect();
    format!(
        "{:04}{:02}{:02}-{:02}{:02}{:02}-{noise}",
        now.year(),
        u8::from(now.month()),
        now.day(),
        now.hour(),
        now.minute(),
        now.second()
    )
}

fn random_byte() -> u8 {
    (crate::nonce::number() >> 13) as u8
}

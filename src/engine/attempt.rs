//! One bring-up and all looking at it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::bring_up::bring_up;
use super::describe::describe;
use super::place::Place;
use super::schedule::{self, Outcome};
use super::{Event, RunOptions, as_of, attached, exhibits, give_up, interrupted, items, live, lost, ms, phase};
use crate::backend::compose::as_of::AsOf;
use crate::backend::{self, Site};
use crate::notice::Reason;
use crate::plan::Plan;
use crate::record::{PhaseRecord, RunFolder, RunRecord};
use crate::stack::machines::Machines;
use crate::stack::{Healing, Stack};
use crate::text::Text;
use crate::time::Clock;

/// What does not change from one try to the next.
pub(super) struct Attempt<'a> {
    pub(super) plan: &'a Plan,
    pub(super) options: &'a RunOptions,
    pub(super) lab: &'a Place,
    pub(super) site: &'a Site,
    pub(super) clock: Clock,
    pub(super) folder: &'a RunFolder,
}

/// What a try came to.
pub(super) struct Tried {
    pub(super) stack: Arc<Stack>,
    pub(super) outcomes: Vec<Outcome>,
    pub(super) exhibits: exhibits::Exhibits,
    /// What each service had printed at the end, by its name.
    pub(super) logs: BTreeMap<String, String>,
    /// The place went away meanwhile.
    pub(super) lost: bool,
}

impl Attempt<'_> {
    /// Brings the stack up and looks at all of it. None: it ended before that, and the record says why.
    pub(super) async fn run(
        &self,
        record: &mut RunRecord,
        trial: Option<&as_of::Trial>,
        as_of: Option<Arc<AsOf>>,
        machines: Option<Machines>,
    ) -> Option<Tried> {
        let Self { plan, options, lab, clock, folder, .. } = *self;
        let began = clock.ms();
        let (loss, stop) = (lost::Loss::default(), options.cancel.child_token());
        let up = tokio::select! {
            up = bring_up(plan, options, lab, self.site, as_of, machines) => up,
            () = options.cancel.cancelled() => { interrupted(plan, record, folder); return None; }
            () = lab.watch(&loss, clock, &stop) => Err(loss.text().unwrap_or_default()),
        };
        let mut up = match up {
            Ok(up) => up,
            Err(text) => {
                give_up(plan, record, Reason::Host, text, folder);
                return None;
            }
        };
        if let Some(trial) = trial {
            tokio::select! {
                () = trial.judge_builds(&mut up.stack) => {}
                () = options.cancel.cancelled() => { interrupted(plan, record, folder); return None; }
            }
        }
        for (name, at, took) in up.phases {
            record.phases.push(PhaseRecord {
                name,
                started_ms: began + ms(at),
                elapsed_ms: ms(took),
                detail: Text::default(),
            });
        }
        let known = std::mem::take(&mut record.notices);
        let new: Vec<_> = up.notices.into_iter().filter(|n| !known.contains(n)).collect();
        record.notices = known.into_iter().chain(new).collect();
        let mut exhibits = exhibits::Exhibits::default();
        for (name, bytes) in up.evidence {
            exhibits.keep(record, folder, &name, &bytes);
        }
        describe(&up.stack, record);
        if let Err(error) = folder.stage(record) {
            record.errors.push(error.text());
        }

        let (state, run) = (crate::lab::setup::state(), options.run.clone());
        up.stack.healing =
            Some(Healing { state, run, ground: plan.ground(), seed: plan.options.seed.unwrap_or_else(seed) });
        let stack = Arc::new(up.stack);
        let mut outcomes = Vec::new();
        if !wants_another(trial) {
            plan.checks.iter().for_each(|c| c.probe.begin(&stack));
            (options.progress)(Event::Phase("checks"));
            let started = clock.ms();
            let items = items::items(plan, &stack);
            let looker = live::Live::new(plan, stack.clone(), options.progress.as_ref(), trial, clock);
            let order = plan.order();
            let looking = schedule::run(&items, &order, &looker, clock, &stop);
            tokio::pin!(looking);
            let wanted = async {
                match trial {
                    Some(trial) => trial.wanted().await,
                    None => std::future::pending().await,
                }
            };
            outcomes = tokio::select! {
                outcomes = &mut looking => outcomes,
                () = lab.watch(&loss, clock, &stop) => looking.await,
                () = wanted => { stop.cancel(); looking.await }
            };
            // Nobody leaves while something is still being put back.
            if tokio::time::timeout(HEALING, stack.breaking.lock()).await.is_err() {
                record.errors.push(not_healed());
            }
            loss.excuse(&mut outcomes);
            attached::mark(plan, &stack, &mut outcomes);
            record.errors.extend(loss.text());
            phase(record, "checks", started, looker.broken_since().unwrap_or_else(|| clock.ms()));
            if let Some(began) = looker.broken_since() {
                phase(record, "drills", began, clock.ms());
            }
        }
        record.interrupted = options.cancel.is_cancelled();
        let lost = loss.text().is_some();

        (options.progress)(Event::Phase("evidence"));
        let started = clock.ms();
        // A lab that is gone says nothing more.
        let collected = if lost { Vec::new() } else { backend::compose::collect(&stack).await };
        let mut logs = BTreeMap::new();
        for (name, bytes) in collected {
            let service = name.strip_prefix("service-").and_then(|name| name.strip_suffix(".log"));
            logs.extend(service.map(|service| (service.to_owned(), String::from_utf8_lossy(&bytes).into_owned())));
            exhibits.keep(record, folder, &name, &bytes);
        }
        phase(record, "evidence", started, clock.ms());
        Some(Tried { stack, outcomes, exhibits, logs, lost })
    }
}

/// What a drill that was stopped may take to undo what it broke.
const HEALING: Duration = Duration::from_secs(180);

fn not_healed() -> Text {
    Text::new(
        "what a drill broke was not put back in time; the next start does it, or `imparcial down`",
        "lo que rompió un simulacro no se repuso a tiempo; lo hace el próximo arranque, o `imparcial down`",
    )
}

/// One that a person can type again.
fn seed() -> u64 {
    crate::nonce::number() % 1_000_000
}

fn wants_another(trial: Option<&as_of::Trial>) -> bool {
    trial.is_some_and(as_of::Trial::wants_another)
}

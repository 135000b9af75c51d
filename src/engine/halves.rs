//! One check, run: its first half, which releases what needs it, its second, which is settled last, or its exercise.

use std::time::Duration;

use tokio::time::Instant;

use super::eventually::{End, Waited, findings, wait};
use super::never;
use super::schedule::{Item, Looker, Outcome};
use super::settle::Raw;
use crate::expect::Expectation;
use crate::notice::Reason;
use crate::probe::{Attempt, Phase, settled_last};
use crate::scenario::Patience;
use crate::stack::LIVE_FOR;
use crate::text::Text;
use crate::time::Clock;

/// A condition that ends the second half at once: it had been quiet, and started anew.
const BROKEN: &str = "restarted_after_quiet";
/// How often a second half is watched.
const WATCH_EVERY: Duration = Duration::from_millis(500);

pub(super) async fn first(i: usize, item: &Item, looker: &dyn Looker, clock: Clock) -> Outcome {
    let started_ms = clock.ms();
    let now: Vec<Expectation> = item.expect.iter().filter(|e| !settled_last(e)).cloned().collect();
    // What the files say does not change by waiting.
    let within = if item.phase == Phase::Static { Duration::ZERO } else { item.patience.within };
    let patience = Patience { within, ..item.patience.clone() };
    let waited = match item.never {
        Some(budget) => {
            let budget = if item.phase == Phase::Static { Duration::ZERO } else { budget };
            never::watch(budget, &patience, &now, |attempt| looker.look(i, attempt)).await
        }
        None => wait(&patience, &now, |attempt| looker.look(i, attempt)).await,
    };
    outcome(i, item, looker, waited, started_ms, clock).await
}

pub(super) async fn exercise(i: usize, item: &Item, looker: &dyn Looker, clock: Clock) -> Outcome {
    // A look that hangs on an exercise: it watches then.
    if item.never.is_some() {
        return first(i, item, looker, clock).await;
    }
    let started_ms = clock.ms();
    // It is made once, and waits for what it does itself, so that impatience with others does not cut it short.
    let timeout = item.patience.within.max(item.longest);
    let once = Patience { attempt_timeout: timeout, within: Duration::ZERO, ..item.patience.clone() };
    let waited = wait(&once, &item.expect, |attempt| looker.look(i, Attempt { timeout, ..attempt })).await;
    outcome(i, item, looker, waited, started_ms, clock).await
}

/// Watches on until all looking is over and every expectation holds, or it breaks.
pub(super) async fn second(
    i: usize,
    item: &Item,
    looker: &dyn Looker,
    clock: Clock,
    over: tokio::sync::watch::Receiver<bool>,
    started_ms: u64,
) -> Outcome {
    // What is watched must have lived so long, beyond the check's patience.
    let deadline = Instant::now() + item.patience.within + LIVE_FOR;
    let mut waited = Waited::unlooked();
    loop {
        let started = Instant::now();
        // Taken before the look: a look that began while others still looked is not the last one.
        let last = *over.borrow();
        waited.attempts += 1;
        let mut broken = false;
        match looker
            .look(
                i,
                Attempt {
                    timeout: item.patience.attempt_timeout,
                    waited: Duration::ZERO,
                    within: item.patience.within,
                    last,
                },
            )
            .await
        {
            Ok(observation) => {
                waited.findings = findings(&item.expect, &observation);
                broken = observation.conditions.iter().any(|c| c == BROKEN || item.patience.fail_fast_on.contains(c));
                waited.observation = observation;
                waited.end = End::Patience;
                if last && !broken && !waited.findings.is_empty() && waited.findings.iter().all(|f| f.holds) {
                    waited.end = End::Held;
                    break;
                }
            }
            Err(error) => waited.end = End::Unable(error),
        }
        if broken {
            break;
        }
        // While others look it is no use to give up.
        if last && Instant::now() >= deadline {
            break;
        }
        tokio::time::sleep_until(started + WATCH_EVERY).await;
    }
    outcome(i, item, looker, waited, started_ms, clock).await
}

/// What it means that it is not so: of the first fact that is not, else of all that was seen.
fn meaning(waited: &Waited) -> Option<Text> {
    let seen = &waited.observation;
    let first = waited.findings.iter().find(|finding| !finding.holds);
    first.and_then(|finding| seen.means.get(&finding.fact)).or(seen.explanation.as_ref()).cloned()
}

async fn outcome(i: usize, item: &Item, looker: &dyn Looker, waited: Waited, started_ms: u64, clock: Clock) -> Outcome {
    let (raw, said) = match &waited.end {
        End::Held => (Raw::Pass, None),
        End::Unable(error) => (Raw::Error(error.reason), Some(error.text.clone())),
        // A fail needs something that was seen and is not as it should be.
        _ if waited.findings.iter().all(|f| f.holds) => (Raw::Error(Reason::Imparcial), None),
        End::Patience | End::Hopeless(_) | End::Seen(_) => match looker.excuse(i, &waited).await {
            Some((reason, text)) => (Raw::Error(reason), Some(text)),
            // A probe explains why something is not so; this was.
            None if item.never.is_some() => (Raw::Fail, None),
            None => (Raw::Fail, meaning(&waited)),
        },
    };
    Outcome { raw, waited: Some(waited), said, started_ms, elapsed_ms: clock.ms() - started_ms }
}

//! Runs the checks: looks side by side as soon as what they hang on is known, then the second halves, then exercises, one by one.
//!
//! A check with expectations that can only be settled last (`until_end`, `quiet_for_s`) has two halves. The first releases
//! what needs it as soon as it holds; the second watches on while the others look, and ends when all looking is over.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;

use super::eventually::Waited;
use super::halves::{exercise, first, second};
use super::settle::{Raw, Ties, settle};
use crate::expect::Expectation;
use crate::notice::Reason;
use crate::plan;
use crate::probe::{Attempt, Observation, Phase, ProbeError, settled_last};
use crate::record::Verdict;
use crate::scenario::Patience;
use crate::text::Text;
use crate::time::Clock;

/// A check as the scheduler sees it.
pub struct Item {
    pub ties: Ties,
    /// Comes later than these, whatever they come to.
    pub after: Vec<usize>,
    pub phase: Phase,
    pub patience: Patience,
    /// What is expected must never hold, for so long.
    pub never: Option<Duration>,
    /// Of an exercise or a drill: the longest that it may take.
    pub longest: Duration,
    pub expect: Vec<Expectation>,
}

/// What a check came to, by itself.
#[derive(Debug)]
pub struct Outcome {
    pub raw: Raw,
    pub waited: Option<Waited>,
    /// Why it is an error, or what a failure means, where somebody could say.
    pub said: Option<Text>,
    pub started_ms: u64,
    pub elapsed_ms: u64,
}

/// Looks for the scheduler: the real stack, or a script in tests.
#[async_trait]
pub trait Looker: Send + Sync {
    async fn look(&self, check: usize, attempt: Attempt) -> Result<Observation, ProbeError>;

    /// Whether a failure may be somebody else's (a stand-in, age): then it is an error with this reason.
    async fn excuse(&self, check: usize, waited: &Waited) -> Option<(Reason, Text)>;

    /// Told before a check begins that is run by itself.
    fn alone(&self, _check: usize) {}

    /// Told when a check came to something.
    fn done(&self, _check: usize, _raw: Raw) {}
}

type Step<'a> = Pin<Box<dyn Future<Output = (usize, Half)> + Send + 'a>>;

enum Half {
    First(Box<Outcome>),
    Second(Box<Outcome>),
}

/// Runs all of them and gives what each came to; after a cancel, what had not come to anything is `NotRun`.
pub async fn run(
    items: &[Item],
    order: &[usize],
    looker: &dyn Looker,
    clock: Clock,
    cancel: &CancellationToken,
) -> Vec<Outcome> {
    let ties: Vec<Ties> = items.iter().map(|i| i.ties.clone()).collect();
    let causes = |i: usize| items[i].ties.needs.iter().chain(&items[i].ties.explained_by).copied().collect();
    let phases = plan::phases(items.iter().map(|i| i.phase).collect(), causes, order);
    let mut outcomes: Vec<Option<Outcome>> = items.iter().map(|_| None).collect();
    let mut started = vec![false; items.len()];
    let mut half_seen = vec![false; items.len()];
    let (over_tx, over_rx) = tokio::sync::watch::channel(false);
    let mut steps: FuturesUnordered<Step<'_>> = FuturesUnordered::new();
    let stops: Vec<CancellationToken> = items.iter().map(|_| CancellationToken::new()).collect();
    let mut looking = 0_usize;
    let mut watching = 0_usize;

    loop {
        // Release what is ready; what needs something that did not pass is decided without running.
        let mut again = true;
        while again {
            again = false;
            for &i in order {
                if started[i] || phases[i] >= Phase::Exercise {
                    continue;
                }
                let before = items[i].ties.needs.iter().chain(&items[i].ties.explained_by).chain(&items[i].after);
                let ready = before.into_iter().all(|&d| outcomes[d].is_some());
                if !ready {
                    continue;
                }
                started[i] = true;
                again = true;
                let stopped =
                    items[i].ties.needs.iter().any(|&d| outcomes[d].as_ref().is_some_and(|o| o.raw != Raw::Pass));
                if stopped {
                    outcomes[i] = Some(not_run(clock));
                } else {
                    looking += 1;
                    let stop = stops[i].clone();
                    steps.push(Box::pin(async move {
                        let outcome = tokio::select! {
                            outcome = first(i, &items[i], looker, clock) => outcome,
                            () = stop.cancelled() => not_run(clock),
                        };
                        (i, Half::First(Box::new(outcome)))
                    }));
                }
            }
        }
        if looking == 0 {
            // Nobody is there to hear it where nothing watches.
            let _ = over_tx.send(true);
            if watching == 0 {
                break;
            }
        }
        let next = tokio::select! {
            next = steps.next() => next,
            () = cancel.cancelled() => {
                // What was still being watched has not passed yet.
                let seen = |(o, half): (Option<Outcome>, bool)| o.filter(|_| !half).unwrap_or_else(|| not_run(clock));
                return outcomes.into_iter().zip(half_seen).map(seen).collect();
            }
        };
        match next {
            Some((i, Half::First(outcome))) => {
                looking -= 1;
                let watched = outcome.raw == Raw::Pass && items[i].expect.iter().any(settled_last);
                if watched {
                    watching += 1;
                    half_seen[i] = true;
                    let (over, began) = (over_rx.clone(), outcome.started_ms);
                    steps.push(Box::pin(async move {
                        (i, Half::Second(Box::new(second(i, &items[i], looker, clock, over, began).await)))
                    }));
                } else {
                    looker.done(i, outcome.raw);
                }
                outcomes[i] = Some(*outcome);
            }
            Some((i, Half::Second(outcome))) => {
                watching -= 1;
                half_seen[i] = false;
                looker.done(i, outcome.raw);
                if outcome.raw != Raw::Pass {
                    // What needs it and has not passed by now never will.
                    items
                        .iter()
                        .zip(&stops)
                        .filter(|(item, _)| item.ties.needs.contains(&i))
                        .for_each(|(_, stop)| stop.cancel());
                }
                outcomes[i] = Some(*outcome);
            }
            None => break,
        }
    }
    drop(steps);

    let exercises = order.iter().filter(|&&i| phases[i] == Phase::Exercise);
    let drills = order.iter().filter(|&&i| phases[i] == Phase::Drill);
    for &i in exercises.chain(drills) {
        if cancel.is_cancelled() {
            continue;
        }
        let raw: Vec<Raw> = outcomes.iter().map(|o| o.as_ref().map_or(Raw::NotRun, |o| o.raw)).collect();
        let known = settle(&raw, &ties, order);
        if items[i].ties.needs.iter().any(|&d| known[d].verdict != Verdict::Pass) {
            outcomes[i] = Some(not_run(clock));
            continue;
        }
        looker.alone(i);
        let outcome = tokio::select! {
            outcome = exercise(i, &items[i], looker, clock) => outcome,
            () = cancel.cancelled() => not_run(clock),
        };
        looker.done(i, outcome.raw);
        outcomes[i] = Some(outcome);
    }
    outcomes.into_iter().map(|o| o.unwrap_or_else(|| not_run(clock))).collect()
}

fn not_run(clock: Clock) -> Outcome {
    Outcome { raw: Raw::NotRun, waited: None, said: None, started_ms: clock.ms(), elapsed_ms: 0 }
}

/// A script of what checks see, for tests: by check and time since the run began.
#[doc(hidden)]
pub struct Scripted<F> {
    pub see: F,
    pub clock: Clock,
    pub log: std::sync::Mutex<Vec<(u64, usize)>>,
}

#[async_trait]
impl<F> Looker for Scripted<F>
where
    F: Fn(usize, Duration) -> Result<Observation, ProbeError> + Send + Sync,
{
    async fn look(&self, check: usize, _attempt: Attempt) -> Result<Observation, ProbeError> {
        if let Ok(mut log) = self.log.lock() {
            log.push((self.clock.ms(), check));
        }
        (self.see)(check, self.clock.elapsed())
    }

    async fn excuse(&self, _check: usize, _waited: &Waited) -> Option<(Reason, Text)> {
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::expect::{Facts, Matcher, Place};

    fn is(fact: &str, value: serde_json::Value) -> Expectation {
        Expectation { fact: fact.to_owned(), matcher: Matcher::Equal(value), at: Place::default() }
    }

    fn item(id: &str, needs: &[usize], phase: Phase, expect: Vec<Expectation>) -> Item {
        Item {
            ties: Ties { id: id.to_owned(), needs: needs.to_vec(), ..Ties::default() },
            after: Vec::new(),
            phase,
            patience: Patience {
                within: Duration::from_secs(30),
                every: Duration::from_millis(250),
                attempt_timeout: Duration::from_secs(5),
                stable: 1,
                fail_fast_on: Vec::new(),
            },
            never: None,
            longest: Duration::from_secs(180),
            expect,
        }
    }

    fn runs_and_page() -> Vec<Item> {
        vec![
            item("runs", &[], Phase::Look, vec![is("state", json!("running")), is("until_end", json!(true))]),
            item("page", &[0], Phase::Look, vec![is("up", json!(true))]),
            item("write", &[0, 1], Phase::Exercise, vec![is("up", json!(true))]),
        ]
    }

    /// A service that starts at 2 s and dies at `dies`; its page answers from 4 s on.
    fn world(dies: Duration) -> impl Fn(usize, Duration) -> Result<Observation, ProbeError> {
        move |check, t| {
            let alive = t >= Duration::from_secs(2) && t < dies;
            let facts = match check {
                0 => Facts::from([
                    ("state".to_owned(), json!(if alive { "running" } else { "exited" })),
                    ("until_end".to_owned(), json!(alive && t >= Duration::from_secs(17))),
                ]),
                _ => Facts::from([("up".to_owned(), json!(alive && t >= Duration::from_secs(4)))]),
            };
            Ok(Observation::of(facts))
        }
    }

    async fn go(
        items: &[Item],
        see: impl Fn(usize, Duration) -> Result<Observation, ProbeError> + Send + Sync,
    ) -> (Vec<Outcome>, u64) {
        let clock = Clock::start();
        let looker = Scripted { see, clock, log: std::sync::Mutex::default() };
        let order: Vec<usize> = (0..items.len()).collect();
        let outcomes = run(items, &order, &looker, clock, &CancellationToken::new()).await;
        (outcomes, clock.ms())
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_half_releases_and_the_second_is_settled_last() {
        let (outcomes, ms) = go(&runs_and_page(), world(Duration::from_secs(1000))).await;
        assert!(outcomes.iter().all(|o| o.raw == Raw::Pass), "{outcomes:?}");
        assert!(outcomes[1].started_ms < 3_000, "the page is looked at in the quiet time");
        assert!((17_000..18_000).contains(&ms), "ended at {ms}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_death_in_the_quiet_time_fails_runs_keeps_the_page_and_spares_the_exercise() {
        let (outcomes, _) = go(&runs_and_page(), world(Duration::from_secs(12))).await;
        let raw: Vec<Raw> = outcomes.iter().map(|o| o.raw).collect();
        assert_eq!(raw, [Raw::Fail, Raw::Pass, Raw::NotRun]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_still_waits_for_a_service_that_died_is_not_waited_for() {
        let mut items = runs_and_page();
        items[0].patience.fail_fast_on = vec!["gone".to_owned()];
        let (outcomes, ms) = go(&items, |check, t| {
            let alive = t < Duration::from_secs(3);
            let mut seen = world(Duration::from_secs(3))(check, t + Duration::from_secs(2))?;
            if check == 0 && !alive {
                seen.conditions.push("gone".to_owned());
            }
            if check == 1 {
                seen = Observation::of(Facts::from([("up".to_owned(), json!(false))]));
            }
            Ok(seen)
        })
        .await;
        assert_eq!(outcomes[0].raw, Raw::Fail);
        assert_eq!(outcomes[1].raw, Raw::NotRun);
        assert!(ms < 4_000, "ended at {ms}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_needs_a_failed_check_is_not_run() {
        let (outcomes, _) = go(&runs_and_page(), world(Duration::ZERO)).await;
        let raw: Vec<Raw> = outcomes.iter().map(|o| o.raw).collect();
        assert_eq!(raw, [Raw::Fail, Raw::NotRun, Raw::NotRun]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_after_another_waits_for_it_and_does_not_hang_on_it() {
        let mut items = vec![
            item("visit", &[], Phase::Look, vec![is("up", json!(true))]),
            item("ask", &[], Phase::Look, vec![is("up", json!(false))]),
        ];
        items[0].after = vec![1];
        items[1].patience.within = Duration::from_secs(7);
        let up = |_, _| Ok(Observation::of(Facts::from([("up".to_owned(), json!(true))])));
        let (outcomes, _) = go(&items, up).await;
        assert_eq!(outcomes.iter().map(|o| o.raw).collect::<Vec<_>>(), [Raw::Pass, Raw::Fail]);
        assert!(outcomes[0].started_ms >= 6_500, "{outcomes:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_must_never_be_fails_when_it_is_seen_and_passes_when_its_time_is_over() {
        let mut items = vec![
            item("died", &[], Phase::Look, vec![is("state", json!("exited"))]),
            item("page", &[0], Phase::Look, vec![is("up", json!(true))]),
        ];
        items[0].never = Some(Duration::from_secs(8));
        let see = |dies| move |check, t| world(Duration::from_secs(dies))(check, t + Duration::from_secs(4));
        let (outcomes, ms) = go(&items, see(1000)).await;
        assert!(outcomes.iter().all(|o| o.raw == Raw::Pass), "{outcomes:?}");
        assert!((8_000..8_500).contains(&ms), "ended at {ms}");
        let (outcomes, ms) = go(&items, see(7)).await;
        assert_eq!(outcomes.iter().map(|o| o.raw).collect::<Vec<_>>(), [Raw::Fail, Raw::NotRun]);
        assert!((3_000..3_500).contains(&ms), "ended at {ms}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_needs_an_exercise_comes_after_it() {
        let items = vec![
            item("write", &[], Phase::Exercise, vec![is("up", json!(true))]),
            item("read", &[0], Phase::Look, vec![is("up", json!(true))]),
        ];
        let (outcomes, _) = go(&items, |_, _| Ok(Observation::of(Facts::from([("up".to_owned(), json!(true))])))).await;
        assert!(outcomes.iter().all(|o| o.raw == Raw::Pass));
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancel_ends_it_at_once_and_keeps_what_was_known() {
        let items = runs_and_page();
        let clock = Clock::start();
        let cancel = CancellationToken::new();
        let looker = Scripted { see: world(Duration::from_secs(1000)), clock, log: std::sync::Mutex::default() };
        let ended = async {
            tokio::time::sleep(Duration::from_secs(6)).await;
            cancel.cancel();
        };
        let (outcomes, ()) = tokio::join!(run(&items, &[0, 1, 2], &looker, clock, &cancel), ended);
        let raw: Vec<Raw> = outcomes.iter().map(|o| o.raw).collect();
        assert_eq!(raw, [Raw::NotRun, Raw::Pass, Raw::NotRun], "what was still watched has not passed");
        assert_eq!(clock.ms(), 6_000);
    }
}

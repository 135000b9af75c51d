//! Waiting until a check holds: deadlines, never counts; the last observation is kept, and how many looks it took.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use crate::expect::{Expectation, Finding, judge};
use crate::notice::Reason;
use crate::probe::{Attempt, Observation, ProbeError, SETTLED};
use crate::scenario::Patience;

/// How a wait ended.
#[derive(Debug)]
pub struct Waited {
    pub end: End,
    pub attempts: u32,
    /// Since the wait began: the first look of the row that held.
    pub held_after: Option<Duration>,
    pub findings: Vec<Finding>,
    /// The last look that came to something.
    pub observation: Observation,
}

impl Waited {
    /// Before the first look.
    pub(super) fn unlooked() -> Self {
        Self {
            end: End::Patience,
            attempts: 0,
            held_after: None,
            findings: Vec::new(),
            observation: Observation::default(),
        }
    }
}

#[derive(Debug)]
pub enum End {
    Held,
    /// Patience ended; what was last seen does not hold.
    Patience,
    /// A condition of `fail_fast_on` held: waiting longer is hopeless.
    Hopeless(String),
    /// What must never hold was seen, so long after the watching began.
    Seen(Duration),
    /// The last look could not be made.
    Unable(ProbeError),
}

/// Looks until every expectation holds `stable` times in a row, or patience ends. `final_facts` are left out: they are
/// settled after all looking.
pub async fn wait<F, L>(patience: &Patience, expect: &[Expectation], mut look: L) -> Waited
where
    L: FnMut(Attempt) -> F,
    F: Future<Output = Result<Observation, ProbeError>>,
{
    let began = Instant::now();
    let deadline = began + patience.within;
    let mut waited = Waited::unlooked();
    let mut row = 0;
    let mut row_began = Duration::ZERO;
    loop {
        let started = Instant::now();
        // A look that was begun before the deadline has its whole time: one cut short would say "no answer" of a page that
        // is right but slow, and hide what it answered before.
        let attempt = Attempt {
            timeout: patience.attempt_timeout,
            waited: began.elapsed(),
            within: patience.within,
            last: false,
        };
        waited.attempts += 1;
        let mut hopeless = None;
        match look(attempt).await {
            Ok(observation) => {
                waited.findings = findings(expect, &observation);
                let holds = !waited.findings.is_empty() && waited.findings.iter().all(|f| f.holds);
                let ends = |c: &&String| *c == SETTLED || patience.fail_fast_on.contains(c);
                hopeless = observation.conditions.iter().find(ends).cloned();
                let open = expect.iter().find_map(|e| observation.open.get(&e.fact).cloned());
                waited.observation = observation;
                waited.end = End::Patience;
                if let Some((reason, text)) = open {
                    waited.end = End::Unable(ProbeError { reason, text });
                    return waited;
                }
                if holds {
                    if row == 0 {
                        row_began = began.elapsed();
                    }
                    row += 1;
                    if row >= patience.stable.max(1) {
                        waited.end = End::Held;
                        waited.held_after = Some(row_began);
                        return waited;
                    }
                } else {
                    row = 0;
                }
            }
            Err(error) => {
                row = 0;
                // Waiting brings back an engine; it brings no image, no version and no decision.
                let passing = matches!(error.reason, Reason::Host | Reason::Imparcial);
                waited.end = End::Unable(error);
                if !passing {
                    return waited;
                }
            }
        }
        if let Some(condition) = hopeless {
            waited.end = End::Hopeless(condition);
            return waited;
        }
        let next = started + patience.every;
        // A row that has begun is looked at to its end: what holds is no failure for want of a second look.
        if row == 0 && Instant::now().max(next) >= deadline {
            return waited;
        }
        tokio::time::sleep_until(next).await;
    }
}

/// Every expectation against every subject.
pub fn findings(expect: &[Expectation], observation: &Observation) -> Vec<Finding> {
    observation.subjects.iter().flat_map(|(name, facts)| judge(expect, name, facts)).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use serde_json::json;

    use super::*;
    use crate::expect::{Facts, Matcher, Place};
    use crate::text::Text;

    fn patience(within: u64, stable: u32) -> Patience {
        Patience {
            within: Duration::from_secs(within),
            every: Duration::from_millis(250),
            attempt_timeout: Duration::from_secs(20),
            stable,
            fail_fast_on: vec!["exited_for_good".to_owned()],
        }
    }

    fn expect(fact: &str, value: serde_json::Value) -> Vec<Expectation> {
        vec![Expectation { fact: fact.to_owned(), matcher: Matcher::Equal(value), at: Place::default() }]
    }

    fn seen(up: bool) -> Observation {
        Observation::of(Facts::from([("up".to_owned(), json!(up))]))
    }

    #[tokio::test(start_paused = true)]
    async fn holds_as_soon_as_it_is_seen() {
        let began = Instant::now();
        let waited = wait(&patience(60, 1), &expect("up", json!(true)), |_| async {
            Ok(seen(began.elapsed() >= Duration::from_secs(7)))
        })
        .await;
        assert!(matches!(waited.end, End::Held));
        assert_eq!(waited.held_after, Some(Duration::from_secs(7)));
        assert_eq!(waited.attempts, 29);
    }

    #[tokio::test(start_paused = true)]
    async fn ends_with_its_patience_and_keeps_the_last_value() {
        let began = Instant::now();
        let waited = wait(&patience(10, 1), &expect("up", json!(true)), |_| async { Ok(seen(false)) }).await;
        assert!(matches!(waited.end, End::Patience));
        assert_eq!(waited.findings[0].observed, "false");
        assert!(began.elapsed() <= Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_look_costs_time_and_is_never_cut_short() {
        let began = Instant::now();
        let waited = wait(&patience(10, 1), &expect("up", json!(true)), |attempt| async move {
            tokio::time::sleep(attempt.timeout.min(Duration::from_secs(4))).await;
            Ok(seen(false))
        })
        .await;
        assert_eq!(waited.attempts, 3);
        assert_eq!(began.elapsed(), Duration::from_secs(12));
    }

    #[tokio::test(start_paused = true)]
    async fn stable_wants_a_row_without_a_gap() {
        let looks = Cell::new(0);
        let waited = wait(&patience(60, 3), &expect("up", json!(true)), |_| {
            looks.set(looks.get() + 1);
            let up = looks.get() != 2;
            async move { Ok(seen(up)) }
        })
        .await;
        assert!(matches!(waited.end, End::Held));
        assert_eq!(waited.attempts, 5);
        assert_eq!(waited.held_after, Some(Duration::from_millis(500)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_row_that_began_in_time_is_looked_at_to_its_end() {
        let slow = |up: bool| async move {
            tokio::time::sleep(Duration::from_secs(12)).await;
            Ok(seen(up))
        };
        let waited = wait(&patience(10, 2), &expect("up", json!(true)), |_| slow(true)).await;
        assert!(matches!(waited.end, End::Held));
        assert_eq!(waited.attempts, 2);
        let looks = Cell::new(0);
        let waited = wait(&patience(10, 2), &expect("up", json!(true)), |_| {
            looks.set(looks.get() + 1);
            slow(looks.get() == 1)
        })
        .await;
        assert!(matches!(waited.end, End::Patience));
        assert!(!waited.findings[0].holds);
    }

    #[tokio::test(start_paused = true)]
    async fn a_hopeless_condition_ends_it_early() {
        let began = Instant::now();
        let waited = wait(&patience(60, 1), &expect("up", json!(true)), |_| async {
            let mut observation = seen(false);
            observation.conditions.push("exited_for_good".to_owned());
            Ok(observation)
        })
        .await;
        assert!(matches!(waited.end, End::Hopeless(_)));
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_cannot_be_made_is_tried_again_and_then_an_error() {
        let looks = Cell::new(0);
        let unable = || ProbeError { reason: Reason::Host, text: Text::same("engine gone") };
        let waited = wait(&patience(2, 1), &expect("up", json!(true)), |_| {
            looks.set(looks.get() + 1);
            let error = (looks.get() < 3).then(unable);
            async move { error.map_or_else(|| Ok(seen(true)), Err) }
        })
        .await;
        assert!(matches!(waited.end, End::Held));
        let waited = wait(&patience(2, 1), &expect("up", json!(true)), |_| async { Err(unable()) }).await;
        assert!(matches!(waited.end, End::Unable(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_observed_never_holds() {
        let waited = wait(&patience(1, 1), &expect("up", json!(true)), |_| async { Ok(Observation::default()) }).await;
        assert!(matches!(waited.end, End::Patience));
    }
}

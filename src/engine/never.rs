//! Watching that something never holds: for a budget of its own, which only a failure ends early.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use super::eventually::{End, Waited, findings};
use crate::expect::{Expectation, Finding};
use crate::notice::Reason;
use crate::probe::{Attempt, Observation, ProbeError};
use crate::scenario::Patience;

/// Looks for all of `budget` that the expectations do not hold together, and ends early only where they do.
///
/// What could not be looked at was not watched: after it the budget begins anew, `patience.within` later at most.
pub(super) async fn watch<F, L>(budget: Duration, patience: &Patience, expect: &[Expectation], mut look: L) -> Waited
where
    L: FnMut(Attempt) -> F,
    F: Future<Output = Result<Observation, ProbeError>>,
{
    let began = Instant::now();
    let mut watched_since = began;
    let mut waited = Waited::unlooked();
    loop {
        let started = Instant::now();
        let attempt = Attempt {
            timeout: patience.attempt_timeout,
            waited: began.elapsed(),
            within: patience.within,
            last: false,
        };
        waited.attempts += 1;
        let mut unable = false;
        match look(attempt).await {
            Ok(observation) => {
                let seen = findings(expect, &observation);
                let held = !seen.is_empty() && seen.iter().all(|f| f.holds);
                waited.findings = seen.into_iter().map(|f| turned(f, held)).collect();
                waited.observation = observation;
                waited.end = if held { End::Seen(began.elapsed()) } else { End::Held };
                if held {
                    return waited;
                }
                if waited.findings.is_empty() {
                    // Nothing was there to be compared: that proves no absence.
                    waited.end = End::Patience;
                    unable = true;
                }
            }
            Err(error) => {
                let passing = matches!(error.reason, Reason::Host | Reason::Imparcial);
                waited.end = End::Unable(error);
                if !passing {
                    return waited;
                }
                unable = true;
            }
        }
        let now = Instant::now();
        if unable {
            watched_since = now;
            if now >= began + patience.within {
                return waited;
            }
        } else if now >= watched_since + budget {
            return waited;
        }
        // The last look is at the budget's end, not one step before it.
        let end = if unable { began + patience.within } else { watched_since + budget };
        tokio::time::sleep_until((started + patience.every).min(end)).await;
    }
}

/// What was expected never to be: one part of it may well be so, as long as not all of it is.
fn turned(finding: Finding, held: bool) -> Finding {
    Finding { expected: format!("never {}", finding.expected), holds: !held, ..finding }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use serde_json::json;

    use super::*;
    use crate::expect::{Facts, Matcher, Place};
    use crate::text::Text;

    const TEN: Duration = Duration::from_secs(10);

    fn patience(within: u64) -> Patience {
        Patience { within: Duration::from_secs(within), ..Patience::default() }
    }

    fn expect(facts: &[&str]) -> Vec<Expectation> {
        let is = |fact: &&str| Expectation {
            fact: (*fact).to_owned(),
            matcher: Matcher::Equal(json!(true)),
            at: Place::default(),
        };
        facts.iter().map(is).collect()
    }

    fn seen(a: bool, b: bool) -> Observation {
        Observation::of(Facts::from([("a".to_owned(), json!(a)), ("b".to_owned(), json!(b))]))
    }

    #[tokio::test(start_paused = true)]
    async fn what_never_holds_is_watched_to_the_end() {
        let began = Instant::now();
        let waited = watch(TEN, &patience(1), &expect(&["a"]), |_| async { Ok(seen(false, true)) }).await;
        assert!(matches!(waited.end, End::Held));
        assert_eq!(began.elapsed(), TEN);
        assert!(waited.attempts > 30, "{}", waited.attempts);
        assert_eq!((waited.findings[0].expected.as_str(), waited.findings[0].holds), ("never true", true));
    }

    #[tokio::test(start_paused = true)]
    async fn once_is_enough_and_ends_it() {
        let began = Instant::now();
        let at_three = || began.elapsed() >= Duration::from_secs(3) && began.elapsed() < Duration::from_millis(3200);
        let waited = watch(TEN, &patience(30), &expect(&["a"]), |_| async { Ok(seen(at_three(), true)) }).await;
        assert!(matches!(waited.end, End::Seen(after) if after == Duration::from_secs(3)));
        assert_eq!(began.elapsed(), Duration::from_secs(3));
        assert!(!waited.findings[0].holds);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_look_is_when_the_budget_ends() {
        let began = Instant::now();
        let slow = Patience { every: Duration::from_secs(4), ..patience(1) };
        let late = || began.elapsed() >= TEN;
        let waited = watch(TEN, &slow, &expect(&["a"]), |_| async { Ok(seen(late(), true)) }).await;
        assert!(matches!(waited.end, End::Seen(_)));
        assert_eq!(waited.attempts, 4);
    }

    #[tokio::test(start_paused = true)]
    async fn only_all_of_it_together_counts() {
        let looks = Cell::new(0);
        let waited = watch(TEN, &patience(1), &expect(&["a", "b"]), |_| {
            looks.set(looks.get() + 1);
            let odd = looks.get() % 2 == 1;
            async move { Ok(seen(odd, !odd)) }
        })
        .await;
        assert!(matches!(waited.end, End::Held));
        assert!(waited.findings.iter().all(|f| f.holds), "{:?}", waited.findings);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_looked_at_was_not_watched() {
        let began = Instant::now();
        let unable = || ProbeError { reason: Reason::Host, text: Text::same("engine gone") };
        let gap = || began.elapsed() < Duration::from_secs(5);
        let waited = watch(TEN, &patience(30), &expect(&["a"]), |_| async {
            if gap() { Err(unable()) } else { Ok(seen(false, false)) }
        })
        .await;
        assert!(matches!(waited.end, End::Held));
        assert!(began.elapsed() >= Duration::from_secs(14), "{:?}", began.elapsed());
        let began = Instant::now();
        let waited = watch(TEN, &patience(2), &expect(&["a"]), |_| async { Err(unable()) }).await;
        assert!(matches!(waited.end, End::Unable(_)));
        assert_eq!(began.elapsed(), Duration::from_secs(2));
        let waited = watch(TEN, &patience(2), &expect(&["a"]), |_| async { Ok(Observation::default()) }).await;
        assert!(matches!(waited.end, End::Patience), "no sample is no pass");
    }
}

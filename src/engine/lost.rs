//! A lab that is ended from outside, or whose engine goes away: what was decided by then stays, the rest is the host's.

use std::sync::{Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use super::schedule::Outcome;
use super::settle::Raw;
use crate::lab::Lab;
use crate::notice::Reason;
use crate::text::Text;
use crate::time::{Clock, whole_ms};

/// A failure seen so shortly before may have been the end itself.
const DOUBTFUL_MS: u64 = 3_000;

/// What became of the lab, where it was lost.
#[derive(Default)]
pub(super) struct Loss(Mutex<Option<(Text, u64)>>);

impl Loss {
    /// Watches the lab until it is lost, then notes it and cancels `stop`. Ends only then.
    pub(super) async fn watch(&self, lab: &Lab, clock: Clock, stop: &CancellationToken) {
        let (why, ago) = lab.lost().await;
        let at = clock.ms().saturating_sub(whole_ms(ago));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((text(lab.name(), &why), at));
        stop.cancel();
    }

    pub(super) fn text(&self) -> Option<Text> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone().map(|(text, _)| text)
    }

    /// Makes what was not decided, and what was decided against the submission at the very end, the host's.
    pub(super) fn excuse(&self, outcomes: &mut [Outcome]) {
        let lost = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((text, at)) = lost {
            outcomes.iter_mut().for_each(|outcome| excuse(outcome, &text, at));
        }
    }
}

fn excuse(outcome: &mut Outcome, text: &Text, at: u64) {
    let late = outcome.started_ms + outcome.elapsed_ms + DOUBTFUL_MS >= at;
    let excused = match outcome.raw {
        Raw::Pass => false,
        Raw::Fail | Raw::Error(_) | Raw::Refused(_) => late,
        Raw::NotRun => true,
    };
    if excused {
        outcome.raw = Raw::Error(Reason::Host);
        outcome.said = Some(text.clone());
    }
}

fn text(name: &str, why: &str) -> Text {
    Text::new(
        format!(
            "the lab {name} was ended from outside during the run ({why}); what was not decided by then is undecided: run again"
        ),
        format!(
            "el laboratorio {name} fue terminado desde fuera durante la ejecución ({why}); lo que no estaba decidido queda sin decidir: ejecute de nuevo"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_passed_or_failed_well_before_stays() {
        let outcome = |raw, ended| Outcome { raw, waited: None, said: None, started_ms: 0, elapsed_ms: ended };
        let loss = Loss::default();
        let mut untouched = [outcome(Raw::NotRun, 0)];
        loss.excuse(&mut untouched);
        assert_eq!(untouched[0].raw, Raw::NotRun);

        *loss.0.lock().unwrap() = Some((text("imparcial-r1", "killed"), 20_000));
        let mut outcomes = [
            outcome(Raw::Pass, 19_900),
            outcome(Raw::Fail, 5_000),
            outcome(Raw::Fail, 19_000),
            outcome(Raw::NotRun, 0),
        ];
        loss.excuse(&mut outcomes);
        let host = Raw::Error(Reason::Host);
        assert_eq!(outcomes.each_ref().map(|o| o.raw), [Raw::Pass, Raw::Fail, host, host]);
        assert!(outcomes[2].said.as_ref().unwrap().en.contains("imparcial-r1"));
    }
}

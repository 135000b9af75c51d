//! How long a plan may take at most, and in which order it runs: what `imparcial plan` says before anybody waits.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Plan;
use crate::probe::{Phase, settled_last};
use crate::stack::LIVE_FOR;

/// The longest that the checks of a plan may take, where every one of them waits to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Longest {
    /// All looking: side by side, one after another where one needs the other, and the quiet time that is watched.
    pub looks: Duration,
    /// One by one, after it.
    pub exercises: Duration,
}

impl Longest {
    pub fn total(self) -> Duration {
        self.looks + self.exercises
    }
}

/// When each check runs, from when it would by itself: what hangs on an exercise cannot come before it.
pub fn phases(mut phases: Vec<Phase>, causes: impl Fn(usize) -> Vec<usize>, order: &[usize]) -> Vec<Phase> {
    for &i in order {
        let latest = causes(i).into_iter().map(|cause| phases[cause]).max();
        if let Some(latest) = latest.filter(|latest| *latest >= Phase::Exercise && *latest > phases[i]) {
            phases[i] = latest;
        }
    }
    phases
}

impl Plan {
    /// When each check runs, by index.
    pub fn phases(&self) -> Vec<Phase> {
        let own = self.checks.iter().map(|check| check.probe.phase()).collect();
        phases(own, |check| self.causes(check), &self.order())
    }

    /// As [`Plan::order`], with the exercises after all looking, and the drills after those.
    pub fn run_order(&self) -> Vec<usize> {
        let phases = self.phases();
        let mut order = self.order();
        order.sort_by_key(|&check| phases[check].max(Phase::Look));
        order
    }

    /// See [`Longest`].
    pub fn longest(&self) -> Longest {
        let phases = self.phases();
        let mut ended = vec![Duration::ZERO; self.checks.len()];
        // What is settled last is watched beside the others, and looked at once more when all looking is over.
        let mut last_look = Duration::ZERO;
        let mut longest = Longest::default();
        let mut drills = BTreeSet::new();
        for check in self.run_order() {
            let patience = &self.checks[check].spec.eventually;
            if phases[check] >= Phase::Exercise {
                let probe = &self.checks[check].probe;
                // All objectives of a drill share one.
                let counted = probe.drill().is_some_and(|drill| !drills.insert(drill.to_owned()));
                longest.exercises += match self.checks[check].spec.never {
                    Some(watched) => patience.within + watched + patience.attempt_timeout,
                    None if counted => Duration::ZERO,
                    None => patience.within.max(probe.longest()),
                };
                continue;
            }
            let began = self.causes(check).into_iter().map(|cause| ended[cause]).max().unwrap_or_default();
            // A look that began before the deadline has its whole time; what the files say is not waited for.
            let watched = self.checks[check].spec.never.unwrap_or_default();
            let wait = if phases[check] == Phase::Static { Duration::ZERO } else { patience.within + watched };
            ended[check] = began + wait + patience.attempt_timeout;
            longest.looks = longest.looks.max(ended[check]);
            if self.checks[check].expect.iter().any(settled_last) {
                longest.looks = longest.looks.max(ended[check] + patience.within + LIVE_FOR);
                last_look = last_look.max(patience.attempt_timeout);
            }
        }
        longest.looks += last_look;
        longest
    }

    fn causes(&self, check: usize) -> Vec<usize> {
        let mut causes = self.needs(check);
        causes.extend(self.explained_by(check));
        causes
    }
}

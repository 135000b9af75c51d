//! A plan's checks as the schedule takes them: what each hangs on, and what has to be asked before a page is visited.

use super::{conclude, schedule, settle};
use crate::drill::LASTS;
use crate::expect::Expectation;
use crate::plan::{Plan, PlannedCheck};
use crate::probe::MACHINES;
use crate::scenario::Patience;
use crate::stack::Stack;

/// What is looked for on slow machines is given the time that fast ones would need.
pub(super) fn items(plan: &Plan, stack: &Stack) -> Vec<schedule::Item> {
    let ties = conclude::ties(plan);
    let first: Vec<usize> = (0..ties.len()).filter(|&i| before_visits(plan, &ties, i)).collect();
    ties.into_iter()
        .zip(&plan.checks)
        .map(|(ties, check)| schedule::Item {
            ties,
            after: if check.probe.visits() { first.clone() } else { Vec::new() },
            phase: check.probe.phase(),
            patience: stretched(&check.spec.eventually, stack, check.probe.layer()),
            never: check.spec.never.map(|time| time.mul_f64(slowness(stack, check.probe.layer()))),
            longest: check.probe.longest().mul_f64(slowness(stack, check.probe.layer())),
            expect: expected(check, stack),
        })
        .collect()
}

fn stretched(patience: &Patience, stack: &Stack, layer: &str) -> Patience {
    let by = slowness(stack, layer);
    let [within, attempt_timeout, every] =
        [patience.within, patience.attempt_timeout, patience.every].map(|time| time.mul_f64(by));
    Patience { within, attempt_timeout, every, ..patience.clone() }
}

/// Services beside the machines are as fast as ever.
fn slowness(stack: &Stack, layer: &str) -> f64 {
    if layer == MACHINES { stack.machines.slower() } else { stack.slowness() }
}

/// What is expected of a check: a drill's times at most are for machines that are not emulated.
fn expected(check: &PlannedCheck, stack: &Stack) -> Vec<Expectation> {
    let by = stack.slowness();
    let lasts = |e: &Expectation| check.probe.breaks().is_some() && LASTS.contains(&e.fact.as_str());
    let stretched = |e: &Expectation| match lasts(e) {
        true => Expectation { matcher: e.matcher.scaled(by), ..e.clone() },
        false => e.clone(),
    };
    check.expect.iter().map(stretched).collect()
}

/// Whether a check is asked before any page is visited: not where it hangs on a visit itself.
fn before_visits(plan: &Plan, ties: &[settle::Ties], check: usize) -> bool {
    let mut seen = vec![false; ties.len()];
    let mut open = vec![check];
    while let Some(i) = open.pop() {
        if !std::mem::replace(&mut seen[i], true) {
            open.extend(ties[i].needs.iter().chain(&ties[i].explained_by));
        }
    }
    let visits = plan.checks.iter().zip(seen).any(|(check, seen)| seen && check.probe.visits());
    plan.checks[check].probe.before_visits() && !visits
}

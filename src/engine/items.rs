//! A plan's checks as the schedule takes them: what each hangs on, and what has to be asked before a page is visited.

use super::{conclude, schedule, settle};
use crate::plan::Plan;
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
            never: check.spec.never,
            longest: check.probe.longest(),
            expect: check.expect.clone(),
        })
        .collect()
}

fn stretched(patience: &Patience, stack: &Stack, layer: &str) -> Patience {
    let machines = &stack.machines;
    // Services beside the machines are as fast as ever.
    if layer != MACHINES && stack.home.node.is_none() {
        return patience.clone();
    }
    let (within, attempt_timeout) = (machines.stretched(patience.within), machines.stretched(patience.attempt_timeout));
    Patience { within, attempt_timeout, ..patience.clone() }
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

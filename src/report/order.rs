//! Which checks come first: failed and undecided ones by what they cost, with what stands behind each.

use std::cmp::Reverse;

use crate::grade::parts;
use crate::record::{CheckRecord, RunRecord, Verdict};

/// The checks that count, of one verdict: the costliest first, what it hides included.
pub(super) fn worst_first(record: &RunRecord, verdict: Verdict) -> Vec<&CheckRecord> {
    let mut checks: Vec<_> = record.checks.iter().filter(|c| !c.is_observation() && c.verdict == verdict).collect();
    checks.sort_by_key(|check| Reverse(cost(check) + behind(record, check).map(cost).sum::<u64>()));
    checks
}

/// What a check does not earn.
fn cost(check: &CheckRecord) -> u64 {
    check.points - parts(check).earned
}

/// What was skipped because of a check.
pub(super) fn behind<'a>(record: &'a RunRecord, root: &'a CheckRecord) -> impl Iterator<Item = &'a CheckRecord> {
    record.checks.iter().filter(|check| is_behind(check, root))
}

pub(super) fn is_behind(check: &CheckRecord, root: &CheckRecord) -> bool {
    check.verdict == Verdict::Skip && check.cause.as_ref().is_some_and(|cause| cause.check == root.id)
}

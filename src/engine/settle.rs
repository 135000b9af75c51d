//! From what every check saw by itself to verdicts: the root cause first, what depended on it is skipped with that cause.
//!
//! Pure. `needs` is hard: the check could not have passed. `explained_by` is soft: the check ran, and where it did not pass
//! and one of the named did not either, its failure costs nothing of its own.

use crate::notice::Reason;
use crate::record::{Cause, Verdict};

/// What a check came to by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Raw {
    Pass,
    Fail,
    Error(Reason),
    /// Not looked at on purpose: undecided whatever would explain a failure, since it might have passed.
    Refused(Reason),
    /// Never run, because something that it needs did not pass.
    NotRun,
}

/// What one check hangs on, as indexes into the same list.
#[derive(Clone, Debug, Default)]
pub struct Ties {
    pub id: String,
    pub needs: Vec<usize>,
    pub explained_by: Vec<usize>,
    /// Of an objective: those of the drills that came before. What they left broken explains that this one could not begin.
    pub after_drills: Vec<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    pub verdict: Verdict,
    pub cause: Option<Cause>,
}

/// Settles every check; `order` lists them so that each comes after all that it hangs on.
pub fn settle(raw: &[Raw], ties: &[Ties], order: &[usize]) -> Vec<Settled> {
    let mut settled: Vec<Settled> = vec![Settled { verdict: Verdict::Pass, cause: None }; raw.len()];
    for &i in order {
        settled[i] = one(i, raw, ties, &settled);
    }
    settled
}

fn one(i: usize, raw: &[Raw], ties: &[Ties], settled: &[Settled]) -> Settled {
    let done = |verdict| Settled { verdict, cause: None };
    // What had passed stays, also where its need was found wanting later.
    if raw[i] == Raw::Pass {
        return done(Verdict::Pass);
    }
    let roots = |of: &[usize]| -> Vec<Cause> { of.iter().filter_map(|&d| root(d, ties, settled)).collect() };
    let needs = roots(&ties[i].needs);
    if !needs.is_empty() {
        // One failed need is enough to lose: the check could not have passed.
        let cause = needs.iter().find(|c| c.verdict == Verdict::Fail).or_else(|| needs.first()).cloned();
        return Settled { verdict: Verdict::Skip, cause };
    }
    if raw[i] == Raw::Error(Reason::Unproven) && proven_by(i, raw, ties).is_some() {
        return done(Verdict::Pass);
    }
    if matches!(raw[i], Raw::Refused(_)) {
        return done(Verdict::Error);
    }
    let mut explained = roots(&ties[i].explained_by);
    if explained.is_empty() && raw[i] == Raw::Error(Reason::Unsteady) {
        explained = roots(&ties[i].after_drills);
    }
    if !explained.is_empty() {
        // Lost only where every root is a fail: else it might have passed.
        let cause = explained.iter().find(|c| c.verdict == Verdict::Error).or_else(|| explained.first()).cloned();
        return Settled { verdict: Verdict::Skip, cause };
    }
    match raw[i] {
        Raw::Fail => done(Verdict::Fail),
        Raw::Error(_) | Raw::Refused(_) => done(Verdict::Error),
        // Nothing stopped it and still it did not run: that is ours.
        Raw::NotRun | Raw::Pass => done(Verdict::Error),
    }
}

/// The check that this one would have explained and that passed. Where nothing was there to tell the one by, the other made
/// it: a page without a row is judged by the row that was written and seen on it.
pub(super) fn proven_by(i: usize, raw: &[Raw], ties: &[Ties]) -> Option<usize> {
    (0..raw.len()).find(|&other| raw[other] == Raw::Pass && ties[other].explained_by.contains(&i))
}

/// The root that a dependence which did not pass stands behind; `None` where it passed.
fn root(d: usize, ties: &[Ties], settled: &[Settled]) -> Option<Cause> {
    match settled[d].verdict {
        Verdict::Pass => None,
        Verdict::Skip => settled[d].cause.clone(),
        verdict => Some(Cause { check: ties[d].id.clone(), verdict }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ties(rows: &[(&str, &[usize], &[usize])]) -> Vec<Ties> {
        rows.iter()
            .map(|(id, needs, explained)| Ties {
                id: (*id).to_owned(),
                needs: needs.to_vec(),
                explained_by: explained.to_vec(),
                after_drills: Vec::new(),
            })
            .collect()
    }

    fn cause(check: &str, verdict: Verdict) -> Option<Cause> {
        Some(Cause { check: check.to_owned(), verdict })
    }

    #[test]
    fn what_nothing_proves_is_proven_by_what_it_would_have_explained() {
        let ties = ties(&[("page", &[], &[]), ("page-from-database", &[], &[0])]);
        let verdicts = |page, other| {
            let got: Vec<Verdict> = settle(&[page, other], &ties, &[0, 1]).into_iter().map(|s| s.verdict).collect();
            [got[0], got[1]]
        };
        let open = Raw::Error(Reason::Unproven);
        assert_eq!(verdicts(open, Raw::Pass), [Verdict::Pass, Verdict::Pass]);
        assert_eq!(verdicts(open, Raw::Fail), [Verdict::Error, Verdict::Skip], "it may be our row's fault");
        assert_eq!(verdicts(Raw::Error(Reason::Host), Raw::Pass), [Verdict::Error, Verdict::Pass]);
        assert_eq!(verdicts(Raw::Fail, Raw::Pass), [Verdict::Fail, Verdict::Pass]);
    }

    #[test]
    fn a_failed_need_skips_and_passes_its_root_on() {
        let ties = ties(&[("built", &[], &[]), ("runs", &[], &[0]), ("page", &[1], &[])]);
        let got = settle(&[Raw::Fail, Raw::Fail, Raw::NotRun], &ties, &[0, 1, 2]);
        assert_eq!(got[0].verdict, Verdict::Fail);
        assert_eq!((got[1].verdict, got[1].cause.clone()), (Verdict::Skip, cause("built", Verdict::Fail)));
        assert_eq!((got[2].verdict, got[2].cause.clone()), (Verdict::Skip, cause("built", Verdict::Fail)));
    }

    #[test]
    fn what_had_passed_stays() {
        let ties = ties(&[("runs", &[], &[]), ("page", &[0], &[])]);
        let got = settle(&[Raw::Fail, Raw::Pass], &ties, &[0, 1]);
        assert_eq!(got[1].verdict, Verdict::Pass);
    }

    #[test]
    fn an_explained_check_that_passes_is_a_pass() {
        let ties = ties(&[("port", &[], &[]), ("page", &[], &[0])]);
        assert_eq!(settle(&[Raw::Fail, Raw::Pass], &ties, &[0, 1])[1].verdict, Verdict::Pass);
    }

    #[test]
    fn one_failed_need_is_enough_to_lose_but_one_undecided_explanation_is_enough_not_to() {
        let hard = ties(&[("a", &[], &[]), ("b", &[], &[]), ("c", &[0, 1], &[])]);
        let raw = [Raw::Error(Reason::Image), Raw::Fail, Raw::NotRun];
        assert_eq!(settle(&raw, &hard, &[0, 1, 2])[2].cause, cause("b", Verdict::Fail));
        let soft = ties(&[("a", &[], &[]), ("b", &[], &[]), ("c", &[], &[0, 1])]);
        let raw = [Raw::Fail, Raw::Error(Reason::Image), Raw::Fail];
        assert_eq!(settle(&raw, &soft, &[0, 1, 2])[2].cause, cause("b", Verdict::Error));
    }

    #[test]
    fn what_was_refused_is_lost_by_a_need_alone() {
        let ties = ties(&[("runs", &[], &[]), ("port", &[], &[]), ("write", &[0], &[1])]);
        let refused = Raw::Refused(Reason::NotHere);
        assert_eq!(settle(&[Raw::Pass, Raw::Fail, refused], &ties, &[0, 1, 2])[2].verdict, Verdict::Error);
        let got = settle(&[Raw::Fail, Raw::Pass, refused], &ties, &[0, 1, 2]);
        assert_eq!((got[2].verdict, got[2].cause.clone()), (Verdict::Skip, cause("runs", Verdict::Fail)));
    }

    #[test]
    fn an_error_of_its_own_behind_nothing_is_undecided() {
        let ties = ties(&[("a", &[], &[])]);
        assert_eq!(settle(&[Raw::Error(Reason::Host)], &ties, &[0])[0].verdict, Verdict::Error);
        assert_eq!(settle(&[Raw::NotRun], &ties, &[0])[0].verdict, Verdict::Error);
    }
}

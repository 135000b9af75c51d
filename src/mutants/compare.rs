//! What came of a mutant against what must: root failures, undecided roots, what was skipped, points, observations.
//!
//! Pure: a record in, differences out. A difference is a *wrong fail* where points went that should have stayed decided in
//! the submission's favour or open, a *wrong pass* where a fault was not seen.

use std::collections::BTreeMap;

use super::manifest::Mutant;
use crate::grade::parts;
use crate::record::{RunRecord, Verdict};
use crate::scenario::Milli;
use crate::scenario::units::show_milli;

/// What a run came to, as far as mutants are compared by it. Ids are in the scenario's order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// `fail` by itself.
    pub failed: Vec<String>,
    /// `error` by itself.
    pub undecided: Vec<String>,
    pub skipped: Vec<String>,
    /// Observations that failed.
    pub observations: Vec<String>,
    /// Where those that failed or are undecided by themselves lead in the submission: `file:line`.
    pub places: Vec<String>,
    pub earned: Milli,
    pub lost: Milli,
    pub undecided_points: Milli,
}

impl Outcome {
    pub fn of(record: &RunRecord) -> Self {
        let mut out = Self::default();
        for check in &record.checks {
            match (check.verdict, check.is_observation()) {
                (Verdict::Fail, true) => out.observations.push(check.id.clone()),
                (_, true) | (Verdict::Pass, _) => {}
                (Verdict::Fail, false) => out.failed.push(check.id.clone()),
                (Verdict::Error, false) => out.undecided.push(check.id.clone()),
                (Verdict::Skip, false) => out.skipped.push(check.id.clone()),
            }
            if !check.is_observation() {
                out.places.extend(check.look_at.iter().map(|look| format!("{}:{}", look.place.file, look.place.line)));
            }
            let parts = parts(check);
            out.earned += parts.earned;
            out.lost += parts.lost;
            out.undecided_points += parts.undecided;
        }
        out
    }
}

/// One thing that is not as the manifest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// A check failed that must not, or its points were lost.
    WrongFail(String),
    /// A check that must fail did not.
    WrongPass(String),
    /// Undecided where it must be decided, or the other way round with no points lost.
    Undecided(String),
    /// Skipped, points or observations differ, in words.
    Other(String),
}

/// What differs; empty is as it must be.
pub fn compare(mutant: &Mutant, outcome: &Outcome, points: &BTreeMap<String, Milli>) -> Vec<Difference> {
    let mut out = Vec::new();
    let must_fail = &mutant.expect.failed;
    let must_open = &mutant.expect.undecided;
    for id in outcome.failed.iter().filter(|id| !must_fail.contains(id)) {
        out.push(Difference::WrongFail(id.clone()));
    }
    for id in must_fail.iter().filter(|id| !outcome.failed.contains(id)) {
        // Undecided is seen, and not passed; a check that is not asked for is no pass either, and shows all the same.
        let open = outcome.undecided.contains(id) || outcome.skipped.contains(id);
        out.push(if open { Difference::Undecided(id.clone()) } else { Difference::WrongPass(id.clone()) });
    }
    for id in outcome.undecided.iter().filter(|id| !must_open.contains(id) && !must_fail.contains(id)) {
        out.push(Difference::Undecided(id.clone()));
    }
    for id in must_open.iter().filter(|id| !outcome.undecided.contains(id) && !outcome.failed.contains(id)) {
        out.push(Difference::WrongPass(id.clone()));
    }
    let free = |id: &&String| !mutant.may_skip.contains(id);
    let more: Vec<&str> =
        outcome.skipped.iter().filter(|id| !mutant.skips.contains(id)).filter(free).map(String::as_str).collect();
    let fewer: Vec<&str> = mutant.skips.iter().filter(|id| !outcome.skipped.contains(id)).map(String::as_str).collect();
    if !more.is_empty() {
        out.push(Difference::Other(format!("skipped too: {}", more.join(", "))));
    }
    if !fewer.is_empty() {
        out.push(Difference::Other(format!("not skipped: {}", fewer.join(", "))));
    }
    let by_time: Milli =
        outcome.skipped.iter().filter(|id| mutant.may_skip.contains(id)).filter_map(|id| points.get(id)).sum();
    let mut same = |what: &str, want: Milli, got: Milli| {
        if want != got {
            out.push(Difference::Other(format!("{what} {} instead of {}", show_milli(got), show_milli(want))));
        }
    };
    same("lost", mutant.loses + by_time, outcome.lost);
    same("undecided", mutant.undecided_points, outcome.undecided_points);
    let (mut want, mut got) = (mutant.expect_observation.clone(), outcome.observations.clone());
    // What its base fails already tells nothing of the mutant; and it may be skipped there.
    got.retain(|id| want.contains(id) || !mutant.base.expect_observation.contains(id));
    want.sort();
    got.sort();
    if want != got {
        let show = |ids: &[String]| if ids.is_empty() { "none".to_owned() } else { ids.join(", ") };
        out.push(Difference::Other(format!("observations failed: {} instead of {}", show(&got), show(&want))));
    }
    if let Some(looks_at) = mutant.looks_at.as_ref().filter(|places| **places != outcome.places) {
        let show = |places: &[String]| if places.is_empty() { "nowhere".to_owned() } else { places.join(", ") };
        out.push(Difference::Other(format!("leads to {} instead of {}", show(&outcome.places), show(looks_at))));
    }
    out
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::WrongFail(id) => write!(f, "WRONG FAIL: {id}"),
            Self::WrongPass(id) => write!(f, "WRONG PASS: {id}"),
            Self::Undecided(id) => write!(f, "undecided: {id}"),
            Self::Other(what) => f.write_str(what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::manifest::Expect;
    use super::*;
    use crate::scenario::Base;

    fn ids(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    fn fails(id: &str) -> Expect {
        Expect { failed: ids(&[id]), ..Expect::default() }
    }

    fn open(id: &str) -> Expect {
        Expect { undecided: ids(&[id]), ..Expect::default() }
    }

    fn mutant(expect: Expect, skips: &[&str], loses: Milli) -> Mutant {
        Mutant { name: "m".to_owned(), expect, skips: ids(skips), loses, ..Mutant::default() }
    }

    fn points() -> BTreeMap<String, Milli> {
        [("port", 4000), ("page", 7000), ("live", 2000)].map(|(id, p)| (id.to_owned(), p)).into()
    }

    #[test]
    fn as_it_must_be() {
        let outcome = Outcome { failed: ids(&["page"]), skipped: ids(&["live"]), lost: 9000, ..Outcome::default() };
        assert_eq!(compare(&mutant(fails("page"), &["live"], 9000), &outcome, &points()), []);
    }

    #[test]
    fn where_it_leads_is_compared_where_it_is_said() {
        let outcome =
            |places: &[&str]| Outcome { failed: ids(&["page"]), lost: 7000, places: ids(places), ..Outcome::default() };
        let silent = mutant(fails("page"), &[], 7000);
        assert_eq!(compare(&silent, &outcome(&["a.py:9"]), &points()), []);
        let said = Mutant { looks_at: Some(ids(&["a.py:3"])), ..silent.clone() };
        assert_eq!(compare(&said, &outcome(&["a.py:3"]), &points()), []);
        let other = |text: &str| vec![Difference::Other(text.to_owned())];
        assert_eq!(compare(&said, &outcome(&["a.py:9"]), &points()), other("leads to a.py:9 instead of a.py:3"));
        assert_eq!(compare(&said, &outcome(&[]), &points()), other("leads to nowhere instead of a.py:3"));
        let nowhere = Mutant { looks_at: Some(Vec::new()), ..silent };
        assert_eq!(compare(&nowhere, &outcome(&[]), &points()), []);
        assert_eq!(compare(&nowhere, &outcome(&["a.py:9"]), &points()), other("leads to a.py:9 instead of nowhere"));
    }

    #[test]
    fn a_fault_that_was_not_seen_is_a_wrong_pass() {
        let got = compare(&mutant(fails("page"), &[], 7000), &Outcome::default(), &points());
        assert_eq!(got[0], Difference::WrongPass("page".to_owned()));
        assert_eq!(got[1], Difference::Other("lost 0 instead of 7".to_owned()));
    }

    #[test]
    fn a_failure_that_is_nobody_s_is_a_wrong_fail() {
        let outcome = Outcome { failed: ids(&["port"]), lost: 4000, ..Outcome::default() };
        assert_eq!(
            compare(&mutant(Expect::default(), &[], 0), &outcome, &points())[0],
            Difference::WrongFail("port".to_owned())
        );
        // Also where it must be undecided.
        let undecided = Mutant { undecided_points: 4000, ..mutant(open("port"), &[], 0) };
        assert_eq!(compare(&undecided, &outcome, &points())[0], Difference::WrongFail("port".to_owned()));
    }

    #[test]
    fn undecided_is_neither() {
        let outcome = Outcome { undecided: ids(&["page"]), undecided_points: 7000, ..Outcome::default() };
        let got = compare(&mutant(fails("page"), &[], 7000), &outcome, &points());
        assert_eq!(got[0], Difference::Undecided("page".to_owned()));
        assert!(!got.iter().any(|d| matches!(d, Difference::WrongFail(_) | Difference::WrongPass(_))));
        let passed = compare(&mutant(open("page"), &[], 0), &Outcome::default(), &points());
        assert_eq!(passed, [Difference::WrongPass("page".to_owned())]);
    }

    #[test]
    fn what_time_decides_may_be_skipped_with_its_points() {
        let m = Mutant { may_skip: ids(&["port"]), ..mutant(fails("page"), &["live"], 9000) };
        let skipped =
            Outcome { failed: ids(&["page"]), skipped: ids(&["port", "live"]), lost: 13_000, ..Outcome::default() };
        assert_eq!(compare(&m, &skipped, &points()), []);
        let seen = Outcome { skipped: ids(&["live"]), lost: 9000, ..skipped };
        assert_eq!(compare(&m, &seen, &points()), []);
    }

    #[test]
    fn observations_are_named_exactly() {
        let outcome = Outcome { observations: ids(&["cpu"]), ..Outcome::default() };
        let got = compare(&mutant(Expect::default(), &[], 0), &outcome, &points());
        assert_eq!(got, [Difference::Other("observations failed: cpu instead of none".to_owned())]);
        let named = Mutant { expect_observation: ids(&["cpu"]), ..mutant(Expect::default(), &[], 0) };
        assert_eq!(compare(&named, &outcome, &points()), []);
        let base = Base { expect_observation: ids(&["cpu"]), ..Base::default() };
        let known = Mutant { base: base.clone(), ..mutant(Expect::default(), &[], 0) };
        assert_eq!(compare(&known, &outcome, &points()), []);
        assert_eq!(compare(&known, &Outcome::default(), &points()), []);
        // The base itself must fail what it says it fails.
        let got = compare(&Mutant::unchanged(&base), &Outcome::default(), &points());
        assert_eq!(got, [Difference::Other("observations failed: none instead of cpu".to_owned())]);
    }
}

//! Two runs of one scenario side by side: which verdicts differ, what only one of them could decide, what only one of them has.
//!
//! A check is decided where its verdict is `pass` or `fail`. What an `error` or a `skip` leaves open agrees with nothing and
//! contradicts nothing, also where the skip costs points: its root is a check too, and is compared itself.
//!
//! Checks and drills are paired by their ids, findings by what they are about; of several with the same name the first with the
//! first. Pure.

use super::{CheckRecord, RunRecord, Verdict};
use crate::drill::DrillRecord;
use crate::expect::Finding;
use crate::submission::handed::Source;
use crate::text::Text;

/// Two runs, and what there is of each check and of each drill in both.
#[derive(Clone, Debug)]
pub struct Comparison<'a> {
    pub runs: [&'a RunRecord; 2],
    /// Checks of both, in the first run's order.
    pub checks: Vec<[&'a CheckRecord; 2]>,
    /// Checks of one run alone: the scenario was another version's, or not all of it was asked for.
    pub alone: [Vec<&'a CheckRecord>; 2],
    /// In the order in which they were run. One that only one run was asked for is not here; its objectives are alone.
    pub drills: Vec<DrillPair<'a>>,
}

/// A drill of which at least one run made something.
#[derive(Clone, Debug)]
pub struct DrillPair<'a> {
    pub sides: [Option<&'a DrillRecord>; 2],
    /// Its objectives, in the scenario's order.
    pub objectives: Vec<[Option<&'a CheckRecord>; 2]>,
}

/// One fact of one subject as both runs saw it; none where a run did not look for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FactPair<'a> {
    pub sides: [Option<&'a Finding>; 2],
}

/// How the verdicts of one check stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Both decided, and came to the same.
    Agree,
    /// Both decided, and did not.
    Differ,
    /// Only one of them decided.
    One,
    Neither,
}

/// How many checks there are of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub agree: usize,
    pub differ: usize,
    pub one: usize,
    pub neither: usize,
    /// In one of the runs alone.
    pub alone: usize,
}

impl Counts {
    /// Decided by both.
    pub fn both(self) -> usize {
        self.agree + self.differ
    }
}

/// The runs are of different scenarios, so that there is nothing to compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherScenario {
    /// The scenario of each run, and the run.
    sides: [(String, String); 2],
}

impl OtherScenario {
    /// For people: both names, and what to do.
    pub fn text(&self) -> Text {
        let [(first, of_first), (second, of_second)] = &self.sides;
        Text::new(
            format!(
                "the runs are of different scenarios: `{first}` ({of_first}) and `{second}` ({of_second})\nhint: give two runs of one scenario"
            ),
            format!(
                "las ejecuciones son de escenarios distintos: `{first}` ({of_first}) y `{second}` ({of_second})\nsugerencia: indique dos ejecuciones de un mismo escenario"
            ),
        )
    }
}

/// Lays two runs side by side.
///
/// # Errors
/// They are of different scenarios.
pub fn compare<'a>(first: &'a RunRecord, second: &'a RunRecord) -> Result<Comparison<'a>, OtherScenario> {
    let runs = [first, second];
    if first.scenario.name != second.scenario.name {
        return Err(OtherScenario { sides: runs.map(|run| (run.scenario.name.clone(), run.run.clone())) });
    }
    let (mut checks, mut alone) = (Vec::new(), [Vec::new(), Vec::new()]);
    for sides in pairs(&first.checks, &second.checks, |check| &check.id) {
        match sides {
            [Some(one), Some(other)] => checks.push([one, other]),
            [one, other] => {
                alone[0].extend(one);
                alone[1].extend(other);
            }
        }
    }
    let drills = pairs(&first.drills, &second.drills, |drill| &drill.id).into_iter();
    let drills = drills.map(|sides| DrillPair { sides, objectives: objectives(runs, sides) });
    let drills = drills.filter(DrillPair::is_of_both).collect();
    Ok(Comparison { runs, checks, alone, drills })
}

impl<'a> Comparison<'a> {
    /// The checks of both that stand so to each other.
    pub fn of(&self, relation: Relation) -> impl Iterator<Item = [&'a CheckRecord; 2]> {
        self.checks.iter().copied().filter(move |sides| self::relation(*sides) == relation)
    }

    pub fn counts(&self) -> Counts {
        let count = |relation| self.of(relation).count();
        Counts {
            agree: count(Relation::Agree),
            differ: count(Relation::Differ),
            one: count(Relation::One),
            neither: count(Relation::Neither),
            alone: self.alone.iter().map(Vec::len).sum(),
        }
    }

    /// Whether both runs graded the same delivery, as far as their records say so: its name, and of a repository the commit.
    pub fn same_submission(&self) -> bool {
        let [one, other] = self.runs.map(|run| &run.submission);
        let commit = |source: &Option<Source>| match source {
            Some(Source::Git { commit, .. }) => Some(commit.clone()),
            Some(Source::Archive { .. }) | None => None,
        };
        let [a, b] = [one, other].map(|submission| commit(&submission.source));
        one.name == other.name && (a.is_none() || b.is_none() || a == b)
    }
}

impl DrillPair<'_> {
    /// Whether both runs were asked for it: made or not, its objectives are in their records.
    fn is_of_both(&self) -> bool {
        self.sides.iter().all(Option::is_some) || self.objectives.iter().any(|sides| sides.iter().all(Option::is_some))
    }

    /// Whether an objective was met in one run and failed in the other.
    pub fn differs(&self) -> bool {
        let decided = self.objectives.iter().filter_map(|[one, other]| Some([(*one)?, (*other)?]));
        decided.into_iter().any(|sides| relation(sides) == Relation::Differ)
    }
}

impl<'a> FactPair<'a> {
    /// As it should be in both runs: no difference to tell.
    pub fn holds_in_both(&self) -> bool {
        self.sides.iter().all(|side| side.is_some_and(|finding| finding.holds))
    }

    /// Either of them, for what is the same in both: the subject and the fact.
    pub fn any(&self) -> Option<&'a Finding> {
        let [one, other] = self.sides;
        one.or(other)
    }
}

pub fn relation(sides: [&CheckRecord; 2]) -> Relation {
    match sides.map(is_decided) {
        [true, true] if sides[0].verdict == sides[1].verdict => Relation::Agree,
        [true, true] => Relation::Differ,
        [false, false] => Relation::Neither,
        [true, false] | [false, true] => Relation::One,
    }
}

pub fn is_decided(check: &CheckRecord) -> bool {
    matches!(check.verdict, Verdict::Pass | Verdict::Fail)
}

/// What both saw of each fact, in the first run's order, then what only the second has.
pub fn facts<'a>(sides: [Option<&'a CheckRecord>; 2]) -> Vec<FactPair<'a>> {
    let [one, other] = sides.map(|check| check.map_or(&[][..], |check| check.findings.as_slice()));
    let pairs = pairs(one, other, |finding| (&finding.subject, &finding.fact));
    pairs.into_iter().map(|sides| FactPair { sides }).collect()
}

/// Only what was made is in a record, but its objectives are all among the checks.
fn objectives<'a>(runs: [&'a RunRecord; 2], sides: [Option<&'a DrillRecord>; 2]) -> Vec<[Option<&'a CheckRecord>; 2]> {
    let id = sides.iter().flatten().next().map(|drill| drill.id.as_str());
    let of = |run: &'a RunRecord| run.checks.iter().filter(move |check| check.drill.as_deref() == id);
    let [one, other] = runs.map(|run| of(run).collect::<Vec<_>>());
    let both = pairs(&one, &other, |check| &check.id);
    both.into_iter().map(|sides| sides.map(|side| side.copied())).collect()
}

/// Two lists as one of pairs: the first's order, then what only the second has. The n-th of a key goes with the other's n-th.
fn pairs<'a, T, K: PartialEq>(one: &'a [T], other: &'a [T], key: impl Fn(&'a T) -> K) -> Vec<[Option<&'a T>; 2]> {
    let mut left: Vec<Option<&T>> = other.iter().map(Some).collect();
    let mut both: Vec<[Option<&T>; 2]> = Vec::new();
    for item in one {
        let wanted = key(item);
        let found = left.iter_mut().find(|there| there.is_some_and(|there| key(there) == wanted));
        both.push([Some(item), found.and_then(Option::take)]);
    }
    both.extend(left.into_iter().flatten().map(|item| [None, Some(item)]));
    both
}

#[cfg(test)]
mod tests;

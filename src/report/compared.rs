//! Two runs side by side, as data. What is of both runs stands in lists of two, in the order in which they were named; what a run
//! has not is null.

use serde::Serialize;

use super::RenderError;
use crate::drill::DrillRecord;
use crate::grade::{Grade, Outcome, grade, outcome, parts};
use crate::record::compare::{Counts, DrillPair, Relation};
use crate::record::{CheckRecord, Comparison, RunRecord, store};
use crate::text::Text;

/// The version of the JSON; raised when a reader of the old one would misread the new.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct View<'a> {
    version: u32,
    scenario: &'a str,
    same_submission: bool,
    runs: [RunView<'a>; 2],
    counts: CountsView,
    /// Decided by both, and not alike.
    differ: Vec<CheckView<'a>>,
    decided_by_one: Vec<CheckView<'a>>,
    in_one_run: Vec<CheckView<'a>>,
    drills: Vec<DrillView<'a>>,
}

#[derive(Serialize)]
struct RunView<'a> {
    run: &'a str,
    /// Names of evidence are relative to it.
    folder: &'a str,
    started: &'a str,
    elapsed_ms: u64,
    imparcial: &'a str,
    submission: &'a str,
    path: &'a str,
    place: &'a str,
    /// Of the machines, where there were any.
    provider: Option<&'a str>,
    /// Those of checks, in 1/1000, as are the others.
    points: u64,
    earned: u64,
    lost: u64,
    undecided: u64,
    #[serde(rename = "final")]
    is_final: bool,
    interrupted: bool,
}

#[derive(Serialize)]
struct CountsView {
    decided_by_both: usize,
    agree: usize,
    differ: usize,
    decided_by_one: usize,
    decided_by_neither: usize,
    in_one_run: usize,
}

#[derive(Serialize)]
struct CheckView<'a> {
    id: &'a str,
    title: &'a Text,
    runs: [Option<SideView<'a>>; 2],
}

/// A check as its run's record has it, and what became of its points.
#[derive(Serialize)]
struct SideView<'a> {
    #[serde(flatten)]
    check: &'a CheckRecord,
    outcome: Outcome,
    earned: u64,
}

#[derive(Serialize)]
struct DrillView<'a> {
    id: &'a str,
    title: &'a Text,
    differs: bool,
    /// With every sample, as the records have them.
    runs: [Option<&'a DrillRecord>; 2],
    objectives: Vec<CheckView<'a>>,
}

impl<'a> RunView<'a> {
    fn of(record: &'a RunRecord) -> Self {
        let Grade { points, earned, lost, undecided, is_final, .. } = grade(record);
        Self {
            run: &record.run,
            folder: &record.folder,
            started: &record.started,
            elapsed_ms: record.elapsed_ms,
            imparcial: &record.imparcial,
            submission: &record.submission.name,
            path: &record.submission.path,
            place: &record.place,
            provider: record.machines.as_ref().map(|machines| machines.provider.as_str()),
            points,
            earned,
            lost,
            undecided,
            is_final,
            interrupted: record.interrupted,
        }
    }
}

impl<'a> CheckView<'a> {
    /// None of a check that neither run has.
    fn of(sides: [Option<&'a CheckRecord>; 2]) -> Option<Self> {
        let [one, other] = sides;
        let any = one.or(other)?;
        let side = |check| SideView { check, outcome: outcome(check), earned: parts(check).earned };
        Some(Self { id: &any.id, title: &any.title, runs: sides.map(|check| check.map(side)) })
    }
}

impl<'a> DrillView<'a> {
    fn of(pair: &DrillPair<'a>) -> Option<Self> {
        let [one, other] = pair.sides;
        let any = one.or(other)?;
        let objectives = pair.objectives.iter().filter_map(|sides| CheckView::of(*sides)).collect();
        Some(Self { id: &any.id, title: &any.title, differs: pair.differs(), runs: pair.sides, objectives })
    }
}

impl From<Counts> for CountsView {
    fn from(counts: Counts) -> Self {
        Self {
            decided_by_both: counts.both(),
            agree: counts.agree,
            differ: counts.differ,
            decided_by_one: counts.one,
            decided_by_neither: counts.neither,
            in_one_run: counts.alone,
        }
    }
}

/// The comparison as JSON, harmless to look at in a terminal.
///
/// # Errors
/// It cannot be written as JSON: a mistake of ours.
pub fn json(compared: &Comparison) -> Result<Vec<u8>, RenderError> {
    let [first, _] = compared.runs;
    let of = |relation| compared.of(relation).filter_map(|sides| CheckView::of(sides.map(Some))).collect();
    let [one, other] = &compared.alone;
    let alone = one.iter().map(|check| [Some(*check), None]).chain(other.iter().map(|check| [None, Some(*check)]));
    let view = View {
        version: VERSION,
        scenario: &first.scenario.name,
        same_submission: compared.same_submission(),
        runs: compared.runs.map(RunView::of),
        counts: compared.counts().into(),
        differ: of(Relation::Differ),
        decided_by_one: of(Relation::One),
        in_one_run: alone.filter_map(CheckView::of).collect(),
        drills: compared.drills.iter().filter_map(DrillView::of).collect(),
    };
    store::to_json(&view).map_err(|error| RenderError { format: super::json::FORMAT.name, message: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Verdict, compare, fixture};

    fn value(one: &RunRecord, other: &RunRecord) -> serde_json::Value {
        serde_json::from_slice(&json(&compare(one, other).unwrap()).unwrap()).unwrap()
    }

    #[test]
    fn what_is_of_both_runs_is_a_list_of_two() {
        let (one, mut other) = (fixture::drilled(), fixture::drilled());
        other.machines = Some(fixture::machines("centos/7", None));
        other.checks.iter_mut().find(|c| c.id == "app-back").unwrap().verdict = Verdict::Pass;
        other.checks.iter_mut().find(|c| c.id == "db-by-name").unwrap().verdict = Verdict::Fail;
        other.checks.retain(|check| check.id != "compose-valid");
        other.drills.remove(1);
        let json = value(&one, &other);
        assert_eq!(
            (&json["version"], &json["scenario"], &json["same_submission"]),
            (&1.into(), &"seed".into(), &true.into())
        );
        assert_eq!(
            (&json["runs"][0]["provider"], &json["runs"][1]["provider"]),
            (&serde_json::Value::Null, &"docker".into())
        );
        let counts = serde_json::json!({
            "decided_by_both": 10, "agree": 9, "differ": 1, "decided_by_one": 1, "decided_by_neither": 2, "in_one_run": 1,
        });
        assert_eq!(json["counts"], counts);
        let back = &json["differ"][0];
        assert_eq!((&back["id"], &back["runs"][0]["verdict"]), (&"app-back".into(), &"fail".into()));
        assert_eq!((&back["runs"][0]["earned"], &back["runs"][1]["earned"]), (&750.into(), &2_000.into()));
        assert_eq!(back["runs"][0]["findings"][0]["observed"], "12.412");
        assert_eq!(json["decided_by_one"][0]["runs"][0]["reason"], "stand_in");
        assert_eq!(json["in_one_run"][0]["id"], "compose-valid");
        assert!(json["in_one_run"][0]["runs"][1].is_null());
        let drills = json["drills"].as_array().unwrap();
        assert_eq!(drills.len(), 3);
        assert_eq!((&drills[0]["differs"], &drills[1]["runs"][1]), (&true.into(), &serde_json::Value::Null));
        assert_eq!(drills[0]["runs"][1]["samples"].as_array().map(Vec::len), Some(120));
        assert_eq!(drills[0]["objectives"][0]["runs"][1]["outcome"], "earned");
    }

    #[test]
    fn hostile_text_does_nothing_to_a_terminal() {
        let record = fixture::hostile();
        let other = fixture::passed(&record);
        let bytes = json(&compare(&record, &other).unwrap()).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.contains(['\u{1b}', '\u{9b}', '\u{202e}']) && text.ends_with('\n'));
    }
}

//! `record.json`: the record as it is, with its grade. What every other report can be made from again.

use serde::Serialize;

use super::{Format, RenderError};
use crate::grade::{Grade, ManualGrade, Outcome, ScaledMark, Total, conclude, mark, merge, outcome, parts};
use crate::record::{CheckRecord, RunRecord, Verdict, store};
use crate::text::Lang;

pub static FORMAT: Format = Format {
    name: "json",
    file_name: Some(store::RECORD),
    summary: "the whole record with its grade, versioned",
    render,
};

/// What is added to a record; a reader of records passes over it, since it follows from the rest.
#[derive(Serialize)]
struct Graded<'a> {
    #[serde(flatten)]
    record: &'a RunRecord,
    grade: GradeJson<'a>,
    /// Nothing is undecided, pending, interrupted or withheld: only then is there a mark.
    #[serde(rename = "final")]
    is_final: bool,
}

#[derive(Serialize)]
struct GradeJson<'a> {
    /// Of the checks, in 1/1000, as are the others.
    points: u64,
    earned: u64,
    lost: u64,
    undecided: u64,
    /// What people judge, where the scenario asks for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    manual: Option<ManualGrade>,
    /// Both together.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<Total>,
    /// On the scenario's scale.
    #[serde(skip_serializing_if = "Option::is_none")]
    mark: Option<ScaledMark>,
    decided_permille: u64,
    verdict: Verdict,
    exit_code: u8,
    checks: Vec<Points<'a>>,
}

#[derive(Serialize)]
struct Points<'a> {
    id: &'a str,
    points: u64,
    outcome: Outcome,
    /// How many of them were earned, where that is a part.
    #[serde(skip_serializing_if = "Option::is_none")]
    earned: Option<u64>,
}

impl<'a> Points<'a> {
    fn of(check: &'a CheckRecord) -> Self {
        let outcome = outcome(check);
        let earned = (outcome == Outcome::Partly).then(|| parts(check).earned);
        Self { id: &check.id, points: check.points, outcome, earned }
    }
}

fn render(record: &RunRecord, grade: &Grade, _lang: Lang) -> Result<Vec<u8>, RenderError> {
    let checks = record.checks.iter().map(Points::of).collect();
    let judged = !record.manual.is_empty();
    let graded = Graded {
        record,
        grade: GradeJson {
            points: grade.points,
            earned: grade.earned,
            lost: grade.lost,
            undecided: grade.undecided,
            manual: judged.then_some(grade.manual),
            total: judged.then(|| grade.total()),
            mark: mark(record, grade),
            decided_permille: grade.decided_permille(),
            verdict: merge(record),
            exit_code: conclude(record).code(),
            checks,
        },
        is_final: grade.is_final,
    };
    store::to_json(&graded).map_err(|error| RenderError { format: FORMAT.name, message: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grade::grade;
    use crate::record::{RunFolder, fixture};

    #[test]
    fn it_reads_back_as_the_same_record_with_its_grade_beside() {
        let dir = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(dir.path(), "run-1").unwrap();
        let record = fixture::hostile();
        super::super::write_all(&folder, &record, Lang::En).unwrap();

        let back = store::load(&dir.path().join("latest")).unwrap();
        assert!(!back.interrupted);
        assert_eq!(grade(&back), grade(&record));
        let same = |r: &RunRecord| serde_json::to_value(RunRecord { folder: String::new(), ..r.clone() }).unwrap();
        assert_eq!(same(&back), same(&record), "nothing is changed on the way");

        let text = std::fs::read_to_string(folder.path().join("record.json")).unwrap();
        assert!(!text.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "looked at in a terminal it does nothing");
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["version"], 1);
        assert_eq!(json["final"], false);
        assert_eq!(json["grade"]["verdict"], "fail");
        assert_eq!(json["grade"]["exit_code"], 1);
        assert_eq!(json["grade"]["checks"][2]["outcome"], "lost");
    }

    #[test]
    fn drills_are_whole_and_a_part_that_was_earned_is_said() {
        let record = fixture::drilled();
        let bytes = render(&record, &grade(&record), Lang::En).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let partly = &json["grade"]["checks"][8];
        assert_eq!((&partly["id"], &partly["outcome"]), (&"app-back".into(), &"partly".into()));
        assert_eq!((&partly["points"], &partly["earned"]), (&2_000.into(), &750.into()));
        assert!(json["grade"]["checks"][2].get("earned").is_none(), "what is lost whole says so already");
        assert_eq!(json["drills"][0]["samples"].as_array().map(Vec::len), Some(120));
        let back: RunRecord = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(back.drills, record.drills);
    }

    #[test]
    fn what_people_judge_stands_beside_the_checks() {
        let record = fixture::judged();
        let bytes = render(&record, &grade(&record), Lang::Es).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(json["grade"]["points"], 60_000, "the checks' own, as without criteria");
        assert_eq!(json["grade"]["manual"]["pending"], 10_000);
        assert_eq!(
            (&json["grade"]["total"]["points"], &json["grade"]["total"]["earned"]),
            (&90_000.into(), &15_000.into())
        );
        assert_eq!((&json["grade"]["mark"]["low"], &json["grade"]["mark"]["high"]), (&833.into(), &2388.into()));
        assert_eq!(json["manual"][0]["mark"]["comment"], "The names are missing.");
        assert_eq!(json["version"], 1, "nothing that was there before means anything else");
        let back: RunRecord = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(back.manual, record.manual);
        let without = render(&fixture::typical(), &grade(&fixture::typical()), Lang::En).unwrap();
        assert!(
            !String::from_utf8(without).unwrap().contains("manual"),
            "a scenario without criteria says nothing of them"
        );
    }
}

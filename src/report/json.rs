//! `record.json`: the record as it is, with its grade. What every other report can be made from again.

use serde::Serialize;

use super::{Format, RenderError};
use crate::grade::{Grade, Outcome, conclude, merge, outcome};
use crate::record::{RunRecord, Verdict, store};
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
    /// Nothing is undecided, interrupted or withheld: only then is there a mark.
    #[serde(rename = "final")]
    is_final: bool,
}

#[derive(Serialize)]
struct GradeJson<'a> {
    /// In 1/1000, as are the four below.
    points: u64,
    earned: u64,
    lost: u64,
    undecided: u64,
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
}

fn render(record: &RunRecord, grade: &Grade, _lang: Lang) -> Result<Vec<u8>, RenderError> {
    let checks = record.checks.iter().map(|c| Points { id: &c.id, points: c.points, outcome: outcome(c) }).collect();
    let graded = Graded {
        record,
        grade: GradeJson {
            points: grade.points,
            earned: grade.earned,
            lost: grade.lost,
            undecided: grade.undecided,
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
}

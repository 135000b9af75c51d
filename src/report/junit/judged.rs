//! What people judge, as cases.
//!
//! Pending is `skipped`: a dashboard shows it, and nobody is blamed. A level that is worth nothing is a `failure`; every other is a
//! pass, since a case knows no half: what it earned of what is a property, and stands with level and comment in its output.

use junit_report::{Duration, TestCase, TestResult};

use super::{ATTRIBUTE, CASE_LIMIT, Case, clean};
use crate::grade::Grade;
use crate::record::{ManualRecord, RunRecord};
use crate::report::words::{self, pick};
use crate::sanitize;
use crate::text::Lang;

/// The kind that such a case has, where a check has its own.
const KIND: &str = "manual";

pub(super) fn case(criterion: &ManualRecord, name: &str, class: &str, lang: Lang) -> Case {
    let mut case = TestCase::success(name, Duration::ZERO);
    let said = about(criterion, lang);
    case.result = match &criterion.mark {
        None => TestResult::SkippedWithCause {
            type_: KIND.to_owned(),
            message: pick(lang, "pending: judged by a person", "pendiente: lo juzga una persona").to_owned(),
            cause: None,
        },
        Some(mark) if mark.points == 0 => {
            let title = criterion.title.get(lang);
            let level = words::level(criterion, lang).unwrap_or_default();
            TestResult::Failure {
                type_: KIND.to_owned(),
                message: sanitize::line(&format!("{title}: {level}"), ATTRIBUTE),
                cause: Some(sanitize::cdata(&said)),
            }
        }
        Some(_) => {
            case.set_system_out(&sanitize::cdata(&said));
            TestResult::Success
        }
    };
    case.set_classname(class);
    case.set_filepath(&sanitize::line(&criterion.at.file, ATTRIBUTE));
    let properties = properties(criterion);
    Case { case, time: words::seconds(0), line: criterion.at.line.max(1), started_ms: 0, properties }
}

/// Title, level with its points, and the person's comment.
fn about(criterion: &ManualRecord, lang: Lang) -> String {
    let mut lines = vec![criterion.title.get(lang).to_owned()];
    if let Some(level) = words::level(criterion, lang) {
        lines.push(format!("{}: {level} ({})", pick(lang, "level", "nivel"), words::given(criterion, lang)));
    }
    let comment = criterion.mark.as_ref().map_or("", |mark| mark.comment.as_str());
    if !comment.is_empty() {
        lines.push(format!("{}: {comment}", pick(lang, "comment", "comentario")));
    }
    sanitize::cap(&sanitize::text(&lines.join("\n")), CASE_LIMIT)
}

fn properties(criterion: &ManualRecord) -> Vec<(String, String)> {
    let mut properties =
        vec![("kind".to_owned(), KIND.to_owned()), ("points".to_owned(), words::points(criterion.points))];
    match &criterion.mark {
        None => properties.push(("outcome".to_owned(), "pending".to_owned())),
        Some(mark) => {
            properties.push(("outcome".to_owned(), "marked".to_owned()));
            properties.push(("level".to_owned(), mark.level.clone()));
            properties.push(("earned".to_owned(), words::points(mark.points)));
        }
    }
    clean(properties)
}

/// What is said of the run besides, where people judge, or there is a scale.
pub(super) fn run_properties(record: &RunRecord, grade: &Grade, lang: Lang) -> Vec<(String, String)> {
    let mut properties = Vec::new();
    if !record.manual.is_empty() {
        let (people, total) = (&grade.manual, grade.total());
        let values = [
            ("manual.points", people.points),
            ("manual.earned", people.earned),
            ("manual.lost", people.lost),
            ("manual.pending", people.pending),
            ("total.points", total.points),
            ("total.earned", total.earned),
        ];
        properties.extend(values.map(|(name, value)| (name.to_owned(), words::points(value))));
    }
    properties.extend(words::scaled(record, grade, lang).map(|mark| ("mark".to_owned(), mark)));
    properties
}

#[cfg(test)]
mod tests {
    use super::super::parsed::parse;
    use super::super::{FORMAT, strict};
    use super::*;
    use crate::grade::grade;
    use crate::record::fixture;

    fn xml(render: fn(&RunRecord, &Grade, Lang) -> Result<Vec<u8>, crate::report::RenderError>, lang: Lang) -> String {
        let record = fixture::judged();
        String::from_utf8(render(&record, &grade(&record), lang).unwrap()).unwrap()
    }

    #[test]
    fn pending_is_skipped_a_part_is_a_pass_and_nothing_a_failure() {
        let root = parse(&xml(FORMAT.render, Lang::En));
        let suite = &root.children[0];
        assert_eq!(["tests", "failures", "errors", "skipped"].map(|n| suite.get(n)), ["11", "3", "1", "3"]);
        let cases: Vec<_> = suite.all("testcase").skip(8).collect();
        let [readme, wording, problems] = cases.as_slice() else { panic!("{cases:?}") };

        assert_eq!(wording.child("skipped").unwrap().get("message"), "pending: judged by a person");
        assert!(readme.child("failure").is_none() && readme.child("skipped").is_none());
        let out = &readme.child("system-out").unwrap().text;
        assert!(out.contains("level: partial (+5 of 10)\ncomment: The names are missing."), "{out}");
        let earned = readme.child("properties").unwrap().all("property").find(|p| p.get("name") == "earned");
        assert_eq!(earned.unwrap().get("value"), "5");
        assert_eq!((readme.get("line"), readme.get("time")), ("90", "0.000"));
        assert_eq!(problems.child("failure").unwrap().get("message"), "Problems found are told: missing");

        let properties: Vec<_> = suite.child("properties").unwrap().all("property").collect();
        let value = |name: &str| properties.iter().find(|p| p.get("name") == name).map(|p| p.get("value"));
        assert_eq!((value("points"), value("manual.pending")), (Some("60"), Some("10")));
        assert_eq!((value("total.points"), value("mark")), (Some("90"), Some("0.8 – 2.4 of 5.0 (passes from 3.0)")));
    }

    #[test]
    fn the_strict_flavour_says_the_same_in_either_language() {
        let root = parse(&xml(strict::FORMAT.render, Lang::Es));
        let cases: Vec<_> = root.all("testcase").skip(8).collect();
        assert_eq!(cases[1].child("skipped").unwrap().get("message"), "pendiente: lo juzga una persona");
        assert_eq!(cases[2].child("failure").unwrap().get("message"), "Se cuentan los problemas encontrados: ausente");
        assert!(cases[0].child("system-out").unwrap().text.contains("nivel: parcial (+5 de 10)"));
    }
}

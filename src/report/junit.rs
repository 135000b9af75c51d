//! `junit.xml`, for dashboards: what Jenkins, GitLab, dorny, mikepenz and EnricoMi read, as their parsers read it.
//!
//! One level of suites (dorny sees no deeper), a unique classname + name (GitLab keeps the first of twins), exact counts
//! (EnricoMi believes them), file and line into the scenario, timestamps, children in the order that Jenkins' and
//! Surefire's schemas share, attachment tags one a line before all other output. `failure` is the submission's,
//! `error` is ours or the host's; an observation is neither, whatever it saw. What people judge is a case too ([`judged`]).
//!
//! No `flakyFailure` and no `rerunFailure`: what passed after some looks was waited for, not run again, and a record holds
//! no second try of a check that failed. Schemas that refuse what is read here (`file`, `properties`) have [`strict`].
//!
//! Why junit-report with a pass after it and not quick-junit: junit-report is what the project names, and all that it
//! lacks (`skipped`, totals, `line`, timestamps, properties) are attributes and one element that [`extend`] adds where it
//! meets them; quick-junit would bring chrono, uuid and indexmap for the same document. What junit-report does not do at
//! all, keeping hostile text from breaking the XML, is `sanitize`'s work in either case.

mod extend;
mod judged;
mod measured;
#[cfg(test)]
mod parsed;
pub mod strict;

use std::collections::BTreeSet;

use junit_report::{Duration, OffsetDateTime, ReportBuilder, TestCase, TestResult, TestSuiteBuilder};
use time::format_description::well_known::Rfc3339;

use self::extend::{CaseExtra, Extras};
use super::words::{self, pick};
use super::{Format, RenderError, about, drills, served};
use crate::grade::{Grade, Outcome, outcome, parts};
use crate::record::{CheckRecord, RunRecord, Verdict};
use crate::sanitize;
use crate::text::Lang;

pub static FORMAT: Format =
    Format { name: "junit", file_name: Some("junit.xml"), summary: "JUnit XML for dashboards and CI systems", render };

/// The most of one case's text, in bytes: GitLab takes 30 MB a file, Jenkins 100,000 characters a case.
const CASE_LIMIT: usize = 32 * 1024;
/// How wide a drill's strip is, in columns.
const STRIP: usize = 80;
/// The longest attribute, in characters.
const ATTRIBUTE: usize = 300;

fn render(record: &RunRecord, grade: &Grade, lang: Lang) -> Result<Vec<u8>, RenderError> {
    let fail = |message: String| RenderError { format: FORMAT.name, message };
    let started = OffsetDateTime::parse(&record.started, &Rfc3339)
        .map_err(|error| fail(format!("the time `{}`: {error}", record.started)))?
        .truncate_to_second();
    let class = class_name(record);
    let cases = cases(record, &class, lang);

    let mut suite = TestSuiteBuilder::new(&class);
    suite.set_timestamp(started);
    suite.testsuite.package = String::new();
    let mut extras = Extras {
        counts: Counts::of(&cases),
        time: words::seconds(record.elapsed_ms),
        timestamp: rfc3339(started).map_err(&fail)?,
        properties: run_properties(record, grade, lang),
        ..Extras::default()
    };
    for Case { case, time, line, started_ms, properties } in cases {
        suite.add_testcase(case);
        let at = started + time::Duration::milliseconds(i64::try_from(started_ms).unwrap_or(0));
        let timestamp = rfc3339(at.truncate_to_second()).map_err(&fail)?;
        extras.cases.push(CaseExtra { line, time, timestamp, properties });
    }
    let mut plain = Vec::new();
    let report = ReportBuilder::new().add_testsuite(suite.build()).build();
    report.write_xml(&mut plain).map_err(|error| fail(error.to_string()))?;
    let plain = String::from_utf8(plain).map_err(|error| fail(error.to_string()))?;
    extend::extend(&plain, &extras).map_err(|error| fail(error.to_string()))
}

/// A case of the suite, and what junit-report has no words for.
struct Case {
    case: TestCase,
    /// In seconds, with three decimals.
    time: String,
    /// In the scenario's file.
    line: u32,
    /// Since the run began.
    started_ms: u64,
    properties: Vec<(String, String)>,
}

/// The checks, then what people judge.
fn cases(record: &RunRecord, class: &str, lang: Lang) -> Vec<Case> {
    let mut names = BTreeSet::new();
    let mut cases: Vec<_> = record
        .checks
        .iter()
        .map(|check| Case {
            case: case(record, check, &unique(&check.id, &mut names), class, lang),
            time: words::seconds(check.elapsed_ms),
            line: check.at.line,
            started_ms: check.started_ms,
            properties: case_properties(record, check),
        })
        .collect();
    if cases.is_empty() {
        // A document without cases is green to some dashboards.
        let said = record.errors.first().map_or("", |error| error.get(lang));
        let nothing = pick(lang, "nothing was checked", "no se comprobó nada");
        let message = if said.is_empty() { nothing } else { said };
        let mut case = TestCase::error("run", Duration::ZERO, "run", &sanitize::line(message, ATTRIBUTE));
        case.set_classname(class);
        case.set_filepath(&sanitize::line(&record.scenario.file, ATTRIBUTE));
        let time = words::seconds(record.elapsed_ms);
        cases.push(Case { case, time, line: 1, started_ms: 0, properties: Vec::new() });
    }
    cases.extend(record.manual.iter().map(|c| judged::case(c, &unique(&c.id, &mut names), class, lang)));
    cases
}

/// How many there are, exactly: EnricoMi believes it.
#[derive(Clone, Copy, Default)]
struct Counts {
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
}

impl Counts {
    fn of(cases: &[Case]) -> Self {
        let mut counts = Self { tests: cases.len(), ..Self::default() };
        for case in cases {
            match case.case.result {
                TestResult::Failure { .. } => counts.failures += 1,
                TestResult::Error { .. } => counts.errors += 1,
                TestResult::Skipped | TestResult::SkippedWithCause { .. } => counts.skipped += 1,
                TestResult::Success => {}
            }
        }
        counts
    }

    /// As attributes of a suite.
    fn attributes(self) -> [(&'static str, String); 4] {
        let Self { tests, failures, errors, skipped } = self;
        [("tests", tests), ("failures", failures), ("errors", errors), ("skipped", skipped)]
            .map(|(name, count)| (name, count.to_string()))
    }
}

fn rfc3339(at: OffsetDateTime) -> Result<String, String> {
    at.format(&Rfc3339).map_err(|error| error.to_string())
}

/// `seed.team-07`: Jenkins splits it at its last dot into package and class, mikepenz reads `::` as a path.
fn class_name(record: &RunRecord) -> String {
    let part = |name: &str| {
        let name = sanitize::line(name, 80).replace(['.', ':', '/', '\\'], "_");
        if name.is_empty() { "unnamed".to_owned() } else { name }
    };
    format!("{}.{}", part(&record.scenario.name), part(&record.submission.name))
}

/// The name, numbered where another case has it.
fn unique(id: &str, names: &mut BTreeSet<String>) -> String {
    let id = sanitize::line(id, ATTRIBUTE);
    let id = if id.is_empty() { "unnamed".to_owned() } else { id };
    let numbered = (2..).map(|n| format!("{id} ({n})"));
    std::iter::once(id.clone()).chain(numbered).find(|name| names.insert(name.clone())).unwrap_or(id.clone())
}

fn case(record: &RunRecord, check: &CheckRecord, name: &str, class: &str, lang: Lang) -> TestCase {
    // Written by the second pass with three decimals.
    let mut case = TestCase::success(name, Duration::ZERO);
    let message = |text: &str| {
        let line = sanitize::line(text, ATTRIBUTE);
        if line.is_empty() { sanitize::line(check.title.get(lang), ATTRIBUTE) } else { line }
    };
    let body = || Some(sanitize::cdata(&sanitize::cap(&about(check, lang), CASE_LIMIT)));
    case.result = match check.verdict {
        Verdict::Fail if !check.is_observation() => TestResult::Failure {
            type_: sanitize::line(&check.kind, ATTRIBUTE),
            message: message(check.explanation.get(lang)),
            cause: body(),
        },
        Verdict::Error if !check.is_observation() => TestResult::Error {
            type_: words::reason_id(check.reason).to_owned(),
            message: message(check.explanation.get(lang)),
            cause: body(),
        },
        Verdict::Skip => TestResult::SkippedWithCause {
            type_: "needs".to_owned(),
            message: message(&words::skipped_because(check, lang)),
            cause: None,
        },
        Verdict::Pass | Verdict::Fail | Verdict::Error => TestResult::Success,
    };
    case.set_classname(class);
    case.set_filepath(&sanitize::line(&check.at.file, ATTRIBUTE));
    let out = output(record, check, lang);
    if !out.is_empty() {
        case.set_system_out(&sanitize::cdata(&out));
    }
    case
}

/// Attachment tags first: Jenkins trims what follows, GitLab takes only the first.
fn output(record: &RunRecord, check: &CheckRecord, lang: Lang) -> String {
    let mut out = String::new();
    for path in attachments(record, &check.evidence) {
        out.push_str(&format!("[[ATTACHMENT|{path}]]\n"));
    }
    let mut said = String::new();
    if check.is_observation() {
        let label = pick(lang, "observation (no points)", "observación (sin puntos)");
        said.push_str(&format!("{label}: {}\n", words::verdict(check.verdict, lang)));
    }
    if matches!(check.verdict, Verdict::Pass) || check.is_observation() {
        said.push_str(&about(check, lang));
    }
    if let Some(drill) = drills::of(record, check) {
        let gap = if said.is_empty() { "" } else { "\n\n" };
        said = format!("{}{gap}{}", said.trim_end(), drills::block(drill, STRIP, lang).join("\n"));
    }
    out.push_str(&sanitize::cap(&sanitize::text(&said), CASE_LIMIT));
    out
}

/// Paths that a tag can carry, relative to where imparcial was called from, no two with one file name.
fn attachments(record: &RunRecord, evidence: &[String]) -> Vec<String> {
    let mut names = BTreeSet::new();
    let safe = |path: &&String| {
        !path.contains("..") && path.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/'))
    };
    let folder = sanitize::line(&record.folder, 1000).replace(['|', '[', ']'], "_");
    evidence
        .iter()
        .filter(safe)
        .filter(|path| names.insert(path.rsplit('/').next().map(str::to_ascii_lowercase)))
        .map(|path| format!("{folder}/{path}"))
        .collect()
}

fn run_properties(record: &RunRecord, grade: &Grade, lang: Lang) -> Vec<(String, String)> {
    let mut properties = vec![
        ("run".to_owned(), record.run.clone()),
        ("scenario".to_owned(), record.scenario.title.get(lang).to_owned()),
        ("submission".to_owned(), record.submission.path.clone()),
        ("place".to_owned(), words::place(record, lang)),
        ("imparcial".to_owned(), record.imparcial.clone()),
        ("points".to_owned(), words::points(grade.points)),
        ("earned".to_owned(), words::points(grade.earned)),
        ("lost".to_owned(), words::points(grade.lost)),
        ("undecided".to_owned(), words::points(grade.undecided)),
        ("final".to_owned(), grade.is_final.to_string()),
    ];
    properties.extend(record.submission.handed_in.iter().map(|it| ("handed_in".to_owned(), it.said(lang))));
    properties.extend(judged::run_properties(record, grade, lang));
    properties.extend(words::withheld(record, lang).map(|withheld| ("shown".to_owned(), withheld)));
    properties.extend(served::machines(record, lang).map(|it| ("machines".to_owned(), it)));
    properties.extend(served::stand_ins(record, lang).into_iter().map(|s| ("stand_in".to_owned(), s)));
    properties.extend(served::boxes_taken(record, lang).into_iter().map(|it| ("box".to_owned(), it)));
    properties.extend(record.overrides.iter().map(|o| ("override".to_owned(), o.get(lang).to_owned())));
    properties.extend(record.errors.iter().map(|e| ("error".to_owned(), e.get(lang).to_owned())));
    clean(properties)
}

fn case_properties(record: &RunRecord, check: &CheckRecord) -> Vec<(String, String)> {
    let mut properties = vec![
        ("kind".to_owned(), check.kind.clone()),
        ("verdict".to_owned(), words::verdict(check.verdict, Lang::En).to_owned()),
        ("points".to_owned(), words::points(check.points)),
        ("outcome".to_owned(), outcome(check).name().to_owned()),
    ];
    if outcome(check) == Outcome::Partly {
        properties.push(("earned".to_owned(), words::points(parts(check).earned)));
    }
    properties.extend(measured::properties(record, check));
    if let Some(cause) = check.cause.as_ref().filter(|cause| !cause.check.is_empty()) {
        properties.push(("cause".to_owned(), cause.check.clone()));
    }
    if let Some(reason) = check.reason {
        properties.push(("reason".to_owned(), words::reason_id(Some(reason)).to_owned()));
    }
    let mut properties = clean(properties);
    // testmo's way; a path is of no use cut short.
    properties.extend(attachments(record, &check.evidence).into_iter().map(|path| ("attachment".to_owned(), path)));
    properties
}

fn clean(properties: Vec<(String, String)>) -> Vec<(String, String)> {
    properties.into_iter().map(|(name, value)| (name, sanitize::line(&value, ATTRIBUTE))).collect()
}

#[cfg(test)]
mod tests;

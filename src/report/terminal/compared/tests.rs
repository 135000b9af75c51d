//! What people read of two runs, in both languages, in any width, from any record.

use unicode_width::UnicodeWidthStr;

use super::*;
use crate::drill::DrillRecord;
use crate::expect::Finding;
use crate::notice::Reason;
use crate::record::{Cause, compare, fixture};
use crate::text::Text;

fn shown(one: &RunRecord, other: &RunRecord, lang: Lang, style: Style) -> String {
    show(&compare(one, other).unwrap(), lang, style)
}

fn plain(one: &RunRecord, other: &RunRecord, lang: Lang) -> String {
    shown(one, other, lang, Style::default())
}

fn check<'a>(record: &'a mut RunRecord, id: &str) -> &'a mut CheckRecord {
    record.checks.iter_mut().find(|check| check.id == id).unwrap()
}

/// The run with drills, and the same submission on machines of another provider, where some of it went otherwise.
fn pair() -> (RunRecord, RunRecord) {
    let mut one = fixture::drilled();
    one.machines = Some(fixture::machines("centos/7", None));
    let mut other = one.clone();
    let run = "20261125-010203-cd34".to_owned();
    (other.folder, other.run, other.elapsed_ms) = (format!("reports/{run}"), run, 541_250);
    other.machines.as_mut().unwrap().provider = "libvirt".to_owned();

    // Decided by both.
    let memory = check(&mut other, "memory-declared");
    (memory.verdict, memory.explanation) = (Verdict::Pass, Text::default());
    memory.findings.iter_mut().for_each(|it| (it.holds, it.observed) = (true, "20971520".to_owned()));
    memory.notes = vec![Text::new("seen on every node", "visto en cada nodo")];
    let runs = check(&mut other, "db-runs");
    runs.verdict = Verdict::Fail;
    runs.explanation = Text::new("the database is restarting", "la base de datos se está reiniciando");
    runs.evidence.insert(0, "evidence/db-runs/db-runs-facts.json".to_owned());
    let seen = |subject: &str, observed: &str, holds| Finding {
        subject: subject.to_owned(),
        fact: "state".to_owned(),
        expected: "running".to_owned(),
        observed: observed.to_owned(),
        holds,
    };
    runs.findings = vec![seen("master", "running", true), seen("worker1", "restarting", false)];
    check(&mut one, "db-runs").findings = vec![seen("master", "running", true)];
    check(&mut other, "database-port").verdict = Verdict::Pass;
    check(&mut other, "app-back").verdict = Verdict::Pass;
    check(&mut other, "app-back").findings[0].observed = "4.02".to_owned();

    // By one.
    for id in ["compose-valid", "db-rows"] {
        let open = check(&mut other, id);
        (open.verdict, open.reason) = (Verdict::Error, Some(Reason::Host));
        open.explanation = Text::new("the disk is full", "el disco está lleno");
    }
    let behind = check(&mut other, "db-back");
    behind.verdict = Verdict::Skip;
    behind.cause = Some(Cause { check: "db-runs".to_owned(), verdict: Verdict::Fail });

    // In one run.
    one.checks.push(fixture::check("old", 2_000, Verdict::Pass, None));
    other.checks.push(fixture::check("new", 0, Verdict::Fail, None));
    other.drills.pop();
    let quick: Vec<_> = other.drills[0].samples.drain(..).take(60).collect();
    other.drills[0] = DrillRecord { samples: quick, elapsed_ms: 31_150, ..other.drills[0].clone() };
    other.drills[0].events.retain(|event| event.at_ms < 31_150);
    (one, other)
}

#[test]
fn the_comparison_as_it_is() {
    let (one, other) = pair();
    insta::assert_snapshot!("compared_en", plain(&one, &other, Lang::En));
    insta::assert_snapshot!("compared_es", shown(&one, &other, Lang::Es, Style { width: 80, color: false }));
}

#[test]
fn colour_changes_nothing_but_colour() {
    let (one, other) = pair();
    let coloured = shown(&one, &other, Lang::En, Style { color: true, ..Style::default() });
    assert!(coloured.contains("\u{1b}[31m"));
    assert_eq!(sanitize::text(&coloured), plain(&one, &other, Lang::En));
}

#[test]
fn lines_fit_but_for_paths() {
    let (one, other) = pair();
    for (width, lang) in [40, 60, 80, 140].into_iter().flat_map(|width| [(width, Lang::En), (width, Lang::Es)]) {
        let text = shown(&one, &other, lang, Style { width, color: false });
        let long: Vec<_> = text.lines().filter(|line| line.width() > width.max(60) && !line.contains('/')).collect();
        assert!(long.is_empty(), "{width}: {long:#?}");
    }
}

#[test]
fn hostile_output_stays_text() {
    let record = fixture::hostile();
    let other = fixture::passed(&record);
    for lang in [Lang::En, Lang::Es] {
        let text = plain(&record, &other, lang);
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text}");
        assert!(!text.lines().any(|l| l.trim_start().starts_with("::")) && !text.contains("##["), "{text}");
        assert!(!text.contains('\u{202e}') && !text.contains("[[ATTACHMENT|"), "{text}");
        assert!(text.contains('≠'), "and what differs is said: {text}");
    }
}

#[test]
fn two_strips_have_one_scale() {
    let (mut one, other) = pair();
    // It went on waiting when nobody looked any more.
    one.drills[0].elapsed_ms = 900_000;
    let text = plain(&one, &other, Lang::En);
    let drill = text.split_once("≠ app-killed").unwrap().1.split_once("objectives").unwrap().0;
    let strips: Vec<_> = drill.lines().filter(|line| line.contains('█')).map(|line| line.trim_end().width()).collect();
    assert_eq!(strips, [6 + 92, 6 + 46], "twice as long, twice as wide: {text}");
    let scales: Vec<_> = drill.lines().filter(|line| line.trim_start().starts_with("0 s ")).collect();
    assert!(scales.len() == 1 && scales[0].ends_with(" 61.0 s") && scales[0].width() == 6 + 94, "{text}");
}

#[test]
fn a_drill_without_samples_and_one_that_was_not_made_are_said() {
    let (one, mut other) = (fixture::drilled(), fixture::drilled());
    other.drills[0].samples.clear();
    other.drills.remove(1);
    let text = plain(&one, &other, Lang::En);
    assert!(text.contains("run 2      kill of app (web-1): nobody looked at it: no samples"), "{text}");
    assert!(text.contains("run 2      this drill was not made"), "{text}");
    assert!(text.contains("= app-killed") && text.contains("? worker-cut"), "{text}");
}

#[test]
fn where_nothing_differs_only_the_runs_and_the_sum_are_left() {
    let record = fixture::typical();
    let text = plain(&record, &record, Lang::En);
    assert_eq!(text.lines().filter(|line| line.is_empty()).count(), 1, "{text}");
    assert!(
        text.ends_with("\n5 checks decided by both: 5 agree, 0 differ; 0 decided by one only; 3 by neither\n"),
        "{text}"
    );
    let empty = fixture::empty();
    let text = plain(&empty, &empty, Lang::Es);
    assert!(text.contains("0 comprobaciones decididas por ambas: coinciden 0, difieren 0"), "{text}");
}

#[test]
fn of_many_facts_the_rest_is_counted() {
    let (one, mut other) = pair();
    let finding = check(&mut other, "db-runs").findings[1].clone();
    check(&mut other, "db-runs").findings =
        (0..14).map(|n| Finding { subject: format!("worker{n:02}"), ..finding.clone() }).collect();
    let text = plain(&one, &other, Lang::En);
    // The first run's own besides.
    assert!(text.contains("… and 5 facts more, which the records have"), "{text}");
}

#[test]
fn other_submissions_are_compared_and_that_is_said() {
    let (one, mut other) = pair();
    assert!(!plain(&one, &other, Lang::En).contains("the submissions differ"));
    other.submission.name = "team-08".to_owned();
    let [en, es] = [Lang::En, Lang::Es].map(|lang| plain(&one, &other, lang));
    assert!(en.contains("note          the submissions differ (team-07; team-08): what"), "{en}");
    assert!(es.contains("nota          las entregas son distintas (team-07; team-08): lo"), "{es}");
}

#[test]
fn a_record_for_a_student_shows_what_it_holds_and_says_so() {
    let record = fixture::with_secrets();
    let student = crate::record::shown_to(&record, crate::record::Audience::Student);
    let text = plain(&student, &student, Lang::En);
    assert!(text.contains("4 checks are not shown (15 points)") && !text.contains("SECRET"), "{text}");
}

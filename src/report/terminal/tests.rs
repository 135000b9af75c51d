//! What people read, in both languages, in any width, from any record.

use unicode_width::UnicodeWidthStr;

use super::*;
use crate::notice::Reason;
use crate::record::{Verdict, fixture};
use crate::text::Text;

fn plain(lang: Lang) -> String {
    show(&fixture::typical(), lang, Style::default())
}

#[test]
fn the_report_as_it_is() {
    insta::assert_snapshot!("terminal_en", plain(Lang::En));
    insta::assert_snapshot!("terminal_es", plain(Lang::Es));
    let narrow = Style { width: 60, color: true };
    insta::assert_snapshot!(
        "terminal_narrow_in_colour",
        show(&fixture::typical(), Lang::En, narrow).replace('\u{1b}', "␛")
    );
}

#[test]
fn what_people_judge_stands_beside_the_checks() {
    let part = |lang: Lang| {
        let text = show(&fixture::judged(), lang, Style::default());
        let heading = if lang == Lang::En { "Judged by people" } else { "Lo que juzgan personas" };
        let end = if lang == Lang::En { "Times" } else { "Tiempos" };
        let part = text.split_once(heading).unwrap().1.split_once(end).unwrap().0;
        format!("{heading}{}", part.trim_end())
    };
    insta::assert_snapshot!("judged_en", part(Lang::En));
    insta::assert_snapshot!("judged_es", part(Lang::Es));
    let text = show(&fixture::judged(), Lang::En, Style::default());
    assert!(text.contains("15 of 90 points earned, 47 lost, 18 undecided, 10 pending (not final)"), "{text}");
}

#[test]
fn the_costliest_failure_comes_first_and_what_it_hides_stands_under_it() {
    let text = plain(Lang::En);
    let at = |piece: &str| text.find(piece).unwrap_or_else(|| panic!("no `{piece}` in\n{text}"));
    assert!(at("✗ init-applied") < at("✗ memory-declared"));
    assert!(at("✗ init-applied") < at("page -12") && at("page -12") < at("✗ memory-declared"));
    assert!(at("✗ memory-declared") < at("? db-by-name") && at("? db-by-name") < at("page-is-live ?3"));
    assert!(at("page-is-live ?3") < at("Passed (2)") && at("Passed (2)") < at("✗ database-port"));
    assert!(text.contains("10 of 60 points earned, 32 lost, 18 undecided (not final)"), "{text}");
}

#[test]
fn colour_changes_nothing_but_colour() {
    let coloured = show(&fixture::typical(), Lang::En, Style { color: true, ..Style::default() });
    assert!(coloured.contains("\u{1b}[31m"));
    assert_eq!(crate::sanitize::text(&coloured), plain(Lang::En));
}

#[test]
fn lines_fit_but_for_paths() {
    for width in [40, 60, 80, 140] {
        let text = show(&fixture::typical(), Lang::Es, Style { width, color: false });
        let long: Vec<_> =
            text.lines().filter(|l| UnicodeWidthStr::width(*l) > width.max(60) && !l.contains('/')).collect();
        assert!(long.is_empty(), "{width}: {long:#?}");
    }
}

#[test]
fn hostile_output_stays_text() {
    for lang in [Lang::En, Lang::Es] {
        let text = show(&fixture::hostile(), lang, Style::default());
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text}");
        assert!(!text.lines().any(|l| l.trim_start().starts_with("::")) && !text.contains("##["), "{text}");
        assert!(!text.contains('\u{202e}') && text.contains("⟨U+202E⟩evil"), "{text}");
        assert!(!text.contains("[[ATTACHMENT|"));
    }
}

#[test]
fn a_value_without_end_is_cut() {
    let mut record = fixture::typical();
    record.checks[2].findings[1].observed = "x".repeat(1_000_000);
    let text = show(&record, Lang::En, Style::default());
    assert!(text.len() < 10_000, "{}", text.len());
    assert!(text.contains("bytes left out"));
}

#[test]
fn an_interrupted_run_and_an_empty_one_say_so() {
    let mut record = fixture::empty();
    record.interrupted = true;
    let text = show(&record, Lang::Es, Style::default());
    assert!(
        text.contains("0 de 0 puntos obtenidos, 0 perdidos, 0 sin decidir (interrumpida: no es definitivo)"),
        "{text}"
    );
}

#[test]
fn a_part_of_the_checks_is_no_final_mark() {
    let mut record = fixture::typical();
    record.checks.truncate(2);
    let text = show(&record, Lang::En, Style::default());
    let line = "10 of 60 points earned, 0 lost, 50 undecided (not every check was run: not final)";
    assert!(text.contains(line), "{text}");
}

#[test]
fn a_skip_whose_root_is_not_listed_is_shown_all_the_same() {
    let mut record = fixture::empty();
    record.checks =
        vec![fixture::check("alone", 3_000, crate::record::Verdict::Skip, Some(crate::record::Verdict::Fail))];
    let text = show(&record, Lang::En, Style::default());
    assert!(text.contains("Skipped (1)\n  - alone  -3\n      root failed\n"), "{text}");
}

#[test]
fn what_stopped_several_checks_is_told_once() {
    let mut record = fixture::typical();
    let cause = Text::same("the engine is gone");
    for check in record.checks.iter_mut().filter(|c| !c.is_observation()) {
        check.verdict = Verdict::Error;
        check.reason = Some(Reason::Host);
        check.explanation = cause.clone();
        check.findings.clear();
        check.notes.clear();
        check.look_at.clear();
    }
    let several = record.checks.iter().filter(|c| !c.is_observation()).count();
    let text = show(&record, Lang::En, Style::default());
    let said = text.matches("the engine is gone").count();
    assert_eq!((said, text.matches("for the same reason as").count()), (1, several - 1), "{text}");
}

#[test]
fn phases_have_names_in_both_languages() {
    let mut record = fixture::typical();
    let names = ["lab", "resolve", "images", "build", "start", "checks", "evidence", "teardown"];
    let phase = record.phases[0].clone();
    record.phases = names.map(|name| crate::record::PhaseRecord { name: name.to_owned(), ..phase.clone() }).into();
    let spanish = show(&record, Lang::Es, Style::default());
    let times = spanish.split("\nTiempos\n").nth(1).unwrap().split("\n\n").next().unwrap();
    for name in names {
        assert!(!times.lines().any(|line| line.trim_start().starts_with(&format!("{name} "))), "{name} in\n{times}");
    }
    assert!(times.contains("  laboratorio") && times.contains("  comprobación  "), "{times}");
}

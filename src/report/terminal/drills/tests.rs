//! The section as people read it, in any width.

use unicode_width::UnicodeWidthStr;

use crate::drill::{DrillRecord, Sample};
use crate::record::{RunRecord, fixture};
use crate::report::terminal::{Style, show};
use crate::text::Lang;

/// The section alone.
fn section(record: &RunRecord, lang: Lang, style: Style) -> String {
    let text = show(record, lang, style);
    let (heading, end) = if lang == Lang::En { ("Drills (", "\nPoints") } else { ("Simulacros (", "\nPuntos") };
    let part = text.split_once(heading).expect("the section").1;
    format!("{heading}{}", part.split_once(end).expect("points follow").0.trim_end())
}

fn plain(width: usize) -> Style {
    Style { width, color: false }
}

#[test]
fn the_section_as_it_is() {
    let record = fixture::drilled();
    insta::assert_snapshot!("drills_en", section(&record, Lang::En, plain(100)));
    insta::assert_snapshot!("drills_es", section(&record, Lang::Es, plain(80)));
    let coloured = show(&record, Lang::En, Style { width: 40, color: true });
    let from = coloured.find("Drills (3)").expect("the section");
    let until = coloured[from..].find("Points").expect("points follow") + from;
    insta::assert_snapshot!("drills_narrow_in_colour", coloured[from..until].trim_end().replace('\u{1b}', "␛"));
    assert!(!show(&fixture::typical(), Lang::En, plain(100)).contains("Drills"), "no section without drills");
}

#[test]
fn a_strip_is_as_wide_as_the_page_and_no_wider_than_it_helps() {
    for (width, columns) in [(40, 34), (80, 74), (100, 94), (200, 100)] {
        let text = section(&fixture::drilled(), Lang::En, plain(width));
        let scales: Vec<_> = text.lines().filter(|line| line.trim_start().starts_with("0 s ")).collect();
        assert_eq!(scales.len(), 3, "{text}");
        assert!(scales.iter().all(|line| line.width() == columns + 6), "{width}: {scales:#?}");
        let long: Vec<_> = text.lines().filter(|line| line.width() > width).collect();
        assert!(long.is_empty(), "{width}: {long:#?}");
    }
}

#[test]
fn twelve_hundred_samples_are_one_line_and_none_is_none() {
    let mut record = fixture::drilled();
    let samples = (0..1200).map(|n| Sample { at_ms: n * 500, took_ms: 5, ok: n < 100, said: String::new() });
    record.drills[0] = DrillRecord { samples: samples.collect(), elapsed_ms: 600_000, ..record.drills[0].clone() };
    record.drills[1].samples.clear();
    let text = section(&record, Lang::En, plain(100));
    assert_eq!(text.lines().filter(|line| line.contains('█')).count(), 3, "the legend and two strips: {text}");
    assert!(text.contains("1200 samples") && text.contains("600.0 s"), "{text}");
    assert!(text.contains("nobody looked at it: no samples"), "{text}");
}

#[test]
fn hostile_names_are_text_and_colour_is_only_colour() {
    let record = fixture::hostile();
    let coloured = show(&record, Lang::Es, Style { color: true, ..plain(60) });
    assert_eq!(crate::sanitize::text(&coloured), show(&record, Lang::Es, plain(60)));
    let text = section(&record, Lang::Es, plain(60));
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text}");
    assert!(!text.contains('\u{202e}') && !text.lines().any(|l| l.trim_start().starts_with("::")), "{text}");
}

#[test]
fn what_was_not_put_back_is_said_in_red() {
    let mut record = fixture::drilled();
    let red = "\u{1b}[31mnot healed: ";
    let shown = |record: &RunRecord| show(record, Lang::En, Style { color: true, ..plain(100) });
    assert_eq!(shown(&record).matches(red).count(), 1);
    record.drills.iter_mut().for_each(|drill| drill.healed = true);
    assert!(!shown(&record).contains("not healed"));
}

#[test]
fn a_failure_that_earned_a_part_stands_by_what_it_costs() {
    let mut record = fixture::drilled();
    record.checks.iter_mut().filter(|c| c.id == "db-rows").for_each(|c| c.points = 1_500);
    let text = show(&record, Lang::En, plain(100));
    let at = |piece: &str| text.find(piece).unwrap_or_else(|| panic!("no `{piece}` in\n{text}"));
    assert!(at("✗ db-rows  -1.5") < at("✗ app-back  -1.25 of 2"), "one and a half costs more than what is left of two");
    assert!(text.contains("expected   ≤ 10 s\n        observed   12.412 s"), "{text}");
}

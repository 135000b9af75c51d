//! What is drawn, sample by sample.

use proptest::prelude::*;

use super::*;
use crate::drill::Sample;
use crate::record::fixture;
use crate::text::Text;

/// A look each 500 ms that takes 10: `+` passes, `-` fails, a space is no look.
fn drill(text: &str) -> DrillRecord {
    let looks = text.chars().enumerate().filter(|(_, c)| *c != ' ');
    let samples =
        looks.map(|(i, c)| Sample { at_ms: i as u64 * 500, took_ms: 10, ok: c == '+', said: String::new() }).collect();
    let elapsed_ms = text.chars().count() as u64 * 500;
    DrillRecord { samples, elapsed_ms, every_ms: 500, asked_every_ms: 500, ..DrillRecord::default() }
}

fn event(at_ms: u64, what: What) -> Event {
    Event { at_ms, what, who: String::new(), said: Text::default() }
}

#[test]
fn what_was_seen_holds_until_the_next_look() {
    let strip = Strip::of(&drill("++--++"), 30);
    // A hundred milliseconds a column: down from 1000 on, up again at 2010, and the last look ends at 2510.
    assert_eq!(strip.line(), "██████████··········▒█████");
    assert_eq!(strip.scale(), format!("0 s{}3.0 s", " ".repeat(22)));
}

#[test]
fn where_nobody_looked_there_is_nothing() {
    assert_eq!(Strip::of(&drill("+++     +++"), 11).line(), "████    ▒██".replace('▒', "█"));
    let none = Strip::of(&drill(""), 40);
    assert_eq!((none.line().as_str(), none.cells.len()), ("", 40));
    assert_eq!(Strip::of(&DrillRecord::default(), 0).scale(), "0 s 0.0 s", "too narrow for it is wider");
}

#[test]
fn a_short_outage_in_a_long_drill_is_seen() {
    let mut looks = "+".repeat(1200);
    looks.replace_range(600..601, "-");
    let strip = Strip::of(&drill(&looks), 100);
    assert_eq!(strip.cells.len(), 100);
    assert_eq!(strip.line(), format!("{}▒{}", "█".repeat(50), "█".repeat(49)));
}

#[test]
fn a_look_that_hangs_is_down_from_its_beginning_until_one_passed() {
    let mut seen = drill("++");
    seen.samples.push(Sample { at_ms: 1000, took_ms: 5000, ok: false, said: "no answer".into() });
    seen.samples.push(Sample { at_ms: 1500, took_ms: 4000, ok: true, said: String::new() });
    seen.elapsed_ms = 6000;
    assert_eq!(Strip::of(&seen, 12).line(), "██·········█");
}

#[test]
fn of_several_marks_in_a_column_the_most_important_is_shown() {
    let mut seen = drill("++--++++++");
    seen.events = vec![
        event(0, What::Steady),
        event(1000, What::Inject),
        event(1010, What::Died),
        event(1020, What::Injected),
        event(1500, What::Started),
        event(2000, What::Started),
        event(2010, What::Recovered),
        event(4000, What::Heal),
        event(4600, What::Healed),
        event(4999, What::Read),
    ];
    assert_eq!(Strip::of(&seen, 10).marks(), "  FSR    H");
    assert_eq!(Strip::of(&seen, 100).marks().trim_start().replace(' ', ""), "FSRHL");
    seen.events.retain(|e| e.what != What::Healed && e.what != What::Inject);
    let marks = Strip::of(&seen, 10).marks();
    assert_eq!(marks, "  FSR   HL", "healing that never ended, and a fault that nobody saw begin");
    let legend = legend(&[&seen], Lang::En).join(", ");
    assert!(legend.contains("F the fault begins") && legend.contains("D a container ended"), "{legend}");
    assert!(!legend.contains("A it was helped"), "{legend}");
}

#[test]
fn each_letter_means_one_thing() {
    let letters: std::collections::BTreeSet<_> = Mark::ALL.iter().map(|mark| mark.letter()).collect();
    assert_eq!(letters.len(), Mark::ALL.len());
    assert!(letters.iter().all(char::is_ascii_uppercase));
}

#[test]
fn any_record_has_a_strip() {
    let mut odd = fixture::drills().remove(0);
    odd.elapsed_ms = 0;
    odd.samples.push(Sample { at_ms: u64::MAX / 4, took_ms: 9, ok: false, said: String::new() });
    odd.events.push(event(u64::MAX / 2, What::Aided));
    let strip = Strip::of(&odd, 60);
    assert_eq!((strip.cells.len(), strip.marks().chars().count()), (60, 60));
}

proptest! {
    /// A column is down where a look failed, and only where one did; every failing look is somewhere.
    #[test]
    fn nothing_is_drawn_that_was_not_seen(
        looks in proptest::collection::vec((0..600_000_u64, 0..20_000_u64, any::<bool>()), 0..300),
        every in 0..5_000_u64,
        columns in 1..120_usize,
    ) {
        let sample = |&(at_ms, took_ms, ok): &(u64, u64, bool)| Sample { at_ms, took_ms, ok, said: String::new() };
        let samples: Vec<Sample> = looks.iter().map(sample).collect();
        let passing = samples.iter().filter(|s| s.ok).count();
        let drawn = DrillRecord { samples, every_ms: every, ..DrillRecord::default() };
        let strip = Strip::of(&drawn, columns);
        prop_assert_eq!(strip.cells.len(), columns);
        prop_assert_eq!(strip.cells.iter().any(|c| c.up), passing > 0);
        prop_assert_eq!(strip.cells.iter().any(|c| c.down), passing < looks.len());
        for sample in &drawn.samples {
            let at = if sample.ok { sample.end_ms() } else { sample.at_ms };
            let column = (at * columns as u64 / strip.end_ms).min(columns as u64 - 1) as usize;
            let cell = strip.cells[column];
            let drawn = if sample.ok { cell.up } else { cell.down };
            prop_assert!(drawn);
        }
    }
}

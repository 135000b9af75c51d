//! The drills of two runs: what happened in each, both outages one under the other as their own reports draw them, but on one
//! scale of time, so that the longer one is the longer one to see; and what each objective measured in both.

use super::{name, verdict};
use crate::drill::DrillRecord;
use crate::record::compare::{DrillPair, Relation, facts, relation};
use crate::record::{CheckRecord, Comparison, Verdict};
use crate::report::drills::strip::{self, Strip};
use crate::report::drills::{came_of, fault, ledger, not_healed};
use crate::report::terminal::drills::{columns, outage, scale};
use crate::report::terminal::page::{Color, Page};
use crate::report::words::{self, pick};
use crate::text::Lang;

pub(super) fn all(page: &mut Page, compared: &Comparison, lang: Lang) {
    if compared.drills.is_empty() {
        return;
    }
    page.heading(&format!("{} ({})", pick(lang, "Drills", "Simulacros"), compared.drills.len()));
    let made = compared.drills.iter().flat_map(|pair| pair.sides).flatten();
    let seen: Vec<&DrillRecord> = made.filter(|drill| !drill.samples.is_empty()).collect();
    if !seen.is_empty() {
        page.run(2, &strip::legend(&seen, lang));
    }
    for pair in &compared.drills {
        one(page, pair, lang);
    }
}

fn one(page: &mut Page, pair: &DrillPair, lang: Lang) {
    let [first, second] = pair.sides;
    let Some(any) = first.or(second) else { return };
    let (mark, color) = mark(pair);
    page.item(mark, color, &any.id, any.title.get(lang));
    for (n, side) in pair.sides.into_iter().enumerate() {
        match side {
            Some(drill) => told(page, name(n, lang), drill, lang),
            None => page.detail(name(n, lang), pick(lang, "this drill was not made", "este simulacro no se hizo")),
        }
    }
    strips(page, pair);
    for (n, sides) in pair.objectives.iter().enumerate() {
        let label = if n == 0 { pick(lang, "objectives", "objetivos") } else { " " };
        page.detail(label, &objective(*sides, lang));
    }
}

/// What happened in one run, in words.
fn told(page: &mut Page, run: &str, drill: &DrillRecord, lang: Lang) {
    page.detail(run, &format!("{}: {}", fault(drill, lang), came_of(drill, lang)));
    if let Some(it) = &drill.ledger {
        page.detail(" ", &format!("{}: {}", pick(lang, "ledger", "escrituras"), ledger(it, lang)));
    }
    for note in &drill.notes {
        page.detail(" ", note.get(lang));
    }
    if let Some(said) = not_healed(drill, lang) {
        page.alarm(said);
    }
}

/// The outages to one end, with one scale below them all.
fn strips(page: &mut Page, pair: &DrillPair) {
    let seen = || pair.sides.into_iter().flatten().filter(|drill| !drill.samples.is_empty());
    let Some(end) = seen().map(strip::seen_ms).max() else { return };
    let strips: Vec<_> = seen().map(|drill| Strip::until(drill, columns(page), end)).collect();
    for strip in &strips {
        outage(page, strip);
    }
    if let Some(last) = strips.last() {
        scale(page, last);
    }
}

fn mark(pair: &DrillPair) -> (&'static str, Color) {
    let agree = |sides: &[Option<&CheckRecord>; 2]| match sides {
        [Some(one), Some(other)] => relation([one, other]) == Relation::Agree,
        _ => false,
    };
    match () {
        () if pair.differs() => ("≠", Color::Red),
        () if pair.sides.iter().all(Option::is_some) && pair.objectives.iter().all(agree) => ("=", Color::Green),
        () => ("?", Color::Yellow),
    }
}

/// `app-back (recovery_time_s ≤ 10 s): 0.8 s, +2 | 12.4 s, -1.25 of 2`, the first run before the bar.
fn objective(sides: [Option<&CheckRecord>; 2], lang: Lang) -> String {
    let [one, other] = sides;
    let id = one.or(other).map_or("", |check| check.id.as_str());
    let wanted = facts(sides).into_iter().filter_map(|pair| pair.any());
    let wanted: Vec<_> =
        wanted.map(|it| format!("{} {}", words::fact(it), words::value(it, &it.expected, lang))).collect();
    let wanted = if wanted.is_empty() { String::new() } else { format!(" ({})", wanted.join(", ")) };
    let absent = || pick(lang, "not there", "no está").to_owned();
    let [one, other] = sides.map(|check| check.map_or_else(absent, |check| measured(check, lang)));
    format!("{id}{wanted}: {one} | {other}")
}

/// What an objective measured, and what became of its points; or why it measured nothing.
fn measured(check: &CheckRecord, lang: Lang) -> String {
    match check.verdict {
        Verdict::Pass | Verdict::Fail => {
            let values = check.findings.iter().map(|it| words::value(it, &it.observed, lang));
            values.chain([words::came_to(check, lang)]).collect::<Vec<_>>().join(", ")
        }
        Verdict::Error | Verdict::Skip => verdict(check, lang),
    }
}

//! The drills: what was broken and whom it hit, how it came back, and the outage as a strip with its marks.

use super::page::{Color, Page};
use crate::drill::DrillRecord;
use crate::record::{CheckRecord, RunRecord, Verdict};
use crate::report::drills::strip::{self, Cell, Strip};
use crate::report::drills::{came_of, cost, fault, ledger, not_healed, objectives};
use crate::report::words::{self, pick};
use crate::text::Lang;

/// The widest strip, in columns.
const WIDEST: usize = 100;

pub(super) fn all(page: &mut Page, record: &RunRecord, lang: Lang) {
    if record.drills.is_empty() {
        return;
    }
    page.heading(&format!("{} ({})", pick(lang, "Drills", "Simulacros"), record.drills.len()));
    let seen: Vec<&DrillRecord> = record.drills.iter().filter(|drill| !drill.samples.is_empty()).collect();
    if !seen.is_empty() {
        page.run(2, &strip::legend(&seen, lang));
    }
    for drill in &record.drills {
        one(page, record, drill, lang);
    }
}

fn one(page: &mut Page, record: &RunRecord, drill: &DrillRecord, lang: Lang) {
    let objectives: Vec<_> = objectives(record, drill).collect();
    let (mark, color) = mark(&objectives);
    page.item(mark, color, &drill.id, drill.title.get(lang));
    page.detail("", &format!("{}: {}", fault(drill, lang), came_of(drill, lang)));
    if !drill.samples.is_empty() {
        let strip = Strip::of(drill, columns(page));
        outage(page, &strip);
        scale(page, &strip);
    }
    if let Some(it) = &drill.ledger {
        page.detail(pick(lang, "ledger", "escrituras"), &ledger(it, lang));
    }
    page.detail(pick(lang, "cost", "costo"), &cost(drill, lang).unwrap_or_default());
    let each: Vec<_> = objectives.iter().map(|check| objective(check, lang)).collect();
    page.detail(pick(lang, "objectives", "objetivos"), &each.join(", "));
    for note in &drill.notes {
        page.detail(pick(lang, "note", "nota"), note.get(lang));
    }
    if let Some(said) = not_healed(drill, lang) {
        page.alarm(said);
    }
}

/// How many columns a strip has at most.
pub(super) fn columns(page: &Page) -> usize {
    page.beside().min(WIDEST)
}

/// The outage with its marks below.
pub(super) fn outage(page: &mut Page, strip: &Strip) {
    let cells: Vec<_> = strip.cells.iter().map(|cell| (cell.glyph(), color_of(*cell))).collect();
    page.cells(&cells);
    signs(page, &strip.marks(), Color::Bold);
}

/// The times of its two ends.
pub(super) fn scale(page: &mut Page, strip: &Strip) {
    signs(page, &strip.scale(), Color::Dim);
}

fn signs(page: &mut Page, line: &str, color: Color) {
    page.cells(&line.chars().map(|c| (c, Some(color))).collect::<Vec<_>>());
}

/// A drill has no verdict of its own: the worst of its objectives, observations too.
fn mark(objectives: &[&CheckRecord]) -> (&'static str, Color) {
    let any = |verdict| objectives.iter().any(|check| check.verdict == verdict);
    match () {
        () if any(Verdict::Fail) => ("✗", Color::Red),
        () if any(Verdict::Error) => ("?", Color::Yellow),
        () if any(Verdict::Skip) || objectives.is_empty() => ("-", Color::Yellow),
        () => ("✓", Color::Green),
    }
}

/// `back-in-time -1.25 of 2`.
fn objective(check: &CheckRecord, lang: Lang) -> String {
    format!("{} {}", check.id, words::came_to(check, lang))
}

fn color_of(cell: Cell) -> Option<Color> {
    match (cell.up, cell.down) {
        (true, false) => Some(Color::Green),
        (false, true) => Some(Color::Red),
        (true, true) => Some(Color::Yellow),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests;

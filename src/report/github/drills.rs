//! The drills as a table: what was broken, what came of it, and the strip with its marks in spans of code.

use super::md;
use crate::drill::DrillRecord;
use crate::record::RunRecord;
use crate::report::drills::strip::{self, Strip};
use crate::report::drills::{came_of, cost, fault, ledger, not_healed};
use crate::report::words::pick;
use crate::text::Lang;

/// How wide a strip is, in columns: a summary is narrower than a terminal.
const STRIP: usize = 60;

pub(super) fn table(record: &RunRecord, lang: Lang) -> Option<String> {
    if record.drills.is_empty() {
        return None;
    }
    let (name, count) = (pick(lang, "Drills", "Simulacros"), record.drills.len());
    let columns = pick(lang, "| Drill | Fault | What came of it |", "| Simulacro | Falla | Qué pasó |");
    let mut out = format!("### {name} ({count})\n\n{columns}\n| --- | --- | --- |\n");
    for drill in &record.drills {
        let title = format!("{}: {}", md(&drill.id), md(drill.title.get(lang)));
        out.push_str(&format!("| {title} | {} | {} |\n", md(&fault(drill, lang)), cell(drill, lang)));
    }
    let seen: Vec<&DrillRecord> = record.drills.iter().filter(|drill| !drill.samples.is_empty()).collect();
    if !seen.is_empty() {
        out.push_str(&format!("\n{}\n", md(&strip::legend(&seen, lang).join(", "))));
    }
    out.push('\n');
    Some(out)
}

fn cell(drill: &DrillRecord, lang: Lang) -> String {
    let mut lines = vec![md(&came_of(drill, lang))];
    if !drill.samples.is_empty() {
        let strip = Strip::of(drill, STRIP);
        lines.extend([strip.line(), strip.marks(), strip.scale()].iter().map(|line| code(line)));
    }
    let said = drill.ledger.iter().map(|it| ledger(it, lang)).chain(cost(drill, lang));
    lines.extend(said.chain(drill.notes.iter().map(|note| note.get(lang).to_owned())).map(|line| md(&line)));
    lines.extend(not_healed(drill, lang).map(|said| format!("**{}**", md(said))));
    lines.retain(|line| !line.is_empty());
    lines.join("<br>")
}

/// A line of signs of ours, each in its column: a span of code keeps no space but one that does not break.
fn code(line: &str) -> String {
    if line.is_empty() { String::new() } else { format!("`{}`", line.replace(' ', "\u{a0}")) }
}

//! Two runs side by side, for people: first what both decided differently, with what each saw; then what only one decided, in
//! short; what only one has; the drills, one strip under the other.

mod drills;

use super::page::{Color, Page, Style};
use crate::grade::grade;
use crate::record::compare::{Counts, FactPair, Relation, facts};
use crate::record::{CheckRecord, Comparison, RunRecord, Verdict};
use crate::report::served;
use crate::report::words::{self, pick};
use crate::sanitize;
use crate::text::Lang;

/// How many of a check's notes, facts and files of evidence are shown; the records have all.
const NOTES: usize = 3;
const FACTS: usize = 10;
const EVIDENCE: usize = 3;
/// The longest reason of what only one run decided, in characters.
const WHY: usize = 300;

/// The comparison, in this width, with colour or without.
pub fn show(compared: &Comparison, lang: Lang, style: Style) -> String {
    let mut page = Page::new(style);
    header(&mut page, compared, lang);
    differing(&mut page, compared, lang);
    decided_by_one(&mut page, compared, lang);
    alone(&mut page, compared, lang);
    drills::all(&mut page, compared, lang);
    let counts = compared.counts();
    let color = match counts {
        Counts { differ: 1.., .. } => Color::Red,
        Counts { one: 0, alone: 0, agree: 1.., .. } => Color::Green,
        _ => Color::Yellow,
    };
    page.last(&summary(counts, lang), color);
    page.finish()
}

/// What a run is called below the header: `run 1`.
fn name(n: usize, lang: Lang) -> &'static str {
    match n {
        0 => pick(lang, "run 1", "ejec. 1"),
        _ => pick(lang, "run 2", "ejec. 2"),
    }
}

fn header(page: &mut Page, compared: &Comparison, lang: Lang) {
    let [first, _] = compared.runs;
    let what = pick(lang, "two runs of", "dos ejecuciones de");
    page.title(&format!("imparcial · {what} {} ({})", first.scenario.title.get(lang), first.scenario.name));
    for (n, record) in compared.runs.into_iter().enumerate() {
        page.field(name(n, lang), &run(record, lang));
        if let Some(withheld) = words::withheld(record, lang) {
            page.field("", &withheld);
        }
    }
    if !compared.same_submission() {
        let [one, other] = compared.runs.map(|record| submission(record, lang));
        let said = match lang {
            Lang::En => format!("the submissions differ ({one}; {other}): what differs below may be theirs"),
            Lang::Es => format!("las entregas son distintas ({one}; {other}): lo que difiere puede deberse a ellas"),
        };
        page.field(pick(lang, "note", "nota"), &said);
    }
}

/// All that tells one run from another, in one line.
fn run(record: &RunRecord, lang: Lang) -> String {
    let machines = served::machines(record, lang);
    let machines = machines.unwrap_or_else(|| pick(lang, "no machines", "sin máquinas").to_owned());
    let points = words::headline(record, &grade(record), lang);
    let parts = [
        record.run.clone(),
        record.scenario.name.clone(),
        record.submission.name.clone(),
        record.place.clone(),
        machines,
        points,
        words::duration(record.elapsed_ms),
    ];
    parts.map(|part| sanitize::line(&part, WHY)).join(" · ")
}

fn submission(record: &RunRecord, lang: Lang) -> String {
    let commit = record.submission.source.as_ref().and_then(|source| source.commit(lang));
    let commit = commit.map(|commit| format!(" {commit}")).unwrap_or_default();
    sanitize::line(&format!("{}{commit}", record.submission.name), WHY)
}

/// What both decided, and differently.
fn differing(page: &mut Page, compared: &Comparison, lang: Lang) {
    let all: Vec<_> = compared.of(Relation::Differ).collect();
    if all.is_empty() {
        return;
    }
    let heading = pick(lang, "Decided by both, differently", "Decididas por ambas, con distinto resultado");
    page.heading(&format!("{heading} ({})", all.len()));
    for sides in all {
        one(page, compared.runs, sides, lang);
    }
}

fn one(page: &mut Page, runs: [&RunRecord; 2], sides: [&CheckRecord; 2], lang: Lang) {
    let [first, _] = sides;
    page.item("≠", Color::Red, &first.id, &format!("{} {}", points(sides, lang), first.title.get(lang)));
    for (n, check) in sides.into_iter().enumerate() {
        page.detail(name(n, lang), &seen(check, lang));
    }
    let unlike: Vec<_> = facts(sides.map(Some)).into_iter().filter(|pair| !pair.holds_in_both()).collect();
    for pair in unlike.iter().take(FACTS) {
        fact(page, pair, lang);
    }
    if let Some(more @ 1..) = unlike.len().checked_sub(FACTS) {
        page.detail(
            "",
            &match lang {
                Lang::En => format!("… and {more} facts more, which the records have"),
                Lang::Es => format!("… y {more} datos más, que están en los registros"),
            },
        );
    }
    let places = sides.into_iter().flat_map(|check| &check.look_at);
    for (n, look) in places.enumerate() {
        let label = if n == 0 { words::look_at(lang) } else { " " };
        page.place(label, &words::place_of(look), look.what.get(lang));
    }
    let mut label = pick(lang, "evidence", "evidencia");
    for (record, check) in runs.into_iter().zip(sides) {
        for file in check.evidence.iter().take(EVIDENCE) {
            page.detail(label, &format!("{}/{file}", record.folder));
            label = " ";
        }
    }
}

/// What became of its points in each run: `+7 | -7`; once where that is the same.
fn points(sides: [&CheckRecord; 2], lang: Lang) -> String {
    let [one, other] = sides.map(|check| words::cost(check, lang));
    if one == other { one } else { format!("{one} | {other}") }
}

/// The verdict and what it is based on; a pass explains nothing, and what was seen besides stands below.
fn seen(check: &CheckRecord, lang: Lang) -> String {
    let mut said = words::verdict(check.verdict, lang).to_owned();
    let explanation = check.explanation.get(lang);
    if !explanation.is_empty() {
        said.push_str(&format!(": {explanation}"));
    }
    if let Some(looks) = words::looks(check, lang) {
        said.push_str(&format!(" ({looks})"));
    }
    for note in check.notes.iter().take(NOTES) {
        said.push_str(&format!("\n{}", sanitize::line(note.get(lang), WHY)));
    }
    said
}

/// What was expected, and what each run saw.
fn fact(page: &mut Page, pair: &FactPair, lang: Lang) {
    let Some(any) = pair.any() else { return };
    page.detail("", &words::fact(any));
    let wanted = pair.sides.map(|side| side.map(|finding| words::value(finding, &finding.expected, lang)));
    let wanted = match wanted {
        [Some(one), Some(other)] if one != other => format!("{one} | {other}"),
        [one, other] => one.or(other).unwrap_or_default(),
    };
    page.compared(pick(lang, "expected", "esperado"), &wanted);
    for (n, side) in pair.sides.into_iter().enumerate() {
        let value = side.map(|finding| words::value(finding, &finding.observed, lang));
        page.compared(name(n, lang), &value.unwrap_or_else(|| pick(lang, "not looked for", "no se buscó").to_owned()));
    }
}

/// What only one run could decide: those of the same verdicts and for the same reason together.
fn decided_by_one(page: &mut Page, compared: &Comparison, lang: Lang) {
    let mut groups: Vec<([String; 2], Vec<String>)> = Vec::new();
    let mut count = 0;
    for sides in compared.of(Relation::One) {
        let why = sides.map(|check| verdict_and_why(check, lang));
        let [first, _] = sides;
        let listed = match first.is_observation() {
            true => first.id.clone(),
            false => format!("{} {}", first.id, words::points(first.points)),
        };
        match groups.iter_mut().find(|(known, _)| *known == why) {
            Some((_, checks)) => checks.push(listed),
            None => groups.push((why, vec![listed])),
        }
        count += 1;
    }
    if count == 0 {
        return;
    }
    page.heading(&format!("{} ({count})", pick(lang, "Decided by one only", "Decididas solo por una")));
    for (why, checks) in &groups {
        page.run(2, checks);
        for (n, said) in why.iter().enumerate() {
            page.detail(name(n, lang), said);
        }
    }
}

/// `pass`, or what kept it from being decided: `error: the host: the disk is full`.
fn verdict_and_why(check: &CheckRecord, lang: Lang) -> String {
    let explanation = check.explanation.get(lang);
    let said = verdict(check, lang);
    // A skip explains nothing but its root, which is named.
    let explains = check.verdict == Verdict::Error && !explanation.is_empty();
    if explains { sanitize::line(&format!("{said}: {explanation}"), WHY) } else { said }
}

/// The same in few words: `error: the host`, `skip: db-runs failed`.
fn verdict(check: &CheckRecord, lang: Lang) -> String {
    let verdict = words::verdict(check.verdict, lang);
    match check.verdict {
        Verdict::Pass | Verdict::Fail => verdict.to_owned(),
        Verdict::Skip => sanitize::line(&format!("{verdict}: {}", words::skipped_because(check, lang)), WHY),
        Verdict::Error => format!("{verdict}: {}", words::reason(check.reason, lang)),
    }
}

/// What only one run has.
fn alone(page: &mut Page, compared: &Comparison, lang: Lang) {
    for (n, checks) in compared.alone.iter().enumerate().filter(|(_, checks)| !checks.is_empty()) {
        let heading = match n {
            0 => pick(lang, "In run 1 only", "Solo en la ejecución 1"),
            _ => pick(lang, "In run 2 only", "Solo en la ejecución 2"),
        };
        page.heading(&format!("{heading} ({})", checks.len()));
        let each = checks.iter().map(|check| format!("{} {}", check.id, words::came_to(check, lang)));
        page.run(2, &each.collect::<Vec<_>>());
    }
}

/// `37 checks decided by both: 35 agree, 2 differ; 4 decided by one only`; and what else there is, where there is any.
fn summary(counts: Counts, lang: Lang) -> String {
    let Counts { agree, differ, one, neither, alone } = counts;
    let both = counts.both();
    let mut said = match (lang, both) {
        (Lang::En, 1) => "1 check decided by both".to_owned(),
        (Lang::En, _) => format!("{both} checks decided by both"),
        (Lang::Es, 1) => "1 comprobación decidida por ambas".to_owned(),
        (Lang::Es, _) => format!("{both} comprobaciones decididas por ambas"),
    };
    said.push_str(&match lang {
        Lang::En => format!(": {agree} agree, {differ} differ; {one} decided by one only"),
        Lang::Es => format!(": coinciden {agree}, difieren {differ}; por una sola: {one}"),
    });
    for (count, what) in [
        (neither, pick(lang, "by neither", "por ninguna")),
        (alone, pick(lang, "in one run only", "solo en una ejecución")),
    ] {
        if count > 0 {
            said.push_str(&match lang {
                Lang::En => format!("; {count} {what}"),
                Lang::Es => format!("; {what}: {count}"),
            });
        }
    }
    said
}

#[cfg(test)]
mod tests;

//! The checks: failed ones by what they cost, undecided ones with what to do, what was skipped under its root, the rest
//! in few lines.

use super::page::{Color, Page};
use crate::record::{CheckRecord, RunRecord, Verdict};
use crate::report::order;
use crate::report::words::{self, pick};
use crate::text::Lang;

/// How many files of evidence are named under a check; the record names all.
const EVIDENCE: usize = 3;

pub(super) fn all(page: &mut Page, record: &RunRecord, lang: Lang) {
    let (observations, counting): (Vec<_>, Vec<_>) = record.checks.iter().partition(|c| c.is_observation());
    let of =
        |verdict| counting.iter().copied().filter(move |c: &&CheckRecord| c.verdict == verdict).collect::<Vec<_>>();

    let failed = order::worst_first(record, Verdict::Fail);
    section(page, pick(lang, "Failed", "Fallan"), &failed, |page, check| root(page, record, check, lang));

    let undecided = order::worst_first(record, Verdict::Error);
    // One cause that stopped them all is told once.
    let mut told: Vec<&CheckRecord> = Vec::new();
    section(page, pick(lang, "Undecided", "Sin decidir"), &undecided, |page, check| {
        match told.iter().find(|t| same_cause(t, check)) {
            Some(first) => {
                heading(page, check, lang);
                page.detail("", &format!("{} {}", pick(lang, "for the same reason as", "por lo mismo que"), first.id));
                hidden(page, record, check, lang);
            }
            None => root(page, record, check, lang),
        }
        told.push(check);
    });

    // Those behind a root that is listed above stand there.
    let listed = |c: &CheckRecord| failed.iter().chain(&undecided).any(|root| order::is_behind(c, root));
    let orphans: Vec<_> = of(Verdict::Skip).into_iter().filter(|c| !listed(c)).collect();
    section(page, pick(lang, "Skipped", "Omitidas"), &orphans, |page, check| {
        page.item("-", Color::Yellow, &check.id, &words::cost(check, lang));
        page.detail("", &words::skipped_because(check, lang));
    });

    let passed = of(Verdict::Pass);
    if !passed.is_empty() {
        page.heading(&format!("{} ({})", pick(lang, "Passed", "Pasan"), passed.len()));
        let each: Vec<_> = passed.iter().map(|c| format!("{} {}", c.id, words::points(c.points))).collect();
        page.run(2, &each);
        for check in passed.iter().filter(|c| !c.notes.is_empty()) {
            notes(page, check, lang);
        }
    }
    section(page, pick(lang, "Observations, no points", "Observaciones, sin puntos"), &observations, |page, check| {
        observation(page, check, lang);
    });
}

/// Whether there is nothing to say about `check` that was not said about `told`.
fn same_cause(told: &CheckRecord, check: &CheckRecord) -> bool {
    let bare = |c: &CheckRecord| c.findings.iter().all(|f| f.holds) && c.notes.is_empty();
    bare(told)
        && bare(check)
        && told.look_at == check.look_at
        && told.reason == check.reason
        && told.explanation == check.explanation
}

fn section<'a>(
    page: &mut Page,
    name: &str,
    checks: &[&'a CheckRecord],
    mut each: impl FnMut(&mut Page, &'a CheckRecord),
) {
    if checks.is_empty() {
        return;
    }
    page.heading(&format!("{name} ({})", checks.len()));
    for check in checks {
        each(page, check);
    }
}

/// A check that failed or could not be decided, with all that helps, and what stands behind it.
fn root(page: &mut Page, record: &RunRecord, check: &CheckRecord, lang: Lang) {
    heading(page, check, lang);
    page.detail("", check.explanation.get(lang));
    findings(page, check, lang);
    for note in &check.notes {
        page.detail(pick(lang, "note", "nota"), note.get(lang));
    }
    if check.verdict == Verdict::Error {
        page.detail(pick(lang, "reason", "motivo"), words::reason(check.reason, lang));
        page.detail(pick(lang, "to do", "qué hacer"), words::what_to_do(check.reason, lang));
    }
    // A hint is for whoever handed it in: no help where the fault is ours.
    if let Some(hint) = check.hint.as_ref().filter(|_| check.verdict == Verdict::Fail) {
        page.detail(pick(lang, "hint", "sugerencia"), hint.get(lang));
    }
    places(page, check, lang);
    for (n, file) in check.evidence.iter().take(EVIDENCE).enumerate() {
        let label = if n == 0 { pick(lang, "evidence", "evidencia") } else { " " };
        page.detail(label, &format!("{}/{file}", record.folder));
    }
    page.detail(pick(lang, "asked at", "se pide en"), &format!("{}:{}", check.at.file, check.at.line));
    hidden(page, record, check, lang);
}

/// What was skipped because of a check.
fn hidden(page: &mut Page, record: &RunRecord, check: &CheckRecord, lang: Lang) {
    let behind: Vec<_> = order::behind(record, check).collect();
    if !behind.is_empty() {
        page.detail("", pick(lang, "skipped because of it:", "omitidas por ello:"));
        let each: Vec<_> = behind.iter().map(|c| format!("{} {}", c.id, words::cost(c, lang))).collect();
        page.run(8, &each);
    }
}

fn heading(page: &mut Page, check: &CheckRecord, lang: Lang) {
    let (mark, color) = if check.verdict == Verdict::Fail { ("✗", Color::Red) } else { ("?", Color::Yellow) };
    page.item(mark, color, &check.id, &format!("{}  {}", words::cost(check, lang), check.title.get(lang)));
}

/// What did not hold, expected beside observed; and how long was looked.
fn findings(page: &mut Page, check: &CheckRecord, lang: Lang) {
    for finding in check.findings.iter().filter(|f| !f.holds) {
        page.detail("", &words::fact(finding));
        page.compared(pick(lang, "expected", "esperado"), &words::value(finding, &finding.expected, lang));
        page.compared(pick(lang, "observed", "observado"), &words::value(finding, &finding.observed, lang));
    }
    page.detail("", &words::looks(check, lang).map(|looks| format!("({looks})")).unwrap_or_default());
}

fn observation(page: &mut Page, check: &CheckRecord, lang: Lang) {
    let (mark, color) = match check.verdict {
        Verdict::Pass => ("✓", Color::Green),
        Verdict::Fail => ("✗", Color::Dim),
        Verdict::Error => ("?", Color::Dim),
        Verdict::Skip => ("-", Color::Dim),
    };
    page.item(mark, color, &check.id, check.title.get(lang));
    match check.verdict {
        Verdict::Pass => {}
        Verdict::Skip => page.detail("", &words::skipped_because(check, lang)),
        Verdict::Fail | Verdict::Error => {
            page.detail("", check.explanation.get(lang));
            findings(page, check, lang);
            places(page, check, lang);
        }
    }
    for note in &check.notes {
        page.detail(pick(lang, "note", "nota"), note.get(lang));
    }
}

/// Where in the submission to look.
fn places(page: &mut Page, check: &CheckRecord, lang: Lang) {
    for (n, look) in check.look_at.iter().enumerate() {
        let label = if n == 0 { words::look_at(lang) } else { " " };
        page.place(label, &words::place_of(look), look.what.get(lang));
    }
}

fn notes(page: &mut Page, check: &CheckRecord, lang: Lang) {
    for note in &check.notes {
        page.detail("", &format!("{}: {}", check.id, note.get(lang)));
    }
}

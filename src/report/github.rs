//! GitHub's job summary: Markdown, in sections, so that one too long is cut between two of them.
//!
//! GitHub refuses a summary of more than 1024 KiB altogether. Whatever comes from a submission is escaped into text
//! (`sanitize::markdown`, `sanitize::html`); nothing of it is structure, a link or an image.

pub mod annotations;
mod drills;

use super::words::{self, pick};
use super::{Format, RenderError, about, order, served};
use crate::grade::{Grade, grade};
use crate::record::{CheckRecord, ManualRecord, RunRecord, Verdict};
use crate::sanitize;
use crate::text::Lang;

pub static FORMAT: Format = Format {
    name: "github",
    file_name: None,
    summary: "GitHub's job summary, in Markdown",
    render: |record, grade, lang| Ok::<_, RenderError>(summary(record, grade, lang, LIMIT).into_bytes()),
};

/// The most that GitHub takes of one step.
pub const LIMIT: usize = 1024 * 1024;
/// What is kept for the line that says what was left out.
const RESERVE: usize = 200;
/// The most of one check's details, in bytes, before they are escaped.
const DETAILS: usize = 16 * 1024;
const LINE: usize = 500;

/// The summary of a run in at most `budget` bytes, which may be less than [`LIMIT`] where others wrote before.
pub fn within(record: &RunRecord, lang: Lang, budget: usize) -> String {
    summary(record, &grade(record), lang, budget.min(LIMIT))
}

fn summary(record: &RunRecord, grade: &Grade, lang: Lang, budget: usize) -> String {
    fit(&sections(record, grade, lang), lang, budget)
}

/// As many sections as fit, and how many do not. The first is the most important.
fn fit(sections: &[String], lang: Lang, budget: usize) -> String {
    if sections.iter().map(String::len).sum::<usize>() <= budget {
        return sections.concat();
    }
    let mut out = String::new();
    for (n, section) in sections.iter().enumerate() {
        if out.len() + section.len() + RESERVE > budget {
            let left = sections.len() - n;
            let note = match lang {
                Lang::En => format!("_{left} sections more would not fit; the run's folder has them._\n"),
                Lang::Es => format!("_Otras {left} secciones no cabían; están en la carpeta de la ejecución._\n"),
            };
            if out.len() + note.len() <= budget {
                out.push_str(&note);
            }
            break;
        }
        out.push_str(section);
    }
    out
}

fn sections(record: &RunRecord, grade: &Grade, lang: Lang) -> Vec<String> {
    let mut all = vec![head(record, grade, lang)];
    let full = |check: &CheckRecord| full(record, check, lang);
    let failed = order::worst_first(record, Verdict::Fail);
    all.extend(headed(pick(lang, "Failed", "Fallan"), &failed, full));
    let undecided = order::worst_first(record, Verdict::Error);
    all.extend(headed(pick(lang, "Undecided", "Sin decidir"), &undecided, full));
    all.extend(list(pick(lang, "Skipped", "Omitidas"), record, lang, |c| c.verdict == Verdict::Skip));
    all.extend(list(pick(lang, "Passed", "Pasan"), record, lang, |c| c.verdict == Verdict::Pass));
    let observations: Vec<_> = record.checks.iter().filter(|c| c.is_observation()).collect();
    let name = pick(lang, "Observations, no points", "Observaciones, sin puntos");
    all.extend(headed(name, &observations, |c| brief(c, lang)));
    all.extend(drills::table(record, lang));
    all.extend(judged(record, lang));
    all.push(foot(record, lang));
    all
}

/// A section for each check, the first under a heading for all.
fn headed(name: &str, checks: &[&CheckRecord], one: impl Fn(&CheckRecord) -> String) -> Vec<String> {
    let heading = |n: usize| if n == 0 { format!("### {name} ({})\n\n", checks.len()) } else { String::new() };
    checks.iter().enumerate().map(|(n, check)| heading(n) + &one(check)).collect()
}

fn md(text: &str) -> String {
    sanitize::markdown(text, LINE)
}

fn head(record: &RunRecord, grade: &Grade, lang: Lang) -> String {
    let mark = match grade {
        Grade { lost: 1.., .. } => "❌",
        Grade { is_final: true, .. } => "✅",
        // All that is open is for people to judge.
        Grade { undecided: 0, .. } if grade.manual.pending > 0 && !record.interrupted => "📝",
        _ => "⚠️",
    };
    let mut out =
        format!("## {}\n\n", md(&format!("{} · {}", record.scenario.title.get(lang), record.submission.name)));
    out.push_str(&format!("{mark} **{}**\n\n", md(&words::headline(record, grade, lang))));
    if let Some(mark) = words::scaled(record, grade, lang) {
        out.push_str(&format!("{}: **{}**\n\n", pick(lang, "Mark", "Nota"), md(&mark)));
    }
    let commit = record.submission.source.as_ref().and_then(|source| source.commit(lang));
    let mut items: Vec<String> = commit.map(|commit| format!("commit: {commit}")).into_iter().collect();
    let handed_in = record.submission.handed_in.iter();
    items.extend(handed_in.map(|it| format!("{}: {}", pick(lang, "handed in", "entregado"), it.said(lang))));
    items.extend(words::withheld(record, lang));
    let machines = served::machines(record, lang);
    items.extend(machines.map(|it| format!("{}: {it}", pick(lang, "machines", "máquinas"))));
    items.extend(served::stand_ins(record, lang));
    items.extend(served::boxes_taken(record, lang));
    items.extend(served::boxes_missing(record, lang));
    items.extend(record.overrides.iter().chain(&record.errors).map(|text| text.get(lang).to_owned()));
    items.extend(record.notices.iter().map(|notice| {
        let at = notice.at.as_ref().map(|at| format!("{}:{}: ", at.file, at.line)).unwrap_or_default();
        format!("{at}{}", notice.text.get(lang))
    }));
    items.iter().for_each(|item| out.push_str(&format!("- {}\n", md(item))));
    let roots = order::worst_first(record, Verdict::Fail).len() + order::worst_first(record, Verdict::Error).len();
    if roots > annotations::MOST {
        let most = annotations::MOST;
        out.push_str(&match lang {
            Lang::En => format!("- annotated are the {most} that cost most, of {roots}\n"),
            Lang::Es => format!("- se anotan las {most} que más cuestan, de {roots}\n"),
        });
    }
    out.push('\n');
    out
}

/// A check that failed or could not be decided.
fn full(record: &RunRecord, check: &CheckRecord, lang: Lang) -> String {
    let mark = if check.verdict == Verdict::Fail { "❌" } else { "⚠️" };
    let (id, cost, title) = (md(&check.id), words::cost(check, lang), md(check.title.get(lang)));
    let mut out = format!("#### {mark} {id} ({cost}): {title}\n\n");
    let said = check.explanation.get(lang);
    if !said.is_empty() {
        out.push_str(&format!("{}\n\n", md(said)));
    }
    if let Some(hint) = check.hint.as_ref().filter(|_| check.verdict == Verdict::Fail) {
        out.push_str(&format!("**{}:** {}\n\n", pick(lang, "Hint", "Sugerencia"), md(hint.get(lang))));
    }
    for look in &check.look_at {
        let (place, what) = (md(&words::place_of(look)), md(look.what.get(lang)));
        out.push_str(&format!("- {}: {place}: {what}\n", words::look_at(lang)));
    }
    if !check.look_at.is_empty() {
        out.push('\n');
    }
    let behind: Vec<_> =
        order::behind(record, check).map(|c| md(&format!("{} {}", c.id, words::cost(c, lang)))).collect();
    if !behind.is_empty() {
        let because = pick(lang, "Skipped because of it", "Omitidas por ello");
        out.push_str(&format!("{because}: {}\n\n", behind.join(", ")));
    }
    let files = check.evidence.iter().map(|file| format!("- {}\n", md(&format!("{}/{file}", record.folder))));
    let files: String = files.collect();
    if !files.is_empty() {
        out.push_str(&format!("{files}\n"));
    }
    let details = sanitize::html(&sanitize::cap(&about(check, lang), DETAILS));
    let name = pick(lang, "details", "detalles");
    // A line of HTML and not of Markdown until `</pre>`, which nothing in it can say.
    out.push_str(&format!("<details><summary>{name}</summary>\n\n<pre>\n{details}\n</pre>\n\n</details>\n\n"));
    out
}

fn brief(check: &CheckRecord, lang: Lang) -> String {
    let said = match check.verdict {
        Verdict::Pass => String::new(),
        Verdict::Skip => words::skipped_because(check, lang),
        Verdict::Fail | Verdict::Error => check.explanation.get(lang).to_owned(),
    };
    let said = if said.is_empty() { said } else { format!(": {}", md(&said)) };
    let (verdict, title) = (words::verdict(check.verdict, lang), md(check.title.get(lang)));
    format!("- {} ({verdict}) {title}{said}\n", md(&check.id))
}

/// A section with a line for each of the checks that count and are meant.
fn list(name: &str, record: &RunRecord, lang: Lang, meant: impl Fn(&CheckRecord) -> bool) -> Option<String> {
    let checks: Vec<_> = record.checks.iter().filter(|c| !c.is_observation() && meant(c)).collect();
    if checks.is_empty() {
        return None;
    }
    let mut out = format!("### {name} ({})\n\n", checks.len());
    for check in checks {
        let why = match check.verdict {
            Verdict::Skip => format!(": {}", md(&words::skipped_because(check, lang))),
            _ => String::new(),
        };
        let (id, cost, title) = (md(&check.id), words::cost(check, lang), md(check.title.get(lang)));
        out.push_str(&format!("- {id} ({cost}) {title}{why}\n"));
    }
    out.push('\n');
    Some(out)
}

/// What people judge: a line each, with level and comment.
fn judged(record: &RunRecord, lang: Lang) -> Option<String> {
    if record.manual.is_empty() {
        return None;
    }
    let line = |criterion: &ManualRecord| {
        let (id, title) = (md(&criterion.id), md(criterion.title.get(lang)));
        let level = words::level(criterion, lang).map(|level| format!(": **{}**", md(level))).unwrap_or_default();
        let comment = criterion.mark.as_ref().map(|mark| md(&mark.comment)).filter(|comment| !comment.is_empty());
        let comment = comment.map(|comment| format!(". {comment}")).unwrap_or_default();
        format!("- {id} ({}) {title}{level}{comment}\n", words::given(criterion, lang))
    };
    let name = pick(lang, "Judged by people", "Lo que juzgan personas");
    let lines: String = record.manual.iter().map(line).collect();
    Some(format!("### {name} ({})\n\n{lines}\n", record.manual.len()))
}

fn foot(record: &RunRecord, lang: Lang) -> String {
    let took = words::duration(record.elapsed_ms);
    let said = format!("imparcial {} · {} · {took} · {}", record.imparcial, record.run, words::place(record, lang));
    format!("\n{}\n", md(&said))
}

#[cfg(test)]
mod tests;

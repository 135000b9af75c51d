//! The report for people: whose fault first, by the points that it costs, with what was expected, what was seen, why it
//! matters and what to do. Made for a terminal of any width, readable without colour; as `report.txt` in the run's folder.

mod checks;
pub mod compared;
mod drills;
mod judged;
mod page;

use self::page::Page;
use super::words::{self, pick};
use super::{FORMATS, Format, RenderError, served};
use crate::grade::{Grade, grade};
use crate::notice::Level;
use crate::record::RunRecord;
use crate::text::Lang;

pub use self::page::Style;

pub static FORMAT: Format = Format {
    name: "text",
    file_name: Some("report.txt"),
    summary: "what people read, as in a terminal",
    render: |record, grade, lang| Ok::<_, RenderError>(text(record, grade, lang, Style::default()).into_bytes()),
};

/// The report as a person asks for it: in this width, with colour or without.
pub fn show(record: &RunRecord, lang: Lang, style: Style) -> String {
    text(record, &grade(record), lang, style)
}

fn text(record: &RunRecord, grade: &Grade, lang: Lang, style: Style) -> String {
    let mut page = Page::new(style);
    header(&mut page, record, lang);
    page.headline(&words::headline(record, grade, lang), grade);
    checks::all(&mut page, record, lang);
    drills::all(&mut page, record, lang);
    judged::all(&mut page, record, lang);
    points(&mut page, record, grade, lang);
    times(&mut page, record, lang);
    files(&mut page, record, lang);
    page.finish()
}

fn header(page: &mut Page, record: &RunRecord, lang: Lang) {
    let run = pick(lang, "run", "ejecución");
    let started = record.started.replace('T', " ").replace('Z', " UTC");
    page.title(&format!("imparcial {} · {run} {} · {started}", record.imparcial, record.run));
    let scenario = &record.scenario;
    page.field(pick(lang, "scenario", "escenario"), &format!("{} ({})", scenario.title.get(lang), scenario.file));
    let submission = &record.submission;
    let nothing = pick(lang, "no compose file", "sin archivo compose");
    let compose = submission.compose_file.as_deref().unwrap_or(nothing);
    let vagrantfile = submission.vagrantfile.iter().map(|file| format!(", {file}")).collect::<String>();
    let files = format!("{} ({}, {compose}{vagrantfile})", submission.name, submission.path);
    page.field(pick(lang, "submission", "entrega"), &files);
    if let Some(commit) = submission.source.as_ref().and_then(|source| source.commit(lang)) {
        page.field("commit", &commit);
    }
    if let Some(handed_in) = &submission.handed_in {
        page.field(pick(lang, "handed in", "entregado"), &handed_in.said(lang));
    }
    if let Some(withheld) = words::withheld(record, lang) {
        page.field(pick(lang, "shown", "se muestra"), &withheld);
    }
    page.field(pick(lang, "place", "lugar"), &words::place(record, lang));
    for role in &record.roles {
        let service = role.service.as_deref().unwrap_or(pick(lang, "none", "ninguno"));
        page.field(pick(lang, "role", "rol"), &format!("{} = {service}: {}", role.role, role.why.get(lang)));
    }
    if let Some(machines) = served::machines(record, lang) {
        page.field(pick(lang, "machines", "máquinas"), &machines);
    }
    for stand_in in served::stand_ins(record, lang) {
        page.field(pick(lang, "stand-in", "sustituto"), &stand_in);
    }
    for taken in served::boxes_taken(record, lang) {
        page.field("box", &taken);
    }
    for image in record.images.iter().filter(|i| i.missing.is_some()) {
        let why = image.missing.as_ref().map_or("", |text| text.get(lang));
        page.field(pick(lang, "no image", "sin imagen"), &format!("{} ({}): {why}", image.service, image.reference));
    }
    for missing in served::boxes_missing(record, lang) {
        page.field(pick(lang, "no node", "sin nodo"), &missing);
    }
    for applied in &record.overrides {
        page.field(pick(lang, "override", "ajuste"), applied.get(lang));
    }
    for notice in &record.notices {
        let level = match notice.level {
            Level::Info => pick(lang, "note", "nota"),
            Level::Warning => pick(lang, "warning", "aviso"),
            Level::Problem => pick(lang, "problem", "problema"),
        };
        let at = notice.at.as_ref().map(|at| format!("{}:{}: ", at.file, at.line)).unwrap_or_default();
        page.field(level, &format!("{at}{}", notice.text.get(lang)));
    }
    for error in &record.errors {
        page.field(pick(lang, "trouble", "incidencia"), error.get(lang));
    }
}

fn points(page: &mut Page, record: &RunRecord, grade: &Grade, lang: Lang) {
    page.heading(pick(lang, "Points", "Puntos"));
    let total = grade.total();
    let pending = (pick(lang, "pending", "pendientes"), total.pending);
    let rows = [
        Some((pick(lang, "earned", "obtenidos"), total.earned)),
        Some((pick(lang, "lost", "perdidos"), total.lost)),
        Some((pick(lang, "undecided", "sin decidir"), total.undecided)),
        (!record.manual.is_empty()).then_some(pending),
        Some((pick(lang, "all", "total"), total.points)),
    ];
    for (name, value) in rows.into_iter().flatten() {
        page.row(name, &format!("{:>7}", words::points(value)));
    }
    let yes = if grade.is_final { pick(lang, "yes", "sí") } else { pick(lang, "no", "no") };
    page.row(pick(lang, "final", "definitivo"), &format!("{yes:>7}"));
    if let Some(mark) = words::scaled(record, grade, lang) {
        page.row(pick(lang, "mark", "nota"), &format!("    {mark}"));
    }
    if !record.manual.is_empty() {
        judged::parts(page, grade, lang);
    }
    let share = grade.decided_permille();
    page.row(pick(lang, "decided", "decidido"), &format!("{:>5}.{} %", share / 10, share % 10));
}

fn times(page: &mut Page, record: &RunRecord, lang: Lang) {
    page.heading(pick(lang, "Times", "Tiempos"));
    for phase in &record.phases {
        let detail = phase.detail.get(lang);
        let detail = if detail.is_empty() { String::new() } else { format!(" · {detail}") };
        page.row(words::phase(&phase.name, lang), &format!("{:>11}{detail}", words::duration(phase.elapsed_ms)));
    }
    page.row(pick(lang, "whole run", "en total"), &format!("{:>11}", words::duration(record.elapsed_ms)));
}

fn files(page: &mut Page, record: &RunRecord, lang: Lang) {
    page.heading(pick(lang, "Reports", "Informes"));
    for file_name in FORMATS.iter().filter_map(|format| format.file_name) {
        page.path(&format!("{}/{file_name}", record.folder));
    }
    let evidence = record.all_evidence();
    if !evidence.is_empty() {
        let count = evidence.len();
        let files = match (lang, count) {
            (Lang::En, 1) => "1 file".to_owned(),
            (Lang::En, _) => format!("{count} files"),
            (Lang::Es, 1) => "1 archivo".to_owned(),
            (Lang::Es, _) => format!("{count} archivos"),
        };
        page.path(&format!("{}/evidence/  ({files})", record.folder));
    }
}

#[cfg(test)]
mod tests;

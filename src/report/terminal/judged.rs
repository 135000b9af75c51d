//! What people judge: the criteria with their levels and comments, and how the points part between checks and people.

use super::page::{Color, Page};
use crate::grade::Grade;
use crate::record::{ManualRecord, RunRecord};
use crate::report::words::{self, pick};
use crate::text::Lang;

pub(super) fn all(page: &mut Page, record: &RunRecord, lang: Lang) {
    if record.manual.is_empty() {
        return;
    }
    let name = pick(lang, "Judged by people", "Lo que juzgan personas");
    page.heading(&format!("{name} ({})", record.manual.len()));
    for criterion in &record.manual {
        one(page, criterion, lang);
    }
}

fn one(page: &mut Page, criterion: &ManualRecord, lang: Lang) {
    let (mark, color) = match &criterion.mark {
        None => ("·", Color::Yellow),
        Some(mark) if mark.points >= criterion.points => ("✓", Color::Green),
        Some(mark) if mark.points == 0 => ("✗", Color::Red),
        Some(_) => ("~", Color::Yellow),
    };
    let text = format!("({})  {}", words::given(criterion, lang), criterion.title.get(lang));
    page.item(mark, color, &criterion.id, &text);
    page.detail(pick(lang, "level", "nivel"), words::level(criterion, lang).unwrap_or_default());
    let comment = criterion.mark.as_ref().map_or("", |mark| mark.comment.as_str());
    page.detail(pick(lang, "comment", "comentario"), comment);
}

/// Whose points are whose.
pub(super) fn parts(page: &mut Page, grade: &Grade, lang: Lang) {
    let people = &grade.manual;
    let [all, earned, lost, undecided] = [grade.points, grade.earned, grade.lost, grade.undecided].map(words::points);
    let [theirs, given, taken, pending] =
        [people.points, people.earned, people.lost, people.pending].map(words::points);
    let (checks, judged) = match lang {
        Lang::En => (
            format!("{earned} of {all} earned, {lost} lost, {undecided} undecided"),
            format!("{given} of {theirs} earned, {taken} lost, {pending} pending"),
        ),
        Lang::Es => (
            format!("{earned} de {all} obtenidos, {lost} perdidos, {undecided} sin decidir"),
            format!("{given} de {theirs} obtenidos, {taken} perdidos, {pending} pendientes"),
        ),
    };
    page.row(pick(lang, "by checks", "verificado"), &format!("    {checks}"));
    page.row(pick(lang, "by people", "juzgado"), &format!("    {judged}"));
}

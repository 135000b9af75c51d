//! What a person gave, read from a table (CSV) as spreadsheets write it: rows of `submission,criterion,level,comment`.
//!
//! One file may hold the marks of a whole class: rows of other submissions are passed over. All mistakes of the rows that count
//! are told at once, each with its line; where there is one, no mark of the file is used, and nothing is held against the
//! submission.

mod table;

use super::manual::{ManualRecord, Mark};
use crate::nearest;
use crate::sanitize;
use crate::text::{Lang, Text};

use self::table::{Column, Row};

/// The longest comment, in bytes.
const COMMENT: usize = 4000;

/// Something wrong with a file of marks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// From 1; 0 is the file as a whole.
    pub line: u64,
    pub text: Text,
}

impl Mistake {
    fn new(line: u64, en: impl Into<String>, es: impl Into<String>) -> Self {
        Self { line, text: Text::new(en, es) }
    }

    /// `marks.csv:3: …`.
    pub fn show(&self, file: &str, lang: Lang) -> String {
        let line = if self.line == 0 { String::new() } else { format!(":{}", self.line) };
        format!("{file}{line}: {}", self.text.get(lang))
    }
}

/// The marks of one submission.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// By the criterion's id.
    given: Vec<(String, Mark)>,
    /// Names of other submissions that have rows, where this one has none.
    others: Vec<String>,
}

impl Marks {
    /// Gives the marks to their criteria; a criterion that the file says nothing of keeps what it had.
    pub fn apply(&self, criteria: &mut [ManualRecord]) {
        for (id, mark) in &self.given {
            if let Some(criterion) = criteria.iter_mut().find(|c| c.id == *id) {
                criterion.mark = Some(mark.clone());
            }
        }
    }

    /// What there is to say where the file has rows, and none for this submission. It names others: for the teacher alone.
    pub fn notice(&self, submission: &str) -> Option<Text> {
        if self.others.is_empty() {
            return None;
        }
        let near = nearest::text(submission, self.others.iter().map(String::as_str).take(10));
        let name = sanitize::line(submission, 80);
        Some(Text::new(
            format!("no row of the marks is for `{name}`: {}", near.en),
            format!("ninguna fila de las notas es de `{name}`: {}", near.es),
        ))
    }
}

/// Reads the marks of `submission` from a file's bytes.
///
/// # Errors
/// Every mistake of the table and of the rows that count, in the order of their lines.
pub fn read(bytes: &[u8], criteria: &[ManualRecord], submission: &str) -> Result<Marks, Vec<Mistake>> {
    if criteria.is_empty() {
        return Err(vec![Mistake::new(
            0,
            "the scenario has no criteria that people judge (`manual:`)",
            "el escenario no tiene criterios que juzguen personas (`manual:`)",
        )]);
    }
    let (rows, mut mistakes) = table::read(bytes);
    let mut marks = Marks::default();
    let mut lines: Vec<(&str, u64)> = Vec::new();
    for row in &rows {
        let whose = row.get(Column::Submission);
        if whose != submission {
            let other = sanitize::line(whose, 80);
            if !other.is_empty() && !marks.others.contains(&other) {
                marks.others.push(other);
            }
            if whose.is_empty() {
                mistakes.push(Mistake::new(
                    row.line,
                    "the row does not say whose it is: `submission` is empty",
                    "la fila no dice de quién es: `entrega` está vacía",
                ));
            }
            continue;
        }
        match criterion(row, criteria) {
            Err(mistake) => mistakes.push(mistake),
            Ok(criterion) => {
                if let Some((_, other)) = lines.iter().find(|(id, _)| *id == criterion.id) {
                    let id = &criterion.id;
                    mistakes.push(Mistake::new(
                        row.line,
                        format!("`{id}` is marked twice for `{submission}`: line {other} has it too"),
                        format!("`{id}` tiene dos notas para `{submission}`: la línea {other} también la trae"),
                    ));
                }
                lines.push((&criterion.id, row.line));
                match mark(row, criterion) {
                    Err(mistake) => mistakes.push(mistake),
                    Ok(mark) => marks.given.extend(mark.map(|mark| (criterion.id.clone(), mark))),
                }
            }
        }
    }
    if !lines.is_empty() {
        marks.others.clear();
    }
    mistakes.sort_by_key(|mistake| mistake.line);
    if mistakes.is_empty() { Ok(marks) } else { Err(mistakes) }
}

fn criterion<'a>(row: &Row, criteria: &'a [ManualRecord]) -> Result<&'a ManualRecord, Mistake> {
    let typed = row.get(Column::Criterion);
    if let Some(found) = criteria.iter().find(|c| c.id == typed) {
        return Ok(found);
    }
    let hint = nearest::text(typed, criteria.iter().map(|c| c.id.as_str()));
    let typed = sanitize::line(typed, 80);
    Err(match typed.is_empty() {
        true => Mistake::new(
            row.line,
            format!("the row names no criterion: {}", hint.en),
            format!("la fila no nombra ningún criterio: {}", hint.es),
        ),
        false => Mistake::new(
            row.line,
            format!("the scenario has no criterion `{typed}`: {}", hint.en),
            format!("el escenario no tiene el criterio `{typed}`: {}", hint.es),
        ),
    })
}

/// The level by its name or by what people call it, in any case; none where the row is still to be filled in.
fn mark(row: &Row, criterion: &ManualRecord) -> Result<Option<Mark>, Mistake> {
    let (typed, comment) = (row.get(Column::Level), row.get(Column::Comment));
    let id = &criterion.id;
    if typed.is_empty() && comment.is_empty() {
        return Ok(None);
    }
    if typed.is_empty() {
        return Err(Mistake::new(
            row.line,
            format!("`{id}` has a comment and no level"),
            format!("`{id}` tiene comentario y no tiene nivel"),
        ));
    }
    let plain = typed.to_lowercase();
    let called = |name: &str| name.to_lowercase() == plain;
    let level = criterion.levels.iter().find(|l| called(&l.name) || called(&l.title.en) || called(&l.title.es));
    let Some(level) = level else {
        let hint = nearest::text(typed, criterion.levels.iter().map(|l| l.name.as_str()));
        let typed = sanitize::line(typed, 80);
        return Err(Mistake::new(
            row.line,
            format!("`{id}` has no level `{typed}`: {}", hint.en),
            format!("`{id}` no tiene el nivel `{typed}`: {}", hint.es),
        ));
    };
    let comment = sanitize::cap(comment, COMMENT);
    Ok(Some(Mark { level: level.name.clone(), points: level.points, comment }))
}

#[cfg(test)]
mod tests;

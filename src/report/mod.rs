//! Reports: a record and its grade in, bytes out. Pure, but for [`write_all`].
//!
//! Adding a format: one file with its `FORMAT`, a `mod` line and a row in [`FORMATS`]. `--format`, the file in the run's
//! folder and the documentation follow from the row.

mod about;
pub mod compared;
mod drills;
pub mod github;
pub mod json;
pub mod junit;
mod order;
mod served;
pub mod terminal;
mod words;

pub use about::about;
pub use words::{phase, skipped_because};

use std::os::unix::fs::PermissionsExt;

use crate::grade::{Grade, grade};
use crate::record::{Audience, RunFolder, RunRecord, StoreError, shown_to};
use crate::text::{Lang, Text};

/// Every format, in the order in which they are written.
pub static FORMATS: &[&Format] = &[
    &json::FORMAT,
    &junit::FORMAT,
    &terminal::FORMAT,
    &junit::strict::FORMAT,
    &github::FORMAT,
    &github::annotations::FORMAT,
];

/// A row of the table: a way to show a run.
pub struct Format {
    pub name: &'static str,
    /// Its file in the run's folder; `None` where it is made when asked for.
    pub file_name: Option<&'static str>,
    pub summary: &'static str,
    pub render: fn(&RunRecord, &Grade, Lang) -> Result<Vec<u8>, RenderError>,
}

pub fn format(name: &str) -> Option<&'static Format> {
    FORMATS.iter().copied().find(|f| f.name == name)
}

/// A report could not be made from a record: a mistake of ours.
#[derive(Debug, thiserror::Error)]
#[error("could not render {format}: {message}")]
pub struct RenderError {
    pub format: &'static str,
    pub message: String,
}

#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error(transparent)]
    Render(#[from] RenderError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl WriteError {
    /// For people: what was tried, what happened, what to do.
    pub fn text(&self) -> Text {
        match self {
            Self::Store(error) => error.text(),
            Self::Render(error) => Text::new(
                format!("{error}\nhint: this is a bug of imparcial's; the record is whole"),
                format!("{error}\nsugerencia: es un fallo de imparcial; el registro está completo"),
            ),
        }
    }
}

/// Writes what the run's folder holds of reports and, if all could be, points `reports/latest` at it. One that fails does
/// not keep the others from being written.
///
/// # Errors
/// The first of what could not be rendered or written.
pub fn write_all(folder: &RunFolder, record: &RunRecord, lang: Lang) -> Result<(), WriteError> {
    write(folder, record, lang)?;
    // A run whose reports are not whole is not what `latest` should lead to.
    Ok(folder.link_latest()?)
}

/// Writes the same for somebody who may not see all of it, into a folder of its own in the run's: whole, with the evidence
/// that may be seen, and with nothing else in it. Gives the record as it is there.
///
/// # Errors
/// The first of what could not be made, rendered or written.
pub fn write_for(
    folder: &RunFolder,
    record: &RunRecord,
    audience: Audience,
    lang: Lang,
) -> Result<RunRecord, WriteError> {
    let shown = shown_to(record, audience);
    if shown.audience == Audience::Teacher {
        return Ok(folder.named(&shown));
    }
    let part = folder.part(shown.audience, &shown.all_evidence())?;
    write(&part, &shown, lang)?;
    Ok(part.named(&shown))
}

/// Where a run's own folder could not be written, its record and reports go to one among the temporary files instead, without
/// evidence: what was found out in minutes is not lost to a full disk. It is the teacher's, so nobody else may look into it.
pub fn rescue(record: &RunRecord, lang: Lang) -> Option<RunRecord> {
    let folder = RunFolder::create(&std::env::temp_dir(), &format!("imparcial-{}", record.run)).ok()?;
    // Nothing is in it yet.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).ok()?;
    let mut record = RunRecord { evidence: Vec::new(), ..record.clone() };
    for check in &mut record.checks {
        check.evidence.clear();
    }
    write(&folder, &record, lang).ok()?;
    Some(folder.named(&record))
}

/// Writes the record and the reports that a run's folder holds, `latest` left as it is.
///
/// # Errors
/// The first of what could not be rendered or written.
pub fn write(folder: &RunFolder, record: &RunRecord, lang: Lang) -> Result<(), WriteError> {
    let record = folder.named(record);
    let grade = grade(&record);
    let mut first = Ok(());
    for format in FORMATS {
        let Some(file_name) = format.file_name else { continue };
        let written = (format.render)(&record, &grade, lang).map_err(WriteError::from);
        let written = written.and_then(|bytes| Ok(folder.write(file_name, &bytes)?));
        first = first.and(written);
    }
    first
}

#[cfg(test)]
mod tests;

//! What `grade` does besides in a job of GitHub Actions: the job's summary, annotations, and a log in which nothing that a
//! submission prints is a workflow command.

use std::fs::OpenOptions;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::screen;
use crate::record::RunRecord;
use crate::report::github;
use crate::text::Lang;

/// A log in which workflow commands are off until it is dropped. Reports are clean by themselves; this holds for all else
/// that a step prints meanwhile.
pub struct Hushed(Option<String>);

impl Hushed {
    /// In a job of GitHub Actions; elsewhere nothing is printed.
    pub fn begin() -> Self {
        let in_actions = std::env::var("GITHUB_ACTIONS").is_ok_and(|value| value == "true");
        let token = in_actions.then(token);
        if let Some(token) = &token {
            // What cannot be written is said when the report cannot.
            let _ = screen::put(format!("::stop-commands::{token}\n").as_bytes());
        }
        Self(token)
    }

    /// Commands are on again, and the annotations are printed.
    pub fn annotate(mut self, record: &RunRecord, lang: Lang) {
        if self.end() {
            let _ = screen::put(github::annotations::commands(record, lang).as_bytes());
        }
    }

    fn end(&mut self) -> bool {
        let Some(token) = self.0.take() else { return false };
        let _ = screen::put(format!("::{token}::\n").as_bytes());
        true
    }
}

impl Drop for Hushed {
    fn drop(&mut self) {
        self.end();
    }
}

/// What nobody who is graded can guess: the standard library's keys for hashing come from the kernel.
fn token() -> String {
    [(); 2].map(|()| format!("{:016x}", RandomState::new().hash_one(std::process::id()))).concat()
}

/// Appends to the job's summary where `GITHUB_STEP_SUMMARY` names it, so that the step's stays within what GitHub takes.
///
/// # Errors
/// The file, with what keeps it from being written.
pub fn summarise(record: &RunRecord, lang: Lang) -> Result<(), (PathBuf, io::Error)> {
    let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()).map(PathBuf::from) else {
        return Ok(());
    };
    append(&path, record, lang).map_err(|error| (path, error))
}

fn append(path: &Path, record: &RunRecord, lang: Lang) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    let taken = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    file.write_all(github::within(record, lang, github::LIMIT.saturating_sub(taken)).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::fixture;

    #[test]
    fn what_others_wrote_stays_and_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("summary.md");
        let before = "x".repeat(github::LIMIT - 1_000);
        std::fs::write(&path, &before).unwrap();
        append(&path, &fixture::typical(), Lang::En).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.len() <= github::LIMIT && text.starts_with(&before), "{}", text.len());
        assert!(text[before.len()..].contains("10 of 60 points earned"), "the first section fits");
        assert!(text.ends_with("the run's folder has them._\n"));
    }

    #[test]
    fn no_two_tokens_are_the_same() {
        let (one, two) = (token(), token());
        assert!(one != two && one.len() == 32 && one.chars().all(|c| c.is_ascii_hexdigit()), "{one} {two}");
    }
}

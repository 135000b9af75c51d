//! The SQL that is given to nobody: which of it the app's database would be made of.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::text;
use crate::submission::Submission;

const MAX_CODE_FILES: usize = 300;

/// SQL that creates tables and is given to nobody. Where the code names tables, only what creates those: a delivery may hold
/// the dumps of other exercises too.
pub(super) fn found(submission: &Submission, given: &[PathBuf]) -> Vec<PathBuf> {
    let others = submission.sql.iter().filter(|path| !given.contains(path));
    let creating: Vec<(&PathBuf, Vec<String>)> =
        others.filter_map(|path| Some((path, created_by(&submission.root.join(path))?))).collect();
    if creating.len() < 2 {
        return creating.into_iter().map(|(path, _)| path.clone()).collect();
    }
    let mut words = BTreeSet::new();
    for file in submission.code.iter().take(MAX_CODE_FILES) {
        let text = submission.code_text(file).unwrap_or_default().to_ascii_lowercase();
        words.extend(text.split(|c: char| !(c.is_alphanumeric() || c == '_')).map(str::to_owned));
    }
    let named = |tables: &[String]| tables.iter().any(|table| words.contains(table));
    let any = creating.iter().any(|(_, tables)| named(tables));
    creating.into_iter().filter(|(_, tables)| !any || named(tables)).map(|(path, _)| path.clone()).collect()
}

/// The tables that a script creates, in small letters; none if it creates none. Compressed dumps are taken to create some:
/// that is what dumps are for.
fn created_by(path: &Path) -> Option<Vec<String>> {
    if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gz")) {
        return Some(Vec::new());
    }
    let text = text(path).ok()?.to_ascii_lowercase();
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || "(;`\"/".contains(c)).filter(|w| !w.is_empty()).collect();
    let mut tables = Vec::new();
    for (i, pair) in words.windows(2).enumerate() {
        if pair == ["create", "table"] {
            let mut rest =
                words[i + 2..].iter().skip_while(|word| matches!(**word, "if" | "not" | "exists")).peekable();
            // `shop.items`, and the quoted `shop`.`items`, whose dot stands alone here.
            let mut name = rest.next().copied().unwrap_or_default();
            if rest.next_if(|word| **word == ".").is_some() {
                name = rest.next().copied().unwrap_or_default();
            }
            tables.push(name.rsplit('.').next().unwrap_or_default().to_owned());
        }
    }
    (!tables.is_empty()).then_some(tables)
}

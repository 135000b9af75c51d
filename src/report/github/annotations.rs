//! GitHub's annotations: one workflow command for each check that failed or could not be decided, the costliest first.
//!
//! GitHub shows ten of a step and drops the rest without a word, in the order of printing; so no more are printed. What a
//! check hides is said by its root.

use std::path::Path;

use crate::grade::Grade;
use crate::record::{CheckRecord, RunRecord, Verdict};
use crate::report::words::{self, pick};
use crate::report::{Format, RenderError, order};
use crate::sanitize;
use crate::text::Lang;

pub static FORMAT: Format = Format {
    name: "github-annotations",
    file_name: None,
    summary: "GitHub's annotations, as workflow commands",
    render: |record, _: &Grade, lang| Ok::<_, RenderError>(commands(record, lang).into_bytes()),
};

/// As many as GitHub shows.
pub const MOST: usize = 10;
/// In characters; GitHub cuts at 4 KiB.
const MESSAGE: usize = 1000;
const PROPERTY: usize = 200;

/// The commands, one a line.
pub fn commands(record: &RunRecord, lang: Lang) -> String {
    let failed = order::worst_first(record, Verdict::Fail);
    let undecided = order::worst_first(record, Verdict::Error);
    failed.into_iter().chain(undecided).take(MOST).map(|check| command(record, check, lang)).collect()
}

fn command(record: &RunRecord, check: &CheckRecord, lang: Lang) -> String {
    // An undecided check is nobody's mistake.
    let level = if check.verdict == Verdict::Fail { "error" } else { "warning" };
    let property = |text: &str| sanitize::command_property(&sanitize::line(text, PROPERTY));
    let (file, line) = place(record, check);
    // Unlike a title, a path that is cut is none.
    let file = sanitize::command_property(&sanitize::line(&file, MESSAGE));
    let title = property(&format!("{} ({}): {}", check.id, words::cost(check, lang), check.title.get(lang)));
    let mut lines = vec![sanitize::line(check.explanation.get(lang), MESSAGE)];
    if let Some(hint) = check.hint.as_ref().filter(|_| check.verdict == Verdict::Fail) {
        let label = pick(lang, "hint", "sugerencia");
        lines.push(format!("{label}: {}", sanitize::line(hint.get(lang), MESSAGE)));
    }
    for look in &check.look_at {
        let place = format!("{}: {} {}", words::look_at(lang), words::place_of(look), look.what.get(lang));
        lines.push(sanitize::line(&place, MESSAGE));
    }
    let behind: Vec<_> = order::behind(record, check).map(|c| c.id.as_str()).collect();
    if !behind.is_empty() {
        let because = pick(lang, "skipped because of it", "omitidas por ello");
        lines.push(sanitize::line(&format!("{because}: {}", behind.join(", ")), MESSAGE));
    }
    lines.retain(|line| !line.is_empty());
    if lines.is_empty() {
        // Without a message there is no annotation.
        lines.push(words::verdict(check.verdict, lang).to_owned());
    }
    let message = sanitize::command(&lines.join("\n"));
    format!("::{level} file={file},line={line},title={title}::{message}\n")
}

/// The submission's own place, where it is known: that is what shows beside the code. GitHub's runner makes a path below
/// its workspace relative to the repository. Of an archive or another repository no file is there to show it at.
fn place(record: &RunRecord, check: &CheckRecord) -> (String, u32) {
    let Some(look) = check.look_at.first().filter(|_| record.submission.source.is_none()) else {
        return (check.at.file.clone(), check.at.line);
    };
    let root = Path::new(&record.submission.path);
    (root.join(&look.place.file).display().to_string(), look.place.line)
}

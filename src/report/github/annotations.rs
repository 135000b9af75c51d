//! GitHub's annotations: one workflow command for each check that failed or could not be decided, the costliest first.
//!
//! GitHub shows ten of a step and drops the rest without a word, in the order of printing; so no more are printed. What a
//! check hides is said by its root.

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
    let file = property(&check.at.file);
    let title = property(&format!("{} ({}): {}", check.id, words::cost(check, lang), check.title.get(lang)));
    let mut lines = vec![sanitize::line(check.explanation.get(lang), MESSAGE)];
    if let Some(hint) = check.hint.as_ref().filter(|_| check.verdict == Verdict::Fail) {
        let label = pick(lang, "hint", "sugerencia");
        lines.push(format!("{label}: {}", sanitize::line(hint.get(lang), MESSAGE)));
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
    format!("::{level} file={file},line={},title={title}::{message}\n", check.at.line)
}

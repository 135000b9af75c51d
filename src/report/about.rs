//! All that there is to say about one check, as text: the body of a JUnit failure, the message of a failed trial.

use super::words::{self, pick};
use crate::grade::{Outcome, outcome};
use crate::record::{CheckRecord, Verdict};
use crate::sanitize;
use crate::text::Lang;

/// All that there is to say about a check, for a person who sees only this.
pub fn about(check: &CheckRecord, lang: Lang) -> String {
    let mut lines = Vec::new();
    let mut add = |text: String| {
        if !text.is_empty() {
            lines.push(text);
        }
    };
    add(check.explanation.get(lang).to_owned());
    let (expected, observed) = (pick(lang, "expected", "esperado"), pick(lang, "observed", "observado"));
    for finding in check.findings.iter().filter(|f| !f.holds) {
        let [wanted, seen] = [&finding.expected, &finding.observed].map(|side| words::value(finding, side, lang));
        add(format!("{}\n  {expected}: {wanted}\n  {observed}: {seen}", words::fact(finding)));
    }
    for finding in check.findings.iter().filter(|f| f.holds) {
        add(format!("ok {} = {}", words::fact(finding), words::value(finding, &finding.observed, lang)));
    }
    add(words::looks(check, lang).unwrap_or_default());
    for note in &check.notes {
        add(note.get(lang).to_owned());
    }
    if check.verdict == Verdict::Error {
        add(format!(
            "{}: {}",
            pick(lang, "undecided because of", "sin decidir por"),
            words::reason(check.reason, lang)
        ));
        add(words::what_to_do(check.reason, lang).to_owned());
    }
    // A hint is for whoever handed it in: no help where the fault is ours.
    if let Some(hint) = check.hint.as_ref().filter(|_| check.verdict == Verdict::Fail) {
        add(format!("{}: {}", pick(lang, "hint", "sugerencia"), hint.get(lang)));
    }
    for look in &check.look_at {
        add(format!("{}: {}  {}", words::look_at(lang), words::place_of(look), look.what.get(lang)));
    }
    add(match outcome(check) {
        Outcome::Lost | Outcome::Partly => {
            format!("{}: {}", pick(lang, "points lost", "puntos perdidos"), words::lost(check, lang))
        }
        Outcome::Undecided => {
            format!("{}: {}", pick(lang, "points undecided", "puntos sin decidir"), words::points(check.points))
        }
        Outcome::Earned | Outcome::None => String::new(),
    });
    if check.verdict != Verdict::Pass && !check.at.file.is_empty() {
        add(format!("{}:{}", check.at.file, check.at.line));
    }
    sanitize::text(&lines.join("\n"))
}

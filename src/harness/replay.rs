//! What a check of a record is as a trial.

use crate::record::{CheckRecord, RunRecord, Verdict};
use crate::report;
use crate::sanitize;
use crate::text::Lang;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Replay {
    Pass,
    Fail(String),
    /// With the reason, on one line.
    Ignore(String),
}

/// The trial of one check. A skip is ignored where its root is among the trials `shown`, and fails where it was filtered out:
/// else nothing would show that points are lost. `nextest` shows what is ignored while it runs as passed: it fails there too.
pub(super) fn of(record: &RunRecord, id: &str, lang: Lang, shown: &[String], nextest: bool) -> Replay {
    let Some(check) = record.checks.iter().find(|c| c.id == id) else {
        let errors: Vec<_> = record.errors.iter().map(|e| e.get(lang)).collect();
        return Replay::Fail(sanitize::text(&format!(
            "the run ended before this was looked at\n{}",
            errors.join("\n")
        )));
    };
    if check.is_observation() {
        return observation(check, lang, nextest);
    }
    match check.verdict {
        Verdict::Pass => Replay::Pass,
        Verdict::Fail => Replay::Fail(text(record, check, lang)),
        Verdict::Error => Replay::Fail(format!("error: {}", text(record, check, lang))),
        Verdict::Skip if nextest || check.cause.as_ref().is_none_or(|cause| !shown.contains(&cause.check)) => {
            Replay::Fail(format!("skipped: {}", report::skipped_because(check, lang)))
        }
        Verdict::Skip => Replay::Ignore(sanitize::line(&report::skipped_because(check, lang), 200)),
    }
}

/// Worth nothing, so that it fails nothing.
fn observation(check: &CheckRecord, lang: Lang, nextest: bool) -> Replay {
    match check.verdict {
        Verdict::Pass => Replay::Pass,
        _ if nextest => Replay::Pass,
        Verdict::Skip => Replay::Ignore(sanitize::line(&report::skipped_because(check, lang), 200)),
        Verdict::Fail | Verdict::Error => {
            Replay::Ignore(sanitize::line(&format!("no points: {}", check.explanation.get(lang)), 200))
        }
    }
}

fn text(record: &RunRecord, check: &CheckRecord, lang: Lang) -> String {
    let mut text = report::about(check, lang);
    for evidence in &check.evidence {
        text.push_str(&format!("\n{}/{}", record.folder, sanitize::line(evidence, 300)));
    }
    text
}

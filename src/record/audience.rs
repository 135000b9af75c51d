//! A record as somebody may see it: what is not for them is not in it, so that no format can show it by mistake.
//!
//! A check's or criterion's `visibility` says who sees that it is there; its `details`, where that is less, who sees what was looked for
//! and seen. A check that is not seen is gone with its name, its evidence and its points; only how many such there are,
//! and what they are worth, is left. The mark of those that are seen says nothing about the others. Where anything is hidden,
//! so is what the services had logged after the checks: a hidden request stands in it.
//!
//! A drill is there for whoever sees one of its objectives. What was seen in it is the details of them all: where one is not
//! seen, or not with its details, its samples, events and ledger would tell what became of it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{CheckRecord, RunRecord, Verdict, store};
use crate::drill::DrillRecord;
use crate::text::Text;

/// Who reads: each sees what those before see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Who handed it in, while it may be handed in again.
    Student,
    /// The same, after the due date.
    AfterDue,
    #[default]
    Teacher,
}

impl Audience {
    /// As it is in a record, and in the name of the folder of what is written for them.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Student => "student",
            Self::AfterDue => "after_due",
            Self::Teacher => "teacher",
        }
    }

    /// What a word in a record means; a word that this imparcial does not know is for the teacher alone.
    fn of(word: &str) -> Self {
        [Self::Student, Self::AfterDue].into_iter().find(|a| a.name() == word).unwrap_or(Self::Teacher)
    }

    /// Whether it may see what is for this word of a record.
    pub fn sees(self, word: &str) -> bool {
        Self::of(word) <= self
    }

    /// For [`serde`]: a whole record does not say so.
    pub(super) fn is_teacher(&self) -> bool {
        *self == Self::Teacher
    }
}

/// What a record for somebody does not hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withheld {
    pub checks: usize,
    /// In 1/1000.
    pub points: u64,
}

impl Withheld {
    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// The record with nothing in it that `audience` may not see. One that was made for fewer eyes stays as it is.
pub fn shown_to(record: &RunRecord, audience: Audience) -> RunRecord {
    let mut shown = record.clone();
    if audience >= record.audience {
        return shown;
    }
    shown.audience = audience;
    shown.drills = std::mem::take(&mut shown.drills).into_iter().filter_map(|it| drill(it, record, audience)).collect();
    let (seen, hidden): (Vec<_>, Vec<_>) =
        std::mem::take(&mut shown.checks).into_iter().partition(|c| audience.sees(&c.visibility));
    let (judged, unseen): (Vec<_>, Vec<_>) =
        std::mem::take(&mut shown.manual).into_iter().partition(|c| audience.sees(&c.visibility));
    shown.manual = judged;
    let points = hidden.iter().map(|c| c.points).chain(unseen.iter().map(|c| c.points)).sum::<u64>();
    shown.withheld.checks += hidden.len() + unseen.len();
    shown.withheld.points += points;
    shown.scenario.points = shown.scenario.points.saturating_sub(points);
    let ids: BTreeSet<&str> = hidden.iter().map(|c| c.id.as_str()).collect();
    shown.checks = seen.into_iter().map(|check| one(check, &ids, audience)).collect();
    if !hidden.is_empty() || shown.checks.iter().any(|check| !shows_details(check, audience)) {
        let evidence = shown.checks.iter_mut().map(|check| &mut check.evidence);
        evidence.chain([&mut shown.evidence]).for_each(|files| files.retain(|file| !store::is_late(file)));
    }
    shown
}

/// A check that does not say who sees its details shows them to whom it is shown.
fn shows_details(check: &CheckRecord, audience: Audience) -> bool {
    check.details.is_empty() || audience.sees(&check.details)
}

/// A drill as far as it may be seen, if it may at all.
fn drill(drill: DrillRecord, record: &RunRecord, audience: Audience) -> Option<DrillRecord> {
    let objectives = || record.checks.iter().filter(|check| check.drill.as_ref() == Some(&drill.id));
    if !objectives().any(|check| audience.sees(&check.visibility)) {
        return None;
    }
    if objectives().all(|check| audience.sees(&check.visibility) && shows_details(check, audience)) {
        return Some(drill);
    }
    let DrillRecord { id, title, fault, started_ms, elapsed_ms, healed, .. } = drill;
    Some(DrillRecord { id, title, fault, started_ms, elapsed_ms, healed, ..DrillRecord::default() })
}

fn one(mut check: CheckRecord, hidden: &BTreeSet<&str>, audience: Audience) -> CheckRecord {
    if let Some(cause) = check.cause.as_mut().filter(|cause| hidden.contains(cause.check.as_str())) {
        cause.check.clear();
        check.explanation = Text::new(
            "not looked at, or not counted again, because of something that is not shown here",
            "no se miró, o no se cuenta aparte, por algo que aquí no se muestra",
        );
    }
    if !shows_details(&check, audience) {
        check.explanation = match check.verdict {
            Verdict::Fail | Verdict::Error => {
                Text::new("what was seen is not shown here", "lo que se vio no se muestra aquí")
            }
            Verdict::Pass | Verdict::Skip => Text::default(),
        };
        check.hint = None;
        // Where it is says what it is.
        check.look_at.clear();
        check.findings.clear();
        check.notes.clear();
        check.evidence.clear();
    }
    check
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grade::grade;
    use crate::record::fixture;

    #[test]
    fn each_sees_what_those_before_see() {
        let record = fixture::with_secrets();
        let ids = |audience| {
            let shown = shown_to(&record, audience);
            shown.checks.into_iter().map(|c| c.id).filter(|id| id.contains("SECRET")).collect::<Vec<_>>()
        };
        assert_eq!(ids(Audience::Student), [""; 0]);
        assert_eq!(ids(Audience::AfterDue), ["after-SECRET-due", "shared-SECRET"]);
        assert_eq!(ids(Audience::Teacher), ["after-SECRET-due", "teacher-SECRET", "shared-SECRET"]);
    }

    #[test]
    fn what_is_not_seen_is_in_no_sum_and_no_mark() {
        let record = fixture::with_secrets();
        let shown = shown_to(&record, Audience::Student);
        assert_eq!(shown.withheld, Withheld { checks: 4, points: 15_000 });
        let (all, some) = (grade(&record), grade(&shown));
        assert_eq!((some.points, some.lost), (all.points - 5_000, all.lost - 5_000));
        assert_eq!((some.manual.points, some.manual.lost), (20_000, 0), "nor what a person gave and they may not see");
        let mut other = record.clone();
        other.checks.iter_mut().filter(|c| c.visibility != "student").for_each(|c| c.verdict = Verdict::Pass);
        assert_eq!(grade(&shown_to(&other, Audience::Student)), some, "whatever became of it");
        assert!(!grade(&shown_to(&fixture::passed(&other), Audience::Student)).is_final, "a part is no mark");
    }

    #[test]
    fn what_hangs_on_it_does_not_name_it() {
        let shown = shown_to(&fixture::with_secrets(), Audience::Student);
        let behind = shown.checks.iter().find(|c| c.id == "behind").unwrap();
        assert_eq!(behind.cause.as_ref().map(|c| (c.check.as_str(), c.verdict)), Some(("", Verdict::Fail)));
        assert!(behind.explanation.en.contains("not shown here"));
    }

    #[test]
    fn a_drill_is_seen_with_any_objective_and_in_full_with_all() {
        let record = fixture::with_secrets();
        let ids = |record: &RunRecord| record.drills.iter().map(|d| d.id.clone()).collect::<Vec<_>>();
        let student = shown_to(&record, Audience::Student);
        assert_eq!(ids(&student), ["shared-drill", "guarded-drill"]);
        for (shown, whole) in student.drills.iter().zip(&record.drills[1..]) {
            assert_eq!((&shown.title, &shown.fault, shown.healed), (&whole.title, &whole.fault, whole.healed));
            assert!(shown.samples.is_empty() && shown.events.is_empty() && shown.hit.is_empty(), "{shown:?}");
            assert!(shown.ledger.is_none() && shown.measured == crate::drill::Measured::default(), "{shown:?}");
            assert!(shown.notes.is_empty() && shown.watched.is_empty() && shown.seed.is_none(), "{shown:?}");
        }
        let after = shown_to(&record, Audience::AfterDue);
        assert_eq!(after.drills[0], record.drills[1], "now each of its objectives is seen");
        assert!(after.drills[1].samples.is_empty(), "and of that one the details never are");
        assert_eq!(shown_to(&record, Audience::Teacher).drills, record.drills);
        let twice = shown_to(&after, Audience::Student);
        assert_eq!(twice.drills, student.drills);
        let open = fixture::drilled();
        assert_eq!(shown_to(&open, Audience::Student).drills, open.drills, "nothing is hidden");
        let none = RunRecord { checks: Vec::new(), ..open };
        assert_eq!(ids(&shown_to(&none, Audience::Student)), [""; 0], "an objective of which nobody knows who sees it");
    }

    #[test]
    fn a_record_for_few_is_not_widened() {
        let student = shown_to(&fixture::with_secrets(), Audience::Student);
        let again = shown_to(&student, Audience::Teacher);
        assert_eq!((again.audience, again.withheld), (Audience::Student, student.withheld));
        let twice = shown_to(&shown_to(&fixture::with_secrets(), Audience::AfterDue), Audience::Student);
        assert_eq!((twice.withheld, twice.checks.len()), (student.withheld, student.checks.len()));
    }

    #[test]
    fn a_service_s_log_goes_where_anything_is_hidden_and_only_there() {
        let late = |record: &RunRecord| record.all_evidence().into_iter().filter(|f| store::is_late(f)).count();
        let student = shown_to(&fixture::with_secrets(), Audience::Student);
        assert_eq!(late(&student), 0, "{:?}", student.all_evidence());
        assert!(
            student.evidence.contains(&"evidence/stack/compose-resolved.yml".to_owned()),
            "taken before the checks"
        );
        let open = fixture::typical();
        assert_eq!(shown_to(&open, Audience::Student).all_evidence(), open.all_evidence());
        // Where all are seen, but not all that one saw.
        let mut guarded = fixture::with_secrets();
        guarded.checks.retain(|check| check.visibility == "student");
        assert_eq!(late(&shown_to(&guarded, Audience::AfterDue)), 0);
    }

    #[test]
    fn an_unknown_word_is_for_the_teacher() {
        assert_eq!(Audience::of("students"), Audience::Teacher);
        assert_eq!(Audience::of("after_due"), Audience::AfterDue);
    }
}

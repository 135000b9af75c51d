//! What people judge, in points, and the mark on the scenario's scale.

use serde::Serialize;

use super::Grade;
use crate::record::{ManualRecord, RunRecord, Withheld};

/// The points of what people judge, in 1/1000. Earned, lost and pending add up to `points`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ManualGrade {
    pub points: u64,
    pub earned: u64,
    pub lost: u64,
    /// Nobody has judged it yet: neither lost nor undecided.
    pub pending: u64,
}

impl ManualGrade {
    pub(super) fn of(criteria: &[ManualRecord]) -> Self {
        let mut grade = Self::default();
        for criterion in criteria {
            grade.points += criterion.points;
            match &criterion.mark {
                // A record may come from elsewhere: nobody earns more than there is.
                Some(mark) => grade.earned += mark.points.min(criterion.points),
                None => grade.pending += criterion.points,
            }
        }
        grade.lost = grade.points - grade.earned - grade.pending;
        grade
    }
}

/// What of checks and of criteria together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Total {
    pub points: u64,
    pub earned: u64,
    pub lost: u64,
    pub undecided: u64,
    pub pending: u64,
}

impl Grade {
    /// Checks and criteria together, in 1/1000.
    pub fn total(&self) -> Total {
        let people = &self.manual;
        Total {
            points: self.points + people.points,
            earned: self.earned + people.earned,
            lost: self.lost + people.lost,
            undecided: self.undecided,
            pending: people.pending,
        }
    }
}

/// A mark on a scale, in 1/1000: between the two, as long as points are undecided or pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ScaledMark {
    /// Where all that is open is lost.
    pub low: u64,
    /// Where all that is open is earned.
    pub high: u64,
    pub min: u64,
    pub max: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pass: Option<u64>,
}

/// The mark of a run; none where its scenario has no scale, is worth nothing, or is not all there.
pub fn mark(record: &RunRecord, grade: &Grade) -> Option<ScaledMark> {
    let scale = record.scenario.scale.filter(|scale| scale.max >= scale.min)?;
    let total = grade.total();
    if total.points == 0 || record.withheld != Withheld::default() {
        return None;
    }
    let span = u128::from(scale.max - scale.min);
    let on = |points: u64| {
        let part = span * u128::from(points) / u128::from(total.points);
        scale.min + u64::try_from(part).unwrap_or(scale.max - scale.min)
    };
    Some(ScaledMark {
        low: on(total.earned),
        high: on(total.points - total.lost),
        min: scale.min,
        max: scale.max,
        pass: scale.pass,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::grade::{conclude, exit_code, grade};
    use crate::record::{Audience, Mark, Scale, fixture, shown_to};

    #[test]
    fn a_pending_criterion_is_neither_lost_nor_undecided() {
        let mut record = fixture::judged();
        let graded = grade(&record);
        assert_eq!(graded, Grade { manual: graded.manual, ..grade(&fixture::typical()) }, "the checks' own as ever");
        assert_eq!(graded.manual, ManualGrade { points: 30_000, earned: 5_000, lost: 15_000, pending: 10_000 });
        let total = graded.total();
        assert_eq!((total.points, total.earned, total.lost), (90_000, 15_000, 47_000));
        assert_eq!((total.undecided, total.pending), (18_000, 10_000));
        record.manual.iter_mut().for_each(|c| c.mark = None);
        assert_eq!(grade(&record).manual, ManualGrade { points: 30_000, pending: 30_000, ..ManualGrade::default() });
    }

    #[test]
    fn no_mark_of_a_person_s_is_final_before_all_are_given() {
        let mut record = fixture::passed(&fixture::judged());
        assert!(!grade(&record).is_final);
        record.manual[1].mark = Some(Mark { level: "complete".to_owned(), points: 10_000, comment: String::new() });
        let graded = grade(&record);
        assert!(graded.is_final, "{graded:?}");
        let mark = mark(&record, &graded).unwrap();
        assert_eq!((mark.low, mark.high, mark.pass), (4_166, 4_166, Some(3_000)), "75 of 90");
    }

    #[test]
    fn people_s_marks_and_what_is_pending_change_no_exit_code() {
        let mut record = fixture::passed(&fixture::judged());
        record.checks.retain(|check| !check.is_observation());
        assert_eq!(exit_code(&record), 0, "marked with nothing, and pending");
        record.manual.iter_mut().for_each(|c| c.mark = None);
        assert_eq!(exit_code(&record), 0);
        assert_eq!(conclude(&fixture::judged()), conclude(&fixture::typical()));
    }

    #[test]
    fn the_mark_is_a_range_while_anything_is_open() {
        let record = fixture::judged();
        let mark = mark(&record, &grade(&record)).unwrap();
        assert_eq!((mark.low, mark.high), (5_000 * 15 / 90, 5_000 * 43 / 90));
        let mut from_one = record.clone();
        from_one.scenario.scale = Some(Scale { min: 1_000, max: 7_000, pass: None });
        let from_one = super::mark(&from_one, &grade(&from_one)).unwrap();
        assert_eq!(from_one.low, 1_000 + 6_000 * 15 / 90);
    }

    #[test]
    fn a_part_of_it_is_no_mark() {
        let mut record = fixture::judged();
        record.checks[0].visibility = "teacher".to_owned();
        let shown = shown_to(&record, Audience::Student);
        assert_eq!(mark(&shown, &grade(&shown)), None);
        record.scenario.scale = None;
        assert_eq!(mark(&record, &grade(&record)), None);
    }

    proptest! {
        #[test]
        fn whatever_a_record_says_the_sums_hold(points in proptest::collection::vec((0..100_000_u64, proptest::option::of(0..200_000_u64)), 0..8)) {
            let mut record = fixture::typical();
            let usual = fixture::manual().remove(0);
            record.manual = points.iter().map(|(points, given)| ManualRecord {
                points: *points,
                mark: given.map(|points| Mark { level: String::new(), points, comment: String::new() }),
                ..usual.clone()
            }).collect();
            record.scenario.points += points.iter().map(|(points, _)| points).sum::<u64>();
            record.scenario.scale = Some(Scale { min: 0, max: 5_000, pass: None });
            let graded = grade(&record);
            let people = graded.manual;
            prop_assert_eq!(people.earned + people.lost + people.pending, people.points);
            prop_assert_eq!(graded.points, grade(&fixture::typical()).points);
            let mark = mark(&record, &graded).unwrap();
            prop_assert!(mark.low <= mark.high && mark.high <= 5_000);
        }
    }
}

//! The one scoring function: a record in, points out, in integers of 1/1000.
//!
//! A pass earns. A fail loses, and so does a skip whose cause is a fail; a fail that was measured and came near earns a part.
//! An error, and a skip caused by one, is undecided.
//! Observations (no points) never count. Nothing is final while anything is undecided, or pending: what people judge is counted
//! beside the checks, and decides no exit code.

mod manual;

use serde::Serialize;

pub use manual::{ManualGrade, ScaledMark, Total, mark};

use crate::record::{CheckRecord, RunRecord, Verdict, Withheld};

/// A run's points, in 1/1000: those of its checks, and beside them those of what people judge. Earned, lost and undecided add
/// up to `points`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Grade {
    pub points: u64,
    pub earned: u64,
    pub lost: u64,
    pub undecided: u64,
    pub manual: ManualGrade,
    /// Nothing is undecided or pending, the run was not interrupted, and nothing is withheld.
    pub is_final: bool,
}

impl Grade {
    /// The share of points that are decided, in 1/1000; 1000 where there are no points at all.
    pub fn decided_permille(&self) -> u64 {
        let decided = u128::from(self.earned) + u128::from(self.lost);
        match self.points {
            0 => 1000,
            points => u64::try_from(decided * 1000 / u128::from(points)).unwrap_or(1000),
        }
    }
}

/// What became of a check's points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Earned,
    /// A failure that came near enough to its objective to earn some of them.
    Partly,
    Lost,
    Undecided,
    /// An observation: there were none.
    None,
}

impl Outcome {
    /// As it is in `record.json`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Earned => "earned",
            Self::Partly => "partly",
            Self::Lost => "lost",
            Self::Undecided => "undecided",
            Self::None => "none",
        }
    }
}

/// What becomes of this check's points.
pub fn outcome(check: &CheckRecord) -> Outcome {
    if check.is_observation() {
        return Outcome::None;
    }
    match check.verdict {
        Verdict::Pass => Outcome::Earned,
        Verdict::Fail if check.credit.is_some_and(|credit| credit > 0) => Outcome::Partly,
        Verdict::Fail => Outcome::Lost,
        Verdict::Error => Outcome::Undecided,
        Verdict::Skip => match &check.cause {
            Some(cause) if cause.verdict == Verdict::Fail => Outcome::Lost,
            // Without a failure of the submission's at the root nothing is held against it.
            _ => Outcome::Undecided,
        },
    }
}

/// A check's points by what became of them, in 1/1000: the three add up to all that it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    pub earned: u64,
    pub lost: u64,
    pub undecided: u64,
}

/// How this check's points part. Whoever sums points sums these.
pub fn parts(check: &CheckRecord) -> Parts {
    let all = check.points;
    match outcome(check) {
        Outcome::Earned => Parts { earned: all, ..Parts::default() },
        Outcome::Partly => {
            // A record may come from elsewhere: nobody earns more than there is.
            let earned = check.credit.unwrap_or(0).min(all);
            Parts { earned, lost: all - earned, undecided: 0 }
        }
        Outcome::Lost => Parts { lost: all, ..Parts::default() },
        Outcome::Undecided => Parts { undecided: all, ..Parts::default() },
        Outcome::None => Parts::default(),
    }
}

/// The points of a run. What the scenario counts and the record does not hold (an interrupted run, `--only`) is undecided.
pub fn grade(record: &RunRecord) -> Grade {
    let mut grade = Grade { manual: ManualGrade::of(&record.manual), ..Grade::default() };
    for check in &record.checks {
        grade.points += check.points;
        let parts = parts(check);
        grade.earned += parts.earned;
        grade.lost += parts.lost;
        grade.undecided += parts.undecided;
    }
    let absent = record.scenario.points.saturating_sub(grade.points + grade.manual.points);
    grade.points += absent;
    grade.undecided += absent;
    // A part of the checks is no mark.
    let open = grade.undecided + grade.manual.pending;
    grade.is_final = open == 0 && !record.interrupted && record.withheld == Withheld::default();
    grade
}

/// The verdict of the whole run, over the checks that count: fail > error > skip > pass.
pub fn merge(record: &RunRecord) -> Verdict {
    let rank = |verdict: &Verdict| match verdict {
        Verdict::Pass => 0,
        Verdict::Skip => 1,
        Verdict::Error => 2,
        Verdict::Fail => 3,
    };
    let counting = record.checks.iter().filter(|c| !c.is_observation());
    counting.map(|c| c.verdict).max_by_key(rank).unwrap_or(Verdict::Pass)
}

/// How a run ended, for whoever called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// Every check that counts passed.
    Passed,
    /// Some check failed, whatever else is undecided.
    Failed,
    /// It could not be graded, or something is undecided.
    Undecided,
    /// Ctrl-C or SIGTERM.
    Interrupted,
}

impl Conclusion {
    /// The process's exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::Failed => 1,
            Self::Undecided => 3,
            Self::Interrupted => 130,
        }
    }
}

pub fn conclude(record: &RunRecord) -> Conclusion {
    let any = |wanted| record.checks.iter().any(|c| outcome(c) == wanted);
    if record.interrupted {
        Conclusion::Interrupted
    } else if any(Outcome::Lost) || any(Outcome::Partly) {
        Conclusion::Failed
    } else if any(Outcome::Undecided) || (record.checks.is_empty() && grade(record).undecided > 0) {
        Conclusion::Undecided
    } else {
        Conclusion::Passed
    }
}

/// 0 all passed; 1 some check failed (an empty or hopeless submission too); 3 not graded or undecided; 130 interrupted.
pub fn exit_code(record: &RunRecord) -> u8 {
    conclude(record).code()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::fixture;

    fn run(checks: &[(u64, Verdict, Option<Verdict>)]) -> RunRecord {
        let mut record = fixture::empty();
        record.checks =
            checks.iter().enumerate().map(|(n, (p, v, c))| fixture::check(&format!("c{n}"), *p, *v, *c)).collect();
        record.scenario.points = record.checks.iter().map(|c| c.points).sum();
        record
    }

    use Verdict::{Error, Fail, Pass, Skip};

    #[test]
    fn each_verdict_goes_where_it_belongs() {
        let record = run(&[
            (1, Pass, None),
            (10, Fail, None),
            (100, Error, None),
            (1_000, Skip, Some(Fail)),
            (10_000, Skip, Some(Error)),
            (100_000, Skip, None),
        ]);
        let grade = grade(&record);
        assert_eq!((grade.earned, grade.lost, grade.undecided), (1, 1_010, 110_100));
        assert_eq!(grade.points, 111_111);
        assert!(!grade.is_final);
        assert_eq!(merge(&record), Fail);
        assert_eq!(exit_code(&record), 1, "a fail beside an undecided is 1");
    }

    #[test]
    fn observations_never_count() {
        let record = run(&[(5_000, Pass, None), (0, Fail, None), (0, Error, None), (0, Skip, Some(Fail))]);
        assert_eq!(grade(&record), Grade { points: 5_000, earned: 5_000, is_final: true, ..Grade::default() });
        assert_eq!(merge(&record), Pass);
        assert_eq!(exit_code(&record), 0);
    }

    #[test]
    fn a_failure_that_came_near_earns_a_part() {
        let mut record = run(&[(2_000, Fail, None), (1_000, Pass, None)]);
        let with = |record: &mut RunRecord, credit| {
            record.checks[0].credit = credit;
            (outcome(&record.checks[0]), grade(record).earned, grade(record).lost, exit_code(record))
        };
        assert_eq!(with(&mut record, Some(750)), (Outcome::Partly, 1_750, 1_250, 1));
        assert_eq!(with(&mut record, Some(0)), (Outcome::Lost, 1_000, 2_000, 1));
        assert_eq!(with(&mut record, Some(9_000)), (Outcome::Partly, 3_000, 0, 1), "never more than there is");
        assert_eq!(merge(&record), Fail, "and it is a failure all the same");
        record.checks[0].verdict = Error;
        assert_eq!(with(&mut record, Some(750)), (Outcome::Undecided, 1_000, 0, 3), "nothing but a failure has a part");
        record.checks[0] = CheckRecord { points: 0, verdict: Fail, ..record.checks[0].clone() };
        assert_eq!(with(&mut record, Some(750)), (Outcome::None, 1_000, 0, 0), "nor an observation");
    }

    #[test]
    fn the_worst_verdict_wins() {
        assert_eq!(merge(&run(&[(1, Pass, None), (1, Skip, Some(Error)), (1, Error, None)])), Error);
        assert_eq!(merge(&run(&[(1, Pass, None), (1, Skip, Some(Fail))])), Skip);
        assert_eq!(merge(&run(&[])), Pass);
    }

    #[test]
    fn exit_codes() {
        assert_eq!(exit_code(&run(&[(1, Pass, None)])), 0);
        assert_eq!(exit_code(&run(&[(1, Pass, None), (1, Error, None)])), 3);
        assert_eq!(exit_code(&run(&[(0, Fail, None), (1, Skip, Some(Fail))])), 1, "lost behind a failed observation");
        let mut stopped = run(&[(1, Pass, None), (1, Fail, None)]);
        stopped.interrupted = true;
        assert_eq!(exit_code(&stopped), 130);
    }

    #[test]
    fn what_was_not_looked_at_is_undecided() {
        let mut record = run(&[(4_000, Pass, None)]);
        record.scenario.points = 10_000;
        let grade = grade(&record);
        assert_eq!((grade.points, grade.undecided, grade.is_final), (10_000, 6_000, false));
        assert_eq!(grade.decided_permille(), 400);
        assert_eq!(exit_code(&record), 0, "what was asked for passed");
        record.checks.clear();
        assert_eq!(exit_code(&record), 3, "nothing was graded at all");
    }

    #[test]
    fn an_interrupted_run_is_never_final() {
        let mut record = run(&[(1, Pass, None)]);
        record.interrupted = true;
        assert!(!grade(&record).is_final);
    }

    fn verdict() -> impl Strategy<Value = Verdict> {
        prop_oneof![Just(Pass), Just(Fail), Just(Error), Just(Skip)]
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_made_up(
            checks in proptest::collection::vec((0..100_000u64, verdict(), proptest::option::of(verdict())), 0..20),
            credits in proptest::collection::vec(proptest::option::of(0..200_000u64), 20),
            declared in 0..3_000_000u64,
            interrupted: bool,
        ) {
            let mut record = run(&checks);
            record.checks.iter_mut().zip(credits).for_each(|(check, credit)| check.credit = credit);
            let sum: u64 = checks.iter().map(|c| c.0).sum();
            for check in &record.checks {
                let parts = parts(check);
                prop_assert_eq!(parts.earned + parts.lost + parts.undecided, check.points);
            }
            record.scenario.points = declared;
            record.interrupted = interrupted;
            let grade = grade(&record);
            prop_assert_eq!(grade.earned + grade.lost + grade.undecided, grade.points);
            prop_assert_eq!(grade.points, sum.max(declared));
            prop_assert_eq!(grade.is_final, grade.undecided == 0 && !interrupted);
            prop_assert!(grade.decided_permille() <= 1000);
        }
    }
}

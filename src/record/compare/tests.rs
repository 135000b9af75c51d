//! Two runs by hand, with every way in which their checks, findings and drills may go together or not.

use super::*;
use crate::drill::Sample;
use crate::record::fixture::{self, check};

use Verdict::{Error, Fail, Pass, Skip};

fn run(name: &str, checks: &[(&str, Verdict)]) -> RunRecord {
    let checks = checks.iter().map(|(id, verdict)| check(id, 1_000, *verdict, None)).collect();
    RunRecord { run: name.to_owned(), checks, ..fixture::empty() }
}

fn finding(subject: &str, fact: &str, observed: &str, holds: bool) -> Finding {
    Finding {
        subject: subject.to_owned(),
        fact: fact.to_owned(),
        expected: "true".to_owned(),
        observed: observed.to_owned(),
        holds,
    }
}

fn drill(id: &str, samples: usize) -> DrillRecord {
    DrillRecord { id: id.to_owned(), samples: vec![Sample::default(); samples], ..DrillRecord::default() }
}

#[test]
fn every_two_verdicts_stand_to_each_other_in_one_way() {
    let all = [Pass, Fail, Error, Skip];
    for (a, b) in all.iter().flat_map(|a| all.iter().map(move |b| (*a, *b))) {
        let [one, other] = [a, b].map(|verdict| check("x", 1_000, verdict, None));
        let wanted = match (a, b) {
            (Pass, Pass) | (Fail, Fail) => Relation::Agree,
            (Pass, Fail) | (Fail, Pass) => Relation::Differ,
            (Pass | Fail, _) | (_, Pass | Fail) => Relation::One,
            _ => Relation::Neither,
        };
        assert_eq!(relation([&one, &other]), wanted, "{a:?} {b:?}");
    }
    // A skip that costs points is the root's doing, and no second difference.
    let [lost, failed] = [check("x", 1_000, Skip, Some(Fail)), check("x", 1_000, Fail, None)];
    assert_eq!(relation([&lost, &failed]), Relation::One);
}

#[test]
fn checks_are_counted_once_each() {
    let one = run("one", &[("a", Pass), ("b", Pass), ("c", Fail), ("d", Error), ("e", Skip), ("old", Pass)]);
    let other = run("other", &[("new", Fail), ("e", Error), ("d", Pass), ("c", Fail), ("b", Fail), ("a", Pass)]);
    let compared = compare(&one, &other).unwrap();
    let counts = Counts { agree: 2, differ: 1, one: 1, neither: 1, alone: 2 };
    assert_eq!((compared.counts(), counts.both()), (counts, 3));
    let ids = |checks: Vec<&CheckRecord>| checks.into_iter().map(|c| c.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(compared.of(Relation::Differ).map(|sides| sides[1]).collect()), ["b"]);
    assert_eq!(compared.alone.clone().map(ids), [["old"], ["new"]]);
    assert_eq!(ids(compared.checks.iter().map(|sides| sides[0]).collect()), ["a", "b", "c", "d", "e"]);
}

#[test]
fn a_run_agrees_with_itself() {
    for record in [fixture::typical(), fixture::drilled(), fixture::hostile(), fixture::empty()] {
        let compared = compare(&record, &record).unwrap();
        let Counts { differ, one, alone, .. } = compared.counts();
        assert_eq!((differ, one, alone, compared.same_submission()), (0, 0, 0, true));
        assert!(compared.drills.iter().all(|drill| !drill.differs()));
        for sides in &compared.checks {
            assert!(std::ptr::eq(sides[0], sides[1]), "also of two that share an id: {}", sides[0].id);
        }
    }
}

#[test]
fn runs_of_different_scenarios_are_not_compared() {
    let (one, mut other) = (run("one", &[]), run("other", &[]));
    other.scenario.name = "recovery".to_owned();
    let text = compare(&one, &other).unwrap_err().text();
    assert!(text.en.starts_with("the runs are of different scenarios: `seed` (one) and `recovery` (other)\n"));
    assert!(text.es.contains("`seed` (one) y `recovery` (other)"), "{}", text.es);
}

#[test]
fn a_submission_is_the_same_by_its_name_and_its_commit() {
    let git = |commit: &str| {
        let [url, commit, date] = ["https://host/ana", commit, "2026-11-01T00:00:00Z"].map(str::to_owned);
        Some(Source::Git { url, branch: None, commit, date })
    };
    let same = |one: &RunRecord, other: &RunRecord| compare(one, other).unwrap().same_submission();
    let (mut one, mut other) = (run("one", &[]), run("other", &[]));
    other.submission.path = "/tmp/elsewhere/team-07".to_owned();
    assert!(same(&one, &other), "a copy in another folder");
    one.submission.source = git("aa");
    assert!(same(&one, &other), "and a folder that was cloned by hand says no commit");
    other.submission.source = git("bb");
    assert!(!same(&one, &other));
    other.submission.source = git("aa");
    other.submission.name = "team-08".to_owned();
    assert!(!same(&one, &other));
}

#[test]
fn facts_go_together_by_subject_and_name() {
    let [mut one, mut other] = [check("disks", 1_000, Pass, None), check("disks", 1_000, Fail, None)];
    one.findings = ["master", "worker1"].map(|machine| finding(machine, "present", "true", true)).into();
    // Twice of one fact: a lower and an upper bound.
    one.findings.extend([finding("", "rows", "5", true), finding("", "rows", "5", true)]);
    other.findings = vec![
        finding("", "rows", "5", true),
        finding("", "rows", "5", false),
        finding("worker1", "present", "false", false),
        finding("worker2", "present", "false", false),
    ];
    let all = facts([Some(&one), Some(&other)]);
    let shown = |pair: &FactPair| {
        let finding = pair.any().unwrap();
        let [a, b] = pair.sides.map(|side| side.map_or('-', |finding| if finding.holds { '+' } else { 'x' }));
        format!("{}{} {a}{b}", finding.subject, finding.fact)
    };
    assert_eq!(
        all.iter().map(shown).collect::<Vec<_>>(),
        ["masterpresent +-", "worker1present +x", "rows ++", "rows +x", "worker2present -x"]
    );
    assert_eq!(all.iter().filter(|pair| pair.holds_in_both()).count(), 1);
    assert_eq!(facts([None, Some(&other)]).len(), 4);
    assert_eq!(facts([None, None]), []);
}

#[test]
fn drills_go_together_with_their_objectives() {
    let objective = |id: &str, drill: &str, verdict| CheckRecord {
        drill: Some(drill.to_owned()),
        ..check(id, 1_000, verdict, None)
    };
    let (mut one, mut other) = (run("one", &[]), run("other", &[]));
    one.drills = vec![drill("killed", 3), drill("unseen", 0)];
    one.checks = vec![objective("back", "killed", Pass), objective("kept", "unseen", Pass)];
    other.drills = vec![drill("cut", 2), drill("killed", 3)];
    other.checks = vec![
        objective("back", "killed", Fail),
        objective("rows", "killed", Pass),
        // Of a drill that this run did not make.
        objective("kept", "unseen", Skip),
        objective("moved", "cut", Pass),
        objective("never", "neither-made-it", Skip),
    ];
    let compared = compare(&one, &other).unwrap();
    let shown = |pair: &DrillPair| {
        let id = pair.sides.iter().flatten().next().unwrap().id.clone();
        let objectives = pair.objectives.iter().map(|sides| sides.map(|side| side.map(|check| check.verdict)));
        (id, pair.sides.map(|side| side.is_some()), objectives.collect::<Vec<_>>(), pair.differs())
    };
    assert_eq!(
        compared.drills.iter().map(shown).collect::<Vec<_>>(),
        [
            ("killed".to_owned(), [true; 2], vec![[Some(Pass), Some(Fail)], [None, Some(Pass)]], true),
            ("unseen".to_owned(), [true, false], vec![[Some(Pass), Some(Skip)]], false),
        ],
        "the other's own drill is not compared"
    );
    assert_eq!(compared.alone[1].iter().map(|c| c.id.as_str()).collect::<Vec<_>>(), ["rows", "moved", "never"]);
}

//! The table of mutants: base, expected, got, lost, skipped, time; wrong fails and wrong passes counted.

use std::time::Duration;

use super::compare::{Difference, Outcome};
use super::manifest::{Expect, Mutant};
use crate::scenario::units::show_milli;

/// A mutant that was graded, or could not be.
#[derive(Clone, Debug)]
pub struct Row {
    pub mutant: Mutant,
    /// What came of it; or why nothing did.
    pub got: Result<(Outcome, Vec<Difference>), String>,
    pub elapsed: Duration,
}

impl Row {
    pub fn as_it_must(&self) -> bool {
        self.got.as_ref().is_ok_and(|(_, differences)| differences.is_empty())
    }
}

/// What a whole table comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub mutants: usize,
    pub as_they_must: usize,
    pub wrong_fails: usize,
    pub wrong_passes: usize,
    /// Could not be graded at all.
    pub not_graded: usize,
}

impl Summary {
    pub fn of(rows: &[Row]) -> Self {
        let count = |kind: fn(&Difference) -> bool| {
            rows.iter().filter_map(|row| row.got.as_ref().ok()).flat_map(|(_, d)| d).filter(|d| kind(d)).count()
        };
        Self {
            mutants: rows.len(),
            as_they_must: rows.iter().filter(|row| row.as_it_must()).count(),
            wrong_fails: count(|d| matches!(d, Difference::WrongFail(_))),
            wrong_passes: count(|d| matches!(d, Difference::WrongPass(_))),
            not_graded: rows.iter().filter(|row| row.got.is_err()).count(),
        }
    }
}

/// The table as text, a line a mutant and a line for each difference, with the sums at its end.
pub fn render(rows: &[Row]) -> String {
    let head = ["mutant", "base", "expected", "got", "lost", "skipped", "time"].map(str::to_owned);
    let mut lines: Vec<([String; 7], Vec<String>)> = vec![(head, Vec::new())];
    lines.extend(rows.iter().map(|row| (cells(row), notes(row))));
    let width = |i: usize| lines.iter().map(|(cells, _)| cells[i].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..7).map(width).collect();
    let mut out = String::new();
    for (cells, notes) in &lines {
        let line: Vec<String> = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        out.push_str(line.join("  ").trim_end());
        out.push('\n');
        for note in notes {
            out.push_str(&format!("    ! {note}\n"));
        }
    }
    let sum = Summary::of(rows);
    out.push_str(&format!(
        "\n{} of {} mutants as they must be; wrong fails: {}; wrong passes: {}",
        sum.as_they_must, sum.mutants, sum.wrong_fails, sum.wrong_passes
    ));
    if sum.not_graded > 0 {
        out.push_str(&format!("; not graded: {}", sum.not_graded));
    }
    out.push('\n');
    out.push_str(&kinds(rows));
    out.push_str(&share("of all", rows, |_| true));
    out.push_str(&share("of those that must fail or pass", rows, |e| !e.failed.is_empty() || e.is_pass()));
    out
}

/// How many of the points were decided: a grader that leaves all undecided is never wrong.
fn share(of: &str, rows: &[Row], which: fn(&Expect) -> bool) -> String {
    let graded = rows.iter().filter(|row| which(&row.mutant.expect)).filter_map(|row| row.got.as_ref().ok());
    let (earned, lost, undecided) = graded.fold((0, 0, 0), |(earned, lost, undecided), (outcome, _)| {
        (earned + outcome.earned, lost + outcome.lost, undecided + outcome.undecided_points)
    });
    let all = earned + lost + undecided;
    if all == 0 {
        return String::new();
    }
    let permille = 1000 * (earned + lost) / all;
    let [earned, lost, undecided] = [earned, lost, undecided].map(show_milli);
    let decided = format!("{}.{} % decided", permille / 10, permille % 10);
    format!("{of}: {decided} (earned {earned}, lost {lost}, undecided {undecided})\n")
}

/// How many of each base must fail, pass or stay undecided: a table of faults alone would not notice a grader that is too strict.
fn kinds(rows: &[Row]) -> String {
    let mut bases: Vec<&str> = rows.iter().map(|row| row.mutant.base.name.as_str()).collect();
    bases.sort_unstable();
    bases.dedup();
    let line = |base: &str| {
        let of = |kind: fn(&Expect) -> bool| {
            rows.iter().filter(|row| row.mutant.base.name == base && kind(&row.mutant.expect)).count()
        };
        let fail = of(|e| !e.failed.is_empty());
        let undecided = of(|e| e.failed.is_empty() && !e.undecided.is_empty());
        format!("{base}: {fail} must fail, {} must pass, {undecided} must be undecided\n", of(Expect::is_pass))
    };
    bases.into_iter().map(line).collect()
}

fn cells(row: &Row) -> [String; 7] {
    let expect = &row.mutant.expect;
    let expected = verdict(&expect.failed, &expect.undecided, &row.mutant.expect_observation);
    let time = format!("{:.0} s", row.elapsed.as_secs_f64());
    let Ok((outcome, _)) = &row.got else {
        let (name, base) = (row.mutant.name.clone(), row.mutant.base.name.clone());
        return [name, base, expected, "not graded".to_owned(), String::new(), String::new(), time];
    };
    let mut lost = show_milli(outcome.lost);
    if outcome.undecided_points > 0 {
        lost.push_str(&format!(" (+{} undecided)", show_milli(outcome.undecided_points)));
    }
    [
        row.mutant.name.clone(),
        row.mutant.base.name.clone(),
        expected,
        verdict(&outcome.failed, &outcome.undecided, &outcome.observations),
        lost,
        outcome.skipped.len().to_string(),
        time,
    ]
}

fn verdict(failed: &[String], undecided: &[String], observations: &[String]) -> String {
    let mut parts = Vec::new();
    if !failed.is_empty() {
        parts.push(format!("fail {}", failed.join(" ")));
    }
    if !undecided.is_empty() {
        parts.push(format!("undecided {}", undecided.join(" ")));
    }
    if parts.is_empty() {
        parts.push("pass".to_owned());
    }
    if !observations.is_empty() {
        parts.push(format!("({})", observations.join(" ")));
    }
    parts.join(" ")
}

fn notes(row: &Row) -> Vec<String> {
    match &row.got {
        Ok((_, differences)) => differences.iter().map(ToString::to_string).collect(),
        Err(why) => why.lines().map(str::to_owned).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::manifest::load;
    use super::*;
    use crate::scenario::Base;

    fn row(text: &str, got: Result<(Outcome, Vec<Difference>), String>) -> Row {
        let folder = tempfile::tempdir().unwrap();
        let mutant = folder.path().join("lan-address");
        std::fs::create_dir(&mutant).unwrap();
        std::fs::write(mutant.join("mutant.yaml"), format!("about: x\nbase: php\nlayers: [services]\n{text}")).unwrap();
        let base = Base { name: "php".to_owned(), ..Base::default() };
        Row { mutant: load(&mutant, &[base]).unwrap(), got, elapsed: Duration::from_millis(41_600) }
    }

    #[test]
    fn a_line_a_mutant_and_the_sums() {
        let good = Outcome {
            failed: vec!["page".to_owned()],
            skipped: vec!["live".to_owned()],
            earned: 44_000,
            lost: 16_000,
            ..Outcome::default()
        };
        let rows = [
            row("expect_fail: [page]", Ok((good, vec![]))),
            row("expect_fail: [page]", Ok((Outcome::default(), vec![Difference::WrongPass("page".to_owned())]))),
            row("expect: pass", Err("the lab went away".to_owned())),
        ];
        insta::assert_snapshot!(render(&rows), @r"
        mutant       base  expected   got         lost  skipped  time
        lan-address  php   fail page  fail page   16    1        42 s
        lan-address  php   fail page  pass        0     0        42 s
            ! WRONG PASS: page
        lan-address  php   pass       not graded                 42 s
            ! the lab went away

        1 of 3 mutants as they must be; wrong fails: 0; wrong passes: 1; not graded: 1
        php: 2 must fail, 1 must pass, 0 must be undecided
        of all: 100.0 % decided (earned 44, lost 16, undecided 0)
        of those that must fail or pass: 100.0 % decided (earned 44, lost 16, undecided 0)
        ");
        let open = Outcome {
            earned: 28_000,
            undecided: vec!["app".to_owned()],
            undecided_points: 32_000,
            ..Outcome::default()
        };
        let rows = [row("undecided: [app]", Ok((open, vec![]))), rows[0].clone()];
        insta::assert_snapshot!(share("of all", &rows, |_| true), @"of all: 73.3 % decided (earned 72, lost 16, undecided 32)");
    }
}

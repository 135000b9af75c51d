//! Grading mutants, several at a time. How one submission is graded is the caller's; what must come of it is compared here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;

use super::apply::apply;
use super::compare::{Difference, Outcome, compare};
use super::manifest::Mutant;
use super::table::Row;
use crate::record::RunRecord;
use crate::scenario::Milli;
use crate::temp;
use crate::time::Clock;

/// Grades each on a fresh copy of its base, `jobs` at a time, and gives the rows in the order of the mutants.
///
/// `grade` is given the mutant and its submission's folder, which is removed afterwards; it has a thread of its own, so
/// that a lane that is busy keeps no other from looking in time. `told` hears of each row as it is done. What keeps one from
/// being graded is its row's, and stops no other.
pub async fn run<G>(mutants: Vec<Mutant>, jobs: usize, grade: G, mut told: impl FnMut(&Row)) -> Vec<Row>
where
    G: Fn(&Mutant, &Path) -> Result<RunRecord, String> + Send + Sync + 'static,
{
    let grade = Arc::new(grade);
    let lane = |(n, mutant): (usize, Mutant)| {
        let (grade, known) = (grade.clone(), mutant.clone());
        let task = tokio::task::spawn_blocking(move || {
            let clock = Clock::start();
            let got = graded(&mutant, &*grade);
            Row { mutant, got, elapsed: clock.elapsed() }
        });
        async move {
            let lost = |error| Row {
                mutant: known,
                got: Err(format!("its grading ended in a panic: {error}")),
                elapsed: Duration::ZERO,
            };
            (n, task.await.unwrap_or_else(lost))
        }
    };
    // `lane` begins one when the stream asks for it, so that no more than `jobs` are under way.
    let mut lanes = stream::iter(mutants.into_iter().enumerate()).map(lane).buffer_unordered(jobs.max(1));
    let mut rows: Vec<(usize, Row)> = Vec::new();
    while let Some(row) = lanes.next().await {
        told(&row.1);
        rows.push(row);
    }
    rows.sort_by_key(|(n, _)| *n);
    rows.into_iter().map(|(_, row)| row).collect()
}

fn graded(
    mutant: &Mutant,
    grade: &impl Fn(&Mutant, &Path) -> Result<RunRecord, String>,
) -> Result<(Outcome, Vec<Difference>), String> {
    let folder = temp::folder("mutant").map_err(|e| format!("no folder for its submission: {e}"))?;
    // The folder's name is the submission's.
    let submission: PathBuf = folder.path().join(&mutant.name);
    apply(mutant, &submission).map_err(|e| e.to_string())?;
    let record = grade(mutant, &submission)?;
    if record.interrupted {
        return Err("interrupted".to_owned());
    }
    let points: BTreeMap<String, Milli> = record.checks.iter().map(|c| (c.id.clone(), c.points)).collect();
    let outcome = Outcome::of(&record);
    let differences = compare(mutant, &outcome, &points);
    Ok((outcome, differences))
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::manifest::load;
    use super::*;
    use crate::record::fixture;

    fn mutants(root: &Path, names: &[&str]) -> Vec<Mutant> {
        std::fs::create_dir_all(root.join("reference")).unwrap();
        std::fs::write(root.join("reference/f"), "a").unwrap();
        let make = |name: &&str| {
            let folder = root.join(name);
            std::fs::create_dir_all(&folder).unwrap();
            let text = "about: x\nlayers: [services]\nexpect: pass\nedit: [{file: f, replace: a, with: b}]\n";
            std::fs::write(folder.join("mutant.yaml"), text).unwrap();
            load(&folder, &crate::scenario::bases(root).unwrap()).unwrap()
        };
        names.iter().map(make).collect()
    }

    #[tokio::test]
    async fn so_many_at_a_time_and_in_order() {
        let root = tempfile::tempdir().unwrap();
        let names = ["a", "b", "c", "d"];
        let most = Arc::new(AtomicUsize::new(0));
        let (seen, now, pair) = (most.clone(), AtomicUsize::new(0), Barrier::new(2));
        let grade = move |mutant: &Mutant, submission: &Path| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            // Passed only by two at a time.
            pair.wait();
            assert_eq!(std::fs::read_to_string(submission.join("f")).unwrap(), "b");
            now.fetch_sub(1, Ordering::SeqCst);
            if mutant.name == "b" { Err("no lab".to_owned()) } else { Ok(fixture::typical()) }
        };
        let mut told = 0;
        let rows = run(mutants(root.path(), &names), 2, grade, |_| told += 1).await;
        assert_eq!((seen.load(Ordering::SeqCst), told), (2, 4));
        assert_eq!(rows.iter().map(|row| row.mutant.name.as_str()).collect::<Vec<_>>(), names);
        assert_eq!(rows[1].got.as_ref().err().map(String::as_str), Some("no lab"));
        assert!(!rows[0].got.as_ref().unwrap().1.is_empty(), "the fixture's run is no pass");
    }

    #[tokio::test]
    async fn a_panic_or_an_interruption_is_its_row_s() {
        let root = tempfile::tempdir().unwrap();
        let grade = |mutant: &Mutant, _: &Path| {
            assert_ne!(mutant.name, "a");
            Ok(RunRecord { interrupted: true, ..fixture::typical() })
        };
        let rows = run(mutants(root.path(), &["a", "b"]), 1, grade, |_| ()).await;
        assert!(rows[0].got.as_ref().is_err_and(|why| why.contains("panic")));
        assert!(rows[1].got.as_ref().is_err_and(|why| why == "interrupted"));
    }
}

//! Grading mutants, several at a time. How one submission is graded is the caller's; what must come of it is compared here.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream;

use super::apply::apply;
use super::compare::{Outcome, compare};
use super::manifest::Mutant;
use super::table::Row;
use crate::record::RunRecord;
use crate::scenario::Milli;
use crate::time::Clock;

/// Grades each on a fresh copy of the reference, `jobs` at a time, and gives the rows in the order of the mutants.
///
/// `grade` is given the mutant and its submission's folder, which is removed afterwards; `told` hears of each row as it is
/// done. What keeps one from being graded is its row's, and stops no other.
pub async fn run<G, F>(
    mutants: Vec<Mutant>,
    reference: &Path,
    jobs: usize,
    grade: G,
    mut told: impl FnMut(&Row),
) -> Vec<Row>
where
    G: Fn(Mutant, PathBuf) -> F + Send + Sync + 'static,
    F: Future<Output = Result<RunRecord, String>> + Send + 'static,
{
    let grade = Arc::new(grade);
    let lane = |(n, mutant): (usize, Mutant)| {
        let (grade, reference, name) = (grade.clone(), reference.to_owned(), mutant.clone());
        // Tasks of their own: a lane that is busy must not keep another from looking in time.
        let task = tokio::spawn(one(mutant, reference, grade));
        async move {
            let row = task.await.unwrap_or_else(|error| Row {
                mutant: name,
                got: Err(format!("its grading ended in a panic: {error}")),
                elapsed: std::time::Duration::ZERO,
            });
            (n, row)
        }
    };
    // `lane` spawns when the stream is asked for it, so that no more than `jobs` are under way.
    let mut rows: Vec<(usize, Row)> = Vec::new();
    let mut lanes = stream::iter(mutants.into_iter().enumerate()).map(lane).buffer_unordered(jobs.max(1));
    while let Some(row) = lanes.next().await {
        told(&row.1);
        rows.push(row);
    }
    rows.sort_by_key(|(n, _)| *n);
    rows.into_iter().map(|(_, row)| row).collect()
}

async fn one<G, F>(mutant: Mutant, reference: PathBuf, grade: Arc<G>) -> Row
where
    G: Fn(Mutant, PathBuf) -> F + Send + Sync,
    F: Future<Output = Result<RunRecord, String>> + Send,
{
    let clock = Clock::start();
    let got = graded(&mutant, &reference, &*grade).await;
    Row { mutant, got, elapsed: clock.elapsed() }
}

async fn graded<G, F>(mutant: &Mutant, reference: &Path, grade: &G) -> Result<(Outcome, Vec<super::Difference>), String>
where
    G: Fn(Mutant, PathBuf) -> F + Send + Sync,
    F: Future<Output = Result<RunRecord, String>> + Send,
{
    let folder = tempfile::Builder::new()
        .prefix("imparcial-mutant-")
        .tempdir()
        .map_err(|e| format!("no folder for its submission: {e}"))?;
    // The folder's name is the submission's.
    let submission = folder.path().join(&mutant.name);
    apply(mutant, reference, &submission).map_err(|e| e.to_string())?;
    let record = grade(mutant.clone(), submission).await?;
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
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::super::manifest::load;
    use super::*;
    use crate::mutants::Difference;
    use crate::record::fixture;

    fn mutants(root: &Path, names: &[&str]) -> Vec<Mutant> {
        std::fs::create_dir_all(root.join("reference")).unwrap();
        std::fs::write(root.join("reference/f"), "a").unwrap();
        let make = |name: &&str| {
            let folder = root.join(name);
            std::fs::create_dir_all(&folder).unwrap();
            let text = "about: x\nlayers: [services]\nexpect: pass\nedit: [{file: f, replace: a, with: b}]\n";
            std::fs::write(folder.join("mutant.yaml"), text).unwrap();
            load(&folder).unwrap()
        };
        names.iter().map(make).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_at_a_time_and_in_order() {
        let root = tempfile::tempdir().unwrap();
        let names = ["a", "b", "c", "d", "e"];
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let seen = most.clone();
        let grade = move |mutant: Mutant, submission: PathBuf| {
            let (now, most) = (now.clone(), most.clone());
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                assert_eq!(std::fs::read_to_string(submission.join("f")).unwrap(), "b");
                tokio::time::sleep(Duration::from_secs(if mutant.name == "a" { 60 } else { 10 })).await;
                now.fetch_sub(1, Ordering::SeqCst);
                if mutant.name == "b" {
                    Err("no lab".to_owned())
                } else {
                    Ok(RunRecord { checks: vec![], ..fixture::typical() })
                }
            }
        };
        let mut told = Vec::new();
        let rows = run(mutants(root.path(), &names), &root.path().join("reference"), 2, grade, |row| {
            told.push(row.mutant.name.clone());
        })
        .await;
        assert_eq!(seen.load(Ordering::SeqCst), 2);
        assert_eq!(rows.iter().map(|row| row.mutant.name.as_str()).collect::<Vec<_>>(), names);
        assert_eq!(told.last().map(String::as_str), Some("a"), "the slowest is told last");
        assert_eq!(rows[1].got, Err("no lab".to_owned()));
        assert_eq!(rows[0].got.as_ref().map(|(_, d)| d.as_slice()), Ok(&[] as &[Difference]));
        assert_eq!(rows[0].elapsed.as_secs(), 60);
    }

    #[tokio::test]
    async fn a_panic_or_an_interruption_is_its_row_s() {
        let root = tempfile::tempdir().unwrap();
        let grade = |mutant: Mutant, _: PathBuf| async move {
            assert_ne!(mutant.name, "a");
            Ok(RunRecord { interrupted: true, ..fixture::typical() })
        };
        let rows = run(mutants(root.path(), &["a", "b"]), &root.path().join("reference"), 1, grade, |_| ()).await;
        assert!(rows[0].got.as_ref().is_err_and(|why| why.contains("panic")));
        assert_eq!(rows[1].got, Err("interrupted".to_owned()));
    }
}

//! The shipped mutants, without grading them: all load and fit the reference, and no check goes without one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use imparcial::mutants::{Expect, Mutant, apply, load_all};
use imparcial::scenario::{self, Milli};
use imparcial::scenario::tree::{self, Node, Yaml};
use imparcial::scenario::units;

/// Checks that no mutant of its own can fail, and why.
const WITHOUT_MUTANT: &[(&str, &str)] =
    &[("memory-effective", "compose puts every limit that it accepts in force: declared and effective do not part")];

fn seed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/seed")
}

fn mutants() -> Vec<Mutant> {
    let bases = scenario::bases(&seed()).unwrap_or_else(|problems| panic!("{problems:#?}"));
    load_all(&seed().join("mutants"), &bases).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// Every check's points, by id.
fn checks() -> BTreeMap<String, Milli> {
    let text = std::fs::read_to_string(seed().join("scenario.yaml")).unwrap();
    let root = tree::read(&text, "scenario.yaml").unwrap();
    let Some(Yaml::List(checks)) = root.get("checks").map(|node| node.value.clone()) else { panic!("no checks") };
    let text = |check: &Node, key: &str| check.get(key).and_then(Node::text).unwrap().to_owned();
    checks.iter().map(|c| (text(c, "id"), units::milli(&text(c, "points")).unwrap())).collect()
}

#[test]
fn every_mutant_fits_its_base() {
    for mutant in mutants() {
        let folder = tempfile::tempdir().unwrap();
        if let Err(error) = apply(&mutant, folder.path()) {
            panic!("{error}");
        }
        assert!(changed(&mutant.base.submission, folder.path()), "{}: changes nothing", mutant.name);
    }
}

fn changed(reference: &Path, copy: &Path) -> bool {
    let files = |root: &Path| -> BTreeMap<PathBuf, Vec<u8>> {
        let files = walkdir::WalkDir::new(root).into_iter().map(Result::unwrap).filter(|e| e.file_type().is_file());
        files.map(|e| (e.path().strip_prefix(root).unwrap().to_owned(), std::fs::read(e.path()).unwrap())).collect()
    };
    files(reference) != files(copy)
}

#[test]
fn every_mutant_names_checks_of_the_scenario_and_its_points_add_up() {
    let checks = checks();
    for m in mutants() {
        let roots = m.expect.failed.iter().chain(&m.expect.undecided);
        for id in roots.clone().chain(&m.skips).chain(&m.may_skip) {
            assert!(checks.get(id).is_some_and(|points| *points > 0), "{}: no check with points `{id}`", m.name);
        }
        for id in &m.expect_observation {
            assert_eq!(checks.get(id), Some(&0), "{}: no observation `{id}`", m.name);
        }
        let sum: Milli = roots.chain(&m.skips).map(|id| checks[id]).sum();
        assert_eq!(m.loses + m.undecided_points, sum, "{}: points of its roots and skips", m.name);
    }
}

#[test]
fn every_check_has_a_mutant_that_fails_it_alone() {
    let mutants = mutants();
    let failed: BTreeSet<&String> =
        mutants.iter().filter(|m| m.expect.failed.len() == 1).flat_map(|m| &m.expect.failed).collect();
    for (id, points) in checks() {
        let without = WITHOUT_MUTANT.iter().any(|(check, _)| *check == id);
        assert!(points == 0 || failed.contains(&id) != without, "{id}: needs a mutant, or a reason why it has none");
    }
}

#[test]
fn each_kind_of_case_is_there() {
    let mutants = mutants();
    let count = |which: fn(&Expect) -> bool| mutants.iter().filter(|m| which(&m.expect)).count();
    assert!(count(|e| !e.failed.is_empty()) >= 16, "must fail");
    assert!(count(Expect::is_pass) >= 15, "must pass");
    assert!(count(|e| !e.undecided.is_empty()) >= 3, "must be undecided");
    // Where nobody can tell who plays a role, each check that asks for it is undecided by itself.
    let open = |m: &Mutant| m.name == "two-apps-two-databases";
    let one = |m: &Mutant| m.expect.failed.len() <= 1 && (m.expect.undecided.len() <= 1 || open(m));
    assert!(mutants.iter().all(one), "one root each");
}

//! The shipped mutants, without grading them: all load and fit the reference, and no check goes without one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use imparcial::mutants::{Expect, Mutant, apply, load_all};
use imparcial::scenario::tree::{self, Node, Yaml};
use imparcial::scenario::units;
use imparcial::scenario::{self, Base, Milli};

/// Checks that no mutant of its own can fail, and why.
const WITHOUT_MUTANT: &[(&str, &str)] = &[
    ("memory-effective", "compose puts every limit that it accepts in force: declared and effective do not part"),
    ("db-is-spared", "nothing that the policy lets through puts two services under one limit"),
    ("page-survives-a-worker", "what a worker's absence brings down comes back with it, ten seconds later"),
    ("rows-survive-a-worker", "what loses a confirmed row with a worker is no replicated volume, and fails as that"),
];

/// The scenarios that have mutants.
const SCENARIOS: [&str; 4] = ["seed", "parcial-2-2019", "parcial-3-2018", "recovery"];

fn folder(scenario: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(scenario)
}

fn bases(scenario: &str) -> Vec<Base> {
    scenario::bases(&folder(scenario)).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn mutants(scenario: &str) -> Vec<Mutant> {
    let mutants = load_all(&folder(scenario).join("mutants"), &bases(scenario));
    mutants.unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// Every check's points, by id.
fn checks(scenario: &str) -> BTreeMap<String, Milli> {
    let text = std::fs::read_to_string(folder(scenario).join("scenario.yaml")).unwrap();
    let root = tree::read(&text, "scenario.yaml").unwrap();
    let list = |node: &Node, key: &str| match node.get(key).map(|node| node.value.clone()) {
        Some(Yaml::List(all)) => all,
        _ => Vec::new(),
    };
    let objectives = list(&root, "drills").into_iter().flat_map(|drill| list(&drill, "objectives"));
    let checks: Vec<Node> = list(&root, "checks").into_iter().chain(objectives).collect();
    assert!(!checks.is_empty(), "no checks");
    let text = |check: &Node, key: &str| check.get(key).and_then(Node::text).unwrap().to_owned();
    checks.iter().map(|c| (text(c, "id"), units::milli(&text(c, "points")).unwrap())).collect()
}

#[test]
fn every_mutant_fits_its_base() {
    for mutant in SCENARIOS.into_iter().flat_map(mutants) {
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
    for (checks, m) in SCENARIOS.into_iter().flat_map(|s| mutants(s).into_iter().map(move |m| (checks(s), m))) {
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
    let mutants = mutants("seed");
    let failed: BTreeSet<&String> =
        mutants.iter().filter(|m| m.expect.failed.len() == 1).flat_map(|m| &m.expect.failed).collect();
    for (id, points) in checks("seed") {
        let without = WITHOUT_MUTANT.iter().any(|(check, _)| *check == id);
        assert!(points == 0 || failed.contains(&id) != without, "{id}: needs a mutant, or a reason why it has none");
    }
}

#[test]
fn every_place_that_a_mutant_leads_to_is_a_line_of_it() {
    let mut places = 0;
    for mutant in mutants("seed").iter().filter(|m| m.looks_at.is_some()) {
        let folder = tempfile::tempdir().unwrap();
        if let Err(error) = apply(mutant, folder.path()) {
            panic!("{error}");
        }
        for place in mutant.looks_at.iter().flatten() {
            let (file, line) = place.rsplit_once(':').unwrap();
            let text = std::fs::read_to_string(folder.path().join(file)).unwrap();
            let said = text.lines().nth(line.parse::<usize>().unwrap() - 1).unwrap_or_default();
            assert!(!said.trim().is_empty(), "{}: nothing at {place}", mutant.name);
            places += 1;
        }
    }
    assert!(places >= 10, "{places}");
}

#[test]
fn each_kind_of_case_is_there() {
    let mutants = mutants("seed");
    let count = |which: fn(&Expect) -> bool| mutants.iter().filter(|m| which(&m.expect)).count();
    assert!(count(|e| !e.failed.is_empty()) >= 16, "must fail");
    assert!(count(Expect::is_pass) >= 15, "must pass");
    assert!(count(|e| !e.undecided.is_empty()) >= 3, "must be undecided");
    // Where nobody can tell who plays a role, each check that asks for it is undecided by itself.
    let open = |m: &Mutant| m.name == "two-apps-two-databases";
    let one = |m: &Mutant| m.expect.failed.len() <= 1 && (m.expect.undecided.len() <= 1 || open(m));
    assert!(mutants.iter().all(one), "one root each");
}

#[test]
fn every_base_names_observations_of_its_scenario() {
    for name in SCENARIOS {
        let checks = checks(name);
        let bases = bases(name);
        // What stands on a swarm has one model answer so far.
        let least = if ["parcial-3-2018", "recovery"].contains(&name) { 1 } else { 2 };
        assert!(bases.len() >= least, "{name}: {bases:?}");
        for id in bases.iter().flat_map(|base| &base.expect_observation) {
            assert_eq!(checks.get(id), Some(&0), "{name}: no observation `{id}`");
        }
    }
}

#[test]
fn no_base_has_faults_alone() {
    let mutants = mutants("seed");
    for base in bases("seed") {
        let of: Vec<&Mutant> = mutants.iter().filter(|m| m.base.name == base.name).collect();
        let count = |which: fn(&Expect) -> bool| of.iter().filter(|m| which(&m.expect)).count();
        let undecided = count(|e| !e.undecided.is_empty());
        assert!(of.len() >= 30 && undecided >= 3, "{}: {} mutants, {undecided} undecided", base.name, of.len());
        assert!(count(Expect::is_pass) >= 10 && count(|e| !e.failed.is_empty()) >= 10, "{}", base.name);
    }
    // A grader that fails everything must not look good.
    let faults = mutants.iter().filter(|m| !m.expect.failed.is_empty()).count();
    assert!(faults * 2 <= mutants.len(), "{faults} of {} must fail", mutants.len());
}

/// What `make test` grades: of each check that services alone can fail, and of each verdict, at least one.
#[test]
fn the_sample_fails_every_check_that_a_mutant_without_machines_fails() {
    let services: Vec<Mutant> = mutants("seed").into_iter().filter(|mutant| !mutant.boots()).collect();
    let roots = |sampled: bool| {
        let those = services.iter().filter(|mutant| mutant.sample || !sampled);
        let roots = those.flat_map(|mutant| [&mutant.expect.failed, &mutant.expect.undecided].into_iter().enumerate());
        let named = roots.flat_map(|(verdict, ids)| ids.iter().map(move |id| (verdict, id.as_str())));
        named.collect::<BTreeSet<_>>()
    };
    assert_eq!(roots(false).difference(&roots(true)).collect::<Vec<_>>(), [] as [&(usize, &str); 0]);
    let sampled = services.iter().filter(|mutant| mutant.sample);
    let (must_pass, all) = (sampled.clone().filter(|mutant| mutant.expect.is_pass()).count(), sampled.count());
    assert!(must_pass >= 15 && all * 3 >= services.len(), "{must_pass} of {all} of {}", services.len());
}

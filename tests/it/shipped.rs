//! What is shipped is right: every scenario plans, and so does every kind's example.

use std::path::{Path, PathBuf};

use imparcial::fault::Ground;
use imparcial::plan::{self, Options, Plan};
use imparcial::probe::{PROBES, ProbeKind};
use imparcial::reference;
use imparcial::scenario::tree::{self, Node};
use imparcial::scenario::{self, Read, diagnostics};
use imparcial::submission::Submission;

fn scenarios() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let entries = folder.read_dir().unwrap().map(|entry| entry.unwrap().path().join("scenario.yaml"));
    let mut files: Vec<PathBuf> = entries.filter(|file| file.is_file()).collect();
    files.sort();
    files
}

fn planned(read: Read) -> Plan {
    let source = read.source.clone();
    plan::resolve(read, Submission::default(), Options::default(), PROBES)
        .unwrap_or_else(|problems| panic!("{}", diagnostics::render(&problems, &source, false)))
}

#[test]
fn every_scenario_plans() {
    let files = scenarios();
    assert!(files.len() >= 2, "{files:?}");
    for file in files {
        let plan = planned(scenario::read(&file, &plan::names(PROBES)));
        let folder = file.parent().unwrap().file_name().unwrap();
        assert_eq!(plan.scenario.name.as_str(), folder, "a scenario has its folder's name");
        let order = plan.order();
        assert_eq!(order.len(), plan.checks.len());
        let place = |check: usize| order.iter().position(|&i| i == check);
        for check in 0..plan.checks.len() {
            for cause in plan.needs(check).into_iter().chain(plan.explained_by(check)) {
                assert!(place(cause) < place(check), "{}", plan.checks[check].spec.id);
            }
        }
    }
}

/// Both languages are there, and what students read is not the same text twice by oversight.
#[test]
fn every_shipped_check_speaks_both_languages() {
    for file in scenarios() {
        let plan = planned(scenario::read(&file, &plan::names(PROBES)));
        for check in &plan.checks {
            let id = &check.spec.id;
            let title = check.spec.title.as_ref().unwrap_or_else(|| panic!("{id} has no title"));
            let hint = check.spec.hint.as_ref().unwrap_or_else(|| panic!("{id} has no hint"));
            assert!(title.en != title.es && hint.en != hint.es, "{id}: the same in both languages");
        }
    }
}

/// It is for being seen on a real one: `tests/it/data/clock-skew/README.md`.
#[test]
fn the_scenario_of_a_skewed_clock_is_for_virtual_machines() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/data/clock-skew/scenario.yaml");
    let plan = planned(scenario::read(&file, &plan::names(PROBES)));
    assert_eq!(complaints(&std::fs::read_to_string(&file).unwrap()), [""; 0]);
    let drills: Vec<_> = plan.checks.iter().filter(|check| check.probe.drill().is_some()).collect();
    assert_eq!(drills.len(), 2);
    for check in drills {
        let cannot = |ground| check.probe.cannot(ground).map(|why| why.en).unwrap_or_default();
        assert_eq!(cannot(Ground::Guests), "");
        assert!(cannot(Ground::Lab).contains("`--provider libvirt`"), "{}", cannot(Ground::Lab));
    }
}

/// A kind's example as a scenario of its own.
fn example(kind: &ProbeKind) -> String {
    let example = tree::read(kind.example, kind.name).unwrap_or_else(|problems| panic!("{problems:?}"));
    assert!(example.get(kind.name).is_some(), "{}: the example uses another kind", kind.name);
    let points = example.get("points").and_then(Node::text).unwrap_or_else(|| panic!("{}: no points", kind.name));
    format!(
        "imparcial: 1\nname: example\ntitle: x\npoints: {points}\nroles: {{app: {{}}, db: {{}}, app-logs: {{}}}}\nchecks:\n  - {}\n",
        kind.example.trim().replace('\n', "\n    ")
    )
}

#[test]
fn every_kind_s_example_plans() {
    for kind in PROBES {
        planned(scenario::read_text(&example(kind), Path::new("example.yaml"), &plan::names(PROBES)));
    }
}

#[test]
fn the_readme_s_scenario_plans_and_fits_the_schema() {
    let readme = include_str!("../../README.md");
    let whole: Vec<&str> = readme.split("```yaml\n").skip(1).filter_map(|block| block.split("```").next()).collect();
    let whole: Vec<&str> = whole.into_iter().filter(|block| block.contains("imparcial: 1")).collect();
    let [text] = whole.as_slice() else { panic!("README has {} whole scenarios", whole.len()) };
    planned(scenario::read_text(text, Path::new("README.md"), &plan::names(PROBES)));
    assert_eq!(complaints(text), [""; 0]);
}

/// What the schema says of a scenario's text, a line a complaint.
fn complaints(text: &str) -> Vec<String> {
    let schema = jsonschema::validator_for(&reference::schema::schema(PROBES)).expect("a schema");
    let json = tree::read(text, "s.yaml").unwrap_or_else(|problems| panic!("{problems:?}")).to_json();
    schema.iter_errors(&json).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[test]
fn the_schema_accepts_what_is_shipped_and_every_example() {
    for file in scenarios() {
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(complaints(&text), [""; 0], "{}", file.display());
        let first = text.lines().next().unwrap_or_default();
        let named =
            first.strip_prefix("# yaml-language-server: $schema=").unwrap_or_else(|| panic!("{}", file.display()));
        let named = file.parent().unwrap().join(named).canonicalize().unwrap();
        assert_eq!(named, generated("schema.json").canonicalize().unwrap(), "{}", file.display());
    }
    for kind in PROBES {
        assert_eq!(complaints(&example(kind)), [""; 0], "{}", kind.name);
    }
}

/// What editors underline: the mistakes that a schema can see at all.
#[test]
fn the_schema_refuses_what_the_decoder_refuses() {
    let seed = std::fs::read_to_string(scenarios().pop().unwrap()).unwrap();
    for (right, wrong) in [
        ("budgets: {fetch: 5m", "budgets: {fetch: 5"),
        ("visibility: after_due", "visibilty: after_due"),
        ("visibility: after_due", "visibility: nobody"),
        ("container: {role: db}", "contaner: {role: db}"),
        ("container: {role: db}", "container: {rol: db}"),
        ("container: {role: db}", "container: {role: db}\n    policy: {}"),
        ("expect: {valid: true}", "expect: {valdi: true}"),
        ("expect: {valid: true}", "expect: {valid: 1}"),
        ("expect: {valid: true}", "expect: {}"),
        ("declared_bytes: {ge: 6MiB}", "declared_bytes: {gee: 6MiB}"),
        ("declared_bytes: {ge: 6MiB}", "declared_bytes: {ge: 6q}"),
        ("quiet_for_s: {ge: 10s}", "quiet_for_s: {ge: 10}"),
        ("image_family: [mysql", "image_famly: [mysql"),
        ("privileged: refuse", "privileged: forbid"),
        ("layers: [machines, services, drills]", "layers: []"),
        ("recover_within: {full: 15s", "recover_withn: {full: 15s"),
        ("fault: {kill: {role: app}}", "fault: {kil: {role: app}}"),
        ("watch: {store: db}", "watch: {stor: db}"),
        ("imparcial: 1", "imparcial: 2"),
    ] {
        assert!(seed.contains(right), "{right}");
        assert!(!complaints(&seed.replacen(right, wrong, 1)).is_empty(), "{wrong}");
    }
}

fn generated(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(name)
}

/// With `IMPARCIAL_REWRITE=1` what is stale is written anew.
#[test]
fn what_is_generated_is_what_would_be_generated_now() {
    let schema = serde_json::to_string_pretty(&reference::schema::schema(PROBES)).unwrap() + "\n";
    for (name, now) in [("schema.json", schema), ("KINDS.md", reference::kinds::page(PROBES))] {
        let file = generated(name);
        if std::env::var_os("IMPARCIAL_REWRITE").is_some() {
            std::fs::write(&file, &now).unwrap();
        }
        let there = std::fs::read_to_string(&file).unwrap_or_default();
        let how = "`IMPARCIAL_REWRITE=1 cargo test --test it -- generated` writes it anew";
        assert!(there == now, "scenarios/{name} is stale: {how}");
    }
}

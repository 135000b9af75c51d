//! What is shipped is right: every scenario plans, and so does every kind's example.

use std::path::{Path, PathBuf};

use imparcial::plan::{self, Options, Plan};
use imparcial::probe::PROBES;
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

#[test]
fn every_kind_s_example_plans() {
    for kind in PROBES {
        let example = tree::read(kind.example, kind.name).unwrap_or_else(|problems| panic!("{problems:?}"));
        assert!(example.get(kind.name).is_some(), "{}: the example uses another kind", kind.name);
        let (id, points) = (example.get("id").is_none(), example.get("points").is_none());
        let text = match kind.example.trim_start().strip_prefix('{') {
            Some(rest) => {
                let more = [(id, "id: example, "), (points, "points: 0, ")];
                format!(
                    "- {{{}{rest}",
                    more.iter().filter(|(needed, _)| *needed).map(|(_, text)| *text).collect::<String>()
                )
            }
            None => {
                let more = [(id, "  id: example\n"), (points, "  points: 0\n")];
                let more: String = more.iter().filter(|(needed, _)| *needed).map(|(_, text)| *text).collect();
                format!("-\n{more}  {}", kind.example.trim_end().replace('\n', "\n  "))
            }
        };
        let points = example.get("points").and_then(Node::text).unwrap_or("0");
        let text = format!(
            "imparcial: 1\nname: example\ntitle: x\npoints: {points}\nroles: {{app: {{}}, db: {{}}}}\nchecks:\n{text}\n"
        );
        planned(scenario::read_text(&text, Path::new("example.yaml"), &plan::names(PROBES)));
    }
}

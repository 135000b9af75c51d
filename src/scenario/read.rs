//! The scenario's file decoded: every part asked for, every problem noted, a scenario given back wherever it can be.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::check::{self, CheckDecoder};
use super::decoder::Decoder;
use super::drills;
use super::manual;
use super::parts;
use super::serving;
use super::tree::{self, Node, Problem, Yaml};
use super::units;
use super::{Budgets, CheckSpec, Milli, Patience, Scenario};

/// What reading a scenario's file gave.
#[derive(Clone, Debug)]
pub struct Read {
    /// As far as it could be read; with problems it is only good for finding more of them.
    pub scenario: Option<Scenario>,
    pub problems: Vec<Problem>,
    /// The file's text, for showing the problems.
    pub source: String,
}

/// Layers that can be brought up.
pub const LAYERS: &[&str] = &["machines", "services", "drills"];

/// Reads a scenario's file; `kinds` are the names of the kinds of checks that there are. A file that cannot be read is a problem too.
pub fn read(path: &Path, kinds: &[&str]) -> Read {
    let file = path.display().to_string();
    let failed = |message: String| {
        let at = crate::expect::Place { file: file.clone(), line: 0, column: 0 };
        Read { scenario: None, problems: vec![Problem::new(&at, message)], source: String::new() }
    };
    let bytes = match start_of(path) {
        Ok(bytes) => bytes,
        Err(error) => return failed(format!("the scenario cannot be read: {error}")),
    };
    match String::from_utf8(bytes) {
        Ok(text) => read_text(&text, path, kinds),
        Err(_) => failed("the scenario is not a text file in UTF-8".to_owned()),
    }
}

/// A file's bytes, no more than one beyond what a scenario may have: the tree refuses those, and says why.
fn start_of(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(tree::MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// As [`read`], of a text that was read already.
pub fn read_text(text: &str, path: &Path, kinds: &[&str]) -> Read {
    let source = text.strip_prefix('\u{feff}').unwrap_or(text).to_owned();
    match tree::read_on(text, &path.display().to_string()) {
        Err(problems) => Read { scenario: None, problems, source },
        Ok((node, mut problems)) => {
            let scenario = decode(&node, path, kinds, &mut problems);
            Read { scenario, problems, source }
        }
    }
}

fn decode(node: &Node, path: &Path, kinds: &[&str], problems: &mut Vec<Problem>) -> Option<Scenario> {
    if !matches!(node.value, Yaml::Map(_)) {
        let problem = Problem::new(&node.at, format!("a scenario is a map, not {}", node.describe()));
        problems.push(problem.hint("it starts with `imparcial: 1`"));
        return None;
    }
    let mut top = Decoder::new(node, problems);
    version(&mut top);
    let name = top.required_text("name").unwrap_or_default();
    if !name.is_empty() && !parts::is_name(&name) {
        top.problem_with("name", format!("`{name}` is no name"), Some(parts::NAME_FORM));
    }
    let title = parts::text(&mut top, "title", true).unwrap_or_default();
    let points = match top.required("points") {
        Some(node) => parts::points(node, &mut top),
        None => None,
    };
    let layers = layers(&mut top);
    let serving = top.map("services", serving::serving).unwrap_or_default();
    let budgets = top.map("budgets", |d| Some(budgets(d))).unwrap_or_default();
    let policy = parts::policy(&mut top);
    let roles = parts::roles(&mut top);
    let overrides = top.map("override", parts::overrides);
    let demanded = top.map("demanded", |d| d.bytes("memory"));
    let patience = top
        .map("defaults", |d| d.map("eventually", |d| Some(parts::patience(d, &Patience::default()))))
        .unwrap_or_default();
    let scale = top.map("scale", manual::scale);
    let mut ids = Vec::new();
    let mut checks = checks(&mut top, &CheckDecoder { kinds, patience: &patience, longest: budgets.check }, &mut ids);
    checks.extend(drills::drills(&mut top, &layers, &patience, &mut ids));
    let manual = manual::criteria(&mut top, &mut ids);
    top.finish();

    if let Some(points) = points {
        add_up(node, points, problems);
    }
    Some(Scenario {
        file: PathBuf::from(path),
        name,
        title,
        points: points.unwrap_or_default(),
        layers,
        serving,
        budgets,
        policy,
        roles,
        overrides,
        checks,
        manual,
        scale,
        demanded_memory_bytes: demanded,
    })
}

fn version(top: &mut Decoder<'_>) {
    match top.required("imparcial").map(|node| &node.value) {
        None | Some(Yaml::Int(1)) => {}
        Some(_) => {
            top.problem_with("imparcial", "this version of imparcial reads format 1", Some("write `imparcial: 1`"))
        }
    }
}

fn layers(top: &mut Decoder<'_>) -> Vec<String> {
    let layers = top.texts("layers");
    for (layer, at) in &layers {
        if !LAYERS.contains(&layer.as_str()) {
            let hint = crate::nearest::hint(layer, LAYERS.iter().copied());
            top.problem(Problem::new(at, format!("unknown layer `{layer}`")).hint(hint));
        }
    }
    if top.has("layers") && layers.is_empty() {
        top.problem_with("layers", "`layers` names no layer", Some("write `layers: [services]`"));
    }
    if layers.is_empty() { vec!["services".to_owned()] } else { layers.into_iter().map(|(layer, _)| layer).collect() }
}

fn budgets(d: &mut Decoder<'_>) -> Budgets {
    let usual = Budgets::default();
    let mut budget = |key: &'static str, usual: Duration| match d.duration(key) {
        Some(Duration::ZERO) => {
            d.problem_with(key, format!("`{key}` leaves no time at all"), None);
            usual
        }
        given => given.unwrap_or(usual),
    };
    Budgets {
        fetch: budget("fetch", usual.fetch),
        build: budget("build", usual.build),
        ready: budget("ready", usual.ready),
        machines: budget("machines", usual.machines),
        provision: budget("provision", usual.provision),
        check: budget("check", usual.check),
        teardown: budget("teardown", usual.teardown),
    }
}

/// Every check of the list that has an id.
fn checks(top: &mut Decoder<'_>, decoder: &CheckDecoder<'_>, seen: &mut Vec<(String, u32)>) -> Vec<CheckSpec> {
    let Some(node) = top.required("checks") else { return Vec::new() };
    let Yaml::List(items) = &node.value else {
        top.problem(Problem::new(&node.at, format!("`checks` must be a list, not {}", node.describe())));
        return Vec::new();
    };
    if items.is_empty() {
        top.problem(Problem::new(&node.at, "`checks` is empty: there is nothing to check"));
    }
    let mut out = Vec::with_capacity(items.len());
    for item in items {
        let check = decoder.decode(item, top.problems());
        check::only_one(item, "checks", seen, top);
        out.extend(check);
    }
    out
}

/// All points must be the scenario's; where some could not be read, nothing can be said of the sum.
fn add_up(node: &Node, points: Milli, problems: &mut Vec<Problem>) {
    let Some(Yaml::List(checks)) = node.get("checks").map(|checks| &checks.value) else { return };
    let Some(manual) = list_of(node, "manual") else { return };
    let Some(drills) = list_of(node, "drills") else { return };
    let Some(objectives) = drills.iter().map(|drill| list_of(drill, "objectives")).collect::<Option<Vec<_>>>() else {
        return;
    };
    let all = checks.iter().chain(objectives.into_iter().flatten()).chain(manual);
    let each = all.map(|one| one.get("points").and_then(Node::text).and_then(units::milli));
    let Some(sum) = each.sum::<Option<Milli>>() else { return };
    if sum != points {
        let at = node.get("points").map_or(&node.at, |node| &node.at);
        let (points, sum) = (units::show_milli(points), units::show_milli(sum));
        let what = if manual.is_empty() && drills.is_empty() { "its checks add" } else { "what it asks for adds" };
        let problem = Problem::new(at, format!("the scenario has {points} points and {what} up to {sum}"));
        let change = match (manual.is_empty(), drills.is_empty()) {
            (true, true) => "the checks",
            (false, true) => "the checks and criteria",
            (true, false) => "the checks and objectives",
            (false, false) => "the checks, objectives and criteria",
        };
        problems.push(problem.hint(format!("write `points: {sum}`, or change {change}")));
    }
}

/// A list that may be absent; none where something else stands there.
fn list_of<'a>(node: &'a Node, key: &str) -> Option<&'a [Node]> {
    match node.get(key).map(|list| &list.value) {
        None | Some(Yaml::Null) => Some(&[]),
        Some(Yaml::List(items)) => Some(items),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: &[&str] = &["http", "tcp"];

    fn read(text: &str) -> (Option<Scenario>, Vec<String>) {
        let read = read_text(text, Path::new("s.yaml"), KINDS);
        let show = |p: &Problem| format!("{}:{} {}", p.at.line, p.at.column, p.message);
        (read.scenario, read.problems.iter().map(show).collect())
    }

    const GOOD: &str = "\
imparcial: 1
name: two-tier
title: {en: Two tiers, es: Dos capas}
points: 12.5
budgets: {build: 10m}
policy: {privileged: refuse, host_binds: deny_list}
roles:
  app: {built: true, talks_to: db}
  db: {image_family: [mysql, mariadb]}
override: {every_service: {memory: 256MiB, cpus: 1.0}}
demanded: {memory: 20MB}
defaults: {eventually: {within: 20s}}
checks:
  - {id: port, points: 10, tcp: {role: app, port: 5000}, expect: {connected: true}}
  - id: page
    points: 2.5
    needs: port
    explained_by: [port]
    http: {url: x}
    expect: {status: 200}
    eventually: {every: 1s, stable: 2}
    hint: Look at the page.
    visibility: teacher
";

    #[test]
    fn the_whole_format_is_read() {
        let (scenario, problems) = read(GOOD);
        assert_eq!(problems, [""; 0]);
        let s = scenario.unwrap();
        assert_eq!((s.name.as_str(), s.title.es.as_str(), s.points), ("two-tier", "Dos capas", 12_500));
        assert_eq!(s.budgets.build, Duration::from_secs(600));
        assert_eq!(s.budgets.check, Duration::from_secs(120));
        assert_eq!(s.layers, ["services"]);
        assert_eq!(s.demanded_memory_bytes, Some(20 << 20));
        let overrides = s.overrides.unwrap();
        assert_eq!((overrides.memory_bytes, overrides.cpus), (256 << 20, 1.0));
        assert_eq!(s.roles[0].talks_to.as_deref(), Some("db"));
        assert_eq!(s.roles[1].image_family, ["mysql", "mariadb"]);
        let [port, page] = s.checks.as_slice() else { panic!("{:?}", s.checks) };
        assert_eq!((port.kind.as_str(), port.points, port.at.line), ("tcp", 10_000, 14));
        assert_eq!(port.params.get("port").unwrap().text(), Some("5000"));
        assert_eq!(port.eventually.within, Duration::from_secs(20));
        assert_eq!(page.needs[0].0, "port");
        assert_eq!(page.hint.as_ref().unwrap().es, "Look at the page.");
        assert_eq!(page.eventually.within, Duration::from_secs(20));
        assert_eq!((page.eventually.every, page.eventually.stable), (Duration::from_secs(1), 2));
        assert_eq!((page.visibility, page.details), (super::super::Visibility::Teacher, None));
    }

    #[test]
    fn details_are_for_no_more_than_the_check_is() {
        let text = GOOD.replace("visibility: teacher", "visibility: after_due\n    details: teacher");
        let (scenario, problems) = read(&text);
        assert_eq!(problems, [""; 0]);
        assert_eq!(scenario.unwrap().checks[1].details, Some(super::super::Visibility::Teacher));
        let text = GOOD.replace("visibility: teacher", "visibility: teacher\n    details: student");
        assert_eq!(read(&text).1, ["24:14 more would see the details than see the check"]);
    }

    #[test]
    fn every_mistake_is_reported_at_once() {
        let text = GOOD
            .replace("imparcial: 1", "imparcial: 2")
            .replace("build: 10m", "build: 10")
            .replace("id: page", "id: port")
            .replace("points: 2.5", "points: -2.5")
            .replace("http:", "htp:")
            .replace("visibility", "visibilty");
        assert_eq!(
            read(&text).1,
            [
                "1:12 this version of imparcial reads format 1",
                "5:18 `build` must be a duration, not the number 10",
                "16:13 points must be a decimal with at most three digits after the point, not the number -2.5",
                "19:5 unknown kind `htp`",
                "23:5 unknown key `visibilty`",
                "15:9 two checks have the id `port`",
            ]
        );
    }

    #[test]
    fn points_must_add_up() {
        assert_eq!(
            read(&GOOD.replace("points: 12.5", "points: 100")).1,
            ["4:9 the scenario has 100 points and its checks add up to 12.5"]
        );
    }

    #[test]
    fn nothing_is_no_scenario() {
        assert_eq!(read("").1, ["1:1 a scenario is a map, not nothing"]);
        assert_eq!(read("- a\n").1, ["1:1 a scenario is a map, not a list"]);
        let (_, problems) = read("imparcial: 1\nname: x\ntitle: x\npoints: 0\nchecks: []\n");
        assert_eq!(problems, ["5:9 `checks` is empty: there is nothing to check"]);
    }

    #[test]
    fn a_file_that_is_not_there_or_binary_is_a_problem() {
        let read = super::read(Path::new("/nowhere/s.yaml"), KINDS);
        assert!(read.problems[0].message.starts_with("the scenario cannot be read: "), "{:?}", read.problems);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.yaml");
        std::fs::write(&path, [0xff, 0xfe, 0x00]).unwrap();
        assert_eq!(super::read(&path, KINDS).problems[0].message, "the scenario is not a text file in UTF-8");
        std::fs::write(&path, "# much\n".repeat(300_000)).unwrap();
        assert_eq!(super::read(&path, KINDS).problems[0].message, "the file is larger than 1 MiB");
    }
}

//! What people judge: criteria with levels that are worth points, and the scale on which a mark is given.

use super::decoder::Decoder;
use super::tree::{Node, Problem, Yaml};
use super::units::{self, show_milli};
use super::{Milli, Visibility, check, parts};
use crate::expect::Place;
use crate::text::Text;

/// A criterion that a person judges, as written.
#[derive(Clone, Debug)]
pub struct ManualSpec {
    pub id: String,
    pub title: Text,
    pub points: Milli,
    /// In the order of the file; at least one is worth all the points, none more.
    pub levels: Vec<LevelSpec>,
    pub visibility: Visibility,
    pub at: Place,
}

/// One of a criterion's levels.
#[derive(Clone, Debug)]
pub struct LevelSpec {
    pub name: String,
    /// What people call it, where that is not its name.
    pub title: Option<Text>,
    pub points: Milli,
}

/// From no points at all to all of them: `{min: 0.0, max: 5.0, pass: 3.0}`, in 1/1000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScaleSpec {
    pub min: Milli,
    pub max: Milli,
    /// The least mark that passes.
    pub pass: Option<Milli>,
}

/// A scale; `None` where it is none, and said so.
pub(super) fn scale(d: &mut Decoder<'_>) -> Option<ScaleSpec> {
    let mut number = |key: &'static str, required: bool| {
        let node = if required { d.required(key)? } else { d.node(key)? };
        let read = node.text().and_then(units::milli);
        if read.is_none() {
            let found = node.describe();
            d.problem_with(key, format!("`{key}` must be a decimal such as `5.0`, not {found}"), None);
        }
        read
    };
    let (min, max, pass) = (number("min", false).unwrap_or_default(), number("max", true), number("pass", false));
    let max = max?;
    if max <= min {
        d.problem_with("max", "a scale goes up: `max` must be more than `min`", None);
        return None;
    }
    if pass.is_some_and(|pass| pass < min || pass > max) {
        d.problem_with("pass", "`pass` must lie between `min` and `max`", None);
    }
    Some(ScaleSpec { min, max, pass })
}

/// Every criterion of the list `manual` that has an id; `seen` are the ids that are taken, with their lines.
pub(super) fn criteria(top: &mut Decoder<'_>, seen: &mut Vec<(String, u32)>) -> Vec<ManualSpec> {
    let Some(node) = top.node("manual") else { return Vec::new() };
    let Yaml::List(items) = &node.value else {
        top.problem(Problem::new(&node.at, format!("`manual` must be a list, not {}", node.describe())));
        return Vec::new();
    };
    if items.is_empty() {
        top.problem(Problem::new(&node.at, "`manual` is empty: there is nothing to judge").hint("leave it out"));
    }
    let mut out = Vec::with_capacity(items.len());
    for item in items {
        if !matches!(item.value, Yaml::Map(_)) {
            top.problem(Problem::new(&item.at, format!("a criterion must be a map, not {}", item.describe())));
            continue;
        }
        check::only_one(item, "checks or criteria", seen, top);
        out.extend(top.within(item, criterion));
    }
    out
}

fn criterion(d: &mut Decoder<'_>) -> Option<ManualSpec> {
    let id = d.required_text("id");
    if let Some(id) = id.as_ref().filter(|id| !parts::is_name(id)) {
        d.problem_with("id", format!("`{id}` is no id"), Some(parts::NAME_FORM));
    }
    let title = parts::text(d, "title", true);
    let points = match d.required("points") {
        Some(node) => parts::points(node, d),
        None => None,
    };
    if points == Some(0) {
        d.problem_with("points", "a criterion that people judge is worth something", None);
    }
    let visibility = check::audience(d, "visibility").unwrap_or_default();
    let levels = levels(d, points);
    Some(ManualSpec {
        id: id?,
        title: title.unwrap_or_default(),
        points: points.unwrap_or_default(),
        levels,
        visibility,
        at: d.at().clone(),
    })
}

fn levels(d: &mut Decoder<'_>, all: Option<Milli>) -> Vec<LevelSpec> {
    if d.required("levels").is_none() {
        return Vec::new();
    }
    let entries = d.entries("levels");
    let mut out = Vec::with_capacity(entries.len());
    for (name, at, node) in entries {
        if !parts::is_name(name) {
            d.problem(Problem::new(at, format!("`{name}` is no name for a level")).hint(parts::NAME_FORM));
        }
        let (points, title) = level(d, node);
        if let (Some(points), Some(all)) = (points, all)
            && points > all
        {
            let (points, all) = (show_milli(points), show_milli(all));
            let message = format!("level `{name}` is worth {points}, more than its criterion's {all}");
            d.problem(Problem::new(&node.at, message));
        }
        out.extend(points.map(|points| LevelSpec { name: name.clone(), title, points }));
    }
    // Where one could not be read, nothing can be said of them all.
    if out.len() < entries.len() || !matches!(d.node("levels").map(|node| &node.value), Some(Yaml::Map(_))) {
        return out;
    }
    let best = out.iter().map(|level| level.points).max().unwrap_or_default();
    if out.len() < 2 {
        d.problem_with("levels", "a criterion needs two levels at least", Some("such as `{complete: 10, missing: 0}`"));
    } else if all.is_some_and(|all| best < all) {
        let all = show_milli(all.unwrap_or_default());
        d.problem_with("levels", format!("no level is worth all of the {all} points"), None);
    }
    out
}

/// `10`, or `{points: 10, title: {en: …, es: …}}`.
fn level(d: &mut Decoder<'_>, node: &Node) -> (Option<Milli>, Option<Text>) {
    if !matches!(node.value, Yaml::Map(_)) {
        return (parts::points(node, d), None);
    }
    d.within(node, |d| {
        let title = parts::text(d, "title", false);
        let points = match d.required("points") {
            Some(node) => parts::points(node, d),
            None => None,
        };
        (points, title)
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::scenario::{Problem, Scenario, Visibility, read_text};

    fn read(rest: &str) -> (Scenario, Vec<String>) {
        let text = format!(
            "imparcial: 1\nname: x\ntitle: x\npoints: 15\nchecks: [{{id: port, points: 5, tcp: {{}}, expect: {{a: 1}}}}]\n{rest}"
        );
        let read = read_text(&text, Path::new("s.yaml"), &["tcp"]);
        let show = |p: &Problem| format!("{}:{} {}", p.at.line, p.at.column, p.message);
        (read.scenario.unwrap(), read.problems.iter().map(show).collect())
    }

    #[test]
    fn criteria_and_scale_are_read() {
        let (scenario, problems) = read(
            "scale: {max: 5.0, pass: 3.0}
manual:
  - id: readme
    points: 10
    title: {en: The README, es: El README}
    visibility: after_due
    levels: {complete: 10, partial: {points: 2.5, title: {en: in part, es: en parte}}, missing: 0}
",
        );
        assert_eq!(problems, [""; 0]);
        let scale = scenario.scale.unwrap();
        assert_eq!((scale.min, scale.max, scale.pass), (0, 5_000, Some(3_000)));
        let [readme] = scenario.manual.as_slice() else { panic!("{:?}", scenario.manual) };
        assert_eq!((readme.id.as_str(), readme.points, readme.title.es.as_str()), ("readme", 10_000, "El README"));
        assert_eq!((readme.visibility, readme.at.line), (Visibility::AfterDue, 8));
        let levels: Vec<_> = readme.levels.iter().map(|l| (l.name.as_str(), l.points)).collect();
        assert_eq!(levels, [("complete", 10_000), ("partial", 2_500), ("missing", 0)]);
        assert_eq!(readme.levels[1].title.as_ref().unwrap().es, "en parte");
    }

    #[test]
    fn every_mistake_of_a_criterion_has_its_place() {
        let (_, problems) = read(
            "scale: {min: 5, max: 5.0}
manual:
  - {id: port, points: 10, title: x, levels: {good: 11, bad: 0}}
  - {id: a, points: 10, title: x, levels: {good: 9, bad: 0}}
  - {id: b, points: 0, title: x, levels: {good: 0}}
  - {id: c, points: ten, levels: {good: many}, pionts: 1}
  - just a text
",
        );
        let messages = [
            "6:22 a scale goes up: `max` must be more than `min`",
            "8:10 two checks or criteria have the id `port`",
            "8:53 level `good` is worth 11, more than its criterion's 10",
            "9:43 no level is worth all of the 10 points",
            "10:21 a criterion that people judge is worth something",
            "10:42 a criterion needs two levels at least",
        ];
        for message in messages {
            assert!(problems.iter().any(|p| p == message), "`{message}` in {problems:#?}");
        }
        for piece in ["points must be a decimal", "unknown key `pionts`", "`title` is missing", "must be a map"] {
            assert!(problems.iter().any(|p| p.contains(piece)), "`{piece}` in {problems:#?}");
        }
    }

    #[test]
    fn what_people_judge_counts_in_the_sum() {
        let (_, problems) = read("manual: [{id: a, points: 9, title: x, levels: {good: 9, bad: 0}}]");
        assert_eq!(problems, ["4:9 the scenario has 15 points and what it asks for adds up to 14"]);
    }
}

//! `drills:` of a scenario: what is broken, what is watched meanwhile, and the objectives, each of which is a check with points.
//!
//! An objective is a short word for what is expected of a fact: `recover_within: 30s` is `{recovery_time_s: {le: 30s}}`. So a
//! drill becomes as many checks of the kind `drill` as it has objectives, and all that holds for checks holds for them.

use std::time::Duration;

use super::check::{audience, only_one};
use super::decoder::{Decoder, duration_of, number};
use super::parts;
use super::tree::{Node, Problem, Yaml};
use super::{CheckSpec, CreditSpec, Patience, Visibility};
use crate::expect::Place;
use crate::nearest;

/// The kind of the checks that objectives are.
pub const KIND: &str = "drill";

/// How an objective is written, and what it means.
pub struct ObjectiveRow {
    pub name: &'static str,
    pub fact: &'static str,
    pub form: Form,
    pub summary: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A time at most: `30s`, or `{full: 30s, none: 90s}` for fewer points the longer it takes.
    AtMost,
    /// A time at least.
    AtLeast,
    /// A share at least: `0.9`, or `{full: 0.9, none: 0.5}`.
    Share,
    /// A number at most.
    Count,
    /// `true`.
    Holds,
    /// `true`: a list that must be empty.
    Empty,
}

/// Every objective, in the order of the documentation.
pub const OBJECTIVES: &[ObjectiveRow] = &[
    ObjectiveRow {
        name: "recover_within",
        fact: "recovery_time_s",
        form: Form::AtMost,
        summary: "from the end of the injection (or of the healing, with `since: heal`) to the first of `stable` passing samples after the outage",
    },
    ObjectiveRow {
        name: "max_downtime",
        fact: "longest_downtime_s",
        form: Form::AtMost,
        summary: "the longest time without a passing sample",
    },
    ObjectiveRow {
        name: "available_during",
        fact: "availability",
        form: Form::Share,
        summary: "the share of samples that pass while the fault is active; undecided with fewer than `least_samples` of them",
    },
    ObjectiveRow {
        name: "held_for",
        fact: "held_s",
        form: Form::AtLeast,
        summary: "how long it stays up after it has recovered; it is watched for the drill's `held`",
    },
    ObjectiveRow {
        name: "no_acked_write_lost",
        fact: "acked_lost",
        form: Form::Count,
        summary: "how many acknowledged writes of the drill's `ledger` may be missing when it is read back: `0`",
    },
    ObjectiveRow {
        name: "heal_pending",
        fact: "heal_pending",
        form: Form::Count,
        summary: "entries of the volume that a brick has still to get, when the drill's `volume` has waited for it: `0`",
    },
    ObjectiveRow {
        name: "bricks_back",
        fact: "bricks_offline",
        form: Form::Empty,
        summary: "every brick of the volume is online again, without a hand",
    },
    ObjectiveRow {
        name: "mounts_back",
        fact: "not_mounted_on",
        form: Form::Empty,
        summary: "the volume is mounted on every machine again, without a hand",
    },
    ObjectiveRow {
        name: "spared",
        fact: "spared",
        form: Form::Holds,
        summary: "the containers of the drill's `spares` are the same start as before, throughout",
    },
    ObjectiveRow {
        name: "moved",
        fact: "moved",
        form: Form::Holds,
        summary: "what ran on the machine that was hit runs on another one",
    },
];

/// The keys of an objective beside the word that it is.
pub const OBJECTIVE_KEYS: &[&str] =
    &["id", "title", "points", "needs", "explained_by", "hint", "visibility", "details"];

/// Of a drill: not passed on to the kind, which reads all others.
const OWN_KEYS: &[&str] = &["needs", "explained_by", "objectives", "visibility"];

/// Every objective of every drill, as a check. `seen` are the ids that are taken, with their lines.
pub(super) fn drills(
    top: &mut Decoder<'_>,
    layers: &[String],
    patience: &Patience,
    seen: &mut Vec<(String, u32)>,
) -> Vec<CheckSpec> {
    let Some(node) = top.node("drills") else { return Vec::new() };
    if layers.iter().all(|layer| layer != "drills") {
        top.problem(
            Problem::new(&node.at, "`layers` is without `drills`, and there are some").hint("add it to `layers`"),
        );
    }
    let Yaml::List(items) = &node.value else {
        top.problem(Problem::new(&node.at, format!("`drills` must be a list, not {}", node.describe())));
        return Vec::new();
    };
    if items.is_empty() {
        top.problem(Problem::new(&node.at, "`drills` is empty: nothing is broken").hint("leave it out"));
    }
    let mut names = Vec::new();
    let mut out = Vec::new();
    for item in items {
        if !matches!(item.value, Yaml::Map(_)) {
            top.problem(Problem::new(&item.at, format!("a drill must be a map, not {}", item.describe())));
            continue;
        }
        only_one(item, "drills", &mut names, top);
        out.extend(drill(item, patience, seen, top));
    }
    out
}

fn drill(node: &Node, patience: &Patience, seen: &mut Vec<(String, u32)>, top: &mut Decoder<'_>) -> Vec<CheckSpec> {
    let mut d = Decoder::new(node, top.problems());
    if let Some(id) = d.text("id").filter(|id| !parts::is_name(id)) {
        d.problem_with("id", format!("`{id}` is no id"), Some(parts::NAME_FORM));
    }
    let (needs, explained_by) = (d.some_texts("needs"), d.some_texts("explained_by"));
    let visibility = audience(&mut d, "visibility").unwrap_or_default();
    let objectives = d.required("objectives").cloned();
    // What else is in it is read by the kind, which tells what it does not know.
    let others: Vec<&str> = node.entries().iter().map(|(key, _, _)| key.as_str()).collect();
    d.finish_knowing(&others);
    let Some(objectives) = objectives else { return Vec::new() };
    let Yaml::List(items) = &objectives.value else {
        let message = format!("`objectives` must be a list, not {}", objectives.describe());
        top.problem(Problem::new(&objectives.at, message));
        return Vec::new();
    };
    if items.is_empty() {
        top.problem(Problem::new(&objectives.at, "`objectives` is empty: nothing would be judged"));
    }
    let keep = |entry: &&(String, Place, Node)| !OWN_KEYS.contains(&entry.0.as_str());
    let params = Node::new(node.at.clone(), Yaml::Map(node.entries().iter().filter(keep).cloned().collect()));
    let mut out = Vec::new();
    for item in items {
        if !matches!(item.value, Yaml::Map(_)) {
            let message = format!("an objective must be a map, not {}", item.describe());
            top.problem(Problem::new(&item.at, message));
            continue;
        }
        only_one(item, "checks", seen, top);
        let mut d = Decoder::new(item, top.problems());
        let spec = objective(&mut d, item, patience, visibility);
        possible(node, item, &mut d);
        d.finish();
        let Some(mut spec) = spec else { continue };
        spec.needs.splice(0..0, needs.iter().filter(|(id, _)| *id != spec.id).cloned());
        spec.explained_by.splice(0..0, explained_by.iter().filter(|(id, _)| *id != spec.id).cloned());
        spec.params = params.clone();
        out.push(spec);
    }
    out
}

/// What an objective needs of its drill, without which it could never be decided.
const PARTS: [(&str, &str, &str); 5] = [
    ("no_acked_write_lost", "ledger", "as in `ledger: {sql: db}`"),
    ("spared", "spares", "as in `spares: db`"),
    ("heal_pending", "volume", "as in `volume: {within: 120s}`"),
    ("bricks_back", "volume", "as in `volume: {within: 120s}`"),
    ("mounts_back", "volume", "as in `volume: {within: 120s}`"),
];
/// For how long a drill is watched after a recovery, where it says nothing.
pub const HELD: Duration = Duration::from_secs(5);

/// An objective that its drill could never reach is the scenario's mistake, not the submission's.
fn possible(drill: &Node, objective: &Node, d: &mut Decoder<'_>) {
    for (word, part, hint) in PARTS {
        if objective.get(word).is_some() && drill.get(part).is_none() {
            let message = format!("`{word}` needs the drill's `{part}`, and there is none");
            d.problem(Problem::new(d.place(word), message).hint(hint));
        }
    }
    let time = |key: &str, node: &Node| duration_of(key, node).ok();
    if let Some(wanted) = objective.get("held_for").and_then(|node| time("held_for", node)) {
        let held = drill.get("held").map_or(Some(HELD), |node| time("held", node));
        if held.is_some_and(|held| held < wanted) {
            let message = "it is not watched for so long: the drill's `held` is shorter (5s where it is not said)";
            d.problem(Problem::new(d.place("held_for"), message).hint("give the drill a longer `held`"));
        }
    }
}

fn objective(d: &mut Decoder<'_>, node: &Node, patience: &Patience, usual: Visibility) -> Option<CheckSpec> {
    let id = d.required_text("id");
    if let Some(id) = id.as_ref().filter(|id| !parts::is_name(id)) {
        d.problem_with("id", format!("`{id}` is no id"), Some(parts::NAME_FORM));
    }
    let title = parts::text(d, "title", false);
    let points = match d.required("points") {
        Some(node) => parts::points(node, d),
        None => None,
    };
    let (needs, explained_by) = (d.some_texts("needs"), d.some_texts("explained_by"));
    let hint = parts::text(d, "hint", false);
    let visibility = audience(d, "visibility").unwrap_or(usual);
    let details = audience(d, "details");
    let mut found: Option<(&str, Node, Option<CreditSpec>)> = None;
    for row in OBJECTIVES {
        let Some(value) = d.node(row.name).cloned() else { continue };
        if let Some((first, ..)) = &found {
            let message = format!("an objective is one word: `{first}` or `{}`", row.name);
            d.problem(Problem::new(d.place(row.name), message).hint("make two objectives of it"));
            continue;
        }
        let (expect, credit) = meaning(row, &value, d);
        found = Some((row.name, expect, credit));
    }
    let words: Vec<&str> = OBJECTIVES.iter().map(|row| row.name).collect();
    // A slip is reported as the unknown key that it is.
    if found.is_none() && !d.has_nearly(&words) {
        let names = nearest::names(words);
        d.problem(Problem::new(&node.at, "this objective says nothing that could be judged").hint(names));
    }
    let (_, expect, credit) = found.unwrap_or_else(|| ("", Node::new(node.at.clone(), Yaml::Null), None));
    Some(CheckSpec {
        id: id?,
        title,
        points: points.unwrap_or_default(),
        needs,
        explained_by,
        // Without a word it is no check: what is wrong with it has been said.
        kind: if expect.is_null() { String::new() } else { KIND.to_owned() },
        params: Node::new(node.at.clone(), Yaml::Null),
        expect,
        eventually: patience.clone(),
        never: None,
        credit,
        hint,
        visibility,
        details,
        at: node.at.clone(),
    })
}

/// What an objective expects, and where it has two bounds, how its points fall between them.
fn meaning(row: &ObjectiveRow, value: &Node, d: &mut Decoder<'_>) -> (Node, Option<CreditSpec>) {
    let of = |matcher: &str, value: &Node| {
        let inner = Node::new(value.at.clone(), Yaml::Map(vec![(matcher.to_owned(), value.at.clone(), value.clone())]));
        Node::new(value.at.clone(), Yaml::Map(vec![(row.fact.to_owned(), value.at.clone(), inner)]))
    };
    let exactly = |wanted: Yaml| {
        let wanted = Node::new(value.at.clone(), wanted);
        Node::new(value.at.clone(), Yaml::Map(vec![(row.fact.to_owned(), value.at.clone(), wanted)]))
    };
    let wrong = |d: &mut Decoder<'_>, want: &str| {
        let message = format!("`{}` must be {want}, not {}", row.name, value.describe());
        d.problem(Problem::new(&value.at, message));
        (Node::new(value.at.clone(), Yaml::Null), None)
    };
    match row.form {
        Form::AtMost | Form::Share => {
            let matcher = if row.form == Form::AtMost { "le" } else { "ge" };
            if matches!(value.value, Yaml::Map(_)) {
                return d.within(value, |inner| {
                    let (full, none) = (inner.required("full").cloned(), inner.required("none").cloned());
                    let credit = credit(row, full.as_ref(), none.as_ref(), inner);
                    (full.map_or_else(|| Node::new(value.at.clone(), Yaml::Null), |full| of(matcher, &full)), credit)
                });
            }
            if row.form == Form::Share && number(value).is_none_or(|share| !(0.0..=1.0).contains(&share)) {
                return wrong(d, "a share from 0 to 1, such as `0.9`");
            }
            (of(matcher, value), None)
        }
        Form::AtLeast => (of("ge", value), None),
        Form::Count => match value.value {
            Yaml::Int(n) if n >= 0 => (of("le", value), None),
            _ => wrong(d, "a number, such as `0`"),
        },
        Form::Holds if value.value == Yaml::Bool(true) => (exactly(Yaml::Bool(true)), None),
        Form::Empty if value.value == Yaml::Bool(true) => (exactly(Yaml::List(Vec::new())), None),
        Form::Holds | Form::Empty => wrong(d, "`true`"),
    }
}

fn credit(row: &ObjectiveRow, full: Option<&Node>, none: Option<&Node>, d: &mut Decoder<'_>) -> Option<CreditSpec> {
    let mut value = |key: &str, node: Option<&Node>| {
        let node = node?;
        if row.form == Form::Share {
            let read = number(node).filter(|share| (0.0..=1.0).contains(share));
            if read.is_none() {
                let message = format!("`{key}` must be a share from 0 to 1, not {}", node.describe());
                d.problem(Problem::new(&node.at, message));
            }
            return read;
        }
        duration_of(key, node).map_err(|problem| d.problem(problem)).ok().map(|time| time.as_secs_f64())
    };
    let (full, none) = (value("full", full)?, value("none", none)?);
    let falls = if row.form == Form::AtMost { none > full } else { none < full };
    if !falls {
        let (more, less) = if row.form == Form::AtMost { ("longer", "shorter") } else { ("less", "more") };
        let message = format!("`none`, where no points are left, must be {more} than `full`, not {less}");
        d.problem_with("none", message, None);
        return None;
    }
    Some(CreditSpec { fact: row.fact.to_owned(), full, none })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Read, read_text};

    fn read(drills: &str) -> Read {
        let text = format!(
            "imparcial: 1\nname: x\ntitle: x\npoints: 4\nlayers: [services, drills]\nchecks: [{{id: page, points: 1, http: {{}}, expect: {{}}}}]\ndrills:\n{drills}"
        );
        read_text(&text, Path::new("s.yaml"), &["http", "drill"])
    }

    const GOOD: &str = "\
- id: app-killed
  needs: [page]
  fault: {kill: {role: app}}
  watch: {page: app}
  ledger: {sql: db}
  objectives:
  - {id: comes-back, points: 2, recover_within: {full: 10s, none: 30s}}
  - {id: keeps-rows, points: 1, explained_by: [comes-back], no_acked_write_lost: 0}
";

    #[test]
    fn an_objective_is_a_check_with_all_of_its_drill() {
        let Read { scenario, problems, .. } = read(GOOD);
        assert_eq!(problems, []);
        let checks = scenario.unwrap().checks;
        assert_eq!(checks.len(), 3);
        let (first, second) = (&checks[1], &checks[2]);
        assert_eq!(
            (first.id.as_str(), first.kind.as_str(), first.needs[0].0.as_str()),
            ("comes-back", "drill", "page")
        );
        let credit = first.credit.clone().unwrap();
        assert_eq!((credit.fact.as_str(), credit.full, credit.none), ("recovery_time_s", 10.0, 30.0));
        assert_eq!(first.expect.to_json(), serde_json::json!({"recovery_time_s": {"le": "10s"}}));
        assert_eq!(second.expect.to_json(), serde_json::json!({"acked_lost": {"le": 0}}));
        assert_eq!(second.explained_by[0].0, "comes-back");
        let keys: Vec<&str> = first.params.entries().iter().map(|(key, _, _)| key.as_str()).collect();
        assert_eq!(keys, ["id", "fault", "watch", "ledger"]);
        assert_eq!(first.params, second.params);
    }

    #[test]
    fn what_is_wrong_with_objectives_is_said_with_its_place() {
        let said = |text: &str| read(text).problems.into_iter().map(|p| p.message).collect::<Vec<_>>();
        assert_eq!(
            said(&GOOD.replace("{full: 10s, none: 30s}", "{full: 30s, none: 10s}")),
            ["`none`, where no points are left, must be longer than `full`, not shorter"]
        );
        assert_eq!(
            said(&GOOD.replace("no_acked_write_lost: 0", "no_acked_write_lost: yes")),
            ["`no_acked_write_lost` must be a number, such as `0`, not the text \"yes\""]
        );
        assert_eq!(
            said(&GOOD.replace("no_acked_write_lost: 0", "no_acked_write_last: 0")),
            ["unknown key `no_acked_write_last`"]
        );
        assert_eq!(
            said(&GOOD.replace("no_acked_write_lost: 0", "zebra: 0")),
            ["this objective says nothing that could be judged", "unknown key `zebra`"]
        );
        let two = GOOD.replace("no_acked_write_lost: 0", "no_acked_write_lost: 0, held_for: 5s");
        assert_eq!(said(&two), ["an objective is one word: `held_for` or `no_acked_write_lost`"]);
        assert_eq!(said(&GOOD.replace("keeps-rows", "page")), ["two checks have the id `page`"]);
        assert_eq!(
            said(&GOOD.replace("points: 1,", "points: 2,")),
            ["the scenario has 4 points and what it asks for adds up to 5"]
        );
    }
}

//! `needs` and `explained_by` between checks: unknown names, cycles over the two together, and the order that they give.

use std::collections::{BTreeMap, BTreeSet};

use crate::expect::Place;
use crate::nearest;
use crate::scenario::{CheckSpec, Problem};

/// Reports links to checks that are not there, links to oneself, and cycles.
pub(super) fn check(checks: &[CheckSpec], problems: &mut Vec<Problem>) {
    let mut whole = true;
    for spec in checks {
        for (key, (name, at)) in links(spec) {
            let ids = || checks.iter().map(|check| check.id.as_str());
            if *name == spec.id {
                problems.push(Problem::new(at, format!("`{name}` cannot stand in its own `{key}`")));
                whole = false;
            } else if !ids().any(|id| id == name) {
                let others: Vec<&str> = ids().filter(|id| *id != spec.id).collect();
                let hint = match nearest::nearest(name, others.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "it must be the `id` of another check of this scenario".to_owned(),
                };
                problems.push(Problem::new(at, format!("`{key}` names an unknown check: `{name}`")).hint(hint));
            }
        }
        let both = spec.explained_by.iter().find(|(name, _)| spec.needs.iter().any(|(need, _)| need == name));
        if let Some((name, at)) = both {
            let problem = Problem::new(at, format!("`{name}` stands in `needs` and in `explained_by`"));
            problems.push(problem.hint("`needs` is enough: without it the check does not run"));
        }
    }
    if whole && let Some(cycle) = cycle(checks) {
        let path: Vec<&str> = cycle.iter().map(|(id, _)| *id).collect();
        let (first, at) = cycle[0];
        let message = format!("`needs` and `explained_by` go round in a circle: {} → {first}", path.join(" → "));
        problems.push(Problem::new(at, message).hint("remove one of these links"));
    }
}

/// Every check after those that it hangs on; among those that are free, the file's order. Cycles were refused before.
pub(super) fn order(checks: &[&CheckSpec]) -> Vec<usize> {
    let index: BTreeMap<&str, usize> = checks.iter().enumerate().map(|(i, check)| (check.id.as_str(), i)).collect();
    let hangs_on = |i: usize| links(checks[i]).filter_map(|(_, (name, _))| index.get(name.as_str()).copied());
    let mut done = vec![false; checks.len()];
    let mut order = Vec::with_capacity(checks.len());
    while let Some(next) = (0..checks.len()).find(|&i| !done[i] && hangs_on(i).all(|j| done[j])) {
        done[next] = true;
        order.push(next);
    }
    order
}

/// Ids of the checks wanted and of all that they hang on.
pub(super) fn closure(checks: &[CheckSpec], wanted: &[String]) -> BTreeSet<String> {
    let mut out: BTreeSet<String> = BTreeSet::new();
    let mut open: Vec<&str> = wanted.iter().map(String::as_str).collect();
    while let Some(id) = open.pop() {
        if out.insert(id.to_owned()) {
            let spec = checks.iter().find(|check| check.id == id);
            open.extend(spec.into_iter().flat_map(links).map(|(_, (name, _))| name.as_str()));
        }
    }
    out
}

/// The links of a check with the key that they stand under.
fn links(spec: &CheckSpec) -> impl Iterator<Item = (&'static str, &(String, Place))> {
    let needs = spec.needs.iter().map(|link| ("needs", link));
    needs.chain(spec.explained_by.iter().map(|link| ("explained_by", link)))
}

/// The first cycle, from the check that stands first in the file: each id with the place of the link that leads on from it.
fn cycle(checks: &[CheckSpec]) -> Option<Vec<(&str, &Place)>> {
    let mut finished = BTreeSet::new();
    for spec in checks {
        let mut path: Vec<(&str, &Place)> = Vec::new();
        if let Some(mut found) = visit(spec, checks, &mut path, &mut finished) {
            let line = |id: &str| checks.iter().position(|check| check.id == id);
            let first = (0..found.len()).min_by_key(|&i| line(found[i].0)).unwrap_or(0);
            found.rotate_left(first);
            return Some(found);
        }
    }
    None
}

fn visit<'a>(
    spec: &'a CheckSpec,
    checks: &'a [CheckSpec],
    path: &mut Vec<(&'a str, &'a Place)>,
    finished: &mut BTreeSet<&'a str>,
) -> Option<Vec<(&'a str, &'a Place)>> {
    if finished.contains(spec.id.as_str()) {
        return None;
    }
    for (_, (name, at)) in links(spec) {
        let Some(next) = checks.iter().find(|check| check.id == *name) else { continue };
        path.push((&spec.id, at));
        if let Some(start) = path.iter().position(|(id, _)| id == name) {
            return Some(path.split_off(start));
        }
        if let Some(found) = visit(next, checks, path, finished) {
            return Some(found);
        }
        path.pop();
    }
    finished.insert(&spec.id);
    None
}

//! Names that a check's parameters use: roles, and `{role.property}` in texts.

use crate::expect::Place;
use crate::probe::ProbeKind;
use crate::scenario::tree::Yaml;
use crate::scenario::{Node, Problem, nearest};

/// The parameters that a kind's schema knows.
pub(super) fn of_schema(kind: &ProbeKind) -> Vec<String> {
    let schema = (kind.schema)();
    let properties = schema.get("properties").and_then(|properties| properties.as_object());
    properties.map(|properties| properties.keys().cloned().collect()).unwrap_or_default()
}

/// Every role that was named must be one of the scenario's.
pub(super) fn roles(named: &[(String, Place)], roles: &[&str], problems: &mut Vec<Problem>) {
    for (name, at) in named {
        if !roles.contains(&name.as_str()) {
            problems.push(unknown(name, at, roles));
        }
    }
}

/// Every `{role.property}` in a text must name one of the scenario's roles.
pub(super) fn templates(node: &Node, roles: &[&str], problems: &mut Vec<Problem>) {
    match &node.value {
        Yaml::Text(text) => {
            for name in text.split('{').skip(1).filter_map(role_of) {
                if !roles.contains(&name) {
                    problems.push(unknown(name, &node.at, roles));
                }
            }
        }
        Yaml::List(items) => items.iter().for_each(|item| templates(item, roles, problems)),
        Yaml::Map(entries) => entries.iter().for_each(|(_, _, value)| templates(value, roles, problems)),
        Yaml::Null | Yaml::Bool(_) | Yaml::Int(_) | Yaml::Float(_) => {}
    }
}

/// The role of what follows a brace, if it is `role.property}`.
fn role_of(rest: &str) -> Option<&str> {
    let (inside, _) = rest.split_once('}')?;
    let (role, property) = inside.split_once('.')?;
    let word = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    (word(role) && word(property)).then_some(role)
}

fn unknown(name: &str, at: &Place, roles: &[&str]) -> Problem {
    let problem = Problem::new(at, format!("the scenario has no role `{name}`"));
    match roles {
        [] => problem.hint("name it under `roles:`"),
        _ => problem.hint(nearest::hint(name, roles.iter().copied())),
    }
}

//! Names that must be there: roles and `{role.property}` that a check's parameters use, and what the command line names.

use super::Options;
use crate::expect::Place;
use crate::nearest;
use crate::probe::ProbeKind;
use crate::scenario::tree::Yaml;
use crate::scenario::{Node, Problem, Scenario};
use crate::submission::{ComposeFile, Submission, bind};

/// What the command line names and the scenario or the submission does not have.
pub(super) fn options(options: &Options, scenario: &Scenario, submission: &Submission, problems: &mut Vec<Problem>) {
    let roles: Vec<&str> = scenario.roles.iter().map(|role| role.name.as_str()).collect();
    problems.extend(roles_named(&options.roles, &roles, submission.compose.as_ref()));
    for layer in options.layers.iter().filter(|layer| !scenario.layers.contains(layer)) {
        let message = format!("--layers {layer}: the scenario has no layer `{layer}`");
        let has = nearest::names(scenario.layers.iter().map(String::as_str));
        problems.push(Problem::new(&Place::default(), message).hint(format!("it has {has}")));
    }
    for id in &options.only {
        let ids = scenario.checks.iter().map(|check| check.id.as_str());
        if !ids.clone().any(|other| other == id) {
            let problem = Problem::new(&Place::default(), format!("--only {id}: the scenario has no check `{id}`"));
            problems.push(problem.hint(nearest::hint(id, ids)));
        }
    }
}

/// What is wrong with the pairs of `--role`: the role is none of these, or the service none of the file's. The command line
/// has no line or column.
pub fn roles_named(named: &[(String, String)], roles: &[&str], compose: Option<&ComposeFile>) -> Vec<Problem> {
    let nowhere = Place::default();
    let mut problems = Vec::new();
    for (role, service) in named {
        if !roles.contains(&role.as_str()) {
            let problem = Problem::new(&nowhere, format!("--role {role}={service}: there is no role `{role}`"));
            problems.push(problem.hint(nearest::hint(role, roles.iter().copied())));
        }
        // A file that is put together from others has services that only the compose tool knows.
        let Some(compose) = compose.filter(|file| file.raw.get("include").is_none()) else { continue };
        if bind::named(compose, service).is_none() {
            let services: Vec<&str> = compose.services.iter().map(|service| service.name.as_str()).collect();
            let near = nearest::nearest(service, services.iter().copied());
            let near = near.map(|name| format!("did you mean `{name}`? ")).unwrap_or_default();
            let message = format!("--role {role}={service}: the compose file has no service `{service}`");
            let all = nearest::names(services.iter().copied());
            problems.push(Problem::new(&nowhere, message).hint(format!("{near}the services are {all}")));
        }
    }
    problems
}

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

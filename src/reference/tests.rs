//! The schema knows exactly what the decoder asks for: its own hints say what that is.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::schema::schema;
use crate::plan::names;
use crate::probe::PROBES;
use crate::scenario::{self, read_text};

/// The keys that a decoder names where one is unknown, `zzzz` standing for it.
fn asked(text: &str) -> BTreeSet<String> {
    let read = read_text(text, Path::new("s.yaml"), &names(PROBES));
    let problem = read.problems.iter().find(|p| p.message == "unknown key `zzzz`").expect("an unknown key");
    let hint = problem.hint.as_deref().unwrap_or_default();
    hint.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn keys(schema: &Value) -> BTreeSet<String> {
    schema["properties"].as_object().expect("properties").keys().cloned().collect()
}

#[test]
fn every_key_that_is_read_is_in_the_schema_and_no_other() {
    let all = schema(PROBES);
    assert_eq!(keys(&all), asked("zzzz: 1\n"));
    let top = &all["properties"];
    let with = |map: &str, known: &str| {
        let mut keys = asked(&format!("{map}\n"));
        keys.extend(known.split_whitespace().map(str::to_owned));
        keys
    };
    assert_eq!(keys(&top["budgets"]), with("budgets: {zzzz: 1}", "check"));
    assert_eq!(keys(&top["demanded"]), with("demanded: {zzzz: 1}", ""));
    assert_eq!(keys(&top["defaults"]), with("defaults: {zzzz: 1}", ""));
    assert_eq!(keys(&top["roles"]["additionalProperties"]), with("roles: {a: {zzzz: 1}}", ""));
    assert_eq!(keys(&all["$defs"]["eventually"]), with("defaults: {eventually: {zzzz: 1}}", ""));
    let never = "checks:\n  - {id: a, points: 0, never: {zzzz: 1}}";
    assert_eq!(keys(&all["$defs"]["check"]["properties"]["never"]), with(never, ""));
    let mut check: BTreeSet<String> = scenario::CHECK_KEYS.iter().map(|key| (*key).to_owned()).collect();
    check.extend(names(PROBES).into_iter().map(str::to_owned));
    assert_eq!(keys(&all["$defs"]["check"]), check);
}

#[test]
fn every_matcher_is_in_the_schema_and_no_other() {
    let all = schema(PROBES);
    let definitions = all["$defs"].as_object().expect("definitions");
    let facts = definitions.iter().filter(|(name, _)| name.starts_with("expect_"));
    let found: BTreeSet<String> = facts.flat_map(|(_, schema)| keys(&schema["anyOf"][1])).collect();
    assert_eq!(found, scenario::expectations::MATCHERS.iter().map(|name| (*name).to_owned()).collect());
}

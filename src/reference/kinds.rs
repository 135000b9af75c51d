//! The page of the kinds, `scenarios/KINDS.md`: what each looks at, the facts that it gives, its parameters, an example.

use std::fmt::Write as _;

use serde_json::Value;

use super::drills;
use crate::expect::Unit;
use crate::probe::ProbeKind;

const HEAD: &str = "\
# Kinds of checks

Made by `imparcial schema --kinds` from the kinds themselves: edit them, not this file.

A check has an `id`, `points`, one key that names its kind and holds its parameters, and `expect`, which says what the facts must be:
a literal (`status: 200`), or matchers that must all hold (`ge`, `gt`, `le`, `lt`, `contains`, `matches`, `one_of`, `len`, `not`).
Every check may have `title`, `hint`, `needs`, `explained_by`, `eventually`, `visibility` and `details` besides.

`never: {for: 10s}` turns a check round: what it expects must not hold, all of it together, at any look in that time, which only a failure ends early.
Something that is not there never holds either: give such a check what it `needs`.
";

/// The page, in Markdown.
pub fn page(kinds: &[&ProbeKind]) -> String {
    let mut out = HEAD.to_owned();
    let list: Vec<String> = kinds.iter().map(|kind| format!("[`{0}`](#{0})", kind.name)).collect();
    let _ = writeln!(out, "\n{}", list.join(" · "));
    for kind in kinds {
        section(&mut out, kind);
    }
    drills::page(&mut out);
    out
}

fn section(out: &mut String, kind: &ProbeKind) {
    let _ = writeln!(out, "\n## {}\n\n{}.\n", kind.name, kind.summary);
    let _ = writeln!(out, "```yaml\n- {}\n```\n", kind.example.trim().replace('\n', "\n  "));
    let _ = writeln!(out, "| fact | is | |\n| --- | --- | --- |");
    for fact in kind.facts {
        let _ = writeln!(out, "| `{}` | {} | {} |", fact.name, unit(fact.unit), cell(fact.summary));
    }
    let mut rows = Vec::new();
    parameters("", &(kind.schema)(), &mut rows);
    if rows.is_empty() {
        out.push_str("\nIt has no parameters.\n");
        return;
    }
    let _ = writeln!(out, "\n| parameter | is | |\n| --- | --- | --- |");
    for [name, what, text] in rows {
        let _ = writeln!(out, "| `{name}` | {what} | {text} |");
    }
}

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Text => "text",
        Unit::Bool => "true or false",
        Unit::Number => "number",
        Unit::Bytes => "size",
        Unit::Seconds => "time",
        Unit::List => "list",
    }
}

/// A row for every parameter, those of maps inside after the map's own name: `follow.links`.
pub(super) fn parameters(within: &str, schema: &Value, rows: &mut Vec<[String; 3]>) {
    let Some(properties) = schema["properties"].as_object() else { return };
    let required = |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name));
    for (name, parameter) in properties {
        let path = if within.is_empty() { name.clone() } else { format!("{within}.{name}") };
        if parameter["properties"].is_object() {
            parameters(&path, parameter, rows);
            continue;
        }
        let mut what = is(parameter);
        if required(name) {
            what += ", required";
        }
        if let Some(default) = parameter.get("default") {
            let _ =
                write!(what, ", by default `{}`", default.as_str().map_or_else(|| default.to_string(), str::to_owned));
        }
        let text = parameter["description"].as_str().unwrap_or_default();
        rows.push([path, what, cell(text)]);
    }
}

/// What a value may be, in a few words.
fn is(schema: &Value) -> String {
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().filter_map(Value::as_str).map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or ");
    }
    if let Some(forms) = schema["oneOf"].as_array() {
        return forms.iter().map(is).collect::<Vec<_>>().join(" or ");
    }
    let word = |name: &str| match name {
        "string" => "text".to_owned(),
        "boolean" => "true or false".to_owned(),
        "integer" => "whole number".to_owned(),
        "array" => "list".to_owned(),
        "object" => match schema["properties"].as_object() {
            Some(inner) => {
                format!("`{{{}}}`", inner.keys().map(|key| format!("{key}: …")).collect::<Vec<_>>().join(", "))
            }
            None => "map".to_owned(),
        },
        other => other.to_owned(),
    };
    match &schema["type"] {
        Value::String(name) => word(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).map(word).collect::<Vec<_>>().join(" or "),
        _ => "any".to_owned(),
    }
}

/// A bar would end the cell.
pub(super) fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

//! The schema of `expect:`, by a kind's facts: a literal of the fact's unit, or a map of matchers.

use serde_json::{Map, Value, json};

use crate::expect::{FactSpec, Unit};

const DURATION: &str = "^([0-9]+(\\.[0-9]+)?(ms|s|m|min|h))+$";
const SIZE: &str = "^[0-9]+(\\.[0-9]+)?\\s*([kKmMgGtT][iI]?)?[bB]?$";

/// A time with its unit.
pub(super) fn duration() -> Value {
    json!({"type": "string", "pattern": DURATION, "description": "a time with its unit: `250ms`, `10s`, `5m`"})
}

/// Bytes, as Docker writes them.
pub(super) fn size() -> Value {
    json!({
        "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": SIZE}],
        "description": "bytes: `20m`, `6MiB`, or a number"
    })
}

/// What may be expected of a kind's facts.
pub(super) fn of_facts(facts: &[FactSpec]) -> Value {
    let properties: Map<String, Value> = facts
        .iter()
        .map(|fact| {
            let expected = json!({"description": fact.summary, "$ref": format!("#/$defs/{}", name(fact.unit))});
            (fact.name.to_owned(), expected)
        })
        .collect();
    json!({"type": "object", "additionalProperties": false, "minProperties": 1, "properties": properties})
}

/// The definitions that [`of_facts`] refers to.
pub(super) fn definitions() -> Vec<(String, Value)> {
    [Unit::Text, Unit::Bool, Unit::Number, Unit::Bytes, Unit::Seconds, Unit::List]
        .into_iter()
        .map(|unit| {
            let matchers =
                json!({"type": "object", "additionalProperties": false, "minProperties": 1, "properties": matchers(unit)});
            (name(unit).to_owned(), json!({"anyOf": [literal(unit), matchers]}))
        })
        .collect()
}

fn name(unit: Unit) -> &'static str {
    match unit {
        Unit::Text => "expect_text",
        Unit::Bool => "expect_bool",
        Unit::Number => "expect_number",
        Unit::Bytes => "expect_bytes",
        Unit::Seconds => "expect_seconds",
        Unit::List => "expect_list",
    }
}

fn literal(unit: Unit) -> Value {
    match unit {
        // A plain scalar is the text as written.
        Unit::Text => json!({"type": ["string", "number", "boolean"]}),
        Unit::Bool => json!({"type": "boolean"}),
        Unit::Number => json!({"type": "number"}),
        Unit::Bytes => size(),
        Unit::Seconds => duration(),
        Unit::List => json!({"type": "array"}),
    }
}

fn matchers(unit: Unit) -> Map<String, Value> {
    let mut out = Map::new();
    if matches!(unit, Unit::Number | Unit::Bytes | Unit::Seconds) {
        out.extend(["ge", "gt", "le", "lt"].map(|name| (name.to_owned(), literal(unit))));
    }
    if matches!(unit, Unit::Text | Unit::List) {
        let element = if unit == Unit::Text { literal(unit) } else { json!({}) };
        out.insert("contains".to_owned(), element);
        out.insert("len".to_owned(), json!({"type": "integer", "minimum": 0}));
    }
    if unit == Unit::Text {
        out.insert("matches".to_owned(), json!({"type": "string", "format": "regex"}));
    }
    out.insert("one_of".to_owned(), json!({"type": "array", "minItems": 1, "items": literal(unit)}));
    out.insert("not".to_owned(), json!({"$ref": format!("#/$defs/{}", name(unit))}));
    out
}

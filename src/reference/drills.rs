//! Drills, as authors of scenarios look them up: the schema of `drills:`, and the page's parts on faults and objectives.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::kinds::{cell, parameters};
use crate::fault::FAULTS;
use crate::probe::drill;
use crate::scenario::Visibility;
use crate::scenario::drills::{Form, OBJECTIVES};

/// `drills:` of a scenario.
pub(super) fn schema() -> Value {
    let mut drill = drill::schema();
    let audience = json!({"enum": Visibility::ALL.map(Visibility::name)});
    if let Some(properties) = drill["properties"].as_object_mut() {
        properties.insert("title".to_owned(), json!({"$ref": "#/$defs/text"}));
        properties.insert(
            "needs".to_owned(),
            json!({"$ref": "#/$defs/names", "description": "must pass, or nothing is broken"}),
        );
        properties.insert(
            "explained_by".to_owned(),
            json!({"$ref": "#/$defs/names", "description": "where one of them did not pass, a failure is not counted again"}),
        );
        properties.insert("visibility".to_owned(), audience.clone());
        let objective = json!({"type": "array", "minItems": 1, "items": objective(&audience)});
        properties.insert("objectives".to_owned(), objective);
    }
    drill["required"] = json!(["id", "fault", "watch", "objectives"]);
    json!({"type": "array", "minItems": 1, "items": drill,
           "description": "what is broken on purpose, after everything else; each objective is a check"})
}

fn objective(audience: &Value) -> Value {
    let mut properties = serde_json::Map::from_iter([
        ("id".to_owned(), json!({"$ref": "#/$defs/name"})),
        ("title".to_owned(), json!({"$ref": "#/$defs/text"})),
        ("points".to_owned(), json!({"type": "number", "minimum": 0})),
        ("needs".to_owned(), json!({"$ref": "#/$defs/names"})),
        ("explained_by".to_owned(), json!({"$ref": "#/$defs/names"})),
        ("hint".to_owned(), json!({"$ref": "#/$defs/text"})),
        ("visibility".to_owned(), audience.clone()),
        ("details".to_owned(), audience.clone()),
    ]);
    for row in OBJECTIVES {
        let two = |one: Value| {
            json!({"description": row.summary, "anyOf": [one, {
                "type": "object", "additionalProperties": false, "required": ["full", "none"],
                "properties": {"full": one, "none": one}}]})
        };
        let form = match row.form {
            Form::AtMost => two(json!({"$ref": "#/$defs/duration"})),
            Form::Share => two(json!({"type": "number", "minimum": 0, "maximum": 1})),
            Form::AtLeast => json!({"$ref": "#/$defs/duration", "description": row.summary}),
            Form::Count => json!({"type": "integer", "minimum": 0, "description": row.summary}),
            Form::Holds | Form::Empty => json!({"const": true, "description": row.summary}),
        };
        properties.insert(row.name.to_owned(), form);
    }
    let one: Vec<Value> = OBJECTIVES.iter().map(|row| json!({"required": [row.name]})).collect();
    json!({"type": "object", "additionalProperties": false, "required": ["id", "points"], "properties": properties, "oneOf": one})
}

const HEAD: &str = "\
# Drills

`drills:` of a scenario break something on purpose, after all checks and exercises, and measure what follows. What a drill starts from must hold;
it is sampled at a fixed interval; the fault is made, held, and undone (with `unaided` only when all is measured). Each objective is a check with an id and points:

```yaml
drills:
  - id: worker-loses-power
    needs: [page, data-on-volume]
    fault: {crash: {node: others, pick: one}}
    watch: {page: app}
    ledger: {sql: db}
    hold: 10s
    within: 90s
    objectives:
      - {id: page-comes-back, points: 2, recover_within: {full: 60s, none: 90s}}
      - {id: rows-survive, points: 2, no_acked_write_lost: 0}
```

A time or share with `full` and `none` gives fewer points the further it is from `full`, and none at `none`.
";

/// The parts of the page on objectives and faults.
pub(super) fn page(out: &mut String) {
    let _ = write!(out, "\n{HEAD}");
    let _ = writeln!(out, "\n## Objectives\n\n| objective | of the fact | |\n| --- | --- | --- |");
    for row in OBJECTIVES {
        let form = match row.form {
            Form::AtMost | Form::Share => ", or `{full: …, none: …}`",
            Form::AtLeast | Form::Count | Form::Holds | Form::Empty => "",
        };
        let _ = writeln!(out, "| `{}` | `{}` | {}{form} |", row.name, row.fact, cell(row.summary));
    }
    let _ = writeln!(out, "\n## Faults");
    for kind in FAULTS {
        let _ =
            writeln!(out, "\n### fault: {}\n\n{}.\n\n```yaml\nfault: {}\n```", kind.name, kind.summary, kind.example);
        let mut rows = Vec::new();
        parameters("", &(kind.schema)(), &mut rows);
        let _ = writeln!(out, "\n| parameter | is | |\n| --- | --- | --- |");
        for [name, what, text] in rows {
            let _ = writeln!(out, "| `{name}` | {what} | {text} |");
        }
    }
}

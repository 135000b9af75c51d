//! The JSON Schema of scenarios, from the kinds' rows: what editors complete and underline while a scenario is written.
//! What a schema cannot say (points that add up, cycles, roles that are there) `imparcial plan` says.

use serde_json::{Map, Value, json};

use super::{drills, expect};
use crate::probe::ProbeKind;
use crate::scenario::{self, Visibility};
use crate::submission::policy;

/// The schema of a scenario that may use these kinds.
pub fn schema(kinds: &[&ProbeKind]) -> Value {
    let mut definitions: Map<String, Value> = expect::definitions().into_iter().collect();
    definitions.insert("name".to_owned(), name());
    definitions.insert("text".to_owned(), text());
    definitions.insert("names".to_owned(), names());
    definitions.insert("duration".to_owned(), expect::duration());
    definitions.insert("eventually".to_owned(), eventually());
    definitions.insert("check".to_owned(), check(kinds));
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A scenario of imparcial",
        "type": "object",
        "additionalProperties": false,
        "required": ["imparcial", "name", "title", "points", "checks"],
        "properties": {
            "imparcial": {"const": 1, "description": "the version of this format"},
            "name": {"$ref": "#/$defs/name", "description": "the name of the scenario, and of its folder"},
            "title": {"$ref": "#/$defs/text"},
            "points": {"type": "number", "minimum": 0, "description": "what the points of checks and criteria add up to"},
            "layers": {"description": "what is brought up", "$ref": "#/$defs/layers"},
            "services": serving(),
            "budgets": budgets(),
            "policy": actions(),
            "roles": roles(),
            "override": overrides(),
            "demanded": {
                "type": "object",
                "additionalProperties": false,
                "description": "what the statement itself asks for, so that dying of it is not held against anyone",
                "properties": {"memory": expect::size()}
            },
            "defaults": {
                "type": "object",
                "additionalProperties": false,
                "properties": {"eventually": {"$ref": "#/$defs/eventually"}}
            },
            "scale": scale(),
            "manual": {"type": "array", "minItems": 1, "items": criterion(), "description": "what people judge, beside the checks"},
            "drills": drills::schema(),
            "checks": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/check"},
                       "description": "in the order of the report; `needs` and `explained_by` decide the order of running"}
        },
        "$defs": with_layers(definitions)
    })
}

fn serving() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "description": "where the services are brought up where there are machines as well, and by what",
        "properties": {
            "on": {"type": "string", "description": "`lab` (beside the machines), `first` (the first machine that is defined), or a machine's name"},
            "with": {
                "enum": crate::scenario::With::ALL.map(|(name, _)| name),
                "description": "`auto`: what the playbook started is taken as it is; else a Swarm file is deployed where the machine manages a swarm, and any other is brought up by compose"
            }
        }
    })
}

fn with_layers(mut definitions: Map<String, Value>) -> Map<String, Value> {
    let layer = json!({"enum": scenario::LAYERS});
    definitions
        .insert("layers".to_owned(), json!({"anyOf": [layer, {"type": "array", "minItems": 1, "items": layer}]}));
    definitions
}

fn name() -> Value {
    json!({"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,63}$"})
}

fn text() -> Value {
    let one = json!({"type": "string", "minLength": 1});
    json!({
        "description": "a text for people, in both languages, or one for both",
        "anyOf": [
            {"type": "string"},
            {"type": "object", "additionalProperties": false, "required": ["en", "es"], "properties": {"en": one, "es": one}}
        ]
    })
}

fn names() -> Value {
    json!({"anyOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": {"type": "string"}}]})
}

fn eventually() -> Value {
    let conditions = json!({"enum": scenario::CONDITIONS});
    json!({
        "type": "object",
        "additionalProperties": false,
        "description": "how long a check may take to hold",
        "properties": {
            "within": {"$ref": "#/$defs/duration", "description": "its patience"},
            "every": {"$ref": "#/$defs/duration", "description": "between two looks; 10ms at least"},
            "attempt_timeout": {"$ref": "#/$defs/duration", "description": "of one look"},
            "stable": {"type": "integer", "minimum": 1, "maximum": 1000, "description": "so many passes in a row"},
            "fail_fast_on": {
                "anyOf": [conditions, {"type": "array", "items": conditions}],
                "description": "what ends the wait early"
            }
        }
    })
}

fn never() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["for"],
        "description": "what is expected must never hold all together; only a failure ends it early",
        "properties": {
            "for": {"$ref": "#/$defs/duration", "description": "how long it is watched"},
            "every": {"$ref": "#/$defs/duration", "description": "between two looks; 10ms at least"},
            "attempt_timeout": {"$ref": "#/$defs/duration", "description": "of one look"}
        }
    })
}

fn budgets() -> Value {
    let budgets = [
        ("fetch", "for fetching an image"),
        ("build", "for building one"),
        ("ready", "for the services to be up"),
        ("machines", "for all machines to answer"),
        ("provision", "for one run of all provisioners of all machines"),
        ("check", "the longest that any check may wait"),
        ("teardown", "for taking everything down"),
    ];
    let properties: Map<String, Value> = budgets
        .into_iter()
        .map(|(name, what)| (name.to_owned(), json!({"$ref": "#/$defs/duration", "description": what})))
        .collect();
    json!({"type": "object", "additionalProperties": false, "properties": properties})
}

fn actions() -> Value {
    let properties: Map<String, Value> = policy::RULES
        .iter()
        .map(|rule| {
            let mut actions = vec!["refuse", "strip", "allow"];
            if rule.name == "host_binds" {
                actions.push("deny_list");
            }
            (rule.name.to_owned(), json!({"enum": actions, "description": rule.summary}))
        })
        .collect();
    json!({"type": "object", "additionalProperties": false, "properties": properties,
           "description": "what is done with a hit of the static policy, where not what is built in"})
}

fn roles() -> Value {
    json!({
        "type": "object",
        "description": "what the services that the checks speak of are found by",
        "propertyNames": {"$ref": "#/$defs/name"},
        "additionalProperties": {
            "type": ["object", "null"],
            "additionalProperties": false,
            "properties": {
                "built": {"type": "boolean", "description": "it is built from the submission"},
                "talks_to": {"type": "string", "description": "another role: chooses among several that fit"},
                "image_family": {"$ref": "#/$defs/names", "description": "`mysql`, `mariadb`, …"}
            }
        }
    })
}

fn overrides() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["every_service"],
        "description": "limits of a second bring-up, only after a death by limit or silence at it",
        "properties": {
            "every_service": {
                "type": "object",
                "additionalProperties": false,
                "required": ["memory", "cpus"],
                "properties": {"memory": expect::size(), "cpus": {"type": "number", "minimum": 0.01}}
            }
        }
    })
}

fn scale() -> Value {
    let number = json!({"type": "number", "minimum": 0});
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["max"],
        "description": "what a mark is given on: `min` for no points, `max` for all, `pass` the least that passes",
        "properties": {"min": number, "max": number, "pass": number}
    })
}

/// A criterion of `manual`.
fn criterion() -> Value {
    let points = json!({"type": "number", "minimum": 0});
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["id", "title", "points", "levels"],
        "properties": {
            "id": {"$ref": "#/$defs/name"},
            "title": {"$ref": "#/$defs/text"},
            "points": {"type": "number", "exclusiveMinimum": 0},
            "visibility": {"enum": Visibility::ALL.map(Visibility::name), "description": "from whom on it is in a report"},
            "levels": {
                "type": "object",
                "minProperties": 2,
                "description": "what each is worth; one is worth all the points, none more",
                "propertyNames": {"$ref": "#/$defs/name"},
                "additionalProperties": {
                    "anyOf": [
                        points,
                        {
                            "type": "object",
                            "additionalProperties": false,
                            "required": ["points"],
                            "properties": {"points": points, "title": {"$ref": "#/$defs/text"}}
                        }
                    ]
                }
            }
        }
    })
}

/// One key of a check names its kind, and decides what `expect` may hold.
fn check(kinds: &[&ProbeKind]) -> Value {
    let audience = json!({"enum": Visibility::ALL.map(Visibility::name)});
    let described = |schema: &Value, what: &str| {
        let mut schema = schema.clone();
        schema["description"] = json!(what);
        schema
    };
    let mut properties = Map::from_iter([
        ("id".to_owned(), json!({"$ref": "#/$defs/name"})),
        ("title".to_owned(), json!({"$ref": "#/$defs/text"})),
        (
            "points".to_owned(),
            json!({"type": "number", "minimum": 0, "description": "0: an observation, shown and free"}),
        ),
        ("needs".to_owned(), json!({"$ref": "#/$defs/names", "description": "must pass, or this is not run"})),
        (
            "explained_by".to_owned(),
            json!({"$ref": "#/$defs/names", "description": "where one of them did not pass, a failure of this is not counted again"}),
        ),
        ("expect".to_owned(), json!({"type": "object", "minProperties": 1})),
        ("eventually".to_owned(), json!({"$ref": "#/$defs/eventually"})),
        ("never".to_owned(), never()),
        ("hint".to_owned(), json!({"$ref": "#/$defs/text", "description": "what to do where it fails"})),
        ("visibility".to_owned(), described(&audience, "from whom on it is in a report")),
        ("details".to_owned(), described(&audience, "from whom on what was expected and seen is in a report")),
    ]);
    let mut by_kind = Vec::new();
    for kind in kinds {
        let mut parameters = (kind.schema)();
        if let Some(map) = parameters.as_object_mut() {
            map.insert("description".to_owned(), json!(kind.summary));
        }
        properties.insert(kind.name.to_owned(), parameters);
        by_kind.push(json!({
            "if": {"required": [kind.name]},
            "then": {"properties": {"expect": expect::of_facts(kind.facts)}}
        }));
    }
    let one: Vec<Value> = kinds.iter().map(|kind| json!({"required": [kind.name]})).collect();
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["id", "points", "expect"],
        "properties": properties,
        "oneOf": one,
        "allOf": by_kind
    })
}

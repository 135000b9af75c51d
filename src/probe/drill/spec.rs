//! A drill as a scenario says it: the fault, what is watched, the ledger, and how long each part lasts.

use std::time::Duration;

use serde_json::{Value, json};

use super::course::Course;
use crate::fault::{FAULTS, Fault};
use crate::nearest;
use crate::scenario::drills::HELD;
use crate::scenario::text_for_people;
use crate::scenario::tree::{Decoder, Problem};
use crate::text::Text;

/// What is looked at again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Watch {
    /// The page of a role answers, with a good status and no database's error on it.
    Page(String),
    /// A port that a role publishes accepts a connection.
    Tcp(String, u16),
    /// The server of a store answers a query.
    Store(String),
}

impl Watch {
    pub(super) fn role(&self) -> &str {
        match self {
            Self::Page(role) | Self::Tcp(role, _) | Self::Store(role) => role,
        }
    }
}

/// Where the numbered writes go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Through {
    /// Rows of a table of our own, in the store of a role.
    Sql(String),
    /// A form of the page of a role.
    Page { role: String, post: String, form: Vec<(String, String)>, read: String },
    /// Files on the distributed volume: the one that is called so, or the only one.
    Files(Option<String>),
}

impl Through {
    pub(super) fn role(&self) -> Option<&str> {
        match self {
            Self::Sql(role) | Self::Page { role, .. } => Some(role),
            Self::Files(_) => None,
        }
    }
}

/// A drill, decoded.
pub(super) struct Spec {
    pub(super) id: String,
    pub(super) title: Text,
    pub(super) fault_name: &'static str,
    pub(super) fault: Box<dyn Fault>,
    pub(super) watch: Watch,
    pub(super) through: Option<Through>,
    pub(super) course: Course,
    /// Roles whose containers must stay as they are.
    pub(super) spares: Vec<String>,
    /// How long the volume may take to be whole again; none where it is not waited for.
    pub(super) volume: Option<Duration>,
    pub(super) least_samples: u64,
}

const SECOND: Duration = Duration::from_secs(1);
/// Faster than this, what is measured is the sampling.
const FASTEST: Duration = Duration::from_millis(20);

pub(super) fn decode(d: &mut Decoder<'_>) -> Option<Spec> {
    let id = d.required_text("id");
    let title = text_for_people(d, "title", false);
    let fault = fault(d);
    d.required("watch");
    let watch = d.map("watch", watch);
    let ledger = d.map("ledger", ledger);
    let mut time = |key: &'static str, usual: Duration| d.duration(key).unwrap_or(usual);
    let every = time("every", SECOND / 2);
    let course = Course {
        every: every.max(FASTEST),
        timeout: time("timeout", 5 * SECOND),
        steady_within: time("steady_within", 20 * SECOND),
        hold: time("hold", Duration::ZERO),
        within: time("within", 60 * SECOND),
        held: time("held", HELD),
        unaided: false,
        since_heal: false,
        stable: 3,
        ledger_every: ledger.as_ref().map(|(_, every)| *every),
    };
    if every < FASTEST {
        d.problem_with("every", "`every` must be at least 20ms", Some("what a look costs the service is its own"));
    }
    let unaided = d.bool_or("unaided", false);
    let since = d.word("since", &["fault", "heal"]);
    if unaided && since == Some("heal") {
        d.problem_with("since", "with `unaided` nothing is healed before it has recovered", Some("leave `since` out"));
    }
    let stable = whole(d, "stable", 3, 1..=100);
    let least_samples = whole(d, "least_samples", 5, 1..=100_000);
    let spares = if d.has("spares") { d.roles("spares") } else { d.text_list("spares") };
    let volume = d.map("volume", |v| Some(v.duration("within").unwrap_or(120 * SECOND)));
    let (fault_name, fault) = fault?;
    let id = id?;
    Some(Spec {
        title: title.unwrap_or_else(|| Text::same(&id)),
        id,
        fault_name,
        fault,
        watch: watch?,
        through: ledger.map(|(through, _)| through),
        course: Course { unaided, since_heal: since == Some("heal"), stable: stable as usize, ..course },
        spares,
        volume,
        least_samples,
    })
}

fn whole(d: &mut Decoder<'_>, key: &'static str, usual: u64, range: std::ops::RangeInclusive<u64>) -> u64 {
    match d.int(key).map(u64::try_from) {
        None => usual,
        Some(Ok(n)) if range.contains(&n) => n,
        Some(_) => {
            let (low, high) = (range.start(), range.end());
            d.problem_with(key, format!("`{key}` must be a number from {low} to {high}"), None);
            usual
        }
    }
}

/// The one key below `fault` names its kind.
fn fault(d: &mut Decoder<'_>) -> Option<(&'static str, Box<dyn Fault>)> {
    d.required("fault");
    d.map("fault", |inner| {
        let mut found: Option<(&'static str, Option<Box<dyn Fault>>)> = None;
        for kind in FAULTS {
            if inner.has(kind.name) {
                if let Some((first, _)) = &found {
                    inner.problem_with(kind.name, format!("a drill has one fault: `{first}` or `{}`", kind.name), None);
                    inner.node(kind.name);
                    continue;
                }
                found = Some((kind.name, inner.map(kind.name, |d| (kind.decode)(d))));
            }
        }
        if found.is_none() {
            let names = || FAULTS.iter().map(|kind| kind.name);
            match inner.keys().into_iter().next() {
                Some((key, at)) => {
                    let problem = Problem::new(&at, format!("unknown fault `{key}`"));
                    inner.problem(problem.hint(nearest::hint(&key, names())));
                    inner.knows_all();
                }
                None => {
                    let at = inner.at().clone();
                    let problem = Problem::new(&at, "`fault` says nothing that could be broken");
                    inner.problem(problem.hint(nearest::names(names())));
                }
            }
        }
        let (name, fault) = found?;
        Some((name, fault?))
    })
}

fn watch(d: &mut Decoder<'_>) -> Option<Watch> {
    match one_of(d, "watch", &["page", "tcp", "store"])? {
        "page" => d.role("page").map(Watch::Page),
        "store" => d.role("store").map(Watch::Store),
        _ => d.map("tcp", |tcp| {
            tcp.required("port");
            let (role, port) = (tcp.role("role"), tcp.port("port"));
            Some(Watch::Tcp(role?, port?))
        }),
    }
}

/// Which of these keys stands there; all are asked for, so that a mistyped one is told what it may be.
fn one_of(d: &mut Decoder<'_>, what: &str, keys: &[&'static str]) -> Option<&'static str> {
    let there: Vec<&'static str> = keys.iter().copied().filter(|key| d.has(key)).collect();
    for key in keys {
        d.node(key);
    }
    if there.len() != 1 {
        let message = format!("`{what}` has one of {}", nearest::names(keys.iter().copied()));
        let at = d.at().clone();
        d.problem(Problem::new(&at, message));
        return None;
    }
    there.first().copied()
}

fn ledger(d: &mut Decoder<'_>) -> Option<(Through, Duration)> {
    let every = d.duration("every").unwrap_or(SECOND / 2).max(FASTEST);
    let through = match one_of(d, "ledger", &["sql", "page", "files"])? {
        "sql" => d.role("sql").map(Through::Sql),
        "files" => d.map("files", |files| Some(Through::Files(files.text("volume")))),
        _ => d.map("page", |page| {
            let role = page.role("role");
            let (post, read) = (page.required_text("post"), page.text_or("read", "/"));
            let form: Vec<(String, String)> = page
                .entries("form")
                .iter()
                .filter_map(|(key, _, value)| Some((key.clone(), value.text()?.to_owned())))
                .collect();
            if !form.iter().any(|(_, value)| value.contains(NUMBER))
                && !post.as_ref().is_some_and(|post| post.contains(NUMBER))
            {
                let message = format!("nothing of the form has the entry's own text, `{NUMBER}`");
                page.problem_with("form", message, Some("as in `form: {name: \"{entry}\"}`"));
            }
            Some(Through::Page { role: role?, post: post?, form, read })
        }),
    };
    through.map(|through| (through, every))
}

/// What stands in a form for the entry's text, which holds its number.
pub(super) const NUMBER: &str = "{entry}";

/// JSON Schema of a drill's own keys.
pub fn schema() -> Value {
    let faults: Vec<Value> = FAULTS
        .iter()
        .map(|kind| {
            let (name, schema) = (kind.name, (kind.schema)());
            json!({"type": "object", "additionalProperties": false, "required": [name], "properties": {name: schema},
                   "description": kind.summary})
        })
        .collect();
    let role = json!({"type": "string", "description": "a role"});
    let time = |what: &str| json!({"type": "string", "description": what});
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["id", "fault", "watch"],
        "properties": {
            "id": {"type": "string", "description": "the drill's name"},
            "title": {"type": ["string", "object"]},
            "fault": {"oneOf": faults, "description": "what is broken, and whom it hits"},
            "watch": {
                "description": "what is looked at again and again",
                "oneOf": [
                    {"type": "object", "additionalProperties": false, "required": ["page"], "properties": {"page": role}},
                    {"type": "object", "additionalProperties": false, "required": ["store"], "properties": {"store": role}},
                    {"type": "object", "additionalProperties": false, "required": ["tcp"], "properties": {
                        "tcp": {"type": "object", "additionalProperties": false, "required": ["role", "port"],
                                "properties": {"role": role, "port": {"type": "integer", "minimum": 1, "maximum": 65535}}}}}
                ]
            },
            "ledger": {
                "type": "object",
                "additionalProperties": false,
                "description": "numbered writes: what was acknowledged must be there when it is over",
                "properties": {
                    "sql": {"type": "string", "description": "the role of a MySQL store: rows of a table of imparcial's own"},
                    "page": {"type": "object", "additionalProperties": false, "required": ["role", "post"], "properties": {
                        "role": role,
                        "post": {"type": "string", "description": "the path that is posted to"},
                        "form": {"type": "object", "additionalProperties": {"type": "string"},
                                 "description": "its fields; `{entry}` is what is written"},
                        "read": {"type": "string", "default": "/", "description": "the path that shows all entries"}}},
                    "files": {"type": "object", "additionalProperties": false, "description": "files on the distributed volume, written through one machine's mount and read through another's", "properties": {
                        "volume": {"type": "string", "description": "its name; without it, the only volume, or of several the only one that is mounted on a machine"}}},
                    "every": time("between two writes; 500ms where it is not said")
                }
            },
            "every": time("between two samples, 20ms at least; 500ms where it is not said. It is widened where answering costs the service more than a fifth of its quota, and to what an answer takes"),
            "timeout": time("of one look; 5s"),
            "steady_within": time("how long the steady state may take to hold; 20s"),
            "hold": time("how long the fault is active before it is undone; not at all where it is not said"),
            "unaided": {"type": "boolean", "description": "it is undone only when all is measured"},
            "since": {"enum": ["fault", "heal"], "description": "what recovery is counted from"},
            "within": time("how long recovery is waited for; 60s"),
            "stable": {"type": "integer", "minimum": 1, "maximum": 100, "default": 3, "description": "so many passing samples in a row are a recovery"},
            "held": time("how long it is watched after it has recovered; 5s"),
            "spares": {"type": ["string", "array"], "items": {"type": "string"}, "description": "roles that must be unharmed"},
            "volume": {"type": "object", "additionalProperties": false, "properties": {"within": time("how long bricks, mounts and healing may take; 120s")},
                       "description": "waits for the distributed volume to be whole again"},
            "least_samples": {"type": "integer", "minimum": 1, "default": 5, "description": "with fewer than so many while the fault is active, `available_during` is undecided"}
        }
    })
}

//! Facts that were seen, what they should be, and the comparison. Pure: no I/O, no waiting, no points.

pub mod matcher;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use matcher::Matcher;

/// What was seen of one subject: `status = 200`, `limit_bytes = 20971520`.
/// Times are in seconds (`_s`), sizes in bytes (`_bytes`), as JSON numbers.
pub type Facts = BTreeMap<String, Value>;

/// What a fact's value is measured in: decides how an expectation's literal is read (`10s`, `6MiB`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Text,
    Bool,
    /// A plain number.
    Number,
    /// Bytes; literals such as `20MB`, `6MiB`, `20m` (as Docker writes it) are read.
    Bytes,
    /// Seconds; literals need a unit (`10s`, `250ms`).
    Seconds,
    List,
}

/// A fact that a kind can give: documented, and the only names that an expectation may use.
#[derive(Clone, Copy, Debug)]
pub struct FactSpec {
    pub name: &'static str,
    pub unit: Unit,
    pub summary: &'static str,
}

/// A place in a file of the scenario or the submission. Lines and columns count from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub file: String,
    pub line: u32,
    pub column: u32,
}

/// What one fact should be.
#[derive(Clone, Debug)]
pub struct Expectation {
    pub fact: String,
    pub matcher: Matcher,
    pub at: Place,
}

/// The comparison of one fact of one subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Which of several was looked at ("app", "db"); empty where there is only one.
    pub subject: String,
    pub fact: String,
    pub expected: String,
    pub observed: String,
    pub holds: bool,
}

/// Compares every expectation with a subject's facts. A fact that was not seen does not hold.
pub fn judge(expectations: &[Expectation], subject: &str, facts: &Facts) -> Vec<Finding> {
    expectations
        .iter()
        .map(|e| {
            let seen = facts.get(&e.fact);
            Finding {
                subject: subject.to_owned(),
                fact: e.fact.clone(),
                expected: e.matcher.describe(),
                observed: seen.map_or_else(|| "nothing".to_owned(), matcher::show),
                holds: seen.is_some_and(|value| e.matcher.holds(value)),
            }
        })
        .collect()
}

//! What a check's last look saw that may lead somewhere.

use std::net::SocketAddr;

use serde_json::Value;

use crate::engine::schedule::Outcome;
use crate::expect::Facts;

/// Taken from its observation.
#[derive(Default)]
pub(in crate::engine) struct Clue {
    pub(super) subjects: Vec<(String, Facts)>,
    pub(super) dialled: Vec<String>,
    /// The ports that were dialled there; none is known where it is empty.
    pub(super) ports: Vec<u16>,
    /// What the app printed while it was looked at.
    pub(super) printed: String,
    /// The page or response that was seen, headers and all.
    pub(super) page: String,
}

impl Clue {
    pub(in crate::engine) fn of(outcome: &Outcome) -> Self {
        let Some(seen) = outcome.waited.as_ref().map(|waited| &waited.observation) else { return Self::default() };
        Self {
            subjects: seen.subjects.clone(),
            dialled: seen.dialled.clone(),
            ports: seen.ports.clone(),
            printed: seen.printed.clone(),
            page: seen.page().map(|page| String::from_utf8_lossy(page).into_owned()).unwrap_or_default(),
        }
    }

    pub(super) fn fact(&self, name: &str) -> Option<&Value> {
        self.subjects.first().and_then(|(_, facts)| facts.get(name))
    }

    /// The ports that were tried at those who were dialled.
    pub(super) fn tried(&self) -> Vec<u16> {
        let tried = self.list("tried").into_iter().filter_map(|to| to.parse::<SocketAddr>().ok());
        tried.filter(|to| self.dialled.contains(&to.ip().to_string())).map(|to| to.port()).collect()
    }

    /// The names of a fact that is a list.
    pub(super) fn list(&self, name: &str) -> Vec<&str> {
        self.fact(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
    }
}

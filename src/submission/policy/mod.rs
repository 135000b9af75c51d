//! The static policy: what a compose file may not ask of the machine that it runs on. A table of rules, each with a check.
//!
//! It judges the file as we read it (with places) and as the compose tool resolved it, by the same rules. What a hit costs is
//! the engine's to decide; here is only what is found, and what is to be done about it.

mod keys;
mod outside;
mod strip;
mod uncontained;

use std::path::Path;

use serde_json::Value;

use super::paths::{self, Lead};
use super::{ComposeFile, ServiceDef, Submission};
use crate::expect::Place;
use crate::notice::{Level, Notice};
use crate::text::Text;

pub use outside::foreign_paths;
pub use strip::strip;
pub use uncontained::only_in_a_lab;

/// A rule that matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The rule's name: `privileged`, `host_namespaces`, `host_binds`, …
    pub rule: String,
    pub service: Option<String>,
    pub action: Action,
    pub text: Text,
    pub at: Place,
    /// Where in the file it stands, as keys from the top: `services`, `db`, `cap_add`. What stripping takes out.
    pub keys: Vec<String>,
}

/// What is done about a hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Refuse,
    Strip,
    Allow,
}

/// A row of the table.
pub struct Rule {
    pub name: &'static str,
    /// What is done where the scenario says nothing.
    pub action: Action,
    pub summary: &'static str,
    check: fn(&View<'_>, &mut Vec<Found>),
}

/// Every rule, in the order in which hits are shown.
pub static RULES: &[Rule] = &[
    Rule {
        name: "privileged",
        action: Action::Refuse,
        summary: "`privileged: true`: the container is root of the machine",
        check: keys::privileged,
    },
    Rule {
        name: "host_namespaces",
        action: Action::Refuse,
        summary: "the machine's own network, processes, memory, names or users (`network_mode`, `pid`, `ipc`, `uts`, `userns_mode`: `host`)",
        check: keys::host_namespaces,
    },
    Rule {
        name: "docker_socket",
        action: Action::Refuse,
        summary: "the socket of the machine's engine",
        check: outside::docker_socket,
    },
    Rule { name: "devices", action: Action::Refuse, summary: "devices of the machine", check: keys::devices },
    Rule {
        name: "cgroup_parent",
        action: Action::Refuse,
        summary: "another control group than the engine's: limits would not hold",
        check: keys::cgroup_parent,
    },
    Rule {
        name: "host_binds",
        action: Action::Refuse,
        summary: "folders of the machine's own system, or beyond the submission's root",
        check: outside::host_binds,
    },
    Rule {
        name: "build_contexts",
        action: Action::Refuse,
        summary: "builds, `env_file`, `extends` and `include` from outside the submission",
        check: outside::build_contexts,
    },
    Rule { name: "cap_add", action: Action::Strip, summary: "added capabilities", check: keys::cap_add },
    Rule {
        name: "security_opt",
        action: Action::Strip,
        summary: "loosened confinement (seccomp, AppArmor, labels)",
        check: keys::security_opt,
    },
    Rule {
        name: "external",
        action: Action::Strip,
        summary: "networks, volumes and containers that are not of this file: made ordinary ones",
        check: keys::external,
    },
];

pub fn rule(name: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.name == name)
}

/// Judges a file. `actions` are the scenario's, by rule name; the rest is as the table has it.
pub fn judge(submission: &Submission, compose: &ComposeFile, actions: &[(String, Action)]) -> Vec<Hit> {
    rows(&View { submission, compose, uncontained: false }, RULES, actions)
}

/// Judges by some rows.
fn rows<'r>(view: &View<'_>, rules: impl IntoIterator<Item = &'r Rule>, actions: &[(String, Action)]) -> Vec<Hit> {
    let mut hits = Vec::new();
    for rule in rules {
        let mut found = Vec::new();
        (rule.check)(view, &mut found);
        let action =
            actions.iter().rev().find(|(name, _)| name == rule.name).map_or(rule.action, |(_, action)| *action);
        for found in found {
            let Found { service, text, at, keys } = found;
            let hit = Hit { rule: rule.name.to_owned(), service, action, text, at, keys };
            if !hits.contains(&hit) {
                hits.push(hit);
            }
        }
    }
    hits
}

impl Hit {
    /// As people are shown it.
    pub fn notice(&self) -> Notice {
        let (level, en, es) = match self.action {
            Action::Refuse => (Level::Problem, "refused", "rechazado"),
            Action::Strip => (Level::Warning, "taken out", "quitado"),
            Action::Allow => (Level::Info, "allowed", "permitido"),
        };
        Notice {
            id: format!("policy.{}", self.rule),
            level,
            text: Text::new(format!("{} ({en})", self.text.en), format!("{} ({es})", self.text.es)),
            at: (!self.at.file.is_empty()).then(|| self.at.clone()),
            service: self.service.clone(),
        }
    }
}

/// What a check found.
struct Found {
    service: Option<String>,
    text: Text,
    at: Place,
    keys: Vec<String>,
}

impl Found {
    /// At a key of a service.
    fn at_key(service: &ServiceDef, key: &str, en: String, es: String) -> Self {
        Self {
            service: Some(service.name.clone()),
            text: Text { en, es },
            at: service.keys.get(key).unwrap_or(&service.at).clone(),
            keys: vec!["services".to_owned(), service.name.clone(), key.to_owned()],
        }
    }
}

struct View<'a> {
    submission: &'a Submission,
    compose: &'a ComposeFile,
    /// On the host's own engine: what a path of the machine is, is not made for the run.
    uncontained: bool,
}

impl View<'_> {
    fn services(&self) -> impl Iterator<Item = &ServiceDef> {
        self.compose.services.iter()
    }

    fn folder(&self) -> &Path {
        self.compose.path.parent().unwrap_or(Path::new(""))
    }

    fn follow(&self, written: &str) -> Lead {
        paths::follow(&self.submission.root, self.folder(), written, self.compose.workdir.as_deref())
    }

    fn is_own_container(&self, name: &str) -> bool {
        self.services().any(|s| s.container_name.as_deref() == Some(name) || s.name == name)
    }
}

/// True as the compose tool takes it: also the texts `yes`, `on`, `true`.
fn truth(value: &Value) -> bool {
    match value {
        Value::Bool(b) => *b,
        Value::String(text) => ["true", "yes", "on", "y"].iter().any(|word| text.eq_ignore_ascii_case(word)),
        _ => false,
    }
}

/// The texts of a list, or the one text.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        Value::String(text) => vec![text],
        _ => Vec::new(),
    }
}

/// A path as shown: relative ones as written.
fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests;

//! The decoder of a map: typed getters that collect problems with their places and never stop at the first.
//!
//! A getter gives `None` where the key is absent or is a problem (already noted). A kind's `decode` asks for all of its
//! keys first and only then gives up, so that every problem shows at once; the caller calls [`Decoder::finish`], which reports
//! the keys that nobody asked for.

use std::time::Duration;

use super::from::From;
use super::tree::{Node, Problem, Yaml};
use super::units;
use crate::expect::Place;
use crate::nearest;

/// Reads a map's keys one by one and collects every problem; keys that nobody asked for are problems at the end.
pub struct Decoder<'a> {
    node: &'a Node,
    problems: &'a mut Vec<Problem>,
    asked: Vec<&'static str>,
    /// Required keys that are absent: reported at the end, since a mistyped one is a single mistake.
    missing: Vec<&'static str>,
    /// Roles that the parameters name: `plan` checks that they exist.
    roles: Vec<(String, Place)>,
    all_known: bool,
}

impl<'a> Decoder<'a> {
    /// Of a map; nothing at all counts as an empty one, anything else is a problem.
    pub fn new(node: &'a Node, problems: &'a mut Vec<Problem>) -> Self {
        if !matches!(node.value, Yaml::Map(_) | Yaml::Null) {
            problems.push(Problem::new(&node.at, format!("expected a map, found {}", node.describe())));
        }
        Self { node, problems, asked: Vec::new(), missing: Vec::new(), roles: Vec::new(), all_known: false }
    }

    /// Where the map is.
    pub fn at(&self) -> &'a Place {
        &self.node.at
    }

    /// Whether the key is there; does not count as asking for it.
    pub fn has(&self, key: &str) -> bool {
        self.node.get(key).is_some()
    }

    /// The keys that stand there, each with its place.
    pub fn keys(&self) -> Vec<(String, Place)> {
        self.node.entries().iter().map(|(key, at, _)| (key.clone(), at.clone())).collect()
    }

    /// Whether a key that nobody has asked for so far is one of `names` with a slip in it.
    pub fn has_nearly(&self, names: &[&str]) -> bool {
        let unknown = self
            .node
            .entries()
            .iter()
            .map(|(key, ..)| key.as_str())
            .filter(|key| !self.asked.iter().any(|asked| asked == key));
        unknown.into_iter().any(|key| nearest::nearest(key, names.iter().copied()).is_some())
    }

    /// What is wrong with its keys was said: none of them is reported as unknown.
    pub fn knows_all(&mut self) {
        self.all_known = true;
    }

    /// The place of the key, or of the map where it is absent.
    pub fn place(&self, key: &str) -> &'a Place {
        self.node.entries().iter().find(|(name, _, _)| name == key).map_or(&self.node.at, |(_, at, _)| at)
    }

    /// Notes a problem at a place.
    pub fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Notes a problem with the value of a key, or with the map where the key is absent.
    pub fn problem_with(&mut self, key: &str, message: impl Into<String>, hint: Option<&str>) {
        let at = self.node.get(key).map_or(&self.node.at, |node| &node.at);
        let problem = Problem::new(at, message);
        self.problems.push(match hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        });
    }

    /// The value of a key as it is, for what no getter reads. Null counts as absent.
    pub fn node(&mut self, key: &'static str) -> Option<&'a Node> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        self.node.get(key).filter(|node| !node.is_null())
    }

    /// As [`Self::node`], and a problem where it is absent.
    pub fn required(&mut self, key: &'static str) -> Option<&'a Node> {
        let found = self.node(key);
        if found.is_none() && !self.missing.contains(&key) {
            self.missing.push(key);
        }
        found
    }

    /// A text. A plain scalar is the text as written: `no`, `0755`, `1.50`.
    pub fn text(&mut self, key: &'static str) -> Option<String> {
        self.node(key).and_then(|node| self.read(key, node, "a text", |node| node.text().map(str::to_owned)))
    }

    pub fn text_or(&mut self, key: &'static str, default: &str) -> String {
        self.text(key).unwrap_or_else(|| default.to_owned())
    }

    /// A text that must be there and not be empty.
    pub fn required_text(&mut self, key: &'static str) -> Option<String> {
        let node = self.required(key)?;
        self.read(key, node, "a text", |node| node.text().filter(|text| !text.trim().is_empty()).map(str::to_owned))
    }

    /// One of a closed set of words.
    pub fn word(&mut self, key: &'static str, words: &[&'static str]) -> Option<&'static str> {
        let node = self.node(key)?;
        let typed = self.read(key, node, "a word", |node| node.text().map(str::to_owned))?;
        let found = words.iter().copied().find(|word| *word == typed);
        if found.is_none() {
            let hint = nearest::hint(&typed, words.iter().copied());
            self.problems.push(Problem::new(&node.at, format!("unknown value `{typed}` for `{key}`")).hint(hint));
        }
        found
    }

    /// As [`Self::word`], and a problem where it is absent.
    pub fn required_word(&mut self, key: &'static str, words: &[&'static str]) -> Option<&'static str> {
        self.required(key)?;
        self.word(key, words)
    }

    pub fn int(&mut self, key: &'static str) -> Option<i64> {
        let node = self.node(key)?;
        self.read(key, node, "a whole number", |node| match node.value {
            Yaml::Int(n) => Some(n),
            _ => None,
        })
    }

    /// A TCP or UDP port, 1 to 65535.
    pub fn port(&mut self, key: &'static str) -> Option<u16> {
        let node = self.node(key)?;
        self.read(key, node, "a port (1 to 65535)", |node| match node.value {
            Yaml::Int(n) => u16::try_from(n).ok().filter(|port| *port > 0),
            _ => None,
        })
    }

    pub fn number(&mut self, key: &'static str) -> Option<f64> {
        let node = self.node(key)?;
        self.read(key, node, "a number", number)
    }

    pub fn bool(&mut self, key: &'static str) -> Option<bool> {
        let node = self.node(key)?;
        self.read(key, node, "`true` or `false`", |node| match node.value {
            Yaml::Bool(b) => Some(b),
            _ => None,
        })
    }

    pub fn bool_or(&mut self, key: &'static str, default: bool) -> bool {
        self.bool(key).unwrap_or(default)
    }

    /// A size in bytes, in Docker's units: `20m`, `20MB` and `20MiB` are the same; a number is bytes.
    pub fn bytes(&mut self, key: &'static str) -> Option<u64> {
        let node = self.node(key)?;
        self.read(key, node, "a size such as `20m` or `256MiB`", |node| node.text().and_then(units::bytes))
    }

    /// A duration with its unit: `250ms`, `10s`, `5m`. A number without one is a problem.
    pub fn duration(&mut self, key: &'static str) -> Option<Duration> {
        let node = self.node(key)?;
        duration_of(key, node).map_err(|problem| self.problems.push(problem)).ok()
    }

    /// A text or a list of texts; empty where absent.
    pub fn text_list(&mut self, key: &'static str) -> Vec<String> {
        self.texts(key).into_iter().map(|(text, _)| text).collect()
    }

    /// As [`Self::text_list`], each with its place.
    pub fn texts(&mut self, key: &'static str) -> Vec<(String, Place)> {
        let Some(node) = self.node(key) else { return Vec::new() };
        let items = match &node.value {
            Yaml::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let text = |node: &Node| node.text().map(|text| (text.to_owned(), node.at.clone()));
        items.iter().filter_map(|item| self.read(key, item, "a text or a list of texts", text)).collect()
    }

    /// As [`Self::texts`], where an empty list says nothing and is a mistake.
    pub fn some_texts(&mut self, key: &'static str) -> Vec<(String, Place)> {
        let texts = self.texts(key);
        if let Some(Node { value: Yaml::List(items), at, .. }) = self.node(key)
            && items.is_empty()
        {
            self.problems
                .push(Problem::new(at, format!("`{key}` is an empty list")).hint("name something, or leave it out"));
        }
        texts
    }

    /// A map of texts whose keys are free: headers, environment.
    pub fn text_map(&mut self, key: &'static str) -> Vec<(String, String)> {
        let entries = self.entries(key);
        let text = |node: &Node| node.text().map(str::to_owned);
        entries
            .iter()
            .filter_map(|(name, _, node)| Some((name.clone(), self.read(name, node, "a text", text)?)))
            .collect()
    }

    /// The entries of a map whose keys are free.
    pub fn entries(&mut self, key: &'static str) -> &'a [(String, Place, Node)] {
        let Some(node) = self.node(key) else { return &[] };
        if !matches!(node.value, Yaml::Map(_)) {
            self.problems.push(wrong(key, node, "a map"));
        }
        node.entries()
    }

    /// Decodes the map under a key, its unknown keys included; `None` where it is absent.
    pub fn map<T>(&mut self, key: &'static str, decode: impl FnOnce(&mut Decoder<'_>) -> Option<T>) -> Option<T> {
        let node = self.node(key)?;
        if !matches!(node.value, Yaml::Map(_)) {
            self.problems.push(wrong(key, node, "a map"));
            return None;
        }
        self.within(node, decode)
    }

    /// Decodes a map that was reached in another way than by its key, its unknown keys included.
    pub fn within<T>(&mut self, node: &Node, decode: impl FnOnce(&mut Decoder<'_>) -> T) -> T {
        let mut inner = Decoder::new(node, self.problems);
        let out = decode(&mut inner);
        let roles = inner.finish();
        self.roles.extend(roles);
        out
    }

    /// The problems, for a decoder of another kind.
    pub fn problems(&mut self) -> &mut Vec<Problem> {
        self.problems
    }

    /// From where to look: `host`, `lab` (also where absent or wrong), `{inside: role}`, `{node: machine}`.
    pub fn from(&mut self, key: &'static str) -> From {
        let Some(node) = self.node(key) else { return From::Lab };
        if matches!(node.value, Yaml::Map(_)) {
            return self.map(key, |inner| inner.stand()).unwrap_or_default();
        }
        match self.word(key, &["host", "lab"]) {
            Some("host") => From::Host,
            _ => From::Lab,
        }
    }

    fn stand(&mut self) -> Option<From> {
        if !self.has("node") {
            let inside = self.role("inside").map(From::Inside);
            // Asked for, so that a mistyped one is told what it may be.
            self.node("node");
            return inside;
        }
        let machine = self.required_text("node");
        if self.has("inside") {
            self.role("inside");
            self.problem_with("node", "`node` and `inside` are two places to stand", Some("keep one"));
        }
        machine.map(From::Node)
    }

    /// The name of a role; a problem where it is absent. `plan` checks that the scenario has it.
    pub fn role(&mut self, key: &'static str) -> Option<String> {
        let name = self.required_text(key)?;
        if let Some(node) = self.node.get(key) {
            self.roles.push((name.clone(), node.at.clone()));
        }
        Some(name)
    }

    /// A role that a text names (`{db.names}`): `plan` checks that the scenario has it.
    pub fn names_role(&mut self, role: &str, at: &Place) {
        self.roles.push((role.to_owned(), at.clone()));
    }

    /// One role or a list of them; a problem where there is none. `plan` checks that the scenario has them.
    pub fn roles(&mut self, key: &'static str) -> Vec<String> {
        if self.required(key).is_none() {
            return Vec::new();
        }
        let roles = self.texts(key);
        if roles.is_empty()
            && matches!(self.node.get(key), Some(Node { value: Yaml::List(items), .. }) if items.is_empty())
        {
            self.problem_with(key, format!("`{key}` names no role"), None);
        }
        self.roles.extend(roles.iter().cloned());
        roles.into_iter().map(|(name, _)| name).collect()
    }

    /// Reports required keys that are absent and keys that nobody asked for; gives the roles that were named.
    pub fn finish(self) -> Vec<(String, Place)> {
        self.finish_knowing(&[])
    }

    /// As [`Self::finish`], with more names that are no mistakes though nobody asked for them.
    pub fn finish_knowing(self, names: &[&str]) -> Vec<(String, Place)> {
        let known: Vec<&str> = self.asked.iter().copied().chain(names.iter().copied()).collect();
        // A key that is already there was not what was meant.
        let free: Vec<&str> = known.iter().copied().filter(|name| self.node.get(name).is_none()).collect();
        let mut meant = Vec::new();
        for (key, at, _) in self.node.entries() {
            if self.all_known || known.contains(&key.as_str()) {
                continue;
            }
            let hint = match nearest::nearest(key, free.iter().copied()) {
                Some(near) => {
                    meant.push(near);
                    format!("did you mean `{near}`?")
                }
                None if free.is_empty() => "remove it".to_owned(),
                None => format!("what else can stand here: {}", nearest::names(free.iter().copied())),
            };
            self.problems.push(Problem::new(at, format!("unknown key `{key}`")).hint(hint));
        }
        for key in self.missing.iter().filter(|key| !meant.contains(*key)) {
            let at = self.node.get(key).map_or(&self.node.at, |node| &node.at);
            self.problems.push(Problem::new(at, format!("`{key}` is missing")));
        }
        self.roles
    }

    fn read<T>(&mut self, key: &str, node: &Node, want: &str, read: impl FnOnce(&Node) -> Option<T>) -> Option<T> {
        let out = read(node);
        if out.is_none() {
            self.problems.push(wrong(key, node, want));
        }
        out
    }
}

fn wrong(key: &str, node: &Node, want: &str) -> Problem {
    Problem::new(&node.at, format!("`{key}` must be {want}, not {}", node.describe()))
}

/// A number, whole or not.
pub fn number(node: &Node) -> Option<f64> {
    match node.value {
        Yaml::Int(n) => Some(n as f64),
        Yaml::Float(n) => Some(n),
        _ => None,
    }
}

/// A node's duration, with the unit that a number lacks as the hint.
pub fn duration_of(key: &str, node: &Node) -> Result<Duration, Problem> {
    node.text().and_then(units::duration).ok_or_else(|| {
        let problem = wrong(key, node, "a duration");
        match (number(node), node.text()) {
            (Some(n), Some(text)) if n >= 0.0 => {
                problem.hint(format!("a duration needs its unit: `{text}s` or `{text}ms`"))
            }
            _ => problem.hint("such as `250ms`, `10s`, `5m`"),
        }
    })
}

#[cfg(test)]
mod tests;

//! The positioned tree: YAML read whole, with a place on every node, before anything is decoded.
//!
//! serde stops at its first error and loses places inside flattened types, so the parser gives us this tree and nothing
//! else; each row decodes from its node and the problems are collected. The parser is kept behind this file and `raw`.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_saphyr::{DuplicateKeyPolicy, Spanned};

use super::raw::Raw;
use crate::expect::Place;

pub use super::decoder::Decoder;

/// Larger than any scenario that a person wrote; in bytes.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// A YAML value with its place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    pub at: Place,
    pub value: Yaml,
    /// A plain (unquoted) scalar as written, so that `1.50` can still be read as the text that it is.
    pub raw: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub enum Yaml {
    #[default]
    Null,
    /// Only `true` and `false`: `no`, `on` and the like are texts.
    Bool(bool),
    /// Never with leading zeros: `0755` is a text.
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    /// Keys in the file's order, each with its own place.
    Map(Vec<(String, Place, Node)>),
}

/// A mistake of the scenario's author, pointing at its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub at: Place,
    pub message: String,
    /// What to do: the nearest valid name, the form that is wanted.
    pub hint: Option<String>,
}

impl Problem {
    pub fn new(at: &Place, message: impl Into<String>) -> Self {
        Self { at: at.clone(), message: message.into(), hint: None }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// In the order of their places, each once: a mistake inside an anchor is met wherever it is used.
pub fn sorted(mut problems: Vec<Problem>) -> Vec<Problem> {
    let key = |p: &Problem| (p.at.file.clone(), p.at.line, p.at.column);
    problems.sort_by_key(key);
    let mut out: Vec<Problem> = Vec::with_capacity(problems.len());
    for problem in problems {
        if !out.contains(&problem) {
            out.push(problem);
        }
    }
    out
}

impl Node {
    pub fn new(at: Place, value: Yaml) -> Self {
        Self { at, value, raw: None }
    }

    pub fn is_null(&self) -> bool {
        self.value == Yaml::Null
    }

    /// The text of a scalar, as written where it is plain.
    pub fn text(&self) -> Option<&str> {
        match (&self.value, &self.raw) {
            (Yaml::Text(text), _) => Some(text),
            (Yaml::Bool(_) | Yaml::Int(_) | Yaml::Float(_), Some(raw)) => Some(raw),
            _ => None,
        }
    }

    /// The value of a map's key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|(name, _, _)| name == key).map(|(_, _, node)| node)
    }

    /// A map's entries in the file's order; none of anything else.
    pub fn entries(&self) -> &[(String, Place, Node)] {
        match &self.value {
            Yaml::Map(entries) => entries,
            _ => &[],
        }
    }

    /// As JSON, types as YAML has them.
    pub fn to_json(&self) -> Value {
        match &self.value {
            Yaml::Null => Value::Null,
            Yaml::Bool(b) => Value::Bool(*b),
            Yaml::Int(n) => Value::from(*n),
            Yaml::Float(n) => Value::from(*n),
            Yaml::Text(text) => Value::from(text.as_str()),
            Yaml::List(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Yaml::Map(entries) => {
                Value::Object(entries.iter().map(|(key, _, value)| (key.clone(), value.to_json())).collect())
            }
        }
    }

    /// What it is, for messages: `a list`, `the number 5`.
    pub fn describe(&self) -> String {
        let raw = || self.raw.clone().unwrap_or_default();
        match &self.value {
            Yaml::Null => "nothing".to_owned(),
            Yaml::Bool(_) => format!("`{}`", raw()),
            Yaml::Int(_) | Yaml::Float(_) => format!("the number {}", raw()),
            Yaml::Text(text) if text.chars().count() > 40 => "a text".to_owned(),
            Yaml::Text(text) => format!("the text \"{text}\""),
            Yaml::List(_) => "a list".to_owned(),
            Yaml::Map(_) => "a map".to_owned(),
        }
    }
}

/// Reads a file's text into its tree: anchors and merge keys resolved, lines and columns from 1.
///
/// What the parser refuses is a single problem, since nothing after it can be trusted; duplicate keys are reported all
/// together. A byte-order mark and CRLF are accepted. An aliased or merged node has the place where it is defined.
pub fn read(text: &str, file: &str) -> Result<Node, Vec<Problem>> {
    let (node, duplicates) = read_on(text, file)?;
    if duplicates.is_empty() { Ok(node) } else { Err(duplicates) }
}

/// As [`read`], where keys that stand twice do not keep the rest from being looked at: the first of them counts.
pub(super) fn read_on(text: &str, file: &str) -> Result<(Node, Vec<Problem>), Vec<Problem>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let top = Place { file: file.to_owned(), line: 1, column: 1 };
    if text.len() > MAX_BYTES {
        return Err(vec![Problem::new(&top, "the file is larger than 1 MiB")]);
    }
    let spanned = serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options()).map_err(|error| {
        let at = error.location().map_or_else(|| top.clone(), |location| place(file, location));
        let problem = Problem::new(&at, parser_message(&error));
        vec![if is_alias(text, &at) {
            problem.hint("an alias `*name` needs its anchor `&name` before it")
        } else {
            problem
        }]
    })?;
    let mut reader = Reader { text, file, problems: Vec::new() };
    let mut node = reader.node(&spanned);
    if node.at.line == 0 {
        node.at = top;
    }
    Ok((node, reader.problems))
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: 20_000,
            max_events: 60_000,
            max_depth: 64,
            max_aliases: 2_000,
            max_documents: 2,
            max_merge_keys: 1_000,
            max_total_scalar_bytes: MAX_BYTES,
        },
        // What aliases repeat is read again for each use.
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 50_000,
            max_alias_expansions_per_anchor: 1_000,
        },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

/// Whether an alias stands at a place: the parser calls it a reference.
fn is_alias(text: &str, at: &Place) -> bool {
    let line = usize::try_from(at.line).ok().and_then(|line| text.lines().nth(line.checked_sub(1)?));
    let column = usize::try_from(at.column).unwrap_or_default().saturating_sub(1);
    line.and_then(|line| line.chars().nth(column)) == Some('*')
}

/// The parser's words without the place, which is ours to show.
fn parser_message(error: &serde_saphyr::Error) -> String {
    let formatter = serde_saphyr::UserMessageFormatter;
    let shown = error.without_snippet().render_with_formatter(&formatter);
    let first = shown.lines().next().unwrap_or_default();
    let end = first.rfind(" at line ").unwrap_or(first.len());
    first[..end].to_owned()
}

fn place(file: &str, location: serde_saphyr::Location) -> Place {
    let small = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    Place { file: file.to_owned(), line: small(location.line()), column: small(location.column()) }
}

/// Turns the parser's values into nodes, noting duplicate keys.
struct Reader<'t> {
    text: &'t str,
    file: &'t str,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn node(&mut self, spanned: &Spanned<Raw>) -> Node {
        let at = place(self.file, spanned.defined);
        let (value, plain) = match &spanned.value {
            Raw::Null => (Yaml::Null, false),
            Raw::Bool(b) => (Yaml::Bool(*b), true),
            Raw::Int(n) => (Yaml::Int(*n), true),
            Raw::Float(n) => (Yaml::Float(*n), true),
            Raw::Text(text) => (Yaml::Text(text.clone()), false),
            Raw::List(items) => (Yaml::List(items.iter().map(|item| self.node(item)).collect()), false),
            Raw::Map(entries) => (Yaml::Map(self.entries(entries)), false),
        };
        let raw = plain.then(|| self.source(spanned.defined)).flatten();
        Node { at, value, raw }
    }

    fn entries(&mut self, entries: &[(Spanned<String>, Spanned<Raw>)]) -> Vec<(String, Place, Node)> {
        let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
        let mut out = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let at = place(self.file, key.defined);
            if let Some(first) = seen.get(key.value.as_str()) {
                let problem = Problem::new(&at, format!("duplicate key `{}`", key.value));
                self.problems.push(problem.hint(format!("it is already set at line {first}: remove one of them")));
            } else {
                seen.insert(&key.value, at.line);
            }
            out.push((key.value.clone(), at, self.node(value)));
        }
        out
    }

    /// The scalar's own characters in the file.
    fn source(&self, location: serde_saphyr::Location) -> Option<String> {
        let span = location.span();
        let start = usize::try_from(span.byte_offset()?).ok()?;
        let len = usize::try_from(span.byte_len()?).ok()?;
        self.text.get(start..start.checked_add(len)?).map(|raw| raw.trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(text: &str) -> Node {
        read(text, "s.yaml").unwrap()
    }

    fn problems(text: &str) -> Vec<String> {
        let show = |p: Problem| format!("{}:{} {}", p.at.line, p.at.column, p.message);
        read(text, "s.yaml").unwrap_err().into_iter().map(show).collect()
    }

    #[test]
    fn places_count_from_one() {
        let tree = node("a: 1\nb:\n  - {c: x}\n");
        let at = |n: &Node| (n.at.line, n.at.column);
        assert_eq!(at(&tree), (1, 1));
        assert_eq!(at(tree.get("a").unwrap()), (1, 4));
        let Yaml::List(items) = &tree.get("b").unwrap().value else { panic!("{tree:?}") };
        assert_eq!(at(&items[0]), (3, 5));
        assert_eq!(at(items[0].get("c").unwrap()), (3, 9));
        assert_eq!((tree.entries()[1].1.line, tree.entries()[1].1.column), (2, 1));
        assert_eq!(tree.entries()[1].1.file, "s.yaml");
    }

    #[test]
    fn plain_scalars_keep_their_text() {
        let tree = node("a: no\nb: 0755\nc: 1.50\nd: on\ne: 'no'\nf: 20\ng: true\nh: 1_000\ni: 0x10 # sixteen\n");
        let text = |key| tree.get(key).unwrap().text().unwrap().to_owned();
        for (key, want) in [
            ("a", "no"),
            ("b", "0755"),
            ("c", "1.50"),
            ("d", "on"),
            ("e", "no"),
            ("f", "20"),
            ("g", "true"),
            ("h", "1_000"),
            ("i", "0x10"),
        ] {
            assert_eq!(text(key), want, "{key}");
        }
        assert_eq!(tree.get("f").unwrap().value, Yaml::Int(20));
        assert_eq!(tree.get("c").unwrap().value, Yaml::Float(1.5));
        assert_eq!(tree.get("i").unwrap().value, Yaml::Int(16));
    }

    #[test]
    fn tagged_and_anchored_scalars_keep_their_text_too() {
        let tree = node("a: &x 1.50\nb: *x\nc: !!int 7\nd: !!str 8\n");
        let text = |key| tree.get(key).unwrap().text().map(str::to_owned);
        assert_eq!(text("a").as_deref(), Some("1.50"));
        assert_eq!(text("b").as_deref(), Some("1.50"));
        assert_eq!(text("c").as_deref(), Some("7"));
        assert_eq!(text("d").as_deref(), Some("8"));
    }

    #[test]
    fn anchors_and_merges_are_resolved_where_they_are_defined() {
        let tree = node("base: &b {within: 60s, every: 1s}\nx:\n  <<: *b\n  every: 2s\ny: *b\n");
        let x = tree.get("x").unwrap();
        assert_eq!(x.get("within").unwrap().text(), Some("60s"));
        assert_eq!(x.get("every").unwrap().text(), Some("2s"));
        assert_eq!(x.entries().len(), 2);
        assert_eq!(x.get("within").unwrap().at.line, 1);
        assert_eq!(tree.get("y").unwrap().get("within").unwrap().at.line, 1);
    }

    #[test]
    fn duplicate_keys_are_all_reported() {
        assert_eq!(problems("a: 1\nb: {c: 1, c: 2}\na: 3\n"), ["2:11 duplicate key `c`", "3:1 duplicate key `a`"]);
    }

    #[test]
    fn byte_order_mark_and_crlf_are_accepted() {
        let tree = node("\u{feff}a: no\r\nb: 2\r\n");
        assert_eq!(tree.get("a").unwrap().text(), Some("no"));
        assert_eq!(tree.get("b").unwrap().at.line, 2);
        assert_eq!(tree.get("b").unwrap().text(), Some("2"));
    }

    #[test]
    fn what_is_no_yaml_is_one_problem_with_its_place() {
        for (text, line) in [("a: [1, 2\nb: 3\n", 2), ("a: {b: 1\n", 1), ("a: *nobody\n", 1), ("a: 1\n---\nb: 2\n", 3)]
        {
            let problems = read(text, "s.yaml").unwrap_err();
            assert_eq!(problems.len(), 1, "{text}");
            assert_eq!(problems[0].at.line, line, "{text}: {problems:?}");
            assert!(!problems[0].message.contains("line "), "{problems:?}");
        }
    }

    #[test]
    fn an_alias_bomb_is_refused_quickly() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..10 {
            let prev = format!("*a{}", i - 1);
            bomb.push_str(&format!("a{i}: &a{i} [{}]\n", vec![prev; 10].join(", ")));
        }
        assert_eq!(read(&bomb, "s.yaml").unwrap_err().len(), 1);
        let deep = format!("a: {}{}", "[".repeat(500), "]".repeat(500));
        assert_eq!(read(&deep, "s.yaml").unwrap_err().len(), 1);
    }

    #[test]
    fn an_empty_file_is_nothing() {
        assert!(node("").is_null());
        assert!(node("# only a comment\n").is_null());
        assert_eq!(node("").at.line, 1);
    }
}

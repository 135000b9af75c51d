//! YAML as compose files have it: read whole, with a place on every node, forgiving what the compose tool forgives.
//!
//! It stands on the events of the parser under serde-saphyr and not on serde, because what decides here is lost there: the
//! text of a plain scalar (`22:22`, `0755`), whether it was quoted, and keys that are written twice. Scalars are typed
//! as YAML 1.1 has them, which is what compose 1.29 reads.

mod scalar;

use std::collections::BTreeMap;

use granit_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::{Map, Value};

pub use scalar::base60;
use scalar::{is_null, is_true, typed};

/// More nodes than any compose file has; stops alias bombs.
const MAX_NODES: usize = 50_000;
const MAX_DEPTH: usize = 60;

/// Line and column, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    pub line: u32,
    pub column: u32,
}

#[derive(Clone, Debug)]
pub struct Node {
    pub at: Mark,
    pub kind: Kind,
}

#[derive(Clone, Debug)]
pub enum Kind {
    /// The text after escapes; `plain` if it was not quoted, so that its type is inferred.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    /// In the file's order, merges applied, each name once: the last one wins.
    Map(Vec<(Key, Node)>),
}

#[derive(Clone, Debug)]
pub struct Key {
    pub name: String,
    pub at: Mark,
}

#[derive(Clone, Debug)]
pub struct Tree {
    pub root: Node,
    /// Keys that stand twice in one map: the name, and where it stands again.
    pub duplicates: Vec<(String, Mark)>,
}

/// The text is not YAML, or more than we read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeError {
    pub at: Mark,
    pub message: String,
}

/// Reads one document.
pub fn read(text: &str) -> Result<Tree, TreeError> {
    // As PyYAML, which the tool reads with.
    let options = granit_parser::options! {
        bom_inside_document_as_content: true,
        block_scalar_eof_without_line_feed: true,
    };
    let parser = Parser::new_from_str_with_options(text, options);
    let mut reader = Reader { parser, anchors: BTreeMap::new(), duplicates: Vec::new(), nodes: 0 };
    let mut root = None;
    loop {
        let (event, span) = reader.next()?;
        match event {
            Event::StreamEnd => break,
            Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
            event if root.is_none() => root = Some(reader.node(event, span, 0)?),
            _ => return Err(error(span, "a second document (`---`): a compose file is one document")),
        }
    }
    let root = root.unwrap_or_else(|| Node::null(Mark { line: 1, column: 1 }));
    Ok(Tree { root, duplicates: reader.duplicates })
}

struct Reader<'a> {
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    anchors: BTreeMap<usize, Node>,
    duplicates: Vec<(String, Mark)>,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), TreeError> {
        match self.parser.next_event() {
            Some(Ok(pair)) => Ok(pair),
            Some(Err(e)) => {
                let at = mark_of(e.marker().line(), e.marker().col());
                Err(TreeError { at, message: e.info() })
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, TreeError> {
        self.count(1, span)?;
        if depth > MAX_DEPTH {
            return Err(error(span, "nested too deeply"));
        }
        let at = mark(span);
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let forced = tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("str"));
                let plain = style == ScalarStyle::Plain && !forced;
                (Node { at, kind: Kind::Scalar { text: text.into_owned(), plain } }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break,
                        (event, span) => items.push(self.node(event, span, depth + 1)?),
                    }
                }
                (Node { at, kind: Kind::List(items) }, anchor)
            }
            Event::MappingStart(_, anchor, _) => (Node { at, kind: Kind::Map(self.map(depth)?) }, anchor),
            Event::Alias(id) => {
                let node =
                    self.anchors.get(&id).cloned().ok_or_else(|| error(span, "an alias inside its own anchor"))?;
                self.count(node.size(), span)?;
                (node, 0)
            }
            _ => return Err(error(span, "unexpected end")),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn map(&mut self, depth: usize) -> Result<Vec<(Key, Node)>, TreeError> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut merged = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let key = self.node(event, span, depth + 1)?;
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            let at = key.at;
            match key.kind {
                Kind::Scalar { text, plain: true } if text == "<<" => merged.push(value),
                Kind::Scalar { text, .. } => {
                    let found = entries.iter().position(|(known, _)| known.name == text);
                    let entry = (Key { name: text, at }, value);
                    match found {
                        Some(i) => {
                            self.duplicates.push((entry.0.name.clone(), at));
                            entries[i] = entry;
                        }
                        None => entries.push(entry),
                    }
                }
                _ => return Err(TreeError { at, message: "a list or a map as a key".to_owned() }),
            }
        }
        // What is written out wins over what is merged in; of several merged, the first.
        for source in merged {
            let sources = match source.kind {
                Kind::List(items) => items,
                _ => vec![source],
            };
            for source in sources {
                let Kind::Map(more) = source.kind else {
                    return Err(TreeError { at: source.at, message: "`<<` wants a map".to_owned() });
                };
                for (key, value) in more {
                    if !entries.iter().any(|(known, _)| known.name == key.name) {
                        entries.push((key, value));
                    }
                }
            }
        }
        Ok(entries)
    }

    fn count(&mut self, more: usize, span: Span) -> Result<(), TreeError> {
        self.nodes += more;
        if self.nodes > MAX_NODES {
            return Err(error(span, "too many values (aliases that repeat each other?)"));
        }
        Ok(())
    }
}

fn mark(span: Span) -> Mark {
    mark_of(span.start.line(), span.start.col())
}

/// The parser's columns count from 0.
fn mark_of(line: usize, column: usize) -> Mark {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Mark { line: count(line.max(1)), column: count(column).saturating_add(1) }
}

fn error(span: Span, message: &str) -> TreeError {
    TreeError { at: mark(span), message: message.to_owned() }
}

impl Node {
    pub fn null(at: Mark) -> Self {
        Self { at, kind: Kind::Scalar { text: String::new(), plain: true } }
    }

    fn size(&self) -> usize {
        match &self.kind {
            Kind::Scalar { .. } => 1,
            Kind::List(items) => 1 + items.iter().map(Self::size).sum::<usize>(),
            Kind::Map(entries) => 1 + entries.iter().map(|(_, node)| 1 + node.size()).sum::<usize>(),
        }
    }

    pub fn get(&self, name: &str) -> Option<&Node> {
        self.entries().iter().find(|(key, _)| key.name == name).map(|(_, node)| node)
    }

    /// A path of keys: `deploy.resources.limits`.
    pub fn path(&self, names: &[&str]) -> Option<&Node> {
        names.iter().try_fold(self, |node, name| node.get(name))
    }

    /// The entries of a map; of anything else, none.
    pub fn entries(&self) -> &[(Key, Node)] {
        if let Kind::Map(entries) = &self.kind { entries } else { &[] }
    }

    /// The items of a list; of anything else, none.
    pub fn items(&self) -> &[Node] {
        if let Kind::List(items) = &self.kind { items } else { &[] }
    }

    pub fn is_map(&self) -> bool {
        matches!(self.kind, Kind::Map(_))
    }

    pub fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true } if is_null(text))
    }

    /// The text of a scalar, as written and without its quotes; none of null, lists and maps.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    /// A scalar as a truth value, also when it was quoted (the compose tool converts it).
    pub fn truth(&self) -> bool {
        self.text().is_some_and(|text| is_true(text) || text.eq_ignore_ascii_case("y"))
    }

    /// A list of texts, or a single one.
    pub fn texts(&self) -> Vec<&str> {
        match &self.kind {
            Kind::List(items) => items.iter().filter_map(Self::text).collect(),
            _ => self.text().into_iter().collect(),
        }
    }

    /// As JSON, scalars typed by YAML 1.1, but for numbers to the base 60 (`22:22`), which stay texts.
    pub fn to_json(&self) -> Value {
        match &self.kind {
            Kind::Scalar { text, plain: false } => Value::String(text.clone()),
            Kind::Scalar { text, plain: true } => typed(text),
            Kind::List(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Kind::Map(entries) => {
                let pairs = entries.iter().map(|(key, node)| (key.name.clone(), node.to_json()));
                Value::Object(pairs.collect::<Map<_, _>>())
            }
        }
    }
}

#[cfg(test)]
mod tests;

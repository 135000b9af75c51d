//! The positioned tree: YAML read whole, with a place on every node, before anything is decoded.

use crate::expect::Place;

/// A YAML value with its place.
#[derive(Clone, Debug)]
pub struct Node {
    pub at: Place,
    pub value: Yaml,
}

#[derive(Clone, Debug)]
pub enum Yaml {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// The text, and whether it was quoted.
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

/// Reads a map's keys one by one and collects every problem; keys that nobody asked for are problems at the end.
pub struct Decoder<'a> {
    node: &'a Node,
    problems: &'a mut Vec<Problem>,
    asked: Vec<&'static str>,
}

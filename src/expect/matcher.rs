//! Matchers: the closed set of comparisons that an expectation can ask for.

use serde_json::Value;

/// A comparison with one fact.
#[derive(Clone, Debug)]
pub enum Matcher {
    Equal(Value),
    Gt(f64),
    Ge(f64),
    Lt(f64),
    Le(f64),
    /// A text has this piece, or a list this element.
    Contains(Value),
    Matches(regex::Regex),
    OneOf(Vec<Value>),
    HaveLen(u64),
    Not(Box<Matcher>),
    /// All of them: `{ge: 1, lt: 5}`.
    All(Vec<Matcher>),
}

impl Matcher {
    pub fn holds(&self, value: &Value) -> bool {
        let number = || value.as_f64();
        match self {
            Self::Equal(want) => same(want, value),
            Self::Gt(n) => number().is_some_and(|v| v > *n),
            Self::Ge(n) => number().is_some_and(|v| v >= *n),
            Self::Lt(n) => number().is_some_and(|v| v < *n),
            Self::Le(n) => number().is_some_and(|v| v <= *n),
            Self::Contains(piece) => match value {
                Value::Array(items) => items.iter().any(|item| same(item, piece)),
                Value::String(text) => piece.as_str().is_some_and(|piece| text.contains(piece)),
                _ => false,
            },
            Self::Matches(re) => value.as_str().is_some_and(|text| re.is_match(text)),
            Self::OneOf(values) => values.iter().any(|want| same(want, value)),
            Self::HaveLen(n) => match value {
                Value::Array(items) => items.len() as u64 == *n,
                Value::String(text) => text.chars().count() as u64 == *n,
                _ => false,
            },
            Self::Not(inner) => !inner.holds(value),
            Self::All(all) => all.iter().all(|m| m.holds(value)),
        }
    }

    /// Bounds of a time, for what takes `by` times as long; to the millisecond.
    #[must_use]
    pub fn scaled(&self, by: f64) -> Self {
        let times = |n: f64| (n * by * 1000.0).round() / 1000.0;
        match self {
            Self::Gt(n) => Self::Gt(times(*n)),
            Self::Ge(n) => Self::Ge(times(*n)),
            Self::Lt(n) => Self::Lt(times(*n)),
            Self::Le(n) => Self::Le(times(*n)),
            Self::Not(inner) => Self::Not(Box::new(inner.scaled(by))),
            Self::All(all) => Self::All(all.iter().map(|inner| inner.scaled(by)).collect()),
            Self::Equal(_) | Self::Contains(_) | Self::Matches(_) | Self::OneOf(_) | Self::HaveLen(_) => self.clone(),
        }
    }

    /// As a person reads it: `≥ 6291456`, `contains "x"`.
    pub fn describe(&self) -> String {
        match self {
            Self::Equal(v) => show(v),
            Self::Gt(n) => format!("> {n}"),
            Self::Ge(n) => format!("≥ {n}"),
            Self::Lt(n) => format!("< {n}"),
            Self::Le(n) => format!("≤ {n}"),
            Self::Contains(v) => format!("contains {}", show(v)),
            Self::Matches(re) => format!("matches /{re}/"),
            Self::OneOf(values) => format!("one of {}", values.iter().map(show).collect::<Vec<_>>().join(", ")),
            Self::HaveLen(n) => format!("length {n}"),
            Self::Not(inner) => format!("not ({})", inner.describe()),
            Self::All(all) => all.iter().map(Self::describe).collect::<Vec<_>>().join(" and "),
        }
    }
}

/// 200 and 200.0 are the same number.
fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => (a - b).abs() < f64::EPSILON,
        _ => a == b,
    }
}

/// A value as a person reads it: texts without quotes, an empty list as `none`.
pub fn show(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => items.iter().map(show).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

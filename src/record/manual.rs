//! What people judge, as a record holds it: a criterion, its levels, and the mark that it was given, if it was.

use serde::{Deserialize, Serialize};

use crate::expect::Place;
use crate::scenario::{ManualSpec, ScaleSpec};
use crate::text::Text;

/// A criterion that a person judges. Without a mark it is pending: neither lost nor undecided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManualRecord {
    pub id: String,
    pub title: Text,
    /// In 1/1000.
    pub points: u64,
    /// Where the scenario asks for it.
    pub at: Place,
    /// Who sees it: `student`, `after_due`, `teacher`.
    pub visibility: String,
    pub levels: Vec<LevelRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<Mark>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelRecord {
    pub name: String,
    /// What people call it.
    pub title: Text,
    /// In 1/1000.
    pub points: u64,
}

/// What a person gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The level's name.
    pub level: String,
    /// What it is worth, in 1/1000.
    pub points: u64,
    /// What the person says to whoever handed it in; whoever sees the criterion sees it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
}

/// What a mark is given on, in 1/1000: `min` for no points at all, `max` for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scale {
    pub min: u64,
    pub max: u64,
    /// The least mark that passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass: Option<u64>,
}

impl ManualRecord {
    /// The criterion as the scenario asks for it, pending.
    pub fn of(spec: &ManualSpec) -> Self {
        let level = |level: &crate::scenario::LevelSpec| LevelRecord {
            name: level.name.clone(),
            title: level.title.clone().unwrap_or_else(|| Text::same(&level.name)),
            points: level.points,
        };
        Self {
            id: spec.id.clone(),
            title: spec.title.clone(),
            points: spec.points,
            at: spec.at.clone(),
            visibility: spec.visibility.name().to_owned(),
            levels: spec.levels.iter().map(level).collect(),
            mark: None,
        }
    }

    /// The level that was given.
    pub fn level(&self) -> Option<&LevelRecord> {
        let mark = self.mark.as_ref()?;
        self.levels.iter().find(|level| level.name == mark.level)
    }
}

impl From<ScaleSpec> for Scale {
    fn from(spec: ScaleSpec) -> Self {
        Self { min: spec.min, max: spec.max, pass: spec.pass }
    }
}

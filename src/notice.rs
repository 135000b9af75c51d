//! Notices: what is found about a submission outside any check, for people.

use serde::{Deserialize, Serialize};

use crate::expect::Place;
use crate::text::Text;

/// Something found about the submission without a check: a policy hit, a duplicate key, a missing file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// `policy.privileged`, `compose.duplicate_key`, `submission.no_compose`.
    pub id: String,
    pub level: Level,
    pub text: Text,
    /// Where in the submission.
    pub at: Option<Place>,
    /// The service concerned, if one.
    pub service: Option<String>,
}

impl Notice {
    /// Of no place in the submission and no service.
    pub fn new(id: impl Into<String>, level: Level, text: Text) -> Self {
        Self { id: id.into(), level, text, at: None, service: None }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Info,
    Warning,
    /// It cannot be graded further, or a part is left out, because of this.
    Problem,
}

/// Why something could not be told: whose limits they were. The reason of every `error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A stand-in is another version than was asked for.
    StandIn,
    /// An image that nobody here has.
    Image,
    /// The delivery is old, and its dependencies moved on.
    Age,
    /// Two candidates for a role.
    Ambiguous,
    /// This needs something that this run does not have (nodes, a newer engine).
    NotHere,
    /// What was handed in works and holds nothing that would prove it: no row to show, no table to write to.
    Unproven,
    /// What a drill starts from did not hold when it began: an earlier one left it so.
    Unsteady,
    /// The host: full disk, engine gone, no network.
    Host,
    /// imparcial itself.
    Imparcial,
    /// Somebody stopped the run.
    Interrupted,
}

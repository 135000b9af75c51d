//! The one scoring function: a record in, points out, in integers of 1/1000.

use serde::Serialize;

/// A run's points. Earned, lost and undecided add up to `points`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Grade {
    pub points: u64,
    pub earned: u64,
    pub lost: u64,
    pub undecided: u64,
    /// Nothing is undecided and the run was not interrupted.
    pub is_final: bool,
}

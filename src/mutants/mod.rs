//! Mutants: a model answer changed in one known way, with what must come of it.
//!
//! They measure the grader: a *wrong fail* is a verdict that costs points it should not, a *wrong pass* is a fault that went
//! unseen. A manifest is decoded strictly; its edits must match exactly once, so that a mutant cannot rot silently.

mod apply;
mod compare;
mod manifest;
mod run;
mod table;

pub use apply::{ApplyError, apply};
pub use compare::{Difference, Outcome, compare};
pub use manifest::{Add, Append, Edit, Encode, Expect, Mutant, Rename, load, load_all};
pub use run::run;
pub use table::{Row, Summary, render};

//! Faults: each breaks one thing on purpose and knows how that is undone.
//!
//! Adding a fault: one file with its `FAULT`, a `mod` line and a row in [`FAULTS`]. What undoes it is data ([`Undo`]): it is
//! written down before anything is touched, so that another process can do it.

pub mod log;
pub mod target;
pub mod undo;

use std::sync::Arc;

use async_trait::async_trait;

use crate::notice::Reason;
use crate::scenario::tree::Decoder;
use crate::stack::Stack;
use crate::text::Text;

pub use target::{Target, Victim};
pub use undo::{At, Proof, Undo};

/// Every fault, in the order of the documentation.
pub static FAULTS: &[&FaultKind] = &[];

pub fn kind(name: &str) -> Option<&'static FaultKind> {
    FAULTS.iter().copied().find(|k| k.name == name)
}

/// A row of the table: all that the rest of the program knows of a fault.
pub struct FaultKind {
    pub name: &'static str,
    pub summary: &'static str,
    /// As it stands in a drill: `{kill: {role: app}}`.
    pub example: &'static str,
    /// JSON Schema of its parameters.
    pub schema: fn() -> serde_json::Value,
    /// Reads its parameters; problems go to the decoder, with their places.
    pub decode: fn(&mut Decoder<'_>) -> Option<Box<dyn Fault>>,
}

/// Where a run's stack is, as far as faults depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// A lab with container nodes.
    Lab,
    /// This machine's own engine.
    Host,
    /// The same, with a stack that somebody else brought up.
    Attached,
}

/// It could not be made, or not be undone: never the submission's fault.
#[derive(Debug, thiserror::Error)]
#[error("{}", text.en)]
pub struct FaultError {
    pub reason: Reason,
    pub text: Text,
}

/// Who is hit, or why there is nobody: the submission's doing.
pub enum Aim {
    At(Vec<Victim>),
    Nobody(Text),
}

/// Breaks one thing and puts it back.
#[async_trait]
pub trait Fault: Send + Sync {
    fn target(&self) -> &Target;

    /// Why it cannot be done there, as far as that is known before anything starts.
    fn cannot(&self, _ground: Ground) -> Option<Text> {
        None
    }

    /// What undoes it, for these victims: worked out and written down before anything is touched. Empty where there is nothing
    /// to undo: what was hit comes back by itself or not at all.
    async fn inverse(&self, stack: &Arc<Stack>, victims: &[Victim]) -> Result<Vec<Undo>, FaultError>;

    /// Breaks it, and returns when it is broken. Called at most once.
    async fn inject(&self, stack: &Arc<Stack>, victims: &[Victim]) -> Result<(), FaultError>;
}

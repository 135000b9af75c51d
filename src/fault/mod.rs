//! Faults: each breaks one thing on purpose and knows how that is undone.
//!
//! Adding a fault: one file with its `FAULT`, a `mod` line and a row in [`FAULTS`]. What undoes it is data ([`Undo`]): it is
//! written down before anything is touched, so that another process can do it.

pub mod clock_skew;
pub mod crash;
pub mod detach;
pub mod error;
pub mod exhaust;
pub mod fill;
mod guest;
pub mod isolate;
pub mod kill;
pub mod kill_brick;
pub mod left;
pub mod log;
mod machine;
mod netns;
pub mod partition;
pub mod pause;
pub mod reboot;
pub mod remove;
pub mod service;
pub mod shutdown;
pub mod stop;
pub mod target;
pub mod undo;

use std::sync::Arc;
use std::time::Duration;

use crate::scenario::tree::Decoder;
use crate::stack::Stack;
use crate::text::Text;
use async_trait::async_trait;

pub use crate::stack::Ground;
pub use error::FaultError;
pub use log::HealLog;
pub(crate) use machine::{is_off, machines};
pub use target::{Target, Victim};
pub use undo::{At, Proof, Undo, heal, shells};

/// Every fault, in the order of the documentation.
pub static FAULTS: &[&FaultKind] = &[
    &kill::FAULT,
    &stop::FAULT,
    &pause::FAULT,
    &remove::FAULT,
    &exhaust::FAULT,
    &crash::FAULT,
    &shutdown::FAULT,
    &reboot::FAULT,
    &isolate::FAULT,
    &partition::FAULT,
    &fill::FAULT,
    &detach::FAULT,
    &clock_skew::FAULT,
    &kill_brick::FAULT,
];

/// How long an engine or a kernel may take to answer.
const ASKED: Duration = Duration::from_secs(20);

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

/// Who is hit, or why there is nobody: the submission's doing.
#[derive(Debug)]
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

    /// Breaks it, and returns when it is broken, with what is to be known of it besides. Called at most once. One that was begun
    /// is waited for before it is undone: an engine goes on with what it was asked for.
    async fn inject(&self, stack: &Arc<Stack>, victims: &[Victim]) -> Result<Vec<Text>, FaultError>;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::scenario::tree;

    #[test]
    fn every_fault_has_its_own_name_an_example_that_is_read_and_a_schema_that_fits_it() {
        let mut names = BTreeSet::new();
        for fault in FAULTS {
            assert!(names.insert(fault.name) && kind(fault.name).is_some(), "{}", fault.name);
            let example = tree::read(fault.example, "s.yaml").unwrap();
            let [(name, _, params)] = example.entries() else { panic!("{}", fault.example) };
            assert_eq!(name, fault.name);
            let mut problems = Vec::new();
            let mut d = Decoder::new(params, &mut problems);
            let decoded = (fault.decode)(&mut d);
            d.finish();
            assert!(problems.is_empty() && decoded.is_some(), "{}: {problems:?}", fault.example);
            let schema = (fault.schema)();
            for (key, _, _) in params.entries() {
                assert!(schema["properties"].get(key).is_some(), "{}: {key}", fault.example);
            }
        }
        assert!(kind("explode").is_none());
    }
}

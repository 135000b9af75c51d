//! The callers' side: one agent for each place stays up for the run.

/// The agents of a run, started where and when they are first needed.
#[derive(Clone, Default)]
pub struct Agents {}

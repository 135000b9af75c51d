//! Scenario and submission resolved against each other. Pure; starts nothing.

use std::sync::Arc;
use std::time::Duration;

use crate::expect::Expectation;
use crate::probe::{Probe, ProbeKind};
use crate::scenario::{CheckSpec, Scenario};
use crate::submission::Submission;

/// What will run, in which order, with nothing left open.
pub struct Plan {
    pub scenario: Arc<Scenario>,
    pub submission: Arc<Submission>,
    /// In the scenario's order, which is the report's.
    pub checks: Vec<PlannedCheck>,
    pub options: Options,
}

/// What the caller decides, not the scenario.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `--role app=web`.
    pub roles: Vec<(String, String)>,
    /// `--patience`: caps every check's `within`.
    pub patience: Option<Duration>,
    /// `--only`: ids of checks to run, with what they need; empty is all.
    pub only: Vec<String>,
    /// `--images`.
    pub images: Images,
    pub keep: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Images {
    #[default]
    Auto,
    Pull,
    StandIn,
}

pub struct PlannedCheck {
    pub spec: CheckSpec,
    pub kind: &'static ProbeKind,
    pub probe: Box<dyn Probe>,
    pub expect: Vec<Expectation>,
}

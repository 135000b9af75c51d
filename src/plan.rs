//! Scenario and submission resolved against each other. Pure; starts nothing.

mod links;
mod names;
mod time;

use std::sync::Arc;
use std::time::Duration;

use crate::backend::vagrant::Provider;
use crate::backend::vagrant::boxes::Asking;
use crate::expect::{self, Expectation};
use crate::fault::Ground;
use crate::lab::projects::Project;
use crate::nearest;
use crate::probe::{Phase, Probe, ProbeKind, settled_last};
use crate::scenario::{self, CheckSpec, Decoder, Problem, Read, Scenario};
use crate::submission::Submission;

/// What will run, in which order, with nothing left open.
pub struct Plan {
    pub scenario: Arc<Scenario>,
    pub submission: Arc<Submission>,
    /// In the scenario's order, which is the report's; with `--only`, those asked for and what they hang on.
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
    /// `--layers`: only checks of these layers; empty is all.
    pub layers: Vec<String>,
    /// `--images`.
    pub images: Images,
    pub keep: bool,
    /// `--place`, `--attach`.
    pub place: Place,
    /// `--provider`: what machines are made of.
    pub provider: Provider,
    /// `--machine-memory-cap`: what a virtual machine in a lab is given at most, in bytes.
    pub machine_memory_cap: Option<u64>,
    /// `--boxes`: what virtual machines in a lab are made of.
    pub boxes: Asking,
    /// `--fresh`: virtual machines are brought up and provisioned although there is a snapshot of them, and none is made.
    pub fresh: bool,
    /// `--seed`: what random choices of drills are made from; another one each time where it is not said.
    pub seed: Option<u64>,
}

/// Where the stack is brought up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Place {
    #[default]
    Lab,
    /// This machine's own engine: nothing contains what runs there.
    Host,
    /// Nowhere: it is up already, on this machine's own engine.
    Attached(Attached),
}

impl Place {
    /// As records name it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Lab => "lab",
            Self::Host => "host",
            Self::Attached(_) => "attached",
        }
    }
}

/// A stack that is up already: it is looked at, and stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    pub project: Project,
    /// `--allow-exercises`: checks that write into it or start services of it anew are run all the same.
    pub exercises: bool,
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

impl Plan {
    /// The scenario's layers of which anything may be asked.
    pub fn layers(&self) -> Vec<&str> {
        let wanted = |layer: &&str| self.options.layers.is_empty() || self.options.layers.iter().any(|l| l == layer);
        self.scenario.layers.iter().map(String::as_str).filter(wanted).collect()
    }

    /// Whether anything is asked of a layer.
    pub fn wants(&self, layer: &str) -> bool {
        self.checks.iter().any(|check| check.probe.layer() == layer || check.probe.also().contains(&layer))
    }

    /// Where the stack is brought up, as far as faults depend on it.
    pub fn ground(&self) -> Ground {
        match self.options.place {
            Place::Lab if self.options.provider == Provider::Libvirt => Ground::Guests,
            Place::Lab => Ground::Lab,
            Place::Host => Ground::Host,
            Place::Attached(_) => Ground::Attached,
        }
    }

    /// The index of a check by its id.
    pub fn index(&self, id: &str) -> Option<usize> {
        self.checks.iter().position(|check| check.spec.id == id)
    }

    /// The checks that a check needs (hard), by index.
    pub fn needs(&self, check: usize) -> Vec<usize> {
        self.checks[check].spec.needs.iter().filter_map(|(id, _)| self.index(id)).collect()
    }

    /// The checks that explain a check's failure (soft), by index.
    pub fn explained_by(&self, check: usize) -> Vec<usize> {
        self.checks[check].spec.explained_by.iter().filter_map(|(id, _)| self.index(id)).collect()
    }

    /// Every check after those that it hangs on, otherwise in the scenario's order.
    pub fn order(&self) -> Vec<usize> {
        links::order(&self.checks.iter().map(|check| &check.spec).collect::<Vec<_>>())
    }
}

pub use names::roles_named;
pub use time::{Longest, phases};

/// Names of the kinds of a table, for reading a scenario.
pub fn names(kinds: &[&'static ProbeKind]) -> Vec<&'static str> {
    kinds.iter().map(|kind| kind.name).collect()
}

/// A scenario as read and a submission made a plan; the problems of reading and of planning together, in the file's order.
pub fn resolve(
    read: Read,
    submission: Submission,
    options: Options,
    kinds: &'static [&'static ProbeKind],
) -> Result<Plan, Vec<Problem>> {
    let mut problems = read.problems;
    let planned = read.scenario.map(|scenario| plan(scenario, submission, options, kinds));
    match planned {
        Some(Ok(plan)) if problems.is_empty() => return Ok(plan),
        Some(Err(more)) => problems.extend(more),
        _ => {}
    }
    Err(scenario::sorted(problems))
}

/// Resolves a scenario and a submission against each other, or gives every problem at once.
pub fn plan(
    scenario: Scenario,
    submission: Submission,
    options: Options,
    kinds: &'static [&'static ProbeKind],
) -> Result<Plan, Vec<Problem>> {
    let mut problems = Vec::new();
    let roles: Vec<&str> = scenario.roles.iter().map(|role| role.name.as_str()).collect();
    let mut checks: Vec<PlannedCheck> =
        scenario.checks.iter().filter_map(|spec| check(spec, kinds, &roles, &mut problems)).collect();
    links::check(&scenario.checks, &mut problems);
    names::options(&options, &scenario, &submission, &mut problems);
    if !problems.is_empty() {
        return Err(scenario::sorted(problems));
    }
    if let Some(patience) = options.patience {
        for check in &mut checks {
            check.spec.eventually.within = check.spec.eventually.within.min(patience);
        }
    }
    if !options.only.is_empty() {
        let wanted = links::closure(&scenario.checks, &options.only);
        checks.retain(|check| wanted.contains(&check.spec.id));
    }
    if !options.layers.is_empty() {
        let wanted = |layer: &str| options.layers.iter().any(|name| name == layer);
        checks.retain(|check| wanted(check.probe.layer()) && check.probe.also().into_iter().all(wanted));
    }
    if checks.is_empty() && !options.only.is_empty() && !options.layers.is_empty() {
        let message = "no check of `--only` is of these `--layers`";
        return Err(vec![Problem::new(&expect::Place::default(), message).hint("leave one of them out")]);
    }
    Ok(Plan { scenario: Arc::new(scenario), submission: Arc::new(submission), checks, options })
}

/// One check by its kind's row: its parameters, the roles that they name, its expectations.
fn check(
    spec: &CheckSpec,
    kinds: &'static [&'static ProbeKind],
    roles: &[&str],
    problems: &mut Vec<Problem>,
) -> Option<PlannedCheck> {
    // What kind it is, reading could not tell, and said so.
    if spec.kind.is_empty() {
        return None;
    }
    let Some(kind) = kinds.iter().copied().find(|kind| kind.name == spec.kind) else {
        let hint = nearest::hint(&spec.kind, kinds.iter().map(|kind| kind.name));
        problems.push(Problem::new(&spec.at, format!("unknown kind `{}`", spec.kind)).hint(hint));
        return None;
    };
    let before = problems.len();
    let mut decoder = Decoder::new(&spec.params, problems);
    let probe = (kind.decode)(&mut decoder);
    // A decode that gave up may not have asked for all of its keys.
    let known = if probe.is_some() { Vec::new() } else { names::of_schema(kind) };
    let named = decoder.finish_knowing(&known.iter().map(String::as_str).collect::<Vec<_>>());
    if probe.is_none() && problems.len() == before {
        problems.push(Problem::new(
            &spec.params.at,
            format!("the parameters of `{}` say nothing that can be looked at", kind.name),
        ));
    }
    names::roles(&named, roles, problems);
    names::templates(&spec.params, roles, problems);
    let expect = scenario::expectations::decode(&spec.expect, kind.name, kind.facts, problems);
    let probe = probe?;
    if spec.never.is_some() {
        watched(spec, &*probe, &expect, problems);
    }
    Some(PlannedCheck { spec: spec.clone(), kind, probe, expect })
}

/// `never` watches: what is done once, or settled when all is over, cannot be.
fn watched(spec: &CheckSpec, probe: &dyn Probe, expect: &[Expectation], problems: &mut Vec<Problem>) {
    if probe.phase() >= Phase::Exercise {
        let message = format!("`{}` writes and is made once: there is nothing to watch", spec.kind);
        problems.push(Problem::new(&spec.at, message).hint("leave `never` out, and expect the opposite"));
    }
    for expected in expect.iter().filter(|e| settled_last(e)) {
        let message = format!("`{}` is settled when all looking is over, and cannot be watched", expected.fact);
        problems.push(Problem::new(&expected.at, message).hint("leave `never` out, and expect the opposite"));
    }
}

#[cfg(test)]
mod tests;

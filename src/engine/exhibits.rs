//! What backs a check besides its own look: the logs of the services that it looks at, and what the compose tool said.

use std::collections::BTreeMap;

use crate::plan::{Plan, PlannedCheck};
use crate::probe::Phase;
use crate::record::{CheckRecord, RunFolder, RunRecord, Verdict, store};
use crate::stack::Stack;

/// What the compose tool printed while it brought the stack up.
const UP: &[&str] = &["compose-up.txt", "compose-up-without-health.txt", "compose-up-2.txt"];
/// What it made of the file as handed in.
const CONFIG: &[&str] = &["compose-config.txt", "compose-resolved.yml"];

/// Files about the stack in the run's folder: their paths, by the name that the backend gave them.
#[derive(Default)]
pub(super) struct Exhibits(BTreeMap<String, String>);

impl Exhibits {
    /// Keeps a file in the run's folder and names it in the record.
    pub(super) fn keep(&mut self, record: &mut RunRecord, folder: &RunFolder, name: &str, bytes: &[u8]) {
        match folder.evidence(store::STACK, name, bytes) {
            Ok(path) => {
                self.0.insert(name.to_owned(), path.clone());
                record.evidence.push(path);
            }
            Err(error) => record.errors.push(error.text()),
        }
    }

    /// Links each check to what concerns it, after its own evidence.
    pub(super) fn link(&self, plan: &Plan, stack: &Stack, checks: &mut [CheckRecord]) {
        for (planned, check) in plan.checks.iter().zip(checks) {
            // What never ran has nothing that backs it; its cause has.
            if check.verdict != Verdict::Skip {
                check.evidence.extend(self.of(planned, check.verdict, stack));
            }
        }
    }

    /// Best first: why an image is not there, what the service printed, what the engine says of it, how it came up.
    fn of(&self, check: &PlannedCheck, verdict: Verdict, stack: &Stack) -> Vec<String> {
        if check.probe.phase() == Phase::Static {
            return self.paths(CONFIG.iter().map(|name| (*name).to_owned()));
        }
        let mut services: Vec<String> = Vec::new();
        for role in check.probe.roles() {
            services.extend(stack.roles.get(&role).and_then(|binding| binding.service.clone()));
        }
        let by_engine = matches!(check.kind.name, "container" | "limits");
        let mut names = Vec::new();
        for service in &services {
            let left_out = stack.services.get(service).is_none_or(|s| s.left_out.is_some());
            names.extend(left_out.then(|| format!("image-{service}.txt")));
            names.push(format!("service-{service}.log"));
            names.extend(by_engine.then(|| format!("service-{service}.inspect.json")));
        }
        if verdict != Verdict::Pass || check.kind.name == "compose" {
            names.extend(UP.iter().map(|name| (*name).to_owned()));
        }
        let mut paths = self.paths(names.into_iter());
        // An app whose two roles are one service.
        let mut seen = std::collections::BTreeSet::new();
        paths.retain(|path| seen.insert(path.clone()));
        paths
    }

    fn paths(&self, names: impl Iterator<Item = String>) -> Vec<String> {
        names.filter_map(|name| self.0.get(&name).cloned()).collect()
    }
}

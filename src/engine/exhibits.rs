//! What backs a check besides its own look: the logs of the services that it looks at, and what the compose tool and Vagrant
//! said.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::{Plan, PlannedCheck};
use crate::probe::{MACHINES, Phase};
use crate::record::{CheckRecord, RunFolder, RunRecord, Verdict, store};
use crate::stack::Stack;

/// What the compose tool printed while it brought the stack up.
const UP: &[&str] = &["compose-up.txt", "compose-up-without-health.txt", "compose-up-2.txt"];
/// What it made of the file as handed in.
const CONFIG: &[&str] = &["compose-config.txt", "compose-resolved.yml"];
/// What Vagrant printed while it started the machines, and while it provisioned them.
const VAGRANT_UP: &str = "vagrant-up.txt";
const PROVISION: &str = "vagrant-provision.txt";

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

    fn of(&self, check: &PlannedCheck, verdict: Verdict, stack: &Stack) -> Vec<String> {
        if check.probe.layer() == MACHINES {
            return self.paths(of_machines(check.kind.name, check.probe.phase(), verdict));
        }
        let mut services = Vec::new();
        for role in check.probe.roles() {
            let service = stack.playing(&role);
            services.extend(service.map(|service| {
                let left_out = stack.services.get(service).is_none_or(|s| s.left_out.is_some());
                (service.to_owned(), left_out)
            }));
        }
        self.paths(names(check.kind.name, check.probe.phase(), verdict, &services))
    }

    /// Those that there are, each once: an app's two roles may be one service.
    fn paths(&self, names: Vec<String>) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let there = names.into_iter().filter_map(|name| self.0.get(&name).cloned());
        there.filter(|path| seen.insert(path.clone())).collect()
    }
}

/// The files that concern a check of a kind, by the backend's names, best first: why an image is not there, what the
/// service printed, what the engine says of it, how it came up. `services` are those that it looks at, and whether each
/// was left out.
fn names(kind: &str, phase: Phase, verdict: Verdict, services: &[(String, bool)]) -> Vec<String> {
    if phase == Phase::Static {
        return CONFIG.iter().map(|name| (*name).to_owned()).collect();
    }
    let by_engine = matches!(kind, "container" | "limits");
    let mut names = Vec::new();
    for (service, left_out) in services {
        names.extend(left_out.then(|| format!("image-{service}.txt")));
        names.push(format!("service-{service}.log"));
        names.extend(by_engine.then(|| format!("service-{service}.inspect.json")));
    }
    if verdict != Verdict::Pass || kind == "compose" {
        names.extend(UP.iter().map(|name| (*name).to_owned()));
    }
    names
}

/// The same for a check of machines. What a playbook makes hangs on the provisioning, what a Vagrantfile declares on the
/// start; a file that is read as it is has nothing more behind it.
fn of_machines(kind: &str, phase: Phase, verdict: Verdict) -> Vec<String> {
    let files: &[&str] = match (kind, phase) {
        (_, Phase::Static) => &[],
        ("ansible", _) => &[PROVISION],
        ("machine", _) => &[VAGRANT_UP],
        _ if verdict != Verdict::Pass => &[PROVISION, VAGRANT_UP],
        _ => &[],
    };
    files.iter().map(|name| (*name).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(names: &[&str]) -> Exhibits {
        Exhibits(names.iter().map(|name| ((*name).to_owned(), format!("evidence/stack/{name}"))).collect())
    }

    fn linked(kind: &str, phase: Phase, verdict: Verdict, services: &[(&str, bool)]) -> Vec<String> {
        let exhibits = kept(&[
            "compose-resolved.yml",
            "compose-up.txt",
            "image-app.txt",
            "service-app.log",
            "service-db.log",
            "service-db.inspect.json",
        ]);
        let services: Vec<_> = services.iter().map(|(name, out)| ((*name).to_owned(), *out)).collect();
        let paths = exhibits.paths(names(kind, phase, verdict, &services));
        paths.into_iter().map(|path| path.replace("evidence/stack/", "")).collect()
    }

    #[test]
    fn a_check_of_machines_names_what_vagrant_said_and_no_service() {
        use Verdict::{Fail, Pass};
        let exhibits = kept(&["compose-resolved.yml", "vagrant-up.txt", "vagrant-provision.txt"]);
        let linked = |kind, phase, verdict| exhibits.paths(of_machines(kind, phase, verdict)).join(" ");
        let (up, provision) = ("evidence/stack/vagrant-up.txt", "evidence/stack/vagrant-provision.txt");
        assert_eq!(linked("vagrantfile", Phase::Static, Fail), "");
        assert_eq!(linked("machine", Phase::Look, Pass), up);
        assert_eq!(linked("ansible", Phase::Look, Pass), provision);
        assert_eq!(linked("disk", Phase::Look, Pass), "");
        assert_eq!(linked("mount", Phase::Look, Fail), format!("{provision} {up}"));
    }

    #[test]
    fn a_check_names_what_it_looks_at_and_nothing_else() {
        use Verdict::{Fail, Pass};
        assert_eq!(linked("compose", Phase::Static, Fail, &[]), ["compose-resolved.yml"]);
        assert_eq!(linked("page", Phase::Look, Pass, &[("app", false)]), ["service-app.log"]);
        assert_eq!(
            linked("tcp", Phase::Look, Fail, &[("db", false), ("app", false), ("db", false)]),
            ["service-db.log", "service-app.log", "compose-up.txt"]
        );
        assert_eq!(
            linked("limits", Phase::Look, Pass, &[("db", false)]),
            ["service-db.log", "service-db.inspect.json"]
        );
        // Why it is not there comes first.
        assert_eq!(
            linked("container", Phase::Look, Fail, &[("app", true)]),
            ["image-app.txt", "service-app.log", "compose-up.txt"]
        );
    }
}

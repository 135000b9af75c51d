//! The places of machines: the definition of one that is not as it should be, the task that a provisioning broke at, the line
//! that Vagrant could not read.

use std::path::Path;

use super::{Asked, Scene};
use crate::record::CheckRecord;
use crate::stack::machines::{Machines, Task};
use crate::submission::machines::{Loaded, Vagrantfile};
use crate::submission::whereabouts::LookAt;

/// The facts of a disk that its machine's definition decides; whether it is formatted does the play.
const OF_DEFINITION: [&str; 4] = ["present", "declared", "size_bytes", "device"];

impl Scene<'_> {
    pub(super) fn of_machines(&self, asked: &Asked, check: &CheckRecord) -> Vec<LookAt> {
        let failed = || check.findings.iter().filter(|finding| !finding.holds);
        match asked.kind {
            "vagrantfile" => self.unreadable().into_iter().collect(),
            "ansible" => self.broken_task(),
            "disk" if !failed().any(|finding| OF_DEFINITION.contains(&finding.fact.as_str())) => Vec::new(),
            "machine" | "disk" => failed().filter_map(|finding| self.definition(&finding.subject)).collect(),
            _ => Vec::new(),
        }
    }

    fn file(&self) -> Option<&Vagrantfile> {
        self.vagrantfile
    }

    fn unreadable(&self) -> Option<LookAt> {
        let Loaded::Refused { text, at: Some(at) } = &self.file()?.loaded else { return None };
        self.view.at_vagrantfile(at, text.clone())
    }

    fn definition(&self, machine: &str) -> Option<LookAt> {
        let mut defined = self.file()?.machines().iter();
        self.view.at_machine(defined.find(|def| crate::sanitize::line(&def.name, 60) == machine)?)
    }

    /// The task that the sentence names: the one that broke it, or that had not ended.
    fn broken_task(&self) -> Vec<LookAt> {
        let below = self.file().and_then(|file| file.path.parent()).unwrap_or(Path::new(""));
        let task = named(self.machines);
        let place = task.and_then(|task| self.view.at_task(below, task.at.as_deref()?, &task.name));
        place.into_iter().collect()
    }
}

fn named(machines: &Machines) -> Option<&Task> {
    let done = machines.provisioned.as_ref()?;
    let said = &done.why.as_ref()?.text.en;
    let tasks = done.plays.iter().flat_map(|play| play.tasks.iter().chain(&play.unfinished));
    tasks.filter(|task| task.at.is_some()).find(|task| {
        let at = task.at.as_deref().unwrap_or_default();
        said.contains(&format!("({at})"))
    })
}

//! Places of machines: a line of the Vagrantfile, a machine's definition, a task of a playbook.

use std::path::Path;

use super::{LookAt, View};
use crate::expect::Place;
use crate::sanitize;
use crate::submission::machines::MachineDef;
use crate::text::Text;

impl View<'_> {
    /// A line of the Vagrantfile that Vagrant names.
    pub fn at_vagrantfile(self, at: &Place, what: Text) -> Option<LookAt> {
        self.told(at, what)
    }

    /// Where a machine is defined: in a loop, the line that is run for each.
    pub fn at_machine(self, machine: &MachineDef) -> Option<LookAt> {
        let name = sanitize::line(&machine.name, 60);
        let what = Text::new(format!("machine `{name}`"), format!("máquina `{name}`"));
        self.told(machine.at.as_ref()?, what)
    }

    /// A task by its place, `playbooks/site.yml:12`, from the submission's root or from the Vagrantfile's folder.
    pub fn at_task(self, below: &Path, at: &str, name: &str) -> Option<LookAt> {
        let (file, line) = at.rsplit_once(':')?;
        let line = line.parse().ok()?;
        let name = sanitize::line(name, 80);
        let what = Text::new(format!("task `{name}`"), format!("tarea `{name}`"));
        let place = |file: &Path| Place { file: file.display().to_string(), line, column: 1 };
        self.told(&place(&below.join(file)), what.clone()).or_else(|| self.told(&place(Path::new(file)), what))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Files;
    use super::*;

    const VAGRANTFILE: &str = "Vagrant.configure(\"2\") do |config|\n  config.vm.define \"a\"\nend\n";

    fn files() -> Files {
        Files::usual(&[("m/Vagrantfile", VAGRANTFILE), ("m/site.yml", "- hosts: all\n  tasks:\n    - command: x\n")])
    }

    fn shown(look: Option<LookAt>) -> Option<String> {
        look.map(|look| format!("{}:{}: {}", look.place.file, look.place.line, look.what.en))
    }

    #[test]
    fn a_machine_is_where_it_is_defined() {
        let files = files();
        let view = View::of(&files.submission);
        let at = |line| Some(Place { file: "m/Vagrantfile".to_owned(), line, column: 1 });
        let def = |line| MachineDef { name: "a".to_owned(), at: at(line), ..MachineDef::default() };
        assert_eq!(shown(view.at_machine(&def(2))).unwrap(), "m/Vagrantfile:2: machine `a`");
        assert_eq!(view.at_machine(&def(9)), None, "no such line");
        assert_eq!(view.at_machine(&MachineDef::default()), None);
    }

    #[test]
    fn a_task_is_found_from_the_root_or_from_the_vagrantfile() {
        let files = files();
        let view = View::of(&files.submission);
        for at in ["site.yml:3", "m/site.yml:3"] {
            let look = view.at_task(Path::new("m"), at, "x");
            assert_eq!(shown(look).unwrap(), "m/site.yml:3: task `x`");
        }
        for at in ["site.yml", "site.yml:x", "other.yml:1", "../site.yml:1"] {
            assert_eq!(view.at_task(Path::new("m"), at, "x"), None, "{at}");
        }
    }
}

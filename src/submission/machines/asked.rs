//! What a Vagrantfile asks for that is not taken over: blocks for other providers, a way into its machines, a machine twice. Said as
//! soon as it is read, and held against nobody.

use std::collections::{BTreeMap, BTreeSet};

use super::answer::Machine;
use crate::notice::{Level, Notice};
use crate::sanitize;
use crate::text::Text;

/// Characters of a list.
const LONGEST: usize = 200;

pub(super) fn notices(machines: &[Machine]) -> Vec<Notice> {
    [blocks(machines), way_in(machines)].into_iter().flatten().chain(machines.iter().filter_map(twice)).collect()
}

/// What a machine is to be stands in the block of the declared provider.
fn blocks(machines: &[Machine]) -> Option<Notice> {
    let mut all: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for block in machines.iter().flat_map(|machine| &machine.providers) {
        all.entry(&block.name).or_default().extend(block.settings.iter().map(String::as_str));
    }
    let named = all.iter().map(|(name, settings)| match settings.len() {
        0 => format!("`{name}`"),
        _ => format!("`{name}` ({})", settings.iter().copied().collect::<Vec<_>>().join(", ")),
    });
    let named = sanitize::line(&named.collect::<Vec<_>>().join(", "), LONGEST);
    notice(
        "machines.providers",
        !all.is_empty(),
        format!(
            "of the Vagrantfile's providers only VirtualBox counts; what it sets for others is not taken over: {named}"
        ),
        format!(
            "de los proveedores del Vagrantfile solo cuenta VirtualBox; lo que fija para otros no se toma: {named}"
        ),
    )
}

fn way_in(machines: &[Machine]) -> Option<Notice> {
    let all: BTreeSet<&str> = machines.iter().flat_map(|machine| &machine.way_in).map(String::as_str).collect();
    let named = sanitize::line(&all.iter().copied().collect::<Vec<_>>().join(", "), LONGEST);
    notice(
        "machines.way_in",
        !all.is_empty(),
        format!("in a lab Vagrant gets into machines in the lab's own way; the file's is not taken over: {named}"),
        format!(
            "en un laboratorio Vagrant entra en las máquinas a la manera de este; la del archivo no se toma: {named}"
        ),
    )
}

/// Vagrant makes one machine of all that has one name.
fn twice(machine: &Machine) -> Option<Notice> {
    let name = sanitize::line(&machine.name, 80);
    let times = machine.defined;
    notice(
        "machines.defined_twice",
        times > 1,
        format!("machine `{name}` is defined {times} times: Vagrant makes one machine of that"),
        format!("la máquina `{name}` se define {times} veces: Vagrant hace de eso una sola máquina"),
    )
}

fn notice(id: &str, is: bool, en: String, es: String) -> Option<Notice> {
    let text = Text::new(en, es);
    is.then(|| Notice::new(id, Level::Info, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::submission::machines::answer::Provider;

    #[test]
    fn what_is_not_taken_over_is_said_once() {
        let words = |all: &[&str]| all.iter().map(|&it| it.to_owned()).collect::<Vec<_>>();
        let block = |name: &str, settings: &[&str]| Provider { name: name.into(), settings: words(settings) };
        let one = Machine {
            name: "a".into(),
            defined: 2,
            way_in: words(&["ssh.port"]),
            providers: vec![block("libvirt", &["uri", "memory"]), block("vmware_desktop", &[])],
            ..Machine::default()
        };
        let other = Machine { defined: 1, providers: vec![block("libvirt", &["driver"])], ..Machine::default() };
        let said: Vec<(String, String)> =
            notices(&[one, other, Machine::default()]).into_iter().map(|it| (it.id, it.text.en)).collect();
        let ids: Vec<&str> = said.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(ids, ["machines.providers", "machines.way_in", "machines.defined_twice"]);
        assert!(said[0].1.ends_with(": `libvirt` (driver, memory, uri), `vmware_desktop`"), "{said:?}");
        assert!(said[1].1.ends_with(": ssh.port") && said[2].1.contains("`a` is defined 2 times"), "{said:?}");
        assert_eq!(notices(&[Machine::default()]).len(), 0);
    }
}

//! What is wrong, or worth knowing, with machines that load: seen before anything starts.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::boxes::{self, Served};
use super::{DiskDef, MachineDef};
use crate::notice::{Level, Notice};
use crate::sanitize;
use crate::text::Text;

/// A disk that is larger is said to be made sparse.
const LARGE: u64 = 1 << 40;

/// Every notice, in the order of the machines.
pub fn of(machines: &[MachineDef]) -> Vec<Notice> {
    let mut all = Vec::new();
    for machine in machines {
        of_machine(machine, &mut all);
    }
    twice(
        machines,
        |m| m.addresses.iter().map(|a| a.trim().to_owned()).collect(),
        &mut all,
        "machines.address_twice",
        |a| Text::new(format!("have the same address {a}"), format!("tienen la misma dirección {a}")),
    );
    twice(
        machines,
        |m| m.vb_name.iter().cloned().collect(),
        &mut all,
        "machines.name_twice",
        |name| {
            Text::new(
                format!("have the same name in VirtualBox, `{name}`: it makes only the first"),
                format!("tienen el mismo nombre en VirtualBox, `{name}`: solo crea la primera"),
            )
        },
    );
    twice(
        machines,
        |m| m.hostname.iter().map(|name| name.to_lowercase()).collect(),
        &mut all,
        "machines.hostname_twice",
        |name| {
            Text::new(format!("have the same host name, `{name}`"), format!("tienen el mismo nombre de host, `{name}`"))
        },
    );
    all
}

/// Playbooks that a provisioner names and that were not handed in.
pub fn playbooks(machines: &[MachineDef], is_there: impl Fn(&str) -> bool) -> Vec<Notice> {
    let mut all: Vec<Notice> = Vec::new();
    for machine in machines {
        for playbook in machine.provisioners.iter().filter_map(|it| it.playbook.as_deref()) {
            // Where it is in a machine, or beside the submission, nobody knows from here.
            if playbook.starts_with('/') || playbook.starts_with("..") || is_there(playbook) {
                continue;
            }
            let shown = sanitize::line(playbook, 100);
            let text = Text::new(
                format!("the playbook `{shown}`, which Ansible is to run, is not in what was handed in"),
                format!("el playbook `{shown}`, que Ansible debe ejecutar, no está en lo entregado"),
            );
            if !all.iter().any(|known| known.text == text) {
                all.push(Notice {
                    id: "machines.no_playbook".to_owned(),
                    level: Level::Warning,
                    text,
                    at: machine.at.clone(),
                    service: None,
                });
            }
        }
    }
    all
}

fn of_machine(machine: &MachineDef, all: &mut Vec<Notice>) {
    let name = sanitize::line(&machine.name, 80);
    let mut say = |id: &str, level, en: String, es: String| {
        let text = Text::new(format!("machine `{name}`: {en}"), format!("máquina `{name}`: {es}"));
        all.push(Notice { id: id.to_owned(), level, text, at: machine.at.clone(), service: None });
    };
    for said in &machine.invalid {
        say(
            "machines.invalid",
            Level::Warning,
            format!("`vagrant up` refuses it: {said}"),
            format!("`vagrant up` la rechaza: {said}"),
        );
    }
    let boxed = sanitize::line(machine.boxed.as_deref().unwrap_or_default(), 100);
    match boxes::of_machine(machine) {
        Served::NoSuchBox if !boxed.is_empty() => say(
            "machines.box",
            Level::Warning,
            format!("no box can be found under the name `{boxed}`"),
            format!("no hay box que se pueda encontrar con el nombre `{boxed}`"),
        ),
        Served::NoContainer => say(
            "machines.box",
            Level::Warning,
            format!("the box `{boxed}` is a system that no machine of a lab can be"),
            format!("el box `{boxed}` es un sistema que ninguna máquina de un laboratorio puede ser"),
        ),
        _ => {}
    }
    for address in &machine.addresses {
        let shown = sanitize::line(address, 60);
        match address.trim().parse::<Ipv4Addr>() {
            Ok(address) if address.is_private() => {}
            Ok(_) => say(
                "machines.address",
                Level::Warning,
                format!("its address {shown} is of no private range"),
                format!("su dirección {shown} no es de un rango privado"),
            ),
            // Vagrant takes these as well; nothing is said of them.
            Err(_) if address.contains(':') => {}
            Err(_) => say(
                "machines.address",
                Level::Warning,
                format!("its address `{shown}` is no address"),
                format!("su dirección `{shown}` no es una dirección"),
            ),
        }
    }
    for disk in &machine.disks {
        if let Some((level, text)) = of_disk(disk) {
            say("machines.disk", level, text.en, text.es);
        }
    }
}

fn of_disk(disk: &DiskDef) -> Option<(Level, Text)> {
    let name = sanitize::line(&disk.name, 120);
    match disk.bytes {
        Some(_) if !disk.attached => Some((
            Level::Warning,
            Text::new(
                format!("the disk `{name}` is made and never attached to it"),
                format!("el disco `{name}` se crea y nunca se le conecta"),
            ),
        )),
        None => Some((
            Level::Warning,
            Text::new(
                format!("the disk `{name}` is attached, and nothing in the Vagrantfile says how large it is made"),
                format!("el disco `{name}` se conecta, y nada en el Vagrantfile dice de qué tamaño se crea"),
            ),
        )),
        Some(bytes) if bytes > LARGE => Some((
            Level::Info,
            Text::new(
                format!("the disk `{name}` is of {} GiB; it takes only the room that is written to", bytes >> 30),
                format!("el disco `{name}` es de {} GiB; solo ocupa lo que se escribe en él", bytes >> 30),
            ),
        )),
        Some(_) => None,
    }
}

/// Says which machines share what each should have alone.
fn twice(
    machines: &[MachineDef],
    what: impl Fn(&MachineDef) -> Vec<String>,
    all: &mut Vec<Notice>,
    id: &str,
    text: impl Fn(&str) -> Text,
) {
    let mut by: BTreeMap<String, Vec<&MachineDef>> = BTreeMap::new();
    for machine in machines {
        for value in what(machine) {
            by.entry(value).or_default().push(machine);
        }
    }
    for (value, sharing) in by.iter().filter(|(_, sharing)| sharing.len() > 1) {
        let names: Vec<String> = sharing.iter().map(|m| format!("`{}`", sanitize::line(&m.name, 80))).collect();
        let (names, said) = (names.join(", "), text(&sanitize::line(value, 100)));
        let text = Text::new(format!("the machines {names} {}", said.en), format!("las máquinas {names} {}", said.es));
        let at = sharing.last().and_then(|machine| machine.at.clone());
        all.push(Notice { id: id.to_owned(), level: Level::Warning, text, at, service: None });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(name: &str, address: &str) -> MachineDef {
        let boxed = Some("centos/7".to_owned());
        MachineDef { name: name.into(), addresses: vec![address.into()], boxed, ..MachineDef::default() }
    }

    fn ids(machines: &[MachineDef]) -> Vec<(String, String)> {
        of(machines).into_iter().map(|notice| (notice.id, notice.text.en)).collect()
    }

    #[test]
    fn a_playbook_that_is_not_there_is_said_once() {
        use super::super::ProvisionerDef;
        let play =
            |path: &str| ProvisionerDef { kind: "ansible".into(), playbook: Some(path.into()), ..Default::default() };
        let one = |name: &str| MachineDef {
            provisioners: vec![play("playbook/site.yml"), play("there.yml"), play("/vagrant/x.yml")],
            ..machine(name, "10.0.0.1")
        };
        let all = playbooks(&[one("a"), one("b")], |path| path == "there.yml");
        assert_eq!(all.len(), 1);
        assert!(all[0].text.en.starts_with("the playbook `playbook/site.yml`"), "{}", all[0].text.en);
    }

    #[test]
    fn good_machines_give_no_notice() {
        let disk = DiskDef { name: "d".into(), bytes: Some(5 << 30), attached: true, spelling: "createhd".into() };
        let one = MachineDef { disks: vec![disk], ..machine("a", "192.168.56.10") };
        assert_eq!(ids(&[one, machine("b", "10.0.0.2"), machine("c", "fde4::1")]), []);
    }

    #[test]
    fn addresses() {
        let said = ids(&[
            machine("a", "192.168.56.10"),
            machine("b", "192.168.56.10 "),
            machine("c", "8.8.8.8"),
            machine("d", "x"),
        ]);
        let kinds: Vec<_> = said.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(kinds, ["machines.address", "machines.address", "machines.address_twice"]);
        assert!(said[2].1.contains("`a`, `b` have the same address 192.168.56.10"), "{said:?}");
    }

    #[test]
    fn disks_boxes_and_what_vagrant_says() {
        let disk = |bytes, attached| DiskDef { name: "d.vdi".into(), bytes, attached, spelling: String::new() };
        let disks = vec![disk(Some(1), false), disk(None, false), disk(Some(5 << 40), true)];
        let one =
            MachineDef { disks, invalid: vec!["x".into()], boxed: Some("mi caja".into()), ..machine("a", "10.0.0.1") };
        let said: Vec<_> = of(&[one]).into_iter().map(|n| (n.id, n.level)).collect();
        assert_eq!(
            said,
            [
                ("machines.invalid".to_owned(), Level::Warning),
                ("machines.box".to_owned(), Level::Warning),
                ("machines.disk".to_owned(), Level::Warning),
                ("machines.disk".to_owned(), Level::Warning),
                ("machines.disk".to_owned(), Level::Info),
            ]
        );
    }
}

//! What each machine is given on container nodes: its image, its limits, its disks. Pure, but for making the disks.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Disks, budget};
use crate::backend::{BackendError, Site};
use crate::exec::{Cmd, ShellExt};
use crate::notice::{Level, Notice, Reason};
use crate::stack::machines::{Node, NodeDisk};
use crate::stack::{LeftOut, StandIn};
use crate::submission::machines::MachineDef;
use crate::submission::machines::boxes::{self, Served};
use crate::text::Text;

/// Where the home Vagrantfile reads it.
pub(super) const PLAN: &str = "/run/imparcial/machines.json";
/// The label by which a machine's container is found.
pub const MACHINE: &str = "imparcial.machine";
/// Of a machine that declares none, in bytes: what VirtualBox gives one of the usual boxes.
const MEMORY: u64 = 1 << 30;
/// Below this an init system and sshd do not start, and VirtualBox itself takes no less than 4 MB.
const LEAST_MEMORY: u64 = 64 << 20;
/// VirtualBox shows disks after the box's own in this order.
const LETTERS: &str = "bcdefghijklmnopqrstuvwxyz";

/// The machines as they will be.
#[derive(Debug, Default)]
pub struct Planned {
    pub nodes: Vec<Node>,
    /// For the home Vagrantfile.
    pub given: Vec<Value>,
    pub notices: Vec<Notice>,
}

#[derive(Debug, Default, Deserialize)]
struct Made {
    made: BTreeMap<String, String>,
    failed: BTreeMap<String, String>,
    /// Numbers of partitions are those of loop devices only: no disk of the host has one.
    partitions: bool,
}

/// The declared disks of a machine with the names that VirtualBox gives them; those that are attached and have a size.
pub(super) fn declared(def: &MachineDef) -> impl Iterator<Item = (String, u64)> + '_ {
    let sized = def.disks.iter().filter(|disk| disk.attached).filter_map(|disk| disk.bytes);
    LETTERS.chars().zip(sized).map(|(letter, bytes)| (format!("sd{letter}"), bytes))
}

/// Makes every disk that is declared.
pub(super) async fn disks(site: &Site, defs: &[MachineDef]) -> Result<Disks, BackendError> {
    let wanted: Vec<Value> = defs
        .iter()
        .flat_map(|def| {
            declared(def).map(|(device, bytes)| json!({"machine": def.name, "device": device, "bytes": bytes}))
        })
        .collect();
    if wanted.is_empty() {
        return Ok(Disks::default());
    }
    let make = Cmd::new(["lab-disks"]).stdin(json!(wanted).to_string()).timeout(Duration::from_secs(60));
    let said = site.shell.must(&make).await?;
    let Ok(Made { made, failed, partitions }) = serde_json::from_slice(&said.stdout) else {
        return Err(BackendError::Other(Text::new(
            format!("lab-disks said something else than it should: {}", said.out()),
            format!("lab-disks dijo otra cosa de la que debía: {}", said.out()),
        )));
    };
    let all = made.into_iter().map(|(key, device)| (key, Ok(device)));
    let all = all.chain(failed.into_iter().map(|(key, why)| (key, Err(why))));
    // A machine's name has no slash: Vagrant keeps a folder of that name.
    let made =
        all.filter_map(|(key, what)| key.rsplit_once('/').map(|(m, d)| ((m.to_owned(), d.to_owned()), what))).collect();
    Ok(Disks { made, partitions })
}

/// What each machine gets.
pub fn plan(defs: &[MachineDef], image: &str, nonce: &str, disks: &Disks, cores: f64) -> Planned {
    let mut planned = Planned { notices: budget::clamped(defs, cores).into_iter().collect(), ..Planned::default() };
    for def in defs {
        let mut node = node(defs, def);
        let mut args = vec![format!("--label={MACHINE}={nonce}{}", def.name)];
        for (device, bytes) in declared(def) {
            match disks.made.get(&(def.name.clone(), device.clone())) {
                Some(Ok(behind)) => {
                    args.push(format!("--device={behind}:/dev/{device}"));
                    let device = format!("/dev/{device}");
                    node.disks.push(NodeDisk { device, behind: behind.clone(), bytes });
                }
                Some(Err(why)) => planned.notices.push(no_disk(def, bytes, why)),
                None => {}
            }
        }
        if !node.disks.is_empty() && disks.partitions {
            // Their partitions: the kernel gives them numbers of a common range, here of nobody else's.
            args.push("--device-cgroup-rule=b 259:* rw".to_owned());
        }
        let memory = memory(def, LEAST_MEMORY);
        args.extend([format!("--memory={memory}"), format!("--memory-swap={memory}")]);
        if let Some(cpus) = def.cpus {
            args.push(format!("--cpus={}", cpus.clamp(0.01, cores)));
        }
        planned.given.push(json!({"name": def.name, "image": image, "args": args}));
        planned.nodes.push(node);
    }
    planned
}

/// What a machine is given, in bytes.
pub(super) fn memory(def: &MachineDef, least: u64) -> u64 {
    def.memory_bytes.unwrap_or(MEMORY).max(least)
}

/// A machine with what serves for its box, or why there is none.
pub(super) fn node(defs: &[MachineDef], def: &MachineDef) -> Node {
    let mut node = Node { def: def.clone(), ..Node::default() };
    match boxes::of_machine(def) {
        Served::Node(known) => {
            node.other_family = known.other_family;
            node.stand_in = Some(StandIn {
                reference: def.boxed.clone().unwrap_or_default(),
                name: "node".to_owned(),
                version: known.version.clone(),
            });
        }
        Served::NoContainer => node.left_out = Some(no_container(def)),
        Served::NoSuchBox => node.left_out = Some(no_box(def)),
    }
    node.left_out = node.left_out.or_else(|| closed(def)).or_else(|| twin(defs, def));
    node
}

/// Accounts that every Linux has, and that have no shell on any.
const NOBODY: [&str; 10] = ["nobody", "daemon", "bin", "sys", "mail", "news", "lp", "games", "www-data", "sshd"];

/// Why nobody gets into a machine, by what its own file says: whatever its box is like.
fn closed(def: &MachineDef) -> Option<LeftOut> {
    let machine = &def.name;
    let user = def.username.as_deref().filter(|user| NOBODY.contains(user));
    // A Linux has no such server.
    let other = def.communicator.as_deref().filter(|way| way.starts_with("win"));
    let other = other.filter(|_| matches!(boxes::of_machine(def), Served::Node(entry) if entry.known));
    let text = match (user, other) {
        (Some(user), _) => Text::new(
            format!(
                "Vagrant is to log into machine {machine} as `{user}` (`config.ssh.username`), who can log in on no Linux"
            ),
            format!(
                "Vagrant debe entrar en la máquina {machine} como `{user}` (`config.ssh.username`), que no puede entrar en ningún Linux"
            ),
        ),
        (None, Some(way)) => Text::new(
            format!(
                "Vagrant is to reach machine {machine}, a Linux, by `{way}` (`config.vm.communicator`), which is for Windows"
            ),
            format!(
                "Vagrant debe llegar a la máquina {machine}, un Linux, por `{way}` (`config.vm.communicator`), que es para Windows"
            ),
        ),
        (None, None) => return None,
    };
    Some(LeftOut { reason: None, text })
}

fn no_container(def: &MachineDef) -> LeftOut {
    let (machine, named) = (&def.name, crate::sanitize::line(def.boxed.as_deref().unwrap_or_default(), 80));
    LeftOut {
        reason: Some(Reason::NotHere),
        text: Text::new(
            format!("machine {machine} is a `{named}`, which no machine of a lab can be"),
            format!("la máquina {machine} es un `{named}`, que ninguna máquina de un laboratorio puede ser"),
        ),
    }
}

fn no_box(def: &MachineDef) -> LeftOut {
    let (machine, named) = (&def.name, crate::sanitize::line(def.boxed.as_deref().unwrap_or_default(), 80));
    let text = if named.is_empty() {
        Text::new(format!("machine {machine} names no box"), format!("la máquina {machine} no nombra ningún box"))
    } else {
        Text::new(
            format!("machine {machine} asks for the box `{named}`, which nobody has"),
            format!("la máquina {machine} pide el box `{named}`, que nadie tiene"),
        )
    };
    LeftOut { reason: None, text }
}

/// The first of the machines before it that declares an address of its own.
fn twin(defs: &[MachineDef], def: &MachineDef) -> Option<LeftOut> {
    let before = defs.iter().take_while(|other| other.name != def.name);
    for other in before {
        let has = |address: &&String| other.addresses.iter().any(|own| own.trim() == address.trim());
        if let Some(address) = def.addresses.iter().find(has) {
            let (one, two) = (&other.name, &def.name);
            return Some(LeftOut {
                reason: None,
                text: Text::new(
                    format!("machines {one} and {two} declare the same address, {address}: give each one its own"),
                    format!("las máquinas {one} y {two} declaran la misma dirección, {address}: dé a cada una la suya"),
                ),
            });
        }
    }
    None
}

fn no_disk(def: &MachineDef, bytes: u64, why: &str) -> Notice {
    let (machine, gb, why) = (&def.name, bytes / 1_000_000_000, crate::sanitize::line(why, 120));
    Notice {
        id: "machines.disk_not_made".to_owned(),
        level: Level::Warning,
        text: Text::new(
            format!("the disk of {gb} GB that {machine} declares could not be made here: {why}"),
            format!("el disco de {gb} GB que declara {machine} no se pudo crear aquí: {why}"),
        ),
        at: def.at.clone(),
        service: None,
    }
}

/// Why a machine that Vagrant did not bring up is not there, from what Vagrant said of it.
pub fn blame(def: &MachineDef, said: Option<&str>) -> LeftOut {
    let machine = &def.name;
    let line = |text: &str| crate::sanitize::line(text, 300);
    let Some(said) = said else {
        return if def.autostart {
            LeftOut {
                reason: Some(Reason::Host),
                text: Text::new(
                    format!("{machine} is not there, and Vagrant did not say why"),
                    format!("{machine} no está, y Vagrant no dijo por qué"),
                ),
            }
        } else {
            LeftOut {
                reason: None,
                text: Text::new(
                    format!("{machine} is not started by `vagrant up`: it is defined with `autostart: false`"),
                    format!("`vagrant up` no arranca {machine}: está definida con `autostart: false`"),
                ),
            }
        };
    };
    // Vagrant looks the file over for this provider; what it minds of the declared one was found when the file was read.
    let invalid = said.contains("There are errors in the configuration of this machine") && !def.invalid.is_empty();
    let own = invalid || OWN_MISTAKES.iter().any(|mistake| said.contains(mistake));
    let text = Text::new(
        format!("{machine} could not be brought up: {}", line(said)),
        format!("no se pudo levantar {machine}: {}", line(said)),
    );
    // How long a machine takes is the host's doing.
    let reason = if said.contains(LATE) { Reason::Host } else { Reason::StandIn };
    LeftOut { reason: (!own).then_some(reason), text }
}

const LATE: &str = "Timed out while waiting for the machine to boot";

/// What Vagrant says of a file that no provider could bring up.
const OWN_MISTAKES: [&str; 5] = [
    "The host path of the shared folder is missing",
    "The following settings shouldn't exist",
    "hostname set for the VM",
    "path of a file provisioner",
    "Bad options for provisioner",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::submission::machines::DiskDef;

    fn def(name: &str, address: &str) -> MachineDef {
        MachineDef {
            name: name.into(),
            autostart: true,
            boxed: Some("centos/7".into()),
            addresses: vec![address.into()],
            memory_bytes: Some(512 << 20),
            cpus: Some(4.0),
            disks: vec![
                DiskDef { name: "lost".into(), bytes: Some(1), attached: false, spelling: "createhd".into() },
                DiskDef { name: "x".into(), bytes: Some(5 << 30), attached: true, spelling: "createhd".into() },
            ],
            ..MachineDef::default()
        }
    }

    #[test]
    fn a_machine_has_what_it_declares() {
        let made = BTreeMap::from([(("a".to_owned(), "sdb".to_owned()), Ok("/dev/loop7".to_owned()))]);
        let planned = plan(&[def("a", "192.168.56.10")], "node", "n1/", &Disks { made, partitions: true }, 2.0);
        let args = planned.given[0]["args"].to_string();
        for want in
            ["--device=/dev/loop7:/dev/sdb", "--memory=536870912", "--cpus=2\"", "imparcial.machine=n1/a", "b 259:"]
        {
            assert!(args.contains(want), "{want} in {args}");
        }
        assert_eq!(planned.nodes[0].disks[0].device, "/dev/sdb");
        assert!(planned.nodes[0].left_out.is_none() && planned.nodes[0].other_family);
    }

    #[test]
    fn two_machines_with_one_address_are_the_submissions_doing() {
        let planned = plan(&[def("a", "10.0.0.1"), def("b", "10.0.0.1")], "node", "", &Disks::default(), 2.0);
        assert!(planned.nodes[0].left_out.is_none());
        let left = planned.nodes[1].left_out.clone().unwrap();
        assert_eq!((left.reason, left.text.en.contains("a and b declare the same address, 10.0.0.1")), (None, true));
    }

    #[test]
    fn a_machine_that_its_own_file_closes_is_the_submissions_doing() {
        let of = |def: MachineDef| node(std::slice::from_ref(&def), &def).left_out;
        let a = || def("a", "10.0.0.1");
        let as_user = |name: &str| MachineDef { username: Some(name.into()), ..a() };
        let left = of(as_user("nobody")).expect("nobody logs in as that");
        assert!(left.reason.is_none() && left.text.en.contains("as `nobody`"), "{left:?}");
        // A box may have a user of its own.
        assert!(of(as_user("centos")).is_none() && of(as_user("root")).is_none());
        let windows = |boxed: &str| MachineDef { communicator: Some("winrm".into()), boxed: Some(boxed.into()), ..a() };
        let left = of(windows("centos/7")).expect("no WinRM");
        assert!(left.reason.is_none() && left.text.en.contains("by `winrm`"), "{left:?}");
        assert!(of(windows("somebody/something")).is_none(), "it may be a Windows");
        assert_eq!(of(windows("gusztavvargadr/windows-10")).and_then(|left| left.reason), Some(Reason::NotHere));
    }

    #[test]
    fn what_vagrant_says_is_held_against_nobody_unless_it_is_their_own() {
        let a = def("a", "10.0.0.1");
        assert_eq!(blame(&a, Some("Pool overlaps with other one")).reason, Some(Reason::StandIn));
        assert_eq!(blame(&a, Some("The host path of the shared folder is missing: ./x")).reason, None);
        assert_eq!(blame(&MachineDef { autostart: false, ..a.clone() }, None).reason, None);
        assert_eq!(blame(&a, None).reason, Some(Reason::Host));
        let late =
            "Timed out while waiting for the machine to boot. This means that\nVagrant was unable to communicate";
        assert_eq!(blame(&a, Some(late)).reason, Some(Reason::Host));
    }
}

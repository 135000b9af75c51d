//! Provider `libvirt`: virtual machines in a lab that has a hypervisor. Vagrant brings the same file up, by the same home
//! Vagrantfile; each machine is given a disk that holds what a container node does, and a kernel.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Ground, Request, acceleration, nodes, output, run};
use crate::agent::{AgentShell, Agents, BINARY};
use crate::backend::log::Log;
use crate::backend::{BackendError, Site};
use crate::exec::ssh::Ssh;
use crate::exec::{Cmd, Shell, ShellExt};
use crate::notice::{Level, Notice, Reason};
use crate::stack::machines::{Machines, Node, NodeDisk};
use crate::stack::{Guest, LeftOut, virsh};
use crate::submission::machines::MachineDef;
use crate::text::Text;

pub(super) const NAME: &str = "libvirt";
/// Before a machine's name, as the hypervisor has it: whose it is.
const PREFIX: &str = "imparcial_";
/// Below this, in bytes, a kernel with its first programs does not start; VirtualBox gives its boxes more.
const LEAST_MEMORY: u64 = 256 << 20;
/// In the hypervisor's pool, for all machines: our executable, and the stand-ins' layers. The plugin takes a disk called `vda`
/// for the machine's own.
const SHARED: [(&str, &str); 2] = [("tools.img", "vdb"), ("layers.img", "vdc")];
/// Its root has no partition, and its kernel no use for what guards against other guests. No profiles of AppArmor: the boxes of the
/// catalogue have none either, and an engine refuses to start a container where the tool that loads them is missing.
const COMMAND_LINE: &str =
    "root=LABEL=root rw net.ifnames=0 biosdevname=0 console=ttyS0 quiet mitigations=off apparmor=0";
/// Its daemons start within seconds.
const HYPERVISOR: Duration = Duration::from_secs(60);
/// What a machine's process takes besides the machine's memory, in bytes: seen were 1.3 GiB where the code of the guest is
/// translated and kept.
const EMULATOR_MEMORY: u64 = 1400 << 20;
const HYPERVISOR_MEMORY: u64 = 200 << 20;
const ASKED: Duration = Duration::from_secs(30);

/// Brings the machines up, and provisions them.
pub(super) async fn up(
    site: &Site,
    ground: &Ground<'_>,
    defs: &[MachineDef],
    request: &Request,
    log: &mut Log,
) -> Result<Machines, BackendError> {
    log.phase("machines");
    site.shell.must(&Cmd::new(["lab-hypervisor"]).timeout(HYPERVISOR)).await?;
    super::fresh_copy(ground).await?;
    let found = acceleration::of(site.shell.as_ref(), &request.state).await?;
    let stretched = |budget: Duration| budget.mul_f64(found.slowness());
    let within = stretched(request.up);
    log.notices().push(Notice {
        id: "machines.acceleration".to_owned(),
        level: Level::Info,
        text: found.told(),
        at: None,
        service: None,
    });
    site.shell.must(&Cmd::new(["lab-tools", "/box/images"]).timeout(HYPERVISOR)).await?;
    if let Some(text) = too_much(defs, found.kvm, available(site).await?) {
        return Ok(Machines { left_out: Some(super::not_here(text)), ..Machines::default() });
    }
    let cores = run::cores(site).await;
    let (nodes, given) = plan(defs, cores, found.kvm, within);
    let given = json!({ "machines": given }).to_string();
    site.shell.must(&Cmd::new(["tee", nodes::PLAN]).stdin(given.clone()).timeout(ASKED)).await?;
    log.keep("machines.json", given);
    let mut machines = Machines { provider: NAME.to_owned(), slowness: found.slowness(), nodes, ..Machines::default() };
    let up = run::up(ground, NAME, &machines.nodes, within).await?;
    log.keep("vagrant-up.txt", up.text.clone());
    // Nothing of the submission has run in them yet.
    site.shell.must(&Cmd::new(["lab-hypervisor", "guard"]).timeout(ASKED)).await?;
    mark(site, &mut machines.nodes, &up, within).await?;
    super::provisioned(ground, &request.submission, &mut machines, stretched(request.provision), log).await?;
    Ok(machines)
}

/// Bytes of memory that the lab may still take.
async fn available(site: &Site) -> Result<u64, BackendError> {
    let said = site.shell.must(&Cmd::new(["cat", "/proc/meminfo"]).timeout(ASKED)).await?.out();
    Ok(available_in(&said).unwrap_or(u64::MAX))
}

fn available_in(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Why the machines cannot all run here, with the numbers; none where they can.
fn too_much(defs: &[MachineDef], kvm: bool, available: u64) -> Option<Text> {
    let started: Vec<&MachineDef> = defs.iter().filter(|def| def.autostart).collect();
    let beside = if kvm { HYPERVISOR_MEMORY } else { EMULATOR_MEMORY };
    let declared = started.iter().fold(0_u64, |sum, def| sum.saturating_add(nodes::memory(def, LEAST_MEMORY)));
    let needed = declared.saturating_add(beside.saturating_mul(started.len() as u64));
    if needed <= available {
        return None;
    }
    let gib = |bytes: u64| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30));
    let (count, declared, needed, available) = (started.len(), gib(declared), gib(needed), gib(available));
    Some(Text::new(
        format!(
            "{count} virtual machines with {declared} of memory need {needed} here, and {available} are free: \
             run it on a larger host, or on container nodes (without `--provider libvirt`)"
        ),
        format!(
            "{count} máquinas virtuales con {declared} de memoria necesitan aquí {needed}, y hay {available} libres: \
             use un equipo mayor, o nodos en contenedores (sin `--provider libvirt`)"
        ),
    ))
}

/// The machines as they will be, and what the home Vagrantfile is given for each.
fn plan(defs: &[MachineDef], cores: f64, kvm: bool, within: Duration) -> (Vec<Node>, Vec<Value>) {
    let (mut all, mut given) = (Vec::new(), Vec::new());
    for def in defs {
        let mut node = nodes::node(defs, def);
        if let Some(stand_in) = &mut node.stand_in {
            // The catalogue's words are for a container of the same content.
            stand_in.version = stand_in.version.replace("container", "virtual machine");
        }
        let mut disks = Vec::new();
        for (device, bytes) in nodes::declared(def) {
            let size = format!("{}K", bytes.div_ceil(1024));
            disks.push(json!({"size": size, "device": device, "bus": "scsi", "type": "qcow2"}));
            let device = format!("/dev/{device}");
            node.disks.push(NodeDisk { behind: device.clone(), device, bytes });
        }
        disks.extend(SHARED.map(|(path, device)| {
            json!({
                "path": path, "type": "raw", "allow_existing": true, "shareable": true,
                "bus": "virtio", "device": device,
            })
        }));
        let settings = json!({
            "uri": "qemu:///system",
            "default_prefix": PREFIX,
            "driver": if kvm { "kvm" } else { "qemu" },
            "cpu_mode": if kvm { "host-passthrough" } else { "maximum" },
            "cpu_model": "",
            "kernel": "/box/vmlinuz",
            "initrd": "/box/initrd.img",
            "cmd_line": COMMAND_LINE,
            "disk_bus": "scsi",
            "disk_device": "sda",
            "disk_controller_model": "virtio-scsi",
            "graphics_type": "none",
            "memory": mib(nodes::memory(def, LEAST_MEMORY)),
            "cpus": cpus(def, cores),
        });
        let boot = within.as_secs();
        given.push(json!({"name": def.name, "guest": {"boot_timeout": boot, "settings": settings, "disks": disks}}));
        all.push(node);
    }
    (all, given)
}

fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

/// Whole ones, and no more than there are.
fn cpus(def: &MachineDef, cores: f64) -> f64 {
    def.cpus.unwrap_or(1.0).ceil().clamp(1.0, cores.max(1.0))
}

/// Notes which machines are there, and why the others are not.
async fn mark(site: &Site, nodes: &mut [Node], up: &run::Ran, budget: Duration) -> Result<(), BackendError> {
    let alone = nodes.len() == 1 || up.status != Some(0);
    let cores = run::cores(site).await;
    for node in nodes.iter_mut().filter(|node| node.left_out.is_none()) {
        let address = address(site, &domain(node.name())).await;
        let said = output::error_of(&up.text, node.name(), alone && address.is_none());
        let ready = run::was_ready(&up.text, node.name());
        if up.status.is_none() && !ready {
            node.left_out = Some(run::late(node.name(), budget));
        } else if let (true, None, Some(address)) = (ready, &said, address) {
            let guest = guest(site, node, address, cores);
            node.left_out = other_disks(node, &guest).await;
            node.guest = Some(Arc::new(guest));
        } else {
            node.left_out = Some(nodes::blame(&node.def, said.as_deref()));
        }
    }
    Ok(())
}

/// A machine as the hypervisor calls it: the plugin leaves out what a name may not have there.
fn domain(machine: &str) -> String {
    let kept = machine.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c));
    format!("{PREFIX}{}", kept.collect::<String>())
}

/// Why a machine cannot be used whose disks are not those that it was given, or do not have their names: a kernel may find them in
/// another order.
async fn other_disks(node: &Node, guest: &Guest) -> Option<LeftOut> {
    let ask = Cmd::new(["lsblk", "--bytes", "--nodeps", "--noheadings", "--output", "NAME,SIZE"]).timeout(ASKED);
    let said = guest.shell.must(&ask).await;
    let why = match &said {
        Ok(said) if disks_as_given(&said.out(), &node.disks) => return None,
        Ok(said) => crate::sanitize::line(&said.out().split_whitespace().collect::<Vec<_>>().join(" "), 160),
        Err(error) => crate::sanitize::line(&error.to_string(), 160),
    };
    let name = node.name();
    Some(LeftOut {
        reason: Some(Reason::Host),
        text: Text::new(
            format!("machine {name} does not have its disks under the names that they were given: {why}"),
            format!("la máquina {name} no tiene sus discos con los nombres que se les dieron: {why}"),
        ),
    })
}

fn disks_as_given(said: &str, given: &[NodeDisk]) -> bool {
    let there: BTreeMap<&str, u64> = said
        .lines()
        .filter_map(|line| line.trim().split_once(char::is_whitespace))
        .filter_map(|(name, size)| Some((name, size.trim().parse().ok()?)))
        .collect();
    given.iter().all(|disk| {
        let name = disk.device.trim_start_matches("/dev/");
        // Its file was made of whole KiB.
        there.get(name).is_some_and(|size| size.abs_diff(disk.bytes) < 1024)
    })
}

/// The address by which a machine that runs is managed, as the hypervisor's own DHCP server gave it.
async fn address(site: &Site, domain: &str) -> Option<String> {
    let ask = virsh(&["domifaddr", domain, "--source", "lease"]);
    let said = site.shell.run(&ask.timeout(ASKED)).await.ok().filter(crate::exec::Output::ok)?;
    managed(&said.out())
}

/// Of lines such as ` vnet1  52:54:00:a8:95:26  ipv4  192.168.121.252/24`.
fn managed(said: &str) -> Option<String> {
    said.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip_while(|word| *word != "ipv4").skip(1);
        words.next()?.split('/').next().map(str::to_owned)
    })
}

fn guest(site: &Site, node: &Node, address: String, cores: f64) -> Guest {
    let under: Arc<dyn Shell> = Arc::new(Ssh::new(site.shell.clone(), node.name(), &address));
    let agents = Agents::new(under.clone(), BINARY);
    let declared = node.def.addresses.iter().map(|at| at.trim().split('/').next().unwrap_or_default().to_owned());
    let mut addresses: BTreeMap<String, String> =
        declared.enumerate().map(|(number, at)| (format!("private{number}"), at)).collect();
    addresses.insert("bridge".to_owned(), address.clone());
    Guest {
        domain: domain(node.name()),
        address,
        addresses,
        memory_bytes: mib(nodes::memory(&node.def, LEAST_MEMORY)) << 20,
        cpus: cpus(&node.def, cores),
        shell: Arc::new(AgentShell::new(agents.clone(), under)),
        agents,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_the_one_that_was_leased() {
        let said = " Name       MAC address          Protocol     Address\n-----------------\n \
                    vnet0      52:54:00:a8:95:26    ipv4         192.168.121.252/24\n";
        assert_eq!(managed(said).as_deref(), Some("192.168.121.252"));
        assert_eq!(managed(" Name       MAC address          Protocol     Address\n"), None);
    }

    #[test]
    fn disks_are_told_by_their_names_and_sizes() {
        let disk = |device: &str, bytes| NodeDisk { device: device.into(), behind: device.into(), bytes };
        let said = "sda  12884901888\nsdb   5368709120\nvda    327155712\n";
        assert!(disks_as_given(said, &[disk("/dev/sdb", 5 << 30)]) && disks_as_given(said, &[]));
        assert!(!disks_as_given(said, &[disk("/dev/sdb", 12 << 30)]), "the machine's own took its name");
        assert!(!disks_as_given(said, &[disk("/dev/sdc", 5 << 30)]));
        assert_eq!(domain("nodo ñ-1"), "imparcial_nodo-1");
    }

    #[test]
    fn machines_that_do_not_fit_are_refused_with_the_numbers() {
        let of = |gib: u64| MachineDef { autostart: true, memory_bytes: Some(gib << 30), ..MachineDef::default() };
        let four = [of(8), of(8), of(8), of(8)];
        let text = too_much(&four, false, 22 << 30).unwrap();
        assert!(text.en.starts_with("4 virtual machines with 32.0 GiB of memory need 37.5 GiB here, and 22.0 GiB are"));
        assert_eq!(too_much(&four, true, 40 << 30), None);
        assert_eq!(too_much(&[MachineDef { autostart: false, ..of(64) }], false, 1 << 30), None);
        assert_eq!(available_in("MemTotal: 9 kB\nMemAvailable:   2048 kB\n"), Some(2 << 20));
        assert_eq!(available_in(""), None);
    }

    #[test]
    fn whole_processors_and_no_more_than_there_are() {
        let of = |cpus: Option<f64>| super::cpus(&MachineDef { cpus, ..MachineDef::default() }, 2.0);
        assert_eq!([of(None), of(Some(0.5)), of(Some(2.0)), of(Some(32.0))], [1.0, 1.0, 2.0, 2.0]);
        assert_eq!(mib((512 << 20) - 1), 512);
    }
}

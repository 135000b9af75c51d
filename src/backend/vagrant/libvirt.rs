//! Provider `libvirt`: virtual machines in a lab that has a hypervisor. Vagrant brings the same file up, by the same home
//! Vagrantfile; each machine is given a disk that holds what a container node does, and a kernel.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::snapshot::{self, Kept};
use super::{Ground, Request, acceleration, budget, ends, nodes, output, run};
use crate::agent::{AgentShell, Agents, BINARY};
use crate::backend::log::Log;
use crate::backend::{BackendError, Site};
use crate::exec::ssh::Ssh;
use crate::exec::{Cmd, Shell, ShellExt};
use crate::notice::{Level, Notice, Reason};
use crate::stack::machines::{Machines, Node, NodeDisk};
use crate::stack::snapshot::Slot;
use crate::stack::{Guest, LeftOut, clock_set, virsh};
use crate::submission::machines::MachineDef;
use crate::text::Text;

pub(super) const NAME: &str = "libvirt";
/// Before a machine's name, as the hypervisor has it: whose it is.
const PREFIX: &str = "imparcial_";
/// In the hypervisor's pool, for all machines: our executable, and the stand-ins' layers. The plugin takes a disk called `vda`
/// for the machine's own.
const SHARED: [(&str, &str); 2] = [("tools.img", "vdb"), ("layers.img", "vdc")];
/// The plugin's own, and others where a submission has that.
const MANAGEMENT: [&str; 3] = ["192.168.121.0/24", "192.168.221.0/24", "10.121.121.0/24"];
/// Its root has no partition, and its kernel no use for what guards against other guests. No profiles of AppArmor: the boxes of the
/// catalogue have none either, and an engine refuses to start a container where the tool that loads them is missing.
const COMMAND_LINE: &str =
    "root=LABEL=root rw net.ifnames=0 biosdevname=0 console=ttyS0 quiet mitigations=off apparmor=0";
/// Its daemons start within seconds.
const HYPERVISOR: Duration = Duration::from_secs(60);
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
    if let Some(text) = budget::of(defs, found.is_kvm(), request.memory_cap).refused(available(site).await?) {
        return Ok(Machines { left_out: Some(super::not_here(text)), ..Machines::default() });
    }
    if let Some(text) = request.memory_cap.and_then(|cap| budget::capped(defs, cap)) {
        log.notices().push(Notice {
            id: "machines.memory-cap".to_owned(),
            level: Level::Warning,
            text,
            at: None,
            service: None,
        });
    }
    if let Some((slot, kept)) = request.snapshot.as_ref().and_then(|slot| Some((slot, Kept::read(slot)?))) {
        return restored(site, slot, kept, found.slowness(), request.memory_cap, log).await;
    }
    let began = Instant::now();
    site.shell.must(&Cmd::new(["lab-tools", "/box/images"]).timeout(HYPERVISOR)).await?;
    let cores = run::cores(site).await;
    log.notices().extend(budget::clamped(defs, cores));
    let (nodes, given) = plan(defs, cores, found.is_kvm(), within, request.memory_cap);
    let given = json!({ "machines": given }).to_string();
    site.shell.must(&Cmd::new(["tee", nodes::PLAN]).stdin(given.clone()).timeout(ASKED)).await?;
    log.keep("machines.json", given);
    let mut machines = Machines { provider: NAME.to_owned(), slowness: found.slowness(), nodes, ..Machines::default() };
    let up = run::up(ground, NAME, &machines.nodes, within).await?;
    log.keep("vagrant-up.txt", up.text.clone());
    // Nothing of the submission has run in them yet.
    site.shell.must(&Cmd::new(["lab-hypervisor", "guard"]).timeout(ASKED)).await?;
    mark(site, &mut machines.nodes, &up, within, request.memory_cap).await?;
    for node in machines.nodes.iter().filter(|node| node.def.autostart && node.guest.is_none()) {
        ends::keep(site, node.name(), &domain(node.name()), log).await;
    }
    set_clocks(site, &machines).await;
    super::provisioned(ground, &request.submission, &mut machines, stretched(request.provision), log).await?;
    if let Some(slot) = &request.snapshot {
        snapshot::keep(site, slot, &machines, began.elapsed(), log).await?;
        set_clocks(site, &machines).await;
    }
    Ok(machines)
}

/// Machines that begin where an earlier run's were.
async fn restored(
    site: &Site,
    slot: &Slot,
    kept: Kept,
    slowness: f64,
    cap: Option<u64>,
    log: &mut Log,
) -> Result<Machines, BackendError> {
    log.phase("restore");
    // What does not come back once is not tried again.
    snapshot::restore(site).await.inspect_err(|_| slot.forget())?;
    site.shell.must(&Cmd::new(["lab-hypervisor", "guard"]).timeout(ASKED)).await?;
    kept.tell(log);
    let Kept { machines, addresses, .. } = kept;
    let mut machines = Machines { slowness, ..machines };
    for node in &mut machines.nodes {
        let Some(address) = addresses.get(node.name()) else { continue };
        let given = given(site, &domain(node.name())).await;
        node.guest = Some(Arc::new(guest(site, node, address.clone(), given, cap)));
    }
    set_clocks(site, &machines).await;
    Ok(machines)
}

/// A machine's clock is not the lab's when it has stood still, and half a second off when it starts. One that cannot be set stays so.
async fn set_clocks(site: &Site, machines: &Machines) {
    let guests = machines.nodes.iter().filter_map(|node| Some((node.name(), node.guest.as_ref()?)));
    join_all(guests.map(|(name, guest)| async move {
        let machine = Ssh::new(site.shell.clone(), name, &guest.address);
        if let Err(error) = site.shell.must(&clock_set(&machine, 0)).await {
            tracing::warn!(machine = name, %error, "its clock could not be set");
        }
    }))
    .await;
}

/// Bytes of memory that the lab may still take.
async fn available(site: &Site) -> Result<u64, BackendError> {
    let said = site.shell.must(&Cmd::new(["cat", "/proc/meminfo"]).timeout(ASKED)).await?.out();
    Ok(budget::available(&said).unwrap_or(u64::MAX))
}

/// The machines as they will be, and what the home Vagrantfile is given for each.
fn plan(defs: &[MachineDef], cores: f64, kvm: bool, within: Duration, cap: Option<u64>) -> (Vec<Node>, Vec<Value>) {
    let (mut all, mut given) = (Vec::new(), Vec::new());
    for def in defs {
        let mut node = nodes::node(defs, def);
        if let Some(stand_in) = &mut node.stand_in {
            stand_in.version = super::in_a_guest(&stand_in.version);
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
            "management_network_address": management(defs),
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
            "memory": mib(budget::memory(def, cap)),
            "cpus": cpus(def, cores),
        });
        let boot = within.as_secs();
        given.push(json!({"name": def.name, "guest": {
            "boot_timeout": boot, "console": ends::console(&domain(&def.name)), "settings": settings, "disks": disks,
        }}));
        all.push(node);
    }
    (all, given)
}

/// The network by which machines are managed: none that a machine declares an address of.
fn management(defs: &[MachineDef]) -> &'static str {
    let taken = |network: &&&str| {
        let prefix = network.trim_end_matches("0/24");
        defs.iter().flat_map(|def| &def.addresses).any(|address| address.trim().starts_with(prefix))
    };
    MANAGEMENT.iter().find(|network| !taken(network)).unwrap_or(&MANAGEMENT[0])
}

fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

/// Whole ones, and no more than there are.
fn cpus(def: &MachineDef, cores: f64) -> f64 {
    def.cpus.unwrap_or(1.0).ceil().clamp(1.0, cores.max(1.0))
}

/// Notes which machines are there, and why the others are not.
async fn mark(
    site: &Site,
    nodes: &mut [Node],
    up: &run::Ran,
    budget: Duration,
    cap: Option<u64>,
) -> Result<(), BackendError> {
    let alone = nodes.len() == 1 || up.status != Some(0);
    for node in nodes.iter_mut().filter(|node| node.left_out.is_none()) {
        let address = address(site, &domain(node.name())).await;
        let said = output::error_of(&up.text, node.name(), alone && address.is_none());
        let ready = run::was_ready(&up.text, node.name());
        if up.status.is_none() && !ready {
            node.left_out = Some(run::late(node.name(), budget));
        } else if let (true, None, Some(address)) = (ready, &said, address) {
            let given = given(site, &domain(node.name())).await;
            let guest = guest(site, node, address, given, cap);
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

/// What a machine has, in bytes and processors.
async fn given(site: &Site, domain: &str) -> Option<(u64, f64)> {
    let said = site.shell.run(&virsh(&["dominfo", domain]).timeout(ASKED)).await.ok()?;
    given_in(&said.out())
}

/// Of lines such as `Max memory:     524288 KiB`.
fn given_in(said: &str) -> Option<(u64, f64)> {
    let of = |name: &str| said.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let kib: u64 = of("Max memory:")?.strip_suffix("KiB")?.trim().parse().ok()?;
    Some((kib.checked_mul(1024)?, of("CPU(s):")?.parse().ok()?))
}

/// A machine of which nobody says what it was given has nothing, and is not judged by that.
fn guest(site: &Site, node: &Node, address: String, given: Option<(u64, f64)>, cap: Option<u64>) -> Guest {
    let under: Arc<dyn Shell> = Arc::new(Ssh::new(site.shell.clone(), node.name(), &address));
    let agents = Agents::new(under.clone(), BINARY);
    let declared = node.def.addresses.iter().map(|at| at.trim().split('/').next().unwrap_or_default().to_owned());
    let mut addresses: BTreeMap<String, String> =
        declared.enumerate().map(|(number, at)| (format!("private{number}"), at)).collect();
    addresses.insert("bridge".to_owned(), address.clone());
    let (memory_bytes, cpus) = given.unwrap_or_default();
    Guest {
        domain: domain(node.name()),
        address,
        addresses,
        memory_bytes,
        capped: budget::is_capped(&node.def, cap),
        cpus,
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
    fn what_a_machine_has_is_what_the_hypervisor_says() {
        let said = "Id:             1\nName:           imparcial_w1\nCPU(s):         2\nCPU time:       1.2s\n\
                    Max memory:     524288 KiB\nUsed memory:    524288 KiB\n";
        assert_eq!(given_in(said), Some((512 << 20, 2.0)));
        assert_eq!(given_in("error: failed to get domain"), None);
    }

    #[test]
    fn whole_processors_and_no_more_than_there_are() {
        let of = |cpus: Option<f64>| super::cpus(&MachineDef { cpus, ..MachineDef::default() }, 2.0);
        assert_eq!([of(None), of(Some(0.5)), of(Some(2.0)), of(Some(32.0))], [1.0, 1.0, 2.0, 2.0]);
        assert_eq!(mib((512 << 20) - 1), 512);
        let at = |address: &str| MachineDef { addresses: vec![address.into()], ..MachineDef::default() };
        assert_eq!(management(&[at("192.168.56.10")]), "192.168.121.0/24");
        assert_eq!(management(&[at("10.0.0.1"), at(" 192.168.121.10")]), "192.168.221.0/24");
    }
}

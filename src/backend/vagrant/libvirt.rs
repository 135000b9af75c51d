//! Provider `libvirt`: virtual machines in a lab that has a hypervisor. Vagrant brings the same file up, by the same home
//! Vagrantfile; each machine is given a disk that holds what a container node does, and a kernel.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tokio::time::Instant;

use super::boxes::Boxes;
use super::guests::{self, Making};
use super::snapshot::{self, Kept};
use super::{Ground, Request, acceleration, boxes, budget, ends, foreign, nodes, output, run};
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
pub(super) const PREFIX: &str = "imparcial_";
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
    let mut decided = boxes::ask(site, defs, &request.boxes).await;
    let (slot, kept) = snapshot::of(site, request.snapshot.as_ref(), &decided, log).await?;
    site.shell.must(&Cmd::new(["lab-hypervisor"]).timeout(HYPERVISOR)).await?;
    super::fresh_copy(ground).await?;
    let cores = run::cores(site).await;
    let found = acceleration::of(site.shell.as_ref(), &request.state).await?;
    let found = found.shared(budget::processors(defs, cores), cores);
    let stretched = |budget: Duration| budget.mul_f64(found.slowness());
    let within = stretched(request.up);
    log.notices().push(Notice::new("machines.acceleration", Level::Info, found.told()));
    if let Some(text) = budget::of(defs, found.is_kvm(), request.memory_cap).refused(available(site).await?) {
        return Ok(Machines { left_out: Some(super::not_here(text)), ..Machines::default() });
    }
    if let Some(text) = request.memory_cap.and_then(|cap| budget::capped(defs, cap)) {
        log.notices().push(Notice::new("machines.memory-cap", Level::Warning, text));
    }
    if let Some((slot, kept)) = slot.zip(kept) {
        if request.boxes.from == Boxes::Auto {
            decided.tell(log);
        }
        return restored(site, slot, kept, found.slowness(), request.memory_cap, log).await;
    }
    let began = Instant::now();
    site.shell.must(&Cmd::new(["lab-tools", "/box/images"]).timeout(HYPERVISOR)).await?;
    // What a later run decides, too, before it has fetched anything.
    let known = decided.taken();
    boxes::fetch(site, &mut decided, request.fetch, log).await?;
    if request.boxes.from == Boxes::Auto {
        decided.tell(log);
    }
    let making = Making {
        cores,
        kvm: found.is_kvm(),
        within,
        cap: request.memory_cap,
        boxes: &decided,
        only_own: request.boxes.from == Boxes::Pull,
        old: request.submission.is_old(time::OffsetDateTime::now_utc()),
    };
    log.notices().extend(budget::clamped(defs, making.cores));
    let (nodes, given) = guests::plan(defs, &making);
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
    if let Some(slot) = slot {
        snapshot::keep(site, slot, &machines, known, began.elapsed(), log).await?;
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
            if let Some(left_out) = foreign::furnish(site, node, &address).await {
                node.left_out = Some(left_out);
                continue;
            }
            let given = given(site, &domain(node.name())).await;
            let guest = guest(site, node, address, given, cap);
            node.left_out = other_disks(node, &guest).await;
            node.guest = Some(Arc::new(guest));
        } else {
            node.left_out = Some(foreign::blame(node, said.as_deref()));
        }
    }
    Ok(())
}

/// A machine as the hypervisor calls it: the plugin leaves out what a name may not have there.
pub(super) fn domain(machine: &str) -> String {
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
}

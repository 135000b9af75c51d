//! The power and the disks of a virtual machine: the hypervisor's, in the lab. Its clock is set from there.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::machine::{machines, only_in_a_lab};
use super::{At, FaultError, Ground, Proof, Undo, Victim};
use crate::agent::clock;
use crate::exec::ssh::Ssh;
use crate::exec::{Cmd, ShellExt};
use crate::stack::machines::Node;
use crate::stack::{Body, CLOCK, Guest, Stack, clock_set, virsh};
use crate::text::Text;

/// A domain is defined before it starts: that takes seconds where the processor is emulated and busy.
const STARTS: Duration = Duration::from_secs(60);
/// Between two looks at a machine that is ending: each is a process.
const AGAIN: Duration = Duration::from_secs(1);

/// Why a fault cannot be made there that only a virtual machine knows; `why` says what a container node has instead.
pub(super) fn only_guests(ground: Ground, why: fn() -> Text) -> Option<Text> {
    only_in_a_lab(ground).or_else(|| (ground != Ground::Guests).then(why))
}

/// The virtual machines that are hit.
///
/// # Errors
/// One of them is a container.
pub(super) fn guests<'a>(victims: &'a [Victim], why: fn() -> Text) -> Result<Vec<(&'a Node, &'a Guest)>, FaultError> {
    let guest = |(node, body): (&'a Node, &'a Body)| match body {
        Body::Guest(started) => Ok((node, &*started.guest)),
        Body::Container(_) => {
            let Text { en, es } = why();
            Err(FaultError::not_here(en, es))
        }
    };
    machines(victims).map(guest).collect()
}

fn state(domain: &str) -> Cmd {
    virsh(&["domstate", domain]).timeout(super::ASKED)
}

/// Whether the hypervisor says that it does not run.
pub(super) async fn is_off(stack: &Stack, domain: &str) -> bool {
    let said = stack.ground.shell.must(&state(domain)).await;
    said.is_ok_and(|said| !matches!(said.out().trim(), "running" | "in shutdown"))
}

/// Ends a domain as a power cut does: nothing in it hears of that.
pub(super) fn cut_off(domain: &str) -> Cmd {
    virsh(&["destroy", domain])
}

/// That it runs, started where it does not.
pub(super) fn running(name: &str, domain: &str) -> Undo {
    let what = Text::new(format!("machine {name} is up"), format!("la máquina {name} está en marcha"));
    let start = virsh(&["start", domain]).timeout(STARTS);
    Undo::new(At::Ground, start, Proof::says(state(domain), "running"), what)
}

/// Asks its own init to turn it off, and waits until it is; its power is cut when the time for that is over.
///
/// # Errors
/// The hypervisor does not answer.
pub(super) async fn shut_down(stack: &Stack, guest: &Guest, within: Duration) -> Result<(), FaultError> {
    let until = Instant::now() + within;
    // It may be gone before it can say so.
    let _ = guest.shell.run(&Cmd::new(["systemctl", "poweroff", "--no-block"]).timeout(super::ASKED)).await;
    loop {
        let said = stack.ground.shell.must(&state(&guest.domain)).await?.out();
        if said.trim() == "shut off" {
            return Ok(());
        }
        if Instant::now() >= until {
            // As an engine does with a container that takes longer than its grace.
            stack.ground.shell.must(&cut_off(&guest.domain).timeout(super::ASKED)).await?;
            return Ok(());
        }
        sleep(AGAIN).await;
    }
}

/// The file behind a disk.
///
/// # Errors
/// The hypervisor knows no such disk.
pub(super) async fn source(stack: &Stack, domain: &str, target: &str) -> Result<String, FaultError> {
    let said = stack.ground.shell.must(&virsh(&["domblklist", domain]).timeout(super::ASKED)).await?.out();
    source_of(&said, target).ok_or_else(|| {
        FaultError::host(format!("{domain} has no disk {target}"), format!("{domain} no tiene un disco {target}"))
    })
}

/// Of lines such as ` sdb      /var/lib/libvirt/images/x-sdb.qcow2`.
fn source_of(said: &str, target: &str) -> Option<String> {
    said.lines().find_map(|line| {
        let (own, source) = line.trim().split_once(char::is_whitespace)?;
        (own == target).then(|| source.trim().to_owned())
    })
}

/// An extra disk is pulled out of a running machine.
pub(super) fn pulled_out(domain: &str, target: &str) -> Cmd {
    virsh(&["detach-disk", domain, target, "--live"])
}

/// It is there again.
pub(super) fn plugged_in(name: &str, domain: &str, target: &str, source: &str) -> Undo {
    let what = Text::new(
        format!("machine {name} has its disk {target} again"),
        format!("la máquina {name} tiene otra vez su disco {target}"),
    );
    let attach =
        virsh(&["attach-disk", domain, source, target, "--targetbus", "scsi", "--subdriver", "qcow2", "--live"]);
    let there = virsh(&["domblkinfo", domain, target]).timeout(super::ASKED);
    Undo::new(At::Ground, attach.timeout(STARTS), Proof::ok(there), what)
}

/// It is that of the lab, at the moment at which that is done.
pub(super) fn clock_right(name: &str, domain: &str, machine: &Ssh) -> Undo {
    let what = Text::new(
        format!("the clock of machine {name} is right"),
        format!("el reloj de la máquina {name} está en hora"),
    );
    let proof = Proof::ok(clock::is_right(&machine.over(&clock::answering())).timeout(CLOCK));
    // One that is off has no clock but its hardware's, which is the host's and which it starts with.
    let off = Proof::says(state(domain), "shut off");
    Undo::new(At::Ground, clock_set(machine, 0), proof, what).unless(off)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::exec::scripted::Scripted;

    #[test]
    fn its_clock_is_set_by_the_labs_whenever_that_is_done() {
        let machine = Ssh::new(Arc::new(Scripted::default()), "w1", "192.168.121.5");
        let undo = clock_right("w1", "imparcial_w1", &machine);
        let over = " vagrant@192.168.121.5 -- 'sudo -n env /usr/local/bin/imparcial agent --clock answer'";
        for (cmd, what) in [(&undo.run, "set 0"), (&undo.proof.run, "is-right"), (&clock_set(&machine, -5), "set -5")] {
            let cmd = cmd.to_string();
            let own = format!("/usr/local/bin/imparcial agent --clock {what} ssh -F /dev/null -i /root/.vagrant.d/");
            assert!(cmd.starts_with(&own) && cmd.ends_with(over), "{cmd}");
        }
        assert_eq!((undo.at, undo.proof.status), (At::Ground, 0));
        let off = undo.moot.unwrap();
        assert_eq!(off.run.to_string(), "virsh --connect qemu:///system domstate imparcial_w1");
        assert_eq!(off.says.as_deref(), Some("shut off"));
    }

    #[test]
    fn its_power_is_the_hypervisors() {
        let undo = running("w1", "imparcial_w1");
        assert_eq!(undo.run.to_string(), "virsh --connect qemu:///system start imparcial_w1");
        assert_eq!(undo.proof.run.to_string(), "virsh --connect qemu:///system domstate imparcial_w1");
        assert_eq!(undo.proof.says.as_deref(), Some("running"));
        assert_eq!(cut_off("imparcial_w1").to_string(), "virsh --connect qemu:///system destroy imparcial_w1");
    }

    #[test]
    fn a_disk_that_was_pulled_out_is_put_back_where_it_was() {
        let undo = plugged_in("w1", "d", "sdb", "/images/d-sdb.qcow2");
        assert!(
            undo.run.to_string().contains("attach-disk d /images/d-sdb.qcow2 sdb --targetbus scsi"),
            "{}",
            undo.run
        );
        assert!(pulled_out("d", "sdb").to_string().ends_with("detach-disk d sdb --live"));
        assert_eq!(undo.at, At::Ground);
        let listed = " Target   Source\n-----------------\n sda      /images/x.img\n sdb      /images/x-sdb.qcow2\n";
        assert_eq!(source_of(listed, "sdb").as_deref(), Some("/images/x-sdb.qcow2"));
        assert_eq!(source_of(listed, "sdc"), None);
    }
}

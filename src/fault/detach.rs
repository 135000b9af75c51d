//! `detach`: a machine's extra disks are pulled out while it runs. A container node cannot lose one: it says so beforehand.

use std::sync::Arc;

use async_trait::async_trait;

use super::target::{Kinds, shown};
use super::{Fault, FaultError, FaultKind, Ground, Target, Undo, Victim, guest};
use crate::exec::ShellExt;
use crate::stack::Stack;
use crate::stack::machines::Node;
use crate::text::Text;

pub static FAULT: FaultKind = FaultKind {
    name: "detach",
    summary: "A machine's extra disks are pulled out while it runs, and plugged in again when the fault is healed; needs virtual machines (`--provider libvirt`)",
    example: "{detach: {node: worker2}}",
    schema: || Target::schema(Kinds::Machines),
    decode: |d| Some(Box::new(Detach { target: Target::decode(d, Kinds::Machines)? }) as Box<dyn Fault>),
};

struct Detach {
    target: Target,
}

fn why() -> Text {
    Text::new(
        "a container node's disk is a loop device that its mount keeps; a detach needs a virtual machine: `--provider libvirt`",
        "el disco de un nodo en contenedor es un dispositivo loop que su montaje retiene; para soltarlo hace falta una máquina virtual: `--provider libvirt`",
    )
}

#[async_trait]
impl Fault for Detach {
    fn target(&self) -> &Target {
        &self.target
    }

    fn cannot(&self, ground: Ground) -> Option<Text> {
        guest::only_guests(ground, why)
    }

    async fn inverse(&self, stack: &Arc<Stack>, victims: &[Victim]) -> Result<Vec<Undo>, FaultError> {
        let mut undos = Vec::new();
        for (node, domain, disk) in disks(victims)? {
            let source = guest::source(stack, domain, &disk).await?;
            undos.push(guest::plugged_in(&shown(node.name()), domain, &disk, &source));
        }
        Ok(undos)
    }

    async fn inject(&self, stack: &Arc<Stack>, victims: &[Victim]) -> Result<Vec<Text>, FaultError> {
        for (_, domain, disk) in disks(victims)? {
            stack.ground.shell.must(&guest::pulled_out(domain, &disk).timeout(super::ASKED)).await?;
        }
        Ok(Vec::new())
    }
}

/// The extra disks of those who are hit: machine, domain, `sdb`.
fn disks(victims: &[Victim]) -> Result<Vec<(&Node, &str, String)>, FaultError> {
    let mut all = Vec::new();
    for (node, hit) in guest::guests(victims, why)? {
        let names = node.disks.iter().map(|disk| disk.device.trim_start_matches("/dev/").to_owned());
        all.extend(names.map(|disk| (node, hit.domain.as_str(), disk)));
    }
    if all.is_empty() {
        return Err(FaultError::not_here(
            "none of the machines has an extra disk that could be pulled out",
            "ninguna de las máquinas tiene un disco extra que se pueda quitar",
        ));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::super::target::tests::decoded;
    use super::*;

    #[test]
    fn only_a_virtual_machine_can_lose_a_disk() {
        let fault = decoded("{node: worker2}", FAULT.decode).unwrap_or_else(|e| panic!("{e:?}"));
        assert!(fault.cannot(Ground::Lab).unwrap().en.contains("needs a virtual machine"));
        assert!(fault.cannot(Ground::Guests).is_none());
        assert!(fault.cannot(Ground::Host).unwrap().en.contains("only a lab has machines"));
    }
}

//! `isolate`: a machine's private networks, or all of a service's, are cut; what manages it is not.

use std::sync::Arc;

use async_trait::async_trait;

use super::machine::only_in_a_lab;
use super::netns::{Drop, Net, interfaces, private, set, unset};
use super::target::Kinds;
use super::{At, Fault, FaultError, FaultKind, Ground, Target, Undo, Victim, machine, service};
use crate::stack::Stack;
use crate::text::Text;

pub static FAULT: FaultKind = FaultKind {
    name: "isolate",
    summary: "The private networks of a machine, or the networks of a service's container, are cut in both directions; the way by which a machine is managed is not",
    example: "{isolate: {node: worker2}}",
    schema: || Target::schema(Kinds::Both),
    decode: |d| Some(Box::new(Isolate { target: Target::decode(d, Kinds::Both)? }) as Box<dyn Fault>),
};

struct Isolate {
    target: Target,
}

#[async_trait]
impl Fault for Isolate {
    fn target(&self) -> &Target {
        &self.target
    }

    fn cannot(&self, ground: Ground) -> Option<Text> {
        if self.target.on_machines() { only_in_a_lab(ground) } else { service::needs_root(ground) }
    }

    async fn inverse(&self, stack: &Arc<Stack>, victims: &[Victim]) -> Result<Vec<Undo>, FaultError> {
        let mut undos = Vec::new();
        for victim in victims {
            let (at, net, drops) = cut(stack, victim).await?;
            undos.extend(unset(&at, &victim.name(), &net, &drops));
        }
        Ok(undos)
    }

    async fn inject(&self, stack: &Arc<Stack>, victims: &[Victim]) -> Result<Vec<Text>, FaultError> {
        for victim in victims {
            let (_, net, drops) = cut(stack, victim).await?;
            let shell = match victim {
                Victim::Service(own) => stack.spot_of(own).shell.clone(),
                Victim::Machine(_, body) => body.seen_from(&stack.ground),
            };
            set(shell.as_ref(), &net, &drops).await?;
        }
        Ok(Vec::new())
    }
}

/// Where the rules are set, in which network, and what they drop.
async fn cut(stack: &Stack, victim: &Victim) -> Result<(At, Net, Vec<Drop>), FaultError> {
    match victim {
        Victim::Service(container) => {
            if container.namespace.is_empty() {
                return Err(no_network(victim));
            }
            Ok((service::at(stack, container), Net::of(container), vec![Drop::Everything]))
        }
        Victim::Machine(node, body) => {
            let addresses = private(body);
            if addresses.is_empty() {
                return Err(no_network(victim));
            }
            let (net, shell) = (Net::of_machine(body), body.seen_from(&stack.ground));
            let names = interfaces(shell.as_ref(), &net, &victim.name(), &addresses).await?;
            Ok((machine::at(node, body), net, names.into_iter().map(Drop::Interface).collect()))
        }
    }
}

fn no_network(victim: &Victim) -> FaultError {
    let name = victim.name();
    FaultError::not_here(
        format!("{name} has no network of its own that could be cut"),
        format!("{name} no tiene una red propia que se pueda cortar"),
    )
}

#[cfg(test)]
mod tests {
    use super::super::target::tests::decoded;
    use super::*;

    #[test]
    fn machines_of_a_lab_and_services_are_isolated() {
        let fault = |text| decoded(text, FAULT.decode).unwrap_or_else(|e| panic!("{e:?}"));
        let machine = fault("{node: others, pick: minority}");
        assert!(machine.cannot(Ground::Lab).is_none() && machine.cannot(Ground::Attached).is_some());
        assert!(fault("{role: db}").cannot(Ground::Lab).is_none());
        assert!(decoded("{role: db, node: first}", FAULT.decode).is_err());
    }
}

//! `partition`: machines in two groups that do not hear from each other: those who are hit, and the rest.

use std::net::Ipv4Addr;
use std::sync::Arc;

use async_trait::async_trait;

use super::machine::{cut, joined, machines, only_in_a_lab};
use super::netns::{Drop, private};
use super::target::Kinds;
use super::{Fault, FaultError, FaultKind, Ground, Target, Undo, Victim};
use crate::stack::{Found, Stack};
use crate::text::Text;

pub static FAULT: FaultKind = FaultKind {
    name: "partition",
    summary: "Machines in two groups that do not hear from each other: those who are hit, and the rest; each group goes on by itself",
    example: "{partition: {node: all, pick: minority}}",
    schema: || Target::schema(Kinds::Machines),
    decode: |d| Some(Box::new(Partition { target: Target::decode(d, Kinds::Machines)? }) as Box<dyn Fault>),
};

struct Partition {
    target: Target,
}

#[async_trait]
impl Fault for Partition {
    fn target(&self) -> &Target {
        &self.target
    }

    fn cannot(&self, ground: Ground) -> Option<Text> {
        only_in_a_lab(ground)
    }

    async fn inverse(&self, stack: &Arc<Stack>, victims: &[Victim]) -> Result<Vec<Undo>, FaultError> {
        Ok(joined(victims, &rest(stack, victims).await?))
    }

    async fn inject(&self, stack: &Arc<Stack>, victims: &[Victim]) -> Result<Vec<Text>, FaultError> {
        cut(stack, victims, &rest(stack, victims).await?).await?;
        Ok(Vec::new())
    }
}

/// What those who are hit hear no more of: every address of a machine that is up and not among them.
async fn rest(stack: &Stack, victims: &[Victim]) -> Result<Vec<Drop>, FaultError> {
    let hit: Vec<&str> = machines(victims).map(|(node, _)| node.name()).collect();
    let mut addresses: Vec<Ipv4Addr> = Vec::new();
    for node in stack.machines.nodes.iter().filter(|node| node.is_up() && !hit.contains(&node.name())) {
        // One that is down meanwhile hears nobody anyway.
        if let Ok(Found::Here(body)) = stack.machine(node).await {
            addresses.extend(private(&body));
        }
    }
    if addresses.is_empty() {
        return Err(FaultError::not_here(
            "there is no machine on the other side with a network of its own",
            "no hay ninguna máquina al otro lado con una red propia",
        ));
    }
    Ok(addresses.into_iter().map(Drop::Address).collect())
}

#[cfg(test)]
mod tests {
    use super::super::target::tests::decoded;
    use super::*;

    #[test]
    fn it_has_machines_on_both_sides() {
        let fault = decoded("{node: all, pick: minority}", FAULT.decode).unwrap_or_else(|e| panic!("{e:?}"));
        assert!(fault.cannot(Ground::Lab).is_none() && fault.cannot(Ground::Host).is_some());
        assert!(decoded("{role: db}", FAULT.decode).is_err());
    }
}

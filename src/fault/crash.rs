//! `crash`: a machine's power is cut: nothing on it ends by itself.

use std::sync::Arc;

use async_trait::async_trait;

use super::machine::{each, only_in_a_lab, power_off, up_again};
use super::target::Kinds;
use super::{Fault, FaultError, FaultKind, Ground, Target, Undo, Victim};
use crate::stack::Stack;
use crate::text::Text;

pub static FAULT: FaultKind = FaultKind {
    name: "crash",
    summary: "A machine's power is cut, and comes back when the fault is healed",
    example: "{crash: {node: others, pick: one}}",
    schema: || Target::schema(Kinds::Machines),
    decode: |d| Some(Box::new(Crash { target: Target::decode(d, Kinds::Machines)? }) as Box<dyn Fault>),
};

struct Crash {
    target: Target,
}

#[async_trait]
impl Fault for Crash {
    fn target(&self) -> &Target {
        &self.target
    }

    fn cannot(&self, ground: Ground) -> Option<Text> {
        only_in_a_lab(ground)
    }

    async fn inverse(&self, stack: &Arc<Stack>, victims: &[Victim]) -> Result<Vec<Undo>, FaultError> {
        up_again(stack, victims).await
    }

    async fn inject(&self, stack: &Arc<Stack>, victims: &[Victim]) -> Result<Vec<Text>, FaultError> {
        each(stack, victims, power_off).await?;
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::super::target::tests::decoded;
    use super::*;

    #[test]
    fn it_hits_machines_of_a_lab() {
        let fault = decoded("{node: others, pick: one}", FAULT.decode).unwrap_or_else(|e| panic!("{e:?}"));
        assert!(fault.cannot(Ground::Lab).is_none() && fault.cannot(Ground::Host).is_some());
        assert!(decoded("{node_of: db}", FAULT.decode).is_ok());
        assert!(decoded("{role: db}", FAULT.decode).is_err());
    }
}

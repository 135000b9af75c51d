//! `shutdown`: a machine is shut down in order: its services end by themselves.

use std::sync::Arc;

use async_trait::async_trait;

use super::machine::{Off, only_in_a_lab, turn_off, up_again};
use super::target::Kinds;
use super::{Fault, FaultError, FaultKind, Ground, Target, Undo, Victim};
use crate::stack::Stack;
use crate::text::Text;

pub static FAULT: FaultKind = FaultKind {
    name: "shutdown",
    summary: "A machine is shut down in order, and started when the fault is healed",
    example: "{shutdown: {node: worker2}}",
    schema: || Target::schema(Kinds::Machines),
    decode: |d| Some(Box::new(Shutdown { target: Target::decode(d, Kinds::Machines)? }) as Box<dyn Fault>),
};

struct Shutdown {
    target: Target,
}

#[async_trait]
impl Fault for Shutdown {
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
        turn_off(stack, victims, Off::Down).await?;
        Ok(Vec::new())
    }
}

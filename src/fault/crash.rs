//! `crash`: a machine's power is cut: nothing on it ends by itself, and nobody hears from it any more.
//!
//! When the processes of a container are killed, the kernel still closes their connections, and their peers know at once. A
//! machine without power says nothing: who talks to it waits until its patience ends. So what it sends is dropped first.

use std::sync::Arc;

use async_trait::async_trait;

use super::machine::{Off, cut, joined, only_in_a_lab, turn_off, up_again};
use super::netns::Drop;
use super::target::Kinds;
use super::{Fault, FaultError, FaultKind, Ground, Target, Undo, Victim};
use crate::stack::Stack;
use crate::text::Text;

pub static FAULT: FaultKind = FaultKind {
    name: "crash",
    summary: "A machine's power is cut: nothing on it ends by itself, no connection is closed; it comes back when the fault is healed",
    example: "{crash: {node: others, pick: one}}",
    schema: || Target::schema(Kinds::Machines),
    decode: |d| Some(Box::new(Crash { target: Target::decode(d, Kinds::Machines)? }) as Box<dyn Fault>),
};

/// It goes with the namespace that it is in.
const SILENT: [Drop; 1] = [Drop::Everything];

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
        // Where it was silenced and never went down.
        let mut undos = joined(victims, &SILENT);
        undos.extend(up_again(stack, victims).await?);
        Ok(undos)
    }

    async fn inject(&self, stack: &Arc<Stack>, victims: &[Victim]) -> Result<Vec<Text>, FaultError> {
        cut(stack, victims, &SILENT).await?;
        turn_off(stack, victims, Off::Power).await?;
        Ok(Vec::new())
    }
}

//! `reboot`: a machine is shut down in order and started at once.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::machine::{Off, only_in_a_lab, turn_off, up_again};
use super::target::Kinds;
use super::{Fault, FaultError, FaultKind, Ground, Target, Undo, Victim, heal, shells};
use crate::stack::Stack;
use crate::text::Text;

pub static FAULT: FaultKind = FaultKind {
    name: "reboot",
    summary: "A machine is shut down in order and starts again at once",
    example: "{reboot: {node_of: db}}",
    schema: || Target::schema(Kinds::Machines),
    decode: |d| Some(Box::new(Reboot { target: Target::decode(d, Kinds::Machines)? }) as Box<dyn Fault>),
};

/// Until all of them run again; what their services take is what is measured.
const STARTS: Duration = Duration::from_secs(90);

struct Reboot {
    target: Target,
}

#[async_trait]
impl Fault for Reboot {
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
        // Its files are noted while it is up: they are written anew when it starts.
        let undos = up_again(stack, victims).await?;
        turn_off(stack, victims, Off::Down).await?;
        heal(&undos, &shells(stack), STARTS).await?;
        Ok(Vec::new())
    }
}

//! `detach`: a machine's extra disk is pulled out. No machine that can be had here can lose one: it says so beforehand.

use std::sync::Arc;

use async_trait::async_trait;

use super::machine::only_in_a_lab;
use super::target::Kinds;
use super::{Fault, FaultError, FaultKind, Ground, Target, Undo, Victim};
use crate::stack::Stack;
use crate::text::Text;

pub static FAULT: FaultKind = FaultKind {
    name: "detach",
    summary: "A machine's extra disk is pulled out; needs a virtual machine",
    example: "{detach: {node: worker2}}",
    schema: || Target::schema(Kinds::Machines),
    decode: |d| Some(Box::new(Detach { target: Target::decode(d, Kinds::Machines)? }) as Box<dyn Fault>),
};

struct Detach {
    target: Target,
}

fn why() -> Text {
    Text::new(
        "a container node's disk is a loop device that its mount keeps; a detach needs a virtual machine",
        "el disco de un nodo en contenedor es un dispositivo loop que su montaje retiene; para soltarlo hace falta una máquina virtual",
    )
}

#[async_trait]
impl Fault for Detach {
    fn target(&self) -> &Target {
        &self.target
    }

    fn cannot(&self, ground: Ground) -> Option<Text> {
        only_in_a_lab(ground).or_else(|| Some(why()))
    }

    async fn inverse(&self, _stack: &Arc<Stack>, _victims: &[Victim]) -> Result<Vec<Undo>, FaultError> {
        let Text { en, es } = why();
        Err(FaultError::not_here(en, es))
    }

    async fn inject(&self, _stack: &Arc<Stack>, _victims: &[Victim]) -> Result<Vec<Text>, FaultError> {
        let Text { en, es } = why();
        Err(FaultError::not_here(en, es))
    }
}

#[cfg(test)]
mod tests {
    use super::super::target::tests::decoded;
    use super::*;

    #[test]
    fn nowhere_can_it_be_done_and_each_place_says_why() {
        let fault = decoded("{node: worker2}", FAULT.decode).unwrap_or_else(|e| panic!("{e:?}"));
        assert!(fault.cannot(Ground::Lab).unwrap().en.contains("needs a virtual machine"));
        assert!(fault.cannot(Ground::Host).unwrap().en.contains("only a lab has machines"));
    }
}

//! `pause`: a service's processes stand still, as on a machine that hangs: its port is open and nobody answers.

use std::sync::Arc;

use async_trait::async_trait;

use super::service::{at, containers, docker, is_not};
use super::target::Kinds;
use super::{At, Fault, FaultError, FaultKind, Target, Undo, Victim};
use crate::docker::Container;
use crate::exec::Cmd;
use crate::stack::Stack;
use crate::text::Text;

pub static FAULT: FaultKind = FaultKind {
    name: "pause",
    summary: "All processes of a service's container stand still, and what it was asked for hangs",
    example: "{pause: {role: db}}",
    schema: || Target::schema(Kinds::Services),
    decode: |d| Some(Box::new(Pause { target: Target::decode(d, Kinds::Services)? }) as Box<dyn Fault>),
};

struct Pause {
    target: Target,
}

fn going_on(at: At, container: &Container) -> Undo {
    let (id, name) = (&container.id, &container.name);
    let what = Text::new(format!("container {name} goes on"), format!("el contenedor {name} sigue"));
    // One that ended, or is gone, stands still no more.
    Undo::new(at, Cmd::new(["docker", "unpause", id]), is_not(id, &["paused"]), what)
}

#[async_trait]
impl Fault for Pause {
    fn target(&self) -> &Target {
        &self.target
    }

    async fn inverse(&self, stack: &Arc<Stack>, victims: &[Victim]) -> Result<Vec<Undo>, FaultError> {
        Ok(containers(victims).map(|container| going_on(at(stack, container), container)).collect())
    }

    async fn inject(&self, stack: &Arc<Stack>, victims: &[Victim]) -> Result<Vec<Text>, FaultError> {
        for container in containers(victims) {
            docker(stack, container, &Cmd::new(["docker", "pause", &container.id]).timeout(super::ASKED)).await?;
        }
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::super::target::tests::decoded;
    use super::*;

    #[test]
    fn what_stands_still_goes_on() {
        assert!(decoded("{role: db, pick: minority}", FAULT.decode).is_ok());
        assert!(decoded("{}", FAULT.decode).is_err());
        let container = Container { id: "abc".into(), name: "x_db_1".into(), ..Container::default() };
        let undo = going_on(At::Node("w1".into()), &container);
        assert_eq!(undo.at, At::Node("w1".into()));
        assert_eq!(undo.run.to_string(), "docker unpause abc");
        let proof = undo.proof.run.to_string();
        assert_eq!(proof, "docker ps --all --quiet --no-trunc --filter id=abc --filter status=paused");
    }
}

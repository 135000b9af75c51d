//! `stop`: a service is stopped as its owner would stop it, and stays so until it is started again.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::service::{all_started, containers, docker};
use super::target::Kinds;
use super::{Fault, FaultError, FaultKind, Target, Undo, Victim};
use crate::exec::Cmd;
use crate::stack::Stack;
use crate::text::Text;

pub static FAULT: FaultKind = FaultKind {
    name: "stop",
    summary: "A service's container is stopped, as `docker stop` does it; no restart policy answers to that, an orchestrator does",
    example: "{stop: {role: db}}",
    schema: || Target::schema(Kinds::Services),
    decode: |d| Some(Box::new(Stop { target: Target::decode(d, Kinds::Services)? }) as Box<dyn Fault>),
};

/// Between TERM and KILL: what the client gives where nobody says anything.
const GRACE: Duration = Duration::from_secs(10);

struct Stop {
    target: Target,
}

fn stopping(id: &str) -> Cmd {
    Cmd::new(["docker", "stop", "--time", &GRACE.as_secs().to_string(), id]).timeout(GRACE + super::ASKED)
}

#[async_trait]
impl Fault for Stop {
    fn target(&self) -> &Target {
        &self.target
    }

    /// In a swarm there is none: another container is put in its place.
    async fn inverse(&self, stack: &Arc<Stack>, victims: &[Victim]) -> Result<Vec<Undo>, FaultError> {
        all_started(stack, victims).await
    }

    async fn inject(&self, stack: &Arc<Stack>, victims: &[Victim]) -> Result<Vec<Text>, FaultError> {
        for container in containers(victims) {
            docker(stack, container, &stopping(&container.id)).await?;
        }
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::super::target::tests::decoded;
    use super::*;

    #[test]
    fn a_service_is_stopped_with_the_usual_grace() {
        assert!(decoded("{role: db}", FAULT.decode).is_ok());
        assert!(decoded("{role: db, signal: TERM}", FAULT.decode).is_err());
        assert_eq!(stopping("abc").to_string(), "docker stop --time 10 abc");
        assert!(stopping("abc").timeout.unwrap() > GRACE);
    }
}

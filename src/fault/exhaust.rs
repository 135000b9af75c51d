//! `exhaust_memory`: a service's memory is used up until the kernel kills a process of its own for it.
//!
//! What takes the memory has next to nothing that the kernel counts as its own (`agent/exhaust`), so that it is the service that
//! is killed, as when it had taken the memory itself. Never without a limit: then the machine's memory would be used up.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::service::{containers, left_as_found, needs_root, now};
use super::target::Kinds;
use super::{Fault, FaultError, FaultKind, Ground, Target, Undo, Victim};
use crate::agent::exhaust::{OUTSIDE, UNHARMED};
use crate::docker::Container;
use crate::exec::Output;
use crate::notice::Reason;
use crate::sanitize;
use crate::stack::Stack;
use crate::text::Text;

pub static FAULT: FaultKind = FaultKind {
    name: "exhaust_memory",
    summary: "The memory that a service may have is used up, from outside, until the kernel kills a process of the service for it; nothing is done where no limit is in force",
    example: "{exhaust_memory: {role: app}}",
    schema: || Target::schema(Kinds::Services),
    decode: |d| Some(Box::new(Exhaust { target: Target::decode(d, Kinds::Services)? }) as Box<dyn Fault>),
};

const TAKES: Duration = Duration::from_secs(60);
/// What the engine says after a kill that it has not heard of yet.
const HEARD: Duration = Duration::from_millis(500);

struct Exhaust {
    target: Target,
}

#[async_trait]
impl Fault for Exhaust {
    fn target(&self) -> &Target {
        &self.target
    }

    fn cannot(&self, ground: Ground) -> Option<Text> {
        needs_root(ground)
    }

    async fn inverse(&self, stack: &Arc<Stack>, victims: &[Victim]) -> Result<Vec<Undo>, FaultError> {
        left_as_found(stack, victims).await
    }

    async fn inject(&self, stack: &Arc<Stack>, victims: &[Victim]) -> Result<Vec<Text>, FaultError> {
        let mut notes = Vec::new();
        for container in containers(victims) {
            notes.push(exhaust(stack, container).await?);
        }
        Ok(notes)
    }
}

async fn exhaust(stack: &Stack, container: &Container) -> Result<Text, FaultError> {
    let container = now(stack, container).await?;
    let service = &container.service;
    let spot = stack.spot_of(&container);
    let group = stack.memory_group(&container).await?;
    let Some(limit) = group.limit else {
        return Err(FaultError::not_here(
            format!("{service} has no memory limit in force: its memory is the machine's own, which is not used up"),
            format!("{service} no tiene límite de memoria en vigor: su memoria es la de la máquina, que no se agota"),
        ));
    };
    let Some(bytes) = spot.more_than(limit).await? else {
        let mib = limit >> 20;
        return Err(FaultError::not_here(
            format!("the limit of {service}, {mib} MiB, is too large to be used up on this machine"),
            format!("el límite de {service}, {mib} MiB, es demasiado grande para agotarlo en esta máquina"),
        ));
    };
    let ended = spot.agents.exhaust(&group.folder, bytes, TAKES).await?;
    tokio::time::sleep(HEARD).await;
    let died = match spot.engine.container(&container.id).await {
        Ok(now) => !now.is_same_start(&container),
        Err(error) if error.is_missing() => true,
        Err(error) => return Err(error.into()),
    };
    killed(service, limit, &ended, died)
}

/// Who was killed, in words.
fn killed(service: &str, limit: u64, ended: &Output, died: bool) -> Result<Text, FaultError> {
    let mib = limit >> 20;
    let said = sanitize::line(ended.out().trim(), 100);
    let status = u8::try_from(ended.status).unwrap_or(u8::MAX);
    match (status, died) {
        (OUTSIDE, _) => Err(FaultError::ours(
            format!("no memory could be taken within the limit of {service}"),
            format!("no se pudo tomar memoria dentro del límite de {service}"),
        )),
        // Its processes may be killed all together, ours with them.
        (0, _) | (137, true) => {
            let who = if said.is_empty() { service.to_owned() } else { said };
            let (main, es) = match (died, service) {
                (true, _) => ("", ""),
                (false, _) => (", not its main process", ", no su proceso principal"),
            };
            Ok(Text::new(
                format!("at the limit of {mib} MiB the kernel killed {who}{main}"),
                format!("en el límite de {mib} MiB el núcleo mató a {who}{es}"),
            ))
        }
        (137, false) => Err(FaultError::not_here(
            format!("the processes of {service} are too small: the kernel killed ours in their place"),
            format!("los procesos de {service} son demasiado pequeños: el núcleo mató el nuestro en su lugar"),
        )),
        (UNHARMED, _) => Err(FaultError::not_here(
            format!("all the memory of {service} could be taken, beyond its {mib} MiB, and nothing was killed"),
            format!("se pudo tomar toda la memoria de {service}, más allá de sus {mib} MiB, y no se mató nada"),
        )),
        (other, _) => Err(FaultError::new(
            Reason::Imparcial,
            format!("what takes the memory of {service} ended with status {other}: {said}"),
            format!("lo que toma la memoria de {service} terminó con estado {other}: {said}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::target::tests::decoded;
    use super::*;

    #[test]
    fn it_is_a_service_that_is_hit() {
        assert!(decoded("{role: app}", FAULT.decode).is_ok());
        assert!(decoded("{node: first}", FAULT.decode).is_err());
    }

    #[test]
    fn who_was_killed_is_told_and_what_is_ours_is_nobodys_fault() {
        let ended = |status, out: &str| Output { status, stdout: out.into(), ..Output::default() };
        let said = |status, out, died| killed("app", 128 << 20, &ended(status, out), died);
        assert_eq!(said(0, "python\n", true).unwrap().en, "at the limit of 128 MiB the kernel killed python");
        assert!(said(0, "gunicorn\n", false).unwrap().en.ends_with("gunicorn, not its main process"));
        assert!(said(137, "", true).unwrap().en.ends_with("killed app"));
        for (status, died) in [(137, false), (i32::from(UNHARMED), false)] {
            assert_eq!(said(status, "", died).unwrap_err().reason, Reason::NotHere);
        }
        assert_eq!(said(i32::from(OUTSIDE), "", false).unwrap_err().reason, Reason::Imparcial);
        assert_eq!(said(1, "", false).unwrap_err().reason, Reason::Imparcial);
    }
}

//! `kill`: the main process of a service dies by a signal, as in a crash.
//!
//! The signal is sent to its number by the machine that it runs on, never by the engine: that takes a kill of its own for
//! somebody's wish that the container stay down, and the submission's restart policy would not answer.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::service::{containers, left_as_found, needs_root, now};
use super::target::Kinds;
use super::{Fault, FaultError, FaultKind, Ground, Target, Undo, Victim};
use crate::docker::Container;
use crate::exec::{Cmd, Shell, ShellExt};
use crate::stack::Stack;
use crate::text::Text;

pub static FAULT: FaultKind = FaultKind {
    name: "kill",
    summary: "The main process of a service dies by a signal that is sent from outside of its container; a restart policy answers",
    example: "{kill: {role: app}}",
    schema: || {
        let signal = json!({"enum": SIGNALS, "description": "KILL where nothing is said"});
        Target::schema_with(Kinds::Services, &json!({"signal": signal}))
    },
    decode: |d| {
        let signal = d.word("signal", SIGNALS).unwrap_or("KILL");
        let target = Target::decode(d, Kinds::Services)?;
        Some(Box::new(Kill { target, signal }) as Box<dyn Fault>)
    },
};

const SIGNALS: &[&str] = &["KILL", "TERM", "INT", "HUP", "QUIT", "ABRT", "SEGV"];
/// Until the engine knows that it died. A process may take its time to answer another signal than KILL.
const DIES_WITHIN: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_millis(50);

struct Kill {
    target: Target,
    signal: &'static str,
}

#[async_trait]
impl Fault for Kill {
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
        let mut hit = Vec::new();
        for container in containers(victims) {
            let container = now(stack, container).await?;
            signal(stack.spot_of(&container).shell.as_ref(), &container, self.signal).await?;
            hit.push(container);
        }
        for container in &hit {
            if !died(stack, container).await? {
                let (name, signal) = (&container.name, self.signal);
                return Err(FaultError::not_here(
                    format!("{name} goes on after {signal}: nothing was broken"),
                    format!("{name} sigue después de {signal}: no se rompió nada"),
                ));
            }
        }
        Ok(Vec::new())
    }
}

/// Sends it, after a look that the number is still the container's.
async fn signal(shell: &dyn Shell, container: &Container, signal: &str) -> Result<(), FaultError> {
    let (pid, name) = (container.pid.to_string(), &container.name);
    let groups = shell.run(&Cmd::new(["cat", &format!("/proc/{pid}/cgroup")]).timeout(super::ASKED)).await?;
    if !groups.ok() || !groups.out().contains(&container.id) {
        return Err(FaultError::host(
            format!("process {pid} is not of {name} any more; it was not hit"),
            format!("el proceso {pid} ya no es de {name}; no se le envió nada"),
        ));
    }
    shell.must(&Cmd::new(["kill", &format!("-{signal}"), &pid]).timeout(super::ASKED)).await?;
    Ok(())
}

/// Whether that start of it has ended, as the engine knows it.
async fn died(stack: &Stack, container: &Container) -> Result<bool, FaultError> {
    let deadline = Instant::now() + DIES_WITHIN;
    loop {
        match stack.spot_of(container).engine.container(&container.id).await {
            Ok(now) if now.is_same_start(container) => {}
            Ok(_) => return Ok(true),
            Err(error) if error.is_missing() => return Ok(true),
            Err(error) => return Err(error.into()),
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        sleep(AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use super::super::target::tests::decoded;
    use super::*;
    use crate::exec::scripted::{Reply, Scripted};

    #[test]
    fn a_service_and_a_signal() {
        assert!(decoded("{role: app}", FAULT.decode).is_ok());
        assert!(decoded("{role: app, signal: TERM, pick: one}", FAULT.decode).is_ok());
        let wrong = decoded("{role: app, signal: STOP}", FAULT.decode).err().unwrap();
        assert_eq!(wrong, ["1:21 unknown value `STOP` for `signal`"]);
        assert!(decoded("{node: first}", FAULT.decode).is_err());
    }

    #[tokio::test]
    async fn only_a_process_of_the_container_is_hit() {
        let container = Container { id: "c0ffee".into(), pid: 42, name: "x_app_1".into(), ..Container::default() };
        let groups = |text: &str| Scripted::default().on(["cat", "/proc/42/cgroup"], vec![Reply::out(text)]);
        let shell = groups("0::/docker/c0ffee\n").on(["kill"], vec![Reply::out("")]);
        signal(&shell, &container, "TERM").await.unwrap();
        assert_eq!(shell.asked(), ["cat /proc/42/cgroup", "kill -TERM 42"]);
        let other = groups("0::/docker/beef\n");
        let error = signal(&other, &container, "KILL").await.unwrap_err();
        assert!(error.text.en.contains("not of x_app_1 any more"));
        assert_eq!(other.asked().len(), 1);
    }
}

//! A machine as a place that services can run on: its own engine, our agent in it, and an address.

use std::sync::Arc;
use std::time::Duration;

use crate::agent::{AgentShell, Agents, BINARY};
use crate::backend::BackendError;
use crate::docker::Engine;
use crate::exec::container::Container;
use crate::exec::{Cmd, Shell, ShellExt};
use crate::stack::Spot;
use crate::stack::machines::Node;
use crate::text::Text;

/// An engine that a play has just started answers within seconds.
const ANSWERS_WITHIN: Duration = Duration::from_secs(15);

/// The machine, where it is up and its engine answers; else why it is none.
pub async fn spot(ground: &Spot, node: &Node) -> Result<Spot, BackendError> {
    let name = node.name();
    let Some(container) = node.container.as_ref().filter(|_| node.is_up()) else {
        return Err(none(format!("machine {name} is not up"), format!("la máquina {name} no está en marcha")));
    };
    let under: Arc<dyn Shell> = Arc::new(Container::new(ground.shell.clone(), container.clone()));
    let agents = Agents::new(under.clone(), BINARY);
    let shell: Arc<dyn Shell> = Arc::new(AgentShell::new(agents.clone(), under));
    // Asked of the service manager first: a client's message does not tell an engine that was never started from a slow one.
    let ask = Cmd::new(["systemctl", "is-active", "docker.service"]).timeout(ANSWERS_WITHIN);
    let state = shell.run(&ask).await?.out().trim().to_owned();
    let listens = Cmd::new(["test", "-S", "/var/run/docker.sock"]).timeout(ANSWERS_WITHIN);
    if !matches!(state.as_str(), "active" | "activating" | "reloading") && !shell.run(&listens).await?.ok() {
        return Err(none(
            format!("no container engine runs on machine {name}"),
            format!("en la máquina {name} no corre ningún motor de contenedores"),
        ));
    }
    let engine = Engine::over(shell.clone()).await?;
    let address = match node.def.addresses.first() {
        Some(address) => address.clone(),
        None => own_address(shell.as_ref()).await?,
    };
    Ok(Spot { node: Some(name.to_owned()), engine, shell, agents, address })
}

/// Of a machine without a private network: the one that the lab gave it.
async fn own_address(shell: &dyn Shell) -> Result<String, BackendError> {
    let said = shell.must(&Cmd::new(["hostname", "--all-ip-addresses"]).timeout(ANSWERS_WITHIN)).await?;
    Ok(said.out().split_whitespace().next().unwrap_or("127.0.0.1").to_owned())
}

fn none(en: String, es: String) -> BackendError {
    BackendError::Other(Text::new(en, es))
}

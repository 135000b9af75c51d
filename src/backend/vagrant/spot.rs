//! A machine as a place that services can run on: its own engine, our agent in it, and an address.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::agent::{AgentShell, Agents, BINARY, Look, Root, Sight, dial};
use crate::backend::BackendError;
use crate::docker::Engine;
use crate::exec::container::Container;
use crate::exec::{Cmd, Shell, ShellExt};
use crate::stack::Spot;
use crate::stack::machines::Node;
use crate::text::Text;

/// An engine that a play has just started answers within seconds.
const ANSWERS_WITHIN: Duration = Duration::from_secs(15);
/// A submission of a hundred MB, by way of an emulated processor.
const CARRIED_WITHIN: Duration = Duration::from_secs(120);

/// The machine, where it is up and its engine answers; else why it is none.
pub async fn spot(ground: &Spot, node: &Node) -> Result<Spot, BackendError> {
    let name = node.name();
    if let Some(guest) = node.guest.as_ref().filter(|_| node.is_up()) {
        return with_engine(node, guest.shell.clone(), guest.agents.clone()).await;
    }
    let Some(container) = node.container.as_ref().filter(|_| node.is_up()) else {
        return Err(none(format!("machine {name} is not up"), format!("la máquina {name} no está en marcha")));
    };
    genuine(ground, name, container).await?;
    let under: Arc<dyn Shell> = Arc::new(Container::new(ground.shell.clone(), container.clone()));
    let agents = Agents::new(under.clone(), BINARY);
    let shell: Arc<dyn Shell> = Arc::new(AgentShell::new(agents.clone(), under));
    with_engine(node, shell, agents).await
}

async fn with_engine(node: &Node, shell: Arc<dyn Shell>, agents: Agents) -> Result<Spot, BackendError> {
    let name = node.name();
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
    let engine = Engine::behind(shell.clone(), dial::engine()).await?;
    let mut declared = node.def.addresses.iter().map(|address| address.trim().split('/').next().unwrap_or_default());
    let address = match declared.find(|address| address.parse::<IpAddr>().is_ok()) {
        Some(address) => address.to_owned(),
        None => own_address(shell.as_ref()).await?,
    };
    Ok(Spot { node: Some(name.to_owned()), engine, shell, agents, address })
}

/// Gives a virtual machine a copy of a folder of the lab: it has none of its lab's files.
pub async fn carry(ground: &Spot, node: &Node, folder: &str) -> Result<(), BackendError> {
    let Some(guest) = &node.guest else { return Ok(()) };
    guest.shell.must(&Cmd::new(["mkdir", "-p", folder]).timeout(ANSWERS_WITHIN)).await?;
    let client = crate::exec::ssh::Ssh::client().join(" ");
    let to = format!("vagrant@{}:{folder}/", guest.address);
    let rsync =
        Cmd::new(["rsync", "-a", "--delete", "--rsync-path=sudo rsync", "-e", &client, &format!("{folder}/"), &to]);
    ground.shell.must(&rsync.timeout(CARRIED_WITHIN)).await?;
    Ok(())
}

/// That what the machine has under our executable's name is the lab's own: who is root there can mount something else over it.
async fn genuine(ground: &Spot, name: &str, container: &str) -> Result<(), BackendError> {
    let pid = ground.engine.container(container).await?.pid;
    let lab = ground.agents.lab().await?;
    let mut seen = Vec::new();
    for root in [Root::Folder("/".into()), Root::Process { pid, container: container.to_owned() }] {
        let look = Look::Path { root, path: BINARY.to_owned(), max_bytes: 0 };
        match lab.look(look, ANSWERS_WITHIN).await? {
            Sight::Path { seen: Some(path) } => seen.push((path.device, path.inode)),
            _ => break,
        }
    }
    if matches!(seen.as_slice(), [own, there] if own == there) {
        return Ok(());
    }
    Err(none(
        format!("machine {name} has something else where imparcial looks from"),
        format!("la máquina {name} tiene otra cosa en el lugar desde donde mira imparcial"),
    ))
}

/// Of a machine without a private network: the one that the lab gave it.
async fn own_address(shell: &dyn Shell) -> Result<String, BackendError> {
    let said = shell.must(&Cmd::new(["hostname", "--all-ip-addresses"]).timeout(ANSWERS_WITHIN)).await?;
    let first = said.out().split_whitespace().next().map(str::to_owned);
    first.ok_or_else(|| none("the machine has no address".to_owned(), "la máquina no tiene dirección".to_owned()))
}

fn none(en: String, es: String) -> BackendError {
    BackendError::Other(Text::new(en, es))
}

//! What the faults of machines share: how one is turned off and started again.
//!
//! A virtual machine's power is the hypervisor's (`guest.rs`). An engine writes some files of a container anew at each start. On a
//! machine they are files like any other: what a play wrote into them is there after a start. So they are noted before, where the
//! node itself finds them at its start (`vagrant/images/node/node-start`), and put back besides.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use super::guest;
use super::netns::{self, Drop, Net};
use super::target::shown;
use super::{At, FaultError, Ground, Proof, Undo, Victim};
use crate::docker::Container;
use crate::exec::{Cmd, ShellExt};
use crate::stack::machines::Node;
use crate::stack::{Body, Stack};
use crate::text::Text;

/// The start of a node returns when its first process runs.
const STARTS: Duration = Duration::from_secs(60);
/// A larger file is none that an engine writes.
const MOST: usize = 1 << 20;
/// In the lab, and for nodes to read: a folder for each container.
const NOTED: &str = "/usr/local/share/imparcial/node/noted";

/// The machines among those who are hit: a target of machines has no others.
pub(crate) fn machines(victims: &[Victim]) -> impl Iterator<Item = (&Node, &Body)> {
    victims.iter().filter_map(|victim| match victim {
        Victim::Machine(node, body) => Some((&**node, &**body)),
        Victim::Service(_) => None,
    })
}

/// Whether it is known not to run now.
pub(crate) async fn is_off(stack: &Stack, body: &Body) -> bool {
    match body {
        Body::Container(container) => {
            stack.ground.engine.container(&container.id).await.is_ok_and(|now| !now.running())
        }
        Body::Guest(started) => guest::is_off(stack, &started.guest.domain).await,
    }
}

/// Drops these packets at every machine that is hit.
pub(super) async fn cut(stack: &Stack, victims: &[Victim], drops: &[Drop]) -> Result<(), FaultError> {
    for (_, body) in machines(victims).filter(|(_, body)| !silenced_from_inside(drops, body)) {
        netns::set(body.seen_from(&stack.ground).as_ref(), &Net::of_machine(body), drops).await?;
    }
    Ok(())
}

/// What undoes that.
pub(super) fn joined(victims: &[Victim], drops: &[Drop]) -> Vec<Undo> {
    machines(victims)
        .filter(|(_, body)| !silenced_from_inside(drops, body))
        .flat_map(|(node, body)| netns::unset(&at(node, body), &shown(node.name()), &Net::of_machine(body), drops))
        .collect()
}

/// Rules in a virtual machine that drop everything would cut off whoever sets them. Its power is cut at once, and it says nothing
/// any more by itself.
fn silenced_from_inside(drops: &[Drop], body: &Body) -> bool {
    matches!(body, Body::Guest(_)) && drops.contains(&Drop::Everything)
}

/// Where commands run that change something about a machine.
pub(super) fn at(node: &Node, body: &Body) -> At {
    match body {
        Body::Container(_) => At::Ground,
        Body::Guest(_) => At::Node(node.name().to_owned()),
    }
}

/// Only a lab has machines that may be hit.
pub(super) fn only_in_a_lab(ground: Ground) -> Option<Text> {
    (!ground.is_lab()).then(|| {
        Text::new(
            "only a lab has machines that are imparcial's to break: leave `--place host` and `--attach` out",
            "solo un laboratorio tiene máquinas que imparcial puede dañar: quite `--place host` y `--attach`",
        )
    })
}

/// The machines up again, their files as they were.
///
/// # Errors
/// A file cannot be read: what it held could not be put back.
pub(super) async fn up_again(stack: &Arc<Stack>, victims: &[Victim]) -> Result<Vec<Undo>, FaultError> {
    let mut undos = Vec::new();
    let mut all: Vec<(&Node, &Container)> = Vec::new();
    for (node, body) in machines(victims) {
        match body {
            Body::Container(container) => all.push((node, container)),
            Body::Guest(started) => undos.push(guest::running(&shown(node.name()), &started.guest.domain)),
        }
    }
    all.sort_by_key(|(_, container)| managed_at(container));
    for (node, container) in all {
        let name = shown(node.name());
        let shell = &stack.ground.shell;
        undos.push(started(&name, container));
        let noted = format!("{NOTED}/{}", container.id);
        shell.must(&Cmd::new(["mkdir", "-p", &noted]).timeout(super::ASKED)).await?;
        for path in rewritten(container) {
            let content = shell.must(&Cmd::new(["cat", "--", &path]).timeout(super::ASKED)).await?.stdout;
            if content.len() > MOST {
                return Err(FaultError::not_here(
                    format!("{path} of machine {name} is too large to be put back after a start"),
                    format!("{path} de la máquina {name} es demasiado grande para reponerlo tras un arranque"),
                ));
            }
            let file = path.rsplit('/').next().unwrap_or_default();
            let note = Cmd::new(["tee", "--", &format!("{noted}/{file}")]).stdin(content.clone());
            shell.must(&note.timeout(super::ASKED)).await?;
            undos.push(put_back(&name, &path, content));
        }
    }
    Ok(undos)
}

/// The address by which a machine is managed. An engine gives the lowest that is free: started in this order, each machine
/// has its own again.
fn managed_at(container: &Container) -> Option<Ipv4Addr> {
    container.addresses.get("bridge")?.parse().ok()
}

fn started(name: &str, container: &Container) -> Undo {
    let run = Cmd::new(["docker", "start", &container.id]).timeout(STARTS);
    let ask = Cmd::new(["docker", "inspect", "--type=container", "--format={{.State.Running}}", &container.id]);
    let what = Text::new(format!("machine {name} is up"), format!("la máquina {name} está en marcha"));
    Undo::new(At::Ground, run, Proof::says(ask, "true"), what)
}

/// The files of a container that its engine writes at each start, on the engine's machine.
fn rewritten(container: &Container) -> Vec<String> {
    let hosts = &container.hosts_path;
    let hostname = hosts.strip_suffix("/hosts").map(|folder| format!("{folder}/hostname"));
    let all = [Some(hosts.clone()), Some(container.resolv_conf_path.clone()), hostname];
    all.into_iter().flatten().filter(|path| !path.is_empty()).collect()
}

/// Written in place: the node has it mounted.
fn put_back(name: &str, path: &str, content: Vec<u8>) -> Undo {
    let file = path.rsplit('/').next().unwrap_or(path);
    let same = Cmd::new(["cmp", "--quiet", "--", path, "-"]).stdin(content.clone());
    let what = Text::new(
        format!("/etc/{file} of machine {name} is as it was"),
        format!("/etc/{file} de la máquina {name} está como estaba"),
    );
    Undo::new(At::Ground, Cmd::new(["tee", "--", path]).stdin(content), Proof::ok(same), what)
}

/// Ends all of a machine at once, as a cut of its power does.
async fn power_off(stack: &Stack, body: &Body) -> Result<(), FaultError> {
    let cmd = match body {
        Body::Container(container) => Cmd::new(["docker", "kill", &container.id]),
        Body::Guest(started) => guest::cut_off(&started.guest.domain),
    };
    stack.ground.shell.must(&cmd.timeout(STARTS)).await?;
    Ok(())
}

/// Lets a machine end by itself: its services first.
async fn shut_down(stack: &Stack, body: &Body) -> Result<(), FaultError> {
    match body {
        Body::Container(container) => {
            let grace = SHUTS_DOWN.as_secs().to_string();
            let stop = Cmd::new(["docker", "stop", "--time", &grace, &container.id]);
            stack.ground.shell.must(&stop.timeout(SHUTS_DOWN + super::ASKED)).await?;
            Ok(())
        }
        Body::Guest(started) => guest::shut_down(stack, &started.guest, SHUTS_DOWN).await,
    }
}

/// How a machine is turned off.
#[derive(Clone, Copy, Debug)]
pub(super) enum Off {
    /// At once.
    Power,
    /// In order.
    Down,
}

/// How long the services of a machine may take to end.
const SHUTS_DOWN: Duration = Duration::from_secs(45);

/// Turns every machine off at the same time: a power cut hits them together.
pub(super) async fn turn_off(stack: &Arc<Stack>, victims: &[Victim], off: Off) -> Result<(), FaultError> {
    let all = machines(victims).map(|(_, body)| async move {
        match off {
            Off::Power => power_off(stack, body).await,
            Off::Down => shut_down(stack, body).await,
        }
    });
    for done in futures_util::future::join_all(all).await {
        done?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::target::tests::decoded;
    use super::super::{crash, reboot, shutdown};
    use super::*;

    #[test]
    fn a_whole_machine_of_a_lab_is_hit() {
        for kind in [&crash::FAULT, &shutdown::FAULT, &reboot::FAULT] {
            let name = kind.name;
            let fault = decoded("{node: others, pick: one}", kind.decode).unwrap_or_else(|e| panic!("{name}: {e:?}"));
            assert!(fault.cannot(Ground::Lab).is_none() && fault.cannot(Ground::Host).is_some(), "{name}");
            assert!(decoded("{node_of: db}", kind.decode).is_ok(), "{name}");
            assert!(decoded("{role: db}", kind.decode).is_err(), "{name}");
        }
    }

    #[test]
    fn files_that_an_engine_writes_anew_are_put_back_in_place() {
        let container = Container {
            id: "abc".into(),
            hosts_path: "/var/lib/docker/containers/abc/hosts".into(),
            resolv_conf_path: "/var/lib/docker/containers/abc/resolv.conf".into(),
            ..Container::default()
        };
        let names: Vec<String> =
            rewritten(&container).iter().map(|path| path.rsplit('/').next().unwrap().to_owned()).collect();
        assert_eq!(names, ["hosts", "resolv.conf", "hostname"]);
        assert!(rewritten(&Container::default()).is_empty());
        let at = |address: &str| Container {
            addresses: [("bridge".to_owned(), address.to_owned())].into(),
            ..Container::default()
        };
        assert!(managed_at(&at("172.28.0.9")) < managed_at(&at("172.28.0.10")));
        let undo = put_back("w1", "/c/hosts", b"1.2.3.4 db\n".to_vec());
        assert_eq!(
            (undo.run.to_string(), undo.proof.run.to_string()),
            ("tee -- /c/hosts".into(), "cmp --quiet -- /c/hosts -".into())
        );
        assert_eq!(undo.run.stdin, undo.proof.run.stdin);
        assert_eq!(undo.what.en, "/etc/hosts of machine w1 is as it was");
    }

    #[test]
    fn a_machine_is_started_again() {
        let container = Container { id: "abc".into(), ..Container::default() };
        let undo = started("w1", &container);
        assert_eq!(undo.run.to_string(), "docker start abc");
        assert_eq!(undo.proof.says.as_deref(), Some("true"));
        assert!(only_in_a_lab(Ground::Lab).is_none());
        assert!(only_in_a_lab(Ground::Host).is_some() && only_in_a_lab(Ground::Attached).is_some());
    }
}

//! What the faults of services share: the container as it is when it is hit, and how it is started again.

use crate::docker::Container;
use crate::exec::{Cmd, ShellExt};
use crate::stack::Stack;
use crate::text::Text;

use super::{At, FaultError, Ground, Proof, Undo, Victim};

/// Where a container's engine is.
pub(super) fn at(stack: &Stack, container: &Container) -> At {
    match &stack.spot_of(container).node {
        Some(name) => At::Node(name.clone()),
        None => At::Ground,
    }
}

/// The services among those who are hit: a target of services has no others.
pub(super) fn containers(victims: &[Victim]) -> impl Iterator<Item = &Container> {
    victims.iter().filter_map(|victim| match victim {
        Victim::Service(container) => Some(&**container),
        Victim::Machine(..) => None,
    })
}

/// The container as it is right before it is hit.
///
/// # Errors
/// It ended by itself meanwhile: nothing could be told from hitting it.
pub(super) async fn now(stack: &Stack, container: &Container) -> Result<Container, FaultError> {
    let now = stack.spot_of(container).engine.container(&container.id).await?;
    if now.running() && now.pid > 0 {
        return Ok(Container { spot: container.spot, ..now });
    }
    let name = &container.name;
    Err(FaultError::host(
        format!("{name} had ended by itself before it was hit"),
        format!("{name} había terminado por sí mismo antes de recibir la falla"),
    ))
}

/// Runs a command of the docker client where the container is.
pub(super) async fn docker(stack: &Stack, container: &Container, cmd: &Cmd) -> Result<(), FaultError> {
    stack.spot_of(container).shell.must(cmd).await?;
    Ok(())
}

/// What is done past an engine takes root, which a lab has.
pub(super) fn needs_root(ground: Ground) -> Option<Text> {
    (!ground.is_lab() && !nix::unistd::geteuid().is_root()).then(|| {
        Text::new(
            "it takes root on this machine: run imparcial as root, or leave `--place host` and `--attach` out",
            "hace falta ser root en esta máquina: ejecute imparcial como root, o quite `--place host` y `--attach`",
        )
    })
}

/// That the engine lists no container of this id in any of these states; in none at all where none is named.
pub(super) fn is_not(id: &str, states: &[&str]) -> Proof {
    let filter = |what: String| ["--filter".to_owned(), what];
    let states = states.iter().map(|state| filter(format!("status={state}")));
    let ask = Cmd::new(["docker", "ps", "--all", "--quiet", "--no-trunc"]).args(filter(format!("id={id}")));
    Proof::says(ask.args(states.flatten()), "")
}

/// Starts a container that was ended, as it is. Proven by a start later than the one that was seen, whatever came of that: one
/// that dies by itself afterwards was put back all the same.
pub fn started(at: At, container: &Container, started_at: &str) -> Undo {
    let (id, name) = (&container.id, &container.name);
    let template =
        format!("{{{{if eq .State.StartedAt {started_at:?}}}}}{{{{.State.Running}}}}{{{{else}}}}true{{{{end}}}}");
    let ask = Cmd::new(["docker", "inspect", "--type=container", "--format", &template, id]);
    let what = Text::new(format!("container {name} is started"), format!("el contenedor {name} está arrancado"));
    Undo::new(at, Cmd::new(["docker", "start", id]), Proof::says(ask, "true"), what).unless(is_not(id, &[]))
}

/// Starts those who were ended and were not started by anything since: for who wants to go on with a stack that is whole.
///
/// # Errors
/// The engine does not say how they are.
pub async fn all_started(stack: &Stack, victims: &[Victim]) -> Result<Vec<Undo>, FaultError> {
    let mut undos = Vec::new();
    // In a swarm another is put in its place, and the old one is nobody's.
    for container in containers(victims).filter(|_| !stack.swarm) {
        let ask =
            Cmd::new(["docker", "inspect", "--type=container", "--format", "{{.State.StartedAt}}", &container.id]);
        let said = stack.spot_of(container).shell.must(&ask.timeout(super::ASKED)).await?;
        undos.push(started(at(stack, container), container, said.out().trim()));
    }
    Ok(undos)
}

/// What undoes a fault that a service is to come back from by itself: nothing, because that is what is measured. A stack of
/// somebody else's is left as it was found all the same.
///
/// # Errors
/// As of [`all_started`].
pub(super) async fn left_as_found(stack: &Stack, victims: &[Victim]) -> Result<Vec<Undo>, FaultError> {
    if stack.was_up() { all_started(stack, victims).await } else { Ok(Vec::new()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_started_since_is_started() {
        let container = Container { id: "abc".into(), name: "x_app_1".into(), ..Container::default() };
        let undo = started(At::Ground, &container, "2026-11-24T20:00:00.5Z");
        assert_eq!(undo.run.to_string(), "docker start abc");
        assert_eq!(
            undo.proof.run.argv.get(4).map(String::as_str),
            Some(r#"{{if eq .State.StartedAt "2026-11-24T20:00:00.5Z"}}{{.State.Running}}{{else}}true{{end}}"#)
        );
        let moot = undo.moot.unwrap();
        assert_eq!(moot.run.to_string(), "docker ps --all --quiet --no-trunc --filter id=abc");
        assert_eq!(moot.says.as_deref(), Some(""));
        let paused = is_not("abc", &["paused"]).run.to_string();
        assert!(paused.ends_with("--filter id=abc --filter status=paused"), "{paused}");
    }
}

//! Whether a service answers on its published port at every node, whichever nodes its tasks are on: what a swarm's mesh is for.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::answers::one;
use super::reach::Reached;
use super::scale::unmeshed;
use crate::docker::swarm::{Member, Swarm, SwarmPort, SwarmService};
use crate::probe::ProbeError;
use crate::stack::Stack;
use crate::text::Text;

/// What is asked of each node.
#[derive(Clone, Copy)]
pub(super) struct Port {
    /// The container's; the first that is published where none is named.
    pub(super) target: Option<u16>,
    /// Of an answer.
    pub(super) timeout: Duration,
}

/// The nodes that are up and where it does not answer, and what the first of them said.
pub(super) async fn silent_on(
    stack: &Stack,
    reached: &Reached,
    swarm: &Swarm,
    service: &SwarmService,
    Port { target, timeout }: Port,
) -> Result<(Vec<String>, Option<Text>), ProbeError> {
    let name = crate::sanitize::line(&service.name, 80);
    let up = || swarm.members.iter().filter(|member| member.state == "ready");
    let Some(port) = published(service, target) else {
        let why = Text::new(
            format!("{name} publishes no such port, on any node"),
            format!("{name} no publica ese puerto en ningún nodo"),
        );
        return Ok((up().map(named).collect(), Some(why)));
    };
    if port == 0 {
        return Err(ProbeError::ours(
            format!("{name} could not be asked: the swarm does not say which port of its nodes it was given"),
            format!("no se pudo preguntar a {name}: el swarm no dice qué puerto de sus nodos le dio"),
        ));
    }
    let agent = stack.ground.agents.lab().await?;
    let asked = up().map(|member| {
        let (agent, node) = (&agent, named(member));
        async move {
            let address = reached.address_of(&member.id).ok_or_else(|| {
                ProbeError::ours(
                    format!("{node} could not be asked: it is no machine that was brought up here"),
                    format!("no se pudo preguntar a {node}: no es una máquina que se haya levantado aquí"),
                )
            })?;
            // Asked once: whoever waits asks again.
            let said = one(agent, address, port, timeout, Instant::now()).await?;
            Ok::<_, ProbeError>(said.map(|said| (node, format!("{address}:{port}: {said}"))))
        }
    });
    let all = join_all(asked).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    let silent: Vec<(String, String)> = all.into_iter().flatten().collect();
    let nodes: Vec<String> = silent.iter().map(|(node, _)| node.clone()).collect();
    let why = silent.first().map(|(_, said)| {
        let on = nodes.join(", ");
        Text::new(
            format!("{name} does not answer on: {on}; at {said}"),
            format!("{name} no responde en: {on}; en {said}"),
        )
    });
    Ok((nodes, why))
}

/// That this cannot be told where ports of every node had to become ports of the node.
pub(super) fn not_here(service: &SwarmService) -> Text {
    let Text { en, es } = unmeshed(service);
    Text::new(
        format!("{en}, it answers on the nodes of its tasks alone"),
        format!("{es}, solo responde en los nodos de sus tareas"),
    )
}

/// The port of nodes that leads to the container's `target`, and one of every node rather than one of a task's; the first of all
/// where none is named. 0 where it is not known.
fn published(service: &SwarmService, target: Option<u16>) -> Option<u16> {
    let fits = |it: &&SwarmPort| !it.udp && target.is_none_or(|target| target == it.target);
    service.ports.iter().filter(fits).min_by_key(|it| it.host).map(|it| it.published)
}

fn named(member: &Member) -> String {
    crate::sanitize::line(&member.hostname, 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_s_port_is_asked_for_where_it_is_published() {
        let port = |target, published| SwarmPort { target, published, ..SwarmPort::default() };
        let (host, udp) = (SwarmPort { host: true, ..port(9100, 9100) }, SwarmPort { udp: true, ..port(53, 53) });
        let service = SwarmService { ports: vec![host, udp, port(80, 8080), port(22, 0)], ..SwarmService::default() };
        assert_eq!(
            [None, Some(9100), Some(22)].map(|target| published(&service, target)),
            [Some(8080), Some(9100), Some(0)]
        );
        assert_eq!([Some(53), Some(443)].map(|target| published(&service, target)), [None, None]);
        assert_eq!(published(&SwarmService::default(), None), None);
    }
}

//! Whether a service answers on its published port at every node, whichever nodes its tasks are on: what a swarm's mesh is for.

use futures_util::future::join_all;
use tokio::time::Instant;

use super::answers::one;
use super::reach::Reached;
use super::scale::unmeshed;
use crate::docker::swarm::{Member, Swarm, SwarmService};
use crate::probe::ProbeError;
use crate::stack::Stack;
use crate::text::Text;

/// The nodes that are up and where it does not answer, and what the first of them said.
pub(super) async fn silent_on(
    stack: &Stack,
    reached: &Reached,
    swarm: &Swarm,
    service: &SwarmService,
    port: Option<u16>,
) -> Result<(Vec<String>, Option<Text>), ProbeError> {
    let name = crate::sanitize::line(&service.name, 80);
    let up = || swarm.members.iter().filter(|member| member.state == "ready");
    let Some(port) = published(service, port) else {
        let why = Text::new(
            format!("{name} publishes no such port, on any node"),
            format!("{name} no publica ese puerto en ningún nodo"),
        );
        return Ok((up().map(named).collect(), Some(why)));
    };
    let agent = stack.ground.agents.lab().await?;
    let asked = up().map(|member| {
        let (agent, node) = (&agent, named(member));
        async move {
            let body = reached.machine_of(&member.id).and_then(|machine| machine.body.as_ref());
            let address = body.and_then(|body| body.addresses().values().next());
            let address = address.ok_or_else(|| {
                ProbeError::ours(
                    format!("{node} could not be asked: it is no machine that was brought up here"),
                    format!("no se pudo preguntar a {node}: no es una máquina que se haya levantado aquí"),
                )
            })?;
            // Asked once: whoever waits asks again.
            let said = one(agent, address, port, Instant::now()).await?;
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

/// The port of nodes that leads to the container's `port`; the first of all where none is named.
fn published(service: &SwarmService, port: Option<u16>) -> Option<u16> {
    let mut ports = service.ports.iter().filter(|it| it.published != 0);
    ports.find(|it| port.is_none_or(|port| port == it.target)).map(|it| it.published)
}

fn named(member: &Member) -> String {
    crate::sanitize::line(&member.hostname, 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::swarm::SwarmPort;

    #[test]
    fn a_container_s_port_is_asked_for_where_it_is_published() {
        let port = |target, published| SwarmPort { target, published, host: false };
        let ports = vec![port(53, 0), port(80, 8080), port(5000, 32000)];
        let service = SwarmService { ports, ..SwarmService::default() };
        assert_eq!([None, Some(5000)].map(|port| published(&service, port)), [Some(8080), Some(32000)]);
        assert_eq!([Some(53), Some(22)].map(|port| published(&service, port)), [None, None]);
        assert_eq!(published(&SwarmService::default(), None), None);
    }
}

//! By what the services are brought up: compose, a stack deploy, or nothing, where the provisioning has done so.

use super::swarm::{self, started};
use super::{BackendError, Request, Site, Up, compose};
use crate::scenario::With;
use crate::stack::{LeftOut, Spot};
use crate::text::Text;

/// Brings the services up on `site`; `others` are further machines with an engine, none where it is none itself.
///
/// # Errors
/// For reasons of ours or the host's.
pub async fn up(site: &Site, others: Vec<Spot>, with: With, request: &Request) -> Result<Up, BackendError> {
    if site.node.is_none() || with == With::Compose {
        return compose::up(site, request).await;
    }
    let file = request.submission.compose.as_ref();
    let spots: Vec<Spot> = std::iter::once(site.spot()).chain(others).collect();
    let manager = manager(&spots).await;
    let at = |number: usize| Site::new(spots[number].clone(), site.ground.clone(), site.workdir.clone(), None);
    let besides = |number: usize| {
        let others = spots.iter().enumerate().filter(|(other, _)| *other != number);
        others.map(|(_, spot)| spot.clone()).collect::<Vec<_>>()
    };
    if with != With::Stack {
        // The manager first: a stack is more than what one machine has of it.
        let first = manager.unwrap_or_default();
        for number in std::iter::once(first).chain((0..spots.len()).filter(|n| *n != first)) {
            if let Some(started) = started::find(&at(number), file).await? {
                return started::take(&at(number), besides(number), request, &started).await;
            }
        }
    }
    match (with, manager) {
        (With::Playbook, _) => Ok(compose::nothing(site, request, Some(nothing_started()))),
        (With::Stack, None) => Ok(compose::nothing(site, request, Some(no_manager()))),
        (With::Stack, Some(manager)) => swarm::up(&at(manager), besides(manager), request).await,
        (_, Some(manager)) if file.is_some_and(swarm::is_for_swarm) => {
            swarm::up(&at(manager), besides(manager), request).await
        }
        _ => compose::up(site, request).await,
    }
}

/// The first that manages a swarm.
async fn manager(spots: &[Spot]) -> Option<usize> {
    for (number, spot) in spots.iter().enumerate() {
        if spot.engine.membership().await.is_ok_and(|membership| membership.manager) {
            return Some(number);
        }
    }
    None
}

fn nothing_started() -> LeftOut {
    let text = Text::new(
        "the provisioning started no services: there is no stack and no compose project on any machine",
        "el aprovisionamiento no arrancó servicios: no hay ningún stack ni proyecto de compose en ninguna máquina",
    );
    LeftOut { reason: None, text }
}

fn no_manager() -> LeftOut {
    let text = Text::new(
        "no machine manages a swarm, so that no stack can be deployed",
        "ninguna máquina administra un swarm, así que no se puede desplegar ningún stack",
    );
    LeftOut { reason: None, text }
}

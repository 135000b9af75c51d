//! By what the services are brought up: compose, a stack deploy, or nothing, where the provisioning has done so.

use super::swarm::{self, started};
use super::{BackendError, Request, Site, Up, compose};
use crate::notice::{Level, Notice, Reason};
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
    let (manager, silent) = manager(&spots).await;
    let at = |number: usize| Site::new(spots[number].clone(), site.ground.clone(), site.workdir.clone(), None);
    let besides = |number: usize| {
        let others = spots.iter().enumerate().filter(|(other, _)| *other != number);
        others.map(|(_, spot)| spot.clone()).collect::<Vec<_>>()
    };
    let mut notices = Vec::new();
    if with != With::Stack {
        // The manager first: a stack is more than what one machine has of it.
        let first = manager.unwrap_or_default();
        let mut untold = None;
        for number in std::iter::once(first).chain((0..spots.len()).filter(|n| *n != first)) {
            match started::find(&at(number), file).await {
                Ok(None) => {}
                Ok(Some(started)) => {
                    let mut up = started::take(&at(number), besides(number), request, &started).await?;
                    up.notices.extend(notices);
                    return Ok(up);
                }
                // Where the services would go it must be known that nothing runs: twice the same, they would be in each other's way.
                Err(error) if number == first || with == With::Playbook => {
                    untold.get_or_insert_with(|| unknown(&error.text()));
                }
                Err(error) => notices.push(skipped(&spots[number], &error.text())),
            }
        }
        if untold.is_some() {
            return Ok(compose::nothing(site, request, untold));
        }
    }
    let in_a_swarm = manager.is_some() || silent.is_some();
    let meant = |file| swarm::is_for_swarm(file) || (in_a_swarm && swarm::speaks_to_one(file));
    let for_swarm = with == With::Stack || file.is_some_and(meant);
    let mut up = match (with, manager, silent) {
        (With::Playbook, ..) => compose::nothing(site, request, Some(nothing_started())),
        (_, Some(manager), _) if for_swarm => swarm::up(&at(manager), besides(manager), request).await?,
        (_, None, Some(why)) if for_swarm => compose::nothing(site, request, Some(unknown(&why))),
        (With::Stack, ..) => compose::nothing(site, request, Some(no_manager())),
        _ => compose::up(site, request).await?,
    };
    up.notices.extend(notices);
    Ok(up)
}

/// The first that manages a swarm; and of one that did not say, why, which may be the one.
async fn manager(spots: &[Spot]) -> (Option<usize>, Option<Text>) {
    let mut silent = None;
    for (number, spot) in spots.iter().enumerate() {
        match spot.engine.membership().await {
            Ok(membership) if membership.manager => return (Some(number), silent),
            Ok(_) => {}
            Err(error) => silent = Some(error.text()),
        }
    }
    (None, silent)
}

/// An engine or a swarm that does not answer may have what is looked for.
fn unknown(why: &Text) -> LeftOut {
    let text = Text::new(
        format!("it cannot be told what runs on the machines: {}", why.en),
        format!("no se puede saber qué corre en las máquinas: {}", why.es),
    );
    LeftOut { reason: Some(Reason::Host), text }
}

fn skipped(spot: &Spot, why: &Text) -> Notice {
    let name = crate::sanitize::line(spot.node.as_deref().unwrap_or("-"), 60);
    Notice::new(
        "services.machine_silent",
        Level::Warning,
        Text::new(
            format!("machine {name} does not say what runs on it: {}", why.en),
            format!("la máquina {name} no dice qué corre en ella: {}", why.es),
        ),
    )
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

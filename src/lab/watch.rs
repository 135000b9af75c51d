//! Whether a lab is still there: what ends it from outside is heard at once, and never taken for the submission's doing.

use std::collections::HashMap;

use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::StreamExt;
use tokio::time::{Duration, Instant, sleep};

use super::LabError;
use crate::docker::Engine;

/// Of these, each ends a lab or begins its end; `kill` comes with any signal, and nobody of ours sends one.
const ENDS: [&str; 5] = ["kill", "die", "stop", "pause", "destroy"];
/// Before the events are asked for again, where the engine closed them and the lab is still there.
const AGAIN: Duration = Duration::from_millis(200);

/// For so long an engine that does not answer is asked again: a moment's load, or its restart, says nothing of the lab.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits for as long as the lab `id` is there, and says what became of it and how long ago that may have been. `since` is when it was ready, in seconds of the
/// epoch: what happened before anybody listened is heard too.
pub(super) async fn lost(host: &Engine, id: &str, since: i64) -> (String, Duration) {
    let events = ENDS.map(String::from).to_vec();
    let filters = HashMap::from([("container".to_owned(), vec![id.to_owned()]), ("event".to_owned(), events)]);
    let options = EventsOptionsBuilder::new().since(&since.to_string()).filters(&filters).build();
    let mut silent: Option<Instant> = None;
    // What happened while nobody answered may have happened as soon as nobody did.
    let ended = |why: String, silent: Option<Instant>| (why, silent.map_or(Duration::ZERO, |began| began.elapsed()));
    loop {
        let mut heard = Box::pin(host.docker().events(Some(options.clone())));
        match heard.next().await {
            Some(Ok(event)) => {
                return ended(format!("the engine says `{}` of it", event.action.unwrap_or_default()), silent);
            }
            Some(Err(error)) => tracing::debug!(%error, "the engine's events end"),
            None => tracing::debug!("the engine's events end"),
        }
        match host.container(id).await {
            Ok(lab) if lab.running() => silent = None,
            Ok(lab) => return ended(format!("it is {}", lab.state), silent),
            Err(error) if error.is_missing() || silent.get_or_insert_with(Instant::now).elapsed() >= PATIENCE => {
                return ended(error.to_string(), silent);
            }
            Err(error) => tracing::debug!(%error, "asked again whether the lab is there"),
        }
        sleep(AGAIN).await;
    }
}

/// By which a lab is reached on its network.
pub(super) async fn address(host: &Engine, id: &str, network: &str) -> Result<String, LabError> {
    let lab = host.container(id).await?;
    let own = lab.addresses.get(network).or_else(|| lab.addresses.values().next());
    own.cloned().ok_or_else(|| LabError::NotSetUp { what: format!("the network {network}") })
}

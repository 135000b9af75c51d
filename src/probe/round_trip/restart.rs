//! Starts every service but one anew, as an engine does it: the same containers, the same files.

use std::sync::Arc;

use bollard::query_parameters::RestartContainerOptionsBuilder;
use futures_util::future::join_all;

use crate::probe::ProbeError;
use crate::probe::common::Found;
use crate::stack::Stack;
use crate::text::Text;

/// What is still running then is killed: nothing of it is asked for any more.
const STOP_WITHIN_S: i32 = 2;

/// Restarts the running containers of all services but `store`. That one does not come up again is a fact.
pub(super) async fn all_but(stack: &Arc<Stack>, store: &str) -> Result<Found<()>, ProbeError> {
    let containers = stack.containers().await?;
    let others: Vec<_> = containers.into_iter().filter(|c| c.running() && c.service != store).collect();
    let restarts = others.iter().map(|container| {
        let options = RestartContainerOptionsBuilder::new().t(STOP_WITHIN_S).build();
        stack.spot_of(container).engine.docker().restart_container(&container.id, Some(options))
    });
    for (container, restarted) in others.iter().zip(join_all(restarts).await) {
        if let Err(error) = restarted {
            let error =
                stack.spot_of(container).engine.explain(format!("restart container {}", container.name), &error);
            if error.is_gone() {
                return Err(error.into());
            }
            return Ok(Found::Absent(Text::new(
                format!("service {} does not start a second time: {error}", container.service),
                format!("el servicio {} no arranca por segunda vez: {error}", container.service),
            )));
        }
    }
    Ok(Found::Here(()))
}

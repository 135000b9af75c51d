//! Waiting until a stack's tasks run, by what the manager's engine says of them.

use std::fmt::Write as _;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::docker::swarm::{Swarm, SwarmService};
use crate::docker::{Engine, EngineError};

const AGAIN: Duration = Duration::from_millis(300);
/// A process that dies of something that is not there yet shows it by then.
const MOMENT: Duration = Duration::from_secs(3);

/// The swarm when every task of the stack has run for a moment, or when the time is over. A manager that does not say now may
/// say later: the last word counts.
pub(super) async fn until_settled(engine: &Engine, stack: &str, budget: Duration) -> Result<Swarm, EngineError> {
    let deadline = Instant::now() + budget;
    let mut since: Option<(Vec<String>, Instant)> = None;
    let mut known: Option<Swarm> = None;
    loop {
        let round = Instant::now();
        let said = engine.swarm().await;
        let now = said.as_ref().ok().and_then(|swarm| running(swarm, stack));
        since = match (now, since) {
            (None, _) => None,
            (Some(now), Some((before, at))) if now == before => Some((before, at)),
            (Some(now), _) => Some((now, round)),
        };
        let settled = since.as_ref().is_some_and(|(_, at)| round.duration_since(*at) >= MOMENT);
        if settled || round >= deadline {
            return said.or_else(|error| known.ok_or(error));
        }
        known = said.ok().or(known);
        sleep_until(round + AGAIN).await;
    }
}

/// The tasks of a stack of which all that should run do; none while one does not.
fn running(swarm: &Swarm, stack: &str) -> Option<Vec<String>> {
    let services: Vec<&SwarmService> = swarm.services.iter().filter(|service| service.stack == stack).collect();
    let done = |service: &&SwarmService| {
        let (running, desired) = swarm.replicas(service);
        let ended = service.one_shot && swarm.tasks_of(service).any(|task| task.state == "complete");
        (running == desired && (desired > 0 || service.replicas == Some(0))) || ended
    };
    if services.is_empty() || !services.iter().all(done) {
        return None;
    }
    let tasks = services.iter().flat_map(|service| swarm.tasks_of(service)).filter(|task| task.running());
    let mut ids: Vec<String> = tasks.map(|task| task.id.clone()).collect();
    ids.sort();
    Some(ids)
}

/// What became of the tasks, for evidence.
pub(super) fn table(swarm: &Swarm, stack: &str) -> String {
    let mut out = String::new();
    for service in swarm.services.iter().filter(|service| service.stack == stack) {
        for task in swarm.tasks_of(service) {
            let node = swarm.member(&task.node).map_or("-", |member| member.hostname.as_str());
            let wanted = if task.wanted { "wanted" } else { "past" };
            let (name, slot, state, error) = (&service.name, task.slot, &task.state, &task.error);
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{name}.{slot}\t{node}\t{wanted}\t{state}\t{error}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::swarm::SwarmTask;

    fn swarm(replicas: Option<u64>, states: &[&str]) -> Swarm {
        let service = SwarmService {
            id: "s".into(),
            name: "x_app".into(),
            stack: "x".into(),
            replicas,
            ..SwarmService::default()
        };
        let task = |(number, state): (usize, &&str)| SwarmTask {
            id: format!("t{number}"),
            service: "s".into(),
            wanted: true,
            state: (*state).into(),
            ..SwarmTask::default()
        };
        Swarm { services: vec![service], tasks: states.iter().enumerate().map(task).collect(), ..Swarm::default() }
    }

    #[test]
    fn all_that_should_run_must() {
        assert_eq!(running(&swarm(Some(2), &["running", "running"]), "x").map(|ids| ids.len()), Some(2));
        assert!(running(&swarm(Some(2), &["running", "preparing"]), "x").is_none());
        assert!(running(&swarm(None, &["pending"]), "x").is_none(), "on every node");
        assert!(running(&swarm(Some(1), &["running"]), "other").is_none(), "there is no such stack yet");
        assert_eq!(running(&swarm(Some(0), &[]), "x").map(|ids| ids.len()), Some(0));
    }

    #[test]
    fn what_became_of_each_task_is_kept() {
        assert_eq!(table(&swarm(Some(1), &["running"]), "x"), "x_app.0\t-\twanted\trunning\t\n");
    }
}

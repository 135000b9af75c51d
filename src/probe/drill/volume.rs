//! After a drill: whether the distributed volume is whole again, and whether what was to be spared was.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep_until};

use crate::docker::Container;
use crate::expect::Facts;
use crate::probe::cluster::gluster;
use crate::probe::{Attempt, Probe, ProbeError};
use crate::scenario::tree::{Decoder, Node, Yaml};
use crate::stack::Stack;
use crate::text::Text;

const EVERY: Duration = Duration::from_secs(2);
/// Of one question. A machine that came back just now may take its time.
const ASK: Duration = Duration::from_secs(30);

/// Waits until all bricks are online, the volume is mounted everywhere and nothing is left to be healed; what was last seen.
pub(super) async fn whole(stack: &Arc<Stack>, within: Duration) -> Result<Facts, ProbeError> {
    let until = Instant::now() + within;
    let probe = asking()
        .ok_or_else(|| ProbeError::ours("the volume cannot be asked for", "no se puede preguntar por el volumen"))?;
    loop {
        let round = Instant::now();
        let attempt = Attempt { timeout: ASK, waited: Duration::ZERO, within: ASK, last: false };
        let seen = probe.observe(stack, attempt).await.map(|seen| {
            let facts = seen.subjects.into_iter().next().map(|(_, facts)| facts);
            facts.unwrap_or_default()
        });
        let late = Instant::now() >= until;
        match seen {
            Ok(facts) if is_whole(&facts) || late => return Ok(facts),
            Err(error) if late => return Err(error),
            _ => sleep_until((round + EVERY).min(until)).await,
        }
    }
}

fn asking() -> Option<Box<dyn Probe>> {
    let at = crate::expect::Place::default();
    let heal = Node::new(at.clone(), Yaml::Bool(true));
    let node = Node::new(at.clone(), Yaml::Map(vec![("heal".to_owned(), at, heal)]));
    let mut problems = Vec::new();
    (gluster::KIND.decode)(&mut Decoder::new(&node, &mut problems))
}

fn is_whole(facts: &Facts) -> bool {
    let is = |fact: &str, wanted: serde_json::Value| facts.get(fact) == Some(&wanted);
    is("heal_pending", json!(0)) && is("bricks_offline", json!([])) && is("not_mounted_on", json!([]))
}

/// Which of these containers are not as they were: another start, or a process of theirs killed.
pub(super) async fn harmed(stack: &Stack, before: &[Container]) -> Result<Vec<Text>, ProbeError> {
    let now = stack.containers().await?;
    let mut harmed = Vec::new();
    for container in before {
        let service = &container.service;
        if now.iter().any(|now| now.id == container.id && now.is_same_start(container)) {
            continue;
        }
        harmed.push(Text::new(
            format!("{service} was to be spared, and it ended or started anew meanwhile"),
            format!("{service} debía quedar a salvo, y terminó o arrancó de nuevo mientras tanto"),
        ));
    }
    Ok(harmed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_is_all_of_it() {
        assert!(asking().is_some());
        let mut facts = Facts::from([
            ("heal_pending".to_owned(), json!(0)),
            ("bricks_offline".to_owned(), json!([])),
            ("not_mounted_on".to_owned(), json!([])),
        ]);
        assert!(is_whole(&facts));
        facts.insert("bricks_offline".to_owned(), json!(["worker1:/gluster/brick"]));
        assert!(!is_whole(&facts));
    }
}

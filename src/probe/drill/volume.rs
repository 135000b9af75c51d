//! After a drill: whether the distributed volume is whole again, and whether what was to be spared was.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use crate::docker::Container;
use crate::expect::Facts;
use crate::notice::Reason;
use crate::probe::cluster::gluster;
use crate::probe::{Attempt, Probe, ProbeError};
use crate::scenario::tree::{Decoder, Node, Yaml};
use crate::stack::Stack;
use crate::text::Text;

const EVERY: Duration = Duration::from_secs(2);
const BRICKS_OFFLINE: &str = "bricks_offline";
/// A brick that is down for so long before a drill is not coming back by itself.
const STAYS_DOWN: Duration = Duration::from_secs(20);
/// Of one question. A machine that came back just now may take its time.
const ASK: Duration = Duration::from_secs(30);

/// Waits until all bricks are online, the volume is mounted everywhere and nothing is left to be healed; what was last seen.
pub(super) async fn whole(stack: &Arc<Stack>, within: Duration) -> Result<Facts, ProbeError> {
    let until = Instant::now() + within;
    loop {
        let round = Instant::now();
        let seen = look(stack).await;
        let late = Instant::now() >= until;
        match seen {
            Ok(facts) if is_whole(&facts) || late => return Ok(facts),
            Err(error) if late => return Err(error),
            _ => sleep_until((round + EVERY).min(until)).await,
        }
    }
}

async fn look(stack: &Arc<Stack>) -> Result<Facts, ProbeError> {
    let probe = asking()
        .ok_or_else(|| ProbeError::ours("the volume cannot be asked for", "no se puede preguntar por el volumen"))?;
    let ask = stack.machines.stretched(ASK);
    let attempt = Attempt { timeout: ask, waited: Duration::ZERO, within: ask, last: false };
    let seen = probe.observe(stack, attempt).await?;
    Ok(seen.subjects.into_iter().next().map(|(_, facts)| facts).unwrap_or_default())
}

/// The bricks that are not online before a drill, and stay so for a while: one of a machine that an earlier drill hit may be on
/// its way.
pub(super) async fn bricks_down(stack: &Arc<Stack>) -> Result<Vec<Value>, ProbeError> {
    let until = Instant::now() + stack.machines.stretched(STAYS_DOWN);
    loop {
        let round = Instant::now();
        let seen = look(stack).await;
        let late = Instant::now() >= until;
        let down = |facts: Facts| facts.get(BRICKS_OFFLINE).and_then(Value::as_array).cloned().unwrap_or_default();
        match seen.map(down) {
            Ok(down) if down.is_empty() || late => return Ok(down),
            Err(error) if late => return Err(error),
            _ => sleep_until((round + EVERY).min(until)).await,
        }
    }
}

/// A brick that was down before has not come back by itself, whatever started it meanwhile: a machine that happened to be hit
/// starts its own anew, and no other.
pub(super) fn with_those(mut facts: Facts, before: &[Value]) -> Facts {
    if let Some(Value::Array(now)) = facts.get_mut(BRICKS_OFFLINE) {
        let gone: Vec<Value> = before.iter().filter(|brick| !now.contains(brick)).cloned().collect();
        now.extend(gone);
    }
    facts
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
        if let Some(now) = now.iter().find(|now| now.id == container.id && now.is_same_start(container)) {
            if now.oom_killed && !container.oom_killed {
                // Without a limit of its own it is the machine whose memory was at its end.
                if now.memory_bytes == 0 {
                    return Err(ProbeError {
                        reason: Reason::Host,
                        text: Text::new(
                            format!("the host had no memory left for {service}, which has no limit of its own"),
                            format!("al anfitrión le faltó memoria para {service}, que no tiene límite propio"),
                        ),
                    });
                }
                harmed.push(Text::new(
                    format!("{service} was to be spared, and a process of it was killed for want of memory"),
                    format!("{service} debía quedar a salvo, y un proceso suyo murió por falta de memoria"),
                ));
            }
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

    #[test]
    fn a_brick_that_was_down_before_counts_whichever_machine_was_hit() {
        let (two, three) = (json!("worker2:/b"), json!("worker3:/b"));
        let offline = |bricks: &[&Value]| Facts::from([(BRICKS_OFFLINE.to_owned(), json!(bricks))]);
        let before = [three.clone()];
        assert_eq!(with_those(offline(&[]), &before), offline(&[&three]), "its machine was hit, and started it");
        assert_eq!(with_those(offline(&[&three]), &before), offline(&[&three]));
        assert_eq!(with_those(offline(&[&two]), &before), offline(&[&two, &three]));
        assert_eq!(with_those(offline(&[&two]), &[]), offline(&[&two]));
    }
}

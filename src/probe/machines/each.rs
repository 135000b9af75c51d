//! Looking at each of several machines, and what was seen of them as one observation.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;

use super::{Found, On, Seen, chosen, up};
use crate::expect::Facts;
use crate::probe::{Attempt, MACHINES, Observation, Probe, ProbeError, SETTLED};
use crate::stack::machines::Node;
use crate::stack::{Body, Stack};
use crate::text::Text;

/// A look at one machine.
#[async_trait]
pub(in crate::probe) trait Looks: Sync {
    async fn at(&self, stack: &Stack, node: &Node, body: &Body, timeout: Duration) -> Result<Seen, ProbeError>;

    /// Whether what was seen stays as it is: bringing up and provisioning are over before anybody looks.
    fn stays(&self, _seen: &Facts) -> bool {
        false
    }

    /// The facts of a machine that is not up, or of none at all.
    fn without(&self, node: Option<&Node>) -> Facts;
}

/// One subject a machine.
pub(in crate::probe) async fn each(
    stack: &Stack,
    on: &On,
    attempt: Attempt,
    looks: &impl Looks,
) -> Result<Observation, ProbeError> {
    let nodes = match chosen(stack, on)? {
        Found::Here(nodes) => nodes,
        Found::Absent(why) => {
            let conditions = vec![SETTLED.to_owned()];
            let facts = looks.without(None);
            return Ok(Observation { explanation: Some(why), conditions, ..Observation::of(facts) });
        }
    };
    let one = |node: &'_ Node| {
        let node = node.clone();
        async move {
            match up(stack, &node).await? {
                Found::Here(body) => looks.at(stack, &node, &body, attempt.timeout).await,
                Found::Absent(why) => Ok(Seen { facts: looks.without(Some(&node)), why: Some(why), ..Seen::default() }),
            }
        }
    };
    let all = join_all(nodes.iter().map(|node| one(node))).await;
    let mut seen = Vec::new();
    let mut stays = true;
    for (node, of) in nodes.iter().zip(all) {
        let of = of?;
        stays &= looks.stays(&of.facts);
        seen.push((crate::sanitize::line(node.name(), 60), of));
    }
    let mut observation = together(seen);
    observation.conditions.extend(stays.then(|| SETTLED.to_owned()));
    Ok(observation)
}

/// A kind of check that looks at machines and at nothing else.
pub(super) trait OnMachines: Looks + Send {
    fn on(&self) -> &On;

    /// See [`Probe::excusable`].
    fn may_be_excused(&self) -> bool {
        true
    }
}

#[async_trait]
impl<T: OnMachines> Probe for T {
    fn layer(&self) -> &'static str {
        MACHINES
    }

    fn excusable(&self) -> bool {
        self.may_be_excused()
    }

    async fn observe(&self, stack: &Arc<Stack>, attempt: Attempt) -> Result<Observation, ProbeError> {
        each(stack, self.on(), attempt, self).await
    }
}

/// One observation of all: machines of which the same is to be said are named together.
pub(super) fn together(all: Vec<(String, Seen)>) -> Observation {
    let alone = all.len() == 1;
    let mut observation = Observation::default();
    let mut whys: Vec<(Vec<String>, Text)> = Vec::new();
    for (name, seen) in all {
        if let Some(why) = seen.why {
            match whys.iter_mut().find(|(_, known)| *known == why) {
                Some((names, _)) => names.push(name.clone()),
                None => whys.push((vec![name.clone()], why)),
            }
        }
        let file = |what: String| if alone { what } else { format!("{name}-{what}") };
        observation.evidence.extend(seen.evidence.into_iter().map(|(what, bytes)| (file(what), bytes)));
        observation.subjects.push((name, seen.facts));
    }
    let said = |pick: fn(&Text) -> &String| {
        let each = whys.iter().map(|(names, why)| format!("{}: {}", names.join(", "), pick(why)));
        each.collect::<Vec<_>>().join("; ")
    };
    observation.explanation = (!whys.is_empty()).then(|| Text::new(said(|t| &t.en), said(|t| &t.es)));
    observation
}

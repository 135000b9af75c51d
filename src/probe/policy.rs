//! `policy`: what the compose file asks of the machine, and what was done about it.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;

use super::{Attempt, Observation, Phase, Probe, ProbeError, ProbeKind};
use crate::expect::{FactSpec, Facts, Unit};
use crate::stack::Stack;
use crate::submission::policy::{Action, Hit};
use crate::text::Text;

pub static KIND: ProbeKind = ProbeKind {
    name: "policy",
    summary: "The static policy: what was refused in the app or its store, and what was stripped",
    facts: &[
        FactSpec { name: "refused", unit: Unit::List, summary: "rules that refuse the app or its store" },
        FactSpec {
            name: "refused_elsewhere",
            unit: Unit::List,
            summary: "services left out for a rule, that play no role",
        },
        FactSpec { name: "stripped", unit: Unit::List, summary: "rules whose keys were taken out" },
    ],
    example: "{id: policy, points: 1, policy: {}, expect: {refused: []}}",
    schema: || json!({"type": "object", "additionalProperties": false}),
    decode: |_| Some(Box::new(Policy)),
};

struct Policy;

#[async_trait]
impl Probe for Policy {
    fn phase(&self) -> Phase {
        Phase::Static
    }

    fn excusable(&self) -> bool {
        false
    }

    async fn observe(&self, stack: &Arc<Stack>, _attempt: Attempt) -> Result<Observation, ProbeError> {
        let of = |action: Action| stack.policy.iter().filter(move |h| h.action == action);
        let refused: Vec<&Hit> = of(Action::Refuse).filter(|h| stack.is_stopped_by(h)).collect();
        let name = |hit: &&Hit| hit.service.as_ref().map_or_else(|| hit.rule.clone(), |s| format!("{s}: {}", hit.rule));
        let mut observation = Observation::of(Facts::from([
            ("refused".to_owned(), json!(refused.iter().map(name).collect::<Vec<_>>())),
            (
                "refused_elsewhere".to_owned(),
                json!(of(Action::Refuse).filter(|h| !stack.is_stopped_by(h)).map(|h| name(&h)).collect::<Vec<_>>()),
            ),
            ("stripped".to_owned(), json!(of(Action::Strip).map(|h| name(&h)).collect::<Vec<_>>())),
        ]));
        if !refused.is_empty() {
            let join =
                |get: fn(&Text) -> &String| refused.iter().map(|h| get(&h.text).clone()).collect::<Vec<_>>().join("; ");
            observation.explanation = Some(Text::new(join(|t| &t.en), join(|t| &t.es)));
        }
        Ok(observation)
    }
}

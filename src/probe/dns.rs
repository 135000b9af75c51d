//! `dns`: a name means an address where the probe stands.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::join_all;
use serde_json::json;

use super::common::{from_schema, here, layer_of, look, observer, player, template};
use super::{Attempt, Observation, Probe, ProbeError, ProbeKind, names};
use crate::agent::client::Agent;
use crate::agent::{Look, Sight};
use crate::expect::{FactSpec, Facts, Unit};
use crate::scenario::From;
use crate::scenario::tree::Decoder;
use crate::stack::Stack;
use crate::text::Text;

pub static KIND: ProbeKind = ProbeKind {
    name: "dns",
    summary: "A name resolves",
    facts: &[
        FactSpec { name: "resolves", unit: Unit::Bool, summary: "the name has an address" },
        FactSpec { name: "addresses", unit: Unit::List, summary: "the addresses, in the resolver's order" },
        FactSpec { name: "name", unit: Unit::Text, summary: "the name that resolved" },
    ],
    example: "{id: db-resolves, points: 1, dns: {name: \"{db.names}\", from: {inside: app}}, expect: {resolves: true}}",
    schema: || {
        json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["name"],
            "properties": {
                "name": {"type": "string", "description": "a name, or `{role.names}` for any name of a role"},
                "from": from_schema()
            }
        })
    },
    decode: |d| decode(d).map(|probe| Box::new(probe) as Box<dyn Probe>),
};

struct Dns {
    name: String,
    role: Option<String>,
    from: From,
}

fn decode(d: &mut Decoder<'_>) -> Option<Dns> {
    let name = d.required_text("name");
    let from = d.from("from");
    let name = name?;
    let role = template(&name, "names").map(str::to_owned);
    if let Some(role) = &role {
        let at = d.place("name").clone();
        d.names_role(role, &at);
    }
    Some(Dns { name, role, from })
}

#[async_trait]
impl Probe for Dns {
    fn roles(&self) -> Vec<String> {
        let inside = match &self.from {
            From::Inside(role) => Some(role.clone()),
            _ => None,
        };
        self.role.iter().cloned().chain(inside).collect()
    }

    fn layer(&self) -> &'static str {
        layer_of(&self.from)
    }

    async fn observe(&self, stack: &Arc<Stack>, attempt: Attempt) -> Result<Observation, ProbeError> {
        let agent = here!(observer(stack, &self.from).await?, absent);
        let names = match &self.role {
            None => vec![self.name.clone()],
            Some(role) => {
                let target = here!(player(stack, role).await?, absent);
                let asking = match &self.from {
                    From::Inside(role) => Some(here!(player(stack, role).await?, absent)),
                    _ => None,
                };
                names::names(&agent, asking.as_ref(), &target, attempt.timeout).await?
            }
        };
        let answers = join_all(names.iter().map(|name| resolve(&agent, name, attempt))).await;
        let mut why = String::new();
        for (name, answer) in names.iter().zip(answers) {
            match answer? {
                Ok(addresses) => {
                    return Ok(Observation::of(Facts::from([
                        ("resolves".to_owned(), json!(true)),
                        ("addresses".to_owned(), json!(addresses)),
                        ("name".to_owned(), json!(name)),
                    ])));
                }
                Err(error) => why = error,
            }
        }
        let all = names.join(", ");
        absent(Text::new(format!("{all}: {why}"), format!("{all}: {why}")))
    }
}

fn absent(why: Text) -> Result<Observation, ProbeError> {
    let facts = Facts::from([("resolves".to_owned(), json!(false)), ("addresses".to_owned(), json!([]))]);
    Ok(Observation { explanation: Some(why), ..Observation::of(facts) })
}

/// The addresses, or why there are none.
async fn resolve(agent: &Agent, name: &str, attempt: Attempt) -> Result<Result<Vec<String>, String>, ProbeError> {
    Ok(match look(agent, Look::Dns { name: name.to_owned() }, attempt.timeout).await? {
        Sight::Dns { addresses, error: None } => Ok(addresses),
        Sight::Dns { error: Some(error), .. } => Err(error),
        Sight::No { message, .. } => Err(message),
        other => {
            return Err(ProbeError::ours(
                format!("unexpected answer: {other:?}"),
                format!("respuesta inesperada: {other:?}"),
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::tree;

    #[test]
    fn a_template_names_a_role() {
        let node = tree::read("{name: \"{db.names}\", from: {inside: app}}", "s.yaml").unwrap();
        let mut problems = Vec::new();
        let mut d = Decoder::new(&node, &mut problems);
        let probe = decode(&mut d).unwrap();
        assert_eq!(probe.roles(), ["db", "app"]);
        assert_eq!(d.finish().len(), 2);
        assert!(problems.is_empty());
    }
}

//! `store`: a store of any family is reached by name from inside another service, and keeps a value.
//!
//! An exercise: it writes a value of its own and removes it.

mod client;
mod turn;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;

use self::client::Family;
use super::common::{Found, player};
use super::{Attempt, Observation, Phase, Probe, ProbeError, ProbeKind, tcp};
use crate::docker::Container;
use crate::expect::{FactSpec, Facts, Unit};
use crate::notice::Reason;
use crate::scenario::tree::Decoder;
use crate::stack::Stack;
use crate::text::Text;

pub static KIND: ProbeKind = ProbeKind {
    name: "store",
    summary: "A store (MySQL, PostgreSQL, Redis, MongoDB) is reached by name from inside another service, and a value that is written into it is read back; then it is removed",
    facts: &[
        FactSpec {
            name: "family",
            unit: Unit::Text,
            summary: "`mysql`, `postgres`, `redis` or `mongo`, by the image that it runs or was built on",
        },
        FactSpec {
            name: "reachable",
            unit: Unit::Bool,
            summary: "from inside of the other, one of its names resolves and its family's port accepts there",
        },
        FactSpec { name: "name", unit: Unit::Text, summary: "the name that led to it" },
        FactSpec {
            name: "written_and_read_back",
            unit: Unit::Bool,
            summary: "a value was written by its own client, or ours, and read on another connection",
        },
    ],
    example: "{id: store-keeps, points: 1, store: {role: db, from: {inside: app}}, expect: {reachable: true, written_and_read_back: true}}",
    schema: || {
        json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["role", "from"],
            "properties": {
                "role": {"type": "string", "description": "the store's role"},
                "from": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["inside"],
                    "properties": {"inside": {"type": "string", "description": "the role from inside of which it is to be reached"}}
                }
            }
        })
    },
    decode: |d| decode(d).map(|probe| Box::new(probe) as Box<dyn Probe>),
};

#[derive(Debug)]
struct StoreKeeps {
    role: String,
    inside: String,
}

fn decode(d: &mut Decoder<'_>) -> Option<StoreKeeps> {
    d.required("from");
    let role = d.role("role");
    let inside = d.map("from", |from| from.role("inside"));
    Some(StoreKeeps { role: role?, inside: inside? })
}

#[async_trait]
impl Probe for StoreKeeps {
    fn phase(&self) -> Phase {
        Phase::Exercise
    }

    fn roles(&self) -> Vec<String> {
        vec![self.role.clone(), self.inside.clone()]
    }

    async fn observe(&self, stack: &Arc<Stack>, attempt: Attempt) -> Result<Observation, ProbeError> {
        let container = match player(stack, &self.role).await? {
            Found::Here(container) => container,
            Found::Absent(why) => return Ok(nothing(why)),
        };
        let family = family(stack, &container)?;
        let seen = tcp::by_name(stack, &self.inside, &self.role, family.port(), attempt).await?;
        let (with, role, listens) = (stack.clone(), self.role.clone(), reachable(&self.role, &seen));
        // A task of its own: what it wrote is removed also where nobody waits for it any more.
        let made = tokio::spawn(async move { turn::turn(&with, &role, &container, family, listens).await }).await;
        let why = made.map_err(|e| {
            ProbeError::ours(format!("the exercise broke off: {e}"), format!("el ejercicio se interrumpió: {e}"))
        })??;
        Ok(observation(family, &self.role, seen, why))
    }
}

/// Nothing runs that could be a store.
fn nothing(why: Text) -> Observation {
    let facts = [("reachable", json!(false)), ("written_and_read_back", json!(false))];
    let facts = facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Observation { explanation: Some(why), ..Observation::of(facts) }
}

/// What was seen of it from inside the other led to the role itself.
fn reachable(role: &str, seen: &Observation) -> bool {
    let is = |name: &str, value| seen.subjects.first().is_some_and(|(_, facts)| facts.get(name) == Some(&value));
    is("connected", json!(true)) && is("greeted_by", json!(role))
}

fn observation(family: Family, role: &str, seen: Observation, why: Option<Text>) -> Observation {
    let connection = seen.subjects.first().map(|(_, facts)| facts.clone()).unwrap_or_default();
    let reachable = reachable(role, &seen);
    let mut facts = Facts::from([
        ("family".to_owned(), json!(family.name())),
        ("reachable".to_owned(), json!(reachable)),
        ("written_and_read_back".to_owned(), json!(why.is_none())),
    ]);
    if let Some(name) = connection.get("name").filter(|_| reachable) {
        facts.insert("name".to_owned(), name.clone());
    }
    // What does not lead there is named first: the app needs it before anything can be written.
    let explanation = if reachable { why } else { seen.explanation.or(why) };
    Observation { explanation, notes: seen.notes, evidence: seen.evidence, ..Observation::of(facts) }
}

/// By the image that it runs, or that the submission built it on.
fn family(stack: &Stack, container: &Container) -> Result<Family, ProbeError> {
    let built_on = stack.submission.builds.get(&container.service).and_then(|build| build.base());
    let image = built_on.unwrap_or(&container.image_name);
    Family::of(image).ok_or_else(|| {
        let image = crate::sanitize::line(image, 80);
        ProbeError::new(
            Reason::NotHere,
            format!("how to write into `{image}` is not known: only MySQL, PostgreSQL, Redis and MongoDB, each by its image's name"),
            format!("no se sabe cómo escribir en `{image}`: solo en MySQL, PostgreSQL, Redis y MongoDB, cada uno por el nombre de su imagen"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::tree;

    fn connection(connected: bool, by: &str) -> Observation {
        let facts = [("connected", json!(connected)), ("greeted_by", json!(by)), ("name", json!("cache"))];
        let facts = facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Observation { explanation: Some(Text::same("not there")), ..Observation::of(facts) }
    }

    #[test]
    fn what_is_reached_must_be_the_role_itself() {
        let facts = |seen, why| observation(Family::Redis, "db", seen, why).subjects[0].1.clone();
        let good = facts(connection(true, "db"), None);
        assert_eq!(
            (&good["reachable"], &good["name"], &good["family"]),
            (&json!(true), &json!("cache"), &json!("redis"))
        );
        assert_eq!(good["written_and_read_back"], json!(true));
        for other in [connection(true, "app"), connection(true, "nobody"), connection(false, "nobody")] {
            let seen = observation(Family::Redis, "db", other, None);
            assert_eq!(seen.subjects[0].1["reachable"], json!(false));
            assert!(!seen.subjects[0].1.contains_key("name"));
            assert_eq!(seen.explanation.unwrap().en, "not there");
        }
        let refused = observation(Family::Mysql, "db", connection(true, "db"), Some(Text::same("read only")));
        assert_eq!(refused.subjects[0].1["written_and_read_back"], json!(false));
        assert_eq!(refused.explanation.unwrap().en, "read only");
    }

    #[test]
    fn it_needs_a_store_and_a_place_to_look_from() {
        let read = |text: &str| {
            let node = tree::read(text, "s.yaml").unwrap();
            let mut problems = Vec::new();
            let mut d = Decoder::new(&node, &mut problems);
            let roles = decode(&mut d).map(|p| p.roles());
            d.finish();
            (roles, problems.into_iter().map(|p| p.message).collect::<Vec<_>>())
        };
        let (roles, problems) = read("{role: db, from: {inside: app}}");
        assert_eq!((roles.unwrap(), problems), (vec!["db".to_owned(), "app".to_owned()], vec![]));
        assert_eq!(read("{role: db}").1, ["`from` is missing"]);
        assert_eq!(read("{role: db, from: {}}").1, ["`inside` is missing"]);
    }
}

//! `round_trip`: what is written into a database is seen on a page, so the page reads it from there.
//!
//! An exercise: it writes, may start the application anew, and undoes what it wrote. Two checks that ask for its two halves
//! (`restart: true` and `false`) share one.

mod nonce;
mod restart;
mod trip;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;

use self::trip::Trip;
use super::{Attempt, Observation, Phase, Probe, ProbeError, ProbeKind};
use crate::expect::{FactSpec, Facts, Unit};
use crate::scenario::tree::Decoder;
use crate::stack::Stack;
use crate::text::Text;

pub static KIND: ProbeKind = ProbeKind {
    name: "round_trip",
    summary: "A fresh row or value, written into a database, appears on a page; then it is taken back",
    facts: &[
        FactSpec {
            name: "seen",
            unit: Unit::Bool,
            summary: "the page showed it; with `restart`, perhaps only after the app was started anew",
        },
        FactSpec { name: "how", unit: Unit::Text, summary: "`insert`, `update` or `restart`" },
        FactSpec {
            name: "where",
            unit: Unit::Text,
            summary: "the column that was written and the page that showed it",
        },
        FactSpec { name: "after_s", unit: Unit::Seconds, summary: "how long the page took to show it" },
    ],
    example: "{id: page-is-live, points: 2, round_trip: {write: {role: db}, read: {page: app}, restart: false}, expect: {seen: true}}",
    schema: || {
        json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["write", "read"],
            "properties": {
                "write": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["role"],
                    "properties": {"role": {"type": "string", "description": "the database's role"}}
                },
                "read": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["page"],
                    "properties": {"page": {"type": "string", "description": "the role whose page is looked at"}}
                },
                "restart": {"type": "boolean", "default": true,
                            "description": "what shows only after a restart of the application counts as seen"}
            }
        })
    },
    decode: |d| decode(d).map(|probe| Box::new(probe) as Box<dyn Probe>),
};

struct RoundTrip {
    db: String,
    app: String,
    restart: bool,
}

fn decode(d: &mut Decoder<'_>) -> Option<RoundTrip> {
    d.required("write");
    d.required("read");
    let db = d.map("write", |w| w.role("role"));
    let app = d.map("read", |r| r.role("page"));
    let restart = d.bool_or("restart", true);
    Some(RoundTrip { db: db?, app: app?, restart })
}

#[async_trait]
impl Probe for RoundTrip {
    fn phase(&self) -> Phase {
        Phase::Exercise
    }

    fn roles(&self) -> Vec<String> {
        vec![self.app.clone(), self.db.clone()]
    }

    fn visits(&self) -> bool {
        true
    }

    async fn observe(&self, stack: &Arc<Stack>, _: Attempt) -> Result<Observation, ProbeError> {
        let key = format!("round_trip:{}:{}", self.db, self.app);
        let known = stack.notebook.lock().await.get(&key).cloned();
        let known = known.and_then(|value| serde_json::from_value::<Trip>(value).ok());
        // One that was made without a restart tells this half only if it came to something.
        let usable = known.filter(|trip| !self.restart || trip.restarted || trip.live.is_some() || trip.why.is_some());
        let trip = match usable {
            Some(trip) => trip,
            None => {
                let (with, db, app, restart) = (stack.clone(), self.db.clone(), self.app.clone(), self.restart);
                // A task of its own: what it wrote is taken back also where nobody waits for it any more.
                let made = tokio::spawn(async move { trip::run(&with, &db, &app, restart).await }).await;
                let trip = made.map_err(|e| {
                    ProbeError::ours(
                        format!("the exercise broke off: {e}"),
                        format!("el ejercicio se interrumpió: {e}"),
                    )
                })??;
                stack.notebook.lock().await.insert(key, json!(trip));
                trip
            }
        };
        Ok(observation(&trip, self.restart))
    }
}

fn observation(trip: &Trip, restart: bool) -> Observation {
    let mut notes = trip.notes.clone();
    let (sighting, how) = match (&trip.live, &trip.later) {
        (Some(live), _) => (Some(live), live.how.as_str()),
        (None, Some(later)) if restart => (Some(later), "restart"),
        _ => (None, ""),
    };
    let mut facts = Facts::from([("seen".to_owned(), json!(sighting.is_some()))]);
    let mut explanation = None;
    if let Some(sighting) = sighting {
        facts.insert("how".to_owned(), json!(how));
        facts.insert("where".to_owned(), json!(sighting.place));
        facts.insert("after_s".to_owned(), json!(sighting.after_s));
        let (place, seconds) = (&sighting.place, sighting.after_s);
        notes.push(Text::new(
            format!("{how}: seen in {place} after {seconds:.1} s"),
            format!("{how}: visto en {place} tras {seconds:.1} s"),
        ));
    } else if let Some(why) = &trip.why {
        explanation = Some(why.clone());
    } else if trip.later.is_some() {
        explanation = Some(Text::new(
            "a fresh value showed only after the application was started anew: the page does not read the table at each visit",
            "un valor nuevo solo apareció después de reiniciar la aplicación: la página no lee la tabla en cada visita",
        ));
    } else {
        explanation = Some(Text::new(
            "neither a fresh row nor a changed value of the database showed on the page, and not after a restart of the application either: the page does not come from the database",
            "ni una fila nueva ni un valor cambiado en la base de datos aparecieron en la página, tampoco tras reiniciar la aplicación: la página no sale de la base de datos",
        ));
        if !trip.restarted {
            explanation = Some(Text::new(
                "neither a fresh row nor a changed value of the database showed on the page",
                "ni una fila nueva ni un valor cambiado en la base de datos aparecieron en la página",
            ));
        }
    }
    Observation { explanation, notes, ..Observation::of(facts) }
}

#[cfg(test)]
mod tests {
    use super::trip::Sighting;
    use super::*;
    use crate::scenario::tree;

    fn sighting(how: &str) -> Option<Sighting> {
        Some(Sighting { how: how.into(), place: "s.t.c at http://x/".into(), after_s: 0.1 })
    }

    fn seen(trip: &Trip, restart: bool) -> (bool, String) {
        let observation = observation(trip, restart);
        let facts = &observation.subjects[0].1;
        let text = |name: &str| facts.get(name).and_then(|v| v.as_str()).unwrap_or_default().to_owned();
        (facts["seen"] == json!(true), text("how"))
    }

    #[test]
    fn the_two_halves_read_one_trip() {
        let live = Trip { live: sighting("insert"), ..Trip::default() };
        assert_eq!(seen(&live, true), (true, "insert".into()));
        assert_eq!(seen(&live, false), (true, "insert".into()));
        let later = Trip { restarted: true, later: sighting("update"), ..Trip::default() };
        assert_eq!(seen(&later, true), (true, "restart".into()));
        assert_eq!(seen(&later, false), (false, String::new()));
        assert_eq!(seen(&Trip { restarted: true, ..Trip::default() }, true), (false, String::new()));
    }

    #[test]
    fn parameters_name_both_roles() {
        let read = |text: &str| {
            let node = tree::read(text, "s.yaml").unwrap();
            let mut problems = Vec::new();
            let mut d = Decoder::new(&node, &mut problems);
            let roles = decode(&mut d).map(|p| p.roles());
            d.finish();
            (roles, problems.into_iter().map(|p| p.message).collect::<Vec<_>>())
        };
        let (roles, problems) = read("{write: {role: db}, read: {page: app}, restart: false}");
        assert_eq!((roles.unwrap(), problems), (vec!["app".to_owned(), "db".to_owned()], vec![]));
        assert_eq!(read("{write: {role: db}}").1, ["`read` is missing"]);
    }
}

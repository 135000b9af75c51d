//! `dials`: the app reaches its store by name, by what it asks for and dials itself, and that name leads there.
//!
//! That a name is there does not say that the code uses it. So what leaves the app's own container is listened to from
//! before its first process on, and while its page is requested. Where it tries no database at all, whether a name leads
//! there decides.

mod health;
mod hear;
mod judge;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use time::OffsetDateTime;
use tokio::time::Instant;

pub(super) use self::hear::{Heard, hear};
#[cfg(test)]
pub(super) use self::judge::Whose;
pub(super) use self::judge::{Dialled, Wrong};
use super::common::{here, player};
use super::page::walk::{Reach, Walk};
use super::{Attempt, Observation, Probe, ProbeError, ProbeKind, SETTLED, tcp};
use crate::docker::Container;
use crate::expect::{FactSpec, Facts, Unit};
use crate::scenario::tree::Decoder;
use crate::stack::Stack;
use crate::text::Text;

pub static KIND: ProbeKind = ProbeKind {
    name: "dials",
    summary: "The app reaches a store by name, judged by what it asks for and dials",
    facts: &[
        FactSpec {
            name: "by_name",
            unit: Unit::Bool,
            summary: "it asks for a name of the store, or has it in its hosts file; where it dials no database at all, one leads there",
        },
        FactSpec {
            name: "reached",
            unit: Unit::Bool,
            summary: "what it dials is the store, by a name or by an address; where it dials no database at all, a name leads there",
        },
        FactSpec { name: "connected", unit: Unit::Bool, summary: "from inside the app a name of the store accepts" },
        FactSpec {
            name: "greeted_by",
            unit: Unit::Text,
            summary: "the role, else the service, whose server answers there; or `nobody`",
        },
        FactSpec { name: "name", unit: Unit::Text, summary: "the name that the app uses, else the one that worked" },
        FactSpec { name: "asked", unit: Unit::List, summary: "the names that were asked for in the app's container" },
        FactSpec { name: "tried", unit: Unit::List, summary: "the addresses and ports that were dialled there" },
        FactSpec { name: "refused", unit: Unit::Text, summary: "why there was no connection" },
    ],
    example: "{id: db-by-name, points: 8, dials: {role: app, store: db, port: 3306}, expect: {by_name: true, connected: true, greeted_by: db}}",
    schema: || {
        json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["role", "store", "port"],
            "properties": {
                "role": {"type": "string", "description": "who dials"},
                "store": {"type": "string", "description": "whom it should dial"},
                "port": {"type": "integer", "minimum": 1, "maximum": 65535,
                         "description": "where the store's own container listens"}
            }
        })
    },
    decode: |d| decode(d).map(|probe| Box::new(probe) as Box<dyn Probe>),
};

/// An app may take so long to answer its first visitor, or half of what the check waits; one that never does dials nothing
/// for it either, and whether a name leads to the store from inside it decides.
const FIRST_ANSWER: Duration = Duration::from_secs(15);
/// What is dialled wrongly for so long is what the code says, and not a detour until the store is there.
pub(super) const DETOUR: Duration = Duration::from_secs(3);
/// Links that are followed until the store is asked for by its name: the first page may need no database, and what is
/// dialled wrongly may be an attempt that the code gives up.
const LINKS: usize = 10;

struct DialsProbe {
    role: String,
    store: String,
    port: u16,
}

fn decode(d: &mut Decoder<'_>) -> Option<DialsProbe> {
    d.required("port");
    let role = d.role("role");
    let store = d.role("store");
    let port = d.port("port");
    Some(DialsProbe { role: role?, store: store?, port: port? })
}

#[async_trait]
impl Probe for DialsProbe {
    fn roles(&self) -> Vec<String> {
        vec![self.store.clone(), self.role.clone()]
    }

    fn visits(&self) -> bool {
        true
    }

    async fn observe(&self, stack: &Arc<Stack>, attempt: Attempt) -> Result<Observation, ProbeError> {
        let app = here!(player(stack, &self.role).await?, absent);
        let store = here!(player(stack, &self.store).await?, absent);
        let containers = stack.containers().await?;
        let listen = || hear(stack, &app, &store, &containers, self.port, attempt.timeout);
        let mut heard = listen().await?;
        let mut answered = false;
        // Whoever connects only for a visitor has one; on other pages too, where the first one needs no database.
        for links in [0, LINKS] {
            if !heard.as_ref().is_some_and(|heard| unmet(&heard.dialled)) {
                break;
            }
            let began = OffsetDateTime::now_utc();
            answered = visit(stack, &self.role, &containers, links, attempt).await?;
            heard = listen().await?;
            // What our own looks hide proves nothing: there will be another visit.
            answered &= !watched_by_us(&stack.spot_of(&app).agents.visits(&app.id), began, OffsetDateTime::now_utc());
            if !answered {
                break;
            }
        }
        let Some(Heard { dials, dialled }) = heard else {
            return self.inside(stack, attempt, Text::same("")).await;
        };
        let hosts = dialled.hosts(&dials, &store.names);
        let mut observation = match dialled {
            Dialled::ByName(name) => {
                let mut seen = self.inside(stack, attempt, Text::same("")).await?;
                if let Some((_, facts)) = seen.subjects.first_mut() {
                    facts.insert("by_name".to_owned(), json!(true));
                    facts.insert("name".to_owned(), json!(name));
                }
                seen
            }
            Dialled::Wrong(wrong) if !wrong.sure => return Err(unsure(&wrong, stack.was_up())),
            Dialled::Wrong(wrong) => {
                if answered && attempt.waited >= DETOUR {
                    // Only now: a question of ours could be taken for the app's afterwards.
                    let mut seen = self.inside(stack, attempt, Text::same("")).await?;
                    if let Some((_, facts)) = seen.subjects.first_mut() {
                        facts.insert("by_name".to_owned(), json!(false));
                        let inside = facts.get("connected") == Some(&json!(true));
                        facts.insert("reached".to_owned(), json!(wrong.reaches(inside)));
                    }
                    if wrong.whose.is_store() && wrong.accepted {
                        seen.notes.push(by_address(&wrong));
                    }
                    seen.explanation = Some(wrong.text());
                    seen.conditions.push(SETTLED.to_owned());
                    seen
                } else {
                    absent(wrong.text())?
                }
            }
            // What its container would reach says nothing of an app that ends again and again: nobody in it dials.
            Dialled::Nothing { .. } if (answered || over(attempt)) && app.stays_up() => {
                let note = Text::new(
                    "the app dialled no database while it was listened to",
                    "la aplicación no llamó a ninguna base de datos mientras se la escuchaba",
                );
                self.inside(stack, attempt, note).await?
            }
            Dialled::Nothing { .. } if over(attempt) => absent(Text::new(
                "the app ends again before it has dialled a database",
                "la aplicación vuelve a terminar antes de llamar a ninguna base de datos",
            ))?,
            Dialled::Nothing { .. } => absent(Text::new(
                "the app has not answered a visitor yet, and has dialled no database",
                "la aplicación aún no ha respondido a un visitante ni ha llamado a ninguna base de datos",
            ))?,
        };
        observation.dialled = hosts;
        if let Some((_, facts)) = observation.subjects.first_mut() {
            let asked: Vec<&str> = dials.questions.iter().map(|q| q.name.as_str()).collect();
            let tried: Vec<String> = dials.attempts.iter().map(|a| a.to.to_string()).collect();
            facts.insert("asked".to_owned(), json!(asked));
            facts.insert("tried".to_owned(), json!(tried));
        }
        if let Ok(json) = serde_json::to_vec_pretty(&dials) {
            observation.evidence.push(("heard.json".to_owned(), json));
        }
        Ok(observation)
    }
}

impl DialsProbe {
    /// Whether a name of the store leads there from inside the app, in our own hands.
    async fn inside(&self, stack: &Arc<Stack>, attempt: Attempt, note: Text) -> Result<Observation, ProbeError> {
        let mut seen = tcp::by_name(stack, &self.role, &self.store, self.port, attempt).await?;
        if let Some((_, facts)) = seen.subjects.first_mut() {
            let connected = facts.get("connected").cloned().unwrap_or(json!(false));
            facts.remove("address");
            facts.insert("reached".to_owned(), connected.clone());
            facts.insert("by_name".to_owned(), connected);
        }
        if !note.en.is_empty() {
            seen.notes.push(note);
        }
        Ok(seen)
    }
}

/// Requests the app's page, as a visitor would; whether it answered at all.
async fn visit(
    stack: &Stack,
    role: &str,
    containers: &[Container],
    links: usize,
    attempt: Attempt,
) -> Result<bool, ProbeError> {
    let agent = stack.home.agents.lab().await?;
    let mut walk = Walk::new(stack, role, containers, &agent, Instant::now() + attempt.timeout);
    let reach = Reach { redirects: true, links, paths: Vec::new() };
    Ok(walk.has_doors() && walk.walk(&[], &reach).await?.page.is_some())
}

/// Whether the first visitor has waited long enough: before the check itself does, which would fail it for want of an answer.
fn over(attempt: Attempt) -> bool {
    attempt.last || attempt.waited >= FIRST_ANSWER.min(attempt.within / 2)
}

/// Whether another page may tell more.
fn unmet(dialled: &Dialled) -> bool {
    matches!(dialled, Dialled::Nothing { .. } | Dialled::Wrong(_))
}

/// Whether a look of ours from inside the app fell into a time.
fn watched_by_us(looks: &[(f64, f64)], began: OffsetDateTime, ended: OffsetDateTime) -> bool {
    let seconds = |time: OffsetDateTime| time.unix_timestamp_nanos() as f64 / 1e9;
    looks.iter().any(|(from, to)| *from <= seconds(ended) && *to >= seconds(began))
}

fn absent(why: Text) -> Result<Observation, ProbeError> {
    let facts = Facts::from([
        ("by_name".to_owned(), json!(false)),
        ("reached".to_owned(), json!(false)),
        ("connected".to_owned(), json!(false)),
        ("greeted_by".to_owned(), json!("nobody")),
    ]);
    Ok(Observation { explanation: Some(why), ..Observation::of(facts) })
}

/// What is shown where nobody asks for a name.
fn by_address(wrong: &Wrong) -> Text {
    let to = wrong.to;
    Text::new(
        format!("the app dials {to}, and asks for no name; that address may be another the next time"),
        format!(
            "la aplicación llama a {to} y no pregunta por ningún nombre; la próxima vez esa dirección puede ser otra"
        ),
    )
}

fn unsure(wrong: &Wrong, was_up: bool) -> ProbeError {
    let Text { en, es } = wrong.text();
    if was_up {
        return ProbeError::ours(
            format!("attached: {en}; but it was up already, and what it asked for before is not known"),
            format!("adjunto: {es}; pero ya estaba en marcha, y no se sabe qué preguntó antes"),
        );
    }
    ProbeError::ours(
        format!("{en}; but it cannot be told whether that is all that it asked for"),
        format!("{es}; pero no se puede saber si eso es todo lo que preguntó"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::tree;

    #[test]
    fn an_app_that_ends_again_and_again_proves_nothing_by_its_container() {
        let up = |state: &str, since: i64| Container {
            state: state.into(),
            started_at: (OffsetDateTime::now_utc().unix_timestamp() - since) as f64,
            ..Container::default()
        };
        assert!(up("running", 60).stays_up());
        assert!(!up("running", 2).stays_up(), "it may be between two ends");
        assert!(!up("restarting", 60).stays_up());
    }

    #[test]
    fn a_visit_counts_where_no_look_of_ours_was_made_meanwhile() {
        let at = |s| OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(s);
        let looks = [(10.0, 11.0), (20.0, f64::INFINITY)];
        assert!(!watched_by_us(&looks, at(12), at(19)));
        assert!(watched_by_us(&looks, at(9), at(12)));
        assert!(watched_by_us(&looks, at(30), at(31)), "one that goes on");
    }

    #[test]
    fn the_first_visitor_never_waits_as_long_as_the_check() {
        let after = |waited, within| {
            let (timeout, last) = (Duration::from_secs(20), false);
            over(Attempt { timeout, waited: Duration::from_secs(waited), within: Duration::from_secs(within), last })
        };
        assert!(!after(14, 60) && after(15, 60));
        assert!(!after(5, 12) && after(6, 12));
        assert!(after(0, 0), "one look is all that there is");
    }

    #[test]
    fn what_was_up_before_us_may_have_asked_before() {
        let to = "10.0.0.1:3306".parse().unwrap();
        let wrong = Wrong {
            to,
            whose: judge::Whose::Nobody,
            accepted: false,
            sure: false,
            name: Some("db".into()),
            port: 3306,
        };
        let text = unsure(&wrong, true).text;
        assert!(text.en.starts_with("attached: the app dials 10.0.0.1:3306,") && text.es.starts_with("adjunto: "));
        assert!(!unsure(&wrong, false).text.en.contains("attached"));
        assert!(by_address(&wrong).en.contains("10.0.0.1:3306") && by_address(&wrong).es.contains("10.0.0.1:3306"));
    }

    #[test]
    fn parameters_name_both_roles_and_the_port() {
        let read = |text: &str| {
            let node = tree::read(text, "s.yaml").unwrap();
            let mut problems = Vec::new();
            let mut d = Decoder::new(&node, &mut problems);
            let probe = decode(&mut d).map(|p| (p.roles(), p.port));
            d.finish();
            (probe, problems.into_iter().map(|p| p.message).collect::<Vec<_>>())
        };
        let (probe, problems) = read("{role: app, store: db, port: 3306}");
        assert_eq!((probe.unwrap(), problems), ((vec!["db".to_owned(), "app".to_owned()], 3306), vec![]));
        assert_eq!(read("{role: app, store: db}").1, ["`port` is missing"]);
        assert!(read("{}").1.len() >= 2);
    }
}

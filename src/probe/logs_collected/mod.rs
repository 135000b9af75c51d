//! `logs_collected`: what a backend logs reaches the collector, which answers for it.
//!
//! A request that nobody else makes is sent to the backend, and looked for at the collector: the request itself, or a line
//! that the backend printed because of it.

mod ask;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::time::Instant;

use self::ask::{Ask, Said};
use super::common::{Found, bound, doors, look, now_at, player};
use super::{Attempt, Observation, Probe, ProbeError, ProbeKind, SETTLED};
use crate::agent::{Look, Sight};
use crate::expect::{FactSpec, Facts, Unit};
use crate::scenario::tree::Decoder;
use crate::stack::Stack;
use crate::text::Text;

pub static KIND: ProbeKind = ProbeKind {
    name: "logs_collected",
    summary: "What the backend logs reaches a collector: a request that nobody else makes is sent to the backend, and it, or a line printed because of it, is looked for at the collector",
    facts: &[
        FactSpec {
            name: "collected",
            unit: Unit::Bool,
            summary: "the collector has the request, or a line that the backend printed because of it",
        },
        FactSpec {
            name: "how",
            unit: Unit::Text,
            summary: "nonce: the request itself; line: a line that the backend printed after it",
        },
        FactSpec { name: "line", unit: Unit::Text, summary: "where the collector has it" },
        FactSpec { name: "after_s", unit: Unit::Seconds, summary: "from the request until the collector had it" },
        FactSpec {
            name: "emitted",
            unit: Unit::Bool,
            summary: "the backend answered the request, whatever its status",
        },
        FactSpec { name: "answered", unit: Unit::Bool, summary: "the collector answered a question" },
        FactSpec { name: "printed", unit: Unit::Number, summary: "lines that the backend printed since the request" },
    ],
    example: "{id: logs-are-collected, points: 0, logs_collected: {emitter: app, collector: app-logs, ask: {http: {port: 9200, path: \"/_search?q={nonce}\"}}}, expect: {collected: true}, eventually: {within: 60s}}",
    schema: || {
        json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["emitter", "collector", "ask"],
            "properties": {
                "emitter": {"type": "string", "description": "the role whose page is requested, and which logs"},
                "path": {"type": "string", "default": "/", "description": "the page that is requested, a parameter of ours added to it"},
                "collector": {"type": "string", "description": "the role that should have the log"},
                "ask": {
                    "type": "object",
                    "additionalProperties": false,
                    "minProperties": 1,
                    "maxProperties": 1,
                    "properties": {
                        "http": {
                            "type": "object",
                            "additionalProperties": false,
                            "required": ["port"],
                            "properties": {
                                "port": {"type": "integer", "minimum": 1, "maximum": 65535, "description": "a port of the collector's own, published or not"},
                                "path": {"type": "string", "default": "/", "description": "`{nonce}` in it is what is looked for"}
                            }
                        },
                        "command": {"type": "array", "minItems": 1, "items": {"type": "string"}, "description": "run in the collector's container; `{nonce}` as above"},
                        "file": {"type": "string", "description": "in the collector's container"},
                        "log": {"type": "boolean", "description": "what the collector itself prints"}
                    }
                }
            }
        })
    },
    decode: |d| decode(d).map(|probe| Box::new(probe) as Box<dyn Probe>),
};

/// Shorter lines are printed by chance.
const LEAST_LINE: usize = 8;
/// Lines of the backend that are looked for, the newest.
const MOST_LINES: usize = 200;

struct LogsCollected {
    emitter: String,
    path: String,
    collector: String,
    ask: Ask,
    nonce: String,
    /// A second one, which nobody ever requests.
    control: String,
    sent: tokio::sync::Mutex<Option<Sent>>,
}

/// The request, once it was answered.
#[derive(Clone, Debug)]
struct Sent {
    /// By the clocks of the backend's engine and of the collector's.
    at: f64,
    collector_at: f64,
    when: Instant,
    /// What the collector had before it.
    before: String,
}

fn decode(d: &mut Decoder<'_>) -> Option<LogsCollected> {
    let emitter = d.role("emitter");
    let path = d.text_or("path", "/");
    let collector = d.role("collector");
    d.required("ask");
    let ask = d.map("ask", ask::decode);
    if let (Some(emitter), Some(collector)) = (&emitter, &collector)
        && emitter == collector
    {
        d.problem_with("collector", "a backend is no collector of its own log", Some("name another role"));
    }
    let (nonce, control) = (nonce(), nonce());
    Some(LogsCollected {
        emitter: emitter?,
        path,
        collector: collector?,
        ask: ask?,
        nonce,
        control,
        sent: tokio::sync::Mutex::default(),
    })
}

/// A word that is in no log by chance.
fn nonce() -> String {
    format!("imparcial{:016x}", crate::nonce::number())
}

#[async_trait]
impl Probe for LogsCollected {
    fn roles(&self) -> Vec<String> {
        vec![self.emitter.clone(), self.collector.clone()]
    }

    fn visits(&self) -> bool {
        true
    }

    async fn observe(&self, stack: &Arc<Stack>, attempt: Attempt) -> Result<Observation, ProbeError> {
        let until = Instant::now() + attempt.timeout;
        let (emitter, collector) = (bound(stack, &self.emitter)?, bound(stack, &self.collector)?);
        if emitter.is_some() && emitter == collector {
            let service = emitter.unwrap_or_default();
            return Ok(said(
                &[("collected", json!(false))],
                Text::new(
                    format!("{service} is both the backend and the collector: its own log is not collected by anyone"),
                    format!("{service} es a la vez el backend y el recolector: nadie recolecta su registro"),
                ),
            ));
        }
        if collector.is_none()
            && let Found::Absent(why) = player(stack, &self.collector).await?
        {
            // Whom the file does not have will not come later.
            let mut seen = said(&[("answered", json!(false)), ("collected", json!(false))], why);
            seen.conditions.push(SETTLED.to_owned());
            return Ok(seen);
        }
        let mut sent = self.sent.lock().await;
        if sent.is_none() {
            // The collector first: what it had already proves nothing.
            let before = match self.ask.ask(stack, &self.collector, &self.nonce, None, until).await? {
                // Of its log only what comes after the request is read.
                Said::Answer(before) if self.ask != Ask::Log => before,
                Said::Answer(_) => String::new(),
                Said::Nothing(why) => return Ok(said(&[("answered", json!(false)), ("collected", json!(false))], why)),
            };
            let (at, collector_at) = (now_at(stack, &self.emitter).await, now_at(stack, &self.collector).await);
            if let Err(why) = self.request(stack, until).await? {
                let facts = [("answered", json!(true)), ("emitted", json!(false)), ("collected", json!(false))];
                return Ok(said(&facts, why));
            }
            *sent = Some(Sent { at, collector_at, when: Instant::now(), before });
        }
        let Some(sent) = sent.as_ref() else { return Ok(Observation::default()) };
        self.look_for(stack, sent, until).await
    }
}

impl LogsCollected {
    /// Requests the backend's page; `Err` inside is why it does not answer.
    async fn request(&self, stack: &Stack, until: Instant) -> Result<Result<(), Text>, ProbeError> {
        if let Found::Absent(why) = player(stack, &self.emitter).await? {
            return Ok(Err(why));
        }
        let containers = stack.containers().await?;
        let agent = stack.home.agents.lab().await?;
        let role = &self.emitter;
        let mut last = Text::new(
            format!("{role} publishes no port: there is nowhere to ask"),
            format!("{role} no publica ningún puerto: no hay dónde preguntar"),
        );
        let path = self.path.trim_start_matches('/');
        let and = if path.contains('?') { '&' } else { '?' };
        for door in doors(stack, role, &containers) {
            let url = format!("http://{}:{}/{path}{and}from={}", door.address(stack), door.host, self.nonce);
            let question =
                Look::Http { method: "GET".to_owned(), url, headers: Vec::new(), body: None, max_bytes: 1 << 16 };
            match look(&agent, question, until.saturating_duration_since(Instant::now())).await? {
                Sight::Http { .. } => return Ok(Ok(())),
                Sight::No { message, .. } => {
                    last = Text::new(
                        format!("{role} did not answer the request that it should log: {message}"),
                        format!("{role} no respondió a la petición que debía registrar: {message}"),
                    );
                }
                other => {
                    return Err(ProbeError::ours(
                        format!("unexpected answer: {other:?}"),
                        format!("respuesta inesperada: {other:?}"),
                    ));
                }
            }
        }
        Ok(Err(last))
    }

    async fn look_for(&self, stack: &Stack, sent: &Sent, until: Instant) -> Result<Observation, ProbeError> {
        let (role, since) = (&self.collector, Some(sent.collector_at));
        if self.ask.names_it()
            && let Said::Answer(echo) = self.ask.ask(stack, role, &self.control, since, until).await?
            && echo.contains(&self.control)
        {
            return Err(ProbeError::ours(
                format!(
                    "{role} repeats what it is asked, which proves nothing: leave `{}` out of the question",
                    ask::NONCE
                ),
                format!(
                    "{role} repite lo que se le pregunta, lo que no prueba nada: quite `{}` de la pregunta",
                    ask::NONCE
                ),
            ));
        }
        let after = match self.ask.ask(stack, role, &self.nonce, since, until).await? {
            Said::Answer(after) => after,
            Said::Nothing(why) => {
                let facts = [("emitted", json!(true)), ("answered", json!(false)), ("collected", json!(false))];
                return Ok(said(&facts, why));
            }
        };
        let printed = self.printed(stack, sent).await;
        let found = match after.lines().find(|line| line.contains(&self.nonce)) {
            Some(line) => Some(("nonce", line)),
            None => newer(printed.as_deref().unwrap_or_default(), &sent.before, &after).map(|line| ("line", line)),
        };
        let mut facts = vec![
            ("emitted", json!(true)),
            ("answered", json!(true)),
            ("collected", json!(found.is_some())),
            ("printed", printed.as_ref().map_or(Value::Null, |lines| json!(lines.len()))),
        ];
        if let Some((how, line)) = found {
            facts.extend([
                ("how", json!(how)),
                ("line", json!(line.chars().take(2000).collect::<String>())),
                ("after_s", json!(sent.when.elapsed().as_secs_f64())),
            ]);
        }
        let mut observation = said(&facts, self.missing(printed.as_deref(), sent.when.elapsed()));
        let tail = after.len().saturating_sub(64 << 10);
        let tail = (tail..=after.len()).find(|at| after.is_char_boundary(*at)).unwrap_or_default();
        observation.evidence.push(("collector.txt".to_owned(), after.as_bytes()[tail..].to_vec()));
        Ok(observation)
    }

    /// What the backend printed since the request; none where its log cannot be read here.
    async fn printed(&self, stack: &Stack, sent: &Sent) -> Option<Vec<String>> {
        let Ok(Found::Here(container)) = player(stack, &self.emitter).await else { return None };
        let mut lines = std::collections::VecDeque::new();
        let keep = |_, _, line: &str| {
            lines.push_back(line.trim().to_owned());
            if lines.len() > MOST_LINES {
                lines.pop_front();
            }
        };
        stack.spot_of(&container).engine.log_lines(&container.id, Some(sent.at), keep).await.ok()?;
        Some(lines.into())
    }

    /// Whose it is that nothing arrived: a backend that prints nothing has nothing to collect.
    fn missing(&self, printed: Option<&[String]>, waited: Duration) -> Text {
        let (emitter, collector, waited) = (&self.emitter, &self.collector, waited.as_secs_f64());
        match printed {
            Some([]) => Text::new(
                format!(
                    "{emitter} printed nothing when its page was requested, and {collector} has nothing of the request"
                ),
                format!("{emitter} no imprimió nada al pedirle su página, y {collector} no tiene nada de la petición"),
            ),
            Some(lines) => {
                let n = lines.len();
                Text::new(
                    format!(
                        "{emitter} printed {n} lines since its page was requested, and none of them was at {collector} {waited:.0} s later"
                    ),
                    format!(
                        "{emitter} imprimió {n} líneas desde que se le pidió su página, y ninguna estaba en {collector} {waited:.0} s después"
                    ),
                )
            }
            None => Text::new(
                format!("{collector} had nothing of the request to {emitter} {waited:.0} s after it"),
                format!("{collector} no tenía nada de la petición a {emitter} {waited:.0} s después"),
            ),
        }
    }
}

fn said(facts: &[(&str, Value)], why: Text) -> Observation {
    let facts: Facts = facts.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
    Observation { explanation: Some(why), ..Observation::of(facts) }
}

/// A line of the backend's that the collector has more often than before the request.
fn newer<'a>(printed: &'a [String], before: &str, after: &str) -> Option<&'a str> {
    let long = printed.iter().map(String::as_str).filter(|line| line.chars().count() >= LEAST_LINE);
    // A collector may keep its lines in JSON: quotes are written in another way there.
    let forms = |line: &str| {
        let quoted = json!(line).to_string();
        [line.to_owned(), quoted[1..quoted.len() - 1].to_owned()]
    };
    long.into_iter().find(|line| {
        forms(line).iter().any(|form| after.matches(form.as_str()).count() > before.matches(form.as_str()).count())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::tree;

    fn decoded(text: &str) -> (Option<LogsCollected>, Vec<String>) {
        let node = tree::read(text, "s.yaml").unwrap();
        let mut problems = Vec::new();
        let mut d = Decoder::new(&node, &mut problems);
        let probe = decode(&mut d);
        d.finish();
        (probe, problems.into_iter().map(|p| p.message).collect())
    }

    #[test]
    fn parameters() {
        let (probe, problems) = decoded("{emitter: app, collector: logs, ask: {log: true}}");
        assert!(problems.is_empty(), "{problems:?}");
        let probe = probe.unwrap();
        assert_eq!(probe.roles(), ["app", "logs"]);
        assert_ne!(probe.nonce, probe.control);
        assert_eq!(
            decoded("{emitter: app, collector: app, ask: {log: true}}").1,
            ["a backend is no collector of its own log"]
        );
        assert_eq!(decoded("{emitter: app, collector: logs}").1, ["`ask` is missing"]);
    }

    #[test]
    fn a_line_counts_where_the_collector_has_it_more_often_than_before() {
        let printed = ["ok".to_owned(), "GET \"/\" 200 a".to_owned()];
        let line = Some("GET \"/\" 200 a");
        assert_eq!(newer(&printed, "", "x GET \"/\" 200 a y\nok"), line);
        assert_eq!(newer(&printed, "", r#"{"log":"GET \"/\" 200 a"}"#), line, "in JSON as well");
        assert_eq!(newer(&printed, "GET \"/\" 200 a", "GET \"/\" 200 a"), None, "it had it already");
        assert_eq!(newer(&printed, "GET \"/\" 200 a", "GET \"/\" 200 a GET \"/\" 200 a"), line);
        assert_eq!(newer(&printed, "", "ok"), None, "too short to be sure");
    }

    #[test]
    fn a_backend_that_prints_nothing_is_not_the_collectors_failure() {
        let probe = decoded("{emitter: app, collector: logs, ask: {log: true}}").0.unwrap();
        let said = |printed: Option<&[String]>| probe.missing(printed, Duration::from_secs(9)).en;
        assert!(said(Some(&[])).starts_with("app printed nothing"));
        assert!(said(Some(&["a".into()])).contains("printed 1 lines"));
        assert!(said(None).starts_with("logs had nothing"));
    }
}

//! `log`: what a service printed since its last start, line by line.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use regex::{Regex, RegexBuilder};
use serde_json::{Value, json};

use super::common::{here, service_of};
use super::{Attempt, Observation, Probe, ProbeError, ProbeKind};
use crate::docker::{Container, EngineErrorKind, Stream};
use crate::expect::{FactSpec, Facts, Unit};
use crate::notice::Reason;
use crate::scenario::tree::Decoder;
use crate::stack::Stack;
use crate::text::Text;

pub static KIND: ProbeKind = ProbeKind {
    name: "log",
    summary: "Lines of a service's log that match: how many, the first and the last",
    facts: &[
        FactSpec { name: "count", unit: Unit::Number, summary: "how many lines match" },
        FactSpec { name: "first", unit: Unit::Text, summary: "the first of them; none where none does" },
        FactSpec { name: "last", unit: Unit::Text, summary: "the last of them" },
        FactSpec { name: "first_after_s", unit: Unit::Seconds, summary: "from the service's start to the first" },
        FactSpec { name: "lines", unit: Unit::Number, summary: "how many lines were read, matching or not" },
        FactSpec {
            name: "complete",
            unit: Unit::Bool,
            summary: "all of the log was read: 64 MiB at most, within the time of one look",
        },
    ],
    example: "{id: no-traceback, points: 1, log: {role: app, matches: '^Traceback'}, expect: {count: 0}}",
    schema: || {
        json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["role"],
            "properties": {
                "role": {"type": "string", "description": "whose log; of several replicas, all"},
                "matches": {"type": "string", "description": "a regular expression for a line; without one every line counts"},
                "since": {"enum": ["start", "creation"], "default": "start", "description": "the container's last start, or the first"},
                "within": {"type": "string", "description": "only lines so young: `30s`"},
                "stream": {"enum": ["stdout", "stderr"], "description": "only one of the two"}
            }
        })
    },
    decode: |d| decode(d).map(|probe| Box::new(probe) as Box<dyn Probe>),
};

/// As much of a line as is kept, in characters.
const MAX_LINE: usize = 4096;
/// As much as is kept of the lines that match, for evidence.
const MAX_EVIDENCE: usize = 256 << 10;

struct Log {
    role: String,
    matches: Option<Regex>,
    from_creation: bool,
    within: Option<Duration>,
    stream: Option<Stream>,
}

fn decode(d: &mut Decoder<'_>) -> Option<Log> {
    let role = d.role("role");
    let pattern = d.text("matches");
    let since = d.word("since", &["start", "creation"]);
    let within = d.duration("within");
    let stream = d.word("stream", &["stdout", "stderr"]);
    let matches = match pattern.map(|p| RegexBuilder::new(&p).size_limit(1 << 20).build()) {
        Some(Err(error)) => {
            let said = error.to_string();
            let last = said.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            d.problem_with("matches", format!("this is no regular expression: {last}"), None);
            None
        }
        Some(Ok(regex)) => Some(regex),
        None => None,
    };
    let stream = stream.map(|word| if word == "stderr" { Stream::Err } else { Stream::Out });
    Some(Log { role: role?, matches, from_creation: since == Some("creation"), within, stream })
}

#[async_trait]
impl Probe for Log {
    fn roles(&self) -> Vec<String> {
        vec![self.role.clone()]
    }

    async fn observe(&self, stack: &Arc<Stack>, attempt: Attempt) -> Result<Observation, ProbeError> {
        let service = here!(service_of(stack, &self.role)?, absent);
        let containers = stack.containers().await?;
        let ours: Vec<Container> = containers.into_iter().filter(|c| c.service == service).collect();
        if ours.is_empty() {
            return absent(Text::new(
                format!("service {service} has no container, and so no log"),
                format!("el servicio {service} no tiene contenedor y, por tanto, tampoco registro"),
            ));
        }
        let mut tally = Tally { complete: true, ..Tally::default() };
        let reading = async {
            for container in &ours {
                self.read(stack, container, &mut tally).await?;
            }
            Ok::<_, ProbeError>(())
        };
        match tokio::time::timeout(attempt.timeout, reading).await {
            Ok(read) => read?,
            Err(_) => tally.complete = false,
        }
        Ok(self.observation(&service, tally))
    }
}

impl Log {
    async fn read(&self, stack: &Stack, container: &Container, tally: &mut Tally) -> Result<(), ProbeError> {
        // What never started has printed nothing.
        if container.started_at <= 0.0 {
            return Ok(());
        }
        let start = container.log_from().filter(|_| !self.from_creation);
        let young = match self.within {
            Some(within) => Some(stack.now_at(stack.spot_of(container)).await - within.as_secs_f64()),
            None => None,
        };
        let since = start.into_iter().chain(young).reduce(f64::max);
        let read = stack.spot_of(container).engine.log_lines(&container.id, since, |stream, time, line| {
            if self.stream.is_none_or(|only| only == stream) {
                let matches = self.matches.as_ref().is_none_or(|regex| regex.is_match(line));
                tally.add(matches, time - container.started_at, line);
            }
        });
        match read.await {
            Ok(all) => tally.complete &= all,
            Err(error) => {
                let EngineErrorKind::Refused { message, .. } = &error.kind else { return Err(error.into()) };
                if !message.contains("does not support reading") {
                    return Err(error.into());
                }
                let service = &container.service;
                return Err(ProbeError::new(
                    Reason::NotHere,
                    format!(
                        "{service} logs through a driver that keeps nothing on this machine: its log cannot be read here"
                    ),
                    format!(
                        "{service} registra con un controlador que no guarda nada en esta máquina: aquí no se puede leer su registro"
                    ),
                ));
            }
        }
        Ok(())
    }

    fn observation(&self, service: &str, tally: Tally) -> Observation {
        let text = |line: &Option<String>| line.as_ref().map_or(Value::Null, |line| json!(line));
        let mut facts = Facts::from([
            ("count".to_owned(), json!(tally.count)),
            ("lines".to_owned(), json!(tally.lines)),
            ("complete".to_owned(), json!(tally.complete)),
        ]);
        if let Some(after) = tally.first_after {
            facts.extend([
                ("first".to_owned(), text(&tally.first)),
                ("last".to_owned(), text(&tally.last)),
                ("first_after_s".to_owned(), json!((after * 1000.0).round() / 1000.0)),
            ]);
        }
        let lines = tally.lines;
        let explanation = match (&tally.last, &self.matches) {
            (None, Some(regex)) => Text::new(
                format!("none of the {lines} lines that {service} printed matches `{regex}`"),
                format!("ninguna de las {lines} líneas que imprimió {service} coincide con `{regex}`"),
            ),
            (None, None) => Text::new(format!("{service} printed nothing"), format!("{service} no imprimió nada")),
            (Some(last), _) => {
                let (count, last) = (tally.count, crate::sanitize::line(last, 200));
                Text::new(
                    format!("{count} of the {lines} lines that {service} printed match, the last: {last}"),
                    format!("{count} de las {lines} líneas que imprimió {service} coinciden; la última: {last}"),
                )
            }
        };
        let evidence = vec![("lines.txt".to_owned(), tally.kept)];
        Observation { explanation: Some(explanation), evidence, ..Observation::of(facts) }
    }
}

fn absent(why: Text) -> Result<Observation, ProbeError> {
    Ok(Observation { explanation: Some(why), ..Observation::of(Facts::new()) })
}

#[derive(Default)]
struct Tally {
    count: u64,
    lines: u64,
    first: Option<String>,
    first_after: Option<f64>,
    last: Option<String>,
    kept: Vec<u8>,
    complete: bool,
}

impl Tally {
    fn add(&mut self, matches: bool, after: f64, line: &str) {
        self.lines += 1;
        if !matches {
            return;
        }
        self.count += 1;
        let line: String = line.chars().take(MAX_LINE).collect();
        if self.kept.len() + line.len() < MAX_EVIDENCE {
            self.kept.extend_from_slice(line.as_bytes());
            self.kept.push(b'\n');
        }
        self.first_after = Some(self.first_after.map_or(after, |first| first.min(after)));
        self.first.get_or_insert_with(|| line.clone());
        self.last = Some(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::tree;

    fn decoded(text: &str) -> (Option<Log>, Vec<String>) {
        let node = tree::read(text, "s.yaml").unwrap();
        let mut problems = Vec::new();
        let mut d = Decoder::new(&node, &mut problems);
        let probe = decode(&mut d);
        d.finish();
        (probe, problems.into_iter().map(|p| p.message).collect())
    }

    #[test]
    fn parameters() {
        let (probe, problems) = decoded("{role: app, matches: 'GET /', since: creation, within: 30s, stream: stderr}");
        let probe = probe.unwrap();
        assert!(problems.is_empty(), "{problems:?}");
        assert!(probe.from_creation);
        assert_eq!((probe.within, probe.stream), (Some(Duration::from_secs(30)), Some(Stream::Err)));
        let problems = decoded("{role: app, matches: '('}").1;
        assert!(problems[0].starts_with("this is no regular expression"), "{problems:?}");
    }

    #[test]
    fn what_matches_is_counted_and_the_ends_are_kept() {
        let probe = decoded("{role: app, matches: 'GET'}").0.unwrap();
        let mut tally = Tally::default();
        for (i, line) in ["start", "GET /a", "x", "GET /b"].into_iter().enumerate() {
            tally.add(line.contains("GET"), i as f64, line);
        }
        let seen = probe.observation("web", tally);
        let facts = &seen.subjects[0].1;
        assert_eq!((&facts["count"], &facts["lines"]), (&json!(2), &json!(4)));
        assert_eq!(
            (&facts["first"], &facts["last"], &facts["first_after_s"]),
            (&json!("GET /a"), &json!("GET /b"), &json!(1.0))
        );
        let seen = probe.observation("web", Tally { lines: 3, ..Tally::default() });
        assert_eq!(seen.explanation.unwrap().en, "none of the 3 lines that web printed matches `GET`");
        assert!(!seen.subjects[0].1.contains_key("last"));
    }
}

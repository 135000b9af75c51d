//! How a collector is asked for what it has: over HTTP, by a command of its own, in a file, in its log.

use std::time::Duration;

use tokio::time::Instant;

use crate::agent::{Look, Sight};
use crate::docker::Container;
use crate::docker::exec::ExecSpec;
use crate::probe::common::{Found, inside, look, player};
use crate::probe::page::text;
use crate::probe::visit::content_type;
use crate::probe::{ProbeError, command, file};
use crate::scenario::tree::Decoder;
use crate::stack::Stack;
use crate::text::Text;

/// As much of an answer as is read, in bytes.
const MOST: usize = 8 << 20;
/// What is put in the place of it is what is looked for.
pub(super) const NONCE: &str = "{nonce}";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Http { port: u16, path: String },
    Command { argv: Vec<String> },
    File { path: String },
    Log,
}

/// What a collector says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Answer(String),
    /// It does not answer at all, and why.
    Nothing(Text),
}

/// Exactly one way of asking.
pub(super) fn decode(d: &mut Decoder<'_>) -> Option<Ask> {
    let http = d.map("http", |h| {
        h.required("port");
        let (port, path) = (h.port("port"), h.text_or("path", "/"));
        Some(Ask::Http { port: port?, path })
    });
    let argv: Vec<String> = d.some_texts("command").into_iter().map(|(word, _)| word).collect();
    let command = (!argv.is_empty()).then_some(Ask::Command { argv });
    let file = d.text("file").map(|path| Ask::File { path });
    let log = d.bool_or("log", false).then_some(Ask::Log);
    let named = ["http", "command", "file", "log"].into_iter().filter(|key| d.has(key)).count();
    if named != 1 {
        d.problem_with("", "a collector is asked in one way", Some("`http`, `command`, `file` or `log`"));
    }
    http.or(command).or(file).or(log)
}

impl Ask {
    /// Whether what is looked for stands in the question, so that an answer may only repeat it.
    pub(super) fn names_it(&self) -> bool {
        match self {
            Self::Http { path, .. } => path.contains(NONCE),
            Self::Command { argv } => argv.iter().any(|word| word.contains(NONCE)),
            Self::File { .. } | Self::Log => false,
        }
    }

    /// Asks a role's container; `since` is from when on its log is read, by the engine's clock.
    pub(super) async fn ask(
        &self,
        stack: &Stack,
        role: &str,
        nonce: &str,
        since: Option<f64>,
        until: Instant,
    ) -> Result<Said, ProbeError> {
        let container = match player(stack, role).await? {
            Found::Here(container) => container,
            Found::Absent(why) => return Ok(Said::Nothing(why)),
        };
        let left = until.saturating_duration_since(Instant::now()).max(Duration::from_secs(1));
        match self {
            Self::Http { port, path } => http(stack, &container, *port, &path.replace(NONCE, nonce), left).await,
            Self::Command { argv } => {
                let argv = argv.iter().map(|word| word.replace(NONCE, nonce)).collect();
                let spec = ExecSpec { argv, ..ExecSpec::default() };
                Ok(match command::run(stack, role, &spec, left).await? {
                    Found::Absent(why) => Said::Nothing(why),
                    Found::Here(ran) => match ran.not_started {
                        Some(why) => nothing(&container, &why),
                        None if ran.timed_out => nothing(&container, "the command did not end in time"),
                        None => Said::Answer(String::from_utf8_lossy(&ran.stdout).into_owned()),
                    },
                })
            }
            Self::File { path } => Ok(match file::in_container(stack, role, path, MOST, left).await? {
                Found::Absent(why) => Said::Nothing(why),
                Found::Here(None) => nothing(&container, &format!("there is no {path}")),
                Found::Here(Some(seen)) if seen.size_bytes > MOST as u64 => {
                    return Err(ProbeError::ours(
                        format!("{path} is too large to be read whole: ask by `command`"),
                        format!("{path} es demasiado grande para leerlo entero: pregunte con `command`"),
                    ));
                }
                Found::Here(Some(seen)) => Said::Answer(text::decode(&seen.content, None)),
            }),
            Self::Log => {
                let mut all = String::new();
                let keep = |_, _, line: &str| {
                    if all.len() + line.len() < MOST {
                        all.push_str(line);
                        all.push('\n');
                    }
                };
                stack.spot_of(&container).engine.log_lines(&container.id, since.or(container.log_from()), keep).await?;
                Ok(Said::Answer(all))
            }
        }
    }
}

fn nothing(container: &Container, why: &str) -> Said {
    let (service, why) = (&container.service, crate::sanitize::line(why, 200));
    Said::Nothing(Text::new(
        format!("the collector {service} does not answer: {why}"),
        format!("el recolector {service} no responde: {why}"),
    ))
}

/// From inside the collector, at its own address and then at its loopback: it need not publish anything.
async fn http(stack: &Stack, container: &Container, port: u16, path: &str, left: Duration) -> Result<Said, ProbeError> {
    let agent = match inside(stack, container).await? {
        Found::Here(agent) => agent,
        Found::Absent(why) => return Ok(Said::Nothing(why)),
    };
    let mut last = nothing(container, "it has no address");
    for host in container.addresses.values().map(String::as_str).take(1).chain(["127.0.0.1"]) {
        let url = format!("http://{host}:{port}/{}", path.trim_start_matches('/'));
        let question = Look::Http { method: "GET".to_owned(), url, headers: Vec::new(), body: None, max_bytes: MOST };
        match look(&agent, question, left).await? {
            Sight::Http { headers, body, .. } => {
                return Ok(Said::Answer(text::decode(&body, content_type(&headers))));
            }
            Sight::No { message, .. } => last = nothing(container, &format!("port {port}: {message}")),
            other => {
                return Err(ProbeError::ours(
                    format!("unexpected answer: {other:?}"),
                    format!("respuesta inesperada: {other:?}"),
                ));
            }
        }
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::tree;

    fn decoded(text: &str) -> (Option<Ask>, Vec<String>) {
        let node = tree::read(text, "s.yaml").unwrap();
        let mut problems = Vec::new();
        let mut d = Decoder::new(&node, &mut problems);
        let ask = decode(&mut d);
        d.finish();
        (ask, problems.into_iter().map(|p| p.message).collect())
    }

    #[test]
    fn one_way_of_asking() {
        let (ask, problems) = decoded("{http: {port: 9200, path: '/_search?q={nonce}'}}");
        assert!(problems.is_empty(), "{problems:?}");
        assert!(ask.unwrap().names_it());
        assert_eq!(decoded("{log: true}").0, Some(Ask::Log));
        assert!(!decoded("{file: /fluentd/log/data.log}").0.unwrap().names_it());
        assert!(decoded("{command: [grep, '{nonce}', /log]}").0.unwrap().names_it());
        assert_eq!(decoded("{}").1, ["a collector is asked in one way"]);
        assert_eq!(decoded("{log: true, file: /x}").1, ["a collector is asked in one way"]);
        assert_eq!(decoded("{http: {path: /}}").1, ["`port` is missing"]);
    }
}

//! `command`: a command run inside a service's container or a machine, never on the host.
//!
//! What runs is the submission's own: its binaries, its user, its limits; what it says is testimony.

mod running;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::common::{Found, here};
use super::machines::{Looks, On, Seen, Target, called, each};
use super::{Attempt, Observation, Probe, ProbeError, ProbeKind};
use crate::docker::exec::ExecSpec;
use crate::expect::{FactSpec, Facts, Unit};
use crate::scenario::tree::Decoder;
use crate::stack::machines::Node;
use crate::stack::{Body, Stack};
use crate::text::Text;
use running::on_machine;
pub(super) use running::{Ran, asked, run};

pub static KIND: ProbeKind = ProbeKind {
    name: "command",
    summary: "What a command says inside a service's container or a machine: the submission's own programs, as its user and within its limits; so what they say is testimony. It may look and not write: it is run as often as the check looks",
    facts: &[
        FactSpec { name: "exit_code", unit: Unit::Number, summary: "its status; none where it did not end in time" },
        FactSpec {
            name: "stdout",
            unit: Unit::Text,
            summary: "what it printed, without newlines at its end; 64 KiB at most",
        },
        FactSpec { name: "stderr", unit: Unit::Text, summary: "what it complained" },
        FactSpec { name: "started", unit: Unit::Bool, summary: "the container has such a program" },
        FactSpec { name: "timed_out", unit: Unit::Bool, summary: "it was killed when the time of one look was over" },
        FactSpec { name: "elapsed_s", unit: Unit::Seconds, summary: "how long it took" },
    ],
    example: "{id: app-lists, points: 1, command: {role: app, argv: [cat, /etc/hostname]}, expect: {exit_code: 0, stdout: {matches: '\\S'}}}",
    schema: || {
        json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["argv"],
            "oneOf": [{"required": ["role"]}, {"required": ["node"]}],
            "properties": {
                "role": {"type": "string", "description": "whose container"},
                "node": On::schema(),
                "argv": {"type": "array", "minItems": 1, "items": {"type": "string"}, "description": "the program and its arguments; no shell reads them, unless the program is one: `[sh, -c, …]`"},
                "user": {"type": "string", "description": "as whom; the container's own user by default"},
                "workdir": {"type": "string", "description": "in which folder; the container's own by default"},
                "env": {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}, "description": "added to the container's own"}
            }
        })
    },
    decode: |d| decode(d).map(|probe| Box::new(probe) as Box<dyn Probe>),
};

struct Command {
    target: Target,
    spec: ExecSpec,
}

fn decode(d: &mut Decoder<'_>) -> Option<Command> {
    let target = if d.has("node") { Target::decode(d) } else { d.role("role").map(Target::Role) };
    d.required("argv");
    let argv: Vec<String> = d.some_texts("argv").into_iter().map(|(word, _)| word).collect();
    let (user, workdir) = (d.text("user"), d.text("workdir"));
    let env = d.text_map("env").into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    if argv.first().is_some_and(|program| program.trim().is_empty()) {
        d.problem_with("argv", "the program has no name", None);
    }
    Some(Command { target: target?, spec: ExecSpec { argv, env, user, workdir } })
}

#[async_trait]
impl Probe for Command {
    fn layer(&self) -> &'static str {
        self.target.layer()
    }

    fn roles(&self) -> Vec<String> {
        self.target.roles()
    }

    async fn observe(&self, stack: &Arc<Stack>, attempt: Attempt) -> Result<Observation, ProbeError> {
        match &self.target {
            Target::Role(role) => {
                let ran = here!(run(stack, role, &self.spec, attempt.timeout).await?, absent);
                Ok(observation(&ran))
            }
            Target::Node(on) => each(stack, on, attempt, self).await,
        }
    }
}

#[async_trait]
impl Looks for Command {
    async fn at(&self, stack: &Stack, node: &Node, body: &Body, timeout: Duration) -> Result<Seen, ProbeError> {
        Ok(match on_machine(stack, body, &called(node), &self.spec, timeout).await? {
            Found::Here(ran) => Seen::from(observation(&ran)),
            Found::Absent(why) => Seen::default().because(why),
        })
    }

    fn without(&self, _node: Option<&Node>) -> Facts {
        Facts::new()
    }
}

fn absent(why: Text) -> Result<Observation, ProbeError> {
    Ok(Observation { explanation: Some(why), ..Observation::of(Facts::new()) })
}

fn observation(ran: &Ran) -> Observation {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches(['\n', '\r']).to_owned();
    let mut facts = Facts::from([
        ("started".to_owned(), json!(ran.not_started.is_none())),
        ("timed_out".to_owned(), json!(ran.timed_out)),
        ("exit_code".to_owned(), ran.status.map_or(Value::Null, |status| json!(status))),
    ]);
    if let Some(why) = &ran.not_started {
        let why = crate::sanitize::line(why, 300);
        let said = Text::new(
            format!("the command could not be started in the container: {why}"),
            format!("la orden no se pudo iniciar en el contenedor: {why}"),
        );
        return Observation { explanation: Some(said), ..Observation::of(facts) };
    }
    let (stdout, stderr) = (text(&ran.stdout), text(&ran.stderr));
    let words = if stderr.trim().is_empty() { &stdout } else { &stderr };
    let last = crate::sanitize::line(words.lines().last().unwrap_or_default(), 200);
    let explanation = match ran.status {
        None if ran.timed_out => {
            let after = ran.elapsed.as_secs_f64();
            Text::new(
                format!("the command did not end in {after:.1} s and was killed; it last said: {last}"),
                format!("la orden no terminó en {after:.1} s y se mató; lo último que dijo: {last}"),
            )
        }
        status => {
            let status = status.map_or_else(|| "?".to_owned(), |status| status.to_string());
            Text::new(
                format!("the command ended with status {status}; it last said: {last}"),
                format!("la orden terminó con estado {status}; lo último que dijo: {last}"),
            )
        }
    };
    facts.extend([
        ("stdout".to_owned(), json!(stdout)),
        ("stderr".to_owned(), json!(stderr)),
        ("elapsed_s".to_owned(), json!(ran.elapsed.as_secs_f64())),
    ]);
    let evidence = [("stdout.txt", &ran.stdout), ("stderr.txt", &ran.stderr)]
        .into_iter()
        .filter(|(_, bytes)| !bytes.is_empty())
        .map(|(name, bytes)| (name.to_owned(), bytes.clone()))
        .collect();
    Observation { explanation: Some(explanation), evidence, ..Observation::of(facts) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::tree;

    fn decoded(text: &str) -> (Option<Command>, Vec<String>) {
        let node = tree::read(text, "s.yaml").unwrap();
        let mut problems = Vec::new();
        let mut d = Decoder::new(&node, &mut problems);
        let probe = decode(&mut d);
        d.finish();
        (probe, problems.into_iter().map(|p| p.message).collect())
    }

    #[test]
    fn an_argv_and_what_surrounds_it() {
        let (probe, problems) = decoded("{role: app, argv: [ls, -l, /app], user: root, workdir: /, env: {A: 1}}");
        assert!(problems.is_empty(), "{problems:?}");
        let spec = probe.unwrap().spec;
        assert_eq!((spec.argv, spec.env), (vec!["ls".into(), "-l".into(), "/app".into()], vec!["A=1".to_owned()]));
        assert_eq!(decoded("{role: app}").1, ["`argv` is missing"]);
        assert_eq!(decoded("{role: app, argv: []}").1, ["`argv` is an empty list"]);
        assert_eq!(decoded("{role: app, argv: ['', a]}").1, ["the program has no name"]);
        let (probe, problems) = decoded("{node: first, argv: [ls]}");
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(probe.map(|probe| (probe.layer(), probe.roles().len())), Some(("machines", 0)));
        assert_eq!(decoded("{node: all, role: app, argv: [ls]}").1, ["`node` and `role` name two targets"]);
    }

    #[test]
    fn what_it_says_is_a_fact_and_what_it_could_not_say_none() {
        let ran = Ran { status: Some(3), stdout: b"uno\ndos\n\n".to_vec(), ..Ran::default() };
        let seen = observation(&ran);
        assert_eq!(seen.subjects[0].1["stdout"], json!("uno\ndos"));
        assert_eq!(seen.explanation.unwrap().en, "the command ended with status 3; it last said: dos");
        let seen = observation(&Ran { not_started: Some("no such program".into()), ..Ran::default() });
        assert_eq!(seen.subjects[0].1["started"], json!(false));
        assert!(!seen.subjects[0].1.contains_key("stdout"));
    }
}

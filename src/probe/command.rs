//! `command`: a command run inside a service's container or a machine, never on the host.
//!
//! What runs is the submission's own: its binaries, its user, its limits; what it says is testimony.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::common::{Found, here, look, player};
use super::machines::{Looks, On, Seen, Target, called, each};
use super::{Attempt, Observation, Probe, ProbeError, ProbeKind};
use crate::agent::{Look, Sight};
use crate::docker::exec::{Exec, ExecSpec};
use crate::docker::{Container, EngineErrorKind};
use crate::exec::Cmd;
use crate::exec::capture::Capture;
use crate::expect::{FactSpec, Facts, Unit};
use crate::scenario::tree::Decoder;
use crate::stack::machines::Node;
use crate::stack::{Spot, Stack};
use crate::text::Text;

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

/// Kept of each stream: its beginning and its end, in bytes.
const HEAD: usize = 48 << 10;
const TAIL: usize = 16 << 10;
/// What the end of a command that was killed may take.
const LAST_WORDS: Duration = Duration::from_secs(2);

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
    async fn at(
        &self,
        stack: &Stack,
        node: &Node,
        container: &Container,
        timeout: Duration,
    ) -> Result<Seen, ProbeError> {
        Ok(match run_in(&stack.ground, container, &called(node), &self.spec, timeout).await? {
            Found::Here(ran) => Seen::from(observation(&ran)),
            Found::Absent(why) => Seen::default().because(why),
        })
    }

    fn without(&self, _node: Option<&Node>) -> Facts {
        Facts::new()
    }
}

/// Asks a machine's own program: what it says is testimony.
pub(super) async fn asked(
    stack: &Stack,
    node: &Node,
    container: &Container,
    argv: &[&str],
    timeout: Duration,
) -> Result<Found<Ran>, ProbeError> {
    let argv = argv.iter().map(|word| (*word).to_owned()).collect();
    let spec = ExecSpec { argv, user: Some("root".to_owned()), ..ExecSpec::default() };
    run_in(&stack.ground, container, &called(node), &spec, timeout).await
}

fn absent(why: Text) -> Result<Observation, ProbeError> {
    Ok(Observation { explanation: Some(why), ..Observation::of(Facts::new()) })
}

/// How a command went.
#[derive(Clone, Debug, Default)]
pub(super) struct Ran {
    /// Of a container where it could not be started: why.
    pub(super) not_started: Option<String>,
    pub(super) status: Option<i64>,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    pub(super) timed_out: bool,
    pub(super) elapsed: Duration,
}

impl Ran {
    /// It was asked for what every node can say, and said nothing of use: ours.
    pub(super) fn unable(&self) -> ProbeError {
        let words = if self.stderr.is_empty() { &self.stdout } else { &self.stderr };
        let words = String::from_utf8_lossy(words);
        let said = self.not_started.as_deref().unwrap_or_else(|| words.lines().last().unwrap_or_default());
        let said = crate::sanitize::line(said, 200);
        if self.timed_out {
            let after = self.elapsed.as_secs_f64();
            return ProbeError::ours(
                format!("the machine did not answer within {after:.1} s"),
                format!("la máquina no respondió en {after:.1} s"),
            );
        }
        ProbeError::ours(
            format!("the machine could not be asked: {said}"),
            format!("no se pudo preguntar a la máquina: {said}"),
        )
    }
}

/// Runs a command in a role's container and kills it when its time is over.
pub(super) async fn run(
    stack: &Stack,
    role: &str,
    spec: &ExecSpec,
    timeout: Duration,
) -> Result<Found<Ran>, ProbeError> {
    let container = match player(stack, role).await? {
        Found::Here(container) => container,
        Found::Absent(why) => return Ok(Found::Absent(why)),
    };
    let service = &container.service;
    let name = Text::new(format!("service {service}"), format!("el servicio {service}"));
    run_in(stack.spot_of(&container), &container, &name, spec, timeout).await
}

/// The same in a container that runs, called so.
async fn run_in(
    spot: &Spot,
    container: &Container,
    name: &Text,
    spec: &ExecSpec,
    timeout: Duration,
) -> Result<Found<Ran>, ProbeError> {
    let started = Instant::now();
    let mut exec = match spot.engine.exec(&container.id, spec).await {
        Ok(Ok(exec)) => exec,
        Ok(Err(why)) => return Ok(Found::Here(Ran { not_started: Some(why), ..Ran::default() })),
        Err(error) => {
            let stopped = error.is_missing() || matches!(error.kind, EngineErrorKind::Refused { status: 409, .. });
            return if stopped { Ok(Found::Absent(stopped_meanwhile(name))) } else { Err(error.into()) };
        }
    };
    let (mut out, mut err) = (Capture::with_caps(HEAD, TAIL), Capture::with_caps(HEAD, TAIL));
    let ended = drain(&mut exec, &mut out, &mut err, started + timeout).await;
    let mut state = spot.engine.exec_state(&exec.id).await?;
    let timed_out = !ended && state.running;
    if timed_out {
        kill(spot, container, name, state.pid).await?;
        drain(&mut exec, &mut out, &mut err, Instant::now() + LAST_WORDS).await;
        state = spot.engine.exec_state(&exec.id).await?;
    }
    let mut ran = Ran {
        status: state.status.filter(|_| !timed_out),
        stdout: out.bytes(),
        stderr: err.bytes(),
        timed_out,
        elapsed: started.elapsed(),
        not_started: None,
    };
    // An older engine says so in the command's own stream.
    let words = String::from_utf8_lossy(&ran.stdout).into_owned();
    if matches!(ran.status, Some(126 | 127)) && words.starts_with("OCI runtime exec failed") {
        ran.not_started = Some(words);
    }
    Ok(Found::Here(ran))
}

/// Whether it ended before the deadline.
async fn drain(exec: &mut Exec, out: &mut Capture, err: &mut Capture, until: Instant) -> bool {
    loop {
        match timeout_at(until, exec.next()).await {
            Ok(Some((is_err, piece))) => if is_err { &mut *err } else { &mut *out }.push(&piece),
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

/// Kills the command and what it started: an engine gives it a process group of its own, and has no way to end it.
async fn kill(spot: &Spot, container: &Container, name: &Text, pid: i64) -> Result<(), ProbeError> {
    let unable = |why: String| {
        ProbeError::ours(
            format!("a command in {} did not end in time and could not be killed: {why}", name.en),
            format!("una orden en {} no terminó a tiempo y no se pudo matar: {why}", name.es),
        )
    };
    if pid <= 1 {
        return Err(unable("it has no process yet".to_owned()));
    }
    // A number that was given to another process since then is not ours to kill.
    let path = format!("/proc/{pid}/cgroup");
    let sight = look(&spot.agents.lab().await?, Look::Files { paths: vec![path.clone()] }, LAST_WORDS).await?;
    let Sight::Files { contents } = sight else { return Err(unable(format!("{sight:?}"))) };
    match contents.get(&path) {
        None => return Ok(()),
        Some(groups) if !groups.contains(&container.id) => return Ok(()),
        Some(_) => {}
    }
    let cmd = Cmd::new(["kill", "-KILL", "--", &format!("-{pid}"), &pid.to_string()]).timeout(LAST_WORDS);
    spot.shell.run(&cmd).await.map_err(|e| unable(e.to_string()))?;
    Ok(())
}

fn stopped_meanwhile(name: &Text) -> Text {
    let (en, es) = (&name.en, &name.es);
    Text::new(
        format!("{en} stopped before a command could be run in it"),
        format!("{es} se detuvo antes de que se pudiera ejecutar allí una orden"),
    )
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

//! Running a command inside a service's container or a machine, to its end or until its time is over.

use std::io;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::agent::{Look, Sight};
use crate::docker::exec::{Exec, ExecSpec};
use crate::docker::{Container, EngineErrorKind};
use crate::exec::capture::Capture;
use crate::exec::{Cmd, Output, RunError, RunErrorKind, Shell};
use crate::notice::Reason;
use crate::probe::ProbeError;
use crate::probe::common::{Found, look, player};
use crate::probe::machines::called;
use crate::stack::machines::Node;
use crate::stack::{Body, Spot, Stack};
use crate::text::Text;

/// Kept of each stream: its beginning and its end, in bytes.
const HEAD: usize = 48 << 10;
const TAIL: usize = 16 << 10;
/// What the end of a command that was killed may take.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Asks a machine's own program: what it says is testimony.
pub(in crate::probe) async fn asked(
    stack: &Stack,
    node: &Node,
    body: &Body,
    argv: &[&str],
    timeout: Duration,
) -> Result<Found<Ran>, ProbeError> {
    let argv = argv.iter().map(|word| (*word).to_owned()).collect();
    let spec = ExecSpec { argv, user: Some("root".to_owned()), ..ExecSpec::default() };
    on_machine(stack, body, &called(node), &spec, timeout).await
}

/// The same, called so.
pub(super) async fn on_machine(
    stack: &Stack,
    body: &Body,
    name: &Text,
    spec: &ExecSpec,
    timeout: Duration,
) -> Result<Found<Ran>, ProbeError> {
    match body {
        Body::Container(container) => run_in(&stack.ground, container, name, spec, timeout).await,
        Body::Guest(started) => in_guest(started.guest.shell.as_ref(), spec, timeout).await.map(Found::Here),
    }
}

/// The same in a virtual machine, by its agent.
async fn in_guest(shell: &dyn Shell, spec: &ExecSpec, timeout: Duration) -> Result<Ran, ProbeError> {
    let began = Instant::now();
    let mut cmd = match spec.user.as_deref().filter(|user| *user != "root") {
        Some(user) => Cmd::new(["runuser", "-u", user, "--"]).args(spec.argv.iter().cloned()),
        None => Cmd::new(spec.argv.iter().cloned()),
    };
    cmd.cwd.clone_from(&spec.workdir);
    cmd.env = spec.env.iter().filter_map(|set| set.split_once('=')).map(|(k, v)| (k.into(), v.into())).collect();
    let ran = Ran { elapsed: began.elapsed(), ..Ran::default() };
    match shell.run(&cmd.timeout(timeout)).await {
        Ok(Output { status, stdout, stderr, elapsed }) => {
            Ok(Ran { status: Some(status.into()), stdout, stderr, elapsed, ..ran })
        }
        Err(RunError { kind: RunErrorKind::Timeout(elapsed, last), .. }) => {
            Ok(Ran { stdout: last.into_bytes(), timed_out: true, elapsed, ..ran })
        }
        Err(RunError { kind: RunErrorKind::Start(error), .. }) if error.kind() == io::ErrorKind::NotFound => {
            Ok(Ran { not_started: Some(error.to_string()), ..ran })
        }
        Err(error) => Err(ProbeError { reason: Reason::Host, text: error.text() }),
    }
}

/// How a command went.
#[derive(Clone, Debug, Default)]
pub(in crate::probe) struct Ran {
    /// Of a container where it could not be started: why.
    pub(in crate::probe) not_started: Option<String>,
    pub(in crate::probe) status: Option<i64>,
    pub(in crate::probe) stdout: Vec<u8>,
    pub(in crate::probe) stderr: Vec<u8>,
    pub(in crate::probe) timed_out: bool,
    pub(in crate::probe) elapsed: Duration,
}

impl Ran {
    /// It was asked for what every node can say, and said nothing of use: ours.
    pub(in crate::probe) fn unable(&self) -> ProbeError {
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
pub(in crate::probe) async fn run(
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

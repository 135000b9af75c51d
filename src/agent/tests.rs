//! The two sides of the agent talking to each other, the wire between them in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, DuplexStream, duplex, split};

use super::serve::serve;
use super::wire::{Tell, send};
use super::{AgentError, AgentShell, Agents, Look, Sight};
use crate::docker::Container;
use crate::exec::local::Local;
use crate::exec::{Cmd, Output, Piped, RunError, RunErrorKind, Said, Shell};

const SOON: Duration = Duration::from_secs(10);

/// A place whose agent is a task of this process.
#[derive(Default)]
struct Here {
    started: AtomicUsize,
    behaves: Behaves,
    gone: bool,
}

#[derive(Clone, Copy, Default)]
enum Behaves {
    #[default]
    Well,
    SaysBroken,
    SaysNoise,
    EndsAtFirstQuestion,
    NeverAnswers,
}

#[async_trait]
impl Shell for Here {
    fn place(&self) -> String {
        "here".into()
    }

    async fn run(&self, cmd: &Cmd) -> Result<Output, RunError> {
        if self.gone {
            let kind = RunErrorKind::Gone("no such container".into());
            return Err(RunError { cmd: cmd.clone(), place: self.place(), kind });
        }
        Local.run(cmd).await
    }

    async fn pipe(&self, _: &Cmd) -> Result<Piped, RunError> {
        self.started.fetch_add(1, Ordering::SeqCst);
        let (ours, theirs) = duplex(1 << 16);
        let task = tokio::spawn(behave(self.behaves, theirs));
        let (stdout, stdin) = split(ours);
        Ok(Piped { stdin: Box::new(stdin), stdout: Box::new(stdout), guard: Box::new(End(task.abort_handle())) })
    }
}

struct End(tokio::task::AbortHandle);

impl Drop for End {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn behave(how: Behaves, pipe: DuplexStream) {
    let (mut input, mut output) = split(pipe);
    let ready = Tell::Ready { version: "1".into() };
    match how {
        Behaves::Well => drop(serve(input, output).await),
        Behaves::SaysBroken => drop(send(&mut output, &Tell::Broken { message: "process 7 is gone".into() }).await),
        Behaves::SaysNoise => {
            drop(tokio::io::AsyncWriteExt::write_all(&mut output, b"bash: imparcial: command not found\n").await);
        }
        Behaves::EndsAtFirstQuestion => {
            drop(send(&mut output, &ready).await);
            drop(input.read(&mut [0; 16]).await);
        }
        Behaves::NeverAnswers => {
            drop(send(&mut output, &ready).await);
            drop(input.read_to_end(&mut Vec::new()).await);
        }
    }
}

fn place(behaves: Behaves) -> (Arc<Here>, Agents) {
    let here = Arc::new(Here { behaves, ..Here::default() });
    (here.clone(), Agents::new(here, "imparcial"))
}

#[tokio::test]
async fn many_looks_at_once_share_one_agent_and_each_gets_its_own_answer() {
    let dir = tempfile::tempdir().unwrap();
    let (here, agents) = place(Behaves::Well);
    let looks = (0..40).map(|i| {
        let (agents, path) = (agents.clone(), dir.path().join(i.to_string()));
        async move {
            std::fs::write(&path, i.to_string()).unwrap();
            let look = Look::Files { paths: vec![path.to_string_lossy().into_owned()] };
            let Sight::Files { contents, .. } = agents.lab().await.unwrap().look(look, SOON).await.unwrap() else {
                panic!("another sight")
            };
            assert_eq!(contents.values().collect::<Vec<_>>(), [&i.to_string()]);
        }
    });
    futures_util::future::join_all(looks).await;
    assert_eq!(here.started.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_agent_that_cannot_stand_there_says_why() {
    let said = |error: AgentError| error.to_string();
    let error = said(place(Behaves::SaysBroken).1.lab().await.err().unwrap());
    assert_eq!(error, "could not start an agent in here: process 7 is gone");
    let error = said(place(Behaves::SaysNoise).1.lab().await.err().unwrap());
    assert!(error.contains("something else than an agent"), "{error}");
}

#[tokio::test]
async fn an_agent_that_ends_fails_its_look_and_the_next_one_gets_a_new_agent() {
    let (here, agents) = place(Behaves::EndsAtFirstQuestion);
    for starts in 1..=2 {
        let agent = agents.lab().await.unwrap();
        let error = agent.look(Look::Ping, SOON).await.unwrap_err();
        assert!(matches!(error, AgentError::Ended { .. }), "{error}");
        assert_eq!(here.started.load(Ordering::SeqCst), starts);
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_never_answers_is_late_and_replaced() {
    let (here, agents) = place(Behaves::NeverAnswers);
    let agent = agents.lab().await.unwrap();
    let error = agent.look(Look::Ping, SOON).await.unwrap_err();
    assert!(matches!(error, AgentError::Late { .. }), "{error}");
    agents.lab().await.unwrap();
    assert_eq!(here.started.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn inside_is_one_agent_for_each_start_of_a_container() {
    let (here, agents) = place(Behaves::Well);
    let mut app =
        Container { id: "a".into(), state: "running".into(), pid: 7, started_at: 1.0, ..Container::default() };
    agents.inside(&app).await.unwrap();
    agents.inside(&app).await.unwrap();
    assert_eq!(here.started.load(Ordering::SeqCst), 1);
    app.started_at = 2.0;
    agents.inside(&app).await.unwrap();
    assert_eq!(here.started.load(Ordering::SeqCst), 2);
    app.state = "exited".into();
    assert!(matches!(agents.inside(&app).await.err(), Some(AgentError::NotRunning { .. })));
}

#[tokio::test]
async fn looks_from_inside_a_container_are_noted() {
    let (_, agents) = place(Behaves::Well);
    let app = Container { id: "a".into(), state: "running".into(), pid: 7, ..Container::default() };
    let inside = agents.inside(&app).await.unwrap();
    inside.look(Look::Files { paths: vec![] }, SOON).await.unwrap();
    agents.lab().await.unwrap().look(Look::Ping, SOON).await.unwrap();
    assert_eq!(agents.visits("a"), []);
    inside.look(Look::Dns { name: "localhost".into() }, SOON).await.unwrap();
    let visits = agents.visits("a");
    assert!(matches!(visits[..], [(from, to)] if from < to && to < from + 20.0), "{visits:?}");
    let (_, deaf) = place(Behaves::NeverAnswers);
    let given_up = tokio::time::timeout(Duration::from_millis(50), async {
        deaf.inside(&app).await.unwrap().look(Look::Dns { name: "localhost".into() }, SOON).await
    });
    assert!(given_up.await.is_err());
    let visits = deaf.visits("a");
    assert!(matches!(visits[..], [(from, to)] if to > from + 29.0), "it may go on asking: {visits:?}");
    assert_eq!(agents.visits("b"), []);
}

#[tokio::test]
async fn commands_run_beside_the_agent_as_anywhere() {
    let (here, agents) = place(Behaves::Well);
    let shell = AgentShell::new(agents, here);
    let cmd = Cmd::new(["sh", "-c", "cat; echo $A; pwd >&2; exit 3"]).env("A", "1").cwd("/usr").stdin("in ");
    let output = shell.run(&cmd).await.unwrap();
    assert_eq!((output.status, output.out().as_str(), output.err().as_str()), (3, "in 1\n", "/usr\n"));
    let error = shell.run(&Cmd::new(["sleep", "60"]).timeout(Duration::from_millis(100))).await.unwrap_err();
    assert!(matches!(error.kind, RunErrorKind::Timeout(..)), "{error}");
    let error = shell.run(&Cmd::new(["imparcial-no-such-program"])).await.unwrap_err();
    assert!(error.to_string().contains("is not installed"), "{error}");
}

#[tokio::test]
async fn lines_of_a_command_come_before_its_end_and_a_flood_of_them_holds_nothing_up() {
    let (here, agents) = place(Behaves::Well);
    let shell = AgentShell::new(agents, here);
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let said: Said = Arc::new(move |line| drop(tell.send(line.to_owned())));
    let dir = tempfile::tempdir().unwrap();
    let seen = dir.path().join("seen");
    let script = format!("echo first; until [ -e {} ]; do sleep 0.02; done; seq 200000", seen.display());
    let cmd = Cmd::new(["sh", "-c", &script]).timeout(SOON);
    let (output, first) = tokio::join!(shell.follow(&cmd, said), async {
        let first = told.recv().await;
        std::fs::write(&seen, "").unwrap();
        first
    });
    assert_eq!(first.as_deref(), Some("first"));
    assert!(output.unwrap().out().ends_with("\n200000\n"));
    let more = std::iter::from_fn(|| told.try_recv().ok()).count();
    assert!((1..20_000).contains(&more), "{more}");
}

#[tokio::test]
async fn a_command_that_nobody_waits_for_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    let (begun, still) = (dir.path().join("begun"), dir.path().join("still"));
    let (here, agents) = place(Behaves::Well);
    let shell = AgentShell::new(agents, here);
    let script = format!("touch {}; while sleep 0.05; do touch {}; done", begun.display(), still.display());
    let running = tokio::spawn(async move { shell.run(&Cmd::new(["sh", "-c", &script])).await.map(|o| o.status) });
    let deadline = Instant::now() + SOON;
    while !begun.exists() {
        assert!(Instant::now() < deadline, "never begun");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    running.abort();
    // Ended once it no longer touches its file: it would every 50 ms.
    loop {
        let _ = std::fs::remove_file(&still);
        tokio::time::sleep(Duration::from_millis(500)).await;
        if !still.exists() {
            break;
        }
        assert!(Instant::now() < deadline, "it still runs");
    }
}

#[tokio::test]
async fn a_place_that_is_gone_is_told_from_an_agent_that_ended() {
    let here = Arc::new(Here { behaves: Behaves::EndsAtFirstQuestion, ..Here::default() });
    let shell = AgentShell::new(Agents::new(here.clone(), "imparcial"), here);
    let error = shell.run(&Cmd::new(["true"])).await.unwrap_err();
    assert!(matches!(error.kind, RunErrorKind::Start(_)), "{error}");
    let here = Arc::new(Here { behaves: Behaves::EndsAtFirstQuestion, gone: true, ..Here::default() });
    let shell = AgentShell::new(Agents::new(here.clone(), "imparcial"), here);
    let error = shell.run(&Cmd::new(["true"])).await.unwrap_err();
    assert!(matches!(&error.kind, RunErrorKind::Gone(why) if why == "no such container"), "{error}");
}

#[tokio::test]
async fn this_host_needs_no_agent() {
    let agents = Agents::default();
    assert!(matches!(agents.host().look(Look::Ping, SOON).await, Ok(Sight::Pong)));
    assert!(matches!(agents.lab().await.err(), Some(AgentError::NoLab)));
}

//! The agent's own side: reads what is asked on standard input, answers on standard output, many at a time.
//!
//! It ends when its input ends, and with it every command that it runs: whoever started it is gone then.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::join::Inside;
use super::wire::{Ask, Ran, Tell, receive, send};
use super::{Answer, Request, Sight, looks};
use super::{allocate, clock, dial, exhaust};
use crate::exec::local::Local;
use crate::exec::{Said, Shell};

/// The name of the hidden subcommand.
pub(crate) const NAME: &str = "agent";

/// Answers that wait to be written.
const WAITING: usize = 64;

/// Runs as agent where the command line asks for one, and says how it ended. Every binary that starts agents of itself
/// calls it first thing in `main`: an agent may have no second thread before it stands where it should.
pub fn dispatched() -> Option<ExitCode> {
    let mut args = std::env::args().skip(1);
    (args.next().as_deref() == Some(NAME)).then(|| main(&args.collect::<Vec<_>>()))
}

fn main(args: &[String]) -> ExitCode {
    let other = [allocate::asked, exhaust::asked, clock::asked, dial::asked];
    if let Some(code) = other.iter().find_map(|asked| asked(args)) {
        return code;
    }
    let joined = Inside::parse(args).and_then(|inside| inside.map_or(Ok(()), |inside| inside.join()));
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(_) => return ExitCode::FAILURE,
    };
    let served = runtime.block_on(async {
        let mut output = tokio::io::stdout();
        match joined {
            Ok(()) => serve(tokio::io::stdin(), output).await,
            Err(message) => send(&mut output, &Tell::Broken { message }).await,
        }
    });
    // Reading standard input is a thread that cannot be stopped.
    runtime.shutdown_background();
    if served.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Answers until the input ends or nobody reads the answers.
///
/// # Errors
/// Of the pipes, and for a message that is none.
pub(crate) async fn serve(
    mut input: impl AsyncRead + Unpin,
    mut output: impl AsyncWrite + Unpin + Send + 'static,
) -> std::io::Result<()> {
    let (answers, mut to_write) = mpsc::channel::<Tell>(WAITING);
    let mut writing = tokio::spawn(async move {
        send(&mut output, &Tell::Ready { version: env!("CARGO_PKG_VERSION").to_owned() }).await?;
        while let Some(answer) = to_write.recv().await {
            send(&mut output, &answer).await?;
        }
        Ok(())
    });
    let mut running = Running::default();
    loop {
        let ask = tokio::select! {
            ask = receive::<Ask>(&mut input) => ask?,
            ended = &mut writing => return ended.unwrap_or_else(|e| Err(std::io::Error::other(e))),
        };
        match ask {
            None => return Ok(()),
            Some(Ask::Look(request)) => {
                let answers = answers.clone();
                running.start(request.id, async move {
                    let sight = look(request).await;
                    // Nobody reads any more: the loop ends by itself.
                    let _ = answers.send(Tell::Sight(sight)).await;
                });
            }
            Some(Ask::Run { id, cmd, follow }) => {
                let answers = answers.clone();
                running.start(id, async move {
                    let told = answers.clone();
                    // Where answers wait, a line that is only for show is left out.
                    let said: Said =
                        Arc::new(move |line| drop(told.try_send(Tell::Said { id, line: line.to_owned() })));
                    let ran = if follow { Local.follow(&cmd, said).await } else { Local.run(&cmd).await };
                    let ran = Ran::of(ran.map_err(|e| e.kind));
                    let _ = answers.send(Tell::Ran { id, ran }).await;
                });
            }
            Some(Ask::Stop { id }) => running.stop(id),
        }
    }
}

async fn look(request: Request) -> Answer {
    let looking = looks::look(request.look, Duration::from_millis(request.timeout_ms));
    // A mistake of ours in one look must not leave its caller waiting, nor end the others.
    let sight = AssertUnwindSafe(looking).catch_unwind().await;
    let sight = sight.unwrap_or_else(|_| Sight::Unable { message: "the agent failed while it looked".into() });
    Answer { id: request.id, sight }
}

/// What is being done now; all of it ends with the agent.
#[derive(Default)]
struct Running(HashMap<u64, AbortHandle>);

impl Running {
    fn start(&mut self, id: u64, work: impl Future<Output = ()> + Send + 'static) {
        self.0.retain(|_, task| !task.is_finished());
        self.0.insert(id, tokio::spawn(work).abort_handle());
    }

    fn stop(&mut self, id: u64) {
        if let Some(task) = self.0.remove(&id) {
            task.abort();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for task in self.0.values() {
            task.abort();
        }
    }
}

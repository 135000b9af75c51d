//! One running agent and the questions under way: many at a time, each answered to whoever asked it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::client::AgentError;
use super::wire::{Ask, Ran, Tell, receive, send};
use super::{Look, Request, Sight};
use crate::exec::{Cmd, Piped, Said, Shell};
use crate::time::whole_ms;

/// How long an agent may take until it says that it is ready.
const READY: Duration = Duration::from_secs(20);
/// What the pipes may take on top of a look's own time.
const SLACK: Duration = Duration::from_secs(3);

/// A running agent. It ends when this is dropped.
pub(crate) struct Connection {
    place: String,
    ids: AtomicU64,
    stdin: tokio::sync::Mutex<Box<dyn AsyncWrite + Send + Unpin>>,
    waiting: Arc<Waiting>,
    reading: JoinHandle<()>,
    _guard: Box<dyn Send + Sync>,
}

/// Who waits for an answer; none any more once the agent has ended.
struct Waiting(Mutex<Option<HashMap<u64, Asker>>>);

/// Where an answer goes, and the lines before it.
struct Asker {
    answer: oneshot::Sender<Tell>,
    said: Option<Said>,
}

impl Waiting {
    fn with<T>(&self, work: impl FnOnce(&mut Option<HashMap<u64, Asker>>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn take(&self, id: u64) -> Option<Asker> {
        self.with(|map| map.as_mut().and_then(|map| map.remove(&id)))
    }

    fn said(&self, id: u64) -> Option<Said> {
        self.with(|map| map.as_ref().and_then(|map| map.get(&id)?.said.clone()))
    }

    /// Everyone who waits learns that nothing will come.
    fn close(&self) {
        self.with(|map| *map = None);
    }
}

impl Connection {
    /// Starts an agent by `shell` and waits until it stands where it should.
    pub(crate) async fn start(shell: &dyn Shell, cmd: &Cmd, place: String) -> Result<Self, AgentError> {
        let failed = |message: String| AgentError::Start { place: place.clone(), message };
        let Piped { stdin, mut stdout, guard } = shell.pipe(cmd).await.map_err(|e| failed(e.to_string()))?;
        match timeout(READY, receive::<Tell>(&mut stdout)).await {
            Ok(Ok(Some(Tell::Ready { version }))) => tracing::debug!(%place, %version, "an agent is ready"),
            Ok(Ok(Some(Tell::Broken { message }))) => return Err(failed(message)),
            Ok(Ok(Some(_))) => return Err(failed("it answers what nobody asked".into())),
            Ok(Ok(None)) => return Err(failed("it ended at once; the log has its words".into())),
            Ok(Err(error)) => return Err(failed(error.to_string())),
            Err(_) => return Err(failed(format!("it was not ready after {READY:?}"))),
        }
        let waiting = Arc::new(Waiting(Mutex::new(Some(HashMap::new()))));
        let reading = tokio::spawn(read(stdout, waiting.clone(), place.clone()));
        let stdin = tokio::sync::Mutex::new(stdin);
        Ok(Self { place, ids: AtomicU64::new(1), stdin, waiting, reading, _guard: guard })
    }

    pub(crate) fn alive(&self) -> bool {
        self.waiting.with(|map| map.is_some())
    }

    pub(crate) async fn look(self: &Arc<Self>, look: Look, within: Duration) -> Result<Sight, AgentError> {
        let timeout_ms = whole_ms(within);
        let asked = |id| Ask::Look(Request { id, timeout_ms, look });
        match self.ask(asked, Some(within + SLACK), None).await? {
            Tell::Sight(answer) => Ok(answer.sight),
            _ => Err(self.ended("it answered something else")),
        }
    }

    /// Runs a command beside the agent. `within` is the command's own limit and is kept by the agent.
    pub(crate) async fn run(
        self: &Arc<Self>,
        cmd: Cmd,
        within: Option<Duration>,
        said: Option<Said>,
    ) -> Result<Ran, AgentError> {
        let follow = said.is_some();
        match self.ask(|id| Ask::Run { id, cmd, follow }, within.map(|t| t + 4 * SLACK), said).await? {
            Tell::Ran { ran, .. } => Ok(ran),
            _ => Err(self.ended("it answered something else")),
        }
    }

    async fn ask(
        self: &Arc<Self>,
        ask: impl FnOnce(u64) -> Ask,
        within: Option<Duration>,
        said: Option<Said>,
    ) -> Result<Tell, AgentError> {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let (answer, told) = oneshot::channel();
        let asker = Asker { answer, said };
        let known = self.waiting.with(|map| map.as_mut().map(|map| map.insert(id, asker)).is_some());
        if !known {
            return Err(self.ended("it ended before"));
        }
        let mut asking = Asking { connection: self, id, done: false };
        let exchange = async {
            self.say(ask(id)).await.map_err(|e| self.ended(&e.to_string()))?;
            told.await.map_err(|_| self.ended("it ended in the middle of it"))
        };
        let answer = match within {
            None => exchange.await,
            Some(within) => match timeout(within, exchange).await {
                Ok(answer) => answer,
                Err(_) => {
                    // It may hang for ever: the next one to ask gets a new agent.
                    self.waiting.close();
                    return Err(AgentError::Late { place: self.place.clone(), after: within });
                }
            },
        };
        asking.done = answer.is_ok();
        answer
    }

    /// Writes a whole message even where the asking is given up half way: half a message would garble the next ones.
    async fn say(self: &Arc<Self>, ask: Ask) -> std::io::Result<()> {
        let this = self.clone();
        let writing = tokio::spawn(async move { send(&mut **this.stdin.lock().await, &ask).await });
        writing.await.unwrap_or_else(|e| Err(std::io::Error::other(e)))
    }

    fn ended(&self, message: &str) -> AgentError {
        AgentError::Ended { place: self.place.clone(), message: message.to_owned() }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

/// A question under way; one that is given up is ended at the agent's side too.
struct Asking<'a> {
    connection: &'a Arc<Connection>,
    id: u64,
    done: bool,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if self.done || self.connection.waiting.take(self.id).is_none() {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (connection, id) = (self.connection.clone(), self.id);
            runtime.spawn(async move {
                // An agent that has ended runs nothing any more.
                let _ = connection.say(Ask::Stop { id }).await;
            });
        }
    }
}

async fn read(mut stdout: Box<dyn AsyncRead + Send + Unpin>, waiting: Arc<Waiting>, place: String) {
    loop {
        let tell = match receive::<Tell>(&mut stdout).await {
            Ok(Some(tell)) => tell,
            Ok(None) => break,
            Err(error) => {
                tracing::warn!(%place, %error, "an agent's pipe broke");
                break;
            }
        };
        let id = match &tell {
            Tell::Sight(answer) => answer.id,
            Tell::Ran { id, .. } => *id,
            Tell::Said { id, line } => {
                if let Some(said) = waiting.said(*id) {
                    said(line);
                }
                continue;
            }
            Tell::Ready { .. } | Tell::Broken { .. } => continue,
        };
        // Nobody waits for what was given up.
        if let Some(asker) = waiting.take(id) {
            let _ = asker.answer.send(tell);
        }
    }
    waiting.close();
}

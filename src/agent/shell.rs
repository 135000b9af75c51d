//! Commands run by a place's agent: a millisecond instead of a `docker exec` each, and one that nobody waits for any
//! more is really ended, with all its children.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::client::{AgentError, Agents, Stand};
use crate::exec::{Cmd, Output, Piped, RunError, RunErrorKind, Said, Shell};

/// How long the place may take to show that it is still there.
const THERE: Duration = Duration::from_secs(20);

/// The shell of a place that has an agent.
#[derive(Clone)]
pub struct AgentShell {
    agents: Agents,
    /// Starts the agent, and gives pipes.
    under: Arc<dyn Shell>,
}

impl AgentShell {
    /// `under` is the shell by which `agents` starts its agents.
    pub fn new(agents: Agents, under: Arc<dyn Shell>) -> Self {
        Self { agents, under }
    }

    async fn ask(&self, cmd: &Cmd, said: Option<Said>) -> Result<Result<Output, RunErrorKind>, AgentError> {
        match self.agents.lab().await?.0 {
            Stand::Here => Ok(Err(RunErrorKind::Gone("there is no agent".into()))),
            Stand::There(agent) | Stand::Inside(agent, ..) => {
                agent.run(cmd.clone(), cmd.timeout, said).await.map(super::wire::Ran::result)
            }
        }
    }

    async fn run_told(&self, cmd: &Cmd, said: Option<Said>) -> Result<Output, RunError> {
        let kind = match self.ask(cmd, said).await {
            Ok(Ok(output)) => return Ok(output),
            Ok(Err(kind)) => kind,
            Err(error) => self.why(error).await,
        };
        Err(RunError { cmd: cmd.clone(), place: self.place(), kind })
    }

    /// Whether an agent that ended did so because its whole place is gone.
    async fn why(&self, error: AgentError) -> RunErrorKind {
        match self.under.run(&Cmd::new(["true"]).timeout(THERE)).await {
            Ok(_) => std::io::Error::other(error.to_string()).into(),
            Err(RunError { kind: RunErrorKind::Gone(why), .. }) => RunErrorKind::Gone(why),
            Err(other) => RunErrorKind::Gone(other.kind.to_string()),
        }
    }
}

#[async_trait]
impl Shell for AgentShell {
    fn place(&self) -> String {
        self.under.place()
    }

    async fn run(&self, cmd: &Cmd) -> Result<Output, RunError> {
        self.run_told(cmd, None).await
    }

    async fn follow(&self, cmd: &Cmd, said: Said) -> Result<Output, RunError> {
        self.run_told(cmd, Some(said)).await
    }

    async fn pipe(&self, cmd: &Cmd) -> Result<Piped, RunError> {
        self.under.pipe(cmd).await
    }
}

//! `Shell`: run an argv somewhere (this host, inside a lab) without the caller knowing where.
//!
//! There are no shell strings anywhere; what needs quoting is quoted by the implementation that needs it.

pub(crate) mod capture;
pub mod container;
mod follow;
pub mod local;
pub mod scripted;
pub mod ssh;
mod within;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};

pub(crate) use follow::Follower;
pub use follow::Said;

use crate::text::Text;

/// A command to run: argv and what surrounds it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cmd {
    pub argv: Vec<String>,
    /// Added to the environment; with `clean_env`, the whole of it (but PATH).
    pub env: Vec<(String, String)>,
    pub clean_env: bool,
    pub cwd: Option<String>,
    pub stdin: Option<Vec<u8>>,
    /// After this the whole process group is ended; the error says so.
    pub timeout: Option<Duration>,
}

impl Cmd {
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self { argv: argv.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.argv.push(arg.into());
        self
    }

    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.argv.extend(args.into_iter().map(Into::into));
        self
    }

    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    pub fn cwd(mut self, dir: impl Into<String>) -> Self {
        self.cwd = Some(dir.into());
        self
    }

    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    pub fn timeout(mut self, after: Duration) -> Self {
        self.timeout = Some(after);
        self
    }
}

/// Prints a line that can be pasted into a shell.
impl fmt::Display for Cmd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, word) in self.argv.iter().enumerate() {
            if i > 0 {
                f.write_str(" ")?;
            }
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%".contains(c);
            if !word.is_empty() && word.chars().all(plain) {
                f.write_str(word)?;
            } else {
                write!(f, "'{}'", word.replace('\'', "'\\''"))?;
            }
        }
        Ok(())
    }
}

/// What a finished command said. A non-zero status is an answer, not an error.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// The exit status; 128 + n where signal n ended it.
    pub status: i32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub elapsed: Duration,
}

impl Output {
    pub fn ok(&self) -> bool {
        self.status == 0
    }

    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Both streams, standard output first.
    pub fn both(&self) -> String {
        let (out, err) = (self.out(), self.err());
        if out.is_empty() || err.is_empty() { out + &err } else { format!("{}\n{err}", out.trim_end()) }
    }
}

/// The command could not be run to its end, or (from [`ShellExt::must`]) said no.
#[derive(Debug, thiserror::Error)]
#[error("could not run `{cmd}` on {place}: {kind}")]
pub struct RunError {
    pub cmd: Cmd,
    pub place: String,
    pub kind: RunErrorKind,
}

#[derive(Debug, thiserror::Error)]
pub enum RunErrorKind {
    #[error("{0}")]
    Start(#[from] std::io::Error),
    #[error("no end after {0:?}; last output: {1}")]
    Timeout(Duration, String),
    #[error("exit status {status}: {tail}")]
    Status { status: i32, tail: String },
    #[error("the place is gone: {0}")]
    Gone(String),
}

impl RunError {
    /// For people.
    pub fn text(&self) -> Text {
        let Self { cmd, place, kind } = self;
        let seen = match kind {
            RunErrorKind::Start(error) => error.to_string(),
            RunErrorKind::Timeout(after, last) => format!("no terminó en {after:?}; última salida: {last}"),
            RunErrorKind::Status { status, tail } => format!("código de salida {status}: {tail}"),
            RunErrorKind::Gone(said) => format!("el lugar ya no está: {said}"),
        };
        let place = if place == "this host" { "esta máquina" } else { place };
        Text::new(self.to_string(), format!("no se pudo ejecutar `{cmd}` en {place}: {seen}"))
    }
}

/// A running command's two pipes: what agents and engine transports stand on.
pub struct Piped {
    pub stdin: Box<dyn AsyncWrite + Send + Unpin>,
    pub stdout: Box<dyn AsyncRead + Send + Unpin>,
    /// Ends the command (its whole process group) when dropped.
    pub guard: Box<dyn Send + Sync>,
}

/// Runs a command somewhere.
#[async_trait]
pub trait Shell: Send + Sync {
    /// Where commands run, for messages: "this host", "lab imparcial-x".
    fn place(&self) -> String;

    /// Runs to the end. The error is only for what could not be started, timed out or lost its place.
    async fn run(&self, cmd: &Cmd) -> Result<Output, RunError>;

    /// The same, and lines of both streams are told as they are printed, where the place can do so.
    async fn follow(&self, cmd: &Cmd, said: Said) -> Result<Output, RunError> {
        drop(said);
        self.run(cmd).await
    }

    /// Starts, and gives its pipes; standard error goes to our log.
    async fn pipe(&self, cmd: &Cmd) -> Result<Piped, RunError>;
}

/// Conveniences over every [`Shell`].
#[async_trait]
pub trait ShellExt: Shell {
    /// Runs, and makes a non-zero status an error that carries the end of what was printed.
    async fn must(&self, cmd: &Cmd) -> Result<Output, RunError> {
        let output = self.run(cmd).await?;
        match refused(&output) {
            None => Ok(output),
            Some(kind) => Err(RunError { cmd: cmd.clone(), place: self.place(), kind }),
        }
    }

    /// The same, and its lines are told as they are printed.
    async fn must_follow(&self, cmd: &Cmd, said: Said) -> Result<Output, RunError> {
        let output = self.follow(cmd, said).await?;
        match refused(&output) {
            None => Ok(output),
            Some(kind) => Err(RunError { cmd: cmd.clone(), place: self.place(), kind }),
        }
    }
}

/// What a command that said no printed last.
fn refused(output: &Output) -> Option<RunErrorKind> {
    let text = output.both();
    let tail: Vec<&str> = text.trim_end().lines().rev().take(12).collect();
    let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
    (!output.ok()).then_some(RunErrorKind::Status { status: output.status, tail })
}

impl<S: Shell + ?Sized> ShellExt for S {}

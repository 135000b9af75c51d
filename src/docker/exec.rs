//! A command in a container, through the engine itself: with its own streams, its status, and the process that it is.

use std::pin::Pin;

use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::exec::{CreateExecOptions, StartExecResults};
use futures_util::{Stream, StreamExt};

use super::{Engine, EngineError, EngineErrorKind};

/// What is run, as whom and where; empty is as the container itself is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecSpec {
    pub argv: Vec<String>,
    /// `NAME=value`.
    pub env: Vec<String>,
    pub user: Option<String>,
    pub workdir: Option<String>,
}

/// A command that was started.
pub struct Exec {
    pub id: String,
    output: Pin<Box<dyn Stream<Item = Result<LogOutput, Error>> + Send>>,
}

/// How it goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExecState {
    pub running: bool,
    /// Of the engine's machine; 0 where there is none yet.
    pub pid: i64,
    pub status: Option<i64>,
}

impl Engine {
    /// Starts a command in a running container. `Err(words)` inside: the container has no such program, user or folder.
    ///
    /// # Errors
    /// Of the engine; [`EngineError::is_missing`] and status 409 where the container is not there or does not run.
    pub async fn exec(&self, container: &str, spec: &ExecSpec) -> Result<Result<Exec, String>, EngineError> {
        let options = CreateExecOptions {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            env: Some(spec.env.clone()),
            cmd: Some(spec.argv.clone()),
            user: spec.user.clone(),
            working_dir: spec.workdir.clone(),
            ..CreateExecOptions::default()
        };
        let said = |e: &Error| self.explain(format!("run a command in container {container}"), e);
        let made = self.docker().create_exec(container, options).await.map_err(|e| said(&e))?;
        match self.docker().start_exec(&made.id, None).await {
            Ok(StartExecResults::Attached { output, .. }) => Ok(Ok(Exec { id: made.id, output })),
            Ok(StartExecResults::Detached) => {
                let kind = EngineErrorKind::Other("it gives no output".to_owned());
                Err(EngineError { place: self.place().to_owned(), tried: "run a command".to_owned(), kind })
            }
            Err(error) => match said(&error) {
                EngineError { kind: EngineErrorKind::Refused { status, message }, .. }
                    if not_there(status, &message) =>
                {
                    Ok(Err(message))
                }
                other => Err(other),
            },
        }
    }

    /// # Errors
    /// Of the engine.
    pub async fn exec_state(&self, id: &str) -> Result<ExecState, EngineError> {
        let seen = self.docker().inspect_exec(id).await.map_err(|e| self.explain("ask how a command goes", &e))?;
        Ok(ExecState {
            running: seen.running.unwrap_or_default(),
            pid: seen.pid.unwrap_or_default(),
            status: seen.exit_code,
        })
    }
}

impl Exec {
    /// The next piece of what it prints, and whether that is an error stream; none at its end.
    pub async fn next(&mut self) -> Option<(bool, bytes::Bytes)> {
        // A stream that breaks has ended: how the command ended is asked by itself.
        let piece = self.output.next().await?.ok()?;
        let is_err = matches!(piece, LogOutput::StdErr { .. });
        Some((is_err, piece.into_bytes()))
    }
}

/// The runtime's own words where the program, its user or its folder is not there.
fn not_there(status: u16, message: &str) -> bool {
    let words = [
        "OCI runtime exec failed",
        "unable to find user",
        "no matching entries in passwd",
        "no such file or directory",
    ];
    matches!(status, 400 | 404 | 500) && words.iter().any(|word| message.contains(word))
}

#[cfg(test)]
mod tests {
    use super::not_there;

    #[test]
    fn what_is_not_in_the_container_is_no_error_of_the_engine() {
        let text = "OCI runtime exec failed: exec failed: exec: \"nope\": executable file not found in $PATH: unknown";
        assert!(not_there(400, text) && not_there(500, "unable to find user ana: no matching entries in passwd file"));
        assert!(!not_there(409, "container x is not running") && !not_there(500, "no space left on device"));
    }
}

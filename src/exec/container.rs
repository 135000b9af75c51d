//! Runs commands in a container, by `docker exec` on the machine of its engine.
//!
//! A time limit is kept inside the container. Giving up waiting leaves the command to its container: what must end exactly is run by the agent of a lab.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::within::{self, PATH};
use super::{Cmd, Output, Piped, RunError, RunErrorKind, Shell};

/// Outside, on top of that: an engine that does not even start the command.
const SLACK: Duration = Duration::from_secs(10);

/// A container, reached through the docker client of `shell`.
#[derive(Clone)]
pub struct Container {
    pub shell: Arc<dyn Shell>,
    /// Id or name.
    pub container: String,
}

impl Container {
    pub fn new(shell: Arc<dyn Shell>, container: impl Into<String>) -> Self {
        Self { shell, container: container.into() }
    }

    fn exec(&self, cmd: &Cmd, stdin: bool) -> Cmd {
        let mut exec = Cmd::new(["docker", "exec"]);
        if stdin {
            exec = exec.arg("-i");
        }
        if let Some(dir) = &cmd.cwd {
            exec = exec.args(["-w", dir]);
        }
        for (name, value) in &cmd.env {
            exec = exec.arg("-e").arg(format!("{name}={value}"));
        }
        exec = exec.arg(&self.container).args(within::limit(cmd));
        if cmd.clean_env {
            exec = exec.args(["env", "-i"]).arg(format!("PATH={PATH}"));
            exec = exec.args(cmd.env.iter().map(|(name, value)| format!("{name}={value}")));
        }
        exec.args(cmd.argv.iter().cloned())
    }

    /// Whether the container still runs; an error says why it cannot be told or that it does not.
    async fn running(&self) -> Result<(), String> {
        let ask = Cmd::new(["docker", "inspect", "--type=container", "--format={{.State.Running}}", &self.container])
            .timeout(SLACK);
        match self.shell.run(&ask).await {
            Ok(output) if output.ok() && output.out().trim() == "true" => Ok(()),
            Ok(output) if output.ok() => Err(format!("the container {} does not run", self.container)),
            Ok(output) => Err(output.err().trim().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

#[async_trait]
impl Shell for Container {
    fn place(&self) -> String {
        format!("container {}", self.container)
    }

    async fn run(&self, cmd: &Cmd) -> Result<Output, RunError> {
        let error = |kind| RunError { cmd: cmd.clone(), place: self.place(), kind };
        let exec = self.exec(cmd, cmd.stdin.is_some());
        let output = within::run(self.shell.as_ref(), cmd, exec, SLACK).await.map_err(error)?;
        if doubtful(&output)
            && let Err(why) = self.running().await
        {
            return Err(error(RunErrorKind::Gone(why)));
        }
        if let Some(why) = not_started(&output) {
            return Err(error(std::io::Error::new(std::io::ErrorKind::NotFound, why).into()));
        }
        Ok(output)
    }

    async fn pipe(&self, cmd: &Cmd) -> Result<Piped, RunError> {
        self.shell.pipe(&self.exec(cmd, true)).await.map_err(|e| RunError {
            cmd: cmd.clone(),
            place: self.place(),
            kind: e.kind,
        })
    }
}

/// Statuses and words of a docker client that could not reach its container; a command may print the same of another
/// container, so they are only a reason to ask.
fn doubtful(output: &Output) -> bool {
    let words =
        ["Error response from daemon", "No such container", "Cannot connect to the Docker daemon", "is not running"];
    match output.status {
        137 | 143 => true,
        0 => false,
        _ => {
            let err = output.err();
            words.iter().any(|word| err.contains(word))
        }
    }
}

/// The runtime's own words where the program is not there: 126 and 127 alone may be the program's.
fn not_started(output: &Output) -> Option<String> {
    let text = output.both();
    let runtime = matches!(output.status, 126 | 127) && text.contains("OCI runtime exec failed");
    runtime.then(|| text.trim().trim_start_matches("OCI runtime exec failed: ").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::scripted::{Reply, Scripted};

    fn on(script: Scripted) -> (Arc<Scripted>, Container) {
        let script = Arc::new(script);
        (script.clone(), Container::new(script, "lab1"))
    }

    #[tokio::test]
    async fn folder_environment_and_limit_go_inside() {
        let (script, container) = on(Scripted::default().on(["docker", "exec"], vec![Reply::out("ok")]));
        let cmd = Cmd::new(["ls", "a b"]).cwd("/work").env("A", "1").timeout(Duration::from_millis(1500));
        container.run(&cmd).await.unwrap();
        let clean = Cmd { clean_env: true, ..Cmd::new(["env"]).env("A", "1").stdin("x") };
        container.run(&clean).await.unwrap();
        assert_eq!(
            script.asked(),
            [
                "docker exec -w /work -e A=1 lab1 timeout -k 3 1.5 ls 'a b'".to_owned(),
                format!("docker exec -i -e A=1 lab1 env -i PATH={PATH} A=1 env"),
            ]
        );
    }

    #[tokio::test]
    async fn a_missing_container_is_gone_and_a_command_about_another_one_is_not() {
        let says = "Error: No such container: web";
        let (_, gone) = on(Scripted::default()
            .on(["docker", "exec"], vec![Reply::fail(1, "Error: No such container: lab1")])
            .on(["docker", "inspect"], vec![Reply::fail(1, "Error: No such container: lab1")]));
        let error = gone.run(&Cmd::new(["true"])).await.unwrap_err();
        assert!(matches!(error.kind, RunErrorKind::Gone(_)), "{error}");
        let (_, there) = on(Scripted::default()
            .on(["docker", "exec"], vec![Reply::fail(1, says)])
            .on(["docker", "inspect"], vec![Reply::out("true\n")]));
        assert_eq!(there.run(&Cmd::new(["docker", "inspect", "web"])).await.unwrap().err(), says);
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_could_not_be_run() {
        let text = "OCI runtime exec failed: exec failed: exec: \"nope\": executable file not found in $PATH: unknown";
        let (_, container) = on(Scripted::default().on(["docker", "exec"], vec![Reply::fail(127, text)]));
        let error = container.run(&Cmd::new(["nope"])).await.unwrap_err();
        assert!(matches!(error.kind, RunErrorKind::Start(_)), "{error}");
    }
}

//! The compose tool, both generations behind one face: `docker compose` (v2) and `docker-compose` (1.29).
//!
//! It runs where the submission's copy is, with an environment of its own: on the host it would read the caller's.

use std::sync::Arc;
use std::time::Duration;

use super::pull;
use crate::backend::getting::Watch;
use crate::exec::{Cmd, Output, RunError, Shell};

/// A compose project on some machine.
#[derive(Clone)]
pub struct Tool {
    shell: Arc<dyn Shell>,
    program: Vec<String>,
    /// The folder that relative paths of the file start from.
    pub dir: String,
    pub file: String,
    pub project: String,
}

impl Tool {
    /// Of a stack that has no project.
    pub(super) fn none(shell: Arc<dyn Shell>, dir: String) -> Self {
        Self { shell, program: Vec::new(), dir, file: String::new(), project: String::new() }
    }

    /// Finds the tool on that machine: the older one first, since it is the one that Debian ships and labs have.
    pub async fn find(shell: Arc<dyn Shell>, dir: String, file: String, project: String) -> Result<Self, RunError> {
        // Asking it for its version takes half a second: it is a Python program.
        let old = Cmd::new(["which", "docker-compose"]).timeout(Duration::from_secs(20));
        let found = shell.run(&old).await.is_ok_and(|o| o.ok());
        let program: &[&str] = if found { &["docker-compose"] } else { &["docker", "compose"] };
        Ok(Self { shell, program: program.iter().map(|&w| w.to_owned()).collect(), dir, file, project })
    }

    /// The same, on another machine that has the same folder.
    pub fn on(&self, shell: Arc<dyn Shell>) -> Self {
        Self { shell, ..self.clone() }
    }

    /// The same, on another file of the same folder.
    pub fn with_file(&self, file: String) -> Self {
        Self { file, ..self.clone() }
    }

    pub fn cmd<S: Into<String>>(&self, args: impl IntoIterator<Item = S>) -> Cmd {
        let mut cmd = Cmd::new(self.program.clone())
            .args(["--project-name", &self.project, "--project-directory", &self.dir, "--file", &self.file])
            .args(args)
            .cwd(&self.dir)
            // `~` is then a folder like any other, and not the root user's own.
            .env("HOME", "/home/student")
            // The engine's classic builder needs no plugin; a Dockerfile that needs the other says so.
            .env("DOCKER_BUILDKIT", "0")
            .env("COMPOSE_DOCKER_CLI_BUILD", "1")
            .env("COMPOSE_ANSI", "never")
            .env("COMPOSE_HTTP_TIMEOUT", "600");
        cmd.clean_env = true;
        cmd
    }

    pub async fn run(&self, cmd: Cmd) -> Result<Output, RunError> {
        self.shell.run(&cmd).await
    }

    /// The resolved file, or why it is refused.
    pub async fn config(&self) -> Result<Output, RunError> {
        self.run(self.cmd(["config"]).timeout(Duration::from_secs(60))).await
    }

    /// A step that fails leaves no container behind: on the host's engine it would bear nobody's label.
    pub async fn build(
        &self,
        service: &str,
        buildkit: bool,
        budget: Duration,
        watch: Option<&Watch>,
    ) -> Result<Output, RunError> {
        let mut cmd = self.cmd(["build", "--force-rm", service]).timeout(budget);
        if buildkit {
            cmd = cmd.env("DOCKER_BUILDKIT", "1").env("BUILDKIT_PROGRESS", "plain");
        }
        pull::followed(self.shell.as_ref(), &cmd, watch).await
    }

    /// Starts these services; without `all`, nothing that they depend on besides.
    pub async fn up(&self, services: &[String], all: bool, budget: Duration) -> Result<Output, RunError> {
        let mut cmd = self.cmd(["up", "-d", "--no-build"]);
        if !all {
            cmd = cmd.arg("--no-deps").args(services.iter().cloned());
        }
        self.run(cmd.timeout(budget)).await
    }

    /// Creates the containers and networks, and starts nothing.
    pub async fn create(&self, services: &[String], all: bool, budget: Duration) -> Result<Output, RunError> {
        let mut cmd = self.cmd(["up", "--no-start", "--no-build"]);
        if !all {
            cmd = cmd.arg("--no-deps").args(services.iter().cloned());
        }
        self.run(cmd.timeout(budget)).await
    }

    pub async fn start(&self, services: &[String], budget: Duration) -> Result<Output, RunError> {
        self.run(self.cmd(["start"]).args(services.iter().cloned()).timeout(budget)).await
    }

    /// Removes containers, networks and volumes at once: what ignores TERM is not waited for.
    pub async fn down(&self) -> Result<Output, RunError> {
        self.run(self.cmd(["down", "--volumes", "--timeout", "0", "--remove-orphans"]).timeout(Duration::from_secs(60)))
            .await
    }
}

/// The project name that the tool itself would take from the file's folder, so that names inside are as the student saw them.
pub fn project_name(folder: &str) -> String {
    let name: String = folder
        .chars()
        .flat_map(char::to_lowercase)
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-' || *c == '_')
        .collect();
    let name = name.trim_start_matches(['-', '_']);
    if name.is_empty() { "submission".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_named_as_the_tool_would() {
        assert_eq!(project_name("Exam2 (copy)"), "exam2copy");
        assert_eq!(project_name("__ñ"), "submission");
        assert_eq!(project_name("docker-compose"), "docker-compose");
    }
}

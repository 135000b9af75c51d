//! One engine on bollard for every Docker endpoint; only the transport differs: the host's unix socket, or
//! a command over any [`Shell`], as `docker system dial-stdio`.

mod calls;
pub mod cgroup;
pub mod container;
mod error;
pub mod exec;
mod lines;
pub mod swarm;
mod together;
mod transport;

use std::sync::Arc;
use std::time::Duration;

use bollard::Docker;

pub use container::Container;
pub use error::{EngineError, EngineErrorKind};
pub use lines::Stream;

use self::together::Together;
use crate::exec::local::Local;
use crate::exec::{Cmd, Shell};

/// How long one request may take; a build or a big upload moves its bytes outside of it.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(120);
/// How long a first answer may take: an engine that is there says its version at once.
const HELLO: Duration = Duration::from_secs(20);

/// A Docker engine somewhere. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    docker: Docker,
    place: String,
    labelled: Arc<Labelled>,
}

/// The containers that have a label with a value. Many checks wait at the same time, and each wants to know them: on an emulated
/// machine that took half of its processor.
type Labelled = Together<(&'static str, String), Result<Vec<Container>, EngineError>>;

impl Engine {
    /// The engine of this host: `DOCKER_HOST`, else the usual socket. Asks for its version.
    ///
    /// # Errors
    /// Where none answers.
    pub async fn host() -> Result<Self, EngineError> {
        match std::env::var("DOCKER_HOST") {
            Ok(address) if !address.is_empty() => Self::at(&address).await,
            _ => Self::hello(Docker::connect_with_unix_defaults(), "this host's engine".to_owned()).await,
        }
    }

    /// The engine at an address as `DOCKER_HOST` has it: `unix:///path`, or what the docker client knows.
    ///
    /// # Errors
    /// Where none answers.
    pub async fn at(address: &str) -> Result<Self, EngineError> {
        let docker = if address.starts_with("unix://") {
            Docker::connect_with_unix(address, TIMEOUT.as_secs(), bollard::API_DEFAULT_VERSION)
        } else {
            // The docker client knows every other kind of address (tcp, ssh) and their certificates already.
            transport::over(Arc::new(Local), transport::client(Some(address)))
        };
        Self::hello(docker, format!("the engine at {address}")).await
    }

    /// The engine of the machine where `shell` runs commands.
    ///
    /// # Errors
    /// Where none answers there, or there is no docker client.
    pub async fn over(shell: Arc<dyn Shell>) -> Result<Self, EngineError> {
        Self::behind(shell, transport::client(None)).await
    }

    /// The same, where `dial` is a command whose two pipes lead to it.
    ///
    /// # Errors
    /// Where none answers there.
    pub async fn behind(shell: Arc<dyn Shell>, dial: Cmd) -> Result<Self, EngineError> {
        let place = format!("the engine of {}", shell.place());
        Self::hello(transport::over(shell, dial), place).await
    }

    async fn hello(docker: Result<Docker, bollard::errors::Error>, place: String) -> Result<Self, EngineError> {
        let said = |e| EngineError::new(&place, "ask for the version", &e);
        let docker = docker.map_err(said)?;
        match tokio::time::timeout(HELLO, docker.negotiate_version()).await {
            Ok(Ok(docker)) => Ok(Self { docker, place, labelled: Arc::default() }),
            Ok(Err(error)) => Err(said(error)),
            Err(_) => {
                let kind = EngineErrorKind::Timeout(HELLO);
                Err(EngineError { place, tried: "ask for the version".into(), kind })
            }
        }
    }

    /// What bollard offers, for calls that need no wrapper.
    pub fn docker(&self) -> &Docker {
        &self.docker
    }

    /// Where it is, for messages.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Makes bollard's error of a call into ours: `tried` follows "could not".
    pub fn explain(&self, tried: impl Into<String>, error: &bollard::errors::Error) -> EngineError {
        EngineError::new(&self.place, tried, error)
    }
}

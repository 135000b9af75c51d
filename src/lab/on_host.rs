//! A run on the host's own engine, without a lab: a copy of the submission in a folder of the run's own, a reaper beside it,
//! and labels by which everything that it makes is found and removed. Nothing contains what runs there. A run that attaches to
//! a project that is up has the same place, and touches nothing of the project's.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::net::UdpSocket;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tempfile::TempDir;

use super::copy::{self, CopyError};
use super::left_out::NotCopied;
use super::removal::Removal;
use super::{LabError, LabSpec};
use crate::agent::Agents;
use crate::docker::Engine;
use crate::exec::local::Local;
use crate::exec::{Cmd, Output, Piped, RunError, Said, Shell};
use crate::owner::Owner;
use crate::temp;
use crate::text::Text;

/// The copy that is brought up, in the run's folder.
const COPY: &str = "submission";
/// How the compose tool finds the engine, where it is not at the usual place.
const ENGINE: [&str; 4] = ["DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "DOCKER_API_VERSION"];

/// The host as a run's place.
pub struct OnHost {
    run: String,
    /// Of somebody else, where this run only looks at it.
    attached: Option<String>,
    folder: Mutex<Option<TempDir>>,
    workdir: String,
    address: String,
    left_out: Vec<NotCopied>,
    engine: Engine,
    agents: Agents,
    removal: Removal,
}

impl OnHost {
    /// Copies the submission; starts nothing of it.
    ///
    /// # Errors
    /// There is no engine here, or it cannot be copied.
    pub async fn start(spec: LabSpec) -> Result<Self, LabError> {
        Self::open(spec, None).await
    }

    /// The same beside a compose project that is up already. The copy is read, and nothing is brought up from it.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn attached(spec: LabSpec, project: String) -> Result<Self, LabError> {
        Self::open(spec, Some(project)).await
    }

    async fn open(spec: LabSpec, attached: Option<String>) -> Result<Self, LabError> {
        let elsewhere = std::env::var("DOCKER_HOST").ok().filter(|at| !at.is_empty() && !at.starts_with("unix://"));
        if let Some(at) = elsewhere {
            let option = if attached.is_some() { "--attach" } else { "--place host" };
            return Err(LabError::Place(Text::new(
                format!("`{option}` needs this machine's own engine, and DOCKER_HOST is {at}"),
                format!("`{option}` necesita el motor de esta máquina, y DOCKER_HOST es {at}"),
            )));
        }
        let engine = Engine::host().await?;
        let removal = Removal::armed(&spec.run, &spec.binary, spec.folder.as_deref()).await;
        let copied = tokio::task::spawn_blocking(move || copy_of(&spec).map(|copied| (spec.run, copied))).await;
        let copied = copied.unwrap_or_else(|e| Err(CopyError::Write(io::Error::other(e))));
        let (run, (folder, left_out)) = match copied {
            Ok(copied) => copied,
            Err(error) => {
                removal.disarm().await;
                return Err(error.into());
            }
        };
        let shell: Arc<dyn Shell> = Arc::new(HostShell);
        Ok(Self {
            run,
            attached,
            workdir: folder.path().join(COPY).display().to_string(),
            folder: Mutex::new(Some(folder)),
            address: address(),
            left_out,
            engine,
            agents: Agents::new(shell, "/proc/self/exe"),
            removal,
        })
    }

    pub fn run(&self) -> &str {
        &self.run
    }

    /// The compose project of the run, or the one that it is attached to.
    pub fn project(&self) -> String {
        self.attached.clone().unwrap_or_else(|| format!("imparcial-{}", self.run.to_lowercase()))
    }

    /// Whether the project is somebody else's.
    pub fn is_attached(&self) -> bool {
        self.attached.is_some()
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    pub fn shell(&self) -> Arc<dyn Shell> {
        Arc::new(HostShell)
    }

    pub fn agents(&self) -> &Agents {
        &self.agents
    }

    /// An address of this machine that is not loopback.
    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn workdir(&self) -> String {
        self.workdir.clone()
    }

    pub fn left_out(&self) -> &[NotCopied] {
        &self.left_out
    }

    /// What everything that the run makes is labelled with.
    pub fn labels(&self) -> BTreeMap<String, String> {
        Owner::this().labels(&self.run).into_iter().collect()
    }

    /// Whether something of ours goes on removing it where that does not succeed at once.
    pub(crate) fn has_reaper(&self) -> bool {
        self.removal.has_reaper()
    }

    /// Removes all that bears the run's labels, and its folder. Any number of times.
    ///
    /// # Errors
    /// Something could not be removed.
    pub async fn down(&self) -> Result<(), LabError> {
        self.removal.remove(&self.engine).await?;
        let folder = self.folder.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(folder) = folder else { return Ok(()) };
        let path = folder.path().display().to_string();
        let closed = tokio::task::spawn_blocking(move || folder.close()).await;
        closed.unwrap_or_else(|e| Err(io::Error::other(e))).map_err(|error| {
            LabError::Place(Text::new(
                format!("could not remove the run's folder {path}: {error}"),
                format!("no se pudo eliminar la carpeta de la ejecución {path}: {error}"),
            ))
        })
    }
}

/// Through a tar, as a copy into a lab goes: by the same caps, with nothing that leads out of it.
fn copy_of(spec: &LabSpec) -> Result<(TempDir, Vec<NotCopied>), CopyError> {
    let folder = temp::folder("host").map_err(CopyError::Write)?;
    let mut tar: File = tempfile::tempfile().map_err(CopyError::Write)?;
    let to = tar.try_clone().map_err(CopyError::Write)?;
    let left_out = copy::tar_of(&spec.submission, COPY, spec.caps, io::BufWriter::new(to))?;
    unpack(&mut tar, folder.path()).map_err(CopyError::Write)?;
    Ok((folder, left_out))
}

fn unpack(tar: &mut File, folder: &Path) -> io::Result<()> {
    tar.seek(SeekFrom::Start(0))?;
    tar::Archive::new(io::BufReader::new(tar)).unpack(folder)
}

/// The address from which this machine would send; nothing is sent. Where it has no way out, the engine's own bridge.
fn address() -> String {
    let own = || {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.connect("192.0.2.1:9")?;
        socket.local_addr()
    };
    let found = own().ok().map(|a| a.ip()).filter(|ip| !ip.is_loopback() && !ip.is_unspecified());
    found.map_or_else(|| "172.17.0.1".to_owned(), |ip| ip.to_string())
}

/// This host; commands with an environment of their own are still told where the engine is.
#[derive(Clone, Copy, Debug)]
struct HostShell;

impl HostShell {
    fn told(cmd: &Cmd) -> Cmd {
        let mut cmd = cmd.clone();
        if cmd.clean_env {
            cmd.env.extend(ENGINE.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?))));
        }
        cmd
    }
}

#[async_trait]
impl Shell for HostShell {
    fn place(&self) -> String {
        Local.place()
    }

    async fn run(&self, cmd: &Cmd) -> Result<Output, RunError> {
        Local.run(&Self::told(cmd)).await
    }

    async fn follow(&self, cmd: &Cmd, said: Said) -> Result<Output, RunError> {
        Local.follow(&Self::told(cmd), said).await
    }

    async fn pipe(&self, cmd: &Cmd) -> Result<Piped, RunError> {
        Local.pipe(&Self::told(cmd)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_is_whole_and_leads_nowhere() {
        let handed_in = tempfile::tempdir().unwrap();
        std::fs::write(handed_in.path().join("docker-compose.yml"), "services: {}\n").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", handed_in.path().join("out")).unwrap();
        let (folder, left_out) = copy_of(&LabSpec::new("r", handed_in.path())).unwrap();
        let copy = folder.path().join(COPY);
        assert_eq!(std::fs::read_to_string(copy.join("docker-compose.yml")).unwrap(), "services: {}\n");
        assert!(std::fs::symlink_metadata(copy.join("out")).is_err());
        assert_eq!(left_out.len(), 1);
    }
}

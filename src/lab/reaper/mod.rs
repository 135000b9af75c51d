//! The reaper: a process of our own binary beside the lab, never inside it, that outlives ours.
//!
//! It is started before there is anything to remove and holds one end of a socket. Where that closes without the word
//! "done", however our process ended, it removes all that bears the run's name. It stands in a session of its own, so that
//! nothing that ends our process group or terminal ends it too. Where it is killed as well, the next start sweeps.

mod clients;
mod serve;

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use crate::owner::Owner;
use crate::submission::handed::Watch;

pub use serve::dispatched;

/// The name of the hidden subcommand.
const NAME: &str = "reaper";
/// What it says when it stands in its own session, and what it is told when nothing is left to do.
const READY: &[u8] = b"ready\n";
const DONE: &[u8] = b"done\n";
/// How long it may take to stand, and to end when told.
const STANDING: Duration = Duration::from_secs(10);
const ENDING: Duration = Duration::from_secs(2);

/// What it needs to find the engine and the logs of faults; the rest of the environment is how CI runners find the processes that they kill.
const ENVIRONMENT: [&str; 11] = [
    "PATH",
    "HOME",
    "IMPARCIAL_HOME",
    "TMPDIR",
    "DOCKER_HOST",
    "DOCKER_CONFIG",
    "DOCKER_CONTEXT",
    "DOCKER_TLS_VERIFY",
    "DOCKER_CERT_PATH",
    "SSH_AUTH_SOCK",
    "IMPARCIAL_LOG",
];

/// In the place of a run's name: there is no run yet, only temporary folders.
const FOLDERS: &str = "-";

/// A reaper of this process's temporary folders alone, for the time in which there is no run. Where it cannot be started, the
/// next start of imparcial removes what is left.
pub fn of_folders() -> Watch {
    match Reaper::start(Path::new("/proc/self/exe"), FOLDERS, None) {
        Ok(reaper) => Arc::new(reaper),
        Err(error) => {
            tracing::warn!(%error, "nobody removes the submission's folder if this process is killed");
            Arc::new(())
        }
    }
}

/// A run's reaper, as the run has it. Dropping it tells it that there is nothing to remove; [`Reaper::leave`] does not.
pub(crate) struct Reaper {
    socket: UnixStream,
    child: Child,
}

impl Reaper {
    /// Starts one for `run` and waits until it stands in its own session. `folder` is the run's, for its log.
    ///
    /// # Errors
    /// It cannot be started, or does not say that it is ready.
    pub(crate) fn start(binary: &Path, run: &str, folder: Option<&Path>) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let mut command = Command::new(binary);
        command.arg0("imparcial").args([NAME, run, &Owner::this().tag()]);
        if let Some(folder) = folder {
            command.arg(folder.canonicalize()?);
        }
        command.env_clear().envs(ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        // Nothing of ours stays open in it: whoever reads our output waits for its end.
        command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn()?;
        drop(command);
        let mut reaper = Self { socket: ours, child };
        reaper.socket.set_read_timeout(Some(STANDING))?;
        let mut said = [0; READY.len()];
        reaper.socket.read_exact(&mut said)?;
        if said != READY {
            return Err(io::Error::other("it says something else than that it is ready"));
        }
        Ok(reaper)
    }

    /// Leaves what there is to the reaper, which goes on trying for a while.
    pub(crate) fn leave(self) {
        // Not dropped, so that "done" is not said: the other end sees the socket close.
        let mut this = std::mem::ManuallyDrop::new(self);
        let _ = this.socket.shutdown(Shutdown::Both);
        let _ = this.child.try_wait();
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        let told = self.socket.write_all(DONE).and_then(|()| self.socket.shutdown(Shutdown::Write));
        // It closes its end by ending: one that was killed has done so already.
        let ended = told
            .and_then(|()| self.socket.set_read_timeout(Some(ENDING)))
            .and_then(|()| self.socket.read(&mut [0; READY.len()]));
        match ended {
            Ok(0) => drop(self.child.wait()),
            _ => drop(self.child.try_wait()),
        }
    }
}

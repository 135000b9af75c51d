//! Who looks at a volume of layers to seal it: this process, where it may read the engine's own files; else a container
//! without network that has the volume read-only and in which our own executable runs. Never a lab.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use bollard::models::{ContainerCreateBody, HostConfig, HostConfigLogConfig};
use bollard::query_parameters::{CreateContainerOptionsBuilder, StartContainerOptions, WaitContainerOptionsBuilder};
use futures_util::StreamExt;
use tokio::time::timeout;

use super::LabError;
use super::layers::{SHELF, mount};
use super::removal::Alone;
use super::seal::Seal;
use super::send::send_binary;
use crate::agent::BINARY;
use crate::docker::Engine;
use crate::text::Text;

/// The name of the hidden subcommand.
const NAME: &str = "seal";
/// A disk that was never read since its machine started takes seconds.
const WITHIN: Duration = Duration::from_secs(60);

/// Who is to look.
pub(super) struct Sealer<'a> {
    pub(super) host: &'a Engine,
    /// Of labs, and what is put into it.
    pub(super) image: &'a str,
    pub(super) binary: &'a Path,
}

impl Sealer<'_> {
    /// The seal of a volume as it is now; `mountpoint` is where the engine says that it lies.
    pub(super) async fn seal(&self, volume: &str, mountpoint: &str) -> Result<Seal, LabError> {
        let root = PathBuf::from(mountpoint);
        // What lies there is all root's: who may read some of it may read all.
        let ours = root.is_absolute() && nix::unistd::geteuid().is_root() && root.is_dir();
        if !ours {
            return self.in_container(volume).await;
        }
        // Its threads end by themselves.
        let looked = tokio::task::spawn_blocking(move || Seal::of(&root, WITHIN)).await;
        looked.unwrap_or_else(|e| Err(io::Error::other(e))).map_err(|e| unread(volume, &e))
    }

    /// By a container of the labs' image: it is there wherever a lab can be.
    pub(super) async fn in_container(&self, volume: &str) -> Result<Seal, LabError> {
        let Alone { name, labels, removal } = Alone::armed("seal", self.binary).await;
        let body = ContainerCreateBody {
            image: Some(self.image.to_owned()),
            entrypoint: Some([BINARY, NAME, SHELF].map(String::from).into()),
            cmd: Some(Vec::new()),
            labels: Some(labels),
            host_config: Some(HostConfig {
                mounts: Some(vec![mount(volume.to_owned(), Default::default(), true)]),
                network_mode: Some("none".into()),
                cap_drop: Some(vec!["ALL".into()]),
                cap_add: Some(vec!["DAC_READ_SEARCH".into()]),
                // What it says is read from its log, and a host's own choice of driver may keep none.
                log_config: Some(HostConfigLogConfig { typ: Some("json-file".into()), config: None }),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let options = CreateContainerOptionsBuilder::new().name(&name).build();
        let created = self.host.docker().create_container(Some(options), body).await;
        let id = created.map_err(|e| self.host.explain("create what looks at the layers", &e))?.id;
        // What is late is removed too: it holds the volume.
        let said = timeout(WITHIN, self.run(&id)).await;
        let removed = removal.remove(self.host).await;
        let said = said.unwrap_or_else(|_| Err(unread(volume, &io::ErrorKind::TimedOut.into())))?;
        removed?;
        Seal::read(&said).ok_or_else(|| unread(volume, &io::Error::other(crate::sanitize::line(&said, 200))))
    }

    async fn run(&self, id: &str) -> Result<String, LabError> {
        send_binary(self.host, id, self.binary).await?;
        let started = self.host.docker().start_container(id, None::<StartContainerOptions>).await;
        started.map_err(|e| self.host.explain("start what looks at the layers", &e))?;
        let options = WaitContainerOptionsBuilder::new().condition("not-running").build();
        // Whether it could is told by what it says.
        let _ = self.host.docker().wait_container(id, Some(options)).next().await;
        Ok(self.host.logs(id, None, None).await?)
    }
}

fn unread(volume: &str, error: &io::Error) -> LabError {
    LabError::Place(Text::new(
        format!("could not look at the layers in the volume {volume}: {error}"),
        format!("no se pudieron mirar las capas del volumen {volume}: {error}"),
    ))
}

/// Prints the seal of the folder that is named, where the command line asks for that.
pub fn dispatched() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    if args.next()? != NAME {
        return None;
    }
    let sealed =
        args.next().ok_or_else(|| io::ErrorKind::InvalidInput.into()).and_then(|of| Seal::of(of.as_ref(), WITHIN));
    // No seal reads like an error: who asked sees what it was.
    let said = sealed.as_ref().map_or_else(|error| format!("error: {error}\n"), Seal::written);
    let written = io::Write::write_all(&mut io::stdout(), said.as_bytes());
    Some(if sealed.is_ok() && written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

//! The sealed container: no network, no capabilities, nobody's user, nothing that can be written but a small folder in
//! memory; bounded in time, memory, processes and output.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::models::{ContainerCreateBody, HostConfig, HostConfigLogConfig};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, StartContainerOptions, StatsOptionsBuilder,
    WaitContainerOptionsBuilder,
};
use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::super::removal::{Alone, Removal};
use super::{Outcome, Undecided};
use crate::docker::{Engine, EngineError};
use crate::notice::Reason;

/// What reads, and before it what makes up for what is not here.
const READ: &str = include_str!("../../../vagrant/read.rb");
const LENIENT: &str = include_str!("../../../vagrant/images/lab/vagrant/lenient.rb");

/// For all of it, Vagrant's own start included; `read.rb` itself gives up sooner and says where.
const WITHIN: Duration = Duration::from_secs(22);
/// The container ends by itself where nobody is left to end it.
const ENDS_AFTER: &str = "30";
/// On one processor: who used that much of it was at work, and was not kept from it.
const BUSY: Duration = Duration::from_secs(10);
const MEMORY: i64 = 512 << 20;
const PROCESSES: i64 = 96;
/// Of the answer, and of whatever else is printed.
const MOST_SAID: usize = 1 << 20;
const MOST_PRINTED: usize = 4 << 20;
/// How long an ended container may take to be seen as ended.
const SEEN: Duration = Duration::from_secs(10);

/// All of the program: one text, as `ruby -e` takes it.
pub(super) fn program() -> String {
    format!(
        "LENIENT = lambda {{ eval(<<'IMPARCIAL', TOPLEVEL_BINDING, \"lenient.rb\") }}\n{LENIENT}\nIMPARCIAL\n{READ}"
    )
}

/// Reads a Vagrantfile of the submission in `tar`.
pub(super) async fn run(
    engine: &Engine,
    binary: &Path,
    image: &str,
    tar: Vec<u8>,
    vagrantfile: &Path,
    cancel: &CancellationToken,
) -> Result<Outcome, Undecided> {
    let sealed = Sealed::create(engine, binary, image, vagrantfile).await?;
    let outcome = tokio::select! {
        outcome = sealed.read(tar) => outcome,
        () = cancel.cancelled() => Err(Undecided::new(Reason::Interrupted, "it was interrupted", "se interrumpió")),
    };
    sealed.remove().await;
    outcome
}

/// The container; it goes when this does, or with the process by the reaper.
struct Sealed {
    engine: Engine,
    id: String,
    removal: Removal,
}

impl Sealed {
    async fn create(engine: &Engine, binary: &Path, image: &str, vagrantfile: &Path) -> Result<Self, Undecided> {
        let Alone { name, labels, removal } = Alone::armed("vagrantfile", binary).await;
        let options = CreateContainerOptionsBuilder::new().name(&name).build();
        let created = engine.docker().create_container(Some(options), body(image, vagrantfile, labels)).await;
        let created = created.map_err(|e| engine.explain("create a sealed container for the Vagrantfile", &e))?;
        Ok(Self { engine: engine.clone(), id: created.id, removal })
    }

    async fn remove(self) {
        if let Err(error) = self.removal.remove(&self.engine).await {
            tracing::warn!(%error, "a container that read a Vagrantfile could not be removed");
        }
    }

    async fn read(&self, tar: Vec<u8>) -> Result<Outcome, Undecided> {
        let docker = self.engine.docker();
        let attach = AttachContainerOptionsBuilder::new().stdin(true).stdout(true).stderr(true).stream(true).build();
        let explained = |what: &str, e: &bollard::errors::Error| self.engine.explain(what, e);
        let attached = docker.attach_container(&self.id, Some(attach)).await;
        let mut attached = attached.map_err(|e| explained("attach to the sealed container", &e))?;
        let started = docker.start_container(&self.id, None::<StartContainerOptions>).await;
        started.map_err(|e| explained("start the sealed container", &e))?;
        let sending = async {
            // That it does not take all of it shows in what it says.
            let sent = async {
                attached.input.write_all(&tar).await?;
                attached.input.shutdown().await
            };
            if let Err(error) = sent.await {
                tracing::debug!(%error, "the sealed container did not take all of the submission");
            }
        };
        let mut said = Vec::new();
        let hearing = async {
            let mut printed = 0;
            while let Some(output) = attached.output.next().await {
                let output = output.map_err(|e| explained("hear the sealed container", &e))?;
                match output {
                    LogOutput::StdOut { message } => said.extend_from_slice(&message),
                    other => printed += other.into_bytes().len(),
                }
                if said.len() > MOST_SAID || printed > MOST_PRINTED {
                    return Ok::<bool, EngineError>(true);
                }
            }
            Ok(false)
        };
        // Whoever does not read what is sent may still speak.
        let both = async {
            tokio::pin!(sending, hearing);
            tokio::select! {
                heard = &mut hearing => heard,
                () = &mut sending => hearing.await,
            }
        };
        let flooded: bool = match timeout(WITHIN, both).await {
            Ok(heard) => heard?,
            Err(_) => return self.late().await,
        };
        if flooded {
            return Ok(Outcome::Flooded);
        }
        match String::from_utf8(said) {
            Ok(said) if !said.trim().is_empty() => Ok(Outcome::Said(said)),
            _ => self.ended().await,
        }
    }

    /// Its time is over: whether it used it tells a loop from a host that was too busy.
    async fn late(&self) -> Result<Outcome, Undecided> {
        let options = StatsOptionsBuilder::new().stream(false).one_shot(true).build();
        let stats = timeout(SEEN, self.engine.docker().stats(&self.id, Some(options)).next()).await;
        let used = stats.ok().flatten().and_then(Result::ok).and_then(|stats| stats.cpu_stats?.cpu_usage?.total_usage);
        match used.map(Duration::from_nanos) {
            Some(used) if used >= BUSY => Ok(Outcome::Looped),
            used => {
                let (seconds, used) = (WITHIN.as_secs(), used.unwrap_or_default().as_secs_f64());
                Err(Undecided::new(
                    Reason::Host,
                    format!(
                        "this host was too busy: after {seconds} s it had {used:.1} s of a processor; run it again"
                    ),
                    format!(
                        "este equipo estaba demasiado ocupado: en {seconds} s tuvo {used:.1} s de procesador; repita"
                    ),
                ))
            }
        }
    }

    /// It said nothing and is over: why.
    async fn ended(&self) -> Result<Outcome, Undecided> {
        let options = WaitContainerOptionsBuilder::new().condition("not-running").build();
        let mut ends = self.engine.docker().wait_container(&self.id, Some(options));
        // Any answer, an error for a code other than 0 too, means that it is over.
        drop(timeout(SEEN, ends.next()).await);
        let container = self.engine.container(&self.id).await?;
        match container.exit_code {
            _ if container.oom_killed => Ok(Outcome::Ate),
            // There is no `timeout`, or no `ruby`.
            125..=127 => Err(Undecided::new(
                Reason::Host,
                "the lab's image has no Ruby: run `imparcial setup`",
                "la imagen del laboratorio no tiene Ruby: ejecute `imparcial setup`",
            )),
            // Ruby itself failed, in code of ours.
            1 => Err(Undecided::new(
                Reason::Imparcial,
                "what reads it failed; it may be a mistake of imparcial's",
                "falló lo que lo lee; puede ser un error de imparcial",
            )),
            _ => Ok(Outcome::Ended),
        }
    }
}

fn body(image: &str, vagrantfile: &Path, labels: HashMap<String, String>) -> ContainerCreateBody {
    let texts = |all: &[&str]| all.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    let mut command = texts(&["--", "timeout", "-k", "1", ENDS_AFTER, "ruby", "-e"]);
    command.extend([program(), vagrantfile.to_string_lossy().into_owned()]);
    ContainerCreateBody {
        image: Some(image.to_owned()),
        labels: Some(labels),
        // What ended and nobody waits for is no process any more: they are counted.
        entrypoint: Some(texts(&["tini"])),
        cmd: Some(command),
        user: Some("65534:65534".to_owned()),
        working_dir: Some("/tmp".to_owned()),
        env: Some(texts(&[
            "HOME=/tmp/home",
            "LANG=C.UTF-8",
            "VAGRANT_HOME=/tmp/vagrant",
            "VAGRANT_DOTFILE_PATH=/tmp/dot",
            "VAGRANT_EXPERIMENTAL=disks",
            "VAGRANT_CHECKPOINT_DISABLE=1",
        ])),
        attach_stdin: Some(true),
        open_stdin: Some(true),
        stdin_once: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        network_disabled: Some(true),
        host_config: Some(HostConfig {
            network_mode: Some("none".to_owned()),
            cap_drop: Some(texts(&["ALL"])),
            security_opt: Some(texts(&["no-new-privileges"])),
            readonly_rootfs: Some(true),
            // Whatever the engine gives others: the entrypoint is one.
            init: Some(false),
            tmpfs: Some(HashMap::from([("/tmp".to_owned(), "rw,exec,nosuid,nodev,size=96m,mode=1777".to_owned())])),
            pids_limit: Some(PROCESSES),
            memory: Some(MEMORY),
            memory_swap: Some(MEMORY),
            nano_cpus: Some(1_000_000_000),
            // What it prints is heard here, and kept nowhere.
            log_config: Some(HostConfigLogConfig { typ: Some("none".to_owned()), config: None }),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

//! A lab: one disposable container that holds a run's whole world, and the ways into it.
//!
//! Nothing of the submission runs outside it, and removing it removes everything. The image is
//! `vagrant/images/lab`; its `lab-init` says what it takes and when it is ready.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigCgroupnsModeEnum, HostConfigLogConfig, NetworkingConfig,
};
use bollard::query_parameters::{CreateContainerOptionsBuilder, LogsOptionsBuilder, StartContainerOptions};
use futures_util::StreamExt;
use tokio::time::timeout;

use super::copy::Caps;
use super::layers::{Proven, Sealed, Shelf};
use super::left_out::NotCopied;
use super::removal::Removal;
use super::sealing::Sealer;
use super::send::{send_binary, send_submission};
use super::snapshots;
use super::{LabError, cgroups, setup, watch};
use crate::agent::{AgentShell, Agents, BINARY};
use crate::docker::{Engine, EngineError, EngineErrorKind};
use crate::exec::container::Container;
use crate::exec::local::Local;
use crate::exec::{Cmd, Shell, ShellExt};
use crate::notice::Notice;
use crate::owner::{KEEP, Owner};
use crate::stack::Spot;
use crate::stack::snapshot::Slot;
use crate::text::Text;

/// Where a submission's copies lie in a lab.
pub(super) const WORK: &str = "/work";
/// The copy that is brought up.
pub(super) const COPY: &str = "submission";

/// What `lab-init` needs to mount, to route and to look; see there. `devices.allow` and the host's kernel stay within
/// reach of these: a lab contains accidents, not attackers.
const CAPABILITIES: [&str; 8] =
    ["SYS_ADMIN", "NET_ADMIN", "NET_RAW", "SYS_PTRACE", "SYS_NICE", "IPC_LOCK", "DAC_READ_SEARCH", "SYSLOG"];
/// Loop devices and what hands them out, for
/// the store and the disks of machines, and what their distributed filesystem is mounted through.
const DEVICES: [&str; 3] = ["b 7:* rmw", "c 10:237 rmw", "c 10:229 rmw"];
const PARTITIONS: &str = "b 259:* rmw";
/// The other ends of machines' networks, and the processor's help.
const HYPERVISOR: [&str; 2] = ["c 10:200 rmw", "c 10:232 rmw"];
/// A fork bomb ends in the lab, not with the host.
const PROCESSES: i64 = 16_384;

/// What a lab is to be.
#[derive(Clone, Debug)]
pub struct LabSpec {
    /// The run's name: letters, digits, `.`, `_`, `-`. The container is `imparcial-<run>`.
    pub run: String,
    pub image: String,
    /// Virtual machines are to run in it: it may have network devices of its own making.
    pub machines: bool,
    pub network: String,
    /// The submission's folder.
    pub submission: PathBuf,
    /// Registry mirrors of the lab's engine, as URLs.
    pub mirrors: Vec<String>,
    /// Private networks that containers may reach all the same.
    pub allow: Vec<String>,
    /// Stays after the run, until `imparcial down`.
    pub keep: bool,
    /// Our own executable; by default the one that runs.
    pub binary: PathBuf,
    /// The run's folder, for the log of its reaper.
    pub folder: Option<PathBuf>,
    pub ready_within: Duration,
    pub caps: Caps,
    /// The layers that are unpacked already.
    pub shelf: Shelf,
    /// Of its virtual machines: where they begin, or where it is kept what they were.
    pub snapshot: Option<Slot>,
}

impl LabSpec {
    pub fn new(run: impl Into<String>, submission: impl Into<PathBuf>) -> Self {
        Self {
            run: run.into(),
            image: "imparcial/lab".into(),
            machines: false,
            network: "imparcial-labs".into(),
            submission: submission.into(),
            mirrors: Vec::new(),
            allow: Vec::new(),
            keep: false,
            // Not its path: that may be another program by now.
            binary: "/proc/self/exe".into(),
            folder: None,
            ready_within: Duration::from_secs(90),
            caps: Caps::default(),
            shelf: Shelf::of(&setup::state()),
            snapshot: None,
        }
    }

    /// A lab that has a hypervisor.
    pub fn with_machines(self) -> Self {
        Self { image: "imparcial/vms".into(), machines: true, ..self }
    }

    fn name(&self) -> String {
        format!("imparcial-{}", self.run)
    }

    fn sealer<'a>(&'a self, host: &'a Engine) -> Sealer<'a> {
        Sealer { host, image: &self.image, binary: &self.binary }
    }
}

/// A lab that is up.
pub struct Lab {
    spec: LabSpec,
    name: String,
    id: String,
    address: String,
    /// When it was ready, in seconds of the epoch.
    since: i64,
    left_out: Vec<NotCopied>,
    layers: Proven,
    host: Engine,
    engine: Engine,
    shell: Arc<dyn Shell>,
    agents: Agents,
    removal: Removal,
}

impl Lab {
    /// Starts a lab, copies our executable and the submission into it, and waits until its engine answers. Where it
    /// fails, or is given up half way, nothing stays behind.
    pub async fn start(spec: LabSpec) -> Result<Self, LabError> {
        let host = Engine::host().await?;
        let name = spec.name();
        // From here on, whatever happens, what there is of it is removed.
        let sealer = spec.sealer(&host);
        let (removal, layers) =
            tokio::join!(Removal::armed(&spec.run, &spec.binary, spec.folder.as_deref()), spec.shelf.proven(&sealer));
        match Self::bring_up(&spec, &name, &host, layers.volume.as_ref()).await {
            Ok(Up { id, address, left_out, engine, shell, agents }) => {
                if spec.keep {
                    removal.disarm().await;
                }
                let since = time::OffsetDateTime::now_utc().unix_timestamp();
                Ok(Self { spec, name, id, address, since, left_out, layers, host, engine, shell, agents, removal })
            }
            Err(error) => {
                if taken(&error) {
                    // Of another run of the same name, which may be using it.
                    removal.disarm().await;
                } else if let Err(remains) = removal.remove(&host).await {
                    tracing::warn!(lab = %name, error = %remains, "the lab that did not start could not be removed");
                }
                Err(error)
            }
        }
    }

    async fn bring_up(spec: &LabSpec, name: &str, host: &Engine, layers: Option<&Sealed>) -> Result<Up, LabError> {
        let id = create(spec, name, host, layers).await?;
        host.docker()
            .start_container(&id, None::<StartContainerOptions>)
            .await
            .map_err(|e| host.explain(format!("start the lab {name}"), &e))?;
        // The engine needs half a second to come up: the files go in meanwhile.
        let (ready, sent, left_out) = tokio::join!(
            ready(host, name, spec.ready_within),
            send_binary(host, &id, &spec.binary),
            send_submission(host, &id, spec)
        );
        ready?;
        sent?;
        let left_out = left_out?;
        let under: Arc<dyn Shell> = Arc::new(Container::new(Arc::new(Local), name));
        let agents = Agents::new(under.clone(), BINARY);
        let shell: Arc<dyn Shell> = Arc::new(AgentShell::new(agents.clone(), under));
        let (engine, agent, address) =
            tokio::join!(Engine::over(shell.clone()), agents.lab(), watch::address(host, &id, &spec.network));
        agent?;
        Ok(Up { id, address: address?, left_out, engine: engine?, shell, agents })
    }

    /// The lab as a stack knows it.
    pub fn spot(&self) -> Spot {
        Spot {
            node: None,
            engine: self.engine.clone(),
            shell: self.shell(),
            agents: self.agents.clone(),
            address: self.address.clone(),
        }
    }

    /// Runs commands in the lab.
    pub fn shell(&self) -> Arc<dyn Shell> {
        self.shell.clone()
    }

    /// The lab's own engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Looks from the lab and from inside its services.
    pub fn agents(&self) -> &Agents {
        &self.agents
    }

    /// An address of the lab that is not loopback: where published ports are judged.
    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn run(&self) -> &str {
        &self.spec.run
    }

    /// The container's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The submission's copy in the lab.
    pub fn workdir(&self) -> String {
        format!("{WORK}/{COPY}")
    }

    /// What of the submission was not copied.
    pub fn left_out(&self) -> &[NotCopied] {
        &self.left_out
    }

    /// Where the layers are that it shares with other labs.
    pub fn shelf(&self) -> &Shelf {
        &self.spec.shelf
    }

    /// Of its virtual machines: where they begin, or where it is kept what they were.
    pub fn snapshot(&self) -> Option<&Slot> {
        self.spec.snapshot.as_ref()
    }

    /// What is to be known of how it was started.
    pub fn notices(&self) -> impl Iterator<Item = &Notice> {
        self.layers.notice.iter()
    }

    /// What was written, since its start, into layers that it shares with other labs: then what it showed proves nothing.
    ///
    /// # Errors
    /// Where they cannot be looked at.
    pub async fn tampered(&self) -> Result<Option<Text>, LabError> {
        match &self.layers.volume {
            Some(volume) => self.spec.shelf.changed(volume, &self.spec.sealer(&self.host)).await,
            None => Ok(None),
        }
    }

    /// Puts the submission's copy back to what was handed in.
    pub async fn fresh_copy(&self) -> Result<(), LabError> {
        let remove = Cmd::new(["rm", "-rf", "--one-file-system", "--", &self.workdir()]);
        self.shell.must(&remove.timeout(Duration::from_secs(60))).await?;
        send_submission(&self.host, &self.id, &self.spec).await.map(drop)
    }

    /// The lab's own log, for evidence.
    pub async fn log(&self) -> String {
        self.host.logs(&self.id, None, Some(1000)).await.unwrap_or_else(|e| e.to_string())
    }

    /// Waits for as long as the lab is there, and says what became of it: somebody killed it, or its engine. It may have
    /// been as long ago as is said.
    pub async fn lost(&self) -> (String, Duration) {
        watch::lost(&self.host, &self.id, self.since).await
    }

    /// Whether something of ours goes on removing it where that does not succeed at once.
    pub fn has_reaper(&self) -> bool {
        self.removal.has_reaper()
    }

    /// Removes the lab and all that belongs to it, one that was to be kept too. May be called any number of times.
    /// Where it is not called, dropping the lab does the same, unless it was to be kept.
    pub async fn down(&self) -> Result<(), LabError> {
        self.removal.remove(&self.host).await
    }
}

/// There already is a container of this name.
fn taken(error: &LabError) -> bool {
    matches!(error, LabError::Engine(EngineError { kind: EngineErrorKind::Refused { status: 409, .. }, tried, .. })
        if tried.starts_with("create"))
}

/// What [`Lab::start`] has brought up.
struct Up {
    id: String,
    address: String,
    left_out: Vec<NotCopied>,
    engine: Engine,
    shell: Arc<dyn Shell>,
    agents: Agents,
}

/// What a lab may use. Partitions only where no disk of the host has a number of their range.
fn devices(machines: bool) -> Vec<String> {
    let all = std::fs::read_dir("/sys/dev/block").into_iter().flatten().flatten();
    let mut others = all.filter(|entry| {
        let target = std::fs::read_link(entry.path()).unwrap_or_default();
        entry.file_name().to_string_lossy().starts_with("259:") && !target.to_string_lossy().contains("/loop")
    });
    let partitions = others.next().is_none().then_some(PARTITIONS);
    let hypervisor = machines.then_some(HYPERVISOR).into_iter().flatten();
    DEVICES.into_iter().chain(partitions).chain(hypervisor).map(str::to_owned).collect()
}

async fn create(spec: &LabSpec, name: &str, host: &Engine, layers: Option<&Sealed>) -> Result<String, LabError> {
    let tried = || format!("create the lab {name}");
    let info = host.docker().info().await.map_err(|e| host.explain(tried(), &e))?;
    let systemd = info.cgroup_driver.is_some_and(|d| d.to_string() == "systemd");
    let mut labels = Owner::this().labels(&spec.run);
    if spec.keep {
        labels.insert(KEEP.into(), "true".into());
    }
    let mut env = Vec::new();
    for (variable, values) in [("IMPARCIAL_MIRROR", &spec.mirrors), ("IMPARCIAL_ALLOW", &spec.allow)] {
        if !values.is_empty() {
            env.push(format!("{variable}={}", values.join(" ")));
        }
    }
    let mounts = layers.map(|layers| spec.shelf.given(layers)).into_iter();
    let mounts = mounts.chain(spec.snapshot.iter().map(|slot| snapshots::mount(slot, labels.clone())));
    let body = ContainerCreateBody {
        image: Some(spec.image.clone()),
        hostname: Some("lab".into()),
        labels: Some(labels.clone()),
        env: Some(env),
        host_config: Some(HostConfig {
            cap_add: Some(CAPABILITIES.map(String::from).to_vec()),
            security_opt: Some(vec!["seccomp=unconfined".into(), "apparmor=unconfined".into()]),
            cgroupns_mode: Some(HostConfigCgroupnsModeEnum::PRIVATE),
            cgroup_parent: Some(cgroups::parent(&spec.run, systemd)),
            network_mode: Some(spec.network.clone()),
            pids_limit: Some(PROCESSES),
            mounts: Some(mounts.collect()),
            device_cgroup_rules: Some(devices(spec.machines)),
            // Its readiness is read from its log, and a host's own choice of driver may keep none.
            log_config: Some(HostConfigLogConfig { typ: Some("json-file".into()), config: None }),
            ..HostConfig::default()
        }),
        networking_config: Some(NetworkingConfig {
            endpoints_config: Some(HashMap::from([(spec.network.clone(), Default::default())])),
        }),
        ..ContainerCreateBody::default()
    };
    let options = CreateContainerOptionsBuilder::new().name(name).build();
    let created = host.docker().create_container(Some(options), body).await;
    created.map(|c| c.id).map_err(|e| {
        let error = host.explain(tried(), &e);
        let text = error.to_string();
        if error.is_missing() && text.contains("No such image") {
            LabError::NotSetUp { what: format!("the image {}", spec.image) }
        } else {
            error.into()
        }
    })
}

/// Follows the lab's log until `lab-init` says that it is ready: nothing is asked again and again.
async fn ready(host: &Engine, name: &str, within: Duration) -> Result<(), LabError> {
    let options = LogsOptionsBuilder::new().follow(true).stdout(true).stderr(true).build();
    let mut lines = host.docker().logs(name, Some(options));
    let mut log = Vec::new();
    let watch = async {
        while let Some(line) = lines.next().await {
            let line = line.map_err(|e| host.explain(format!("follow the log of the lab {name}"), &e))?;
            let line = String::from_utf8_lossy(line.as_ref()).trim_end().to_owned();
            if line.starts_with("lab-init: ready") {
                return Ok(());
            }
            log.push(line);
        }
        Err(LabError::Ended { lab: name.to_owned(), log: String::new() })
    };
    let watched = timeout(within, watch).await;
    let end = log[log.len().saturating_sub(25)..].join("\n");
    match watched {
        Ok(Err(LabError::Ended { lab, .. })) => Err(LabError::Ended { lab, log: end }),
        Ok(other) => other,
        Err(_) => Err(LabError::Late { lab: name.to_owned(), after: within, log: end }),
    }
}

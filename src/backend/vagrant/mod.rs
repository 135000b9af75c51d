//! The vagrant backend: a Vagrantfile in, machines out, brought up first and then provisioned in the file's order. One page.
//!
//! Vagrant itself does the work, with the submission's file unmodified: a home Vagrantfile (`vagrant/images/lab/vagrant`) adds
//! the provider. What that file gives each machine is worked out in `nodes`.

pub mod acceleration;
pub mod again;
pub mod ansible;
pub mod blame;
pub mod boxes;
pub mod budget;
mod ends;
mod foreign;
mod guests;
mod libvirt;
pub mod nodes;
pub mod output;
pub mod provision;
mod reach;
pub mod run;
mod snapshot;
pub mod spot;
mod virtualbox;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::log::{Gathered, Log};
use super::{BackendError, Site, getting};
use crate::exec::{Cmd, ShellExt};
use crate::notice::{Notice, Reason};
use crate::stack::LeftOut;
use crate::stack::machines::{Machines, Node};
use crate::stack::snapshot::Slot;
use crate::submission::Submission;
use crate::submission::machines::{Loaded, MachineDef, Vagrantfile};
use crate::text::Text;

/// The copy of the submission that Vagrant works in: what it writes there, and what machines write into their synced
/// folders, is not what the services are built from.
const FOLDER: &str = "/work/machines";

/// What machines are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Provider {
    /// Systemd containers in a lab: in seconds, everywhere.
    #[default]
    Docker,
    /// Virtual machines in a lab.
    Libvirt,
    /// As the submission was written, on the user's own machine: nothing contains it.
    VirtualBox,
}

/// What is asked of the backend.
pub struct Request {
    pub provider: Provider,
    pub submission: Arc<Submission>,
    /// The image of container nodes, as the lab's engine pulls it.
    pub image: String,
    /// Until all machines answer.
    pub up: Duration,
    /// One run of all provisioners.
    pub provision: Duration,
    /// What virtual machines in a lab are made of.
    pub boxes: boxes::Asking,
    /// Until a box is there.
    pub fetch: Duration,
    /// No virtual machine in a lab is given more bytes of memory than that.
    pub memory_cap: Option<u64>,
    /// Of virtual machines in a lab: where they begin, or where it is kept what they were when they were provisioned.
    pub snapshot: Option<Slot>,
    /// Where it is kept what was found of this host.
    pub state: PathBuf,
    /// Told of each step as it begins.
    pub told: getting::Told,
}

/// What came of it.
pub struct Up {
    pub machines: Machines,
    pub notices: Vec<Notice>,
    /// Name and content for the run's folder.
    pub evidence: Vec<(String, Vec<u8>)>,
    /// Phase name, seconds since the bring-up began, seconds taken.
    pub phases: Vec<(String, f64, f64)>,
}

/// Where Vagrant runs.
pub(crate) struct Ground<'a> {
    pub(crate) site: &'a Site,
    /// The Vagrantfile's folder in the copy, and its name.
    pub(crate) dir: String,
    pub(crate) file: String,
    /// The user's own Vagrant, with its boxes and keys.
    own: bool,
}

impl<'a> Ground<'a> {
    pub(crate) fn of(site: &'a Site, file: &Vagrantfile) -> Self {
        let below = file.path.parent().unwrap_or(Path::new("")).to_string_lossy();
        let dir = if below.is_empty() { FOLDER.to_owned() } else { format!("{FOLDER}/{below}") };
        let name = file.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Self { site, dir, file: name, own: false }
    }
}

/// Brings the machines up and provisions them. What does not come up is in the answer, with the reason; it is no error.
pub async fn up(site: &Site, request: &Request) -> Result<Up, BackendError> {
    let mut log = Log::new(request.told.clone());
    let (file, defs) = match declared(&request.submission) {
        Ok(declared) => declared,
        Err(left_out) => {
            return Ok(up_with(Machines { left_out: Some(left_out), ..Machines::default() }, log));
        }
    };
    match (request.provider, &site.hosting) {
        (Provider::Docker, None) => {}
        (Provider::VirtualBox, Some(_)) => {
            log.phase("machines");
            let machines = virtualbox::up(site, file, defs, request, &mut log).await?;
            return Ok(up_with(machines, log));
        }
        (Provider::Libvirt, None) => {
            let machines = libvirt::up(site, &Ground::of(site, file), defs, request, &mut log).await?;
            return Ok(up_with(machines, log));
        }
        (Provider::Docker | Provider::Libvirt, Some(_)) => {
            let text = Text::new(
                "machines are brought up in a lab, and this run has none: leave `--place host` and `--attach` out",
                "las máquinas se levantan en un laboratorio, y esta ejecución no tiene: quite `--place host` y `--attach`",
            );
            return Ok(up_with(Machines { left_out: Some(not_here(text)), ..Machines::default() }, log));
        }
        (Provider::VirtualBox, None) => {
            let text = Text::new(
                "VirtualBox's machines are the host's own, and no lab has them: add `--place host`",
                "las máquinas de VirtualBox son del propio anfitrión y ningún laboratorio las tiene: añada `--place host`",
            );
            return Ok(up_with(Machines { left_out: Some(not_here(text)), ..Machines::default() }, log));
        }
    }
    let ground = Ground::of(site, file);
    log.phase("machines");
    let prepared = prepare(&ground, defs, &request.image).await?;
    log.notices().extend(prepared.notices);
    log.keep("machines.json", prepared.given);
    let mut machines = Machines { provider: "docker".to_owned(), nodes: prepared.nodes, ..Machines::default() };

    let up = run::up(&ground, "docker", &machines.nodes, request.up).await?;
    log.keep("vagrant-up.txt", up.text.clone());
    run::mark(site, &mut machines.nodes, &prepared.nonce, &up, request.up).await?;

    provisioned(&ground, &request.submission, &mut machines, request.provision, &mut log).await?;
    Ok(up_with(machines, log))
}

/// Provisions the machines that are up, where anything is asked of any.
async fn provisioned(
    ground: &Ground<'_>,
    submission: &Submission,
    machines: &mut Machines,
    within: Duration,
    log: &mut Log,
) -> Result<(), BackendError> {
    let asked = machines.nodes.iter().any(|node| !node.def.provisioners.is_empty());
    if asked && machines.nodes.iter().any(Node::is_up) {
        log.phase("provision");
        let mut done = provision::run(ground, submission, &machines.nodes, false, within).await?;
        log.keep("vagrant-provision.txt", done.output.clone());
        ends::after(ground.site, machines, &mut done, log).await;
        machines.provisioned = Some(done);
    }
    Ok(())
}

/// What is ready for Vagrant to bring up.
pub(crate) struct Prepared {
    pub(crate) nodes: Vec<Node>,
    pub(crate) notices: Vec<Notice>,
    /// What the home Vagrantfile reads.
    given: String,
    /// What labels of machines' containers begin with.
    nonce: String,
}

/// A copy of the submission for Vagrant to work in.
pub(super) async fn fresh_copy(ground: &Ground<'_>) -> Result<(), BackendError> {
    let site = ground.site;
    let minute = Duration::from_secs(60);
    site.shell.must(&Cmd::new(["rm", "-rf", "--one-file-system", FOLDER]).timeout(minute)).await?;
    site.shell.must(&Cmd::new(["cp", "-a", &site.workdir, FOLDER]).timeout(2 * minute)).await?;
    // Of another machine: its locks, and the machines that it knows.
    let stale = format!("{}/.vagrant", ground.dir);
    site.shell.must(&Cmd::new(["rm", "-rf", "--", &stale]).timeout(minute)).await?;
    Ok(())
}

/// A fresh copy of the submission, the nodes' image, the disks, and what the home Vagrantfile gives each machine.
pub(crate) async fn prepare(ground: &Ground<'_>, defs: &[MachineDef], image: &str) -> Result<Prepared, BackendError> {
    let site = ground.site;
    let minute = Duration::from_secs(60);
    fresh_copy(ground).await?;
    run::pull(site, image).await?;
    let disks = nodes::disks(site, defs).await?;
    // What the services of the same engine cannot know: no container of theirs is taken for a machine.
    let nonce = format!("{:016x}/", crate::nonce::number());
    let nodes::Planned { nodes, given, notices } = nodes::plan(defs, image, &nonce, &disks, run::cores(site).await);
    let given = serde_json::json!({ "machines": given }).to_string();
    site.shell.must(&Cmd::new(["tee", nodes::PLAN]).stdin(given.clone()).timeout(minute)).await?;
    Ok(Prepared { nodes, notices, given, nonce })
}

/// Ends what outlives the place: virtual machines of the host, however far they came.
pub async fn destroy(site: &Site, provider: Provider, submission: &Submission) -> Result<(), BackendError> {
    match (provider, &submission.vagrantfile) {
        (Provider::VirtualBox, Some(file)) => virtualbox::destroy(site, file).await,
        _ => Ok(()),
    }
}

/// Takes the machines away, with their networks: for who brings them up again in the same lab.
pub async fn down(site: &Site) -> Result<(), BackendError> {
    for container in run::containers(site).await? {
        site.engine.remove(&container).await?;
    }
    let prune = site.engine.docker().prune_networks(None::<bollard::query_parameters::PruneNetworksOptions>).await;
    prune.map_err(|e| site.engine.explain("remove the machines' networks", &e))?;
    Ok(())
}

/// The file and what it defines; else why there is nothing to bring up.
pub(crate) fn declared(submission: &Submission) -> Result<(&Vagrantfile, &[MachineDef]), LeftOut> {
    let ours = |en: &str, es: &str| LeftOut { reason: None, text: Text::new(en, es) };
    let Some(file) = &submission.vagrantfile else {
        return Err(ours("no Vagrantfile was handed in", "no se entregó ningún Vagrantfile"));
    };
    match &file.loaded {
        Loaded::Machines(defs) if defs.is_empty() => {
            Err(ours("the Vagrantfile defines no machine", "el Vagrantfile no define ninguna máquina"))
        }
        Loaded::Machines(defs) => Ok((file, defs)),
        Loaded::Refused { text, .. } => Err(LeftOut { reason: None, text: text.clone() }),
        Loaded::Unknown { reason, text } => Err(LeftOut { reason: Some(*reason), text: text.clone() }),
        Loaded::NotYet => Err(LeftOut {
            reason: Some(Reason::Imparcial),
            text: Text::new("the Vagrantfile was not read", "no se leyó el Vagrantfile"),
        }),
    }
}

/// What stands in for a box, in words: the catalogue's are for a container of the same content.
pub fn in_a_guest(version: &str) -> String {
    version.replace("container", "virtual machine")
}

fn not_here(text: Text) -> LeftOut {
    LeftOut { reason: Some(Reason::NotHere), text }
}

/// The machines' disks.
#[derive(Debug, Default)]
pub struct Disks {
    /// By machine and device: the loop device, or why there is none.
    pub made: BTreeMap<(String, String), Result<String, String>>,
    /// Whether a node may be given numbers of partitions.
    pub partitions: bool,
}

fn up_with(machines: Machines, log: Log) -> Up {
    let Gathered { notices, evidence, phases } = log.end();
    Up { machines, notices, evidence, phases }
}

//! What was handed in: found wherever and however it is named, read as data, never run.

pub mod bind;
pub mod builds;
mod choose;
mod choose_vagrantfile;
pub mod compose;
pub mod decode;
mod discover;
pub mod dockerfile;
pub mod handed;
pub mod machines;
pub mod no_part;
pub mod paths;
pub mod pip;
pub mod policy;
mod read;
pub mod requirements;
pub mod sql;
pub mod tree;
pub mod when;
pub mod whereabouts;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use crate::expect::Place;
use crate::notice::{Level, Notice};

pub use read::{ReadError, ReadOptions, read};

/// A submission as read from its folder. Paths are relative to `root`.
#[derive(Clone, Debug, Default)]
pub struct Submission {
    pub root: PathBuf,
    /// The name of the folder, the archive or the repository, for people.
    pub name: String,
    /// The folder's name as its author saw it, also inside of an archive: compose names the project by it.
    pub folder: String,
    /// Where it came from, if not from a folder.
    pub handed: Option<handed::Handed>,
    /// When it was handed in, where anything says so.
    pub handed_in: Option<when::HandedIn>,
    /// Where its pages with rows are, where its caller says so: `/list`.
    pub pages: Vec<String>,
    /// Files of an archive that were left out though a build may ask for them.
    pub not_unpacked: Vec<PathBuf>,
    /// The compose file that counts; the notices say how it was chosen, or why there is none.
    pub compose: Option<ComposeFile>,
    /// What our own reader made of it failing: the compose tool's answer decides, in the lab.
    pub compose_error: Option<Notice>,
    /// Every compose file found, the chosen one first.
    pub compose_files: Vec<PathBuf>,
    /// What the services with a `build:` are built from, by service.
    pub builds: BTreeMap<String, builds::Build>,
    /// The Vagrantfile that counts; the notices say how it was chosen.
    pub vagrantfile: Option<machines::Vagrantfile>,
    /// Every Vagrantfile found, the chosen one first.
    pub vagrantfiles: Vec<PathBuf>,
    pub dockerfiles: Vec<PathBuf>,
    pub requirements: Vec<PathBuf>,
    pub sql: Vec<PathBuf>,
    /// Source and settings files of every kind: what the app may name its tables and its store in.
    pub code: Vec<PathBuf>,
    pub notices: Vec<Notice>,
}

impl Submission {
    /// Whether it was handed in more than half a year before `now`; none where nobody knows when it was.
    pub fn is_old(&self, now: time::OffsetDateTime) -> Option<bool> {
        self.handed_in.as_ref().map(|day| day.is_old(now))
    }

    /// The compose file that counts, also where it cannot be read; empty where there is none.
    pub fn compose_path(&self) -> PathBuf {
        let broken =
            || self.compose_error.as_ref().and_then(|notice| notice.at.as_ref()).map(|at| PathBuf::from(&at.file));
        self.compose.as_ref().map(|file| file.path.clone()).or_else(broken).unwrap_or_default()
    }

    /// Why nothing of it can be graded, at least as far as we can read it ourselves; empty where it can be.
    pub fn problems(&self) -> impl Iterator<Item = &Notice> {
        self.notices.iter().filter(|notice| notice.level == Level::Problem)
    }
}

/// A compose file: as we read it, or as the compose tool resolved it (then places are empty).
#[derive(Clone, Debug, Default)]
pub struct ComposeFile {
    pub path: PathBuf,
    pub version: Option<String>,
    pub services: Vec<ServiceDef>,
    /// Top-level networks and volumes as written, `external` included.
    pub networks: BTreeMap<String, Value>,
    pub volumes: BTreeMap<String, Value>,
    /// Where the submission's root lies on the machine whose tool resolved it: its paths are absolute there.
    pub workdir: Option<PathBuf>,
    /// The whole file, aliases and variables resolved.
    pub raw: Value,
}

impl ComposeFile {
    pub fn service(&self, name: &str) -> Option<&ServiceDef> {
        self.services.iter().find(|s| s.name == name)
    }
}

/// A service as declared, its many spellings made one.
#[derive(Clone, Debug, Default)]
pub struct ServiceDef {
    pub name: String,
    pub at: Place,
    /// Where each of its keys stands.
    pub keys: BTreeMap<String, Place>,
    pub image: Option<String>,
    pub build: Option<BuildDef>,
    pub container_name: Option<String>,
    pub ports: Vec<PortDef>,
    pub environment: BTreeMap<String, Option<String>>,
    /// `service:alias` pairs.
    pub links: Vec<(String, String)>,
    pub depends_on: Vec<String>,
    pub mounts: Vec<MountDef>,
    /// Network name to the aliases on it.
    pub networks: BTreeMap<String, Vec<String>>,
    pub hostname: Option<String>,
    pub restart: Option<String>,
    pub memory: Option<LimitDef>,
    pub cpus: Option<LimitDef>,
    pub network_mode: Option<String>,
    /// Ports that the container says it serves without publishing them.
    pub expose: Vec<u16>,
    pub log_driver: Option<String>,
    pub replicas: Option<u64>,
    /// Everything of the service, as written: what policy rules and kinds look at besides.
    pub raw: Value,
}

#[derive(Clone, Debug, Default)]
pub struct BuildDef {
    /// As written, relative to the compose file's folder.
    pub context: String,
    pub dockerfile: Option<String>,
    pub args: BTreeMap<String, Option<String>>,
    /// The stage that is built; the last one where it is not said.
    pub target: Option<String>,
    pub at: Place,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortDef {
    pub host_ip: Option<String>,
    /// Unset: the engine chooses.
    pub host: Option<u16>,
    pub container: u16,
    pub udp: bool,
}

#[derive(Clone, Debug, Default)]
pub struct MountDef {
    /// A host path (bind) or a volume's name; none for an anonymous volume.
    pub source: Option<String>,
    pub target: String,
    pub bind: bool,
    pub read_only: bool,
    pub at: Place,
}

/// A declared limit: bytes of memory, or cpus as a number.
#[derive(Clone, Debug, Default)]
pub struct LimitDef {
    pub value: f64,
    /// The key that says so: `mem_limit`, `deploy.resources.limits.memory`.
    pub spelling: String,
    /// As written: `20m`.
    pub written: String,
    pub at: Place,
}

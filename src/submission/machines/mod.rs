//! What a Vagrantfile declares, as Vagrant's own loader made it (see `lab::vagrantfile`); every spelling made one. Data only.

pub mod answer;
mod asked;
pub mod boxes;
mod disks;
mod headers;
pub mod read;
mod refused;
pub mod trouble;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::expect::Place;
use crate::notice::Reason;
use crate::text::Text;

pub use headers::{is_virtual_disk, virtual_size};

/// The Vagrantfile that counts, and what became of it.
#[derive(Clone, Debug, Default)]
pub struct Vagrantfile {
    /// Relative to the submission's root.
    pub path: PathBuf,
    pub loaded: Loaded,
}

impl Vagrantfile {
    /// The machines that it defines; none where it could not be loaded.
    pub fn machines(&self) -> &[MachineDef] {
        match &self.loaded {
            Loaded::Machines(machines) => machines,
            _ => &[],
        }
    }
}

/// What Vagrant's loader said.
#[derive(Clone, Debug, Default)]
pub enum Loaded {
    /// Nobody has asked yet: what it says is not known.
    #[default]
    NotYet,
    /// In the file's order.
    Machines(Vec<MachineDef>),
    /// It cannot be loaded: the submission's doing.
    Refused { text: Text, at: Option<Place> },
    /// It could not be asked, for no fault of the submission's.
    Unknown { reason: Reason, text: Text },
}

/// One machine as declared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MachineDef {
    pub name: String,
    /// Where it is defined, as far as that is known.
    pub at: Option<Place>,
    /// `vagrant up` without a name starts it.
    pub autostart: bool,
    pub primary: bool,
    /// `centos/7`.
    pub boxed: Option<String>,
    /// The box has an address of its own, and so may have any name.
    pub box_url: bool,
    /// Those addresses, as written.
    pub box_urls: Vec<String>,
    /// What is asked of its version: `1905.1`, `>= 1.0, < 2`.
    pub box_version: Option<String>,
    pub hostname: Option<String>,
    /// `config.ssh.insert_key`; Vagrant's own default is true.
    pub insert_key: bool,
    /// Whom Vagrant logs in as, and by what, where the file says it: `nobody`, `winrm`.
    pub username: Option<String>,
    pub communicator: Option<String>,
    /// The file says something of the way into it: `ssh.port`.
    pub way_in: bool,
    /// Addresses of its private networks, as written; one that DHCP gives is not here.
    pub addresses: Vec<String>,
    /// Private networks in all, those with DHCP too.
    pub private_networks: usize,
    pub public_networks: usize,
    /// Guest port and host port.
    pub forwarded: Vec<(u16, u16)>,
    pub synced: Vec<SyncedDef>,
    /// Of the provider VirtualBox: what it sets itself or through `vb.customize`.
    pub memory_bytes: Option<u64>,
    pub cpus: Option<f64>,
    /// The name that VirtualBox shows.
    pub vb_name: Option<String>,
    pub disks: Vec<DiskDef>,
    pub provisioners: Vec<ProvisionerDef>,
    /// Why `vagrant up` refuses this machine, in Vagrant's own words; the others it brings up. Empty where it does not.
    pub invalid: Vec<String>,
}

impl MachineDef {
    /// Whether it provisions itself with Ansible: its own controller.
    pub fn is_controller(&self) -> bool {
        self.provisioners.iter().any(|it| it.kind == "ansible_local")
    }
}

/// A disk beside the box's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskDef {
    /// The medium's file, or the name of `vm.disk`.
    pub name: String,
    /// None where only its attachment is declared: the file is not made by this Vagrantfile.
    pub bytes: Option<u64>,
    /// Made and also attached to the machine, which is what counts.
    pub attached: bool,
    /// `createhd`, `createmedium`, `vm.disk`.
    pub spelling: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncedDef {
    pub host: String,
    pub guest: String,
    pub kind: Option<String>,
    pub disabled: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvisionerDef {
    /// `ansible`, `ansible_local`, `shell`, `file`, or another.
    pub kind: String,
    pub name: Option<String>,
    /// `once`, `always`, `never`.
    pub run: Option<String>,
    /// Of Ansible, relative to the submission's root where it lies inside.
    pub playbook: Option<String>,
    pub limit: Option<String>,
    pub inventory: Option<String>,
    /// Of a shell: the beginning of what it runs, or the path of its script.
    pub script: Option<String>,
}

impl ProvisionerDef {
    pub fn is_ansible(&self) -> bool {
        self.kind.starts_with("ansible")
    }
}

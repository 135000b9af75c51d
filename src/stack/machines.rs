//! The machines of a submission as they were brought up. A backend fills it, probes read it.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Guest, LeftOut, StandIn};
use crate::submission::machines::MachineDef;

/// What came of a Vagrantfile.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Machines {
    /// `docker`: container nodes, not virtual machines; `libvirt`: virtual machines in the lab; `virtualbox`. Empty where none were asked for.
    pub provider: String,
    /// Why none of them was brought up: the submission's fault or not; none where they were.
    pub left_out: Option<LeftOut>,
    /// By how much everything in them is slower than on a processor: 1 but for emulated ones; 0 where nobody asked.
    pub slowness: f64,
    /// In the file's order; also those that were not started.
    pub nodes: Vec<Node>,
    /// The first run of every provisioner; none where there is no provisioner, or nothing was up.
    pub provisioned: Option<Provisioned>,
}

impl Machines {
    /// By how much everything in them is slower than on a processor: 1 at least.
    pub fn slower(&self) -> f64 {
        self.slowness.max(1.0)
    }

    /// A time of the scenario's, as it is given to machines that are slower than what it was written for.
    pub fn stretched(&self, time: Duration) -> Duration {
        time.mul_f64(self.slower())
    }

    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name() == name)
    }
}

/// One machine.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Node {
    pub def: MachineDef,
    /// The container, where it was made.
    pub container: Option<String>,
    /// The virtual machine in the lab, where it was made.
    #[serde(skip)]
    pub guest: Option<Arc<Guest>>,
    /// It is a virtual machine of this host, up, and not looked into.
    pub virtual_machine: bool,
    /// What stands in for the box.
    pub stand_in: Option<StandIn>,
    /// The box itself, where it is made of that.
    #[serde(default)]
    pub taken: Option<Taken>,
    /// Whether the box is a system of another family than the node is (CentOS on Debian).
    pub other_family: bool,
    /// Why it is not up: none where it is, or where Vagrant was not asked to start it.
    pub left_out: Option<LeftOut>,
    /// Its extra disks, in the order of their names.
    pub disks: Vec<NodeDisk>,
}

impl Node {
    pub fn name(&self) -> &str {
        &self.def.name
    }

    /// Whether Vagrant brought it up.
    pub fn is_up(&self) -> bool {
        (self.container.is_some() || self.guest.is_some() || self.virtual_machine) && self.left_out.is_none()
    }
}

/// The box that a virtual machine is made of, as a catalogue has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// None of one that has an address of its own, without a catalogue.
    pub version: Option<String>,
    /// Its address.
    pub from: String,
}

/// An extra disk: a block device of the declared size, a file of the lab's behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeDisk {
    /// In the node: `/dev/sdb`.
    pub device: String,
    /// For whoever looks at the machine: `/dev/loop7` in the lab; in a virtual machine the device itself.
    pub behind: String,
    pub bytes: u64,
}

/// A run of all provisioners.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Provisioned {
    /// Whether Vagrant ended without complaint.
    pub ok: bool,
    /// It was ended because its time was over; what ran then.
    pub hung: Option<String>,
    /// When it ended, in seconds of the epoch.
    pub ended_s: f64,
    /// What Vagrant printed, without its progress noise.
    pub output: String,
    /// Each playbook run, in order.
    pub plays: Vec<Playbook>,
    /// Why it failed, where it did: the submission's fault (no reason) or not.
    pub why: Option<LeftOut>,
}

/// One run of `ansible-playbook`, as our callback plugin wrote it down: testimony, since a play can run on its controller.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Playbook {
    pub file: String,
    /// Its recap was written. Where not, it could not be parsed, or was ended.
    pub ended: bool,
    pub tasks: Vec<Task>,
    /// Tasks that began and of which nothing more was heard: where one hangs it is one of these.
    pub unfinished: Vec<Task>,
    /// Plays whose `hosts:` matched nobody.
    pub nobody: Vec<String>,
    /// By host: what the recap says.
    pub hosts: Vec<HostStats>,
}

/// A task on a host, with what came of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Task {
    pub host: String,
    pub play: String,
    pub name: String,
    /// `filesystem`, `ansible.builtin.command`: as resolved.
    pub module: String,
    /// `ok`, `changed`, `failed`, `unreachable`, `skipped`.
    pub status: String,
    /// It failed and the play went on: `ignore_errors`, or a `rescue`.
    pub ignored: bool,
    /// What it asked for was in the node image already: it would have changed a machine of the declared box.
    pub provided: bool,
    /// What stood in for the module: `yum → apt: docker → docker.io`.
    pub mapped: Option<String>,
    /// When its line was written, in seconds of the epoch; 0 where that is not said.
    pub at_s: f64,
    pub message: String,
    /// `playbooks/site.yml:12` of the submission.
    pub at: Option<String>,
    /// What a command was: `mkfs.xfs /dev/sdb`.
    pub command: Option<String>,
    /// The condition that it was skipped for.
    pub when: Option<String>,
    /// Where the inventory says that the host is, if it does.
    pub address: Option<String>,
    /// It ran on its host, not on the controller in its place.
    pub on_machine: bool,
}

impl Task {
    /// It failed, or nobody was there, and its play did not go on.
    pub fn broke(&self) -> bool {
        !self.ignored && matches!(self.status.as_str(), "failed" | "unreachable")
    }

    /// `yum` of `ansible.builtin.yum`.
    pub fn short_module(&self) -> &str {
        self.module.rsplit('.').next().unwrap_or(&self.module)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostStats {
    pub host: String,
    pub ok: u64,
    pub changed: u64,
    pub unreachable: u64,
    pub failed: u64,
    pub skipped: u64,
    pub rescued: u64,
    pub ignored: u64,
}

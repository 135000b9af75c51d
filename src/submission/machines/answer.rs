//! What `vagrant/read.rb` prints, as it prints it. Every field may be missing: a Vagrantfile can print what it likes.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// All that was said of a Vagrantfile.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Answer {
    pub machines: Vec<Machine>,
    /// Machines in all; only the first of many are described.
    pub count: usize,
    /// What of plugins it asks for that are not here.
    pub unknown_plugins: Vec<String>,
    /// Requirements of Vagrant's version that ours does not satisfy.
    pub versions: Vec<String>,
    /// Calls of VirtualBox's own tool while the file was read.
    pub vboxmanage: Vec<Vec<String>>,
    /// Why there are no machines.
    pub error: Option<Raised>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Machine {
    pub name: String,
    pub file: Option<String>,
    pub line: Option<u32>,
    pub autostart: bool,
    pub primary: bool,
    #[serde(rename = "box")]
    pub boxed: Option<String>,
    pub box_url: bool,
    pub box_urls: Vec<String>,
    pub box_version: Option<String>,
    pub hostname: Option<String>,
    pub insert_key: bool,
    /// Whom Vagrant logs in as, and by what, where the file says it: `nobody`, `winrm`.
    pub username: Option<String>,
    pub communicator: Option<String>,
    /// What else it says of the way in: `ssh.port`.
    pub way_in: Vec<String>,
    /// Blocks for other providers than the declared one.
    pub providers: Vec<Provider>,
    /// How often it is defined.
    pub defined: usize,
    pub networks: Vec<Network>,
    pub synced: Vec<Synced>,
    pub vb_name: Option<String>,
    /// When VirtualBox is told, and what.
    pub customizations: Vec<(String, Vec<String>)>,
    pub disks: Vec<Disk>,
    pub provisioners: Vec<Provisioner>,
    pub invalid: Vec<String>,
    /// Its block, or its provider's, raised.
    pub error: Option<Raised>,
}

/// Blocks for one provider, and what they set.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Provider {
    pub name: String,
    pub settings: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Network {
    #[serde(rename = "type")]
    pub kind: String,
    pub options: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Synced {
    pub host: Option<String>,
    pub guest: Option<String>,
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub disabled: bool,
}

/// Of `config.vm.disk`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Disk {
    #[serde(rename = "type")]
    pub kind: String,
    pub name: Option<Value>,
    pub bytes: Option<u64>,
    pub primary: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Provisioner {
    #[serde(rename = "type")]
    pub kind: String,
    pub name: Option<String>,
    pub run: Option<String>,
    pub playbook: Option<Value>,
    /// A pattern, or a list of names.
    pub limit: Option<Value>,
    pub inventory_path: Option<Value>,
    pub inline: Option<Value>,
    pub path: Option<Value>,
}

/// What kept the file, or one machine, from being read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Raised {
    /// `raised`, `syntax`, `conflict`, `exit`, `loop` …: see `read.rb`.
    pub kind: String,
    /// Ruby's class.
    pub class: String,
    pub message: String,
    pub file: Option<String>,
    pub line: Option<u32>,
    /// Seconds, and those on the processor.
    pub took: f64,
    pub cpu: f64,
}

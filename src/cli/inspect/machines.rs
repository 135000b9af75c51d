//! The machines of `inspect`: as data for the JSON, and as lines for people.

use std::path::PathBuf;

use serde::Serialize;

use crate::expect::Place;
use crate::notice::Reason;
use crate::sanitize;
use crate::scenario::units::show_bytes;
use crate::submission::machines::boxes::{self, Served};
use crate::submission::machines::{DiskDef, Loaded, MachineDef, ProvisionerDef, SyncedDef, Vagrantfile};
use crate::text::{Lang, Text};

/// More of a script than this is not shown.
const SCRIPT: usize = 60;

#[derive(Debug, Serialize)]
pub(super) struct VagrantfileView {
    pub(super) path: PathBuf,
    /// Every one that was found, the one that counts first.
    found: Vec<PathBuf>,
    /// `machines`, `refused` (the submission's doing), `unknown` (it could not be read here).
    state: &'static str,
    /// Why there are no machines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Place>,
    /// Whose limits they were, where it is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    machines: Vec<MachineView>,
}

#[derive(Debug, Serialize)]
struct MachineView {
    name: String,
    at: Option<Place>,
    autostart: bool,
    #[serde(rename = "box")]
    boxed: Option<String>,
    /// What serves for the box: `Debian 12 container`.
    node: Option<String>,
    hostname: Option<String>,
    insert_key: bool,
    addresses: Vec<String>,
    /// Guest and host.
    forwarded: Vec<(u16, u16)>,
    memory_bytes: Option<u64>,
    cpus: Option<f64>,
    disks: Vec<DiskView>,
    synced: Vec<SyncedView>,
    provisioners: Vec<ProvisionerView>,
    /// Why `vagrant up` refuses it.
    invalid: Vec<String>,
}

#[derive(Debug, Serialize)]
struct DiskView {
    name: String,
    bytes: Option<u64>,
    attached: bool,
    spelling: String,
}

#[derive(Debug, Serialize)]
struct SyncedView {
    host: String,
    guest: String,
    kind: Option<String>,
    disabled: bool,
}

#[derive(Debug, Serialize)]
struct ProvisionerView {
    kind: String,
    name: Option<String>,
    run: Option<String>,
    playbook: Option<String>,
    limit: Option<String>,
    script: Option<String>,
}

impl VagrantfileView {
    pub(super) fn of(file: &Vagrantfile, found: &[PathBuf]) -> Self {
        let (state, why, at, reason) = match &file.loaded {
            Loaded::Machines(_) => ("machines", None, None, None),
            Loaded::Refused { text, at } => ("refused", Some(text.clone()), at.clone(), None),
            Loaded::Unknown { reason, text } => ("unknown", Some(text.clone()), None, Some(*reason)),
            Loaded::NotYet => ("unknown", Some(Text::new("it was not read", "no se leyó")), None, None),
        };
        let machines = file.machines().iter().map(MachineView::of).collect();
        Self { path: file.path.clone(), found: found.to_vec(), state, why, at, reason, machines }
    }

    pub(super) fn is_refused(&self) -> bool {
        self.state == "refused"
    }
}

impl MachineView {
    fn of(machine: &MachineDef) -> Self {
        Self {
            name: machine.name.clone(),
            at: machine.at.clone(),
            autostart: machine.autostart,
            boxed: machine.boxed.clone(),
            node: match boxes::of_machine(machine) {
                Served::Node(entry) => Some(entry.version),
                Served::NoContainer | Served::NoSuchBox => None,
            },
            hostname: machine.hostname.clone(),
            insert_key: machine.insert_key,
            addresses: machine.addresses.clone(),
            forwarded: machine.forwarded.clone(),
            memory_bytes: machine.memory_bytes,
            cpus: machine.cpus,
            disks: machine.disks.iter().cloned().map(DiskView::of).collect(),
            synced: machine.synced.iter().cloned().map(SyncedView::of).collect(),
            provisioners: machine.provisioners.iter().cloned().map(ProvisionerView::of).collect(),
            invalid: machine.invalid.clone(),
        }
    }
}

impl DiskView {
    fn of(DiskDef { name, bytes, attached, spelling }: DiskDef) -> Self {
        Self { name, bytes, attached, spelling }
    }
}

impl SyncedView {
    fn of(SyncedDef { host, guest, kind, disabled }: SyncedDef) -> Self {
        Self { host, guest, kind, disabled }
    }
}

impl ProvisionerView {
    fn of(it: ProvisionerDef) -> Self {
        let ProvisionerDef { kind, name, run, playbook, limit, script, .. } = it;
        Self { kind, name, run, playbook, limit, script }
    }
}

/// What people read: with what stands before each line.
pub(super) fn lines(file: &VagrantfileView, lang: Lang) -> Vec<(&'static str, String)> {
    let mut lines: Vec<(&'static str, String)> = Vec::new();
    lines.extend(file.why.iter().map(|why| ("  ", why.get(lang).to_owned())));
    for machine in &file.machines {
        lines.push(("  ", about(machine, lang)));
        lines.extend(machine.disks.iter().map(|disk| ("      ", shown_disk(disk, lang))));
        lines.extend(machine.synced.iter().filter_map(|folder| Some(("      ", synced(folder, lang)?))));
        lines.extend(machine.provisioners.iter().map(|it| ("      ", provisioner(it, lang))));
    }
    lines
}

fn about(machine: &MachineView, lang: Lang) -> String {
    let say = |en: &str, es: &str| Text::new(en, es).get(lang).to_owned();
    let mut parts = Vec::new();
    let boxed = machine.boxed.as_deref().unwrap_or_default();
    parts.push(match (&machine.node, boxed) {
        (_, "") => say("no box", "sin box"),
        (Some(node), boxed) => format!("{boxed} ({} {node})", say("here:", "aquí:")),
        (None, boxed) => format!("{boxed} ({})", say("nothing here can be it", "nada de aquí puede serlo")),
    });
    parts.push(if machine.addresses.is_empty() {
        say("no address of its own", "sin dirección propia")
    } else {
        machine.addresses.join(", ")
    });
    parts.push(machine.memory_bytes.map_or_else(|| say("memory of the box", "memoria del box"), show_bytes));
    parts.push(machine.cpus.map_or_else(|| say("cpus of the box", "cpus del box"), |cpus| format!("{cpus} cpu")));
    if machine.disks.is_empty() {
        parts.push(say("no disk more", "sin disco adicional"));
    }
    if !machine.forwarded.is_empty() {
        let ports: Vec<String> = machine.forwarded.iter().map(|(guest, host)| format!("{host}→{guest}")).collect();
        parts.push(format!("{} {}", say("ports", "puertos"), ports.join(", ")));
    }
    if !machine.autostart {
        parts.push(say("not started by `vagrant up`", "`vagrant up` no la inicia"));
    }
    format!("{}: {}", machine.name, parts.join("; "))
}

fn shown_disk(disk: &DiskView, lang: Lang) -> String {
    let say = |en: &str, es: &str| Text::new(en, es).get(lang).to_owned();
    let size = disk.bytes.map_or_else(|| say("of no declared size", "sin tamaño declarado"), show_bytes);
    let made = disk.bytes.is_some() && !disk.attached;
    let attached = if made { say(", not attached", ", sin conectar") } else { String::new() };
    format!("{} {}: {size}{attached} ({})", say("disk", "disco"), disk.name, disk.spelling)
}

fn synced(folder: &SyncedView, lang: Lang) -> Option<String> {
    // Vagrant's own default.
    if !folder.disabled && folder.host == "." && folder.guest == "/vagrant" && folder.kind.is_none() {
        return None;
    }
    let word = Text::new("folder", "carpeta").get(lang).to_owned();
    let kind = folder.kind.as_ref().map(|kind| format!(" ({kind})")).unwrap_or_default();
    let off = if folder.disabled { Text::new(", off", ", desactivada").get(lang).to_owned() } else { String::new() };
    Some(format!("{word} {} → {}{kind}{off}", folder.host, folder.guest))
}

fn provisioner(it: &ProvisionerView, lang: Lang) -> String {
    let mut text = format!("{} {}", Text::new("provisioner", "aprovisionador").get(lang), it.kind);
    if let Some(what) = it.playbook.clone().or_else(|| it.script.as_ref().map(|it| sanitize::line(it, SCRIPT))) {
        text = format!("{text}: {what}");
    }
    if let Some(limit) = &it.limit {
        text = format!("{text} ({} {limit})", Text::new("on", "en").get(lang));
    }
    if let Some(run) = &it.run {
        text = format!("{text} [{run}]");
    }
    text
}

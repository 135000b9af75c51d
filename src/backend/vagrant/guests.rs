//! What each virtual machine is given: of its own box, which starts by itself, or of the stand-in, whose kernel the hypervisor
//! starts. Pure.

use std::time::Duration;

use serde_json::{Value, json};

use super::boxes::{Decided, Real};
use super::{budget, ends, libvirt, nodes};
use crate::stack::machines::{Node, NodeDisk};
use crate::submission::machines::MachineDef;

/// The stand-in.
const BOX: &str = "imparcial/machine";
const VERSION: &str = "1.0.0";
/// In the hypervisor's pool, for all machines: our executable, and the stand-ins' layers. The plugin takes a disk called `vda`
/// for the machine's own.
const TOOLS: &str = "tools.img";
const LAYERS: &str = "layers.img";
/// Its root has no partition, and its kernel no use for what guards against other guests, or itself: to empty each page that it gives
/// away and to check what it copies took a twentieth of the time. No profiles of AppArmor: the boxes of the
/// catalogue have none either, and an engine refuses to start a container where the tool that loads them is missing. All disks are
/// found before the first is taken up, which `vagrant/images/machine/disks-in-order` does.
const COMMAND_LINE: &str = "root=LABEL=root rw net.ifnames=0 biosdevname=0 console=ttyS0 quiet mitigations=off \
    init_on_alloc=0 hardened_usercopy=off randomize_kstack_offset=off apparmor=0 scsi_mod.scan=sync";
/// What a processor of an emulated machine is not said to have. Each is dear to emulate and adds nothing that a submission could use: a fifth
/// level of page tables, guards of the kernel against itself whose every switch ends what was translated, and copying byte by byte.
/// Without them a start of the stand-in took 10.0 s of a processor instead of 12.1, and of Python 2.9 instead of 3.3.
pub(super) const DEAR: [&str; 6] = ["la57", "smap", "smep", "pku", "erms", "fsrm"];
/// Of the disks that are a machine's own: what it flushes is in the host's memory then, where a power cut of the machine leaves it.
const CACHE: &str = "unsafe";
/// The plugin's own, and others where a submission has that.
const MANAGEMENT: [&str; 3] = ["192.168.121.0/24", "192.168.221.0/24", "10.121.121.0/24"];

/// What machines are made from, and with.
pub(super) struct Making<'m> {
    pub(super) cores: f64,
    pub(super) kvm: bool,
    pub(super) within: Duration,
    /// Bytes of memory.
    pub(super) cap: Option<u64>,
    pub(super) boxes: &'m Decided,
    /// No stand-in serves.
    pub(super) only_own: bool,
    /// Whether the delivery is; none where nobody knows.
    pub(super) old: Option<bool>,
}

/// The machines as they will be, and what the home Vagrantfile is given for each.
pub(super) fn plan(defs: &[MachineDef], making: &Making<'_>) -> (Vec<Node>, Vec<Value>) {
    let (mut all, mut given) = (Vec::new(), Vec::new());
    let network = management(defs);
    for def in defs {
        let mut node = nodes::node(defs, def);
        let mut real = None;
        match making.boxes.of(def) {
            Some(Ok(found)) if node.left_out.is_none() => real = Some(found),
            Some(Err(no)) if making.only_own && node.left_out.is_none() => {
                node.left_out = Some(no.left_out(def, making.old));
                node.stand_in = None;
            }
            _ => {}
        }
        if let Some(real) = real {
            // It is what was asked for.
            node.stand_in = None;
            node.other_family = false;
            node.taken = Some(real.taken());
        }
        if let Some(stand_in) = &mut node.stand_in {
            stand_in.version = super::in_a_guest(&stand_in.version);
        }
        let declared: Vec<(String, u64)> = nodes::declared(def).collect();
        for (device, bytes) in &declared {
            let device = format!("/dev/{device}");
            node.disks.push(NodeDisk { behind: device.clone(), device, bytes: *bytes });
        }
        let guest = json!({
            "boot_timeout": making.within.as_secs(),
            "box": {
                "name": real.map_or(BOX, |real| real.name.as_str()),
                // Nothing else that goes by the name: a box that was fetched from its own address is of none.
                "version": real.map_or(VERSION, |real| real.version.as_deref().unwrap_or("0")),
            },
            "console": ends::console(&libvirt::domain(&def.name)),
            "settings": settings(def, making, network, real),
            "processor_without": if making.kvm { &[] } else { &DEAR[..] },
            "disks": disks(&declared, real),
        });
        given.push(json!({"name": def.name, "guest": guest}));
        all.push(node);
    }
    (all, given)
}

/// What a box does not decide; a box of its own is left everything about how it starts and where its root is.
fn settings(def: &MachineDef, making: &Making<'_>, network: &str, real: Option<&Real>) -> Value {
    let mut settings = json!({
        "uri": "qemu:///system",
        "default_prefix": libvirt::PREFIX,
        "management_network_address": network,
        "driver": if making.kvm { "kvm" } else { "qemu" },
        "cpu_mode": if making.kvm { "host-passthrough" } else { "maximum" },
        "cpu_model": "",
        "disk_driver_opts": {"cache": CACHE},
        "memory": mib(budget::memory(def, making.cap)),
        "cpus": budget::cpus(def, making.cores),
    });
    if real.is_none() {
        settings["kernel"] = "/box/vmlinuz".into();
        settings["initrd"] = "/box/initrd.img".into();
        settings["cmd_line"] = COMMAND_LINE.into();
        settings["disk_bus"] = "scsi".into();
        settings["disk_device"] = "sda".into();
        settings["disk_controller_model"] = "virtio-scsi".into();
        settings["graphics_type"] = "none".into();
    }
    settings
}

/// The declared ones, by VirtualBox's names, and those of ours. What a box's own engine holds is its own affair: it has no use for
/// our layers. The home Vagrantfile moves the disk of our executable to where it leaves the declared ones their names.
fn disks(declared: &[(String, u64)], real: Option<&Real>) -> Vec<Value> {
    let own = declared.iter().map(|(device, bytes)| {
        let size = format!("{}K", bytes.div_ceil(1024));
        json!({"size": size, "device": device, "bus": "scsi", "type": "qcow2", "cache": CACHE})
    });
    let shared: &[(&str, &str)] = match real {
        None => &[(TOOLS, "vdb"), (LAYERS, "vdc")],
        // A box may have more than one disk.
        Some(_) => &[(TOOLS, "vdz")],
    };
    let shared = shared.iter().map(|(path, device)| {
        json!({
            "path": path, "type": "raw", "allow_existing": true, "shareable": true,
            "bus": "virtio", "device": device,
        })
    });
    own.chain(shared).collect()
}

/// The network by which machines are managed: none that a machine declares an address of.
fn management(defs: &[MachineDef]) -> &'static str {
    let taken = |network: &&&str| {
        let prefix = network.trim_end_matches("0/24");
        defs.iter().flat_map(|def| &def.addresses).any(|address| address.trim().starts_with(prefix))
    };
    MANAGEMENT.iter().find(|network| !taken(network)).unwrap_or(&MANAGEMENT[0])
}

fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::super::boxes::testing;
    use super::*;
    use crate::notice::Reason;
    use crate::submission::machines::DiskDef;

    fn def(name: &str, boxed: &str) -> MachineDef {
        let disk = DiskDef { name: "x".into(), bytes: Some(5 << 30), attached: true, spelling: "createhd".into() };
        MachineDef {
            name: name.into(),
            autostart: true,
            boxed: Some(boxed.into()),
            memory_bytes: Some(512 << 20),
            disks: vec![disk],
            ..MachineDef::default()
        }
    }

    fn making(boxes: &Decided, only_own: bool) -> Making<'_> {
        Making { cores: 2.0, kvm: false, within: Duration::from_secs(300), cap: None, boxes, only_own, old: None }
    }

    #[test]
    fn a_box_of_its_own_starts_by_itself_and_a_stand_in_by_its_kernel() {
        let defs = [def("own", "centos/7"), def("other", "ubuntu/focal64")];
        let boxes = testing::decided(&defs[..1], Some("2004.01"));
        let (nodes, given) = plan(&defs, &making(&boxes, false));
        let (own, other) = (&given[0]["guest"], &given[1]["guest"]);
        assert_eq!(own["box"], json!({"name": "centos/7", "version": "2004.01"}));
        assert_eq!(other["box"], json!({"name": "imparcial/machine", "version": "1.0.0"}));
        for named in ["kernel", "initrd", "cmd_line", "disk_bus", "disk_device"] {
            assert!(own["settings"].get(named).is_none() && other["settings"].get(named).is_some(), "{named}");
        }
        assert_eq!(own["settings"]["memory"], 512);
        assert_eq!((&own["processor_without"], &other["processor_without"]), (&json!(DEAR), &json!(DEAR)));
        let (_, by_processor) = plan(&defs, &Making { kvm: true, ..making(&boxes, false) });
        assert_eq!(by_processor[0]["guest"]["processor_without"], json!([]));
        let of = |guest: &Value| -> Vec<String> {
            let disks = guest["disks"].as_array().unwrap().iter();
            disks.map(|it| format!("{} {} {}", it["path"], it["device"], it["bus"])).collect()
        };
        assert_eq!(of(own), [r#"null "sdb" "scsi""#, r#""tools.img" "vdz" "virtio""#]);
        assert_eq!(of(other)[1..], [r#""tools.img" "vdb" "virtio""#, r#""layers.img" "vdc" "virtio""#]);
        assert!(nodes[0].stand_in.is_none() && !nodes[0].other_family);
        assert_eq!(nodes[0].taken.as_ref().unwrap().version.as_deref(), Some("2004.01"));
        assert!(nodes[1].taken.is_none() && nodes[1].stand_in.is_some());
        assert_eq!(nodes[0].disks[0].device, "/dev/sdb");
    }

    #[test]
    fn a_box_that_cannot_be_had_has_a_stand_in_or_leaves_its_machine_out() {
        let defs = [def("m", "centos/7")];
        let boxes = testing::decided(&defs, None);
        let (auto, _) = plan(&defs, &making(&boxes, false));
        assert!(auto[0].stand_in.is_some() && auto[0].left_out.is_none());
        let (pull, _) = plan(&defs, &making(&boxes, true));
        let left = pull[0].left_out.clone().unwrap();
        assert!(pull[0].stand_in.is_none() && left.text.en.contains("does not answer"), "{}", left.text.en);
        assert_eq!(left.reason, Some(Reason::Host));
        let (nobody, _) = plan(&[def("m", "mi caja")], &making(&Decided::default(), true));
        assert_eq!(nobody[0].left_out.as_ref().unwrap().reason, None, "a name that no box can have stays what it is");
    }

    #[test]
    fn whole_processors_and_no_more_than_there_are() {
        let of = |cpus: Option<f64>| budget::cpus(&MachineDef { cpus, ..MachineDef::default() }, 2.0);
        assert_eq!([of(None), of(Some(0.5)), of(Some(2.0)), of(Some(32.0))], [1.0, 1.0, 2.0, 2.0]);
        assert_eq!(mib((512 << 20) - 1), 512);
        let at = |address: &str| MachineDef { addresses: vec![address.into()], ..MachineDef::default() };
        assert_eq!(management(&[at("192.168.56.10")]), "192.168.121.0/24");
        assert_eq!(management(&[at("10.0.0.1"), at(" 192.168.121.10")]), "192.168.221.0/24");
    }
}

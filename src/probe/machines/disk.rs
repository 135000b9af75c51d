//! `disk`: an extra disk of a machine, found by its size, and whether it is formatted and mounted: read from the disk itself in
//! the lab and from the kernel's table of mounts, never by asking the machine.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;

use super::from_outside::{Disk, disks, mounted, only, or_ended};
use super::kernel::Mount;
use super::{Looks, On, OnMachines, Seen};
use crate::expect::{FactSpec, Facts, Unit};
use crate::probe::common::Found;
use crate::probe::{Probe, ProbeError, ProbeKind};
use crate::scenario::tree::Decoder;
use crate::stack::machines::Node;
use crate::stack::{Body, Stack};
use crate::submission::machines::{DiskDef, MachineDef};
use crate::text::Text;

pub static KIND: ProbeKind = ProbeKind {
    name: "disk",
    summary: "An extra disk of a machine, by its size and not by its name: declared, there, formatted, mounted; seen from outside the machine",
    facts: &[
        FactSpec {
            name: "declared",
            unit: Unit::Number,
            summary: "how many extra disks the Vagrantfile makes and attaches to it",
        },
        FactSpec { name: "present", unit: Unit::Bool, summary: "an extra disk of that size at least is in it" },
        FactSpec {
            name: "size_bytes",
            unit: Unit::Bytes,
            summary: "of that disk; where none is large enough, of the largest",
        },
        FactSpec { name: "device", unit: Unit::Text, summary: "its name in the machine: `/dev/sdb`" },
        FactSpec {
            name: "formatted",
            unit: Unit::Bool,
            summary: "a file system is on it, on a partition or on a volume of it",
        },
        FactSpec {
            name: "filesystem",
            unit: Unit::Text,
            summary: "xfs, ext4 …; where there is none: lvm, swap, dos or gpt (a table of partitions), or `none`",
        },
        FactSpec { name: "mounted", unit: Unit::Bool, summary: "the kernel has it mounted, or a part of it" },
        FactSpec {
            name: "mount_points",
            unit: Unit::List,
            summary: "where; a folder that is no mount point is not among them",
        },
    ],
    example: "{id: extra-disk, points: 4, disk: {on: all, min_size: 5GB}, expect: {present: true, formatted: true, mounted: true}}",
    schema: || {
        json!({"type": "object", "additionalProperties": false, "properties": {
            "min_size": {"type": ["string", "integer"], "description": "such as `5GB`; a disk of 95 % of it counts, since tools round differently; without it, any extra disk does"},
            "on": On::schema()
        }})
    },
    decode: |d| decode(d).map(|probe| Box::new(probe) as Box<dyn Probe>),
};

/// What is no file system that could be mounted.
const NO_FILE_SYSTEM: [&str; 6] = ["dos", "gpt", "lvm", "luks", "raid", "swap"];

struct ExtraDisk {
    min: u64,
    on: On,
}

fn decode(d: &mut Decoder<'_>) -> Option<ExtraDisk> {
    let min = d.bytes("min_size").unwrap_or(0);
    Some(ExtraDisk { min, on: On::decode(d, "on") })
}

/// 5000 MB, 5 GB and 5 GiB are one disk to people.
fn enough(bytes: u64, min: u64) -> bool {
    u128::from(bytes) * 100 >= u128::from(min) * 95
}

impl OnMachines for ExtraDisk {
    fn on(&self) -> &On {
        &self.on
    }

    fn may_be_excused(&self) -> bool {
        false
    }
}

#[async_trait]
impl Looks for ExtraDisk {
    async fn at(&self, stack: &Stack, node: &Node, body: &Body, timeout: Duration) -> Result<Seen, ProbeError> {
        let (declared, given) = (attached(&node.def), node.disks.len());
        if given < declared {
            return Err(ProbeError::ours(
                format!("{declared} extra disks are declared for {}, and it was given {given}", node.name()),
                format!("se declaran {declared} discos adicionales para {}, y se le dieron {given}", node.name()),
            ));
        }
        let looked = async {
            let disks = disks(stack, node, body, timeout).await?;
            Ok((disks, mounted(stack, body, timeout).await?))
        };
        Ok(match or_ended(looked.await, stack, node, body).await? {
            Found::Here((disks, mounts)) => judge(&node.def, &disks, &mounts, self.min),
            Found::Absent(why) => only(why, self.without(Some(node))),
        })
    }

    fn stays(&self, _seen: &Facts) -> bool {
        true
    }

    fn without(&self, node: Option<&Node>) -> Facts {
        node.map(|node| ("declared".to_owned(), json!(attached(&node.def)))).into_iter().collect()
    }
}

fn attached(def: &MachineDef) -> usize {
    def.disks.iter().filter(|disk| disk.attached && disk.bytes.is_some()).count()
}

/// What one disk came to.
struct State<'a> {
    disk: &'a Disk,
    file_system: String,
    formatted: bool,
    at: Vec<String>,
}

fn state<'a>(disk: &'a Disk, mounts: &[Mount]) -> State<'a> {
    let here: Vec<&Mount> = mounts.iter().filter(|mount| disk.part_of(mount).is_some()).collect();
    let named = |format: &str| !NO_FILE_SYSTEM.contains(&format);
    let formats = || disk.parts().filter_map(|part| part.format.as_deref());
    // What the kernel mounted it as counts for more than our reading of its first bytes.
    let file_system = here.first().map(|mount| mount.kind.as_str()).or_else(|| formats().find(|f| named(f)));
    let mut at: Vec<String> = Vec::new();
    for mount in here.iter().filter(|mount| !mount.at.is_empty()) {
        if !at.contains(&mount.at) {
            at.push(mount.at.clone());
        }
    }
    State {
        disk,
        formatted: file_system.is_some(),
        file_system: file_system.or_else(|| formats().next()).unwrap_or("none").to_owned(),
        at,
    }
}

fn judge(def: &MachineDef, disks: &[Disk], mounts: &[Mount], min: u64) -> Seen {
    let declared = attached(def);
    let large = disks.iter().filter(|disk| enough(disk.seen.bytes, min)).map(|disk| state(disk, mounts));
    // Of several, the one that is used.
    let best = large.max_by_key(|state| (!state.at.is_empty(), state.formatted));
    let Some(best) = best else {
        let largest = disks.iter().max_by_key(|disk| disk.seen.bytes);
        let mut seen =
            Seen::of([("declared", json!(declared)), ("present", json!(false))]).because(absent(def, largest));
        if let Some(disk) = largest {
            seen.facts.insert("size_bytes".to_owned(), json!(disk.seen.bytes));
            seen.facts.insert("device".to_owned(), json!(disk.given.device));
        }
        return seen;
    };
    let device = &best.disk.given.device;
    let mut seen = Seen::of([
        ("declared", json!(declared)),
        ("present", json!(true)),
        ("size_bytes", json!(best.disk.seen.bytes)),
        ("device", json!(device)),
        ("formatted", json!(best.formatted)),
        ("filesystem", json!(best.file_system)),
        ("mounted", json!(!best.at.is_empty())),
        ("mount_points", json!(best.at)),
    ]);
    let holds = &best.file_system;
    seen.why = if !best.formatted && holds == "none" {
        Some(Text::new(
            format!("the extra disk {device} is empty: no file system is on it"),
            format!("el disco adicional {device} está vacío: no tiene sistema de archivos"),
        ))
    } else if !best.formatted {
        Some(Text::new(
            format!("the extra disk {device} holds {holds}, and no file system"),
            format!("el disco adicional {device} contiene {holds}, y ningún sistema de archivos"),
        ))
    } else if best.at.is_empty() {
        Some(Text::new(
            format!("the extra disk {device} has a file system ({holds}) and is mounted nowhere"),
            format!("el disco adicional {device} tiene un sistema de archivos ({holds}) y no está montado"),
        ))
    } else {
        // Where it is mounted, the facts say; of several machines this one is not to be explained.
        None
    };
    seen
}

/// Why no disk is large enough: what the file says of disks.
fn absent(def: &MachineDef, largest: Option<&Disk>) -> Text {
    if let Some(disk) = largest {
        let (device, bytes) = (&disk.given.device, disk.seen.bytes);
        return Text::new(
            format!("its largest extra disk, {device}, has {bytes} bytes"),
            format!("su disco adicional más grande, {device}, tiene {bytes} bytes"),
        );
    }
    let names = |of: &dyn Fn(&DiskDef) -> bool| {
        let names = def.disks.iter().filter(|disk| of(disk)).map(|disk| crate::sanitize::line(&disk.name, 100));
        names.collect::<Vec<_>>().join(", ")
    };
    // Of what is only attached nobody said how large it is.
    let only_attached = |disk: &DiskDef| disk.bytes.is_none() && (disk.attached || disk.spelling == "storageattach");
    let loose = names(&|disk| !disk.attached && !only_attached(disk));
    let unmade = names(&only_attached);
    match (loose.is_empty(), unmade.is_empty()) {
        (true, true) => Text::new("it has no extra disk", "no tiene disco adicional"),
        (false, true) => Text::new(
            format!("it has no extra disk: {loose} is made and not attached to it"),
            format!("no tiene disco adicional: {loose} se crea y no se le conecta"),
        ),
        (true, false) => Text::new(
            format!("it has no extra disk: {unmade} is attached to it, and the Vagrantfile does not make it"),
            format!("no tiene disco adicional: {unmade} se le conecta, y el Vagrantfile no lo crea"),
        ),
        (false, false) => Text::new(
            format!("it has no extra disk: {loose} is made, and {unmade} is attached"),
            format!("no tiene disco adicional: se crea {loose} y se conecta {unmade}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::kernel::mounts;
    use super::*;
    use crate::agent::BlockSeen;
    use crate::stack::machines::NodeDisk;
    use crate::submission::machines::DiskDef;

    const FIVE: u64 = 5 << 30;

    fn disk(bytes: u64, format: Option<&str>, parts: &[(&str, &str, Option<&str>)]) -> Disk {
        let part = |(name, number, format): &(&str, &str, Option<&str>)| BlockSeen {
            name: (*name).into(),
            number: (*number).into(),
            format: format.map(str::to_owned),
            ..BlockSeen::default()
        };
        Disk {
            given: NodeDisk { device: "/dev/sdb".into(), behind: "/dev/loop5".into(), bytes },
            seen: BlockSeen {
                name: "loop5".into(),
                number: "7:5".into(),
                bytes,
                format: format.map(str::to_owned),
                parts: parts.iter().map(part).collect(),
            },
        }
    }

    fn def(disks: &[(&str, Option<u64>, bool)]) -> MachineDef {
        let disk = |(name, bytes, attached): &(&str, Option<u64>, bool)| DiskDef {
            name: (*name).into(),
            bytes: *bytes,
            attached: *attached,
            ..DiskDef::default()
        };
        MachineDef { disks: disks.iter().map(disk).collect(), ..MachineDef::default() }
    }

    fn seen(disks: &[Disk], table: &str) -> Seen {
        judge(&def(&[("d.vdi", Some(FIVE), true)]), disks, &mounts(table), FIVE)
    }

    const ROOT: &str = "586 528 0:154 / / rw,relatime - overlay overlay rw\n";

    #[test]
    fn an_empty_disk_is_there_and_no_more() {
        let seen = seen(&[disk(FIVE, None, &[])], ROOT);
        assert_eq!((&seen.facts["present"], &seen.facts["formatted"]), (&json!(true), &json!(false)));
        assert_eq!((&seen.facts["filesystem"], &seen.facts["mounted"]), (&json!("none"), &json!(false)));
        assert_eq!(seen.why.unwrap().en, "the extra disk /dev/sdb is empty: no file system is on it");
    }

    #[test]
    fn mounted_is_what_the_kernel_has_by_the_devices_number() {
        let table =
            format!("{ROOT}527 586 7:5 / /data rw,relatime - xfs /dev/sdb rw\n538 586 7:5 / /x rw - xfs /dev/sdb rw\n");
        let mounted = seen(&[disk(FIVE, Some("xfs"), &[])], &table);
        assert_eq!(
            (&mounted.facts["mounted"], &mounted.facts["mount_points"]),
            (&json!(true), &json!(["/data", "/x"]))
        );
        // Another device under the same name is another one.
        let other = seen(&[disk(FIVE, Some("xfs"), &[])], &table.replace("7:5", "7:6"));
        assert_eq!((&other.facts["mounted"], &other.facts["formatted"]), (&json!(false), &json!(true)));
        assert!(other.why.unwrap().en.contains("is mounted nowhere"));
    }

    #[test]
    fn a_partition_of_it_counts_and_a_table_alone_does_not() {
        let table = seen(&[disk(FIVE, Some("dos"), &[("loop5p1", "259:0", None)])], ROOT);
        assert_eq!((&table.facts["formatted"], &table.facts["filesystem"]), (&json!(false), &json!("dos")));
        let parts = [("loop5p1", "259:0", Some("ext4"))];
        let mounts = format!("{ROOT}527 586 259:0 / /datos rw - ext4 /dev/sdb1 rw\n");
        let mounted = seen(&[disk(FIVE, Some("dos"), &parts)], &mounts);
        assert_eq!(
            (&mounted.facts["filesystem"], &mounted.facts["mount_points"]),
            (&json!("ext4"), &json!(["/datos"]))
        );
        let pool = disk(FIVE, Some("lvm"), &[("dm-0", "253:0", None)]);
        let volume = seen(&[pool], &format!("{ROOT}1 2 253:0 / /lv rw - xfs /dev/mapper/vg-lv rw\n"));
        assert_eq!((&volume.facts["filesystem"], &volume.facts["mounted"]), (&json!("xfs"), &json!(true)));
    }

    #[test]
    fn btrfs_has_a_number_of_its_own_in_the_table() {
        let table = format!("{ROOT}527 586 0:45 / /data rw - btrfs /dev/sdb rw,subvolid=5\n");
        assert_eq!(seen(&[disk(FIVE, Some("btrfs"), &[])], &table).facts["mounted"], json!(true));
        assert_eq!(
            seen(&[disk(FIVE, Some("btrfs"), &[])], &table.replace("sdb", "sdc")).facts["mounted"],
            json!(false)
        );
    }

    #[test]
    fn of_several_the_one_that_is_used() {
        let mut second = disk(FIVE, Some("xfs"), &[]);
        second.given.device = "/dev/sdc".into();
        second.seen.number = "7:6".into();
        let found = seen(&[disk(FIVE, None, &[]), second], ROOT);
        assert_eq!(found.facts["device"], json!("/dev/sdc"));
    }

    #[test]
    fn size_is_by_the_byte_within_a_twentieth() {
        assert!(enough(5 << 30, FIVE) && enough(5_242_880_000, FIVE) && enough(5_368_709_120, 5 << 30));
        assert!(!enough(5_000_000_000, FIVE) && !enough(512 << 20, FIVE) && enough(1, 0));
    }

    #[test]
    fn why_there_is_none_is_what_the_file_says() {
        let why = |disks: &[(&str, Option<u64>, bool)]| judge(&def(disks), &[], &[], FIVE).why.unwrap().en;
        assert_eq!(why(&[]), "it has no extra disk");
        assert_eq!(why(&[("a.vdi", Some(FIVE), false)]), "it has no extra disk: a.vdi is made and not attached to it");
        assert_eq!(
            why(&[("a.vdi", Some(FIVE), false), ("b.vdi", None, true)]),
            "it has no extra disk: a.vdi is made, and b.vdi is attached"
        );
        let other = DiskDef { name: "b.vdi".into(), spelling: "storageattach".into(), ..DiskDef::default() };
        let mut both = def(&[("a.vdi", Some(FIVE), false)]);
        both.disks.push(other);
        assert_eq!(
            judge(&both, &[], &[], FIVE).why.unwrap().en,
            "it has no extra disk: a.vdi is made, and b.vdi is attached"
        );
        let small = judge(&def(&[("a.vdi", Some(512 << 20), true)]), &[disk(512 << 20, None, &[])], &[], FIVE);
        assert_eq!((&small.facts["declared"], &small.facts["present"]), (&json!(1), &json!(false)));
        assert_eq!(small.facts["size_bytes"], json!(512 << 20));
        assert_eq!(small.why.unwrap().en, "its largest extra disk, /dev/sdb, has 536870912 bytes");
    }
}

//! `mount`: what is mounted at a path of a machine, by the kernel's own table.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;

use super::from_outside::{Disk, disks, mounted, only, or_ended, path};
use super::kernel::{self, Mount};
use super::{Looks, On, OnMachines, Seen};
use crate::agent::PathSeen;
use crate::expect::{FactSpec, Facts, Unit};
use crate::probe::common::Found;
use crate::probe::{Probe, ProbeError, ProbeKind};
use crate::scenario::tree::Decoder;
use crate::stack::machines::Node;
use crate::stack::{Body, Stack};
use crate::text::Text;

pub static KIND: ProbeKind = ProbeKind {
    name: "mount",
    summary: "What is mounted at a path of a machine, by the kernel's table of mounts as the lab reads it; without a path, where an extra disk is mounted",
    facts: &[
        FactSpec {
            name: "exists",
            unit: Unit::Bool,
            summary: "something is mounted there: a plain folder is no mount",
        },
        FactSpec { name: "path", unit: Unit::Text, summary: "where it is mounted" },
        FactSpec { name: "filesystem", unit: Unit::Text, summary: "xfs, ext4, fuse.glusterfs, nfs4 …" },
        FactSpec {
            name: "source",
            unit: Unit::Text,
            summary: "what is mounted, as the kernel was told: `/dev/sdb`, `master:/gv0`",
        },
        FactSpec { name: "options", unit: Unit::List, summary: "of the mount and of its file system: rw, noatime …" },
        FactSpec {
            name: "from_extra_disk",
            unit: Unit::Bool,
            summary: "it is an extra disk of the machine, or a part of one",
        },
        FactSpec {
            name: "in_fstab",
            unit: Unit::Bool,
            summary: "the machine's `/etc/fstab` has a line for that path: its own file, so testimony of what comes back after a start",
        },
    ],
    example: "{id: disk-mounted, points: 2, mount: {on: all, path: /data}, expect: {exists: true, filesystem: {one_of: [xfs, ext4]}, from_extra_disk: true, in_fstab: true}}",
    schema: || {
        json!({"type": "object", "additionalProperties": false, "properties": {
            "path": {"type": "string", "description": "absolute, in the machine; without it, any mount of an extra disk"},
            "on": On::schema()
        }})
    },
    decode: |d| decode(d).map(|probe| Box::new(probe) as Box<dyn Probe>),
};

const FSTAB: &str = "/etc/fstab";
/// More than any table of file systems needs.
const MAX_FSTAB: usize = 64 << 10;

struct MountAt {
    path: Option<String>,
    on: On,
}

fn decode(d: &mut Decoder<'_>) -> Option<MountAt> {
    let path = d.text("path");
    let on = On::decode(d, "on");
    if path.as_ref().is_some_and(|path| !path.starts_with('/')) {
        let shown = path.as_deref().unwrap_or_default();
        d.problem_with("path", format!("`{shown}` is no path in a machine"), Some("it begins with `/`"));
    }
    Some(MountAt { path: path.map(|path| kernel::plain(&path)), on })
}

impl OnMachines for MountAt {
    fn on(&self) -> &On {
        &self.on
    }

    fn may_be_excused(&self) -> bool {
        false
    }
}

/// All that decides it.
#[derive(Default)]
struct Looked {
    mounts: Vec<Mount>,
    disks: Vec<Disk>,
    fstab: String,
    /// What is at the path that is asked for.
    there: Option<PathSeen>,
}

#[async_trait]
impl Looks for MountAt {
    async fn at(&self, stack: &Stack, node: &Node, body: &Body, timeout: Duration) -> Result<Seen, ProbeError> {
        let looked = async {
            let fstab = path(stack, body, FSTAB, MAX_FSTAB, timeout).await?;
            let there = match &self.path {
                Some(at) => path(stack, body, at, 0, timeout).await?,
                None => None,
            };
            Ok(Looked {
                mounts: mounted(stack, body, timeout).await?,
                disks: disks(stack, node, body, timeout).await?,
                fstab: fstab.map(|seen| String::from_utf8_lossy(&seen.content).into_owned()).unwrap_or_default(),
                there,
            })
        };
        Ok(match or_ended(looked.await, stack, node, body).await? {
            Found::Here(looked) => judge(self.path.as_deref(), &looked),
            Found::Absent(why) => only(why, self.without(Some(node))),
        })
    }

    fn stays(&self, _seen: &Facts) -> bool {
        true
    }

    fn without(&self, _node: Option<&Node>) -> Facts {
        Facts::new()
    }
}

fn judge(path: Option<&str>, looked: &Looked) -> Seen {
    let of_disk = |mount: &&Mount| looked.disks.iter().any(|disk| disk.part_of(mount).is_some());
    let at = |path: &str| looked.mounts.iter().rev().find(|mount| mount.at == path);
    // A link may lead to where something is mounted.
    let linked = || at(&kernel::plain(looked.there.as_ref()?.link_to.as_deref().filter(|to| to.starts_with('/'))?));
    let found = match path {
        Some(path) => at(path).or_else(linked),
        None => looked.mounts.iter().find(of_disk),
    };
    let Some(mount) = found else { return nothing(path, looked) };
    let extra = of_disk(&mount);
    let seen = Seen::of([
        ("exists", json!(true)),
        ("path", json!(mount.at)),
        ("filesystem", json!(mount.kind)),
        ("source", json!(mount.source)),
        ("options", json!(mount.options)),
        ("from_extra_disk", json!(extra)),
        ("in_fstab", json!(kernel::in_fstab(&looked.fstab, &mount.at))),
    ]);
    let clean = |text: &str| crate::sanitize::line(text, 120);
    let (at, source, kind) = (clean(&mount.at), clean(&mount.source), clean(&mount.kind));
    seen.because(Text::new(
        format!("{source} ({kind}) is mounted at {at}"),
        format!("{source} ({kind}) está montado en {at}"),
    ))
}

fn nothing(path: Option<&str>, looked: &Looked) -> Seen {
    let Some(path) = path else {
        return Seen::of([("exists", json!(false)), ("from_extra_disk", json!(false))])
            .because(Text::new("no extra disk is mounted anywhere", "ningún disco adicional está montado"));
    };
    let in_fstab = kernel::in_fstab(&looked.fstab, path);
    let shown = crate::sanitize::line(path, 120);
    let seen = Seen::of([("exists", json!(false)), ("from_extra_disk", json!(false)), ("in_fstab", json!(in_fstab))]);
    seen.because(match looked.there.as_ref().map(|there| there.kind.as_str()) {
        None => Text::new(format!("there is no {shown}"), format!("no existe {shown}")),
        Some("folder") => Text::new(
            format!("{shown} is a folder like any other: nothing is mounted there"),
            format!("{shown} es una carpeta como cualquier otra: no hay nada montado"),
        ),
        Some(_) => Text::new(
            format!("nothing is mounted at {shown}, which is no folder"),
            format!("no hay nada montado en {shown}, que no es una carpeta"),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::super::kernel::mounts;
    use super::*;
    use crate::agent::BlockSeen;
    use crate::scenario::tree;
    use crate::stack::machines::NodeDisk;

    const TABLE: &str = "586 528 0:154 / / rw,relatime - overlay overlay rw\n\
        527 586 7:5 / /data/brick rw,relatime - xfs /dev/sdb rw\n\
        530 586 0:50 / /datos rw,relatime - fuse.glusterfs master:/gv0 rw,user_id=0\n\
        531 586 0:51 / /mnt rw - tmpfs tmpfs rw\n\
        532 586 254:0 /srv /mnt ro - ext4 /dev/vda rw\n";

    fn looked() -> Looked {
        let disk = Disk {
            given: NodeDisk { device: "/dev/sdb".into(), ..NodeDisk::default() },
            seen: BlockSeen { name: "loop5".into(), number: "7:5".into(), ..BlockSeen::default() },
        };
        let fstab = "/dev/sdb /data/brick xfs defaults 0 0\n".to_owned();
        Looked { mounts: mounts(TABLE), disks: vec![disk], fstab, there: None }
    }

    fn there(kind: &str, link_to: Option<&str>) -> Looked {
        let seen = PathSeen { kind: kind.into(), link_to: link_to.map(str::to_owned), ..PathSeen::default() };
        Looked { there: Some(seen), ..looked() }
    }

    #[test]
    fn the_kernels_table_says_what_is_mounted() {
        let seen = judge(Some("/data/brick"), &looked());
        assert_eq!((&seen.facts["filesystem"], &seen.facts["source"]), (&json!("xfs"), &json!("/dev/sdb")));
        assert_eq!((&seen.facts["from_extra_disk"], &seen.facts["in_fstab"]), (&json!(true), &json!(true)));
        let volume = judge(Some("/datos"), &looked());
        assert_eq!((&volume.facts["filesystem"], &volume.facts["in_fstab"]), (&json!("fuse.glusterfs"), &json!(false)));
        assert_eq!(volume.facts["from_extra_disk"], json!(false));
        assert_eq!(judge(None, &looked()).facts["path"], json!("/data/brick"));
        assert_eq!(judge(Some("/mnt"), &looked()).facts["filesystem"], json!("ext4"), "the upper one of two");
    }

    #[test]
    fn a_folder_is_no_mount_and_a_link_leads_to_one() {
        let why = |looked: &Looked| judge(Some("/volumen"), looked).why.unwrap().en;
        assert_eq!(why(&there("folder", None)), "/volumen is a folder like any other: nothing is mounted there");
        assert_eq!(why(&looked()), "there is no /volumen");
        assert_eq!(judge(Some("/volumen"), &there("folder", Some("/datos/"))).facts["path"], json!("/datos"));
        let bare = Looked { disks: Vec::new(), ..looked() };
        assert_eq!(judge(None, &bare).why.unwrap().en, "no extra disk is mounted anywhere");
    }

    #[test]
    fn a_path_is_absolute() {
        let node = tree::read("{path: data, on: first}", "s.yaml").unwrap();
        let mut problems = Vec::new();
        let mut d = Decoder::new(&node, &mut problems);
        assert_eq!(decode(&mut d).unwrap().on, On::First);
        d.finish();
        assert_eq!(problems[0].message, "`data` is no path in a machine");
    }
}

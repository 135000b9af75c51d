//! Where a path lies: on which mount of its machine, and whether that is a volume. Pure: the kernel's tables come from outside.

use crate::probe::machines::kernel::{Mount, plain, unescape};

/// What the kernel calls a mount of a volume.
const KIND: &str = "fuse.glusterfs";

/// What comes after it, where a path is a folder or lies in it.
pub(super) fn below<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(folder.trim_end_matches('/'))?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

/// The mount that a path is seen on: the one that lies deepest, and of two at one place the later.
pub(super) fn covering<'a>(mounts: &'a [Mount], path: &str) -> Option<&'a Mount> {
    let path = plain(path);
    let over = mounts.iter().filter(|mount| below(&path, &mount.at).is_some());
    over.max_by_key(|mount| mount.at.len())
}

/// The same of a path that was looked at: links on its way may lead elsewhere, and the number of the file system that it
/// lies on says where.
pub(super) fn lies_on<'a>(mounts: &'a [Mount], path: &str, device: &str) -> Option<&'a Mount> {
    let by_name = covering(mounts, path);
    if by_name.is_some_and(|mount| mount.number == device) {
        return by_name;
    }
    // A file system that spans devices has numbers of its own for its parts (btrfs): there the name has to do.
    mounts.iter().rev().find(|mount| mount.number == device).or(by_name)
}

/// What a mount shows of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OfVolume {
    pub(super) volume: String,
    /// Which folder of it: `/`, or one below where only that is mounted.
    pub(super) folder: String,
}

/// The volume that a mount is of, by what the kernel was told: `master:/gv0`, `localhost:gv0`, `master:/gv0/datos`.
pub(super) fn volume_of(mount: &Mount) -> Option<OfVolume> {
    if mount.kind != KIND {
        return None;
    }
    let (_, path) = mount.source.rsplit_once(':')?;
    let path = plain(path);
    let mut parts = path.splitn(3, '/').skip(1);
    let volume = parts.next().filter(|name| !name.is_empty())?.to_owned();
    let above = plain(parts.next().unwrap_or_default());
    let folder = plain(&format!("{above}/{}", mount.root));
    Some(OfVolume { volume, folder })
}

/// Where a volume is mounted and can be seen, the first such place.
pub(super) fn mounted<'a>(mounts: &'a [Mount], volume: &str) -> Option<(&'a Mount, OfVolume)> {
    let all = mounts.iter().filter_map(|mount| Some((mount, volume_of(mount)?)));
    let seen = |mount: &Mount| covering(mounts, &mount.at).is_some_and(|over| std::ptr::eq(over, mount));
    all.filter(|(mount, of)| of.volume == volume && seen(mount)).min_by_key(|(_, of)| of.folder.len())
}

/// Whether a `fstab` mounts a volume at that place when the machine starts.
pub(super) fn in_fstab(text: &str, at: &str) -> bool {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let mut fields = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
    fields.any(|line| {
        let [_, place, kind, rest @ ..] = line.as_slice() else { return false };
        let options = rest.first().copied().unwrap_or_default();
        let place = unescape(place);
        *kind == "glusterfs" && place.starts_with('/') && plain(&place) == at && comes_by_itself(options)
    })
}

/// At a start, or as soon as somebody looks there.
fn comes_by_itself(options: &str) -> bool {
    let has = |wanted: &str| options.split(',').any(|option| option == wanted);
    // The second is how older ones wrote it.
    !has("noauto") || has("x-systemd.automount") || has("comment=systemd.automount")
}

/// Places that mount something as soon as a process of the machine looks there, and at which nothing was mounted yet. Not
/// those of the kernel's own file systems.
pub(super) fn waiting(mounts: &[Mount]) -> Vec<&str> {
    let all = mounts.iter().filter(|mount| mount.kind == "autofs");
    let own = all.filter(|mount| ["/proc", "/sys", "/dev"].iter().all(|folder| below(&mount.at, folder).is_none()));
    own.filter(|mount| covering(mounts, &mount.at).is_some_and(|over| std::ptr::eq(over, *mount)))
        .map(|mount| mount.at.as_str())
        .collect()
}

/// What systemd calls the units that mount something there, without `.mount` or `.automount`.
pub(super) fn unit(at: &str) -> String {
    let mut name = String::new();
    for c in at.trim_matches('/').chars() {
        match c {
            '/' => name.push('-'),
            c if c.is_ascii_alphanumeric() || ":_.".contains(c) => name.push(c),
            c => {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    name.push_str(&format!("\\x{byte:02x}"));
                }
            }
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::machines::kernel::mounts;

    /// Of a container node whose disk carries a brick, with the volume mounted and a plain folder beside it.
    const TABLE: &str = "586 528 0:154 / / rw,relatime - overlay overlay rw\n\
        320 586 7:1 / /gluster/brick rw,relatime - xfs /dev/sdb rw\n\
        610 586 0:174 / /mnt/volumen rw,relatime - fuse.glusterfs localhost:/volumen rw,user_id=0\n\
        611 586 0:175 / /mnt/parte rw,relatime - fuse.glusterfs 192.168.56.10:/otro/datos rw,user_id=0\n\
        612 586 0:176 / /mnt/tapado rw,relatime - fuse.glusterfs master:tapado rw,user_id=0\n\
        613 586 0:177 / /mnt/tapado rw,relatime - tmpfs tmpfs rw\n";

    #[test]
    fn a_path_lies_on_the_deepest_and_latest_mount() {
        let all = mounts(TABLE);
        let on = |path: &str| covering(&all, path).unwrap().number.clone();
        assert_eq!((on("/mnt/volumen/mysql"), on("/mnt/volumen2")), ("0:174".to_owned(), "0:154".to_owned()));
        assert_eq!((on("/mnt/tapado/x"), on("/gluster/brick/b")), ("0:177".to_owned(), "7:1".to_owned()));
        // A link of the machine leads to the volume.
        assert_eq!(lies_on(&all, "/datos/mysql", "0:174").unwrap().at, "/mnt/volumen");
        assert_eq!(lies_on(&all, "/srv", "0:999").unwrap().at, "/");
    }

    #[test]
    fn a_volume_is_known_by_what_was_mounted() {
        let all = mounts(TABLE);
        let of = |n: usize| volume_of(&all[n]).map(|of| (of.volume, of.folder));
        assert_eq!(of(2), Some(("volumen".to_owned(), "/".to_owned())));
        assert_eq!(of(3), Some(("otro".to_owned(), "/datos".to_owned())));
        assert_eq!(of(1), None, "a brick is no volume");
        assert_eq!(mounted(&all, "volumen").unwrap().0.at, "/mnt/volumen");
        assert!(mounted(&all, "tapado").is_none(), "what lies below another mount is not seen");
        assert!(mounted(&all, "nada").is_none());
    }

    #[test]
    fn what_mounts_it_at_a_start() {
        let line = "# x\nlocalhost:/volumen /mnt/volumen/ glusterfs defaults,_netdev 0 0\n";
        assert!(in_fstab(line, "/mnt/volumen") && !in_fstab(line, "/mnt"));
        assert!(!in_fstab("localhost:/v /mnt/volumen glusterfs _netdev,noauto 0 0", "/mnt/volumen"));
        let automount = "localhost:/v /mnt/volumen glusterfs noauto,x-systemd.automount,_netdev 0 0";
        assert!(in_fstab(automount, "/mnt/volumen"));
        assert!(!in_fstab("/dev/sdb /mnt/volumen xfs defaults 0 0", "/mnt/volumen"));
        assert_eq!((unit("/mnt/volumen"), unit("/srv/a-b")), ("mnt-volumen".into(), "srv-a\\x2db".to_owned()));
    }
    #[test]
    fn what_comes_when_somebody_looks_is_waited_for_where_nobody_did() {
        let table = "30 20 0:30 / /proc/sys/fs/binfmt_misc rw,relatime - autofs systemd-1 rw\n\
            31 20 0:31 / /mnt/volumen rw,relatime - autofs systemd-1 rw\n\
            32 20 0:32 / /mnt/otro rw,relatime - autofs systemd-1 rw\n\
            33 32 0:33 / /mnt/otro rw,relatime - fuse.glusterfs localhost:/otro rw\n";
        let all = mounts(table);
        assert_eq!(waiting(&all), ["/mnt/volumen"]);
        assert!(mounted(&all, "otro").is_some());
    }
}

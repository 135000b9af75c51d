//! A block device of the agent's place: its numbers, its size, and what the first bytes of it and of its partitions say that
//! it holds. Only read; a node that has the device is not asked.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Bounds, Sight};

/// Where the kernel lists block devices.
const SYS: &str = "/sys/class/block";
/// The superblock that lies farthest from the beginning is btrfs's, at 64 KiB.
const HEAD: usize = 68 << 10;
const SECTOR: u64 = 512;
/// No disk of a machine has more.
const MOST: usize = 64;

/// A block device, or a part of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockSeen {
    /// `loop7`, `loop7p1`, `dm-0`.
    pub name: String,
    /// As the kernel's tables of mounts have it: `7:7`.
    pub number: String,
    pub bytes: u64,
    /// `xfs`, `ext4`, `lvm`, `dos` …; none where nothing that is known begins there.
    pub format: Option<String>,
    /// Its partitions, and what the device mapper made of it or of them.
    pub parts: Vec<BlockSeen>,
}

pub(super) async fn look(device: String, bounds: Bounds) -> Sight {
    // A disk may not answer: that blocks a thread of its own.
    let looking = tokio::task::spawn_blocking(move || see(Path::new(SYS), Path::new("/dev"), &device));
    match tokio::time::timeout_at(bounds.deadline(), looking).await {
        Ok(Ok(Ok(seen))) => Sight::Block { seen },
        Ok(Ok(Err(message))) => Sight::Unable { message },
        Ok(Err(_)) => Sight::Unable { message: "the look at a block device failed".to_owned() },
        Err(_) => bounds.late("read"),
    }
}

/// None: the kernel has no such device.
fn see(sys: &Path, dev: &Path, device: &str) -> Result<Option<BlockSeen>, String> {
    let name = device.rsplit('/').next().unwrap_or_default();
    let folder = sys.join(name);
    if name.is_empty() || !folder.exists() {
        return Ok(None);
    }
    let file = File::open(dev.join(name)).map_err(|e| format!("{device}: {e}"))?;
    let mut seen = numbers(&folder, name).ok_or_else(|| format!("{device}: the kernel does not say its numbers"))?;
    seen.format = read(&file, 0).map_err(|e| format!("{device}: {e}"))?;
    for part in entries(&folder) {
        let folder = folder.join(&part);
        if !folder.join("partition").exists() {
            continue;
        }
        let (Some(mut of), Some(start)) = (numbers(&folder, &part), number(&folder.join("start"))) else { continue };
        // By its place on the whole: a partition's own node need not be here.
        of.format = read(&file, start.saturating_mul(SECTOR)).map_err(|e| format!("{device}, {part}: {e}"))?;
        seen.parts.push(of);
        seen.parts.extend(mapped(sys, dev, &folder));
    }
    seen.parts.extend(mapped(sys, dev, &folder));
    seen.parts.truncate(MOST);
    Ok(Some(seen))
}

/// What the device mapper made of it: volumes, encrypted or not.
fn mapped(sys: &Path, dev: &Path, folder: &Path) -> Vec<BlockSeen> {
    let above = entries(&folder.join("holders")).into_iter().filter_map(|name| {
        let mut seen = numbers(&sys.join(&name), &name)?;
        seen.format = File::open(dev.join(&name)).and_then(|file| read(&file, 0)).ok().flatten();
        Some(seen)
    });
    above.collect()
}

fn entries(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names.truncate(MOST);
    names
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn numbers(folder: &Path, name: &str) -> Option<BlockSeen> {
    let number_of = fs::read_to_string(folder.join("dev")).ok()?.trim().to_owned();
    let bytes = number(&folder.join("size"))?.saturating_mul(SECTOR);
    Some(BlockSeen { name: name.to_owned(), number: number_of, bytes, ..BlockSeen::default() })
}

fn read(file: &File, from: u64) -> io::Result<Option<String>> {
    let mut head = vec![0; HEAD];
    let mut filled = 0;
    while filled < head.len() {
        match file.read_at(&mut head[filled..], from + filled as u64)? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(format(&head[..filled]).map(str::to_owned))
}

/// What begins so. Of two that fit, the one whose mark nobody leaves by chance.
fn format(head: &[u8]) -> Option<&'static str> {
    let at = |offset: usize, mark: &[u8]| head.get(offset..offset + mark.len()) == Some(mark);
    let file_systems: [(&str, usize, &[u8]); 8] = [
        ("xfs", 0, b"XFSB"),
        ("btrfs", 0x1_0040, b"_BHRfS_M"),
        ("f2fs", 1024, &[0x10, 0x20, 0xf5, 0xf2]),
        ("jfs", 0x8000, b"JFS1"),
        ("exfat", 3, b"EXFAT   "),
        ("ntfs", 3, b"NTFS    "),
        ("vfat", 82, b"FAT32   "),
        ("vfat", 54, b"FAT1"),
    ];
    if let Some((name, ..)) = file_systems.iter().find(|(_, offset, mark)| at(*offset, mark)) {
        return Some(name);
    }
    if at(1080, &[0x53, 0xef]) {
        return Some(extended(head));
    }
    if at(0, b"LUKS\xba\xbe") {
        return Some("luks");
    }
    if (0..4).any(|sector| at(sector * 512, b"LABELONE") && at(sector * 512 + 24, b"LVM2")) {
        return Some("lvm");
    }
    if at(4096, &[0xfc, 0x4e, 0x2b, 0xa9]) {
        return Some("raid");
    }
    if at(4086, b"SWAPSPACE2") || at(4086, b"SWAP-SPACE") {
        return Some("swap");
    }
    if at(512, b"EFI PART") || at(4096, b"EFI PART") {
        return Some("gpt");
    }
    let entry = |n: usize| head.get(446 + n * 16..462 + n * 16).is_some_and(|e| matches!(e[0], 0 | 0x80) && e[4] != 0);
    (at(510, &[0x55, 0xaa]) && (0..4).any(entry)).then_some("dos")
}

/// Which of the three shares one mark: by the features that only the later ones have.
fn extended(head: &[u8]) -> &'static str {
    let word = |offset: usize| {
        let bytes = head.get(1024 + offset..1028 + offset).and_then(|b| b.try_into().ok());
        bytes.map_or(0, u32::from_le_bytes)
    };
    let (journal, incompatible, read_only) = (word(0x5c) & 0x4 != 0, word(0x60), word(0x64));
    // Extents, 64 bits, flexible groups; huge files, group checksums, many links, larger inodes, metadata checksums.
    if incompatible & 0x2c0 != 0 || read_only & 0x478 != 0 {
        "ext4"
    } else if journal {
        "ext3"
    } else {
        "ext2"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(marks: &[(usize, &[u8])]) -> Vec<u8> {
        let mut head = vec![0; HEAD];
        for (at, mark) in marks {
            head[*at..*at + mark.len()].copy_from_slice(mark);
        }
        head
    }

    /// The words of features as `mkfs.ext4`, `mkfs.ext3` and `mkfs.ext2` of e2fsprogs 1.47 write them.
    #[test]
    fn a_superblock_says_what_it_is() {
        let ext = |compatible: u8, incompatible: [u8; 4], read_only: [u8; 4]| {
            with(&[(1080, &[0x53, 0xef]), (1116, &[compatible]), (1120, &incompatible), (1124, &read_only)])
        };
        assert_eq!(format(&ext(0x3c, [0xc2, 2, 0, 0], [0x6b, 4, 0, 0])), Some("ext4"));
        assert_eq!(format(&ext(0x3c, [2, 0, 0, 0], [3, 0, 0, 0])), Some("ext3"));
        assert_eq!(format(&ext(0x38, [2, 0, 0, 0], [3, 0, 0, 0])), Some("ext2"));
        assert_eq!(format(&with(&[(0, b"XFSB")])), Some("xfs"));
        assert_eq!(format(&with(&[(0x1_0040, b"_BHRfS_M")])), Some("btrfs"));
        assert_eq!(format(&with(&[(512, b"LABELONE"), (536, b"LVM2 001")])), Some("lvm"));
        assert_eq!(format(&with(&[(4086, b"SWAPSPACE2")])), Some("swap"));
        assert_eq!(format(&with(&[(82, b"FAT32   "), (510, &[0x55, 0xaa])])), Some("vfat"));
        assert_eq!(format(&with(&[])), None);
        assert_eq!(format(&[0; 10]), None, "a device that is shorter than any superblock");
    }

    #[test]
    fn a_table_of_partitions_is_no_file_system() {
        let entry = [0x80_u8, 0x20, 0x21, 0, 0x83];
        assert_eq!(format(&with(&[(446, &entry), (510, &[0x55, 0xaa])])), Some("dos"));
        assert_eq!(format(&with(&[(446, &entry), (510, &[0x55, 0xaa]), (512, b"EFI PART")])), Some("gpt"));
        assert_eq!(format(&with(&[(510, &[0x55, 0xaa])])), None, "a mark without an entry");
    }

    #[test]
    fn partitions_are_read_at_their_places_on_the_whole() {
        let dir = tempfile::tempdir().unwrap();
        let (sys, dev) = (dir.path().join("sys"), dir.path().join("dev"));
        let put = |path: &str, text: &str| {
            let path = sys.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        for (path, text) in [
            ("loop7/dev", "7:7\n"),
            ("loop7/size", "10485760\n"),
            ("loop7/loop7p1/dev", "259:0\n"),
            ("loop7/loop7p1/size", "10483712\n"),
            ("loop7/loop7p1/start", "2048\n"),
            ("loop7/loop7p1/partition", "1\n"),
            ("loop7/loop7p1/holders/dm-0", ""),
            ("loop7/queue/x", ""),
            ("dm-0/dev", "253:0\n"),
            ("dm-0/size", "2048\n"),
        ] {
            put(path, text);
        }
        fs::create_dir_all(&dev).unwrap();
        let mut disk = with(&[(446, &[0, 0x20, 0x21, 0, 0x83]), (510, &[0x55, 0xaa])]);
        disk.resize(2 << 20, 0);
        disk[1 << 20..(1 << 20) + 4].copy_from_slice(b"XFSB");
        fs::write(dev.join("loop7"), disk).unwrap();
        let seen = see(&sys, &dev, "/dev/loop7").unwrap().unwrap();
        assert_eq!((seen.number.as_str(), seen.bytes, seen.format.as_deref()), ("7:7", 5 << 30, Some("dos")));
        let parts: Vec<_> =
            seen.parts.iter().map(|p| (p.name.as_str(), p.number.as_str(), p.format.as_deref())).collect();
        assert_eq!(parts, [("loop7p1", "259:0", Some("xfs")), ("dm-0", "253:0", None)]);
        assert_eq!(see(&sys, &dev, "/dev/loop8").unwrap(), None);
    }
}

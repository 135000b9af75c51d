//! The size of a virtual disk that was handed in as a file, from the file's own header.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// VirtualBox's own, and VMware's sparse one.
const VDI: u32 = 0xbeda_107f;
const VMDK: &[u8; 4] = b"KDMV";

/// Whether a file's name is that of a disk whose header can be read.
pub fn is_virtual_disk(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    ending.eq_ignore_ascii_case("vdi") || ending.eq_ignore_ascii_case("vmdk")
}

/// The disk's size for its machine, not the file's. None where the file is no such disk.
pub fn virtual_size(path: &Path) -> Option<u64> {
    let mut head = Vec::new();
    File::open(path).ok()?.take(512).read_to_end(&mut head).ok()?;
    of_vdi(&head).or_else(|| of_vmdk(&head))
}

fn of_vdi(head: &[u8]) -> Option<u64> {
    // The size stands where version 1.1 of the header has it; the older one was given up in 2006.
    (u32::from_le_bytes(bytes(head, 0x40)?) == VDI).then_some(())?;
    let size = u64::from_le_bytes(bytes(head, 0x170)?);
    (size > 0).then_some(size)
}

fn of_vmdk(head: &[u8]) -> Option<u64> {
    (bytes(head, 0)? == *VMDK).then_some(())?;
    let sectors = u64::from_le_bytes(bytes(head, 0x0c)?);
    sectors.checked_mul(512).filter(|size| *size > 0)
}

fn bytes<const N: usize>(head: &[u8], at: usize) -> Option<[u8; N]> {
    head.get(at..at + N)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_says_the_size() {
        let dir = tempfile::tempdir().unwrap();
        let size = |head: &[u8]| {
            let path = dir.path().join("disk");
            std::fs::write(&path, head).unwrap();
            virtual_size(&path)
        };
        let mut vdi = vec![0; 512];
        vdi[0x40..0x44].copy_from_slice(&VDI.to_le_bytes());
        vdi[0x170..0x178].copy_from_slice(&(5_u64 << 30).to_le_bytes());
        assert_eq!(size(&vdi), Some(5 << 30));
        let mut vmdk = vec![0; 512];
        vmdk[..4].copy_from_slice(VMDK);
        vmdk[0x0c..0x14].copy_from_slice(&2048_u64.to_le_bytes());
        assert_eq!(size(&vmdk), Some(1 << 20));
        assert_eq!(size(b"version https://git-lfs.github.com/spec/v1\n"), None);
        assert_eq!(size(&vdi[..0x100]), None);
        assert_eq!(virtual_size(&dir.path().join("none")), None);
    }
}

//! What people hand in together with their work and no service is built of: it goes into no lab, and out of no archive.

use std::path::Path;

/// No service needs a single file of more bytes.
pub const LARGEST_FILE: u64 = 512 << 20;

/// What git and Vagrant keep for themselves.
pub fn is_bookkeeping(folder: &Path) -> bool {
    folder.file_name().is_some_and(|name| name == ".git" || name == ".vagrant")
}

/// The disk of a virtual machine, or a box of one.
pub fn is_disk_image(file: &Path) -> bool {
    const ENDS: [&str; 9] = ["box", "iso", "ova", "qcow", "qcow2", "vdi", "vhd", "vhdx", "vmdk"];
    file.extension().and_then(|e| e.to_str()).is_some_and(|e| ENDS.iter().any(|end| e.eq_ignore_ascii_case(end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_known_by_its_ending() {
        assert!(is_disk_image(Path::new("a/CentOS-7.ISO")) && is_disk_image(Path::new("x.qcow2")));
        assert!(!is_disk_image(Path::new("box")) && !is_disk_image(Path::new("init.sql")));
    }
}

//! Loop devices of labs: they belong to the kernel, which lets go of them with the last mount; here that is helped along.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::exec::local::Local;
use crate::exec::{Cmd, Shell};

/// What the names of files begin with that `lab-store` and `lab-disks` put behind a lab's devices.
const STORES: [&str; 2] = ["imparcial-store", "imparcial-disk-"];

/// Lets go of every device whose file is that of a lab that is gone: a file that is deleted is no living lab's. Where
/// something still uses one, the kernel keeps it until that ends.
pub(crate) async fn release() {
    let block = Path::new("/sys/block");
    for name in left(block) {
        // Numbers are given out again, and the ones before may have taken seconds: it is looked at anew.
        if !is_left(&block.join(&name)) {
            continue;
        }
        let device = Path::new("/dev").join(name);
        let detach = Cmd::new(["losetup", "--detach"]).arg(device.to_string_lossy()).timeout(Duration::from_secs(5));
        match Local.run(&detach).await {
            Ok(output) if output.ok() => tracing::info!(device = %device.display(), "let go of a lab's loop device"),
            Ok(output) => tracing::debug!(device = %device.display(), said = %output.err().trim(), "still held"),
            Err(error) => tracing::debug!(%error, "loop devices cannot be let go of"),
        }
    }
}

/// Names of the devices whose file is a lab's and deleted.
fn left(block: &Path) -> Vec<OsString> {
    let devices = fs::read_dir(block).into_iter().flatten().flatten();
    devices.filter(|device| is_left(&device.path())).map(|device| device.file_name()).collect()
}

/// Whether the file of this device, a folder of `/sys/block`, is a lab's and deleted.
fn is_left(device: &Path) -> bool {
    let behind = fs::read_to_string(device.join("loop/backing_file")).unwrap_or_default();
    let file = behind.trim_end().strip_suffix(" (deleted)").and_then(|path| path.rsplit('/').next());
    file.is_some_and(|file| STORES.iter().any(|store| file.starts_with(store)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_devices_of_labs_that_are_gone_are_let_go() {
        let block = tempfile::tempdir().unwrap();
        for (device, behind) in [
            ("loop0", "/var/lib/docker/volumes/x/_data/imparcial-store (deleted)\n"),
            ("loop1", "/var/lib/docker/volumes/y/_data/imparcial-store\n"),
            ("loop2", "/srv/disk.img (deleted)\n"),
        ] {
            fs::create_dir_all(block.path().join(device).join("loop")).unwrap();
            fs::write(block.path().join(device).join("loop/backing_file"), behind).unwrap();
        }
        fs::create_dir_all(block.path().join("sda")).unwrap();
        assert_eq!(left(block.path()), ["loop0"]);
        fs::write(block.path().join("loop0/loop/backing_file"), "/srv/disk.img\n").unwrap();
        assert!(!is_left(&block.path().join("loop0")), "its number was given to another");
    }
}

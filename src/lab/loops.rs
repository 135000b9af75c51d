//! Loop devices of labs: they belong to the kernel, which lets go of them with the last mount; here that is helped along.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::exec::local::Local;
use crate::exec::{Cmd, Shell};

/// The file's name that `lab-store` puts behind a lab's device.
const STORE: &str = "imparcial-store";
/// What the names of files begin with that `lab-disks` puts behind machines' disks. They lie in a lab's own filesystem, and
/// nothing tells by their path whether that lab still lives; but a device that is made whole goes with its last user.
const DISK: &str = "imparcial-disk-";
/// So long a disk is not made whole yet, at most.
const MAKING: Duration = Duration::from_secs(1);

/// Lets go of every device whose file is that of a lab that is gone: a file that is deleted is no living lab's. Where
/// something still uses one, the kernel keeps it until that ends.
pub(crate) async fn release() {
    let block = Path::new("/sys/block");
    let found = left(block);
    if found.iter().any(|name| file_of(&block.join(name)).is_some_and(|file| file.starts_with(DISK))) {
        tokio::time::sleep(MAKING).await;
    }
    for name in found {
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

/// Whether this device, a folder of `/sys/block`, is of a lab that is gone: its file is a lab's and deleted, or it is a disk
/// that would not go by itself.
fn is_left(device: &Path) -> bool {
    let behind = fs::read_to_string(device.join("loop/backing_file")).unwrap_or_default();
    let deleted = behind.trim_end().ends_with(" (deleted)");
    let goes_by_itself = || fs::read_to_string(device.join("loop/autoclear")).is_ok_and(|flag| flag.trim() == "1");
    file_of(device).is_some_and(|file| (file == STORE && deleted) || (file.starts_with(DISK) && !goes_by_itself()))
}

/// The name of the file behind a device.
fn file_of(device: &Path) -> Option<String> {
    let behind = fs::read_to_string(device.join("loop/backing_file")).ok()?;
    let path = behind.trim_end();
    path.strip_suffix(" (deleted)").unwrap_or(path).rsplit('/').next().map(str::to_owned)
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

    #[test]
    fn a_disk_that_goes_with_its_last_user_is_let_be() {
        let block = tempfile::tempdir().unwrap();
        for (device, autoclear) in [("loop3", "0\n"), ("loop4", "1\n")] {
            fs::create_dir_all(block.path().join(device).join("loop")).unwrap();
            fs::write(block.path().join(device).join("loop/backing_file"), "/imparcial-disk-w1-sdb\n").unwrap();
            fs::write(block.path().join(device).join("loop/autoclear"), autoclear).unwrap();
        }
        assert_eq!(left(block.path()), ["loop3"]);
    }
}

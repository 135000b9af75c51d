//! One path below a root: a process's own view of its files, or a folder. Nothing is run for it, no link leads out of the
//! root, and what is no plain file is never opened.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2, readlinkat};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Bounds, Sight};
use crate::agent::wire;

/// A larger file is not hashed.
const HASHED: u64 = 64 << 20;
/// More than any list of users needs.
const USERS: u64 = 256 << 10;

/// Below what a path is looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Root {
    Folder(PathBuf),
    /// What a process of this container has as its root, with all that is mounted there.
    Process {
        pid: i64,
        container: String,
    },
}

/// What is at a path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathSeen {
    /// Of where links lead: `file`, `folder`, `device`, `pipe`, `socket`; `link` for one that leads nowhere.
    pub kind: String,
    /// What the path itself says where it is a link.
    pub link_to: Option<String>,
    /// The twelve permission bits.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// The name that the root's own `/etc/passwd` has for the user.
    pub owner: Option<String>,
    pub size_bytes: u64,
    /// The numbers of the file system that it lies on, as the kernel's tables of mounts have them: `7:7`.
    #[serde(default)]
    pub device: String,
    /// Its number there.
    #[serde(default)]
    pub inode: u64,
    /// Of a block device: its numbers, `7:7`.
    #[serde(default)]
    pub block: Option<String>,
    /// In hexadecimal; of a plain file of 64 MiB at most.
    pub sha256: Option<String>,
    /// Of a plain file: its beginning.
    #[serde(with = "wire::bytes")]
    pub content: Vec<u8>,
}

pub(super) async fn look(root: Root, path: String, max_bytes: usize, bounds: Bounds) -> Sight {
    // Files may lie on a disk that does not answer: that blocks a thread of its own, and no other look.
    let looking = tokio::task::spawn_blocking(move || see(&root, &path, max_bytes));
    match tokio::time::timeout_at(bounds.deadline(), looking).await {
        Ok(Ok(Ok(seen))) => Sight::Path { seen },
        Ok(Ok(Err(message))) => Sight::Unable { message },
        Ok(Err(_)) => Sight::Unable { message: "the look at a file failed".to_owned() },
        Err(_) => bounds.late("read"),
    }
}

/// None: there is nothing at that path.
fn see(root: &Root, path: &str, max_bytes: usize) -> Result<Option<PathSeen>, String> {
    let root = open_root(root)?;
    let said = |e: io::Error| format!("{path}: {e}");
    let (own, own_link) = match open(&root, path, OFlag::O_PATH | OFlag::O_NOFOLLOW) {
        Ok(own) => (File::from(own), readlink(&root, path)),
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => return Ok(None),
        Err(e) => return Err(said(e.into())),
    };
    let (at, link) = if own.metadata().map_err(said)?.is_symlink() {
        match open(&root, path, OFlag::O_PATH) {
            Ok(at) => (File::from(at), own_link),
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::EACCES) => {
                let kind = "link".to_owned();
                return Ok(Some(PathSeen { kind, link_to: own_link, ..PathSeen::default() }));
            }
            Err(e) => return Err(said(e.into())),
        }
    } else {
        (own, None)
    };
    let data = at.metadata().map_err(said)?;
    let mut seen = PathSeen {
        kind: kind(&data.file_type()).to_owned(),
        link_to: link,
        mode: data.mode() & 0o7777,
        uid: data.uid(),
        gid: data.gid(),
        owner: owner(&root, data.uid()),
        size_bytes: data.len(),
        device: numbers(data.dev()),
        inode: data.ino(),
        block: data.file_type().is_block_device().then(|| numbers(data.rdev())),
        ..PathSeen::default()
    };
    if data.is_file() {
        // The same file again, for reading: by its descriptor, so that nobody can put another one there in between.
        let file = File::open(format!("/proc/self/fd/{}", at.as_raw_fd())).map_err(said)?;
        read(file, &mut seen, max_bytes).map_err(said)?;
    }
    Ok(Some(seen))
}

fn numbers(device: u64) -> String {
    format!("{}:{}", nix::sys::stat::major(device), nix::sys::stat::minor(device))
}

/// The beginning is kept, all of it hashed where it is not too much.
fn read(file: File, seen: &mut PathSeen, max_bytes: usize) -> io::Result<()> {
    let hash = seen.size_bytes <= HASHED;
    let mut hasher = Sha256::new();
    // A file of a kernel's own says that it is empty, and one that grows never ends.
    let mut file = file.take(if hash { HASHED } else { max_bytes as u64 });
    let mut buffer = vec![0; 64 << 10];
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        hasher.update(&buffer[..n]);
        let room = max_bytes.saturating_sub(seen.content.len()).min(n);
        seen.content.extend_from_slice(&buffer[..room]);
    }
    seen.sha256 = hash.then(|| hasher.finalize().iter().map(|b| format!("{b:02x}")).collect());
    Ok(())
}

fn open_root(root: &Root) -> Result<OwnedFd, String> {
    let (path, container) = match root {
        Root::Folder(path) => (path.clone(), None),
        Root::Process { pid, container } => (PathBuf::from(format!("/proc/{pid}/root")), Some((pid, container))),
    };
    let opened = File::open(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    // Asked after the root was opened: a process id that was given away in between belongs to another container.
    if let Some((pid, container)) = container {
        let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        if !groups.contains(container.as_str()) {
            return Err(format!("process {pid} is no longer one of container {container}"));
        }
    }
    Ok(opened.into())
}

fn open(root: &impl AsFd, path: &str, flags: OFlag) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    openat2(root, Path::new(path), OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(resolve))
}

/// What a link says; its folder is found as the link itself was.
fn readlink(root: &impl AsFd, path: &str) -> Option<String> {
    let (folder, name) = path.trim_end_matches('/').rsplit_once('/').unwrap_or(("", path));
    let folder = if folder.is_empty() { "." } else { folder };
    let folder = open(root, folder, OFlag::O_PATH).ok()?;
    readlinkat(&folder, name).ok().map(|to| to.to_string_lossy().into_owned())
}

fn kind(of: &std::fs::FileType) -> &'static str {
    match of {
        t if t.is_file() => "file",
        t if t.is_dir() => "folder",
        t if t.is_symlink() => "link",
        t if t.is_fifo() => "pipe",
        t if t.is_socket() => "socket",
        _ => "device",
    }
}

fn owner(root: &impl AsFd, uid: u32) -> Option<String> {
    let users = File::from(open(root, "/etc/passwd", OFlag::O_RDONLY | OFlag::O_NONBLOCK).ok()?);
    if !users.metadata().ok()?.is_file() {
        return None;
    }
    let mut text = Vec::new();
    users.take(USERS).read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse::<u32>().ok()? == uid).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn at(root: &Path, path: &str) -> Option<PathSeen> {
        see(&Root::Folder(root.to_owned()), path, 8).unwrap()
    }

    #[test]
    fn a_file_is_seen_and_its_beginning_kept() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("etc")).unwrap();
        let uid = std::fs::metadata(dir.path()).unwrap().uid();
        std::fs::write(dir.path().join("etc/passwd"), format!("nobody:x:99999:0::/:\nana:x:{uid}:0::/:\n")).unwrap();
        let file = dir.path().join("app.py");
        std::fs::write(&file, "print('hola')\n").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        let seen = at(dir.path(), "/app.py").unwrap();
        assert_eq!((seen.kind.as_str(), seen.mode, seen.size_bytes), ("file", 0o640, 14));
        assert_eq!((seen.owner.as_deref(), seen.content.as_slice()), (Some("ana"), &b"print('h"[..]));
        let whole = Sha256::digest(b"print('hola')\n");
        assert_eq!(seen.sha256, Some(whole.iter().map(|b| format!("{b:02x}")).collect()));
        let folder = at(dir.path(), "etc").unwrap();
        assert_eq!((folder.kind.as_str(), folder.device), ("folder", seen.device));
        assert_eq!(at(dir.path(), "/none"), None);
        assert_eq!(at(dir.path(), "/app.py/x"), None);
    }

    #[test]
    fn links_lead_nowhere_out_of_the_root() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "s").unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("here"), "h").unwrap();
        symlink(outside.path().join("secret"), dir.path().join("out")).unwrap();
        symlink("../../../../../../etc/hostname", dir.path().join("up")).unwrap();
        symlink("/here", dir.path().join("in")).unwrap();
        symlink("round", dir.path().join("round")).unwrap();
        for name in ["out", "up", "round"] {
            let seen = at(dir.path(), name).unwrap();
            assert_eq!((seen.kind.as_str(), seen.content.len()), ("link", 0), "{name}");
        }
        let seen = at(dir.path(), "in").unwrap();
        assert_eq!((seen.kind.as_str(), seen.link_to.as_deref()), ("file", Some("/here")), "as a root has it");
        assert_eq!(at(dir.path(), "../../../etc/hostname"), None);
    }

    #[test]
    fn what_is_no_plain_file_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        nix::unistd::mkfifo(&dir.path().join("pipe"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        let seen = at(dir.path(), "/pipe").unwrap();
        assert_eq!((seen.kind.as_str(), seen.sha256), ("pipe", None));
        assert_eq!((seen.block, numbers(0x707)), (None, "7:7".to_owned()));
    }

    #[test]
    fn a_process_of_another_container_is_not_looked_into() {
        let root = Root::Process { pid: i64::from(std::process::id()), container: "f00dfeed".into() };
        assert!(see(&root, "/etc/passwd", 8).unwrap_err().contains("no longer one of container"));
    }
}

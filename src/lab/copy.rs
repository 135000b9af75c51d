//! A submission's files on their way into a lab: a tar of regular files, folders and links that stay inside.
//!
//! Nothing of the host goes along: a link that leads out of the submission is left out, and so is whatever is neither
//! file nor folder. Of the modes only "may be executed" is kept.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use nix::fcntl::OFlag;
use tar::{EntryType, Header};
use tokio::sync::mpsc;

use super::left_out::{self, NotCopied, NotCopiedWhy};
use crate::submission::no_part;

/// The most that is copied.
#[derive(Clone, Copy, Debug)]
pub struct Caps {
    pub entries: usize,
    pub bytes: u64,
    /// Of a single file.
    pub file: u64,
}

impl Default for Caps {
    fn default() -> Self {
        Self { entries: 100_000, bytes: 2 << 30, file: no_part::LARGEST_FILE }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error("the submission has more than {0} files and folders")]
    TooMany(usize),
    #[error("the submission is larger than {0} bytes")]
    TooLarge(u64, Vec<(PathBuf, u64)>),
    #[error("could not read {path}: {error}")]
    Read { path: PathBuf, error: io::Error },
    /// The other end of the copy is gone; its own error says more.
    #[error("the copy was given up: {0}")]
    Write(io::Error),
}

/// Writes the files under `root` as a tar, below the folder `under`. Says what was left out.
pub(crate) fn tar_of(root: &Path, under: &str, caps: Caps, to: impl Write) -> Result<Vec<NotCopied>, CopyError> {
    let read = |error| CopyError::Read { path: root.to_owned(), error };
    let root = root.canonicalize().map_err(read)?;
    if !root.is_dir() {
        return Err(read(io::ErrorKind::NotADirectory.into()));
    }
    let mut copy = Copy { tar: tar::Builder::new(to), caps, entries: 0, bytes: 0, left_out: Vec::new(), root };
    copy.folder(Path::new(""), Path::new(under))?;
    copy.tar.into_inner().and_then(|mut to| to.flush()).map_err(CopyError::Write)?;
    Ok(copy.left_out)
}

struct Copy<W: Write> {
    root: PathBuf,
    tar: tar::Builder<W>,
    caps: Caps,
    entries: usize,
    bytes: u64,
    left_out: Vec<NotCopied>,
}

impl<W: Write> Copy<W> {
    /// `inner` is relative to the root, `name` what it is called in the tar.
    fn folder(&mut self, inner: &Path, name: &Path) -> Result<(), CopyError> {
        let path = self.root.join(inner);
        let read = |error| CopyError::Read { path: path.clone(), error };
        self.append(name, EntryType::Directory, 0o755, mtime(&path), 0, io::empty())?;
        let mut entries = fs::read_dir(&path).and_then(|all| all.collect::<Result<Vec<_>, _>>()).map_err(read)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let (inner, name) = (inner.join(entry.file_name()), name.join(entry.file_name()));
            let kind = entry.file_type().map_err(read)?;
            if kind.is_dir()
                && no_part::is_bookkeeping(&inner)
                && !left_out::is_small_repository(&self.root.join(&inner))
            {
                self.left_out.push(NotCopied { path: inner, why: NotCopiedWhy::Bookkeeping });
            } else if kind.is_dir() {
                self.folder(&inner, &name)?;
            } else if kind.is_symlink() {
                self.link(&inner, &name)?;
            } else if kind.is_file() {
                self.file(&inner, &name)?;
            } else {
                self.left_out.push(NotCopied { path: inner, why: NotCopiedWhy::NoFile });
            }
        }
        Ok(())
    }

    fn file(&mut self, inner: &Path, name: &Path) -> Result<(), CopyError> {
        let path = self.root.join(inner);
        let read = |error| CopyError::Read { path: path.clone(), error };
        // It may have been swapped for a link or a pipe since it was listed: neither is followed or waited for.
        let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
        let file = OpenOptions::new().read(true).custom_flags(flags).open(&path).map_err(read)?;
        let about = file.metadata().map_err(read)?;
        if !about.is_file() {
            self.left_out.push(NotCopied { path: inner.to_owned(), why: NotCopiedWhy::NoFile });
            return Ok(());
        }
        let size = about.len();
        let why = if no_part::is_disk_image(inner) {
            Some(NotCopiedWhy::DiskImage(size))
        } else {
            (size > self.caps.file).then_some(NotCopiedWhy::TooLarge(size))
        };
        if let Some(why) = why {
            self.left_out.push(NotCopied { path: inner.to_owned(), why });
            return Ok(());
        }
        self.bytes = self.bytes.saturating_add(about.len());
        if self.bytes > self.caps.bytes {
            let heaviest = left_out::heaviest(&self.root, self.caps.entries);
            return Err(CopyError::TooLarge(self.caps.bytes, heaviest));
        }
        let mode = if about.mode() & 0o111 == 0 { 0o644 } else { 0o755 };
        let content = Exactly { file, left: about.len() };
        self.append(name, EntryType::Regular, mode, about.mtime(), about.len(), content)
    }

    /// Kept as a link where it stays inside: it then leads to the same file of the copy.
    fn link(&mut self, inner: &Path, name: &Path) -> Result<(), CopyError> {
        let path = self.root.join(inner);
        let target = fs::read_link(&path).map_err(|error| CopyError::Read { path: path.clone(), error })?;
        let why = match path.canonicalize() {
            Err(_) => NotCopiedWhy::LeadsNowhere(target),
            Ok(real) if !real.starts_with(&self.root) => NotCopiedWhy::LeadsOut(target),
            Ok(real) => {
                let steps = inner.parent().map_or(0, |p| p.components().count());
                let back = real.strip_prefix(&self.root).unwrap_or(&real);
                let relative: PathBuf = std::iter::repeat_n(Path::new(".."), steps).chain([back]).collect();
                let relative = if relative.as_os_str().is_empty() { PathBuf::from(".") } else { relative };
                self.count()?;
                let mut header = header(EntryType::Symlink, 0o777, mtime(&path), 0);
                return self.tar.append_link(&mut header, name, &relative).map_err(CopyError::Write);
            }
        };
        self.left_out.push(NotCopied { path: inner.to_owned(), why });
        Ok(())
    }

    fn append(
        &mut self,
        name: &Path,
        kind: EntryType,
        mode: u32,
        mtime: i64,
        size: u64,
        content: impl Read,
    ) -> Result<(), CopyError> {
        self.count()?;
        let mut header = header(kind, mode, mtime, size);
        self.tar.append_data(&mut header, name, content).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => CopyError::Read { path: self.root.join(name), error },
            _ => CopyError::Write(error),
        })
    }

    fn count(&mut self) -> Result<(), CopyError> {
        self.entries += 1;
        if self.entries > self.caps.entries { Err(CopyError::TooMany(self.caps.entries)) } else { Ok(()) }
    }
}

fn header(kind: EntryType, mode: u32, mtime: i64, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(u64::try_from(mtime).unwrap_or_default());
    header.set_size(size);
    header
}

fn mtime(path: &Path) -> i64 {
    fs::symlink_metadata(path).map_or(0, |about| about.mtime())
}

/// As many bytes as the header says, whatever happens to the file meanwhile: a tar with another number is garbled.
struct Exactly {
    file: File,
    left: u64,
}

impl Read for Exactly {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(into.len());
        if most == 0 {
            return Ok(0);
        }
        let n = self.file.read(&mut into[..most])?;
        if n == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter while it was read"));
        }
        self.left -= n as u64;
        Ok(n)
    }
}

/// Takes written bytes to a stream elsewhere, so that a tar is never held whole.
pub(crate) struct ToStream {
    to: mpsc::Sender<io::Result<Bytes>>,
    waiting: Vec<u8>,
}

impl ToStream {
    const CHUNK: usize = 256 << 10;

    pub(crate) fn new(to: mpsc::Sender<io::Result<Bytes>>) -> Self {
        Self { to, waiting: Vec::with_capacity(Self::CHUNK) }
    }
}

impl Write for ToStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= Self::CHUNK {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.waiting, Vec::with_capacity(Self::CHUNK));
        self.to.blocking_send(Ok(chunk.into())).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    type Seen = BTreeMap<String, (u32, String)>;

    fn copied(root: &Path, caps: Caps) -> Result<(Seen, Vec<NotCopied>), CopyError> {
        let mut bytes = Vec::new();
        let left_out = tar_of(root, "s", caps, &mut bytes)?;
        let mut seen = Seen::new();
        for entry in tar::Archive::new(bytes.as_slice()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().to_string_lossy().into_owned();
            let link = entry.link_name().unwrap().map(|l| format!("-> {}", l.display()));
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            seen.insert(path, (entry.header().mode().unwrap(), link.unwrap_or(content)));
        }
        Ok((seen, left_out))
    }

    #[test]
    fn files_folders_and_links_inside_are_copied_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("handed in");
        fs::create_dir_all(root.join("app/deep")).unwrap();
        fs::write(dir.path().join("secret"), "of the host").unwrap();
        fs::write(root.join("app/run.sh"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(root.join("app/run.sh"), fs::Permissions::from_mode(0o4711)).unwrap();
        fs::write(root.join("ñandú.sql"), "select 1").unwrap();
        fs::set_permissions(root.join("ñandú.sql"), fs::Permissions::from_mode(0o600)).unwrap();
        symlink("../../ñandú.sql", root.join("app/deep/inside")).unwrap();
        symlink(root.join("app"), root.join("absolute")).unwrap();
        symlink("../secret", root.join("out")).unwrap();
        symlink("/etc/passwd", root.join("app/passwd")).unwrap();
        symlink("nothing", root.join("broken")).unwrap();
        nix::unistd::mkfifo(&root.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();

        let (seen, left_out) = copied(&root, Caps::default()).unwrap();
        let expected = [
            ("s", 0o755, ""),
            ("s/absolute", 0o777, "-> app"),
            ("s/app", 0o755, ""),
            ("s/app/deep", 0o755, ""),
            ("s/app/deep/inside", 0o777, "-> ../../ñandú.sql"),
            ("s/app/run.sh", 0o755, "#!/bin/sh\n"),
            ("s/ñandú.sql", 0o644, "select 1"),
        ];
        let seen: Vec<_> = seen.iter().map(|(p, (m, c))| (p.trim_end_matches('/'), *m, c.as_str())).collect();
        assert_eq!(seen, expected);
        let out: Vec<_> = left_out.iter().map(|n| (n.path.to_str().unwrap(), &n.why)).collect();
        assert_eq!(
            out,
            [
                ("app/passwd", &NotCopiedWhy::LeadsOut("/etc/passwd".into())),
                ("broken", &NotCopiedWhy::LeadsNowhere("nothing".into())),
                ("out", &NotCopiedWhy::LeadsOut("../secret".into())),
                ("pipe", &NotCopiedWhy::NoFile),
            ]
        );
    }

    #[test]
    fn long_names_survive() {
        let dir = tempfile::tempdir().unwrap();
        let deep = ["a".repeat(120), "b".repeat(120), "c".repeat(120)].iter().collect::<PathBuf>();
        fs::create_dir_all(dir.path().join(&deep)).unwrap();
        fs::write(dir.path().join(&deep).join("file"), "x").unwrap();
        let (seen, _) = copied(dir.path(), Caps::default()).unwrap();
        assert_eq!(seen[&format!("s/{}/file", deep.display())].1, "x");
    }

    #[test]
    fn disks_and_huge_files_are_left_out_and_the_rest_is_copied() {
        let dir = tempfile::tempdir().unwrap();
        let huge = |name: &str| File::create(dir.path().join(name)).unwrap().set_len(3 << 30).unwrap();
        fs::create_dir_all(dir.path().join(".git/objects")).unwrap();
        fs::create_dir_all(dir.path().join("vm/.vagrant")).unwrap();
        huge(".git/objects/pack");
        huge("vm/node1.VDI");
        huge("dump.bin");
        fs::write(dir.path().join("docker-compose.yml"), "services: {}").unwrap();
        let (seen, left_out) = copied(dir.path(), Caps::default()).unwrap();
        let seen: Vec<_> = seen.keys().map(|path| path.trim_end_matches('/')).collect();
        assert_eq!(seen, ["s", "s/docker-compose.yml", "s/vm"]);
        let out: Vec<_> = left_out.iter().map(|n| (n.path.to_str().unwrap(), &n.why)).collect();
        let size = 3 << 30;
        assert_eq!(
            out,
            [
                (".git", &NotCopiedWhy::Bookkeeping),
                ("dump.bin", &NotCopiedWhy::TooLarge(size)),
                ("vm/.vagrant", &NotCopiedWhy::Bookkeeping),
                ("vm/node1.VDI", &NotCopiedWhy::DiskImage(size)),
            ]
        );
    }

    #[test]
    fn a_small_repository_goes_along() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join(".git")).unwrap();
        fs::write(dir.path().join(".git/HEAD"), "ref: refs/heads/main\n").unwrap();
        let (seen, left_out) = copied(dir.path(), Caps::default()).unwrap();
        assert!(seen.contains_key("s/.git/HEAD") && left_out.is_empty(), "{left_out:?}");
    }

    #[test]
    fn caps_stop_the_copy() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c"] {
            fs::write(dir.path().join(name), "12345").unwrap();
        }
        let caps = Caps { entries: 3, ..Caps::default() };
        assert!(matches!(copied(dir.path(), caps), Err(CopyError::TooMany(3))));
        let caps = Caps { bytes: 14, ..Caps::default() };
        let too_large = copied(dir.path(), caps);
        assert!(matches!(too_large, Err(CopyError::TooLarge(14, heaviest)) if heaviest[0].1 == 5));
        assert!(matches!(copied(&dir.path().join("a"), Caps::default()), Err(CopyError::Read { .. })));
        assert!(matches!(copied(&dir.path().join("no"), Caps::default()), Err(CopyError::Read { .. })));
    }
}

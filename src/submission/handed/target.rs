//! The folder that an archive is unpacked into: what may come in, where it may lie and how much of it.
//!
//! Files and folders are made first, while there is no link in the folder that could lead out of it; links come last, and
//! only those stay that lead to something inside. Sizes are counted while they are written: what an archive says of itself
//! is never believed.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use super::Stop;
use super::names::{Relative, is_vagrants, no_part_of_it, relative, stays_inside};

/// The most that is unpacked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caps {
    /// Files, folders and links.
    pub(super) entries: usize,
    pub(super) bytes: u64,
    /// Folders in folders.
    pub(super) depth: usize,
    /// So many bytes may come out of one byte of the archive, once more than `small` have.
    pub(super) ratio: u64,
    pub(super) small: u64,
    /// What may be read past of files that are no part of the work, which count for nothing else.
    pub(super) past: u64,
}

impl Default for Caps {
    fn default() -> Self {
        // As many entries and bytes as are sent into a lab. Text packs to a twentieth, zeros to a thousandth.
        // The disks of a few virtual machines are read past in a minute.
        Self { entries: 100_000, bytes: 2 << 30, depth: 64, ratio: 200, small: 100 << 20, past: 32 << 30 }
    }
}

/// Why an entry was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Why {
    /// Its name leads out of the folder.
    Outside,
    /// A link that leads out of the folder, or to nothing.
    Link,
    /// A device, a pipe, a socket.
    NoFile,
    /// No name that a file can have, or that of something else.
    Name,
    /// The disk of a virtual machine.
    Disk,
    /// A file larger than any that services need.
    Huge,
}

/// What an entry that is passed over costs at least: a tar may hold any number of them.
const HEADER: u64 = 512;

/// See the module.
pub(super) struct Target {
    root: PathBuf,
    caps: Caps,
    /// The size of the archive.
    packed: u64,
    cancel: CancellationToken,
    entries: usize,
    bytes: u64,
    past: u64,
    pub(super) files: usize,
    /// For each reason how many, and the first names.
    pub(super) left_out: BTreeMap<Why, (usize, Vec<String>)>,
    /// Files that a build may ask for all the same.
    pub(super) missed: Vec<PathBuf>,
    links: Vec<(PathBuf, PathBuf)>,
    hard_links: Vec<(PathBuf, PathBuf)>,
}

impl Target {
    /// `root` is an empty folder of ours.
    pub(super) fn new(root: &Path, caps: Caps, packed: u64, cancel: CancellationToken) -> Self {
        Self {
            root: root.to_owned(),
            caps,
            packed,
            cancel,
            entries: 0,
            bytes: 0,
            past: 0,
            files: 0,
            left_out: BTreeMap::new(),
            missed: Vec::new(),
            links: Vec::new(),
            hard_links: Vec::new(),
        }
    }

    pub(super) fn caps(&self) -> Caps {
        self.caps
    }

    pub(super) fn folder(&mut self, name: &[u8]) -> Result<(), Stop> {
        if is_vagrants(name, true) {
            return self.pass_over(HEADER);
        }
        self.count(1)?;
        match self.inside(name)? {
            Some(path) if !self.make_folder(&path)? => self.leave_out(name, Why::Name),
            _ => {}
        }
        Ok(())
    }

    /// `size` is what the archive says: it decides only whether the file is looked at.
    pub(super) fn file(
        &mut self,
        name: &[u8],
        size: u64,
        executable: bool,
        content: &mut dyn Read,
    ) -> Result<(), Stop> {
        if is_vagrants(name, false) {
            return self.pass_over(HEADER);
        }
        if let Some(why) = no_part_of_it(name, size) {
            self.leave_out(name, why);
            self.missed.push(PathBuf::from(OsStr::from_bytes(name)));
            return self.pass_over(HEADER);
        }
        self.count(1)?;
        let Some(path) = self.inside(name)? else { return self.skip(content) };
        let Some(full) = self.place(&path)? else {
            self.leave_out(name, Why::Name);
            return self.skip(content);
        };
        let mode = if executable { 0o755 } else { 0o644 };
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&full);
        let mut file = file.map_err(|e| Stop::disk(&full, e))?;
        self.pass(content, |bytes| file.write_all(bytes).map_err(|e| Stop::disk(&full, e)))?;
        self.files += 1;
        Ok(())
    }

    /// Made by [`Target::finish`], where it leads to something inside.
    pub(super) fn link(&mut self, name: &[u8], to: &[u8]) -> Result<(), Stop> {
        let Some(path) = self.linked(name)? else { return Ok(()) };
        let to = PathBuf::from(OsStr::from_bytes(to));
        if stays_inside(&path, &to) {
            self.links.push((path, to));
        } else {
            self.leave_out(name, Why::Link);
        }
        Ok(())
    }

    /// Where a link of either kind would stand; none if it is passed over.
    fn linked(&mut self, name: &[u8]) -> Result<Option<PathBuf>, Stop> {
        if is_vagrants(name, false) {
            self.pass_over(HEADER)?;
            return Ok(None);
        }
        self.count(1)?;
        self.inside(name)
    }

    /// A second name of a file of the archive.
    pub(super) fn hard_link(&mut self, name: &[u8], to: &[u8]) -> Result<(), Stop> {
        let Some(path) = self.linked(name)? else { return Ok(()) };
        match relative(to) {
            Relative::Inside(to) => self.hard_links.push((path, to)),
            _ => self.leave_out(name, Why::Link),
        }
        Ok(())
    }

    pub(super) fn no_file(&mut self, name: &[u8], content: &mut dyn Read) -> Result<(), Stop> {
        self.count(1)?;
        self.leave_out(name, Why::NoFile);
        self.skip(content)
    }

    /// What may not be read yet has to be read past, within the same limits.
    fn skip(&mut self, content: &mut dyn Read) -> Result<(), Stop> {
        self.pass(content, |_| Ok(()))
    }

    /// The rest of an entry where there is no other way to the next one. None is left of what was counted.
    pub(super) fn read_past(&mut self, content: &mut dyn Read) -> Result<(), Stop> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            match content.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(n) => self.pass_over(n as u64)?,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(Stop::reading(e)),
            }
        }
    }

    fn pass_over(&mut self, bytes: u64) -> Result<(), Stop> {
        self.past += bytes;
        match self.past > self.caps.past {
            true => Err(Stop::TooLarge(self.caps.past)),
            false if self.cancel.is_cancelled() => Err(Stop::Interrupted),
            false => Ok(()),
        }
    }

    /// Makes the links, and gives the submission's root: the archive's one folder, where it has no more than that.
    pub(super) fn finish(&mut self) -> Result<PathBuf, Stop> {
        for (path, to) in std::mem::take(&mut self.hard_links) {
            let source = self.root.join(&to);
            // All are real files and folders so far.
            let made = source.symlink_metadata().is_ok_and(|meta| meta.is_file()) && path != to;
            let place = if made { self.place(&path)? } else { None };
            match place.map(|full| fs::hard_link(&source, full)) {
                Some(Ok(())) => self.files += 1,
                _ => self.leave_out(path.as_os_str().as_bytes(), Why::Link),
            }
        }
        let mut made = Vec::new();
        for (path, to) in std::mem::take(&mut self.links) {
            match self.place(&path)? {
                Some(full) if symlink(&to, &full).is_ok() => made.push((path, full)),
                _ => self.leave_out(path.as_os_str().as_bytes(), Why::Name),
            }
        }
        let root = self.root.canonicalize().map_err(|e| Stop::disk(&self.root, e))?;
        let (good, bad): (Vec<_>, Vec<_>) =
            made.into_iter().partition(|(_, full)| full.canonicalize().is_ok_and(|real| real.starts_with(&root)));
        self.files += good.len();
        for (path, full) in bad {
            fs::remove_file(&full).map_err(|e| Stop::disk(&full, e))?;
            self.leave_out(path.as_os_str().as_bytes(), Why::Link);
        }
        self.missed.iter_mut().for_each(|path| *path = root.join(&*path));
        let entries = fs::read_dir(&root).and_then(|all| all.collect::<Result<Vec<_>, _>>());
        let entries = entries.map_err(|e| Stop::disk(&root, e))?;
        match entries.as_slice() {
            [one] if one.file_type().is_ok_and(|kind| kind.is_dir()) => Ok(one.path()),
            _ => Ok(root),
        }
    }

    pub(super) fn leave_out(&mut self, name: &[u8], why: Why) {
        let (count, names) = self.left_out.entry(why).or_default();
        *count += 1;
        if names.len() < 3 {
            names.push(crate::sanitize::line(&String::from_utf8_lossy(name), 120));
        }
    }

    /// The entry's place relative to the root; none where it is not to be had, which is noted.
    fn inside(&mut self, name: &[u8]) -> Result<Option<PathBuf>, Stop> {
        let why = match relative(name) {
            Relative::Inside(path) if path.as_os_str().is_empty() => return Ok(None),
            Relative::Inside(path) => {
                if path.components().count() > self.caps.depth {
                    return Err(Stop::TooDeep(self.caps.depth));
                }
                return Ok(Some(path));
            }
            Relative::Leftover => return Ok(None),
            Relative::Outside => Why::Outside,
            Relative::NoName => Why::Name,
        };
        self.leave_out(name, why);
        Ok(None)
    }

    /// The full path for something new, in a folder that is there; an earlier file of that name is gone, as archives mean it.
    fn place(&mut self, path: &Path) -> Result<Option<PathBuf>, Stop> {
        if !self.make_folder(path.parent().unwrap_or(Path::new("")))? {
            return Ok(None);
        }
        let full = self.root.join(path);
        match full.symlink_metadata() {
            Ok(meta) if meta.is_dir() => Ok(None),
            Ok(_) => fs::remove_file(&full).map(|()| Some(full.clone())).map_err(|e| Stop::disk(&full, e)),
            Err(_) => Ok(Some(full)),
        }
    }

    /// Whether the folder is there now, each step of it a real one.
    fn make_folder(&mut self, path: &Path) -> Result<bool, Stop> {
        let mut full = self.root.clone();
        for step in path.components() {
            full.push(step);
            match DirBuilder::new().mode(0o755).create(&full) {
                Ok(()) => self.count(1)?,
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                    if !full.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
                        return Ok(false);
                    }
                }
                Err(e) => return Err(Stop::disk(&full, e)),
            }
        }
        Ok(true)
    }

    fn count(&mut self, more: usize) -> Result<(), Stop> {
        self.entries += more;
        match self.entries > self.caps.entries {
            true => Err(Stop::TooMany(self.caps.entries)),
            false if self.cancel.is_cancelled() => Err(Stop::Interrupted),
            false => Ok(()),
        }
    }

    fn pass(&mut self, content: &mut dyn Read, mut to: impl FnMut(&[u8]) -> Result<(), Stop>) -> Result<(), Stop> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let n = match content.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(n) => n,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => return Err(Stop::reading(e)),
            };
            self.bytes += n as u64;
            if self.bytes > self.caps.bytes {
                return Err(Stop::TooLarge(self.caps.bytes));
            }
            if self.bytes > self.caps.small && self.bytes / self.caps.ratio > self.packed {
                return Err(Stop::Bomb { packed: self.packed, unpacked: self.bytes });
            }
            if self.cancel.is_cancelled() {
                return Err(Stop::Interrupted);
            }
            to(&buffer[..n])?;
        }
    }
}

impl Stop {
    /// Reading failed: the archive's doing, unless the system says that it could not read at all.
    pub(super) fn reading(error: io::Error) -> Self {
        if error.raw_os_error().is_some() { Self::Read(error) } else { Self::Damaged(error.to_string()) }
    }

    fn disk(path: &Path, error: io::Error) -> Self {
        Self::Write(path.to_owned(), error)
    }
}

//! The seal of a folder that labs may read: whether anything below it was changed since.
//!
//! A lab's root can make its read-only mount writable. What it writes then changes a file's `ctime`, which nobody can set
//! back who has neither the clock nor the device. So the seal is of what the kernel knows of every file, and of the content
//! of the small ones that say what layers there are. It is kept outside of every lab.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use nix::fcntl::OFlag;
use sha2::{Digest, Sha256};

use super::upload::hex;

/// Raised where other things are taken in: what is sealed otherwise is not known any more.
const FORMAT: &str = "imparcial seal 1";
/// The files of a layer: many, large, and known by what the kernel says of them.
const FILES: &str = "diff";
/// What says what layers there are is small; more than this is taken by what the kernel says of it.
const CONTENT: u64 = 64 << 10;
/// No layer of ours comes near these. Who wrote something into one so that it cannot be looked at, by folders that lie deeper
/// than a path or a stack bears or by more files than there is time for, has changed it.
const DEEPEST: usize = 100;
const LONGEST: usize = 3500;
const MOST: usize = 1_000_000;
/// Layers in a folder of them.
const MOST_PARTS: usize = 20_000;
/// The seal of a part beyond these: it is like none, not even like itself.
const BEYOND: &str = "beyond";

/// What was seen of a folder, part by part: a layer is one, so that a difference can be named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seal(BTreeMap<String, String>);

impl Seal {
    /// Looks at everything below `root`: asks the kernel for each file.
    ///
    /// # Errors
    /// Where something cannot be looked at, or it takes longer than `within`: threads that go on would keep our end waiting.
    pub(super) fn of(root: &Path, within: Duration) -> io::Result<Self> {
        let until = Instant::now() + within;
        let parts = parts(root)?;
        let seals = Mutex::new(BTreeMap::new());
        let next = AtomicUsize::new(0);
        let work = || -> io::Result<()> {
            while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
                let mut walk = Walk { until, left: MOST, hasher: Sha256::new() };
                let whole = walk.down(&root.join(&part.path), part.deep, false, 0)?;
                let name = part.path.to_string_lossy().into_owned();
                let seal = if whole { hex(&walk.hasher.finalize()) } else { BEYOND.to_owned() };
                seals.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(name, seal);
            }
            Ok(())
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(4);
        std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
            let mut all = work();
            for other in others {
                all = all.and(other.join().unwrap_or_else(|_| Err(io::Error::other("a thread did not end"))));
            }
            all
        })?;
        Ok(Self(seals.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)))
    }

    /// The parts that are not as the other has them.
    pub(super) fn differs<'a>(&'a self, other: &'a Self) -> Vec<&'a str> {
        let (a, b) = (&self.0, &other.0);
        let names = a.keys().chain(b.keys().filter(|name| !a.contains_key(*name)));
        let differs = |name: &String| a.get(name) != b.get(name) || a.get(name).is_some_and(|seal| seal == BEYOND);
        names.filter(|name| differs(name)).map(String::as_str).collect()
    }

    /// A part that no seal can vouch for.
    pub(super) fn beyond(&self) -> Option<&str> {
        self.0.iter().find(|(_, seal)| *seal == BEYOND).map(|(part, _)| part.as_str())
    }

    pub(super) fn written(&self) -> String {
        let rows = self.0.iter().map(|(part, seal)| format!("{seal} {part}\n"));
        format!("{FORMAT}\n{}", rows.collect::<String>())
    }

    /// None for what is no seal, or one of another format.
    pub(super) fn read(text: &str) -> Option<Self> {
        let rows = text.strip_prefix(FORMAT)?.strip_prefix('\n')?;
        let rows = rows.lines().map(|row| row.split_once(' ').map(|(seal, part)| (part.to_owned(), seal.to_owned())));
        rows.collect::<Option<_>>().map(Self)
    }
}

/// A folder or file that is sealed by itself; not `deep` is without what is below it.
struct Part {
    path: PathBuf,
    deep: bool,
}

/// The folder itself, all that is in it, and in the layers' folder each layer.
fn parts(root: &Path) -> io::Result<Vec<Part>> {
    let mut parts = vec![Part { path: PathBuf::new(), deep: false }];
    let many = || io::Error::other("there are more folders than any layers have");
    for name in names(root, MOST_PARTS)?.ok_or_else(many)? {
        let below = Path::new(&name);
        if name == "overlay2" && fs::symlink_metadata(root.join(below))?.is_dir() {
            parts.push(Part { path: below.to_owned(), deep: false });
            let layers = names(&root.join(below), MOST_PARTS)?.ok_or_else(many)?;
            parts.extend(layers.into_iter().map(|layer| Part { path: below.join(layer), deep: true }));
        } else {
            parts.push(Part { path: below.to_owned(), deep: true });
        }
    }
    Ok(parts)
}

/// None where there are more than so many.
fn names(folder: &Path, most: usize) -> io::Result<Option<Vec<OsString>>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        if names.len() == most {
            return Ok(None);
        }
        names.push(entry?.file_name());
    }
    names.sort_unstable();
    Ok(Some(names))
}

/// One part's.
struct Walk {
    until: Instant,
    /// How many more files it may have.
    left: usize,
    hasher: Sha256,
}

impl Walk {
    /// False where there is more than is looked at.
    fn down(&mut self, path: &Path, deep: bool, in_layer: bool, depth: usize) -> io::Result<bool> {
        if depth > DEEPEST || path.as_os_str().len() > LONGEST {
            return Ok(false);
        }
        if Instant::now() >= self.until {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let seen = fs::symlink_metadata(path)?;
        let name = path.file_name().unwrap_or_default();
        known(name.as_bytes(), &seen, &mut self.hasher);
        let kind = seen.file_type();
        if kind.is_symlink() {
            said(fs::read_link(path)?.as_os_str().as_bytes(), &mut self.hasher);
        } else if kind.is_file() && !in_layer && seen.len() <= CONTENT {
            said(&content(path)?, &mut self.hasher);
        } else if kind.is_dir() && deep {
            let Some(below) = names(path, self.left)? else { return Ok(false) };
            self.left -= below.len();
            self.hasher.update((below.len() as u64).to_le_bytes());
            for entry in below {
                if !self.down(&path.join(&entry), true, in_layer || name == FILES, depth + 1)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

/// Who may write there may put a pipe or a file that never ends in its place at any time.
fn content(path: &Path) -> io::Result<Vec<u8>> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)?;
    let mut bytes = Vec::new();
    file.take(CONTENT + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What the kernel knows of a file, without when it was last read and on which device it lies: these change by themselves.
fn known(name: &[u8], seen: &Metadata, hasher: &mut Sha256) {
    let kind = seen.file_type();
    let device = if kind.is_char_device() || kind.is_block_device() { seen.rdev() } else { 0 };
    let numbers = [
        u64::from(seen.mode()),
        u64::from(seen.uid()),
        u64::from(seen.gid()),
        seen.ino(),
        seen.nlink(),
        seen.size(),
        seen.mtime().cast_unsigned(),
        seen.mtime_nsec().cast_unsigned(),
        seen.ctime().cast_unsigned(),
        seen.ctime_nsec().cast_unsigned(),
        device,
    ];
    let mut bytes = Vec::with_capacity(numbers.len() * 8 + 8 + name.len());
    numbers.iter().chain([&(name.len() as u64)]).for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
    bytes.extend_from_slice(name);
    hasher.update(&bytes);
}

/// Bytes with their number before them: no two rows of them read alike.
fn said(bytes: &[u8], hasher: &mut Sha256) {
    hasher.update((bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn shelf() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["image/overlay2", "overlay2/aa/diff/usr/bin", "overlay2/bb/diff", "overlay2/l"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        fs::write(dir.path().join("image/overlay2/layers.json"), "{}").unwrap();
        fs::write(dir.path().join("overlay2/aa/diff/usr/bin/python"), "#!python").unwrap();
        fs::write(dir.path().join("overlay2/aa/link"), "AA").unwrap();
        symlink("../bb/diff", dir.path().join("overlay2/l/BB")).unwrap();
        fs::write(dir.path().join("ready"), "").unwrap();
        dir
    }

    /// A clock of files may stand still for some milliseconds, as it never does between a seal and a lab.
    fn tick() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let written = || {
            fs::write(file.path(), "").unwrap();
            fs::metadata(file.path()).unwrap().modified().unwrap()
        };
        let first = written();
        while written() == first {}
    }

    const WITHIN: Duration = Duration::from_secs(60);

    fn changed(root: &Path, change: impl Fn(&Path)) -> Vec<String> {
        let before = Seal::of(root, WITHIN).unwrap();
        tick();
        change(root);
        let after = Seal::of(root, WITHIN).unwrap();
        after.differs(&before).into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn what_nobody_changed_has_the_same_seal_and_reading_changes_nothing() {
        let shelf = shelf();
        let python = |root: &Path| root.join("overlay2/aa/diff/usr/bin/python");
        assert!(changed(shelf.path(), |root| drop(fs::read(python(root)).unwrap())).is_empty());
        let seal = Seal::of(shelf.path(), WITHIN).unwrap();
        assert_eq!(Seal::read(&seal.written()), Some(seal));
        assert_eq!(Seal::read("imparcial seal 0\naa bb\n"), None);
        assert_eq!(Seal::read(""), None);
    }

    #[test]
    fn a_layer_that_was_written_to_is_named_whatever_its_times_are_set_to() {
        let shelf = shelf();
        let python = shelf.path().join("overlay2/aa/diff/usr/bin/python");
        let when = fs::metadata(&python).unwrap().modified().unwrap();
        let seen = changed(shelf.path(), |_| {
            // As long as before, and as old.
            fs::write(&python, "#!pythoN").unwrap();
            fs::File::open(&python).unwrap().set_modified(when).unwrap();
        });
        assert_eq!(seen, ["overlay2/aa"]);
        let seen = changed(shelf.path(), |root| fs::write(root.join("overlay2/bb/diff/new"), "").unwrap());
        assert_eq!(seen, ["overlay2/bb"]);
        let seen = changed(shelf.path(), |_| fs::set_permissions(&python, fs::Permissions::from_mode(0o4755)).unwrap());
        assert_eq!(seen, ["overlay2/aa"]);
        let seen = changed(shelf.path(), |root| {
            fs::remove_file(root.join("overlay2/l/BB")).unwrap();
            symlink("../aa/diff", root.join("overlay2/l/BB")).unwrap();
        });
        assert_eq!(seen, ["overlay2/l"]);
        let seen = changed(shelf.path(), |root| fs::write(root.join("image/overlay2/layers.json"), "[]").unwrap());
        assert_eq!(seen, ["image"]);
    }

    #[test]
    fn what_came_and_what_went_is_named() {
        let shelf = shelf();
        let seen = changed(shelf.path(), |root| fs::create_dir(root.join("overlay2/cc")).unwrap());
        assert_eq!(seen, ["overlay2", "overlay2/cc"]);
        let seen = changed(shelf.path(), |root| fs::remove_dir(root.join("overlay2/cc")).unwrap());
        assert_eq!(seen, ["overlay2", "overlay2/cc"]);
    }
    #[test]
    fn what_lies_deeper_than_anybody_can_look_is_a_change_and_never_like_itself() {
        let shelf = shelf();
        let seen = changed(shelf.path(), |root| {
            let deep: PathBuf = std::iter::repeat_n("d", DEEPEST + 5).collect();
            fs::create_dir_all(root.join("overlay2/bb/diff").join(deep)).unwrap();
        });
        assert_eq!(seen, ["overlay2/bb"]);
        let seal = Seal::of(shelf.path(), WITHIN).unwrap();
        assert_eq!((seal.differs(&seal), seal.beyond()), (vec!["overlay2/bb"], Some("overlay2/bb")));
        let long = tempfile::tempdir().unwrap();
        let path: PathBuf = std::iter::repeat_n("n".repeat(200), 15).collect();
        fs::create_dir_all(long.path().join("overlay2/aa").join(&path)).unwrap();
        assert_eq!(Seal::of(long.path(), WITHIN).unwrap().beyond(), None);
        let longer: PathBuf = std::iter::repeat_n("n".repeat(200), 18).collect();
        fs::create_dir_all(long.path().join("overlay2/aa").join(longer)).unwrap();
        assert_eq!(Seal::of(long.path(), WITHIN).unwrap().beyond(), Some("overlay2/aa"));
        assert_eq!(names(&long.path().join("overlay2"), 0).unwrap(), None);
    }

    #[test]
    fn who_is_late_has_no_seal() {
        let error = Seal::of(shelf().path(), Duration::ZERO).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}

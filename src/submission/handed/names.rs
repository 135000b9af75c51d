//! What an entry's name says: where it lies, and whether it is part of the work at all.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::target::Why;
use crate::submission::no_part;

/// What the system writes beside a person's files.
fn is_leftover(name: &OsStr) -> bool {
    let name = name.as_bytes();
    name == b"__MACOSX" || name == b".DS_Store" || name.starts_with(b"._")
}

const LONGEST_NAME: usize = 255;
const LONGEST_PATH: usize = 2048;
pub(super) enum Relative {
    Inside(PathBuf),
    Outside,
    Leftover,
    NoName,
}

/// An entry's name as a path below the root. Nothing is made of a name that leads out: it is no mistake that people make.
pub(super) fn relative(name: &[u8]) -> Relative {
    let drive = name.len() >= 2 && name[0].is_ascii_alphabetic() && name[1] == b':';
    if drive || name.starts_with(b"/") {
        return Relative::Outside;
    }
    if name.contains(&0) || name.len() > LONGEST_PATH {
        return Relative::NoName;
    }
    let mut path = PathBuf::new();
    for part in Path::new(OsStr::from_bytes(name)).components() {
        match part {
            Component::CurDir => {}
            Component::Normal(part) if is_leftover(part) => return Relative::Leftover,
            Component::Normal(part) if part.len() > LONGEST_NAME => return Relative::NoName,
            Component::Normal(part) => path.push(part),
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return Relative::Outside,
        }
    }
    Relative::Inside(path)
}

/// What Vagrant keeps for itself, which a folder's copy into a lab leaves out without a word. Of git a build may need some.
pub(super) fn is_vagrants(name: &[u8], folder: bool) -> bool {
    let path = Path::new(OsStr::from_bytes(name));
    path.ancestors().skip(usize::from(!folder)).any(|part| part.file_name().is_some_and(|name| name == ".vagrant"))
}

/// As a folder's copy into a lab leaves it out.
pub(super) fn no_part_of_it(name: &[u8], size: u64) -> Option<Why> {
    match relative(name) {
        Relative::Inside(path) if no_part::is_disk_image(&path) => Some(Why::Disk),
        Relative::Inside(_) if size > no_part::LARGEST_FILE => Some(Why::Huge),
        _ => None,
    }
}

/// Whether a link in `path` to `to` stays below the root, as it is written.
pub(super) fn stays_inside(path: &Path, to: &Path) -> bool {
    let mut depth = path.components().count().saturating_sub(1);
    !to.as_os_str().is_empty()
        && to.components().all(|part| match part {
            Component::CurDir => true,
            Component::Normal(_) => {
                depth += 1;
                true
            }
            Component::ParentDir => depth.checked_sub(1).map(|less| depth = less).is_some(),
            Component::RootDir | Component::Prefix(_) => false,
        })
}

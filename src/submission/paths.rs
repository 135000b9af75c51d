//! Paths that a compose file names, and where they really lead: inside the submission, to a path of the machine, or out of
//! the submission by `..` or a link.

use std::path::{Component, Path, PathBuf};

/// More links than this on one path lead in a circle.
const MAX_LINKS: usize = 40;

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lead {
    /// Inside the submission, relative to its root; it may not exist.
    Inside(PathBuf),
    /// An absolute path of the machine that it runs on.
    Machine(PathBuf),
    /// Beyond the submission's root, by `..` as written or in a link.
    Beyond(PathBuf),
}

/// Follows a path as written in a file of the folder `folder` (relative to the canonical `root`), links included.
/// `workdir` is where the root lies on the machine that resolved the file, if one did.
pub fn follow(root: &Path, folder: &Path, written: &str, workdir: Option<&Path>) -> Lead {
    let written = written.trim();
    // Of whoever runs it; never this user's.
    if let Some(rest) = written.strip_prefix('~') {
        return Lead::Machine(clean(&Path::new("/home/student").join(rest.trim_start_matches('/'))));
    }
    let path = Path::new(written);
    let path = match workdir.and_then(|workdir| clean(path).strip_prefix(clean(workdir)).map(Path::to_owned).ok()) {
        Some(inside) => inside,
        None if path.is_absolute() => return Lead::Machine(clean(path)),
        None if is_windows(written) => return Lead::Machine(path.to_owned()),
        None => folder.join(path),
    };
    let mut rest: Vec<PathBuf> = path.components().rev().map(|c| PathBuf::from(c.as_os_str())).collect();
    let mut here = PathBuf::new();
    let mut links = 0;
    while let Some(part) = rest.pop() {
        match part.components().next() {
            None | Some(Component::CurDir) => continue,
            Some(Component::ParentDir) => {
                if !here.pop() {
                    return Lead::Beyond(path);
                }
                continue;
            }
            _ => here.push(&part),
        }
        let Ok(target) = root.join(&here).read_link() else { continue };
        links += 1;
        if links > MAX_LINKS {
            return Lead::Beyond(path);
        }
        here.pop();
        if target.is_absolute() {
            match target.strip_prefix(root) {
                Ok(inside) => {
                    here = PathBuf::new();
                    rest.extend(inside.components().rev().map(|c| PathBuf::from(c.as_os_str())));
                }
                Err(_) => {
                    let whole = rest.iter().rev().fold(target, |path, part| path.join(part));
                    return Lead::Machine(clean(&whole));
                }
            }
        } else {
            rest.extend(target.components().rev().map(|c| PathBuf::from(c.as_os_str())));
        }
    }
    Lead::Inside(here)
}

/// `C:\data`, `\\server\share`.
fn is_windows(text: &str) -> bool {
    let bytes = text.as_bytes();
    let drive =
        bytes.len() > 2 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':' && matches!(bytes[2], b'\\' | b'/');
    drive || text.starts_with("\\\\")
}

/// Without `.` and `..`, by the text alone.
pub fn clean(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other.as_os_str()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_paths_lead() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let root = dir.path().canonicalize().expect("a path");
        std::fs::create_dir_all(root.join("deploy/sql")).expect("folders");
        let link = |target: &str, name: &str| std::os::unix::fs::symlink(target, root.join(name)).expect("a link");
        link("/etc", "deploy/etc");
        link("../../..", "deploy/up");
        link("sql", "deploy/other");
        link("loop", "deploy/loop");
        link(root.join("deploy").to_str().expect("a path"), "abs");
        let lead = |written: &str| follow(&root, Path::new("deploy"), written, Some(Path::new("/work/s")));
        let inside = |path: &str| Lead::Inside(PathBuf::from(path));
        let machine = |path: &str| Lead::Machine(PathBuf::from(path));
        assert_eq!(lead("./sql"), inside("deploy/sql"));
        assert_eq!(lead("../sql"), inside("sql"));
        assert_eq!(lead(".."), inside(""));
        assert_eq!(lead("../abs/sql"), inside("deploy/sql"));
        assert_eq!(lead("./not/there/../x"), inside("deploy/not/x"));
        assert_eq!(lead("other/init.sql"), inside("deploy/sql/init.sql"));
        assert!(matches!(lead("../../x"), Lead::Beyond(_)));
        assert!(matches!(lead("up/x"), Lead::Beyond(_)));
        assert!(matches!(lead("loop"), Lead::Beyond(_)));
        assert_eq!(lead("etc/passwd"), machine("/etc/passwd"));
        assert_eq!(lead("/home/me/../../etc"), machine("/etc"));
        assert_eq!(lead("/work/s/deploy/etc"), machine("/etc"));
        assert_eq!(lead("/work/s/deploy/sql"), inside("deploy/sql"));
        assert_eq!(lead("/work/s/../x"), machine("/work/x"));
        assert_eq!(lead("~/data"), machine("/home/student/data"));
        assert!(matches!(lead("C:\\data"), Lead::Machine(_)));
    }
}

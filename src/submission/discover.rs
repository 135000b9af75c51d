//! Walks a submission's folder and sorts what it finds: compose files, Dockerfiles, requirements, SQL, in any folder and case.
//!
//! Links are followed only to files inside the folder. What no student wrote by hand is skipped, and there are caps, so that
//! a submission with a disk image or a million files in it is read as quickly as any.

use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::notice::{Level, Notice};
use crate::text::Text;

const MAX_ENTRIES: usize = 20_000;
const MAX_DEPTH: usize = 16;
/// Larger than any file that a person writes for compose.
pub(super) const MAX_COMPOSE_BYTES: u64 = 1 << 20;

pub(super) const SKIPPED: [&str; 16] = [
    ".git",
    ".hg",
    ".svn",
    ".vagrant",
    "node_modules",
    "__MACOSX",
    "__pycache__",
    ".venv",
    "venv",
    "site-packages",
    ".idea",
    ".vscode",
    ".tox",
    "bower_components",
    ".terraform",
    "$RECYCLE.BIN",
];

/// What a person writes an app in.
pub(super) const CODE: [&str; 20] = [
    "py",
    "js",
    "ts",
    "php",
    "rb",
    "java",
    "kt",
    "go",
    "cs",
    "rs",
    "pl",
    "jsx",
    "tsx",
    "mjs",
    "ini",
    "cfg",
    "conf",
    "env",
    "properties",
    "txt",
];
const MAX_CODE: usize = 2000;

/// What was found; paths are relative to the root and sorted, those nearest to the root first.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// Every `.yml` and `.yaml` file, and files with a compose file's name and no such ending.
    pub(super) yaml: Vec<PathBuf>,
    pub(super) dockerfiles: Vec<PathBuf>,
    pub(super) requirements: Vec<PathBuf>,
    pub(super) sql: Vec<PathBuf>,
    pub(super) code: Vec<PathBuf>,
    pub(super) vagrantfiles: Vec<PathBuf>,
    /// Files of any kind.
    pub(super) files: usize,
    pub(super) notices: Vec<Notice>,
}

/// `root` is canonical.
pub(super) fn walk(root: &Path) -> Found {
    let mut found = Found::default();
    let mut entries = 0;
    let walker = WalkDir::new(root).max_depth(MAX_DEPTH).sort_by_file_name().into_iter();
    let keep = |name: &str| !SKIPPED.iter().any(|skip| name.eq_ignore_ascii_case(skip));
    for entry in
        walker.filter_entry(|e| e.depth() == 0 || !e.file_type().is_dir() || e.file_name().to_str().is_none_or(keep))
    {
        let entry = match entry {
            Ok(entry) => entry,
            Err(e) => {
                found.notices.push(unreadable(root, &e));
                continue;
            }
        };
        entries += 1;
        if entries > MAX_ENTRIES {
            let text = Text::new(
                format!(
                    "the folder holds more than {MAX_ENTRIES} files; those after `{}` were not looked at",
                    relative(root, entry.path()).display()
                ),
                format!(
                    "la carpeta tiene más de {MAX_ENTRIES} archivos; no se miraron los que siguen a `{}`",
                    relative(root, entry.path()).display()
                ),
            );
            found.notices.push(Notice::new("submission.too_many_files", Level::Warning, text));
            break;
        }
        let path = relative(root, entry.path());
        if entry.file_type().is_symlink() {
            match link(root, entry.path()) {
                Link::File => {}
                Link::Folder => continue,
                Link::Outside(target) => {
                    let text = Text::new(
                        format!(
                            "the link `{}` leads out of the submission ({target}): it was not followed",
                            path.display()
                        ),
                        format!("el enlace `{}` lleva fuera de la entrega ({target}): no se siguió", path.display()),
                    );
                    found.notices.push(Notice::new("submission.link_outside", Level::Warning, text));
                    continue;
                }
            }
        } else if !entry.file_type().is_file() {
            continue;
        }
        found.files += 1;
        sort_in(&mut found, path);
    }
    let lists = [
        &mut found.yaml,
        &mut found.dockerfiles,
        &mut found.requirements,
        &mut found.sql,
        &mut found.code,
        &mut found.vagrantfiles,
    ];
    for list in lists {
        list.sort_by_key(|path| (path.components().count(), path.clone()));
    }
    found
}

fn sort_in(found: &mut Found, path: PathBuf) {
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    // Leftovers of editors and of macOS.
    if name.starts_with("._") || name.starts_with(".#") || name.ends_with('~') {
        return;
    }
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    let ending = name.rsplit_once('.').map(|(_, ending)| ending).unwrap_or_default();
    if CODE.contains(&ending) && found.code.len() < MAX_CODE {
        found.code.push(path.clone());
    }
    if ends(&[".yml", ".yaml"]) || matches!(name.as_str(), "docker-compose" | "docker-compose.yml.txt" | "compose") {
        found.yaml.push(path);
    } else if ends(&[".sql", ".sql.gz"]) {
        found.sql.push(path);
    } else if name.starts_with("requirement") && ends(&[".txt"]) {
        found.requirements.push(path);
    } else if is_dockerfile(&name) {
        found.dockerfiles.push(path);
    } else if name == "vagrantfile" {
        found.vagrantfiles.push(path);
    }
}

/// `Dockerfile`, `Dockerfile.app`, `Dockerfile-db`, `app.dockerfile`; not `Dockerfile.swp` or `Dockerfile.md`.
fn is_dockerfile(name: &str) -> bool {
    const JUNK: [&str; 12] =
        [".swp", ".swo", ".bak", ".orig", ".old", ".save", ".md", ".txt.swp", ".png", ".jpg", ".dockerignore", ".pdf"];
    if JUNK.iter().any(|junk| name.ends_with(junk)) {
        return false;
    }
    let rest = name.strip_prefix("dockerfile").or_else(|| name.strip_prefix("containerfile"));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-', '_'])) || name.ends_with(".dockerfile")
}

enum Link {
    File,
    Folder,
    Outside(String),
}

fn link(root: &Path, path: &Path) -> Link {
    match path.canonicalize() {
        // A folder inside is walked under its own name.
        Ok(target) if target.starts_with(root) => {
            if target.is_file() {
                Link::File
            } else {
                Link::Folder
            }
        }
        _ => {
            let target = path.read_link().map(|t| t.display().to_string()).unwrap_or_default();
            Link::Outside(target)
        }
    }
}

fn relative(root: &Path, path: &Path) -> PathBuf {
    path.strip_prefix(root).unwrap_or(path).to_owned()
}

fn unreadable(root: &Path, error: &walkdir::Error) -> Notice {
    let path = error.path().map(|path| relative(root, path).display().to_string()).unwrap_or_default();
    let why = error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
    let text = Text::new(format!("could not read `{path}`: {why}"), format!("no se pudo leer `{path}`: {why}"));
    Notice::new("submission.unreadable", Level::Warning, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for file in files {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
            std::fs::write(path, "x").expect("a file");
        }
        dir
    }

    fn names(paths: &[PathBuf]) -> Vec<String> {
        paths.iter().map(|p| p.display().to_string()).collect()
    }

    #[test]
    fn files_are_sorted_by_what_they_are() {
        let dir = folder(&[
            "Exam2/docker_compose.yml",
            "Exam2/app/dockerfile",
            "Exam2/app/Requirements.txt",
            "Exam2/db/INIT.SQL",
            "Exam2/db/dump.sql.gz",
            "Dockerfile-compose.yml",
            "Dockerfile.web",
            "x.dockerfile",
            ".docker-compose.yml.swp",
            "Dockerfile.swp",
            "docker-compose.yml~",
            "._docker-compose.yml",
            "node_modules/x/Dockerfile",
            ".vagrant/docker-compose.yml",
            "README.md",
            "Exam2/vagrantfile",
            "VAGRANTFILE",
            "Vagrantfile.bak",
            "Vagrantfile~",
            ".Vagrantfile.swp",
            ".vagrant/Vagrantfile",
        ]);
        let found = walk(&dir.path().canonicalize().expect("a path"));
        assert_eq!(names(&found.yaml), ["Dockerfile-compose.yml", "Exam2/docker_compose.yml"]);
        assert_eq!(names(&found.dockerfiles), ["Dockerfile.web", "x.dockerfile", "Exam2/app/dockerfile"]);
        assert_eq!(names(&found.requirements), ["Exam2/app/Requirements.txt"]);
        assert_eq!(names(&found.sql), ["Exam2/db/INIT.SQL", "Exam2/db/dump.sql.gz"]);
        assert_eq!(names(&found.vagrantfiles), ["VAGRANTFILE", "Exam2/vagrantfile"]);
        assert!(found.notices.is_empty());
    }

    #[test]
    fn links_are_followed_only_inside() {
        let dir = folder(&["a/init.sql"]);
        let root = dir.path().canonicalize().expect("a path");
        let link = |target: &str, name: &str| std::os::unix::fs::symlink(target, root.join(name)).expect("a link");
        link("a/init.sql", "same.sql");
        link("/etc/passwd", "stolen.sql");
        link("..", "up");
        link("a", "b");
        link("loop", "loop");
        let found = walk(&root);
        assert_eq!(names(&found.sql), ["same.sql", "a/init.sql"]);
        let outside: Vec<_> = found.notices.iter().filter(|n| n.id == "submission.link_outside").collect();
        assert_eq!(outside.len(), 3, "{:?}", found.notices);
    }
}

//! Which file of the submission a path in a service's container is, and which files are a service's own.

use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::View;
use crate::submission::ServiceDef;
use crate::submission::builds::Build;
use crate::submission::discover::{CODE, SKIPPED};
use crate::submission::paths::{self, Lead};

/// What people write besides, and may name a host or raise an error.
const ALSO_WRITTEN: [&str; 7] = ["cjs", "cnf", "json", "yml", "yaml", "toml", "xml"];
/// Written by tools, or of others.
const NOT_OWN: [&str; 3] = ["package-lock.json", "composer.lock", "vendor"];
const MAX_FILES: usize = 400;
/// Of any kind, in one folder of a service's.
const MAX_ENTRIES: usize = 20_000;
const MAX_DEPTH: usize = 8;

/// Which file of the submission a path of a container is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Which {
    This(PathBuf),
    /// Nothing of the submission, or of others.
    None,
    /// Nothing says how it came there.
    Unknown,
}

/// The files of a service's own.
#[derive(Debug, Default)]
pub(super) struct OwnFiles {
    pub(super) files: Vec<PathBuf>,
    /// There are more than were read: what is the only one here need not be the only one.
    pub(super) cut: bool,
}

impl OwnFiles {
    /// The one of these files that bears the name, or the one that has the folder before it too.
    pub(super) fn only_one(&self, path: &str) -> Option<PathBuf> {
        let path = Path::new(path);
        let name = path.file_name().filter(|_| !self.cut)?;
        let mut named: Vec<&PathBuf> = self.files.iter().filter(|file| file.file_name() == Some(name)).collect();
        if named.len() > 1 {
            let tail = Path::new(path.parent()?.file_name()?).join(name);
            named.retain(|file| file.ends_with(&tail));
        }
        (named.len() == 1).then(|| named.remove(0).clone())
    }
}

impl<'a> View<'a> {
    /// The file of the submission that a path of the service's container is, through what is bound or copied there.
    pub(super) fn own_file(self, service: &str, path: &str) -> Which {
        let Some(def) = self.service(service).filter(|_| !is_others(path)) else { return Which::None };
        let path = paths::clean(&self.workdir(def).join(path));
        if let Some(bound) = self.bound(def, &path) {
            return bound.map_or(Which::None, Which::This);
        }
        self.copied(service, &path).map_or(Which::Unknown, Which::This)
    }

    /// The files of a service's own that people write, those nearest to the root first.
    pub(super) fn own_files(self, service: &str) -> OwnFiles {
        let root = &self.submission.root;
        let foreign = self.foreign(service);
        let mut own = OwnFiles::default();
        for folder in self.folders(service) {
            let skipped = |name: &str| SKIPPED.iter().chain(&NOT_OWN).any(|skip| name.eq_ignore_ascii_case(skip));
            let walker = WalkDir::new(root.join(folder)).max_depth(MAX_DEPTH).sort_by_file_name().into_iter();
            let kept = walker.filter_entry(|e| e.depth() == 0 || e.file_name().to_str().is_some_and(|n| !skipped(n)));
            for (n, entry) in kept.flatten().enumerate() {
                if n >= MAX_ENTRIES || own.files.len() >= MAX_FILES {
                    own.cut = true;
                    break;
                }
                own.cut |= entry.depth() == MAX_DEPTH && entry.file_type().is_dir();
                let path = entry.path().strip_prefix(root).ok().filter(|path| !foreign(path));
                own.files.extend(path.filter(|p| entry.file_type().is_file() && is_written(p)).map(Path::to_owned));
            }
        }
        own.files.sort_by_key(|path| (path.components().count(), path.clone()));
        own.files.dedup();
        own
    }

    /// Whether a path is in a folder of another service's that lies in one of this service's.
    pub(super) fn foreign(self, service: &str) -> impl Fn(&Path) -> bool {
        let folders = self.folders(service);
        let services = self.compose().map(|compose| compose.services.as_slice()).unwrap_or_default();
        let others = services.iter().filter(|s| s.name != service).flat_map(|s| self.folders(&s.name));
        let inner = |other: &PathBuf| folders.iter().any(|own| other != own && other.starts_with(own));
        let others: Vec<PathBuf> = others.filter(|other| inner(other) && !folders.contains(other)).collect();
        move |path: &Path| others.iter().any(|other| path.starts_with(other))
    }

    /// The service's build context, and what it binds.
    fn folders(self, service: &str) -> Vec<PathBuf> {
        let Some(def) = self.service(service) else { return Vec::new() };
        let context = self.build(service).and_then(|build| build.context.clone());
        context.into_iter().chain(self.binds(def).map(|(_, source)| source)).collect()
    }

    pub(super) fn build(self, service: &str) -> Option<&'a Build> {
        self.submission.builds.get(service)
    }

    /// Where each thing is bound in the container, and where it lies in the submission.
    fn binds(self, def: &ServiceDef) -> impl Iterator<Item = (PathBuf, PathBuf)> {
        let folder = self.compose().and_then(|file| file.path.parent()).unwrap_or(Path::new("")).to_owned();
        let root = &self.submission.root;
        def.mounts.iter().filter(|mount| mount.bind).filter_map(move |mount| {
            match paths::follow(root, &folder, mount.source.as_deref()?, None) {
                Lead::Inside(source) => Some((paths::clean(Path::new(&mount.target)), source)),
                _ => None,
            }
        })
    }

    /// What is bound hides what was copied: `Some(None)` where it is not of the submission.
    fn bound(self, def: &ServiceDef, path: &Path) -> Option<Option<PathBuf>> {
        let deepest = self
            .binds(def)
            .filter(|(target, _)| path.starts_with(target))
            .max_by_key(|(target, _)| target.components().count());
        let (target, source) = deepest?;
        Some(path.strip_prefix(&target).ok().map(|rest| paths::clean(&source.join(rest))).filter(|f| self.is_file(f)))
    }

    /// The last `COPY` that puts a file there.
    fn copied(self, service: &str, path: &Path) -> Option<PathBuf> {
        let build = self.build(service)?;
        let context = build.context.as_ref()?;
        let chain = build.dockerfile.chain(build.target.as_deref());
        let copies = chain.into_iter().flat_map(|stage| stage.copies.iter().rev());
        copies.into_iter().find_map(|copy| {
            let target = paths::clean(Path::new(&copy.target));
            copy.sources.iter().find_map(|written| {
                let source = paths::clean(&context.join(written.trim_start_matches('/')));
                let below = path.strip_prefix(&target).ok();
                let file = if written.contains(['*', '?']) {
                    // What lies beside the pattern and has the name that is looked for.
                    let name = below.filter(|rest| rest.components().count() == 1)?;
                    let ending = Path::new(written).extension();
                    (ending == name.extension() || written.ends_with('*')).then(|| source.with_file_name(name))?
                } else if self.submission.root.join(&source).is_dir() {
                    source.join(below?)
                } else if path == target || below == source.file_name().map(Path::new) {
                    source
                } else {
                    return None;
                };
                self.is_file(&file).then_some(file)
            })
        })
    }

    fn workdir(self, def: &ServiceDef) -> PathBuf {
        let declared = def.raw["working_dir"].as_str().map(PathBuf::from);
        let built = || {
            let build = self.build(&def.name)?;
            build.dockerfile.chain(build.target.as_deref()).into_iter().find_map(|stage| stage.workdir.clone())
        };
        declared.or_else(|| built().map(PathBuf::from)).unwrap_or_else(|| PathBuf::from("/"))
    }

    pub(super) fn is_file(self, file: &Path) -> bool {
        self.text(file).is_some()
    }
}

/// Whether a path of a traceback is an interpreter's or an installed package's.
fn is_others(path: &str) -> bool {
    const OTHERS: [&str; 8] = [
        "/site-packages/",
        "/dist-packages/",
        "/node_modules/",
        "/vendor/",
        "/usr/lib/",
        "/usr/local/lib/",
        "/usr/local/bin/",
        "/usr/share/",
    ];
    path.starts_with('<') || path.starts_with("node:") || OTHERS.iter().any(|part| path.contains(part))
}

fn is_written(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let ending = name.rsplit_once('.').map(|(_, ending)| ending).unwrap_or_default();
    // A plain text is about the code.
    (CODE.contains(&ending) && ending != "txt") || ALSO_WRITTEN.contains(&ending)
}

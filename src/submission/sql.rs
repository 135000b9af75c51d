//! Which SQL is to fill the database: what is given to the store's entrypoint, else what the submission holds besides.

mod found;

use std::path::{Path, PathBuf};

use super::decode;
use super::paths::{self, Lead};
use super::{ComposeFile, MountDef, ServiceDef, Submission};
use crate::text::Text;

/// The folder that the official images of databases run at the first start.
pub const ENTRYPOINT: &str = "/docker-entrypoint-initdb.d";
const MAX_SQL_BYTES: u64 = 64 << 20;

/// The scripts of a store. Paths are relative to the submission's root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scripts {
    /// Given to the store's entrypoint, in the order in which it runs them.
    pub given: Vec<PathBuf>,
    /// Shell scripts given to it; what they do is not read.
    pub shell: Vec<PathBuf>,
    /// SQL files that create tables and are given to nobody: what is expected where nothing is given.
    pub found: Vec<PathBuf>,
    /// How they are given, or that they are not, for people.
    pub why: Vec<Text>,
}

impl Scripts {
    /// What the database should hold: what is given, else what was found.
    pub fn expected(&self) -> &[PathBuf] {
        if self.given.is_empty() { &self.found } else { &self.given }
    }
}

/// The scripts for the service that stores the data. `compose` is the file as handed in, not the resolved one, whose paths
/// are those of the machine that resolved it.
pub fn scripts_for(submission: &Submission, compose: &ComposeFile, store: &str) -> Scripts {
    let mut scripts = Scripts::default();
    let Some(service) = compose.service(store) else { return scripts };
    let view = View { submission, folder: compose.path.parent().unwrap_or(Path::new("")).to_owned() };
    let entrypoint = Path::new(ENTRYPOINT);
    for mount in &service.mounts {
        let target = Path::new(&mount.target);
        let Some(source) = view.source(compose, mount) else { continue };
        let name = if target == entrypoint {
            None
        } else if target.parent() == Some(entrypoint) {
            target.file_name()
        } else {
            continue;
        };
        view.give(
            &source,
            name.map(Path::new),
            &format!("`{}`", mount.source.as_deref().unwrap_or_default()),
            &mut scripts,
        );
    }
    view.copied(service, entrypoint, &mut scripts);
    view.init_file(compose, service, &mut scripts);
    let by_name = |path: &PathBuf| path.file_name().map(ToOwned::to_owned);
    scripts.given.sort_by_key(by_name);
    scripts.given.dedup();
    scripts.found = found::found(submission, &scripts.given);
    if scripts.why.is_empty() {
        scripts.why.push(Text::new(
            format!("no script is given to `{store}` (nothing is mounted at or copied to {ENTRYPOINT})"),
            format!("no se le da ningún script a `{store}` (nada se monta ni se copia en {ENTRYPOINT})"),
        ));
    }
    scripts
}

struct View<'a> {
    submission: &'a Submission,
    folder: PathBuf,
}

impl View<'_> {
    /// Where a mount's source lies in the submission; a named volume may be a bind in disguise.
    fn source(&self, compose: &ComposeFile, mount: &MountDef) -> Option<PathBuf> {
        let source = mount.source.as_deref()?;
        let source =
            if mount.bind { source } else { compose.volumes.get(source)?["driver_opts"]["device"].as_str()? };
        match paths::follow(&self.submission.root, &self.folder, source, None) {
            Lead::Inside(path) => Some(path),
            Lead::Machine(_) | Lead::Beyond(_) => None,
        }
    }

    /// A file, or what lies directly in a folder: the entrypoint goes no deeper. `name` is what the file is called there.
    fn give(&self, source: &Path, name: Option<&Path>, how: &str, scripts: &mut Scripts) {
        let full = self.submission.root.join(source);
        let files: Vec<PathBuf> = if full.is_dir() {
            let entries = std::fs::read_dir(&full).into_iter().flatten().flatten();
            let mut names: Vec<_> =
                entries.filter(|e| e.path().is_file()).map(|e| source.join(e.file_name())).collect();
            names.sort();
            names
        } else if full.is_file() {
            vec![source.to_owned()]
        } else {
            scripts.why.push(Text::new(
                format!("{how} is to be given to the database, but was not handed in: an empty folder takes its place"),
                format!(
                    "{how} debía darse a la base de datos, pero no se entregó: en su lugar queda una carpeta vacía"
                ),
            ));
            return;
        };
        let before = scripts.given.len() + scripts.shell.len();
        for file in files {
            // What the entrypoint does depends on the name there, not on the name here.
            let name = name.unwrap_or(&file).to_string_lossy().to_string();
            if [".sql", ".sql.gz", ".sql.xz", ".sql.zst"].iter().any(|ending| name.ends_with(ending)) {
                scripts.given.push(file);
            } else if name.ends_with(".sh") {
                scripts.shell.push(file);
            }
        }
        let n = scripts.given.len() + scripts.shell.len() - before;
        scripts.why.push(if n == 0 {
            Text::new(
                format!("{how} is given to the database's entrypoint, and holds no script that it runs"),
                format!(
                    "{how} se da al punto de entrada de la base de datos, y no tiene ningún script que este ejecute"
                ),
            )
        } else {
            Text::new(
                format!("{how} is given to the database's entrypoint: {n} script(s)"),
                format!("{how} se da al punto de entrada de la base de datos: {n} script(s)"),
            )
        });
    }

    /// `COPY init.sql /docker-entrypoint-initdb.d/` in the store's own Dockerfile.
    fn copied(&self, service: &ServiceDef, entrypoint: &Path, scripts: &mut Scripts) {
        for (source, target) in self.copies(service) {
            let how = format!("`COPY {}`", source.written);
            let inside = Path::new(&target);
            if inside == entrypoint || (inside.parent() == Some(entrypoint) && target.ends_with('/')) {
                self.give(&source.path, None, &how, scripts);
            } else if inside.parent() == Some(entrypoint) {
                self.give(&source.path, inside.file_name().map(Path::new), &how, scripts);
            }
        }
    }

    /// What the service's image gets from its context, as source in the submission and target in the image.
    fn copies(&self, service: &ServiceDef) -> Vec<(Source, String)> {
        let Some(build) = self.submission.builds.get(&service.name) else { return Vec::new() };
        let Some(context) = &build.context else { return Vec::new() };
        let mut all = Vec::new();
        for stage in build.dockerfile.chain(build.target.as_deref()).into_iter().rev() {
            for copy in &stage.copies {
                for written in &copy.sources {
                    for path in self.matching(context, written) {
                        all.push((Source { path, written: written.clone() }, copy.target.clone()));
                    }
                }
            }
        }
        all
    }

    /// The files that a source of COPY names; a pattern is matched against the SQL files of its folder.
    fn matching(&self, context: &Path, written: &str) -> Vec<PathBuf> {
        let path = paths::clean(&context.join(written.trim_start_matches('/')));
        let Some((before, after)) = written.split_once('*') else { return vec![path] };
        let folder = paths::clean(&context.join(before.rsplit_once('/').map_or("", |(folder, _)| folder)));
        let start = before.rsplit('/').next().unwrap_or_default();
        let fits = |path: &&PathBuf| {
            let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
            path.parent() == Some(&folder) && name.starts_with(start) && name.ends_with(after)
        };
        self.submission.sql.iter().filter(fits).cloned().collect()
    }

    /// `--init-file=/x.sql` of the server's command line, traced back through mounts and copies.
    fn init_file(&self, compose: &ComposeFile, service: &ServiceDef, scripts: &mut Scripts) {
        let Some(target) = self.init_option(service) else { return };
        let target = Path::new(&target);
        let mounted = service.mounts.iter().filter_map(|mount| {
            let below = target.strip_prefix(&mount.target).ok()?;
            let source = self.source(compose, mount)?;
            Some(if below.as_os_str().is_empty() { source } else { source.join(below) })
        });
        let copied = self.copies(service).into_iter().filter_map(|(source, to)| {
            let name = source.path.file_name()?;
            (Path::new(&to) == target || Path::new(&to).join(name) == target).then_some(source.path)
        });
        let file = mounted.chain(copied).find(|path| self.submission.root.join(path).is_file());
        let shown = target.display();
        match file {
            Some(file) => {
                scripts.why.push(Text::new(
                    format!("`--init-file={shown}` has the server run `{}` at every start", file.display()),
                    format!("`--init-file={shown}` hace que el servidor ejecute `{}` en cada arranque", file.display()),
                ));
                if !scripts.given.contains(&file) {
                    scripts.given.push(file);
                }
            }
            None => scripts.why.push(Text::new(
                format!("`--init-file={shown}` names a file that nothing puts there"),
                format!("`--init-file={shown}` nombra un archivo que nada pone allí"),
            )),
        }
    }

    fn init_option(&self, service: &ServiceDef) -> Option<String> {
        let command = |key: &str| match &service.raw[key] {
            serde_json::Value::Array(words) => words.iter().filter_map(|w| w.as_str()).collect::<Vec<_>>().join(" "),
            serde_json::Value::String(line) => line.clone(),
            _ => String::new(),
        };
        let build = self.submission.builds.get(&service.name);
        let stage = build.and_then(|build| build.dockerfile.stage(build.target.as_deref()));
        let built = stage.map(|s| {
            format!("{} {}", s.entrypoint.as_deref().unwrap_or_default(), s.cmd.as_deref().unwrap_or_default())
        });
        let line = format!("{} {} {}", command("entrypoint"), command("command"), built.unwrap_or_default());
        let mut words = line.split(|c: char| c.is_whitespace() || "\"',[]".contains(c)).filter(|word| !word.is_empty());
        while let Some(word) = words.next() {
            let word = word.replace('_', "-");
            if word == "--init-file" {
                return words.next().map(str::to_owned);
            }
            if word.starts_with("--init-file=") {
                // The name itself may have underscores.
                let start = line.find("init-file=").or_else(|| line.find("init_file="))? + "init-file=".len();
                let value = line[start..].split(|c: char| c.is_whitespace() || "\"',]".contains(c)).next()?;
                return Some(value.to_owned());
            }
        }
        None
    }
}

struct Source {
    path: PathBuf,
    written: String,
}

/// A script as text, whatever its encoding; none where it is compressed or larger than any script.
pub fn text(path: &Path) -> std::io::Result<String> {
    let bytes = super::read::read_file(path, MAX_SQL_BYTES)?;
    if decode::is_binary(&bytes) {
        return Err(std::io::Error::other("not a text file"));
    }
    Ok(decode::decode(&bytes).0)
}

#[cfg(test)]
mod tests;

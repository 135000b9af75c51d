//! Which SQL is to fill the database: what is given to the store's entrypoint, else what the submission holds besides.

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
    let others = submission.sql.iter().filter(|path| !scripts.given.contains(path));
    scripts.found = others.filter(|path| creates_tables(&submission.root.join(path))).cloned().collect();
    if scripts.given.is_empty() && scripts.shell.is_empty() {
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

/// Compressed dumps are taken to create tables: that is what dumps are for.
fn creates_tables(path: &Path) -> bool {
    if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gz")) {
        return true;
    }
    text(path).is_ok_and(|text| {
        let text = text.to_ascii_lowercase();
        let words: Vec<&str> = text.split_whitespace().collect();
        words.windows(2).any(|pair| pair[0].ends_with("create") && pair[1].starts_with("table"))
    })
}

#[cfg(test)]
mod tests {
    use super::super::{ReadOptions, read};
    use super::*;

    fn scripts(files: &[(&str, &str)]) -> Scripts {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for (file, content) in files {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
            std::fs::write(path, content).expect("a file");
        }
        let submission = read(dir.path(), &ReadOptions::default()).expect("a submission");
        let compose = submission.compose.as_ref().expect("a compose file");
        scripts_for(&submission, compose, "db")
    }

    fn names(paths: &[PathBuf]) -> Vec<String> {
        paths.iter().map(|p| p.display().to_string()).collect()
    }

    const TABLE: &str = "CREATE TABLE t (a INT);";

    #[test]
    fn a_folder_or_a_file_bound_to_the_entrypoint() {
        let bound = |source: &str, target: &str| {
            let compose = format!("services: {{db: {{image: mysql, volumes: ['{source}:{target}']}}}}\n");
            scripts(&[
                ("x/docker-compose.yml", &compose),
                ("x/db/b.sql", TABLE),
                ("x/db/a.sql", TABLE),
                ("x/db/c.sh", "x"),
                ("x/db/deeper/z.sql", TABLE),
                ("x/db/notes.txt", "x"),
            ])
        };
        let folder = bound("./db", "/docker-entrypoint-initdb.d/:ro");
        assert_eq!(names(&folder.given), ["x/db/a.sql", "x/db/b.sql"]);
        assert_eq!(names(&folder.shell), ["x/db/c.sh"]);
        assert_eq!(names(&folder.found), ["x/db/deeper/z.sql"]);
        assert_eq!(folder.expected(), folder.given);
        let file = bound("./db/a.sql", "/docker-entrypoint-initdb.d/init.sql");
        assert_eq!(names(&file.given), ["x/db/a.sql"]);
        assert_eq!(names(&bound("../x/db", "/docker-entrypoint-initdb.d").given), ["x/db/a.sql", "x/db/b.sql"]);
        assert!(bound("./db/a.sql", "/docker-entrypoint-initdb.d/readme").given.is_empty());
        let missing = bound("./sql", "/docker-entrypoint-initdb.d");
        assert!(missing.given.is_empty());
        assert!(missing.why[0].en.contains("not handed in") && missing.why[0].es.contains("no se entregó"));
    }

    #[test]
    fn copied_into_the_image() {
        for copy in [
            "COPY init.sql /docker-entrypoint-initdb.d/",
            "ADD ./init.sql /docker-entrypoint-initdb.d",
            "COPY *.sql /docker-entrypoint-initdb.d/",
            "COPY [\"init.sql\", \"/docker-entrypoint-initdb.d/1.sql\"]",
            "WORKDIR /docker-entrypoint-initdb.d\nCOPY init.sql .",
        ] {
            let seen = scripts(&[
                ("docker-compose.yml", "services: {db: {build: ./base}}\n"),
                ("base/Dockerfile", &format!("FROM mysql:5.7\n{copy}\n")),
                ("base/init.sql", TABLE),
            ]);
            assert_eq!(names(&seen.given), ["base/init.sql"], "{copy}");
        }
    }

    #[test]
    fn an_init_file_of_the_server() {
        for command in [
            "--init-file /data/init_1.sql",
            "mysqld --init_file=/data/init_1.sql --x",
            "[mysqld, --init-file=/data/init_1.sql]",
        ] {
            let compose = format!("services: {{db: {{image: mysql, command: {command}, volumes: ['./sql:/data']}}}}\n");
            let seen = scripts(&[("docker-compose.yml", &compose), ("sql/init_1.sql", TABLE)]);
            assert_eq!(names(&seen.given), ["sql/init_1.sql"], "{command}");
        }
    }

    #[test]
    fn what_is_given_to_nobody_is_found() {
        let seen = scripts(&[
            ("docker-compose.yml", "services: {db: {image: mysql}}\n"),
            ("old/dump.sql", "/* x */CREATE\n  TABLE t (a INT);"),
            ("queries.sql", "SELECT 1;"),
            ("dump.sql.gz", "x"),
        ]);
        assert!(seen.given.is_empty());
        assert_eq!(names(&seen.found), ["dump.sql.gz", "old/dump.sql"]);
        assert_eq!(seen.expected(), seen.found);
        assert!(seen.why[0].es.contains("no se le da ningún script"));
    }

    #[test]
    fn scripts_of_old_editors_are_text() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("a.sql");
        std::fs::write(&path, b"INSERT INTO t VALUES ('pe\xF1a');").expect("a file");
        assert_eq!(text(&path).expect("a text"), "INSERT INTO t VALUES ('peña');");
        std::fs::write(&path, b"\x00\x01").expect("a file");
        assert!(text(&path).is_err());
    }
}

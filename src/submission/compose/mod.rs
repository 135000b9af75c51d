//! Compose files, read by ourselves: for `inspect` and `plan`, which start nothing, and for what the compose tool prints as
//! the resolved file. Forgiving: what the tool accepts is read, what it would not is read as far as it goes.

mod extends;
mod interpolate;
mod keys;
mod limits;
mod mounts;
mod ports;
mod service;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::tree::{self, Kind, Mark, Node, Tree};
use super::{ComposeFile, ServiceDef};
use crate::expect::Place;
use crate::notice::{Level, Notice};
use crate::text::Text;

pub use interpolate::{nested, read_env};
pub use limits::parse_bytes;

/// Reads another file of the submission, for `extends`: a path relative to the compose file's folder in, its text out.
pub type Loader<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A compose file and what is to be said about it.
#[derive(Clone, Debug, Default)]
pub struct Parsed {
    pub file: ComposeFile,
    pub notices: Vec<Notice>,
}

/// Reads a compose file of a submission. `path` is for places and messages, `env` is what `.env` beside it says.
/// The error is the notice `compose.invalid`: it is not YAML, or not a compose file at all.
pub fn parse(path: &Path, text: &str, env: &BTreeMap<String, String>, load: Loader<'_>) -> Result<Parsed, Box<Notice>> {
    let tree = tree::read(text).map_err(|e| not_yaml(path, text, &e))?;
    let mut reading = Reading { path: path.display().to_string(), notices: Vec::new() };
    reading.duplicates(&tree);
    let mut root = tree.root;
    if !root.is_map() {
        return Err(reading.invalid(root.at, "it is no map of services", "no es un mapa de servicios"));
    }
    interpolate::interpolate(&mut root, env, &mut reading);
    keys::check(&root, &mut reading);
    let services = extends::resolve(&services_of(&root), load, env, &mut reading);
    if services.is_empty() {
        return Err(reading.invalid(root.at, "it has no services", "no tiene servicios"));
    }
    let mut file = ComposeFile {
        path: path.to_owned(),
        version: root.get("version").and_then(Node::text).map(str::to_owned),
        networks: section(&root, "networks"),
        volumes: section(&root, "volumes"),
        raw: root.to_json(),
        ..ComposeFile::default()
    };
    file.services = services.iter().map(|(name, at, node)| service::read(name, *at, node, &mut reading)).collect();
    Ok(Parsed { file, notices: reading.notices })
}

/// Reads what `docker-compose config` printed. `workdir` is where the submission's root lies on the machine that printed it.
pub fn parse_resolved(text: &str, workdir: &Path) -> Result<ComposeFile, Box<Notice>> {
    let mut parsed = parse(Path::new(""), text, &BTreeMap::new(), &|_| None)?;
    parsed.file.workdir = Some(workdir.to_owned());
    for service in &mut parsed.file.services {
        service.forget_places();
    }
    Ok(parsed.file)
}

impl ServiceDef {
    /// Places in a file that nobody has are of no use.
    fn forget_places(&mut self) {
        self.at = Place::default();
        self.keys.clear();
        for limit in [&mut self.memory, &mut self.cpus].into_iter().flatten() {
            limit.at = Place::default();
        }
        for mount in &mut self.mounts {
            mount.at = Place::default();
        }
        if let Some(build) = &mut self.build {
            build.at = Place::default();
        }
    }
}

/// Whether a text looks like a compose file: it has services with an image or a build.
pub fn looks_like_one(text: &str) -> bool {
    let Ok(tree) = tree::read(text) else { return false };
    // An Ansible playbook or a CI file has maps with `image` too, but not under `services` alone or at the top.
    let named = tree.root.get("services").is_some();
    let services = services_of(&tree.root);
    let runs = |node: &Node| node.get("image").is_some() || node.get("build").is_some();
    if named {
        // In CI files `services` stands beside `jobs`, `stages` or `script`.
        let foreign = ["jobs", "stages", "script", "pipeline", "steps"].iter().any(|key| tree.root.get(key).is_some());
        return !foreign && services.iter().any(|(_, _, node)| runs(node) || node.get("extends").is_some());
    }
    !services.is_empty()
        && services.iter().all(|(_, _, node)| runs(node))
        && !tree.root.entries().iter().any(|(k, _)| k.name == "apiVersion")
}

/// The services, in the file's order: below `services`, or the whole file in the first version's form.
fn services_of(root: &Node) -> Vec<(String, Mark, Node)> {
    const NOT_SERVICES: [&str; 9] =
        ["version", "networks", "volumes", "secrets", "configs", "name", "services", "include", "x"];
    let (entries, first_form) = match root.get("services") {
        Some(services) => (services.entries(), false),
        None => (root.entries(), true),
    };
    entries
        .iter()
        .filter(|(key, node)| {
            !first_form || (node.is_map() && !key.name.starts_with("x-") && !NOT_SERVICES.contains(&key.name.as_str()))
        })
        .map(|(key, node)| (key.name.clone(), key.at, node.clone()))
        .collect()
}

fn section(root: &Node, name: &str) -> BTreeMap<String, Value> {
    // In the first version's form a service may have this name.
    if root.get("services").is_none() {
        return BTreeMap::new();
    }
    let entries = root.get(name).map(Node::entries).unwrap_or_default();
    entries.iter().map(|(key, node)| (key.name.clone(), node.to_json())).collect()
}

/// What is collected while one file is read.
struct Reading {
    path: String,
    notices: Vec<Notice>,
}

impl Reading {
    fn place(&self, at: Mark) -> Place {
        Place { file: self.path.clone(), line: at.line, column: at.column }
    }

    fn say(&mut self, id: &str, at: Mark, service: Option<&str>, text: Text) {
        let notice = Notice {
            id: id.to_owned(),
            level: Level::Warning,
            text,
            at: Some(self.place(at)),
            service: service.map(str::to_owned),
        };
        if !self.notices.contains(&notice) {
            self.notices.push(notice);
        }
    }

    fn duplicates(&mut self, tree: &Tree) {
        for (name, at) in &tree.duplicates {
            let text = Text::new(
                format!("the key `{name}` stands twice in the same map; the last one counts"),
                format!("la clave `{name}` aparece dos veces en el mismo mapa; cuenta la última"),
            );
            self.say("compose.duplicate_key", *at, None, text);
        }
    }

    fn invalid(&self, at: Mark, en: &str, es: &str) -> Box<Notice> {
        invalid(&self.path, at, Text::new(en, es))
    }
}

fn invalid(path: &str, at: Mark, why: Text) -> Box<Notice> {
    let place = if path.is_empty() { String::new() } else { format!("{path}:{}:{}: ", at.line, at.column) };
    Box::new(Notice {
        id: "compose.invalid".to_owned(),
        level: Level::Problem,
        text: Text::new(
            format!("{place}not a valid compose file: {}", why.en),
            format!("{place}no es un archivo compose válido: {}", why.es),
        ),
        at: Some(Place { file: path.to_owned(), line: at.line, column: at.column }),
        service: None,
    })
}

fn not_yaml(path: &Path, text: &str, error: &tree::TreeError) -> Box<Notice> {
    let path = path.display().to_string();
    let marker = |line: &str| ["<<<<<<< ", ">>>>>>> "].iter().any(|mark| line.starts_with(mark)) || line == "=======";
    if let Some(n) = text.lines().position(marker) {
        let at = Mark { line: u32::try_from(n + 1).unwrap_or(u32::MAX), column: 1 };
        let why = Text::new(
            "a merge conflict of git was never resolved (`<<<<<<<`, `=======`, `>>>>>>>`)",
            "quedó sin resolver un conflicto de fusión de git (`<<<<<<<`, `=======`, `>>>>>>>`)",
        );
        return invalid(&path, at, why);
    }
    let line = text.lines().nth(error.at.line.saturating_sub(1) as usize).unwrap_or_default();
    if line[..line.len() - line.trim_start().len()].contains('\t') {
        let why = Text::new(
            "a tab indents this line; YAML wants spaces",
            "esta línea está indentada con un tabulador; YAML pide espacios",
        );
        return invalid(&path, error.at, why);
    }
    let line = line.trim();
    let line: String = line.chars().take(60).collect();
    let seen = if line.is_empty() { String::new() } else { format!(" (`{line}`)") };
    let why =
        Text::new(format!("it is not YAML: {}{seen}", error.message), format!("no es YAML: {}{seen}", error.message));
    invalid(&path, error.at, why)
}

/// A map or a list of `A=b`, as environment, labels and build arguments may be written.
fn pairs(node: &Node) -> BTreeMap<String, Option<String>> {
    match &node.kind {
        Kind::Map(entries) => {
            entries.iter().map(|(key, value)| (key.name.clone(), value.text().map(str::to_owned))).collect()
        }
        _ => node
            .texts()
            .into_iter()
            .map(|item| match item.split_once('=') {
                Some((name, value)) => (name.trim().to_owned(), Some(value.to_owned())),
                None => (item.trim().to_owned(), None),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests;

//! Rules about paths: where binds, builds and files that a compose file names really lie.
//!
//! Inside means inside the submission's root, not the compose file's folder. An absolute path is one of the machine that it
//! runs on, a lab: it may be anything but what that machine itself lives on. Through links counts as where they lead.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Found, Lead, View, shown, texts};
use crate::submission::paths;
use crate::submission::{ComposeFile, ServiceDef};

/// What no container may have of the machine, and what is below it.
const DENIED: [&str; 12] = [
    "/etc",
    "/root",
    "/var/run",
    "/run",
    "/var/lib/docker",
    "/var/lib/containerd",
    "/proc",
    "/sys",
    "/dev",
    "/boot",
    "/lib/modules",
    "/usr/lib/modules",
];

/// Harmless to read, and common: the machine's time.
const HARMLESS: [&str; 2] = ["/etc/localtime", "/etc/timezone"];

const ENGINE_SOCKETS: [&str; 4] = ["docker.sock", "containerd.sock", "podman.sock", "crio.sock"];

/// A path that a service mounts, however it is written.
struct Bind<'a> {
    written: &'a str,
    read_only: bool,
    at: crate::expect::Place,
    keys: Vec<String>,
    /// Only read into the container as a file: secrets and configs.
    key: &'a str,
}

pub(super) fn docker_socket(view: &View<'_>, found: &mut Vec<Found>) {
    for service in view.services() {
        for bind in binds(view, service) {
            if is_engine_socket(bind.written) {
                found.push(hit(
                    service,
                    &bind,
                    format!(
                        "`{}` asks for the engine's socket `{}`: it could start anything",
                        service.name, bind.written
                    ),
                    format!(
                        "`{}` pide el socket del motor `{}`: podría iniciar cualquier cosa",
                        service.name, bind.written
                    ),
                ));
            }
        }
    }
}

pub(super) fn host_binds(view: &View<'_>, found: &mut Vec<Found>) {
    for service in view.services() {
        for bind in binds(view, service).into_iter().filter(|bind| !is_engine_socket(bind.written)) {
            let through = |path: &PathBuf| {
                if Path::new(bind.written) == path { String::new() } else { format!(" → `{}`", shown(path)) }
            };
            match view.follow(bind.written) {
                Lead::Machine(path) if view.denies(&path, bind.read_only) => found.push(hit(
                    service,
                    &bind,
                    format!(
                        "`{}` asks for `{}`{} of the machine's own system",
                        service.name,
                        bind.written,
                        through(&path)
                    ),
                    format!(
                        "`{}` pide `{}`{} del propio sistema de la máquina",
                        service.name,
                        bind.written,
                        through(&path)
                    ),
                )),
                Lead::Beyond(_) => found.push(hit(
                    service,
                    &bind,
                    format!("`{}` asks for `{}`, which leads out of the submission", service.name, bind.written),
                    format!("`{}` pide `{}`, que lleva fuera de la entrega", service.name, bind.written),
                )),
                Lead::Machine(_) | Lead::Inside(_) => {}
            }
        }
    }
}

pub(super) fn build_contexts(view: &View<'_>, found: &mut Vec<Found>) {
    for service in view.services() {
        let mut outside = |key: &str, written: &str| {
            if !matches!(view.follow(written), Lead::Inside(_)) {
                found.push(Found::at_key(
                    service,
                    key,
                    format!("`{}` takes `{key}: {written}`, which is outside of the submission", service.name),
                    format!("`{}` usa `{key}: {written}`, que está fuera de la entrega", service.name),
                ));
            }
        };
        if let Some(build) = &service.build {
            // A repository is fetched by the builder; whether it can be had shows then.
            let remote = build.context.contains("://") || build.context.starts_with("git@");
            if !remote {
                outside("build", &build.context);
                if let Some(dockerfile) = build.dockerfile.as_deref() {
                    let context = Path::new(&build.context);
                    outside("build", &context.join(dockerfile).to_string_lossy());
                }
            }
        }
        let env_file = match &service.raw["env_file"] {
            Value::Array(items) => items.iter().filter_map(|i| i.as_str().or_else(|| i["path"].as_str())).collect(),
            other => texts(other),
        };
        for file in env_file {
            outside("env_file", file);
        }
        if let Some(file) = service.raw["extends"]["file"].as_str() {
            outside("extends", file);
        }
    }
    for file in include(&view.compose.raw["include"]) {
        if !matches!(view.follow(file), Lead::Inside(_)) {
            let text = crate::text::Text::new(
                format!("the file includes `{file}`, which is outside of the submission"),
                format!("el archivo incluye `{file}`, que está fuera de la entrega"),
            );
            let file = view.compose.path.display().to_string();
            let at = crate::expect::Place { file, line: 1, column: 1 };
            found.push(Found { service: None, text, at, keys: vec!["include".to_owned()] });
        }
    }
}

/// Paths of the machine that a service may bind, and that a lab makes empty before it starts.
pub fn foreign_paths(compose: &ComposeFile, service: &ServiceDef) -> Vec<String> {
    let workdir = compose.workdir.as_deref();
    let mut all: Vec<String> = service
        .mounts
        .iter()
        .filter(|mount| mount.bind)
        .filter_map(|mount| match paths::follow(Path::new(""), Path::new(""), mount.source.as_deref()?, workdir) {
            Lead::Machine(path) if !is_harmless(&path) => Some(shown(&path)),
            _ => None,
        })
        .collect();
    all.sort();
    all.dedup();
    all
}

/// Everything of the machine that a service mounts: binds, volumes that are binds in disguise, files of secrets and configs.
fn binds<'a>(view: &'a View<'_>, service: &'a ServiceDef) -> Vec<Bind<'a>> {
    let own = |key: &str| vec!["services".to_owned(), service.name.clone(), key.to_owned()];
    let mut all = Vec::new();
    for mount in &service.mounts {
        let Some(source) = mount.source.as_deref() else { continue };
        let written = if mount.bind {
            source
        } else {
            let options = &view.compose.volumes.get(source).unwrap_or(&Value::Null)["driver_opts"];
            // Of other types (nfs) the device is no path of this machine.
            let local = matches!(options["type"].as_str(), None | Some("none" | "bind"));
            match options["device"].as_str().filter(|device| local || device.starts_with("/dev")) {
                Some(device) => device,
                None => continue,
            }
        };
        all.push(Bind {
            written,
            read_only: mount.read_only,
            at: mount.at.clone(),
            keys: own("volumes"),
            key: "volumes",
        });
    }
    for section in ["secrets", "configs"] {
        let Value::Array(used) = &service.raw[section] else { continue };
        for name in used.iter().filter_map(|u| u.as_str().or_else(|| u["source"].as_str())) {
            if let Some(file) = view.compose.raw[section][name]["file"].as_str() {
                let at = service.keys.get(section).unwrap_or(&service.at).clone();
                all.push(Bind { written: file, read_only: true, at, keys: own(section), key: section });
            }
        }
    }
    all
}

fn hit(service: &ServiceDef, bind: &Bind<'_>, en: String, es: String) -> Found {
    let mut found = Found::at_key(service, bind.key, en, es);
    found.at = bind.at.clone();
    found.keys.clone_from(&bind.keys);
    found
}

fn is_engine_socket(written: &str) -> bool {
    let name = written.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    ENGINE_SOCKETS.contains(&name)
}

fn is_denied(path: &Path, read_only: bool) -> bool {
    if read_only && is_harmless(path) {
        return false;
    }
    // A folder that holds one of them gives it away as well.
    let denied = DENIED.iter().any(|denied| path.starts_with(denied) || Path::new(denied).starts_with(path));
    denied || path.extension().is_some_and(|ending| ending == "sock")
}

impl View<'_> {
    /// A lab makes what is no part of its system, empty; nobody does that on the host.
    fn denies(&self, path: &Path, read_only: bool) -> bool {
        is_denied(path, read_only) || (self.uncontained && !(read_only && is_harmless(path)))
    }
}

fn is_harmless(path: &Path) -> bool {
    HARMLESS.iter().any(|harmless| path == Path::new(harmless))
}

fn include(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(items) => {
            items.iter().flat_map(|item| if item.is_object() { texts(&item["path"]) } else { texts(item) }).collect()
        }
        other => texts(other),
    }
}

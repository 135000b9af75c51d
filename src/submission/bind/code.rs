//! What a service's own files say, where the compose file leaves several to choose from: whether its code names the store,
//! and whether its image is a tool beside the app (a log collector, a proxy).

use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::{View, image_name};
use crate::submission::ServiceDef;
use crate::submission::decode;
use crate::submission::paths::{self, Lead};

const MAX_FILES: usize = 300;
const MAX_BYTES: u64 = 128 << 10;
const CODE: [&str; 20] = [
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

/// Images that serve an app and are none.
const TOOLS: [&str; 28] = [
    "fluentd",
    "fluent-bit",
    "elasticsearch",
    "kibana",
    "logstash",
    "filebeat",
    "prometheus",
    "grafana",
    "cadvisor",
    "node-exporter",
    "haproxy",
    "traefik",
    "nginx",
    "envoy",
    "caddy",
    "registry",
    "ngrok",
    "visualizer",
    "portainer",
    "adminer",
    "phpmyadmin",
    "mongo-express",
    "rabbitmq",
    "kafka",
    "zookeeper",
    "consul",
    "jenkins",
    "memcached",
];

impl View<'_> {
    /// Whether what a service runs, or is built on, is a tool of this kind.
    pub(super) fn is_tool(&self, service: &ServiceDef) -> bool {
        let build = self.submission.builds.get(&service.name).filter(|_| service.build.is_some());
        let image = match build {
            Some(build) => build.base(),
            None => service.image.as_deref(),
        };
        let name = image_name(image.unwrap_or_default());
        TOOLS.iter().any(|tool| name.starts_with(tool))
    }

    /// The file of a service's own that names one of the stores or a client of their family.
    pub(super) fn code_names(&self, service: &ServiceDef, stores: &[&ServiceDef]) -> Option<PathBuf> {
        let mut names: Vec<String> = Vec::new();
        let mut clients: Vec<String> = Vec::new();
        for store in stores {
            names.push(store.name.to_ascii_lowercase());
            names.extend(store.container_name.iter().map(|name| name.to_ascii_lowercase()));
            clients.extend(self.family_of(store).map(|family| client_of(&family).to_owned()));
        }
        let says = |text: &str| {
            let text = text.to_ascii_lowercase();
            let word = |c: char| !(c.is_ascii_alphanumeric() || "-_".contains(c));
            clients.iter().any(|client| text.contains(client)) || text.split(word).any(|w| names.iter().any(|n| n == w))
        };
        let root = &self.submission.root;
        self.own_folders(service).iter().flat_map(|folder| self.code_in(folder, service)).take(MAX_FILES).find(|file| {
            let bytes = crate::submission::read::read_file(&root.join(file), MAX_BYTES).unwrap_or_default();
            !decode::is_binary(&bytes) && says(&decode::decode(&bytes).0)
        })
    }

    /// Where a service's code lies in the submission: its build's context, and what it binds.
    fn own_folders(&self, service: &ServiceDef) -> Vec<PathBuf> {
        let root = &self.submission.root;
        let folder = self.compose.path.parent().unwrap_or(Path::new(""));
        let build = self.submission.builds.get(&service.name);
        let context = build.and_then(|build| build.context.clone());
        let bound = service.mounts.iter().filter(|mount| mount.bind).filter_map(|mount| {
            match paths::follow(root, folder, mount.source.as_deref()?, self.compose.workdir.as_deref()) {
                Lead::Inside(path) => Some(path),
                _ => None,
            }
        });
        context.into_iter().chain(bound).collect()
    }

    /// The code files of a folder, but those in folders that are another service's.
    fn code_in(&self, folder: &Path, service: &ServiceDef) -> Vec<PathBuf> {
        let root = &self.submission.root;
        let others: Vec<PathBuf> =
            self.compose.services.iter().filter(|s| s.name != service.name).flat_map(|s| self.own_folders(s)).collect();
        let foreign =
            |path: &Path| others.iter().any(|other| other != folder && other.starts_with(folder) && path == other);
        let walker = WalkDir::new(root.join(folder)).max_depth(8).sort_by_file_name().into_iter();
        let inside = |path: &Path| path.strip_prefix(root).map(Path::to_owned).unwrap_or_default();
        walker
            .filter_entry(|e| {
                let hidden = e.depth() > 0 && e.file_name().to_string_lossy().starts_with('.');
                !hidden && e.file_name() != "node_modules" && !foreign(&inside(e.path()))
            })
            .filter_map(Result::ok)
            .filter(|e| e.file_type().is_file())
            .map(|e| inside(e.path()))
            .filter(|path| {
                path.extension().is_some_and(|ending| CODE.iter().any(|code| ending.eq_ignore_ascii_case(code)))
            })
            .take(MAX_FILES)
            .collect()
    }
}

/// What the clients of a family have in their name.
fn client_of(family: &str) -> &str {
    match family {
        "mysql" | "mariadb" | "percona" => "mysql",
        "postgres" => "psycopg",
        other => other,
    }
}

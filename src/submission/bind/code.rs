//! What a service's own files say, where the compose file leaves several to choose from: whether its code names the store,
//! and whether its image is a tool beside the app (a log collector, a proxy).

use std::path::{Path, PathBuf};

use super::{View, image_name};
use crate::submission::ServiceDef;
use crate::submission::paths::{self, Lead};

const MAX_FILES: usize = 300;

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
        let folders = self.own_folders(service);
        let mut files = folders.iter().flat_map(|folder| self.code_in(folder, service)).take(MAX_FILES);
        files.find(|file| self.submission.code_text(file).is_some_and(|text| says(&text))).cloned()
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
    fn code_in(&self, folder: &Path, service: &ServiceDef) -> Vec<&PathBuf> {
        let others = self.compose.services.iter().filter(|s| s.name != service.name);
        let others: Vec<PathBuf> = others.flat_map(|s| self.own_folders(s)).filter(|other| other != folder).collect();
        let foreign = |path: &Path| others.iter().any(|other| other.starts_with(folder) && path.starts_with(other));
        self.submission.code.iter().filter(|path| path.starts_with(folder) && !foreign(path)).collect()
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

//! One service, its many spellings made one.

use std::collections::BTreeMap;

use super::{Reading, limits, mounts, pairs, ports};
use crate::submission::tree::{Kind, Mark, Node};
use crate::submission::{BuildDef, ServiceDef};

pub(super) fn read(name: &str, at: Mark, node: &Node, reading: &mut Reading) -> ServiceDef {
    let text = |path: &[&str]| node.path(path).and_then(Node::text).map(str::to_owned);
    let network_mode = text(&["network_mode"]).or_else(|| text(&["net"]));
    ServiceDef {
        name: name.to_owned(),
        at: reading.place(at),
        keys: node.entries().iter().map(|(key, _)| (key.name.clone(), reading.place(key.at))).collect(),
        image: text(&["image"]),
        build: build(node, reading),
        container_name: text(&["container_name"]),
        ports: ports::ports(name, node, reading),
        environment: node.get("environment").map(pairs).unwrap_or_default(),
        links: links(node),
        depends_on: depends_on(node),
        mounts: mounts::mounts(node, reading),
        networks: networks(node, network_mode.is_some()),
        hostname: text(&["hostname"]),
        restart: text(&["restart"]),
        memory: limits::memory(name, node, reading),
        cpus: limits::cpus(name, node, reading),
        network_mode,
        expose: expose(node),
        log_driver: text(&["logging", "driver"]).or_else(|| text(&["log_driver"])),
        replicas: text(&["deploy", "replicas"]).or_else(|| text(&["scale"])).and_then(|n| n.trim().parse().ok()),
        raw: node.to_json(),
    }
}

/// `build: .` or a map; in the first version's form the Dockerfile is named beside it.
fn build(service: &Node, reading: &Reading) -> Option<BuildDef> {
    let node = service.get("build").filter(|node| !node.is_null())?;
    let text = |key: &str| node.get(key).and_then(Node::text).map(str::to_owned);
    let mut build = BuildDef { at: reading.place(node.at), ..BuildDef::default() };
    if node.is_map() {
        build.context = text("context").unwrap_or_else(|| ".".to_owned());
        build.dockerfile = text("dockerfile");
        build.target = text("target");
        build.args = node.get("args").map(pairs).unwrap_or_default();
    } else {
        build.context = node.text()?.to_owned();
        build.dockerfile = service.get("dockerfile").and_then(Node::text).map(str::to_owned);
    }
    Some(build)
}

fn links(service: &Node) -> Vec<(String, String)> {
    let texts = service.get("links").map(Node::texts).unwrap_or_default();
    texts
        .into_iter()
        .map(|link| {
            let (service, alias) = link.split_once(':').unwrap_or((link, link));
            (service.trim().to_owned(), alias.trim().to_owned())
        })
        .collect()
}

fn depends_on(service: &Node) -> Vec<String> {
    let Some(node) = service.get("depends_on") else { return Vec::new() };
    match &node.kind {
        Kind::Map(entries) => entries.iter().map(|(key, _)| key.name.clone()).collect(),
        _ => node.texts().into_iter().map(str::to_owned).collect(),
    }
}

/// Every service without networks of its own is on the file's default network.
fn networks(service: &Node, has_mode: bool) -> BTreeMap<String, Vec<String>> {
    let Some(node) = service.get("networks").filter(|node| !node.is_null()) else {
        let default = (!has_mode).then(|| ("default".to_owned(), Vec::new()));
        return default.into_iter().collect();
    };
    let aliases = |node: &Node| -> Vec<String> {
        let texts = node.get("aliases").map(Node::texts).unwrap_or_default();
        texts.into_iter().map(str::to_owned).collect()
    };
    match &node.kind {
        Kind::Map(entries) => entries.iter().map(|(key, value)| (key.name.clone(), aliases(value))).collect(),
        _ => node.texts().into_iter().map(|name| (name.to_owned(), Vec::new())).collect(),
    }
}

fn expose(service: &Node) -> Vec<u16> {
    let texts = service.get("expose").map(Node::texts).unwrap_or_default();
    texts.into_iter().filter_map(|port| port.split('/').next()?.trim().parse().ok()).collect()
}

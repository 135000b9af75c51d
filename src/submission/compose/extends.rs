//! `extends`: a service made of another one's keys and its own, of this file or of another file of the submission.

use std::collections::BTreeMap;

use super::{Loader, Reading, interpolate, services_of};
use crate::submission::tree::{self, Kind, Mark, Node};
use crate::text::Text;

/// Deeper chains than this go in a circle.
const MAX_CHAIN: usize = 8;

type Services = Vec<(String, Mark, Node)>;

/// The services with what they extend merged in.
pub(super) fn resolve(
    services: &Services,
    load: Loader<'_>,
    env: &BTreeMap<String, String>,
    reading: &mut Reading,
) -> Services {
    let world = World { load, env };
    services
        .iter()
        .map(|(name, at, node)| (name.clone(), *at, world.extended(node, services, name, reading, 0)))
        .collect()
}

struct World<'a> {
    load: Loader<'a>,
    env: &'a BTreeMap<String, String>,
}

impl World<'_> {
    fn extended(&self, node: &Node, services: &Services, name: &str, reading: &mut Reading, depth: usize) -> Node {
        let Some(extends) = node.get("extends").filter(|node| !node.is_null()) else { return node.clone() };
        let file = extends.get("file").and_then(Node::text);
        let base = extends.get("service").and_then(Node::text).or_else(|| extends.text()).unwrap_or(name);
        let parent = if depth >= MAX_CHAIN { None } else { self.parent(file, base, services, reading, depth) };
        let Some(parent) = parent else {
            let place = file.unwrap_or("this file");
            let said = Text::new(
                format!("`{name}` extends `{base}` of {place}, which is not there"),
                format!("`{name}` extiende `{base}` de {}, que no existe", file.unwrap_or("este archivo")),
            );
            reading.say("compose.extends", extends.at, Some(name), said);
            return node.clone();
        };
        merge(&parent, node)
    }

    fn parent(
        &self,
        file: Option<&str>,
        base: &str,
        services: &Services,
        reading: &mut Reading,
        depth: usize,
    ) -> Option<Node> {
        let find =
            |services: &Services| services.iter().find(|(name, ..)| name == base).map(|(_, _, node)| node.clone());
        let Some(file) = file else {
            let node = find(services)?;
            return Some(self.extended(&node, services, base, reading, depth + 1));
        };
        let mut root = tree::read(&(self.load)(file)?).ok()?.root;
        interpolate::interpolate(&mut root, self.env, reading);
        let services = services_of(&root);
        let node = find(&services)?;
        Some(self.extended(&node, &services, base, reading, depth + 1))
    }
}

/// The tool's rule: maps are merged, lists of ports and the like are joined, anything else is replaced.
/// What says how services belong together is not inherited.
fn merge(parent: &Node, child: &Node) -> Node {
    const JOINED: [&str; 10] = [
        "ports",
        "expose",
        "volumes",
        "devices",
        "dns",
        "tmpfs",
        "cap_add",
        "security_opt",
        "env_file",
        "external_links",
    ];
    const NOT_INHERITED: [&str; 4] = ["links", "volumes_from", "depends_on", "extends"];
    let mut entries: Vec<_> =
        parent.entries().iter().filter(|(key, _)| !NOT_INHERITED.contains(&key.name.as_str())).cloned().collect();
    for (key, value) in child.entries() {
        let Some((_, known)) = entries.iter_mut().find(|(known, _)| known.name == key.name) else {
            entries.push((key.clone(), value.clone()));
            continue;
        };
        *known = match key.name.as_str() {
            "environment" | "labels" | "deploy" | "build" | "logging" if known.is_map() && value.is_map() => {
                merge(known, value)
            }
            "environment" => joined(known, value),
            name if JOINED.contains(&name) => joined(known, value),
            _ => value.clone(),
        };
    }
    Node { at: child.at, kind: Kind::Map(entries) }
}

/// The items of both, as a list; those of a map as `name=value`.
fn joined(first: &Node, second: &Node) -> Node {
    let items = |node: &Node| -> Vec<Node> {
        match &node.kind {
            Kind::List(items) => items.clone(),
            Kind::Map(entries) => entries
                .iter()
                .map(|(key, value)| {
                    let text = match value.text() {
                        Some(text) => format!("{}={text}", key.name),
                        None => key.name.clone(),
                    };
                    Node { at: key.at, kind: Kind::Scalar { text, plain: false } }
                })
                .collect(),
            Kind::Scalar { .. } => vec![node.clone()],
        }
    };
    let mut all = items(first);
    all.extend(items(second));
    Node { at: second.at, kind: Kind::List(all) }
}

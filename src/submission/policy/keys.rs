//! Rules that look at a service's keys, and at networks and volumes of the file.

use serde_json::Value;

use super::{Found, View, texts, truth};

pub(super) fn privileged(view: &View<'_>, found: &mut Vec<Found>) {
    for service in view.services() {
        if truth(&service.raw["privileged"]) {
            found.push(Found::at_key(
                service,
                "privileged",
                format!("`{}` asks to be privileged: it would be root of the machine", service.name),
                format!("`{}` pide ser privilegiado: sería root de la máquina", service.name),
            ));
        }
    }
}

pub(super) fn host_namespaces(view: &View<'_>, found: &mut Vec<Found>) {
    const KEYS: [&str; 7] = ["network_mode", "net", "pid", "ipc", "uts", "userns_mode", "cgroup"];
    for service in view.services() {
        for key in KEYS {
            let value = service.raw[key].as_str().unwrap_or_default().trim();
            let foreign = value.strip_prefix("container:").is_some_and(|name| !view.is_own_container(name));
            // A container that is not of this file is a matter of `external`, but for its processes and memory.
            if value == "host" || (foreign && matches!(key, "pid" | "ipc")) {
                found.push(Found::at_key(
                    service,
                    key,
                    format!("`{}` asks for `{key}: {value}`, which is the machine's own", service.name),
                    format!("`{}` pide `{key}: {value}`, que es de la propia máquina", service.name),
                ));
            }
        }
        // The network named `host` is the machine's, by whatever way it is reached.
        for network in service.networks.keys() {
            let def = &view.compose.networks.get(network).unwrap_or(&Value::Null);
            let name = external_name(network, def);
            if def["driver"] == "host" || (is_external(def) && name == "host") {
                found.push(Found::at_key(
                    service,
                    "networks",
                    format!("`{}` is on the network `{network}`, which is the machine's own", service.name),
                    format!("`{}` está en la red `{network}`, que es de la propia máquina", service.name),
                ));
            }
        }
    }
}

pub(super) fn devices(view: &View<'_>, found: &mut Vec<Found>) {
    for service in view.services() {
        for key in ["devices", "device_cgroup_rules", "gpus", "runtime"] {
            let value = &service.raw[key];
            let none = matches!(value, Value::Null) || value.as_array().is_some_and(Vec::is_empty) || value == "runc";
            if !none {
                let what = texts(value).join(", ");
                found.push(Found::at_key(
                    service,
                    key,
                    format!("`{}` asks for devices of the machine (`{key}: {what}`)", service.name),
                    format!("`{}` pide dispositivos de la máquina (`{key}: {what}`)", service.name),
                ));
            }
        }
    }
}

pub(super) fn cgroup_parent(view: &View<'_>, found: &mut Vec<Found>) {
    for service in view.services() {
        if let Some(parent) = service.raw["cgroup_parent"].as_str() {
            found.push(Found::at_key(
                service,
                "cgroup_parent",
                format!("`{}` asks for the control group `{parent}`, outside of what the engine limits", service.name),
                format!("`{}` pide el grupo de control `{parent}`, fuera de lo que el motor limita", service.name),
            ));
        }
    }
}

pub(super) fn cap_add(view: &View<'_>, found: &mut Vec<Found>) {
    for service in view.services() {
        let added = texts(&service.raw["cap_add"]);
        if !added.is_empty() {
            let added = added.join(", ");
            found.push(Found::at_key(
                service,
                "cap_add",
                format!("`{}` asks for the capabilities {added}", service.name),
                format!("`{}` pide las capacidades {added}", service.name),
            ));
        }
    }
}

pub(super) fn security_opt(view: &View<'_>, found: &mut Vec<Found>) {
    for service in view.services() {
        // This one tightens.
        let loosens = |option: &&str| !option.replace('=', ":").starts_with("no-new-privileges");
        let options: Vec<&str> = texts(&service.raw["security_opt"]).into_iter().filter(loosens).collect();
        if !options.is_empty() {
            let options = options.join(", ");
            found.push(Found::at_key(
                service,
                "security_opt",
                format!("`{}` asks for less confinement: {options}", service.name),
                format!("`{}` pide menos aislamiento: {options}", service.name),
            ));
        }
    }
}

pub(super) fn external(view: &View<'_>, found: &mut Vec<Found>) {
    for (section, map, kind) in [
        ("networks", &view.compose.networks, ("network", "la red")),
        ("volumes", &view.compose.volumes, ("volume", "el volumen")),
    ] {
        for (name, def) in map {
            let keys = |last: &str| vec![section.to_owned(), name.clone(), last.to_owned()];
            if is_external(def) && external_name(name, def) != "host" {
                let text = crate::text::Text::new(
                    format!(
                        "the {} `{name}` is external: it is not of this file; an ordinary one takes its place",
                        kind.0
                    ),
                    format!(
                        "{} `{name}` es externo a este archivo (`external`); en su lugar se crea uno común",
                        kind.1
                    ),
                );
                found.push(Found { service: None, text, at: place(view), keys: keys("external") });
            }
            // These drivers put containers on the machine's own network card.
            if let Some(driver @ ("macvlan" | "ipvlan")) = def["driver"].as_str() {
                let text = crate::text::Text::new(
                    format!(
                        "the network `{name}` (`{driver}`) reaches out on the machine's network card; an ordinary one takes its place"
                    ),
                    format!(
                        "la red `{name}` (`{driver}`) sale por la tarjeta de red de la máquina; en su lugar se crea una común"
                    ),
                );
                found.push(Found { service: None, text, at: place(view), keys: keys("driver") });
            }
        }
    }
    for service in view.services() {
        let container = |value: &str| value.strip_prefix("container:").is_some_and(|name| !view.is_own_container(name));
        let mut foreign: Vec<(&str, String)> = Vec::new();
        for key in ["network_mode", "net"] {
            if let Some(value) = service.raw[key].as_str().filter(|value| container(value)) {
                foreign.push((key, value.to_owned()));
            }
        }
        let volumes_from: Vec<&str> =
            texts(&service.raw["volumes_from"]).into_iter().filter(|v| container(v)).collect();
        if !volumes_from.is_empty() {
            foreign.push(("volumes_from", volumes_from.join(", ")));
        }
        let links = texts(&service.raw["external_links"]);
        if !links.is_empty() {
            foreign.push(("external_links", links.join(", ")));
        }
        for (key, value) in foreign {
            found.push(Found::at_key(
                service,
                key,
                format!("`{}` uses a container that is not of this file (`{key}: {value}`)", service.name),
                format!("`{}` usa un contenedor que no es de este archivo (`{key}: {value}`)", service.name),
            ));
        }
    }
}

fn place(view: &View<'_>) -> crate::expect::Place {
    let file = view.compose.path.display().to_string();
    let line = u32::from(!file.is_empty());
    crate::expect::Place { file, line, column: line }
}

/// `external: true`, or a map with the name.
fn is_external(def: &Value) -> bool {
    truth(&def["external"]) || def["external"].is_object()
}

fn external_name<'a>(name: &'a str, def: &'a Value) -> &'a str {
    def["external"]["name"].as_str().or_else(|| def["name"].as_str()).unwrap_or(name)
}

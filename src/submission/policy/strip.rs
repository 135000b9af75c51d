//! Takes what the policy strips out of a resolved file, and the services that it refuses.

use serde_json::{Map, Value};

use super::{Action, Hit};

/// The file without what was stripped and without refused services; nothing points at what is gone.
pub fn strip(mut file: Value, hits: &[Hit]) -> Value {
    for hit in hits.iter().filter(|hit| hit.action == Action::Strip) {
        take_out(&mut file, hit);
    }
    for hit in hits.iter().filter(|hit| hit.action == Action::Refuse) {
        if let Some(service) = &hit.service {
            leave_out(&mut file, service);
        }
    }
    file
}

fn take_out(file: &mut Value, hit: &Hit) {
    let Some((last, path)) = hit.keys.split_last() else { return };
    let mut here = &mut *file;
    for key in path {
        // The first version's form has its services at the top.
        here = match here.get_mut(key) {
            Some(_) => &mut here[key],
            None if key == "services" => here,
            None => return,
        };
    }
    let Some(map) = here.as_object_mut() else { return };
    match hit.rule.as_str() {
        "external" if path.first().is_some_and(|section| section == "networks" || section == "volumes") => {
            // An ordinary one takes its place: nothing that named or drove the other is kept, but for an address plan.
            map.retain(|key, _| key == "labels" || (key == "ipam" && last == "driver"));
        }
        // Only the offending bind goes, not every volume of the service.
        "host_binds" | "docker_socket" if last == "volumes" => remove_bind(map, hit),
        _ => {
            map.remove(last);
        }
    }
}

/// The bind that the hit's text names.
fn remove_bind(service: &mut Map<String, Value>, hit: &Hit) {
    let Some(Value::Array(volumes)) = service.get_mut("volumes") else { return };
    volumes.retain(|volume| {
        let source = match volume {
            Value::String(text) => text.split(':').next(),
            other => other["source"].as_str(),
        };
        source.is_none_or(|source| !hit.text.en.contains(&format!("`{source}`")))
    });
}

/// A service and every mention of it by others: what they needed of it is not there, and they start all the same.
fn leave_out(file: &mut Value, name: &str) {
    let services = if file.get("services").is_some() { &mut file["services"] } else { file };
    let Some(services) = services.as_object_mut() else { return };
    services.remove(name);
    let names = |text: &str| text.split(':').next() == Some(name);
    for service in services.values_mut().filter_map(Value::as_object_mut) {
        for key in ["links", "depends_on", "volumes_from"] {
            match service.get_mut(key) {
                Some(Value::Array(items)) => items.retain(|item| !item.as_str().is_some_and(names)),
                Some(Value::Object(map)) => {
                    map.remove(name);
                }
                _ => {}
            }
        }
    }
}

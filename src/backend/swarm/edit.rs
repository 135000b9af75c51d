//! What of a stack's file cannot run on nodes whose kernel has no IP_VS: one address for a service, and a port of every node.
//! There a service's name means the addresses of its tasks, and a port is one of the nodes that they run on.

use serde_json::{Map, Value, json};

use crate::submission::{ComposeFile, ServiceDef};
use crate::text::Text;

/// The services that need IP_VS as they are written.
pub fn needs_ingress(file: &ComposeFile) -> Vec<String> {
    file.services.iter().filter(|service| vip(service) || meshed(service)).map(|service| service.name.clone()).collect()
}

/// Those of them that have a port of every node.
pub(super) fn on_the_mesh(file: &ComposeFile) -> impl Iterator<Item = String> + '_ {
    file.services.iter().filter(|service| meshed(service)).map(|service| service.name.clone())
}

/// Those of them that have one address, whichever tasks are behind it.
pub(super) fn addressed(file: &ComposeFile) -> impl Iterator<Item = String> + '_ {
    file.services.iter().filter(|service| vip(service)).map(|service| service.name.clone())
}

fn vip(service: &ServiceDef) -> bool {
    let mode = service.raw.get("deploy").and_then(|deploy| deploy.get("endpoint_mode")).and_then(Value::as_str);
    mode != Some("dnsrr")
}

fn meshed(service: &ServiceDef) -> bool {
    let ports = service.raw.get("ports").and_then(Value::as_array);
    ports.is_some_and(|ports| ports.iter().any(|port| port.get("mode").and_then(Value::as_str) != Some("host")))
}

/// Said of what was changed.
pub(super) fn said(services: &[String]) -> Option<Text> {
    let names = services.join(", ");
    (!services.is_empty()).then(|| {
        Text::new(
            format!("{names}: container nodes have no IP_VS in their kernel, so the service's name leads to its tasks (endpoint_mode: dnsrr), and its ports are published on the nodes that run them (mode: host) and not on every node"),
            format!("{names}: los nodos en contenedores no tienen IP_VS en su kernel, así que el nombre del servicio lleva a sus tareas (endpoint_mode: dnsrr) y sus puertos se publican en los nodos que las corren (mode: host), no en todos"),
        )
    })
}

/// The file without the services that are left out, and with those of `unmeshed` as the nodes here can run them.
pub(super) fn without(mut file: Value, left_out: &[String], unmeshed: &[String]) -> Value {
    let Some(services) = file.get_mut("services").and_then(Value::as_object_mut) else { return file };
    services.retain(|name, _| !left_out.contains(name));
    services.values_mut().for_each(cpus_as_text);
    for (_, service) in services.iter_mut().filter(|(name, _)| unmeshed.contains(name)) {
        let Some(service) = service.as_object_mut() else { continue };
        let deploy = service.entry("deploy").or_insert_with(|| Value::Object(Map::new()));
        if let Some(deploy) = deploy.as_object_mut() {
            deploy.insert("endpoint_mode".to_owned(), json!("dnsrr"));
        }
        if let Some(ports) = service.get_mut("ports").and_then(Value::as_array_mut) {
            let long: Vec<Value> = ports.iter().map(on_the_node).collect();
            *ports = long;
        }
    }
    file
}

/// `docker stack deploy` takes a number of cpus as text only, and the copy has it as a number.
fn cpus_as_text(service: &mut Value) {
    for bound in ["limits", "reservations"] {
        let path = format!("/deploy/resources/{bound}/cpus");
        if let Some(cpus) = service.pointer_mut(&path).filter(|cpus| cpus.is_number()) {
            *cpus = json!(cpus.to_string());
        }
    }
}

/// `5000:5000/tcp` as a port of the node; what is written in another way stays as it is.
fn on_the_node(port: &Value) -> Value {
    if let Some(long) = port.as_object() {
        let mut long = long.clone();
        long.insert("mode".to_owned(), json!("host"));
        return Value::Object(long);
    }
    let text = port.as_str().map_or_else(|| port.to_string(), str::to_owned);
    let (text, protocol) = text.split_once('/').unwrap_or((&text, "tcp"));
    let mut parts = text.rsplit(':');
    let number = |part: Option<&str>| part.and_then(|part| part.trim().parse::<u16>().ok());
    let (Some(target), published) = (number(parts.next()), number(parts.next())) else { return port.clone() };
    let mut long = json!({"target": target, "protocol": protocol, "mode": "host"});
    if let (Some(published), Some(long)) = (published, long.as_object_mut()) {
        long.insert("published".to_owned(), json!(published));
    }
    long
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_needs_it_is_changed() {
        let service = |name: &str, raw: Value| ServiceDef { name: name.into(), raw, ..ServiceDef::default() };
        let file = ComposeFile {
            services: vec![
                service("app", json!({"ports": ["5000:5000"], "deploy": {"endpoint_mode": "dnsrr"}})),
                service("db", json!({"image": "mysql:5.7"})),
                service("own", json!({"deploy": {"endpoint_mode": "dnsrr"}, "ports": [{"target": 1, "mode": "host"}]})),
            ],
            ..ComposeFile::default()
        };
        assert_eq!(needs_ingress(&file), ["app", "db"]);
        assert_eq!(on_the_mesh(&file).collect::<Vec<_>>(), ["app"]);
        assert_eq!(addressed(&file).collect::<Vec<_>>(), ["db"]);
        assert!(said(&[]).is_none());
    }

    #[test]
    fn ports_of_every_node_become_ports_of_the_node() {
        let file = json!({"services": {
            "app": {"image": "x", "ports": ["5000:80/tcp", "0.0.0.0:81:82", {"target": 1, "published": 2}]}, "gone": {}}});
        let edited = without(file, &["gone".to_owned()], &["app".to_owned()]);
        assert_eq!(
            edited,
            json!({"services": {"app": {"image": "x", "deploy": {"endpoint_mode": "dnsrr"}, "ports": [
                {"target": 80, "published": 5000, "protocol": "tcp", "mode": "host"},
                {"target": 82, "published": 81, "protocol": "tcp", "mode": "host"},
                {"target": 1, "published": 2, "mode": "host"}]}}})
        );
        let limited =
            json!({"services": {"app": {"deploy": {"resources": {"limits": {"cpus": 0.5, "memory": "128M"}}}}}});
        let limits = without(limited, &[], &[])["services"]["app"]["deploy"]["resources"]["limits"].clone();
        assert_eq!(limits, json!({"cpus": "0.5", "memory": "128M"}), "the deploy takes no number there");
        assert_eq!(on_the_node(&json!("1000-1010:1000-1010")), json!("1000-1010:1000-1010"));
        assert_eq!(on_the_node(&json!(80)), json!({"target": 80, "protocol": "tcp", "mode": "host"}));
    }
}

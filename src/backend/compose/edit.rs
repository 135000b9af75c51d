//! Changes to the resolved file: what the policy strips and what cannot run here. Never to the student's own file.

use std::time::Duration;

use serde_json::Value;

use super::tool::Tool;
use crate::backend::BackendError;
use crate::exec::{Cmd, Shell, ShellExt};
use crate::notice::{Level, Notice};
use crate::submission::policy::{Action, Hit};
use crate::submission::{ComposeFile, policy, tree};
use crate::text::Text;

/// One change, and what is said of it.
#[derive(Clone, Debug)]
pub struct Change {
    what: What,
    pub said: Text,
}

#[derive(Clone, Debug)]
enum What {
    /// Taken out by the policy.
    Stripped(Hit),
    /// The log driver of a collector that is not there.
    LogDriver(String),
    /// Several replicas on one host port.
    Replicas(String),
    /// A network driver that only a swarm has.
    NetworkDriver(String),
}

/// Log drivers that need nothing but the engine.
const OWN_LOG_DRIVERS: &[&str] = &["json-file", "local", "none"];

/// What of the resolved file cannot run as it is.
pub fn changes(file: &ComposeFile, hits: &[Hit]) -> Vec<Change> {
    let mut changes = Vec::new();
    for hit in hits.iter().filter(|h| h.action == Action::Strip) {
        changes.push(Change { what: What::Stripped(hit.clone()), said: hit.text.clone() });
    }
    for service in &file.services {
        let name = &service.name;
        if let Some(driver) = service.log_driver.as_ref().filter(|d| !OWN_LOG_DRIVERS.contains(&d.as_str())) {
            changes.push(Change {
                what: What::LogDriver(name.clone()),
                said: Text::new(
                    format!("{name} runs with the default log driver: no collector for `{driver}` is part of this run"),
                    format!("{name} usa el controlador de logs por defecto: no hay colector para `{driver}` en esta ejecución"),
                ),
            });
        }
        let fixed = service.ports.iter().any(|p| p.host.is_some());
        if service.replicas.is_some_and(|n| n > 1) && fixed {
            changes.push(Change {
                what: What::Replicas(name.clone()),
                said: Text::new(
                    format!("{name} runs once: several on one host port need a swarm"),
                    format!("{name} se ejecuta una sola vez: varias réplicas en un mismo puerto requieren un swarm"),
                ),
            });
        }
    }
    for (name, network) in &file.networks {
        if network.get("driver").and_then(Value::as_str) == Some("overlay") {
            changes.push(Change {
                what: What::NetworkDriver(name.clone()),
                said: Text::new(
                    format!("the network {name} is a bridge here: overlay networks need a swarm"),
                    format!("la red {name} es aquí de tipo bridge: las redes overlay requieren un swarm"),
                ),
            });
        }
    }
    changes
}

/// The same of a file for a swarm, which has what only a swarm has.
pub fn changes_in_swarm(file: &ComposeFile, hits: &[Hit]) -> Vec<Change> {
    let everywhere = |change: &Change| matches!(change.what, What::Stripped(_) | What::LogDriver(_));
    changes(file, hits).into_iter().filter(everywhere).collect()
}

/// Writes the changed copy of the resolved file beside the submission's, and points the tool at it.
pub async fn write(
    resolved: &str,
    changes: &[Change],
    confine: impl FnOnce(Value) -> Value,
    tool: &Tool,
    shell: &dyn Shell,
) -> Result<Tool, BackendError> {
    let root = tree::read(resolved).map_err(|e| {
        BackendError::Other(Text::new(
            format!("could not read the resolved file: {}", e.message),
            format!("no se pudo leer el archivo resuelto: {}", e.message),
        ))
    })?;
    let edited = confine(apply(root.root.to_json(), changes));
    let file = format!("{}.imparcial.json", tool.file);
    let text = serde_json::to_vec_pretty(&edited).map_err(|e| BackendError::Other(Text::same(e.to_string())))?;
    shell.must(&Cmd::new(["tee", "--", &file]).stdin(text).timeout(Duration::from_secs(10))).await?;
    Ok(tool.with_file(file))
}

fn apply(mut file: Value, changes: &[Change]) -> Value {
    let hits: Vec<Hit> = changes
        .iter()
        .filter_map(|c| match &c.what {
            What::Stripped(hit) => Some(hit.clone()),
            _ => None,
        })
        .collect();
    file = policy::strip(file, &hits);
    for change in changes {
        let (path, key): ([&str; 2], &str) = match &change.what {
            What::Stripped(_) => continue,
            What::LogDriver(service) => (["services", service], "logging"),
            What::Replicas(service) => (["services", service], "replicas"),
            What::NetworkDriver(network) => (["networks", network], "driver"),
        };
        let Some(mut map) = file.get_mut(path[0]).and_then(|v| v.get_mut(path[1])) else { continue };
        if key == "replicas" {
            match map.get_mut("deploy") {
                Some(deploy) => map = deploy,
                None => continue,
            }
        }
        if let Some(map) = map.as_object_mut() {
            map.remove(key);
        }
    }
    file
}

/// Host paths that may be bound are made, empty, on the lab's own disk; a student sees that nothing was in them. Gives
/// those that were made.
pub async fn prepare_host_paths(
    left_out: &[String],
    file: &ComposeFile,
    shell: &dyn Shell,
    notices: &mut Vec<Notice>,
) -> Result<Vec<String>, BackendError> {
    let mut made = Vec::new();
    for service in file.services.iter().filter(|s| !left_out.contains(&s.name)) {
        for path in policy::foreign_paths(file, service) {
            // What the lab has (a socket, a time zone's file) is bound as it is.
            let there = shell.run(&Cmd::new(["test", "-e", &path]).timeout(Duration::from_secs(10))).await?;
            if there.ok() {
                let empty = Cmd::new(["find", &path, "-maxdepth", "0", "-type", "d", "-empty"]);
                if !shell.run(&empty.timeout(Duration::from_secs(10))).await?.stdout.is_empty() {
                    made.push(path);
                }
                continue;
            }
            shell.must(&Cmd::new(["mkdir", "-p", "--", &path]).timeout(Duration::from_secs(10))).await?;
            made.push(path.clone());
            notices.push(Notice {
                id: "compose.host_path".to_owned(),
                level: Level::Info,
                text: Text::new(
                    format!("{} binds the host folder {path}: it was made, empty, for this run", service.name),
                    format!(
                        "{} monta la carpeta del anfitrión {path}: se creó vacía para esta ejecución",
                        service.name
                    ),
                ),
                at: None,
                service: Some(service.name.clone()),
            });
        }
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::submission::{PortDef, ServiceDef};

    #[test]
    fn only_what_cannot_run_here_is_changed() {
        let mut file = ComposeFile::default();
        file.services.push(ServiceDef {
            name: "app".to_owned(),
            log_driver: Some("fluentd".to_owned()),
            replicas: Some(3),
            ports: vec![PortDef { host: Some(5000), container: 5000, ..PortDef::default() }],
            ..ServiceDef::default()
        });
        file.networks.insert("net".to_owned(), json!({"driver": "overlay"}));
        let changes = changes(&file, &[]);
        assert_eq!(changes.len(), 3);
        let edited = apply(
            json!({"services": {"app": {"image": "x", "logging": {"driver": "fluentd"}, "deploy": {"replicas": 3}}}, "networks": {"net": {"driver": "overlay"}}}),
            &changes,
        );
        assert_eq!(edited, json!({"services": {"app": {"image": "x", "deploy": {}}}, "networks": {"net": {}}}));
    }
}

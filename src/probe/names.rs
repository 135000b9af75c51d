//! The names under which a role can be reached from inside another service.

use std::time::Duration;

use crate::agent::client::Agent;
use crate::agent::{Look, Sight};
use crate::docker::Container;
use crate::probe::ProbeError;
use crate::probe::common::look;

/// Every name of `target` that may mean something inside `asking`: service, aliases, container name, links, and what the
/// container's own hosts file says. The likeliest first.
pub async fn names(
    agent: &Agent,
    asking: Option<&Container>,
    target: &Container,
    timeout: Duration,
) -> Result<Vec<String>, ProbeError> {
    let mut out = target.names.clone();
    if let Some(asking) = asking {
        out.extend(asking.links.iter().filter(|(to, _)| *to == target.name).map(|(_, name)| name.clone()));
        let hosts = "/etc/hosts".to_owned();
        if let Sight::Files { contents } = look(agent, Look::Files { paths: vec![hosts.clone()] }, timeout).await? {
            let addresses: Vec<&str> = target.addresses.values().map(String::as_str).collect();
            out.extend(hosts_names(contents.get(&hosts).map_or("", String::as_str), &addresses));
        }
    }
    let mut seen = std::collections::HashSet::new();
    out.retain(|name| !name.is_empty() && seen.insert(name.to_ascii_lowercase()));
    Ok(out)
}

/// The names that a hosts file gives to one of these addresses.
fn hosts_names(hosts: &str, addresses: &[&str]) -> Vec<String> {
    let lines = hosts.lines().map(|line| line.split('#').next().unwrap_or_default());
    lines
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            addresses.contains(&words.next()?).then(|| words.map(str::to_owned).collect::<Vec<_>>())
        })
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosts_file_names_the_store() {
        let hosts = "127.0.0.1\tlocalhost\n172.18.0.2  database mysql.local # by hand\n172.18.0.9 other\n";
        assert_eq!(hosts_names(hosts, &["172.18.0.2"]), ["database", "mysql.local"]);
    }
}

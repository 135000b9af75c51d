//! What was heard of an app since its first process, with the names and addresses that it takes to judge it.

use std::net::IpAddr;
use std::time::Duration;

use super::health::Health;
use super::judge::{Dialled, Scene, judge};
use crate::agent::dials::Dials;
use crate::agent::{Look, Sight};
use crate::docker::Container;
use crate::probe::ProbeError;
use crate::probe::common::{look, published};
use crate::stack::Stack;

/// What was heard, and what it comes to.
pub(in crate::probe) struct Heard {
    pub(in crate::probe) dials: Dials,
    pub(in crate::probe) dialled: Dialled,
}

/// Hears what `app` has asked for and dialled since it started. None where nobody can tell: it shares its network with the
/// machine or with another container.
///
/// # Errors
/// Where nothing listened, or it was lost.
pub(in crate::probe) async fn hear(
    stack: &Stack,
    app: &Container,
    store: &Container,
    containers: &[Container],
    port: u16,
    timeout: Duration,
) -> Result<Option<Heard>, ProbeError> {
    let shared = containers.iter().any(|c| c.id != app.id && c.running() && c.namespace == app.namespace);
    if app.namespace.is_empty() || app.namespace == "default" || shared {
        return Ok(None);
    }
    let agent = stack.spot_of(app).agents.lab().await?;
    // Those of our own looks that have begun by now.
    let mut not_the_app = stack.spot_of(app).agents.visits(&app.id);
    let hosts = look(&agent, Look::Files { paths: vec![app.hosts_path.clone()] }, timeout).await?;
    let hosts = match &hosts {
        Sight::Files { contents } => contents.get(&app.hosts_path).map_or("", String::as_str),
        _ => "",
    };
    let dials = match look(&agent, Look::Dials { namespace: app.namespace.clone() }, timeout).await? {
        Sight::Dials { seen: Some(dials) } => dials,
        _ => {
            let service = &app.service;
            return Err(ProbeError::ours(
                format!("what service {service} dials was not heard: its network came and went unseen"),
                format!("no se oyó a quién llama el servicio {service}: su red apareció sin que se viera"),
            ));
        }
    };
    let health = checked(stack, app).await?;
    not_the_app.extend(health.checks);
    let doubtful = health.doubtful;
    let scene = Scene { not_the_app, doubtful, hosts: lines(hosts), ..scene(stack, app, store, containers, port) };
    let dialled = judge(&dials, &scene);
    Ok(Some(Heard { dials, dialled }))
}

/// The health checks until after what was heard: those since `app` was looked up are among them.
async fn checked(stack: &Stack, app: &Container) -> Result<Health, ProbeError> {
    if app.health_every.is_none() {
        return Ok(Health::default());
    }
    let now = stack.containers().await?;
    Ok(Health::of(now.iter().find(|c| c.id == app.id).unwrap_or(app)))
}

fn scene(stack: &Stack, app: &Container, store: &Container, containers: &[Container], port: u16) -> Scene {
    let addresses = |c: &Container| c.addresses.values().filter_map(|a| a.parse().ok()).collect::<Vec<IpAddr>>();
    let lower = store.names.iter().map(|name| name.to_lowercase());
    // Docker's resolver knows each name also with its network's behind it.
    let long = |name: String| {
        let with_network = store.addresses.keys().map(|net| format!("{name}.{net}").to_lowercase()).collect::<Vec<_>>();
        std::iter::once(name).chain(with_network)
    };
    let mut names: Vec<String> = lower.flat_map(long).collect();
    names.extend(app.links.iter().filter(|(to, _)| *to == store.name).map(|(_, name)| name.to_lowercase()));
    let others = containers.iter().filter(|c| c.id != app.id && c.id != store.id);
    let doors = published(containers).into_iter().filter(|p| p.service == store.service);
    Scene {
        port,
        names,
        addresses: addresses(store),
        published: doors.filter(|p| p.container == port).map(|p| p.host).collect(),
        machine: stack
            .spot_of(store)
            .address
            .parse()
            .into_iter()
            .chain(app.gateways.iter().filter_map(|g| g.parse().ok()))
            .collect(),
        others: others.map(|c| (c.service.clone(), addresses(c))).collect(),
        own: addresses(app),
        hosts: Vec::new(),
        not_the_app: Vec::new(),
        doubtful: Vec::new(),
    }
}

/// The lines of a hosts file, one for each name.
fn lines(hosts: &str) -> Vec<(IpAddr, String)> {
    let lines = hosts.lines().map(|line| line.split('#').next().unwrap_or_default());
    lines
        .flat_map(|line| {
            let mut words = line.split_whitespace();
            let address = words.next().and_then(|a| a.parse().ok());
            address.into_iter().flat_map(move |address: IpAddr| words.clone().map(move |w| (address, w.to_lowercase())))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosts_file_is_read_line_by_line() {
        let hosts = "127.0.0.1\tlocalhost\n172.18.0.2  Database mysql.local # by hand\n# x\nno address\n";
        let pair = |a: &str, n: &str| (a.parse().unwrap(), n.to_owned());
        assert_eq!(
            lines(hosts),
            [pair("127.0.0.1", "localhost"), pair("172.18.0.2", "database"), pair("172.18.0.2", "mysql.local")]
        );
    }
}

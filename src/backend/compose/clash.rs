//! What of the host is in the way of a stack: ports, container names and networks that somebody has already. Looked at
//! before anything starts, and told all at once.

use std::collections::HashMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};

use bollard::query_parameters::{ListContainersOptionsBuilder, ListNetworksOptions};

use crate::backend::BackendError;
use crate::docker::Engine;
use crate::submission::{ComposeFile, PortDef};
use crate::text::Text;

/// What is taken on the host, each with its holder.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    pub ports: Vec<Port>,
    pub containers: Vec<String>,
    pub subnets: Vec<(Subnet, String)>,
}

/// A port that somebody listens on; no address is every one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    pub number: u16,
    pub udp: bool,
    pub address: Option<IpAddr>,
    pub holder: Option<String>,
    inode: u64,
}

/// An IPv4 network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    base: u32,
    mask: u32,
}

impl Subnet {
    /// `192.168.56.0/24`.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.trim().split_once('/')?;
        let (address, bits): (Ipv4Addr, u32) = (address.parse().ok()?, bits.parse().ok()?);
        let mask = u32::MAX.checked_shl(32_u32.checked_sub(bits)?).unwrap_or(0);
        Some(Self { base: u32::from(address) & mask, mask })
    }

    fn overlaps(self, other: Self) -> bool {
        let wider = self.mask & other.mask;
        self.base & wider == other.base & wider
    }
}

impl std::fmt::Display for Subnet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.base), self.mask.count_ones())
    }
}

/// Looks at the host, and gives every clash as one error.
pub async fn check(engine: &Engine, file: &ComposeFile, left_out: &[String]) -> Result<(), BackendError> {
    let clashes = clashes(file, left_out, &taken(engine).await?);
    if clashes.is_empty() {
        return Ok(());
    }
    let all = |of: fn(&Text) -> &String| clashes.iter().map(|c| of(c).as_str()).collect::<Vec<_>>().join("; ");
    Err(BackendError::Other(Text::new(
        format!("this machine is in the way, so nothing was started: {}", all(|t| &t.en)),
        format!("esta máquina estorba, así que nada se inició: {}", all(|t| &t.es)),
    )))
}

/// What of the file is taken.
pub fn clashes(file: &ComposeFile, left_out: &[String], taken: &Taken) -> Vec<Text> {
    let mut found = Vec::new();
    let services = || file.services.iter().filter(|s| !left_out.contains(&s.name));
    for (service, port) in services().flat_map(|s| s.ports.iter().map(move |p| (s, p))) {
        let Some(number) = port.host else { continue };
        if let Some(other) = taken.ports.iter().find(|other| same(port, number, other)) {
            let (name, kind) = (&service.name, if port.udp { "/udp" } else { "" });
            let (en, es) = match &other.holder {
                Some(holder) => (format!("is held by {holder}"), format!("lo ocupa {holder}")),
                None => ("is in use".to_owned(), "está en uso".to_owned()),
            };
            found.push(Text::new(
                format!("port {number}{kind} of {name} {en}"),
                format!("el puerto {number}{kind} de {name} {es}"),
            ));
        }
    }
    for service in services() {
        let Some(name) = service.container_name.as_ref().filter(|name| taken.containers.contains(name)) else {
            continue;
        };
        found.push(Text::new(
            format!("the container name `{name}` of {} is taken", service.name),
            format!("el nombre de contenedor `{name}` de {} ya existe", service.name),
        ));
    }
    for (name, def) in &file.networks {
        let configs = def["ipam"]["config"].as_array().into_iter().flatten();
        for wanted in configs.filter_map(|c| Subnet::parse(c["subnet"].as_str()?)) {
            if let Some((subnet, holder)) = taken.subnets.iter().find(|(subnet, _)| subnet.overlaps(wanted)) {
                found.push(Text::new(
                    format!("the network {name} ({wanted}) overlaps {holder} ({subnet})"),
                    format!("la red {name} ({wanted}) se solapa con {holder} ({subnet})"),
                ));
            }
        }
    }
    found
}

fn same(port: &PortDef, number: u16, other: &Port) -> bool {
    let address = port.host_ip.as_deref().and_then(|ip| ip.parse::<IpAddr>().ok()).filter(|ip| !ip.is_unspecified());
    let apart = matches!((address, other.address), (Some(a), Some(b)) if a != b);
    number == other.number && port.udp == other.udp && !apart
}

async fn taken(engine: &Engine) -> Result<Taken, BackendError> {
    let mut taken = Taken::default();
    // Stopped ones hold a name, too.
    let options = ListContainersOptionsBuilder::new().all(true).build();
    let containers = engine.docker().list_containers(Some(options)).await;
    for container in containers.map_err(|e| engine.explain("list containers", &e))? {
        let names: Vec<String> =
            container.names.into_iter().flatten().map(|n| n.trim_start_matches('/').to_owned()).collect();
        let holder = names.first().map(|name| format!("container {name}"));
        for port in container.ports.into_iter().flatten() {
            let Some(number) = port.public_port else { continue };
            let address = port.ip.and_then(|ip| ip.parse::<IpAddr>().ok()).filter(|ip| !ip.is_unspecified());
            let udp = port.typ.is_some_and(|t| t.to_string() == "udp");
            taken.ports.push(Port { number, udp, address, holder: holder.clone(), inode: 0 });
        }
        taken.containers.extend(names);
    }
    let networks = engine.docker().list_networks(None::<ListNetworksOptions>).await;
    for network in networks.map_err(|e| engine.explain("list networks", &e))? {
        let name = network.name.unwrap_or_default();
        let configs = network.ipam.and_then(|i| i.config).unwrap_or_default();
        let subnets = configs.into_iter().filter_map(|c| Subnet::parse(&c.subnet?));
        taken.subnets.extend(subnets.map(|subnet| (subnet, format!("the engine's network {name}"))));
    }
    let read = |file: &str| fs::read_to_string(format!("/proc/net/{file}")).unwrap_or_default();
    taken.subnets.extend(routes(&read("route")));
    let mut listening: Vec<Port> = Vec::new();
    for (file, udp) in [("tcp", false), ("tcp6", false), ("udp", true), ("udp6", true)] {
        listening.extend(sockets(&read(file), udp));
    }
    let owners = owners();
    for port in &mut listening {
        port.holder = owners.get(&port.inode).cloned();
    }
    // After the containers, whose ports some process of the engine holds.
    taken.ports.append(&mut listening);
    Ok(taken)
}

/// Listening sockets of a file of `/proc/net`.
fn sockets(text: &str, udp: bool) -> Vec<Port> {
    let one = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (address, number) = fields.get(1)?.split_once(':')?;
        let number = u16::from_str_radix(number, 16).ok()?;
        let listens = *fields.get(3)? == if udp { "07" } else { "0A" };
        let address = address_of(address).filter(|ip| !ip.is_unspecified());
        let inode = fields.get(9)?.parse().ok()?;
        listens.then_some(Port { number, udp, address, holder: None, inode })
    };
    text.lines().skip(1).filter_map(one).collect()
}

/// As the kernel prints it: words of four bytes, each in the machine's own order.
fn address_of(hex: &str) -> Option<IpAddr> {
    let words: Vec<u32> = (0..hex.len() / 8)
        .map(|i| u32::from_str_radix(hex.get(i * 8..i * 8 + 8)?, 16).ok().map(u32::from_be))
        .collect::<Option<_>>()?;
    match words.as_slice() {
        [v4] => Some(IpAddr::from(v4.to_be_bytes())),
        [a, b, c, d] => {
            let all = (u128::from(*a) << 96) | (u128::from(*b) << 64) | (u128::from(*c) << 32) | u128::from(*d);
            Some(IpAddr::from(all.to_be_bytes()).to_canonical())
        }
        _ => None,
    }
}

/// Networks that the host reaches by a route of their own.
fn routes(text: &str) -> Vec<(Subnet, String)> {
    let one = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let word = |i: usize| u32::from_str_radix(fields.get(i)?, 16).ok().map(u32::from_be);
        let (base, mask) = (word(1)?, word(7)?);
        (mask != 0).then(|| (Subnet { base, mask }, format!("a route through {}", fields[0])))
    };
    text.lines().skip(1).filter_map(one).collect()
}

/// The processes that hold sockets, by inode; those of others only as root.
fn owners() -> HashMap<u64, String> {
    let mut owners = HashMap::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        for fd in fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten() {
            let Ok(target) = fs::read_link(fd.path()) else { continue };
            let inode = target.to_str().and_then(|t| t.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
            let Some(inode) = inode else { continue };
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            owners.insert(inode, format!("{} (process {pid})", name.trim()));
        }
    }
    owners
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::submission::ServiceDef;

    fn port(number: u16, address: Option<&str>, holder: Option<&str>) -> Port {
        let address = address.map(|a| a.parse().unwrap());
        Port { number, udp: false, address, holder: holder.map(str::to_owned), inode: 0 }
    }

    fn file() -> ComposeFile {
        let mut file = ComposeFile::default();
        let publish = |ip: Option<&str>, host| PortDef {
            host_ip: ip.map(str::to_owned),
            host: Some(host),
            container: 1,
            udp: false,
        };
        file.services.push(ServiceDef {
            name: "app".into(),
            container_name: Some("web".into()),
            ports: vec![publish(None, 5000), publish(Some("127.0.0.1"), 6000), PortDef::default()],
            ..ServiceDef::default()
        });
        file.networks.insert("back".into(), json!({"ipam": {"config": [{"subnet": "172.20.4.0/24"}]}}));
        file
    }

    #[test]
    fn every_clash_is_told_at_once_with_its_holder() {
        let taken = Taken {
            ports: vec![port(5000, Some("10.0.0.1"), Some("nginx (process 7)")), port(6000, None, None)],
            containers: vec!["web".into()],
            subnets: vec![(Subnet::parse("172.20.0.0/16").unwrap(), "the engine's network x".into())],
        };
        let said: Vec<String> = clashes(&file(), &[], &taken).into_iter().map(|t| t.en).collect();
        assert_eq!(
            said,
            [
                "port 5000 of app is held by nginx (process 7)",
                "port 6000 of app is in use",
                "the container name `web` of app is taken",
                "the network back (172.20.4.0/24) overlaps the engine's network x (172.20.0.0/16)",
            ]
        );
        assert_eq!(clashes(&file(), &["app".into()], &taken).len(), 1, "what is not started takes nothing");
    }

    #[test]
    fn what_is_elsewhere_is_not_in_the_way() {
        let taken = Taken {
            ports: vec![port(6000, Some("10.0.0.1"), None), Port { udp: true, ..port(5000, None, None) }],
            containers: vec!["web2".into()],
            subnets: vec![(Subnet::parse("172.20.5.0/24").unwrap(), "x".into())],
        };
        assert!(clashes(&file(), &[], &taken).is_empty());
    }

    #[test]
    fn the_kernels_tables_are_read() {
        let tcp = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:1388 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 77 1 0\n\
            1: 00000000:1389 00000000:0000 01 00000000:00000000 00:00000000 00000000     0        0 78 1 0\n";
        let local = Port { inode: 77, ..port(5000, Some("127.0.0.1"), None) };
        assert_eq!(sockets(tcp, false), [local]);
        assert_eq!(address_of("00000000000000000000000001000000"), Some("::1".parse().unwrap()));
        let route = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n\
            eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\n\
            eth0\t0038A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\n";
        let found = routes(route);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].0.to_string().as_str(), found[0].1.as_str()), ("192.168.56.0/24", "a route through eth0"));
    }
}

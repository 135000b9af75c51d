//! `port`: whether something listens on a port of a machine, by the kernel's table of its sockets.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;

use super::from_outside::{only, or_ended, tables};
use super::kernel::{TCP_LISTENS, UDP_BOUND, sockets};
use super::{Looks, On, OnMachines, Seen};
use crate::expect::{FactSpec, Facts, Unit};
use crate::probe::common::Found;
use crate::probe::{Probe, ProbeError, ProbeKind};
use crate::scenario::tree::Decoder;
use crate::stack::machines::Node;
use crate::stack::{Body, Stack};
use crate::text::Text;

pub static KIND: ProbeKind = ProbeKind {
    name: "port",
    summary: "Something listens on a port of a machine, by the kernel's table of its sockets as the lab reads it; whether it can be reached, `tcp` says. A port that the machine's own engine publishes by address translation alone has no socket",
    facts: &[
        FactSpec { name: "listening", unit: Unit::Bool, summary: "a socket is there" },
        FactSpec {
            name: "address",
            unit: Unit::Text,
            summary: "where it listens: `0.0.0.0` or `::` for everywhere, else an address; of several the widest",
        },
        FactSpec { name: "addresses", unit: Unit::List, summary: "all of them" },
    ],
    example: "{id: gluster-listens, points: 0, port: {on: all, port: 24007}, expect: {listening: true, address: {not: \"127.0.0.1\"}}}",
    schema: || {
        json!({"type": "object", "additionalProperties": false, "required": ["port"], "properties": {
            "port": {"type": "integer", "minimum": 1, "maximum": 65535, "description": "its number"},
            "protocol": {"enum": ["tcp", "udp"], "description": "`tcp` by default"},
            "on": On::schema()
        }})
    },
    decode: |d| decode(d).map(|probe| Box::new(probe) as Box<dyn Probe>),
};

struct Port {
    port: u16,
    udp: bool,
    on: On,
}

fn decode(d: &mut Decoder<'_>) -> Option<Port> {
    d.required("port");
    let (port, protocol, on) = (d.port("port"), d.word("protocol", &["tcp", "udp"]), On::decode(d, "on"));
    Some(Port { port: port?, udp: protocol == Some("udp"), on })
}

impl OnMachines for Port {
    fn on(&self) -> &On {
        &self.on
    }
}

#[async_trait]
impl Looks for Port {
    async fn at(&self, stack: &Stack, node: &Node, body: &Body, timeout: Duration) -> Result<Seen, ProbeError> {
        let names = if self.udp { ["net/udp", "net/udp6"] } else { ["net/tcp", "net/tcp6"] };
        let looked = tables(stack, body, names, timeout).await;
        Ok(match or_ended(looked, stack, node, body).await? {
            Found::Here(tables) => judge(self.port, self.udp, &tables),
            Found::Absent(why) => only(why, self.without(Some(node))),
        })
    }

    fn without(&self, _node: Option<&Node>) -> Facts {
        Facts::new()
    }
}

fn judge(port: u16, udp: bool, tables: &[String; 2]) -> Seen {
    let state = if udp { UDP_BOUND } else { TCP_LISTENS };
    let all = || tables.iter().flat_map(|table| sockets(table, state));
    let mut here: Vec<IpAddr> = all().filter(|(_, p)| *p == port).map(|(address, _)| address).collect();
    here.sort_by_key(|address| (!address.is_unspecified(), address.is_loopback(), address.is_ipv6()));
    here.dedup();
    if here.is_empty() {
        let mut others: Vec<u16> = all().map(|(_, port)| port).collect();
        others.sort_unstable();
        others.dedup();
        let others = others.iter().take(30).map(u16::to_string).collect::<Vec<_>>().join(", ");
        return Seen::of([("listening", json!(false)), ("addresses", json!([]))]).because(Text::new(
            format!("nothing listens on port {port}; ports that are listened on: {others}"),
            format!("nada escucha en el puerto {port}; puertos en los que se escucha: {others}"),
        ));
    }
    let names: Vec<String> = here.iter().map(IpAddr::to_string).collect();
    let only = here.iter().all(IpAddr::is_loopback);
    let mut seen =
        Seen::of([("listening", json!(true)), ("address", json!(names.first())), ("addresses", json!(names))]);
    if only {
        seen.why = Some(Text::new(
            format!("port {port} is listened on for the machine itself only"),
            format!("en el puerto {port} solo se escucha para la propia máquina"),
        ));
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOUR: &str = "  sl  local_address rem_address   st\n   0: 00000000:5DC7 00000000:0000 0A 0\n   \
        1: 0100007F:0CEA 00000000:0000 0A 0\n   2: 040011AC:0CEA 010011AC:D431 01 0\n";
    const SIX: &str =
        "  sl  local_address\n   0: 00000000000000000000000000000000:5DC7 00000000000000000000000000000000:0000 0A 0\n";

    fn at(port: u16) -> Seen {
        judge(port, false, &[FOUR.to_owned(), SIX.to_owned()])
    }

    #[test]
    fn where_it_listens_is_a_fact() {
        let wide = at(24007);
        assert_eq!((&wide.facts["address"], &wide.facts["addresses"]), (&json!("0.0.0.0"), &json!(["0.0.0.0", "::"])));
        let narrow = at(3306);
        assert_eq!((&narrow.facts["listening"], &narrow.facts["address"]), (&json!(true), &json!("127.0.0.1")));
        assert!(narrow.why.unwrap().en.contains("for the machine itself only"));
        let none = at(80);
        assert_eq!(none.facts["listening"], json!(false));
        assert_eq!(none.why.unwrap().en, "nothing listens on port 80; ports that are listened on: 3306, 24007");
    }
}

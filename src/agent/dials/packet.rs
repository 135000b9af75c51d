//! One packet read: a DNS message over UDP, or the beginning of a TCP connection. All else says nothing here.
//!
//! Packets are whatever a submission sends; what cannot be read is left out.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use etherparse::{ArpOperation, ArpPacketSlice, LaxNetSlice, LaxSlicedPacket, TransportSlice};
use simple_dns::rdata::RData;
use simple_dns::{Packet, PacketFlag};

/// Docker's own resolver. Its port is rewritten on the way, so that a question is seen at some other one.
const RESOLVER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11));
/// DNS, and DNS over TLS.
const DNS: [u16; 2] = [53, 853];
/// The longest name that DNS has.
const LONGEST: usize = 255;

/// What a packet tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A name was asked for.
    Asked(String),
    /// What it was said to be.
    Told(String, Vec<IpAddr>),
    /// A connection to there was begun.
    Tried(SocketAddr),
    /// And was accepted from there.
    Accepted(SocketAddr),
    /// Or refused.
    Refused(SocketAddr),
    /// A connection that may carry questions.
    Hidden,
}

/// Reads a packet that begins with its IP header. `out`: it was sent from here, not received.
pub(super) fn read(bytes: &[u8], out: bool) -> Vec<Event> {
    let Ok(packet) = LaxSlicedPacket::from_ip(bytes) else { return Vec::new() };
    let (from, to): (IpAddr, IpAddr) = match &packet.net {
        Some(LaxNetSlice::Ipv4(ip)) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        Some(LaxNetSlice::Ipv6(ip)) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        _ => return Vec::new(),
    };
    match &packet.transport {
        Some(TransportSlice::Udp(udp)) => {
            let ports = [udp.source_port(), udp.destination_port()];
            if from == RESOLVER || to == RESOLVER || ports.contains(&DNS[0]) {
                message(udp.payload(), out)
            } else {
                Vec::new()
            }
        }
        Some(TransportSlice::Tcp(tcp)) => {
            let port = if out { tcp.destination_port() } else { tcp.source_port() };
            let other = SocketAddr::new(if out { to } else { from }, port);
            match (out, tcp.syn(), tcp.ack(), tcp.rst()) {
                (true, true, false, false) if other.ip() == RESOLVER || DNS.contains(&port) => vec![Event::Hidden],
                (true, true, false, false) => vec![Event::Tried(other)],
                (false, true, true, false) => vec![Event::Accepted(other)],
                (false, _, _, true) => vec![Event::Refused(other)],
                _ => Vec::new(),
            }
        }
        _ => Vec::new(),
    }
}

/// A DNS message: on `lo` each is seen twice, so a question counts where it leaves and an answer where it comes in.
fn message(bytes: &[u8], out: bool) -> Vec<Event> {
    let Ok(message) = Packet::parse(bytes) else { return Vec::new() };
    let Some(name) = message.questions.first().map(|q| plain(&q.qname.to_string())) else { return Vec::new() };
    if name.is_empty() || name.len() > LONGEST {
        return Vec::new();
    }
    match (message.has_flags(PacketFlag::RESPONSE), out) {
        (false, true) => vec![Event::Asked(name)],
        (true, false) => {
            let address = |data: &RData<'_>| match data {
                RData::A(a) => Some(IpAddr::V4(a.address.into())),
                RData::AAAA(a) => Some(IpAddr::V6(a.address.into())),
                _ => None,
            };
            vec![Event::Told(name, message.answers.iter().filter_map(|a| address(&a.rdata)).collect())]
        }
        _ => Vec::new(),
    }
}

/// A name as it is compared: what it may hold besides letters is not for us to keep.
fn plain(name: &str) -> String {
    let name = name.trim_end_matches('.').to_lowercase();
    if name.chars().any(|c| c.is_control() || c.is_whitespace()) { String::new() } else { name }
}

/// The address that an ARP question looks for. Where nobody has it, no packet to it is ever sent.
pub(super) fn sought(bytes: &[u8]) -> Option<Ipv4Addr> {
    let arp = ArpPacketSlice::from_slice(bytes).ok()?;
    if arp.operation() != ArpOperation::REQUEST {
        return None;
    }
    <[u8; 4]>::try_from(arp.target_protocol_addr()).ok().map(Ipv4Addr::from)
}

/// The ports to which a connection to `address` is being begun, by the kernel's table of sockets.
pub(super) fn begun(table: &str, address: Ipv4Addr) -> Vec<SocketAddr> {
    const SYN_SENT: &str = "02";
    let remote = |line: &str| {
        let mut words = line.split_whitespace().skip(2);
        let (there, state) = (words.next()?, words.next()?);
        let (ip, port) = there.split_once(':')?;
        let ip = Ipv4Addr::from(u32::from_str_radix(ip, 16).ok()?.to_le_bytes());
        let port = u16::from_str_radix(port, 16).ok()?;
        (state == SYN_SENT && ip == address).then_some(SocketAddr::from((ip, port)))
    };
    table.lines().skip(1).filter_map(remote).collect()
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;
    use proptest::prelude::*;
    use simple_dns::{CLASS, Name, QCLASS, QTYPE, ResourceRecord, TYPE};

    use super::*;

    const APP: [u8; 4] = [172, 18, 0, 3];
    const DB: [u8; 4] = [172, 18, 0, 2];

    fn udp(from: [u8; 4], to: [u8; 4], ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        PacketBuilder::ipv4(from, to, 64).udp(ports.0, ports.1).write(&mut bytes, payload).unwrap();
        bytes
    }

    fn tcp(
        from: ([u8; 4], u16),
        to: ([u8; 4], u16),
        flags: fn(etherparse::PacketBuilderStep<etherparse::TcpHeader>) -> Vec<u8>,
    ) -> Vec<u8> {
        flags(PacketBuilder::ipv4(from.0, to.0, 64).tcp(from.1, to.1, 1, 1000))
    }

    fn written(step: etherparse::PacketBuilderStep<etherparse::TcpHeader>) -> Vec<u8> {
        let mut bytes = Vec::new();
        step.write(&mut bytes, &[]).unwrap();
        bytes
    }

    fn question(name: &str) -> Packet<'_> {
        let mut packet = Packet::new_query(7);
        let name = Name::new_unchecked(name);
        packet.questions.push(simple_dns::Question::new(name, QTYPE::TYPE(TYPE::A), QCLASS::CLASS(CLASS::IN), false));
        packet
    }

    #[test]
    fn a_question_to_dockers_resolver_is_seen_at_any_port_once() {
        let asked = question("Db").build_bytes_vec().unwrap();
        let packet = udp([127, 0, 0, 1], [127, 0, 0, 11], (40_000, 40_381), &asked);
        assert_eq!(read(&packet, true), [Event::Asked("db".into())]);
        assert_eq!(read(&packet, false), []);
        let mut told = question("db").into_reply();
        told.answers.push(ResourceRecord::new(
            Name::new_unchecked("db"),
            CLASS::IN,
            60,
            RData::A(simple_dns::rdata::A { address: u32::from_be_bytes(DB) }),
        ));
        let packet = udp([127, 0, 0, 11], [127, 0, 0, 1], (53, 40_000), &told.build_bytes_vec().unwrap());
        assert_eq!(read(&packet, false), [Event::Told("db".into(), vec![DB.into()])]);
        assert_eq!(read(&packet, true), []);
        let elsewhere = udp(APP, [8, 8, 8, 8], (40_000, 53), &asked);
        assert_eq!(read(&elsewhere, true), [Event::Asked("db".into())]);
        assert_eq!(read(&udp(APP, [8, 8, 8, 8], (40_000, 54), &asked), true), []);
    }

    #[test]
    fn attempts_are_told_from_what_comes_in() {
        let syn = tcp((APP, 40_000), ([192, 168, 1, 20], 3306), |s| written(s.syn()));
        let there: SocketAddr = "192.168.1.20:3306".parse().unwrap();
        assert_eq!(read(&syn, true), [Event::Tried(there)]);
        assert_eq!(read(&syn, false), [], "a visitor of the app");
        let reset = tcp(([192, 168, 1, 20], 3306), (APP, 40_000), |s| written(s.rst()));
        assert_eq!(read(&reset, false), [Event::Refused(there)]);
        let accepted = tcp((DB, 3306), (APP, 40_000), |s| written(s.syn().ack(2)));
        assert_eq!(read(&accepted, false), [Event::Accepted(SocketAddr::from((DB, 3306)))]);
        assert_eq!(read(&accepted, true), [], "the app accepts");
        let dns = tcp((APP, 40_000), ([127, 0, 0, 11], 40_381), |s| written(s.syn()));
        assert_eq!(read(&dns, true), [Event::Hidden]);
    }

    #[test]
    fn an_address_that_nobody_has_is_found_in_the_table_of_sockets() {
        let arp = etherparse::ArpPacket::new(
            etherparse::ArpHardwareId::ETHERNET,
            etherparse::EtherType::IPV4,
            ArpOperation::REQUEST,
            &[1; 6],
            &APP,
            &[0; 6],
            &[172, 18, 0, 9],
        )
        .unwrap();
        let address = sought(&arp.to_bytes()).unwrap();
        let table = "  sl  local_address rem_address   st tx_queue\n   0: 030012AC:9C40 090012AC:0CEA 02 00000001:00000000\n   1: 030012AC:9C41 020012AC:0CEA 01 00000001:00000000\n";
        assert_eq!(begun(table, address), ["172.18.0.9:3306".parse::<SocketAddr>().unwrap()]);
        assert_eq!(begun(table, DB.into()), [], "connected already");
        assert_eq!(sought(b"no arp"), None);
    }

    proptest! {
        #[test]
        fn hostile_packets_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), out: bool) {
            let _ = read(&bytes, out);
            let _ = sought(&bytes);
            let _ = read(&udp(APP, [127, 0, 0, 11], (1, 2), &bytes), out);
        }
    }
}

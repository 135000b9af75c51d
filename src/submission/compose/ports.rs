//! Published ports: the short and the long form, ranges, host addresses; from the text as written.

use super::Reading;
use crate::submission::PortDef;
use crate::submission::tree::{self, Kind, Node};
use crate::text::Text;

/// A range wider than this is no port that anyone looks at.
const MAX_RANGE: u16 = 1000;

pub(super) fn ports(name: &str, service: &Node, reading: &mut Reading) -> Vec<PortDef> {
    let Some(list) = service.get("ports") else { return Vec::new() };
    let one = std::slice::from_ref(list);
    let items = if matches!(list.kind, Kind::List(_)) { list.items() } else { one };
    let mut found = Vec::new();
    for item in items.iter().filter(|item| !item.is_null()) {
        let read = if item.is_map() { long(item) } else { item.text().and_then(short) };
        match read {
            Some(ports) => found.extend(ports),
            None => {
                let text = item.text().unwrap_or("…");
                let said = Text::new(
                    format!("`{text}` of `{name}` is no port to publish"),
                    format!("`{text}` de `{name}` no es un puerto que se pueda publicar"),
                );
                reading.say("compose.unreadable_port", item.at, Some(name), said);
            }
        }
        if let Kind::Scalar { text, plain: true } = &item.kind
            && let Some(number) = tree::base60(text)
        {
            let said = Text::new(
                format!(
                    "`{text}` without quotes is the number {number} to docker-compose 1 (base 60): write \"{text}\""
                ),
                format!(
                    "`{text}` sin comillas es el número {number} para docker-compose 1 (base 60): escriba \"{text}\""
                ),
            );
            reading.say("compose.base60", item.at, Some(name), said);
        }
    }
    found
}

fn long(node: &Node) -> Option<Vec<PortDef>> {
    let container = node.get("target")?.text()?.trim().parse().ok()?;
    let udp = node.get("protocol").and_then(Node::text).is_some_and(|p| p.eq_ignore_ascii_case("udp"));
    let host_ip = node.get("host_ip").and_then(Node::text).map(str::to_owned);
    let host = match node.get("published").and_then(Node::text) {
        // A range lets the engine choose in it.
        Some(text) => range(text)?.filter(|(first, last)| first == last).map(|(first, _)| first),
        None => None,
    };
    Some(vec![PortDef { host_ip, host, container, udp }])
}

/// `5000`, `80:5000`, `127.0.0.1:80:5000`, `127.0.0.1::5000`, `80-82:5000-5002`, `[::1]:80:80`, each with `/udp` or `/tcp`.
fn short(text: &str) -> Option<Vec<PortDef>> {
    let (text, protocol) = text.trim().split_once('/').unwrap_or((text.trim(), "tcp"));
    let udp = protocol.eq_ignore_ascii_case("udp");
    let (rest, container) = text.rsplit_once(':').unwrap_or(("", text));
    let (first, last) = range(container)??;
    let (address, host) = rest.rsplit_once(':').unwrap_or(("", rest));
    let host_ip = (!address.is_empty()).then(|| address.trim_matches(['[', ']']).to_owned());
    let host = range(host)?;
    let wide = last - first;
    if wide > MAX_RANGE {
        return None;
    }
    let mut ports = Vec::new();
    for i in 0..=wide {
        let host = match host {
            None => None,
            Some((low, high)) if high - low == wide => Some(low + i),
            // Several host ports for one of the container: the engine chooses.
            Some(_) if wide == 0 => None,
            Some(_) => return None,
        };
        ports.push(PortDef { host_ip: host_ip.clone(), host, container: first + i, udp });
    }
    Some(ports)
}

/// A port or a range of them; `Some(None)` of nothing.
fn range(text: &str) -> Option<Option<(u16, u16)>> {
    let text = text.trim();
    if text.is_empty() {
        return Some(None);
    }
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let (low, high) = (low.trim().parse().ok()?, high.trim().parse().ok()?);
    (low <= high).then_some(Some((low, high)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(host_ip: Option<&str>, host: Option<u16>, container: u16) -> PortDef {
        PortDef { host_ip: host_ip.map(str::to_owned), host, container, udp: false }
    }

    #[test]
    fn short_forms() {
        assert_eq!(short("5000"), Some(vec![one(None, None, 5000)]));
        assert_eq!(short("80:5000"), Some(vec![one(None, Some(80), 5000)]));
        assert_eq!(short("80:5000/tcp"), Some(vec![one(None, Some(80), 5000)]));
        assert_eq!(short("127.0.0.1:80:5000"), Some(vec![one(Some("127.0.0.1"), Some(80), 5000)]));
        assert_eq!(short("127.0.0.1::5000"), Some(vec![one(Some("127.0.0.1"), None, 5000)]));
        assert_eq!(short("[::1]:80:81"), Some(vec![one(Some("::1"), Some(80), 81)]));
        assert_eq!(short("80-81:90-91"), Some(vec![one(None, Some(80), 90), one(None, Some(81), 91)]));
        assert_eq!(short("3000-3005:80"), Some(vec![one(None, None, 80)]));
        assert!(short("53:53/udp").expect("a port")[0].udp);
    }

    #[test]
    fn nonsense_is_none() {
        for text in ["", "x:80", "80:", "70000:80", "90-80:80", "1-9999:1-9999", "80-83:90-91", "a:b:c:d"] {
            assert_eq!(short(text), None, "{text}");
        }
    }
}

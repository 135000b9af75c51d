//! What `gluster --xml` prints, read into data: peers, volumes, which bricks run, what is still to be healed.

use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};

/// Deeper than anything that the tool prints.
const DEEPEST: usize = 32;

/// A machine that the asked one has as its peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) uuid: String,
    /// All names that it is known by, the first one first.
    pub(super) names: Vec<String>,
    /// It is reachable, and wholly in the cluster.
    pub(super) connected: bool,
}

/// A volume as it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Volume {
    pub(super) name: String,
    /// `Replicate`, `Distributed-Replicate`, `Distribute`, `Disperse` …
    pub(super) kind: String,
    pub(super) started: bool,
    /// Of one set, arbiters included; 1 where nothing is copied.
    pub(super) replicas: usize,
    pub(super) disperse: usize,
    pub(super) redundancy: usize,
    /// Sets stand one behind the other.
    pub(super) bricks: Vec<Brick>,
}

/// A folder of a machine that a volume lies in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Brick {
    /// The machine's own number in the cluster.
    pub(super) uuid: String,
    pub(super) host: String,
    pub(super) path: String,
    /// It has names alone and no content.
    pub(super) arbiter: bool,
}

impl Brick {
    /// As the tool calls it: `master:/data/brick`.
    pub(super) fn name(&self) -> String {
        format!("{}:{}", self.host, self.path)
    }
}

/// A process of a brick.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Running {
    pub(super) uuid: String,
    pub(super) path: String,
    pub(super) online: bool,
    pub(super) port: Option<u16>,
}

/// What a brick has still to get or to give.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Heal {
    pub(super) name: String,
    pub(super) pending: u64,
    pub(super) split_brain: u64,
}

/// An answer of the tool: it, or the words with which it refused.
pub(super) type Said<T> = Result<T, String>;

/// None: that is no answer of the tool's.
pub(super) fn peers(text: &str) -> Option<Said<Vec<Peer>>> {
    answer(text, |root| {
        let peer = |of: &Element| {
            let mut names: Vec<String> = of.text_of("hostname").into_iter().collect();
            for more in of.child("hostnames").iter().flat_map(|all| all.all("hostname")) {
                if !names.contains(&more.text) {
                    names.push(more.text.clone());
                }
            }
            // Before it is 3 the two have not agreed yet.
            let agreed = of.text_of("state").is_none_or(|state| state == "3");
            let connected = agreed && of.text_of("connected").as_deref() == Some("1");
            Some(Peer { uuid: of.text_of("uuid")?, names, connected })
        };
        root.child("peerStatus").iter().flat_map(|all| all.all("peer")).filter_map(peer).collect()
    })
}

pub(super) fn volumes(text: &str) -> Option<Said<Vec<Volume>>> {
    answer(text, |root| {
        let volumes = root.child("volInfo").and_then(|info| info.child("volumes"));
        volumes.iter().flat_map(|all| all.all("volume")).filter_map(volume).collect()
    })
}

fn volume(of: &Element) -> Option<Volume> {
    let brick = |brick: &Element| {
        let name = brick.text_of("name")?;
        let (host, path) = name.split_once(":/").map(|(host, path)| (host.to_owned(), format!("/{path}")))?;
        let uuid = brick.text_of("hostUuid").or_else(|| brick.attribute("uuid"))?;
        Some(Brick { uuid, host, path, arbiter: brick.text_of("isArbiter").as_deref() == Some("1") })
    };
    Some(Volume {
        name: of.text_of("name")?,
        kind: of.text_of("typeStr").unwrap_or_default(),
        started: of.text_of("status").as_deref() == Some("1"),
        replicas: of.number("replicaCount").unwrap_or(1).max(1),
        disperse: of.number("disperseCount").unwrap_or(0),
        redundancy: of.number("redundancyCount").unwrap_or(0),
        bricks: of.child("bricks").iter().flat_map(|all| all.all("brick")).filter_map(brick).collect(),
    })
}

/// The bricks of every volume in it; the tool's other helpers are no bricks.
pub(super) fn running(text: &str) -> Option<Said<Vec<Running>>> {
    answer(text, |root| {
        let volumes = root.child("volStatus").and_then(|status| status.child("volumes"));
        let nodes = volumes.iter().flat_map(|all| all.all("volume")).flat_map(|volume| volume.all("node"));
        let running = |node: &Element| {
            Some(Running {
                uuid: node.text_of("peerid")?,
                path: node.text_of("path").filter(|path| path.starts_with('/'))?,
                online: node.text_of("status").as_deref() == Some("1"),
                port: node.number("port").and_then(|port| u16::try_from(port).ok()),
            })
        };
        nodes.filter_map(running).collect()
    })
}

/// Of `volume heal V info summary`.
pub(super) fn heals(text: &str) -> Option<Said<Vec<Heal>>> {
    answer(text, |root| {
        let bricks = root.child("healInfo").and_then(|info| info.child("bricks"));
        let count = |brick: &Element, name: &str| brick.number(name).unwrap_or(0) as u64;
        let heal = |brick: &Element| {
            Some(Heal {
                name: brick.text_of("name")?,
                pending: count(brick, "numberOfEntriesInHealPending"),
                split_brain: count(brick, "numberOfEntriesInSplitBrain"),
            })
        };
        bricks.iter().flat_map(|all| all.all("brick")).filter_map(heal).collect()
    })
}

fn answer<T>(text: &str, read: impl FnOnce(&Element) -> T) -> Option<Said<T>> {
    let root = parse(text).filter(|root| root.name == "cliOutput")?;
    match root.text_of("opRet")?.as_str() {
        "0" => Some(Ok(read(&root))),
        _ => Some(Err(root.text_of("opErrstr").unwrap_or_default())),
    }
}

#[derive(Debug, Default)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    /// Its own, without what stands in its children.
    text: String,
    children: Vec<Element>,
}

impl Element {
    fn of(start: &BytesStart<'_>) -> Self {
        let word = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let attributes = start.attributes().flatten().map(|a| (word(a.key.as_ref()), word(&a.value))).collect();
        Self { name: word(start.name().as_ref()), attributes, ..Self::default() }
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    fn text_of(&self, name: &str) -> Option<String> {
        self.child(name).map(|child| child.text.trim().to_owned())
    }

    fn attribute(&self, name: &str) -> Option<String> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
    }

    fn number(&self, name: &str) -> Option<usize> {
        self.text_of(name)?.parse().ok()
    }
}

fn parse(text: &str) -> Option<Element> {
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Element> = Vec::new();
    loop {
        let closed = match reader.read_event().ok()? {
            Event::Start(start) if open.len() < DEEPEST => {
                open.push(Element::of(&start));
                continue;
            }
            Event::Start(_) | Event::Eof => return None,
            Event::Empty(start) => Element::of(&start),
            Event::End(_) => open.pop()?,
            Event::Text(words) => {
                append(&mut open, &words.xml10_content().ok()?);
                continue;
            }
            Event::GeneralRef(named) => {
                append(&mut open, &entity(&named)?);
                continue;
            }
            _ => continue,
        };
        match open.last_mut() {
            Some(parent) => parent.children.push(closed),
            None => return Some(closed),
        }
    }
}

fn append(open: &mut [Element], words: &str) {
    if let Some(last) = open.last_mut() {
        last.text.push_str(words);
    }
}

fn entity(named: &BytesRef<'_>) -> Option<String> {
    if let Some(character) = named.resolve_char_ref().ok()? {
        return Some(character.to_string());
    }
    quick_xml::escape::resolve_predefined_entity(&named.decode().ok()?).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by GlusterFS 10.3 on four container nodes.
    const INFO: &str = include_str!("said/info.xml");
    const PEERS: &str = include_str!("said/peers.xml");
    const PEERS_DOWN: &str = include_str!("said/peers-down.xml");
    const STATUS_DOWN: &str = include_str!("said/status-down.xml");
    const HEAL: &str = include_str!("said/heal.xml");
    const HEAL_DOWN: &str = include_str!("said/heal-down.xml");

    #[test]
    fn volumes_are_read_as_they_were_made() {
        let all = volumes(INFO).unwrap().unwrap();
        let shapes: Vec<(&str, &str, bool, usize, usize, usize, usize)> = all
            .iter()
            .map(|v| {
                (v.name.as_str(), v.kind.as_str(), v.started, v.replicas, v.disperse, v.redundancy, v.bricks.len())
            })
            .collect();
        assert_eq!(
            shapes,
            [
                ("arb", "Replicate", false, 3, 0, 0, 3),
                ("dist", "Distribute", true, 1, 0, 0, 4),
                ("dos", "Distributed-Replicate", true, 2, 0, 0, 4),
                ("ec", "Disperse", false, 1, 4, 1, 4),
                ("root", "Replicate", false, 2, 0, 0, 2),
                ("same", "Distributed-Replicate", false, 2, 0, 0, 4),
                ("volumen", "Replicate", true, 4, 0, 0, 4),
            ]
        );
        let arbiters: Vec<bool> = all[0].bricks.iter().map(|brick| brick.arbiter).collect();
        assert_eq!(arbiters, [false, false, true]);
        let brick = &all[6].bricks[1];
        assert_eq!(
            (brick.name().as_str(), brick.uuid.get(..8)),
            ("192.168.56.11:/gluster/brick/volumen", Some("fc1c389e"))
        );
    }

    #[test]
    fn a_peer_that_is_away_is_told_from_one_that_is_there() {
        let connected = |text: &str| peers(text).unwrap().unwrap().iter().map(|p| p.connected).collect::<Vec<_>>();
        assert_eq!(connected(PEERS), [true, true, true]);
        assert_eq!(connected(PEERS_DOWN), [true, true, false]);
        assert_eq!(peers(PEERS).unwrap().unwrap()[0].names, ["192.168.56.11"]);
    }

    #[test]
    fn bricks_that_run_have_a_port() {
        let all = running(STATUS_DOWN).unwrap().unwrap();
        let ports: Vec<Option<u16>> = all.iter().map(|brick| brick.port).collect();
        // The fourth machine's is not there at all, and helpers are none.
        assert_eq!(ports, [Some(56498), Some(50971), None]);
        assert_eq!(all.iter().map(|brick| brick.online).collect::<Vec<_>>(), [true, true, false]);
    }

    #[test]
    fn what_is_to_be_healed_is_counted_where_it_can_be() {
        let whole = heals(HEAL).unwrap().unwrap();
        assert!(whole.iter().all(|heal| heal.pending == 0 && heal.split_brain == 0));
        let down = heals(HEAL_DOWN).unwrap().unwrap();
        let seen: Vec<u64> = down.iter().map(|heal| heal.pending).collect();
        assert_eq!(seen, [2, 2, 0, 0]);
    }

    #[test]
    fn a_refusal_is_told_from_what_is_no_answer() {
        let refused = "<?xml version=\"1.0\"?><cliOutput><opRet>-1</opRet><opErrno>30800</opErrno>\
            <opErrstr>Volume a&amp;b &#60;x&gt; does not exist</opErrstr></cliOutput>";
        assert_eq!(running(refused), Some(Err("Volume a&b <x> does not exist".to_owned())));
        assert_eq!(volumes("Connection failed. Please check if gluster daemon is operational.\n"), None);
        assert_eq!(volumes(&"<a>".repeat(100_000)), None);
        assert_eq!(volumes("<cliOutput><opRet>0</opRet></cliOutput>"), Some(Ok(Vec::new())));
    }
}

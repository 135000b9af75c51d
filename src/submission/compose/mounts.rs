//! Volumes of a service: the short form (`./sql:/docker-entrypoint-initdb.d:ro`) and the long one.

use super::Reading;
use crate::submission::MountDef;
use crate::submission::tree::{Kind, Node};

pub(super) fn mounts(service: &Node, reading: &Reading) -> Vec<MountDef> {
    let Some(list) = service.get("volumes") else { return Vec::new() };
    let one = std::slice::from_ref(list);
    let items = if matches!(list.kind, Kind::List(_)) { list.items() } else { one };
    items
        .iter()
        .filter_map(|item| {
            let mut mount = if item.is_map() { long(item)? } else { short(item.text()?) };
            mount.at = reading.place(item.at);
            Some(mount)
        })
        .collect()
}

/// Whether the source of a volume in the short form is a path.
fn is_path(source: &str) -> bool {
    let drive = source.as_bytes().first().is_some_and(u8::is_ascii_alphabetic) && source[1..].starts_with([':']);
    source.starts_with(['.', '/', '~', '\\']) || drive || source.contains('/')
}

fn short(text: &str) -> MountDef {
    let text = text.trim();
    // `C:\data:/data` has a colon in its source.
    let drive = text.len() > 2
        && text.as_bytes()[0].is_ascii_alphabetic()
        && text.as_bytes()[1] == b':'
        && matches!(text.as_bytes()[2], b'\\' | b'/');
    let skip = if drive { 2 } else { 0 };
    let mut parts = text[skip..].splitn(3, ':');
    let first = parts.next().unwrap_or_default();
    let source = &text[..skip + first.len()];
    let Some(target) = parts.next() else {
        return MountDef { target: source.to_owned(), ..MountDef::default() };
    };
    let mode = parts.next().unwrap_or_default();
    MountDef {
        source: Some(source.to_owned()),
        target: target.to_owned(),
        bind: is_path(source),
        read_only: mode.split(',').any(|m| m == "ro"),
        ..MountDef::default()
    }
}

/// Of the kinds bind and volume; tmpfs has no source and is not of this host.
fn long(node: &Node) -> Option<MountDef> {
    let text = |key: &str| node.get(key).and_then(Node::text).map(str::to_owned);
    let kind = text("type").unwrap_or_else(|| "volume".to_owned());
    if kind == "tmpfs" {
        return None;
    }
    let source = text("source").or_else(|| text("src"));
    Some(MountDef {
        bind: kind == "bind" || kind == "npipe" || source.as_deref().is_some_and(|s| s.starts_with(['/', '.', '~'])),
        source,
        target: text("target").or_else(|| text("destination")).or_else(|| text("dst"))?,
        read_only: node.get("read_only").is_some_and(Node::truth),
        ..MountDef::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms() {
        let read = |text: &str| {
            let m = short(text);
            (m.source, m.target, m.bind, m.read_only)
        };
        let some = |s: &str| Some(s.to_owned());
        assert_eq!(read("./sql:/initdb:ro"), (some("./sql"), "/initdb".into(), true, true));
        assert_eq!(read("data:/var/lib/mysql"), (some("data"), "/var/lib/mysql".into(), false, false));
        assert_eq!(read("/var/lib/mysql"), (None, "/var/lib/mysql".into(), false, false));
        assert_eq!(read("~/x:/x:rw,z"), (some("~/x"), "/x".into(), true, false));
        assert_eq!(read("C:\\db:/db:ro"), (some("C:\\db"), "/db".into(), true, true));
        assert_eq!(read(""), (None, String::new(), false, false));
        assert_eq!(read("é:/x"), (some("é"), "/x".into(), false, false));
    }
}

//! Which node image serves for a box: the catalogue `vagrant/boxes.yaml`, read once. Pure.

use std::sync::LazyLock;

use serde::Deserialize;

use super::MachineDef;

/// Families that use the packages of the node's own system.
const OWN: [&str; 2] = ["debian", "ubuntu"];

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalogue {
    node: String,
    version: String,
    none: Vec<String>,
    families: Vec<Family>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Family {
    family: String,
    names: Vec<String>,
}

static SHIPPED: LazyLock<Catalogue> = LazyLock::new(|| {
    // One that does not read is a mistake of ours that the tests below find.
    serde_saphyr::from_str(include_str!("../../../vagrant/boxes.yaml")).unwrap_or_else(|error| {
        tracing::error!(%error, "the catalogue of boxes cannot be read");
        Catalogue::default()
    })
});

/// What there is for a box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Served {
    Node(BoxEntry),
    /// There is such a box, or may be, and no container can be one: Windows, macOS.
    NoContainer,
    /// No box is called this: the submission's mistake.
    NoSuchBox,
}

/// The node that serves for a box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoxEntry {
    /// `centos7`, `centos`, `debian`, `ubuntu`, `other`.
    pub family: String,
    /// The image.
    pub node: String,
    /// What really runs, for people.
    pub version: String,
    /// The box has other packages and names than the node.
    pub other_family: bool,
    /// The name is in the catalogue; else the box may exist, and the node serves for it by rule.
    pub known: bool,
}

/// What serves for a machine's box.
pub fn of_machine(machine: &MachineDef) -> Served {
    of(machine.boxed.as_deref().unwrap_or_default(), machine.box_url)
}

/// What serves for a box of this name. With an address of its own (`box_url`) it may have any name.
pub fn of(name: &str, has_url: bool) -> Served {
    let catalogue = &*SHIPPED;
    let lower = name.trim().to_lowercase();
    let fits = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, &lower));
    let is_place = lower.contains("://") || lower.ends_with(".box") || lower.ends_with(".json");
    if name.trim().is_empty() || !(has_url || is_place || is_name(name)) {
        return Served::NoSuchBox;
    }
    if fits(&catalogue.none) {
        return Served::NoContainer;
    }
    let family = catalogue.families.iter().find(|family| fits(&family.names)).map(|family| family.family.as_str());
    // A word alone is a name that its owner gave it on their own computer.
    if family.is_none() && !has_url && !is_place && !name.contains('/') {
        return Served::NoSuchBox;
    }
    Served::Node(BoxEntry {
        family: family.unwrap_or("other").to_owned(),
        node: catalogue.node.clone(),
        version: catalogue.version.clone(),
        other_family: !family.is_some_and(|family| OWN.contains(&family)),
        known: family.is_some(),
    })
}

/// `user/name`, or a name alone.
fn is_name(name: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-+".contains(c));
    match name.split_once('/') {
        Some((user, name)) => plain(user) && plain(name),
        None => plain(name),
    }
}

/// Whether a text is what a pattern says, `*` for any run of characters.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text
            .strip_prefix(start)
            .is_some_and(|left| (0..=left.len()).any(|at| left.is_char_boundary(at) && matches(rest, &left[at..]))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family(name: &str) -> Option<String> {
        match of(name, false) {
            Served::Node(entry) => Some(entry.family),
            _ => None,
        }
    }

    #[test]
    fn families_of_boxes() {
        for name in [
            "centos/7",
            "generic/centos7",
            "bento/centos-7.2",
            "centos_7",
            "centos7",
            "geerlingguy/centos7",
            "CentOS/7",
            "puppetlabs/centos-7.0-64-nocm",
            "eurolinux-vagrant/centos-7",
        ] {
            assert_eq!(family(name).as_deref(), Some("centos7"), "{name}");
        }
        for (name, want) in [
            ("centos/8", "centos"),
            ("centos/stream8", "centos"),
            ("nrel/CentOS-6.7-x86_64", "centos"),
            ("generic/rocky8", "centos"),
            ("ubuntu/trusty64", "ubuntu"),
            ("ubuntu/centos7", "centos7"),
            ("hashicorp/bionic64", "ubuntu"),
            ("precise64", "ubuntu"),
            ("debian/buster64", "debian"),
            ("generic/alpine38", "other"),
            ("somebody/something", "other"),
        ] {
            assert_eq!(family(name).as_deref(), Some(want), "{name}");
        }
    }

    #[test]
    fn who_has_no_node_and_why() {
        assert_eq!(of("gusztavvargadr/windows-10", false), Served::NoContainer);
        assert_eq!(of("jhcook/macos-sierra", false), Served::NoContainer);
        for name in ["", "  ", "centos 7", "mi caja", "mybox", "a/b/c", "/centos7"] {
            assert_eq!(of(name, false), Served::NoSuchBox, "{name}");
        }
        assert!(matches!(of("mybox", true), Served::Node(entry) if !entry.known));
        assert!(
            matches!(of("https://example.com/CentOS-7.box", false), Served::Node(entry) if entry.family == "centos7")
        );
    }

    #[test]
    fn an_entry_is_whole() {
        let Served::Node(entry) = of("centos/7", false) else { panic!("a node") };
        let want = BoxEntry {
            family: "centos7".into(),
            node: "imparcial/node".into(),
            version: "Debian 12 container".into(),
            other_family: true,
            known: true,
        };
        assert_eq!(entry, want);
        assert!(matches!(of("ubuntu/focal64", false), Served::Node(entry) if !entry.other_family));
    }
}

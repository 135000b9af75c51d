//! The system that a box holds, by its name: `centos7` of `centos/7`, `generic/centos7` and `bento/centos-7.9`.

/// Systems by the words that boxes call them.
const SYSTEMS: [(&str, &str); 12] = [
    ("centos", "centos"),
    ("ubuntu", "ubuntu"),
    ("debian", "debian"),
    ("rockylinux", "rocky"),
    ("rocky", "rocky"),
    ("almalinux", "alma"),
    ("fedora", "fedora"),
    ("oraclelinux", "oracle"),
    ("rhel", "rhel"),
    ("opensuse", "opensuse"),
    ("alpine", "alpine"),
    ("arch", "arch"),
];

/// Releases that boxes call by their names.
const RELEASES: [(&str, &str); 13] = [
    ("precise", "ubuntu12"),
    ("trusty", "ubuntu14"),
    ("xenial", "ubuntu16"),
    ("bionic", "ubuntu18"),
    ("focal", "ubuntu20"),
    ("jammy", "ubuntu22"),
    ("noble", "ubuntu24"),
    ("wheezy", "debian7"),
    ("jessie", "debian8"),
    ("stretch", "debian9"),
    ("buster", "debian10"),
    ("bullseye", "debian11"),
    ("bookworm", "debian12"),
];

/// The system and its main version; none where the name says neither.
pub(super) fn family(name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    if let Some((_, known)) = RELEASES.iter().find(|(word, _)| name.contains(word)) {
        return Some((*known).to_owned());
    }
    let (at, word, system) = SYSTEMS
        .iter()
        .filter_map(|(word, system)| Some((name.find(word)?, *word, *system)))
        .min_by_key(|(at, ..)| *at)?;
    let rest = &name[at + word.len()..];
    // What follows the system's name up to the version: `/`, `-`, `_`, `os-`, `stream`, or nothing.
    let digits: String =
        rest.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).take(2).collect();
    Some(format!("{system}{digits}"))
}

#[cfg(test)]
mod tests {
    use super::family;

    #[test]
    fn boxes_of_one_system_are_one_family() {
        for name in [
            "centos/7",
            "generic/centos7",
            "bento/centos-7.9",
            "bento/centos-7",
            "centos_7",
            "CentOS7",
            "geerlingguy/centos7",
        ] {
            assert_eq!(family(name).as_deref(), Some("centos7"), "{name}");
        }
        assert_eq!(family("centos/8").as_deref(), Some("centos8"));
        assert_eq!(family("centos/stream8").as_deref(), Some("centos8"));
        assert_eq!(family("ubuntu/bionic64").as_deref(), Some("ubuntu18"));
        assert_eq!(family("bento/ubuntu-20.04").as_deref(), Some("ubuntu20"));
        assert_eq!(family("debian/buster64").as_deref(), Some("debian10"));
        assert_eq!(family("hashicorp/precise64").as_deref(), Some("ubuntu12"));
        assert_eq!(family("mi-caja"), None);
    }
}

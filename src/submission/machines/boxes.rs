//! Boxes (placeholder until the catalogue lands).

/// What stands in for a box.
pub struct BoxEntry {
    pub family: String,
    pub node: String,
    pub version: String,
    pub other_family: bool,
}

/// What stands in for a box's name; none where it is no name of a box.
pub fn of(name: &str) -> Option<BoxEntry> {
    (!name.is_empty()).then(|| BoxEntry {
        family: "centos7".into(),
        node: "imparcial/node".into(),
        version: "Debian 12 container".into(),
        other_family: true,
    })
}

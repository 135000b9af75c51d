//! What tests of other modules take for decided.

use super::{Decided, MachineDef, Missing, Real, Wanted};

/// Every machine's box at this version, or of a catalogue that does not answer.
pub(crate) fn decided(defs: &[MachineDef], version: Option<&str>) -> Decided {
    let found = |wanted: &Wanted| match version {
        Some(version) => Ok(Real {
            name: wanted.name.clone(),
            version: Some(version.to_owned()),
            url: "https://boxes.example/libvirt.box".to_owned(),
            checksum: None,
        }),
        None => Err(Missing::Silent("nobody".to_owned())),
    };
    Decided(defs.iter().filter_map(Wanted::of).map(|wanted| (wanted.clone(), found(&wanted))).collect())
}

//! What served in the place of what was asked for: stand-ins for images, nodes for boxes.

use super::words::pick;
use crate::record::{ImageRecord, MachinesRecord, RunRecord};
use crate::text::Lang;

/// Each stand-in in use: `db: mysql:5.7 is served by MariaDB 10.11`, `master, worker1: centos/7 is served by …`.
pub(super) fn stand_ins(record: &RunRecord, lang: Lang) -> Vec<String> {
    let served = pick(lang, "is served by", "lo sirve");
    let image = |image: &ImageRecord| {
        let asked = image.base.as_ref().unwrap_or(&image.reference);
        Some(format!("{}: {asked} {served} {}", image.service, image.stand_in.as_ref()?))
    };
    let images = record.images.iter().filter_map(image);
    let boxes = record.machines.iter().flat_map(|machines| &machines.boxes);
    let boxes = boxes.filter_map(|it| {
        let (machines, stand_in) = (it.machines.join(", "), it.stand_in.as_ref()?);
        Some(format!("{machines}: {} {served} {stand_in}", it.reference))
    });
    images.chain(boxes).collect()
}

/// What machines really were, and that is not what a Vagrantfile asks for.
pub(super) fn machines(record: &RunRecord, lang: Lang) -> Option<String> {
    let MachinesRecord { provider, boxes } = record.machines.as_ref()?;
    let count = boxes.iter().map(|it| it.machines.len()).sum::<usize>();
    let what = match provider.as_str() {
        "docker" => pick(lang, "container nodes, not virtual machines", "nodos en contenedores, no máquinas virtuales"),
        "libvirt" => pick(lang, "virtual machines", "máquinas virtuales"),
        other => other,
    };
    let of = pick(lang, "machines declared", "máquinas declaradas");
    Some(format!("{what} ({count} {of})"))
}

/// Machines of the boxes that they ask for: `master, worker1: centos/7, itself, 2004.01, https://…`.
pub(super) fn boxes_taken(record: &RunRecord, lang: Lang) -> Vec<String> {
    let itself = pick(lang, "itself", "el propio box");
    let boxes = record.machines.iter().flat_map(|machines| &machines.boxes);
    let said = boxes.filter_map(|it| {
        let (machines, taken) = (it.machines.join(", "), it.taken.as_ref()?);
        Some(format!("{machines}: {}, {itself}, {taken}", it.reference))
    });
    said.collect()
}

/// Boxes that nothing served for: `w1 (mybox): why`.
pub(super) fn boxes_missing(record: &RunRecord, lang: Lang) -> Vec<String> {
    let boxes = record.machines.iter().flat_map(|machines| &machines.boxes);
    let said =
        |machines: &[String], reference: &str, why: &str| format!("{} ({reference}): {why}", machines.join(", "));
    boxes.filter_map(|it| Some(said(&it.machines, &it.reference, it.missing.as_ref()?.get(lang)))).collect()
}

//! What a record says of the stack that was brought up: what served for its images and boxes, who plays which role.

use crate::record::{BoxRecord, ImageRecord, MachinesRecord, RoleRecord, RunRecord};
use crate::stack::Stack;
use crate::stack::machines::{Machines, Taken};

/// Images, machines, roles and overrides.
pub(super) fn describe(stack: &Stack, record: &mut RunRecord) {
    record.images.clear();
    record.roles.clear();
    for service in stack.services.values() {
        let image = &service.image;
        record.images.push(ImageRecord {
            service: service.name.clone(),
            reference: image.reference.clone(),
            base: image.built.as_ref().and(image.stand_in.as_ref()).map(|s| s.reference.clone()),
            stand_in: image.stand_in.as_ref().map(|s| s.version.clone()),
            id: image.built.clone(),
            missing: service.left_out.as_ref().map(|l| l.text.clone()),
        });
    }
    record.machines = machines(&stack.machines);
    for (role, binding) in &stack.roles {
        record.roles.push(RoleRecord {
            role: role.clone(),
            service: binding.service.clone(),
            why: binding.why.clone(),
        });
    }
    record.overrides.clone_from(&stack.overrides);
}

/// What served for the boxes; none where no machine was brought up.
fn machines(machines: &Machines) -> Option<MachinesRecord> {
    if machines.provider.is_empty() {
        return None;
    }
    let mut boxes: Vec<BoxRecord> = Vec::new();
    for node in &machines.nodes {
        let reference = node.def.boxed.clone().unwrap_or_default();
        let stand_in = node.stand_in.as_ref().map(|s| s.version.clone());
        let taken = node.taken.as_ref().map(|Taken { version, from }| match version {
            Some(version) => format!("{version}, {from}"),
            None => from.clone(),
        });
        // What has a node and is not up for another reason is said by its checks.
        let served = stand_in.is_some() || taken.is_some();
        let missing = node.left_out.as_ref().filter(|_| !served).map(|l| l.text.clone());
        let of = BoxRecord { reference, machines: Vec::new(), stand_in, taken, missing };
        let same = |known: &BoxRecord| BoxRecord { machines: Vec::new(), ..known.clone() } == of;
        let at = boxes.iter().position(same).unwrap_or_else(|| {
            boxes.push(of.clone());
            boxes.len() - 1
        });
        boxes[at].machines.push(node.name().to_owned());
    }
    Some(MachinesRecord { provider: machines.provider.clone(), boxes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::machines::Node;
    use crate::stack::{LeftOut, StandIn};
    use crate::submission::machines::MachineDef;
    use crate::text::Text;

    fn node(name: &str, boxed: &str, served: bool) -> Node {
        let stand_in = |reference: &str| StandIn {
            reference: reference.to_owned(),
            name: "node".to_owned(),
            version: "Debian 12 container".to_owned(),
        };
        Node {
            def: MachineDef { name: name.to_owned(), boxed: Some(boxed.to_owned()), ..MachineDef::default() },
            stand_in: served.then(|| stand_in(boxed)),
            left_out: (!served).then(|| LeftOut { reason: None, text: Text::same("no such box") }),
            ..Node::default()
        }
    }

    #[test]
    fn machines_of_one_box_are_told_together() {
        let nodes = vec![node("m", "centos/7", true), node("w1", "mybox", false), node("w2", "centos/7", true)];
        let record = machines(&Machines { provider: "docker".to_owned(), nodes, ..Machines::default() }).unwrap();
        let said: Vec<_> =
            record.boxes.iter().map(|b| (b.reference.as_str(), b.machines.join(" "), b.missing.is_some())).collect();
        assert_eq!(said, [("centos/7", "m w2".to_owned(), false), ("mybox", "w1".to_owned(), true)]);
        assert!(machines(&Machines::default()).is_none(), "none was brought up");
    }

    #[test]
    fn a_box_that_was_taken_is_no_stand_in() {
        let taken = Taken { version: Some("2004.01".to_owned()), from: "https://boxes.example/x.box".to_owned() };
        let late = Some(LeftOut { reason: None, text: Text::same("it was not ready") });
        let own = Node { taken: Some(taken), left_out: late, ..node("m", "centos/7", false) };
        let nodes = vec![own, node("w1", "centos/7", true)];
        let record = machines(&Machines { provider: "libvirt".to_owned(), nodes, ..Machines::default() }).unwrap();
        assert_eq!(record.boxes[0].taken.as_deref(), Some("2004.01, https://boxes.example/x.box"));
        assert!(record.boxes[0].stand_in.is_none() && record.boxes[0].missing.is_none());
        assert!(record.boxes[1].taken.is_none() && record.boxes[1].stand_in.is_some());
    }
}

//! Whether a volume loses nothing when any one machine is lost: by where its bricks are, whatever its type is called.

use std::collections::BTreeMap;

use super::xml::{Brick, Volume};
use crate::text::Text;

/// What a volume does with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// It lies on one brick.
    Single,
    /// It lies whole on each brick of a set.
    Copies,
    /// Pieces of it, and sums of them, lie on the bricks of a set.
    Pieces,
}

pub(super) fn shape(volume: &Volume) -> Shape {
    if volume.disperse > 1 {
        Shape::Pieces
    } else if volume.replicas > 1 {
        Shape::Copies
    } else {
        Shape::Single
    }
}

/// The bricks that hold the same files.
pub(super) fn sets(volume: &Volume) -> impl Iterator<Item = &[Brick]> {
    let size = match shape(volume) {
        Shape::Single => 1,
        Shape::Copies => volume.replicas,
        Shape::Pieces => volume.disperse,
    };
    volume.bricks.chunks(size.max(1))
}

/// Why some machine's loss is a loss of data; none where no single one is. `machine` tells what machine a brick is on.
pub(super) fn loses(volume: &Volume, machine: impl Fn(&Brick) -> String) -> Option<Text> {
    if volume.bricks.is_empty() {
        return Some(Text::new("it has no brick", "no tiene ningún brick"));
    }
    let kind = crate::sanitize::line(&volume.kind.to_lowercase(), 60);
    if shape(volume) == Shape::Single {
        return Some(Text::new(
            format!("it is of type {kind}: each file lies on one brick only"),
            format!("es de tipo {kind}: cada archivo está en un solo brick"),
        ));
    }
    for set in sets(volume) {
        let content: Vec<&Brick> = set.iter().filter(|brick| !brick.arbiter).collect();
        let mut on: BTreeMap<String, usize> = BTreeMap::new();
        for brick in &content {
            *on.entry(machine(brick)).or_default() += 1;
        }
        let spare = match shape(volume) {
            Shape::Pieces => volume.redundancy,
            _ => content.len().saturating_sub(1),
        };
        if let Some((name, count)) = on.into_iter().find(|(_, count)| *count > spare) {
            let (name, of) = (crate::sanitize::line(&name, 60), content.len());
            return Some(Text::new(
                format!(
                    "machine {name} has {count} of the {of} bricks that hold the same files, so its loss loses them"
                ),
                format!(
                    "la máquina {name} tiene {count} de los {of} bricks que guardan los mismos archivos, así que perderla los pierde"
                ),
            ));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::xml::volumes;
    use super::*;

    fn why(name: &str, change: impl Fn(&mut Volume)) -> Option<String> {
        let mut volume = volumes(include_str!("said/info.xml")).unwrap().unwrap();
        volume.retain(|volume| volume.name == name);
        change(&mut volume[0]);
        loses(&volume[0], |brick| brick.host.clone()).map(|text| text.en)
    }

    #[test]
    fn what_survives_the_loss_of_a_machine_is_replicated() {
        for name in ["volumen", "dos", "arb", "ec"] {
            assert_eq!(why(name, |_| {}), None, "{name}");
        }
    }

    #[test]
    fn one_brick_a_file_or_one_machine_a_set_is_not() {
        assert_eq!(why("dist", |_| {}).as_deref(), Some("it is of type distribute: each file lies on one brick only"));
        // Its first pair is on one machine.
        let same = why("same", |_| {}).unwrap();
        assert!(same.starts_with("machine 192.168.56.10 has 2 of the 2 bricks"), "{same}");
        let none = why("volumen", |volume| volume.bricks.clear());
        assert_eq!(none.as_deref(), Some("it has no brick"));
    }

    #[test]
    fn an_arbiter_holds_nothing_and_pieces_have_only_so_many_to_spare() {
        // Both copies on one machine, and the arbiter elsewhere.
        let arbiter = why("arb", |volume| volume.bricks[1].host = volume.bricks[0].host.clone()).unwrap();
        assert!(arbiter.starts_with("machine 192.168.56.10 has 2 of the 2"), "{arbiter}");
        assert_eq!(why("arb", |volume| volume.bricks[2].host = volume.bricks[0].host.clone()), None);
        let pieces = why("ec", |volume| volume.bricks[1].host = volume.bricks[0].host.clone()).unwrap();
        assert!(pieces.contains("2 of the 4 bricks"), "{pieces}");
        let two = |volume: &mut Volume| {
            volume.bricks[1].host = volume.bricks[0].host.clone();
            volume.redundancy = 2;
        };
        assert_eq!(why("ec", two), None);
    }
}

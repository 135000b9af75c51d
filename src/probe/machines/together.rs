//! What was seen of several machines, as one observation.

use super::Seen;
use crate::probe::Observation;
use crate::text::Text;

/// One observation of all: machines of which the same is to be said are named together.
pub(super) fn together(all: Vec<(String, Seen)>) -> Observation {
    let alone = all.len() == 1;
    let mut observation = Observation::default();
    let mut whys: Vec<(Vec<String>, Text)> = Vec::new();
    for (name, seen) in all {
        if let Some(why) = seen.why {
            match whys.iter_mut().find(|(_, known)| *known == why) {
                Some((names, _)) => names.push(name.clone()),
                None => whys.push((vec![name.clone()], why)),
            }
        }
        let file = |what: String| if alone { what } else { format!("{name}-{what}") };
        observation.evidence.extend(seen.evidence.into_iter().map(|(what, bytes)| (file(what), bytes)));
        observation.subjects.push((name, seen.facts));
    }
    let said = |pick: fn(&Text) -> &String| {
        let each = whys.iter().map(|(names, why)| format!("{}: {}", names.join(", "), pick(why)));
        each.collect::<Vec<_>>().join("; ")
    };
    observation.explanation = (!whys.is_empty()).then(|| Text::new(said(|t| &t.en), said(|t| &t.es)));
    observation
}

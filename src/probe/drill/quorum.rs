//! Whether a swarm can still be managed without some machines: where it cannot, nothing is started anywhere else, whatever was
//! handed in.
//!
//! A swarm goes on while more than half of its managers can be reached (Raft; docs.docker.com/engine/swarm/raft).

use futures_util::future::join_all;

use crate::notice::Reason;
use crate::probe::ProbeError;
use crate::stack::Stack;
use crate::text::Text;

/// # Errors
/// Too few managers would be left without the machines that are hit, or nobody says how many there are.
pub(super) async fn kept(stack: &Stack, hit: &[&str]) -> Result<(), ProbeError> {
    let spots: Vec<_> = std::iter::once(&stack.home).chain(&stack.others).collect();
    let asked = join_all(spots.iter().map(|spot| spot.engine.membership())).await;
    let mut managers = Vec::new();
    for (spot, membership) in spots.into_iter().zip(asked) {
        let membership = membership.map_err(|error| ProbeError { reason: Reason::Host, text: error.text() })?;
        if membership.manager {
            managers.push(spot.node.as_deref().unwrap_or_default());
        }
    }
    let left = managers.iter().filter(|manager| !hit.contains(manager)).count();
    if is_quorum(left, managers.len()) { Ok(()) } else { Err(lost(hit)) }
}

fn is_quorum(left: usize, all: usize) -> bool {
    left * 2 > all
}

fn lost(hit: &[&str]) -> ProbeError {
    let hit = crate::sanitize::line(&hit.join(", "), 100);
    let text = Text::new(
        format!(
            "undecided: without {hit} the swarm has too few managers left to start anything elsewhere, so nothing was cut; \
             where the database runs on a worker it can be tried"
        ),
        format!(
            "sin decidir: sin {hit} al swarm no le quedan administradores suficientes para iniciar nada en otro nodo, así que no se cortó nada; \
             si la base de datos corre en un trabajador se puede probar"
        ),
    );
    ProbeError { reason: Reason::NotHere, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_half_of_the_managers_have_to_be_left() {
        assert!(!is_quorum(0, 1), "the only one");
        assert!(is_quorum(1, 1), "a worker was cut");
        assert!(!is_quorum(1, 2), "half is not more than half");
        assert!(is_quorum(2, 3));
        assert!(!is_quorum(1, 3));
        assert_eq!(lost(&["a"]).reason, Reason::NotHere);
    }
}

//! Whether a swarm can still be managed without some machines: where it cannot, nothing is started anywhere else, whatever was
//! handed in.
//!
//! A swarm goes on while more than half of its managers can be reached (Raft; docs.docker.com/engine/swarm/raft).

use crate::notice::Reason;
use crate::probe::ProbeError;
use crate::stack::Stack;
use crate::text::Text;

/// # Errors
/// Too few managers would be left without the machines that are hit, or nobody says how many there are.
pub(super) async fn kept(stack: &Stack, hit: &[&str]) -> Result<(), ProbeError> {
    let swarm = stack.home.engine.swarm().await?;
    let spots: Vec<_> = std::iter::once(&stack.home).chain(&stack.others).collect();
    let mut gone = Vec::new();
    for spot in spots.iter().filter(|spot| spot.node.as_deref().is_some_and(|node| hit.contains(&node))) {
        gone.push(spot.engine.membership().await?.node);
    }
    let managers = || swarm.members.iter().filter(|member| member.manager);
    let left = managers().filter(|member| member.reachable && !gone.contains(&member.id)).count();
    if is_quorum(left, managers().count()) { Ok(()) } else { Err(lost(hit)) }
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

//! Who is hit: services by their role, machines by name, or some of several by a choice that can be repeated.

use crate::docker::Container;
use crate::stack::machines::Node;

/// As a scenario names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub whom: Whom,
    pub pick: Pick,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// The containers of a role.
    Role(String),
    /// Machines: `all`, `first`, `others`, or a name.
    Node(String),
    /// The machine that a role's container runs on.
    NodeOf(String),
}

/// How many of several are hit: Jepsen's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pick {
    One,
    /// Fewer than half.
    Minority,
    #[default]
    All,
}

/// Somebody who is hit.
#[derive(Clone, Debug)]
pub enum Victim {
    Service(Box<Container>),
    /// The machine, and the container that it is.
    Machine(Box<Node>, Box<Container>),
}

//! From where a probe looks.

use std::fmt;

/// Where a probe stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum From {
    /// The machine that runs imparcial.
    Host,
    /// The lab: where published ports are.
    #[default]
    Lab,
    /// The network namespace of the service that plays this role.
    Inside(String),
    /// The network namespace of the machine of this name; `first` is the first that is defined.
    Node(String),
}

impl fmt::Display for From {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::Lab => f.write_str("lab"),
            Self::Inside(role) => write!(f, "inside {role}"),
            Self::Node(name) => write!(f, "node {name}"),
        }
    }
}

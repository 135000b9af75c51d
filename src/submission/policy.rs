//! The static policy: what a compose file may not ask of the machine that it runs on.

use crate::expect::Place;
use crate::text::Text;

/// A rule that matched.
#[derive(Clone, Debug)]
pub struct Hit {
    /// The rule's name: `privileged`, `host_namespaces`, `host_binds`, …
    pub rule: String,
    pub service: Option<String>,
    pub action: Action,
    pub text: Text,
    pub at: Place,
}

/// What is done about a hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Refuse,
    Strip,
    Allow,
}

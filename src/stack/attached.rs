//! What cannot be told of a stack that was up before the run came to it.

use super::Stack;
use crate::text::Text;

/// A fact of a service that was decided when nobody of us looked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    pub service: String,
    /// `built_from_submission`
    pub fact: &'static str,
    pub why: Text,
}

impl Stack {
    /// Whether what runs was up before we came.
    pub fn was_up(&self) -> bool {
        self.first_up.is_none()
    }

    /// Why a fact of a service cannot be told, where it cannot.
    pub fn doubt(&self, service: &str, fact: &str) -> Option<&Text> {
        self.doubts.iter().find(|doubt| doubt.service == service && doubt.fact == fact).map(|doubt| &doubt.why)
    }
}

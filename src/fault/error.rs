//! Why a fault could not be made or undone: never the submission's doing.

use crate::agent::AgentError;
use crate::backend::BackendError;
use crate::docker::EngineError;
use crate::exec::RunError;
use crate::notice::Reason;
use crate::stack::Unknown;
use crate::text::Text;

/// It could not be made, or not be undone: never the submission's fault.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", text.en)]
pub struct FaultError {
    pub reason: Reason,
    pub text: Text,
}

impl FaultError {
    pub fn new(reason: Reason, en: impl Into<String>, es: impl Into<String>) -> Self {
        Self { reason, text: Text::new(en, es) }
    }

    /// Our own limits.
    pub fn ours(en: impl Into<String>, es: impl Into<String>) -> Self {
        Self::new(Reason::Imparcial, en, es)
    }

    /// The machine that all runs on.
    pub fn host(en: impl Into<String>, es: impl Into<String>) -> Self {
        Self::new(Reason::Host, en, es)
    }

    /// What this run does not have.
    pub fn not_here(en: impl Into<String>, es: impl Into<String>) -> Self {
        Self::new(Reason::NotHere, en, es)
    }
}

impl From<Unknown> for FaultError {
    fn from(unknown: Unknown) -> Self {
        Self { reason: unknown.reason, text: unknown.text }
    }
}

impl From<EngineError> for FaultError {
    fn from(error: EngineError) -> Self {
        Self { reason: Reason::Host, text: error.text() }
    }
}

impl From<RunError> for FaultError {
    fn from(error: RunError) -> Self {
        Self { reason: Reason::Host, text: error.text() }
    }
}

impl From<AgentError> for FaultError {
    fn from(error: AgentError) -> Self {
        Self::host(error.to_string(), format!("el agente no pudo: {error}"))
    }
}

impl From<BackendError> for FaultError {
    fn from(error: BackendError) -> Self {
        Self { reason: Reason::Host, text: error.text() }
    }
}

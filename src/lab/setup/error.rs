//! Why set-up stopped: what was tried, what was seen, what to do next.

use crate::docker::EngineError;
use crate::exec::RunError;
use crate::lab::LabError;
use crate::text::Text;

#[derive(Debug, thiserror::Error)]
#[error("could not {}: {seen}; {}", tried.en, next.en)]
pub struct SetupError {
    /// As it follows "could not" ("no se pudo").
    pub tried: Text,
    pub seen: String,
    pub next: Text,
}

impl SetupError {
    pub(super) fn new(tried: Text, seen: impl Into<String>, next: Text) -> Self {
        Self { tried, seen: seen.into(), next }
    }

    /// The whole of it, for people.
    pub fn text(&self) -> Text {
        Text::new(
            format!("could not {}:\n{}\n{}", self.tried.en, self.seen, self.next.en),
            format!("no se pudo {}:\n{}\n{}", self.tried.es, self.seen, self.next.es),
        )
    }
}

impl From<EngineError> for SetupError {
    fn from(error: EngineError) -> Self {
        let next = error.next();
        Self::new(Text::new(error.tried.clone(), format!("({})", error.tried)), error.to_string(), next)
    }
}

impl From<LabError> for SetupError {
    fn from(error: LabError) -> Self {
        let tried = Text::new("work with the registry of stand-ins", "trabajar con el registro de sustitutos");
        let next = Text::new(
            "run `imparcial setup` again; `docker logs imparcial-registry` shows the registry's own words",
            "ejecute `imparcial setup` otra vez; `docker logs imparcial-registry` muestra lo que dice el registro",
        );
        Self::new(tried, error.to_string(), next)
    }
}

impl From<RunError> for SetupError {
    fn from(error: RunError) -> Self {
        let tried = Text::new(format!("run `{}`", error.cmd), format!("ejecutar `{}`", error.cmd));
        let next = Text::new(
            "put right what it says and run `imparcial setup` again",
            "corrija lo que indica y ejecute `imparcial setup` otra vez",
        );
        Self::new(tried, error.kind.to_string(), next)
    }
}

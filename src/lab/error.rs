//! Why there is no lab: whose limits they were, in words for people.

use std::time::Duration;

use super::copy::CopyError;
use crate::agent::AgentError;
use crate::docker::{EngineError, EngineErrorKind};
use crate::exec::RunError;
use crate::notice::Reason;
use crate::text::Text;

/// A lab could not be started, used or removed.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// What `imparcial setup` makes is not there.
    #[error("{what} is not there: run `imparcial setup`")]
    NotSetUp { what: String },
    #[error("the lab {lab} was not ready after {after:?}; its log ends with: {log}")]
    Late { lab: String, after: Duration, log: String },
    #[error("the lab {lab} ended at its start; its log ends with: {log}")]
    Ended { lab: String, log: String },
    /// The registry of stand-ins.
    #[error("could not {tried} in the registry of stand-ins: {seen}")]
    Registry { tried: String, seen: String },
    /// Of the submission, or of reading it.
    #[error(transparent)]
    Copy(#[from] CopyError),
    #[error(transparent)]
    Agent(#[from] AgentError),
    #[error(transparent)]
    Run(Box<RunError>),
    /// The place itself: what it lacks, in words.
    #[error("{}", .0.en)]
    Place(Text),
    #[error("could not read our own executable: {0}")]
    Binary(std::io::Error),
}

impl From<RunError> for LabError {
    fn from(error: RunError) -> Self {
        Self::Run(Box::new(error))
    }
}

impl LabError {
    /// Whose it is: never the submission's own fault.
    pub fn reason(&self) -> Reason {
        match self {
            // What is asked of it may be all right: nobody saw it run.
            Self::Copy(CopyError::TooMany(_) | CopyError::TooLarge(..)) => Reason::NotHere,
            Self::Engine(EngineError { kind: EngineErrorKind::Other(_), .. }) | Self::Agent(_) | Self::Binary(_) => {
                Reason::Imparcial
            }
            _ => Reason::Host,
        }
    }

    /// What was tried, what was seen, what to do next.
    pub fn text(&self) -> Text {
        match self {
            Self::Engine(error) => error.text(),
            Self::NotSetUp { what } => Text::new(
                format!("{what} is not there: run `{}`", setup_of(what)),
                format!("falta {what}: ejecute `{}`", setup_of(what)),
            ),
            Self::Registry { tried, seen } => Text::new(
                format!(
                    "could not {tried} in the registry of stand-ins: {seen}; `imparcial setup` looks after it and starts it again"
                ),
                format!(
                    "el registro de sustitutos no hizo lo pedido ({tried}): {seen}; `imparcial setup` lo revisa y lo vuelve a arrancar"
                ),
            ),
            Self::Late { lab, after, log } => Text::new(
                format!("the lab {lab} was not ready after {} s; its log ends with:\n{log}", after.as_secs()),
                format!(
                    "el laboratorio {lab} no estaba listo tras {} s; su registro termina así:\n{log}",
                    after.as_secs()
                ),
            ),
            Self::Ended { lab, log } => Text::new(
                format!("the lab {lab} ended at its start; its log ends with:\n{log}"),
                format!("el laboratorio {lab} terminó al arrancar; su registro termina así:\n{log}"),
            ),
            Self::Copy(CopyError::TooMany(n)) => Text::new(
                format!("the submission has more than {n} files and folders"),
                format!("la entrega tiene más de {n} archivos y carpetas"),
            ),
            Self::Copy(CopyError::TooLarge(n, heaviest)) => {
                let named: Vec<String> = heaviest
                    .iter()
                    .map(|(path, bytes)| {
                        format!(
                            "{} ({} MB)",
                            crate::sanitize::line(&path.to_string_lossy(), 80),
                            bytes.div_ceil(1 << 20)
                        )
                    })
                    .collect();
                let named = named.join(", ");
                Text::new(
                    format!("the submission is larger than {} MB, most of it in {named}: hand it in without", n >> 20),
                    format!("la entrega ocupa más de {} MB, la mayor parte en {named}: entréguela sin eso", n >> 20),
                )
            }
            Self::Copy(CopyError::Read { path, error }) => Text::new(
                format!("could not read {}: {error}", path.display()),
                format!("no se puede leer {}: {error}", path.display()),
            ),
            Self::Copy(CopyError::Write(error)) => Text::new(
                format!("the copy of the submission into the lab was given up: {error}"),
                format!("la copia de la entrega al laboratorio quedó a medias: {error}"),
            ),
            Self::Agent(error) => Text::new(
                format!("{error}; run `imparcial setup --check`"),
                format!("el agente del laboratorio falla: {error}; ejecute `imparcial setup --check`"),
            ),
            Self::Run(error) => error.text(),
            Self::Place(text) => text.clone(),
            Self::Binary(error) => Text::new(
                format!("could not read our own executable: {error}"),
                format!("no se puede leer el propio ejecutable de imparcial: {error}"),
            ),
        }
    }
}

/// What makes it.
fn setup_of(what: &str) -> &'static str {
    if what.ends_with("imparcial/vms") { "imparcial setup --vms" } else { "imparcial setup" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_submission_that_is_too_large_is_undecided_and_a_full_disk_is_the_host_s() {
        assert_eq!(LabError::from(CopyError::TooMany(5)).reason(), Reason::NotHere);
        let large = LabError::from(CopyError::TooLarge(2 << 30, vec![("datos".into(), 3 << 30)]));
        assert_eq!(large.reason(), Reason::NotHere);
        assert!(large.text().en.contains("datos (3072 MB)"), "{}", large.text().en);
        let kind = EngineErrorKind::Full("no space left on device".into());
        let full = EngineError { place: "this host's engine".into(), tried: "start the lab x".into(), kind };
        let full = LabError::from(full);
        assert_eq!(full.reason(), Reason::Host);
        assert!(full.text().en.contains("free some disk space"), "{}", full.text().en);
        assert!(full.text().es.contains("libere espacio"));
    }
}

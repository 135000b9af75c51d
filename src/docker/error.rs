//! What an engine did not do: what was tried, what was seen, what to do next.

use std::time::Duration;

use bollard::errors::Error;

use crate::text::Text;

/// A call to an engine that had no answer, or the wrong one.
#[derive(Clone, Debug, thiserror::Error)]
#[error("could not {tried} on {place}: {kind}")]
pub struct EngineError {
    /// [`Engine::place`](super::Engine::place).
    pub place: String,
    /// What was tried, as it follows "could not": "inspect container x".
    pub tried: String,
    pub kind: EngineErrorKind,
}

#[derive(Clone, Debug, thiserror::Error)]
pub enum EngineErrorKind {
    /// Nobody answers there.
    #[error("no engine answers: {0}")]
    Unreachable(String),
    /// The engine says that there is no such thing.
    #[error("{0}")]
    Missing(String),
    #[error("no space left on the engine's disk: {0}")]
    Full(String),
    #[error("no answer after {0:?}")]
    Timeout(Duration),
    /// Any other answer than yes.
    #[error("the engine answers {status}: {message}")]
    Refused { status: u16, message: String },
    #[error("{0}")]
    Other(String),
}

impl EngineError {
    pub(crate) fn new(place: &str, tried: impl Into<String>, error: &Error) -> Self {
        Self { place: place.to_owned(), tried: tried.into(), kind: kind(error) }
    }

    /// There is no such container, image or network.
    pub fn is_missing(&self) -> bool {
        matches!(self.kind, EngineErrorKind::Missing(_))
    }

    /// The engine itself is not there or does not answer, whatever was asked.
    pub fn is_gone(&self) -> bool {
        matches!(self.kind, EngineErrorKind::Unreachable(_) | EngineErrorKind::Timeout(_))
    }

    /// The whole of it for people: what was tried, what was seen, what to do.
    pub fn text(&self) -> Text {
        let Self { place, tried, .. } = self;
        let (next, seen) = (self.next(), self.kind.in_spanish());
        let place = match (place.strip_prefix("the engine of "), place.strip_prefix("the engine at ")) {
            (Some(shell), _) => format!("el motor de {shell}"),
            (_, Some(address)) => format!("el motor en {address}"),
            _ => "el motor de esta máquina".to_owned(),
        };
        let said = format!("{place} no completó `{tried}`: {seen}");
        Text::new(format!("{self}; {}", next.en), format!("{said}; {}", next.es))
    }

    /// What the reader may do about it.
    pub fn next(&self) -> Text {
        match self.kind {
            EngineErrorKind::Unreachable(ref said) if said.contains("ermission denied") => Text::new(
                "it is there, and this user may not use it: run it as root or with sudo, or join the group `docker`",
                "existe, y este usuario no puede usarlo: ejecute como root o con sudo, o entre en el grupo `docker`",
            ),
            EngineErrorKind::Unreachable(_) => Text::new(
                "start the Docker engine or let `imparcial setup` do it; DOCKER_HOST says where it is if not in the usual place",
                "arranque el motor de Docker o deje que lo haga `imparcial setup`; DOCKER_HOST indica dónde está si no es en el sitio habitual",
            ),
            EngineErrorKind::Full(_) => Text::new(
                "free some disk space (`docker system df` shows who uses it) and run again",
                "libere espacio en el disco (`docker system df` muestra quién lo usa) y ejecute de nuevo",
            ),
            EngineErrorKind::Timeout(_) => Text::new(
                "look at the load of the machine and at the engine's own log, and run again",
                "mire la carga de la máquina y el registro del motor, y ejecute de nuevo",
            ),
            _ => Text::new(
                "run `imparcial setup --check`, and run again",
                "ejecute `imparcial setup --check` y vuelva a intentarlo",
            ),
        }
    }
}

impl EngineErrorKind {
    fn in_spanish(&self) -> String {
        match self {
            Self::Unreachable(said) => format!("no responde ningún motor: {said}"),
            Self::Missing(said) | Self::Other(said) => said.clone(),
            Self::Full(said) => format!("no queda espacio en el disco del motor: {said}"),
            Self::Timeout(after) => format!("sin respuesta tras {after:?}"),
            Self::Refused { status, message } => format!("el motor responde {status}: {message}"),
        }
    }
}

fn kind(error: &Error) -> EngineErrorKind {
    match error {
        Error::DockerResponseServerError { message, .. } if full(message) => EngineErrorKind::Full(message.clone()),
        Error::DockerResponseServerError { status_code: 404, message } => EngineErrorKind::Missing(message.clone()),
        Error::DockerResponseServerError { status_code, message } => {
            EngineErrorKind::Refused { status: *status_code, message: message.clone() }
        }
        Error::DockerStreamError { error } if full(error) => EngineErrorKind::Full(error.clone()),
        Error::RequestTimeoutError => EngineErrorKind::Timeout(super::TIMEOUT),
        Error::SocketNotFoundError(_)
        | Error::HyperLegacyError { .. }
        | Error::HyperResponseError { .. }
        | Error::IOError { .. }
        | Error::UnsupportedURISchemeError { .. } => EngineErrorKind::Unreachable(chain(error)),
        other => EngineErrorKind::Other(chain(other)),
    }
}

fn full(message: &str) -> bool {
    message.contains("no space left on device")
}

/// The whole chain of causes: hyper's own words ("client error (Connect)") say nothing.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status_code: u16, message: &str) -> EngineError {
        let error = Error::DockerResponseServerError { status_code, message: message.into() };
        EngineError::new("this host's engine", "start container x", &error)
    }

    #[test]
    fn a_full_disk_and_a_missing_thing_are_told_from_a_refusal() {
        let full = answer(500, "mkdir /var/lib/docker/x: no space left on device");
        assert!(matches!(full.kind, EngineErrorKind::Full(_)));
        assert!(full.next().en.contains("disk space"));
        let kind = EngineErrorKind::Unreachable("client error: Permission denied (os error 13)".into());
        let forbidden = EngineError { kind, ..answer(409, "x") };
        assert!(forbidden.next().en.contains("join the group `docker`"), "{}", forbidden.next().en);
        assert!(answer(404, "No such container: x").is_missing());
        let refused = answer(409, "conflict");
        assert!(!refused.is_missing() && !refused.is_gone());
        assert_eq!(
            refused.to_string(),
            "could not start container x on this host's engine: the engine answers 409: conflict"
        );
        let es = refused.text().es;
        assert!(
            es.starts_with("el motor de esta máquina no completó `start container x`: el motor responde 409"),
            "{es}"
        );
    }
}

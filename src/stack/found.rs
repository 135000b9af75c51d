//! Who plays a role and which container a machine is: what is there, or why there is nothing, and whose doing that is.

use std::sync::Arc;

use super::machines::Node;
use super::{Body, Guest, LeftOut, Stack, Started};
use crate::docker::{Container, EngineError};
use crate::notice::Reason;
use crate::text::Text;

/// What is there, or why there is nothing: the submission's doing, and so a fact.
#[derive(Clone, Debug)]
pub enum Found<T> {
    Here(T),
    Absent(Text),
}

impl<T> Found<T> {
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Found<U> {
        match self {
            Self::Here(t) => Found::Here(f(t)),
            Self::Absent(why) => Found::Absent(why),
        }
    }
}

/// It cannot be told, and that is not the submission's doing.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", text.en)]
pub struct Unknown {
    pub reason: Reason,
    pub text: Text,
}

impl Unknown {
    fn new(reason: Reason, en: impl Into<String>, es: impl Into<String>) -> Self {
        Self { reason, text: Text::new(en, es) }
    }
}

impl From<EngineError> for Unknown {
    fn from(error: EngineError) -> Self {
        Self { reason: Reason::Host, text: error.text() }
    }
}

impl LeftOut {
    /// Why it is not there, where that is the submission's doing.
    ///
    /// # Errors
    /// Where it is not.
    pub fn fault(&self) -> Result<Text, Unknown> {
        match self.reason {
            Some(reason) => Err(Unknown { reason, text: self.text.clone() }),
            None => Ok(self.text.clone()),
        }
    }
}

impl Stack {
    /// The service that plays a role, if one does.
    pub fn playing(&self, role: &str) -> Option<&str> {
        self.roles.get(role)?.service.as_deref()
    }

    /// The service that is bound to a role, whatever came of it; none is a fact.
    ///
    /// # Errors
    /// Where two could be: the binding says so, and names the way out.
    pub fn bound(&self, role: &str) -> Result<Option<String>, Unknown> {
        match self.roles.get(role) {
            Some(binding) if binding.service.is_none() && binding.candidates.len() > 1 => {
                Err(Unknown { reason: Reason::Ambiguous, text: binding.why.clone() })
            }
            Some(binding) => Ok(binding.service.clone()),
            None => Ok(None),
        }
    }

    /// The service that plays a role, if it could be had.
    ///
    /// # Errors
    /// As [`Self::bound`], and where what it stands on could not be had for no fault of the submission's.
    pub fn service_of(&self, role: &str) -> Result<Found<String>, Unknown> {
        let Some(service) = self.bound(role)? else {
            let why = self.roles.get(role).map(|b| b.why.clone()).filter(|why| !why.is_empty());
            return Ok(Found::Absent(why.unwrap_or_else(|| {
                Text::new(format!("no service plays the role {role}"), format!("ningún servicio cumple el rol {role}"))
            })));
        };
        let state = self.services.get(&service);
        match state.and_then(|s| s.left_out.as_ref().or(s.image.missing.as_ref())) {
            Some(left_out) => left_out.fault().map(Found::Absent),
            None => Ok(Found::Here(service)),
        }
    }

    /// What a machine is, as it is now; that it does not run is a fact.
    ///
    /// # Errors
    /// Where that is not the submission's doing, or the engine does not say.
    pub async fn machine(&self, node: &Node) -> Result<Found<Body>, Unknown> {
        if let Some(left_out) = &node.left_out {
            return left_out.fault().map(Found::Absent);
        }
        let name = crate::sanitize::line(node.name(), 60);
        if node.virtual_machine {
            return Err(Unknown::new(
                Reason::NotHere,
                "machines are looked into as container nodes; this one is a virtual machine of the host",
                "las máquinas se miran como nodos en contenedores; esta es una máquina virtual del anfitrión",
            ));
        }
        if let Some(guest) = &node.guest {
            return answering(&name, guest).await;
        }
        let Some(id) = &node.container else {
            if !node.def.autostart {
                return Ok(Found::Absent(Text::new(
                    format!("`vagrant up` does not start {name}: its definition says `autostart: false`"),
                    format!("`vagrant up` no arranca {name}: su definición dice `autostart: false`"),
                )));
            }
            if let Some(left_out) = &self.machines.left_out {
                return left_out.fault().map(Found::Absent);
            }
            return Err(Unknown::new(
                Reason::Imparcial,
                format!("machine {name} was not brought up, and nothing says why"),
                format!("la máquina {name} no se levantó, y nada dice por qué"),
            ));
        };
        match self.ground.engine.container(id).await {
            Ok(container) if container.running() && container.pid > 0 => {
                Ok(Found::Here(Body::Container(Box::new(container))))
            }
            // A virtual machine has a swap and a kernel of its own, and comes back from a restart: an ended node proves nothing.
            Ok(container) => Err(Unknown { reason: Reason::StandIn, text: ended(node, &container) }),
            // Nothing of a submission reaches the engine that has it.
            Err(error) if error.is_missing() => Err(Unknown::new(
                Reason::Host,
                format!("the container of machine {name} is gone"),
                format!("el contenedor de la máquina {name} ya no está"),
            )),
            Err(error) => Err(error.into()),
        }
    }
}

/// A virtual machine that answers. One that does not proves nothing: it may be off, or its host too busy.
async fn answering(name: &str, guest: &Arc<Guest>) -> Result<Found<Body>, Unknown> {
    match guest.boot().await {
        Ok(boot) => Ok(Found::Here(Body::Guest(Started { guest: guest.clone(), boot }))),
        Err(error) => Err(Unknown::new(
            Reason::Host,
            format!("machine {name} does not answer: {error}"),
            format!("la máquina {name} no responde: {error}"),
        )),
    }
}

/// That a machine does not run, in words.
pub fn ended(node: &Node, container: &Container) -> Text {
    let (name, state, code) = (crate::sanitize::line(node.name(), 60), &container.state, container.exit_code);
    if matches!(state.as_str(), "exited" | "dead") {
        return Text::new(
            format!("machine {name} is not running: it ended with status {code}"),
            format!("la máquina {name} no está corriendo: terminó con estado {code}"),
        );
    }
    Text::new(
        format!("machine {name} is not running: {state}"),
        format!("la máquina {name} no está corriendo: {state}"),
    )
}

/// That a service's container does not run, in words.
pub fn not_running(container: &Container) -> Text {
    let (service, state, code) = (&container.service, &container.state, container.exit_code);
    match state.as_str() {
        "exited" | "dead" => Text::new(
            format!("service {service} is not running: it exited with status {code}"),
            format!("el servicio {service} no está corriendo: terminó con estado {code}"),
        ),
        "restarting" => Text::new(
            format!("service {service} is not running: it keeps restarting, last with status {code}"),
            format!("el servicio {service} no está corriendo: se reinicia una y otra vez, la última con estado {code}"),
        ),
        other => Text::new(
            format!("service {service} is not running: {other}"),
            format!("el servicio {service} no está corriendo: {other}"),
        ),
    }
}

/// That a service has no container at all, in words.
pub fn no_container(service: &str) -> Text {
    Text::new(format!("service {service} has no container"), format!("el servicio {service} no tiene contenedor"))
}

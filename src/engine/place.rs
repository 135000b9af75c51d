//! Where a run's stack is brought up: a lab, or the host's own engine, where it may also be up already. What differs between
//! them is here.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::lost::Loss;
use crate::backend::{Hosting, Site};
use crate::docker::Engine;
use crate::exec::Shell;
use crate::lab::left_out::NotCopied;
use crate::lab::{self, Lab, LabError, LabSpec, OnHost};
use crate::notice::Notice;
use crate::plan;
use crate::stack::Spot;
use crate::stack::snapshot::Slot;
use crate::text::Text;
use crate::time::Clock;

pub(super) enum Place {
    Lab(Box<Lab>),
    Host(Box<OnHost>),
}

impl Place {
    /// A place of our own; what dead runs left behind goes first.
    pub(super) async fn open(kind: &plan::Place, spec: LabSpec) -> Result<Self, LabError> {
        let host = Engine::host().await?;
        if let Err(error) = lab::sweep(&host).await {
            tracing::warn!(%error, "what earlier runs left could not be swept");
        }
        match kind {
            plan::Place::Lab => Lab::start(spec).await.map(|lab| Self::Lab(Box::new(lab))),
            plan::Place::Host => OnHost::start(spec).await.map(|host| Self::Host(Box::new(host))),
            plan::Place::Attached(to) => {
                OnHost::attached(spec, to.project.name.clone()).await.map(|host| Self::Host(Box::new(host)))
            }
        }
    }

    pub(super) fn site(&self) -> Site {
        match self {
            Self::Lab(lab) => {
                let spot = lab.spot();
                Site::new(spot.clone(), spot, lab.workdir(), None)
            }
            Self::Host(host) => {
                let spot = Spot {
                    node: None,
                    engine: host.engine().clone(),
                    shell: host.shell(),
                    agents: host.agents().clone(),
                    address: host.address().to_owned(),
                };
                let hosting = Hosting { labels: host.labels(), project: host.project() };
                Site::new(spot.clone(), spot, host.workdir(), Some(hosting))
            }
        }
    }

    pub(super) fn shell(&self) -> Arc<dyn Shell> {
        match self {
            Self::Lab(lab) => lab.shell(),
            Self::Host(host) => host.shell(),
        }
    }

    pub(super) fn left_out(&self) -> &[NotCopied] {
        match self {
            Self::Lab(lab) => lab.left_out(),
            Self::Host(host) => host.left_out(),
        }
    }

    /// Of its virtual machines.
    pub(super) fn snapshot(&self) -> Option<&Slot> {
        match self {
            Self::Lab(lab) => lab.snapshot(),
            Self::Host(_) => None,
        }
    }

    /// What is to be known of how it was opened.
    pub(super) fn notices(&self) -> Vec<Notice> {
        match self {
            Self::Lab(lab) => lab.notices().cloned().collect(),
            Self::Host(_) => Vec::new(),
        }
    }

    /// Why what was seen in it proves nothing. That the layers cannot be looked at is a reason as well: who wrote into them
    /// could see to that. A lab that was given none is never asked.
    pub(super) async fn tampered(&self) -> Option<Text> {
        let Self::Lab(lab) = self else { return None };
        let mut seen = lab.tampered().await;
        if let Err(error) = &seen {
            tracing::warn!(%error, "whether the layers were changed meanwhile is looked at once more");
            seen = lab.tampered().await;
        }
        seen.unwrap_or_else(|error| Some(not_proven(&error.text())))
    }

    /// Waits for as long as the place is there. The host is as long as we are; its engine's failures are told by each look.
    pub(super) async fn watch(&self, loss: &Loss, clock: Clock, stop: &CancellationToken) {
        match self {
            Self::Lab(lab) => loss.watch(lab, clock, stop).await,
            Self::Host(_) => std::future::pending().await,
        }
    }

    pub(super) async fn down(&self) -> Result<(), LabError> {
        match self {
            Self::Lab(lab) => lab.down().await,
            Self::Host(host) => host.down().await,
        }
    }

    /// The lab's container, or the project on the host.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Lab(lab) => lab.name().to_owned(),
            Self::Host(host) => host.project(),
        }
    }

    fn run(&self) -> &str {
        match self {
            Self::Lab(lab) => lab.run(),
            Self::Host(host) => host.run(),
        }
    }

    /// Of a lab that was kept. On the host nothing is: the copy that its containers have mounted goes with us.
    pub(super) fn how_to_look(&self) -> Text {
        let (name, run) = (self.name(), self.run());
        Text::new(
            format!(
                "the lab is still up: `docker exec -it {name} bash` looks inside (then `docker ps`), `imparcial down {run}` removes it"
            ),
            format!(
                "el laboratorio sigue en marcha: `docker exec -it {name} bash` entra en él (y luego `docker ps`); `imparcial down {run}` lo elimina"
            ),
        )
    }

    pub(super) fn what_is_left(&self) -> Text {
        let (name, run) = (self.name(), self.run());
        let (en, es) = match self {
            Self::Lab(_) => (format!("the lab {name}"), format!("el laboratorio {name}")),
            Self::Host(host) if host.is_attached() => (
                format!("what run {run} made beside project {name}"),
                format!("lo que creó la ejecución {run} junto al proyecto {name}"),
            ),
            Self::Host(_) => (format!("what project {name} made"), format!("lo que creó el proyecto {name}")),
        };
        let has_reaper = match self {
            Self::Lab(lab) => lab.has_reaper(),
            Self::Host(host) => host.has_reaper(),
        };
        if !has_reaper {
            return Text::new(
                format!("{en} may still be there; the next start removes it, or `imparcial down {run}`"),
                format!("{es} puede seguir ahí; lo retira el próximo arranque, o `imparcial down {run}`"),
            );
        }
        Text::new(
            format!(
                "{en} may still be there; for ten minutes it is removed as soon as the engine answers, later by the next start or by `imparcial down {run}`"
            ),
            format!(
                "{es} puede seguir ahí; durante diez minutos se retira en cuanto el motor responda, después con el próximo arranque o con `imparcial down {run}`"
            ),
        )
    }
}

fn not_proven(why: &Text) -> Text {
    Text::new(
        format!(
            "that nobody wrote into the unpacked layers that this run stood on could not be proven, so what was seen proves nothing. That may be this host's doing, or that of who wrote into them: {}",
            why.en
        ),
        format!(
            "no se pudo demostrar que nadie escribió en las capas desempaquetadas sobre las que corría esta ejecución, así que lo visto no prueba nada. Puede deberse a este equipo, o a quien escribió en ellas: {}",
            why.es
        ),
    )
}

//! What a machine is while it is up, and the ways into it: a container of the lab's engine, which the lab's own kernel sees past
//! the machine's programs; or a virtual machine, where nothing is seen but from inside of it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Spot;
use crate::agent::client::{Agent, AgentError, Agents};
use crate::agent::{Look, Root, Sight, clock};
use crate::docker::Container;
use crate::exec::container::Container as InContainer;
use crate::exec::ssh::Ssh;
use crate::exec::{Cmd, Shell};

/// Another one after each start.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";
/// A guest on an emulated processor that does nothing else answers in a tenth of that.
const ANSWERS_WITHIN: Duration = Duration::from_secs(15);
/// Until a clock is set, or compared.
pub(crate) const CLOCK: Duration = Duration::from_secs(60);

/// A machine that is up.
#[derive(Clone, Debug)]
pub enum Body {
    /// As it was when it was asked for.
    Container(Box<Container>),
    Guest(Started),
}

/// A guest, and which start of it this is.
#[derive(Clone, Debug)]
pub struct Started {
    pub guest: Arc<Guest>,
    pub boot: String,
}

/// A virtual machine in the lab.
pub struct Guest {
    /// As the hypervisor calls it.
    pub domain: String,
    /// By which it is managed: not one of those that it declares.
    pub address: String,
    /// By network: those that it declares, and the one by which it is managed, as `bridge`.
    pub addresses: BTreeMap<String, String>,
    pub memory_bytes: u64,
    /// It was declared with more, and whoever runs this gives it no more.
    pub capped: bool,
    pub cpus: f64,
    /// Into it, as root.
    pub shell: Arc<dyn Shell>,
    /// Our executable in it.
    pub agents: Agents,
}

/// Asks the hypervisor, in the lab.
pub fn virsh(words: &[&str]) -> Cmd {
    Cmd::new(["virsh", "--connect", "qemu:///system"]).args(words.iter().copied())
}

/// A running machine's clock is set so far from the lab's, in milliseconds: run in the lab. A connection takes half of its time, and
/// the start of our executable the rest, on an emulated processor that was asleep until now.
pub(crate) fn clock_set(machine: &Ssh, off: i64) -> Cmd {
    clock::set(off, &machine.over(&clock::answering())).timeout(CLOCK)
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest").field("domain", &self.domain).field("address", &self.address).finish_non_exhaustive()
    }
}

impl Guest {
    /// Which start this is, asked inside of it.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn boot(&self) -> Result<String, AgentError> {
        let look = Look::Files { paths: vec![BOOT.to_owned()] };
        match self.agents.lab().await?.look(look, ANSWERS_WITHIN).await? {
            Sight::Files { mut contents } if contents.contains_key(BOOT) => {
                Ok(contents.remove(BOOT).unwrap_or_default().trim().to_owned())
            }
            other => Err(AgentError::Ended { place: self.domain.clone(), message: format!("{other:?}") }),
        }
    }
}

impl Body {
    /// Who looks at the machine: the lab, or an agent in it.
    pub fn seen_by<'a>(&'a self, ground: &'a Spot) -> &'a Agents {
        match self {
            Self::Container(_) => &ground.agents,
            Self::Guest(started) => &started.guest.agents,
        }
    }

    /// Its first process, as whoever looks at it counts, and what names its control groups; nothing does where it has a kernel
    /// of its own.
    pub fn first(&self) -> (i64, &str) {
        match self {
            Self::Container(container) => (container.pid, &container.id),
            Self::Guest(_) => (1, ""),
        }
    }

    /// Its files, as its first process has them.
    pub fn root(&self) -> Root {
        let (pid, container) = self.first();
        Root::Process { pid, container: container.to_owned() }
    }

    /// Runs commands in it, as root.
    pub fn shell(&self, ground: &Spot) -> Arc<dyn Shell> {
        match self {
            Self::Container(container) => Arc::new(InContainer::new(ground.shell.clone(), container.id.clone())),
            Self::Guest(started) => started.guest.shell.clone(),
        }
    }

    /// Where commands run that look at it, or change something about it, past its own programs where that can be.
    pub fn seen_from(&self, ground: &Spot) -> Arc<dyn Shell> {
        match self {
            Self::Container(_) => ground.shell.clone(),
            Self::Guest(started) => started.guest.shell.clone(),
        }
    }

    /// Looks from its own network, by its own names.
    ///
    /// # Errors
    /// See [`Agents::inside`].
    pub async fn stand(&self, ground: &Spot) -> Result<Agent, AgentError> {
        match self {
            Self::Container(container) => ground.agents.inside(container).await,
            Self::Guest(started) => started.guest.agents.lab().await,
        }
    }

    /// By network.
    pub fn addresses(&self) -> &BTreeMap<String, String> {
        match self {
            Self::Container(container) => &container.addresses,
            Self::Guest(started) => &started.guest.addresses,
        }
    }

    /// What it was given.
    pub fn memory_bytes(&self) -> u64 {
        match self {
            Self::Container(container) => container.memory_bytes,
            Self::Guest(started) => started.guest.memory_bytes,
        }
    }

    /// Whether that is less than declared because whoever runs this says so.
    pub fn is_capped(&self) -> bool {
        matches!(self, Self::Guest(started) if started.guest.capped)
    }

    /// What it was given; 0 is no limit.
    pub fn cpus(&self) -> f64 {
        match self {
            Self::Container(container) => container.cpus(),
            Self::Guest(started) => started.guest.cpus,
        }
    }
}

//! Labs: the disposable container in which a run happens, and what labs are made of.

pub mod catalogue;
mod cgroups;
pub mod copy;
mod error;
pub mod guard;
mod layers;
pub mod left_out;
mod loops;
mod on_host;
pub mod projects;
pub mod reaper;
pub mod registry;
mod removal;
mod running;
mod seal;
mod sealing;
mod send;
pub mod setup;
pub mod snapshots;
pub mod sweep;
mod upload;
pub mod vagrantfile;
mod watch;

pub use crate::agent::BINARY;
pub use error::LabError;
pub use guard::Guard;
pub use layers::Shelf;
pub use on_host::OnHost;
pub use registry::ensure_in_registry;
pub use running::{Lab, LabSpec};
pub use sealing::dispatched;
pub use sweep::sweep;

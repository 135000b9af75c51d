//! Labs: the disposable container in which a run happens, and what labs are made of.

pub mod catalogue;
mod cgroups;
pub mod copy;
mod error;
pub mod guard;
pub mod owner;
mod running;
pub mod sweep;

pub use error::LabError;
pub use guard::Guard;
pub use running::{BINARY, Lab, LabSpec};
pub use sweep::sweep;

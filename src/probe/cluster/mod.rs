//! What machines are together: the distributed volume, and whether data really lies on it.
//!
//! A machine's Gluster is asked for what only it knows, and that is testimony. Where bricks lie, what is mounted and what
//! bytes a brick holds is seen from outside the machines.

mod ask;
mod copies;
pub mod gluster;
mod lies;
mod members;
mod mounts;
mod picture;
pub(super) mod reached;
pub mod replicate;
pub mod volume;
mod xml;

/// What nobody else has written: for names and bytes of our own.
fn nonce() -> String {
    format!("{:016x}", crate::nonce::number())
}

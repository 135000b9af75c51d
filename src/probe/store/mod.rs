//! The database behind a role: how to get in, what it holds.

pub mod login;
pub mod open;
pub mod schema;

pub use crate::stack::table::{Column, Kind, Table};
pub use open::{Said, Store, open};

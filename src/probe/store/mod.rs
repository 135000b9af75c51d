//! The database behind a role: how to get in, what it holds.

pub mod table;

pub use table::{Column, Kind, Table};

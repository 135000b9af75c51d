//! What authors of scenarios look things up in, made from the tables: the JSON Schema for editors, and the page of the kinds.
//!
//! Both are committed under `scenarios/`, and a test fails where one is not what would be made now.

mod drills;
mod expect;
pub mod kinds;
pub mod schema;
#[cfg(test)]
mod tests;

//! The page of a role: what it says, where it leads, and which rows of the store it shows.

mod entities;
mod html;
pub mod links;
pub mod rows;
pub mod text;
pub mod trouble;

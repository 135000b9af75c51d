//! The engine: plan in, record out; on one page.

pub mod eventually;
pub mod schedule;
pub mod settle;

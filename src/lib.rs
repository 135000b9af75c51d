//! `imparcial` grades clusters: it brings a student's stack up, checks that it works and says whose fault it is where it does not.
//!
//! The modules stand in the order in which the data goes; one uses only those above it (`tests/it/tidy.rs` watches).

pub mod owner;
pub mod sanitize;
pub mod temp;
pub mod text;
pub mod time;

pub mod nearest;
pub mod nonce;

pub mod exec;

pub mod docker;

pub mod agent;

pub mod expect;

pub mod notice;

pub mod drill;

pub mod submission;

pub mod scenario;

pub mod stack;

pub mod backend;

pub mod fault;

pub mod probe;

pub mod lab;

pub mod plan;

pub mod reference;

pub mod record;

pub mod grade;

pub mod report;

pub mod engine;

pub mod mutants;

pub mod harness;

#[allow(clippy::print_stdout, clippy::print_stderr, reason = "here output leaves for people and pipes")]
pub mod cli;

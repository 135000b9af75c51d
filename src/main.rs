//! The thin binary: the agent or the reaper before anything else, else the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Joining a namespace is allowed to a process of one thread only: before any runtime.
    imparcial::agent::serve::dispatched()
        .or_else(imparcial::lab::reaper::dispatched)
        .unwrap_or_else(imparcial::cli::main)
}

//! The thin binary: the agent, the reaper or what seals layers before anything else, else the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Joining a namespace is allowed to a process of one thread only: before any runtime.
    imparcial::agent::serve::dispatched()
        .or_else(imparcial::lab::reaper::dispatched)
        .or_else(imparcial::lab::dispatched)
        .unwrap_or_else(imparcial::cli::main)
}

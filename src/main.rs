//! The thin binary: the agent before anything else, else the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    imparcial::cli::main()
}

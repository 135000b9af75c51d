//! Brings a submission's stack up once and shows every check of a scenario as a trial: see `imparcial::harness`.

fn main() -> std::process::ExitCode {
    imparcial::harness::main()
}

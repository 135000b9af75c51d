//! The command line: one file a subcommand, each with its `Args` and `run`; data on stdout, progress on stderr.

mod attach;
pub mod bars;
pub mod bench;
pub mod compare;
pub mod down;
pub mod exit;
pub mod github;
pub mod grade;
pub mod inspect;
mod marks;
pub mod mutants;
pub mod plan;
pub mod planning;
pub mod progress;
pub mod prove;
mod recorded;
pub mod report;
pub mod schema;
pub mod screen;
pub mod setup;
pub mod shell;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::record::Audience;
use crate::text::Lang;

/// Grades a cluster: brings a submission's stack up in a lab, checks it, and says whose fault it is where it does not work.
#[derive(Debug, Parser)]
#[command(name = "imparcial", version)]
struct Cli {
    /// Language of texts for people; by default as the locale says.
    #[arg(long, global = true, value_enum)]
    lang: Option<LangArg>,
    /// More of what is going on, on standard error (twice: everything).
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Only the result.
    #[arg(short, long, global = true)]
    quiet: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum LangArg {
    En,
    Es,
}

/// Whose eyes a report is for.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum AudienceArg {
    /// Who handed it in, while it may be handed in again.
    Student,
    /// The same, after the due date.
    AfterDue,
    /// All of it.
    Teacher,
}

impl AudienceArg {
    fn audience(self) -> Audience {
        match self {
            Self::Student => Audience::Student,
            Self::AfterDue => Audience::AfterDue,
            Self::Teacher => Audience::Teacher,
        }
    }
}

/// What every subcommand is told.
#[derive(Clone, Copy, Debug)]
pub struct Ctx {
    pub lang: Lang,
    pub quiet: bool,
    /// `-v`: line by line, and more of them.
    pub verbose: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Install and start what labs need: engine, base image, stand-ins, registry.
    Setup(setup::Args),
    /// What was handed in, and which service plays which role.
    Inspect(inspect::Args),
    /// What would be checked, in which order; starts nothing.
    Plan(plan::Args),
    /// Bring a submission up in a lab, check it, take it down, write the reports.
    Grade(grade::Args),
    /// Take down what runs left on this host.
    Down(down::Args),
    /// What the harness costs over the same steps typed by hand.
    Bench(bench::Args),
    /// Show a finished run again, in another format or language.
    Report(report::Args),
    /// Show where two runs of one scenario differ, with what each saw.
    Compare(compare::Args),
    /// Grade a scenario's mutants and compare what comes of them with what must: measures imparcial itself.
    Mutants(mutants::Args),
    /// The JSON Schema of scenarios, for editors; or the kinds of checks.
    Schema(schema::Args),
    /// What a shell needs to complete this command line.
    Completions(shell::Completions),
    /// The manual page, for `man`.
    Man(shell::Man),
}

/// Runs the command line and gives the process's exit code (see [`exit`]).
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let help =
                matches!(error.kind(), clap::error::ErrorKind::DisplayHelp | clap::error::ErrorKind::DisplayVersion);
            // A closed pipe is no reason to fail.
            let _ = error.print();
            return ExitCode::from(if help { exit::OK } else { exit::USAGE });
        }
    };
    log(cli.verbose);
    let ctx = Ctx { lang: language(cli.lang), quiet: cli.quiet, verbose: cli.verbose > 0 };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: could not start the runtime: {error}");
            return ExitCode::from(exit::NOT_GRADED);
        }
    };
    ExitCode::from(runtime.block_on(async {
        match cli.command {
            Command::Setup(args) => setup::run(args, ctx).await,
            Command::Inspect(args) => inspect::run(args, ctx).await,
            Command::Plan(args) => plan::run(args, ctx).await,
            Command::Grade(args) => grade::run(args, ctx).await,
            Command::Down(args) => down::run(args, ctx).await,
            Command::Bench(args) => bench::run(args, ctx).await,
            Command::Report(args) => report::run(args, ctx).await,
            Command::Compare(args) => compare::run(args, ctx).await,
            Command::Mutants(args) => mutants::run(args, ctx).await,
            Command::Schema(args) => schema::run(args, ctx).await,
            Command::Completions(args) => shell::completions(args, ctx).await,
            Command::Man(args) => shell::man(args, ctx).await,
        }
    }))
}

/// `--lang`, else the locale: Spanish where it says `es`, English elsewhere.
fn language(asked: Option<LangArg>) -> Lang {
    match asked {
        Some(LangArg::En) => Lang::En,
        Some(LangArg::Es) => Lang::Es,
        None => {
            let locale = ["LC_ALL", "LC_MESSAGES", "LANG"]
                .iter()
                .find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()));
            Lang::of(locale.as_deref())
        }
    }
}

fn log(verbose: u8) {
    let default = match verbose {
        0 => "imparcial=warn",
        1 => "imparcial=info",
        2 => "imparcial=debug,bollard=info",
        _ => "debug",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("IMPARCIAL_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    // Colours are for terminals; `NO_COLOR` is honoured there.
    let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    let colour = std::io::stderr().is_terminal() && !plain;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| bars::Above)
        .with_ansi(colour)
        .with_target(false)
        .init();
}

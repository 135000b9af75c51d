//! `imparcial completions` and `imparcial man`: what a shell and `man` want to know of the command line, made from it.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, Ctx, exit, screen};

#[derive(Debug, clap::Args)]
pub struct Completions {
    /// The shell that is to complete: `imparcial completions bash > /etc/bash_completion.d/imparcial`.
    #[arg(value_enum)]
    shell: Shell,
}

pub async fn completions(args: Completions, ctx: Ctx) -> u8 {
    let mut out = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "imparcial", &mut out);
    put(&out, ctx)
}

#[derive(Debug, clap::Args)]
pub struct Man {
    /// The page of a subcommand, such as `grade`; without it, of the whole.
    subcommand: Option<String>,
}

pub async fn man(args: Man, ctx: Ctx) -> u8 {
    let mut command = Cli::command();
    command.build();
    let page = match &args.subcommand {
        None => command,
        Some(name) => match command.find_subcommand(name) {
            Some(found) => found.clone(),
            None => {
                let names: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
                let hint = crate::nearest::hint(name, names.iter().copied());
                return super::planning::usage(&format!("there is no subcommand `{name}`: {hint}"));
            }
        },
    };
    let mut out = Vec::new();
    match clap_mangen::Man::new(page).render(&mut out) {
        Ok(()) => put(&out, ctx),
        Err(error) => {
            eprintln!("error: {error}");
            exit::NOT_GRADED
        }
    }
}

fn put(bytes: &[u8], ctx: Ctx) -> u8 {
    match screen::put(bytes) {
        Ok(()) => exit::OK,
        Err(error) => {
            eprintln!("error: {}", screen::unwritten(&error).get(ctx.lang));
            exit::NOT_GRADED
        }
    }
}

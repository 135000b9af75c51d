//! `imparcial inspect`: what was handed in, which service plays which role and why, what the policy finds, which machines
//! a Vagrantfile defines; starts nothing of it.

mod machines;
mod show;
mod view;

use std::path::PathBuf;

use super::planning::{color, not_taken, pair, quiet_guard, say};
use super::{Ctx, exit, screen};
use crate::lab::catalogue::Catalogue;
use crate::lab::{reaper, vagrantfile};
use crate::plan::roles_named;
use crate::scenario::diagnostics;
use crate::submission::handed::{self, Given};
use crate::submission::{ReadOptions, bind};
use view::View;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// What was handed in: a folder, a .zip, a .tar.gz, a .tar, or the URL of a git repository (https, ssh, git@…, file;
    /// a branch behind `#`).
    #[arg(value_name = "FOLDER|ARCHIVE|URL")]
    submission: PathBuf,
    /// The branch or tag of a repository.
    #[arg(long)]
    branch: Option<String>,
    /// As JSON, for programs.
    #[arg(long)]
    json: bool,
    /// Which service plays a role, where imparcial cannot tell or tells it wrong.
    #[arg(long = "role", value_name = "ROLE=SERVICE", value_parser = pair)]
    roles: Vec<(String, String)>,
    /// The compose file to take, where several were handed in.
    #[arg(long, value_name = "FILE")]
    compose_file: Option<PathBuf>,
}

pub async fn run(args: Args, ctx: Ctx) -> u8 {
    let options = ReadOptions { compose_file: args.compose_file };
    let guard = match quiet_guard(ctx) {
        Ok(guard) => guard,
        Err(code) => return code,
    };
    let given = Given { what: args.submission.into_os_string(), branch: args.branch, watch: Some(reaper::of_folders) };
    let mut submission = match handed::take(&given, &options, &guard.token()).await {
        Ok(submission) => submission,
        Err(error) => return not_taken(&error, ctx),
    };
    vagrantfile::load(&mut submission, &guard.token()).await;
    if guard.token().is_cancelled() {
        return exit::INTERRUPTED;
    }
    let roles = bind::default_roles();
    let names: Vec<&str> = roles.iter().map(|role| role.name.as_str()).collect();
    let problems = roles_named(&args.roles, &names, submission.compose.as_ref());
    if !problems.is_empty() {
        say(&diagnostics::render(&problems, "", color()));
        return exit::USAGE;
    }
    let family = |reference: &str| Catalogue::shipped().family_of(reference);
    let view = View::of(&submission, &roles, &args.roles, &family);
    let out = if args.json {
        serde_json::to_string_pretty(&view).map(|json| json + "\n").map_err(|error| error.to_string())
    } else if ctx.quiet {
        Ok(show::findings(&view, ctx.lang))
    } else {
        Ok(show::show(&view, ctx.lang))
    };
    match out.and_then(|out| screen::put(out.as_bytes()).map_err(|error| format!("could not write: {error}"))) {
        Ok(()) if view.is_hopeless() => exit::FAILED,
        Ok(()) => exit::OK,
        Err(error) => {
            say(&format!("error: {error}\n"));
            exit::NOT_GRADED
        }
    }
}

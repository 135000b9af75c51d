//! `imparcial mutants`: the grader measured by submissions whose faults are known.

use std::path::{Path, PathBuf};

use super::{Ctx, exit, screen};
use crate::mutants::{self, Mutant};
use crate::scenario::{self, nearest};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The scenario whose mutants are graded: a name, or the path of its file.
    #[arg(long, default_value = "seed")]
    scenario: String,
    /// Only this mutant; may be given several times.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Show what each mutant is about; grade nothing.
    #[arg(long)]
    list: bool,
    /// Write the mutants as submissions into this folder, to look at them by hand; grade nothing.
    #[arg(long, value_name = "FOLDER")]
    write: Option<PathBuf>,
}

pub async fn run(args: Args, _ctx: Ctx) -> u8 {
    let file = match scenario::locate(&args.scenario) {
        Ok(file) => file,
        Err(message) => return usage(&message),
    };
    let folder = file.parent().unwrap_or(Path::new("."));
    let chosen = match mutants::load_all(&folder.join("mutants")) {
        Ok(all) => match choose(all, &args.only) {
            Ok(chosen) => chosen,
            Err(message) => return usage(&message),
        },
        Err(problems) => {
            for p in problems {
                let hint = p.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
                eprintln!("error: {}:{}:{}: {}{hint}", p.at.file, p.at.line, p.at.column, p.message);
            }
            return exit::USAGE;
        }
    };
    if args.list {
        let width = chosen.iter().map(|m| m.name.len()).max().unwrap_or_default();
        let lines = chosen.iter().map(|m| format!("{:<width$}  {}\n", m.name, m.about.trim())).collect::<String>();
        return if screen::put(lines.as_bytes()).is_ok() { exit::OK } else { exit::NOT_GRADED };
    }
    match args.write {
        Some(into) => write(&chosen, &folder.join("reference"), &into),
        None => exit::USAGE,
    }
}

fn write(chosen: &[Mutant], reference: &Path, into: &Path) -> u8 {
    for mutant in chosen {
        let to = into.join(&mutant.name);
        if to.exists() {
            return usage(&format!("{} is already there", to.display()));
        }
        if let Err(error) = mutants::apply(mutant, reference, &to) {
            return usage(&error.to_string());
        }
    }
    exit::OK
}

fn choose(all: Vec<Mutant>, only: &[String]) -> Result<Vec<Mutant>, String> {
    for name in only {
        if !all.iter().any(|m| m.name == *name) {
            let hint = nearest::hint(name, all.iter().map(|m| m.name.as_str()));
            return Err(format!("no mutant `{name}`: {hint}"));
        }
    }
    Ok(all.into_iter().filter(|m| only.is_empty() || only.contains(&m.name)).collect())
}

fn usage(message: &str) -> u8 {
    eprintln!("error: {message}");
    exit::USAGE
}

//! `imparcial mutants`: the grader measured by submissions whose faults are known.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;

use super::grade::guard;
use super::planning::{self, Planning, ProviderArg, Providing};
use super::{Ctx, exit, screen};
use crate::backend::vagrant::boxes::Boxes;
use crate::backend::vagrant::budget;
use crate::engine::{self, RunOptions};
use crate::mutants::{self, Mutant, Row, Summary};
use crate::report;
use crate::scenario::units::show_duration;
use crate::text::Text;
use crate::{nearest, scenario};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The scenario whose mutants are graded: a name, or the path of its file.
    #[arg(short, long, value_name = "NAME|FILE", default_value = "seed")]
    scenario: String,
    /// Only these mutants; a base's own name (`reference`) is that base, unchanged.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Of the mutants that boot machines or break something, which take longest: all of them, a few, or none.
    #[arg(long, value_enum, value_name = "SHARE", default_value_t = Share::All)]
    machines: Share,
    /// Of the others, which bring services up at most: the same.
    #[arg(long, value_enum, value_name = "SHARE", default_value_t = Share::All)]
    services: Share,
    /// So many labs at a time, a third of it with machines; by default as memory and cores allow.
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: Option<u16>,
    /// No check waits longer than this, but in mutants that ask for more; by default as the scenario has it.
    #[arg(long, value_name = "DURATION", value_parser = planning::duration)]
    patience: Option<Duration>,
    /// Where images come from, as in `imparcial grade`.
    #[arg(long, value_enum, default_value_t = planning::ImagesArg::Auto)]
    images: planning::ImagesArg,
    #[command(flatten)]
    providing: Providing,
    /// Where the folders of the runs are made, one for each mutant.
    #[arg(long, value_name = "FOLDER", default_value = "reports/mutants")]
    reports: PathBuf,
    /// Show what each mutant is about; grade nothing.
    #[arg(long)]
    list: bool,
    /// Write the mutants as submissions into this folder, to look at them by hand; grade nothing.
    #[arg(long, value_name = "FOLDER", conflicts_with = "list")]
    write: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Share {
    All,
    /// Those that say `sample: true`.
    Sample,
    None,
}

impl Args {
    fn takes(&self, mutant: &Mutant) -> bool {
        match if mutant.boots() { self.machines } else { self.services } {
            Share::All => true,
            Share::Sample => mutant.sample,
            Share::None => false,
        }
    }
}

pub async fn run(args: Args, ctx: Ctx) -> u8 {
    if args.providing.provider == ProviderArg::VirtualBox {
        return usage(
            "mutants are graded in labs, and no lab has VirtualBox's machines: `--provider docker` or `libvirt`",
        );
    }
    if args.providing.refuses(None, ctx) {
        return exit::USAGE;
    }
    let file = match scenario::locate(&args.scenario) {
        Ok(file) => file,
        Err(text) => return usage(text.get(ctx.lang)),
    };
    let folder = file.parent().unwrap_or(Path::new("."));
    let loaded = scenario::bases(folder).and_then(|bases| {
        let mutants = mutants::load_all(&folder.join("mutants"), &bases)?;
        Ok(bases.iter().map(Mutant::unchanged).chain(mutants).collect())
    });
    let chosen: Vec<Mutant> = match loaded {
        Ok(all) => match choose(all, &args.only) {
            // Who is asked for by name is graded.
            Ok(chosen) => chosen.into_iter().filter(|m| !args.only.is_empty() || args.takes(m)).collect(),
            Err(text) => return usage(text.get(ctx.lang)),
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
        let base = chosen.iter().map(|m| m.base.name.len()).max().unwrap_or_default();
        let line = |m: &Mutant| format!("{:<width$}  {:<base$}  {}\n", m.name, m.base.name, m.about.trim());
        let lines = chosen.iter().map(line).collect::<String>();
        return put(&lines);
    }
    match &args.write {
        Some(into) => write(&chosen, into),
        None => grade(&args, ctx, &file, chosen).await,
    }
}

async fn grade(args: &Args, ctx: Ctx, file: &Path, chosen: Vec<Mutant>) -> u8 {
    let guard = match guard(ctx) {
        Ok(guard) => guard,
        Err(code) => return code,
    };
    let (total, cancel) = (chosen.len(), guard.token());
    let mut proven: Vec<&Path> = Vec::new();
    // Machines are proven by no reference: their node says itself what it stands in for.
    let serve = |mutant: &&Mutant| mutant.layers.is_empty() || mutant.layers.iter().any(|layer| layer == "services");
    for base in chosen.iter().filter(serve).map(|mutant| mutant.base.submission.as_path()) {
        if proven.contains(&base) {
            continue;
        }
        proven.push(base);
        let services = Planning { layers: vec!["services".to_owned()], ..Planning::of(base.to_owned(), file) };
        if let Ok(model) = services.plan(ctx, &cancel).await {
            super::prove::of(&model, ctx, &args.reports, &cancel).await;
        }
    }
    let (file, reports) = (file.display().to_string(), args.reports.clone());
    let (patience, images, providing) = (args.patience, args.images, args.providing);
    let runtime = tokio::runtime::Handle::current();
    let one = move |mutant: &Mutant, submission: &Path| {
        if cancel.is_cancelled() {
            return Err("interrupted".to_owned());
        }
        let planning = planned(mutant, submission, &file, patience, images)?;
        let mut plan = runtime
            .block_on(planning.plan(ctx, &cancel))
            .map_err(|_| "it could not be planned (see above)".to_owned())?;
        providing.into(&mut plan.options);
        // What a mutant must come to hangs on no network, unless it is asked for.
        if plan.options.boxes.from == Boxes::Auto {
            plan.options.boxes.from = Boxes::StandIn;
        }
        // Each is graded once.
        plan.options.fresh = true;
        let options = RunOptions {
            reports: reports.join(&mutant.name),
            run: engine::run_id(),
            cancel: cancel.clone(),
            progress: Arc::new(|_| ()),
            watched: false,
        };
        let done = runtime.block_on(engine::run(&plan, &options));
        let (record, folder) = done.map_err(|e| e.text().get(ctx.lang).to_owned())?;
        report::write_all(&folder, &record, ctx.lang).map_err(|e| e.to_string())?;
        Ok(record)
    };
    let jobs = args.jobs.map_or_else(jobs, usize::from);
    let mut done = 0;
    let mut told = |row: &Row| {
        done += 1;
        if !ctx.quiet {
            let how = if row.as_it_must() { "as it must be" } else { "DIFFERS" };
            eprintln!("{done:>3} of {total}  {}: {how} ({:.0} s)", row.mutant.name, row.elapsed.as_secs_f64());
        }
    };
    // Four machines work as much as three stacks do; they come last, so that a few long ones end the run together.
    let (boots, rest): (Vec<_>, Vec<_>) = chosen.into_iter().partition(Mutant::boots);
    let one = Arc::new(one);
    let (first, second) = (one.clone(), one);
    let at_once = if args.providing.provider == ProviderArg::Libvirt { 1 } else { (jobs / 3).max(1) };
    let mut rows = mutants::run(rest, jobs, move |m: &Mutant, at: &Path| first(m, at), &mut told).await;
    rows.extend(mutants::run(boots, at_once, move |m: &Mutant, at: &Path| second(m, at), &mut told).await);
    let mut table = mutants::render(&rows);
    for row in rows.iter().filter(|row| !row.as_it_must()) {
        table.push_str(&format!("see {}\n", args.reports.join(&row.mutant.name).join("latest").display()));
    }
    let written = put(&table);
    let sum = Summary::of(&rows);
    match (written, sum.as_they_must == sum.mutants) {
        _ if guard.token().is_cancelled() => exit::INTERRUPTED,
        (exit::OK, true) => exit::OK,
        (exit::OK, false) if sum.not_graded == 0 => exit::FAILED,
        _ => exit::NOT_GRADED,
    }
}

/// What `imparcial grade` would be told, with the mutant's own arguments behind.
fn planned(
    mutant: &Mutant,
    submission: &Path,
    file: &str,
    patience: Option<Duration>,
    images: planning::ImagesArg,
) -> Result<Planning, String> {
    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        planning: Planning,
    }
    // One that waits for what never comes says itself for how long.
    let own = mutant.args.iter().any(|arg| arg == "--patience");
    let patience = patience.filter(|_| !own).map(|asked| asked.max(mutant.patience.unwrap_or_default()));
    let mut line = vec!["grade".to_owned(), submission.display().to_string(), "--scenario".to_owned(), file.to_owned()];
    line.extend(patience.into_iter().flat_map(|p| ["--patience".to_owned(), show_duration(p)]));
    line.extend(mutant.args.iter().cloned());
    let mut planning = Line::try_parse_from(line).map_err(|e| format!("its `args`: {e}"))?.planning;
    planning.images = images;
    if planning.layers.is_empty() {
        planning.layers.clone_from(&mutant.layers);
    }
    Ok(planning)
}

/// Labs at a time: of its half minute one works five seconds a core, and it holds an engine, a database and an app.
fn jobs() -> usize {
    const PER_CORE: usize = 3;
    const LAB: u64 = 700 << 20;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let free = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let hold = budget::available(&free).unwrap_or_default() / LAB;
    (cores * PER_CORE).min(usize::try_from(hold).unwrap_or(usize::MAX)).max(1)
}

fn write(chosen: &[Mutant], into: &Path) -> u8 {
    for mutant in chosen {
        let to = into.join(&mutant.name);
        if to.exists() {
            return usage(&format!("{} is already there", to.display()));
        }
        if let Err(error) = mutants::apply(mutant, &to) {
            return usage(&error.to_string());
        }
    }
    exit::OK
}

/// All, or those that are asked for.
fn choose(all: Vec<Mutant>, only: &[String]) -> Result<Vec<Mutant>, Text> {
    for name in only {
        if !all.iter().any(|m| m.name == *name) {
            let hint = nearest::text(name, all.iter().map(|m| m.name.as_str()));
            return Err(Text::new(
                format!("no mutant `{name}`: {}", hint.en),
                format!("no hay ningún mutante `{name}`: {}", hint.es),
            ));
        }
    }
    Ok(all.into_iter().filter(|m| only.is_empty() || only.contains(&m.name)).collect())
}

fn put(text: &str) -> u8 {
    match screen::put(text.as_bytes()) {
        Ok(()) => exit::OK,
        Err(error) => {
            eprintln!("error: could not write the table: {error}");
            exit::NOT_GRADED
        }
    }
}

fn usage(message: &str) -> u8 {
    eprintln!("error: {message}");
    exit::USAGE
}

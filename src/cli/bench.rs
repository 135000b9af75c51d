//! `imparcial bench`: what the harness costs over the same steps typed by hand, in the same lab, one after the other.
//!
//! By hand: `docker-compose up -d`, ask until the first 200, wait the same seconds of quiet, `down -t 0 -v`. Ours: the same, with
//! every look of the scenario besides. Images are fetched and built before, for both. Exercises are timed apart. Then single
//! looks at a ready stack, by kind, and the same checks written for other tools.

mod table;

use std::path::PathBuf;

use super::planning::Planning;
use super::{Ctx, exit};
use crate::engine::bench::{Bench, Ready, Round};
use crate::text::Text;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    planning: Planning,
    /// Pairs of by hand and ours.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Where the same checks are written for bats and pytest-testinfra, which are taken from PATH.
    #[arg(long, value_name = "FOLDER", default_value = "benches/peers")]
    peers: PathBuf,
    /// Pairs of ours and each of them.
    #[arg(long, default_value_t = 5)]
    pairs: usize,
}

/// All that a bench measures.
struct Measured {
    rounds: Vec<Round>,
    ready: Ready,
}

pub async fn run(args: Args, ctx: Ctx) -> u8 {
    let guard = match super::grade::guard(ctx) {
        Ok(guard) => guard,
        Err(code) => return code,
    };
    let plan = match args.planning.plan_any(ctx, &guard.token()).await {
        Ok(plan) => plan,
        Err(code) => return code,
    };
    let bench = match Bench::open(&plan, guard.token()).await {
        Ok(bench) => bench,
        Err(text) => {
            eprintln!("error: {}", text.get(ctx.lang));
            return exit::NOT_GRADED;
        }
    };
    let measured = measure(&bench, &args).await;
    let closed = bench.close().await;
    for text in measured.as_ref().err().into_iter().chain(closed.as_ref().err()) {
        eprintln!("error: {}", text.get(ctx.lang));
    }
    let Ok(measured) = measured else { return exit::NOT_GRADED };
    print!("{}", table::show(&measured, closed.ok(), &load()));
    exit::OK
}

async fn measure(bench: &Bench<'_>, args: &Args) -> Result<Measured, Text> {
    let count = args.rounds.max(1);
    let mut rounds = Vec::new();
    for n in 1..=count {
        eprintln!("  round {n} of {count}");
        rounds.push(bench.round().await?);
    }
    eprintln!("  looks at a ready stack");
    let ready = bench.ready(&args.peers, args.pairs.max(1)).await?;
    Ok(Measured { rounds, ready })
}

/// Figures of a busy machine are read otherwise.
fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let averages: Vec<&str> = load.split(' ').take(3).collect();
    format!("load averages {} on {cpus} cpus", averages.join(" "))
}

//! `imparcial bench`: what the harness costs over the same steps typed by hand, in the same lab, one after the other.
//!
//! By hand: `docker-compose up -d`, ask until the first 200, wait the same seconds of quiet, `down -t 0 -v`. Ours: the same, with
//! every look of the scenario besides. Images are fetched and built before, for both. Exercises are timed apart.

use super::planning::Planning;
use super::{Ctx, exit};
use crate::engine::bench::{Bench, Round};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    planning: Planning,
    /// Pairs of by hand and ours.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
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
    let mut rounds = Vec::new();
    let mut failed = None;
    for n in 1..=args.rounds.max(1) {
        eprintln!("  round {n} of {}", args.rounds.max(1));
        match bench.round().await {
            Ok(round) => rounds.push(round),
            Err(text) => {
                failed = Some(text);
                break;
            }
        }
    }
    let closed = bench.close().await;
    for text in failed.iter().chain(closed.as_ref().err()) {
        eprintln!("error: {}", text.get(ctx.lang));
    }
    if rounds.is_empty() || failed.is_some() {
        return exit::NOT_GRADED;
    }
    print!("{}", table(&rounds));
    exit::OK
}

/// Medians, and the difference pair by pair: machines drift.
fn table(rounds: &[Round]) -> String {
    let median = |get: &dyn Fn(&Round) -> f64| -> f64 {
        let mut values: Vec<f64> = rounds.iter().map(get).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let row = |name: &str, get: &dyn Fn(&Round) -> f64| format!("{name:<44} {:>8.2} s\n", median(get));
    let mut out = format!("medians of {} pairs, in one lab\n", rounds.len());
    out += &row("by hand: up, first 200, quiet, down", &|r| r.by_hand);
    out += &row("imparcial: the same, and every look", &|r| r.ours);
    out += &row("overhead, pair by pair", &|r| r.ours - r.by_hand);
    out += &format!("{:<44} {:>8}\n", "looks done besides", rounds.iter().map(|r| r.looks).min().unwrap_or(0));
    out += &row("of it: resolve", &|r| r.resolve);
    out += &row("of it: images (already there)", &|r| r.images);
    out += &row("of it: evidence", &|r| r.evidence);
    out += &row("apart: exercises", &|r| r.exercises);
    out
}

//! `imparcial bench`: what the harness costs over the same steps typed by hand, in the same lab, one after the other.
//!
//! By hand: `docker-compose up -d`, ask until the first 200, wait the same seconds of quiet, `down -t 0 -v`. Ours: the same, with
//! every look of the scenario besides. Machines: `vagrant up` against the backend, until all are ready. Images are fetched and built before, for both. Exercises are timed apart. The whole exam: both layers and the second
//! provisioning, each side in a lab of its own. Then single looks at a ready stack, by kind, and the same checks written for other tools.

mod table;

use std::path::PathBuf;

use tokio_util::sync::CancellationToken;

use super::planning::{Planning, ProviderArg, Providing};
use super::{Ctx, exit};
use crate::engine::bench::machines::{Machines, machines};
use crate::engine::bench::whole::{Whole, whole};
use crate::engine::bench::{Bench, Ready, Round};
use crate::plan::Plan;
use crate::scenario;
use crate::text::Text;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    planning: Planning,
    #[command(flatten)]
    providing: Providing,
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
    /// None where no services are asked for.
    services: Option<Services>,
    machines: Option<Machines>,
    /// Where the scenario has both layers and neither was asked for alone.
    whole: Option<Whole>,
}

struct Services {
    rounds: Vec<Round>,
    ready: Ready,
    /// Of a whole lab.
    down: Option<f64>,
}

pub async fn run(args: Args, ctx: Ctx) -> u8 {
    if args.providing.provider == ProviderArg::VirtualBox {
        let text = Text::new(
            "machines are measured in labs, and no lab has VirtualBox's: `--provider docker` or `libvirt`",
            "las máquinas se miden en laboratorios, y ninguno tiene las de VirtualBox: `--provider docker` o `libvirt`",
        );
        return super::planning::usage(text.get(ctx.lang));
    }
    if args.providing.refuses(None, ctx) {
        return exit::USAGE;
    }
    // Of virtual machines, how long they take to be ready; all else is measured where looks are not slowed down.
    let guests = args.providing.provider == ProviderArg::Libvirt;
    let guard = match super::grade::guard(ctx) {
        Ok(guard) => guard,
        Err(code) => return code,
    };
    let mut measured = Measured { services: None, machines: None, whole: None };
    // Drills are of the services, and measured with them.
    for layer in scenario::LAYERS.iter().filter(|layer| **layer != "drills") {
        let layers = &args.planning.layers;
        let wanted = layers.is_empty() || layers.iter().any(|asked| asked == layer);
        if !wanted || (guests && *layer != "machines") {
            continue;
        }
        let planning = Planning { layers: vec![(*layer).to_owned()], ..args.planning.clone() };
        let mut plan = match planning.plan_any(ctx, &guard.token()).await {
            Ok(plan) => plan,
            Err(code) => return code,
        };
        args.providing.into(&mut plan.options);
        if !plan.wants(layer) {
            continue;
        }
        let drills = *layer == "services" && plan.scenario.layers.iter().any(|layer| layer == "drills");
        let both = Planning { layers: vec!["services".to_owned(), "drills".to_owned()], ..args.planning.clone() };
        let plan = match drills {
            true => match both.plan_any(ctx, &guard.token()).await {
                Ok(plan) => plan,
                Err(code) => return code,
            },
            false => plan,
        };
        let done = match *layer {
            "machines" => {
                eprintln!("  machines");
                let took = machines(&plan, args.rounds, &guard.token()).await;
                took.map(|took| measured.machines = Some(took))
            }
            _ => services(&plan, &args, &guard.token()).await.map(|took| measured.services = Some(took)),
        };
        if let Err(text) = done {
            eprintln!("error: {}", text.get(ctx.lang));
            return exit::NOT_GRADED;
        }
    }
    if args.planning.layers.is_empty() && measured.machines.is_some() && measured.services.is_some() {
        let plan = match args.planning.plan_any(ctx, &guard.token()).await {
            Ok(plan) => plan,
            Err(code) => return code,
        };
        eprintln!("  the whole exam");
        match whole(&plan, args.rounds, &guard.token()).await {
            Ok(took) => measured.whole = Some(took),
            Err(text) => {
                // What was measured before is no less true.
                print!("{}", table::show(&measured, &load()));
                eprintln!("error: {}", text.get(ctx.lang));
                return exit::NOT_GRADED;
            }
        }
    }
    print!("{}", table::show(&measured, &load()));
    exit::OK
}

async fn services(plan: &Plan, args: &Args, cancel: &CancellationToken) -> Result<Services, Text> {
    let bench = Bench::open(plan, cancel.clone()).await?;
    let measured = measure(&bench, args).await;
    let closed = bench.close().await;
    let (rounds, ready) = measured?;
    Ok(Services { rounds, ready, down: Some(closed?) })
}

async fn measure(bench: &Bench<'_>, args: &Args) -> Result<(Vec<Round>, Ready), Text> {
    let count = args.rounds.max(1);
    let mut rounds = Vec::new();
    for n in 1..=count {
        eprintln!("  round {n} of {count}");
        rounds.push(bench.round().await?);
    }
    eprintln!("  looks at a ready stack");
    let ready = bench.ready(&args.peers, args.pairs.max(1)).await?;
    Ok((rounds, ready))
}

/// Figures of a busy machine are read otherwise.
fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let averages: Vec<&str> = load.split(' ').take(3).collect();
    format!("load averages {} on {cpus} cpus", averages.join(" "))
}

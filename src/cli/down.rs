//! `imparcial down`: takes down what runs left, from a process that knows nothing of them but their labels.

use super::{Ctx, exit};
use crate::docker::Engine;
use crate::lab::sweep::{self, Left, Removed};
use crate::lab::{LabError, snapshots};
use crate::owner::Life;
use crate::text::Text;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run to take down. Without it: all that no living process uses, kept ones included.
    run: Option<String>,
    /// Also where the run is being graded right now.
    #[arg(long, requires = "run")]
    force: bool,
    /// Every run, also those that are being graded right now.
    #[arg(long, conflicts_with = "run")]
    all: bool,
    /// Only say what there is; take nothing down.
    #[arg(long, conflicts_with_all = ["run", "all"])]
    list: bool,
    /// Instead of runs: the snapshots of virtual machines that no run uses now. The next run of their submissions boots anew.
    #[arg(long, conflicts_with_all = ["run", "all", "list"])]
    snapshots: bool,
}

pub async fn run(args: Args, ctx: Ctx) -> u8 {
    match take_down(&args, ctx).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", error.text().get(ctx.lang));
            exit::NOT_GRADED
        }
    }
}

async fn take_down(args: &Args, ctx: Ctx) -> Result<u8, LabError> {
    let engine = Engine::host().await?;
    if args.snapshots {
        let count = snapshots::remove_all(&engine).await?;
        if !ctx.quiet {
            let text = Text::new(format!("snapshots taken away: {count}"), format!("instantáneas retiradas: {count}"));
            eprintln!("{}", text.get(ctx.lang));
        }
        return Ok(exit::OK);
    }
    let before = sweep::left(&engine).await?;
    if args.list {
        let all: Vec<&Left> = before.iter().collect();
        let none = Text::new("nothing is left of any run", "no queda nada de ninguna ejecución");
        let texts = if all.is_empty() { vec![none] } else { there(&all) };
        for text in texts {
            eprintln!("{}", text.get(ctx.lang));
        }
        return Ok(exit::OK);
    }
    let run = args.run.as_ref().map(|run| run.strip_prefix("imparcial-").unwrap_or(run));
    if let Some(text) = before.iter().filter(|left| Some(&*left.run) == run && !args.force).find_map(in_use) {
        eprintln!("error: {}", text.get(ctx.lang));
        return Ok(exit::USAGE);
    }
    // Of a run on a stack that is somebody else's there may be nothing but what it broke.
    if let Some(run) = run.filter(|run| before.iter().all(|left| left.run != *run) && !sweep::broke_something(run)) {
        let text = Text::new(
            format!("nothing is left of a run `{run}`; `imparcial down` without a name takes down what dead runs left"),
            format!(
                "no queda nada de una ejecución `{run}`; `imparcial down` sin nombre retira lo que dejaron ejecuciones muertas"
            ),
        );
        eprintln!("error: {}", text.get(ctx.lang));
        return Ok(exit::USAGE);
    }
    let removed = match run {
        Some(run) => sweep::remove_run(&engine, run).await,
        None => sweep::remove_all(&engine, args.all).await,
    };
    crate::temp::remove_abandoned();
    // A stack of somebody else's is put back whether or not all else could be removed.
    let undone = sweep::undo_faults(&engine, run).await;
    let (removed, undone) = (removed?, undone?);
    if !ctx.quiet {
        let after: Vec<&Left> = before.iter().filter(|left| !removed.runs.contains(&left.run)).collect();
        for text in told(&removed, &undone, &after) {
            eprintln!("{}", text.get(ctx.lang));
        }
    }
    Ok(exit::OK)
}

/// A run that is being graded is taken down only by who asks for it: its grade would be lost.
fn in_use(left: &Left) -> Option<Text> {
    let owner = left.owner.as_ref().filter(|_| !left.keep)?;
    let (run, pid) = (&left.run, owner.pid);
    match owner.life() {
        Life::Alive => {}
        Life::Dead => return None,
        Life::Unknown if !left.running => return None,
        Life::Unknown => {
            return Some(Text::new(
                format!(
                    "{run} may be being graded by process {pid} of another machine or container; `imparcial down --force {run}` takes it down all the same"
                ),
                format!(
                    "el proceso {pid} de otra máquina o contenedor quizá esté calificando {run}; `imparcial down --force {run}` lo retira igualmente"
                ),
            ));
        }
    }
    Some(Text::new(
        format!("{run} is being graded by process {pid}; `imparcial down --force {run}` takes it down all the same"),
        format!("el proceso {pid} está calificando {run}; `imparcial down --force {run}` lo retira igualmente"),
    ))
}

/// What was done, and what is left and why.
fn told(removed: &Removed, undone: &[String], after: &[&Left]) -> Vec<Text> {
    let mut texts = Vec::new();
    if !undone.is_empty() {
        let runs = undone.join(", ");
        texts.push(Text::new(format!("undone what was broken by: {runs}"), format!("deshecho lo que rompió: {runs}")));
    }
    if removed.runs.is_empty() && undone.is_empty() {
        texts.push(Text::new("nothing to take down", "no hay nada que retirar"));
    } else if !removed.runs.is_empty() {
        let (runs, n) = (removed.runs.join(", "), removed);
        texts.push(Text::new(
            format!("taken down: {runs} (containers {}, networks {}, volumes {})", n.containers, n.networks, n.volumes),
            format!("retirado: {runs} (contenedores {}, redes {}, volúmenes {})", n.containers, n.networks, n.volumes),
        ));
    }
    texts.extend(there(after));
    texts
}

fn there(runs: &[&Left]) -> Vec<Text> {
    let each = runs.iter().map(|left| {
        let run = &left.run;
        in_use(left).unwrap_or_else(|| {
            Text::new(
                format!("still there: {run}; `imparcial down {run}` takes it down"),
                format!("sigue ahí: {run}; `imparcial down {run}` lo retira"),
            )
        })
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::owner::Owner;

    #[test]
    fn says_what_went_and_what_stays_and_why() {
        let removed = Removed { runs: vec!["r1".into()], containers: 1, networks: 0, volumes: 2 };
        let live = Left { run: "r2".into(), owner: Some(Owner::this()), running: true, keep: false };
        let texts: Vec<String> = told(&removed, &[], &[&live]).into_iter().map(|text| text.en).collect();
        let pid = std::process::id();
        assert_eq!(
            texts,
            [
                "taken down: r1 (containers 1, networks 0, volumes 2)".to_owned(),
                format!("r2 is being graded by process {pid}; `imparcial down --force r2` takes it down all the same"),
            ]
        );
        let elsewhere = Some(Owner { space: "pid:[1]".into(), ..Owner::this() });
        let unknown = Left { owner: elsewhere, running: true, keep: false, run: "r3".into() };
        assert!(in_use(&unknown).is_some_and(|text| text.en.starts_with("r3 may be being graded")));
        assert!(in_use(&Left { running: false, ..unknown.clone() }).is_none(), "nothing of it runs");
        assert!(in_use(&Left { keep: true, ..unknown }).is_none(), "it was to be taken down this way");
        assert_eq!(told(&Removed::default(), &["r4".to_owned()], &[])[0].en, "undone what was broken by: r4");
        assert_eq!(told(&Removed::default(), &[], &[])[0].es, "no hay nada que retirar");
    }
}

//! `grade --attach`: which project is meant, before anything else is done.

use super::planning::usage;
use super::{Ctx, exit};
use crate::docker::Engine;
use crate::lab::projects;
use crate::plan::{Attached, Plan};
use crate::text::Text;

/// What only a lab, or a bring-up of our own, has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clash {
    Lab,
    Keep,
}

/// Says why two options do not go together, and gives the exit code.
pub(super) fn clash(with: Clash, ctx: Ctx) -> u8 {
    let text = match with {
        Clash::Lab => Text::new(
            "`--attach` grades what runs on this machine's own engine, and `--place lab` brings it up in a lab: leave one out",
            "`--attach` califica lo que corre en el motor de esta máquina y `--place lab` lo levanta en un laboratorio: quite una de las dos",
        ),
        Clash::Keep => Text::new(
            "`--keep` needs a lab; with `--attach` the stack stays as it is in any case",
            "`--keep` necesita un laboratorio; con `--attach` la pila queda como está en todo caso",
        ),
    };
    usage(text.get(ctx.lang))
}

/// The project that a plan's submission runs as; `named` is empty where it is to be found by the submission's folder.
pub(super) async fn find(plan: &Plan, named: &str, exercises: bool, ctx: Ctx) -> Result<Attached, u8> {
    if plan.submission.handed.is_some() {
        let text = Text::new(
            "`--attach` needs the folder that the stack was brought up from, not an archive or a repository",
            "`--attach` necesita la carpeta desde la que se levantó la pila, no un archivo comprimido ni un repositorio",
        );
        return Err(usage(text.get(ctx.lang)));
    }
    let listed = match Engine::host().await {
        Ok(engine) => projects::list(&engine).await,
        Err(error) => Err(error),
    };
    let listed = listed.map_err(|error| {
        eprintln!("error: {}", error.text().get(ctx.lang));
        exit::NOT_GRADED
    })?;
    let chosen = projects::choose(&listed, &plan.submission, (!named.is_empty()).then_some(named));
    match chosen {
        Ok(project) => Ok(Attached { project, exercises }),
        Err(text) => Err(usage(text.get(ctx.lang))),
    }
}

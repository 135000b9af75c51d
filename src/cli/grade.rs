//! `imparcial grade`: a submission in, a verdict on the screen and reports on disk.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::attach::{self, Clash};
use super::planning::{PlaceArg, Planning, Providing};
use super::{AudienceArg, Ctx, exit, github, marks, screen};
use crate::engine::{self, RunOptions};
use crate::lab::Guard;
use crate::plan::{Place, Plan};
use crate::record::{Audience, ManualRecord, RunRecord, shown_to};
use crate::text::Text;
use crate::{grade, report};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    planning: Planning,
    /// Where the stack is brought up: in a lab, where nothing is said. On the host nothing contains the submission's code:
    /// for throwaway machines only.
    #[arg(long, value_enum)]
    place: Option<PlaceArg>,
    #[command(flatten)]
    providing: Providing,
    /// Bring virtual machines up and provision them although an earlier run of the same submission left a snapshot of them.
    #[arg(long)]
    fresh: bool,
    /// Grade a compose project that is up already on this machine's own engine: found by the submission's folder, or by its
    /// name. Nothing of it is created, started, stopped or removed; what only a bring-up shows stays undecided.
    #[arg(long, value_name = "PROJECT", num_args = 0..=1, default_missing_value = "")]
    attach: Option<String>,
    /// With `--attach`: run the checks that disturb the stack too. They write rows and take them back, and may restart
    /// services.
    #[arg(long, requires = "attach")]
    allow_exercises: bool,
    /// Leave the lab up, and say how to look inside and how to remove it.
    #[arg(long)]
    keep: bool,
    /// Whose eyes the output is for. For others than the teacher there is also a folder of reports in the run's folder
    /// that holds nothing that they may not see, and the exit code says no more than it.
    #[arg(long = "for", value_name = "WHO", value_enum, default_value_t = AudienceArg::Teacher)]
    audience: AudienceArg,
    /// What people gave for the scenario's `manual` criteria: a CSV table with the columns submission, criterion, level and, if
    /// need be, comment. Rows of other submissions are passed over. See also `imparcial report --marks`.
    #[arg(long, value_name = "FILE")]
    marks: Option<PathBuf>,
    /// Where the folder of the run is made.
    #[arg(long, value_name = "FOLDER", default_value = "reports")]
    reports: PathBuf,
}

pub async fn run(args: Args, ctx: Ctx) -> u8 {
    let hushed = github::Hushed::begin();
    if args.attach.is_some() && args.place == Some(PlaceArg::Lab) {
        return attach::clash(Clash::Lab, ctx);
    }
    if args.attach.is_some() && args.keep {
        return attach::clash(Clash::Keep, ctx);
    }
    if args.keep && args.place == Some(PlaceArg::Host) {
        let text = Text::new(
            "`--keep` needs a lab: on the host nothing is left behind",
            "`--keep` necesita un laboratorio: en el anfitrión no se deja nada",
        );
        eprintln!("error: {}", text.get(ctx.lang));
        return exit::USAGE;
    }
    if args.providing.refuses(args.place, ctx) {
        return exit::USAGE;
    }
    let guarded = if args.attach.is_some() { guard_attached(ctx) } else { guard(ctx) };
    let guard = match guarded {
        Ok(guard) => guard,
        Err(code) => return code,
    };
    let cancel = guard.token();
    let mut plan = match args.planning.plan_any(ctx, &cancel).await {
        Ok(plan) => plan,
        Err(code) => return code,
    };
    let criteria: Vec<_> = plan.scenario.manual.iter().map(ManualRecord::of).collect();
    let given = args.marks.as_deref().map(|file| marks::read(file, &criteria, &plan.submission.name, ctx)).transpose();
    let given = match given {
        Ok(given) => given,
        Err(code) => return code,
    };
    plan.options.keep = args.keep;
    args.providing.into(&mut plan.options);
    plan.options.fresh = args.fresh;
    plan.options.place = match (&args.attach, args.place) {
        (Some(named), _) => match attach::find(&plan, named, args.allow_exercises, ctx).await {
            Ok(attached) => Place::Attached(attached),
            Err(code) => return code,
        },
        (None, None | Some(PlaceArg::Lab)) => Place::Lab,
        (None, Some(PlaceArg::Host)) => Place::Host,
    };
    let lines = Arc::new(super::progress::Lines::new(ctx));
    // That takes a lab, which looking at what is up does not.
    if args.attach.is_none() {
        super::prove::first(&plan, ctx, &args.reports, &cancel).await;
    }
    let progress = lines.clone();
    let audience = args.audience.audience();
    let hidden = hidden(&plan, audience);
    let options = RunOptions {
        reports: args.reports,
        run: engine::run_id(),
        cancel,
        progress: Arc::new(move |event| match event {
            engine::Event::Check { id, .. } if hidden.contains(id) => {}
            event => progress.tell(event),
        }),
        watched: lines.watched(),
    };
    let done = engine::run(&plan, &options).await;
    lines.finish();
    let (mut record, folder) = match done {
        Ok(done) => done,
        Err(error) => {
            eprintln!("error: {}", error.text().get(ctx.lang));
            return exit::NOT_GRADED;
        }
    };
    if let Some(marks) = given {
        marks.apply(&mut record.manual);
    }
    let written = report::write(&folder, &record, ctx.lang);
    let saved = written.as_ref().err().and_then(|_| report::rescue(&record, ctx.lang));
    let written = written.and_then(|()| Ok(folder.link_latest()?));
    let (written, shown) = match report::write_for(&folder, &record, audience, ctx.lang) {
        Ok(shown) => (written, shown),
        Err(error) => (written.and(Err(error)), shown_to(&record, audience)),
    };
    // What was saved is the teacher's: nobody else is told where.
    let saved = saved.filter(|_| audience == Audience::Teacher);
    let shown = saved.clone().unwrap_or(shown);
    let code = grade::exit_code(&shown);
    let page = report::terminal::show(&shown, ctx.lang, screen::style());
    if let Err(error) = screen::put(page.as_bytes()) {
        eprintln!("error: {}", screen::unwritten(&error).get(ctx.lang));
        return exit::NOT_GRADED;
    }
    if let Err((path, error)) = github::summarise(&shown, ctx.lang) {
        let path = path.display();
        let text = Text::new(
            format!("could not write the job's summary to `{path}`: {error}"),
            format!("no se pudo escribir el resumen del trabajo en `{path}`: {error}"),
        );
        eprintln!("error: {}", text.get(ctx.lang));
    }
    hushed.annotate(&shown, ctx.lang);
    if let Err(error) = written {
        eprintln!("error: {}", error.text().get(ctx.lang));
        if let Some(RunRecord { folder: at, .. }) = saved {
            let said = Text::new(
                format!("the record and the reports are in `{at}` instead, without evidence"),
                format!("el registro y los informes están en `{at}`, sin evidencia"),
            );
            eprintln!("{}", said.get(ctx.lang));
        }
        return exit::NOT_GRADED;
    }
    code
}

/// Checks that are not named to this audience, while they run either.
fn hidden(plan: &Plan, audience: Audience) -> BTreeSet<String> {
    let hidden = plan.checks.iter().filter(|check| !audience.sees(check.spec.visibility.name()));
    hidden.map(|check| check.spec.id.clone()).collect()
}

/// Ctrl-C and SIGTERM end the run and not the process: what was made is removed, and the record is written.
pub fn guard(ctx: Ctx) -> Result<Guard, u8> {
    let then = Text::new(
        "still removing what this run made; a lab takes some seconds",
        "aún se retira lo que hizo esta ejecución; un laboratorio tarda unos segundos",
    );
    watch(Guard::first_word(), then, ctx)
}

fn guard_attached(ctx: Ctx) -> Result<Guard, u8> {
    let first = Text::new(
        "interrupted: writing what is known; the stack stays as it is",
        "interrumpido: se escribe lo que se sabe; la pila queda como está",
    );
    watch(
        first,
        Text::new(
            "still removing what this run made beside the stack",
            "aún se retira lo que esta ejecución hizo junto a la pila",
        ),
        ctx,
    )
}

fn watch(first: Text, then: Text, ctx: Ctx) -> Result<Guard, u8> {
    Guard::watch(move |times| super::bars::say(if times == 1 { &first } else { &then }.get(ctx.lang)))
        .map_err(|error| no_signals(&error, ctx))
}

pub(super) fn no_signals(error: &std::io::Error, ctx: Ctx) -> u8 {
    let text = Text::new(
        format!("could not listen for signals: {error}"),
        format!("no se pudieron atender las señales: {error}"),
    );
    eprintln!("error: {}", text.get(ctx.lang));
    exit::NOT_GRADED
}

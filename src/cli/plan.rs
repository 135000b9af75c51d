//! `imparcial plan`: what would be checked, in which order, for how many points and how long; starts nothing.

mod machines;

use std::fmt::Write as _;
use std::io::Write as _;

use super::planning::{PlaceArg, Planning, Providing};
use super::{Ctx, exit};
use crate::backend::vagrant::Provider;
use crate::expect::Place;
use crate::plan::{self, Plan, PlannedCheck};
use crate::probe::{MACHINES, Phase};
use crate::sanitize;
use crate::scenario::units::{show_bytes, show_duration, show_milli};
use crate::submission::bind;
use crate::text::{Lang, Text};

/// What a student wrote is cut; the rest is ours and shorter.
const MAX_LINE: usize = 400;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    planning: Planning,
    /// For which place: it is said what cannot be decided there.
    #[arg(long, value_enum)]
    place: Option<PlaceArg>,
    #[command(flatten)]
    providing: Providing,
}

pub async fn run(args: Args, ctx: Ctx) -> u8 {
    if args.providing.refuses(args.place, ctx) {
        return exit::USAGE;
    }
    match args.planning.plan_alone(ctx).await {
        Ok(mut plan) => {
            args.providing.into(&mut plan.options);
            if args.place == Some(PlaceArg::Host) {
                plan.options.place = plan::Place::Host;
            }
            // A closed pipe is no reason to fail.
            let _ = std::io::stdout().write_all(show(&plan, ctx.lang).as_bytes());
            if plan.submission.problems().next().is_some() { exit::FAILED } else { exit::OK }
        }
        Err(code) => code,
    }
}

/// The plan as people read it.
pub fn show(plan: &Plan, lang: Lang) -> String {
    let say = |en: &str, es: &str| Text::new(en, es).get(lang).to_owned();
    let scenario = &plan.scenario;
    let mut rows: Vec<(String, String)> = Vec::new();
    rows.push((say("scenario", "escenario"), format!("{} ({})", scenario.title.get(lang), scenario.name)));
    let compose = plan.submission.compose_path();
    let compose = match compose.as_os_str().is_empty() {
        false => compose.display().to_string(),
        true => say("no compose file", "sin archivo de compose"),
    };
    let vagrantfile = plan.submission.vagrantfile.iter().map(|file| format!(", {}", file.path.display()));
    let files = format!("{compose}{}", vagrantfile.collect::<String>());
    rows.push((say("submission", "entrega"), format!("{} ({files})", plan.submission.place())));
    rows.extend(plan.submission.handed_in.iter().map(|it| (say("handed in", "entregado"), it.said(lang))));
    rows.extend(roles(plan, lang));
    rows.push((say("points", "puntos"), points(plan, lang)));
    if !scenario.manual.is_empty() {
        let each = scenario.manual.iter().map(|c| format!("{} {}", c.id, show_milli(c.points)));
        rows.push((say("by people", "juzgado"), each.collect::<Vec<_>>().join(", ")));
    }
    rows.push((say("layers", "capas"), plan.layers().join(", ")));
    rows.extend(machines::rows(plan, lang));
    let b = &scenario.budgets;
    let machines = plan.wants(MACHINES);
    let of_machines = [(say("machines", "máquinas"), b.machines), (say("provisioning", "aprovisionar"), b.provision)];
    let budgets = [
        (say("fetch", "traer"), b.fetch),
        (say("build", "construir"), b.build),
        (say("ready", "listo"), b.ready),
        (say("check", "comprobación"), b.check),
        (say("teardown", "desmontar"), b.teardown),
    ];
    let budgets = budgets.iter().chain(of_machines.iter().filter(|_| machines));
    let budgets: Vec<String> = budgets.map(|(name, time)| format!("{name} {}", show_duration(*time))).collect();
    let stretch = machines::stretch(plan).map(|text| format!("; {}", text.get(lang))).unwrap_or_default();
    rows.push((say("budgets", "tiempos"), budgets.join(", ") + &stretch));
    rows.push((say("time", "duración"), longest(plan, lang) + &stretch));
    if let Some(o) = &scenario.overrides {
        let limits = format!("{}, {} cpu", show_bytes(o.memory_bytes), o.cpus);
        let when = say("only after a death at a limit", "solo tras una muerte por límite");
        rows.push((say("override", "límites"), format!("{limits} ({when})")));
    }
    let one_language = scenario.in_one_language();
    if !one_language.is_empty() {
        rows.push((say("warning", "aviso"), only_one_language(&one_language, lang)));
    }
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let mut out = String::new();
    for (name, value) in &rows {
        let _ = writeln!(out, "{name:<width$}  {}", sanitize::line(value, MAX_LINE));
    }
    out.push('\n');
    let mut problems = plan.submission.problems().peekable();
    if problems.peek().is_some() {
        out.push_str(&say("Nothing of it can be brought up:\n", "No hay nada que levantar:\n"));
        for problem in problems {
            let word = say("problem", "problema");
            let _ = writeln!(out, "  {word}: {}", sanitize::line(problem.text.get(lang), MAX_LINE));
        }
        return out;
    }
    let header = [
        say("", ""),
        say("points", "puntos"),
        say("check", "comprobación"),
        say("kind", "tipo"),
        say("within", "espera"),
        say("after (explained by)", "después de (explicado por)"),
    ];
    table(&mut out, header, rows_of(plan, lang));
    drills(&mut out, plan, lang);
    cannot(&mut out, plan, lang);
    out
}

/// What is broken on purpose, in its order.
fn drills(out: &mut String, plan: &Plan, lang: Lang) {
    let mut seen: Vec<(&str, &str, &str)> = Vec::new();
    for check in plan.run_order() {
        let probe = &plan.checks[check].probe;
        let (Some(id), Some(breaking)) = (probe.drill(), probe.breaks()) else { continue };
        if !seen.iter().any(|(known, ..)| *known == id) {
            seen.push((id, breaking.fault, breaking.title.get(lang)));
        }
    }
    if seen.is_empty() {
        return;
    }
    let title = Text::new("Drills, one by one after all else:", "Simulacros, uno por uno después de todo lo demás:");
    let _ = writeln!(out, "\n{}", title.get(lang));
    let wide = |of: fn(&(&str, &str, &str)) -> usize| seen.iter().map(of).max().unwrap_or(0);
    let (ids, faults) = (wide(|it| it.0.chars().count()), wide(|it| it.1.chars().count()));
    for (id, fault, title) in &seen {
        let _ = writeln!(out, "  {id:<ids$}  {fault:<faults$}  {}", sanitize::line(title, MAX_LINE));
    }
}

/// What cannot be decided in this place, whatever was handed in: said before anybody waits.
fn cannot(out: &mut String, plan: &Plan, lang: Lang) {
    let mut why: Vec<Option<Text>> = vec![None; plan.checks.len()];
    let mut groups: Vec<(Text, Vec<usize>)> = Vec::new();
    let no_machines = if plan.ground().is_lab() { machines::none_begun(plan) } else { Some(only_in_a_lab(plan)) };
    for i in plan.order() {
        let probe = &plan.checks[i].probe;
        let in_machines = probe.layer() == MACHINES || probe.also().contains(&MACHINES);
        let machines = no_machines.as_ref().filter(|_| in_machines && probe.phase() != Phase::Static);
        let own = probe.cannot(plan.ground()).or_else(|| machines.cloned());
        let need = || plan.needs(i).into_iter().find(|&need| why[need].is_some());
        let Some(text) = own.or_else(|| need().map(|need| needs(&plan.checks[need].spec.id))) else { continue };
        match groups.iter_mut().find(|(known, _)| *known == text) {
            Some((_, checks)) => checks.push(i),
            None => groups.push((text.clone(), vec![i])),
        }
        why[i] = Some(text);
    }
    if groups.is_empty() {
        return;
    }
    let points = |checks: &[usize]| show_milli(checks.iter().map(|&i| plan.checks[i].spec.points).sum());
    let all: Vec<usize> = groups.iter().flat_map(|(_, checks)| checks.iter().copied()).collect();
    let (n, p) = (all.len(), points(&all));
    let title = Text::new(
        format!("Undecided here ({n} checks, {p} points):"),
        format!("Aquí queda sin decidir ({n} comprobaciones, {p} puntos):"),
    );
    let _ = writeln!(out, "\n{}", title.get(lang));
    for (text, checks) in &groups {
        let ids: Vec<&str> = checks.iter().map(|&i| plan.checks[i].spec.id.as_str()).collect();
        let _ = writeln!(out, "  {}: {}", sanitize::line(text.get(lang), MAX_LINE), ids.join(", "));
    }
}

fn only_in_a_lab(plan: &Plan) -> Text {
    if plan.options.provider == Provider::VirtualBox {
        return Text::new(
            "machines of this host's own VirtualBox are not looked into; one that the file itself keeps down fails",
            "las máquinas del VirtualBox de este anfitrión no se miran por dentro; falla la que el propio archivo impide levantar",
        );
    }
    Text::new(
        "machines are brought up in a lab only; leave `--place` out",
        "las máquinas solo se levantan en un laboratorio; omita `--place`",
    )
}

fn needs(id: &str) -> Text {
    Text::new(format!("it needs {id}"), format!("necesita {id}"))
}

/// Texts that half of the readers do not understand; a mistake of the scenario's, and none that keeps it from running.
fn only_one_language(places: &[String], lang: Lang) -> String {
    let (count, some) = (places.len(), places.iter().take(3).cloned().collect::<Vec<_>>().join(", "));
    let more = if count > 3 { ", …" } else { "" };
    Text::new(
        format!("{count} texts of the scenario are in one language only; write {{en: …, es: …}}: {some}{more}"),
        format!("{count} textos del escenario están en un solo idioma; escriba {{en: …, es: …}}: {some}{more}"),
    )
    .get(lang)
    .to_owned()
}

/// Which service plays which role, and why.
fn roles(plan: &Plan, lang: Lang) -> Vec<(String, String)> {
    let Some(compose) = &plan.submission.compose else { return Vec::new() };
    let bound = bind::bind(&plan.scenario.roles, compose, &plan.submission, &bind::plain_family, &plan.options.roles);
    let shown = |role: &str| {
        let binding = bound.get(role)?;
        let service = binding.service.as_deref().unwrap_or("?");
        Some((role.to_owned(), format!("{service}: {}", binding.why.get(lang))))
    };
    plan.scenario.roles.iter().filter_map(|role| shown(&role.name)).collect()
}

/// How long all checks may take, where each waits to its end.
fn longest(plan: &Plan, lang: Lang) -> String {
    let longest = plan.longest();
    let [all, looks, exercises] = [longest.total(), longest.looks, longest.exercises].map(show_duration);
    let text = Text::new(
        format!("all checks at most {all} (looking {looks}, exercises {exercises})"),
        format!("todas las comprobaciones a lo sumo {all} (miradas {looks}, ejercicios {exercises})"),
    );
    text.get(lang).to_owned()
}

/// The points at stake, and of how many checks.
fn points(plan: &Plan, lang: Lang) -> String {
    let sum = show_milli(plan.checks.iter().map(|check| check.spec.points).sum());
    let people: u64 = plan.scenario.manual.iter().map(|c| c.points).sum();
    let people = show_milli(people);
    let judged = match plan.scenario.manual.len() {
        0 => Text::default(),
        n => Text::new(
            format!(", and {people} that people judge (criteria: {n})"),
            format!(", y {people} que juzgan personas (criterios: {n})"),
        ),
    };
    let without = plan.checks.iter().filter(|check| check.spec.points == 0).count();
    let with = plan.checks.len() - without;
    let text = Text::new(
        format!("{sum} (checks: {with} with points, {without} without){}", judged.en),
        format!("{sum} (comprobaciones: {with} con puntos, {without} sin ellos){}", judged.es),
    );
    text.get(lang).to_owned()
}

/// In the order of running: static ones and looks, then exercises.
fn rows_of(plan: &Plan, lang: Lang) -> Vec<[String; 6]> {
    let phases = plan.phases();
    plan.run_order().into_iter().enumerate().map(|(n, i)| row(plan, n, (i, phases[i]), lang)).collect()
}

fn row(plan: &Plan, n: usize, (check, phase): (usize, Phase), lang: Lang) -> [String; 6] {
    let PlannedCheck { spec, kind, .. } = &plan.checks[check];
    let within = match phase {
        Phase::Static => Text::new("at once", "de inmediato").get(lang).to_owned(),
        Phase::Look => match spec.never {
            Some(budget) => {
                let budget = show_duration(budget);
                Text::new(format!("never, {budget}"), format!("nunca, {budget}")).get(lang).to_owned()
            }
            None => show_duration(spec.eventually.within),
        },
        Phase::Exercise => Text::new("alone", "a solas").get(lang).to_owned(),
        Phase::Drill => plan.checks[check].probe.drill().unwrap_or_default().to_owned(),
    };
    let ids = |links: &[(String, Place)]| links.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>();
    let needs = ids(&spec.needs).join(", ");
    let explained = ids(&spec.explained_by);
    let after = match (needs.is_empty(), explained.is_empty()) {
        (_, true) => needs,
        (true, false) => format!("({})", explained.join(", ")),
        (false, false) => format!("{needs} ({})", explained.join(", ")),
    };
    let points = if spec.points == 0 { "–".to_owned() } else { show_milli(spec.points) };
    [(n + 1).to_string(), points, spec.id.clone(), kind.name.to_owned(), within, after]
}

/// Columns as wide as what stands in them; the first two are numbers.
fn table(out: &mut String, header: [String; 6], rows: Vec<[String; 6]>) {
    let all: Vec<[String; 6]> = std::iter::once(header).chain(rows).collect();
    let width = |column: usize| all.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..6).map(width).collect();
    for row in &all {
        let cells: Vec<String> = row
            .iter()
            .enumerate()
            .map(|(i, cell)| {
                let pad = " ".repeat(widths[i] - cell.chars().count());
                if i < 2 { format!("{pad}{cell}") } else { format!("{cell}{pad}") }
            })
            .collect();
        let _ = writeln!(out, "{}", cells.join("  ").trim_end());
    }
}

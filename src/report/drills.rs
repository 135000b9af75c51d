//! What there is to say about a drill, in words that several formats share; and the strip ([`strip`]).

pub(super) mod strip;

use self::strip::Strip;
use super::words::{self, pick, seconds_rounded};
use crate::drill::{Cost, DrillRecord, Ledger, What};
use crate::record::{CheckRecord, RunRecord};
use crate::sanitize;
use crate::text::Lang;

/// How many numbers of lost writes are named; the record has more.
const NUMBERS: usize = 5;
/// How many of a container's ends and starts are told.
const EVENTS: usize = 10;
/// The longest line of [`block`], in characters.
const LINE: usize = 500;

/// The drill that a check is an objective of, where anything of it was run.
pub(super) fn of<'a>(record: &'a RunRecord, check: &CheckRecord) -> Option<&'a DrillRecord> {
    let id = check.drill.as_ref()?;
    record.drills.iter().find(|drill| drill.id == *id)
}

/// Its objectives that are in the record.
pub(super) fn objectives<'a>(record: &'a RunRecord, drill: &'a DrillRecord) -> impl Iterator<Item = &'a CheckRecord> {
    record.checks.iter().filter(|check| check.drill.as_ref() == Some(&drill.id))
}

/// Whether what was seen was taken out for whoever reads: what is watched is said of every drill.
pub(super) fn is_withheld(drill: &DrillRecord) -> bool {
    drill.watched.is_empty() && drill.samples.is_empty()
}

/// The fault and whom it hit: `kill of app (app_1)`.
pub(super) fn fault(drill: &DrillRecord, lang: Lang) -> String {
    let mut said = drill.fault.clone();
    if !drill.hit.is_empty() {
        said.push_str(&format!(" {} {}", pick(lang, "of", "de"), drill.hit.join(", ")));
    }
    if let Some(seed) = drill.seed {
        said.push_str(&format!(" ({} {seed})", pick(lang, "chosen with seed", "elegido con la semilla")));
    }
    said
}

/// Whether it came back, and after how long; how long it was down; by how many looks.
pub(super) fn came_of(drill: &DrillRecord, lang: Lang) -> String {
    if is_withheld(drill) {
        return pick(lang, "what was seen is not shown here", "lo que se vio no se muestra aquí").to_owned();
    }
    if drill.samples.is_empty() {
        return pick(lang, "nobody looked at it: no samples", "nadie lo miró: sin muestras").to_owned();
    }
    let measured = &drill.measured;
    let mut said = vec![recovery(drill, lang)];
    if measured.fell_again {
        let held = words::duration(measured.held_ms);
        said.push(match lang {
            Lang::En => format!("failed again {held} later"),
            Lang::Es => format!("falló de nuevo {held} después"),
        });
    }
    if measured.longest_downtime_ms > 0 {
        let longest = words::duration(measured.longest_downtime_ms);
        said.push(format!("{} {longest}", pick(lang, "longest downtime", "caída más larga")));
    }
    format!("{}; {}", said.join(", "), looks(drill, lang))
}

fn recovery(drill: &DrillRecord, lang: Lang) -> String {
    let measured = &drill.measured;
    if measured.never_down {
        return pick(lang, "never seen down", "nunca se vio caído").to_owned();
    }
    if let Some(after) = measured.recovery_time_ms {
        // Sampled finely, it is said finely.
        let decimals = if measured.resolution_ms < 100 { 3 } else { 1 };
        let [after, exact] = [after, measured.resolution_ms].map(|ms| seconds_rounded(ms, decimals));
        return format!("{} {after} ± {exact}", pick(lang, "recovered after", "recuperado a los"));
    }
    let at = |what: What| drill.events.iter().find(|e| e.what == what).map(|e| e.at_ms);
    let since = at(What::Injected).or(at(What::Inject)).unwrap_or(0);
    let end = drill.samples.iter().map(|s| s.end_ms()).max().unwrap_or(0);
    let watched = words::duration(at(What::Aided).unwrap_or(end).saturating_sub(since));
    format!("{} {watched}", pick(lang, "not recovered in", "sin recuperarse en"))
}

/// `120 samples every 500 ms, 96 of 118 passed while the fault lasted`.
fn looks(drill: &DrillRecord, lang: Lang) -> String {
    let (count, every) = (drill.samples.len(), words::duration(drill.every_ms));
    let mut said = match (lang, count) {
        (Lang::En, 1) => "1 sample".to_owned(),
        (Lang::En, _) => format!("{count} samples every {every}"),
        (Lang::Es, 1) => "1 muestra".to_owned(),
        (Lang::Es, _) => format!("{count} muestras cada {every}"),
    };
    let (passed, during) = (drill.measured.during_passed, drill.measured.during);
    if during > 0 {
        said.push_str(&match lang {
            Lang::En => format!(", {passed} of {during} passed while the fault lasted"),
            Lang::Es => format!(", {passed} de {during} correctas mientras duró la falla"),
        });
    }
    said
}

/// `312 rows acknowledged, 0 lost; written on worker1, read back on worker2`.
pub(super) fn ledger(ledger: &Ledger, lang: Lang) -> String {
    let (acknowledged, lost) = (ledger.acknowledged, ledger.lost_count);
    let files = ledger.through == "files";
    let mut said = match (lang, files) {
        (Lang::En, false) => format!("{acknowledged} rows acknowledged, {lost} lost"),
        (Lang::En, true) => format!("{acknowledged} files acknowledged, {lost} lost"),
        (Lang::Es, false) => format!("{acknowledged} filas confirmadas, {lost} perdidas"),
        (Lang::Es, true) => format!("{acknowledged} archivos confirmados, {lost} perdidos"),
    };
    if !ledger.lost.is_empty() {
        let mut numbers: Vec<String> = ledger.lost.iter().take(NUMBERS).map(|n| format!("#{n}")).collect();
        if lost > numbers.len() as u64 {
            numbers.push("…".to_owned());
        }
        said.push_str(&format!(" ({})", numbers.join(", ")));
    }
    if let Some(before) = ledger.oldest_lost_ms.filter(|_| lost > 0) {
        let ago = words::duration(before.unsigned_abs());
        let oldest = if files { "el más antiguo confirmado" } else { "la más antigua confirmada" };
        said.push_str(&match (lang, before < 0) {
            (Lang::En, false) => format!(", the oldest acknowledged {ago} before the fault"),
            (Lang::En, true) => format!(", the oldest acknowledged {ago} after the fault"),
            (Lang::Es, false) => format!(", {oldest} {ago} antes de la falla"),
            (Lang::Es, true) => format!(", {oldest} {ago} después de la falla"),
        });
    }
    let besides = [
        (
            ledger.failed,
            pick(lang, "refused", if files { "rechazados" } else { "rechazadas" }),
            ledger.failed_but_there,
        ),
        (ledger.unknown, pick(lang, "unknown", "sin respuesta"), ledger.unknown_and_there),
    ];
    for (count, what, there) in besides.into_iter().filter(|(count, ..)| *count > 0) {
        let there = match (there, lang) {
            (0, _) => String::new(),
            (_, Lang::En) => format!(" ({there} of them there all the same)"),
            (_, Lang::Es) => format!(" (presentes de todos modos: {there})"),
        };
        said.push_str(&format!(", {count} {what}{there}"));
    }
    if let Some(silence) = ledger.longest_silence_ms.map(words::duration) {
        said.push_str(&match (lang, ledger.silent_to_the_end) {
            (Lang::En, false) => format!(", none acknowledged for up to {silence} after the fault"),
            (Lang::En, true) => format!(", none acknowledged in the last {silence}"),
            (Lang::Es, false) => format!(", hasta {silence} sin ninguna confirmación tras la falla"),
            (Lang::Es, true) => format!(", sin ninguna confirmación en los últimos {silence}"),
        });
    }
    let at = [
        (&ledger.written_at, pick(lang, "written on", "se escribió en")),
        (&ledger.read_at, pick(lang, "read back on", "se releyó en")),
    ];
    let at: Vec<_> = at.iter().filter(|(place, _)| !place.is_empty()).map(|(p, what)| format!("{what} {p}")).collect();
    if at.is_empty() { said } else { format!("{said}; {}", at.join(", ")) }
}

/// What looking cost the service, and what was done about it.
pub(super) fn cost(drill: &DrillRecord, lang: Lang) -> Option<String> {
    let mut said = drill.cost.map(|Cost { cpu_ms, share, quota_cpus }| {
        let share = percent(share);
        match (lang, quota_cpus > 0.0) {
            (Lang::En, true) => format!("each look cost the service {cpu_ms:.1} ms of cpu, {share} of its quota"),
            (Lang::En, false) => format!("each look cost the service {cpu_ms:.1} ms of cpu, {share} of a cpu"),
            (Lang::Es, true) => format!("cada mirada costó al servicio {cpu_ms:.1} ms de cpu, {share} de su cuota"),
            (Lang::Es, false) => format!("cada mirada costó al servicio {cpu_ms:.1} ms de cpu, {share} de una cpu"),
        }
    });
    if drill.every_ms > drill.asked_every_ms {
        let [every, asked] = [drill.every_ms, drill.asked_every_ms].map(words::duration);
        let wider = match lang {
            Lang::En => format!("looked at every {every} instead of every {asked}"),
            Lang::Es => format!("se miró cada {every} en vez de cada {asked}"),
        };
        said = Some(match (said, lang) {
            (None, _) => wider,
            (Some(said), Lang::En) => format!("{said}; it was {wider}"),
            (Some(said), Lang::Es) => format!("{said}; {wider}"),
        });
    }
    said
}

fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent < 10.0 { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
}

/// What is said where not all was put back.
pub(super) fn not_healed(drill: &DrillRecord, lang: Lang) -> Option<&'static str> {
    (!drill.healed).then(|| {
        pick(
            lang,
            "not healed: it was not seen that all that was broken is put back",
            "sin reparar: no se vio que todo lo que se rompió esté como estaba",
        )
    })
}

/// All of it as lines of plain text, the strip so many columns wide.
pub(super) fn block(drill: &DrillRecord, columns: usize, lang: Lang) -> Vec<String> {
    let name = pick(lang, "drill", "simulacro");
    let mut lines = vec![
        format!("{name} {}: {}", drill.id, drill.title.get(lang)),
        format!("{}: {}", fault(drill, lang), came_of(drill, lang)),
    ];
    lines.iter_mut().for_each(|line| *line = sanitize::line(line, LINE));
    if !drill.samples.is_empty() {
        let strip = Strip::of(drill, columns);
        lines.extend([strip.line(), strip.marks(), strip.scale()]);
        lines.push(strip::legend(&[drill], lang).join(", "));
    }
    let (events, more) = strip::events(drill, EVENTS, lang);
    lines.extend(events.iter().map(|line| sanitize::line(line, LINE)));
    if more > 0 {
        lines.push(match lang {
            Lang::En => format!("… and {more} ends and starts more, which the record has"),
            Lang::Es => format!("… y {more} finales y arranques más, que están en el registro"),
        });
    }
    let said = drill.ledger.iter().map(|it| ledger(it, lang)).chain(cost(drill, lang));
    let notes = drill.notes.iter().map(|note| note.get(lang).to_owned());
    let healing = not_healed(drill, lang).map(str::to_owned);
    lines.extend(said.chain(notes).chain(healing).map(|line| sanitize::line(&line, LINE)));
    lines
}

#[cfg(test)]
mod tests;

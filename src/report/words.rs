//! Words that several formats share: points, times, verdicts, and what there is to say about one check.

use crate::expect::Finding;
use crate::grade::{Grade, Outcome, mark, outcome, parts};
use crate::notice::Reason;
use crate::record::{Audience, CheckRecord, ManualRecord, RunRecord, Verdict};
use crate::submission::whereabouts::LookAt;
use crate::text::Lang;

/// The one of two texts that `lang` asks for.
pub(super) fn pick<'a>(lang: Lang, en: &'a str, es: &'a str) -> &'a str {
    match lang {
        Lang::En => en,
        Lang::Es => es,
    }
}

/// Points as people write them: `15`, `2.5`, `0.125`.
pub(super) fn points(milli: u64) -> String {
    let (whole, rest) = (milli / 1000, milli % 1000);
    if rest == 0 { whole.to_string() } else { format!("{whole}.{rest:03}").trim_end_matches('0').to_owned() }
}

/// A time as people read it: `250 ms`, `4.1 s`, `2 min 05 s`.
pub(super) fn duration(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        _ => format!("{} min {:02} s", ms / 60_000, ms % 60_000 / 1000),
    }
}

/// Seconds to so many decimals, halves up: `12.4 s`.
pub(super) fn seconds_rounded(ms: u64, decimals: usize) -> String {
    format!("{:.decimals$} s", ms as f64 / 1000.0)
}

/// Seconds with three decimals, as XML readers want them.
pub(super) fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

pub(super) fn verdict(verdict: Verdict, lang: Lang) -> &'static str {
    match verdict {
        Verdict::Pass => pick(lang, "pass", "pasa"),
        Verdict::Fail => pick(lang, "fail", "falla"),
        Verdict::Error => pick(lang, "error", "error"),
        Verdict::Skip => pick(lang, "skip", "omitida"),
    }
}

/// The reason of an error as an identifier.
pub(super) fn reason_id(reason: Option<Reason>) -> &'static str {
    match reason {
        Some(Reason::StandIn) => "stand_in",
        Some(Reason::Image) => "image",
        Some(Reason::Age) => "age",
        Some(Reason::Ambiguous) => "ambiguous",
        Some(Reason::NotHere) => "not_here",
        Some(Reason::Unproven) => "unproven",
        Some(Reason::Unsteady) => "unsteady",
        Some(Reason::Host) => "host",
        Some(Reason::Imparcial) => "imparcial",
        Some(Reason::Interrupted) => "interrupted",
        None => "unknown",
    }
}

/// Whose limits kept a check from being decided.
pub(super) fn reason(reason: Option<Reason>, lang: Lang) -> &'static str {
    match reason {
        Some(Reason::StandIn) => {
            pick(lang, "a stand-in is not what was asked for", "un sustituto no es lo que se pidió")
        }
        Some(Reason::Image) => pick(lang, "an image that nobody here has", "una imagen que aquí nadie tiene"),
        Some(Reason::Age) => pick(lang, "the delivery's age", "la antigüedad de la entrega"),
        Some(Reason::Ambiguous) => pick(lang, "two candidates for a role", "dos candidatos para un rol"),
        Some(Reason::NotHere) => {
            pick(lang, "it needs what this run does not have", "necesita algo que esta ejecución no tiene")
        }
        Some(Reason::Unproven) => pick(lang, "nothing that is there would prove it", "nada de lo que hay lo probaría"),
        Some(Reason::Unsteady) => {
            pick(lang, "what the drill starts from did not hold", "no se dio el estado del que parte el simulacro")
        }
        Some(Reason::Host) => pick(lang, "the host", "la máquina anfitriona"),
        Some(Reason::Imparcial) => pick(lang, "imparcial itself", "el propio imparcial"),
        Some(Reason::Interrupted) => pick(lang, "the run was interrupted", "la ejecución se interrumpió"),
        None => pick(lang, "it could not be told", "no se pudo determinar"),
    }
}

/// What can be done about an error of this reason.
pub(super) fn what_to_do(reason: Option<Reason>, lang: Lang) -> &'static str {
    match reason {
        Some(Reason::StandIn | Reason::Image) => pick(
            lang,
            "decide it by hand, or, if it is about a service's image, grade again where that can be pulled (--images pull)",
            "decídalo a mano o, si se trata de la imagen de un servicio, califique de nuevo donde se pueda descargar (--images pull)",
        ),
        Some(Reason::Age) => pick(
            lang,
            "see that its date is right (--handed-in), grade again where uv and the index of packages can be reached, or decide it by hand",
            "compruebe que su fecha es correcta (--handed-in), califique de nuevo donde se alcancen uv y el índice de paquetes, o decídalo a mano",
        ),
        Some(Reason::Ambiguous) => pick(
            lang,
            "say which service plays the role: --role ROLE=SERVICE",
            "indique qué servicio cumple el rol: --role ROL=SERVICIO",
        ),
        Some(Reason::NotHere) => pick(
            lang,
            "grade again where that is at hand, or decide it by hand",
            "califique de nuevo donde eso esté disponible, o decídalo a mano",
        ),
        Some(Reason::Unproven) => {
            pick(lang, "look at it by hand, as a visitor would", "mírelo a mano, como lo haría un visitante")
        }
        Some(Reason::Unsteady) => pick(
            lang,
            "see what the drills before it left broken, and grade again with `--only` this one",
            "vea qué dejaron roto los simulacros anteriores y califique de nuevo con `--only` solo este",
        ),
        Some(Reason::Host) => pick(
            lang,
            "see that the host is well (disk, memory, engine) and grade again",
            "compruebe que la máquina está bien (disco, memoria, motor) y califique de nuevo",
        ),
        Some(Reason::Interrupted) => pick(lang, "grade again", "califique de nuevo"),
        Some(Reason::Imparcial) | None => pick(
            lang,
            "grade again; if it stays, report it with this folder",
            "califique de nuevo; si persiste, informe de ello con esta carpeta",
        ),
    }
}

/// `docker-compose.yml:12`, of the submission.
pub(super) fn place_of(look: &LookAt) -> String {
    format!("{}:{}", look.place.file, look.place.line)
}

/// What stands before a place of the submission.
pub(super) fn look_at(lang: Lang) -> &'static str {
    pick(lang, "look at", "mire")
}

/// `db: declared_bytes`, or the fact alone where there is one subject.
pub(super) fn fact(finding: &Finding) -> String {
    if finding.subject.is_empty() { finding.fact.clone() } else { format!("{}: {}", finding.subject, finding.fact) }
}

/// A finding's expected or observed side, for people: times with their unit, sizes also in one, our own words in their
/// language.
pub(super) fn value(finding: &Finding, text: &str, lang: Lang) -> String {
    match (text, lang) {
        // Words of `expect`, which knows no language.
        ("nothing", Lang::Es) => return "nada".to_owned(),
        ("none", Lang::Es) => return "ninguno".to_owned(),
        _ => {}
    }
    let digits = text.trim_start_matches(['≥', '≤', '>', '<', ' ']);
    if let Some(seconds) = digits.parse::<f64>().ok().filter(|s| finding.fact.ends_with("_s") && s.is_finite()) {
        // A clock's 71.35326790809631 is no exactness.
        let fine = digits.split_once('.').is_some_and(|(_, decimals)| decimals.len() > 3);
        let sign = text.strip_suffix(digits).unwrap_or_default();
        return if fine { format!("{sign}{seconds:.3} s") } else { format!("{text} s") };
    }
    match digits.parse::<u64>() {
        Ok(bytes) if bytes >= 1024 && finding.fact.ends_with("_bytes") => format!("{text} ({})", size(bytes)),
        _ => text.to_owned(),
    }
}

/// `20 MiB`, `1.5 GiB`.
fn size(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let (unit, name) = units.into_iter().find(|(unit, _)| bytes >= *unit).unwrap_or((1, "B"));
    let tenths = u128::from(bytes) * 10 / u128::from(unit);
    if tenths % 10 == 0 { format!("{} {name}", tenths / 10) } else { format!("{}.{} {name}", tenths / 10, tenths % 10) }
}

/// Points with what became of them: `-15`, `+4`, `?3`, and `-1.25 of 2` where the rest was earned.
pub(super) fn cost(check: &CheckRecord, lang: Lang) -> String {
    let all = points(check.points);
    match outcome(check) {
        Outcome::Earned => format!("+{all}"),
        Outcome::Partly => format!("-{}", lost(check, lang)),
        Outcome::Lost => format!("-{all}"),
        Outcome::Undecided => format!("?{all}"),
        Outcome::None => pick(lang, "no points", "sin puntos").to_owned(),
    }
}

/// The same in a list, where an observation has its verdict: `-15`, `pass`.
pub(super) fn came_to(check: &CheckRecord, lang: Lang) -> String {
    if check.is_observation() { verdict(check.verdict, lang).to_owned() } else { cost(check, lang) }
}

/// What a failure costs: `2`, or `1.25 of 2`.
pub(super) fn lost(check: &CheckRecord, lang: Lang) -> String {
    let (lost, all) = (points(parts(check).lost), points(check.points));
    match outcome(check) {
        Outcome::Partly => format!("{lost} {} {all}", pick(lang, "of", "de")),
        _ => lost,
    }
}

/// What a person gave, of what there was: `+5 of 10`; or that nobody has yet.
pub(super) fn given(criterion: &ManualRecord, lang: Lang) -> String {
    let all = points(criterion.points);
    match (&criterion.mark, lang) {
        (Some(mark), Lang::En) => format!("+{} of {all}", points(mark.points)),
        (Some(mark), Lang::Es) => format!("+{} de {all}", points(mark.points)),
        (None, Lang::En) => format!("pending, {all}"),
        (None, Lang::Es) => format!("pendiente, {all}"),
    }
}

/// The level that a person gave, as people call it.
pub(super) fn level(criterion: &ManualRecord, lang: Lang) -> Option<&str> {
    let mark = criterion.mark.as_ref()?;
    Some(criterion.level().map_or(mark.level.as_str(), |level| level.title.get(lang)))
}

/// A mark to one decimal, halves up: `3.4`.
fn tenths(milli: u64) -> String {
    let tenths = (milli + 50) / 100;
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// The mark on the scale: `4.2 of 5.0`, or `3.4 – 4.6 of 5.0` while points are open.
pub(super) fn scaled(record: &RunRecord, grade: &Grade, lang: Lang) -> Option<String> {
    let mark = mark(record, grade)?;
    let [low, high, max] = [mark.low, mark.high, mark.max].map(tenths);
    // What is open is open, also where it makes no difference to a decimal.
    let seen = if mark.low == mark.high { low } else { format!("{low} – {high}") };
    let of = pick(lang, "of", "de");
    let pass = mark.pass.map(|pass| match lang {
        Lang::En => format!(" (passes from {})", tenths(pass)),
        Lang::Es => format!(" (aprueba desde {})", tenths(pass)),
    });
    Some(format!("{seen} {of} {max}{}", pass.unwrap_or_default()))
}

/// The one line that everybody looks for.
pub(super) fn headline(record: &RunRecord, grade: &Grade, lang: Lang) -> String {
    let total = grade.total();
    let [all, earned, lost, undecided] = [total.points, total.earned, total.lost, total.undecided].map(points);
    let mut line = match lang {
        Lang::En => format!("{earned} of {all} points earned, {lost} lost, {undecided} undecided"),
        Lang::Es => format!("{earned} de {all} puntos obtenidos, {lost} perdidos, {undecided} sin decidir"),
    };
    if !record.manual.is_empty() {
        let pending = points(total.pending);
        line.push_str(&match lang {
            Lang::En => format!(", {pending} pending"),
            Lang::Es => format!(", {pending} pendientes"),
        });
    }
    if record.interrupted {
        line.push_str(pick(lang, " (interrupted: not final)", " (interrumpida: no es definitivo)"));
    } else if record.checks.iter().map(|c| c.points).sum::<u64>() < grade.points {
        line.push_str(pick(
            lang,
            " (not every check was run: not final)",
            " (no se hicieron todas las comprobaciones: no es definitivo)",
        ));
    } else if record.withheld.points > 0 {
        let more = points(record.withheld.points);
        line.push_str(&match lang {
            Lang::En => format!(" (without {more} points that are not shown here: not final)"),
            Lang::Es => format!(" (sin {more} puntos que aquí no se muestran: no es definitivo)"),
        });
    } else if !grade.is_final {
        line.push_str(pick(lang, " (not final)", " (no es definitivo)"));
    }
    line
}

/// How long was looked, where it was waited for.
pub(super) fn looks(check: &CheckRecord, lang: Lang) -> Option<String> {
    (check.attempts > 1).then(|| match lang {
        Lang::En => format!("last of {} looks in {}", check.attempts, duration(check.elapsed_ms)),
        Lang::Es => format!("última de {} observaciones en {}", check.attempts, duration(check.elapsed_ms)),
    })
}

/// Why a check was skipped: `init-applied failed`.
pub fn skipped_because(check: &CheckRecord, lang: Lang) -> String {
    let Some(cause) = &check.cause else {
        return pick(lang, "what it needs did not pass", "lo que necesita no pasó").to_owned();
    };
    let why = match cause.verdict {
        Verdict::Fail => pick(lang, "failed", "falló"),
        Verdict::Error => pick(lang, "could not be decided", "no se pudo decidir"),
        Verdict::Skip | Verdict::Pass => pick(lang, "was skipped", "se omitió"),
    };
    let what = if cause.check.is_empty() {
        pick(lang, "something that is not shown here", "algo que aquí no se muestra")
    } else {
        &cause.check
    };
    format!("{what} {why}")
}

/// What is not in a record for this audience, if it is not all.
pub(super) fn withheld(record: &RunRecord, lang: Lang) -> Option<String> {
    let whose = match record.audience {
        Audience::Teacher => return None,
        Audience::Student => pick(lang, "for the student", "para el estudiante"),
        Audience::AfterDue => pick(lang, "for the student, after the due date", "para el estudiante, tras el plazo"),
    };
    let (count, worth) = (record.withheld.checks, points(record.withheld.points));
    Some(match (count, lang) {
        (0, _) => whose.to_owned(),
        (1, Lang::En) => format!("{whose}: 1 check is not shown ({worth} points), nor counted"),
        (_, Lang::En) => format!("{whose}: {count} checks are not shown ({worth} points), nor counted"),
        (1, Lang::Es) => format!("{whose}: 1 comprobación no se muestra ({worth} puntos) ni se cuenta"),
        (_, Lang::Es) => format!("{whose}: {count} comprobaciones no se muestran ({worth} puntos) ni se cuentan"),
    })
}

/// A phase of a run as people call it.
pub fn phase(name: &str, lang: Lang) -> &str {
    let es = match name {
        "lab" => "laboratorio",
        "resolve" => "configuración",
        "images" => "imágenes",
        "build" => "construcción",
        "start" => "arranque",
        "start-over" => "reinicio",
        "machines" => "máquinas",
        "provision" => "aprovisionar",
        "snapshot" => "instantánea",
        "restore" => "restaurar",
        "start again under the scenario's limits" => "nuevo arranque con los límites del escenario",
        "checks" => "comprobación",
        "drills" => "simulacros",
        "evidence" => "evidencia",
        "teardown" => "retirada",
        other => other,
    };
    pick(lang, name, es)
}

/// Where the stack was brought up, and what is claimed of that place.
pub(super) fn place(record: &RunRecord, lang: Lang) -> String {
    let claim = match record.place.as_str() {
        "lab" => pick(
            lang,
            "contained: proof against accidents, collisions and clumsy code, not against a determined attacker",
            "contenido: a prueba de accidentes, choques y código torpe, no de un atacante decidido",
        ),
        "host" => pick(
            lang,
            "not contained: the submission's code has run on this machine",
            "sin contención: el código de la entrega se ejecutó en esta máquina",
        ),
        "attached" => pick(
            lang,
            "looked at as it was found: brought up by somebody else, not taken down",
            "observado tal como estaba: lo levantó otra persona y no se retira",
        ),
        _ => return record.place.clone(),
    };
    let project = record.project.as_ref().map(|name| {
        let of = pick(lang, "to project", "al proyecto");
        format!(" {of} {}", crate::sanitize::line(name, 80))
    });
    format!("{}{} ({claim})", record.place, project.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::fixture;

    #[test]
    fn points_and_times_as_people_write_them() {
        assert_eq!([points(15_000), points(2_500), points(125), points(0)], ["15", "2.5", "0.125", "0"]);
        assert_eq!([duration(250), duration(4_190), duration(125_000)], ["250 ms", "4.1 s", "2 min 05 s"]);
        assert_eq!([size(20 << 20), size(1536), size(20_000_000)], ["20 MiB", "1.5 KiB", "19 MiB"]);
        assert_eq!([seconds(60_010), seconds(7)], ["60.010", "0.007"]);
    }

    #[test]
    fn a_part_that_was_earned_is_said() {
        let mut check = fixture::check("back", 2_000, Verdict::Fail, None);
        assert_eq!(cost(&check, Lang::En), "-2");
        check.credit = Some(750);
        assert_eq!([cost(&check, Lang::En), cost(&check, Lang::Es)], ["-1.25 of 2", "-1.25 de 2"]);
    }

    #[test]
    fn a_time_has_its_unit() {
        let of = |fact: &str, text: &str| {
            let finding = Finding {
                subject: String::new(),
                fact: fact.to_owned(),
                expected: String::new(),
                observed: text.to_owned(),
                holds: false,
            };
            value(&finding, text, Lang::Es)
        };
        assert_eq!([of("recovery_time_s", "≤ 10"), of("recovery_time_s", "12.41")], ["≤ 10 s", "12.41 s"]);
        assert_eq!([of("quiet_for_s", "71.35326790809631"), of("quiet_for_s", "≥ 0.1234")], ["71.353 s", "≥ 0.123 s"]);
        assert_eq!([of("recovery_time_s", "nothing"), of("rows", "12")], ["nada", "12"]);
    }
}

//! From how a drill went to its record, and to the facts that objectives are judged by. Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::course::Went;
use super::spec::Spec;
use crate::drill::{DrillRecord, Ledger, Measured, Outcome, SILENCE, TIMES};
use crate::expect::Facts;
use crate::notice::Reason;
use crate::probe::ProbeError;
use crate::text::Text;
use crate::time::whole_ms;

/// What only the world that it was made in knows.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) hit: Vec<String>,
    pub(super) seed: Option<u64>,
    pub(super) watched: String,
    pub(super) ledger: Option<(&'static str, String)>,
    pub(super) written_at: String,
    /// The earlier drill that left something broken.
    pub(super) broken_by: Option<String>,
    /// What ran on the machine that was hit runs elsewhere now.
    pub(super) moved: Option<bool>,
    /// Of the volume, when it was waited for.
    pub(super) volume: Option<Result<Facts, ProbeError>>,
    /// Why it is not known which bricks were down before.
    pub(super) bricks_before: Option<ProbeError>,
}

/// The outcome of a drill that took so long.
pub(super) fn outcome(spec: &Spec, went: Went, known: Known, elapsed_ms: u64) -> Outcome {
    let mut facts = Facts::new();
    let mut open: BTreeMap<String, (Reason, Text)> = BTreeMap::new();
    let mut means: BTreeMap<String, Text> = BTreeMap::new();
    let unable = went.unable.as_ref().map(|error| (error.reason, error.text.clone()));
    let unsteady = if known.broken_by.is_some() { Reason::Unsteady } else { Reason::Imparcial };
    let unable = unable.or_else(|| went.unsteady.clone().map(|text| (unsteady, text)));

    if let Some(measured) = &went.measured {
        sampled(spec, &went, measured, &mut facts, &mut open, &mut means);
    }
    ledger(spec, &went, &mut facts, &mut open, &mut means);
    match &went.harmed {
        Some(Ok(harmed)) => {
            facts.insert("spared".to_owned(), json!(harmed.is_empty()));
            means.extend(harmed.first().map(|first| ("spared".to_owned(), first.clone())));
        }
        Some(Err(error)) => {
            open.insert("spared".to_owned(), (error.reason, error.text.clone()));
        }
        None => {}
    }
    facts.extend(known.moved.map(|moved| ("moved".to_owned(), json!(moved))));
    match &known.volume {
        Some(Ok(seen)) => {
            let wanted = ["heal_pending", "bricks_offline", "not_mounted_on", "split_brain"];
            facts.extend(wanted.iter().filter_map(|name| Some(((*name).to_owned(), seen.get(*name)?.clone()))));
        }
        Some(Err(error)) => {
            for fact in ["heal_pending", "bricks_offline", "not_mounted_on", "split_brain"] {
                open.insert(fact.to_owned(), (error.reason, error.text.clone()));
            }
        }
        None => {}
    }
    if let Some(error) = &known.bricks_before {
        facts.remove("bricks_offline");
        open.insert("bricks_offline".to_owned(), (error.reason, error.text.clone()));
    }
    // What nothing was seen of is nobody's failure; a recovery that never came is one, and says so.
    let unseen = Text::new("this was not measured in the drill", "esto no se midió en el simulacro");
    for fact in super::FACTS.iter().map(|fact| fact.name) {
        if !facts.contains_key(fact) && !means.contains_key(fact) {
            open.entry(fact.to_owned()).or_insert_with(|| (Reason::Imparcial, unseen.clone()));
        }
    }
    let Known { hit, seed, watched, ledger, written_at, broken_by, .. } = known;
    let mut kept = went.ledger.and_then(Result::ok);
    if let (Some(kept), Some((through, place))) = (&mut kept, ledger) {
        (kept.through, kept.place, kept.written_at) = (through.to_owned(), place, written_at);
    }
    let mut notes = went.notes;
    notes.extend(went.gave_up.map(|why| {
        Text::new(format!("it was not waited for any longer: {}", why.en), format!("no se esperó más: {}", why.es))
    }));
    notes.extend(went.aided.map(|said| {
        Text::new(
            format!("so that what comes next can be decided, it was helped: {}", said.en),
            format!("para poder decidir lo que sigue, se le ayudó: {}", said.es),
        )
    }));
    let record = DrillRecord {
        id: spec.id.clone(),
        title: spec.title.clone(),
        fault: spec.fault_name.to_owned(),
        hit,
        seed,
        started_ms: 0,
        elapsed_ms,
        every_ms: went.every_ms,
        asked_every_ms: whole_ms(spec.course.every),
        cost: went.cost,
        watched,
        samples: went.samples,
        events: went.events,
        measured: went.measured.unwrap_or_default(),
        ledger: kept,
        healed: went.healed,
        notes,
    };
    Outcome { record, facts, open, means, unable, left_broken: went.left_broken, broken_by }
}

fn seconds(ms: u64) -> Value {
    json!(ms as f64 / 1000.0)
}

fn sampled(
    spec: &Spec,
    went: &Went,
    measured: &Measured,
    facts: &mut Facts,
    open: &mut BTreeMap<String, (Reason, Text)>,
    means: &mut BTreeMap<String, Text>,
) {
    if let Some(error) = &went.unmade {
        for fact in TIMES {
            open.insert(fact.to_owned(), (error.reason, error.text.clone()));
        }
        return;
    }
    if measured.during == 0 && measured.recovery_time_ms.is_none() && went.gave_up.is_none() {
        let none = Text::new(
            "not a single look was made while the fault was active, so nothing was measured",
            "no se hizo ni una observación mientras duraba el fallo, así que no se midió nada",
        );
        for fact in TIMES {
            open.insert(fact.to_owned(), (Reason::Imparcial, none.clone()));
        }
        return;
    }
    facts.insert("samples".to_owned(), json!(measured.during));
    // An outage that was not over when nobody looked any more was longer than what was seen of it.
    let over = went.samples.iter().max_by_key(|s| s.at_ms).is_none_or(|s| s.ok);
    if over {
        facts.insert("longest_downtime_s".to_owned(), seconds(measured.longest_downtime_ms));
    } else {
        let s = measured.longest_downtime_ms as f64 / 1000.0;
        let text = Text::new(
            format!("it was down for {s:.1} s, and still down when nobody looked any more"),
            format!("estuvo caído {s:.1} s, y seguía caído al dejar de observarlo"),
        );
        means.insert("longest_downtime_s".to_owned(), text);
    }
    facts.insert("resolution_s".to_owned(), seconds(measured.resolution_ms));
    let share = measured.during_passed as f64 / measured.during.max(1) as f64;
    facts.insert("availability".to_owned(), json!((share * 1000.0).round() / 1000.0));
    if measured.during < spec.least_samples {
        let (few, least) = (measured.during, spec.least_samples);
        let text = Text::new(
            format!("{few} looks while the fault was active are too few to tell a share by: {least} are asked for"),
            format!("{few} observaciones mientras duraba el fallo no bastan para una proporción: se piden {least}"),
        );
        open.insert("availability".to_owned(), (Reason::Imparcial, text));
    }
    let last = went.samples.iter().rev().find(|s| !s.ok).map(|s| s.said.clone()).unwrap_or_default();
    match measured.recovery_time_ms {
        Some(ms) => {
            facts.insert("recovery_time_s".to_owned(), seconds(ms));
            // It was watched to the end of the time that is asked for, less one interval.
            let whole = whole_ms(spec.course.held);
            let held = if measured.fell_again { measured.held_ms } else { measured.held_ms.max(whole) };
            facts.insert("held_s".to_owned(), seconds(held));
            if measured.fell_again {
                let s = measured.held_ms as f64 / 1000.0;
                means.insert(
                    "held_s".to_owned(),
                    Text::new(
                        format!("it came back and failed again after {s:.1} s: {last}"),
                        format!("volvió y falló de nuevo a los {s:.1} s: {last}"),
                    ),
                );
            }
        }
        None => {
            let why = went.gave_up.clone().unwrap_or_else(|| {
                let s = spec.course.within.as_secs();
                Text::new(format!("it had {s} s"), format!("tuvo {s} s"))
            });
            let text = Text::new(
                format!("it did not recover: {}; last seen: {last}", why.en),
                format!("no se recuperó: {}; lo último visto: {last}", why.es),
            );
            for fact in ["recovery_time_s", "held_s"] {
                means.insert(fact.to_owned(), text.clone());
            }
        }
    }
}

fn ledger(
    spec: &Spec,
    went: &Went,
    facts: &mut Facts,
    open: &mut BTreeMap<String, (Reason, Text)>,
    means: &mut BTreeMap<String, Text>,
) {
    if spec.through.is_none() {
        return;
    }
    let (reason, text) = match &went.ledger {
        Some(Ok(kept)) if kept.before > 0 => return of_kept(kept, facts, open, means),
        Some(Ok(_)) => {
            let text = Text::new(
                "not one write was acknowledged before the fault, so none was at risk",
                "no se confirmó ninguna escritura antes de la falla, así que ninguna estaba en riesgo",
            );
            (Reason::Unproven, text)
        }
        Some(Err(error)) => (error.reason, error.text.clone()),
        None => return,
    };
    for fact in ["acked_lost", SILENCE] {
        open.insert(fact.to_owned(), (reason, text.clone()));
    }
}

fn of_kept(
    kept: &Ledger,
    facts: &mut Facts,
    open: &mut BTreeMap<String, (Reason, Text)>,
    means: &mut BTreeMap<String, Text>,
) {
    facts.insert("acked".to_owned(), json!(kept.acknowledged));
    facts.insert("acked_lost".to_owned(), json!(kept.lost_count));
    match silence(kept) {
        Silence::Was(ms) => drop(facts.insert(SILENCE.to_owned(), seconds(ms))),
        Silence::Is(text) => drop(means.insert(SILENCE.to_owned(), text)),
        Silence::Open(reason, text) => drop(open.insert(SILENCE.to_owned(), (reason, text))),
    }
    if kept.lost_count > 0 {
        let (lost, all) = (kept.lost_count, kept.acknowledged);
        let (en, es) = kept.oldest_lost_ms.map_or_else(Default::default, age);
        means.insert(
            "acked_lost".to_owned(),
            Text::new(
                format!("{lost} of {all} acknowledged writes are gone{en}"),
                format!("faltan {lost} de {all} escrituras confirmadas{es}"),
            ),
        );
    }
}

/// The longest time without an acknowledged write.
enum Silence {
    Was(u64),
    /// Longer than what was seen of it.
    Is(Text),
    Open(Reason, Text),
}

fn silence(kept: &Ledger) -> Silence {
    let Some(ms) = kept.longest_silence_ms else {
        let text = Text::new("no write ended after the fault", "ninguna escritura terminó después de la falla");
        return Silence::Open(Reason::Unproven, text);
    };
    if kept.silence_untried {
        let text = Text::new(
            "not every write could be tried, so that nobody knows how long none would have been acknowledged",
            "no todas las escrituras se pudieron intentar, así que no se sabe cuánto habría pasado sin confirmarse ninguna",
        );
        return Silence::Open(Reason::Imparcial, text);
    }
    if kept.silent_to_the_end {
        let s = ms as f64 / 1000.0;
        return Silence::Is(Text::new(
            format!("no write was acknowledged for {s:.1} s, and still none when the ledger was closed"),
            format!("no se confirmó ninguna escritura en {s:.1} s, y seguía sin confirmarse al cerrar el registro"),
        ));
    }
    Silence::Was(ms)
}

fn age(ms: i64) -> (String, String) {
    let s = ms.unsigned_abs() as f64 / 1000.0;
    if ms >= 0 {
        (
            format!(", the oldest acknowledged {s:.1} s before the fault"),
            format!("; la más antigua se confirmó {s:.1} s antes del fallo"),
        )
    } else {
        (
            format!(", the oldest acknowledged {s:.1} s after the fault"),
            format!("; la más antigua se confirmó {s:.1} s después del fallo"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::spec;
    use super::*;
    use crate::drill::Sample;
    use crate::scenario::tree::{self, Decoder};

    /// What came of a drill whose samples ended so, `+` up and `-` down.
    fn facts(measured: Measured, samples: &str) -> Outcome {
        let node = tree::read("{id: x, fault: {kill: {role: app}}, watch: {page: app}}", "s.yaml").unwrap();
        let mut problems = Vec::new();
        let spec = spec::decode(&mut Decoder::new(&node, &mut problems)).unwrap();
        let each = samples.chars().enumerate();
        let samples = each.map(|(i, c)| Sample { at_ms: 500 * i as u64, ok: c == '+', ..Sample::default() });
        let went = Went { samples: samples.collect(), measured: Some(measured), ..Went::default() };
        outcome(&spec, went, Known::default(), 0)
    }

    #[test]
    fn an_outage_that_is_not_over_has_no_length() {
        let down = Measured { during: 9, longest_downtime_ms: 3000, ..Measured::default() };
        let gone = facts(down.clone(), "++------");
        assert!(!gone.facts.contains_key("longest_downtime_s") && !gone.open.contains_key("longest_downtime_s"));
        assert_eq!(
            gone.means["longest_downtime_s"].en,
            "it was down for 3.0 s, and still down when nobody looked any more"
        );
        assert_eq!(facts(down, "++---+--+").facts["longest_downtime_s"], 3.0, "up and down, and up when it was left");
        let never = Measured { during: 9, ..Measured::default() };
        assert_eq!(facts(never, "+++++++").facts["longest_downtime_s"], 0.0, "another service was hit, and is gone");
    }

    #[test]
    fn a_silence_that_was_not_over_was_longer_than_what_was_seen_of_it() {
        let judged = |kept: Ledger| {
            let (mut facts, mut open, mut means) = (Facts::new(), BTreeMap::new(), BTreeMap::new());
            of_kept(&kept, &mut facts, &mut open, &mut means);
            (facts.contains_key(SILENCE), open.remove(SILENCE).map(|(reason, _)| reason), means.contains_key(SILENCE))
        };
        let kept = Ledger { longest_silence_ms: Some(4_000), ..Ledger::default() };
        assert_eq!(judged(kept.clone()), (true, None, false));
        assert_eq!(judged(Ledger { silent_to_the_end: true, ..kept.clone() }), (false, None, true));
        let untried = Ledger { silence_untried: true, silent_to_the_end: true, ..kept };
        assert_eq!(judged(untried), (false, Some(Reason::Imparcial), false));
        assert_eq!(judged(Ledger::default()), (false, Some(Reason::Unproven), false));
    }
}

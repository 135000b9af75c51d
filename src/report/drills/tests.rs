//! The sentences about a drill, in both languages.

use super::*;
use crate::drill::{Measured, Sample};
use crate::record::{Audience, fixture, shown_to};

fn both(said: impl Fn(Lang) -> String) -> [String; 2] {
    [said(Lang::En), said(Lang::Es)]
}

#[test]
fn what_came_of_each() {
    let all = fixture::drills();
    let said = |n: usize| both(|lang| came_of(&all[n], lang));
    assert_eq!(
        said(0)[0],
        "recovered after 12.4 s ± 0.5 s, longest downtime 12.0 s; 120 samples every 500 ms, 85 of 109 passed while the \
         fault lasted"
    );
    assert!(said(0)[1].starts_with("recuperado a los 12.4 s ± 0.5 s, caída más larga 12.0 s; "), "{}", said(0)[1]);
    assert!(said(1)[0].starts_with("not recovered in 1 min 00 s, longest downtime"), "{}", said(1)[0]);
    assert_eq!(fault(&all[1], Lang::Es), "crash de worker2 (elegido con la semilla 42)");
}

#[test]
fn what_was_sampled_finely_is_said_finely() {
    let mut drill = fixture::drills().remove(0);
    drill.measured = Measured { recovery_time_ms: Some(412), resolution_ms: 21, ..Measured::default() };
    assert!(came_of(&drill, Lang::En).starts_with("recovered after 0.412 s ± 0.021 s; 120 samples"));
    drill.measured = Measured { fell_again: true, held_ms: 4_000, ..drill.measured };
    assert!(came_of(&drill, Lang::En).contains("± 0.021 s, failed again 4.0 s later; "));
    drill.measured = Measured { never_down: true, recovery_time_ms: Some(0), ..Measured::default() };
    assert_eq!(came_of(&drill, Lang::En), "never seen down; 120 samples every 500 ms");
    drill.samples = vec![Sample::default()];
    assert_eq!(came_of(&drill, Lang::Es), "nunca se vio caído; 1 muestra");
}

#[test]
fn no_sample_and_nothing_shown_are_two_things() {
    let mut record = fixture::drilled();
    record.drills[0].samples.clear();
    record.drills[0].measured = Measured::default();
    assert_eq!(came_of(&record.drills[0], Lang::En), "nobody looked at it: no samples");
    record.checks.iter_mut().filter(|c| c.drill.is_some()).for_each(|c| c.details = "teacher".to_owned());
    let shown = shown_to(&record, Audience::Student);
    assert_eq!(came_of(&shown.drills[0], Lang::Es), "lo que se vio no se muestra aquí");
    assert!(block(&shown.drills[0], 80, Lang::En).iter().all(|line| !line.contains('█')));
}

#[test]
fn the_ledger_says_what_is_lost_and_where() {
    let all = fixture::drills();
    let of = |n: usize| both(|lang| ledger(all[n].ledger.as_ref().unwrap(), lang));
    assert_eq!(of(0)[0], "312 rows acknowledged, 0 lost, 4 refused, 1 unknown (1 of them there all the same)");
    assert_eq!(
        of(2)[0],
        "120 rows acknowledged, 43 lost (#1, #2, #3, #4, #5, …), the oldest acknowledged 3.6 s before the fault, \
         none acknowledged for up to 5.2 s after the fault; written on worker1, read back on worker2"
    );
    assert!(of(2)[1].contains("43 perdidas") && of(2)[1].contains("se releyó en worker2"), "{}", of(2)[1]);
    let silent = Ledger { longest_silence_ms: Some(9_000), silent_to_the_end: true, ..Ledger::default() };
    assert!(ledger(&silent, Lang::En).ends_with("none acknowledged in the last 9.0 s"), "{silent:?}");
    assert!(ledger(&silent, Lang::Es).ends_with("sin ninguna confirmación en los últimos 9.0 s"), "{silent:?}");
    let files = Ledger {
        through: "files".into(),
        lost_count: 1,
        lost: vec![7],
        oldest_lost_ms: Some(-20),
        ..Ledger::default()
    };
    assert_eq!(
        ledger(&files, Lang::En),
        "0 files acknowledged, 1 lost (#7), the oldest acknowledged 20 ms after the fault"
    );
    assert!(ledger(&files, Lang::Es).contains("1 perdidos (#7), el más antiguo confirmado 20 ms después"));
}

#[test]
fn what_looking_cost_is_said_and_what_was_done_about_it() {
    let mut drill = fixture::drills().remove(0);
    assert_eq!(cost(&drill, Lang::En).unwrap(), "each look cost the service 3.1 ms of cpu, 6.2 % of its quota");
    drill.cost = Some(Cost { cpu_ms: 40.0, share: 0.2, quota_cpus: 0.0 });
    drill.every_ms = 2_000;
    assert_eq!(
        cost(&drill, Lang::Es).unwrap(),
        "cada mirada costó al servicio 40.0 ms de cpu, 20 % de una cpu; se miró cada 2.0 s en vez de cada 500 ms"
    );
    drill.cost = None;
    assert!(cost(&drill, Lang::En).unwrap().starts_with("looked at every 2.0 s instead"));
    drill.every_ms = 500;
    assert_eq!(cost(&drill, Lang::En), None);
}

#[test]
fn the_block_tells_what_happened_when() {
    let lines = block(&fixture::drills()[0], 60, Lang::En);
    assert!(lines.contains(&"5.1 s D a container ended: `web` ended with 137".to_owned()), "{lines:#?}");
    let mut looping = fixture::drills().remove(0);
    let died = looping.events[2].clone();
    looping.events.splice(3..3, (0..500).map(|_| died.clone()));
    let lines = block(&looping, 60, Lang::Es);
    assert!(
        lines.iter().any(|line| line.starts_with("17.5 s R recuperado")),
        "what matters is never left out: {lines:#?}"
    );
    assert!(lines.len() < 30 && lines.iter().any(|line| line.starts_with("… y 492 finales")), "{lines:#?}");
}

//! From samples and events to what a drill measured. Pure.

use super::{Event, Measured, Sample, What};

/// When what happened: milliseconds since the drill began.
#[derive(Clone, Copy, Debug)]
pub struct Marks {
    /// The injection began, and ended.
    pub inject_ms: u64,
    pub injected_ms: u64,
    /// The fault was undone; none where that came only after all was measured, or there was nothing to undo.
    pub healed_ms: Option<u64>,
    /// What recovery is counted from: the end of the injection, or of the healing.
    pub since_ms: u64,
}

/// A look that had been under way for so long when the fault was undone, and passed only then, was not answered while it lasted.
const HUNG_MS: u64 = 1000;

/// How long a look has to have been under way for that. Twice the longest answer from before the fault is not called hanging.
fn hung_ms(samples: &[Sample], marks: Marks) -> u64 {
    let before = samples.iter().filter(|s| s.ok && s.end_ms() <= marks.inject_ms);
    before.map(|s| 2 * s.took_ms).max().unwrap_or(0).max(HUNG_MS)
}

/// Whether it passed, and was not one that hung until the fault was undone, however patient it was.
fn is_served(sample: &Sample, marks: Marks, hung_ms: u64) -> bool {
    let waited = marks.healed_ms.filter(|at| sample.at_ms >= marks.inject_ms && sample.end_ms() >= *at);
    sample.ok && waited.is_none_or(|healed| healed.saturating_sub(sample.at_ms) < hung_ms)
}

/// What the samples show. `stable` passes in a row are a recovery.
pub fn measure(samples: &[Sample], marks: Marks, stable: usize, every_ms: u64) -> Measured {
    let hung = hung_ms(samples, marks);
    let served = |s: &Sample| Sample { ok: is_served(s, marks, hung), ..s.clone() };
    let samples: Vec<Sample> = samples.iter().map(served).collect();
    let mut after: Vec<&Sample> = samples.iter().filter(|s| s.end_ms() >= marks.inject_ms).collect();
    after.sort_by_key(|s| (s.at_ms, s.end_ms()));
    let active_until = marks.healed_ms.unwrap_or(u64::MAX);
    let during = || after.iter().filter(|s| s.at_ms >= marks.inject_ms && s.at_ms < active_until);
    let mut measured = Measured {
        resolution_ms: every_ms,
        longest_downtime_ms: longest(&after, marks.inject_ms),
        during: during().count() as u64,
        during_passed: during().filter(|s| s.ok).count() as u64,
        ..Measured::default()
    };
    // Counted from the healing, what was before it does not matter any more.
    if marks.since_ms > marks.injected_ms {
        after.retain(|s| s.end_ms() >= marks.since_ms);
    }
    let Some(first) = after.iter().position(|s| !s.ok) else {
        // A look that was under way when the fault was made shows nothing of it.
        measured.never_down = after.iter().any(|s| s.at_ms >= marks.injected_ms);
        if measured.never_down {
            measured.recovery_time_ms = Some(0);
            let end = after.iter().map(|s| s.end_ms()).max().unwrap_or(marks.injected_ms);
            measured.held_ms = end.saturating_sub(marks.since_ms);
        }
        return measured;
    };
    let Some(back) = row(&after, first, stable.max(1)) else { return measured };
    let recovered = after[back].end_ms();
    measured.recovery_time_ms = Some(recovered.saturating_sub(marks.since_ms));
    // A failing look was begun while it was down; a passing one is known to be up when it ends.
    let last_fail = after[..back].iter().filter(|s| !s.ok).map(|s| s.at_ms).max().unwrap_or(marks.injected_ms);
    measured.resolution_ms = recovered.saturating_sub(last_fail);
    let later = &after[back..];
    let again = later.iter().find(|s| !s.ok);
    measured.fell_again = again.is_some();
    let until = again.map_or_else(|| later.iter().map(|s| s.end_ms()).max().unwrap_or(recovered), |s| s.at_ms);
    measured.held_ms = until.saturating_sub(recovered);
    measured
}

/// A service that was hit, came back, and ended again: its engine tells of deaths that are too short, or too late, for the samples to tell
/// them from the outage itself. What had not been up for `stable` samples in a row in between had not come back yet.
pub fn fell_again(
    measured: Measured,
    samples: &[Sample],
    events: &[Event],
    hit: &[String],
    marks: Marks,
    stable: usize,
    every_ms: u64,
) -> Measured {
    let of = |what: What| events.iter().filter(move |e| e.what == what && e.at_ms > marks.inject_ms);
    for started in of(What::Started).filter(|e| hit.contains(&e.who)) {
        let Some(died) = of(What::Died).find(|e| e.who == started.who && e.at_ms > started.at_ms) else { continue };
        let between = samples.iter().filter(|s| s.at_ms >= started.at_ms && s.end_ms() <= died.at_ms);
        let (_, row) = between.fold((0, 0), |(now, most), s| {
            let now = if s.ok { now + 1 } else { 0 };
            (now, most.max(now))
        });
        if row < stable.max(1) {
            continue;
        }
        let until: Vec<Sample> = samples.iter().filter(|s| s.end_ms() <= died.at_ms).cloned().collect();
        let before = measure(&until, marks, stable, every_ms);
        let back = before.recovery_time_ms.map(|ms| ms + marks.since_ms).unwrap_or(started.at_ms).max(started.at_ms);
        return Measured {
            recovery_time_ms: before.recovery_time_ms,
            resolution_ms: before.resolution_ms,
            never_down: false,
            held_ms: died.at_ms.saturating_sub(back),
            fell_again: true,
            ..measured
        };
    }
    measured
}

/// Where the first row of `stable` passes begins, after `from`.
fn row(samples: &[&Sample], from: usize, stable: usize) -> Option<usize> {
    let mut passes = 0;
    for (i, sample) in samples.iter().enumerate().skip(from) {
        passes = if sample.ok { passes + 1 } else { 0 };
        if passes == stable {
            return Some(i + 1 - stable);
        }
    }
    None
}

/// The longest time between a failing look's beginning and the end of the next that passes.
fn longest(samples: &[&Sample], from: u64) -> u64 {
    let (mut longest, mut down): (u64, Option<u64>) = (0, None);
    for sample in samples {
        if !sample.ok {
            down = down.or(Some(sample.at_ms.max(from)));
        } else if let Some(began) = down.take() {
            longest = longest.max(sample.end_ms().saturating_sub(began));
        }
    }
    // It was never seen up again.
    let end = samples.iter().map(|s| s.end_ms()).max().unwrap_or(from);
    longest.max(down.map_or(0, |began| end.saturating_sub(began)))
}

/// Whether so many samples in a row have passed after an outage, or none has failed since the fault was made: what [`measure`] would give a
/// recovery time. It is asked at every sample, of all of them in the order of their beginnings.
pub fn is_back(samples: &[Sample], marks: Marks, stable: usize) -> bool {
    let from = if marks.since_ms > marks.injected_ms { marks.since_ms } else { marks.inject_ms };
    let hung = hung_ms(samples, marks);
    let (mut failed, mut any, mut passes) = (false, false, 0);
    for sample in samples.iter().filter(|s| s.end_ms() >= from) {
        let ok = is_served(sample, marks, hung);
        any |= sample.at_ms >= marks.injected_ms;
        failed |= !ok;
        passes = if ok && failed { passes + 1 } else { 0 };
        if passes >= stable.max(1) {
            return true;
        }
    }
    any && !failed
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A look each 500 ms that takes 10: `+` passes, `-` fails.
    fn samples(text: &str) -> Vec<Sample> {
        let each = text.chars().enumerate();
        each.map(|(i, c)| Sample { at_ms: i as u64 * 500, took_ms: 10, ok: c == '+', said: String::new() }).collect()
    }

    const AT_ONE: Marks = Marks { inject_ms: 1000, injected_ms: 1100, healed_ms: None, since_ms: 1100 };

    #[test]
    fn recovery_is_from_the_end_of_the_injection_to_the_first_of_a_row() {
        let seen = measure(&samples("+++----+-+++++"), AT_ONE, 3, 500);
        // Fails at 1500, is up for one look at 3500, and again from 4500 on.
        assert_eq!(seen.recovery_time_ms, Some(4510 - 1100));
        assert_eq!(seen.resolution_ms, 510);
        assert_eq!(seen.longest_downtime_ms, 3510 - 1500);
        assert_eq!((seen.during, seen.during_passed), (12, 7));
        assert_eq!((seen.held_ms, seen.fell_again, seen.never_down), (2000, false, false));
    }

    #[test]
    fn what_never_fails_recovered_at_once() {
        let seen = measure(&samples("++++++"), AT_ONE, 3, 500);
        assert_eq!((seen.recovery_time_ms, seen.resolution_ms, seen.longest_downtime_ms), (Some(0), 500, 0));
        assert!(seen.never_down && seen.held_ms == 2510 - 1100);
    }

    #[test]
    fn a_look_that_was_under_way_shows_nothing_of_the_fault() {
        let seen = [Sample { at_ms: 900, took_ms: 300, ok: true, said: String::new() }];
        let measured = measure(&seen, AT_ONE, 1, 500);
        assert_eq!((measured.recovery_time_ms, measured.never_down), (None, false));
        assert!(!is_back(&seen, AT_ONE, 1));
    }

    #[test]
    fn counted_from_the_healing_what_was_before_does_not_matter() {
        // Down, up by another's help, down again from the healing on.
        let seen = samples("+++--+++----+++");
        let healed = Marks { healed_ms: Some(3900), since_ms: 4000, ..AT_ONE };
        assert_eq!(measure(&seen, healed, 3, 500).recovery_time_ms, Some(6010 - 4000));
    }

    #[test]
    fn what_never_comes_back_has_no_recovery_time() {
        let seen = measure(&samples("+++-----"), AT_ONE, 3, 500);
        assert_eq!((seen.recovery_time_ms, seen.longest_downtime_ms), (None, 3510 - 1500));
        assert_eq!(measure(&[], AT_ONE, 3, 500).recovery_time_ms, None, "no sample is no recovery");
    }

    #[test]
    fn what_hangs_until_the_fault_is_undone_was_not_answered_while_it_lasted() {
        let look = |at_ms, took_ms| Sample { at_ms, took_ms, ok: true, said: String::new() };
        let marks = Marks { healed_ms: Some(5000), ..AT_ONE };
        let paused: Vec<Sample> = (0..16)
            .map(|i| i * 500)
            .map(|at| look(at, if (1000..5000).contains(&at) { 5010 - at } else { 10 }))
            .collect();
        let seen = measure(&paused, marks, 3, 500);
        // The last look had hung for less than a second.
        assert_eq!((seen.during, seen.during_passed, seen.never_down), (8, 1, false));
        assert_eq!((seen.recovery_time_ms, seen.longest_downtime_ms), (Some(5010 - 1100), 4010));
        assert!(is_back(&paused, marks, 3));
        // One that always takes so long is not called down for it.
        let slow: Vec<Sample> = (0..16).map(|i| look(i * 500, 900)).collect();
        assert_eq!(measure(&slow, marks, 3, 500).during_passed, 8);
        // Undone by nobody: what is answered late is answered.
        assert!(measure(&paused, AT_ONE, 3, 500).never_down);
    }

    #[test]
    fn being_back_is_having_a_recovery_time() {
        for text in
            ["", "+++", "+++++++", "+++----+-+++++", "+++-----", "+++++++--+++--+++", "+++-++", "-----+++", "+++-+++"]
        {
            let samples = samples(text);
            let measured = measure(&samples, AT_ONE, 3, 500).recovery_time_ms.is_some();
            assert_eq!(is_back(&samples, AT_ONE, 3), measured, "{text}");
        }
    }

    #[test]
    fn an_outage_that_begins_late_counts_and_a_second_one_is_not_held() {
        let seen = measure(&samples("+++++++--+++--+++"), AT_ONE, 3, 500);
        assert_eq!(seen.recovery_time_ms, Some(4510 - 1100));
        assert!(seen.fell_again);
        assert_eq!(seen.held_ms, 6000 - 4510);
    }

    #[test]
    fn a_service_that_ends_again_after_it_was_up_has_fallen() {
        let event = |at_ms, what, who: &str| Event { at_ms, what, who: who.into(), said: crate::text::Text::default() };
        // Back so fast that no sample failed; it ends again six seconds later, for two samples.
        let seen = samples("+++++++++++++++--+++");
        let hit = ["app".to_owned()];
        let again = |events: &[Event]| fell_again(measure(&seen, AT_ONE, 3, 500), &seen, events, &hit, AT_ONE, 3, 500);
        let (died, started) = (event(1050, What::Died, "app"), event(1300, What::Started, "app"));
        let loops = [died.clone(), started.clone(), event(7400, What::Died, "app"), event(8100, What::Started, "app")];
        let fell = again(&loops);
        assert_eq!((fell.recovery_time_ms, fell.held_ms, fell.fell_again), (Some(0), 7400 - 1300, true));
        let other = [died.clone(), started.clone(), event(7400, What::Died, "db")];
        assert!(!again(&other).fell_again, "another service's end is none of its own");
        // It needed a second start before it was up at all.
        let twice = [died, started, event(1900, What::Died, "app"), event(2300, What::Started, "app")];
        assert!(!again(&twice).fell_again);
    }

    #[test]
    fn a_look_that_hangs_fails_from_its_beginning() {
        let mut seen = samples("+++");
        seen.push(Sample { at_ms: 1500, took_ms: 5000, ok: false, said: "no answer".into() });
        seen.push(Sample { at_ms: 2000, took_ms: 4000, ok: true, said: String::new() });
        let measured = measure(&seen, AT_ONE, 1, 500);
        assert_eq!((measured.recovery_time_ms, measured.resolution_ms), (Some(6000 - 1100), 4500));
    }
}

//! A drill's timeline in one line of columns: up, down, both, or nobody looked; and below it the marks of what happened.
//!
//! A passing look is known to be up when it ends, a failing one was down when it began: so much is measured, and so much is
//! drawn. What a look saw holds until the next one; where none came in two intervals, nobody knows.

use crate::drill::{DrillRecord, Event, What};
use crate::report::words::{pick, seconds_rounded};
use crate::text::Lang;

/// What was seen in a column's time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::report) struct Cell {
    pub(in crate::report) up: bool,
    pub(in crate::report) down: bool,
}

impl Cell {
    pub(in crate::report) const fn glyph(self) -> char {
        match (self.up, self.down) {
            (true, false) => '█',
            (false, true) => '·',
            (true, true) => '▒',
            (false, false) => ' ',
        }
    }
}

/// What happened in a column's time: of several the first in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::report) enum Mark {
    Fault,
    Aided,
    Healed,
    Recovered,
    OutOfMemory,
    Died,
    Started,
    Read,
}

impl Mark {
    const ALL: [Self; 8] = [
        Self::Fault,
        Self::Healed,
        Self::Recovered,
        Self::Aided,
        Self::Died,
        Self::OutOfMemory,
        Self::Started,
        Self::Read,
    ];

    const fn letter(self) -> char {
        match self {
            Self::Fault => 'F',
            Self::Aided => 'A',
            Self::Recovered => 'R',
            Self::Healed => 'H',
            Self::OutOfMemory => 'M',
            Self::Died => 'D',
            Self::Started => 'S',
            Self::Read => 'L',
        }
    }

    fn said(self, lang: Lang) -> &'static str {
        match self {
            Self::Fault => pick(lang, "the fault begins", "empieza la falla"),
            Self::Aided => pick(lang, "it was helped", "se le ayudó"),
            Self::Recovered => pick(lang, "recovered", "recuperado"),
            Self::Healed => pick(lang, "the fault is undone", "la falla se deshace"),
            Self::OutOfMemory => pick(lang, "killed for want of memory", "muerto por falta de memoria"),
            Self::Died => pick(lang, "a container ended", "un contenedor terminó"),
            Self::Started => pick(lang, "a container started", "un contenedor arrancó"),
            Self::Read => pick(lang, "the ledger is read back", "se relee el libro de escrituras"),
        }
    }

    /// What marks an event; none where another one says the same.
    fn of(event: &Event, all: &[Event]) -> Option<Self> {
        let there = |what: What| all.iter().any(|e| e.what == what);
        match event.what {
            What::Inject => Some(Self::Fault),
            What::Injected => (!there(What::Inject)).then_some(Self::Fault),
            What::Healed => Some(Self::Healed),
            What::Heal => (!there(What::Healed)).then_some(Self::Healed),
            What::Recovered => Some(Self::Recovered),
            What::Aided => Some(Self::Aided),
            What::Died => Some(Self::Died),
            What::OutOfMemory => Some(Self::OutOfMemory),
            What::Started => Some(Self::Started),
            What::Read => Some(Self::Read),
            What::Steady => None,
        }
    }
}

/// The columns of a drill.
pub(in crate::report) struct Strip {
    pub(in crate::report) cells: Vec<Cell>,
    marks: Vec<Option<Mark>>,
    /// What the last column ends at.
    end_ms: u64,
}

impl Strip {
    /// In so many columns; one at least.
    pub(in crate::report) fn of(drill: &DrillRecord, columns: usize) -> Self {
        Self::until(drill, columns, drill.elapsed_ms.max(seen_ms(drill)))
    }

    /// The same to another end, so that several have one scale. What comes after it stands in the last column.
    pub(in crate::report) fn until(drill: &DrillRecord, columns: usize, end_ms: u64) -> Self {
        let (columns, end_ms) = (columns.max(1), end_ms.max(1));
        let column = |at: u64| {
            let at = u128::from(at) * columns as u128 / u128::from(end_ms);
            usize::try_from(at).unwrap_or(usize::MAX).min(columns - 1)
        };
        let mut strip = Self { cells: vec![Cell::default(); columns], marks: vec![None; columns], end_ms };
        for (from, until, ok) in spans(drill) {
            for cell in &mut strip.cells[column(from)..=column(until.saturating_sub(1).max(from))] {
                if ok { cell.up = true } else { cell.down = true }
            }
        }
        for event in &drill.events {
            let Some(mark) = drawn(drill, event) else { continue };
            let at = if mark == Mark::Recovered { back(drill, event) } else { event.at_ms };
            let there = &mut strip.marks[column(at)];
            *there = Some(there.map_or(mark, |other| other.min(mark)));
        }
        strip
    }

    /// The line of columns, nothing behind the last that somebody looked in.
    pub(in crate::report) fn line(&self) -> String {
        self.cells.iter().map(|cell| cell.glyph()).collect::<String>().trim_end().to_owned()
    }

    /// The letters below it.
    pub(in crate::report) fn marks(&self) -> String {
        self.marks.iter().map(|mark| mark.map_or(' ', Mark::letter)).collect::<String>().trim_end().to_owned()
    }

    /// The times of its two ends, as far apart as they are.
    pub(in crate::report) fn scale(&self) -> String {
        let (left, right) = ("0 s", seconds_rounded(self.end_ms, 1));
        let between = self.cells.len().saturating_sub(left.len() + right.len()).max(1);
        format!("{left}{}{right}", " ".repeat(between))
    }
}

/// When there was something to draw for the last time: what a drill waits for afterwards is not seen in it.
pub(in crate::report) fn seen_ms(drill: &DrillRecord) -> u64 {
    let last_sample = drill.samples.iter().map(|s| s.end_ms()).max().unwrap_or(0);
    let last_event = drill.events.iter().map(|e| e.at_ms).max().unwrap_or(0);
    last_sample.max(last_event)
}

/// The letter below the strip: what never failed has not recovered from anything.
fn drawn(drill: &DrillRecord, event: &Event) -> Option<Mark> {
    Mark::of(event, &drill.events).filter(|mark| *mark != Mark::Recovered || !drill.measured.never_down)
}

/// When it was up again: at the first of the passing looks in a row by which that was known.
fn back(drill: &DrillRecord, known: &Event) -> u64 {
    let mut looks: Vec<_> = drill.samples.iter().filter(|s| s.end_ms() <= known.at_ms).collect();
    looks.sort_unstable_by_key(|s| (s.at_ms, s.end_ms()));
    looks.iter().rev().take_while(|s| s.ok).last().map_or(known.at_ms, |first| first.end_ms())
}

/// What was seen from when until when, by time, none over another.
fn spans(drill: &DrillRecord) -> Vec<(u64, u64, bool)> {
    let every = drill.every_ms.max(drill.asked_every_ms).max(1);
    let known = |s: &crate::drill::Sample| if s.ok { s.end_ms() } else { s.at_ms };
    let mut looks: Vec<_> = drill.samples.iter().map(|s| (known(s), s.end_ms(), s.ok)).collect();
    looks.sort_unstable();
    let next = looks.iter().skip(1).map(|look| Some(look.0)).chain([None]);
    let until = |(from, end, _): (u64, u64, bool), next: Option<u64>| match next {
        None => end.max(from),
        Some(next) if next <= end.max(from).saturating_add(every.saturating_mul(2)) => next,
        Some(_) => end.max(from).saturating_add(every),
    };
    looks.iter().zip(next).map(|(look, next)| (look.0, until(*look, next), look.2)).collect()
}

/// What the signs mean: of the letters only those that stand below one of these drills.
pub(in crate::report) fn legend(drills: &[&DrillRecord], lang: Lang) -> Vec<String> {
    let signs = [
        (Cell { up: true, down: false }, pick(lang, "up", "arriba")),
        (Cell { up: false, down: true }, pick(lang, "down", "caído")),
        (Cell { up: true, down: true }, pick(lang, "both", "ambos")),
    ];
    let signs = signs.into_iter().map(|(cell, said)| format!("{} {said}", cell.glyph()));
    let hung = |drill: &&DrillRecord| drill.samples.iter().any(|s| s.ok && s.took_ms > 2 * drill.every_ms.max(1));
    let blank = pick(lang, "blank: no answer yet", "en blanco: aún sin respuesta");
    let signs = signs.chain(drills.iter().any(hung).then(|| blank.to_owned()));
    let used = |mark: &Mark| {
        drills.iter().any(|drill| drill.events.iter().any(|event| drawn(drill, event).as_ref() == Some(mark)))
    };
    let letters = Mark::ALL.into_iter().filter(used).map(|mark| format!("{} {}", mark.letter(), mark.said(lang)));
    signs.chain(letters).collect()
}

/// What happened, in words, by its time: `5.1 s D a container ended: web_1`. Of a container's ends and starts, which may go on
/// without end, only the first `most`; and how many more there are.
pub(in crate::report) fn events(drill: &DrillRecord, most: usize, lang: Lang) -> (Vec<String>, usize) {
    let (mut told, mut loops) = (Vec::new(), 0_usize);
    for event in &drill.events {
        let Some(mark) = Mark::of(event, &drill.events) else { continue };
        if matches!(mark, Mark::Died | Mark::OutOfMemory | Mark::Started) {
            loops += 1;
            if loops > most {
                continue;
            }
        }
        let (at, said) = (seconds_rounded(event.at_ms, 1), event.said.get(lang));
        let more = if said.is_empty() { String::new() } else { format!(": {said}") };
        told.push(format!("{at} {} {}{more}", mark.letter(), mark.said(lang)));
    }
    (told, loops.saturating_sub(most))
}

#[cfg(test)]
mod tests;

//! The end of a drill: what was broken is undone, the ledger is read back, and what did not come back by itself is helped.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::book::{self, Entry};
use super::super::sampler::Sampler;
use super::super::world::{World, Written};
use super::{ASK, Drill, passing};
use crate::drill::{Sample, What};
use crate::text::Text;

/// After it was started, before it is started anew.
const STARTED: Duration = Duration::from_secs(20);
/// After it was helped, it has so long to be as before.
const AIDED: Duration = Duration::from_secs(60);
/// To read a ledger back, its store has to be up.
const READ: Duration = Duration::from_secs(45);
/// What was confirmed and shows a little later is not lost: what is missing is looked for so long.
const SETTLES: Duration = Duration::from_secs(8);

impl<W: World + 'static> Drill<'_, W> {
    /// Whether more looks could not be made than were, since something was broken: then nothing was measured.
    pub(super) fn unmade(&mut self, sampler: &Sampler, before: u64) {
        let Some(marks) = self.marks else { return };
        let (unable, why) = sampler.unable();
        let made = self.went.samples.iter().filter(|s| s.at_ms >= marks.injected_ms).count() as u64;
        self.went.unmade = why.filter(|_| unable.saturating_sub(before) > made);
    }

    /// Undoes the fault; when it was begun. Where that fails it is tried once more at the end, and by others after us.
    pub(super) async fn heal(&mut self) -> u64 {
        if !self.world.undoes() {
            self.went.healed = true;
            return self.ms();
        }
        let began = self.note(What::Heal, Text::default());
        match self.world.heal().await {
            Ok(()) => {
                self.went.healed = true;
                self.note(What::Healed, Text::default());
            }
            Err(error) => {
                self.went.notes.push(error.text.clone());
                self.went.unable.get_or_insert(error);
            }
        }
        began
    }

    pub(super) async fn read_back(&mut self, entries: &[Entry]) {
        let until = Instant::now() + READ;
        let back = self.went.measured.as_ref().is_some_and(|m| m.recovery_time_ms.is_some());
        let (mut helped, mut anew) = (back.then(Instant::now), back);
        let acknowledged = |e: &&Entry| e.written == Written::Acknowledged;
        let mut settled = None;
        let there = loop {
            match self.world.read().await {
                Ok(there) => {
                    let missing = entries.iter().filter(acknowledged).any(|e| !there.numbers.contains(&e.number));
                    let until = *settled.get_or_insert_with(|| Instant::now() + SETTLES);
                    if !missing {
                        break Ok(there);
                    }
                    if Instant::now() >= until {
                        let next = entries.last().map_or(1, |entry| entry.number + 1);
                        break self.world.shows_all(&there, next).await.map(|()| there);
                    }
                    sleep(ASK).await;
                }
                Err(error) if Instant::now() >= until => break Err(error),
                // What did not come back cannot be read: it is helped first, since rows may be there all the same.
                Err(_) if helped.is_none() => {
                    helped = Some(Instant::now());
                    if !self.went.healed {
                        self.heal().await;
                    }
                    self.aid(false).await;
                }
                Err(_) if !anew && helped.is_some_and(|at| at.elapsed() >= STARTED) => {
                    anew = true;
                    self.aid(true).await;
                }
                Err(_) => sleep(ASK).await,
            }
        };
        self.note(What::Read, Text::default());
        let fault = self.marks.map_or(0, |marks| marks.inject_ms);
        self.went.ledger = Some(there.map(|there| book::sum(entries, &there, fault)));
    }

    /// Whether anything was done.
    async fn aid(&mut self, anew: bool) -> bool {
        match self.world.aid(anew).await {
            Ok(Some(said)) => {
                self.note(What::Aided, said.clone());
                self.went.aided = Some(said);
                true
            }
            Ok(None) => false,
            Err(error) => {
                self.went.notes.push(error.text);
                true
            }
        }
    }

    /// For whatever comes next, it should be as it was before; looks from before `from` say nothing of that.
    pub(super) async fn as_before(&mut self, sampler: &Sampler, from: u64) {
        let stable = self.course.stable;
        let from = if sampler.is_fresh() { from } else { self.ms() };
        let up = move |samples: &[Sample]| passing(samples, from.saturating_sub(1)) >= stable;
        let soon = Instant::now() + self.course.timeout.max(Duration::from_secs(3));
        let gone = self.went.measured.as_ref().is_some_and(|m| m.recovery_time_ms.is_none());
        if !gone && sampler.until(soon, up).await && !self.world.is_down().await {
            return;
        }
        if self.aid(false).await {
            if sampler.until(Instant::now() + STARTED, up).await {
                return;
            }
            // What runs and holds on to something that is gone is started anew: it fails here, and not in every drill after.
            self.aid(true).await;
        }
        if !sampler.until(Instant::now() + AIDED, up).await {
            self.went.left_broken = true;
            self.went.notes.push(Text::new(
                "it was not as before when the drill was over, though it was helped",
                "al acabar el simulacro no estaba como antes, aunque se le ayudó",
            ));
        }
    }
}

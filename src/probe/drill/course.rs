//! The course of a drill: steady state, sampler, ledger, inject, hold, heal or not, recovered, held, ledger read back. On one
//! page, and on a world that may be a script.

#[cfg(test)]
mod accuracy;
mod ending;
mod price;
mod steady;
mod stretch;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::book::Book;
use super::sampler::Sampler;
use super::world::{Heard, Ready, World};
use crate::docker::container::RESTART_LOOP;
use crate::drill::measure::{Marks, fell_again, is_back, measure};
use crate::drill::{Cost, Event, Ledger, Measured, Sample, What};
use crate::notice::Reason;
use crate::probe::ProbeError;
use crate::text::Text;
use crate::time::whole_ms;

/// How a drill goes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Course {
    pub(super) every: Duration,
    /// Of one look.
    pub(super) timeout: Duration,
    /// How long the steady state may take to hold.
    pub(super) steady_within: Duration,
    /// How long the fault is active before it is undone.
    pub(super) hold: Duration,
    /// It is undone only when all is measured: recovery is to come without that.
    pub(super) unaided: bool,
    /// Recovery is counted from the end of the healing, not of the injection.
    pub(super) since_heal: bool,
    pub(super) within: Duration,
    /// So many passing samples in a row are a recovery.
    pub(super) stable: usize,
    /// How long it is watched after that.
    pub(super) held: Duration,
    /// Between two writes of the ledger; none where there is no ledger.
    pub(super) ledger_every: Option<Duration>,
}

/// Before it is believed that nothing failed.
const LEAST_WATCH: Duration = Duration::from_secs(3);
/// For what a service does while nobody looks.
const IDLE: Duration = Duration::from_millis(800);
/// Looks from which a cost is worked out.
const PRICED: usize = 6;
/// Writes that are acknowledged before anything is broken.
const FIRST_WRITES: u64 = 5;
/// How often is asked whether anything will bring it back.
const ASK: Duration = Duration::from_secs(1);
/// For an injection that was begun when all was stopped.
const MADE: Duration = Duration::from_secs(60);
/// For the removal of the ledger's place.
const CLOSE: Duration = Duration::from_secs(30);

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Went {
    pub(super) samples: Vec<Sample>,
    pub(super) events: Vec<Event>,
    pub(super) every_ms: u64,
    pub(super) cost: Option<Cost>,
    pub(super) measured: Option<Measured>,
    /// How it was written and read, or why not.
    pub(super) ledger: Option<Result<Ledger, ProbeError>>,
    /// Looks that could not be made while it mattered, where they were more than those that were.
    pub(super) unmade: Option<ProbeError>,
    /// What became of those who were to be spared.
    pub(super) harmed: Option<Result<Vec<Text>, ProbeError>>,
    /// It was not as before when it was over.
    pub(super) left_broken: bool,
    /// It began from nothing steady, and was not made.
    pub(super) unsteady: Option<Text>,
    /// It could not be made, or not to its end.
    pub(super) unable: Option<ProbeError>,
    pub(super) healed: bool,
    /// What was done because it did not come back.
    pub(super) aided: Option<Text>,
    /// Why it was not waited for any longer.
    pub(super) gave_up: Option<Text>,
    pub(super) notes: Vec<Text>,
}

/// One drill under way.
struct Drill<'a, W> {
    world: Arc<W>,
    course: &'a Course,
    began: Instant,
    went: Went,
    marks: Option<Marks>,
    /// An injection that is under way.
    injecting: Option<JoinHandle<Result<Vec<Text>, ProbeError>>>,
    /// The ledger's place is made, and not removed yet.
    ledger: bool,
}

/// Makes the drill. Whatever happens in it, what was broken is healed before this returns; a stop ends all waiting.
pub(super) async fn run<W: World + 'static>(world: Arc<W>, course: &Course, stop: &CancellationToken) -> Went {
    let began = Instant::now();
    let mut drill = Drill {
        world: world.clone(),
        course,
        began,
        went: Went::default(),
        marks: None,
        injecting: None,
        ledger: false,
    };
    let ended = tokio::select! {
        ended = drill.go() => ended,
        () = stop.cancelled() => Err(ProbeError::new(
            Reason::Interrupted,
            "the run was interrupted in the middle of a drill",
            "la ejecución se interrumpió en medio de un simulacro",
        )),
    };
    if let Err(error) = ended {
        drill.went.unable.get_or_insert(error);
    }
    // An engine goes on with what it was asked for: what is undone before that does not stay so.
    if let Some(injecting) = drill.injecting.take() {
        let _ = timeout(MADE, injecting).await;
    }
    match drill.marks {
        Some(_) if !drill.went.healed => drop(drill.heal().await),
        Some(_) => {}
        None => world.forget(),
    }
    if drill.ledger {
        let closed = timeout(CLOSE, world.close_ledger()).await;
        drill.went.notes.extend(closed.unwrap_or_else(|_| Some(still_there())));
    }
    drill.hear();
    drill.went
}

/// How many of the last looks in a row pass that were begun since `from`.
fn passing(samples: &[Sample], from: u64) -> usize {
    samples.iter().rev().take_while(|s| s.ok && s.at_ms >= from).count()
}

/// That the ledger's place could not be removed in time.
fn still_there() -> Text {
    let s = CLOSE.as_secs();
    Text::new(
        format!("what was made for the ledger could not be removed within {s} s"),
        format!("lo que se creó para el registro no se pudo quitar en {s} s"),
    )
}

impl<W: World + 'static> Drill<'_, W> {
    fn ms(&self) -> u64 {
        whole_ms(self.began.elapsed())
    }

    fn note(&mut self, what: What, said: Text) -> u64 {
        let at_ms = self.ms();
        self.went.events.push(Event { at_ms, what, who: String::new(), said });
        at_ms
    }

    /// Takes over what the engines told.
    fn hear(&mut self) {
        let began = self.began;
        let heard = self.world.heard().into_iter().map(|Heard { at, what, who, said }| Event {
            at_ms: whole_ms(at.saturating_duration_since(began)),
            what,
            who,
            said,
        });
        self.went.events.extend(heard);
        self.went.events.sort_by_key(|event| event.at_ms);
    }

    async fn go(&mut self) -> Result<(), ProbeError> {
        let course = self.course;
        let before = self.world.used().await;
        let since = Instant::now();
        if before.is_some() {
            sleep(IDLE).await;
        }
        let idle = self.world.used().await;
        // An engine that is slow to tell makes it longer.
        let rested = since.elapsed();
        let sampler = Sampler::start(self.world.clone(), self.began, course.every, course.timeout);
        let sampled = Instant::now();
        let stable = course.stable.max(PRICED.min(course.stable + 3));
        let steady = self.steady(&sampler, 0, stable).await;
        self.went.every_ms = sampler.every_ms();
        if !steady {
            self.went.samples = sampler.samples();
            return self.not_steady(&sampler, stable);
        }
        self.note(What::Steady, Text::default());
        let mut every = course.every;
        if let (Some(before), Some(idle), Some(now)) = (before, idle, self.world.used().await) {
            let looks = sampler.samples().len().max(1) as u32;
            let at_rest = idle.cpu.saturating_sub(before.cpu).as_secs_f64() / rested.as_secs_f64();
            let busy = now.cpu.saturating_sub(idle.cpu).as_secs_f64() - at_rest * sampled.elapsed().as_secs_f64();
            let (cost, affordable) = price::price(busy / f64::from(looks), now.quota, course.every);
            every = affordable;
            self.went.cost = Some(cost);
        }
        sampler.widen(every.max(price::pace(&sampler.samples())));
        self.went.every_ms = sampler.every_ms();

        if let Ready::Nobody(why) = self.world.prepare().await? {
            self.went.samples = sampler.samples();
            self.went.unsteady = Some(why);
            return Ok(());
        }
        let book = match course.ledger_every {
            Some(every) => match self.world.open_ledger().await {
                Ok(()) => {
                    self.ledger = true;
                    Some(Book::start(self.world.clone(), self.began, every))
                }
                Err(error) => {
                    self.went.ledger = Some(Err(error));
                    None
                }
            },
            None => None,
        };
        if let Some(book) = &book {
            book.until_acknowledged(FIRST_WRITES, Instant::now() + course.steady_within).await;
        }
        self.world.freeze().await;
        // What the writes do to it is not the fault's doing.
        if book.is_some() && !self.steady(&sampler, self.ms(), course.stable).await {
            self.went.samples = sampler.samples();
            return self.not_steady(&sampler, course.stable);
        }
        // Broken just after a write was confirmed: what confirms before it has committed is not saved by the moment.
        if let Some(book) = &book {
            book.until_acknowledged(book.acknowledged() + 1, Instant::now() + course.timeout).await;
        }
        let unmade = sampler.unable().0;
        sampler.whatever_hangs();
        let broke = self.broken(&sampler, book.as_ref()).await;
        self.went.samples = sampler.samples();
        self.unmade(&sampler, unmade);
        self.went.harmed = self.world.harmed().await;
        self.went.every_ms = sampler.every_ms();
        if let Some(marks) = self.marks {
            self.hear();
            let (samples, events, every_ms) = (&self.went.samples, &self.went.events, self.went.every_ms);
            let measured = measure(samples, marks, course.stable, every_ms);
            let hit = self.world.hit();
            let measured = fell_again(measured, samples, events, &hit, marks, course.stable, every_ms);
            self.went.measured = Some(match &self.went.gave_up {
                // What nothing brings back is not up for the looks that were made before it went.
                Some(_) => Measured { recovery_time_ms: None, never_down: false, held_ms: 0, ..measured },
                None => measured,
            });
        }
        // Where nothing is done any more, the looks until now say how it is.
        let mut from = 0;
        if let Some(book) = book {
            let entries = book.end().await;
            self.read_back(&entries).await;
            from = self.ms();
        }
        broke?;
        // Recovery without a hand is measured by now: what is still broken is put back.
        if !self.went.healed {
            let undoes = self.world.undoes();
            self.heal().await;
            from = if undoes { self.ms() } else { from };
        }
        self.as_before(&sampler, from).await;
        Ok(())
    }

    /// From the injection to the end of what is watched.
    async fn broken(&mut self, sampler: &Sampler, book: Option<&Book>) -> Result<(), ProbeError> {
        let course = self.course;
        let inject_ms = self.note(What::Inject, Text::default());
        // From here on there may be something to heal.
        self.marks = Some(Marks { inject_ms, injected_ms: inject_ms, healed_ms: None, since_ms: inject_ms });
        let world = self.world.clone();
        let injecting = self.injecting.insert(tokio::spawn(async move { world.inject().await }));
        let made = injecting.await;
        self.injecting = None;
        let made = made.map_err(|e| {
            ProbeError::ours(format!("the fault broke off: {e}"), format!("la falla se interrumpió: {e}"))
        })?;
        self.went.notes.extend(made?);
        let injected_ms = self.note(What::Injected, Text::default());
        let mut marks = Marks { inject_ms, injected_ms, healed_ms: None, since_ms: injected_ms };
        self.marks = Some(marks);
        let injected = Instant::now();
        sleep(course.hold).await;
        if !course.unaided && self.world.undoes() {
            marks.healed_ms = Some(self.heal().await);
            if course.since_heal {
                marks.since_ms = self.ms();
            }
            self.marks = Some(marks);
        }
        // What our own undoing takes is nobody's delay.
        let undoing = Duration::from_millis(marks.healed_ms.map_or(0, |at| self.ms().saturating_sub(at)));
        let since = if course.since_heal { Instant::now() } else { injected + undoing };
        let deadline = since + course.within;
        while self.recovered(sampler, marks, deadline).await {
            self.note(What::Recovered, Text::default());
            let watched = (since + LEAST_WATCH.min(course.within)).max(Instant::now() + course.held);
            // It may fall and come back again: that is seen in what was sampled.
            sampler.until(watched, |_| false).await;
            // A look that hangs by now says something of the time that was watched.
            while !sampler.is_fresh() && Instant::now() < watched + course.timeout {
                sleep(ASK.min(course.timeout)).await;
            }
            // Unless what seemed to be no outage was one that began late, and is not over.
            let over = sampler.until(Instant::now(), |samples| is_back(samples, marks, course.stable)).await;
            if over || Instant::now() >= deadline {
                break;
            }
        }
        if let Some(book) = book.filter(|_| self.went.gave_up.is_none()) {
            // The last writes are those that a recovery has to prove itself by.
            book.until_acknowledged(book.acknowledged() + 1, Instant::now() + course.timeout).await;
        }
        Ok(())
    }

    /// Waits until it is back. What nothing will bring back is not waited for.
    async fn recovered(&mut self, sampler: &Sampler, marks: Marks, deadline: Instant) -> bool {
        let stable = self.course.stable;
        let least = self.began + Duration::from_millis(marks.injected_ms) + LEAST_WATCH.min(self.course.within);
        loop {
            let step = (Instant::now() + ASK).min(deadline);
            let back = sampler
                .until(step, |samples| {
                    let failed = samples.iter().rev().any(|s| !s.ok && s.end_ms() >= marks.inject_ms);
                    let up = passing(samples, marks.injected_ms) >= stable;
                    is_back(samples, marks, stable) && (failed || (up && Instant::now() >= least))
                })
                .await;
            self.hear();
            let seen = sampler.is_fresh();
            if (back && seen) || Instant::now() >= deadline {
                return back;
            }
            if back {
                // Looks hang: what they come to decides.
                sleep(ASK.min(deadline.saturating_duration_since(Instant::now()))).await;
                continue;
            }
            let hit = self.world.hit();
            let deaths = |e: &&Event| e.what == What::Died && e.at_ms > marks.injected_ms && hit.contains(&e.who);
            let why = match self.went.events.iter().filter(deaths).count() {
                deaths if deaths as u64 >= RESTART_LOOP => Some(Text::new(
                    format!("its containers died {deaths} times meanwhile: a restart loop"),
                    format!("sus contenedores murieron {deaths} veces mientras tanto: un bucle de reinicios"),
                )),
                _ => self.world.hopeless().await,
            };
            if why.is_some() {
                self.went.gave_up = why;
                // What was asked last is still to be answered.
                let answered = Instant::now() + self.course.timeout;
                let failed = |samples: &[Sample]| samples.last().is_some_and(|s| !s.ok && s.at_ms >= marks.injected_ms);
                sampler.until(answered, failed).await;
                return false;
            }
        }
    }
}

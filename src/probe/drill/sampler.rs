//! Looks at a fixed interval, from the fault on whether or not earlier looks have ended: an outage that makes them hang is then
//! still seen to the interval.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::world::World;
use crate::drill::Sample;
use crate::probe::ProbeError;
use crate::time::whole_ms;

/// Looks under way at once; beyond it the interval is missed rather than the service drowned.
const MOST: usize = 32;
/// As long as nothing is broken: a look that takes long is an answer that takes long, and more of them make it longer.
const AT_REST: usize = 2;

/// A sampler at work; it ends when this is dropped.
pub(super) struct Sampler {
    shared: Arc<Shared>,
    told: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

struct Shared {
    began: Instant,
    every_ms: AtomicU64,
    most: AtomicUsize,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    samples: Vec<Sample>,
    /// Looks that could not be made, and the last reason.
    unable: u64,
    why: Option<ProbeError>,
}

impl Sampler {
    pub(super) fn start<W: World + 'static>(world: Arc<W>, began: Instant, every: Duration, timeout: Duration) -> Self {
        let shared = Arc::new(Shared {
            began,
            every_ms: AtomicU64::new(period_ms(every)),
            most: AtomicUsize::new(AT_REST),
            seen: Mutex::new(Seen::default()),
        });
        let (tell, told) = watch::channel(0_u64);
        let with = shared.clone();
        let task = tokio::spawn(async move { sample(&*world, &with, timeout, &tell).await });
        Self { shared, told, task }
    }

    /// Looks less often from now on.
    pub(super) fn widen(&self, every: Duration) {
        self.shared.every_ms.store(period_ms(every), Ordering::Relaxed);
    }

    /// Something is about to be broken: looks that hang from now on keep no other from being made.
    pub(super) fn whatever_hangs(&self) {
        self.shared.most.store(MOST, Ordering::Relaxed);
    }

    pub(super) fn every_ms(&self) -> u64 {
        self.shared.every_ms.load(Ordering::Relaxed)
    }

    /// In the order of their beginnings.
    pub(super) fn samples(&self) -> Vec<Sample> {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).samples.clone()
    }

    /// Asks something of them as they are now.
    fn ask<T>(&self, question: impl FnOnce(&[Sample]) -> T) -> T {
        question(&self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).samples)
    }

    /// Whether looks that were begun just now have ended: where they hang, nothing is known of now.
    pub(super) fn is_fresh(&self) -> bool {
        let now = whole_ms(self.shared.began.elapsed());
        let stale = (4 * self.every_ms()).max(1000);
        self.ask(|samples| samples.last().is_some_and(|last| last.at_ms + stale >= now))
    }

    /// How many looks could not be made, and why the last of them could not.
    pub(super) fn unable(&self) -> (u64, Option<ProbeError>) {
        let seen = self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let why = seen.why.as_ref().map(|why| ProbeError { reason: why.reason, text: why.text.clone() });
        (seen.unable, why)
    }

    /// Waits until `enough` holds of what was seen, or time is over; says which.
    pub(super) async fn until(&self, deadline: Instant, mut enough: impl FnMut(&[Sample]) -> bool) -> bool {
        let mut told = self.told.clone();
        loop {
            told.borrow_and_update();
            if self.ask(&mut enough) {
                return true;
            }
            tokio::select! {
                more = told.changed() => if more.is_err() { return self.ask(&mut enough) },
                () = sleep_until(deadline) => return self.ask(&mut enough),
            }
        }
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Between two looks: never nothing.
fn period_ms(time: Duration) -> u64 {
    whole_ms(time).max(1)
}

async fn sample<W: World>(world: &W, shared: &Shared, timeout: Duration, tell: &watch::Sender<u64>) {
    let mut looks = FuturesUnordered::new();
    let mut next = Instant::now();
    loop {
        tokio::select! {
            () = sleep_until(next) => {
                if looks.len() < shared.most.load(Ordering::Relaxed) {
                    looks.push(one(world, shared.began, timeout));
                }
                // On a host that was held up, what was missed is not caught up with: it would come in a burst.
                let every = Duration::from_millis(shared.every_ms.load(Ordering::Relaxed));
                next = (next + every).max(Instant::now());
            }
            Some(seen) = looks.next(), if !looks.is_empty() => {
                let mut all = shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
                match seen {
                    // Kept in order: a look that hung was begun before others that ended long ago.
                    Ok(sample) => {
                        let at = all.samples.partition_point(|s| (s.at_ms, s.took_ms) <= (sample.at_ms, sample.took_ms));
                        all.samples.insert(at, sample);
                    }
                    Err(error) => {
                        all.unable += 1;
                        all.why = Some(error);
                    }
                }
                drop(all);
                tell.send_modify(|count| *count += 1);
            }
        }
    }
}

async fn one<W: World>(world: &W, began: Instant, timeout: Duration) -> Result<Sample, ProbeError> {
    let at_ms = whole_ms(began.elapsed());
    let seen = world.look(timeout).await?;
    Ok(Sample { at_ms, took_ms: whole_ms(began.elapsed()).saturating_sub(at_ms), ok: seen.ok, said: seen.said })
}

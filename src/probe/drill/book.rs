//! The ledger: numbered writes, one after the other, and what became of each; read back, what was acknowledged must be there.
//! Kept apart as Jepsen's set checker does: acknowledged, failed, and those of which nobody knows.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::world::{There, World, Written};
use crate::drill::Ledger;
use crate::time::whole_ms;

/// How long the write that is under way may still take when the ledger is closed.
const LAST: Duration = Duration::from_secs(10);
/// Of lost ones, how many are named.
const NAMED: usize = 100;

/// One write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) number: u64,
    /// When it was known what became of it: milliseconds since the drill began.
    pub(super) at_ms: u64,
    pub(super) written: Written,
}

/// A ledger that is being written.
pub(super) struct Book {
    entries: Arc<Mutex<Vec<Entry>>>,
    told: watch::Receiver<u64>,
    stop: CancellationToken,
    task: JoinHandle<()>,
    began: Instant,
}

impl Book {
    pub(super) fn start<W: World + 'static>(world: Arc<W>, began: Instant, every: Duration) -> Self {
        Self::written(began, every, move |number| {
            let world = world.clone();
            async move { world.write(number).await }
        })
    }

    fn written<F>(began: Instant, every: Duration, write: impl Fn(u64) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Written> + Send,
    {
        let entries = Arc::new(Mutex::new(Vec::new()));
        let (tell, told) = watch::channel(0_u64);
        let (stop, kept) = (CancellationToken::new(), entries.clone());
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let mut next = Instant::now();
            for number in 1_u64.. {
                tokio::select! {
                    () = sleep_until(next) => {}
                    () = stopped.cancelled() => break,
                }
                next = Instant::now() + every;
                let written = write(number).await;
                let at_ms = whole_ms(began.elapsed());
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(Entry { number, at_ms, written });
                tell.send_modify(|count| *count += u64::from(written == Written::Acknowledged));
            }
        });
        Self { entries, told, stop, task, began }
    }

    pub(super) fn acknowledged(&self) -> u64 {
        *self.told.borrow()
    }

    /// Waits until so many were acknowledged, or time is over.
    pub(super) async fn until_acknowledged(&self, count: u64, deadline: Instant) {
        let mut told = self.told.clone();
        tokio::select! {
            _ = told.wait_for(|acknowledged| *acknowledged >= count) => {}
            () = sleep_until(deadline) => {}
        }
    }

    /// No more writes; one that is under way and is not heard of any more is unknown.
    pub(super) async fn end(mut self) -> Vec<Entry> {
        self.stop.cancel();
        let cut = tokio::time::timeout(LAST, &mut self.task).await.is_err();
        self.task.abort();
        let mut all = self.entries.lock().unwrap_or_else(PoisonError::into_inner).clone();
        all.sort_by_key(|entry| entry.number);
        if cut {
            let number = all.last().map_or(1, |entry| entry.number + 1);
            all.push(Entry { number, at_ms: whole_ms(self.began.elapsed()), written: Written::Unknown });
        }
        all
    }
}

impl Drop for Book {
    fn drop(&mut self) {
        self.stop.cancel();
        self.task.abort();
    }
}

/// What the ledger comes to; `fault_ms` is when the injection began.
pub(super) fn sum(entries: &[Entry], there: &There, fault_ms: u64) -> Ledger {
    let of = |written: Written| entries.iter().filter(move |entry| entry.written == written);
    let is_there = |entry: &&Entry| there.numbers.contains(&entry.number);
    let lost: Vec<&Entry> = of(Written::Acknowledged).filter(|entry| !is_there(entry)).collect();
    let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    let refused = || entries.iter().filter(|entry| matches!(entry.written, Written::Failed | Written::Untried));
    let silence = longest_silence(entries, fault_ms);
    Ledger {
        acknowledged: of(Written::Acknowledged).count() as u64,
        before: of(Written::Acknowledged).filter(|entry| entry.at_ms < fault_ms).count() as u64,
        failed: refused().count() as u64,
        unknown: of(Written::Unknown).count() as u64,
        lost_count: lost.len() as u64,
        oldest_lost_ms: lost.first().map(|entry| signed(fault_ms) - signed(entry.at_ms)),
        lost: lost.iter().take(NAMED).map(|entry| entry.number).collect(),
        longest_silence_ms: silence.as_ref().map(|silence| silence.ms),
        silent_to_the_end: silence.as_ref().is_some_and(|silence| !silence.over),
        silence_untried: silence.is_some_and(|silence| silence.untried),
        failed_but_there: refused().filter(is_there).count() as u64,
        unknown_and_there: of(Written::Unknown).filter(is_there).count() as u64,
        read_at: there.at.clone(),
        ..Ledger::default()
    }
}

/// A time without an acknowledged write.
#[derive(Debug, PartialEq, Eq)]
struct Silence {
    ms: u64,
    /// A write was acknowledged after it.
    over: bool,
    /// One within it could not be tried, for no reason of the submission's.
    untried: bool,
}

/// The longest from the fault on: between two acknowledged writes, or from the last one to the last that was not.
fn longest_silence(entries: &[Entry], fault_ms: u64) -> Option<Silence> {
    let is_end = |entry: &&Entry| entry.written == Written::Acknowledged;
    let mut ends: Vec<&Entry> = entries.iter().filter(is_end).collect();
    ends.extend(entries.last().filter(|entry| !is_end(entry)));
    let gaps = ends.windows(2).filter(|pair| pair[1].at_ms > fault_ms);
    let silence = |pair: &[&Entry]| {
        let mut within = entries.iter().filter(|entry| entry.number > pair[0].number && entry.number <= pair[1].number);
        Silence {
            ms: pair[1].at_ms - pair[0].at_ms.max(fault_ms),
            over: is_end(&pair[1]),
            untried: within.any(|entry| entry.written == Written::Untried),
        }
    };
    gaps.map(silence).max_by_key(|silence| silence.ms)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn only_what_was_acknowledged_can_be_lost() {
        let entry = |number, at_ms, written| Entry { number, at_ms, written };
        let entries = [
            entry(1, 100, Written::Acknowledged),
            entry(2, 200, Written::Acknowledged),
            entry(3, 300, Written::Unknown),
            entry(4, 400, Written::Failed),
            entry(5, 500, Written::Acknowledged),
            entry(6, 600, Written::Unknown),
        ];
        let there = There { numbers: BTreeSet::from([1, 3, 4]), at: "worker2".into() };
        let sum = sum(&entries, &there, 350);
        assert_eq!((sum.acknowledged, sum.failed, sum.unknown), (3, 1, 2));
        assert_eq!((sum.lost.as_slice(), sum.lost_count, sum.oldest_lost_ms), (&[2, 5][..], 2, Some(150)));
        assert_eq!(sum.longest_silence_ms, Some(150), "from the fault at 350 to 500");
        assert!(!sum.silent_to_the_end && !sum.silence_untried);
        assert_eq!((sum.failed_but_there, sum.unknown_and_there, sum.read_at.as_str()), (1, 1, "worker2"));
    }

    #[test]
    fn silence_counts_from_the_fault_on_and_to_the_end() {
        let entries = |all: &[(u64, Written)]| {
            let numbered = all.iter().zip(1_u64..).map(|(&(at_ms, written), number)| Entry { number, at_ms, written });
            numbered.collect::<Vec<_>>()
        };
        let (acknowledged, unknown, untried) = (Written::Acknowledged, Written::Unknown, Written::Untried);
        let silence = |all: &[(u64, Written)], fault_ms| {
            let silence = longest_silence(&entries(all), fault_ms)?;
            Some((silence.ms, silence.over, silence.untried))
        };
        let before = [(100, acknowledged), (900, acknowledged), (1000, acknowledged), (1100, acknowledged)];
        assert_eq!(silence(&before, 950), Some((100, true, false)));
        let to_the_end = [(100, acknowledged), (200, acknowledged), (5200, unknown), (10_200, unknown)];
        assert_eq!(silence(&to_the_end, 150), Some((10_000, false, false)));
        let by_us = [(100, acknowledged), (5200, untried), (10_200, acknowledged), (10_300, acknowledged)];
        assert_eq!(silence(&by_us, 200), Some((10_000, true, true)));
        assert_eq!(silence(&by_us, 10_250), Some((50, true, false)));
        assert_eq!(silence(&[(100, acknowledged)], 150), None);
        assert_eq!(silence(&[], 150), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_never_ends_is_unknown_when_the_ledger_is_closed() {
        let book = Book::written(Instant::now(), Duration::from_millis(200), |_| std::future::pending());
        tokio::time::sleep(Duration::from_secs(5)).await;
        let entries = book.end().await;
        assert_eq!(entries, [Entry { number: 1, at_ms: 15_000, written: Written::Unknown }]);
    }
}

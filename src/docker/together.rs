//! What several ask for at the same time is asked of the engine once. Nobody gets an answer that is older than their question.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, sleep_until, timeout};

/// A question that is out for so long may hang with what it was put through: nobody waits for it any longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// An engine that took long for an answer is left alone so many times as long: it has other work than us.
const REST: u32 = 2;
/// One that did not answer at all may do so soon.
const LONGEST_REST: Duration = Duration::from_secs(5);

/// The last answer, and what it was to.
pub(super) struct Together<Q, A> {
    /// How many questions were put.
    put: AtomicU64,
    /// How many of them were answered.
    answered: AtomicU64,
    last: Mutex<Option<Last<Q, A>>>,
}

struct Last<Q, A> {
    number: u64,
    question: Q,
    answer: A,
    /// Not before is the next put.
    rested: Instant,
}

impl<Q, A> Default for Together<Q, A> {
    fn default() -> Self {
        Self { put: AtomicU64::new(0), answered: AtomicU64::new(0), last: Mutex::new(None) }
    }
}

impl<Q: PartialEq, A: Clone> Together<Q, A> {
    /// The answer to `question`: that to one which another caller put after this one came, else what comes of putting it.
    pub(super) async fn ask(&self, question: Q, put: impl Future<Output = A>) -> A {
        let before = self.put.load(Ordering::SeqCst);
        // In turn: all that came while a question was out are served by the next.
        let Some(mut last) = self.turn().await else { return put.await };
        if let Some(last) = &*last {
            if last.number > before && last.question == question {
                return last.answer.clone();
            }
            sleep_until(last.rested).await;
        }
        let number = self.put.fetch_add(1, Ordering::SeqCst) + 1;
        let began = Instant::now();
        let answer = put.await;
        self.answered.fetch_add(1, Ordering::SeqCst);
        let rested = Instant::now() + (began.elapsed() * REST).min(LONGEST_REST);
        *last = Some(Last { number, question, answer: answer.clone(), rested });
        answer
    }

    /// None where one question was out for all of the patience.
    async fn turn(&self) -> Option<MutexGuard<'_, Option<Last<Q, A>>>> {
        let went = || (self.put.load(Ordering::SeqCst), self.answered.load(Ordering::SeqCst));
        let mut turn = pin!(self.last.lock());
        loop {
            let before = went();
            match timeout(PATIENCE, &mut turn).await {
                Ok(last) => return Some(last),
                Err(_) if went() == before => return None,
                Err(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::pending;

    use futures_util::future::join_all;
    use tokio::time::sleep;

    use super::*;

    /// Answers with the number of the question, a second later.
    async fn asked(together: &Together<&'static str, u32>, question: &'static str, put: &Cell<u32>) -> u32 {
        let answer = async {
            put.set(put.get() + 1);
            let number = put.get();
            sleep(Duration::from_secs(1)).await;
            number
        };
        together.ask(question, answer).await
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_come_while_a_question_is_out_share_the_next() {
        let (together, put) = (Together::default(), Cell::new(0));
        let late = async |ms| {
            sleep(Duration::from_millis(ms)).await;
            asked(&together, "all", &put).await
        };
        let began = Instant::now();
        // The last of them comes while the engine is left alone.
        assert_eq!(join_all([0, 1, 999, 2500].map(late)).await, [1, 2, 2, 2]);
        assert_eq!(began.elapsed(), Duration::from_secs(1 + 2 + 1));
        assert_eq!(late(0).await, 3, "nothing that was known before it asked");
    }

    #[tokio::test(start_paused = true)]
    async fn another_question_has_an_answer_of_its_own_and_one_that_is_given_up_leaves_none() {
        let (together, put) = (Together::default(), Cell::new(0));
        let both = tokio::join!(asked(&together, "a", &put), asked(&together, "b", &put), asked(&together, "b", &put));
        assert_eq!(both, (1, 2, 2));
        let soon = Duration::from_millis(10);
        sleep(Duration::from_secs(10)).await;
        let given_up = tokio::time::timeout(soon, asked(&together, "a", &put));
        let waits = async {
            sleep(soon / 2).await;
            asked(&together, "a", &put).await
        };
        let (given_up, waited) = tokio::join!(given_up, waits);
        assert!(given_up.is_err());
        assert_eq!(waited, 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_of_slow_questions_is_no_question_that_hangs() {
        let (together, put) = (Together::default(), Cell::new(0));
        let slow = async |question: &'static str| {
            let answer = async {
                put.set(put.get() + 1);
                sleep(PATIENCE / 2).await;
                put.get()
            };
            together.ask(question, answer).await
        };
        // Each out for ten seconds, and five of rest after it: the last has its turn after half a minute.
        let all = tokio::join!(slow("a"), slow("b"), slow("c"), slow("c"), slow("c"));
        assert_eq!((all, put.get()), ((1, 2, 3, 3, 3), 3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_that_hangs_holds_nobody_for_ever() {
        let (together, put) = (Together::default(), Cell::new(0));
        let began = Instant::now();
        let later = async {
            sleep(Duration::from_secs(1)).await;
            asked(&together, "all", &put).await
        };
        let answer = tokio::select! {
            answer = later => answer,
            _ = together.ask("all", pending()) => unreachable!(),
        };
        assert_eq!((answer, began.elapsed()), (1, PATIENCE + Duration::from_secs(2)));
    }
}

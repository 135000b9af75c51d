//! What a drill is made in: the seam between its course and the real stack, so that the course can be tested on a script.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;

use crate::drill::What;
use crate::probe::ProbeError;
use crate::text::Text;

/// One look at what is watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) ok: bool,
    /// What came instead.
    pub(super) said: String,
}

/// What a service has used of the processor, and may.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Used {
    pub(super) cpu: Duration,
    /// In cpus; none is no limit.
    pub(super) quota: Option<f64>,
}

/// Whether the fault can be made.
#[derive(Debug)]
pub(super) enum Ready {
    Aimed,
    /// There is nobody to be hit: the submission's doing.
    Nobody(Text),
}

/// What became of one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    Acknowledged,
    /// It was refused for certain.
    Failed,
    /// Nothing was sent, for no reason of the submission's.
    Untried,
    /// Nothing, or nothing clear, was heard of it.
    Unknown,
}

/// What was there when the ledger was read back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct There {
    pub(super) numbers: BTreeSet<u64>,
    /// Where it was read.
    pub(super) at: String,
}

/// Something that an engine told.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) at: tokio::time::Instant,
    pub(super) what: What,
    pub(super) who: String,
    pub(super) said: Text,
}

#[async_trait]
pub(super) trait World: Send + Sync {
    /// Looks once at what is watched.
    async fn look(&self, timeout: Duration) -> Result<Seen, ProbeError>;

    /// The processor time of whoever answers, where it can be had.
    async fn used(&self) -> Option<Used>;

    /// Chooses who is hit, and writes down what undoes it.
    async fn prepare(&self) -> Result<Ready, ProbeError>;

    /// What was seen until now is how it is when it is up: what the writes of a ledger change is part of that.
    async fn freeze(&self) {}

    /// Breaks it; what is to be known of that besides.
    async fn inject(&self) -> Result<Vec<Text>, ProbeError>;

    /// Whether there is something to undo.
    fn undoes(&self) -> bool;

    /// Undoes it, and sees that it is undone. Any number of times.
    async fn heal(&self) -> Result<(), ProbeError>;

    /// What was planned and never made needs no undoing.
    fn forget(&self);

    /// What became of those who were to be spared; none where nobody was.
    async fn harmed(&self) -> Option<Result<Vec<Text>, ProbeError>>;

    /// Whether something that was hit does not run, though what is watched is up.
    async fn is_down(&self) -> bool;

    /// Starts what did not come back by itself, as its owner would; `anew`, what runs is started anew, too.
    async fn aid(&self, anew: bool) -> Result<Option<Text>, ProbeError>;

    /// Why nothing will bring it back, where that is certain.
    async fn hopeless(&self) -> Option<Text>;

    /// What the engines told since the last time.
    fn heard(&self) -> Vec<Heard>;

    /// The services that were hit.
    fn hit(&self) -> Vec<String>;

    /// Makes the place of the ledger.
    async fn open_ledger(&self) -> Result<(), ProbeError>;

    async fn write(&self, number: u64) -> Written;

    async fn read(&self) -> Result<There, ProbeError>;

    /// Whether what is not there would show if it were; `next` is a number that nothing was written with.
    async fn shows_all(&self, _there: &There, _next: u64) -> Result<(), ProbeError> {
        Ok(())
    }

    /// Removes it.
    async fn close_ledger(&self) -> Option<Text>;
}

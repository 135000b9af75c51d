//! The run's clock: monotonic time since the run began, and the wall clock that belongs to it.
//!
//! It stands on tokio's clock and nothing else reads the time or sleeps by other means, so that a test with
//! `start_paused = true` runs minutes of waiting in milliseconds.

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::Instant;

/// When a run began, on both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    wall: OffsetDateTime,
}

impl Clock {
    pub fn start() -> Self {
        Self { start: Instant::now(), wall: OffsetDateTime::now_utc() }
    }

    /// Time since the run began; never goes back.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Milliseconds since the run began.
    pub fn ms(&self) -> u64 {
        whole_ms(self.elapsed())
    }

    /// The wall clock when the run began.
    pub fn began(&self) -> OffsetDateTime {
        self.wall
    }
}

/// Whole milliseconds of a time.
pub fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// As reports write it: UTC, whole seconds.
pub fn rfc3339(at: OffsetDateTime) -> String {
    let whole = at.replace_nanosecond(0).unwrap_or(at);
    whole.format(&Rfc3339).unwrap_or_default()
}

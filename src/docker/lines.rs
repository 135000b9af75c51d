//! A container's log line by line, as it comes: nothing of it is kept but what the caller keeps.

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::StreamExt;

use super::container::epoch;
use super::{Engine, EngineError};

/// A log is read so far and no further, in bytes.
const MOST: usize = 64 << 20;
/// A longer line is cut.
const LONGEST: usize = 64 << 10;

/// Which of a container's two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Out,
    Err,
}

impl Engine {
    /// Hands over every line of a container's log since a time (seconds of the engine's clock), the oldest first, with its
    /// own time, as far as 64 MiB. Gives whether that was all of it.
    ///
    /// # Errors
    /// Where the engine cannot read it: a log driver may keep nothing.
    pub async fn log_lines(
        &self,
        id: &str,
        since: Option<f64>,
        mut visit: impl FnMut(Stream, f64, &str),
    ) -> Result<bool, EngineError> {
        let mut options = LogsOptionsBuilder::new().stdout(true).stderr(true).timestamps(true);
        if let Some(since) = since {
            // Whole seconds only: what is older within the first is left out below.
            options = options.since(since as i32);
        }
        let mut log = self.docker().logs(id, Some(options.build()));
        let mut begun = [Begun::default(), Begun::default()];
        let mut read = 0;
        while let Some(frame) = log.next().await {
            let frame = frame.map_err(|e| self.explain(format!("read the log of container {id}"), &e))?;
            read += frame.as_ref().len();
            if read > MOST {
                return Ok(false);
            }
            let stream = if matches!(frame, LogOutput::StdErr { .. }) { Stream::Err } else { Stream::Out };
            let whole = begun[stream as usize].add(frame.as_ref());
            if let Some((time, line)) = whole.filter(|(time, _)| since.is_none_or(|since| *time >= since)) {
                visit(stream, time, &line);
            }
        }
        for (stream, begun) in [Stream::Out, Stream::Err].into_iter().zip(begun) {
            if let Some((time, line)) = begun.rest().filter(|(time, _)| since.is_none_or(|since| *time >= since)) {
                visit(stream, time, &line);
            }
        }
        Ok(true)
    }
}

/// A line that comes in pieces, each with a time of its own.
#[derive(Default)]
struct Begun {
    time: f64,
    bytes: Vec<u8>,
}

impl Begun {
    /// The line, where it is whole now.
    fn add(&mut self, frame: &[u8]) -> Option<(f64, String)> {
        let space = frame.iter().position(|b| *b == b' ');
        let time = space.and_then(|space| epoch(std::str::from_utf8(&frame[..space]).ok()?));
        let text = if time.is_some() { &frame[space.unwrap_or_default() + 1..] } else { frame };
        if self.bytes.is_empty() {
            self.time = time.unwrap_or(self.time);
        }
        let room = LONGEST.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(&text[..text.len().min(room)]);
        // A line that was cut ends with its last piece as well.
        frame.ends_with(b"\n").then(|| self.take())
    }

    fn take(&mut self) -> (f64, String) {
        let bytes = std::mem::take(&mut self.bytes);
        (self.time, String::from_utf8_lossy(&bytes).trim_end_matches(['\n', '\r']).to_owned())
    }

    fn rest(mut self) -> Option<(f64, String)> {
        (!self.bytes.is_empty()).then(|| self.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_a_line_with_the_time_of_the_first() {
        let mut begun = Begun::default();
        assert_eq!(begun.add(b"2026-11-24T20:00:00Z one "), None);
        let (time, line) = begun.add(b"2026-11-24T20:00:09Z line\r\n").unwrap();
        assert_eq!((time as u64, line.as_str()), (1_795_550_400, "one line"));
        assert_eq!(begun.add(b"2026-11-24T20:00:10Z \n").unwrap().1, "");
        assert_eq!(begun.add(b"2026-11-24T20:00:11Z not ended"), None);
        assert_eq!(begun.rest().unwrap().1, "not ended");
    }

    #[test]
    fn a_line_without_end_does_not_fill_our_memory() {
        let mut begun = Begun::default();
        for _ in 0..100 {
            assert_eq!(begun.add(&[b'x'; 16 << 10]), None);
        }
        assert_eq!(begun.add(b"end\n").unwrap().1.len(), LONGEST);
    }
}

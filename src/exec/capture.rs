//! Keeps the beginning and the end of what a command prints, so that no command can fill our memory.
//!
//! The beginning says what was started, the end says why it stopped; what is left out between them is counted.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt};

use super::Follower;

/// Bytes kept of a stream's beginning.
pub(crate) const HEAD: usize = 1 << 20;
/// Bytes kept of a stream's end.
pub(crate) const TAIL: usize = 3 << 20;

/// A stream's bytes, the middle left out where it is long.
#[derive(Debug)]
pub(crate) struct Capture {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    left_out: u64,
    head_cap: usize,
    tail_cap: usize,
}

impl Default for Capture {
    fn default() -> Self {
        Self::with_caps(HEAD, TAIL)
    }
}

impl Capture {
    pub(crate) fn with_caps(head_cap: usize, tail_cap: usize) -> Self {
        Self { head: Vec::new(), tail: VecDeque::new(), left_out: 0, head_cap, tail_cap }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let (first, rest) = bytes.split_at(bytes.len().min(self.head_cap - self.head.len()));
        self.head.extend_from_slice(first);
        self.tail.extend(rest);
        let over = self.tail.len().saturating_sub(self.tail_cap);
        self.tail.drain(..over);
        self.left_out += over as u64;
    }

    /// Everything kept, with a line that says how much is missing between beginning and end.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut all = self.head.clone();
        if self.left_out > 0 {
            all.extend_from_slice(format!("\n[… {} bytes left out …]\n", self.left_out).as_bytes());
        }
        all.extend(self.tail.iter());
        all
    }

    /// The last bytes as text, for messages.
    pub(crate) fn end(&self, bytes: usize) -> String {
        let all = self.bytes();
        let from = all.len().saturating_sub(bytes);
        String::from_utf8_lossy(&all[from..]).trim().to_owned()
    }
}

/// A capture that a reading task fills while others may look at it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shared(Arc<Mutex<Capture>>);

impl Shared {
    /// Reads until the stream ends, telling its lines to whom they are told. A reading error ends it too: the writer is
    /// gone.
    pub(crate) async fn fill(self, mut from: impl AsyncRead + Unpin, mut told: Option<Follower>) {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(n) = from.read(&mut buffer).await
            && n > 0
        {
            self.lock().push(&buffer[..n]);
            if let Some(told) = &mut told {
                told.push(&buffer[..n]);
            }
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.lock().bytes()
    }

    pub(crate) fn end(&self, bytes: usize) -> String {
        self.lock().end(bytes)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Capture> {
        // A panic while pushing leaves whole bytes behind, nothing half written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_output_is_kept_whole() {
        let mut capture = Capture::with_caps(4, 4);
        capture.push(b"abc");
        capture.push(b"defgh");
        assert_eq!(capture.bytes(), b"abcdefgh");
    }

    #[test]
    fn long_output_loses_its_middle_and_says_how_much() {
        let mut capture = Capture::with_caps(4, 4);
        for byte in b'a'..=b'z' {
            capture.push(&[byte]);
        }
        assert_eq!(String::from_utf8_lossy(&capture.bytes()), "abcd\n[… 18 bytes left out …]\nwxyz");
        assert_eq!(capture.end(3), "xyz");
    }
}

//! Following a command while it runs: its lines are told as they are printed, and never so many that telling them costs.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// Told of a line that a command prints, while it runs. It is for people who wait and must return at once.
pub type Said = Arc<dyn Fn(&str) + Send + Sync>;

/// Bytes of a line that are told.
const LONGEST: usize = 400;
/// Lines that are told in one [`WINDOW`]; what a flood prints beyond them is kept as output and not told.
const MOST: usize = 40;
const WINDOW: Duration = Duration::from_millis(200);

/// Cuts one stream into lines.
pub(crate) struct Follower {
    said: Said,
    line: Vec<u8>,
    since: Instant,
    told: usize,
}

impl Follower {
    pub(crate) fn new(said: Said) -> Self {
        Self { said, line: Vec::new(), since: Instant::now(), told: 0 }
    }

    /// A carriage return ends a line too: tools draw over what they wrote.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|b| matches!(b, b'\n' | b'\r')) {
            let (piece, ends) = match piece.split_last() {
                Some((b'\n' | b'\r', rest)) => (rest, true),
                _ => (piece, false),
            };
            let room = LONGEST.saturating_sub(self.line.len());
            self.line.extend_from_slice(&piece[..piece.len().min(room)]);
            if ends {
                self.end();
            }
        }
    }

    fn end(&mut self) {
        if self.since.elapsed() >= WINDOW {
            (self.since, self.told) = (Instant::now(), 0);
        }
        if self.told < MOST && !self.line.trim_ascii().is_empty() {
            self.told += 1;
            (self.said)(String::from_utf8_lossy(&self.line).trim_end());
        }
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn follower() -> (Arc<Mutex<Vec<String>>>, Follower) {
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let lines = seen.clone();
        (seen, Follower::new(Arc::new(move |line| lines.lock().unwrap().push(line.to_owned()))))
    }

    #[tokio::test(start_paused = true)]
    async fn lines_are_told_whole_whatever_pieces_they_come_in() {
        let (seen, mut follower) = follower();
        for piece in ["Step 1/2", " : FROM x\r\n\n 10%\r 20%\rñ", "andú\nno end"] {
            follower.push(piece.as_bytes());
        }
        assert_eq!(*seen.lock().unwrap(), ["Step 1/2 : FROM x", " 10%", " 20%", "ñandú"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_and_a_line_without_end_cost_little() {
        let (seen, mut follower) = follower();
        follower.push("x\n".repeat(100_000).as_bytes());
        assert_eq!(seen.lock().unwrap().len(), MOST);
        tokio::time::advance(WINDOW).await;
        follower.push(&vec![b'y'; 1 << 20]);
        follower.push(b"\nafter\n");
        let seen = seen.lock().unwrap();
        assert_eq!(seen[MOST..], ["y".repeat(LONGEST), "after".to_owned()]);
    }
}

//! Ctrl-C, SIGTERM and a closed terminal become a token that the run looks at, so that it ends by taking everything down.
//!
//! However often it is asked, nothing skips the taking down: what it would leave behind is somebody's machine.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::text::Text;

/// Watches the signals until it is dropped; then they are still swallowed, so it is made once, for the whole process.
#[derive(Debug)]
pub struct Guard {
    token: CancellationToken,
    watching: tokio::task::JoinHandle<()>,
}

impl Guard {
    /// What is said at the first signal.
    pub fn first_word() -> Text {
        Text::new(
            "interrupted: taking the lab down and writing what is known",
            "interrumpido: se retira el laboratorio y se escribe lo que se sabe",
        )
    }

    /// Begins to watch. `said` is called at every signal with how many there were: the first cancels the token, at the
    /// others a caller can only say that it is being taken down.
    ///
    /// # Errors
    /// Where the process may not take signals.
    pub fn watch(said: impl Fn(usize) + Send + 'static) -> std::io::Result<Self> {
        let token = CancellationToken::new();
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [mut interrupt, mut terminate, mut hangup] = signals(kinds)?;
        let cancel = token.clone();
        let watching = tokio::spawn(async move {
            for nth in 1.. {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hangup.recv() => {}
                }
                cancel.cancel();
                said(nth);
            }
        });
        Ok(Self { token, watching })
    }

    /// Cancelled at the first signal.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    pub fn interrupted(&self) -> bool {
        self.token.is_cancelled()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

fn signals(kinds: [SignalKind; 3]) -> std::io::Result<[Signal; 3]> {
    let [a, b, c] = kinds;
    Ok([signal(a)?, signal(b)?, signal(c)?])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    use tokio::sync::mpsc;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn the_first_signal_cancels_and_the_next_ones_are_only_told() {
        let (said, mut heard) = mpsc::unbounded_channel();
        let guard = Guard::watch(move |nth| said.send(nth).unwrap_or_default()).unwrap();
        assert!(!guard.interrupted());
        for nth in 1..=2 {
            kill(Pid::this(), Signal::SIGHUP).unwrap();
            assert_eq!(timeout(Duration::from_secs(10), heard.recv()).await.unwrap(), Some(nth));
            assert!(guard.token().is_cancelled());
        }
    }
}

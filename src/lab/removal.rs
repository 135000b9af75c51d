//! Sees to it that a run goes, whether it is a lab or one container: by being told to, or, where that never came, when it is
//! dropped, or by the reaper.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::reaper::Reaper;
use super::{LabError, sweep};
use crate::docker::Engine;
use crate::owner::Owner;

/// A run's removal, from before anything of it is made.
pub(super) struct Removal {
    run: String,
    armed: AtomicBool,
    /// For the end of this process that nothing here can see to.
    reaper: Mutex<Option<Reaper>>,
}

/// A container that is a run of its own: it is removed as a lab is.
pub(super) struct Alone {
    pub(super) name: String,
    pub(super) labels: HashMap<String, String>,
    pub(super) removal: Removal,
}

impl Alone {
    /// Before it is made. `what` is a word for what it does; `binary` as for [`Removal::armed`].
    pub(super) async fn armed(what: &str, binary: &Path) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let owner = Owner::this();
        let run = format!("{what}-{}-{}-{}", owner.pid, owner.started, NEXT.fetch_add(1, Ordering::Relaxed));
        let removal = Removal::armed(&run, binary, None).await;
        Self { name: format!("imparcial-sealed-{run}"), labels: owner.labels(&run), removal }
    }
}

impl Removal {
    /// `binary` is our own executable, which runs as the reaper; `folder` is the run's, for the reaper's log.
    pub(super) async fn armed(run: &str, binary: &Path, folder: Option<&Path>) -> Self {
        let (of, binary, folder) = (run.to_owned(), binary.to_owned(), folder.map(Path::to_owned));
        let started = tokio::task::spawn_blocking(move || Reaper::start(&binary, &of, folder.as_deref())).await;
        // A run without one is as good: what it leaves if it is killed, the next start sweeps.
        let reaper = started.unwrap_or_else(|e| Err(std::io::Error::other(e))).inspect_err(|error| {
            tracing::warn!(%run, %error, "nothing will remove this run at once if it is killed");
        });
        Self { run: run.to_owned(), armed: AtomicBool::new(true), reaper: Mutex::new(reaper.ok()) }
    }

    pub(super) async fn remove(&self, host: &Engine) -> Result<(), LabError> {
        let removed = sweep::remove_run(host, &self.run).await;
        if removed.is_ok() {
            self.disarm().await;
        }
        removed.map(drop)
    }

    /// It is removed, or to stay.
    pub(super) async fn disarm(&self) {
        self.armed.store(false, Ordering::SeqCst);
        if let Some(reaper) = self.reaper() {
            // Its end is waited for, which may take seconds.
            let _ = tokio::task::spawn_blocking(move || drop(reaper)).await;
        }
    }

    /// Whether something goes on trying where it cannot be removed now.
    pub(super) fn has_reaper(&self) -> bool {
        self.reaper.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn reaper(&self) -> Option<Reaper> {
        self.reaper.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Removal {
    fn drop(&mut self) {
        if !self.armed.load(Ordering::SeqCst) {
            return;
        }
        tracing::info!(run = %self.run, "removing a run that was given up");
        let run = self.run.clone();
        // A thread and a runtime of its own: this may happen while the one that we are in is ending.
        let removing = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            runtime.block_on(async {
                let host = Engine::host().await.ok()?;
                let removed = sweep::remove_run(&host, &run).await.ok()?;
                if removed.containers > 0 {
                    return Some(());
                }
                // The engine may still be making what it was asked for just before we gave up.
                tokio::time::sleep(Duration::from_secs(1)).await;
                sweep::remove_run(&host, &run).await.ok().map(drop)
            })
        });
        if matches!(removing.join(), Ok(Some(_))) {
            return;
        }
        match self.reaper() {
            Some(reaper) => {
                tracing::info!(run = %self.run, "could not be removed; it is left to the run's reaper");
                reaper.leave();
            }
            None => tracing::warn!(run = %self.run, "could not be removed; `imparcial down {}` will", self.run),
        }
    }
}

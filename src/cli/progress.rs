//! What goes on, for people who wait: on standard error, a line a phase with its time; on a terminal the current one moves.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

use crate::engine::Event;

/// Lines of progress.
pub struct Lines {
    quiet: bool,
    began: Instant,
    bar: Option<ProgressBar>,
    current: Mutex<Option<(String, Instant)>>,
}

impl Lines {
    pub fn new(quiet: bool) -> Self {
        let terminal = !quiet && std::io::stderr().is_terminal();
        let bar = terminal.then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self { quiet, began: Instant::now(), bar, current: Mutex::default() }
    }

    pub fn tell(&self, event: Event<'_>) {
        match event {
            Event::Phase(name) => {
                self.end();
                if let Ok(mut current) = self.current.lock() {
                    *current = Some((name.to_owned(), Instant::now()));
                }
                if let Some(bar) = &self.bar {
                    bar.set_message(name.to_owned());
                }
            }
            Event::Check { id, passed } => {
                if let Some(bar) = &self.bar {
                    bar.set_message(format!("checks: {id} {}", if passed { "passed" } else { "did not pass" }));
                }
            }
        }
    }

    pub fn finish(&self) {
        self.end();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// The line of the phase that ends.
    fn end(&self) {
        let Some((name, started)) = self.current.lock().ok().and_then(|mut c| c.take()) else { return };
        if self.quiet {
            return;
        }
        let line = format!(
            "  {:>6.1} s  {name} ({:.1} s)",
            self.began.elapsed().as_secs_f64(),
            started.elapsed().as_secs_f64()
        );
        match &self.bar {
            Some(bar) => bar.println(line),
            None => eprintln!("{line}"),
        }
    }
}

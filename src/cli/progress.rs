//! What goes on, for people who wait: on standard error, a line a phase with its time; on a terminal the current one moves.

use std::sync::Mutex;

use tokio::time::Instant;

use super::Ctx;
use super::bars::{Bars, say, told};
use crate::backend::getting::At;
use crate::engine::Event;
use crate::report;
use crate::sanitize;
use crate::text::{Lang, Text};

/// Lines of progress.
pub struct Lines {
    ctx: Ctx,
    began: Instant,
    bars: Option<Bars>,
    current: Mutex<Option<(String, Instant)>>,
}

impl Lines {
    pub fn new(ctx: Ctx) -> Self {
        Self { ctx, began: Instant::now(), bars: Bars::of_terminal(ctx), current: Mutex::default() }
    }

    /// Whether it is shown how far each image is.
    pub fn watched(&self) -> bool {
        self.bars.is_some() || (self.ctx.verbose && !self.ctx.quiet)
    }

    pub fn tell(&self, event: Event<'_>) {
        match (event, &self.bars) {
            (Event::Phase(name), bars) => {
                self.end();
                let name = report::phase(name, self.ctx.lang);
                if let Ok(mut current) = self.current.lock() {
                    *current = Some((name.to_owned(), Instant::now()));
                }
                if let Some(bars) = bars {
                    bars.begin(name);
                }
            }
            (Event::Images(count), Some(bars)) => bars.images(count),
            (Event::Image { service, at }, Some(bars)) => bars.image(service, at),
            (Event::Check { id, passed }, Some(bars)) => bars.note(checked(id, passed).get(self.ctx.lang)),
            (Event::Image { service, at: at @ At::Step { .. } }, None) if self.watched() => {
                self.detail(&format!("{}: {}", sanitize::line(service, 60), told(at).get(self.ctx.lang)));
            }
            (Event::Check { id, passed }, None) if self.watched() => {
                self.detail(checked(id, passed).get(self.ctx.lang));
            }
            _ => {}
        }
    }

    pub fn finish(&self) {
        self.end();
        if let Some(bars) = &self.bars {
            bars.finish();
        }
    }

    /// A line within a phase, for `-v`.
    fn detail(&self, line: &str) {
        say(&format!("  {:>6.1} s    {line}", self.began.elapsed().as_secs_f64()));
    }

    /// The line of the phase that ends.
    fn end(&self) {
        let Some((name, started)) = self.current.lock().ok().and_then(|mut c| c.take()) else { return };
        if !self.ctx.quiet {
            say(&format!(
                "  {:>6.1} s  {name} ({:.1} s)",
                self.began.elapsed().as_secs_f64(),
                started.elapsed().as_secs_f64()
            ));
        }
    }
}

/// A check that was looked at, whatever becomes of it.
fn checked(id: &str, passed: bool) -> Text {
    let phase = |lang: Lang| report::phase("checks", lang);
    let (en, es) = if passed { ("passed", "correcta") } else { ("did not pass", "no pasó") };
    Text::new(format!("{}: {id} {en}", phase(Lang::En)), format!("{}: {id} {es}", phase(Lang::Es)))
}

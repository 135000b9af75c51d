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
    open: Mutex<Vec<Open>>,
}

/// A phase that goes on.
struct Open {
    name: String,
    since: Instant,
    /// Of one layer's bring-up: it ends by itself, and not when another begins.
    of_layer: bool,
}

impl Lines {
    pub fn new(ctx: Ctx) -> Self {
        Self { ctx, began: Instant::now(), bars: Bars::of_terminal(ctx), open: Mutex::default() }
    }

    /// Whether it is shown how far each image is.
    pub fn watched(&self) -> bool {
        self.bars.is_some() || (self.ctx.verbose && !self.ctx.quiet)
    }

    pub fn tell(&self, event: Event<'_>) {
        match (event, &self.bars) {
            (Event::Phase(name), bars) => {
                self.end(|_| true);
                self.begin(name, false, bars.as_ref());
            }
            (Event::Layer(name), bars) => {
                self.end(|open| !open.of_layer);
                self.begin(name, true, bars.as_ref());
            }
            (Event::Ended(name), _) => {
                let name = report::phase(name, self.ctx.lang);
                self.end(|open| open.name == name);
            }
            (Event::Images(count), Some(bars)) => bars.images(count),
            (Event::Image { service, at }, Some(bars)) => bars.image(service, at),
            (Event::Drill { id, fault }, Some(bars)) => bars.note(&drilled(id, fault, self.ctx.lang)),
            // They take long, and what happens in one does not show elsewhere before the end.
            (Event::Drill { id, fault }, None) if !self.ctx.quiet => self.detail(&drilled(id, fault, self.ctx.lang)),
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

    fn begin(&self, name: &str, of_layer: bool, bars: Option<&Bars>) {
        let name = report::phase(name, self.ctx.lang);
        let Ok(mut open) = self.open.lock() else { return };
        match bars {
            // The images of the other layer are still on their way.
            Some(bars) if !open.is_empty() => bars.note(name),
            Some(bars) => bars.begin(name),
            None => {}
        }
        open.push(Open { name: name.to_owned(), since: Instant::now(), of_layer });
    }

    pub fn finish(&self) {
        self.end(|_| true);
        if let Some(bars) = &self.bars {
            bars.finish();
        }
    }

    /// A line within a phase.
    fn detail(&self, line: &str) {
        say(&format!("  {:>6.1} s    {line}", self.began.elapsed().as_secs_f64()));
    }

    /// The lines of the phases that end.
    fn end(&self, which: impl Fn(&Open) -> bool) {
        let Ok(mut open) = self.open.lock() else { return };
        let (ended, others) = std::mem::take(&mut *open).into_iter().partition::<Vec<_>, _>(which);
        *open = others;
        for Open { name, since, .. } in ended.into_iter().filter(|_| !self.ctx.quiet) {
            let (at, took) = (self.began.elapsed().as_secs_f64(), since.elapsed().as_secs_f64());
            say(&format!("  {at:>6.1} s  {name} ({took:.1} s)"));
        }
    }
}

/// A drill that begins.
fn drilled(id: &str, fault: &str, lang: Lang) -> String {
    let phase = report::phase("drills", lang);
    format!("{phase}: {id} ({fault})")
}

/// A check that was looked at, whatever becomes of it.
fn checked(id: &str, passed: bool) -> Text {
    let phase = |lang: Lang| report::phase("checks", lang);
    let (en, es) = if passed { ("passed", "correcta") } else { ("did not pass", "no pasó") };
    Text::new(format!("{}: {id} {en}", phase(Lang::En)), format!("{}: {id} {es}", phase(Lang::Es)))
}

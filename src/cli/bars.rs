//! What moves at the bottom of a terminal: what is being done now, and a bar for each image on its way.
//!
//! There is nothing of it where standard error is no terminal, or a dumb one. It draws no colour, and whatever else is
//! printed meanwhile goes through [`say`], so that it stands above and not in the middle.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, Once, OnceLock};
use std::time::Duration;

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Ctx;
use crate::backend::getting::At;
use crate::sanitize;
use crate::text::{Lang, Text};

/// Drawings a second.
const RATE: u8 = 8;
/// Between two turns of what shows that we live.
const TICK: Duration = Duration::from_millis(125);
/// Images that have a bar at once; a compose file may have hundreds of services.
const SHOWN: usize = 8;
/// Characters of a name.
const NAME: usize = 16;

/// The one place of this process that draws.
static SCREEN: OnceLock<MultiProgress> = OnceLock::new();

/// Prints a line on standard error, above whatever moves there.
pub fn say(line: &str) {
    above(|| eprintln!("{line}"));
}

fn above<T>(work: impl FnOnce() -> T) -> T {
    match SCREEN.get() {
        Some(screen) => screen.suspend(work),
        None => work(),
    }
}

/// Standard error for our own log.
#[derive(Debug, Default)]
pub struct Above;

impl Write for Above {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        above(|| std::io::stderr().write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

/// The moving lines of one command.
pub struct Bars {
    screen: MultiProgress,
    lang: Lang,
    head: ProgressBar,
    /// Nothing is shown before the first text.
    ticking: Once,
    images: Mutex<Images>,
}

#[derive(Default)]
struct Images {
    all: Option<ProgressBar>,
    each: BTreeMap<String, ProgressBar>,
}

impl Bars {
    /// None where there is nothing to move on, or everything is told line by line (`-v`).
    pub fn of_terminal(ctx: Ctx) -> Option<Self> {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        if ctx.quiet || ctx.verbose || dumb || !std::io::stderr().is_terminal() {
            return None;
        }
        let target = || MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(RATE));
        Some(Self::on(SCREEN.get_or_init(target).clone(), ctx.lang))
    }

    fn on(screen: MultiProgress, lang: Lang) -> Self {
        let head = screen.add(ProgressBar::new_spinner());
        head.set_style(style("{spinner} {msg} {elapsed}"));
        Self { screen, lang, head, ticking: Once::new(), images: Mutex::default() }
    }

    /// What is being done now, from now on.
    pub fn begin(&self, text: &str) {
        self.end_images();
        self.head.reset_elapsed();
        self.note(text);
    }

    /// The same thing, at another point.
    pub fn note(&self, text: &str) {
        self.head.set_message(text.to_owned());
        self.ticking.call_once(|| self.head.enable_steady_tick(TICK));
    }

    /// So many images are to be had.
    pub fn images(&self, count: usize) {
        let Ok(mut images) = self.images.lock() else { return };
        let text = Text::new("images there", "imágenes listas");
        let bar = self.screen.add(ProgressBar::new(count as u64));
        bar.set_style(style("  [{bar:24}] {pos}/{len} {msg}"));
        bar.set_message(text.get(self.lang).to_owned());
        if let Some(old) = images.all.replace(bar) {
            old.finish_and_clear();
        }
    }

    /// How far one of them is.
    pub fn image(&self, name: &str, at: &At) {
        let Ok(mut images) = self.images.lock() else { return };
        if *at == At::Over {
            if let Some(bar) = images.each.remove(name) {
                bar.finish_and_clear();
                self.screen.remove(&bar);
            }
            if let Some(all) = &images.all {
                all.inc(1);
            }
            return;
        }
        if images.each.len() >= SHOWN && !images.each.contains_key(name) {
            return;
        }
        let bar = images.each.entry(name.to_owned()).or_insert_with(|| {
            let bar = self.screen.add(ProgressBar::new(1));
            bar.set_style(style("  [{bar:24}] {prefix} {wide_msg}"));
            bar.set_prefix(sanitize::line(name, NAME));
            bar
        });
        let (position, length) = share(at);
        bar.set_length(length);
        bar.set_position(position);
        bar.set_message(told(at).get(self.lang).to_owned());
    }

    pub fn finish(&self) {
        self.end_images();
        self.head.finish_and_clear();
        self.screen.remove(&self.head);
    }

    /// No image is on its way any more.
    pub fn end_images(&self) {
        let Ok(mut images) = self.images.lock() else { return };
        let Images { all, each } = std::mem::take(&mut *images);
        for bar in all.into_iter().chain(each.into_values()) {
            bar.finish_and_clear();
            self.screen.remove(&bar);
        }
    }
}

/// How much of it is done, of how much.
fn share(at: &At) -> (u64, u64) {
    match at {
        // The one that runs is not done.
        At::Step { step, of, .. } => (step.saturating_sub(1), *of),
        At::Layers { bytes, total, .. } if *total > 0 => (*bytes, *total),
        At::Layers { there, of, .. } => (*there as u64, *of as u64),
        At::Over => (1, 1),
    }
}

/// Where it is, in words.
pub fn told(at: &At) -> Text {
    match at {
        At::Step { step, of, text } => {
            Text::new(format!("step {step}/{of}: {text}"), format!("paso {step}/{of}: {text}"))
        }
        At::Layers { there, of, total: 0, .. } => {
            Text::new(format!("layers {there}/{of}"), format!("capas {there}/{of}"))
        }
        At::Layers { there, of, bytes, total } => {
            let (bytes, total) = (HumanBytes(*bytes), HumanBytes(*total));
            Text::new(
                format!("layers {there}/{of}, {bytes} of {total}"),
                format!("capas {there}/{of}, {bytes} de {total}"),
            )
        }
        At::Over => Text::default(),
    }
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use indicatif::InMemoryTerm;

    use super::*;

    fn bars(lang: Lang) -> (InMemoryTerm, Bars) {
        let term = InMemoryTerm::new(12, 70);
        let screen = MultiProgress::with_draw_target(ProgressDrawTarget::term_like(Box::new(term.clone())));
        (term, Bars::on(screen, lang))
    }

    /// The screen once all that is told is drawn: at other times only so often a second.
    fn screen(term: &InMemoryTerm, bars: &Bars) -> String {
        bars.screen.suspend(|| ());
        term.contents()
    }

    fn step(step: u64, of: u64, text: &str) -> At {
        At::Step { step, of, text: text.to_owned() }
    }

    #[test]
    fn each_image_on_its_way_has_a_bar_and_those_that_are_there_are_counted() {
        let (term, bars) = bars(Lang::Es);
        bars.begin("imágenes");
        bars.images(3);
        bars.image("db", &At::Layers { there: 1, of: 4, bytes: 3 << 20, total: 12 << 20 });
        bars.image("app", &step(4, 9, "RUN pip install flask"));
        bars.image("log", &At::Over);
        let seen = screen(&term, &bars);
        let lines: Vec<&str> = seen.lines().collect();
        assert!(lines[0].ends_with("imágenes 0s"), "{seen}");
        assert_eq!(
            lines[1..],
            [
                "  [========>               ] 1/3 imágenes listas",
                "  [======>                 ] db capas 1/4, 3.00 MiB de 12.00 MiB",
                "  [========>               ] app paso 4/9: RUN pip install flask",
            ]
        );
        bars.image("db", &At::Over);
        bars.image("app", &At::Over);
        bars.begin("arranque");
        bars.begin("comprobación");
        assert_eq!(screen(&term, &bars).lines().count(), 1);
        bars.finish();
        assert_eq!(term.contents(), "");
    }

    #[test]
    fn a_line_is_never_wider_than_the_screen_and_a_crowd_not_higher() {
        let (term, bars) = bars(Lang::En);
        bars.begin("images");
        bars.images(300);
        for n in 0..300 {
            bars.image(&format!("service-with-a-long-name-{n}\u{1b}[2J"), &step(1, 2, &"x".repeat(200)));
        }
        let seen = screen(&term, &bars);
        assert_eq!(seen.lines().count(), SHOWN + 2, "{seen}");
        assert!(seen.lines().all(|line| line.chars().count() <= 70 && !line.contains('\u{1b}')), "{seen}");
        bars.finish();
    }

    #[test]
    fn a_share_is_of_bytes_where_they_are_known() {
        assert_eq!(share(&step(4, 9, "")), (3, 9));
        assert_eq!(share(&At::Layers { there: 1, of: 3, bytes: 0, total: 0 }), (1, 3));
        assert_eq!(share(&At::Layers { there: 1, of: 3, bytes: 5, total: 10 }), (5, 10));
    }
}

//! How far an image is while it is fetched or built, read from what engines and builders say. For people who wait: nothing
//! is decided by it, and a build's own commands can print the like of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::sanitize;

/// No image has more layers.
const LAYERS: usize = 127;
/// No Dockerfile that anyone waits for has more steps.
const STEPS: u64 = 10_000;
/// Characters of a step's text.
const SHOWN: usize = 200;

/// Where an image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// A builder's step, counted from 1. The text is one harmless line.
    Step { step: u64, of: u64, text: String },
    /// Layers on their way: how many are there whole, how many bytes have come, of how many as far as is known (0: it is not).
    Layers { there: usize, of: usize, bytes: u64, total: u64 },
    /// It is there, or cannot be had.
    Over,
}

/// What a bring-up says while it goes on.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    Phase(&'a str),
    /// That phase is over. Those of the other layer may go on.
    Ended(&'a str),
    /// So many services' images are to be had.
    Images(usize),
    Image {
        service: &'a str,
        at: &'a At,
    },
}

/// Told of each step of a bring-up.
pub type Told = Arc<dyn Fn(Step<'_>) + Send + Sync>;

/// Tells of one service's image.
#[derive(Clone)]
pub struct Watch {
    service: String,
    told: Told,
}

impl Watch {
    pub fn new(service: &str, told: &Told) -> Self {
        Self { service: service.to_owned(), told: told.clone() }
    }

    pub fn at(&self, at: &At) {
        (self.told)(Step::Image { service: &self.service, at });
    }
}

/// Reads a builder's output, line by line.
#[derive(Debug, Default)]
pub struct Reader {
    layers: Layers,
    step: u64,
    of: u64,
}

impl Reader {
    /// What this line says of how far it is, if anything.
    pub fn line(&mut self, line: &str) -> Option<At> {
        if let Some((step, of, text)) = classic(line) {
            // The first one comes from the builder; what a later command prints can neither change the sum nor go back.
            if self.of != 0 && (of != self.of || step < self.step) {
                return None;
            }
            (self.step, self.of) = (step, of);
            self.layers = Layers::default();
            return Some(At::Step { step, of, text: sanitize::line(text, SHOWN) });
        }
        if let Some((step, of, text)) = buildkit(line) {
            return Some(At::Step { step, of, text: sanitize::line(text, SHOWN) });
        }
        let (id, status) = line.split_once(": ")?;
        self.layers.say(id, status, None)
    }
}

/// `Step 4/9 : RUN pip install flask`.
fn classic(line: &str) -> Option<(u64, u64, &str)> {
    let (count, text) = line.strip_prefix("Step ")?.split_once(" : ")?;
    let (step, of) = fraction(count)?;
    Some((step, of, text))
}

/// `#7 [build 3/5] RUN pip install flask`.
fn buildkit(line: &str) -> Option<(u64, u64, &str)> {
    let (number, rest) = line.strip_prefix('#')?.split_once(" [")?;
    number.parse::<u32>().ok()?;
    let (inside, text) = rest.split_once("] ")?;
    let (step, of) = fraction(inside.rsplit(' ').next()?)?;
    Some((step, of, text))
}

fn fraction(text: &str) -> Option<(u64, u64)> {
    let (n, of) = text.split_once('/')?;
    let (n, of) = (n.trim().parse().ok()?, of.trim().parse().ok()?);
    (1 <= n && n <= of && of <= STEPS).then_some((n, of))
}

/// The layers of an image that is pulled.
#[derive(Debug, Default)]
pub struct Layers(BTreeMap<String, Layer>);

#[derive(Debug, Default)]
struct Layer {
    there: bool,
    bytes: u64,
    total: u64,
}

impl Layers {
    /// The engine's word on a layer, with the bytes that came and their sum where it has them.
    pub fn say(&mut self, id: &str, status: &str, bytes: Option<(u64, u64)>) -> Option<At> {
        if id.len() != 12 || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let known = ["Pulling fs layer", "Waiting", "Downloading", "Verifying", "Download complete", "Extracting"];
        let there = status.starts_with("Pull complete") || status.starts_with("Already exists");
        if !there && !known.iter().any(|word| status.starts_with(word)) {
            return None;
        }
        if self.0.len() >= LAYERS && !self.0.contains_key(id) {
            return None;
        }
        let layer = self.0.entry(id.to_owned()).or_default();
        layer.there |= there;
        match bytes {
            // Extracting counts the same bytes again.
            Some((bytes, total)) if status.starts_with("Downloading") => {
                (layer.bytes, layer.total) = (bytes.min(total), total);
            }
            _ if there || status.starts_with("Verifying") || status.starts_with("Download complete") => {
                layer.bytes = layer.total;
            }
            _ => {}
        }
        let sum = |of: fn(&Layer) -> u64| self.0.values().map(of).fold(0, u64::saturating_add);
        Some(At::Layers {
            there: self.0.values().filter(|layer| layer.there).count(),
            of: self.0.len(),
            bytes: sum(|layer| layer.bytes),
            total: sum(|layer| layer.total),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(step: u64, of: u64, text: &str) -> Option<At> {
        Some(At::Step { step, of, text: text.to_owned() })
    }

    #[test]
    fn steps_of_either_builder_are_read_and_nothing_else() {
        let mut reader = Reader::default();
        assert_eq!(reader.line("Step 1/3 : FROM python:3.11"), step(1, 3, "FROM python:3.11"));
        assert_eq!(reader.line(" ---> 0a1b2c3d4e5f"), None);
        assert_eq!(reader.line("Step 2/3 : RUN pip install flask"), step(2, 3, "RUN pip install flask"));
        assert_eq!(reader.line("Collecting flask: 3/4"), None);
        let mut kit = Reader::default();
        assert_eq!(kit.line("#1 [internal] load build definition from Dockerfile"), None);
        assert_eq!(
            kit.line("#8 [2/4] RUN --mount=type=cache,target=/x make"),
            step(2, 4, "RUN --mount=type=cache,target=/x make")
        );
        assert_eq!(kit.line("#9 [build 3/3] COPY . ."), step(3, 3, "COPY . ."));
        assert_eq!(kit.line("#9 DONE 0.3s"), None);
    }

    #[test]
    fn what_a_command_prints_can_neither_harm_nor_turn_the_count_back() {
        let mut reader = Reader::default();
        reader.line("Step 1/9 : FROM x");
        reader.line("Step 4/9 : RUN evil");
        for line in
            ["Step 1/9 : again", "Step 5/6 : less", "Step 0/9 : x", "Step 9/0 : x", "Step 5/99999999999999999999 : x"]
        {
            assert_eq!(reader.line(line), None, "{line}");
        }
        let Some(At::Step { text, .. }) = reader.line(&format!("Step 5/9 : \u{1b}[2J\u{202e}{}", "x".repeat(999)))
        else {
            panic!("a step of its own")
        };
        assert!(text.chars().count() <= SHOWN && !text.chars().any(|c| c.is_control() || c == '\u{202e}'), "{text}");
        assert_eq!(Reader::default().line("Step 1/20000 : x"), None);
    }

    #[test]
    fn layers_are_counted_and_their_bytes_where_the_engine_says_them() {
        let mut layers = Layers::default();
        let at = |there, of, bytes, total| Some(At::Layers { there, of, bytes, total });
        assert_eq!(layers.say("latest", "Pulling from library/x", None), None);
        assert_eq!(layers.say("0a1b2c3d4e5f", "Pulling fs layer", None), at(0, 1, 0, 0));
        assert_eq!(layers.say("ffffffffffff", "Already exists", None), at(1, 2, 0, 0));
        assert_eq!(layers.say("0a1b2c3d4e5f", "Downloading", Some((30, 100))), at(1, 2, 30, 100));
        assert_eq!(layers.say("0a1b2c3d4e5f", "Download complete", None), at(1, 2, 100, 100));
        assert_eq!(layers.say("0a1b2c3d4e5f", "Extracting", Some((5, 100))), at(1, 2, 100, 100));
        assert_eq!(layers.say("0a1b2c3d4e5f", "Pull complete", None), at(2, 2, 100, 100));
        // As the client prints them, where the base of a build is pulled.
        let mut reader = Reader::default();
        assert_eq!(reader.line("5f70bf18a086: Pulling fs layer"), at(0, 1, 0, 0));
        assert_eq!(reader.line("5f70bf18a086: Pull complete"), at(1, 1, 0, 0));
        assert_eq!(reader.line("Error: x"), None);
    }

    #[test]
    fn layers_without_end_take_no_memory() {
        let mut layers = Layers::default();
        for n in 0..1000 {
            layers.say(&format!("{n:012x}"), "Downloading", Some((u64::MAX, u64::MAX)));
        }
        let last = layers.say("000000000000", "Pull complete", None);
        assert_eq!(last, Some(At::Layers { there: 1, of: LAYERS, bytes: u64::MAX, total: u64::MAX }));
    }
}

//! Mistakes in scenarios: one file each, and the message that their author reads, as a snapshot.
//!
//! The kinds but that of drills are this test's own, so that a new fact of a real one changes no message here.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use imparcial::expect::{FactSpec, Unit};
use imparcial::plan::{self, Options};
use imparcial::probe::{Attempt, Observation, Probe, ProbeError, ProbeKind};
use imparcial::scenario::{self, Decoder, diagnostics};
use imparcial::stack::Stack;
use imparcial::submission::Submission;

/// Looks at nothing.
struct Blind;

#[async_trait]
impl Probe for Blind {
    async fn observe(&self, _: &Arc<Stack>, _: Attempt) -> Result<Observation, ProbeError> {
        Ok(Observation::default())
    }
}

const fn fact(name: &'static str, unit: Unit) -> FactSpec {
    FactSpec { name, unit, summary: "" }
}

fn tcp(d: &mut Decoder<'_>) -> Option<Box<dyn Probe>> {
    let (role, port) = (d.role("role"), d.port("port"));
    d.from("from");
    role.and(port).map(|_| Box::new(Blind) as Box<dyn Probe>)
}

fn http(d: &mut Decoder<'_>) -> Option<Box<dyn Probe>> {
    let url = d.required_text("url");
    d.from("from");
    url.map(|_| Box::new(Blind) as Box<dyn Probe>)
}

static TCP: ProbeKind = ProbeKind {
    name: "tcp",
    summary: "",
    facts: &[fact("connected", Unit::Bool)],
    example: "",
    schema: || serde_json::Value::Null,
    decode: tcp,
};

static HTTP: ProbeKind = ProbeKind {
    name: "http",
    summary: "",
    facts: &[fact("status", Unit::Number), fact("body", Unit::Text), fact("elapsed_s", Unit::Seconds)],
    example: "",
    schema: || serde_json::Value::Null,
    decode: http,
};

static KINDS: &[&ProbeKind] = &[&TCP, &HTTP, &imparcial::probe::drill::KIND];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/data/invalid")
}

/// What the author of that text reads; nothing if it plans.
fn message(name: &str, text: &str) -> Option<String> {
    let read = scenario::read_text(text, Path::new(name), &plan::names(KINDS));
    let source = read.source.clone();
    let problems = plan::resolve(read, Submission::default(), Options::default(), KINDS).err()?;
    assert!(!problems.is_empty(), "{name}: refused without a reason");
    Some(diagnostics::render(&problems, &source, false))
}

#[test]
fn every_mistake_has_its_message() {
    let mut files: Vec<PathBuf> = folder().read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 40, "{} files", files.len());
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("data/invalid.snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for file in &files {
            let name = file.file_name().unwrap().to_str().unwrap();
            let text = std::fs::read_to_string(file).unwrap();
            let message = message(name, &text).unwrap_or_else(|| panic!("{name}: no problem was found"));
            insta::assert_snapshot!(name.trim_end_matches(".yaml"), message);
        }
    });
}

/// The good scenario that every file above is a change of.
#[test]
fn without_a_mistake_there_is_no_message() {
    let text = std::fs::read_to_string(folder().join("points-do-not-add-up.yaml")).unwrap();
    assert_eq!(message("good.yaml", &text.replace("points: 100", "points: 10")), None);
}

proptest::proptest! {
    /// Whatever is written, it is read or refused with a message: never a panic, never an endless wait.
    #[test]
    fn no_text_is_too_broken(at in 0.0..1.0_f64, cut in 0_usize..40, put in "[ -~\\n\\t\u{feff}ñ&*{}\\[\\]:,#'\"!|>%@`-]{0,12}") {
        let good = std::fs::read_to_string(folder().join("everything-at-once.yaml")).unwrap();
        let chars: Vec<char> = good.chars().collect();
        let from = (at * chars.len() as f64) as usize;
        let to = (from + cut).min(chars.len());
        let text: String = chars[..from].iter().copied().chain(put.chars()).chain(chars[to..].iter().copied()).collect();
        let said = message("broken.yaml", &text);
        proptest::prop_assert!(said.is_none_or(|said| said.contains("problem")));
    }

    /// What is no scenario at all does no harm either.
    #[test]
    fn no_noise_is_too_broken(text in "\\PC{0,200}") {
        let said = message("noise.yaml", &text);
        proptest::prop_assert!(said.is_some());
    }
}

//! Which checks a reference has passed on which stand-ins, in this installation.
//!
//! A failure behind a stand-in is held against a submission only where a model answer passes the same kind of check on the
//! very same stand-in, here: else it may be the stand-in's, or this host's. What was proven is a file in the installation's
//! state folder, by the image's id, so that a stand-in made anew has to be proven anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::docker::Engine;
use crate::lab::catalogue::Catalogue;
use crate::lab::setup;
use crate::plan::{Images, Plan};
use crate::record::Verdict;
use crate::scenario;
use crate::stack::{Stack, StandIn};

/// What has been proven so far.
#[derive(Clone, Debug, Default)]
pub struct Proof {
    rows: BTreeSet<String>,
}

impl Proof {
    /// As it is on disk; a file that cannot be read proves nothing.
    pub fn load() -> Self {
        Self::from_text(&fs::read_to_string(file()).unwrap_or_default())
    }

    fn from_text(text: &str) -> Self {
        Self { rows: text.lines().map(str::to_owned).filter(|l| !l.is_empty()).collect() }
    }

    /// Whether a reference passed a check of this kind on this stand-in.
    pub fn has(&self, kind: &str, image: &str) -> bool {
        self.rows.contains(&row(kind, image))
    }

    /// Whether anything at all was proven on this stand-in.
    pub fn knows(&self, image: &str) -> bool {
        self.rows.iter().any(|r| r.ends_with(&format!(" {image}")))
    }
}

fn row(kind: &str, image: &str) -> String {
    format!("{kind} {image}")
}

fn file() -> PathBuf {
    setup::state().join("proven.txt")
}

/// The smaller variants of an interpreter are the same one.
pub fn interpreter(stand_in: &StandIn) -> &str {
    stand_in.name.strip_suffix("-slim").unwrap_or(&stand_in.name)
}

/// What a stand-in is, exactly: the id of its image on the host.
pub async fn image_of(engine: &Engine, stand_in: &StandIn) -> Option<String> {
    let name = interpreter(stand_in);
    engine.docker().inspect_image(&format!("imparcial/{name}")).await.ok()?.id
}

/// Whether a plan's submission is one of its scenario's own model answers.
pub fn is_reference(plan: &Plan) -> bool {
    let Some(own) = plan.submission.root.canonicalize().ok() else { return false };
    models(&plan.scenario.file).iter().any(|model| model.canonicalize().is_ok_and(|model| model == own))
}

/// The model answers of a scenario's file. What is wrong with their manifests is said by who takes mutants from them.
pub fn models(scenario: &Path) -> Vec<PathBuf> {
    let folder = scenario.parent().unwrap_or(Path::new("."));
    scenario::bases(folder).unwrap_or_default().into_iter().map(|base| base.submission).collect()
}

/// The stand-ins of a plan on which nothing has been proven yet.
pub async fn unproven(plan: &Plan) -> Vec<StandIn> {
    if plan.options.images == Images::Pull {
        return Vec::new();
    }
    let Ok(host) = Engine::host().await else { return Vec::new() };
    let proof = Proof::load();
    let mut open = Vec::new();
    for reference in super::sources::references(&plan.submission) {
        let Some(stand_in) = Catalogue::shipped().stand_in_for(&reference) else { continue };
        // What is not set up yet is said by who needs it.
        let Some(image) = image_of(&host, &stand_in).await else { continue };
        if !proof.knows(&image) {
            open.push(stand_in);
        }
    }
    open
}

/// Notes what a reference has passed: each kind of check whose verdict counts, on each stand-in of the roles it looks at.
pub async fn note(plan: &Plan, stack: &Stack, passed: &[(usize, Verdict)]) {
    if !is_reference(plan) {
        return;
    }
    let Ok(host) = Engine::host().await else { return };
    let mut proof = Proof::load();
    for &(check, verdict) in passed {
        if verdict != Verdict::Pass {
            continue;
        }
        let check = &plan.checks[check];
        for role in check.probe.roles() {
            let service = stack.playing(&role).and_then(|s| stack.services.get(s));
            let Some(stand_in) = service.and_then(|s| s.image.stand_in.as_ref()) else { continue };
            if let Some(image) = image_of(&host, stand_in).await {
                proof.rows.insert(row(check.kind.name, &image));
            }
        }
    }
    let text = proof.rows.iter().fold(String::new(), |text, row| text + row + "\n");
    let path = file();
    let beside = path.with_extension(format!("{}.tmp", std::process::id()));
    let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&beside, text));
    if let Err(error) = written.and_then(|()| fs::rename(&beside, &path)) {
        tracing::warn!(%error, path = %path.display(), "what the reference proved could not be kept");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_proven_on_one_image_only() {
        let proof = Proof::from_text("page sha256:aa\ntcp sha256:aa\n");
        assert!(proof.has("page", "sha256:aa"));
        assert!(!proof.has("page", "sha256:bb"));
        assert!(!proof.has("mysql", "sha256:aa"));
        assert!(proof.knows("sha256:aa") && !proof.knows("sha256:bb"));
        assert!(!Proof::from_text("").knows(""));
    }

    #[test]
    fn every_model_answer_of_a_scenario_proves() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/seed");
        let models = models(&folder.join("scenario.yaml"));
        assert!(models.contains(&folder.join("reference")) && models.contains(&folder.join("bases/php")), "{models:?}");
    }
}

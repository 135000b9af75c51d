//! Where the images that a submission names come from: a stand-in, a registry, or nowhere.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::backend::Source;
use crate::docker::Engine;
use crate::exec::{Cmd, Shell};
use crate::lab::catalogue::Catalogue;
use crate::lab::registry;
use crate::plan::Images;
use crate::stack::StandIn;
use crate::submission::Submission;
use crate::text::Text;

/// Every image that the submission names: its services' and the bases of what it builds.
pub(super) fn references(submission: &Submission) -> BTreeSet<String> {
    let mut references: BTreeSet<String> = BTreeSet::new();
    let services = || submission.compose.iter().flat_map(|c| &c.services);
    references.extend(services().filter(|s| s.build.is_none()).filter_map(|s| s.image.clone()));
    references.extend(submission.builds.values().flat_map(|b| b.dockerfile.bases()));
    // What a service builds under a name of its own is in no registry.
    for built in services().filter(|s| s.build.is_some()).filter_map(|s| s.image.as_ref()) {
        references.remove(built);
    }
    references.retain(|r| !r.is_empty());
    references
}

/// Decides for each, and, for an engine that has the registry as its mirror, makes the stand-ins that are needed ready to
/// be pulled under the names that they serve for.
pub(super) async fn find(
    references: &BTreeSet<String>,
    images: Images,
    shell: &dyn Shell,
    mirrored: bool,
) -> Result<BTreeMap<String, Source>, Text> {
    let catalogue = Catalogue::shipped();
    let known: BTreeMap<&String, Option<StandIn>> = references.iter().map(|r| (r, catalogue.stand_in_for(r))).collect();
    // The real image wherever a registry has it: a stand-in leaves more undecided.
    let open = images != Images::StandIn && !known.is_empty() && public_answers(shell).await;
    let mut sources = BTreeMap::new();
    let mut needed = Vec::new();
    for (reference, stand_in) in known {
        let source = match stand_in {
            Some(stand_in) if images != Images::Pull && !open => {
                needed.push(reference.clone());
                Source::StandIn(stand_in)
            }
            _ if open => Source::Registry,
            _ => Source::Nowhere { official: catalogue.is_official(reference) },
        };
        sources.insert(reference.clone(), source);
    }
    if mirrored && !needed.is_empty() {
        let host = Engine::host().await.map_err(|e| e.text())?;
        registry::ensure_in_registry(&host, &needed).await.map_err(|e| e.text())?;
    }
    Ok(sources)
}

/// Every stand-in that could serve, for a stack that somebody else brought up: its images say whether one does.
pub(super) fn possible(references: &BTreeSet<String>) -> BTreeMap<String, Source> {
    let catalogue = Catalogue::shipped();
    references.iter().filter_map(|r| Some((r.clone(), Source::StandIn(catalogue.stand_in_for(r)?)))).collect()
}

/// Whether the public registry answers from where the stack is brought up: asked once, with a short bound.
async fn public_answers(shell: &dyn Shell) -> bool {
    let url = "https://registry-1.docker.io/v2/";
    let ask =
        Cmd::new(["curl", "-s", "-o", "/dev/null", "--connect-timeout", "2", "-m", "4", "-w", "%{http_code}", url]);
    // 401 is how a registry greets who has not logged in.
    let answer = shell.run(&ask.timeout(Duration::from_secs(10))).await;
    answer.is_ok_and(|o| matches!(o.out().trim(), "200" | "401"))
}

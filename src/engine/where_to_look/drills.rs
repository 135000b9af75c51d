//! What did not come back after a drill: where nothing starts it again.

use super::{Asked, Clue, Scene};
use crate::drill::TIMES;
use crate::record::CheckRecord;
use crate::submission::whereabouts::LookAt;

/// The fault that ends a service's main process, and leaves its start to whoever is charged with it.
const ENDS: &str = "kill";

impl Scene<'_> {
    /// A service that nobody starts again. Where there is a policy, or it came back once, what keeps it away is anywhere.
    pub(super) fn drill(&self, asked: &Asked, clue: &Clue, check: &CheckRecord) -> Vec<LookAt> {
        let gone = check.findings.iter().any(|f| !f.holds && TIMES.contains(&f.fact.as_str()))
            && clue.fact("recovery_time_s").is_none();
        // A swarm starts its tasks itself, and what a playbook started may have been started in another way.
        if !gone || asked.fault != ENDS || !self.by_compose {
            return Vec::new();
        }
        // Whom it hits comes first.
        let hit = asked.roles.first().and_then(|role| self.service(role));
        let Some(service) = hit.and_then(|name| self.view.service(name)) else { return Vec::new() };
        let has_policy = service.restart.as_deref().is_some_and(|policy| policy != "no")
            || !service.raw["deploy"]["restart_policy"].is_null();
        let place = (!has_policy).then(|| self.view.at_key_or_service(&service.name, &["restart"]));
        place.flatten().into_iter().collect()
    }
}

//! What did not come back after a drill: where nothing starts it again.

use super::{Asked, Scene};
use crate::record::CheckRecord;
use crate::submission::whereabouts::LookAt;

/// The faults that end a process and leave its start to whoever is charged with it.
const ENDS: [&str; 2] = ["kill", "exhaust_memory"];
/// The facts that say that something did not come back, or not in time.
const BACK: [&str; 4] = ["recovery_time_s", "longest_downtime_s", "availability", "held_s"];

impl Scene<'_> {
    /// A service that nobody starts again. Where there is a policy, what keeps it away is anywhere.
    pub(super) fn drill(&self, asked: &Asked, check: &CheckRecord) -> Vec<LookAt> {
        let gone = check.findings.iter().any(|f| !f.holds && BACK.contains(&f.fact.as_str()));
        // Whom it hits comes first.
        let hit = asked.roles.first().and_then(|role| self.service(role));
        // What compose did not start has somebody else to start it: an orchestrator, a unit.
        let Some(name) = hit.filter(|name| gone && ENDS.contains(&asked.fault) && self.services.contains_key(*name)) else {
            return Vec::new();
        };
        let policy = self.view.service(name).and_then(|service| service.restart.as_deref());
        let none = policy.is_none_or(|policy| policy == "no");
        none.then(|| self.view.at_key_or_service(name, &["restart"])).flatten().into_iter().collect()
    }
}

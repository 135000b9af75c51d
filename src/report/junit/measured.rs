//! What a drill measured, as properties of each of its objectives. What could not be measured is absent.

use crate::record::{CheckRecord, RunRecord};
use crate::report::{drills, words};

pub(super) fn properties(record: &RunRecord, check: &CheckRecord) -> Vec<(String, String)> {
    let Some(id) = &check.drill else { return Vec::new() };
    let mut properties = vec![("drill", id.clone())];
    if let Some(drill) = drills::of(record, check) {
        properties.extend([("fault", drill.fault.clone()), ("healed", drill.healed.to_string())]);
        let hit = (!drill.hit.is_empty()).then(|| drill.hit.join(", "));
        properties.extend(hit.map(|hit| ("hit", hit)));
        properties.extend(drill.seed.map(|seed| ("seed", seed.to_string())));
        if !drill.samples.is_empty() {
            let measured = &drill.measured;
            properties.push(("samples", drill.samples.len().to_string()));
            properties.push(("every_ms", drill.every_ms.to_string()));
            properties.push(("longest_downtime_s", words::seconds(measured.longest_downtime_ms)));
            if let Some(after) = measured.recovery_time_ms {
                properties.push(("recovery_time_s", words::seconds(after)));
                properties.push(("resolution_s", words::seconds(measured.resolution_ms)));
                properties.push(("held_s", words::seconds(measured.held_ms)));
            }
            if measured.during > 0 {
                let share = measured.during_passed as f64 / measured.during as f64;
                properties.push(("availability", format!("{share:.3}")));
            }
        }
        if let Some(ledger) = &drill.ledger {
            properties.push(("acknowledged", ledger.acknowledged.to_string()));
            properties.push(("lost", ledger.lost_count.to_string()));
            properties.push(("unknown", ledger.unknown.to_string()));
        }
        properties.extend(drill.cost.map(|cost| ("cpu_share", format!("{:.3}", cost.share))));
    }
    properties.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

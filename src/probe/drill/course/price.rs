//! What looking costs the service that answers, and how often it may then be looked.

use std::time::Duration;

use crate::drill::{Cost, Sample};

/// Of a service's quota, what the looks may use.
const SHARE: f64 = 0.2;

/// What one look costs, and the interval at which all of them together use no more than their share.
pub(super) fn price(cpu_s: f64, quota: Option<f64>, every: Duration) -> (Cost, Duration) {
    let cpu_s = cpu_s.max(0.0);
    let cpus = quota.filter(|cpus| *cpus > 0.0);
    let least = Duration::from_secs_f64((cpu_s / (SHARE * cpus.unwrap_or(1.0))).min(60.0));
    let every = every.max(least);
    let share = cpu_s / every.as_secs_f64() / cpus.unwrap_or(1.0);
    (Cost { cpu_ms: cpu_s * 1000.0, share, quota_cpus: cpus.unwrap_or(0.0) }, every)
}

/// How long a look takes that passes, whatever takes it: looks that are made more often pile up, and each takes longer.
pub(super) fn pace(samples: &[Sample]) -> Duration {
    let mut took: Vec<u64> = samples.iter().filter(|sample| sample.ok).map(|sample| sample.took_ms).collect();
    took.sort_unstable();
    Duration::from_millis(took.get(took.len() / 2).copied().unwrap_or_default())
}

//! What a service has used of the processor: its control group's own count, read from its machine.

use std::time::Duration;

use super::world::Used;
use crate::docker::{Container, cgroup};
use crate::stack::Stack;

/// Of the running containers of a role together; none where that cannot be had.
pub(super) async fn of(stack: &Stack, role: &str) -> Option<Used> {
    let service = stack.playing(role)?;
    let containers = stack.containers().await.ok()?;
    let mut cpu = Duration::ZERO;
    let mut quota: Option<f64> = Some(0.0);
    let mut any = false;
    for container in containers.iter().filter(|c| c.service == service && c.running()) {
        cpu += one(stack, container).await?;
        any = true;
        // Any of them without a limit leaves all of them without one.
        quota = quota.filter(|_| container.cpus() > 0.0).map(|all| all + container.cpus());
    }
    any.then_some(Used { cpu, quota })
}

async fn one(stack: &Stack, container: &Container) -> Option<Duration> {
    let spot = stack.spot_of(container);
    let map = format!("/proc/{}/cgroup", container.pid);
    let contents = spot.files(vec![map.clone()]).await.ok()?;
    cgroup::cpu_used(&spot.files(cgroup::cpu_files(contents.get(&map)?, &container.id)).await.ok()?)
}

//! Which snapshot of its virtual machines a plan begins from: the one of all that leads to them, if there is any.

use crate::docker::Engine;
use crate::lab::snapshots;
use crate::owner::Owner;
use crate::plan::Plan;
use crate::probe::MACHINES;
use crate::stack::Ground;
use crate::stack::snapshot::Slot;

const VMS: &str = "imparcial/vms";

/// Where this submission's virtual machines begin. Whatever cannot be had of that costs time and nothing else.
pub(super) async fn slot(plan: &Plan) -> Option<Slot> {
    if plan.ground() != Ground::Guests || plan.options.fresh || !plan.wants(MACHINES) {
        return None;
    }
    let host = Engine::host().await.ok()?;
    let image = host.docker().inspect_image(VMS).await.ok()?.id?;
    // Which boxes that comes to is known in the lab: `backend::vagrant::snapshot` looks whether they are the same.
    let asked = format!("{:?} {:?}", plan.options.machine_memory_cap, plan.options.boxes);
    // What machines have of ours is the executable; how it emulates hangs on the host, as it was started.
    let (boot, ours) =
        (Owner::this().boot, format!("{:?}", std::fs::metadata("/proc/self/exe").ok()?.modified().ok()?));
    let (root, place) = (plan.submission.root.clone(), plan.submission.place().to_string());
    let key = tokio::task::spawn_blocking(move || snapshots::key(&root, &[&place, &image, &asked, &boot, &ours])).await;
    let key = key.ok()?.inspect_err(|error| tracing::debug!(%error, "no snapshot of its machines")).ok()?;
    snapshots::slot(&host, key).await.inspect_err(|error| tracing::warn!(%error, "no snapshot of its machines")).ok()?
}

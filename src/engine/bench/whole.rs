//! The whole exam typed by hand, and by us: machines up and provisioned, services on one of them, the page, the second
//! provisioning, everything gone. Each in a lab of its own, one after the other; our looks are counted apart.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::machines::typed;
use super::{bench_run, in_lab, look, until_page, url_of};
use crate::backend::vagrant::{self, Ground, again};
use crate::backend::{BackendError, Site};
use crate::engine::RunOptions;
use crate::engine::bring_up::{NODE, bring_up};
use crate::engine::place::Place;
use crate::exec::{Cmd, ShellExt};
use crate::plan::Plan;
use crate::probe::Phase;
use crate::scenario::{On, With};
use crate::submission::machines::MachineDef;
use crate::text::Text;

/// What was measured, pair by pair.
#[derive(Clone, Debug, Default)]
pub struct Whole {
    pub by_hand: Vec<Steps>,
    pub ours: Vec<Steps>,
}

/// One run, in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Steps {
    /// Up and provisioned.
    pub machines: f64,
    pub services: f64,
    /// Until it answers with 200.
    pub page: f64,
    /// Every look of the scenario: nobody types them.
    pub looks: f64,
    pub looked: u32,
    /// The second provisioning.
    pub again: f64,
    /// The lab removed, with all of it.
    pub gone: f64,
}

impl Steps {
    /// Of what both do.
    pub fn common(&self) -> f64 {
        self.machines + self.services + self.page + self.again + self.gone
    }
}

/// Ours and then by hand, so many times: what the first one leaves in the host's caches is for the other's good.
///
/// # Errors
/// One of the two did not come to its end: that would measure something else.
pub async fn whole(plan: &Plan, rounds: usize, cancel: &CancellationToken) -> Result<Whole, Text> {
    let mut out = Whole::default();
    for _ in 0..rounds.max(1) {
        let options = bench_run(cancel.clone());
        let (ours, url) = opened(plan, &options, async |lab, site| ours(plan, &options, lab, site).await).await?;
        let options = bench_run(cancel.clone());
        let (by_hand, ()) = opened(plan, &options, async |_, site| by_hand(plan, site, &url).await).await?;
        out.ours.push(ours);
        out.by_hand.push(by_hand);
    }
    Ok(out)
}

async fn opened<T>(
    plan: &Plan,
    options: &RunOptions,
    measure: impl AsyncFnOnce(&Place, &Site) -> Result<(Steps, T), Text>,
) -> Result<(Steps, T), Text> {
    let measured = in_lab(plan, options.run.clone(), &options.cancel, async |lab| measure(lab, &lab.site()).await);
    let ((steps, more), gone) = measured.await?;
    Ok((Steps { gone, ..steps }, more))
}

async fn ours(plan: &Plan, options: &RunOptions, lab: &Place, site: &Site) -> Result<(Steps, String), Text> {
    let mut steps = Steps::default();
    let began = Instant::now();
    let up = bring_up(plan, options, lab, site, None, None).await?;
    let whole = began.elapsed().as_secs_f64();
    let machines = |name: &str| ["machines", "provision"].contains(&name);
    steps.machines = up.phases.iter().filter(|(name, ..)| machines(name)).map(|(_, _, took)| took).sum();
    // What is neither is ours to bear: it counts where the services are.
    steps.services = whole - steps.machines;
    let stack = Arc::new(up.stack);
    if let Some(left) = stack.machines.left_out.clone().or_else(|| stack.no_services.clone()) {
        return Err(left.text);
    }
    let url = url_of(&stack)?;
    steps.page = until_page(site.ground.shell.as_ref(), &url).await?;
    let began = Instant::now();
    steps.looked = look(plan, &stack, options, Phase::Look).await;
    steps.looks = began.elapsed().as_secs_f64();
    let began = Instant::now();
    again::again(&stack, plan.scenario.budgets.provision).await.map_err(|e| e.text())?;
    steps.again = began.elapsed().as_secs_f64();
    Ok((steps, url))
}

/// What a person types, each a command in the lab. The disks are there before: VirtualBox makes them within `up`.
async fn by_hand(plan: &Plan, site: &Site, url: &str) -> Result<(Steps, ()), Text> {
    let (file, defs) = vagrant::declared(&plan.submission).map_err(|left| left.text)?;
    let ground = Ground::of(site, file);
    vagrant::prepare(&ground, defs, NODE).await.map_err(|e: BackendError| e.text())?;
    let budgets = &plan.scenario.budgets;
    let typed = async |args: &[&str], budget: Duration| typed(&ground, args, budget).await;
    let mut steps = Steps {
        machines: typed(&["up", "--no-provision", "--provider=docker"], budgets.machines).await?
            + typed(&["provision"], budgets.provision).await?,
        ..Steps::default()
    };
    let compose = compose_folder(plan)?;
    steps.services = match machine(plan, defs)? {
        Some(name) => {
            let line = format!("cd '/vagrant/{compose}' && sudo docker-compose up -d");
            typed(&["ssh", name, "-c", &line], budgets.build).await?
        }
        None => {
            let began = Instant::now();
            let up = Cmd::new(["docker-compose", "up", "-d"]).cwd(format!("{}/{compose}", site.workdir));
            site.ground.shell.must(&up.timeout(budgets.build)).await.map_err(|e| e.text())?;
            began.elapsed().as_secs_f64()
        }
    };
    steps.page = until_page(site.ground.shell.as_ref(), url).await?;
    steps.again = typed(&["provision"], budgets.provision).await?;
    Ok((steps, ()))
}

/// The machine that the services are started on; none where that is the lab.
fn machine<'a>(plan: &'a Plan, defs: &'a [MachineDef]) -> Result<Option<&'a str>, Text> {
    if !matches!(plan.scenario.serving.with, With::Auto | With::Compose) {
        return Err(Text::new(
            "only what `docker-compose up` starts is typed by hand here",
            "aquí solo se hace a mano lo que arranca `docker-compose up`",
        ));
    }
    match &plan.scenario.serving.on {
        On::Lab => Ok(None),
        On::First => Ok(defs.first().map(|def| def.name.as_str())),
        On::Named(name) => Ok(Some(name)),
    }
}

/// The compose file's folder in the submission.
fn compose_folder(plan: &Plan) -> Result<String, Text> {
    let missing = || Text::new("there is no compose file", "no hay archivo compose");
    let file = plan.submission.compose.as_ref().ok_or_else(missing)?;
    Ok(file.path.parent().map(|folder| folder.to_string_lossy().into_owned()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_not_of_what_both_do() {
        let steps = Steps { machines: 30.0, services: 10.0, page: 2.0, looks: 99.0, looked: 7, again: 12.0, gone: 6.0 };
        assert!((steps.common() - 60.0).abs() < 1e-9);
    }
}

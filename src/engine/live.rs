//! Looking at the real stack for the scheduler, and asking whether a failure may be a stand-in's.

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;

use super::Progress;
use super::as_of::{Answer, Trial};
use super::attached;
use super::eventually::Waited;
use super::proof;
use super::schedule::Looker;
use super::settle::Raw;
use crate::backend::{blame, disk};
use crate::docker::{Container, Engine};
use crate::drill::is_of_time;
use crate::expect::Finding;
use crate::notice::Reason;
use crate::plan::Plan;
use crate::probe::page::text::PageText;
use crate::probe::{Attempt, Observation, Probe, ProbeError, SERVICES, SETTLED};
use crate::stack::{LeftOut, Stack, StandIn};
use crate::submission::bind::Binding;
use crate::submission::no_part;
use crate::submission::paths;
use crate::text::Text;
use crate::time::Clock;

/// What a look may take beyond its own bound before it is given up from outside.
const GRACE: Duration = Duration::from_secs(10);

/// The stack of this run, looked at through the plan's probes.
pub(super) struct Live<'a> {
    pub(super) plan: &'a Plan,
    pub(super) stack: Arc<Stack>,
    pub(super) progress: &'a Progress,
    /// Of a delivery that is old.
    pub(super) trial: Option<&'a Trial>,
    /// The drills that have begun, with when on the run's clock.
    begun: Mutex<Vec<(String, u64)>>,
    clock: Clock,
}

impl<'a> Live<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        stack: Arc<Stack>,
        progress: &'a Progress,
        trial: Option<&'a Trial>,
        clock: Clock,
    ) -> Self {
        Self { plan, stack, progress, trial, begun: Mutex::default(), clock }
    }

    /// When the first drill began.
    pub(super) fn broken_since(&self) -> Option<u64> {
        self.begun.lock().ok()?.first().map(|(_, at)| *at)
    }
}

#[async_trait]
impl Looker for Live<'_> {
    async fn look(&self, check: usize, attempt: Attempt) -> Result<Observation, ProbeError> {
        if let Some(refused) = self.refused(check) {
            return Err(refused);
        }
        let probe = &self.plan.checks[check].probe;
        if let Some(LeftOut { reason, text }) = self.nothing_for(check).cloned() {
            return match reason {
                Some(reason) => Err(ProbeError { reason, text }),
                None => {
                    let settled = vec![SETTLED.to_owned()];
                    let nothing = Observation::of(crate::expect::Facts::new());
                    Ok(Observation { explanation: Some(text), conditions: settled, ..nothing })
                }
            };
        }
        let look = AssertUnwindSafe(probe.observe(&self.stack, attempt)).catch_unwind();
        match tokio::time::timeout(attempt.timeout + GRACE, look).await {
            Ok(Ok(seen)) => seen,
            Ok(Err(panic)) => Err(ours(bug(panic.as_ref()))),
            Err(_) => {
                let limit = (attempt.timeout + GRACE).as_secs();
                Err(ours(Text::new(
                    format!("a look did not end within {limit} s"),
                    format!("una observación no terminó en {limit} s"),
                )))
            }
        }
    }

    async fn excuse(&self, check: usize, waited: &Waited) -> Option<(Reason, Text)> {
        let probe = &self.plan.checks[check].probe;
        if !probe.excusable() {
            return None;
        }
        if let Some(why) = self.host_trouble().await {
            return Some((Reason::Host, why));
        }
        if let Some(text) = by_our_edit(&self.stack, probe.as_ref(), waited) {
            return Some((Reason::NotHere, text));
        }
        if let Some(text) = by_slow_machines(&self.stack, probe.as_ref(), waited) {
            return Some((Reason::Host, text));
        }
        let services = || probe.roles().into_iter().filter_map(|role| self.stack.playing(&role).map(str::to_owned));
        if let Some((service, path)) = services().find_map(|s| self.lacks(&s).map(|path| (s, path))) {
            let path = crate::sanitize::line(&path.to_string_lossy(), 200);
            return Some((
                Reason::NotHere,
                Text::new(
                    format!("undecided: {service} is given {path}, which was left out of this run's copy"),
                    format!("sin decidir: a {service} se le da {path}, que quedó fuera de la copia de esta ejecución"),
                ),
            ));
        }
        if let Some(trial) = self.trial {
            for service in services() {
                match trial.ask_of_run(&self.stack, &service, &self.log_of(&service).await).await {
                    Answer::No => {}
                    // All looking ends here, and what it came to does not count.
                    Answer::TryAgain => return Some((Reason::Age, Text::default())),
                    Answer::Undecided(text) => return Some((Reason::Age, text)),
                }
            }
        }
        // Where the file has nobody for a role, no other version of those who are there would change that.
        let absent = probe.roles().iter().any(|role| self.stack.roles.get(role).is_some_and(Binding::nobody));
        // PHP under Apache says in the page what others say in their log.
        let on_page = waited.observation.page().map(|page| PageText::seen(page, None)).unwrap_or_default();
        for service in services() {
            let Some(stand_in) = self.stack.services.get(&service).and_then(|s| s.image.stand_in.clone()) else {
                continue;
            };
            let log = format!("{}\n{on_page}", self.log_of(&service).await);
            if let Some(line) = blame::version_line(&log) {
                return Some((Reason::StandIn, behind(&service, &stand_in, line)));
            }
            // A model answer that fails would fail for the stand-in too: it cannot prove itself.
            if !absent && !proof::is_reference(self.plan) && !self.proven(check, &stand_in).await {
                return Some((Reason::StandIn, unproven(&service, &stand_in)));
            }
        }
        None
    }

    fn alone(&self, check: usize) {
        if self.refused(check).is_some() || self.nothing_for(check).is_some() {
            return;
        }
        let probe = &self.plan.checks[check].probe;
        let (Some(drill), Ok(mut begun)) = (probe.drill(), self.begun.lock()) else { return };
        // Its other objectives were measured with the first.
        if begun.iter().any(|(known, _)| known == drill) {
            return;
        }
        if begun.is_empty() {
            (self.progress)(super::Event::Phase("drills"));
        }
        begun.push((drill.to_owned(), self.clock.ms()));
        let fault = probe.breaks().map_or("", |breaking| breaking.fault);
        (self.progress)(super::Event::Drill { id: drill, fault });
    }

    fn done(&self, check: usize, raw: Raw) {
        (self.progress)(super::Event::Check { id: &self.plan.checks[check].spec.id, passed: raw == Raw::Pass });
    }
}

impl Live<'_> {
    /// Why it is not looked at in this place.
    fn refused(&self, check: usize) -> Option<ProbeError> {
        attached::refused(self.plan, &self.stack, check).or_else(|| {
            let text = self.plan.checks[check].probe.cannot(self.plan.ground())?;
            Some(ProbeError { reason: Reason::NotHere, text })
        })
    }

    /// Why there are no services, where it looks at them.
    fn nothing_for(&self, check: usize) -> Option<&LeftOut> {
        let probe = &self.plan.checks[check].probe;
        let about = probe.layer() == SERVICES || probe.also().contains(&SERVICES);
        self.stack.no_services.as_ref().filter(|_| about)
    }

    /// Whether a reference passes this kind of check on this stand-in, here.
    async fn proven(&self, check: usize, stand_in: &StandIn) -> bool {
        let Ok(host) = Engine::host().await else { return false };
        let Some(image) = proof::image_of(&host, stand_in).await else { return false };
        proof::Proof::load().has(self.plan.checks[check].kind.name, &image)
    }

    /// Whether a service of any role stands on a full disk, or lost a process to a host without memory.
    async fn host_trouble(&self) -> Option<Text> {
        let containers = self.stack.containers().await.ok()?;
        for service in self.stack.roles.values().filter_map(|b| b.service.as_ref()) {
            let Some(container) = containers.iter().find(|c| &c.service == service) else { continue };
            // At a limit of its own it is the limit's doing.
            if container.oom_killed && container.memory_bytes == 0 && !container.running() {
                return Some(Text::new(
                    format!("undecided: the host had no memory left for {service}, which has no limit of its own"),
                    format!("sin decidir: al anfitrión le faltó memoria para {service}, que no tiene límite propio"),
                ));
            }
            // Anybody can print such a line, and a service can fill a disk of its own.
            let log = self.log_since_start(container).await;
            if let Some(line) = blame::disk_line(&log)
                && disk::full(self.stack.spot_of(container).shell.as_ref()).await
            {
                let line = crate::sanitize::line(line, 200);
                return Some(Text::new(
                    format!("undecided: the disk below {service} is full, and it says: {line}"),
                    format!("sin decidir: el disco bajo {service} está lleno, y este dice: {line}"),
                ));
            }
        }
        None
    }

    /// What a service is built with or finds in a mounted folder, and is not in the run's copy. Disks of machines lie about
    /// in such folders: they count where they are mounted themselves.
    fn lacks(&self, service: &str) -> Option<PathBuf> {
        let submission = &self.stack.submission;
        let compose = submission.compose.as_ref()?;
        let folder = compose.path.parent().unwrap_or(Path::new(""));
        let service = compose.services.iter().find(|s| s.name == service)?;
        let mounts = service.mounts.iter().filter(|m| m.bind).filter_map(|m| m.source.as_ref());
        let mounted: Vec<PathBuf> = mounts.map(|source| paths::clean(&folder.join(source))).collect();
        let context = submission.builds.get(&service.name).and_then(|b| b.context.clone());
        let given = |path: &&PathBuf| {
            let data = !no_part::is_disk_image(path) && !no_part::is_bookkeeping(path);
            mounted.contains(path) || (data && mounted.iter().chain(&context).any(|folder| path.starts_with(folder)))
        };
        self.stack.left_out.iter().find(given).cloned()
    }

    /// A service's log since its last start, or all of it where it is not up.
    async fn log_of(&self, service: &str) -> String {
        let Ok(containers) = self.stack.containers().await else {
            return String::new();
        };
        match containers.iter().find(|c| c.service == service) {
            Some(container) => self.log_since_start(container).await,
            None => String::new(),
        }
    }

    async fn log_since_start(&self, container: &Container) -> String {
        let since = container.log_from().filter(|_| container.running());
        self.stack.spot_of(container).engine.logs(&container.id, since, Some(400)).await.unwrap_or_default()
    }
}

/// Of a drill on machines that are slower than any that it was written for: what came, and came late. What never came in a time
/// that was stretched for them would not have come on others.
fn by_slow_machines(stack: &Stack, probe: &dyn Probe, waited: &Waited) -> Option<Text> {
    probe.breaks()?;
    let (_, facts) = waited.observation.subjects.first()?;
    let late = |finding: &Finding| !finding.holds && is_of_time(&finding.fact) && facts.contains_key(&finding.fact);
    (stack.slowness() > 1.0 && waited.findings.iter().any(late)).then(|| {
        Text::new(
            "undecided: the machines are emulated here, and the times of a drill are for machines that are not",
            "sin decidir: aquí las máquinas se emulan, y los tiempos de un simulacro son para máquinas que no lo son",
        )
    })
}

/// Of a drill in a swarm whose services we left without addresses of their own: whoever keeps an address that it was once told
/// does not come back for that, and would with one address a service.
fn by_our_edit(stack: &Stack, probe: &dyn Probe, waited: &Waited) -> Option<Text> {
    let breaking = probe.breaks()?;
    // What is hit itself gets another address wherever it is started; whoever dials it may have kept the old one.
    let may_be = match breaking.hit {
        Some(hit) => hit != breaking.watched && stack.playing(hit).is_some_and(|name| stack.addressless.contains(name)),
        // Whatever ran on a machine that was hit is started on another one.
        None => !stack.addressless.is_empty(),
    };
    (may_be && is_too_long(&waited.findings)).then(|| {
        Text::new(
            "undecided: services have no address of their own here (no IP_VS in this kernel), and one that keeps an old address of another's tasks would come back where they have",
            "sin decidir: aquí los servicios no tienen dirección propia (este kernel no tiene IP_VS), y uno que conserva una dirección vieja de las tareas de otro volvería donde la tienen",
        )
    })
}

/// Whether something did not come back, or not in time: no loss of data, and no task that stays where it is.
fn is_too_long(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| !finding.holds && is_of_time(&finding.fact))
}

fn behind(service: &str, stand_in: &StandIn, line: &str) -> Text {
    let line = crate::sanitize::line(line, 200);
    let StandIn { reference, version, .. } = stand_in;
    Text::new(
        format!("undecided: {service} stands on {version} in place of {reference}, and it says: {line}"),
        format!("sin decidir: {service} se apoya en {version} en lugar de {reference}, y este dice: {line}"),
    )
}

fn unproven(service: &str, stand_in: &StandIn) -> Text {
    let StandIn { reference, version, .. } = stand_in;
    Text::new(
        format!(
            "undecided: {service} stands on {version} in place of {reference}, and no reference has passed this kind of check on it in this installation; \
             run `imparcial grade scenarios/seed/reference --scenario seed` once"
        ),
        format!(
            "sin decidir: {service} se apoya en {version} en lugar de {reference}, y ninguna referencia ha superado aquí este tipo de comprobación con ella; \
             ejecute una vez `imparcial grade scenarios/seed/reference --scenario seed`"
        ),
    )
}

fn ours(text: Text) -> ProbeError {
    ProbeError { reason: Reason::Imparcial, text }
}

/// What a panic of ours said.
pub(super) fn bug(panic: &(dyn std::any::Any + Send)) -> Text {
    let said = said(panic);
    Text::new(format!("a bug of imparcial's: {said}"), format!("un fallo de imparcial: {said}"))
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text =
        panic.downcast_ref::<&str>().map(|s| (*s).to_owned()).or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "it said nothing".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_takes_too_long_may_be_an_old_address_s_doing() {
        let finding = |fact: &str, holds| Finding {
            subject: String::new(),
            fact: fact.to_owned(),
            expected: String::new(),
            observed: String::new(),
            holds,
        };
        assert!(is_too_long(&[finding("recovery_time_s", false)]));
        assert!(!is_too_long(&[finding("recovery_time_s", true), finding("acked_lost", false)]));
        assert!(!is_too_long(&[finding("moved", false)]));
    }
}

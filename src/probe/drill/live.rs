//! The real world of a drill: the stack, its engines, and the machines that they are on.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::happen::Ears;
use super::ledgers::Place;
use super::quorum;
use super::spec::Spec;
use super::usage;
use super::volume;
use super::watch::Eyes;
use super::world::{Heard, Ready, Seen, There, Used, World, Written};
use crate::backend::compose;
use crate::docker::Container;
use crate::fault::log::HealLog;
use crate::fault::{self, Aim, FaultError, Undo, Victim};
use crate::probe::ProbeError;
use crate::stack::Stack;
use crate::text::Text;

/// To undo a fault, with the proof of it.
const HEAL: Duration = Duration::from_secs(120);
/// To start again what did not come back.
const UP: Duration = Duration::from_secs(60);

pub(super) struct Live {
    stack: Arc<Stack>,
    spec: Arc<Spec>,
    eyes: Eyes,
    ears: Ears,
    place: Option<Place>,
    seed: u64,
    log: Option<HealLog>,
    aim: OnceLock<Vec<Victim>>,
    undos: OnceLock<(Vec<Undo>, Option<u64>)>,
    injected: AtomicBool,
    /// The containers of roles that are to be spared, as they were.
    spared: Mutex<Vec<Container>>,
}

impl Live {
    pub(super) async fn open(stack: Arc<Stack>, spec: Arc<Spec>, seed: u64) -> Result<Self, ProbeError> {
        let log = log_of(&stack);
        let eyes = Eyes::open(&stack, &spec.watch).await?;
        let place = spec.through.clone().map(Place::new);
        let ears = Ears::open(&stack);
        Ok(Self {
            stack,
            spec,
            eyes,
            ears,
            place,
            seed,
            log,
            aim: OnceLock::new(),
            undos: OnceLock::new(),
            injected: AtomicBool::new(false),
            spared: Mutex::default(),
        })
    }

    pub(super) fn victims(&self) -> &[Victim] {
        self.aim.get().map_or(&[], Vec::as_slice)
    }

    pub(super) async fn watched(&self) -> String {
        self.eyes.place().await
    }

    /// Where the writes went.
    pub(super) async fn written_at(&self) -> String {
        if let Some(place) = &self.place { place.written_at().await } else { String::new() }
    }

    pub(super) fn ledger(&self) -> Option<(&'static str, String)> {
        self.place.as_ref().map(Place::described)
    }

    /// The services of the roles that it is about.
    fn services(&self) -> BTreeSet<String> {
        let roles = self.spec.roles();
        roles.iter().filter_map(|role| self.stack.playing(role).map(str::to_owned)).collect()
    }

    /// Machines that do not run now are not asked for their containers.
    async fn note_machines(&self) {
        let mut off = BTreeSet::new();
        for (node, body) in fault::machines(self.victims()) {
            if fault::is_off(&self.stack, body).await {
                off.insert(node.name().to_owned());
            }
        }
        self.stack.set_off(off);
    }
}

/// Where this run writes down what undoes its faults.
fn log_of(stack: &Stack) -> Option<HealLog> {
    let healing = stack.healing.as_ref()?;
    Some(HealLog::open(&healing.state, &healing.run, healing.ground))
}

/// Undoes what this run has written down and not struck out: after a panic of ours.
pub(super) async fn heal_pending(stack: &Stack) {
    let Some(log) = log_of(stack) else { return };
    for entry in log.pending() {
        match fault::heal(&entry.undos, &fault::shells(stack), HEAL).await {
            Ok(()) => drop(log.healed(entry.id)),
            Err(error) => tracing::warn!(%error, "not undone; the next start tries again"),
        }
    }
}

#[async_trait]
impl World for Live {
    async fn look(&self, timeout: Duration) -> Result<Seen, ProbeError> {
        self.eyes.look(&self.stack, timeout).await
    }

    async fn used(&self) -> Option<Used> {
        usage::of(&self.stack, self.spec.watch.role()).await
    }

    async fn prepare(&self) -> Result<Ready, ProbeError> {
        let aim = self.spec.fault.target().resolve(&self.stack, self.seed).await?;
        let victims = match aim {
            Aim::At(victims) => victims,
            Aim::Nobody(why) => return Ok(Ready::Nobody(why)),
        };
        if self.spec.course.unaided && self.stack.swarm {
            let hit: Vec<&str> = fault::machines(&victims).map(|(node, _)| node.name()).collect();
            quorum::kept(&self.stack, &hit).await?;
        }
        let undos = self.spec.fault.inverse(&self.stack, &victims).await?;
        let containers = self.stack.containers().await?;
        let mut entry = None;
        if let Some(log) = self.log.as_ref().filter(|_| !undos.is_empty()) {
            entry = Some(log.planned(&self.spec.id, &undos)?);
        }
        let spared: BTreeSet<&str> = self.spec.spares.iter().filter_map(|role| self.stack.playing(role)).collect();
        let kept = containers.into_iter().filter(|c| spared.contains(c.service.as_str()) && c.running()).collect();
        *self.spared.lock().unwrap_or_else(PoisonError::into_inner) = kept;
        let _ = self.aim.set(victims);
        let _ = self.undos.set((undos, entry));
        Ok(Ready::Aimed)
    }

    async fn freeze(&self) {
        self.eyes.freeze(self.place.as_ref().and_then(Place::mark)).await;
    }

    async fn inject(&self) -> Result<Vec<Text>, ProbeError> {
        self.injected.store(true, Ordering::SeqCst);
        let made = self.spec.fault.inject(&self.stack, self.victims()).await;
        self.note_machines().await;
        Ok(made?)
    }

    fn undoes(&self) -> bool {
        self.undos.get().is_some_and(|(undos, _)| !undos.is_empty())
    }

    async fn heal(&self) -> Result<(), ProbeError> {
        let Some((undos, entry)) = self.undos.get().filter(|_| self.injected.load(Ordering::SeqCst)) else {
            return Ok(());
        };
        let healed = fault::heal(undos, &fault::shells(&self.stack), HEAL).await;
        self.note_machines().await;
        healed?;
        if let (Some(log), Some(entry)) = (&self.log, entry)
            && let Err(error) = log.healed(*entry)
        {
            tracing::warn!(%error, "what was healed could not be struck out; it is proven once more by the next start");
        }
        Ok(())
    }

    fn forget(&self) {
        let planned = self.undos.get().and_then(|(_, entry)| *entry);
        if let (Some(log), Some(entry), false) = (&self.log, planned, self.injected.load(Ordering::SeqCst)) {
            let _ =
                log.healed(entry).inspect_err(|error| tracing::warn!(%error, "what was never made stays written down"));
        }
    }

    async fn harmed(&self) -> Option<Result<Vec<Text>, ProbeError>> {
        if self.spec.spares.is_empty() {
            return None;
        }
        let before = self.spared.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if before.is_empty() {
            return Some(Err(ProbeError::unproven(
                "nobody that was to be spared was running",
                "no corría nadie de quienes debían quedar a salvo",
            )));
        }
        Some(volume::harmed(&self.stack, &before).await)
    }

    async fn is_down(&self) -> bool {
        let Ok(containers) = self.stack.containers().await else { return false };
        let up = |service: &String| containers.iter().any(|c| &c.service == service && c.running());
        !self.hit().iter().all(up)
    }

    async fn aid(&self, anew: bool) -> Result<Option<Text>, ProbeError> {
        let stack = &self.stack;
        if stack.swarm || stack.was_up() || stack.provisioned {
            return Ok(None);
        }
        let tool = compose::tool_of(stack).await.map_err(FaultError::from)?;
        // What ends before its store is there is brought up once more.
        let all: [&[&str]; 2] = [&["restart", "-t", "5"], &["up", "-d", "--no-build"]];
        for words in all.into_iter().skip(usize::from(!anew)) {
            let done = tool.run(tool.cmd(words.iter().copied()).timeout(UP)).await.map_err(FaultError::from)?;
            if !done.ok() {
                let said = crate::sanitize::line(&done.err(), 200);
                return Err(ProbeError::ours(
                    format!("it could not be brought up again: {said}"),
                    format!("no se pudo levantar de nuevo: {said}"),
                ));
            }
        }
        Ok(Some(match anew {
            false => Text::new("brought up once more, by hand", "levantado una vez más, a mano"),
            true => Text::new("all of it started anew, by hand", "todo arrancado de nuevo, a mano"),
        }))
    }

    async fn hopeless(&self) -> Option<Text> {
        let containers = self.stack.containers().await.ok()?;
        let services = self.services();
        let dead = |service: &&String| {
            let mut of = containers.iter().filter(|c| &c.service == *service).peekable();
            of.peek().is_some() && of.all(Container::exited_for_good)
        };
        let service = services.iter().find(dead)?;
        let of = containers.iter().find(|c| &c.service == service)?;
        let (status, policy) = (of.exit_code, crate::sanitize::line(&of.restart_policy, 40));
        Some(Text::new(
            format!("{service} ended with status {status} and its restart policy, `{policy}`, does not start it again"),
            format!(
                "{service} terminó con estado {status} y su política de reinicio, `{policy}`, no lo arranca de nuevo"
            ),
        ))
    }

    fn heard(&self) -> Vec<Heard> {
        self.ears.take()
    }

    fn hit(&self) -> Vec<String> {
        let service = |victim: &Victim| match victim {
            Victim::Service(container) => Some(container.service.clone()),
            Victim::Machine(..) => None,
        };
        self.victims().iter().filter_map(service).collect()
    }

    async fn open_ledger(&self) -> Result<(), ProbeError> {
        let Some(place) = &self.place else { return Ok(()) };
        let hit: Vec<String> = fault::machines(self.victims()).map(|(node, _)| node.name().to_owned()).collect();
        place.open(&self.stack, &hit).await
    }

    async fn write(&self, number: u64) -> Written {
        match &self.place {
            Some(place) => place.write(&self.stack, number).await,
            None => Written::Failed,
        }
    }

    async fn read(&self) -> Result<There, ProbeError> {
        match &self.place {
            Some(place) => place.read(&self.stack).await,
            None => Ok(There::default()),
        }
    }

    async fn shows_all(&self, there: &There, next: u64) -> Result<(), ProbeError> {
        match &self.place {
            Some(place) => place.shows_all(&self.stack, there, next).await,
            None => Ok(()),
        }
    }

    async fn close_ledger(&self) -> Option<Text> {
        self.place.as_ref()?.close(&self.stack).await
    }
}

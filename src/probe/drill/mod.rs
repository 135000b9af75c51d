//! `drill`: something is broken on purpose, and its recovery is measured against objectives.
//!
//! All objectives of a drill share one: the first that is asked makes it, the others read what it came to.

mod book;
mod course;
mod facts;
mod happen;
mod ledgers;
mod live;
mod quorum;
mod sampler;
mod spec;
mod usage;
mod volume;
mod watch;
mod world;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::facts::Known;
use self::live::Live;
use self::spec::{Spec, Watch};
use super::{Attempt, Breaking, DRILLS, MACHINES, Observation, Phase, Probe, ProbeError, ProbeKind, SERVICES};
use crate::drill::Outcome;
use crate::expect::{FactSpec, Unit};
use crate::fault::target::Whom;
use crate::fault::{Ground, Victim};
use crate::stack::Stack;
use crate::text::Text;
use crate::time::whole_ms;

pub use spec::schema;

/// The facts of a drill.
pub static FACTS: &[FactSpec] = &[
    FactSpec {
        name: "recovery_time_s",
        unit: Unit::Seconds,
        summary: "from the end of the injection (or of the healing) to the first of `stable` passing samples in a row after the outage; 0 where no sample failed, nothing where it never recovered",
    },
    FactSpec {
        name: "resolution_s",
        unit: Unit::Seconds,
        summary: "from the last failing sample to the first passing one: what the recovery time is exact to",
    },
    FactSpec { name: "longest_downtime_s", unit: Unit::Seconds, summary: "the longest time without a passing sample" },
    FactSpec {
        name: "availability",
        unit: Unit::Number,
        summary: "the share of samples that passed while the fault was active: 0 to 1",
    },
    FactSpec { name: "samples", unit: Unit::Number, summary: "how many those were" },
    FactSpec { name: "held_s", unit: Unit::Seconds, summary: "how long it stayed up after it had recovered" },
    FactSpec { name: "acked", unit: Unit::Number, summary: "writes of the ledger that were acknowledged" },
    FactSpec {
        name: "acked_lost",
        unit: Unit::Number,
        summary: "those of them that were missing when it was read back",
    },
    FactSpec {
        name: "longest_silence_s",
        unit: Unit::Seconds,
        summary: "from the fault on, the longest time without an acknowledged write of the ledger",
    },
    FactSpec {
        name: "spared",
        unit: Unit::Bool,
        summary: "the containers of `spares` are the same start as before, and were not killed for want of memory",
    },
    FactSpec { name: "moved", unit: Unit::Bool, summary: "what ran on the machine that was hit runs on another one" },
    FactSpec {
        name: "heal_pending",
        unit: Unit::Number,
        summary: "entries that a brick has still to get, when the volume was waited for (testimony)",
    },
    FactSpec {
        name: "split_brain",
        unit: Unit::Number,
        summary: "entries of which nobody can tell which copy is right (testimony)",
    },
    FactSpec {
        name: "bricks_offline",
        unit: Unit::List,
        summary: "bricks that were not online by then, or not before the drill",
    },
    FactSpec {
        name: "not_mounted_on",
        unit: Unit::List,
        summary: "machines that did not have the volume mounted by then",
    },
];

pub static KIND: ProbeKind = ProbeKind {
    name: "drill",
    summary: "Something is broken on purpose, and its recovery is measured: written in `drills:`, where each objective is a check of its own",
    facts: FACTS,
    example: "{id: app-comes-back, points: 2, drill: {id: app-killed, fault: {kill: {role: app}}, watch: {page: app}}, expect: {recovery_time_s: {le: 30s}}}",
    schema,
    decode: |d| spec::decode(d).map(|spec| Box::new(Objective { spec: Arc::new(spec) }) as Box<dyn Probe>),
};

struct Objective {
    spec: Arc<Spec>,
}

impl Spec {
    fn ledger_role(&self) -> Option<&str> {
        self.through.as_ref()?.role()
    }

    fn hit_role(&self) -> Option<&str> {
        match &self.fault.target().whom {
            Whom::Role(role) | Whom::NodeOf(role) => Some(role),
            Whom::Node(_) => None,
        }
    }

    /// The roles that it is about, each once.
    fn roles(&self) -> Vec<String> {
        let mut roles: Vec<String> = Vec::new();
        let spared = self.spares.iter().map(String::as_str);
        for role in self.hit_role().into_iter().chain([self.watch.role()]).chain(self.ledger_role()).chain(spared) {
            if !roles.iter().any(|known| known == role) {
                roles.push(role.to_owned());
            }
        }
        roles
    }

    fn longest(&self) -> Duration {
        // Its healing and its ledger have bounds of their own, of two minutes and less.
        let course = &self.course;
        let own = course.steady_within + course.hold + course.within + course.held + 4 * course.timeout;
        own + self.volume.unwrap_or_default() + Duration::from_secs(600)
    }
}

#[async_trait]
impl Probe for Objective {
    fn phase(&self) -> Phase {
        Phase::Drill
    }

    fn layer(&self) -> &'static str {
        DRILLS
    }

    fn also(&self) -> Vec<&'static str> {
        let files = matches!(self.spec.through, Some(spec::Through::Files(_)));
        if self.spec.fault.target().on_machines() || self.spec.volume.is_some() || files {
            vec![SERVICES, MACHINES]
        } else {
            vec![SERVICES]
        }
    }

    fn roles(&self) -> Vec<String> {
        self.spec.roles()
    }

    fn visits(&self) -> bool {
        matches!(self.spec.watch, Watch::Page(_))
    }

    fn longest(&self) -> Duration {
        self.spec.longest()
    }

    fn drill(&self) -> Option<&str> {
        Some(&self.spec.id)
    }

    fn breaks(&self) -> Option<Breaking<'_>> {
        let spec = &self.spec;
        let (fault, title) = (spec.fault_name, &spec.title);
        Some(Breaking { fault, title, hit: spec.hit_role(), watched: spec.watch.role() })
    }

    fn cannot(&self, ground: Ground) -> Option<Text> {
        self.spec.fault.cannot(ground)
    }

    async fn observe(&self, stack: &Arc<Stack>, _: Attempt) -> Result<Observation, ProbeError> {
        let known = stack.drills.lock().await.iter().find(|done| done.record.id == self.spec.id).cloned();
        let outcome = match known {
            Some(outcome) => outcome,
            None => {
                let (with, spec, stop) = (stack.clone(), self.spec.clone(), CancellationToken::new());
                // A task of its own, which is told when nobody waits any more: what was broken is healed all the same.
                let watched = stop.clone().drop_guard();
                let breaking = stack.breaking.clone().lock_owned().await;
                let made = tokio::spawn(async move {
                    let outcome = Arc::new(make(&with, &spec, &stop).await);
                    with.drills.lock().await.push(outcome.clone());
                    drop(breaking);
                    outcome
                })
                .await;
                drop(watched);
                match made {
                    Ok(outcome) => outcome,
                    Err(error) => {
                        live::heal_pending(stack).await;
                        return Err(ProbeError::ours(
                            format!("the drill broke off: {error}"),
                            format!("el simulacro se interrumpió: {error}"),
                        ));
                    }
                }
            }
        };
        if let Some((reason, text)) = &outcome.unable {
            return Err(ProbeError { reason: *reason, text: text.clone() });
        }
        Ok(Observation {
            means: outcome.means.clone(),
            open: outcome.open.clone(),
            ..Observation::of(outcome.facts.clone())
        })
    }
}

/// Makes the drill, from its steady state to its end.
async fn make(stack: &Arc<Stack>, spec: &Arc<Spec>, stop: &CancellationToken) -> Outcome {
    let began = Instant::now();
    let seed = stack.healing.as_ref().map_or_else(crate::nonce::number, |healing| healing.seed);
    let world = match Live::open(stack.clone(), spec.clone(), seed).await {
        Ok(world) => Arc::new(world),
        Err(error) => {
            let went = course::Went { unable: Some(error), ..course::Went::default() };
            return facts::outcome(spec, went, Known::default(), whole_ms(began.elapsed()));
        }
    };
    let (mut down_before, mut bricks_before) = (Vec::new(), None);
    if spec.volume.is_some() {
        // Who stopped the run waits for nothing more.
        let looked = tokio::select! {
            looked = volume::bricks_down(stack) => looked,
            () = stop.cancelled() => Ok(Vec::new()),
        };
        match looked {
            Ok(down) => down_before = down,
            Err(error) => bricks_before = Some(error),
        }
    }
    let went = course::run(world.clone(), &spec.course.stretched(stack.slowness()), stop).await;
    let written_at = world.written_at().await;
    let mut known = Known {
        hit: world.victims().iter().map(Victim::name).collect(),
        seed: spec.fault.target().is_random().then_some(seed),
        watched: world.watched().await,
        ledger: world.ledger(),
        written_at,
        broken_by: left_broken(stack).await,
        bricks_before,
        ..Known::default()
    };
    // Who stopped the run waits for nothing more.
    if went.measured.is_some() && !stop.is_cancelled() {
        if let Whom::NodeOf(role) = &spec.fault.target().whom {
            known.moved = elsewhere(stack, role, &known.hit).await;
        }
        if let Some(within) = spec.volume {
            let whole = volume::whole(stack, stack.machines.stretched(within)).await;
            known.volume = Some(whole.map(|facts| volume::with_those(facts, &down_before)));
        }
    }
    facts::outcome(spec, went, known, whole_ms(began.elapsed()))
}

/// Whether a role's container runs on a machine that was not hit; none where no such container runs, or nobody says.
async fn elsewhere(stack: &Stack, role: &str, hit: &[String]) -> Option<bool> {
    let service = stack.playing(role)?;
    let containers = stack.containers().await.ok()?;
    let running = containers.iter().filter(|c| c.service == service && c.running());
    let nodes: Vec<&String> = running.filter_map(|c| stack.spot_of(c).node.as_ref()).collect();
    (!nodes.is_empty()).then(|| nodes.iter().any(|node| !hit.contains(node)))
}

/// The earlier drill, the last of them, that left something broken.
async fn left_broken(stack: &Stack) -> Option<String> {
    let made = stack.drills.lock().await;
    made.iter().rev().find(|outcome| outcome.left_broken).map(|outcome| outcome.record.id.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::tree::{self, Decoder};

    fn read(text: &str) -> (Option<Spec>, Vec<String>) {
        let node = tree::read(text, "s.yaml").unwrap();
        let mut problems = Vec::new();
        let mut d = Decoder::new(&node, &mut problems);
        let spec = spec::decode(&mut d);
        d.finish();
        (spec, problems.into_iter().map(|p| p.message).collect())
    }

    #[test]
    fn a_drill_is_read_with_all_of_its_parts() {
        let (spec, problems) = read(
            "{id: x, fault: {kill: {role: app}}, watch: {page: app}, every: 100ms, hold: 3s, ledger: {sql: db, every: 1s}, spares: [db], volume: {within: 30s}, stable: 5}",
        );
        assert_eq!(problems, [""; 0]);
        let spec = spec.unwrap();
        assert_eq!((spec.fault_name, spec.course.stable, spec.course.hold), ("kill", 5, Duration::from_secs(3)));
        assert_eq!(spec.course.every, Duration::from_millis(100));
        assert_eq!(spec.course.ledger_every, Some(Duration::from_secs(1)));
        assert_eq!(spec.roles(), ["app", "db"]);
        assert_eq!(spec.volume, Some(Duration::from_secs(30)));
    }

    #[test]
    fn every_mistake_is_told() {
        let (_, problems) = read(
            "{id: x, fault: {kil: {role: app}}, watch: {pag: app}, every: 1ms, stable: 0, unaided: true, since: heal, helt: 5s}",
        );
        for wanted in [
            "unknown fault `kil`",
            "`every` must be at least 20ms",
            "`stable` must be a number from 1 to 100",
            "with `unaided` nothing is healed before it has recovered",
            "unknown key `helt`",
            "unknown key `pag`",
        ] {
            assert!(problems.iter().any(|p| p == wanted), "{wanted} in {problems:?}");
        }
    }
}

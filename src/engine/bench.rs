//! The harness against the same steps typed by hand, in one lab, in pairs: machines drift, so only a pair is compared.
//! Then, at a stack that is ready: what looks cost, and the same checks written for other tools.

pub mod drill;
pub mod looks;
pub mod machines;
pub mod memory;
pub mod peers;
pub mod whole;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::bring_up::bring_up;
use super::place::Place;
use super::{Event, RunOptions, items, live, schedule};
use crate::backend::compose::tool::Tool;
use crate::backend::{self, Site};
use crate::docker::Engine;
use crate::exec::{Cmd, Shell};
use crate::lab::{LabSpec, registry};
use crate::plan::Plan;
use crate::probe::Phase;
use crate::stack::{Ground, Stack};
use crate::text::Text;
use crate::time::Clock;

/// Pairs of a drill and its script: each takes some ten seconds.
const DRILLS: usize = 3;

/// Opens a lab, measures in it, and removes it, whatever came of it; how long that took, in seconds.
async fn in_lab<T>(
    plan: &Plan,
    run: String,
    cancel: &CancellationToken,
    measure: impl AsyncFnOnce(&Place) -> Result<T, Text>,
) -> Result<(T, f64), Text> {
    let spec =
        LabSpec { mirrors: vec![registry::MIRROR.to_owned()], ..LabSpec::new(run, plan.submission.root.clone()) };
    let spec = if plan.ground() == Ground::Guests { spec.with_machines() } else { spec };
    let lab = Place::open(&plan.options.place, spec).await.map_err(|e| e.text())?;
    let measured = tokio::select! {
        measured = measure(&lab) => measured,
        () = cancel.cancelled() => Err(Text::new("interrupted", "interrumpido")),
    };
    let began = Instant::now();
    lab.down().await.map_err(|e| e.text())?;
    Ok((measured?, began.elapsed().as_secs_f64()))
}

/// A lab with everything fetched and built.
pub struct Bench<'a> {
    plan: &'a Plan,
    lab: Place,
    site: Site,
    options: RunOptions,
    tool: Tool,
    /// What a person would open: the app's published port.
    url: String,
}

/// One pair, in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Round {
    pub by_hand: f64,
    pub ours: f64,
    pub resolve: f64,
    pub images: f64,
    pub evidence: f64,
    pub exercises: f64,
    /// Of the stack.
    pub down: f64,
    pub looks: u32,
}

/// What was measured at a stack that is ready.
#[derive(Clone, Debug, Default)]
pub struct Ready {
    pub looks: looks::Looks,
    /// None where nothing is written for this scenario.
    pub peers: Option<peers::Peers>,
    pub memory: memory::Memory,
    /// None where the scenario has no drill that a script can repeat; else it, or why it was not measured.
    pub drill: Option<Result<drill::Drilled, Text>>,
}

impl<'a> Bench<'a> {
    /// Starts the lab and brings the stack up once, so that nothing has to be fetched or built later.
    ///
    /// # Errors
    /// The lab, or the submission in it, does not come up: there is nothing to compare.
    pub async fn open(plan: &'a Plan, cancel: CancellationToken) -> Result<Self, Text> {
        let options = bench_run(cancel);
        let spec = LabSpec {
            mirrors: vec![registry::MIRROR.to_owned()],
            ..LabSpec::new(options.run.clone(), plan.submission.root.clone())
        };
        let lab = Place::open(&plan.options.place, spec).await.map_err(|e| e.text())?;
        let site = lab.site();
        match Self::prepare(plan, &options, &lab, &site).await {
            Ok((tool, url)) => Ok(Self { plan, lab, site, options, tool, url }),
            Err(text) => {
                let _ = lab.down().await;
                Err(text)
            }
        }
    }

    async fn prepare(plan: &Plan, options: &RunOptions, lab: &Place, site: &Site) -> Result<(Tool, String), Text> {
        let up = bring_up(plan, options, lab, site, None, None).await?;
        let said = |e: backend::BackendError| e.text();
        let tool = backend::compose::tool_of(&up.stack).await.map_err(said)?;
        let url = url_of(&up.stack)?;
        tool.down().await.map_err(|e| e.text())?;
        Ok((tool, url))
    }

    /// By hand, then ours.
    ///
    /// # Errors
    /// One of the two did not come to its end.
    pub async fn round(&self) -> Result<Round, Text> {
        let by_hand = self.by_hand().await?;
        let ours = self.ours().await?;
        Ok(Round { by_hand, ..ours })
    }

    /// What a person types, each a command in the lab.
    async fn by_hand(&self) -> Result<f64, Text> {
        let failed = |e: crate::exec::RunError| e.text();
        let began = Instant::now();
        self.tool.run(self.tool.cmd(["up", "-d"])).await.map_err(failed)?;
        until_page(self.site.shell.as_ref(), &self.url).await?;
        let containers = self.site.engine.project_containers(&self.tool.project).await.map_err(|e| e.text())?;
        let youngest = containers.iter().filter_map(crate::docker::Container::age).fold(f64::INFINITY, f64::min);
        let quiet = crate::stack::LIVE_FOR.as_secs_f64() - youngest;
        tokio::time::sleep(Duration::from_secs_f64(quiet.max(0.0))).await;
        self.tool.run(self.tool.cmd(["down", "-t", "0", "-v"])).await.map_err(failed)?;
        Ok(began.elapsed().as_secs_f64())
    }

    async fn ours(&self) -> Result<Round, Text> {
        let mut round = Round::default();
        let began = Instant::now();
        let up = bring_up(self.plan, &self.options, &self.lab, &self.site, None, None).await?;
        for (name, _, took) in &up.phases {
            match name.as_str() {
                "resolve" => round.resolve = *took,
                "images" => round.images = *took,
                _ => {}
            }
        }
        let stack = Arc::new(up.stack);
        let looks = self.look(&stack, Phase::Look).await;
        round.looks = looks;
        let evidence = Instant::now();
        let files = backend::compose::collect(&stack).await;
        round.evidence = evidence.elapsed().as_secs_f64();
        drop(files);
        let looked = began.elapsed().as_secs_f64();
        let exercises = Instant::now();
        self.look(&stack, Phase::Exercise).await;
        round.exercises = exercises.elapsed().as_secs_f64();
        let down = Instant::now();
        backend::compose::down(&stack).await.map_err(|e| e.text())?;
        round.down = down.elapsed().as_secs_f64();
        round.ours = looked + round.down;
        Ok(round)
    }

    /// Brings the stack up, waits until every check that looks holds, measures, and takes it down.
    ///
    /// # Errors
    /// Some check does not hold, or cannot look: that would measure something else.
    pub async fn ready(&self, peers: &Path, pairs: usize) -> Result<Ready, Text> {
        let up = bring_up(self.plan, &self.options, &self.lab, &self.site, None, None).await?;
        let stack = Arc::new(up.stack);
        self.look(&stack, Phase::Look).await;
        let measured = self.measure(&stack, peers, pairs).await;
        backend::compose::down(&stack).await.map_err(|e| e.text())?;
        measured
    }

    async fn measure(&self, stack: &Arc<Stack>, folder: &Path, pairs: usize) -> Result<Ready, Text> {
        let host = Engine::host().await.map_err(|e| e.text())?;
        let lab = host.container(&self.lab.name()).await.map_err(|e| e.text())?;
        let containers = stack.containers().await.map_err(|e| e.text())?;
        let named = |role: &str| {
            let service = stack.playing(role);
            containers.iter().find(|c| Some(c.service.as_str()) == service).map(|c| c.name.clone()).unwrap_or_default()
        };
        let told = peers::Told {
            engine: format!("unix:///proc/{}/root/run/docker.sock", lab.pid),
            page: self.url.clone(),
            app: named("app"),
            db: named("db"),
        };
        let looking = looks::Looking::at(stack.clone(), self.plan, self.options.progress.as_ref());
        let (looks, peers) = (looking.all().await?, peers::compare(folder, self.plan, &looking, &told, pairs).await?);
        let memory = memory::now(lab.pid);
        // Last: it breaks something.
        let shell = self.site.shell.as_ref();
        let drill = drill::drill(self.plan, stack, shell, &self.url, &told.app, pairs.min(DRILLS)).await.transpose();
        Ok(Ready { looks, peers, memory, drill })
    }

    async fn look(&self, stack: &Arc<Stack>, phase: Phase) -> u32 {
        look(self.plan, stack, &self.options, phase).await
    }

    /// Removes the lab, and says in how many seconds.
    ///
    /// # Errors
    /// Something of it could not be removed.
    pub async fn close(&self) -> Result<f64, Text> {
        let began = Instant::now();
        self.lab.down().await.map_err(|e| e.text())?;
        Ok(began.elapsed().as_secs_f64())
    }
}

/// A run that nobody watches and that leaves no folder.
fn bench_run(cancel: CancellationToken) -> RunOptions {
    let run = format!("bench-{}", super::run_id());
    RunOptions { reports: "reports".into(), run, cancel, progress: Arc::new(|_: Event<'_>| {}), watched: false }
}

/// What a person would open: the app's published port, on the machine where the services run.
fn url_of(stack: &Stack) -> Result<String, Text> {
    let service = stack.playing("app");
    let port = service.and_then(|s| stack.config.resolved.service(s)?.ports.iter().find_map(|p| p.host));
    let none = || Text::new("the app publishes no port", "la aplicación no publica ningún puerto");
    Ok(format!("http://{}:{}/", stack.home.address, port.ok_or_else(none)?))
}

/// Asks for a page as a person does, until it is there; in how many seconds that was.
async fn until_page(shell: &dyn Shell, url: &str) -> Result<f64, Text> {
    let began = Instant::now();
    let ask = Cmd::new(["curl", "-s", "-o", "/dev/null", "-m", "5", "-w", "%{http_code}", url]);
    while shell.run(&ask).await.map_err(|e| e.text())?.out() != "200" {
        if began.elapsed() > Duration::from_secs(60) {
            return Err(Text::new(
                format!("no 200 at {url} within 60 s"),
                format!("sin respuesta 200 en {url} en 60 s"),
            ));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(began.elapsed().as_secs_f64())
}

/// Runs the checks up to a phase and counts the looks; exercises stand alone, as if all that they need had passed. Nothing is
/// broken on purpose.
async fn look(plan: &Plan, stack: &Arc<Stack>, options: &RunOptions, phase: Phase) -> u32 {
    let exercise = phase == Phase::Exercise;
    let mut kept: Vec<usize> = Vec::new();
    let mut all = items::items(plan, stack);
    for i in plan.order() {
        if all[i].phase < Phase::Drill && (all[i].phase == Phase::Exercise) == exercise {
            kept.push(i);
        }
    }
    for item in &mut all {
        item.ties.needs.retain(|d| kept.contains(d));
        item.ties.explained_by.retain(|d| kept.contains(d));
    }
    let clock = Clock::start();
    let looker = live::Live::new(plan, stack.clone(), options.progress.as_ref(), None, clock);
    let outcomes = schedule::run(&all, &kept, &looker, clock, &options.cancel).await;
    outcomes.iter().filter_map(|o| o.waited.as_ref()).map(|w| w.attempts).sum()
}

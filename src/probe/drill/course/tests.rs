//! The course on a script, with a clock that nobody waits for.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use tokio::time::sleep_until;

use super::super::world::{Seen, There, Used, Written};
use super::*;

/// A service on a script: it is down for `down` after an injection, loses what was written in the last `loses` before it, and
/// costs `cost` of processor time a look.
struct Script {
    began: Instant,
    injected: Mutex<Option<Instant>>,
    healed: AtomicUsize,
    down: Duration,
    /// Down until it is healed or helped, however long that takes.
    until_helped: bool,
    /// Bringing up what is down does not do: it has to be started anew.
    until_anew: bool,
    helped: AtomicBool,
    undoes: bool,
    answers: bool,
    /// While it is down, looks hang.
    hangs: bool,
    fails_to_inject: bool,
    loses: Duration,
    /// What is written shows so much later.
    shows_after: Duration,
    cost: Duration,
    quota: f64,
    /// An answer takes so long, one after the other, also where whoever asked has gone.
    works: Duration,
    works_until: Mutex<Instant>,
    looks: AtomicUsize,
    written: Mutex<Vec<(u64, Instant)>>,
    order: Mutex<Vec<&'static str>>,
}

impl Script {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            injected: Mutex::default(),
            healed: AtomicUsize::new(0),
            down: Duration::from_secs(12),
            until_helped: false,
            until_anew: false,
            helped: AtomicBool::new(false),
            undoes: false,
            answers: true,
            hangs: false,
            fails_to_inject: false,
            loses: Duration::ZERO,
            shows_after: Duration::ZERO,
            cost: Duration::from_millis(1),
            quota: 1.0,
            works: Duration::ZERO,
            works_until: Mutex::new(Instant::now()),
            looks: AtomicUsize::new(0),
            written: Mutex::default(),
            order: Mutex::default(),
        }
    }

    fn did(&self, what: &'static str) {
        self.order.lock().unwrap().push(what);
    }

    fn up(&self) -> bool {
        let injected = *self.injected.lock().unwrap();
        let Some(injected) = injected else { return self.answers };
        let over = injected.elapsed() >= self.down;
        let helped = self.helped.load(Ordering::Relaxed) || self.healed.load(Ordering::Relaxed) > 0;
        if self.until_helped { helped } else { over }
    }
}

#[async_trait]
impl World for Script {
    async fn look(&self, timeout: Duration) -> Result<Seen, ProbeError> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        let done = {
            let mut until = self.works_until.lock().unwrap();
            *until = Instant::now().max(*until) + self.works;
            *until
        };
        let late = Instant::now() + timeout;
        sleep_until(done.min(late)).await;
        let mut ok = self.up() && done <= late;
        if !ok && self.hangs {
            // It answers when it is up again, unless the look is given up before.
            while !ok && Instant::now() < late {
                sleep(Duration::from_millis(50)).await;
                ok = self.up();
            }
        }
        Ok(Seen { ok, said: if ok { String::new() } else { "connection refused".to_owned() } })
    }

    async fn used(&self) -> Option<Used> {
        let looks = u32::try_from(self.looks.load(Ordering::Relaxed)).unwrap();
        Some(Used { cpu: self.cost * looks, quota: Some(self.quota) })
    }

    async fn prepare(&self) -> Result<Ready, ProbeError> {
        self.did("prepare");
        Ok(Ready::Aimed)
    }

    async fn inject(&self) -> Result<Vec<Text>, ProbeError> {
        self.did("inject");
        *self.injected.lock().unwrap() = Some(Instant::now());
        if self.fails_to_inject {
            return Err(ProbeError::ours("no kill", "sin kill"));
        }
        Ok(Vec::new())
    }

    fn undoes(&self) -> bool {
        self.undoes
    }

    async fn heal(&self) -> Result<(), ProbeError> {
        self.did("heal");
        self.healed.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn forget(&self) {}

    async fn harmed(&self) -> Option<Result<Vec<Text>, ProbeError>> {
        None
    }

    async fn is_down(&self) -> bool {
        false
    }

    async fn aid(&self, anew: bool) -> Result<Option<Text>, ProbeError> {
        self.did(if anew { "anew" } else { "aid" });
        self.helped.store(anew || !self.until_anew, Ordering::Relaxed);
        Ok(Some(Text::same("started by hand")))
    }

    async fn hopeless(&self) -> Option<Text> {
        (self.until_helped && !self.undoes).then(|| Text::same("it exited, and nothing starts it again"))
    }

    fn heard(&self) -> Vec<Heard> {
        Vec::new()
    }

    fn hit(&self) -> Vec<String> {
        Vec::new()
    }

    async fn open_ledger(&self) -> Result<(), ProbeError> {
        self.did("open");
        Ok(())
    }

    async fn write(&self, number: u64) -> Written {
        if !self.up() {
            return Written::Failed;
        }
        self.written.lock().unwrap().push((number, Instant::now()));
        Written::Acknowledged
    }

    async fn read(&self) -> Result<There, ProbeError> {
        if !self.up() {
            return Err(ProbeError::ours("down", "caído"));
        }
        if self.order.lock().unwrap().last() != Some(&"read") {
            self.did("read");
        }
        let injected = self.injected.lock().unwrap().unwrap_or(self.began);
        let lost = |at: &Instant| *at <= injected && injected.duration_since(*at) < self.loses;
        let written = self.written.lock().unwrap();
        let shown = |at: &Instant| at.elapsed() >= self.shows_after;
        let numbers = written.iter().filter(|(_, at)| !lost(at) && shown(at)).map(|(number, _)| *number);
        Ok(There { numbers: numbers.collect::<BTreeSet<u64>>(), at: "here".into() })
    }

    async fn close_ledger(&self) -> Option<Text> {
        self.did("close");
        None
    }
}

fn course() -> Course {
    Course {
        every: Duration::from_millis(500),
        timeout: Duration::from_secs(5),
        steady_within: Duration::from_secs(20),
        hold: Duration::ZERO,
        unaided: false,
        since_heal: false,
        within: Duration::from_secs(60),
        stable: 3,
        held: Duration::from_secs(5),
        ledger_every: Some(Duration::from_millis(250)),
    }
}

async fn go(script: Script, course: &Course) -> (Went, Vec<&'static str>) {
    let world = Arc::new(script);
    let went = run(world.clone(), course, &CancellationToken::new()).await;
    let order = world.order.lock().unwrap().clone();
    (went, order)
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_measured_and_the_ledger_read_back() {
    let (went, order) = go(Script::new(), &course()).await;
    let measured = went.measured.unwrap();
    let recovery = measured.recovery_time_ms.unwrap();
    assert!((12_000..=12_500).contains(&recovery), "{recovery}");
    assert_eq!(measured.resolution_ms, 500);
    assert!(measured.held_ms >= 4_500 && !measured.fell_again);
    let ledger = went.ledger.unwrap().unwrap();
    assert!(ledger.acknowledged > 20 && ledger.failed > 20 && ledger.lost_count == 0, "{ledger:?}");
    assert_eq!(order, ["prepare", "open", "inject", "read", "close"]);
    assert!(went.unable.is_none() && went.aided.is_none() && went.healed);
}

#[tokio::test(start_paused = true)]
async fn looks_that_hang_are_no_sign_of_being_up() {
    let silent = Script { hangs: true, down: Duration::from_secs(30), ..Script::new() };
    let measured = go(silent, &course()).await.0.measured.unwrap();
    assert!(!measured.never_down);
    let recovery = measured.recovery_time_ms.unwrap();
    assert!((30_000..=30_600).contains(&recovery), "{recovery}");
    let gone = Script { hangs: true, until_helped: true, ..Script::new() };
    let (went, _) = go(gone, &course()).await;
    assert_eq!(went.measured.unwrap().recovery_time_ms, None, "{:?}", went.gave_up);
}

#[tokio::test(start_paused = true)]
async fn acknowledged_writes_that_are_gone_are_lost_with_their_age() {
    let script = Script { loses: Duration::from_millis(700), ..Script::new() };
    let ledger = go(script, &course()).await.0.ledger.unwrap().unwrap();
    assert_eq!(ledger.lost_count, 3, "{ledger:?}");
    assert!((400..=700).contains(&ledger.oldest_lost_ms.unwrap()), "{ledger:?}");
}

#[tokio::test(start_paused = true)]
async fn what_shows_a_little_later_is_not_lost() {
    let script = Script { shows_after: Duration::from_secs(4), ..Script::new() };
    assert_eq!(go(script, &course()).await.0.ledger.unwrap().unwrap().lost_count, 0);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_come_back_is_given_up_helped_and_read_all_the_same() {
    let began = Instant::now();
    let (went, order) = go(Script { until_helped: true, ..Script::new() }, &course()).await;
    let measured = went.measured.unwrap();
    assert_eq!(measured.recovery_time_ms, None);
    assert_eq!(went.gave_up.unwrap().en, "it exited, and nothing starts it again");
    assert_eq!(went.ledger.unwrap().unwrap().lost_count, 0);
    assert_eq!(order, ["prepare", "open", "inject", "aid", "read", "aid", "close"]);
    assert!(began.elapsed() < Duration::from_secs(20), "nothing waits for what nothing brings back: {began:?}");
}

#[tokio::test(start_paused = true)]
async fn what_runs_and_does_not_come_back_is_started_anew_for_whatever_comes_next() {
    let stuck = Script { until_helped: true, until_anew: true, ..Script::new() };
    let (went, order) = go(stuck, &Course { ledger_every: None, ..course() }).await;
    assert_eq!(order, ["prepare", "inject", "aid", "anew"]);
    assert!(!went.left_broken, "{:?}", went.notes);
}

#[tokio::test(start_paused = true)]
async fn what_is_to_be_undone_is_held_and_healed_and_unaided_only_at_the_end() {
    let undone = Script { until_helped: true, undoes: true, ..Script::new() };
    let ten = Course { hold: Duration::from_secs(10), ..course() };
    let (went, order) = go(undone, &ten).await;
    let recovery = went.measured.unwrap().recovery_time_ms.unwrap();
    assert!((10_000..=10_500).contains(&recovery), "{recovery}");
    assert_eq!(order, ["prepare", "open", "inject", "heal", "read", "close"]);
    let alone = Course { unaided: true, ..course() };
    let (went, order) = go(Script { undoes: true, ..Script::new() }, &alone).await;
    assert!(went.measured.unwrap().recovery_time_ms.is_some());
    assert_eq!(order, ["prepare", "open", "inject", "read", "heal", "close"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_broken_where_nothing_is_steady() {
    let (went, order) = go(Script { answers: false, ..Script::new() }, &course()).await;
    assert!(went.unsteady.unwrap().en.ends_with("connection refused"));
    assert_eq!(order, [""; 0]);
    assert!(went.measured.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_fails_half_way_or_is_stopped_is_healed() {
    let (went, order) = go(Script { fails_to_inject: true, undoes: true, ..Script::new() }, &course()).await;
    assert!(went.unable.is_some() && went.healed);
    assert!(order.contains(&"heal"), "{order:?}");
    let world = Arc::new(Script { undoes: true, ..Script::new() });
    let stop = CancellationToken::new();
    let held = Course { hold: Duration::from_secs(30), ..course() };
    let soon = async {
        sleep(Duration::from_secs(10)).await;
        stop.cancel();
    };
    let (went, ()) = tokio::join!(run(world.clone(), &held, &stop), soon);
    assert_eq!(went.unable.unwrap().reason, Reason::Interrupted);
    assert!(world.order.lock().unwrap().ends_with(&["heal", "close"]));
}

#[tokio::test(start_paused = true)]
async fn looks_that_cost_too_much_are_made_less_often() {
    let (went, _) = go(Script { cost: Duration::from_millis(20), quota: 0.1, ..Script::new() }, &course()).await;
    let cost = went.cost.unwrap();
    assert!((cost.cpu_ms - 20.0).abs() < 1.0, "{cost:?}");
    assert_eq!(went.every_ms, 1000, "20 ms of a tenth of a cpu at a fifth of it");
    assert!(cost.share <= 0.2 + 1e-3, "{cost:?}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_service_is_not_drowned_before_anything_is_broken() {
    let (works, cost) = (Duration::from_secs(2), Duration::from_secs(2));
    let (went, _) = go(Script { works, cost, ..Script::new() }, &course()).await;
    assert!(went.unsteady.is_none(), "{:?}", went.unsteady);
    // 2 s of a cpu at a fifth of it, and what the two that were under way had used by then.
    assert!((10_000..=13_400).contains(&went.every_ms), "{}", went.every_ms);
    assert!(went.measured.unwrap().recovery_time_ms.is_some());
}

#[tokio::test(start_paused = true)]
async fn nor_after_it_where_it_waits_for_another() {
    let works = Duration::from_secs(2);
    let (went, _) = go(Script { works, ..Script::new() }, &course()).await;
    assert!(went.unsteady.is_none(), "{:?}", went.unsteady);
    // Two at a time, each of which waits for the other.
    assert!((2000..=4000).contains(&went.every_ms), "{}", went.every_ms);
    assert!(went.measured.unwrap().recovery_time_ms.is_some());
}

/// The figure that is asked for: on a clock that is not waited for, a drill is made of its own work alone.
#[test]
fn ten_minutes_take_no_time() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let wall = std::time::SystemTime::now();
    let virtually = runtime.block_on(async {
        let began = Instant::now();
        let script = Script { down: Duration::from_secs(590), ..Script::new() };
        let long = Course { within: Duration::from_secs(600), ledger_every: None, ..course() };
        let went = go(script, &long).await.0;
        assert!(went.measured.unwrap().recovery_time_ms.is_some_and(|ms| (590_000..590_600).contains(&ms)));
        began.elapsed()
    });
    assert!(virtually >= Duration::from_secs(595), "{virtually:?}");
    let took = wall.elapsed().unwrap();
    assert!(took < Duration::from_millis(if cfg!(debug_assertions) { 3000 } else { 50 }), "{took:?}");
}

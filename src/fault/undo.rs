//! What undoes a fault: a command and the proof that it is undone, both as data. Whoever reads it can do it, any number of
//! times: what the proof says is so already is not done again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::FaultError;
use crate::exec::container::Container;
use crate::exec::{Cmd, Output, RunError, Shell};
use crate::notice::Reason;
use crate::sanitize;
use crate::stack::Stack;
use crate::text::Text;

/// Where a command runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum At {
    /// The lab, or the host where there is none.
    Ground,
    /// A machine, by its name.
    Node(String),
}

/// One step of an undoing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undo {
    pub at: At,
    pub run: Cmd,
    pub proof: Proof,
    /// What says that there is nothing left to undo: what was hit is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moot: Option<Proof>,
    /// What is put back, for people: `container app_1 is started`.
    pub what: Text,
}

impl Undo {
    pub fn new(at: At, run: Cmd, proof: Proof, what: Text) -> Self {
        Self { at, run, proof, moot: None, what }
    }

    pub fn unless(mut self, moot: Proof) -> Self {
        self.moot = Some(moot);
        self
    }
}

/// A command whose answer says that it is undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    pub run: Cmd,
    /// Its exit status then.
    pub status: i32,
    /// What it prints then, without blanks around; nothing is asked of it where this is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub says: Option<String>,
}

impl Proof {
    /// That a command succeeds.
    pub fn ok(run: Cmd) -> Self {
        Self { run, status: 0, says: None }
    }

    /// That it says no with this status: others are its own trouble.
    pub fn no(run: Cmd, status: i32) -> Self {
        Self { run, status, says: None }
    }

    /// That it succeeds and prints this.
    pub fn says(run: Cmd, says: impl Into<String>) -> Self {
        Self { run, status: 0, says: Some(says.into()) }
    }

    fn holds(&self, output: &Output) -> bool {
        output.status == self.status && self.says.as_ref().is_none_or(|says| output.out().trim() == says.trim())
    }
}

/// Finds where a command runs; none where there is no such place.
pub type Shells<'a> = &'a (dyn Fn(&At) -> Option<Arc<dyn Shell>> + Send + Sync);

/// Between two looks.
const AGAIN: Duration = Duration::from_millis(500);
/// What each step is given however much time those before it took.
const LEAST: Duration = Duration::from_secs(10);
/// One command, where it says nothing of its own.
const ONE: Duration = Duration::from_secs(30);

/// The places of a stack: its ground, and its machines past whatever agent was in them.
pub fn shells(stack: &Stack) -> impl Fn(&At) -> Option<Arc<dyn Shell>> + Send + Sync + use<> {
    let ground = stack.ground.shell.clone();
    let own = |node: &crate::stack::machines::Node| -> Option<(String, Arc<dyn Shell>)> {
        let shell: Arc<dyn Shell> = match (&node.container, &node.guest) {
            (Some(container), _) => Arc::new(Container::new(ground.clone(), container.clone())),
            (None, Some(guest)) => guest.shell.clone(),
            (None, None) => return None,
        };
        Some((node.name().to_owned(), shell))
    };
    let nodes: BTreeMap<String, Arc<dyn Shell>> = stack.machines.nodes.iter().filter_map(own).collect();
    move |at| match at {
        At::Ground => Some(ground.clone()),
        At::Node(name) => nodes.get(name).cloned(),
    }
}

/// Undoes it all, in order, and returns when every proof holds. All is tried, whatever fails before.
///
/// # Errors
/// The first step that could not be proven when its time was over.
pub async fn heal(undos: &[Undo], shells: Shells<'_>, within: Duration) -> Result<(), FaultError> {
    let deadline = Instant::now() + within;
    let mut first = None;
    for undo in undos {
        let until = deadline.max(Instant::now() + LEAST.min(within));
        if let Err(error) = one(undo, shells, until).await {
            tracing::warn!(what = %undo.what.en, %error, "not undone");
            first = first.or(Some(error));
        }
    }
    first.map_or(Ok(()), Err)
}

/// Whether every proof holds as it is, without doing anything.
pub async fn is_healed(undos: &[Undo], shells: Shells<'_>) -> bool {
    for undo in undos {
        let Some(shell) = shells(&undo.at) else { return false };
        if proven(shell.as_ref(), undo, Instant::now() + ONE).await.is_err() {
            return false;
        }
    }
    true
}

async fn one(undo: &Undo, shells: Shells<'_>, until: Instant) -> Result<(), FaultError> {
    let Some(shell) = shells(&undo.at) else {
        let name = match &undo.at {
            At::Ground => String::new(),
            At::Node(name) => sanitize::line(name, 60),
        };
        return Err(failed(
            undo,
            &Text::new(format!("there is no machine {name} any more"), format!("ya no existe la máquina {name}")),
        ));
    };
    let shell = shell.as_ref();
    if proven(shell, undo, until).await.is_ok() {
        return Ok(());
    }
    let mut said = run(shell, &undo.run, until).await;
    loop {
        let seen = match proven(shell, undo, until).await {
            Ok(()) => return Ok(()),
            Err(seen) => seen,
        };
        if Instant::now() >= until {
            // What the command itself complained of comes before what was seen afterwards.
            return Err(failed(undo, &said.err().unwrap_or(seen)));
        }
        sleep(AGAIN).await;
        if said.is_err() {
            said = run(shell, &undo.run, until).await;
        }
    }
}

/// Runs it; what it said where it says no.
async fn run(shell: &dyn Shell, cmd: &Cmd, until: Instant) -> Result<(), Text> {
    let bounded = Cmd { timeout: Some(cmd.timeout.unwrap_or(ONE).min(left(until))), ..cmd.clone() };
    match shell.run(&bounded).await {
        Ok(output) if output.ok() => Ok(()),
        Ok(output) => Err(said(cmd, &output)),
        Err(error) => Err(error.text()),
    }
}

async fn proven(shell: &dyn Shell, undo: &Undo, until: Instant) -> Result<(), Text> {
    let mut seen = None;
    for proof in std::iter::once(&undo.proof).chain(&undo.moot) {
        let why = match ask(shell, proof, left(until)).await {
            Ok(output) if proof.holds(&output) => return Ok(()),
            Ok(output) => said(&proof.run, &output),
            Err(error) => error.text(),
        };
        seen = seen.or(Some(why));
    }
    Err(seen.unwrap_or_default())
}

async fn ask(shell: &dyn Shell, proof: &Proof, within: Duration) -> Result<Output, RunError> {
    let bounded = Cmd { timeout: Some(proof.run.timeout.unwrap_or(ONE).min(within)), ..proof.run.clone() };
    shell.run(&bounded).await
}

/// What is left of the time; never so little that nothing could answer.
fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now()).max(Duration::from_secs(2))
}

fn said(cmd: &Cmd, output: &Output) -> Text {
    let (status, said) = (output.status, sanitize::line(output.both().trim(), 300));
    Text::new(
        format!("`{cmd}` ended with status {status} and said: {said}"),
        format!("`{cmd}` terminó con estado {status} y dijo: {said}"),
    )
}

fn failed(undo: &Undo, seen: &Text) -> FaultError {
    let by_hand = match &undo.at {
        At::Ground => Text::new(format!("by hand: `{}`", undo.run), format!("a mano: `{}`", undo.run)),
        At::Node(name) => {
            let name = sanitize::line(name, 60);
            Text::new(format!("by hand, on {name}: `{}`", undo.run), format!("a mano, en {name}: `{}`", undo.run))
        }
    };
    FaultError::new(
        Reason::Host,
        format!("could not undo a fault ({}): {}; {}", undo.what.en, seen.en, by_hand.en),
        format!("no se pudo deshacer una falla ({}): {}; {}", undo.what.es, seen.es, by_hand.es),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::scripted::{Reply, Scripted};

    fn undo(name: &str) -> Undo {
        let (run, proof) = (Cmd::new(["docker", "start", name]), Cmd::new(["docker", "ps", name]));
        Undo::new(At::Ground, run, Proof::says(proof, "up"), Text::same(format!("{name} is started")))
    }

    async fn healed(shell: Scripted, undos: &[Undo]) -> (Result<(), FaultError>, Vec<String>) {
        let shell = Arc::new(shell);
        let there = shell.clone();
        let shells = move |at: &At| (*at == At::Ground).then(|| there.clone() as Arc<dyn Shell>);
        let result = heal(undos, &shells, Duration::from_secs(20)).await;
        (result, shell.asked())
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_so_already_is_not_done_again() {
        let (result, asked) =
            healed(Scripted::default().on(["docker", "ps"], vec![Reply::out("up\n")]), &[undo("a")]).await;
        assert!(result.is_ok());
        assert_eq!(asked, ["docker ps a"]);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_done_once_and_asked_for_until_it_is_so() {
        let ps = vec![Reply::out(""), Reply::out(""), Reply::fail(1, "busy"), Reply::out("up")];
        let shell = Scripted::default().on(["docker", "ps"], ps).on(["docker", "start"], vec![Reply::out("a")]);
        let (result, asked) = healed(shell, &[undo("a")]).await;
        assert!(result.is_ok());
        assert_eq!(asked, ["docker ps a", "docker start a", "docker ps a", "docker ps a", "docker ps a"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_command_that_fails_is_tried_again() {
        let ps = vec![Reply::out(""), Reply::out(""), Reply::out("up")];
        let start = vec![Reply::fail(1, "not yet"), Reply::out("a")];
        let shell = Scripted::default().on(["docker", "ps"], ps).on(["docker", "start"], start);
        let (result, asked) = healed(shell, &[undo("a")]).await;
        assert!(result.is_ok());
        assert_eq!(asked.iter().filter(|line| line.starts_with("docker start")).count(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn everything_is_tried_and_the_first_failure_is_told() {
        let shell = Scripted::default()
            .on(["docker", "ps", "a"], vec![Reply::out("")])
            .on(["docker", "start", "a"], vec![Reply::fail(1, "no such image")])
            .on(["docker", "ps", "b"], vec![Reply::out(""), Reply::out("up")])
            .on(["docker", "start", "b"], vec![Reply::out("")]);
        let gone = Undo { at: At::Node("w9".into()), ..undo("c") };
        let began = Instant::now();
        let (result, asked) = healed(shell, &[undo("a"), gone.clone(), undo("b")]).await;
        let error = result.unwrap_err();
        assert_eq!(error.reason, Reason::Host);
        for part in ["a is started", "no such image", "by hand: `docker start a`"] {
            assert!(error.text.en.contains(part), "{}", error.text.en);
        }
        assert_eq!(asked.last().map(String::as_str), Some("docker ps b"), "{asked:?}");
        assert!(began.elapsed() < Duration::from_secs(35), "{:?}", began.elapsed());
        let (result, _) = healed(Scripted::default(), &[gone]).await;
        assert!(result.unwrap_err().text.en.contains("no machine w9"));
    }

    #[tokio::test(start_paused = true)]
    async fn whether_it_is_undone_can_be_asked_without_doing_it() {
        let shell: Arc<dyn Shell> = Arc::new(
            Scripted::default()
                .on(["docker", "ps", "a"], vec![Reply::out("up")])
                .on(["docker", "ps", "b"], vec![Reply::fail(1, "")]),
        );
        let shells = move |_: &At| Some(shell.clone());
        assert!(is_healed(&[undo("a")], &shells).await);
        assert!(!is_healed(&[undo("a"), undo("b")], &shells).await);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_hit_and_is_gone_needs_no_undoing() {
        let shell = Scripted::default()
            .on(["docker", "ps", "a"], vec![Reply::fail(1, "no such container")])
            .on(["docker", "ps", "-a"], vec![Reply::out("")]);
        let gone = undo("a").unless(Proof::says(Cmd::new(["docker", "ps", "-a"]), ""));
        let (result, asked) = healed(shell, &[gone]).await;
        assert!(result.is_ok());
        assert_eq!(asked, ["docker ps a", "docker ps -a"]);
    }

    #[test]
    fn a_command_that_has_its_own_trouble_proves_nothing() {
        let says = |status| Output { status, ..Output::default() };
        let absent = Proof::no(Cmd::new(["test", "-e", "/x"]), 1);
        assert!(absent.holds(&says(1)) && !absent.holds(&says(0)) && !absent.holds(&says(127)));
    }

    #[test]
    fn it_is_data_that_another_process_reads() {
        let undo = Undo { run: Cmd::new(["tee", "/x"]).stdin("\0é"), ..undo("a") };
        let text = serde_json::to_string(&undo).unwrap();
        assert_eq!(serde_json::from_str::<Undo>(&text).unwrap(), undo);
    }
}

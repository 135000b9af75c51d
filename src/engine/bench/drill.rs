//! A drill against a script that takes the same steps: what is asked of the page every half second until it is steady, the kill,
//! the page again until it is back, and the time that it has to stay so.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::exec::{Cmd, Shell, ShellExt};
use crate::plan::{Plan, PlannedCheck};
use crate::probe::Attempt;
use crate::stack::Stack;
use crate::text::Text;

/// A script takes as long as it waits.
const LONGEST: Duration = Duration::from_secs(180);

/// What a person would write, read from standard input.
const SCRIPT: &str = include_str!("../../../benches/drill.sh");

/// One drill, and the script, in seconds.
#[derive(Clone, Debug, Default)]
pub struct Drilled {
    pub id: String,
    pub by_hand: Vec<f64>,
    pub ours: Vec<f64>,
}

/// The first drill that kills the app and watches its page, and writes nothing; none where the scenario has no such.
///
/// # Errors
/// One of the two did not come to its end.
pub async fn drill(
    plan: &Plan,
    stack: &Arc<Stack>,
    shell: &dyn Shell,
    url: &str,
    app: &str,
    pairs: usize,
) -> Result<Option<Drilled>, Text> {
    let Some(check) = plan.checks.iter().find(|check| is_simple(check)) else { return Ok(None) };
    let mut drilled = Drilled { id: check.probe.drill().unwrap_or_default().to_owned(), ..Drilled::default() };
    for _ in 0..pairs {
        let timeout = check.probe.longest();
        stack.drills.lock().await.clear();
        let began = Instant::now();
        let attempt = Attempt { timeout, waited: Duration::ZERO, within: timeout, last: true };
        check.probe.observe(stack, attempt).await.map_err(|e| e.text)?;
        let ours = began.elapsed().as_secs_f64();
        let began = Instant::now();
        let script = Cmd::new(["sh", "-s", "--", url, app]).stdin(SCRIPT).timeout(LONGEST);
        shell.must(&script).await.map_err(|e| e.text())?;
        drilled.by_hand.push(began.elapsed().as_secs_f64());
        drilled.ours.push(ours);
    }
    Ok(Some(drilled))
}

fn is_simple(check: &PlannedCheck) -> bool {
    let params = &check.spec.params;
    let killed = params.get("fault").and_then(|fault| fault.get("kill")?.get("role")?.text());
    let watched = params.get("watch").and_then(|watch| watch.get("page")?.text());
    check.probe.drill().is_some() && (killed, watched, params.get("ledger")) == (Some("app"), Some("app"), None)
}

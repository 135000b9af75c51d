//! What carries a command out somewhere else (`docker exec`, `ssh`): its time limit is kept there (`timeout`, of coreutils or
//! busybox), since ending the client ends nothing there.

use std::time::Duration;

use super::{Cmd, Output, RunError, RunErrorKind, Shell};

/// What a clean environment starts with.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Between TERM and KILL.
const GRACE: Duration = Duration::from_secs(3);
/// Bytes of the last output of a command that ran out of time.
const LAST: usize = 2000;

/// The words before a command's own that end it there when its time is over; none where it has no limit.
pub(super) fn limit(cmd: &Cmd) -> Vec<String> {
    let seconds = |time: Duration| time.as_secs_f64().to_string();
    let words = |after| vec!["timeout".to_owned(), "-k".to_owned(), seconds(GRACE), seconds(after)];
    cmd.timeout.map(words).unwrap_or_default()
}

/// Runs `wrapped`, which carries `cmd` out from where `shell` is. `slack` is on top of the limit and its grace: for a client that
/// does not even start the command.
pub(super) async fn run(
    shell: &dyn Shell,
    cmd: &Cmd,
    mut wrapped: Cmd,
    slack: Duration,
) -> Result<Output, RunErrorKind> {
    wrapped.stdin.clone_from(&cmd.stdin);
    wrapped.timeout = cmd.timeout.map(|after| after + GRACE + slack);
    let output = match shell.run(&wrapped).await {
        Ok(output) => output,
        Err(RunError { kind: RunErrorKind::Timeout(_, last), .. }) => {
            return Err(RunErrorKind::Timeout(cmd.timeout.unwrap_or_default(), last));
        }
        Err(RunError { kind, .. }) => return Err(kind),
    };
    match cmd.timeout.filter(|after| ran_out(&output, *after)) {
        None => Ok(output),
        Some(after) => {
            let both = output.both();
            let from = both.char_indices().rev().nth(LAST - 1).map_or(0, |(i, _)| i);
            Err(RunErrorKind::Timeout(after, both[from..].trim().to_owned()))
        }
    }
}

/// `timeout` ends with 124 after TERM and 137 after KILL.
fn ran_out(output: &Output, after: Duration) -> bool {
    matches!(output.status, 124 | 137) && output.elapsed >= after
}

//! Runs commands on this host, each in a process group of its own.
//!
//! Ending a command means ending its whole group: vagrant, compose and make leave children behind when only they are
//! killed. A group of its own also keeps a Ctrl-C at the terminal from reaching a compose in the middle of a teardown.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use async_trait::async_trait;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::{Instant, timeout};

use super::capture::Shared;
use super::{Cmd, Follower, Output, Piped, RunError, RunErrorKind, Said, Shell};

/// Between TERM and KILL: long enough for a tool to remove its lock files.
const GRACE: Duration = Duration::from_secs(3);
/// How long a pipe may stay open after the command itself has ended, held by a child that it left behind.
const LINGER: Duration = Duration::from_secs(2);
/// How much of the output goes into an error.
const SHOWN: usize = 2000;

/// This host.
#[derive(Clone, Copy, Debug, Default)]
pub struct Local;

#[async_trait]
impl Shell for Local {
    fn place(&self) -> String {
        "this host".into()
    }

    async fn run(&self, cmd: &Cmd) -> Result<Output, RunError> {
        self.run_told(cmd, None).await
    }

    async fn follow(&self, cmd: &Cmd, said: Said) -> Result<Output, RunError> {
        self.run_told(cmd, Some(said)).await
    }

    async fn pipe(&self, cmd: &Cmd) -> Result<Piped, RunError> {
        let error = |kind| RunError { cmd: cmd.clone(), place: self.place(), kind };
        let mut process = Process::start(cmd, true).map_err(|e| error(e.into()))?;
        let streams = (process.child.stdin.take(), process.child.stdout.take());
        let (Some(stdin), Some(stdout)) = streams else {
            return Err(error(io::Error::other("the command has no pipes").into()));
        };
        let logging = process.child.stderr.take().map(|pipe| Task::spawn(log(cmd.to_string(), pipe)));
        Ok(Piped { stdin: Box::new(stdin), stdout: Box::new(stdout), guard: Box::new((process, logging)) })
    }
}

impl Local {
    async fn run_told(&self, cmd: &Cmd, said: Option<Said>) -> Result<Output, RunError> {
        let error = |kind| RunError { cmd: cmd.clone(), place: self.place(), kind };
        let began = Instant::now();
        let mut process = Process::start(cmd, cmd.stdin.is_some()).map_err(|e| error(e.into()))?;

        // Both pipes are read at once: a full one would stop the command, and with it the reading of the other.
        let (stdout, stderr) = (Shared::default(), Shared::default());
        let reading = {
            let told = || said.clone().map(Follower::new);
            let out = process.child.stdout.take().map(|pipe| stdout.clone().fill(pipe, told()));
            let err = process.child.stderr.take().map(|pipe| stderr.clone().fill(pipe, told()));
            Task::spawn(async move { tokio::join!(some(out), some(err)) })
        };
        let _writing = process.child.stdin.take().zip(cmd.stdin.clone()).map(|(mut pipe, bytes)| {
            // A command that does not want all of its input is no error.
            Task::spawn(async move { drop(pipe.write_all(&bytes).await) })
        });

        let ended = match cmd.timeout {
            Some(after) => timeout(after, process.child.wait()).await.ok(),
            None => Some(process.child.wait().await),
        };
        let Some(ended) = ended else {
            process.end().await;
            let both = format!("{}\n{}", stdout.end(SHOWN), stderr.end(SHOWN));
            return Err(error(RunErrorKind::Timeout(cmd.timeout.unwrap_or_default(), both.trim().to_owned())));
        };
        let status = ended.map_err(|e| error(e.into()))?;
        let mut reading = reading;
        if timeout(LINGER, &mut reading.0).await.is_err() {
            tracing::debug!(%cmd, "ended, but a child of it kept the pipes open; ending the group");
            process.group.signal(Signal::SIGKILL);
        }
        process.group.forget();
        Ok(Output { status: code(status), stdout: stdout.bytes(), stderr: stderr.bytes(), elapsed: began.elapsed() })
    }
}

/// A running command. Dropping it ends the group at once and leaves the reaping to tokio.
struct Process {
    // First, so that the group is ended while its leader's id cannot have been given to another process yet.
    group: Group,
    child: Child,
}

impl Process {
    fn start(cmd: &Cmd, stdin: bool) -> io::Result<Self> {
        let Some((program, args)) = cmd.argv.split_first() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no command was given"));
        };
        let mut command = Command::new(program);
        command.args(args).process_group(0).kill_on_drop(true);
        if cmd.clean_env {
            command.env_clear();
            command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        }
        command.envs(cmd.env.iter().map(|(name, value)| (name, value)));
        if let Some(dir) = &cmd.cwd {
            command.current_dir(dir);
        }
        command.stdin(if stdin { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().map_err(|e| explain(e, program, cmd.cwd.as_deref()))?;
        let group = Group(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw));
        Ok(Self { group, child })
    }

    /// TERM to the group, a short wait, KILL.
    async fn end(&mut self) {
        self.group.signal(Signal::SIGTERM);
        // The leader's end is not the group's: whoever ignored TERM is killed all the same.
        drop(timeout(GRACE, self.child.wait()).await);
        self.group.signal(Signal::SIGKILL);
        self.group.forget();
        drop(timeout(GRACE, self.child.wait()).await);
    }
}

/// A process group that is killed when dropped, unless it was seen to end.
struct Group(Option<Pid>);

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(leader) = self.0 {
            // ESRCH: nobody is left, which is what was wanted.
            let _ = killpg(leader, signal);
        }
    }

    fn forget(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}

/// A task that ends with its owner.
struct Task<T>(tokio::task::JoinHandle<T>);

impl<T: Send + 'static> Task<T> {
    fn spawn(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn some(work: Option<impl Future<Output = ()>>) {
    if let Some(work) = work {
        work.await;
    }
}

async fn log(cmd: String, stderr: ChildStderr) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        tracing::debug!(target: "imparcial::stderr", %cmd, "{line}");
    }
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

/// "No such file" alone does not say which: the program, or the folder that it should start in.
fn explain(error: io::Error, program: &str, cwd: Option<&str>) -> io::Error {
    let text = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => match cwd {
            Some(dir) if !std::path::Path::new(dir).is_dir() => format!("there is no folder {dir} to run it in"),
            _ if program.contains('/') => format!("there is no program {program}"),
            _ => format!("`{program}` is not installed: it is nowhere in PATH"),
        },
        io::ErrorKind::PermissionDenied => format!("{program} may not be executed: {error}"),
        _ => return error,
    };
    io::Error::new(error.kind(), text)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::exec::ShellExt;

    fn sh(script: &str) -> Cmd {
        Cmd::new(["sh", "-c", script])
    }

    /// Alive and not a zombie.
    fn alive(pid: &str) -> bool {
        std::fs::read_to_string(Path::new("/proc").join(pid).join("stat"))
            .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'))
    }

    async fn gone(pid: &str) -> bool {
        for _ in 0..100 {
            if !alive(pid) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }

    async fn written(path: &Path) -> String {
        for _ in 0..200 {
            match std::fs::read_to_string(path) {
                Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        panic!("{} was never written", path.display());
    }

    #[tokio::test]
    async fn gives_status_streams_environment_and_folder() {
        let cmd = sh("pwd; echo $WHAT; echo bad >&2; exit 3").env("WHAT", "a b").cwd("/usr");
        let output = Local.run(&cmd).await.unwrap();
        assert_eq!(output.status, 3);
        assert_eq!(output.out(), "/usr\na b\n");
        assert_eq!(output.err(), "bad\n");
    }

    #[tokio::test]
    async fn a_clean_environment_holds_path_and_what_was_given() {
        let cmd = Cmd { clean_env: true, ..Cmd::new(["env"]).env("A", "1") };
        let output = Local.must(&cmd).await.unwrap();
        let names: Vec<String> = output.out().lines().filter_map(|l| Some(l.split_once('=')?.0.to_owned())).collect();
        assert!(names.iter().all(|name| name == "A" || name == "PATH"), "{names:?}");
        assert!(names.contains(&"A".to_owned()));
    }

    #[tokio::test]
    async fn a_signal_is_128_and_its_number() {
        assert_eq!(Local.run(&sh("kill -KILL $$")).await.unwrap().status, 137);
    }

    #[tokio::test]
    async fn carries_input_and_survives_a_command_that_does_not_want_it() {
        let text = "x".repeat(1 << 20);
        let output = Local.run(&Cmd::new(["wc", "-c"]).stdin(text.clone())).await.unwrap();
        assert_eq!(output.out().trim(), "1048576");
        assert_eq!(Local.run(&Cmd::new(["true"]).stdin(text)).await.unwrap().status, 0);
    }

    #[tokio::test]
    async fn much_output_on_both_pipes_neither_blocks_nor_grows() {
        let cmd = sh("head -c 9000000 /dev/zero | tr '\\0' e >&2 & head -c 9000000 /dev/zero | tr '\\0' o; wait")
            .timeout(Duration::from_secs(60));
        let output = Local.run(&cmd).await.unwrap();
        for stream in [&output.stdout, &output.stderr] {
            assert!(stream.len() > 4 << 20 && stream.len() < (4 << 20) + 100, "{}", stream.len());
            assert!(String::from_utf8_lossy(stream).contains("bytes left out"));
        }
    }

    #[tokio::test]
    async fn lines_are_told_before_the_command_ends() {
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let said: Said = Arc::new(move |line| drop(tell.send(line.to_owned())));
        let dir = tempfile::tempdir().unwrap();
        let seen = dir.path().join("seen");
        let script = format!("echo first; while [ ! -e {} ]; do sleep 0.02; done; echo second >&2", seen.display());
        let cmd = sh(&script).timeout(Duration::from_secs(20));
        let (output, first) = tokio::join!(Local.follow(&cmd, said), async {
            let first = told.recv().await;
            std::fs::write(&seen, "").unwrap();
            first
        });
        assert_eq!((first.as_deref(), told.recv().await.as_deref()), (Some("first"), Some("second")));
        let output = output.unwrap();
        assert_eq!((output.out(), output.err()), ("first\n".to_owned(), "second\n".to_owned()));
    }

    #[tokio::test]
    async fn a_timeout_ends_children_of_children_too() {
        let dir = tempfile::tempdir().unwrap();
        let pid = dir.path().join("pid");
        // The grandchild ignores TERM: only the KILL that follows ends it.
        let script = format!("echo begun; sh -c 'trap \"\" TERM; echo $$ > {}; sleep 300' & sleep 300", pid.display());
        let began = Instant::now();
        let error = Local.run(&sh(&script).timeout(Duration::from_millis(700))).await.unwrap_err();
        assert!(began.elapsed() < Duration::from_secs(10));
        assert!(matches!(&error.kind, RunErrorKind::Timeout(_, last) if last == "begun"), "{error}");
        assert!(gone(&written(&pid).await).await, "the grandchild lives on");
    }

    #[tokio::test]
    async fn giving_up_waiting_ends_the_group() {
        let dir = tempfile::tempdir().unwrap();
        let pid = dir.path().join("pid");
        let cmd = sh(&format!("sh -c 'echo $$ > {}; sleep 300' & wait", pid.display()));
        let running = tokio::spawn(async move { Local.run(&cmd).await.map(|o| o.status) });
        let grandchild = written(&pid).await;
        assert!(alive(&grandchild));
        running.abort();
        assert!(gone(&grandchild).await, "the grandchild lives on");
    }

    #[tokio::test]
    async fn a_child_left_behind_does_not_hold_the_answer_back() {
        let began = Instant::now();
        let output = Local.run(&sh("echo done; sleep 300 &")).await.unwrap();
        assert_eq!(output.out(), "done\n");
        assert!(began.elapsed() < Duration::from_secs(10));
    }

    #[tokio::test]
    async fn says_what_is_missing() {
        let error = Local.run(&Cmd::new(["imparcial-no-such-program"])).await.unwrap_err();
        assert!(error.to_string().contains("`imparcial-no-such-program` is not installed"), "{error}");
        let error = Local.run(&Cmd::new(["true"]).cwd("/no/such/folder")).await.unwrap_err();
        assert!(error.to_string().contains("there is no folder /no/such/folder"), "{error}");
    }

    #[tokio::test]
    async fn a_pipe_talks_and_ends_with_its_guard() {
        let mut piped = Local.pipe(&sh("echo $$; exec cat")).await.unwrap();
        piped.stdin.write_all(b"hello").await.unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"hello") {
            let mut buffer = [0; 64];
            let n = piped.stdout.read(&mut buffer).await.unwrap();
            assert!(n > 0, "ended early");
            seen.extend_from_slice(&buffer[..n]);
        }
        let pid = String::from_utf8_lossy(&seen).lines().next().unwrap_or_default().to_owned();
        assert!(alive(&pid));
        drop(piped);
        assert!(gone(&pid).await);
    }
}

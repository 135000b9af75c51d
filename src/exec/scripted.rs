//! Answers from a script and keeps a log of what was asked, for tests.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use super::{Cmd, Output, Piped, RunError, RunErrorKind, Shell};

/// A place where only foreseen commands run.
///
/// A command is answered by the first rule whose words its argv begins with; a rule given several answers gives them one
/// after the other and repeats the last. A command that no rule foresees is an error, so that a test notices.
#[derive(Default)]
pub struct Scripted {
    rules: Mutex<Vec<(Vec<String>, VecDeque<Reply>)>>,
    asked: Mutex<Vec<Cmd>>,
}

/// What a foreseen command gives.
#[derive(Clone, Debug)]
pub enum Reply {
    Says { status: i32, stdout: String, stderr: String },
    Gone(String),
}

impl Reply {
    pub fn out(stdout: impl Into<String>) -> Self {
        Self::Says { status: 0, stdout: stdout.into(), stderr: String::new() }
    }

    pub fn fail(status: i32, stderr: impl Into<String>) -> Self {
        Self::Says { status, stdout: String::new(), stderr: stderr.into() }
    }
}

impl Scripted {
    pub fn on<S: Into<String>>(self, begins: impl IntoIterator<Item = S>, replies: Vec<Reply>) -> Self {
        let words = begins.into_iter().map(Into::into).collect();
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).push((words, replies.into()));
        self
    }

    /// Every command that was asked for, as it would be typed.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).iter().map(Cmd::to_string).collect()
    }

    fn next(&self, cmd: &Cmd) -> Option<Reply> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, replies) = rules.iter_mut().find(|(words, _)| cmd.argv.starts_with(words))?;
        if replies.len() > 1 { replies.pop_front() } else { replies.front().cloned() }
    }
}

#[async_trait]
impl Shell for Scripted {
    fn place(&self) -> String {
        "the script".into()
    }

    async fn run(&self, cmd: &Cmd) -> Result<Output, RunError> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(cmd.clone());
        let error = |kind| RunError { cmd: cmd.clone(), place: self.place(), kind };
        match self.next(cmd) {
            Some(Reply::Says { status, stdout, stderr }) => {
                Ok(Output { status, stdout: stdout.into(), stderr: stderr.into(), ..Output::default() })
            }
            Some(Reply::Gone(why)) => Err(error(RunErrorKind::Gone(why))),
            None => Err(error(std::io::Error::other("the script does not foresee it").into())),
        }
    }

    async fn pipe(&self, cmd: &Cmd) -> Result<Piped, RunError> {
        let kind = std::io::Error::other("the script has no pipes").into();
        Err(RunError { cmd: cmd.clone(), place: self.place(), kind })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_in_order_and_repeats_the_last() {
        let shell = Scripted::default().on(["docker", "ps"], vec![Reply::out("one"), Reply::fail(1, "no")]);
        let ps = Cmd::new(["docker", "ps", "-a"]);
        assert_eq!(shell.run(&ps).await.unwrap().out(), "one");
        assert_eq!(shell.run(&ps).await.unwrap().status, 1);
        assert_eq!(shell.run(&ps).await.unwrap().err(), "no");
        assert!(shell.run(&Cmd::new(["docker", "rm"])).await.is_err());
        assert_eq!(shell.asked().len(), 4);
    }
}

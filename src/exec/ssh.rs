//! Runs commands in a virtual machine, as root, by `ssh` from the lab that has it. One connection is kept open and shared: on an
//! emulated processor a new one takes seconds.
//!
//! What goes through an SSH server is read by a shell there, so every word is quoted.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::within::{self, PATH};
use super::{Cmd, Output, Piped, RunError, RunErrorKind, Shell};

/// Vagrant's own key, which every box trusts until another one is made: the home Vagrantfile says that none is.
const KEY: &str = "/root/.vagrant.d/insecure_private_key";
/// In the lab, by host.
const CONTROL: &str = "/run/imparcial/ssh-%h";
/// Until a connection is there, on an emulated processor that does other things besides.
const CONNECTS: Duration = Duration::from_secs(30);
/// The client's own word for a connection that it did not get, or lost.
const NO_CONNECTION: i32 = 255;

/// A machine, reached through the client of `ground`.
#[derive(Clone)]
pub struct Ssh {
    ground: Arc<dyn Shell>,
    /// For messages: the machine's name.
    name: String,
    address: String,
}

impl Ssh {
    pub fn new(ground: Arc<dyn Shell>, name: impl Into<String>, address: impl Into<String>) -> Self {
        Self { ground, name: name.into(), address: address.into() }
    }

    /// The client with its options, as other tools take it (`rsync -e`).
    pub fn client() -> Vec<String> {
        let control = format!("ControlPath={CONTROL}");
        let options = [
            "ControlMaster=auto",
            "ControlPersist=600",
            // One that was turned off says nothing: it is given up after a quarter of a minute.
            "ServerAliveInterval=5",
            "ServerAliveCountMax=3",
            &control,
        ];
        with(CONNECTS, &options)
    }

    /// A connection of its own, as a stranger with the key makes it: whether anybody is let in.
    pub fn knock(address: &str, within: Duration) -> Cmd {
        Cmd::new(with(within, &["ControlPath=none"])).arg(format!("vagrant@{address}")).args(["--", "true"])
    }

    /// The command as the ground runs it: for what talks with it there.
    pub fn over(&self, cmd: &Cmd) -> Cmd {
        let mut words: Vec<String> = ["sudo", "-n", "env"].map(str::to_owned).to_vec();
        if let Some(dir) = &cmd.cwd {
            words.extend(["-C".to_owned(), dir.clone()]);
        }
        if cmd.clean_env {
            words.extend(["-i".to_owned(), format!("PATH={PATH}")]);
        }
        words.extend(cmd.env.iter().map(|(name, value)| format!("{name}={value}")));
        words.extend(within::limit(cmd));
        words.extend(cmd.argv.iter().cloned());
        // As it is printed to be pasted into a shell.
        let line = Cmd::new(words).to_string();
        Cmd::new(Self::client()).arg(format!("vagrant@{}", self.address)).arg("--").arg(line)
    }
}

/// The client with Vagrant's own key and no other settings than these, which gives up a machine that lets nobody in by then.
fn with(connects: Duration, own: &[&str]) -> Vec<String> {
    let connects = format!("ConnectTimeout={}", connects.as_secs());
    let all =
        ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes", &connects];
    let mut words: Vec<String> = ["ssh", "-F", "/dev/null", "-i", KEY].map(str::to_owned).to_vec();
    words.extend(all.iter().chain(own).flat_map(|option| ["-o".to_owned(), (*option).to_owned()]));
    words
}

#[async_trait]
impl Shell for Ssh {
    fn place(&self) -> String {
        format!("machine {}", self.name)
    }

    async fn run(&self, cmd: &Cmd) -> Result<Output, RunError> {
        let error = |kind| RunError { cmd: cmd.clone(), place: self.place(), kind };
        let output = within::run(self.ground.as_ref(), cmd, self.over(cmd), CONNECTS).await.map_err(error)?;
        match output.status {
            NO_CONNECTION => Err(error(RunErrorKind::Gone(output.err().trim().to_owned()))),
            127 => Err(error(std::io::Error::new(std::io::ErrorKind::NotFound, output.both()).into())),
            _ => Ok(output),
        }
    }

    async fn pipe(&self, cmd: &Cmd) -> Result<Piped, RunError> {
        let piped = self.ground.pipe(&self.over(cmd)).await;
        piped.map_err(|e| RunError { cmd: cmd.clone(), place: self.place(), kind: e.kind })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::scripted::{Reply, Scripted};

    fn over(reply: Reply) -> (Arc<Scripted>, Ssh) {
        let script = Arc::new(Scripted::default().on(["ssh"], vec![reply]));
        (script.clone(), Ssh::new(script, "master", "192.168.121.5"))
    }

    #[tokio::test]
    async fn words_folder_environment_and_limit_reach_the_machine_as_they_are() {
        let (script, ssh) = over(Reply::out("ok"));
        let cmd = Cmd::new(["ls", "a b", "it's"]).cwd("/work").env("A", "1 2").timeout(Duration::from_millis(1500));
        ssh.run(&cmd).await.unwrap();
        let asked = script.asked().remove(0);
        let line = "sudo -n env -C /work 'A=1 2' timeout -k 3 1.5 ls 'a b' 'it'\\''s'";
        let quoted = Cmd::new([line]).to_string();
        assert!(asked.ends_with(&format!(" vagrant@192.168.121.5 -- {quoted}")), "{asked}");
    }

    #[tokio::test]
    async fn a_connection_that_is_lost_is_no_answer_of_the_command() {
        let (_, ssh) = over(Reply::fail(255, "ssh: connect to host 192.168.121.5 port 22: No route to host"));
        let error = ssh.run(&Cmd::new(["true"])).await.unwrap_err();
        assert!(matches!(&error.kind, RunErrorKind::Gone(why) if why.contains("No route")), "{error}");
        let (_, ssh) = over(Reply::fail(3, "no"));
        assert_eq!(ssh.run(&Cmd::new(["false"])).await.unwrap().status, 3);
        let (_, ssh) = over(Reply::fail(127, "env: 'nope': No such file or directory"));
        assert!(matches!(ssh.run(&Cmd::new(["nope"])).await.unwrap_err().kind, RunErrorKind::Start(_)));
    }
}

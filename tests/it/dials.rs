//! What an agent hears in network namespaces: real ones, and real packets in them. Needs root, as the live tests do.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use imparcial::agent::dials::Dials;
use imparcial::agent::{Agent, Agents, Look, Sight};
use imparcial::exec::local::Local;

use crate::live::eventually;

const SOON: Duration = Duration::from_secs(10);

/// Asks docker's resolver for `db`, at a rewritten port, and dials what nothing listens at. Bash alone can do both. It waits first, as the
/// runtime's process does while the engine makes its network, and without another program.
const APP: &str = r"read -t 0.3; ip link set lo up
printf '\0\7\1\0\0\1\0\0\0\0\0\0\2db\0\0\1\0\1' >/dev/udp/127.0.0.11/40381
(exec 3<>/dev/tcp/127.0.0.1/3306) 2>/dev/null; sleep 60";

/// As an engine names them.
const APP_NAME: &str = "5f2d8a1b9c3e";

fn root() -> bool {
    if std::env::var("IMPARCIAL_SKIP_LIVE").is_ok_and(|v| v == "1") {
        eprintln!("skipped: IMPARCIAL_SKIP_LIVE=1");
        return false;
    }
    assert!(nix::unistd::geteuid().is_root(), "needs root (IMPARCIAL_SKIP_LIVE=1 skips the tests that do)");
    true
}

/// A namespace as an engine makes one: a file in its folder, the namespace put over it, and a process in it that is not the
/// container's own until later.
struct Namespace(Child, std::path::PathBuf);

impl Namespace {
    fn new(folder: &Path, programs: &Path, name: &str) -> Self {
        let file = folder.join(name);
        std::fs::write(&file, "").unwrap();
        // Of its own: a program that runs cannot be written anew.
        let programs = programs.join(name);
        std::fs::create_dir(&programs).unwrap();
        let program = |from: &str, called: &str| {
            let to = programs.join(called);
            std::fs::copy(from, &to).unwrap();
            to
        };
        let runtime = program("/usr/bin/unshare", "runc:[1:CHILD]");
        let first = program("/bin/bash", "runc:[2:INIT]");
        let mut net = std::ffi::OsString::from("--net=");
        net.push(&file);
        Self(Command::new(runtime).arg(net).arg(first).args(["-c", APP]).stdin(Stdio::piped()).spawn().unwrap(), file)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
        nix::mount::umount(&self.1).ok();
    }
}

async fn heard(agent: &Agent, namespace: &str) -> Option<Dials> {
    match agent.look(Look::Dials { namespace: namespace.into() }, SOON).await.unwrap() {
        Sight::Dials { seen } => seen,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_leaves_a_namespace_is_heard_from_its_beginning() {
    if !root() {
        return;
    }
    let (folder, programs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let agents = Agents::new(Arc::new(Local), env!("CARGO_BIN_EXE_imparcial"));
    let agent = agents.lab().await.unwrap();
    let unheard = agent.look(Look::Dials { namespace: APP_NAME.into() }, SOON).await.unwrap();
    assert!(matches!(unheard, Sight::Unable { .. }), "{unheard:?}");

    let _old = Namespace::new(folder.path(), programs.path(), "0123456789ab");
    tokio::time::sleep(Duration::from_millis(600)).await;
    let listen = Look::Listen { folder: folder.path().to_string_lossy().into_owned() };
    assert!(matches!(agent.look(listen.clone(), SOON).await.unwrap(), Sight::Listening));
    assert!(matches!(agent.look(listen, SOON).await.unwrap(), Sight::Listening), "once more changes nothing");
    let app = Namespace::new(folder.path(), programs.path(), APP_NAME);

    let whole = || async { heard(&agent, APP_NAME).await.is_some_and(|d| d.attempts.iter().any(|a| a.refused)) };
    assert!(eventually(SOON, whole).await, "{:?}", heard(&agent, APP_NAME).await);
    let dials = heard(&agent, APP_NAME).await.unwrap();
    assert!(dials.from_start && dials.whole, "{dials:?}");
    assert_eq!(dials.questions.iter().map(|q| q.name.as_str()).collect::<Vec<_>>(), ["db"]);
    assert_eq!(dials.questions[0].at.len(), 1, "each packet of `lo` passes twice");
    assert_eq!(dials.attempts.iter().map(|a| a.to.to_string()).collect::<Vec<_>>(), ["127.0.0.1:3306"]);
    assert!(!dials.attempts[0].accepted);

    let old = heard(&agent, "0123456789ab").await.unwrap();
    assert!(!old.from_start, "its process ran before anybody listened");
    let _machine = Namespace::new(folder.path(), programs.path(), "default");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(heard(&agent, "default").await, None, "no container's");
    assert_eq!(heard(&agent, "never").await, None);
    // What was heard stays when the namespace is gone.
    drop(app);
    std::fs::remove_file(folder.path().join(APP_NAME)).unwrap();
    assert_eq!(heard(&agent, APP_NAME).await.map(|d| d.attempts.len()), Some(1));
}

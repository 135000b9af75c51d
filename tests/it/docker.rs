//! The engine's calls and `docker exec`, on the host's own engine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{CreateContainerOptionsBuilder, StartContainerOptions};
use imparcial::docker::{Engine, EngineErrorKind};
use imparcial::exec::container::Container;
use imparcial::exec::local::Local;
use imparcial::exec::{Cmd, RunErrorKind, Shell, ShellExt};
use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::{UnixListener, UnixStream};

use crate::live::{engine, run_name};

/// A container that prints two lines a second apart and then sleeps; it is removed with this.
struct Still {
    name: String,
}

impl Still {
    async fn start(engine: &Engine, what: &str) -> Self {
        let still = Self { name: format!("imparcial-{}", run_name(what)) };
        let script = "echo first; echo wrong >&2; sleep 1; echo second; exec sleep 1000";
        let body = ContainerCreateBody {
            image: Some("imparcial/lab".into()),
            entrypoint: Some(["sh", "-c", script].map(String::from).to_vec()),
            env: Some(vec!["A=1".into()]),
            ..ContainerCreateBody::default()
        };
        let options = CreateContainerOptionsBuilder::new().name(&still.name).build();
        engine.docker().create_container(Some(options), body).await.unwrap();
        engine.docker().start_container(&still.name, None::<StartContainerOptions>).await.unwrap();
        still
    }

    fn shell(&self) -> Container {
        Container::new(Arc::new(Local), &self.name)
    }
}

impl Drop for Still {
    fn drop(&mut self) {
        let removal = ["rm", "-f", "-v", &self.name];
        let _ = std::process::Command::new("docker").args(removal).output();
    }
}

/// A tar of one file.
fn tar(name: &str, content: &str) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    tar.append_data(&mut header, name, content.as_bytes()).unwrap();
    tar.into_inner().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_files_and_logs_of_a_container() {
    let Some(engine) = engine().await else { return };
    let still = Still::start(&engine, "calls").await;
    let before = engine.container(&still.name).await.unwrap();
    assert!(before.running() && before.pid > 0 && before.image.starts_with("sha256:"));
    assert_eq!((before.image_name.as_str(), before.memory_bytes), ("imparcial/lab", 0));

    let memory = 64 << 20;
    engine.update_limits(&before, Some(memory), Some(0.5)).await.unwrap();
    let after = engine.container(&before.id).await.unwrap();
    assert_eq!((after.memory_bytes, after.nano_cpus), (64 << 20, 500_000_000));
    engine.update_limits(&before, None, Some(0.25)).await.unwrap();
    let after = engine.container(&before.id).await.unwrap();
    assert_eq!((after.memory_bytes, after.nano_cpus), (64 << 20, 250_000_000));

    engine.upload(&before.id, "/tmp", tar("put", "there")).await.unwrap();
    assert_eq!(still.shell().must(&Cmd::new(["cat", "/tmp/put"])).await.unwrap().out(), "there");
    let error = engine.upload(&before.id, "/no/such", tar("put", "x")).await.unwrap_err();
    assert!(error.is_missing(), "{error}");

    let deadline = Instant::now() + Duration::from_secs(20);
    while !engine.logs(&before.id, None, None).await.unwrap().contains("second\n") {
        assert!(Instant::now() < deadline, "it never printed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let all = engine.logs(&before.id, None, None).await.unwrap();
    assert!(all.contains("first\n") && all.contains("wrong\n"), "{all}");
    assert_eq!(engine.logs(&before.id, None, Some(1)).await.unwrap(), "second\n");
    assert_eq!(engine.logs(&before.id, Some(before.started_at + 0.9), None).await.unwrap(), "second\n");

    engine.remove(&before.id).await.unwrap();
    engine.remove(&before.id).await.unwrap();
    assert!(engine.container(&before.id).await.unwrap_err().is_missing());
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_in_a_container_as_anywhere() {
    let Some(engine) = engine().await else { return };
    let still = Still::start(&engine, "exec").await;
    let shell = still.shell();
    let cmd = Cmd::new(["sh", "-c", "cat; echo $A $B; pwd >&2; exit 3"]).env("B", "2").cwd("/usr").stdin("in ");
    let output = shell.run(&cmd).await.unwrap();
    assert_eq!((output.status, output.out().as_str(), output.err().as_str()), (3, "in 1 2\n", "/usr\n"));
    let clean = Cmd { clean_env: true, ..Cmd::new(["env"]).env("B", "2") };
    assert!(!shell.must(&clean).await.unwrap().out().contains("A=1"));

    let error = shell.run(&Cmd::new(["no-such-program"])).await.unwrap_err();
    assert!(matches!(error.kind, RunErrorKind::Start(_)), "{error}");
    let error = shell.run(&Cmd::new(["sleep", "4003"]).timeout(Duration::from_millis(300))).await.unwrap_err();
    assert!(matches!(error.kind, RunErrorKind::Timeout(..)), "{error}");
    assert!(!shell.run(&Cmd::new(["pgrep", "-fx", "sleep 4003"])).await.unwrap().ok(), "it still runs");

    engine.remove(&still.name).await.unwrap();
    let error = shell.run(&Cmd::new(["true"])).await.unwrap_err();
    assert!(matches!(error.kind, RunErrorKind::Gone(_)), "{error}");
}

/// The host's engine behind a socket that can be closed.
async fn relay(at: std::path::PathBuf) -> tokio::task::JoinHandle<()> {
    let listener = UnixListener::bind(at).unwrap();
    tokio::spawn(async move {
        let mut lines = tokio::task::JoinSet::new();
        while let Ok((mut from, _)) = listener.accept().await {
            lines.spawn(async move {
                let mut to = UnixStream::connect("/var/run/docker.sock").await.unwrap();
                let _ = copy_bidirectional(&mut from, &mut to).await;
                let _ = from.shutdown().await;
            });
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_goes_away_is_told_from_one_that_refuses() {
    if engine().await.is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("engine.sock");
    let line = relay(socket.clone()).await;
    let engine = Engine::at(&format!("unix://{}", socket.display())).await.unwrap();
    assert!(engine.container("imparcial-dev-no-such").await.unwrap_err().is_missing());
    line.abort();
    let _ = line.await;
    let error = engine.container("imparcial-dev-no-such").await.unwrap_err();
    assert!(error.is_gone() && !error.is_missing(), "{error}");
    assert!(error.next().en.contains("start the Docker engine"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_behind_a_command_is_the_same_engine() {
    let Some(engine) = engine().await else { return };
    let still = Still::start(&engine, "dial").await;
    let over = Engine::over(Arc::new(Local)).await.unwrap();
    let began = Instant::now();
    let mut there = over.container(&still.name).await.unwrap();
    eprintln!("an inspection over pipes costs {:?}", began.elapsed());
    let mut here = engine.container(&still.name).await.unwrap();
    // Maps have no order of their own.
    there.names.sort();
    here.names.sort();
    assert_eq!(there, here);
    // A stream, and an upload, over the same kind of connection.
    over.upload(&still.name, "/tmp", tar("put", &"x".repeat(3 << 20))).await.unwrap();
    assert_eq!(still.shell().must(&Cmd::new(["wc", "-c", "/tmp/put"])).await.unwrap().out(), "3145728 /tmp/put\n");
    assert!(over.logs(&still.name, None, None).await.unwrap().contains("first"));
    let nobody = Engine::at("tcp://127.0.0.1:1").await.err().unwrap();
    assert!(matches!(nobody.kind, EngineErrorKind::Unreachable(_)), "{nobody}");
}

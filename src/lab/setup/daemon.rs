//! The host's engine: left alone where it answers, started where it does not.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::time::Instant;

use super::{Progress, Seen, SetupError, World, host};
use crate::docker::Engine;
use crate::exec::local::Local;
use crate::exec::{Cmd, ShellExt};
use crate::text::Text;

/// How long an engine may take to answer after its start: a big image store takes a while to be read.
const START: Duration = Duration::from_secs(60);
const LOG: &str = "dockerd.log";

pub(super) async fn look(_world: &World) -> Result<Seen, SetupError> {
    match Engine::host().await {
        Ok(engine) => Ok(Seen::There(shown(&engine).await)),
        Err(error) => Ok(Seen::Missing(Text::new(
            format!("no Docker engine answers ({error}); `imparcial setup` starts one"),
            format!("no responde ningún motor de Docker ({error}); `imparcial setup` arranca uno"),
        ))),
    }
}

pub(super) async fn make(world: &World, progress: &dyn Progress) -> Result<Text, SetupError> {
    let tried = || Text::new("start the Docker engine", "arrancar el motor de Docker");
    if std::env::var_os("DOCKER_HOST").is_some_and(|value| !value.is_empty()) {
        return Err(SetupError::new(
            tried(),
            "DOCKER_HOST names an engine that does not answer",
            Text::new("Start it, or unset DOCKER_HOST.", "Arránquelo, o quite la variable DOCKER_HOST."),
        ));
    }
    let log = world.folder()?.join(LOG);
    let how = if Path::new("/run/systemd/system").is_dir() {
        progress.begin("engine", &Text::new("systemctl starts docker", "systemctl arranca docker"));
        Local.must(&Cmd::new(host::as_root(["systemctl", "start", "docker"])).timeout(START)).await?;
        Text::new("started by systemctl", "arrancado por systemctl")
    } else {
        let shown = log.display();
        let text = Text::new(
            format!("no service manager here: dockerd is started, its log is {shown}"),
            format!("no hay gestor de servicios: se arranca dockerd, su registro es {shown}"),
        );
        progress.begin("engine", &text);
        spawn(&log).map_err(|error| SetupError::new(tried(), error.to_string(), by_hand()))?;
        Text::new(format!("dockerd started, its log is {shown}"), format!("dockerd arrancado, su registro es {shown}"))
    };
    let began = Instant::now();
    loop {
        match Engine::host().await {
            Ok(engine) => {
                let what = shown(&engine).await;
                return Ok(Text::new(format!("{}; {}", what.en, how.en), format!("{}; {}", what.es, how.es)));
            }
            Err(error) if began.elapsed() > START => {
                return Err(SetupError::new(tried(), format!("{error}\n{}", tail(&log)), by_hand()));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

/// Starts dockerd in a session of its own: it outlives us, and no Ctrl-C of ours reaches it.
fn spawn(log: &Path) -> std::io::Result<()> {
    let dockerd = host::which("dockerd").ok_or_else(|| std::io::Error::other("there is no dockerd"))?;
    let argv = host::as_root(["setsid", "--fork", &dockerd.display().to_string()]);
    let out: File = OpenOptions::new().create(true).append(true).open(log)?;
    let (program, arguments) = argv.split_first().ok_or_else(|| std::io::Error::other("nothing to run"))?;
    let status = std::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(out)
        .current_dir("/")
        .status()?;
    if status.success() { Ok(()) } else { Err(std::io::Error::other(format!("{}: {status}", argv.join(" ")))) }
}

async fn shown(engine: &Engine) -> Text {
    let version = engine.docker().version().await.ok().and_then(|v| v.version).unwrap_or_default();
    Text::new(format!("Docker {version} answers"), format!("responde Docker {version}"))
}

fn by_hand() -> Text {
    Text::new(
        "Start it by hand (`dockerd` as root shows why it does not start) and run `imparcial setup` again.",
        "Arránquelo a mano (`dockerd` como root muestra por qué no arranca) y ejecute `imparcial setup` otra vez.",
    )
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

//! The tools of this host that set-up stands on, from Debian's packages.

use std::fs;
use std::time::{Duration, SystemTime};

use super::{Progress, Seen, SetupError, World, base, host};
use crate::docker::Engine;
use crate::exec::local::Local;
use crate::exec::{Cmd, RunError, ShellExt};
use crate::text::Text;

/// Lists of packages older than this may name versions that a mirror no longer has.
const STALE: Duration = Duration::from_secs(24 * 3600);
const INSTALL: Duration = Duration::from_secs(15 * 60);

pub(super) async fn look(world: &World) -> Result<Seen, SetupError> {
    let missing = missing(world).await;
    Ok(if missing.is_empty() {
        Seen::There(Text::new("docker and compose are there", "docker y compose están instalados"))
    } else {
        let list = missing.join(" ");
        let command = host::as_root(["apt-get", "install"]).join(" ");
        Seen::Missing(Text::new(
            format!("{list} not installed; `imparcial setup` installs them with `{command} {list}`"),
            format!("sin instalar: {list}; `imparcial setup` los instala con `{command} {list}`"),
        ))
    })
}

pub(super) async fn make(world: &World, progress: &dyn Progress) -> Result<Text, SetupError> {
    let missing = missing(world).await;
    let list = missing.join(" ");
    if host::which("apt-get").is_none() {
        return Err(SetupError::new(
            Text::new(format!("install {list}"), format!("instalar {list}")),
            "there is no apt-get on this machine",
            Text::new(
                "Install Docker, docker-compose and debootstrap as this system does, and run `imparcial setup` again.",
                "Instale Docker, docker-compose y debootstrap como se haga en este sistema y ejecute `imparcial setup` otra vez.",
            ),
        ));
    }
    progress.begin("packages", &Text::new(format!("apt-get installs {list}"), format!("apt-get instala {list}")));
    if stale() {
        update(progress).await?;
    }
    if install(&missing, progress).await.is_err() {
        update(progress).await?;
        install(&missing, progress).await.map_err(explain)?;
    }
    Ok(Text::new(format!("installed {list}"), format!("instalado: {list}")))
}

/// Packages of the programs that are not there. An engine that answers needs no package, whoever installed it.
async fn missing(world: &World) -> Vec<&'static str> {
    let mut missing = Vec::new();
    let engine = Engine::host().await.is_ok();
    // The client is needed beside the engine: labs are reached through it.
    if host::which("docker").is_none() || !(engine || host::which("dockerd").is_some()) {
        missing.push("docker.io");
    }
    if !compose().await {
        missing.push("docker-compose");
    }
    let base = engine && matches!(base::look(world).await, Ok(Seen::There(_)));
    if !base && host::which("debootstrap").is_none() {
        missing.push("debootstrap");
    }
    missing
}

async fn compose() -> bool {
    if host::which("docker-compose").is_some() {
        return true;
    }
    let plugin = Cmd::new(["docker", "compose", "version"]).timeout(Duration::from_secs(10));
    host::which("docker").is_some() && Local.must(&plugin).await.is_ok()
}

async fn update(progress: &dyn Progress) -> Result<(), SetupError> {
    let argv = host::as_root(["apt-get", "update", "-q", "-o", "Acquire::Retries=3"]);
    host::followed(&Cmd::new(argv).timeout(INSTALL), "packages", progress).await.map(drop).map_err(explain)
}

async fn install(packages: &[&str], progress: &dyn Progress) -> Result<(), RunError> {
    let fixed = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-q"];
    let options = ["-o", "Acquire::Retries=3", "-o", "DPkg::Lock::Timeout=120", "--no-install-recommends"];
    let argv = host::as_root(fixed.into_iter().chain(options).chain(packages.iter().copied()));
    host::followed(&Cmd::new(argv).timeout(INSTALL), "packages", progress).await.map(drop)
}

/// Whether apt's lists are missing or old.
fn stale() -> bool {
    let newest = fs::read_dir("/var/lib/apt/lists")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok().filter(|e| e.file_name().to_string_lossy().contains("_Packages")))
        .filter_map(|entry| entry.metadata().ok()?.modified().ok())
        .max();
    newest.is_none_or(|time| SystemTime::now().duration_since(time).is_ok_and(|age| age > STALE))
}

fn explain(error: RunError) -> SetupError {
    let asks = error.kind.to_string().contains("a password is required");
    let mut explained = SetupError::from(error);
    explained.next = if asks {
        Text::new(
            "Run `sudo -v` first, or run `imparcial setup` as root.",
            "Ejecute antes `sudo -v`, o ejecute `imparcial setup` como root.",
        )
    } else {
        Text::new(
            "The package mirror or the network failed: run `imparcial setup` again, or install the packages by hand.",
            "Falló el espejo de paquetes o la red: ejecute `imparcial setup` otra vez o instale los paquetes a mano.",
        )
    };
    explained
}

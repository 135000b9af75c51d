//! What the submission's SQL declares: an empty server of the store's own image is given the same scripts in the same way,
//! on a network of its own, and what it then holds is what they declare. Procedures, CALLs and shell scripts included,
//! with no reader of SQL of ours.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, EndpointSettings, HostConfig, NetworkCreateRequest, NetworkingConfig,
};
use bollard::query_parameters::{CreateContainerOptionsBuilder, InspectContainerOptions, StartContainerOptions};
use tokio::time::Instant;

use crate::agent::{Look, Sight};
use crate::backend::blame;
use crate::docker::container::{PROJECT, SERVICE};
use crate::docker::{Container, Engine, EngineError};
use crate::notice::Reason;
use crate::owner::RUN;
use crate::probe::common::{Found, look, service_of};
use crate::probe::store::{self, schema};
use crate::probe::{ProbeError, greeting};
use crate::stack::declared::Declaration;
use crate::stack::{Spot, Stack};
use crate::submission::sql::{self, ENTRYPOINT, Scripts};
use crate::text::Text;

/// The label of what is made here; its value is the compose project.
const LABEL: &str = "imparcial.scratch";
const NAME: &str = "imparcial-scratch";

/// A first start under load, with every script that it was given.
const PATIENCE: Duration = Duration::from_secs(90);
const EVERY: Duration = Duration::from_millis(200);
/// The schema for scripts that name none and are given to nobody.
const MADE_UP: &str = "imparcial_scratch";

/// Finds out what a role's store should hold. Takes seconds; leaves nothing behind.
pub(super) async fn declare(stack: &Arc<Stack>, role: &str) -> Declaration {
    match try_declare(stack, role).await {
        Ok(declaration) => declaration,
        Err(error) => Declaration::Unknown { reason: error.reason, text: error.text },
    }
}

async fn try_declare(stack: &Arc<Stack>, role: &str) -> Result<Declaration, ProbeError> {
    let service = match service_of(stack, role)? {
        Found::Here(service) => service,
        Found::Absent(text) => return Ok(Declaration::Unknown { reason: Reason::NotHere, text }),
    };
    let scripts = match &stack.submission.compose {
        Some(compose) => sql::scripts_for(&stack.submission, compose, &service),
        None => Scripts::default(),
    };
    let containers = stack.containers().await?;
    let Some(store) = containers.into_iter().find(|c| c.service == service) else {
        return Ok(Declaration::Unknown {
            reason: Reason::NotHere,
            text: Text::new(
                format!("service {service} has no container, so its image could not be tried on its scripts"),
                format!(
                    "el servicio {service} no tiene contenedor, así que no se pudo probar su imagen con sus scripts"
                ),
            ),
        });
    };
    let model = inspect(&stack.spot_of(&store).engine, &store.id).await?;
    // Where our own reader could not read the file, the container itself shows that something is given to it.
    let mounted = stack.submission.compose.is_none()
        && model
            .mounts
            .iter()
            .flatten()
            .any(|m| m.destination.as_ref().is_some_and(|d| Path::new(d).starts_with(ENTRYPOINT)));
    let given = mounted || !scripts.given.is_empty() || !scripts.shell.is_empty();
    if !given && scripts.found.is_empty() {
        return Ok(Declaration::Nothing);
    }
    let tries: Vec<Vec<PathBuf>> = if given {
        vec![Vec::new()]
    } else {
        // All of them, as a folder that was to be mounted; where they contradict each other, one alone.
        let alone = scripts.found.iter().map(|path| vec![path.clone()]);
        let all = std::iter::once(scripts.found.clone());
        all.chain(alone.filter(|_| scripts.found.len() > 1)).take(4).collect()
    };
    let mut refused = String::new();
    for fed in tries {
        let scratch = Scratch { stack, spot: stack.spot_of(&store), number: store.spot, model: &model, fed: &fed };
        match scratch.run().await? {
            Ran::Tables(tables) => {
                let used = if given { &scripts.given } else { &fed };
                return Ok(Declaration::Tables {
                    tables,
                    scripts: used.iter().map(|path| path.display().to_string()).collect(),
                    made_up: scratch.made_up().then(|| MADE_UP.to_owned()),
                });
            }
            Ran::Refused(message) => refused = message,
        }
    }
    let stand_in = stack.services.get(&service).and_then(|s| s.image.stand_in.clone());
    Ok(match stand_in {
        Some(stand_in) => Declaration::Unknown {
            reason: Reason::StandIn,
            text: Text::new(
                format!(
                    "{} stands in for {} and does not accept the submission's SQL: {refused}",
                    stand_in.version, stand_in.reference
                ),
                format!(
                    "{} reemplaza a {} y no acepta el SQL de la entrega: {refused}",
                    stand_in.version, stand_in.reference
                ),
            ),
        },
        None => Declaration::Broken(Text::new(
            format!("the server refuses the submission's SQL: {refused}"),
            format!("el servidor rechaza el SQL de la entrega: {refused}"),
        )),
    })
}

async fn inspect(engine: &Engine, id: &str) -> Result<ContainerInspectResponse, EngineError> {
    let answer = engine.docker().inspect_container(id, None::<InspectContainerOptions>).await;
    answer.map_err(|e| engine.explain(format!("inspect container {id}"), &e))
}

/// How a scratch server ended.
enum Ran {
    Tables(Vec<store::Table>),
    /// It ended before it was ready, with these last words.
    Refused(String),
}

struct Scratch<'a> {
    stack: &'a Arc<Stack>,
    /// Where the store runs.
    spot: &'a Spot,
    /// Which of the stack's machines that is.
    number: usize,
    /// The store's own container.
    model: &'a ContainerInspectResponse,
    /// Scripts that nobody gives to the store, given to this one.
    fed: &'a [PathBuf],
}

impl Scratch<'_> {
    fn made_up(&self) -> bool {
        let named = |name: &str| {
            self.env().iter().any(|pair| pair.split_once('=').is_some_and(|(n, v)| n == name && !v.is_empty()))
        };
        !self.fed.is_empty() && !named("MYSQL_DATABASE") && !named("MARIADB_DATABASE")
    }

    fn labels(&self) -> HashMap<String, String> {
        let own = (LABEL.to_owned(), self.stack.project.clone());
        // An image that compose has built hands its labels on, and this is no container of the project.
        let none = [PROJECT, SERVICE].map(|label| (label.to_owned(), String::new()));
        self.stack.labels.clone().into_iter().chain(none).chain([own]).collect()
    }

    fn env(&self) -> Vec<String> {
        self.model.config.as_ref().and_then(|c| c.env.clone()).unwrap_or_default()
    }

    /// Settings, secrets and scripts, read-only where the store has them; never its data, which is the store's alone.
    fn binds(&self) -> Vec<String> {
        let command: Vec<String> = self.model.config.as_ref().and_then(|c| c.cmd.clone()).unwrap_or_default();
        let mut binds: Vec<String> = Vec::new();
        for mount in self.model.mounts.iter().flatten() {
            let source = if mount.typ.as_deref() == Some("volume") { &mount.name } else { &mount.source };
            let (Some(source), Some(target)) = (source, &mount.destination) else { continue };
            let scripts = Path::new(target).starts_with(ENTRYPOINT);
            if wanted(target, &command) && (self.fed.is_empty() || !scripts) {
                binds.push(format!("{source}:{target}:ro"));
            }
        }
        for (i, path) in self.fed.iter().enumerate() {
            let name: String = path
                .file_name()
                .map(|n| n.to_string_lossy().into_owned())
                .unwrap_or_default()
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' })
                .collect();
            let source = Path::new(&self.stack.workdir).join(path);
            binds.push(format!("{}:{ENTRYPOINT}/{i:02}-{name}:ro", source.display()));
        }
        binds
    }

    fn body(&self, network: &str) -> ContainerCreateBody {
        let config = self.model.config.clone().unwrap_or_default();
        let mut env = self.env();
        if self.made_up() {
            env.push(format!("MYSQL_DATABASE={MADE_UP}"));
        }
        ContainerCreateBody {
            image: self.model.image.clone(),
            env: Some(env),
            cmd: config.cmd,
            entrypoint: config.entrypoint,
            user: config.user,
            working_dir: config.working_dir,
            labels: Some(self.labels()),
            networking_config: Some(NetworkingConfig {
                endpoints_config: Some(HashMap::from([(network.to_owned(), EndpointSettings::default())])),
            }),
            host_config: Some(HostConfig {
                binds: Some(self.binds()),
                network_mode: Some(network.to_owned()),
                // Open files are limited by the engine's own default.
                ulimits: self.model.host_config.as_ref().and_then(|h| h.ulimits.clone()),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        }
    }

    async fn run(&self) -> Result<Ran, ProbeError> {
        let engine = &self.spot.engine;
        // A project that was there already may be looked at by two runs at a time.
        let name = format!("{NAME}-{}", self.stack.labels.get(RUN).unwrap_or(&self.stack.project));
        // Of a run of this name that was killed.
        discard(engine, &name).await;
        let network = NetworkCreateRequest {
            name: name.clone(),
            internal: Some(true),
            labels: Some(self.labels()),
            ..NetworkCreateRequest::default()
        };
        let made = engine.docker().create_network(network).await;
        made.map_err(|e| engine.explain("make a network for the scratch server", &e))?;
        let ran = self.serve(&name).await;
        discard(engine, &name).await;
        ran
    }

    async fn serve(&self, name: &str) -> Result<Ran, ProbeError> {
        let engine = &self.spot.engine;
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        let made = engine.docker().create_container(Some(options), self.body(name)).await;
        let id = made.map_err(|e| engine.explain("make the scratch server", &e))?.id;
        let started = engine.docker().start_container(&id, None::<StartContainerOptions>).await;
        started.map_err(|e| engine.explain("start the scratch server", &e))?;
        let until = Instant::now() + PATIENCE;
        let lab = self.spot.agents.lab().await?;
        loop {
            let container = Container { spot: self.number, ..engine.container(&id).await? };
            if !container.running() && container.state != "created" {
                let log = engine.logs(&id, None, Some(60)).await?;
                if let Some(trouble) = host_trouble(&container, &log) {
                    return Err(died_of(&trouble));
                }
                return Ok(Ran::Refused(last_words(&log)));
            }
            if let Some(host) = container.addresses.values().next() {
                let dial = Look::Tcp { host: host.clone(), port: 3306, greet_ms: 2000 };
                // Before the scripts have run the server listens on a socket only.
                if let Sight::Tcp { greeting, .. } = look(&lab, dial, Duration::from_secs(4)).await?
                    && greeting::read(&greeting).is_some()
                {
                    return match store::open::enter(self.stack, &container, PATIENCE).await? {
                        Found::Here(store) => Ok(Ran::Tables(schema::read(&store, schema::Rows::All, PATIENCE).await?)),
                        Found::Absent(why) => Ok(Ran::Refused(why.en)),
                    };
                }
            }
            if Instant::now() >= until {
                return Err(ProbeError::ours(
                    format!(
                        "the scratch server that was to run the submission's SQL was not ready after {} s",
                        PATIENCE.as_secs()
                    ),
                    format!(
                        "el servidor de prueba que debía ejecutar el SQL de la entrega no estuvo listo tras {} s",
                        PATIENCE.as_secs()
                    ),
                ));
            }
            tokio::time::sleep(EVERY).await;
        }
    }
}

/// What ended it that no SQL can be: it has no limit of its own to die at, and no disk but the host's.
fn host_trouble(container: &Container, log: &str) -> Option<String> {
    if let Some(line) = blame::disk_line(log).or(blame::host_line(&container.error)) {
        return Some(crate::sanitize::line(line, 200));
    }
    let killed = container.oom_killed || container.exit_code == 137;
    killed.then(|| format!("it was killed (exit code {})", container.exit_code))
}

fn died_of(trouble: &str) -> ProbeError {
    ProbeError {
        reason: Reason::Host,
        text: Text::new(
            format!("the scratch server that was to run the submission's SQL died of the host: {trouble}"),
            format!("el servidor de prueba que debía ejecutar el SQL de la entrega murió por el anfitrión: {trouble}"),
        ),
    }
}

/// Removes the container and the network of this name, if they are there.
async fn discard(engine: &Engine, name: &str) {
    if let Err(error) = engine.remove(name).await {
        tracing::warn!(%error, "a scratch server stays behind");
    }
    match engine.docker().remove_network(name).await {
        Ok(()) | Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => {}
        Err(error) => tracing::warn!(%error, "the network of a scratch server stays behind"),
    }
}

/// A mount that the server is set up with: by its place, or because the command names it.
fn wanted(target: &str, command: &[String]) -> bool {
    const PLACES: [&str; 5] = [ENTRYPOINT, "/etc", "/run/secrets", "/var/run/secrets", "/usr/local"];
    let path = Path::new(target);
    let named = |word: &String| !word.contains("datadir") && word.contains(target);
    let data = path.starts_with("/var/lib/mysql") || Path::new("/var/lib/mysql").starts_with(path);
    !data && (PLACES.iter().any(|place| path.starts_with(place)) || command.iter().any(named))
}

/// The line of a log that says why, else its end.
fn last_words(log: &str) -> String {
    let lines: Vec<&str> = log.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let why = lines.iter().rev().find(|line| line.starts_with("ERROR ") || line.contains("ERROR at line"));
    let why = why.or_else(|| lines.iter().rev().find(|line| line.contains("ERROR")));
    why.or(lines.last()).map_or_else(|| "it ended without a word".to_owned(), |line| line.chars().take(400).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_told_from_settings() {
        let command = ["mysqld", "--datadir=/data", "--init-file=/sql/init.sql"].map(str::to_owned);
        for target in
            ["/etc/mysql/conf.d", "/docker-entrypoint-initdb.d/a.sql", "/run/secrets/root", "/sql/init.sql", "/sql"]
        {
            assert!(wanted(target, &command), "{target}");
        }
        for target in ["/var/lib/mysql", "/var/lib/mysql/shop", "/var/lib", "/", "/data", "/var/log/mysql", "/backup"] {
            assert!(!wanted(target, &command), "{target}");
        }
    }

    #[test]
    fn a_server_that_the_host_ended_refused_nothing() {
        let ended = |exit_code, oom_killed| Container { exit_code, oom_killed, ..Container::default() };
        assert!(host_trouble(&ended(137, false), "").is_some());
        assert!(host_trouble(&ended(1, true), "").is_some());
        let full = "ERROR 1114 (HY000) at line 7: The table 'people' is full\n";
        assert_eq!(host_trouble(&ended(1, false), full).as_deref(), Some(full.trim()));
        let refused = "ERROR 1064 (42000) at line 3: You have an error in your SQL syntax\n";
        assert_eq!(host_trouble(&ended(1, false), refused), None);
    }

    #[test]
    fn the_line_that_says_why_is_found() {
        let log =
            "a\nERROR 1273 (HY000) at line 5: Unknown collation: 'utf8mb4_0900_ai_ci'\nmariadbd: Shutdown complete\n";
        assert_eq!(last_words(log), "ERROR 1273 (HY000) at line 5: Unknown collation: 'utf8mb4_0900_ai_ci'");
        assert_eq!(last_words("x [ERROR] no password\nbye"), "x [ERROR] no password");
        assert_eq!(last_words(""), "it ended without a word");
    }
}

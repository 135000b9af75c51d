//! Getting into a store: to its container's own address, from the lab, with a login of its own environment.
//!
//! Never through a published port or a client inside the container, whose environment may lead elsewhere.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::login;
use crate::agent::client::Agent;
use crate::agent::{Login, Look, ResultSet, Sight, Statement};
use crate::docker::Container;
use crate::probe::ProbeError;
use crate::probe::common::{self, Found, look};
use crate::stack::Stack;
use crate::text::Text;

/// A way into a MySQL server.
#[derive(Clone)]
pub struct Store {
    agent: Agent,
    host: String,
    port: u16,
    login: Login,
    pub version: String,
    /// The container behind it.
    pub container: Container,
}

const PORT: u16 = 3306;
/// Rows that are kept of one statement.
pub const MAX_ROWS: usize = 20_000;

/// The user may not come in: wrong password, or from this host.
const DENIED: [u16; 4] = [1044, 1045, 1130, 1698];

/// The store of a role, or why it does not let anybody in.
///
/// # Errors
/// Where none of the logins is let in: nothing can be told then.
pub async fn open(stack: &Stack, role: &str, timeout: Duration) -> Result<Found<Store>, ProbeError> {
    match common::player(stack, role).await? {
        Found::Here(container) => enter(stack, &container, timeout).await,
        Found::Absent(why) => Ok(Found::Absent(why)),
    }
}

/// The same of any container with a MySQL server in it.
pub async fn enter(stack: &Stack, container: &Container, timeout: Duration) -> Result<Found<Store>, ProbeError> {
    let until = Instant::now() + timeout;
    // What let us in once will again.
    let key = format!("login:{}", container.id);
    let known = stack.notebook.lock().await.get(&key).and_then(|v| serde_json::from_value::<Login>(v.clone()).ok());
    let logins = match known {
        Some(login) => vec![login],
        None => candidates(stack, container, timeout).await?,
    };
    let beside = match common::beside(stack, container).await? {
        Found::Here(agent) => agent,
        Found::Absent(why) => return Ok(Found::Absent(why)),
    };
    let own = container.addresses.values().next().map(|address| (beside, address.clone()));
    let mut denied = String::new();
    if let Some((agent, host)) = own {
        match knock(&agent, &host, &logins, container, until).await? {
            Knock::In(store) => {
                stack.notebook.lock().await.insert(key, json!(store.login));
                return Ok(Found::Here(*store));
            }
            Knock::Denied(message) => denied = message,
            Knock::Nothing(why) => return Ok(Found::Absent(why)),
        }
    }
    // Root may come in from its own machine only, or the container has no address of its own.
    match common::inside(stack, container).await? {
        Found::Absent(why) => return Ok(Found::Absent(why)),
        Found::Here(agent) => match knock(&agent, "127.0.0.1", &logins, container, until).await? {
            Knock::In(store) => return Ok(Found::Here(*store)),
            Knock::Denied(message) => denied = message,
            Knock::Nothing(why) if denied.is_empty() => return Ok(Found::Absent(why)),
            Knock::Nothing(_) => {}
        },
    }
    stack.notebook.lock().await.remove(&key);
    let service = &container.service;
    Err(ProbeError::unproven(
        format!(
            "no login of service {service}'s environment is let in, so nothing can be told of its tables: {denied}"
        ),
        format!(
            "ningún usuario del entorno del servicio {service} puede entrar, así que nada puede decirse de sus tablas: {denied}"
        ),
    ))
}

enum Knock {
    In(Box<Store>),
    Denied(String),
    Nothing(Text),
}

/// Tries the logins at one address.
async fn knock(
    agent: &Agent,
    host: &str,
    logins: &[Login],
    container: &Container,
    until: Instant,
) -> Result<Knock, ProbeError> {
    let mut denied = String::new();
    for login in logins {
        let left = until.saturating_duration_since(Instant::now());
        let store = Store {
            agent: agent.clone(),
            host: host.to_owned(),
            port: PORT,
            login: login.clone(),
            version: String::new(),
            container: container.clone(),
        };
        match store.say(Vec::new(), left).await? {
            Said::Answer(_, version) => return Ok(Knock::In(Box::new(Store { version, ..store }))),
            Said::Denied(message) => denied = message,
            Said::Nothing(message) => {
                let service = &container.service;
                return Ok(Knock::Nothing(Text::new(
                    format!("the server of service {service} does not answer on port {PORT}: {message}"),
                    format!("el servidor del servicio {service} no responde en el puerto {PORT}: {message}"),
                )));
            }
        }
    }
    Ok(Knock::Denied(denied))
}

/// The logins of a container's environment, its secret files and its log.
async fn candidates(stack: &Stack, container: &Container, timeout: Duration) -> Result<Vec<Login>, ProbeError> {
    let hints = login::hints(&container.env);
    let mut files = Vec::new();
    if !hints.files.is_empty() {
        let lab = stack.spot_of(container).agents.lab().await?;
        let path = |inner: &str| format!("/proc/{}/root/{}", container.pid, inner.trim_start_matches('/'));
        let paths = hints.files.iter().map(|(_, inner)| path(inner)).collect();
        if let Sight::Files { contents } = look(&lab, Look::Files { paths }, timeout).await? {
            let found = |(name, inner): &(String, String)| Some((name.clone(), contents.get(&path(inner))?.clone()));
            files = hints.files.iter().filter_map(found).collect();
        }
    }
    let log = if hints.random {
        stack.spot_of(container).engine.logs(&container.id, None, None).await?
    } else {
        String::new()
    };
    Ok(login::logins(&container.env, &files, login::generated(&log)))
}

/// What a server said to a few statements.
pub enum Said {
    /// A result for each statement, and the server's version.
    Answer(Vec<ResultSet>, String),
    Denied(String),
    Nothing(String),
}

impl Store {
    /// Runs statements on one connection, all of them whatever the others say.
    pub async fn say(&self, statements: Vec<Statement>, timeout: Duration) -> Result<Said, ProbeError> {
        self.run(statements, false, timeout).await
    }

    async fn run(&self, statements: Vec<Statement>, stop: bool, timeout: Duration) -> Result<Said, ProbeError> {
        let question = Look::Mysql {
            host: self.host.clone(),
            port: self.port,
            login: self.login.clone(),
            statements,
            stop_at_error: stop,
            max_rows: MAX_ROWS,
        };
        Ok(match look(&self.agent, question, timeout).await? {
            Sight::Mysql { results, server_version } => Said::Answer(results, server_version),
            Sight::No { code: Some(code), message, .. } if DENIED.contains(&code) => Said::Denied(message),
            Sight::No { message, .. } => Said::Nothing(message),
            other => {
                let text = format!("unexpected answer: {other:?}");
                return Err(ProbeError::ours(text.clone(), text));
            }
        })
    }

    /// As [`Self::say`], where the connection is known to work: its loss is an error of the look.
    pub async fn ask(&self, statements: Vec<Statement>, timeout: Duration) -> Result<Vec<ResultSet>, ProbeError> {
        self.sure(self.say(statements, timeout).await?)
    }

    /// As [`Self::ask`], up to the first statement that is refused.
    pub async fn ask_until_error(
        &self,
        statements: Vec<Statement>,
        timeout: Duration,
    ) -> Result<Vec<ResultSet>, ProbeError> {
        self.sure(self.run(statements, true, timeout).await?)
    }

    fn sure(&self, said: Said) -> Result<Vec<ResultSet>, ProbeError> {
        match said {
            Said::Answer(results, _) => Ok(results),
            Said::Denied(message) | Said::Nothing(message) => {
                let service = &self.container.service;
                Err(ProbeError::ours(
                    format!("the server of service {service} stopped answering: {message}"),
                    format!("el servidor del servicio {service} dejó de responder: {message}"),
                ))
            }
        }
    }
}

//! Where a ledger is kept: in a table of our own, behind a form of the page, or in files on the distributed volume. Each write is
//! one entry; read back, the numbers that are there.

mod files;
mod page;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use tokio::sync::Mutex;
use url::Url;

use self::files::Files;
use super::spec::Through;
use super::world::{There, Written};
use crate::agent::Statement;
use crate::notice::Reason;
use crate::probe::ProbeError;
use crate::probe::common::Found;
use crate::probe::store::{self, Said, Store};
use crate::stack::Stack;
use crate::text::Text;

/// Of one write, on machines that are not emulated.
const WRITE: Duration = Duration::from_secs(10);
const READ: Duration = Duration::from_secs(20);

/// A ledger's place.
pub(super) struct Place {
    through: Through,
    /// What tells its entries from any others.
    nonce: String,
    store: Mutex<Option<Store>>,
    /// Of the page, where the last write was answered.
    door: Mutex<Option<Url>>,
    files: Files,
    /// The machine that the writes went to when they began, where there are machines.
    at: Mutex<String>,
}

impl Place {
    pub(super) fn new(through: Through) -> Self {
        let nonce = format!("imparcial{:08x}", crate::nonce::number() as u32);
        let volume = if let Through::Files(volume) = &through { volume.clone() } else { None };
        let files = Files::new(&nonce, volume);
        let (store, door, at) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { through, nonce, store, door, files, at }
    }

    /// How it is written, and where: for the record.
    pub(super) fn described(&self) -> (&'static str, String) {
        match &self.through {
            Through::Sql(role) => ("sql", format!("{role}: {}.entries", self.nonce)),
            Through::Page { role, post, .. } => ("page", format!("{role}: POST {post}")),
            Through::Files(_) => ("files", self.files.described()),
        }
    }

    /// What is in each entry that the page itself shows.
    pub(super) fn mark(&self) -> Option<String> {
        matches!(self.through, Through::Page { .. }).then(|| self.nonce.clone())
    }

    /// Makes it. `hit` are the machines that the fault is about: a client of the volume is on another one, if there is one.
    pub(super) async fn open(&self, stack: &Stack, hit: &[String]) -> Result<(), ProbeError> {
        let role = match &self.through {
            Through::Files(_) => {
                *self.at.lock().await = self.files.open(stack, hit).await?;
                return Ok(());
            }
            Through::Page { role, .. } => role,
            Through::Sql(role) => {
                self.make(stack, role).await?;
                role
            }
        };
        let service = stack.playing(role);
        let containers = stack.containers().await?;
        let of = containers.iter().find(|c| Some(c.service.as_str()) == service && c.running());
        *self.at.lock().await = of.and_then(|c| stack.spot_of(c).node.clone()).unwrap_or_default();
        Ok(())
    }

    async fn make(&self, stack: &Stack, role: &str) -> Result<(), ProbeError> {
        let store = enter(stack, role).await?;
        let schema = &self.nonce;
        let make = [
            format!("CREATE DATABASE `{schema}`"),
            format!("CREATE TABLE `{schema}`.entries (n BIGINT PRIMARY KEY) ENGINE=InnoDB"),
        ];
        let answers = store.ask_until_error(make.map(Statement::new).into(), READ).await?;
        if let Some(why) = answers.into_iter().find_map(|answer| answer.error) {
            let why = crate::sanitize::line(&why, 200);
            return Err(ProbeError::unproven(
                format!("no table for the ledger can be made in {role}: {why}"),
                format!("no se puede crear en {role} una tabla para el registro: {why}"),
            ));
        }
        *self.store.lock().await = Some(store);
        Ok(())
    }

    /// Where the writes went: files may have gone through several machines.
    pub(super) async fn written_at(&self) -> String {
        let wrote = self.files.wrote().await;
        if wrote.is_empty() { self.at.lock().await.clone() } else { wrote }
    }

    pub(super) async fn write(&self, stack: &Stack, number: u64) -> Written {
        match &self.through {
            Through::Sql(role) => self.insert(stack, role, number).await,
            Through::Page { role, post, form, .. } => self.form(role, post, form).post(stack, number).await,
            Through::Files(_) => self.files.write(stack, number).await,
        }
    }

    async fn insert(&self, stack: &Stack, role: &str, number: u64) -> Written {
        let known = self.store.lock().await.clone();
        let store = match known {
            Some(store) => store,
            None => match enter(stack, role).await {
                Ok(store) => {
                    *self.store.lock().await = Some(store.clone());
                    store
                }
                Err(error) => return unsent(&error),
            },
        };
        let insert = format!("INSERT INTO `{}`.entries (n) VALUES (?)", self.nonce);
        // A server may be set up to commit nothing by itself.
        let statements = vec![Statement::with(insert, vec![json!(number)]), Statement::new("COMMIT".to_owned())];
        let written = match store.say(statements, patience(stack)).await {
            Ok(Said::Answer(results, _)) => match results.as_slice() {
                [answer, commit] if answer.error.is_none() && answer.affected == 1 && commit.error.is_none() => {
                    Written::Acknowledged
                }
                // A refusal that the server itself sent.
                [answer, ..] if answer.error_code.is_some() => Written::Failed,
                _ => Written::Unknown,
            },
            Ok(Said::Denied(_)) => Written::Failed,
            Ok(Said::Nothing(_)) | Err(_) => Written::Unknown,
        };
        if written == Written::Unknown {
            // It may be another container by the next write.
            *self.store.lock().await = None;
        }
        written
    }

    pub(super) async fn read(&self, stack: &Stack) -> Result<There, ProbeError> {
        match &self.through {
            Through::Files(_) => self.files.read(stack).await,
            Through::Sql(role) => {
                let store = enter(stack, role).await?;
                let select = Statement::new(format!("SELECT n FROM `{}`.entries", self.nonce));
                let answers = store.ask(vec![select], READ).await?;
                let answer = answers.into_iter().next().unwrap_or_default();
                let at = stack.spot_of(&store.container).node.clone().unwrap_or_default();
                if let Some(error) = answer.error {
                    // A schema that is gone, on a server that answers: nothing of it is there.
                    return match answer.error_code {
                        Some(UNKNOWN_DATABASE | NO_SUCH_TABLE) => Ok(There { numbers: BTreeSet::new(), at }),
                        _ => {
                            let error = crate::sanitize::line(&error, 200);
                            Err(ProbeError::ours(
                                format!("the ledger could not be read back: {error}"),
                                format!("no se pudo leer el registro: {error}"),
                            ))
                        }
                    };
                }
                if answer.truncated {
                    return Err(ProbeError::unproven(
                        "the ledger could not be read back: there are more entries than are read",
                        "no se pudo leer el registro: hay más entradas de las que se leen",
                    ));
                }
                let number = |row: &Vec<Option<String>>| row.first()?.as_deref()?.parse().ok();
                Ok(There { numbers: answer.rows.iter().filter_map(number).collect(), at })
            }
            Through::Page { role, read, .. } => page::read(stack, &self.nonce, role, read).await,
        }
    }

    fn form<'a>(&'a self, role: &'a str, path: &'a str, fields: &'a [(String, String)]) -> page::Form<'a> {
        page::Form { nonce: &self.nonce, role, path, fields, door: &self.door }
    }

    /// Whether what is not there would show if it were: a page may show a part of what there is.
    ///
    /// # Errors
    /// It would not, or nobody can tell.
    pub(super) async fn shows_all(&self, stack: &Stack, there: &There, next: u64) -> Result<(), ProbeError> {
        let Through::Page { role, post, form, read } = &self.through else { return Ok(()) };
        // Whatever is answered: it shows, or it does not.
        self.form(role, post, form).post(stack, next).await;
        page::shows_all(stack, &self.nonce, role, read, there, next).await
    }

    /// What could not be removed.
    pub(super) async fn close(&self, stack: &Stack) -> Option<Text> {
        let role = match &self.through {
            Through::Sql(role) => role,
            Through::Page { .. } => return None,
            Through::Files(_) => return self.files.close(stack).await,
        };
        let drop = Statement::new(format!("DROP DATABASE IF EXISTS `{}`", self.nonce));
        let done = match enter(stack, role).await {
            Ok(store) => store.ask(vec![drop], READ).await.is_ok_and(|all| all.iter().all(|a| a.error.is_none())),
            Err(_) => false,
        };
        let schema = &self.nonce;
        (!done).then(|| {
            Text::new(
                format!("the schema {schema}, which was made for the ledger, could not be dropped"),
                format!("el esquema {schema}, que se creó para el registro, no se pudo borrar"),
            )
        })
    }
}

/// What a server says of a schema, and of a table, that is not there.
const UNKNOWN_DATABASE: u16 = 1049;
const NO_SUCH_TABLE: u16 = 1146;

async fn enter(stack: &Stack, role: &str) -> Result<Store, ProbeError> {
    here(store::open(stack, role, patience(stack)).await?)
}

/// How long one write is waited for. A store that does not answer for so long has not acknowledged it.
fn patience(stack: &Stack) -> Duration {
    WRITE.mul_f64(stack.slowness())
}

/// What becomes of a write whose place was not found: it is certain that nothing was written.
fn unsent(error: &ProbeError) -> Written {
    if error.reason == Reason::Unproven { Written::Failed } else { Written::Untried }
}

/// What is needed for a ledger; without it nothing is proven.
fn here<T>(found: Found<T>) -> Result<T, ProbeError> {
    match found {
        Found::Here(it) => Ok(it),
        Found::Absent(why) => Err(ProbeError { reason: Reason::Unproven, text: why }),
    }
}

//! Where a ledger is kept: in a table of our own, behind a form of the page, or in files on the distributed volume. Each write is
//! one entry; read back, the numbers that are there.

mod files;

use std::collections::BTreeSet;
use std::time::Duration;

use regex::Regex;
use serde_json::json;
use tokio::sync::Mutex;
use url::Url;

use self::files::Files;
use super::spec::{NUMBER, Through};
use super::watch;
use super::world::{There, Written};
use crate::agent::{Look, Sight, Statement};
use crate::probe::ProbeError;
use crate::probe::common::{Found, doors, look};
use crate::probe::page::text::PageText;
use crate::probe::store::{self, Said, Store};
use crate::stack::Stack;
use crate::text::Text;

/// Of one write. A store that does not answer for so long has not acknowledged it.
const WRITE: Duration = Duration::from_secs(10);
const READ: Duration = Duration::from_secs(20);
const MOST: usize = 8 << 20;

/// A ledger's place.
pub(super) struct Place {
    through: Through,
    /// What tells its entries from any others.
    nonce: String,
    store: Mutex<Option<Store>>,
    files: Files,
}

impl Place {
    pub(super) fn new(through: Through) -> Self {
        let nonce = format!("imparcial{:08x}", crate::nonce::number() as u32);
        let volume = if let Through::Files(volume) = &through { volume.clone() } else { None };
        Self { through, files: Files::new(&nonce, volume), nonce, store: Mutex::default() }
    }

    /// How it is written, and where: for the record.
    pub(super) fn described(&self) -> (&'static str, String) {
        match &self.through {
            Through::Sql(role) => ("sql", format!("{role}: {}.entries", self.nonce)),
            Through::Page { role, post, .. } => ("page", format!("{role}: POST {post}")),
            Through::Files(_) => ("files", self.files.described()),
        }
    }

    /// Makes it; the machine that the writes go to, where there are machines. `hit` are those that the fault is about: a client
    /// of the volume is on another one, if there is one.
    pub(super) async fn open(&self, stack: &Stack, hit: &[String]) -> Result<String, ProbeError> {
        let role = match &self.through {
            Through::Files(_) => return self.files.open(stack, hit).await,
            Through::Page { role, .. } => role,
            Through::Sql(role) => {
                self.make(stack, role).await?;
                role
            }
        };
        let service = stack.playing(role);
        let containers = stack.containers().await?;
        let of = containers.iter().find(|c| Some(c.service.as_str()) == service && c.running());
        Ok(of.and_then(|c| stack.spot_of(c).node.clone()).unwrap_or_default())
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

    /// Which machines wrote, where that is not one that was known from the beginning.
    pub(super) async fn wrote(&self) -> Option<String> {
        let wrote = if matches!(self.through, Through::Files(_)) { self.files.wrote().await } else { String::new() };
        (!wrote.is_empty()).then_some(wrote)
    }

    pub(super) async fn write(&self, stack: &Stack, number: u64) -> Written {
        match &self.through {
            Through::Sql(role) => self.insert(stack, role, number).await,
            Through::Page { role, post, form, .. } => self.post(stack, role, post, form, number).await,
            Through::Files(_) => self.files.write(stack, number).await,
        }
    }

    async fn insert(&self, stack: &Stack, role: &str, number: u64) -> Written {
        let known = self.store.lock().await.clone();
        let store = match known {
            Some(store) => store,
            // Nothing was sent: it is certain that nothing was written.
            None => match enter(stack, role).await {
                Ok(store) => {
                    *self.store.lock().await = Some(store.clone());
                    store
                }
                Err(_) => return Written::Failed,
            },
        };
        let insert = format!("INSERT INTO `{}`.entries (n) VALUES (?)", self.nonce);
        let said = store.say(vec![Statement::with(insert, vec![json!(number)])], WRITE).await;
        let written = match said {
            Ok(Said::Answer(results, _)) => match results.first() {
                Some(answer) if answer.error.is_none() && answer.affected == 1 => Written::Acknowledged,
                // A refusal that the server itself sent.
                Some(answer) if answer.error_code.is_some() => Written::Failed,
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

    async fn post(&self, stack: &Stack, role: &str, path: &str, form: &[(String, String)], number: u64) -> Written {
        let entry = format!("{}-{number}", self.nonce);
        let Ok(url) = door(stack, role, &path.replace(NUMBER, &entry)).await else { return Written::Failed };
        let Ok(agent) = stack.ground.agents.lab().await else { return Written::Failed };
        let fields = form.iter().map(|(name, value)| (name.as_str(), value.replace(NUMBER, &entry)));
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let ask = Look::Http {
            method: "POST".to_owned(),
            url: url.to_string(),
            headers: vec![("Content-Type".to_owned(), "application/x-www-form-urlencoded".to_owned())],
            body: Some(body),
            max_bytes: 64 << 10,
        };
        match look(&agent, ask, WRITE).await {
            // What says what its database answered has confirmed nothing.
            Ok(Sight::Http { status: status @ 200..=399, body, headers, .. }) => {
                let kind = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
                let said = watch::answered(status, &body, kind.map(|(_, value)| value.as_str()));
                if said.ok { Written::Acknowledged } else { Written::Unknown }
            }
            // A server that fails may have written before; one that refuses has not.
            Ok(Sight::Http { status: 400..=499, .. }) => Written::Failed,
            Ok(Sight::No { stage, .. }) if stage == "connect" => Written::Failed,
            _ => Written::Unknown,
        }
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
                    return Err(unread("there are more entries than are read"));
                }
                let number = |row: &Vec<Option<String>>| row.first()?.as_deref()?.parse().ok();
                Ok(There { numbers: answer.rows.iter().filter_map(number).collect(), at })
            }
            Through::Page { role, read, .. } => {
                let url = door(stack, role, read).await?;
                let agent = stack.ground.agents.lab().await?;
                let ask = Look::Http {
                    method: "GET".to_owned(),
                    url: url.to_string(),
                    headers: Vec::new(),
                    body: None,
                    max_bytes: MOST,
                };
                match look(&agent, ask, READ).await? {
                    Sight::Http { truncated: true, .. } => Err(unread("the page is too long to be read whole")),
                    Sight::Http { status: 200..=299, body, headers, .. } => {
                        let kind = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
                        let page = PageText::seen(&body, kind.map(|(_, value)| value.as_str()));
                        Ok(There { numbers: entries(&page, &self.nonce), at: url.to_string() })
                    }
                    Sight::Http { status, .. } => Err(unread(&format!("status {status}"))),
                    Sight::No { message, .. } => Err(unread(&message)),
                    other => Err(unread(&format!("{other:?}"))),
                }
            }
        }
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
    match store::open(stack, role, WRITE).await? {
        Found::Here(store) => Ok(store),
        Found::Absent(why) => Err(ProbeError { reason: crate::notice::Reason::Unproven, text: why }),
    }
}

async fn door(stack: &Stack, role: &str, path: &str) -> Result<Url, ProbeError> {
    let containers = stack.containers().await?;
    let door = doors(stack, role, &containers).into_iter().next();
    let root = door.and_then(|door| Url::parse(&format!("http://{}:{}/", door.address(stack), door.host)).ok());
    root.and_then(|root| root.join(path).ok()).ok_or_else(|| unread(&format!("{role} publishes no port")))
}

fn unread(why: &str) -> ProbeError {
    let why = crate::sanitize::line(why, 200);
    ProbeError::unproven(
        format!("the ledger could not be read back through the page: {why}"),
        format!("no se pudo leer el registro por la página: {why}"),
    )
}

/// The numbers of the entries that a page shows.
fn entries(page: &str, nonce: &str) -> BTreeSet<u64> {
    let Ok(entry) = Regex::new(&format!("{nonce}-([0-9]+)")) else { return BTreeSet::new() };
    entry.captures_iter(page).filter_map(|found| found[1].parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_on_a_page_by_their_nonce() {
        let page = "ana imparcial00ff-1 imparcial00ff-12, imparcial1100-3 imparcial00ff-1";
        assert_eq!(entries(page, "imparcial00ff"), BTreeSet::from([1, 12]));
    }
}

//! The exercise: a value that nobody has written before is written into a store, read back on another connection, and removed.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::client::{self, Access, Family, Meaning, Step};
use crate::agent::{Look, Sight, Statement};
use crate::backend::blame;
use crate::docker::Container;
use crate::notice::Reason;
use crate::probe::ProbeError;
use crate::probe::command;
use crate::probe::common::{Found, look};
use crate::probe::store::{self, Said, Store};
use crate::stack::Stack;
use crate::text::Text;

/// How long one command of a client, or one connection, may take.
const WITHIN: Duration = Duration::from_secs(20);
/// Between two tries to reach a server that another exercise may have restarted.
const EVERY: Duration = Duration::from_millis(500);

/// What came of it: nothing where all of it worked, else why not.
pub(super) type Turn = Result<Option<Text>, ProbeError>;

/// `reachable`: a moment ago it was seen to listen, so that who does not find it proves nothing.
pub(super) async fn turn(stack: &Stack, role: &str, container: &Container, family: Family, reachable: bool) -> Turn {
    let nonce = format!("imparcial_{:012x}", crate::nonce::number() >> 16);
    if family == Family::Mysql {
        return with_our_client(stack, role, &nonce, reachable).await;
    }
    let access = access(stack, container, family).await?;
    let asked = Asked { stack, role, family, access, nonce, reachable };
    let written = asked.patiently(Step::Write).await;
    if !matches!(written, Ok(None)) {
        // What was late may have been written all the same.
        let _ = asked.step(Step::Remove).await;
        return written;
    }
    let read = asked.patiently(Step::Read).await;
    // Whatever was read: what was written goes.
    let removed = asked.patiently(Step::Remove).await;
    match read? {
        None => removed,
        why => Ok(why),
    }
}

/// What came of one try.
#[derive(Debug)]
enum Tried {
    Done,
    Refused(Text),
    /// No server was found where its client looks.
    NotThere(Text),
    /// One that begins or ends.
    NotReady(Text),
}

impl Tried {
    /// Whether it may be otherwise in a moment.
    fn passes(&self, reachable: bool) -> bool {
        match self {
            Self::Done | Self::Refused(_) => false,
            Self::NotThere(_) => reachable,
            Self::NotReady(_) => true,
        }
    }

    fn over(self, reachable: bool) -> Turn {
        match self {
            Self::Done => Ok(None),
            Self::Refused(why) => Ok(Some(why)),
            Self::NotThere(why) if !reachable => Ok(Some(why)),
            Self::NotThere(why) => Err(ProbeError::unproven(
                format!("the store listens, and its own client did not get to it: {}", why.en),
                format!("el almacén escucha, y su propio cliente no llegó a él: {}", why.es),
            )),
            Self::NotReady(why) => Err(ProbeError::unproven(
                format!("the store was starting or stopping all the while: {}", why.en),
                format!("el almacén estuvo arrancando o deteniéndose todo el tiempo: {}", why.es),
            )),
        }
    }
}

struct Asked<'a> {
    stack: &'a Stack,
    role: &'a str,
    family: Family,
    access: Access,
    nonce: String,
    reachable: bool,
}

impl Asked<'_> {
    async fn patiently(&self, step: Step) -> Turn {
        let until = Instant::now() + WITHIN;
        loop {
            let tried = self.step(step).await?;
            if !tried.passes(self.reachable) || Instant::now() >= until {
                return tried.over(self.reachable);
            }
            sleep(EVERY).await;
        }
    }

    async fn step(&self, step: Step) -> Result<Tried, ProbeError> {
        let mut last = None;
        for spec in client::commands(self.family, &self.access, step, &self.nonce) {
            let ran = match command::run(self.stack, self.role, &spec, WITHIN).await? {
                Found::Here(ran) => ran,
                Found::Absent(why) => return Ok(Tried::Refused(why)),
            };
            let program = spec.argv.first().map_or("", String::as_str);
            if ran.not_started.is_some() {
                last.get_or_insert(Err(no_client(self.family)));
                continue;
            }
            if ran.timed_out {
                let seconds = WITHIN.as_secs();
                return Err(ProbeError::unproven(
                    format!("`{program}` in the store's own container got no answer within {seconds} s"),
                    format!("`{program}`, en el propio contenedor del almacén, no obtuvo respuesta en {seconds} s"),
                ));
            }
            let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
            match client::meaning(step, &self.nonce, ran.status, &out, &err) {
                Meaning::Done => return Ok(Tried::Done),
                Meaning::ShutOut(said) => {
                    return Err(ProbeError::unproven(
                        format!(
                            "no login that the container's settings name is let in, so nothing can be written: {said}"
                        ),
                        format!(
                            "ningún usuario de los que indica el contenedor puede entrar, así que nada puede escribirse: {said}"
                        ),
                    ));
                }
                Meaning::NotThere(said) => last = Some(Ok(Tried::NotThere(refused(step, &said)))),
                Meaning::NotReady(said) => return Ok(Tried::NotReady(refused(step, &said))),
                Meaning::Refused(said) => {
                    if let Some(line) = blame::disk_line(&out).or_else(|| blame::disk_line(&err)) {
                        return Err(full(line));
                    }
                    return Ok(Tried::Refused(refused(step, &said)));
                }
            }
        }
        last.unwrap_or_else(|| Err(no_client(self.family)))
    }
}

fn refused(step: Step, said: &str) -> Text {
    let (en, es) = match step {
        Step::Write => ("a value could not be written", "no se pudo escribir un valor"),
        Step::Read => ("a value that was written was not read back", "un valor escrito no se volvió a leer"),
        Step::Remove => ("a value that was written could not be removed", "no se pudo borrar un valor escrito"),
    };
    if said.is_empty() {
        return Text::new(format!("{en}: the store says nothing"), format!("{es}: el almacén no dice nada"));
    }
    Text::new(format!("{en}: {said}"), format!("{es}: {said}"))
}

fn no_client(family: Family) -> ProbeError {
    let name = family.name();
    ProbeError::new(
        Reason::NotHere,
        format!("the container has no client of {name}, so nothing was written into it"),
        format!("el contenedor no trae cliente de {name}, así que no se escribió nada en él"),
    )
}

fn full(line: &str) -> ProbeError {
    let line = crate::sanitize::line(line, 200);
    ProbeError::new(
        Reason::Host,
        format!("the disk below the store is full: {line}"),
        format!("el disco bajo el almacén está lleno: {line}"),
    )
}

/// Who to be: what the container's environment says, and the files that it names.
async fn access(stack: &Stack, container: &Container, family: Family) -> Result<Access, ProbeError> {
    let names = client::secrets(family);
    let value = |name: &str| {
        let found = container.env.iter().find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        found.filter(|value| !value.is_empty()).map(str::to_owned)
    };
    let path = |name: &&str| {
        let file = value(&format!("{name}_FILE"))?;
        Some(format!("/proc/{}/root/{}", container.pid, file.trim_start_matches('/')))
    };
    let paths: Vec<String> = names.iter().filter_map(path).collect();
    let mut files = std::collections::BTreeMap::new();
    if !paths.is_empty()
        && let Sight::Files { contents } =
            look(&stack.spot_of(container).agents.lab().await?, Look::Files { paths }, WITHIN).await?
    {
        files = contents;
    }
    // As `$(< file)` does: without the newlines at the end.
    let of_file = |name: &&str| files.get(&path(name)?).map(|text| text.trim_end_matches(['\n', '\r']).to_owned());
    let values: Vec<Option<String>> = names.iter().map(|name| value(name).or_else(|| of_file(name))).collect();
    let service = stack.config.resolved.service(&container.service);
    let command = service.and_then(|service| service.raw.get("command")).unwrap_or(&Value::Null);
    let address = container.addresses.values().next().cloned();
    Ok(Access { address, ..Access::of(family, &values, command) })
}

/// A server of the MySQL family, which we speak to ourselves: a database of our own in it, gone afterwards.
async fn with_our_client(stack: &Stack, role: &str, nonce: &str, reachable: bool) -> Turn {
    let until = Instant::now() + WITHIN;
    let store = loop {
        match store::open(stack, role, WITHIN).await? {
            Found::Here(store) => break store,
            Found::Absent(why) => {
                let tried = Tried::NotThere(why);
                if !tried.passes(reachable) || Instant::now() >= until {
                    return tried.over(reachable);
                }
                sleep(EVERY).await;
            }
        }
    };
    let write = [
        format!("CREATE DATABASE {nonce}"),
        format!("CREATE TABLE {nonce}.t (v VARCHAR(64))"),
        format!("INSERT INTO {nonce}.t VALUES ('{nonce}')"),
    ];
    let written = said(&store, Step::Write, &write).await;
    let read = match &written {
        Ok(Ok(_)) => Some(said(&store, Step::Read, &[format!("SELECT v FROM {nonce}.t")]).await),
        _ => None,
    };
    // Whatever came of these: what was written goes.
    let removed = said(&store, Step::Remove, &[format!("DROP DATABASE IF EXISTS {nonce}")]).await;
    if let Err(why) = written? {
        return Ok(Some(why));
    }
    match read.transpose()? {
        Some(Ok(Some(value))) if value == nonce => Ok(removed?.err()),
        Some(Err(why)) => Ok(Some(why)),
        other => {
            let value = other.and_then(Result::ok).flatten().unwrap_or_default();
            Ok(Some(refused(Step::Read, &crate::sanitize::line(&value, 80))))
        }
    }
}

/// Runs statements on a connection of their own: the last one's first value, or why one was refused.
async fn said(store: &Store, step: Step, sql: &[String]) -> Result<Result<Option<String>, Text>, ProbeError> {
    let statements = sql.iter().map(Statement::new).collect();
    let results = match store.say(statements, WITHIN).await? {
        Said::Answer(results, _) => results,
        Said::Denied(message) => return Ok(Err(refused(step, &crate::sanitize::line(&message, 200)))),
        // It let us in a moment ago: another exercise may have restarted it.
        Said::Nothing(message) => {
            let why = refused(step, &crate::sanitize::line(&message, 200));
            return Tried::NotThere(why).over(true).map(|_| Ok(None));
        }
    };
    let error = results.iter().find_map(|result| Some((result.error_code.unwrap_or_default(), result.error.as_ref()?)));
    if let Some((code, message)) = error {
        let said = crate::sanitize::line(message, 200);
        return match code {
            // A user that may not make a database is as the submission has it: it proves nothing.
            1044 | 1142 | 1227 | 1410 => Err(ProbeError::unproven(
                format!("the login that is known may not make a database of its own: {said}"),
                format!("el usuario conocido no puede crear una base de datos propia: {said}"),
            )),
            _ => match blame::disk_line(message) {
                Some(line) => Err(full(line)),
                None => Ok(Err(refused(step, &said))),
            },
        };
    }
    let first = results.last().and_then(|result| result.rows.first()).and_then(|row| row.first());
    Ok(Ok(first.cloned().flatten()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_find_what_listens_proves_nothing() {
        let not_there = || Tried::NotThere(Text::same("connection refused"));
        assert!(not_there().passes(true) && !not_there().passes(false));
        assert_eq!(not_there().over(true).unwrap_err().reason, Reason::Unproven);
        assert_eq!(not_there().over(false).unwrap().unwrap().en, "connection refused");
        let not_ready = Tried::NotReady(Text::same("starting up"));
        assert!(not_ready.passes(false));
        assert_eq!(not_ready.over(false).unwrap_err().reason, Reason::Unproven);
        let refused = Tried::Refused(Text::same("read only"));
        assert!(!refused.passes(true));
        assert_eq!(refused.over(true).unwrap().unwrap().en, "read only");
        assert!(Tried::Done.over(true).unwrap().is_none());
    }
}

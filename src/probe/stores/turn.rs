//! The exercise: a value that nobody has written before is written into a store, read back on another connection, and removed.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use serde_json::Value;

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

/// What came of it: nothing where all of it worked, else why not.
pub(super) type Turn = Result<Option<Text>, ProbeError>;

pub(super) async fn turn(stack: &Stack, role: &str, container: &Container, family: Family) -> Turn {
    let nonce = format!("imparcial_{:012x}", RandomState::new().build_hasher().finish() >> 16);
    if family == Family::Mysql {
        return with_our_client(stack, role, &nonce).await;
    }
    let access = access(stack, container, family).await?;
    let asked = Asked { stack, role, family, access, nonce };
    let written = asked.step(Step::Write).await;
    let read = match written {
        Ok(None) => asked.step(Step::Read).await,
        other => return other,
    };
    // Whatever was read: what was written goes.
    let removed = asked.step(Step::Remove).await;
    match read? {
        None => removed,
        why => Ok(why),
    }
}

struct Asked<'a> {
    stack: &'a Stack,
    role: &'a str,
    family: Family,
    access: Access,
    nonce: String,
}

impl Asked<'_> {
    async fn step(&self, step: Step) -> Turn {
        let mut last = None;
        for spec in client::commands(self.family, &self.access, step, &self.nonce) {
            let ran = match command::run(self.stack, self.role, &spec, WITHIN).await? {
                Found::Here(ran) => ran,
                Found::Absent(why) => return Ok(Some(why)),
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
                Meaning::Done => return Ok(None),
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
                Meaning::NotThere(said) => last = Some(Ok(Some(refused(step, &said)))),
                Meaning::Refused(said) => {
                    if let Some(line) = blame::disk_line(&out).or_else(|| blame::disk_line(&err)) {
                        return Err(full(line));
                    }
                    return Ok(Some(refused(step, &said)));
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
    Ok(Access::of(family, &values, command))
}

/// A server of the MySQL family, which we speak to ourselves: a database of our own in it, gone afterwards.
async fn with_our_client(stack: &Stack, role: &str, nonce: &str) -> Turn {
    let store = match store::open(stack, role, WITHIN).await? {
        Found::Here(store) => store,
        Found::Absent(why) => return Ok(Some(why)),
    };
    let write = [
        format!("CREATE DATABASE {nonce}"),
        format!("CREATE TABLE {nonce}.t (v VARCHAR(64))"),
        format!("INSERT INTO {nonce}.t VALUES ('{nonce}')"),
    ];
    let written = said(&store, Step::Write, &write).await?;
    let read = match &written {
        Ok(_) => said(&store, Step::Read, &[format!("SELECT v FROM {nonce}.t")]).await?,
        Err(why) => Err(why.clone()),
    };
    let removed = said(&store, Step::Remove, &[format!("DROP DATABASE IF EXISTS {nonce}")]).await?;
    match read {
        Err(why) => Ok(Some(why)),
        Ok(value) if value.as_deref() != Some(nonce) => {
            Ok(Some(refused(Step::Read, &crate::sanitize::line(&value.unwrap_or_default(), 80))))
        }
        Ok(_) => Ok(removed.err()),
    }
}

/// Runs statements on a connection of their own: the last one's first value, or why one was refused.
async fn said(store: &Store, step: Step, sql: &[String]) -> Result<Result<Option<String>, Text>, ProbeError> {
    let statements = sql.iter().map(Statement::new).collect();
    let results = match store.say(statements, WITHIN).await? {
        Said::Answer(results, _) => results,
        Said::Denied(message) | Said::Nothing(message) => {
            return Ok(Err(refused(step, &crate::sanitize::line(&message, 200))));
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

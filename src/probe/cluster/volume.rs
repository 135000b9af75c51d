//! `volume`: the database's data really lies on the distributed volume: by the kernel's tables, and by the bytes of a fresh value
//! on a brick.
//!
//! An exercise: it writes a value into a schema of its own, and drops that.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::ask::teller;
use super::copies::{Shape, shape};
use super::lies::{Lies, lies};
use super::members::{Member, machine_of, machines_of, members};
use super::mounts;
use super::xml::Volume;
use crate::agent::Statement;
use crate::docker::Container;
use crate::expect::{FactSpec, Facts, Unit};
use crate::notice::Reason;
use crate::probe::common::{Found, player};
use crate::probe::machines::On;
use crate::probe::machines::from_outside::path;
use crate::probe::machines::kernel::{self, Mount, plain};
use crate::probe::store::{self, Store};
use crate::probe::{Attempt, MACHINES, Observation, Phase, Probe, ProbeError, ProbeKind};
use crate::scenario::tree::Decoder;
use crate::stack::Stack;
use crate::text::Text;

pub static KIND: ProbeKind = ProbeKind {
    name: "volume",
    summary: "The database's data really lies on the distributed volume: its folder is followed from the container to the file system that it is on, by the kernel's tables as they are seen from outside the machine, and a fresh value that is written into the database is found on a brick of the volume. Then it is taken back",
    facts: &[
        FactSpec {
            name: "on_volume",
            unit: Unit::Bool,
            summary: "the data's folder is on a mount of a volume, and what was written was found on it: on a brick, or through another machine's mount where bricks hold pieces",
        },
        FactSpec { name: "volume", unit: Unit::Text, summary: "the volume's name; none where it is on none" },
        FactSpec { name: "data_folder", unit: Unit::Text, summary: "the database's folder, as its server says" },
        FactSpec {
            name: "path",
            unit: Unit::Text,
            summary: "where that is: in the volume, else on the machine; none of a container's own layer or memory",
        },
        FactSpec {
            name: "seen_on_brick_of",
            unit: Unit::List,
            summary: "the machines on whose bricks the value's bytes were found",
        },
        FactSpec {
            name: "read_on",
            unit: Unit::List,
            summary: "of a volume whose bricks hold pieces: the other machines through whose mounts they were",
        },
        FactSpec {
            name: "elsewhere",
            unit: Unit::Bool,
            summary: "one of those is another machine than the one that the database runs on, or the volume spreads its files over several machines and copies none",
        },
        FactSpec { name: "in_memory", unit: Unit::Bool, summary: "the data's folder is a tmpfs" },
    ],
    example: "{id: data-on-volume, points: 3, volume: {role: db}, expect: {on_volume: true, elsewhere: true}}",
    schema: || {
        json!({"type": "object", "additionalProperties": false, "required": ["role"], "properties": {
            "role": {"type": "string", "description": "the database's role"}
        }})
    },
    decode: |d| decode(d).map(|probe| Box::new(probe) as Box<dyn Probe>),
};

/// Of one question.
const STEP: Duration = Duration::from_secs(20);
/// What is flushed is on its brick when the server has said so; a brick that was away may still be healed.
const WITHIN: Duration = Duration::from_secs(10);
const EVERY: Duration = Duration::from_millis(200);
/// However long a slow host takes for them.
const ROUNDS: usize = 3;
/// A table file with one row.
const MAX_TABLE: usize = 512 << 10;
const MAX_TABLES: usize = 512 << 10;
/// Storage engines in the order in which they are tried, with the file that each keeps a table's rows in. The first is what
/// tables are made of; where it keeps them all in one file, the second tells the folder as well.
const ENGINES: [(&str, &str); 2] = [("InnoDB", "ibd"), ("MyISAM", "MYD")];

struct OnVolume {
    role: String,
}

fn decode(d: &mut Decoder<'_>) -> Option<OnVolume> {
    Some(OnVolume { role: d.role("role")? })
}

#[async_trait]
impl Probe for OnVolume {
    fn phase(&self) -> Phase {
        Phase::Exercise
    }

    fn also(&self) -> Vec<&'static str> {
        vec![MACHINES]
    }

    fn roles(&self) -> Vec<String> {
        vec![self.role.clone()]
    }

    fn excusable(&self) -> bool {
        false
    }

    async fn observe(&self, stack: &Arc<Stack>, _: Attempt) -> Result<Observation, ProbeError> {
        let (with, role) = (stack.clone(), self.role.clone());
        // A task of its own: what it wrote is taken back also where nobody waits for it any more.
        let made = tokio::spawn(async move { run(&with, &role).await }).await;
        made.map_err(|e| {
            ProbeError::ours(format!("the exercise broke off: {e}"), format!("el ejercicio se interrumpió: {e}"))
        })?
    }
}

async fn run(stack: &Stack, role: &str) -> Result<Observation, ProbeError> {
    let container = match player(stack, role).await? {
        Found::Here(container) => container,
        Found::Absent(why) => return Ok(absent(why)),
    };
    let Some(name) = stack.spot_of(&container).node.clone() else {
        return Err(ProbeError::new(
            Reason::NotHere,
            "the database runs beside the machines and not on one of them, so that its data can be on no volume of theirs",
            "la base de datos corre junto a las máquinas y no en una de ellas, así que sus datos no pueden estar en un volumen suyo",
        ));
    };
    let (members, _) = members(stack, STEP).await?;
    let Some(host) = members.iter().find(|member| member.node.name() == name) else {
        return Err(ProbeError::new(
            Reason::Host,
            format!("machine {name}, which the database ran on, is not up any more"),
            format!("la máquina {name}, en la que corría la base de datos, ya no está en marcha"),
        ));
    };
    let store = match store::open(stack, role, STEP).await? {
        Found::Here(store) => store,
        Found::Absent(why) => return Ok(absent(why)),
    };
    let folder = data_folder(&store).await?;
    let own = own_mounts(stack, host, &container).await?;
    let volumes = match teller(stack, &On::All, STEP).await? {
        Found::Here(told) => told.volumes,
        Found::Absent(_) => Vec::new(),
    };
    let bricks = volumes.iter().flat_map(|volume| &volume.bricks);
    let here = |brick: &&super::xml::Brick| machine_of(&members, brick).is_some_and(|on| on.node.name() == name);
    let bricks: Vec<String> = bricks.filter(here).map(|brick| brick.path.clone()).collect();
    let Some(lies) = lies(&folder, &own, &host.mounts, &bricks) else {
        return Err(ProbeError::ours(
            "the container's table of mounts is empty",
            "la tabla de montajes del contenedor está vacía",
        ));
    };
    let mut facts = Facts::from([
        ("on_volume".to_owned(), json!(false)),
        ("data_folder".to_owned(), json!(folder)),
        ("in_memory".to_owned(), json!(lies == Lies::InMemory)),
    ]);
    if let Some(path) = lies.path() {
        facts.insert("path".to_owned(), json!(path));
    }
    let Lies::OnVolume { volume, folder } = &lies else {
        return Ok(Observation { explanation: Some(lies.say(&host.name())), ..Observation::of(facts) });
    };
    let Some(volume) = volumes.iter().find(|known| known.name == *volume) else {
        return Err(ProbeError::unproven(
            format!("the data is on a mount of {volume}, and no machine's `gluster` knows a volume of that name"),
            format!(
                "los datos están en un montaje de {volume}, y el `gluster` de ninguna máquina conoce un volumen con ese nombre"
            ),
        ));
    };
    let (found, notes) = written(stack, &store, &members, volume, folder, &name).await?;
    // Which of its bricks a volume without copies puts a file on is a matter of the file's name.
    let on: BTreeSet<String> = machines_of(&members, &stack.machines.nodes, &volume.bricks).into_iter().collect();
    let spread = shape(volume) == Shape::Single && on.len() > 1;
    let elsewhere = found.iter().any(|machine| *machine != host.name() || spread);
    facts.extend([
        ("on_volume".to_owned(), json!(true)),
        ("volume".to_owned(), json!(volume.name)),
        ("elsewhere".to_owned(), json!(elsewhere)),
    ]);
    let fact = if shape(volume) == Shape::Pieces { "read_on" } else { "seen_on_brick_of" };
    facts.insert(fact.to_owned(), json!(found));
    let on = found.join(", ");
    let (no_en, no_es) = if elsewhere { ("", "") } else { (" and on no other machine", " y en ninguna otra máquina") };
    let said = lies.say(&host.name());
    let explanation = Text::new(
        format!("{}, and its bytes were found on {on}{no_en}", said.en),
        format!("{}, y sus bytes se encontraron en {on}{no_es}", said.es),
    );
    Ok(Observation { explanation: Some(explanation), notes, ..Observation::of(facts) })
}

fn absent(why: Text) -> Observation {
    let facts = Facts::from([("on_volume".to_owned(), json!(false))]);
    Observation { explanation: Some(why), ..Observation::of(facts) }
}

/// Where the server itself says that its data is.
async fn data_folder(store: &Store) -> Result<String, ProbeError> {
    let answers = store.ask(vec![Statement::new("SELECT @@datadir")], STEP).await?;
    let folder = answers.first().and_then(|answer| answer.rows.first()?.first()?.clone());
    folder.filter(|folder| folder.starts_with('/')).ok_or_else(|| {
        ProbeError::ours("the server does not say where its data is", "el servidor no dice dónde están sus datos")
    })
}

/// The container's table of mounts: by the machine's own view of its processes, read from outside the machine.
async fn own_mounts(stack: &Stack, host: &Member<'_>, container: &Container) -> Result<Vec<Mount>, ProbeError> {
    let read = |name: &str| {
        let file = format!("/proc/{}/{name}", container.pid);
        async move { path(stack, &host.body, &file, MAX_TABLES, STEP).await }
    };
    let table = read("mountinfo").await?;
    // Read last: a process id that was given away before is another container's by then.
    let groups = read("cgroup").await?;
    let text = |seen: Option<crate::agent::PathSeen>| {
        seen.map(|seen| String::from_utf8_lossy(&seen.content).into_owned()).unwrap_or_default()
    };
    if !text(groups).contains(&container.id) {
        return Err(ProbeError::ours(
            "the database's container started anew while its data was looked for",
            "el contenedor de la base de datos se reinició mientras se buscaban sus datos",
        ));
    }
    Ok(kernel::mounts(&text(table)))
}

/// Where the table's file is, and through whom it is looked at.
struct Place<'a, 'm> {
    member: &'a Member<'m>,
    folder: String,
}

/// The bricks that hold files whole; of a volume whose bricks hold pieces, the other machines' mounts.
fn places<'a, 'm>(volume: &Volume, members: &'a [Member<'m>], folder: &str, host: &str) -> Vec<Place<'a, 'm>> {
    if shape(volume) != Shape::Pieces {
        let content = volume.bricks.iter().filter(|brick| !brick.arbiter);
        let place = |brick: &super::xml::Brick| {
            Some(Place { member: machine_of(members, brick)?, folder: plain(&format!("{}/{folder}", brick.path)) })
        };
        return content.filter_map(place).collect();
    }
    let others = members.iter().filter(|member| member.node.name() != host);
    let place = |member: &'a Member<'m>| {
        let (mount, of) = mounts::mounted(&member.mounts, &volume.name)?;
        let rest = folder.strip_prefix(of.folder.trim_end_matches('/'))?;
        Some(Place { member, folder: plain(&format!("{}/{rest}", mount.at)) })
    };
    others.filter_map(place).collect()
}

/// The machines on which the bytes of a fresh value were found, and what is left behind.
async fn written(
    stack: &Stack,
    store: &Store,
    members: &[Member<'_>],
    volume: &Volume,
    folder: &str,
    host: &str,
) -> Result<(Vec<String>, Vec<Text>), ProbeError> {
    let places = places(volume, members, folder, host);
    let schema = format!("imparcial_{}", super::nonce());
    let value = super::nonce();
    // Of copies, the second is another machine's.
    let enough = if shape(volume) == Shape::Copies { 2.min(places.len()) } else { 1 };
    let mut outcome = Ok(Vec::new());
    for (engine, file) in ENGINES {
        let put = put(store, &schema, engine, &value).await;
        outcome = match put {
            Ok(None) => find(stack, &places, &format!("{schema}/t.{file}"), &value, enough).await,
            Ok(Some(refused)) => Err(ProbeError::unproven(
                format!("nothing could be written into the database to see where it lies: {refused}"),
                format!("no se pudo escribir nada en la base de datos para ver dónde queda: {refused}"),
            )),
            Err(error) => Err(error),
        };
        if outcome.as_ref().is_ok_and(|found| !found.is_empty()) {
            break;
        }
    }
    let notes = take_back(store, &schema).await;
    let found = outcome?;
    if found.is_empty() {
        let (name, folder) = (crate::sanitize::line(&volume.name, 60), crate::sanitize::line(folder, 160));
        return Err(ProbeError::unproven(
            format!(
                "the data is in {folder} of the volume {name} by the kernel's table, and a value that was written was found nowhere on it"
            ),
            format!(
                "según la tabla del núcleo los datos están en {folder} del volumen {name}, y un valor escrito no se encontró en ninguna parte de él"
            ),
        ));
    }
    Ok((found, notes.into_iter().collect()))
}

/// Writes the value and has it flushed; what the server refused, if it did.
async fn put(store: &Store, schema: &str, engine: &str, value: &str) -> Result<Option<String>, ProbeError> {
    let statements = vec![
        Statement::new(format!("CREATE DATABASE IF NOT EXISTS `{schema}`")),
        Statement::new(format!("DROP TABLE IF EXISTS `{schema}`.t")),
        Statement::new(format!("CREATE TABLE `{schema}`.t (v VARCHAR(64)) ENGINE={engine}")),
        Statement::with(format!("INSERT INTO `{schema}`.t VALUES (?)"), vec![json!(value)]),
    ];
    // What is exported is whole on its disk. The connection's end gives the lock back.
    let flush = match engine {
        "InnoDB" => format!("FLUSH TABLES `{schema}`.t FOR EXPORT"),
        _ => format!("FLUSH TABLES `{schema}`.t"),
    };
    let statements = statements.into_iter().chain([Statement::new(flush), Statement::new("UNLOCK TABLES")]).collect();
    let answers = store.ask_until_error(statements, STEP).await?;
    let refused = answers.into_iter().find_map(|answer| answer.error);
    Ok(refused.map(|words| crate::sanitize::line(&words, 200)))
}

async fn take_back(store: &Store, schema: &str) -> Option<Text> {
    let drop = Statement::new(format!("DROP DATABASE IF EXISTS `{schema}`"));
    let done = store.ask(vec![drop], STEP).await;
    let dropped = done.is_ok_and(|answers| answers.iter().all(|answer| answer.error.is_none()));
    (!dropped).then(|| {
        Text::new(
            format!("the schema {schema}, which was made for this check, could not be dropped"),
            format!("el esquema {schema}, que se creó para esta comprobación, no se pudo borrar"),
        )
    })
}

async fn find(
    stack: &Stack,
    places: &[Place<'_, '_>],
    file: &str,
    value: &str,
    enough: usize,
) -> Result<Vec<String>, ProbeError> {
    let began = Instant::now();
    let mut found: Vec<String> = Vec::new();
    for round in 1.. {
        for place in places {
            let name = place.member.name();
            if found.contains(&name) {
                continue;
            }
            let at = format!("{}/{file}", place.folder);
            let seen = path(stack, &place.member.body, &at, MAX_TABLE, STEP).await?;
            if seen.is_some_and(|seen| holds(&seen.content, value)) {
                found.push(name);
            }
        }
        if found.len() >= enough || (round >= ROUNDS && began.elapsed() >= WITHIN) {
            break;
        }
        sleep(EVERY).await;
    }
    Ok(found)
}

fn holds(content: &[u8], value: &str) -> bool {
    content.windows(value.len()).any(|window| window == value.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::tree;

    #[test]
    fn a_role_is_named_and_bytes_are_found_wherever_they_are() {
        let read = |text: &str| {
            let node = tree::read(text, "s.yaml").unwrap();
            let mut problems = Vec::new();
            let mut d = Decoder::new(&node, &mut problems);
            let probe = decode(&mut d);
            d.finish();
            (probe.map(|probe| probe.role), problems.into_iter().map(|p| p.message).collect::<Vec<_>>())
        };
        assert_eq!(read("{role: db}"), (Some("db".to_owned()), Vec::new()));
        assert_eq!(read("{}").1, ["`role` is missing"]);
        assert!(holds(b"\0\0\x10abc123\xff", "abc123") && !holds(b"abc12", "abc123") && !holds(b"", "a"));
    }
}

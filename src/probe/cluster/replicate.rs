//! `replicate`: what is written through one machine's mount of the volume is read through the others', and lies on the bricks of
//! more than one machine.
//!
//! An exercise: it writes a small file of its own into the volume, and removes it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::copies::{Shape, shape};
use super::members::{Member, machine_of};
use super::reached::reached;
use super::xml::Volume;
use crate::backend::disk;
use crate::exec::{Cmd, Output};
use crate::expect::{FactSpec, Facts, Unit};
use crate::notice::Reason;
use crate::probe::common::Found;
use crate::probe::machines::from_outside::path;
use crate::probe::machines::kernel::plain;
use crate::probe::{Attempt, MACHINES, Observation, Phase, Probe, ProbeError, ProbeKind};
use crate::scenario::tree::Decoder;
use crate::stack::Stack;
use crate::text::Text;

pub static KIND: ProbeKind = ProbeKind {
    name: "replicate",
    summary: "A small file, written through one machine's mount of the distributed volume, is read through every other one's, and its bytes lie on the bricks of more than one machine; looked at from outside the machines. Then it is removed",
    facts: &[
        FactSpec { name: "written", unit: Unit::Bool, summary: "the first machine that has it mounted could write it" },
        FactSpec { name: "written_on", unit: Unit::Text, summary: "that machine" },
        FactSpec { name: "read_on", unit: Unit::List, summary: "the other machines through whose mounts it was read" },
        FactSpec {
            name: "not_read_on",
            unit: Unit::List,
            summary: "those that have the volume mounted and did not show it in time",
        },
        FactSpec {
            name: "on_bricks_of",
            unit: Unit::List,
            summary: "the machines on whose bricks its bytes are; none of a volume whose bricks hold pieces (disperse)",
        },
        FactSpec {
            name: "copied",
            unit: Unit::Bool,
            summary: "its bytes are on bricks of two machines at least; of a volume whose bricks hold pieces: it was read through another machine's mount",
        },
        FactSpec { name: "after_s", unit: Unit::Seconds, summary: "how long it took until all that was seen was seen" },
    ],
    example: "{id: volume-replicates, points: 0, replicate: {within: 10s}, expect: {not_read_on: [], copied: true}}",
    schema: || {
        json!({"type": "object", "additionalProperties": false, "properties": {
            "volume": {"type": "string", "description": "its name; without it, the only volume, or of several the only one that is mounted on a machine"},
            "within": {"type": "string", "default": "10s", "description": "how long the other machines have"}
        }})
    },
    decode: |d| decode(d).map(|probe| Box::new(probe) as Box<dyn Probe>),
};

const WITHIN: Duration = Duration::from_secs(10);
const EVERY: Duration = Duration::from_millis(200);
/// That somebody was not shown it is told after as many looks, however long a slow host takes for them.
const ROUNDS: usize = 3;
/// Of one question, or one command.
const STEP: Duration = Duration::from_secs(15);
/// A volume one of whose machines does not answer waits for it so long (`network.ping-timeout` is 42 s).
const WRITE: Duration = Duration::from_secs(60);

struct Replicate {
    volume: Option<String>,
    within: Duration,
}

fn decode(d: &mut Decoder<'_>) -> Option<Replicate> {
    let (volume, within) = (d.text("volume"), d.duration("within"));
    Some(Replicate { volume, within: within.unwrap_or(WITHIN) })
}

#[async_trait]
impl Probe for Replicate {
    fn phase(&self) -> Phase {
        Phase::Exercise
    }

    fn layer(&self) -> &'static str {
        MACHINES
    }

    async fn observe(&self, stack: &Arc<Stack>, _: Attempt) -> Result<Observation, ProbeError> {
        let (with, volume, within) = (stack.clone(), self.volume.clone(), self.within);
        // A task of its own: what it wrote is removed also where nobody waits for it any more.
        let made = tokio::spawn(async move { run(&with, volume.as_deref(), within).await }).await;
        made.map_err(|e| {
            ProbeError::ours(format!("the exercise broke off: {e}"), format!("el ejercicio se interrumpió: {e}"))
        })?
    }
}

/// Where the file is on a machine.
struct Place<'a, 'm> {
    member: &'a Member<'m>,
    path: String,
}

async fn run(stack: &Stack, named: Option<&str>, within: Duration) -> Result<Observation, ProbeError> {
    let reached = match reached(stack, named, STEP).await? {
        Found::Here(reached) => reached,
        Found::Absent(why) => return Ok(not_written(why)),
    };
    let (volume, members, folder) = (&reached.volume, &reached.members, &reached.folder);
    let file = format!(".imparcial-{}", super::nonce());
    let mut all = reached.mounted().map(|(member, at)| Place { member, path: plain(&format!("{at}/{file}")) });
    let Some(writer) = all.next() else {
        return Ok(not_written(reached.mounted_nowhere()));
    };
    let others: Vec<Place<'_, '_>> = all.collect();
    let bricks = bricks(volume, members, &format!("{folder}/{file}"));
    let content = format!("imparcial {}\n", super::nonce());

    let written = write(stack, &writer, &content).await;
    let seen = match &written {
        Ok(output) if output.ok() => Some(watch(stack, &others, &bricks, &content, within).await),
        _ => None,
    };
    let left = remove(stack, &writer).await;
    let output = written?;
    let Some(seen) = seen else {
        let (name, said) = (writer.member.name(), crate::sanitize::line(output.both().trim(), 200));
        // The machines' disks are sparse files of the host's: when that is full, theirs fail, in words of all kinds.
        if disk::full(stack.ground.shell.as_ref()).await {
            return Err(ProbeError::new(
                Reason::Host,
                format!("nothing can be written into the volume on {name}, and this host's disk is full: {said}"),
                format!(
                    "no se puede escribir nada en el volumen en {name}, y el disco de este equipo está lleno: {said}"
                ),
            ));
        }
        return Ok(not_written(Text::new(
            format!("nothing can be written into the volume on {name}: {said}"),
            format!("no se puede escribir nada en el volumen en {name}: {said}"),
        )));
    };
    let mut observation = judge(shape(volume), &writer.member.name(), &others, &seen?);
    observation.notes.extend(left);
    Ok(observation)
}

/// The bricks that may hold the file whole, each with the file's place on it.
fn bricks<'a, 'm>(volume: &Volume, members: &'a [Member<'m>], below: &str) -> Vec<Place<'a, 'm>> {
    if shape(volume) == Shape::Pieces {
        return Vec::new();
    }
    let content = volume.bricks.iter().filter(|brick| !brick.arbiter);
    let place = |brick: &super::xml::Brick| {
        Some(Place { member: machine_of(members, brick)?, path: plain(&format!("{}/{below}", brick.path)) })
    };
    content.filter_map(place).collect()
}

async fn write(stack: &Stack, at: &Place<'_, '_>, content: &str) -> Result<Output, ProbeError> {
    let to = format!("of={}", at.path);
    in_machine(stack, at, Cmd::new(["dd", &to, "conv=fsync", "status=none"]).stdin(content).timeout(WRITE)).await
}

async fn in_machine(stack: &Stack, at: &Place<'_, '_>, cmd: Cmd) -> Result<Output, ProbeError> {
    let shell = at.member.body.shell(&stack.ground);
    shell.run(&cmd).await.map_err(|error| {
        let (name, error) = (at.member.name(), crate::sanitize::line(&error.to_string(), 200));
        ProbeError::ours(
            format!("could not write into the volume on {name}: {error}"),
            format!("no se pudo escribir en el volumen en {name}: {error}"),
        )
    })
}

/// What is left behind, if anything is.
async fn remove(stack: &Stack, at: &Place<'_, '_>) -> Option<Text> {
    let done = in_machine(stack, at, Cmd::new(["rm", "-f", "--", &at.path]).timeout(WRITE)).await;
    let path = crate::sanitize::line(&at.path, 160);
    (!done.is_ok_and(|output| output.ok())).then(|| {
        Text::new(
            format!("{path}, which was written for this check, could not be removed"),
            format!("{path}, que se escribió para esta comprobación, no se pudo quitar"),
        )
    })
}

/// Which of the places showed it, and after how long the last of them did.
#[derive(Clone, Debug, Default, PartialEq)]
struct Sighted {
    others: Vec<bool>,
    bricks: Vec<String>,
    after: Duration,
}

async fn watch(
    stack: &Stack,
    others: &[Place<'_, '_>],
    bricks: &[Place<'_, '_>],
    content: &str,
    within: Duration,
) -> Result<Sighted, ProbeError> {
    let began = Instant::now();
    let mut seen = Sighted { others: vec![false; others.len()], ..Sighted::default() };
    let mut found = vec![false; bricks.len()];
    for round in 1.. {
        for (place, seen) in others.iter().zip(&mut seen.others).chain(bricks.iter().zip(&mut found)) {
            *seen = *seen || holds(stack, place, content).await?;
        }
        seen.after = began.elapsed();
        // Of bricks, not all have it: a volume of several sets has it in one.
        let machines = distinct(bricks, &found);
        let copied = bricks.is_empty() || machines.len() > 1;
        seen.bricks = machines;
        let late = seen.after >= within && round >= ROUNDS;
        if late || (copied && seen.others.iter().all(|seen| *seen)) {
            break;
        }
        sleep(EVERY).await;
    }
    Ok(seen)
}

fn distinct(bricks: &[Place<'_, '_>], found: &[bool]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (place, _) in bricks.iter().zip(found).filter(|(_, found)| **found) {
        if !names.contains(&place.member.name()) {
            names.push(place.member.name());
        }
    }
    names
}

async fn holds(stack: &Stack, at: &Place<'_, '_>, content: &str) -> Result<bool, ProbeError> {
    let seen = path(stack, &at.member.body, &at.path, content.len() + 1, STEP).await?;
    Ok(seen.is_some_and(|seen| seen.content == content.as_bytes()))
}

fn not_written(why: Text) -> Observation {
    let facts = Facts::from([("written".to_owned(), json!(false)), ("copied".to_owned(), json!(false))]);
    Observation { explanation: Some(why), ..Observation::of(facts) }
}

fn judge(shape: Shape, writer: &str, others: &[Place<'_, '_>], seen: &Sighted) -> Observation {
    let names = |want: bool| {
        let named = others.iter().zip(&seen.others).filter(|(_, seen)| **seen == want);
        named.map(|(place, _)| place.member.name()).collect::<Vec<_>>()
    };
    facts_of(shape, writer, &names(true), &names(false), &seen.bricks, seen.after)
}

fn facts_of(
    shape: Shape,
    writer: &str,
    read: &[String],
    not_read: &[String],
    bricks: &[String],
    after: Duration,
) -> Observation {
    let copied = if shape == Shape::Pieces { !read.is_empty() } else { bricks.len() > 1 };
    let facts = Facts::from([
        ("written".to_owned(), json!(true)),
        ("written_on".to_owned(), json!(writer)),
        ("read_on".to_owned(), json!(read)),
        ("not_read_on".to_owned(), json!(not_read)),
        ("on_bricks_of".to_owned(), json!(bricks)),
        ("copied".to_owned(), json!(copied)),
        ("after_s".to_owned(), json!(after.as_secs_f64())),
    ]);
    let after = after.as_secs_f64();
    let explanation = if !not_read.is_empty() {
        let names = not_read.join(", ");
        Some(Text::new(
            format!("a file written on {writer} did not show on {names} within {after:.1} s"),
            format!("un archivo escrito en {writer} no apareció en {names} en {after:.1} s"),
        ))
    } else if !copied && shape != Shape::Pieces {
        let names = if bricks.is_empty() { "-".to_owned() } else { bricks.join(", ") };
        Some(Text::new(
            format!("a file written on {writer} lies on the bricks of one machine at most: {names}"),
            format!("un archivo escrito en {writer} está en los bricks de una máquina a lo sumo: {names}"),
        ))
    } else if !copied {
        Some(Text::new(
            format!("no other machine than {writer} has the volume mounted"),
            format!("ninguna otra máquina que {writer} tiene montado el volumen"),
        ))
    } else {
        None
    };
    Observation { explanation, ..Observation::of(facts) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::tree;

    fn names(all: &[&str]) -> Vec<String> {
        all.iter().map(|name| (*name).to_owned()).collect()
    }

    fn seen(shape: Shape, read: &[&str], not: &[&str], bricks: &[&str]) -> (bool, Option<String>) {
        let second = Duration::from_secs(1);
        let seen = facts_of(shape, "master", &names(read), &names(not), &names(bricks), second);
        (seen.subjects[0].1["copied"] == json!(true), seen.explanation.map(|text| text.en))
    }

    #[test]
    fn bytes_on_two_machines_are_copied() {
        let both = &["master", "worker1"];
        assert_eq!(seen(Shape::Copies, &["worker1"], &[], both), (true, None));
        let (copied, why) = seen(Shape::Copies, &[], &["worker1"], both);
        assert_eq!(
            (copied, why.as_deref()),
            (true, Some("a file written on master did not show on worker1 within 1.0 s"))
        );
        let (copied, why) = seen(Shape::Single, &["worker1"], &[], &["worker2"]);
        assert!(!copied && why.unwrap().ends_with("one machine at most: worker2"));
    }

    #[test]
    fn of_pieces_the_other_machines_mounts_tell() {
        assert_eq!(seen(Shape::Pieces, &["worker1"], &[], &[]), (true, None));
        let (copied, why) = seen(Shape::Pieces, &[], &[], &[]);
        assert!(!copied && why.unwrap().contains("no other machine than master"));
    }

    #[test]
    fn time_may_be_given() {
        let node = tree::read("{within: 3s, volum: x}", "s.yaml").unwrap();
        let mut problems = Vec::new();
        let mut d = Decoder::new(&node, &mut problems);
        assert_eq!(decode(&mut d).unwrap().within, Duration::from_secs(3));
        d.finish();
        assert_eq!(problems[0].message, "unknown key `volum`");
    }
}

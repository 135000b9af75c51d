//! Asking a machine's own `gluster`: which machine, which volume. What it says is testimony.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::xml::{self, Said, Volume};
use crate::notice::Reason;
use crate::probe::ProbeError;
use crate::probe::command::asked;
use crate::probe::common::Found;
use crate::probe::machines::{On, chosen, up};
use crate::stack::machines::Node;
use crate::stack::{Body, Stack};
use crate::text::Text;

/// Between two questions where another one is being answered.
const BUSY: Duration = Duration::from_millis(200);

/// A machine whose `gluster` answers, and the volumes that it knows.
pub(super) struct Teller<'a> {
    pub(super) node: &'a Node,
    pub(super) body: Body,
    pub(super) volumes: Vec<Volume>,
}

/// The first machine that knows a volume; where none does, the first that answers; where none does, why.
pub(super) async fn teller<'a>(stack: &'a Stack, on: &On, timeout: Duration) -> Result<Found<Teller<'a>>, ProbeError> {
    let nodes = match chosen(stack, on)? {
        Found::Here(nodes) => nodes,
        Found::Absent(why) => return Ok(Found::Absent(why)),
    };
    let (mut without, mut silent, mut unable) = (None, None, None);
    for node in nodes {
        match ask_one(stack, node, timeout).await {
            Ok(Found::Here(teller)) if !teller.volumes.is_empty() => return Ok(Found::Here(teller)),
            Ok(Found::Here(teller)) => without = without.or(Some(teller)),
            Ok(Found::Absent(why)) => silent = silent.or(Some(why)),
            Err(error) => unable = unable.or(Some(error)),
        }
    }
    match (unable, without, silent) {
        // One that could not be asked may know what the others do not.
        (Some(error), ..) => Err(error),
        (None, Some(teller), _) => Ok(Found::Here(teller)),
        (None, None, why) => Ok(Found::Absent(why.unwrap_or_default())),
    }
}

async fn ask_one<'a>(stack: &Stack, node: &'a Node, timeout: Duration) -> Result<Found<Teller<'a>>, ProbeError> {
    let body = match up(stack, node).await? {
        Found::Here(body) => body,
        Found::Absent(why) => return Ok(Found::Absent(why)),
    };
    let told = tell(stack, node, &body, &["volume", "info"], xml::volumes, timeout).await?;
    Ok(told.map(|volumes| Teller { node, body, volumes }))
}

/// One question, read by `read`. That the tool is not there, or that its daemon does not run, is a fact.
pub(super) async fn tell<T>(
    stack: &Stack,
    node: &Node,
    body: &Body,
    question: &[&str],
    read: fn(&str) -> Option<Said<T>>,
    timeout: Duration,
) -> Result<Found<T>, ProbeError> {
    let until = Instant::now() + timeout;
    let argv = [&["gluster", "--mode=script", "--xml"], question].concat();
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let ran = match asked(stack, node, body, &argv, left).await? {
            Found::Here(ran) => ran,
            Found::Absent(why) => return Ok(Found::Absent(why)),
        };
        let name = crate::sanitize::line(node.name(), 60);
        if ran.not_started.is_some() {
            return Ok(Found::Absent(Text::new(
                format!("GlusterFS is not installed on {name}: it has no `gluster`"),
                format!("GlusterFS no está instalado en {name}: no tiene `gluster`"),
            )));
        }
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        match read(&said) {
            Some(Ok(told)) => return Ok(Found::Here(told)),
            // It answers one at a time.
            Some(Err(words)) if busy(&words) => {
                if Instant::now() + BUSY >= until {
                    return Err(refused(&name, question, &words));
                }
                sleep(BUSY).await;
            }
            Some(Err(words)) => return Err(refused(&name, question, &words)),
            None if said.contains("Connection failed") => {
                return Ok(Found::Absent(Text::new(
                    format!("the daemon of GlusterFS, glusterd, does not run on {name}"),
                    format!("el demonio de GlusterFS, glusterd, no corre en {name}"),
                )));
            }
            None => return Err(ran.unable()),
        }
    }
}

fn busy(words: &str) -> bool {
    ["Another transaction is in progress", "Locking failed"].iter().any(|known| words.contains(known))
}

fn refused(name: &str, question: &[&str], words: &str) -> ProbeError {
    let (asked, words) = (question.join(" "), crate::sanitize::line(words, 200));
    ProbeError::ours(
        format!("`gluster {asked}` on {name} was refused: {words}"),
        format!("`gluster {asked}` en {name} fue rechazado: {words}"),
    )
}

/// The volume that is meant: the one that is named, else the only one, else the only one that `used` says is used.
pub(super) fn which<'a>(
    volumes: &'a [Volume],
    named: Option<&str>,
    used: impl Fn(&Volume) -> bool,
) -> Result<Found<&'a Volume>, ProbeError> {
    let names = || volumes.iter().map(|v| crate::sanitize::line(&v.name, 60)).collect::<Vec<_>>().join(", ");
    match (named, volumes) {
        (_, []) => Ok(Found::Absent(Text::new("there is no volume", "no hay ningún volumen"))),
        (Some(name), _) => Ok(match volumes.iter().find(|volume| volume.name == name) {
            Some(volume) => Found::Here(volume),
            None => Found::Absent(Text::new(
                format!("there is no volume called {name}; there are: {}", names()),
                format!("no hay ningún volumen llamado {name}; hay: {}", names()),
            )),
        }),
        (None, [volume]) => Ok(Found::Here(volume)),
        (None, _) => {
            let mut all = volumes.iter().filter(|volume| used(volume));
            match (all.next(), all.next()) {
                (Some(volume), None) => Ok(Found::Here(volume)),
                _ => Err(ProbeError::new(
                    Reason::Ambiguous,
                    format!(
                        "there are several volumes ({}), and nothing tells which is meant: name it with `volume:`",
                        names()
                    ),
                    format!(
                        "hay varios volúmenes ({}), y nada dice de cuál se trata: indíquelo con `volume:`",
                        names()
                    ),
                )),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> Vec<Volume> {
        names.iter().map(|name| Volume { name: (*name).to_owned(), ..Volume::default() }).collect()
    }

    #[test]
    fn the_volume_that_is_meant() {
        let name = |found: Result<Found<&Volume>, ProbeError>| match found {
            Ok(Found::Here(volume)) => volume.name.clone(),
            Ok(Found::Absent(why)) => why.en,
            Err(error) => format!("{:?}: {}", error.reason, error.text.en),
        };
        let two = of(&["gv0", "gv1"]);
        assert_eq!(name(which(&two, Some("gv1"), |_| false)), "gv1");
        assert_eq!(name(which(&two, Some("gv2"), |_| true)), "there is no volume called gv2; there are: gv0, gv1");
        assert_eq!(name(which(&of(&["solo"]), None, |_| false)), "solo");
        assert_eq!(name(which(&two, None, |volume| volume.name == "gv0")), "gv0");
        assert!(name(which(&two, None, |_| true)).starts_with("Ambiguous: there are several volumes (gv0, gv1)"));
        assert_eq!(name(which(&[], Some("gv1"), |_| true)), "there is no volume");
    }

    #[test]
    fn one_question_at_a_time_is_no_refusal() {
        assert!(busy("Another transaction is in progress for volumen. Please try again after some time."));
        assert!(busy("Locking failed on 192.168.56.12. Please check log file for details."));
        assert!(!busy("Volume nada does not exist"));
    }
}

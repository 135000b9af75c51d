//! A ledger behind a form of the page: each entry is posted as a visitor would, and read back from what the page shows.

use std::collections::BTreeSet;
use std::time::Duration;

use regex::Regex;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};
use url::Url;

use super::super::spec::NUMBER;
use super::super::watch;
use super::super::world::{There, Written};
use super::{READ, patience, unsent};
use crate::agent::{Look, Sight};
use crate::probe::ProbeError;
use crate::probe::common::{doors, look};
use crate::probe::page::text::PageText;
use crate::probe::visit::content_type;
use crate::stack::Stack;

const MOST: usize = 8 << 20;
/// What was confirmed may show a little later.
const SHOWS: Duration = Duration::from_secs(8);
const AGAIN: Duration = Duration::from_secs(1);

/// A form of the page that entries are written with.
pub(super) struct Form<'a> {
    pub(super) nonce: &'a str,
    pub(super) role: &'a str,
    pub(super) path: &'a str,
    pub(super) fields: &'a [(String, String)],
    /// Where the last one was answered: to ask an engine before each takes time that is no silence of the page's.
    pub(super) door: &'a Mutex<Option<Url>>,
}

impl Form<'_> {
    /// Sends it; what the app answers says what became of the entry.
    pub(super) async fn post(&self, stack: &Stack, number: u64) -> Written {
        let known = self.door.lock().await.clone();
        let door = match known {
            Some(door) => door,
            None => match door(stack, self.role).await {
                Ok(door) => door,
                Err(error) => return unsent(&error),
            },
        };
        let (written, answered) = self.post_at(stack, &door, number).await;
        // It may be another container by the next write.
        *self.door.lock().await = answered.then_some(door);
        written
    }

    /// And whether anything answered.
    async fn post_at(&self, stack: &Stack, door: &Url, number: u64) -> (Written, bool) {
        let entry = format!("{}-{number}", self.nonce);
        let url = match at(door, self.role, &self.path.replace(NUMBER, &entry)) {
            Ok(url) => url,
            Err(error) => return (unsent(&error), true),
        };
        let Ok(agent) = stack.ground.agents.lab().await else { return (Written::Untried, false) };
        let fields = self.fields.iter().map(|(name, value)| (name.as_str(), value.replace(NUMBER, &entry)));
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let ask = Look::Http {
            method: "POST".to_owned(),
            url: url.to_string(),
            headers: vec![("Content-Type".to_owned(), "application/x-www-form-urlencoded".to_owned())],
            body: Some(body),
            max_bytes: 64 << 10,
        };
        match look(&agent, ask, patience(stack)).await {
            // What says what its database answered has confirmed nothing.
            Ok(Sight::Http { status: status @ 200..=399, body, headers, .. }) => {
                let said = watch::answered(status, &body, content_type(&headers));
                (if said.ok { Written::Acknowledged } else { Written::Unknown }, true)
            }
            // A server that fails may have written before; one that refuses has not.
            Ok(Sight::Http { status: 400..=499, .. }) => (Written::Failed, true),
            Ok(Sight::Http { .. }) => (Written::Unknown, true),
            Ok(Sight::No { stage, .. }) if stage == "connect" => (Written::Failed, false),
            _ => (Written::Unknown, false),
        }
    }
}

/// All entries that the page shows.
pub(super) async fn read(stack: &Stack, nonce: &str, role: &str, path: &str) -> Result<There, ProbeError> {
    let url = at(&door(stack, role).await?, role, path)?;
    let agent = stack.ground.agents.lab().await?;
    let ask =
        Look::Http { method: "GET".to_owned(), url: url.to_string(), headers: Vec::new(), body: None, max_bytes: MOST };
    match look(&agent, ask, READ).await? {
        Sight::Http { truncated: true, .. } => Err(unread("the page is too long to be read whole")),
        Sight::Http { status: 200..=299, body, headers, .. } => {
            let page = PageText::seen(&body, content_type(&headers));
            Ok(There { numbers: entries(&page, nonce), at: url.to_string() })
        }
        Sight::Http { status, .. } => Err(unread(&format!("status {status}"))),
        Sight::No { message, .. } => Err(unread(&message)),
        other => Err(unread(&format!("{other:?}"))),
    }
}

/// Whether what is missing on the page is missing. One more entry is written: it has to show, and nothing that showed before may go
/// for it, as on a page of the newest ones.
pub(super) async fn shows_all(
    stack: &Stack,
    nonce: &str,
    role: &str,
    path: &str,
    before: &There,
    next: u64,
) -> Result<(), ProbeError> {
    let until = Instant::now() + SHOWS;
    loop {
        let after = read(stack, nonce, role, path).await?;
        let shows = after.numbers.contains(&next);
        if !shows && Instant::now() < until {
            sleep(AGAIN).await;
            continue;
        }
        return if shows_the_rest(before, &after, next) {
            Ok(())
        } else {
            Err(ProbeError::unproven(
                "the page shows only a part of what is written: what it does not show need not be lost",
                "la página muestra solo una parte de lo que se escribe: lo que no muestra no tiene por qué haberse perdido",
            ))
        };
    }
}

fn shows_the_rest(before: &There, after: &There, next: u64) -> bool {
    after.numbers.contains(&next) && before.numbers.is_subset(&after.numbers)
}

/// The role's first door.
async fn door(stack: &Stack, role: &str) -> Result<Url, ProbeError> {
    let containers = stack.containers().await?;
    let door = doors(stack, role, &containers).into_iter().next();
    let root = door.and_then(|door| Url::parse(&format!("http://{}:{}/", door.address(stack), door.host)).ok());
    root.ok_or_else(|| no_door(role))
}

fn at(door: &Url, role: &str, path: &str) -> Result<Url, ProbeError> {
    door.join(path).map_err(|_| no_door(role))
}

fn no_door(role: &str) -> ProbeError {
    unread(&format!("{role} publishes no port"))
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

    #[test]
    fn a_page_of_the_newest_entries_or_of_the_oldest_shows_a_part() {
        let there = |numbers: &[u64]| There { numbers: numbers.iter().copied().collect(), at: String::new() };
        assert!(shows_the_rest(&there(&[1, 4]), &there(&[1, 4, 5]), 5), "2 and 3 are lost");
        assert!(shows_the_rest(&there(&[]), &there(&[5]), 5), "all are lost");
        assert!(!shows_the_rest(&there(&[3, 4]), &there(&[4, 5]), 5), "a page of two");
        assert!(!shows_the_rest(&there(&[1, 2]), &there(&[1, 2]), 5), "a page of the first two");
    }
}

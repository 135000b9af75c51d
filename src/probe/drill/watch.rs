//! One look at what a drill watches: from the lab, outside of every service's control group.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use super::spec::Watch;
use super::world::Seen;
use crate::agent::client::Agent;
use crate::agent::{Look, Sight, Statement};
use crate::probe::ProbeError;
use crate::probe::common::{Found, doors, look, published};
use crate::probe::page::text::PageText;
use crate::probe::page::{notebook_key, trouble};
use crate::probe::store::{self, Said, Store};
use crate::probe::visit::content_type;
use crate::stack::Stack;

/// Doors that are tried: a service of a swarm may be published on every node.
const DOORS: usize = 4;
/// Between two searches for doors that may have moved.
const AGAIN: Duration = Duration::from_secs(1);
/// Of a page.
const MOST: usize = 256 << 10;

/// Who looks, and where.
pub(super) struct Eyes {
    watch: Watch,
    /// Outside of the machines: it is there whatever is done to them.
    agent: Agent,
    /// Of a page or a port.
    places: Mutex<Vec<Url>>,
    /// When they were last looked for.
    asked: Mutex<Instant>,
    learned: Mutex<Learned>,
    /// Of a store, the way that let us in last.
    store: Mutex<Option<Store>>,
}

impl Eyes {
    /// Where the page was found earlier, else the role's first door. What is not there now may be later.
    pub(super) async fn open(stack: &Stack, watch: &Watch) -> Result<Self, ProbeError> {
        let agent = stack.ground.agents.lab().await?;
        let places = Mutex::new(places(stack, watch).await?);
        let (asked, learned) = (Mutex::new(Instant::now()), Mutex::default());
        Ok(Self { watch: watch.clone(), agent, places, asked, learned, store: Mutex::default() })
    }

    pub(super) async fn place(&self) -> String {
        match (&self.watch, self.places.lock().await.first()) {
            (Watch::Store(role), _) => role.clone(),
            (_, Some(url)) => url.to_string(),
            (watch, None) => watch.role().to_owned(),
        }
    }

    pub(super) async fn look(&self, stack: &Stack, timeout: Duration) -> Result<Seen, ProbeError> {
        if let Watch::Store(role) = &self.watch {
            return self.ask(stack, role, timeout).await;
        }
        let places = self.places.lock().await.clone();
        let mut last = no(format!("{} publishes no port", self.watch.role()));
        // The first that answers well is enough: another may be on a machine that is silent.
        let mut looks: FuturesUnordered<_> = places.iter().map(|url| self.one(url, timeout)).collect();
        while let Some(seen) = looks.next().await {
            let seen = seen?;
            if seen.ok {
                return Ok(seen);
            }
            last = seen;
        }
        drop(looks);
        self.find_again(stack).await;
        Ok(last)
    }

    /// Where an engine chose the port, it may be another one after a start.
    async fn find_again(&self, stack: &Stack) {
        let mut asked = self.asked.lock().await;
        if asked.elapsed() < AGAIN {
            return;
        }
        *asked = Instant::now();
        if let Ok(found) = places(stack, &self.watch).await
            && !found.is_empty()
        {
            *self.places.lock().await = found;
        }
    }

    /// From now on a page without most of what it showed is another page, unless it shows an entry that `mark` is in.
    pub(super) async fn freeze(&self, mark: Option<String>) {
        let mut learned = self.learned.lock().await;
        (learned.frozen, learned.mark) = (true, mark);
    }

    async fn one(&self, url: &Url, timeout: Duration) -> Result<Seen, ProbeError> {
        let host = url.host_str().unwrap_or_default().to_owned();
        let question = match &self.watch {
            Watch::Tcp(..) => Look::Tcp { host, port: url.port_or_known_default().unwrap_or_default(), greet_ms: 0 },
            _ => Look::Http {
                method: "GET".to_owned(),
                url: url.to_string(),
                headers: vec![("Accept".to_owned(), "text/html,application/json;q=0.9,*/*;q=0.8".to_owned())],
                body: None,
                max_bytes: MOST,
            },
        };
        Ok(match look(&self.agent, question, timeout).await? {
            Sight::Http { status, headers, body, .. } => {
                let kind = content_type(&headers);
                let seen = answered(status, &body, kind);
                if seen.ok { self.learned.lock().await.judge(&PageText::seen(&body, kind)) } else { seen }
            }
            Sight::Tcp { connected, refused, .. } => {
                Seen { ok: connected, said: if connected { String::new() } else { refused.unwrap_or_default() } }
            }
            Sight::No { message, .. } => no(message),
            other => return Err(crate::probe::machines::unexpected(&other)),
        })
    }

    /// The server answers a query. A login that is let in no more is asked for anew: it may be another container by now.
    async fn ask(&self, stack: &Stack, role: &str, timeout: Duration) -> Result<Seen, ProbeError> {
        let known = self.store.lock().await.take();
        if let Some(store) = known {
            // Where the agent that it went by is gone as well, another way in is tried.
            let said = store.say(vec![Statement::new("SELECT 1")], timeout).await;
            if let Ok(Said::Answer(..)) = said {
                *self.store.lock().await = Some(store);
                return Ok(Seen { ok: true, said: String::new() });
            }
        }
        match store::open(stack, role, timeout).await? {
            Found::Here(found) => {
                *self.store.lock().await = Some(found);
                Ok(Seen { ok: true, said: String::new() })
            }
            Found::Absent(why) => Ok(no(why.en)),
        }
    }
}

/// Where the page was found earlier, else the role's first door.
async fn places(stack: &Stack, watch: &Watch) -> Result<Vec<Url>, ProbeError> {
    let containers = stack.containers().await?;
    let mut places = Vec::new();
    if !matches!(watch, Watch::Store(_)) {
        let known = stack.notebook.lock().await.get(&notebook_key(watch.role())).cloned().unwrap_or_default();
        let known = known["url"].as_str().and_then(|url| Url::parse(url).ok());
        let all = if let Watch::Tcp(_, port) = watch {
            published(&containers).into_iter().filter(|door| door.host == *port).collect()
        } else {
            doors(stack, watch.role(), &containers)
        };
        for door in &all {
            let root = format!("http://{}:{}/", door.address(stack), door.host);
            let Some(mut url) = Url::parse(&root).ok() else { continue };
            if let Some(known) = &known {
                url.set_path(known.path());
                url.set_query(known.query());
            }
            // Where rows were seen, first.
            let seen = known.as_ref().is_some_and(|known| known.port() == url.port());
            places.insert(if seen { 0 } else { places.len() }, url);
        }
        places.truncate(DOORS);
        // Of several ports on one machine, one is the page's.
        let first = places.first().and_then(Url::port);
        places.retain(|url| url.port() == first);
    }
    Ok(places)
}

/// What a page showed at every look before anything was broken. An app that swallows its database's errors answers well, and shows
/// nothing of what it showed. By words and not by lines: a page may be one line, and a new row changes that.
#[derive(Default)]
struct Learned {
    words: Option<BTreeSet<String>>,
    frozen: bool,
    /// In each entry that is written through the page: one that shows newer rows alone shows these.
    mark: Option<String>,
}

impl Learned {
    fn judge(&mut self, text: &str) -> Seen {
        let between = |c: char| !c.is_alphanumeric();
        let words = text.split(between).filter(|word| !word.is_empty());
        let up = Seen { ok: true, said: String::new() };
        if !self.frozen {
            let words: BTreeSet<String> = words.map(str::to_owned).collect();
            let known = self.words.take();
            self.words = Some(known.map_or(words.clone(), |known| known.intersection(&words).cloned().collect()));
            return up;
        }
        if self.mark.as_ref().is_some_and(|mark| text.contains(mark)) {
            return up;
        }
        let Some(known) = self.words.as_ref().filter(|known| !known.is_empty()) else { return up };
        let words: BTreeSet<&str> = words.collect();
        let there = known.iter().filter(|word| words.contains(word.as_str())).count();
        if there * 2 >= known.len() { up } else { no("the page shows little of what it showed before".to_owned()) }
    }
}

pub(super) fn no(said: String) -> Seen {
    Seen { ok: false, said: crate::sanitize::line(&said, 160) }
}

/// A page that says what its database answered it is down, whatever its status.
pub(super) fn answered(status: u16, body: &[u8], kind: Option<&str>) -> Seen {
    if status >= 400 {
        return no(format!("status {status}"));
    }
    match trouble::database_error(PageText::read(body, kind).readings()) {
        Some(error) => no(error),
        None => Seen { ok: true, said: String::new() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_up_when_it_answers_well_and_shows_no_database_error() {
        assert!(answered(200, b"<p>Condor</p>", Some("text/html")).ok);
        assert!(answered(304, b"", None).ok);
        assert_eq!(answered(502, b"", None).said, "status 502");
        let error = answered(200, b"<p>Can't connect to MySQL server on 'db'</p>", Some("text/html"));
        assert!(!error.ok && error.said.contains("can't connect to mysql"), "{error:?}");
    }

    #[test]
    fn a_page_without_most_of_what_it_showed_is_not_up() {
        let mut learned = Learned::default();
        for noise in ["at 10:00", "at 10:01"] {
            assert!(learned.judge(&format!("Bitácora\nuno\ndos\ntres\n{noise}")).ok);
        }
        learned.frozen = true;
        assert!(learned.judge("Bitácora\nuno\ndos\ntres\ncuatro\nat 10:05").ok, "more is no less");
        assert!(!learned.judge("Bitácora\nnada").ok);
        assert!(Learned { frozen: true, ..Learned::default() }.judge("").ok, "nothing was learned of it");
    }

    #[test]
    fn a_page_of_one_line_and_one_that_shows_the_newest_rows_are_up_while_rows_are_added() {
        let mut learned = Learned::default();
        assert!(learned.judge("Bitácora: uno, dos, tres").ok);
        learned.frozen = true;
        assert!(learned.judge("Bitácora: uno, dos, tres, imparcial0a-1").ok);
        assert!(!learned.judge("imparcial0a-1, imparcial0a-2").ok);
        learned.mark = Some("imparcial0a".to_owned());
        assert!(learned.judge("imparcial0a-1, imparcial0a-2").ok);
    }
}

//! One look at what a drill watches: from the lab, outside of every service's control group.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Mutex;
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
use crate::stack::Stack;

/// Doors that are tried: a service of a swarm may be published on every node.
const DOORS: usize = 4;
/// Of a page.
const MOST: usize = 256 << 10;

/// Who looks, and where.
pub(super) struct Eyes {
    watch: Watch,
    /// Outside of the machines: it is there whatever is done to them.
    agent: Agent,
    /// Of a page or a port.
    places: Vec<Url>,
    /// Of a store, the way that let us in last.
    store: Mutex<Option<Store>>,
}

impl Eyes {
    /// Where the page was found earlier, else the role's first door. What is not there now may be later.
    pub(super) async fn open(stack: &Stack, watch: &Watch) -> Result<Self, ProbeError> {
        let agent = stack.ground.agents.lab().await?;
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
        Ok(Self { watch: watch.clone(), agent, places, store: Mutex::default() })
    }

    pub(super) fn place(&self) -> String {
        match (&self.watch, self.places.first()) {
            (Watch::Store(role), _) => role.clone(),
            (_, Some(url)) => url.to_string(),
            (watch, None) => watch.role().to_owned(),
        }
    }

    pub(super) async fn look(&self, stack: &Stack, timeout: Duration) -> Result<Seen, ProbeError> {
        if let Watch::Store(role) = &self.watch {
            return self.ask(stack, role, timeout).await;
        }
        if self.places.is_empty() {
            return Ok(no(format!("{} publishes no port", self.watch.role())));
        }
        let looks = self.places.iter().map(|url| self.one(url, timeout));
        let mut last = Seen::default();
        for seen in join_all(looks).await {
            let seen = seen?;
            if seen.ok {
                return Ok(seen);
            }
            last = seen;
        }
        Ok(last)
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
                let kind = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
                answered(status, &body, kind.map(|(_, value)| value.as_str()))
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
        let known = self.store.lock().await.clone();
        if let Some(store) = known
            && let Said::Answer(..) = store.say(vec![Statement::new("SELECT 1")], timeout).await?
        {
            return Ok(Seen { ok: true, said: String::new() });
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

fn no(said: String) -> Seen {
    Seen { ok: false, said: crate::sanitize::line(&said, 160) }
}

/// A page that says what its database answered it is down, whatever its status.
fn answered(status: u16, body: &[u8], kind: Option<&str>) -> Seen {
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
}

//! One connection attempt, and whose server answered it.

use serde_json::{Value, json};

use super::super::common::{Found, Published, beside, look, published, role_of};
use super::super::greeting::{self, Greeting};
use super::super::{Attempt, Observation, ProbeError};
use super::MYSQL;
use crate::agent::client::Agent;
use crate::agent::{Look, Sight};
use crate::docker::Container;
use crate::expect::Facts;
use crate::scenario::From;
use crate::stack::Stack;
use crate::text::Text;

/// What came of one connection attempt.
pub(super) struct Dialled {
    pub(super) name: String,
    sight: Sight,
}

/// A server that greets does so at once; others say nothing, and waiting longer proves nothing more.
const GREET_MS: u64 = 1500;
const SILENT_MS: u64 = 150;

pub(super) async fn dial(
    agent: &Agent,
    host: &str,
    port: u16,
    greets: bool,
    attempt: Attempt,
) -> Result<Dialled, ProbeError> {
    let greet_ms = if greets { GREET_MS } else { SILENT_MS };
    let sight = look(agent, Look::Tcp { host: host.to_owned(), port, greet_ms }, attempt.timeout).await?;
    Ok(Dialled { name: host.to_owned(), sight })
}

impl Dialled {
    pub(super) fn connected(&self) -> bool {
        // Accepted and hung up without a word: a proxy with nothing behind it.
        matches!(&self.sight, Sight::Tcp { connected: true, closed, greeting, .. } if closed.is_none() || !greeting.is_empty())
    }

    pub(super) fn resolved(&self) -> bool {
        !matches!(&self.sight, Sight::No { stage, .. } if stage == "resolve")
    }

    pub(super) fn refused(&self) -> Option<String> {
        match &self.sight {
            Sight::Tcp { refused: Some(why), .. } => Some(why.clone()),
            Sight::Tcp { closed: Some(how), greeting, .. } if greeting.is_empty() => {
                Some(format!("accepted, then {how}"))
            }
            Sight::No { stage, message, .. } if stage == "resolve" => {
                Some(format!("the name does not resolve: {message}"))
            }
            Sight::No { message, .. } => Some(message.clone()),
            _ => None,
        }
    }
}

/// All that is needed to tell who answered.
pub(super) struct View<'a> {
    pub(super) stack: &'a Stack,
    pub(super) containers: &'a [Container],
    pub(super) from: &'a From,
    pub(super) attempt: Attempt,
}

impl View<'_> {
    pub(super) async fn observation(&self, dialled: Dialled, port: u16) -> Result<Observation, ProbeError> {
        let connected = dialled.connected();
        let mut facts = Facts::from([("connected".to_owned(), json!(connected))]);
        let mut explanation = None;
        if let Sight::Tcp { address: Some(address), greeting, .. } = &dialled.sight {
            let loopback = address.starts_with("127.") || address == "::1";
            facts.insert("address".to_owned(), json!(if loopback { "loopback" } else { "not_loopback" }));
            if connected {
                let who = self.greeted_by(address, port, greeting).await?;
                facts.insert("greeted_by".to_owned(), json!(who.as_deref().unwrap_or("nobody")));
                if who.is_none() {
                    let name = &dialled.name;
                    explanation = Some(Text::new(
                        format!("`{name}` ({address}:{port}) accepts, but no server of the stack greets there"),
                        format!(
                            "`{name}` ({address}:{port}) acepta, pero allí no saluda ningún servidor de la entrega"
                        ),
                    ));
                }
            } else {
                let (name, why) = (&dialled.name, dialled.refused().unwrap_or_default());
                explanation = Some(Text::new(
                    format!("`{name}` is {address}, and port {port} there does not answer: {why}"),
                    format!("`{name}` es {address}, y el puerto {port} de allí no responde: {why}"),
                ));
            }
        }
        facts.entry("greeted_by".to_owned()).or_insert_with(|| json!("nobody"));
        if connected {
            facts.insert("name".to_owned(), json!(dialled.name));
        }
        if let Some(why) = dialled.refused() {
            let name = &dialled.name;
            explanation.get_or_insert_with(|| Text::new(format!("`{name}`: {why}"), format!("`{name}`: {why}")));
            facts.insert("refused".to_owned(), Value::String(why));
        }
        Ok(Observation { explanation, ..Observation::of(facts) })
    }

    /// Whose server it is: by the address that was reached, else by its own count of connections.
    async fn greeted_by(&self, address: &str, port: u16, greeting: &[u8]) -> Result<Option<String>, ProbeError> {
        let greeted = greeting::read(greeting);
        let inside = matches!(self.from, From::Inside(_));
        // A machine's loopback is its own; published ports are seen from there as from anywhere.
        let apart = inside || matches!(self.from, From::Node(_));
        let by_address = self.containers.iter().find(|c| c.addresses.values().any(|a| a == address));
        let by_port = || {
            let there = |p: &Published| {
                (!inside && address == self.stack.spot(p.spot).address) || (!apart && address.starts_with("127."))
            };
            published(self.containers).into_iter().find(|p| there(p) && p.host == port)
        };
        let (service, inner) = match by_address {
            Some(container) => (container.service.clone(), port),
            None => match by_port() {
                Some(p) => (p.service, p.container),
                None => return self.same_server(greeted.as_ref()).await,
            },
        };
        // A MySQL server speaks first: what is silent on its port is another program.
        if inner == MYSQL && greeted.is_none() {
            return Ok(None);
        }
        Ok(Some(role_of(self.stack, &service)))
    }

    /// A server behind an address that no container has (a published port, a forwarder): the one whose own count of
    /// connections, asked before and after, encloses the number that was given here.
    async fn same_server(&self, greeted: Option<&Greeting>) -> Result<Option<String>, ProbeError> {
        let Some(Greeting::Handshake { version, connection }) = greeted else { return Ok(None) };
        for container in self.containers.iter().filter(|c| c.running()) {
            let Some(address) = container.addresses.values().next() else { continue };
            let Found::Here(beside) = beside(self.stack, container).await? else { continue };
            let own = dial(&beside, address, MYSQL, true, self.attempt).await?;
            let Sight::Tcp { greeting, .. } = &own.sight else { continue };
            // The number that was seen was given a moment ago; others may have connected since, but not many.
            if let Some(Greeting::Handshake { version: v, connection: now }) = greeting::read(greeting)
                && v == *version
                && now > *connection
                && now - connection < 50
            {
                return Ok(Some(role_of(self.stack, &container.service)));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hang_up_without_a_word_is_no_connection() {
        let sight = |greeting: &[u8], closed: Option<&str>| Dialled {
            name: "x".into(),
            sight: Sight::Tcp {
                connected: true,
                address: None,
                greeting: greeting.to_vec(),
                closed: closed.map(str::to_owned),
                refused: None,
                elapsed_ms: 1,
            },
        };
        assert!(sight(b"", None).connected());
        assert!(sight(b"no", Some("closed")).connected());
        let proxy = sight(b"", Some("connection reset"));
        assert!(!proxy.connected());
        assert_eq!(proxy.refused().unwrap(), "accepted, then connection reset");
    }
}

//! `http`: what a URL answers, from where the probe stands.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;
use tokio::time::Instant;
use url::Url;

use super::common::{doors, from_schema, here, layer_of, observer, player};
use super::page::links::Origins;
use super::page::text;
use super::visit::{Ask, Got, Response, Visitor};
use super::{Attempt, Observation, Probe, ProbeError, ProbeKind};
use crate::expect::{FactSpec, Facts, Unit};
use crate::scenario::From;
use crate::scenario::tree::Decoder;
use crate::stack::Stack;
use crate::text::Text;

pub static KIND: ProbeKind = ProbeKind {
    name: "http",
    summary: "What a URL answers",
    facts: &[
        FactSpec { name: "status", unit: Unit::Number, summary: "the status code; none where nothing answered" },
        FactSpec { name: "body", unit: Unit::Text, summary: "the body as text, whatever its charset" },
        FactSpec { name: "headers", unit: Unit::List, summary: "each as `name: value`, the name in lower case" },
        FactSpec { name: "final_url", unit: Unit::Text, summary: "where redirects led" },
        FactSpec { name: "elapsed_s", unit: Unit::Seconds, summary: "from asking to the end of the body" },
    ],
    example: "{id: front-page, points: 2, http: {url: \"http://{app.published}/\"}, expect: {status: 200, body: {contains: Hello}}}",
    schema: || {
        json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["url"],
            "properties": {
                "url": {"type": "string", "description": "`{role.published}` is the address and port where a role is published"},
                "from": from_schema(),
                "method": {"type": "string", "default": "GET", "description": "how it is asked"},
                "headers": {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}, "description": "sent with the question"},
                "follow": {
                    "type": "object",
                    "additionalProperties": false,
                    "properties": {"redirects": {"type": "boolean", "default": false, "description": "follow them within the stack"}}
                }
            }
        })
    },
    decode: |d| decode(d).map(|probe| Box::new(probe) as Box<dyn Probe>),
};

/// As much of a body as is kept as a fact; the evidence has all of it.
const MAX_BODY: usize = 64 * 1024;

struct Http {
    url: String,
    /// The role of `{role.published}` in the URL.
    role: Option<String>,
    from: From,
    method: String,
    headers: Vec<(String, String)>,
    redirects: bool,
}

fn decode(d: &mut Decoder<'_>) -> Option<Http> {
    let url = d.required_text("url");
    let from = d.from("from");
    let method = d.text_or("method", "GET");
    let headers = d.text_map("headers");
    let redirects = d.map("follow", |f| Some(f.bool_or("redirects", false))).unwrap_or(false);
    let url = url?;
    let role = published_role(&url).map(str::to_owned);
    let filled = match &role {
        Some(role) => {
            let at = d.place("url").clone();
            d.names_role(role, &at);
            fill(&url, role, "127.0.0.1:80")
        }
        None => url.clone(),
    };
    if !Url::parse(&filled).is_ok_and(|u| u.scheme() == "http") {
        d.problem_with("url", format!("`{url}` is no http URL"), Some("such as `http://{app.published}/`"));
        return None;
    }
    Some(Http { url, role, from, method, headers, redirects })
}

fn published_role(url: &str) -> Option<&str> {
    let (_, after) = url.split_once('{')?;
    after.split_once('}')?.0.strip_suffix(".published")
}

fn fill(url: &str, role: &str, place: &str) -> String {
    url.replace(&format!("{{{role}.published}}"), place)
}

#[async_trait]
impl Probe for Http {
    fn roles(&self) -> Vec<String> {
        let inside = match &self.from {
            From::Inside(role) => Some(role.clone()),
            _ => None,
        };
        self.role.iter().cloned().chain(inside).collect()
    }

    fn layer(&self) -> &'static str {
        layer_of(&self.from)
    }

    fn visits(&self) -> bool {
        true
    }

    async fn observe(&self, stack: &Arc<Stack>, attempt: Attempt) -> Result<Observation, ProbeError> {
        let until = Instant::now() + attempt.timeout;
        let agent = here!(observer(stack, &self.from).await?, absent);
        let containers = stack.containers().await?;
        let ports: Vec<u16> = super::common::published(&containers).iter().map(|p| p.host).collect();
        let mut urls = Vec::new();
        match &self.role {
            None => urls.push(self.url.clone()),
            Some(role) => {
                here!(player(stack, role).await?, absent);
                let doors = doors(stack, role, &containers);
                urls.extend(doors.iter().map(|d| fill(&self.url, role, &format!("{}:{}", d.address(stack), d.host))));
                if urls.is_empty() {
                    return absent(Text::new(
                        format!("{role} publishes no port: there is nowhere to ask"),
                        format!("{role} no publica ningún puerto: no hay dónde preguntar"),
                    ));
                }
            }
        }
        let mut last = None;
        for url in urls {
            let url = Url::parse(&url).map_err(|e| ProbeError::ours(format!("{url}: {e}"), format!("{url}: {e}")))?;
            let ask = Ask { method: &self.method, url: &url, headers: &self.headers, redirects: self.redirects, until };
            let origins = Origins::beside(&url, &stack.home.address, &ports);
            let reach = |to: &Url| if to.origin() == url.origin() { Some(to.clone()) } else { origins.reach(to) };
            match Visitor::new(&agent).ask(&ask, reach).await? {
                Got::Response(response) => return Ok(answered(&response)),
                Got::Nothing { message, .. } => {
                    last = Some(Text::new(format!("{url}: {message}"), format!("{url}: {message}")));
                }
            }
        }
        absent(last.unwrap_or_default())
    }
}

fn absent(why: Text) -> Result<Observation, ProbeError> {
    Ok(Observation { explanation: Some(why), ..Observation::of(Facts::new()) })
}

fn answered(response: &Response) -> Observation {
    let body = text::decode(&response.body, response.content_type());
    let kept: String = body.chars().take(MAX_BODY).collect();
    let headers: Vec<String> = response.headers.iter().map(|(n, v)| format!("{}: {v}", n.to_lowercase())).collect();
    let facts = Facts::from([
        ("status".to_owned(), json!(response.status)),
        ("body".to_owned(), json!(kept)),
        ("headers".to_owned(), json!(headers)),
        ("final_url".to_owned(), json!(response.url.as_str())),
        ("elapsed_s".to_owned(), json!(response.elapsed_s)),
    ]);
    Observation { evidence: vec![("response.txt".to_owned(), response.evidence())], ..Observation::of(facts) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::tree;

    fn decoded(text: &str) -> (Option<Http>, Vec<String>) {
        let node = tree::read(text, "s.yaml").unwrap();
        let mut problems = Vec::new();
        let mut d = Decoder::new(&node, &mut problems);
        let probe = decode(&mut d);
        d.finish();
        (probe, problems.into_iter().map(|p| p.message).collect())
    }

    #[test]
    fn a_url_may_name_a_role() {
        let (probe, problems) =
            decoded("{url: \"http://{app.published}/x\", follow: {redirects: true}, headers: {A: b}}");
        let probe = probe.unwrap();
        assert!(problems.is_empty());
        assert_eq!(probe.roles(), ["app"]);
        assert!(probe.redirects);
        assert_eq!(fill(&probe.url, "app", "10.0.0.1:5000"), "http://10.0.0.1:5000/x");
    }

    #[test]
    fn what_is_no_url_is_a_problem() {
        assert_eq!(decoded("{url: \"{app.published}/\"}").1.len(), 1);
        assert_eq!(decoded("{url: \"ftp://x/\"}").1, ["`ftp://x/` is no http URL"]);
    }
}

//! Asking for pages as a visitor without an account: redirects within the stack are followed, cookies that it was just
//! given are sent back, nothing else is known of it.

use tokio::time::Instant;
use url::Url;

use super::ProbeError;
use super::common::look;
use crate::agent::client::Agent;
use crate::agent::{Look, Sight};

/// More than a page of rows has.
const MAX_BYTES: usize = 2 << 20;
const MAX_REDIRECTS: usize = 10;

/// An answer, after redirects.
#[derive(Clone, Debug)]
pub struct Response {
    pub url: Url,
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Of the whole chain, in seconds.
    pub elapsed_s: f64,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    pub fn content_type(&self) -> Option<&str> {
        content_type(&self.headers)
    }

    /// All of it as text, for the run's folder.
    pub fn evidence(&self) -> Vec<u8> {
        let headers: Vec<String> = self.headers.iter().map(|(n, v)| format!("{}: {v}", n.to_lowercase())).collect();
        let body = super::page::text::decode(&self.body, self.content_type());
        format!("{} {}\n{}\n\n{body}", self.status, self.url, headers.join("\n")).into_bytes()
    }
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
}

/// What an answer says that it is.
pub fn content_type(headers: &[(String, String)]) -> Option<&str> {
    header(headers, "content-type")
}

/// What came of asking.
#[derive(Clone, Debug)]
pub enum Got {
    Response(Response),
    /// At `connect` or `read`: nothing came.
    Nothing {
        stage: String,
        message: String,
    },
}

/// A visitor: where it stands, and the cookies that it was given.
pub struct Visitor<'a> {
    agent: &'a Agent,
    cookies: Vec<(String, String)>,
}

/// One question.
pub struct Ask<'a> {
    pub method: &'a str,
    pub url: &'a Url,
    pub headers: &'a [(String, String)],
    pub redirects: bool,
    pub until: Instant,
}

impl<'a> Visitor<'a> {
    pub fn new(agent: &'a Agent) -> Self {
        Self { agent, cookies: Vec::new() }
    }

    /// A plain GET with redirects.
    pub async fn get(
        &mut self,
        url: &Url,
        reach: impl Fn(&Url) -> Option<Url>,
        until: Instant,
    ) -> Result<Got, ProbeError> {
        self.ask(&Ask { method: "GET", url, headers: &[], redirects: true, until }, reach).await
    }

    /// Asks, and follows redirects to what can be reached.
    pub async fn ask(&mut self, ask: &Ask<'_>, reach: impl Fn(&Url) -> Option<Url>) -> Result<Got, ProbeError> {
        let began = Instant::now();
        let mut url = ask.url.clone();
        let mut method = ask.method.to_owned();
        for _ in 0..=MAX_REDIRECTS {
            let left = ask.until.saturating_duration_since(Instant::now());
            let mut headers = ask.headers.to_vec();
            if !self.cookies.is_empty() {
                let all: Vec<String> = self.cookies.iter().map(|(n, v)| format!("{n}={v}")).collect();
                headers.push(("Cookie".to_owned(), all.join("; ")));
            }
            if !headers.iter().any(|(n, _)| n.eq_ignore_ascii_case("accept")) {
                headers.push(("Accept".to_owned(), "text/html,application/json;q=0.9,*/*;q=0.8".to_owned()));
            }
            let question =
                Look::Http { method: method.clone(), url: url.to_string(), headers, body: None, max_bytes: MAX_BYTES };
            let (status, headers, body) = match look(self.agent, question, left).await? {
                Sight::Http { status, headers, body, .. } => (status, headers, body),
                Sight::No { stage, message, .. } => return Ok(Got::Nothing { stage, message }),
                other => {
                    let text = format!("{other:?}");
                    return Err(ProbeError::ours(
                        format!("unexpected answer: {text}"),
                        format!("respuesta inesperada: {text}"),
                    ));
                }
            };
            self.keep_cookies(&headers);
            let elapsed_s = began.elapsed().as_secs_f64();
            let response = Response { url: url.clone(), status, headers, body, elapsed_s };
            let next = response
                .header("location")
                .filter(|_| ask.redirects && matches!(status, 301 | 302 | 303 | 307 | 308))
                .and_then(|to| url.join(to).ok())
                .and_then(|to| reach(&to));
            let Some(next) = next else { return Ok(Got::Response(response)) };
            if matches!(status, 301..=303) {
                method = "GET".to_owned();
            }
            url = next;
        }
        Ok(Got::Nothing { stage: "read".to_owned(), message: format!("more than {MAX_REDIRECTS} redirects") })
    }

    fn keep_cookies(&mut self, headers: &[(String, String)]) {
        for (_, value) in headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case("set-cookie")) {
            let Some((name, value)) = value.split(';').next().and_then(|pair| pair.split_once('=')) else { continue };
            self.cookies.retain(|(known, _)| known != name.trim());
            self.cookies.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::agent::client::Agents;

    /// Answers by path until the test ends; says which paths were asked with which cookies.
    async fn site(answer: fn(&str, &str) -> String) -> Url {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut asked = vec![0; 4096];
                let n = stream.read(&mut asked).await.unwrap_or(0);
                let text = String::from_utf8_lossy(&asked[..n]).into_owned();
                let path = text.split(' ').nth(1).unwrap_or("/").to_owned();
                let cookie = text.lines().find_map(|l| l.to_lowercase().strip_prefix("cookie: ").map(str::to_owned));
                stream.write_all(answer(&path, &cookie.unwrap_or_default()).as_bytes()).await.ok();
            }
        });
        url
    }

    fn until() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    #[tokio::test]
    async fn redirects_carry_the_cookies_that_were_given() {
        let url = site(|path, cookie| match path {
            "/" => "HTTP/1.1 302 F\r\nSet-Cookie: s=1; Path=/\r\nLocation: http://localhost/list\r\nContent-Length: 0\r\n\r\n".into(),
            "/list" => format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{cookie}", cookie.len()),
            _ => "HTTP/1.1 404 N\r\nContent-Length: 0\r\n\r\n".into(),
        })
        .await;
        let agent = Agents::default().host();
        let port = url.port();
        let reach = |to: &Url| {
            let mut to = to.clone();
            to.set_host(Some("127.0.0.1")).unwrap();
            to.set_port(port).unwrap();
            Some(to)
        };
        let got = Visitor::new(&agent).get(&url, reach, until()).await.unwrap();
        let Got::Response(response) = got else { panic!("{got:?}") };
        assert_eq!((response.status, response.body.as_slice()), (200, &b"s=1"[..]));
        assert_eq!(response.url.path(), "/list");
    }

    #[tokio::test]
    async fn what_leads_out_is_not_followed_and_a_ring_ends() {
        let url = site(|_, _| "HTTP/1.1 302 F\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n".into()).await;
        let agent = Agents::default().host();
        let got = Visitor::new(&agent).get(&url, |_| None, until()).await.unwrap();
        assert!(matches!(got, Got::Response(Response { status: 302, .. })), "{got:?}");
        let got = Visitor::new(&agent).get(&url, |to| Some(to.clone()), until()).await.unwrap();
        assert!(matches!(&got, Got::Nothing { message, .. } if message.contains("redirects")), "{got:?}");
    }
}

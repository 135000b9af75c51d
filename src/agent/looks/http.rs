//! One plain HTTP request, as a patient browser would make it: bad headers are forgiven, what came before a
//! connection broke is kept. No redirect is followed, no proxy used, no connection kept.

use std::error::Error as _;

use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Client, Method, redirect};
use tokio::time::timeout_at;

use super::{Bounds, Sight, words};

/// A request as it is asked for.
pub(super) struct Ask<'a> {
    pub(super) method: &'a str,
    pub(super) url: &'a str,
    pub(super) headers: &'a [(String, String)],
    pub(super) body: Option<String>,
}

pub(super) async fn look(ask: Ask<'_>, max_bytes: usize, bounds: Bounds) -> Sight {
    let request = match request(ask) {
        Ok(request) => request,
        Err(message) => return Sight::Unable { message },
    };
    let deadline = bounds.deadline();
    let mut response = match timeout_at(deadline, request.send()).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) if error.is_builder() => return Sight::Unable { message: chain(&error) },
        Ok(Err(error)) => return bounds.no(if error.is_connect() { "connect" } else { "read" }, why(&error)),
        Err(_) => return bounds.late("read"),
    };
    let status = response.status().as_u16();
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let mut body = Vec::new();
    let truncated = loop {
        match timeout_at(deadline, response.chunk()).await {
            Ok(Ok(Some(chunk))) => {
                let room = max_bytes.saturating_sub(body.len());
                body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
                if chunk.len() > room {
                    break true;
                }
            }
            Ok(Ok(None)) => break false,
            // A wrong length, a broken connection, a stream without end: a browser shows what came.
            Ok(Err(_)) | Err(_) => break true,
        }
    };
    Sight::Http { status, headers, body, truncated, elapsed_ms: bounds.elapsed_ms() }
}

fn request(Ask { method, url, headers, body }: Ask<'_>) -> Result<reqwest::RequestBuilder, String> {
    let client = Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .http1_only()
        .http1_ignore_invalid_headers_in_responses(true)
        .http1_allow_obsolete_multiline_headers_in_responses(true)
        .http1_allow_spaces_after_header_name_in_responses(true)
        .http1_max_headers(1000)
        .build()
        .map_err(|e| chain(&e))?;
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| format!("`{method}` is no HTTP method"))?;
    let mut request = client.request(method, url);
    for (name, value) in headers {
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("`{name}` is no header's name"))?;
        let value = HeaderValue::from_str(value).map_err(|_| format!("the value of header `{name}` is not valid"))?;
        request = request.header(header, value);
    }
    Ok(match body {
        Some(body) => request.body(body),
        None => request,
    })
}

/// The innermost reason, in the words that people know.
fn why(error: &reqwest::Error) -> String {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            return words(io);
        }
        if inner.source().is_none() {
            return inner.to_string();
        }
        source = inner.source();
    }
    error.to_string()
}

fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::agent::{Look, looks::look};

    /// Answers one request with these bytes, then waits before it hangs up. The URL, and the request as it came.
    async fn server(answer: impl Into<Vec<u8>>, linger: Duration) -> (String, tokio::task::JoinHandle<String>) {
        let answer = answer.into();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 4096];
            let n = stream.read(&mut asked).await.unwrap();
            stream.write_all(&answer).await.unwrap();
            tokio::time::sleep(linger).await;
            String::from_utf8_lossy(&asked[..n]).into_owned()
        });
        (url, served)
    }

    async fn get(url: &str, max_bytes: usize, timeout: Duration) -> Sight {
        let headers = vec![("X-Probe".to_owned(), "1".to_owned())];
        look(Look::Http { method: "GET".into(), url: url.into(), headers, body: None, max_bytes }, timeout).await
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn status_headers_and_body_come_as_they_are() {
        let (url, served) =
            server("HTTP/1.1 302 Found\r\nLocation: /list\r\nContent-Length: 4\r\n\r\nmove", Duration::ZERO).await;
        let sight = get(&url, 1000, 5 * SECOND).await;
        let Sight::Http { status, headers, body, truncated, .. } = sight else { panic!("{sight:?}") };
        assert_eq!(status, 302);
        assert!(headers.contains(&("location".to_owned(), "/list".to_owned())), "{headers:?}");
        assert_eq!(body, b"move");
        assert!(!truncated);
        assert!(served.await.unwrap().to_lowercase().contains("x-probe: 1"));
    }

    #[tokio::test]
    async fn gzip_is_undone() {
        // `printf hello | gzip -n`
        let zipped = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xcb\x48\xcd\xc9\xc9\x07\0\x86\xa6\x10\x36\x05\0\0\0";
        let mut answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n".to_vec();
        answer.extend_from_slice(zipped);
        let (url, _) = server(answer, Duration::ZERO).await;
        let sight = get(&url, 1000, 5 * SECOND).await;
        let Sight::Http { body, .. } = sight else { panic!("{sight:?}") };
        assert_eq!(body, b"hello");
    }

    #[tokio::test]
    async fn a_long_or_broken_body_is_cut_and_said_so() {
        let (url, _) = server("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789", Duration::ZERO).await;
        let sight = get(&url, 4, 5 * SECOND).await;
        assert!(matches!(&sight, Sight::Http { body, truncated: true, .. } if body == b"0123"), "{sight:?}");

        let (url, _) = server("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome", Duration::ZERO).await;
        let sight = get(&url, 1000, 5 * SECOND).await;
        assert!(matches!(&sight, Sight::Http { body, truncated: true, .. } if body == b"some"), "{sight:?}");

        let (url, _) = server("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome", 5 * SECOND).await;
        let sight = get(&url, 1000, SECOND / 2).await;
        assert!(matches!(&sight, Sight::Http { body, truncated: true, .. } if body == b"some"), "{sight:?}");
    }

    #[tokio::test]
    async fn refused_reset_and_silent_are_sights() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        drop(listener);
        let sight = get(&url, 1000, 5 * SECOND).await;
        assert!(
            matches!(&sight, Sight::No { stage, message, .. } if stage == "connect" && message == "connection refused"),
            "{sight:?}"
        );

        let (url, _) = server("", Duration::ZERO).await;
        let sight = get(&url, 1000, 5 * SECOND).await;
        assert!(matches!(&sight, Sight::No { stage, .. } if stage == "read"), "{sight:?}");

        let (url, _) = server("", 5 * SECOND).await;
        let sight = get(&url, 1000, SECOND / 4).await;
        assert!(
            matches!(&sight, Sight::No { stage, message, .. } if stage == "read" && message.contains("0.2 s")),
            "{sight:?}"
        );

        let (url, _) = server("\x03\0\0\0\x0a5\0", Duration::ZERO).await;
        let sight = get(&url, 1000, 5 * SECOND).await;
        assert!(matches!(&sight, Sight::No { stage, .. } if stage == "read"), "{sight:?}");
    }

    #[tokio::test]
    async fn what_is_no_url_could_not_be_looked_at() {
        let sight = get("http://[bad", 10, SECOND).await;
        assert!(matches!(sight, Sight::Unable { .. }), "{sight:?}");
    }
}

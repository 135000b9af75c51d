//! What the agent can look at, one file each. A look answers within its timeout, and what the other side refuses,
//! resets or is too slow for is a sight like any other; only what this side cannot do is [`Sight::Unable`].

pub mod block;
mod dns;
mod files;
mod http;
pub mod inside;
mod mysql;
pub mod path;
mod tcp;

use std::time::Duration;

use tokio::time::Instant;

use super::{Look, Sight, dials};
use crate::time::whole_ms;

/// Looks once. `timeout` bounds the whole of it.
pub async fn look(look: Look, timeout: Duration) -> Sight {
    let bounds = Bounds { start: Instant::now(), timeout };
    match look {
        Look::Ping => Sight::Pong,
        Look::Http { method, url, headers, body, max_bytes } => {
            http::look(http::Ask { method: &method, url: &url, headers: &headers, body }, max_bytes, bounds).await
        }
        Look::Tcp { host, port, greet_ms } => tcp::look(&host, port, Duration::from_millis(greet_ms), bounds).await,
        Look::Dns { name } => dns::look(&name, bounds).await,
        Look::Mysql { host, port, login, statements, stop_at_error, max_rows } => {
            mysql::look(&host, port, login, &statements, mysql::Options { stop_at_error, max_rows }, bounds).await
        }
        Look::Files { paths } => files::look(paths, bounds).await,
        Look::Listen { folder } => match dials::start(&folder) {
            Ok(()) => Sight::Listening,
            Err(message) => Sight::Unable { message },
        },
        Look::Dials { namespace } => match dials::seen(&namespace).await {
            Ok(seen) => Sight::Dials { seen },
            Err(message) => Sight::Unable { message },
        },
        Look::Path { root, path, max_bytes } => path::look(root, path, max_bytes, bounds).await,
        Look::Block { device } => block::look(device, bounds).await,
        Look::Hostname { pid, container } => inside::hostname(pid, container, bounds).await,
        Look::Processes { pid, container } => inside::processes(pid, container, bounds).await,
    }
}

/// When a look began and how long it may take.
#[derive(Clone, Copy)]
struct Bounds {
    start: Instant,
    timeout: Duration,
}

impl Bounds {
    fn elapsed_ms(&self) -> u64 {
        whole_ms(self.start.elapsed())
    }

    fn deadline(&self) -> Instant {
        self.start + self.timeout
    }

    /// The other side said no, or nothing, at this stage.
    fn no(&self, stage: &str, message: impl Into<String>) -> Sight {
        Sight::No { stage: stage.to_owned(), message: message.into(), code: None, elapsed_ms: self.elapsed_ms() }
    }

    /// It did not answer in time.
    fn late(&self, stage: &str) -> Sight {
        self.no(stage, format!("no answer within {:.1} s", self.timeout.as_secs_f64()))
    }
}

/// An I/O error in the words that people know, without the number of the system's error.
fn words(error: &std::io::Error) -> String {
    use std::io::ErrorKind as Kind;
    match error.kind() {
        Kind::ConnectionRefused => "connection refused".to_owned(),
        Kind::ConnectionReset => "connection reset".to_owned(),
        Kind::HostUnreachable => "no route to host".to_owned(),
        Kind::NetworkUnreachable => "network is unreachable".to_owned(),
        Kind::TimedOut => "timed out".to_owned(),
        _ => {
            let text = error.to_string();
            text.split(" (os error").next().unwrap_or(&text).to_owned()
        }
    }
}

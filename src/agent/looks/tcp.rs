//! Connects and listens to what the other side says first.
//!
//! That a connection was accepted proves little: a proxy accepts for a service that is not there and hangs up a moment
//! later. So the look goes on for a moment, and tells a greeting, a silent open connection and a hang-up apart.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::{Bounds, Sight, words};

/// Enough for any greeting; the rest is not read.
const MAX_GREETING: usize = 4096;

pub(super) async fn look(host: &str, port: u16, greet: Duration, bounds: Bounds) -> Sight {
    let deadline = bounds.deadline();
    let addresses: Vec<SocketAddr> = match timeout_at(deadline, tokio::net::lookup_host((host, port))).await {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(error)) => return bounds.no("resolve", words(&error)),
        Err(_) => return bounds.late("resolve"),
    };
    let mut refused = None;
    for (i, address) in addresses.iter().enumerate() {
        // An address that swallows packets must not take the time of those after it.
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses.len() - i).unwrap_or(1);
        match timeout_at(Instant::now() + share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                let (greeting, closed) = listen(stream, deadline.min(Instant::now() + greet)).await;
                return Sight::Tcp {
                    connected: true,
                    address: Some(address.ip().to_string()),
                    greeting,
                    closed,
                    refused: None,
                    elapsed_ms: bounds.elapsed_ms(),
                };
            }
            Ok(Err(error)) => refused = Some((address.ip(), words(&error))),
            Err(_) => refused = Some((address.ip(), "no answer to the connection attempt".to_owned())),
        }
    }
    let (address, refused) = match refused {
        Some((address, why)) => (Some(address.to_string()), why),
        None => (None, "the name has no address".to_owned()),
    };
    Sight::Tcp {
        connected: false,
        address,
        greeting: Vec::new(),
        closed: None,
        refused: Some(refused),
        elapsed_ms: bounds.elapsed_ms(),
    }
}

/// What is said first, until the first full packet's worth of silence, and how the other side hung up if it did.
async fn listen(mut stream: TcpStream, until: Instant) -> (Vec<u8>, Option<String>) {
    let mut greeting = Vec::new();
    let mut chunk = [0_u8; 1024];
    loop {
        match timeout_at(until, stream.read(&mut chunk)).await {
            Err(_) => return (greeting, None),
            Ok(Ok(0)) => return (greeting, Some("closed".to_owned())),
            Ok(Ok(n)) => {
                greeting.extend_from_slice(chunk.get(..n).unwrap_or_default());
                // A MySQL packet says its own length: no need to wait for more.
                if greeting.len() >= MAX_GREETING || whole_packet(&greeting) {
                    return (greeting, None);
                }
            }
            Ok(Err(error)) => return (greeting, Some(words(&error))),
        }
    }
}

/// The first bytes are one whole MySQL packet: three bytes of length, a number, and that many bytes.
fn whole_packet(bytes: &[u8]) -> bool {
    match bytes {
        [a, b, c, _, rest @ ..] => {
            let length = usize::from(*a) | usize::from(*b) << 8 | usize::from(*c) << 16;
            length == rest.len()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;
    use crate::agent::{Look, looks::look};

    async fn tcp(port: u16, greet_ms: u64) -> Sight {
        look(Look::Tcp { host: "127.0.0.1".into(), port, greet_ms }, Duration::from_secs(5)).await
    }

    /// Accepts one connection and does something with it.
    async fn server<F, R>(serve: F) -> u16
    where
        F: FnOnce(TcpStream) -> R + Send + 'static,
        R: Future<Output = ()> + Send,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move { serve(listener.accept().await.unwrap().0).await });
        port
    }

    #[tokio::test]
    async fn a_greeting_is_read() {
        let port = server(|mut s| async move {
            s.write_all(b"220 hello").await.unwrap();
            s.flush().await.unwrap();
            let _ = s.read(&mut [0; 1]).await;
        })
        .await;
        let sight = tcp(port, 300).await;
        let Sight::Tcp { connected, greeting, closed, address, .. } = sight else { panic!("{sight:?}") };
        assert!(connected);
        assert_eq!(greeting, b"220 hello");
        assert_eq!(closed, None);
        assert_eq!(address.as_deref(), Some("127.0.0.1"));
    }

    #[tokio::test]
    async fn a_whole_packet_ends_the_listening() {
        let port = server(|mut s| async move {
            s.write_all(b"\x03\0\0\0\x0a5\0").await.unwrap();
            let _ = s.read(&mut [0; 1]).await;
        })
        .await;
        let sight = tcp(port, 60_000).await;
        let Sight::Tcp { greeting, elapsed_ms, .. } = sight else { panic!("{sight:?}") };
        assert_eq!(greeting.len(), 7);
        assert!(elapsed_ms < 4_000, "{elapsed_ms}");
    }

    #[tokio::test]
    async fn silence_hang_up_and_reset_are_told_apart() {
        let silent = server(|mut s| async move {
            let _ = s.read(&mut [0; 1]).await;
        })
        .await;
        assert!(matches!(tcp(silent, 50).await, Sight::Tcp { connected: true, closed: None, .. }));

        let closing = server(|s| async move { drop(s) }).await;
        let sight = tcp(closing, 2_000).await;
        assert!(matches!(&sight, Sight::Tcp { closed: Some(how), .. } if how == "closed"), "{sight:?}");

        // Closing without lingering sends a reset.
        #[expect(deprecated, reason = "what a proxy does when its back end is not there; never blocks with zero")]
        let resetting = server(|s| async move { s.set_linger(Some(Duration::ZERO)).unwrap() }).await;
        let sight = tcp(resetting, 2_000).await;
        assert!(matches!(&sight, Sight::Tcp { closed: Some(how), .. } if how == "connection reset"), "{sight:?}");
    }

    #[tokio::test]
    async fn refused_is_a_sight() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let sight = tcp(port, 100).await;
        let Sight::Tcp { connected: false, refused: Some(why), .. } = sight else { panic!("{sight:?}") };
        assert_eq!(why, "connection refused");
    }

    #[tokio::test]
    async fn a_name_that_nobody_has_is_a_no() {
        let l = Look::Tcp { host: "db.invalid".into(), port: 1, greet_ms: 1 };
        let sight = look(l, Duration::from_secs(2)).await;
        assert!(matches!(&sight, Sight::No { stage, .. } if stage == "resolve"), "{sight:?}");
    }
}

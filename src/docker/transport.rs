//! Reaches an engine through a command's two pipes: `docker system dial-stdio` over any [`Shell`], as the docker client
//! itself does for hosts behind ssh.
//!
//! A mounted socket would do the same, but the lab's root can swap it for a link. Connections are kept and used again:
//! the first costs a command, the next ones nothing.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bollard::errors::Error;
use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use futures_util::future::BoxFuture;
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::exec::{Cmd, Piped, Shell};

/// An idle connection is a process in the place: it is not kept for ever.
const IDLE: Duration = Duration::from_secs(300);
/// As many as looks go side by side, so that none has to be made anew for the next.
const IDLE_MOST: usize = 8;

/// The docker client's own way to the engine at `address`, or to the usual one.
pub(crate) fn client(address: Option<&str>) -> Cmd {
    let mut dial = Cmd::new(["docker"]);
    if let Some(address) = address {
        dial = dial.args(["-H", address]);
    }
    dial.args(["system", "dial-stdio"])
}

/// A docker client whose every connection is the command `dial`, run by `shell`.
pub(crate) fn over(shell: Arc<dyn Shell>, dial: Cmd) -> Result<Docker, Error> {
    let client = Client::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_MOST)
        .pool_timer(TokioTimer::new())
        .build(Dial { shell, dial });
    Docker::connect_with_custom_transport(
        move |request: BollardRequest| {
            let client = client.clone();
            async move { client.request(request).await.map_err(Error::from) }
        },
        // Only the scheme means something: there is nothing to resolve at the end of a pipe.
        Some("http://d"),
        super::TIMEOUT.as_secs(),
        API_DEFAULT_VERSION,
    )
}

/// Makes connections, for hyper.
#[derive(Clone)]
struct Dial {
    shell: Arc<dyn Shell>,
    dial: Cmd,
}

impl tower_service::Service<Uri> for Dial {
    type Response = Pipes;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Pipes>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let (shell, dial) = (self.shell.clone(), self.dial.clone());
        Box::pin(async move {
            let piped = shell.pipe(&dial).await.map_err(io::Error::other)?;
            Ok(Pipes(TokioIo::new(Both(piped))))
        })
    }
}

/// A connection as hyper wants it.
struct Pipes(TokioIo<Both>);

impl Connection for Pipes {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Pipes {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl Write for Pipes {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// The two pipes as one stream; the command ends with it.
struct Both(Piped);

impl AsyncRead for Both {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.stdout).poll_read(cx, buf)
    }
}

impl AsyncWrite for Both {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0.stdin).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.stdin).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.stdin).poll_shutdown(cx)
    }
}

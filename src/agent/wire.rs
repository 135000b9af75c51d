//! What goes over an agent's two pipes: JSON messages, each behind its length (four bytes, most significant first).

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{Answer, Request};
use crate::exec::{Cmd, Output, RunErrorKind};
use crate::time::whole_ms;

/// No message is longer: a length beyond it is noise on the pipe, not a message.
const LONGEST: u32 = 128 << 20;

/// To an agent.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ask {
    Look(Request),
    /// Runs a command where the agent stands; `follow`: its lines are told as they are printed.
    Run {
        id: u64,
        cmd: Cmd,
        follow: bool,
    },
    /// Nobody waits for this one any more: it is ended, and not answered.
    Stop {
        id: u64,
    },
}

/// From an agent. The first message is `Ready` or `Broken`, for nothing asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Tell {
    Ready {
        version: String,
    },
    Broken {
        message: String,
    },
    Sight(Answer),
    Ran {
        id: u64,
        ran: Ran,
    },
    /// A line of a command that still runs.
    Said {
        id: u64,
        line: String,
    },
}

/// How a command went.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ran {
    Ended { status: i32, stdout: Bytes, stderr: Bytes, elapsed_us: u64 },
    NotStarted { missing: bool, message: String },
    TimedOut { after_ms: u64, last: String },
}

/// Bytes that mostly are text: a list of numbers would be four times as long.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bytes {
    Text(String),
    Raw(Vec<u8>),
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        String::from_utf8(bytes).map_or_else(|e| Self::Raw(e.into_bytes()), Self::Text)
    }
}

impl From<Bytes> for Vec<u8> {
    fn from(bytes: Bytes) -> Self {
        match bytes {
            Bytes::Text(text) => text.into_bytes(),
            Bytes::Raw(raw) => raw,
        }
    }
}

/// A field of bytes, sent as [`Bytes`].
pub(crate) mod bytes {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Bytes;

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        Bytes::from(bytes.to_vec()).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        Bytes::deserialize(from).map(Vec::from)
    }
}

impl Ran {
    pub(crate) fn of(result: Result<Output, RunErrorKind>) -> Self {
        match result {
            Ok(output) => Self::Ended {
                status: output.status,
                stdout: output.stdout.into(),
                stderr: output.stderr.into(),
                elapsed_us: u64::try_from(output.elapsed.as_micros()).unwrap_or(u64::MAX),
            },
            Err(RunErrorKind::Timeout(after, last)) => Self::TimedOut { after_ms: whole_ms(after), last },
            Err(RunErrorKind::Start(error)) => {
                Self::NotStarted { missing: error.kind() == std::io::ErrorKind::NotFound, message: error.to_string() }
            }
            Err(other) => Self::NotStarted { missing: false, message: other.to_string() },
        }
    }

    pub(crate) fn result(self) -> Result<Output, RunErrorKind> {
        match self {
            Self::Ended { status, stdout, stderr, elapsed_us } => Ok(Output {
                status,
                stdout: stdout.into(),
                stderr: stderr.into(),
                elapsed: Duration::from_micros(elapsed_us),
            }),
            Self::TimedOut { after_ms, last } => Err(RunErrorKind::Timeout(Duration::from_millis(after_ms), last)),
            Self::NotStarted { missing, message } => {
                let kind = if missing { std::io::ErrorKind::NotFound } else { std::io::ErrorKind::Other };
                Err(std::io::Error::new(kind, message).into())
            }
        }
    }
}

/// Writes one message. Nothing is written where it cannot be encoded or is too long.
pub(crate) async fn send(to: &mut (impl AsyncWrite + Unpin + ?Sized), message: &impl Serialize) -> std::io::Result<()> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message)?;
    let length = u32::try_from(frame.len() - 4).ok().filter(|n| *n <= LONGEST).ok_or_else(|| too_long(frame.len()))?;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    // One write: a message that is given up half way would garble all that follow.
    to.write_all(&frame).await?;
    to.flush().await
}

/// Reads one message; none where the other side has ended between two.
pub(crate) async fn receive<T: DeserializeOwned>(
    from: &mut (impl AsyncRead + Unpin + ?Sized),
) -> std::io::Result<Option<T>> {
    let mut length = [0; 4];
    match from.read(&mut length[..1]).await? {
        0 => return Ok(None),
        _ => from.read_exact(&mut length[1..]).await?,
    };
    let length = u32::from_be_bytes(length);
    if length > LONGEST {
        return Err(too_long(length as usize));
    }
    let mut frame = vec![0; length as usize];
    from.read_exact(&mut frame).await?;
    Ok(Some(serde_json::from_slice(&frame)?))
}

fn too_long(length: usize) -> std::io::Error {
    let text = format!("a message of {length} bytes: something else than an agent speaks on this pipe");
    std::io::Error::new(std::io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::{Look, Sight};

    #[tokio::test]
    async fn messages_come_out_as_they_went_in_and_the_end_is_no_error() {
        let mut pipe = Vec::new();
        send(&mut pipe, &Ask::Look(Request { id: 7, timeout_ms: 5, look: Look::Ping })).await.unwrap();
        send(&mut pipe, &Ask::Stop { id: 7 }).await.unwrap();
        let mut from = pipe.as_slice();
        let first = receive::<Ask>(&mut from).await.unwrap();
        assert!(matches!(first, Some(Ask::Look(Request { id: 7, timeout_ms: 5, look: Look::Ping }))));
        assert!(matches!(receive::<Ask>(&mut from).await.unwrap(), Some(Ask::Stop { id: 7 })));
        assert!(receive::<Ask>(&mut from).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn noise_and_half_messages_are_errors() {
        let error = receive::<Ask>(&mut &b"bash: no such file\n"[..]).await.unwrap_err();
        assert!(error.to_string().contains("something else than an agent"), "{error}");
        let mut pipe = Vec::new();
        send(&mut pipe, &Tell::Sight(Answer { id: 1, sight: Sight::Pong })).await.unwrap();
        pipe.pop();
        assert!(receive::<Tell>(&mut pipe.as_slice()).await.is_err());
    }

    #[test]
    fn what_a_command_said_survives_text_or_not() {
        let output = Output { status: 3, stdout: b"a\xff".to_vec(), stderr: "ñ".into(), ..Output::default() };
        let text = serde_json::to_string(&Ran::of(Ok(output))).unwrap();
        let back = serde_json::from_str::<Ran>(&text).unwrap().result().unwrap();
        assert_eq!((back.status, back.stdout, back.stderr), (3, b"a\xff".to_vec(), "ñ".into()));
        let late = Ran::of(Err(RunErrorKind::Timeout(Duration::from_millis(1500), "last".into()))).result();
        assert!(matches!(late, Err(RunErrorKind::Timeout(after, last)) if after.as_millis() == 1500 && last == "last"));
    }
}

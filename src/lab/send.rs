//! What is put into a lab: our own executable and the submission, as streams that are never held whole.

use std::fs::File;
use std::io;
use std::path::Path;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::LabError;
use super::copy::{self, CopyError, ToStream};
use super::left_out::NotCopied;
use super::running::{COPY, LabSpec, WORK};
use crate::agent::BINARY;
use crate::docker::{Engine, EngineError};

/// Unpacks into a folder of a container what `pack` writes as a tar. Gives what became of the packing, and of the sending.
async fn send<T, E>(
    host: &Engine,
    id: &str,
    folder: &str,
    pack: impl FnOnce(ToStream) -> Result<T, E> + Send + 'static,
) -> (Result<T, E>, Result<(), EngineError>)
where
    T: Send + 'static,
    E: From<Lost> + Send + 'static,
{
    let (to, from) = mpsc::channel::<io::Result<Bytes>>(8);
    let packing = tokio::task::spawn_blocking(move || {
        let packed = pack(ToStream::new(to.clone()));
        if packed.is_err() {
            // Without this the engine would take the half tar for a whole one.
            let _ = to.blocking_send(Err(io::Error::other("the copy was given up")));
        }
        packed
    });
    let stream = futures_util::stream::unfold(from, |mut from| async { from.recv().await.map(|item| (item, from)) });
    let sent = host.upload_stream(id, folder, stream).await;
    (packing.await.unwrap_or_else(|e| Err(Lost(e).into())), sent)
}

/// The thread that packed did not come to its end.
struct Lost(tokio::task::JoinError);

impl From<Lost> for io::Error {
    fn from(lost: Lost) -> Self {
        Self::other(lost.0)
    }
}

impl From<Lost> for CopyError {
    fn from(lost: Lost) -> Self {
        Self::Write(lost.into())
    }
}

pub(super) async fn send_binary(host: &Engine, id: &str, binary: &Path) -> Result<(), LabError> {
    let (folder, name) = BINARY.rsplit_once('/').unwrap_or(("", BINARY));
    let path = binary.to_owned();
    let (packed, sent) = send(host, id, folder, move |to| {
        let file = File::open(path)?;
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        header.set_size(file.metadata()?.len());
        let mut tar = tar::Builder::new(to);
        tar.append_data(&mut header, name, file)?;
        io::Write::flush(&mut tar.into_inner()?)
    })
    .await;
    match (packed, sent) {
        // As below: the engine's own words.
        (Err(error), Err(refused)) if error.kind() == io::ErrorKind::BrokenPipe => Err(refused.into()),
        (Err(error), _) => Err(LabError::Binary(error)),
        (Ok(()), sent) => Ok(sent?),
    }
}

pub(super) async fn send_submission(host: &Engine, id: &str, spec: &LabSpec) -> Result<Vec<NotCopied>, LabError> {
    let (root, caps) = (spec.submission.clone(), spec.caps);
    let (packed, sent) = send(host, id, WORK, move |to| copy::tar_of(&root, COPY, caps, to)).await;
    match (packed, sent) {
        // The engine's own words, where it was the engine that gave the copy up.
        (Err(CopyError::Write(_)) | Ok(_), Err(error)) => Err(error.into()),
        (Err(error), _) => Err(error.into()),
        (Ok(left_out), Ok(())) => Ok(left_out),
    }
}

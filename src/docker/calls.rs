//! The calls that several parts need, each with an error that says what was tried.

use std::collections::HashMap;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::models::ContainerUpdateBody;
use bollard::query_parameters::{
    InspectContainerOptions, ListContainersOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
    UploadToContainerOptionsBuilder,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::time::{Instant, sleep};

use super::container::{self, Container, PROJECT, epoch};
use super::swarm::NAMESPACE;
use super::{Engine, EngineError, EngineErrorKind};

/// How long a container may take to go, and when to ask again meanwhile.
const REMOVAL: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_millis(200);

impl Engine {
    /// Every container of a compose project's services, dead ones included, in the order of their names. What `run` of the
    /// tool made for one command is none: it says nothing of the service.
    pub async fn project_containers(&self, project: &str) -> Result<Vec<Container>, EngineError> {
        self.containers_labelled(PROJECT, project).await
    }

    /// Every container that this engine has of a stack's tasks, dead ones included.
    pub async fn stack_containers(&self, stack: &str) -> Result<Vec<Container>, EngineError> {
        self.containers_labelled(NAMESPACE, stack).await
    }

    async fn containers_labelled(&self, label: &'static str, project: &str) -> Result<Vec<Container>, EngineError> {
        self.labelled.ask((label, project.to_owned()), self.list_labelled(label, project)).await
    }

    async fn list_labelled(&self, label: &str, project: &str) -> Result<Vec<Container>, EngineError> {
        let labels = vec![format!("{label}={project}")];
        let options =
            ListContainersOptionsBuilder::new().all(true).filters(&HashMap::from([("label", labels)])).build();
        let listed = self
            .docker()
            .list_containers(Some(options))
            .await
            .map_err(|e| self.explain(format!("list the containers of project {project}"), &e))?;
        let mut containers = Vec::new();
        // One after the other: at once, each would want a connection of its own, and a connection into a lab costs more
        // than all the answers.
        for id in listed.into_iter().filter_map(|c| c.id) {
            match self.container(&id).await {
                Ok(container) if container.one_off => {}
                Ok(container) => containers.push(container),
                // Removed between the list and the look.
                Err(error) if error.is_missing() => {}
                Err(error) => return Err(error),
            }
        }
        container::spread_links(&mut containers);
        containers.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(containers)
    }

    /// One container, by id or name. [`EngineError::is_missing`] where there is none.
    pub async fn container(&self, id: &str) -> Result<Container, EngineError> {
        self.docker()
            .inspect_container(id, None::<InspectContainerOptions>)
            .await
            .map(Container::of)
            .map_err(|e| self.explain(format!("inspect container {id}"), &e))
    }

    /// Seconds of the epoch by the engine's own clock; none where it does not say them.
    pub async fn clock(&self) -> Option<f64> {
        epoch(&self.docker().info().await.ok()?.system_time?)
    }

    /// Unpacks a tar archive into a folder of a container; it need not run, the folder has to be there.
    pub async fn upload(&self, container: &str, dir: &str, tar: impl Into<Bytes>) -> Result<(), EngineError> {
        let options = UploadToContainerOptionsBuilder::new().path(dir).build();
        let sent = self.docker().upload_to_container(container, Some(options), bollard::body_full(tar.into())).await;
        sent.map_err(|e| self.explain(format!("put files into {dir} of container {container}"), &e))
    }

    /// The same from a stream; an error in it ends the upload.
    pub async fn upload_stream(
        &self,
        container: &str,
        dir: &str,
        tar: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    ) -> Result<(), EngineError> {
        let options = UploadToContainerOptionsBuilder::new().path(dir).build();
        let sent = self.docker().upload_to_container(container, Some(options), bollard::body_try_stream(tar)).await;
        sent.map_err(|e| self.explain(format!("put files into {dir} of container {container}"), &e))
    }

    /// What a container printed, both streams in the order of their lines; `since` in seconds of the engine's clock,
    /// `tail` the most lines from the end. At most 4 MiB: the beginning and the end of it.
    pub async fn logs(&self, id: &str, since: Option<f64>, tail: Option<usize>) -> Result<String, EngineError> {
        let mut options = LogsOptionsBuilder::new().stdout(true).stderr(true);
        if let Some(lines) = tail {
            options = options.tail(&lines.to_string());
        }
        if let Some(since) = since {
            // The client knows whole seconds only: the lines of the first are sorted out by their own times.
            options = options.timestamps(true).since(since as i32);
        }
        let mut lines = self.docker().logs(id, Some(options.build()));
        let mut kept = crate::exec::capture::Capture::default();
        while let Some(line) = lines.next().await {
            let line = line.map_err(|e| self.explain(format!("read the log of container {id}"), &e))?;
            if let Some(bytes) = since_then(&line, since) {
                kept.push(bytes);
            }
        }
        Ok(String::from_utf8_lossy(&kept.bytes()).into_owned())
    }

    /// Sets a container's limits: bytes of memory, without swap beside it, and cpus. `None` leaves one as it is.
    ///
    /// The engine wants memory and memory with swap together, one alone may contradict the other; and it will not mix the two
    /// spellings of a cpu limit, so the one that the container has is kept.
    pub async fn update_limits(
        &self,
        container: &Container,
        memory: Option<u64>,
        cpus: Option<f64>,
    ) -> Result<(), EngineError> {
        let memory = memory.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
        let mut update = ContainerUpdateBody { memory, memory_swap: memory, ..ContainerUpdateBody::default() };
        match cpus {
            Some(cpus) if container.nano_cpus == 0 && container.cpu_quota > 0 => {
                update.cpu_period = Some(100_000);
                update.cpu_quota = Some((cpus * 100_000.0) as i64);
            }
            Some(cpus) => update.nano_cpus = Some((cpus * 1e9) as i64),
            None => {}
        }
        self.docker()
            .update_container(&container.id, update)
            .await
            .map(drop)
            .map_err(|e| self.explain(format!("set the limits of container {}", container.id), &e))
    }

    /// Removes a container, running or not, and its anonymous volumes, and returns when it is gone. One that is not there
    /// is removed already.
    pub async fn remove(&self, id: &str) -> Result<(), EngineError> {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        let tried = format!("remove container {id}");
        let deadline = Instant::now() + REMOVAL;
        loop {
            let answer = self.docker().remove_container(id, Some(options.clone())).await;
            let Err(error) = answer.map_err(|e| self.explain(&tried, &e)) else { return Ok(()) };
            match error.kind {
                EngineErrorKind::Missing(_) => return Ok(()),
                // Somebody else is removing it (409), or a mount of it is still held for a moment (500).
                EngineErrorKind::Refused { status: 409 | 500, .. } if Instant::now() < deadline => {
                    tracing::debug!(%error, "asking again");
                    sleep(AGAIN).await;
                }
                _ => return Err(error),
            }
        }
    }
}

/// A log line without its time, unless it is older than `since`.
fn since_then(line: &LogOutput, since: Option<f64>) -> Option<&[u8]> {
    let bytes: &[u8] = line.as_ref();
    let Some(since) = since else { return Some(bytes) };
    let Some(space) = bytes.iter().position(|b| *b == b' ') else { return Some(bytes) };
    let Some(time) = std::str::from_utf8(&bytes[..space]).ok().and_then(epoch) else { return Some(bytes) };
    (time >= since).then(|| &bytes[space + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_an_earlier_start_are_left_out() {
        let line = |text: &str| LogOutput::StdOut { message: Bytes::from(text.to_owned()) };
        let since = epoch("2026-11-24T20:00:00.5Z");
        assert_eq!(since_then(&line("2026-11-24T20:00:00.4Z old\n"), since), None);
        assert_eq!(since_then(&line("2026-11-24T20:00:00.6Z new one\n"), since), Some(&b"new one\n"[..]));
        assert_eq!(since_then(&line("no time\n"), since), Some(&b"no time\n"[..]));
        assert_eq!(since_then(&line("2026-11-24T20:00:00.4Z old\n"), None), Some(&b"2026-11-24T20:00:00.4Z old\n"[..]));
    }
}

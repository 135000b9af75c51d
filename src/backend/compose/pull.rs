//! Pulls an image: in a lab through the engine's API, which says bytes; on the host by the client, which knows the user's
//! logins.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bollard::errors::Error;
use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt;

use super::images::{OUT_OF_TIME, bounded};
use crate::backend::BackendError;
use crate::backend::getting::{Layers, Reader, Watch};
use crate::docker::Engine;
use crate::exec::{Cmd, Output, RunError, Said, Shell};

/// Through the API. What the engine refuses is an output of status 1; an engine that does not answer is an error.
pub async fn by_engine(
    engine: &Engine,
    reference: &str,
    budget: Duration,
    watch: Option<&Watch>,
) -> Result<Output, BackendError> {
    let options = CreateImageOptionsBuilder::new().from_image(&tagged(reference)).build();
    let mut answers = engine.docker().create_image(Some(options), None, None);
    let (mut log, mut layers) = (String::new(), Layers::default());
    let pulling = async {
        while let Some(answer) = answers.next().await {
            let CreateImageInfo { id, status, progress_detail, .. } = answer?;
            let (id, status) = (id.unwrap_or_default(), status.unwrap_or_default());
            let amount = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok());
            let bytes = progress_detail.and_then(|it| amount(it.current).zip(amount(it.total)));
            if bytes.is_none() {
                log.push_str(&if id.is_empty() { format!("{status}\n") } else { format!("{id}: {status}\n") });
            }
            if let Some(watch) = watch
                && let Some(at) = layers.say(&id, &status, bytes)
            {
                watch.at(&at);
            }
        }
        Ok::<(), Error>(())
    };
    let (status, said) = match tokio::time::timeout(budget, pulling).await {
        Ok(Ok(())) => (0, String::new()),
        Ok(Err(Error::DockerResponseServerError { message, .. } | Error::DockerStreamError { error: message })) => {
            (1, message)
        }
        Ok(Err(Error::RequestTimeoutError)) => (OUT_OF_TIME, "the registry does not answer".to_owned()),
        Ok(Err(error)) => return Err(engine.explain(format!("pull {reference}"), &error).into()),
        Err(_) => (OUT_OF_TIME, format!("no end after {} s: Connection timed out or too slow", budget.as_secs())),
    };
    Ok(Output { status, stdout: log.into_bytes(), stderr: said.into_bytes(), ..Output::default() })
}

/// By the docker client.
pub async fn by_client(
    shell: &dyn Shell,
    reference: &str,
    budget: Duration,
    watch: Option<&Watch>,
) -> Result<Output, BackendError> {
    bounded(followed(shell, &Cmd::new(["docker", "pull", reference]).timeout(budget), watch).await)
}

/// Runs a builder's or a client's command; its steps are told where someone watches.
pub async fn followed(shell: &dyn Shell, cmd: &Cmd, watch: Option<&Watch>) -> Result<Output, RunError> {
    let Some(watch) = watch.cloned() else { return shell.run(cmd).await };
    let reader = Mutex::new(Reader::default());
    let said: Said = Arc::new(move |line| {
        if let Some(at) = reader.lock().ok().and_then(|mut reader| reader.line(line)) {
            watch.at(&at);
        }
    });
    shell.follow(cmd, said).await
}

/// The API takes a bare name for all of its tags.
fn tagged(reference: &str) -> String {
    let name = reference.rsplit('/').next().unwrap_or(reference);
    if name.contains(':') || reference.contains('@') { reference.to_owned() } else { format!("{reference}:latest") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::getting::{At, Step, Told};
    use crate::exec::local::Local;

    #[test]
    fn a_bare_name_means_its_latest() {
        let cases = [
            ("mysql", "mysql:latest"),
            ("mysql:5.7", "mysql:5.7"),
            ("localhost:5000/app", "localhost:5000/app:latest"),
            ("localhost:5000/app:1", "localhost:5000/app:1"),
            ("x@sha256:0a", "x@sha256:0a"),
        ];
        for (reference, wanted) in cases {
            assert_eq!(tagged(reference), wanted);
        }
    }

    #[tokio::test]
    async fn steps_are_told_and_the_output_is_whole() {
        let seen = Arc::<Mutex<Vec<At>>>::default();
        let kept = seen.clone();
        let told: Told = Arc::new(move |step| {
            if let Step::Image { service: "app", at } = step {
                kept.lock().unwrap().push(at.clone());
            }
        });
        let cmd = Cmd::new(["printf", "Step 1/2 : FROM x\\nnoise\\nStep 2/2 : RUN y\\n"]);
        let output = followed(&Local, &cmd, Some(&Watch::new("app", &told))).await.unwrap();
        assert_eq!(output.out(), "Step 1/2 : FROM x\nnoise\nStep 2/2 : RUN y\n");
        let texts = [(1, "FROM x"), (2, "RUN y")];
        let wanted = texts.map(|(step, text)| At::Step { step, of: 2, text: text.to_owned() });
        assert_eq!(*seen.lock().unwrap(), wanted);
        assert_eq!(followed(&Local, &cmd, None).await.unwrap().out(), output.out());
    }
}

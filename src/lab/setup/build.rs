//! Builds one image from its sources.

use std::collections::{HashMap, VecDeque};

use bollard::query_parameters::{BuildImageOptionsBuilder, PruneImagesOptionsBuilder};
use futures_util::StreamExt;

use super::{INSTALLATION, Progress, SetupError, World, host};
use crate::backend::getting::Reader;
use crate::docker::Engine;
use crate::text::Text;

/// How much of a failed build's output is shown.
const SHOWN: usize = 25;

/// Builds `imparcial/NAME` with `arguments`, and gives its size in words.
pub(super) async fn build(
    world: &World,
    name: &str,
    arguments: &[(&str, &str)],
    progress: &dyn Progress,
) -> Result<(), SetupError> {
    let engine = world.engine().await?;
    let context = world.sources.context(name).map_err(|error| failed(name, error.to_string()))?;
    let mut given: HashMap<String, String> = host::proxies().into_iter().collect();
    given.extend(arguments.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
    let labels = world.labels(&world.sources.hash(name)).await?;
    let options = BuildImageOptionsBuilder::new()
        .t(&format!("imparcial/{name}:latest"))
        .rm(true)
        .forcerm(true)
        .nocache(world.rebuild)
        .buildargs(&given)
        .labels(&labels)
        .build();
    let mut steps = engine.docker().build_image(options, None, Some(bollard::body_full(context)));
    let mut last: VecDeque<String> = VecDeque::new();
    let mut reader = Reader::default();
    while let Some(step) = steps.next().await {
        let seen = |last: VecDeque<String>, why: String| {
            let mut lines: Vec<String> = last.into();
            lines.push(why);
            failed(name, lines.join("\n"))
        };
        let step = match step {
            Ok(step) => step,
            Err(error) => {
                return Err(seen(last, engine.explain(format!("build imparcial/{name}"), &error).to_string()));
            }
        };
        if let Some(detail) = step.error_detail {
            return Err(seen(last, detail.message.unwrap_or_else(|| "the build failed".into())));
        }
        for line in step.stream.unwrap_or_default().lines().map(str::trim_end).filter(|line| !line.is_empty()) {
            match reader.line(line) {
                Some(at) => progress.image(name, &at),
                None => progress.line(name, line),
            }
            last.push_back(line.to_owned());
            if last.len() > SHOWN {
                last.pop_front();
            }
        }
    }
    Ok(())
}

/// Removes what a rebuild left without a name.
pub(super) async fn prune(engine: &Engine, installation: &str) -> Result<(), SetupError> {
    let filters = HashMap::from([
        ("dangling".to_owned(), vec!["true".to_owned()]),
        ("label".to_owned(), vec![format!("{INSTALLATION}={installation}")]),
    ]);
    let options = PruneImagesOptionsBuilder::new().filters(&filters).build();
    let pruned = engine.docker().prune_images(Some(options)).await;
    pruned.map(drop).map_err(|e| engine.explain("remove images of an earlier set-up", &e).into())
}

fn failed(name: &str, seen: String) -> SetupError {
    SetupError::new(
        Text::new(format!("build the image imparcial/{name}"), format!("construir la imagen imparcial/{name}")),
        seen,
        Text::new(
            "Most often the package mirror or the network failed for a moment: run `imparcial setup` again, what is built is kept. \
             IMPARCIAL_DEBIAN_MIRROR names another mirror.",
            "Lo más frecuente es un fallo momentáneo del espejo de paquetes o de la red: ejecuta `imparcial setup` otra vez, lo construido se conserva. \
             IMPARCIAL_DEBIAN_MIRROR indica otro espejo.",
        ),
    )
}

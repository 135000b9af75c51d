//! Fetching and building, service by service: one image that cannot be had leaves the rest decided.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt;

use super::as_of;
use super::hosted::{self, Names};
use super::order;
use super::pull;
use super::tool::Tool;
use super::unbuilt::{last_line, not_copied, not_under, nowhere, refused};
use crate::backend::{BackendError, Request, Source, blame, disk, getting};
use crate::docker::Engine;
use crate::exec::{Cmd, Output, RunError, RunErrorKind, Shell, ShellExt};
use crate::notice::Reason;
use crate::stack::{ImageState, LeftOut};
use crate::submission::{ServiceDef, dockerfile};
use crate::text::Text;

/// The status of a step that ran out of its budget, as `timeout` has it.
pub const OUT_OF_TIME: i32 = 124;

/// How many at a time: two cores are what a lab has.
const AT_A_TIME: usize = 3;

/// Gets the image of every service that can have one.
pub async fn all(
    services: &[&ServiceDef],
    tool: &Tool,
    shell: &dyn Shell,
    engine: &Engine,
    request: &Request,
    names: Option<&Names>,
) -> Result<Vec<(String, ImageState)>, BackendError> {
    let mut states: Vec<(String, ImageState)> = Vec::new();
    // A base has one name: with packages of a day under it, it serves one build at a time.
    let at_a_time = if request.as_of.is_some() { 1 } else { AT_A_TIME };
    if request.watched {
        (request.told)(getting::Step::Images(services.len()));
    }
    for turn in order::turns(services, &request.submission) {
        let made = &states;
        let jobs = turn.into_iter().map(|service| async move {
            let state = match (&service.build, below(service, services, made, request)) {
                (Some(_), Some(state)) => Ok(state),
                (Some(_), None) => build(service, tool, shell, engine, request, names).await,
                (None, _) => fetch(service, shell, engine, request, names).await,
            };
            if let Some(watch) = request.watch(&service.name) {
                watch.at(&getting::At::Over);
            }
            state.map(|state| (service.name.clone(), state))
        });
        let done: Vec<Result<_, BackendError>> = futures_util::stream::iter(jobs).buffered(at_a_time).collect().await;
        states.extend(done.into_iter().collect::<Result<Vec<_>, _>>()?);
    }
    // A service that runs what another one builds has that one's fate.
    let built: Vec<ImageState> = states
        .iter()
        .filter(|(name, _)| services.iter().any(|s| s.name == *name && s.build.is_some()))
        .map(|(_, s)| s.clone())
        .collect();
    for (name, state) in &mut states {
        let builds = services.iter().any(|s| s.name == *name && s.build.is_some());
        if let Some(other) = built.iter().find(|b| !builds && b.reference == state.reference) {
            *state = ImageState { log: String::new(), ..other.clone() };
        }
    }
    Ok(states)
}

/// The state of a service whose base another service builds and could not: whoever's fault that was, it is this one's too.
fn below(
    service: &ServiceDef,
    services: &[&ServiceDef],
    made: &[(String, ImageState)],
    request: &Request,
) -> Option<ImageState> {
    let under: Vec<_> = services.iter().filter(|other| order::stands_on(service, other, &request.submission)).collect();
    let (name, state) = made.iter().find(|(n, s)| s.missing.is_some() && under.iter().any(|u| u.name == *n))?;
    let missing = state.missing.as_ref().map(|why| LeftOut {
        reason: why.reason,
        text: Text::new(
            format!("{} is built on the image of {name}, which is not there: {}", service.name, why.text.en),
            format!("{} se construye sobre la imagen de {name}, que no está: {}", service.name, why.text.es),
        ),
    });
    let reference = service.image.clone().unwrap_or_else(|| "build".to_owned());
    Some(ImageState { reference, missing, ..ImageState::default() })
}

async fn fetch(
    service: &ServiceDef,
    shell: &dyn Shell,
    engine: &Engine,
    request: &Request,
    names: Option<&Names>,
) -> Result<ImageState, BackendError> {
    let Some(reference) = service.image.clone() else {
        let text = Text::new(
            format!("service {} names neither an image nor a build", service.name),
            format!("el servicio {} no indica ni image ni build", service.name),
        );
        return Ok(ImageState { missing: Some(LeftOut { reason: None, text }), ..ImageState::default() });
    };
    let mut state = ImageState { reference: reference.clone(), ..ImageState::default() };
    if made_here(request, &reference) {
        return Ok(state);
    }
    match request.sources.get(&reference) {
        Some(Source::Nowhere { official }) => {
            state.missing = Some(nowhere(&reference, *official, request));
            return Ok(state);
        }
        Some(Source::StandIn(stand_in)) => state.stand_in = Some(stand_in.clone()),
        Some(Source::Registry) | None => {}
    }
    if let Some(local) = names.and_then(|names| names.local(&reference)) {
        // It is on this engine already, or set-up has to make it.
        let there = engine.docker().inspect_image(local).await;
        there.map_err(|e| engine.explain(format!("find the stand-in {local}: run `imparcial setup`"), &e))?;
        return Ok(state);
    }
    let watch = request.watch(&service.name);
    let output = match names {
        None => pull::by_engine(engine, &reference, request.fetch, watch.as_ref()).await?,
        Some(_) => pull::by_client(shell, &reference, request.fetch, watch.as_ref()).await?,
    };
    state.log = output.both();
    if !output.ok() {
        state.missing = Some(LeftOut {
            reason: Some(Reason::Image),
            text: Text::new(
                format!("the image {reference} could not be pulled: {}", last_line(&state.log)),
                format!("no se pudo descargar la imagen {reference}: {}", last_line(&state.log)),
            ),
        });
    }
    Ok(state)
}

/// Whether another service of the submission builds what is named so: then no registry is asked for it.
fn made_here(request: &Request, reference: &str) -> bool {
    let services = request.submission.compose.iter().flat_map(|c| &c.services);
    services.filter(|s| s.build.is_some()).any(|s| order::same(s.image.as_deref(), reference))
}

async fn build(
    service: &ServiceDef,
    tool: &Tool,
    shell: &dyn Shell,
    engine: &Engine,
    request: &Request,
    names: Option<&Names>,
) -> Result<ImageState, BackendError> {
    let mut state =
        ImageState { reference: service.image.clone().unwrap_or_else(|| "build".to_owned()), ..ImageState::default() };
    let text = dockerfile_text(service, shell).await;
    // Our reading of the submission knows the build's arguments; a Dockerfile that only the tool found is read as it is.
    let known = request.submission.builds.get(&service.name).map(|b| b.dockerfile.bases()).filter(|b| !b.is_empty());
    let bases =
        known.or_else(|| Some(dockerfile::parse(text.as_deref()?, &BTreeMap::new()).bases())).unwrap_or_default();
    for base in bases.iter().filter(|b| !made_here(request, b)) {
        match request.sources.get(base) {
            Some(Source::StandIn(stand_in)) => state.stand_in = Some(stand_in.clone()),
            Some(Source::Nowhere { official }) => {
                state.missing = Some(nowhere(base, *official, request));
                return Ok(state);
            }
            Some(Source::Registry) | None => {}
        }
    }
    if let (Some(names), Some(text)) = (names, &text) {
        stand_on(service, text, names, shell).await?;
    }
    let buildkit = text.as_deref().is_some_and(|t| t.contains("RUN --mount"));
    // The engine's newer builder asks a registry past the daemon's own settings, and takes what is there already.
    for base in bases.iter().filter(|b| buildkit && names.is_none() && !made_here(request, b)) {
        bounded(shell.run(&Cmd::new(["docker", "pull", "--quiet", base]).timeout(request.fetch)).await)?;
    }
    let under = match request.as_of.as_ref().and_then(|it| it.constraints_of(&service.name)) {
        Some(constraints) => {
            let bases: Vec<&String> = bases.iter().filter(|b| !made_here(request, b)).collect();
            match as_of::under(&bases, &constraints, shell).await {
                Ok(under) => under,
                // Of this service nothing can be said; all else can.
                Err(error) => {
                    state.missing = Some(not_under(&service.name, &error.text()));
                    return Ok(state);
                }
            }
        }
        None => as_of::Under::default(),
    };
    let output =
        bounded(tool.build(&service.name, buildkit, request.build, request.watch(&service.name).as_ref()).await);
    under.put_back(shell).await?;
    let output = output?;
    state.log = output.both();
    if output.ok() {
        let own = hosted::built(&tool.project, &service.name);
        let tag = service.image.clone().filter(|_| names.is_none()).unwrap_or(own);
        state.built = image_id(engine, &tag, &tool.project, &service.name).await;
        if state.built.is_none() {
            let text = Text::new(
                format!("the image of {} was built, and the engine does not say under which name", service.name),
                format!("la imagen de {} se construyó, y el motor no dice con qué nombre", service.name),
            );
            state.missing = Some(LeftOut { reason: Some(Reason::Imparcial), text });
        }
        return Ok(state);
    }
    // Killed, or never begun: no word on what it should have built.
    if output.status >= 126 {
        let text = Text::new(
            format!("the build of {} was cut off (status {}): {}", service.name, output.status, last_line(&state.log)),
            format!(
                "la construcción de {} quedó cortada (estado {}): {}",
                service.name,
                output.status,
                last_line(&state.log)
            ),
        );
        state.missing = Some(LeftOut { reason: Some(Reason::Host), text });
        return Ok(state);
    }
    let text = text.unwrap_or_default();
    let full = blame::disk_line(&state.log).is_some() && disk::full(shell).await;
    state.missing = Some(match not_copied(&request.left_out, &state.log, &text) {
        Some(path) => LeftOut {
            reason: Some(Reason::NotHere),
            text: Text::new(
                format!(
                    "the image of {} does not build, and {path}, which it names, is not in the run's copy",
                    service.name
                ),
                format!(
                    "la imagen de {} no se construye, y {path}, que nombra, no está en la copia de esta ejecución",
                    service.name
                ),
            ),
        },
        None => refused(service, &state.log, &text, state.stand_in.as_ref(), full),
    });
    Ok(state)
}

/// Puts what serves here into the copy of a Dockerfile.
async fn stand_on(service: &ServiceDef, text: &str, names: &Names, shell: &dyn Shell) -> Result<(), BackendError> {
    let args = service.build.as_ref().map(|b| b.args.clone()).unwrap_or_default();
    let (Some(path), Some(text)) = (dockerfile_path(service), names.in_dockerfile(text, &args)) else { return Ok(()) };
    shell.must(&Cmd::new(["tee", "--", &path]).stdin(text).timeout(Duration::from_secs(10))).await?;
    Ok(())
}

fn dockerfile_path(service: &ServiceDef) -> Option<String> {
    let build = service.build.as_ref()?;
    let name = build.dockerfile.clone().unwrap_or_else(|| "Dockerfile".to_owned());
    Some(if name.starts_with('/') { name } else { format!("{}/{name}", build.context.trim_end_matches('/')) })
}

async fn dockerfile_text(service: &ServiceDef, shell: &dyn Shell) -> Option<String> {
    let path = dockerfile_path(service)?;
    let output = shell.run(&Cmd::new(["cat", "--", &path]).timeout(Duration::from_secs(10))).await.ok()?;
    output.ok().then(|| output.out())
}

async fn image_id(engine: &Engine, tag: &str, project: &str, service: &str) -> Option<String> {
    let dashed = format!("{project}-{service}");
    for name in [tag, &dashed] {
        if let Ok(image) = engine.docker().inspect_image(name).await {
            return image.id;
        }
    }
    None
}

/// A step that ran out of its budget says so in its output; what was not run at all is ours.
pub fn bounded(result: Result<Output, RunError>) -> Result<Output, BackendError> {
    match result {
        Err(RunError { kind: RunErrorKind::Timeout(after, tail), .. }) => Ok(Output {
            status: OUT_OF_TIME,
            stderr: format!("{tail}\nno end after {} s: Connection timed out or too slow", after.as_secs())
                .into_bytes(),
            elapsed: after,
            ..Output::default()
        }),
        other => Ok(other?),
    }
}

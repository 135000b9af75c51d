//! Reads a submission's Vagrantfile: Vagrant's own loader, in a sealed container on this host's engine.
//!
//! A Vagrantfile is a program, and a submission's: it gets no network, no rights, no file that is not the submission's own,
//! and a bounded time. What came of it is kept by the content of all that went in, so that asking again costs nothing.

mod cache;
mod pack;
mod sealed;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::setup;
use crate::docker::{Engine, EngineError};
use crate::notice::Reason;
use crate::submission::Submission;
use crate::submission::machines::read::{Reading, read};
use crate::submission::machines::{Loaded, trouble, virtual_size};
use crate::text::Text;

use pack::{PackError, Packed};

/// Of the lab: it has Vagrant.
const IMAGE: &str = "imparcial/lab:latest";

/// What came of asking, where the host was up to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Outcome {
    /// What `read.rb` printed.
    Said(String),
    /// It printed more than any reading does.
    Flooded,
    /// It took more memory than there was.
    Ate,
    /// It was over without an answer.
    Ended,
    /// It was still at work when its time was over, on the processor nearly all of it.
    Looped,
}

/// Why there is no outcome; whose limits they were.
#[derive(Clone, Debug)]
struct Undecided {
    reason: Reason,
    text: Text,
}

impl Undecided {
    fn new(reason: Reason, en: impl AsRef<str>, es: impl AsRef<str>) -> Self {
        let text = Text::new(
            format!("the Vagrantfile could not be read here: {}", en.as_ref()),
            format!("no se pudo leer aquí el Vagrantfile: {}", es.as_ref()),
        );
        Self { reason, text }
    }
}

impl From<EngineError> for Undecided {
    fn from(error: EngineError) -> Self {
        let next = error.next();
        Self::new(Reason::Host, format!("{error}; {}", next.en), format!("{error}; {}", next.es))
    }
}

/// The layer for which a Vagrantfile is read.
const MACHINES: &str = "machines";

/// Reads the Vagrantfile where a scenario looks at machines; elsewhere nobody asks what it says.
pub async fn load_for(submission: &mut Submission, layers: &[String], cancel: &CancellationToken) {
    if layers.iter().any(|layer| layer == MACHINES) {
        load(submission, cancel).await;
    }
}

/// Fills in the Vagrantfile of a submission that has one, and adds what there is to say of it to the notices.
/// Told to stop, it leaves nothing behind.
pub async fn load(submission: &mut Submission, cancel: &CancellationToken) {
    // Not its path: that may be another program by now.
    load_with(submission, &setup::state().join("vagrantfiles"), Path::new("/proc/self/exe"), cancel).await;
}

/// The same, with a folder to keep outcomes in and our own executable, which runs as the container's reaper.
pub async fn load_with(submission: &mut Submission, kept: &Path, binary: &Path, cancel: &CancellationToken) {
    let Some(vagrantfile) = submission.vagrantfile.as_ref().map(|file| file.path.clone()) else { return };
    let Reading { loaded, notices } = match ask(&submission.root, &vagrantfile, kept, binary, cancel).await {
        Ok((outcome, packed)) => interpret(outcome, &submission.root, &vagrantfile, &packed),
        Err(Undecided { reason, text }) => Reading { loaded: Loaded::Unknown { reason, text }, notices: Vec::new() },
    };
    submission.notices.extend(notices);
    if let Loaded::Machines(machines) = &loaded {
        let folder = submission.root.join(vagrantfile.parent().unwrap_or(Path::new("")));
        let is_there = |playbook: &str| submission.root.join(playbook).exists() || folder.join(playbook).exists();
        let missing = trouble::playbooks(machines, is_there);
        submission.notices.extend(trouble::of(machines));
        submission.notices.extend(missing);
    }
    if let Some(file) = &mut submission.vagrantfile {
        file.loaded = loaded;
    }
}

async fn ask(
    root: &Path,
    vagrantfile: &Path,
    kept: &Path,
    binary: &Path,
    cancel: &CancellationToken,
) -> Result<(Outcome, Packed), Undecided> {
    let folder = root.to_owned();
    let packed = tokio::task::spawn_blocking(move || pack::pack(&folder)).await;
    let packed =
        packed.unwrap_or_else(|error| Err(PackError::Lost(error.to_string()))).map_err(|error| error.said())?;
    if packed.stand_for(vagrantfile) {
        let name = shown(vagrantfile);
        return Err(Undecided::new(
            Reason::Imparcial,
            format!("`{name}` is too large to go in with all else of the submission"),
            format!("`{name}` es demasiado grande para acompañar al resto de la entrega"),
        ));
    }
    let engine = Engine::host().await?;
    let image = image(&engine).await?;
    let key = packed.key(&[&image, &sealed::program(), &vagrantfile.to_string_lossy()]);
    if let Some(outcome) = cache::get(kept, &key) {
        return Ok((outcome, packed));
    }
    let outcome = sealed::run(&engine, binary, &image, packed.tar.clone(), vagrantfile, cancel).await?;
    // That a host was too busy, or too slow, is of one time only.
    if matches!(outcome, Outcome::Said(_))
        && matches!(interpret(outcome.clone(), root, vagrantfile, &packed).loaded, Loaded::Machines(_))
    {
        cache::put(kept, &key, &outcome);
    }
    Ok((outcome, packed))
}

/// The id of the lab's image.
async fn image(engine: &Engine) -> Result<String, Undecided> {
    let found = engine.docker().inspect_image(IMAGE).await;
    let found = found.map_err(|e| engine.explain(format!("look at the image {IMAGE}"), &e));
    match found {
        Ok(image) => Ok(image.id.unwrap_or_else(|| IMAGE.to_owned())),
        Err(error) if error.is_missing() => Err(Undecided::new(
            Reason::Host,
            format!("it takes the image {IMAGE}, which is not there: run `imparcial setup`"),
            format!("hace falta la imagen {IMAGE}, que no está: ejecute `imparcial setup`"),
        )),
        Err(error) => Err(error.into()),
    }
}

fn interpret(outcome: Outcome, root: &Path, vagrantfile: &Path, packed: &Packed) -> Reading {
    let size = |path: &Path| packed.stand_for(path).then(|| virtual_size(&root.join(path))).flatten();
    let (en, es) = match outcome {
        Outcome::Said(printed) => {
            let reading = read(&printed, vagrantfile, &size);
            return packed.excuse(reading, root, vagrantfile);
        }
        Outcome::Flooded => ("it prints without end", "imprime sin fin"),
        Outcome::Ate => (
            "it asks for more memory than reading a Vagrantfile needs",
            "pide más memoria de la que necesita la lectura de un Vagrantfile",
        ),
        Outcome::Ended => ("it ends the program that reads it", "termina el programa que lo lee"),
        Outcome::Looped => ("it does not come to an end", "no termina"),
    };
    let text = Text::new(
        format!("Vagrant cannot load the Vagrantfile: {en}"),
        format!("Vagrant no puede cargar el Vagrantfile: {es}"),
    );
    let at = Some(crate::expect::Place { file: vagrantfile.display().to_string(), line: 1, column: 1 });
    Reading { loaded: Loaded::Refused { text, at }, notices: Vec::new() }
}

/// A path of the submission as people read it.
fn shown(path: &Path) -> String {
    crate::sanitize::line(&path.to_string_lossy(), 200)
}

/// For messages: the first of several paths.
fn first(paths: &[PathBuf]) -> String {
    paths.first().map(|path| shown(path)).unwrap_or_default()
}

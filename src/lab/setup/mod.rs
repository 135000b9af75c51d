//! `imparcial setup`: what labs need, made once on this host. Each step is a row that can look and can make; what is
//! there already is left alone, so that a second run does nothing.

mod base;
mod build;
mod daemon;
mod error;
mod host;
mod layers;
mod packages;
mod remove;
mod serve;
mod sources;
mod stand_ins;
mod vms;
mod world;

use std::fs::File;

use tokio::time::Instant;

use futures_util::future::BoxFuture;

pub use error::SetupError;
pub use remove::remove;
pub use world::{World, state};

use crate::backend::getting::At;
use crate::text::Text;

/// Label of all that set-up makes: its value is the installation.
pub const INSTALLATION: &str = "imparcial.installation";
/// Label of an image: what it was made from.
pub(crate) const HASH: &str = "imparcial.hash";
/// The network that labs and the registry are on.
pub const NETWORK: &str = "imparcial-labs";

/// Told how set-up goes on, as it goes on.
pub trait Progress: Send + Sync {
    /// Something that takes a while begins.
    fn begin(&self, what: &str, text: &Text);
    /// The last line of a tool at work.
    fn line(&self, what: &str, line: &str);
    /// So many images are to be made.
    fn images(&self, count: usize);
    /// How far the making of an image is, or its upload.
    fn image(&self, what: &str, at: &At);
    /// It is done, or was there already.
    fn done(&self, what: &str, text: &Text, took: std::time::Duration);
}

/// What a look at a step found.
#[derive(Clone, Debug)]
pub enum Seen {
    There(Text),
    /// What is missing, and what making it would do.
    Missing(Text),
}

type Looking<'a> = BoxFuture<'a, Result<Seen, SetupError>>;
type Making<'a> = BoxFuture<'a, Result<Text, SetupError>>;

/// One thing that has to be there.
pub struct Step {
    pub name: &'static str,
    look: for<'a> fn(&'a World) -> Looking<'a>,
    make: for<'a> fn(&'a World, &'a dyn Progress) -> Making<'a>,
}

impl Step {
    /// # Errors
    /// Where it cannot be told.
    pub async fn look(&self, world: &World) -> Result<Seen, SetupError> {
        (self.look)(world).await
    }

    /// # Errors
    /// Where it could not be made; what there is of it is left as the next set-up can take it.
    pub async fn make(&self, world: &World, progress: &dyn Progress) -> Result<Text, SetupError> {
        (self.make)(world, progress).await
    }
}

/// Everything that set-up sees to, in order: each stands on those before it.
pub static STEPS: [Step; 7] = [
    Step { name: "packages", look: |w| Box::pin(packages::look(w)), make: |w, p| Box::pin(packages::make(w, p)) },
    Step { name: "engine", look: |w| Box::pin(daemon::look(w)), make: |w, p| Box::pin(daemon::make(w, p)) },
    Step { name: "base", look: |w| Box::pin(base::look(w)), make: |w, p| Box::pin(base::make(w, p)) },
    Step {
        name: "network",
        look: |w| Box::pin(serve::look_network(w)),
        make: |w, p| Box::pin(serve::make_network(w, p)),
    },
    Step {
        name: "registry",
        look: |w| Box::pin(serve::look_registry(w)),
        make: |w, p| Box::pin(serve::make_registry(w, p)),
    },
    Step { name: "images", look: |w| Box::pin(stand_ins::look(w)), make: |w, p| Box::pin(stand_ins::make(w, p)) },
    Step { name: "layers", look: |w| Box::pin(layers::look(w)), make: |w, p| Box::pin(layers::make(w, p)) },
];

/// What is seen to besides where virtual machines are asked for.
static VMS: Step = Step { name: "vms", look: |w| Box::pin(vms::look(w)), make: |w, p| Box::pin(vms::make(w, p)) };

/// Whether a step is called that.
pub fn is_step(name: &str) -> bool {
    STEPS.iter().chain([&VMS]).any(|step| step.name == name)
}

fn steps(world: &World) -> impl Iterator<Item = &'static Step> {
    STEPS.iter().chain(world.vms.then_some(&VMS))
}

/// Makes what is missing.
///
/// # Errors
/// With the first step that could not be made; the ones before it stay.
pub async fn set_up(world: &World, progress: &dyn Progress) -> Result<(), SetupError> {
    let _alone = alone(world, progress).await?;
    for step in &STEPS {
        see_to(step, world, progress).await?;
    }
    // What is there is kept as it would be made now: it stands on the others.
    if world.vms || vms::is_there(world).await? {
        see_to(&VMS, world, progress).await?;
    }
    Ok(())
}

async fn see_to(step: &Step, world: &World, progress: &dyn Progress) -> Result<(), SetupError> {
    let began = Instant::now();
    let text = match step.look(world).await? {
        Seen::There(text) => text,
        Seen::Missing(_) => step.make(world, progress).await?,
    };
    progress.done(step.name, &text, began.elapsed());
    Ok(())
}

/// Two at once would take away what the other makes: the later one waits. The lock goes with the process.
async fn alone(world: &World, progress: &dyn Progress) -> Result<File, SetupError> {
    let path = world.folder()?.join("setup.lock");
    let failed = |error: std::io::Error| {
        let shown = path.display();
        SetupError::new(
            Text::new(format!("lock {shown}"), format!("bloquear {shown}")),
            error.to_string(),
            Text::new(
                "IMPARCIAL_HOME names another folder for imparcial's state",
                "IMPARCIAL_HOME indica otra carpeta para el estado de imparcial",
            ),
        )
    };
    let file = File::create(&path).map_err(failed)?;
    if file.try_lock().is_err() {
        let text =
            Text::new("another set-up is at work: waiting for it", "otra preparación está en marcha: se la espera");
        progress.begin("setup", &text);
        let waiting = tokio::task::spawn_blocking(move || file.lock().map(|()| file));
        return waiting.await.map_err(std::io::Error::other).and_then(|locked| locked).map_err(failed);
    }
    Ok(file)
}

/// What is there and what is missing, without making anything. What stands on something missing is not looked at.
pub async fn check(world: &World) -> Vec<(&'static str, Result<Seen, SetupError>)> {
    let mut seen = Vec::new();
    for step in steps(world) {
        let found = step.look(world).await;
        let no_engine = step.name == "engine" && !matches!(found, Ok(Seen::There(_)));
        seen.push((step.name, found));
        if no_engine {
            break;
        }
    }
    seen
}

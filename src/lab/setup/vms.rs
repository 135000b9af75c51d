//! What virtual machines need, made only where it is asked for (`imparcial setup --vms`): the disk that serves for their boxes, and
//! a lab's image with a hypervisor.

use tokio::time::Instant;

use super::build::{build, prune};
use super::{Progress, Seen, SetupError, World};
use crate::backend::getting::At;
use crate::text::Text;

/// In the order in which they are made: each stands on the one before it.
const IMAGES: [&str; 2] = ["machine", "vms"];

/// Whether an earlier set-up made it: then it is kept as its sources would make it now.
pub(super) async fn is_there(world: &World) -> Result<bool, SetupError> {
    Ok(world.images().await?.contains_key("imparcial/vms:latest"))
}

pub(super) async fn look(world: &World) -> Result<Seen, SetupError> {
    let missing = missing(world).await?;
    if missing.is_empty() {
        let images = world.images().await?;
        let size =
            |name: &str| images.get(&format!("imparcial/{name}:latest")).map_or(0, |image| image.size / 1_000_000);
        let (lab, machine) = (size("vms"), size("machine"));
        return Ok(Seen::There(Text::new(
            format!("a lab with a hypervisor ({lab} MB), and what its machines' disk is made of ({machine} MB)"),
            format!(
                "un laboratorio con hipervisor ({lab} MB), y de qué se hace el disco de sus máquinas ({machine} MB)"
            ),
        )));
    }
    let list = missing.join(", ");
    Ok(Seen::Missing(Text::new(
        format!("{list}: not built; `imparcial setup --vms` builds them from Debian's packages"),
        format!("{list}: sin construir; `imparcial setup --vms` los construye con paquetes de Debian"),
    )))
}

pub(super) async fn make(world: &World, progress: &dyn Progress) -> Result<Text, SetupError> {
    let missing = missing(world).await?;
    progress.images(missing.len());
    let installation = world.installation().await?;
    for name in &missing {
        let began = Instant::now();
        progress.begin(name, &Text::new("building", "construyendo"));
        // What is only built to copy files from it has no name: it is known by this label, and removed.
        build(world, name, &[("INSTALLATION", &installation)], progress).await?;
        progress.image(name, &At::Over);
        progress.done(name, &Text::new("built", "construida"), began.elapsed());
    }
    prune(world.engine().await?, &installation).await?;
    let count = missing.len();
    Ok(Text::new(format!("{count} images made"), format!("{count} imágenes creadas")))
}

async fn missing(world: &World) -> Result<Vec<&'static str>, SetupError> {
    let images = world.images().await?;
    Ok(IMAGES.into_iter().filter(|name| world.current(&images, name).is_none()).collect())
}

#[cfg(test)]
mod tests {
    use crate::lab::setup::INSTALLATION;

    #[test]
    fn what_is_copied_from_bears_the_label_by_which_it_is_removed() {
        let file = include_str!("../../../vagrant/images/vms/Dockerfile");
        assert!(file.contains(&format!("LABEL {INSTALLATION}=${{INSTALLATION}}")), "{file}");
    }
}

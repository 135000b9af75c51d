//! The lab's image, and the stand-ins: built where their sources changed, and put into the registry.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use tokio::time::Instant;

use futures_util::{FutureExt, StreamExt, stream};

use super::build::{build, prune};
use super::sources::Sources;
use super::world::Image;
use super::{Progress, Seen, SetupError, World};
use crate::backend::getting::At;
use crate::lab::catalogue::{Catalogue, Entry};
use crate::lab::layers::NODE;
use crate::lab::registry::{Registry, ensure_in_registry};
use crate::lab::upload::upload;
use crate::text::Text;

/// Packages are unpacked on one core while the next are fetched: more at once only gets in each other's way.
const AT_ONCE: usize = 2;
const LAB: &str = "lab";
/// They hold five times what a stand-in does.
const LONGEST: [&str; 2] = [LAB, NODE];

pub(super) async fn look(world: &World) -> Result<Seen, SetupError> {
    let missing = missing(world).await?;
    Ok(if missing.is_empty() {
        // Several images may be of one product and version.
        let list: BTreeSet<String> = Catalogue::shipped().stand_ins.iter().map(Entry::shown).collect();
        let list = list.into_iter().collect::<Vec<_>>().join(", ");
        Seen::There(Text::new(
            format!("the lab, with Vagrant and Ansible; the node that machines run on; stand-ins {list}"),
            format!("el laboratorio, con Vagrant y Ansible; el nodo en que funcionan las máquinas; sustitutos {list}"),
        ))
    } else {
        let list = missing.join(", ");
        Seen::Missing(Text::new(
            format!("{list}: not built, or not in the registry; `imparcial setup` builds them from Debian's packages"),
            format!(
                "{list}: sin construir o fuera del registro; `imparcial setup` los construye con paquetes de Debian"
            ),
        ))
    })
}

pub(super) async fn make(world: &World, progress: &dyn Progress) -> Result<Text, SetupError> {
    let missing = missing(world).await?;
    progress.images(missing.len());
    let jobs: Vec<_> = chains(&missing).into_iter().map(|chain| one_by_one(world, chain, progress).boxed()).collect();
    let done: Vec<Result<(), SetupError>> = stream::iter(jobs).buffer_unordered(AT_ONCE).collect().await;
    done.into_iter().collect::<Result<Vec<()>, _>>()?;
    let tags: Vec<String> = Catalogue::shipped().stand_ins.iter().flat_map(|entry| entry.tags.clone()).collect();
    let engine = world.engine().await?;
    let served = ensure_in_registry(engine, &tags).await?;
    prune(engine, &world.installation().await?).await?;
    let (images, tags) = (missing.len(), served.len());
    Ok(Text::new(
        format!("{images} made; {tags} names served to labs"),
        format!("{images} creadas; {tags} nombres servidos a los laboratorios"),
    ))
}

/// Images that are not what their sources would make now, or that the registry does not hold.
async fn missing(world: &World) -> Result<Vec<&'static str>, SetupError> {
    let images = world.images().await?;
    let registry = Registry::of(world.engine().await?).await.ok();
    let mut missing = Vec::new();
    for name in names() {
        let there = match (world.current(&images, name), &registry) {
            (None, _) => false,
            (Some(_), _) if name == LAB => true,
            (Some(image), Some(registry)) => registry.current(name).await?.as_deref() == Some(image.id.as_str()),
            (Some(_), None) => false,
        };
        if !there {
            missing.push(name);
        }
    }
    Ok(missing)
}

fn names() -> Vec<&'static str> {
    Catalogue::shipped().stand_ins.iter().map(|entry| entry.name.as_str()).chain([NODE, LAB]).collect()
}

/// Images in the order in which they are made: one that stands on another follows it, the rest can go side by side. What
/// takes longest begins first, so that nothing long is left alone at the end.
fn chains(missing: &[&'static str]) -> Vec<Vec<&'static str>> {
    let mut chains: Vec<Vec<&'static str>> = Vec::new();
    for name in missing {
        let parent = Sources::parent(name);
        match chains.iter_mut().find(|chain| chain.iter().any(|made| Some(*made) == parent)) {
            Some(chain) => chain.push(name),
            None => chains.push(vec![name]),
        }
    }
    chains.sort_by_key(|chain| (!LONGEST.contains(&chain[0]), Reverse(chain.len())));
    chains
}

async fn one_by_one(world: &World, names: Vec<&'static str>, progress: &dyn Progress) -> Result<(), SetupError> {
    for name in names {
        let began = Instant::now();
        let text = one(world, name, progress).await?;
        progress.image(name, &At::Over);
        progress.done(name, &text, began.elapsed());
    }
    Ok(())
}

/// Builds one where it changed, and uploads it.
async fn one(world: &World, name: &'static str, progress: &dyn Progress) -> Result<Text, SetupError> {
    let images = world.images().await?;
    let mut built = false;
    if world.current(&images, name).is_none() {
        progress.begin(name, &Text::new("building", "construyendo"));
        build(world, name, &[], progress).await?;
        built = true;
    }
    let tag = format!("imparcial/{name}:latest");
    let image = world.images().await?.get(&tag).cloned();
    let image = image.unwrap_or(Image { id: String::new(), hash: None, size: 0 });
    let engine = world.engine().await?;
    if name != LAB {
        let registry = Registry::of(engine).await?;
        if registry.current(name).await?.as_deref() != Some(image.id.as_str()) {
            upload(engine, &tag, &registry, name, world.folder()?, &|at| progress.image(name, at)).await?;
        }
    }
    let shown = Catalogue::shipped().stand_ins.iter().find(|entry| entry.name == name).map(Entry::shown);
    let (shown, size) = (shown.unwrap_or_default(), image.size / 1_000_000);
    let (en, es) = if built { ("built", "construida") } else { ("put into the registry", "puesta en el registro") };
    let line = |word: &str| format!("{word}: {shown} ({size} MB)").replace(":  (", " (");
    Ok(Text::new(line(en), line(es)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_on_another_follows_it() {
        assert_eq!(
            chains(&["python-slim", "python", "mysql", "lab"]),
            [vec!["lab"], vec!["python-slim", "python"], vec!["mysql"]]
        );
        // Two may stand on the same one.
        assert_eq!(chains(&["php", "php-fpm", "php-cli", "nginx"]), [vec!["php", "php-fpm", "php-cli"], vec!["nginx"]]);
        assert_eq!(chains(&["mysql", "php", "php-cli", "node"]), [vec!["node"], vec!["php", "php-cli"], vec!["mysql"]]);
        // Its base is there already.
        assert_eq!(chains(&["python", "mysql"]), [vec!["python"], vec!["mysql"]]);
    }
}

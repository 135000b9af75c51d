//! The base image: Debian by debootstrap, imported as an image, then `vagrant/images/base` on top of it.
//!
//! Two steps, since the first takes half a minute and depends on the mirror only.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::{StreamExt, TryStreamExt};
use sha2::{Digest, Sha256};
use tokio_util::codec::{BytesCodec, FramedRead};

use super::build::build;
use super::host::{self, SUITE, as_root};
use super::{Progress, Seen, SetupError, World};
use crate::exec::local::Local;
use crate::exec::{Cmd, Shell, ShellExt};
use crate::lab::upload::hex;
use crate::text::Text;

const DEBOOTSTRAP: Duration = Duration::from_secs(20 * 60);
const FOLDER: &str = "rootfs-";
/// What Debian's official image does not hold either, or nobody reads in a container.
const LEFT_OUT: [&str; 8] = [
    "./var/cache/apt/*",
    "./var/lib/apt/lists/*",
    "./var/log/*.log",
    "./var/log/apt/*",
    "./usr/share/doc/*/*[!t]",
    "./usr/share/locale/*/*",
    "./usr/share/info/*",
    "./usr/share/man/*/*",
];

pub(super) async fn look(world: &World) -> Result<Seen, SetupError> {
    let images = world.images().await?;
    Ok(match world.current(&images, "base") {
        Some(image) => Seen::There(said(world, image.size)),
        None => Seen::Missing(Text::new(
            format!("the base image; `imparcial setup` makes it with debootstrap from {}", world.mirrors.main),
            format!("la imagen base; `imparcial setup` la crea con debootstrap desde {}", world.mirrors.main),
        )),
    })
}

pub(super) async fn make(world: &World, progress: &dyn Progress) -> Result<Text, SetupError> {
    let rootfs = rootfs(world);
    let images = world.images().await?;
    if world.rebuild || !images.contains_key(&rootfs) {
        let text = Text::new(
            format!("debootstrap fetches Debian {SUITE} from {}", world.mirrors.main),
            format!("debootstrap descarga Debian {SUITE} de {}", world.mirrors.main),
        );
        progress.begin("base", &text);
        bootstrap(world, &rootfs, progress).await?;
    }
    build(world, "base", &[("ROOTFS", &rootfs)], progress).await?;
    let images = world.images().await?;
    Ok(said(world, images.get("imparcial/base:latest").map_or(0, |image| image.size)))
}

fn said(world: &World, size: i64) -> Text {
    Text::same(format!("Debian {SUITE}, {} MB, {}", size / 1_000_000, world.mirrors.main))
}

/// The image that debootstrap's folder becomes; its tag says what it was made from.
fn rootfs(world: &World) -> String {
    let from = format!("{SUITE} {} {}", world.mirrors.main, LEFT_OUT.join(" "));
    format!("imparcial/rootfs:{}", &hex(&Sha256::digest(from))[..12])
}

async fn bootstrap(world: &World, image: &str, progress: &dyn Progress) -> Result<(), SetupError> {
    let state = world.folder()?;
    // Of a set-up that was killed.
    for old in leftovers(state) {
        clear(&old).await?;
    }
    let folder = state.join(format!("{FOLDER}{}", std::process::id()));
    let shown = folder.display().to_string();
    let fixed = ["debootstrap", "--variant=minbase", "--include=ca-certificates", SUITE];
    let argv = as_root(fixed.into_iter().chain([shown.as_str(), world.mirrors.main.as_str()]));
    // In the C locale: perl would warn of one that is not installed.
    let cmd = Cmd::new(argv).env("LC_ALL", "C").timeout(DEBOOTSTRAP);
    let made = match host::followed(&cmd, "base", progress).await {
        Ok(_) => import(world, &shown, image).await,
        Err(error) => Err(explain(error.into(), &folder)),
    };
    clear(&folder).await?;
    made
}

/// Streams the folder into the engine as an image of one layer.
async fn import(world: &World, folder: &str, image: &str) -> Result<(), SetupError> {
    let engine = world.engine().await?;
    let excludes = LEFT_OUT.iter().map(|pattern| format!("--exclude={pattern}"));
    let argv = as_root(["tar", "-C", folder, "--numeric-owner", "-c"]).into_iter().chain(excludes);
    let piped = Local.pipe(&Cmd::new(argv.chain([".".to_owned()]))).await?;
    let (repository, tag) = image.rsplit_once(':').unwrap_or((image, "latest"));
    let options = CreateImageOptionsBuilder::new().from_src("-").repo(repository).tag(tag).build();
    let bytes = FramedRead::with_capacity(piped.stdout, BytesCodec::new(), 1 << 20).map_ok(|b| b.freeze());
    let mut answers = engine.docker().create_image(Some(options), Some(bollard::body_try_stream(bytes)), None);
    while let Some(answer) = answers.next().await {
        answer.map_err(|e| engine.explain("import Debian as an image", &e))?;
    }
    drop(piped.guard);
    Ok(())
}

fn leftovers(state: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(state).into_iter().flatten().filter_map(Result::ok);
    let ours = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(FOLDER));
    ours.map(|entry| entry.path()).collect()
}

async fn clear(folder: &Path) -> Result<(), SetupError> {
    let argv = as_root(["rm", "-rf", "--one-file-system", "--", &folder.display().to_string()]);
    Local.must(&Cmd::new(argv).timeout(Duration::from_secs(60))).await?;
    Ok(())
}

fn explain(mut error: SetupError, folder: &Path) -> SetupError {
    // What debootstrap says itself is short; its log says which package.
    let log = std::fs::read_to_string(folder.join("debootstrap/debootstrap.log")).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    let end = lines[lines.len().saturating_sub(8)..].join("\n");
    if !end.is_empty() {
        error.seen = format!("{}\n{end}", error.seen);
    }
    error.next = Text::new(
        "If the mirror did not answer, run `imparcial setup` again, or name another one in IMPARCIAL_DEBIAN_MIRROR. \
         The folder of IMPARCIAL_HOME must allow programs and devices (no noexec, no nodev).",
        "Si el espejo no respondió, ejecuta `imparcial setup` otra vez o indica otro en IMPARCIAL_DEBIAN_MIRROR. \
         La carpeta de IMPARCIAL_HOME debe admitir programas y dispositivos (ni noexec ni nodev).",
    );
    error
}

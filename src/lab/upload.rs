//! Takes an image from an engine into the registry.
//!
//! Not by `docker push`: that compresses every layer on one core (20 s for the stand-in of python) only for the lab to
//! undo it, and nothing here goes over a slow line. The layers are uploaded as the engine saves them.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use futures_util::StreamExt;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::LabError;
use super::registry::{Blob, Manifest, Registry};
use crate::backend::getting::At;
use crate::docker::Engine;

/// How much of a layer is sent at once.
const PART: u64 = 16 << 20;

/// What `docker save` says of an image in `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    layers: Vec<String>,
}

#[derive(Deserialize)]
struct ImageConfig {
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    diff_ids: Vec<String>,
}

/// Puts an image into the registry as `imparcial/NAME:current`. Layers that are there are not sent again.
///
/// `folder` is where it lies on its way; it needs the image's size. `told` hears how far it is.
pub(crate) async fn upload(
    engine: &Engine,
    image: &str,
    registry: &Registry,
    name: &str,
    folder: &Path,
    told: &(dyn Fn(&At) + Sync),
) -> Result<(), LabError> {
    let repository = format!("imparcial/{name}");
    let file = Arc::new(save(engine, image, folder).await?);
    let reading = file.clone();
    let archive = tokio::task::spawn_blocking(move || Archive::read(&reading)).await.map_err(io::Error::other);
    let archive = archive.and_then(|read| read).map_err(|e| LabError::Registry {
        tried: format!("read what the engine saved of {image}"),
        seen: e.to_string(),
    })?;
    let (of, total) = (archive.layers.len() + 1, archive.layers.iter().map(|part| part.size).sum());
    let mut before = 0;
    for (there, part) in archive.layers.iter().chain([&archive.config]).enumerate() {
        let sent = |bytes: u64| told(&At::Layers { there, of, bytes: (before + bytes).min(total), total });
        sent(0);
        if !registry.has_blob(&repository, &part.digest).await? {
            send(registry, &repository, &file, part, &sent).await?;
        }
        before += part.size;
    }
    let layers = archive.layers.iter().map(Part::blob).collect();
    registry.put_current(name, &Manifest::of((archive.config.size, archive.config.digest.clone()), layers)).await
}

/// Lets the engine write the image into a file without a name.
async fn save(engine: &Engine, image: &str, folder: &Path) -> Result<File, LabError> {
    let disk = |e: io::Error| LabError::Registry { tried: format!("save {image}"), seen: e.to_string() };
    let mut file = tempfile::tempfile_in(folder).map_err(disk)?;
    let mut stream = engine.docker().export_image(image);
    while let Some(bytes) = stream.next().await {
        let bytes = bytes.map_err(|e| engine.explain(format!("save {image}"), &e))?;
        // It goes to the page cache: handing each piece to another thread would cost more.
        file.write_all(&bytes).map_err(disk)?;
    }
    Ok(file)
}

async fn send(
    registry: &Registry,
    repository: &str,
    file: &Arc<File>,
    part: &Part,
    told: &(dyn Fn(u64) + Sync),
) -> Result<(), LabError> {
    let mut to = registry.begin_upload(repository).await?;
    let mut sent = 0;
    while sent < part.size {
        let (reading, at, length) = (file.clone(), part.at + sent, PART.min(part.size - sent));
        let bytes = tokio::task::spawn_blocking(move || {
            let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
            reading.read_exact_at(&mut bytes, at).map(|()| bytes)
        });
        let bytes = bytes.await.map_err(io::Error::other).and_then(|read| read);
        let bytes =
            bytes.map_err(|e| LabError::Registry { tried: "read a saved layer".into(), seen: e.to_string() })?;
        to = registry.send_part(to, sent, bytes).await?;
        sent += length;
        told(sent);
    }
    registry.end_upload(to, &part.digest).await
}

/// A piece of the saved file, and what a registry calls it.
struct Part {
    at: u64,
    size: u64,
    digest: String,
    media_type: &'static str,
}

impl Part {
    fn blob(&self) -> Blob {
        Blob { media_type: self.media_type.to_owned(), size: self.size, digest: self.digest.clone() }
    }
}

/// Where the pieces of a saved image lie.
struct Archive {
    config: Part,
    layers: Vec<Part>,
}

impl Archive {
    fn read(file: &File) -> io::Result<Self> {
        let mut reading = file;
        reading.seek(SeekFrom::Start(0))?;
        let mut index: HashMap<PathBuf, (u64, u64)> = HashMap::new();
        let mut links: HashMap<PathBuf, PathBuf> = HashMap::new();
        for entry in tar::Archive::new(reading).entries_with_seek()? {
            let entry = entry?;
            let path = entry.path()?.into_owned();
            if let Some(target) = entry.link_name()? {
                // Layers that occur twice are links from one layer's folder to another's.
                links.insert(path.clone(), plain(&path.parent().unwrap_or(Path::new("")).join(target)));
            } else {
                index.insert(path, (entry.raw_file_position(), entry.size()));
            }
        }
        let find = |path: &str| -> io::Result<(u64, u64)> {
            let path = Path::new(path);
            let path = links.get(path).map_or(path, PathBuf::as_path);
            index.get(path).copied().ok_or_else(|| io::Error::other(format!("{} is missing", path.display())))
        };
        let bytes = |(at, size): (u64, u64)| -> io::Result<Vec<u8>> {
            let mut bytes = vec![0; usize::try_from(size).map_err(io::Error::other)?];
            file.read_exact_at(&mut bytes, at).map(|()| bytes)
        };
        let saved: Vec<Saved> = serde_json::from_slice(&bytes(find("manifest.json")?)?)?;
        let saved = saved.into_iter().next().ok_or_else(|| io::Error::other("no image in it"))?;
        let (at, size) = find(&saved.config)?;
        let text = bytes((at, size))?;
        let known: ImageConfig = serde_json::from_slice(&text)?;
        let config = Part { at, size, digest: format!("sha256:{}", hex(&Sha256::digest(&text))), media_type: "" };
        if known.rootfs.diff_ids.len() != saved.layers.len() {
            return Err(io::Error::other("its layers and its description do not agree"));
        }
        let layers = saved.layers.iter().zip(known.rootfs.diff_ids).map(|(path, diff_id)| {
            let (at, size) = find(path)?;
            let mut head = [0; 2];
            file.read_at(&mut head, at)?;
            // Engines that keep images as registries do save them compressed, under the digest of that.
            let stored = path.strip_prefix("blobs/sha256/").map(|hex| format!("sha256:{hex}"));
            let media_type = if head == [0x1f, 0x8b] {
                "application/vnd.docker.image.rootfs.diff.tar.gzip"
            } else {
                "application/vnd.docker.image.rootfs.diff.tar"
            };
            Ok(Part { at, size, digest: stored.unwrap_or(diff_id), media_type })
        });
        let layers = layers.collect::<io::Result<Vec<_>>>()?;
        Ok(Self { config, layers })
    }
}

/// A path without `..`, by its words alone: it is a path inside an archive.
fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(out.pop()),
            Component::Normal(name) => out.push(name),
            _ => {}
        }
    }
    out
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What engine 20.10 writes: a folder a layer, a repeated layer as a link.
    fn saved() -> File {
        let mut tar = tar::Builder::new(tempfile::tempfile().expect("a temporary file"));
        let mut put = |path: &str, bytes: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, path, bytes).expect("written");
        };
        put("abc.json", br#"{"rootfs":{"diff_ids":["sha256:11","sha256:11"]}}"#);
        put("one/layer.tar", b"LAYER");
        let manifest = br#"[{"Config":"abc.json","Layers":["one/layer.tar","two/layer.tar"]}]"#;
        put("manifest.json", manifest);
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        tar.append_link(&mut header, "two/layer.tar", "../one/layer.tar").expect("written");
        tar.into_inner().expect("written")
    }

    #[test]
    fn a_saved_image_is_found_again_links_included() {
        let file = saved();
        let archive = Archive::read(&file).expect("it is whole");
        assert_eq!(archive.layers.len(), 2);
        for layer in &archive.layers {
            assert_eq!((layer.size, layer.digest.as_str()), (5, "sha256:11"));
            let mut bytes = [0; 5];
            file.read_exact_at(&mut bytes, layer.at).expect("read");
            assert_eq!(&bytes, b"LAYER");
        }
        assert!(archive.config.digest.starts_with("sha256:"));
    }
}

//! What of a submission goes in: its files as a tar, small ones with their content, large ones and disks as a name alone.

use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tar::{Archive, Builder, EntryType, Header};

use super::{Undecided, first, shown};
use crate::lab::copy::{self, Caps, CopyError};
use crate::lab::left_out::NotCopiedWhy;
use crate::lab::upload::hex;
use crate::notice::Reason;
use crate::submission::machines::read::Reading;
use crate::submission::machines::{Loaded, is_virtual_disk, virtual_size};

/// The folder's name inside: see `read.rb`.
const FOLDER: &str = "submission";
const ALL: u64 = 32 << 20;
/// Of a single file; where all are too much together, the smaller ones are taken.
const SINGLE: [u64; 3] = [1 << 20, 64 << 10, 8 << 10];
const ENTRIES: usize = 20_000;

pub(super) struct Packed {
    pub(super) tar: Vec<u8>,
    /// Files that are there by their name only, and the disks among them.
    names: Vec<PathBuf>,
    hash: Sha256,
}

pub(super) enum PackError {
    Copy(CopyError),
    Lost(String),
}

impl PackError {
    pub(super) fn said(&self) -> Undecided {
        match self {
            Self::Copy(CopyError::TooMany(most)) => Undecided::new(
                Reason::Imparcial,
                format!("the submission has more than {most} files and folders"),
                format!("la entrega tiene más de {most} archivos y carpetas"),
            ),
            Self::Copy(CopyError::TooLarge(most, heaviest)) => {
                let heaviest: Vec<PathBuf> = heaviest.iter().map(|(path, _)| path.clone()).collect();
                let (mb, path) = (most >> 20, first(&heaviest));
                Undecided::new(
                    Reason::Imparcial,
                    format!("the submission's small files are more than {mb} MiB together; most lie in `{path}`"),
                    format!("los archivos pequeños de la entrega suman más de {mb} MiB; la mayoría está en `{path}`"),
                )
            }
            Self::Copy(error) => Undecided::new(Reason::Host, error.to_string(), error.to_string()),
            Self::Lost(error) => Undecided::new(Reason::Imparcial, error, error),
        }
    }
}

/// Reads the submission's files. Blocks.
pub(super) fn pack(root: &Path) -> Result<Packed, PackError> {
    let mut result = Err(PackError::Lost("nothing was read".to_owned()));
    for file in SINGLE {
        let mut tar = Vec::new();
        let caps = Caps { entries: ENTRIES, bytes: ALL, file };
        match copy::tar_of(root, FOLDER, caps, &mut tar) {
            Ok(left_out) => {
                let names = left_out
                    .into_iter()
                    .filter(|it| matches!(it.why, NotCopiedWhy::TooLarge(_) | NotCopiedWhy::DiskImage(_)))
                    .map(|it| it.path)
                    // A disk that says no size is as good as none: what makes it where it is missing says one.
                    .filter(|path| !is_virtual_disk(path) || virtual_size(&root.join(path)).is_some())
                    .collect();
                return Packed::of(tar, names).map_err(|error| PackError::Lost(error.to_string()));
            }
            Err(error @ CopyError::TooLarge(..)) => result = Err(PackError::Copy(error)),
            Err(error) => return Err(PackError::Copy(error)),
        }
    }
    result
}

impl Packed {
    fn of(mut tar: Vec<u8>, names: Vec<PathBuf>) -> std::io::Result<Self> {
        // The end of a tar is two empty blocks: what follows is put in their place.
        tar.truncate(tar.len().saturating_sub(1024));
        let mut more = Builder::new(tar);
        for name in &names {
            let mut header = Header::new_gnu();
            header.set_entry_type(EntryType::Regular);
            header.set_mode(0o644);
            header.set_size(0);
            more.append_data(&mut header, Path::new(FOLDER).join(name), std::io::empty())?;
        }
        let tar = more.into_inner()?;
        let hash = hash(&tar)?;
        Ok(Self { tar, names, hash })
    }

    /// Names all that went in, and whatever else the outcome hangs on. When a file was written does not matter.
    pub(super) fn key(&self, besides: &[&str]) -> String {
        let mut hash = self.hash.clone();
        for text in besides {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
        hex(&hash.finalize())
    }

    /// Whether a file of the submission was there by its name only.
    pub(super) fn stand_for(&self, path: &Path) -> bool {
        self.names.iter().any(|name| name == path)
    }

    /// A Vagrantfile that could not be loaded and reads a file whose content did not go in is not to blame.
    pub(super) fn excuse(&self, reading: Reading, root: &Path, vagrantfile: &Path) -> Reading {
        let Loaded::Refused { .. } = reading.loaded else { return reading };
        let text = std::fs::File::open(root.join(vagrantfile)).ok().and_then(|file| {
            let mut text = Vec::new();
            file.take(1 << 20).read_to_end(&mut text).ok()?;
            Some(String::from_utf8_lossy(&text).into_owned())
        });
        let text = text.unwrap_or_default();
        let named = |path: &&PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            // Of disks only the name is of use to a Vagrantfile.
            !crate::submission::no_part::is_disk_image(path) && text.contains(name)
        };
        let Some(path) = self.names.iter().find(named) else { return reading };
        let name = shown(path);
        let Undecided { reason, text } = Undecided::new(
            Reason::Imparcial,
            format!("it names `{name}`, which is too large to go along"),
            format!("nombra `{name}`, que es demasiado grande para acompañarlo"),
        );
        Reading { loaded: Loaded::Unknown { reason, text }, ..reading }
    }
}

fn hash(tar: &[u8]) -> std::io::Result<Sha256> {
    let mut hash = Sha256::new();
    for entry in Archive::new(tar).entries()? {
        let mut entry = entry?;
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        part(&entry.path_bytes());
        part(&entry.link_name_bytes().unwrap_or_default());
        part(&[entry.header().entry_type().as_byte(), u8::from(entry.header().mode()? & 0o100 != 0)]);
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        part(&content);
    }
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;

    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("Vagrantfile"), "File.read('large.yml')").unwrap();
        File::create(dir.path().join("large.yml")).unwrap().set_len(2 << 20).unwrap();
        dir
    }

    fn packed(root: &Path) -> Packed {
        pack(root).unwrap_or_else(|error| panic!("{:?}", error.said()))
    }

    fn names(packed: &Packed) -> Vec<(String, u64)> {
        let mut archive = Archive::new(packed.tar.as_slice());
        let entries = archive.entries().unwrap().map(Result::unwrap);
        entries.map(|e| (e.path().unwrap().display().to_string().trim_end_matches('/').to_owned(), e.size())).collect()
    }

    #[test]
    fn small_files_whole_and_large_ones_by_name() {
        let dir = folder();
        fs::create_dir(dir.path().join("disks")).unwrap();
        let mut vdi = vec![0; 512];
        vdi[0x40..0x44].copy_from_slice(&0xbeda_107f_u32.to_le_bytes());
        vdi[0x170..0x178].copy_from_slice(&(5_u64 << 30).to_le_bytes());
        fs::write(dir.path().join("disks/good.vdi"), vdi).unwrap();
        fs::write(dir.path().join("disks/broken.vdi"), "x").unwrap();
        let packed = packed(dir.path());
        let seen = names(&packed);
        let want = [("submission", 0), ("submission/Vagrantfile", 22), ("submission/disks", 0)]
            .into_iter()
            .chain([("submission/disks/good.vdi", 0), ("submission/large.yml", 0)]);
        assert_eq!(seen, want.map(|(name, size)| (name.to_owned(), size)).collect::<Vec<_>>());
        assert!(packed.stand_for(Path::new("disks/good.vdi")) && !packed.stand_for(Path::new("disks/broken.vdi")));
    }

    #[test]
    fn the_key_follows_content_and_nothing_else() {
        let dir = folder();
        let before = packed(dir.path()).key(&["a"]);
        let file = File::options().append(true).open(dir.path().join("Vagrantfile")).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(packed(dir.path()).key(&["a"]), before);
        assert_ne!(packed(dir.path()).key(&["b"]), before);
        fs::write(dir.path().join("Vagrantfile"), "File.read('large.yaml')").unwrap();
        assert_ne!(packed(dir.path()).key(&["a"]), before);
    }

    #[test]
    fn a_file_that_did_not_go_in_excuses() {
        let dir = folder();
        let refused = || Reading {
            loaded: Loaded::Refused { text: crate::text::Text::default(), at: None },
            notices: Vec::new(),
        };
        let packed = packed(dir.path());
        let reading = packed.excuse(refused(), dir.path(), Path::new("Vagrantfile"));
        assert!(matches!(reading.loaded, Loaded::Unknown { reason: Reason::Imparcial, .. }));
        fs::write(dir.path().join("Vagrantfile"), "File.read('other.yml')").unwrap();
        let reading = packed.excuse(refused(), dir.path(), Path::new("Vagrantfile"));
        assert!(matches!(reading.loaded, Loaded::Refused { .. }));
    }

    #[test]
    fn of_too_much_the_smaller_files_go_in() {
        let dir = folder();
        for n in 0..40 {
            File::create(dir.path().join(format!("{n}.png"))).unwrap().set_len(1 << 20).unwrap();
        }
        assert!(names(&packed(dir.path())).iter().all(|(_, size)| *size < 64 << 10));
    }
}

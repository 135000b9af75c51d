//! What of a submission does not go into a lab, and how that is said.

use std::fs;
use std::path::{Path, PathBuf};

use crate::notice::{Level, Notice};
use crate::submission::no_part::{is_bookkeeping, is_disk_image};
use crate::text::Text;

/// Something of the submission that was not copied, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotCopied {
    pub path: PathBuf,
    pub why: NotCopiedWhy,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotCopiedWhy {
    /// A link, and where it leads.
    LeadsOut(PathBuf),
    /// A link to what is not there.
    LeadsNowhere(PathBuf),
    /// A socket, a pipe, a device.
    NoFile,
    /// A folder that git or Vagrant keeps for itself.
    Bookkeeping,
    /// The disk of a virtual machine, of so many bytes.
    DiskImage(u64),
    /// A file larger than any that services need.
    TooLarge(u64),
}

impl NotCopiedWhy {
    /// Whether it was there to be copied: what needs it may fail without the submission's doing.
    pub fn is_missed(&self) -> bool {
        matches!(self, Self::Bookkeeping | Self::DiskImage(_) | Self::TooLarge(_))
    }
}

/// Whether it goes along all the same: a build may ask git which version it is of.
pub(super) fn is_small_repository(folder: &Path) -> bool {
    const MOST: u64 = 64 << 20;
    let mut entries = 20_000;
    let bytes = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| weight(&entry.path(), &mut entries))
        .sum::<u64>();
    folder.file_name().is_some_and(|name| name == ".git") && entries > 0 && bytes <= MOST
}

/// An observation for each, but for what nobody misses.
pub fn notices(left_out: &[NotCopied]) -> Vec<Notice> {
    const MOST: usize = 20;
    // Where links lead is said where the submission is read.
    let said = |it: &&NotCopied| !matches!(it.why, NotCopiedWhy::Bookkeeping | NotCopiedWhy::LeadsOut(_));
    left_out.iter().filter(said).take(MOST).map(notice).collect()
}

fn notice(it: &NotCopied) -> Notice {
    let path = crate::sanitize::line(&it.path.to_string_lossy(), 200);
    let mb = |bytes: &u64| bytes.div_ceil(1 << 20);
    let why = match &it.why {
        NotCopiedWhy::LeadsOut(to) => {
            let to = crate::sanitize::line(&to.to_string_lossy(), 200);
            Text::new(format!("it leads out of the submission, to {to}"), format!("lleva fuera de la entrega, a {to}"))
        }
        NotCopiedWhy::LeadsNowhere(to) => {
            let to = crate::sanitize::line(&to.to_string_lossy(), 200);
            Text::new(format!("it leads to {to}, which is not there"), format!("lleva a {to}, que no existe"))
        }
        NotCopiedWhy::NoFile => Text::new("it is no file", "no es un archivo"),
        NotCopiedWhy::Bookkeeping => Text::new("git or Vagrant keeps it for itself", "es interno de git o de Vagrant"),
        NotCopiedWhy::DiskImage(bytes) => Text::new(
            format!("it is the disk of a virtual machine ({} MB)", mb(bytes)),
            format!("es el disco de una máquina virtual ({} MB)", mb(bytes)),
        ),
        NotCopiedWhy::TooLarge(bytes) => Text::new(
            format!("it is a single file of {} MB", mb(bytes)),
            format!("es un solo archivo de {} MB", mb(bytes)),
        ),
    };
    Notice::new(
        "submission.not_copied",
        Level::Warning,
        Text::new(
            format!("{path} was left out of the run's copy: {}", why.en),
            format!("{path} quedó fuera de la copia de esta ejecución: {}", why.es),
        ),
    )
}

/// What weighs most of a folder's own entries, with their bytes, as far as it would be copied.
pub(super) fn heaviest(root: &Path, entries: usize) -> Vec<(PathBuf, u64)> {
    let mut left = entries;
    let mut all: Vec<(PathBuf, u64)> = fs::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| (PathBuf::from(entry.file_name()), weight(&entry.path(), &mut left)))
        .collect();
    all.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    all.truncate(3);
    all
}

fn weight(path: &Path, left: &mut usize) -> u64 {
    let Ok(about) = fs::symlink_metadata(path) else { return 0 };
    if *left == 0 || about.is_symlink() {
        return 0;
    }
    *left -= 1;
    if about.is_dir() {
        if is_bookkeeping(path) {
            return 0;
        }
        return fs::read_dir(path).into_iter().flatten().flatten().map(|entry| weight(&entry.path(), left)).sum();
    }
    if is_disk_image(path) { 0 } else { about.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_out_is_said_and_bookkeeping_is_not() {
        let out = |path: &str, why| NotCopied { path: path.into(), why };
        let said = notices(&[
            out(".git", NotCopiedWhy::Bookkeeping),
            out("vm/node1.vdi", NotCopiedWhy::DiskImage(3 << 30)),
            out("dump.sql", NotCopiedWhy::TooLarge(1 << 30)),
        ]);
        let said: Vec<&str> = said.iter().map(|n| n.text.en.as_str()).collect();
        assert_eq!(
            said,
            [
                "vm/node1.vdi was left out of the run's copy: it is the disk of a virtual machine (3072 MB)",
                "dump.sql was left out of the run's copy: it is a single file of 1024 MB",
            ]
        );
    }
}

//! A tar, packed with gzip or not, entry by entry into a [`Target`].

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use flate2::read::MultiGzDecoder;
use tar::{Archive, EntryType};

use super::Stop;
use super::target::Target;

/// What may stand between two files: their headers, with long names, which are held in memory.
const HEADERS: u64 = 1 << 20;

pub(super) fn unpack(path: &Path, gzip: bool, target: &mut Target) -> Result<(), Stop> {
    let file = BufReader::new(File::open(path).map_err(Stop::Read)?);
    if gzip { entries(MultiGzDecoder::new(file), target) } else { entries(file, target) }
}

fn entries(from: impl Read, target: &mut Target) -> Result<(), Stop> {
    let left = Rc::new(Cell::new(HEADERS));
    let mut archive = Archive::new(Metered { from, left: left.clone() });
    let mut entries = archive.entries().map_err(Stop::reading)?;
    let mut first = true;
    loop {
        left.set(HEADERS);
        let Some(entry) = entries.next() else { return Ok(()) };
        let mut entry = entry.map_err(|e| if first { Stop::no_tar(e) } else { Stop::reading(e) })?;
        first = false;
        // The target counts the content.
        left.set(u64::MAX);
        let name = entry.path_bytes().into_owned();
        let to = entry.link_name_bytes().map(|to| to.into_owned()).unwrap_or_default();
        match entry.header().entry_type() {
            EntryType::Directory => target.folder(&name)?,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let executable = entry.header().mode().is_ok_and(|mode| mode & 0o111 != 0);
                target.file(&name, entry.size(), executable, &mut entry)?;
                target.read_past(&mut entry)?;
            }
            EntryType::Symlink => target.link(&name, &to)?,
            EntryType::Link => target.hard_link(&name, &to)?,
            EntryType::XGlobalHeader => {
                io::copy(&mut (&mut entry).take(HEADERS), &mut io::sink()).map_err(Stop::reading)?;
            }
            _ => target.no_file(&name, &mut entry)?,
        }
        // A link or a folder that says it has content is read past as headers are.
    }
}

/// Stops where more is read than may be.
struct Metered<R> {
    from: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(into)?;
        match self.left.get().checked_sub(n as u64) {
            Some(left) => self.left.set(left),
            None => return Err(io::Error::new(io::ErrorKind::InvalidData, "more headers than any file has")),
        }
        Ok(n)
    }
}

//! A zip, entry by entry into a [`Target`].

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use zip::ZipArchive;
use zip::result::ZipError;

use super::Stop;
use super::target::{Target, Why};

/// The end of a zip: its comment is of 64 KiB at most.
const TAIL: u64 = 66 << 10;
const LONGEST_LINK: u64 = 4096;

pub(super) fn unpack(path: &Path, target: &mut Target) -> Result<(), Stop> {
    let mut file = File::open(path).map_err(Stop::Read)?;
    let most = target.caps().entries;
    // The list is read whole before the first entry.
    if listed(&mut file).map_err(Stop::Read)? > most as u64 {
        return Err(Stop::TooMany(most));
    }
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(unreadable)?;
    for index in 0..archive.len() {
        // Before its content is opened, which fails without the password.
        let encrypted = archive.by_index_raw(index).map_err(unreadable)?.encrypted();
        if encrypted {
            return Err(Stop::Encrypted);
        }
        let mut entry = archive.by_index(index).map_err(unreadable)?;
        let name = name(entry.name_raw(), &entry.name().unwrap_or_default());
        let mode = entry.unix_mode().unwrap_or_default();
        // Packed on Windows, where every file may be run: docker sends contexts from there as such.
        let no_mode = entry.external_attributes() >> 16 == 0;
        match mode & 0o170_000 {
            _ if name.ends_with(b"/") => target.folder(&name)?,
            0o120_000 => {
                let mut to = Vec::new();
                (&mut entry).take(LONGEST_LINK).read_to_end(&mut to).map_err(Stop::reading)?;
                target.link(&name, &to)?;
            }
            0o040_000 => target.folder(&name)?,
            0 | 0o100_000 => target.file(&name, entry.size(), no_mode || mode & 0o111 != 0, &mut entry)?,
            _ => target.leave_out(&name, Why::NoFile),
        }
    }
    Ok(())
}

/// Old tools on Windows part folders with `\`; without a mark for UTF-8 a name is UTF-8 all the same, or of DOS.
fn name(raw: &[u8], decoded: &str) -> Vec<u8> {
    let name = if std::str::from_utf8(raw).is_ok() { raw } else { decoded.as_bytes() };
    name.iter().map(|b| if *b == b'\\' { b'/' } else { *b }).collect()
}

/// The most entries that any of its ends claims.
fn listed(file: &mut File) -> std::io::Result<u64> {
    let size = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(size.saturating_sub(TAIL)))?;
    let mut tail = Vec::new();
    file.take(TAIL).read_to_end(&mut tail)?;
    file.seek(SeekFrom::Start(0))?;
    let number = |at: usize, bytes: usize| -> u64 {
        tail.get(at..at + bytes).map_or(0, |n| n.iter().rev().fold(0, |all, b| all << 8 | u64::from(*b)))
    };
    let ends = (0..tail.len().saturating_sub(3)).filter_map(|at| match &tail[at..at + 4] {
        b"PK\x05\x06" => Some(number(at + 10, 2)),
        b"PK\x06\x06" => Some(number(at + 32, 8)),
        _ => None,
    });
    Ok(ends.max().unwrap_or(0))
}

fn unreadable(error: ZipError) -> Stop {
    match error {
        ZipError::Io(error) => Stop::reading(error),
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) | ZipError::InvalidPassword => Stop::Encrypted,
        ZipError::CompressionMethodNotSupported(method) => Stop::Form(format!("zip, method {method}")),
        ZipError::UnsupportedArchive(what) => Stop::Form(format!("zip: {what}")),
        other => Stop::Damaged(other.to_string()),
    }
}

//! What was named on the command line: a folder, an archive by its content, or the URL of a repository.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::TakeError;
use super::url::GitUrl;
use crate::sanitize;

/// What has to be unpacked or fetched.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Archive(Form),
    Git(GitUrl),
}

/// How an archive is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Zip,
    Tar,
    TarGz,
}

impl Form {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Zip => "zip",
            Self::Tar => "tar",
            Self::TarGz => "tar.gz",
        }
    }

    /// What its name says that it is.
    pub(super) fn named(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
        let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
        match () {
            () if ends(&[".zip"]) => Some(Self::Zip),
            () if ends(&[".tar.gz", ".tgz"]) => Some(Self::TarGz),
            () if ends(&[".tar"]) => Some(Self::Tar),
            () => None,
        }
    }

    /// What its first bytes say.
    fn of(head: &[u8]) -> Option<Self> {
        match head {
            [b'P', b'K', 3 | 5 | 7, 4 | 6 | 8, ..] => Some(Self::Zip),
            [0x1f, 0x8b, ..] => Some(Self::TarGz),
            _ if head.get(257..262) == Some(b"ustar") || is_old_tar(head) => Some(Self::Tar),
            _ => None,
        }
    }
}

/// Forms that people hand in and that are not read, by their first bytes.
fn other_form(head: &[u8]) -> Option<&'static str> {
    const FORMS: [(&[u8], &str); 5] = [
        (b"Rar!", "rar"),
        (b"7z\xbc\xaf\x27\x1c", "7z"),
        (b"\xfd7zXZ", "xz"),
        (b"BZh", "bzip2"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
    ];
    FORMS.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, name)| *name)
}

/// Before `ustar` there was only the sum over the header.
fn is_old_tar(head: &[u8]) -> bool {
    let Some(header) = head.get(..512) else { return false };
    let written = std::str::from_utf8(&header[148..156]).unwrap_or_default();
    let written = u32::from_str_radix(written.trim_matches([' ', '\0']), 8);
    let sum: u32 =
        header.iter().enumerate().map(|(n, b)| if (148..156).contains(&n) { 32 } else { u32::from(*b) }).sum();
    written == Ok(sum) && header[0] != 0
}

/// Looks at what was named; opens a file to see what it is. None for a folder.
pub(super) fn sort(given: &OsStr, branch: Option<&str>) -> Result<Option<Kind>, TakeError> {
    let path = Path::new(given);
    let url = given.to_str().filter(|_| path.symlink_metadata().is_err()).map(|text| GitUrl::parse(text, branch));
    match url.transpose()?.flatten() {
        Some(url) => return Ok(Some(Kind::Git(url))),
        None if branch.is_some() => {
            return Err(TakeError::caller(
                "`--branch` is for a submission that is the URL of a git repository",
                "`--branch` es para una entrega que es la URL de un repositorio git",
            ));
        }
        None => {}
    }
    match path.metadata() {
        Err(e) if e.kind() == ErrorKind::NotFound => Err(absent(path)),
        // The reader of folders says what is the matter.
        Err(_) => Ok(None),
        Ok(meta) if meta.is_dir() => Ok(None),
        Ok(meta) if meta.is_file() => archive(path).map(|form| Some(Kind::Archive(form))),
        Ok(_) => Err(no_archive(path)),
    }
}

fn archive(path: &Path) -> Result<Form, TakeError> {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(512).read_to_end(&mut head));
    let shown = shown(path);
    if let Err(e) = read {
        return Err(TakeError::caller(
            format!("could not read the submission `{shown}`: {e}"),
            format!("no se pudo leer la entrega `{shown}`: {e}"),
        ));
    }
    if let Some(form) = other_form(&head) {
        return Err(unread_form(path, form));
    }
    // A zip may have something before its first entry.
    let as_named = Form::named(path).filter(|form| *form == Form::Zip && zip_inside(path));
    Form::of(&head).or(as_named).ok_or_else(|| no_archive(path))
}

fn zip_inside(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| zip::ZipArchive::new(std::io::BufReader::new(file)).is_ok())
}

fn absent(path: &Path) -> TakeError {
    let shown = shown(path);
    TakeError::caller(
        format!(
            "could not read the submission: there is no folder `{shown}`, and no archive; give the path of what was handed in, or the URL of its git repository"
        ),
        format!(
            "no se pudo leer la entrega: no existe la carpeta `{shown}`, ni un paquete así; indique la ruta de lo entregado o la URL de su repositorio git"
        ),
    )
}

fn no_archive(path: &Path) -> TakeError {
    let shown = shown(path);
    TakeError::caller(
        format!(
            "could not read the submission: `{shown}` is neither a folder nor an archive by its content; a submission is a folder, a .zip, a .tar.gz, a .tar or the URL of a git repository"
        ),
        format!(
            "no se pudo leer la entrega: `{shown}` no es una carpeta ni, por su contenido, un paquete; una entrega es una carpeta, un .zip, un .tar.gz, un .tar o la URL de un repositorio git"
        ),
    )
}

pub(super) fn unread_form(path: &Path, form: &str) -> TakeError {
    let shown = shown(path);
    TakeError::caller(
        format!(
            "could not read the submission: `{shown}` is packed in a form that is not read here ({form}); unpack it and give the folder, or pack it as .zip or .tar.gz"
        ),
        format!(
            "no se pudo leer la entrega: `{shown}` está empaquetado en una forma que aquí no se lee ({form}); descomprímalo e indique la carpeta, o empaquételo como .zip o .tar.gz"
        ),
    )
}

pub(super) fn shown(path: &Path) -> String {
    sanitize::line(&path.display().to_string(), 400)
}

/// The archive's name without its ending.
pub(super) fn name_of(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let lower = name.to_ascii_lowercase();
    let ending = [".tar.gz", ".tgz", ".tar", ".zip"].into_iter().find(|ending| lower.ends_with(ending));
    match ending.and_then(|ending| name.get(..name.len() - ending.len())) {
        Some(stem) if !stem.is_empty() => stem.to_owned(),
        _ => name,
    }
}

/// The path as it is shown in reports, whatever the current folder.
pub(super) fn full(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

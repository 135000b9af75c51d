//! Why a submission could not be unpacked or fetched, whose fault that is, and what was left out of one that could.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::kind;
use super::target::Why;
use crate::notice::{Level, Notice};
use crate::sanitize;
use crate::submission::ReadError;
use crate::text::Text;

/// Whose fault it is that there is no submission to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The command line's.
    Caller,
    /// This program's, the host's or the network's.
    Ours,
    /// Nobody's: it was told to stop.
    Interrupted,
}

/// There is no submission to read, through no fault of its own.
#[derive(Debug, thiserror::Error)]
#[error("{}", text.en)]
pub struct TakeError {
    pub fault: Fault,
    pub text: Text,
}

impl TakeError {
    pub(super) fn caller(en: impl Into<String>, es: impl Into<String>) -> Self {
        Self { fault: Fault::Caller, text: Text { en: en.into(), es: es.into() } }
    }

    pub(super) fn ours(en: impl Into<String>, es: impl Into<String>) -> Self {
        Self { fault: Fault::Ours, text: Text { en: en.into(), es: es.into() } }
    }

    pub(super) fn disk(path: &Path, error: &io::Error) -> Self {
        let shown = kind::shown(path);
        Self::ours(
            format!("could not unpack the submission: writing `{shown}`: {error}"),
            format!("no se pudo descomprimir la entrega: al escribir `{shown}`: {error}"),
        )
    }
}

impl From<ReadError> for TakeError {
    fn from(error: ReadError) -> Self {
        Self { fault: Fault::Caller, text: error.text }
    }
}

/// What ends the unpacking.
#[derive(Debug)]
pub(super) enum Stop {
    /// The archive's own fault, as what follows up to `Empty`.
    Damaged(String),
    Encrypted,
    TooMany(usize),
    TooLarge(u64),
    TooDeep(usize),
    Bomb {
        packed: u64,
        unpacked: u64,
    },
    /// There is no file in it.
    Empty,
    /// Packed in a way that is not read here.
    Form(String),
    Read(io::Error),
    Write(PathBuf, io::Error),
    Interrupted,
    Bug(String),
    Other(TakeError),
}

impl Stop {
    /// The first header says that there is no tar in it, or that it could not be read.
    pub(super) fn no_tar(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::Other => Self::Form("gzip".to_owned()),
            _ => Self::reading(error),
        }
    }

    /// It could be taken elsewhere, or as a folder.
    pub(super) fn is_our_limit(&self) -> bool {
        matches!(self, Self::TooMany(_) | Self::TooLarge(_) | Self::TooDeep(_) | Self::Bomb { .. })
    }

    /// What there is to say of the archive where it is its own fault.
    pub(super) fn judge(self, path: &Path) -> Result<Text, TakeError> {
        let shown = kind::shown(path);
        let mib = |bytes: u64| bytes >> 20;
        Ok(match self {
            Self::Damaged(why) => {
                let why = sanitize::line(&why, 200);
                Text::new(
                    format!("the archive is damaged or cut off ({why}): nothing of it can be graded; hand it in again"),
                    format!(
                        "el paquete está dañado o incompleto ({why}): no se puede calificar nada; entréguelo de nuevo"
                    ),
                )
            }
            Self::Encrypted => Text::new(
                "the archive is locked with a password: nothing of it can be graded; hand it in without one",
                "el paquete está protegido con contraseña: no se puede calificar nada; entréguelo sin ella",
            ),
            Self::TooMany(most) => Text::new(
                format!("there are more than {most} files and folders in it; hand in only what belongs to the work"),
                format!("contiene más de {most} archivos y carpetas; entregue solo lo que es del trabajo"),
            ),
            Self::TooLarge(most) => Text::new(
                format!("it is larger than {} MiB when unpacked; hand in only what belongs to the work", mib(most)),
                format!("descomprimido ocupa más de {} MiB; entregue solo lo que es del trabajo", mib(most)),
            ),
            Self::TooDeep(most) => Text::new(
                format!("its folders lie more than {most} deep in each other"),
                format!("sus carpetas están anidadas a más de {most} niveles"),
            ),
            Self::Bomb { packed, unpacked } => Text::new(
                format!("{packed} bytes unpack to more than {unpacked}: unpacking was stopped"),
                format!("{packed} bytes se descomprimen en más de {unpacked}: se detuvo la descompresión"),
            ),
            Self::Empty => Text::new(
                "there is no file in what was handed in: there is nothing to grade",
                "no hay ningún archivo en lo entregado: no hay nada que calificar",
            ),
            Self::Form(form) => return Err(kind::unread_form(path, &sanitize::line(&form, 80))),
            Self::Read(error) => {
                return Err(TakeError::caller(
                    format!("could not read the submission `{shown}`: {error}"),
                    format!("no se pudo leer la entrega `{shown}`: {error}"),
                ));
            }
            Self::Write(path, error) => return Err(TakeError::disk(&path, &error)),
            Self::Interrupted => {
                let text = Text::new("interrupted: nothing was started", "interrumpido: no se inició nada");
                return Err(TakeError { fault: Fault::Interrupted, text });
            }
            Self::Bug(error) => {
                return Err(TakeError::ours(
                    format!("unpacking the submission ended in a bug of imparcial: {error}"),
                    format!("la descompresión de la entrega terminó en un error de imparcial: {error}"),
                ));
            }
            Self::Other(error) => return Err(error),
        })
    }
}

/// A warning for each reason to leave something out.
pub(super) fn left_out(left_out: &BTreeMap<Why, (usize, Vec<String>)>) -> Vec<Notice> {
    let one = |(why, (count, names)): (&Why, &(usize, Vec<String>))| {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        let more = if *count > names.len() { ", …" } else { "" };
        let names = format!("{}{more}", names.join(", "));
        let (en, es) = match why {
            Why::Outside => ("their names lead out of the archive", "sus nombres llevan fuera del paquete"),
            Why::Link => ("links that lead out of it, or to nothing", "enlaces que llevan fuera de él, o a nada"),
            Why::NoFile => ("neither files nor folders", "ni archivos ni carpetas"),
            Why::Disk => ("disks of virtual machines", "discos de máquinas virtuales"),
            Why::Huge => ("larger than any file that services need", "más grandes que lo que un servicio necesita"),
            Why::Name => ("no name for a file, or that of something else", "sin nombre válido, o con el de otra cosa"),
        };
        let text = Text::new(
            format!("left out of what was handed in ({count}; {en}): {names}"),
            format!("se dejó fuera de lo entregado ({count}; {es}): {names}"),
        );
        Notice::new("submission.left_out", Level::Warning, text)
    };
    left_out.iter().map(one).collect()
}

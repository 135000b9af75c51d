//! Reads a submission's folder: finds the files, chooses the compose file and reads it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::choose::{self, Candidate};
use super::compose::{self, Parsed};
use super::decode::{self, Encoding};
use super::discover::{self, Found, MAX_COMPOSE_BYTES};
use super::machines::{Loaded, Vagrantfile};
use super::{Submission, builds, choose_vagrantfile};
use crate::notice::{Level, Notice};
use crate::text::Text;

/// So many YAML files without a compose file's name are opened to see what they are.
const MAX_SNIFFED: usize = 200;
const MAX_SNIFFED_BYTES: u64 = 256 << 10;
const MAX_CODE_BYTES: u64 = 128 << 10;

/// What the caller decides about the reading.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// `--compose-file`: relative to the submission's folder, or to the current one.
    pub compose_file: Option<PathBuf>,
}

/// There is no folder to read: a mistake of the caller's, not of the submission.
#[derive(Debug, thiserror::Error)]
#[error("{}", text.en)]
pub struct ReadError {
    pub text: Text,
}

impl ReadError {
    fn new(en: String, es: String) -> Self {
        Self { text: Text { en, es } }
    }
}

/// Reads a submission. What is wrong in it is a notice; the error is for a folder that is not there or must not be read.
pub fn read(folder: &Path, options: &ReadOptions) -> Result<Submission, ReadError> {
    let root = open(folder)?;
    let found = discover::walk(&root);
    let name = root.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_else(|| "/".to_owned());
    let mut submission = Submission {
        folder: name.clone(),
        name,
        dockerfiles: found.dockerfiles.clone(),
        requirements: found.requirements.clone(),
        sql: found.sql.clone(),
        code: found.code.clone(),
        notices: found.notices.clone(),
        root,
        ..Submission::default()
    };
    let (vagrantfiles, said) = choose_vagrantfile::choose(&submission.root, found.vagrantfiles.clone());
    submission.notices.extend(said);
    submission.vagrantfile =
        vagrantfiles.first().map(|path| Vagrantfile { path: path.clone(), loaded: Loaded::NotYet });
    submission.vagrantfiles = vagrantfiles;
    let wanted = match &options.compose_file {
        Some(path) => Some(inside(&submission.root, path)?),
        None => None,
    };
    let candidates = match &wanted {
        Some(path) => vec![candidate(&submission.root, path.clone())],
        None => candidates(&submission.root, &found, &mut submission.notices),
    };
    let (candidates, said, chosen) = choose::choose(candidates);
    submission.notices.extend(said);
    submission.compose_files = candidates.iter().map(|c| c.path.clone()).collect();
    match candidates.into_iter().next() {
        None => submission.notices.push(nothing_found(&found, submission.vagrantfile.as_ref())),
        Some(first) if chosen => match first.read {
            Ok(parsed) => {
                submission.notices.extend(parsed.notices);
                submission.builds = builds::read(&submission.root, &parsed.file, &mut submission.notices);
                submission.compose = Some(parsed.file);
            }
            Err(error) => {
                submission.notices.push((*error).clone());
                submission.compose_error = Some(*error);
            }
        },
        Some(_) => {}
    }
    Ok(submission)
}

impl Submission {
    /// A code file's text; none of what is no text or larger than a person writes.
    pub fn code_text(&self, path: &Path) -> Option<String> {
        let bytes = read_file(&self.root.join(path), MAX_CODE_BYTES).ok()?;
        (!decode::is_binary(&bytes)).then(|| decode::decode(&bytes).0)
    }
}

fn open(folder: &Path) -> Result<PathBuf, ReadError> {
    let shown = folder.display();
    let failed = |e: &std::io::Error| match e.kind() {
        ErrorKind::NotFound => ReadError::new(
            format!(
                "could not read the submission: there is no folder `{shown}`; give the path of the folder that was handed in"
            ),
            format!(
                "no se pudo leer la entrega: no existe la carpeta `{shown}`; indique la ruta de la carpeta entregada"
            ),
        ),
        ErrorKind::PermissionDenied => ReadError::new(
            format!("could not read the submission `{shown}`: no permission; run `ls -ld {shown}` to see whose it is"),
            format!("no se pudo leer la entrega `{shown}`: sin permiso; vea de quién es con `ls -ld {shown}`"),
        ),
        _ => ReadError::new(
            format!("could not read the submission `{shown}`: {e}"),
            format!("no se pudo leer la entrega `{shown}`: {e}"),
        ),
    };
    let root = folder.canonicalize().map_err(|e| failed(&e))?;
    if !root.is_dir() {
        return Err(ReadError::new(
            format!(
                "could not read the submission: `{shown}` is a file, and a submission is a folder; unpack it first if it is an archive"
            ),
            format!(
                "no se pudo leer la entrega: `{shown}` es un archivo, y una entrega es una carpeta; descomprímalo primero si es un paquete"
            ),
        ));
    }
    std::fs::read_dir(&root).map_err(|e| failed(&e))?;
    Ok(root)
}

/// The path that was given, relative to the root; it must lie inside.
fn inside(root: &Path, path: &Path) -> Result<PathBuf, ReadError> {
    let tried = [root.join(path), path.to_owned()];
    let file =
        tried.iter().filter_map(|path| path.canonicalize().ok()).find(|path| path.starts_with(root) && path.is_file());
    let file = file.as_deref().and_then(|file| file.strip_prefix(root).ok());
    file.map(Path::to_owned).ok_or_else(|| {
        ReadError::new(
            format!("`--compose-file {}`: there is no such file in the submission", path.display()),
            format!("`--compose-file {}`: no hay tal archivo en la entrega", path.display()),
        )
    })
}

/// Files with a compose file's name, and YAML files that are one by their content.
fn candidates(root: &Path, found: &Found, notices: &mut Vec<Notice>) -> Vec<Candidate> {
    let (overrides, files): (Vec<_>, Vec<_>) = found.yaml.iter().cloned().partition(|path| choose::is_override(path));
    let mut all = Vec::new();
    let mut sniffed = 0;
    for path in files {
        let named = choose::name_rank(&path).is_some_and(|rank| rank < 5);
        if !named {
            sniffed += 1;
            let small = root.join(&path).metadata().is_ok_and(|meta| meta.len() <= MAX_SNIFFED_BYTES);
            if sniffed > MAX_SNIFFED || !small {
                continue;
            }
            let Ok(bytes) = read_file(&root.join(&path), MAX_SNIFFED_BYTES) else { continue };
            if decode::is_binary(&bytes) || !compose::looks_like_one(&decode::decode(&bytes).0) {
                continue;
            }
        }
        all.push(candidate(root, path));
    }
    for path in overrides {
        let text = Text::new(
            format!("`{}` is an override file; it is not used", path.display()),
            format!("`{}` es un archivo de override; no se usa", path.display()),
        );
        notices.push(Notice::new("submission.override_file", Level::Info, text));
    }
    all
}

fn candidate(root: &Path, path: PathBuf) -> Candidate {
    let read = read_compose(root, &path);
    Candidate { path, read }
}

fn read_compose(root: &Path, path: &Path) -> Result<Parsed, Box<Notice>> {
    let problem = |en: String, es: String| {
        let at = Some(crate::expect::Place { file: path.display().to_string(), line: 1, column: 1 });
        Box::new(Notice { at, ..Notice::new("compose.invalid", Level::Problem, Text { en, es }) })
    };
    let shown = path.display();
    let bytes = read_file(&root.join(path), MAX_COMPOSE_BYTES)
        .map_err(|e| problem(format!("could not read `{shown}`: {e}"), format!("no se pudo leer `{shown}`: {e}")))?;
    if decode::is_binary(&bytes) {
        return Err(problem(
            format!("`{shown}` is a binary file, not a compose file"),
            format!("`{shown}` es un archivo binario, no un archivo compose"),
        ));
    }
    let (text, encoding) = decode::decode(&bytes);
    let folder = path.parent().unwrap_or(Path::new(""));
    let env = load(root, folder, ".env").map(|text| compose::read_env(&text)).unwrap_or_default();
    let mut parsed = compose::parse(path, &text, &env, &|file| load(root, folder, file))?;
    if encoding != Encoding::Utf8 {
        let text = Text::new(
            format!("`{shown}` is not written in UTF-8; docker-compose may refuse it"),
            format!("`{shown}` no está escrito en UTF-8; docker-compose puede rechazarlo"),
        );
        parsed.notices.push(Notice::new("compose.encoding", Level::Warning, text));
    }
    Ok(parsed)
}

/// A file of the submission as text, for `.env` and `extends`; nothing outside is ever read.
pub(super) fn load(root: &Path, folder: &Path, file: &str) -> Option<String> {
    let path = root.join(folder).join(file).canonicalize().ok()?;
    if !path.starts_with(root) || !path.is_file() {
        return None;
    }
    let bytes = read_file(&path, MAX_COMPOSE_BYTES).ok()?;
    Some(decode::decode(&bytes).0)
}

pub(super) fn read_file(path: &Path, max: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(path)?.take(max + 1).read_to_end(&mut bytes)?;
    if read as u64 > max {
        return Err(std::io::Error::other(format!("larger than {} KiB", max >> 10)));
    }
    Ok(bytes)
}

/// What was looked for, what was seen instead, and what to do. With machines there is something to grade all the same.
fn nothing_found(found: &Found, machines: Option<&Vagrantfile>) -> Notice {
    if found.files == 0 {
        let text = Text::new(
            "the folder is empty: there is nothing to grade",
            "la carpeta está vacía: no hay nada que calificar",
        );
        return Notice::new("submission.empty", Level::Problem, text);
    }
    let seen: &BTreeMap<&str, usize> = &BTreeMap::from([
        ("Dockerfile", found.dockerfiles.len()),
        ("requirements.txt", found.requirements.len()),
        (".sql", found.sql.len()),
        (".yml", found.yaml.len()),
    ]);
    let seen: Vec<String> = seen.iter().filter(|(_, n)| **n > 0).map(|(kind, n)| format!("{n} × {kind}")).collect();
    let seen = if seen.is_empty() { String::new() } else { format!(" ({})", seen.join(", ")) };
    let text = Text::new(
        format!(
            "no compose file in any folder: looked for docker-compose.yml, compose.yml and YAML files with `services:` among {} files{seen}; if it is there, name it with `--compose-file PATH`",
            found.files
        ),
        format!(
            "no hay archivo compose en ninguna carpeta: se buscó docker-compose.yml, compose.yml y archivos YAML con `services:` entre {} archivos{seen}; si existe, indíquelo con `--compose-file RUTA`",
            found.files
        ),
    );
    Notice::new("submission.no_compose", if machines.is_some() { Level::Warning } else { Level::Problem }, text)
}

#[cfg(test)]
mod tests;

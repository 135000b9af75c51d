//! What was handed in, as it was handed in: a folder, an archive, or the URL of a git repository.
//!
//! Archives and repositories are unpacked into a folder of this process that goes with the [`Submission`] (or, after a
//! sudden end, by whoever watches or at the next start), and are then read like a folder. What is wrong with an archive is a
//! problem of the submission; a path or a form that cannot be read here is a mistake of the caller's.

mod git;
mod kind;
mod names;
mod stop;
mod tar;
mod target;
mod url;
mod zip;

use std::any::Any;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use self::kind::{Form, Kind};
use self::target::{Caps, Target, Why};
use super::when::{self, HandedIn};
use super::{ReadOptions, Submission, read};
use crate::notice::{Level, Notice};
use crate::temp;
use crate::text::{Lang, Text};

pub use stop::{Fault, TakeError};

use stop::Stop;

/// A submission as it was named.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// A path, or a URL with its branch behind `#`.
    pub what: OsString,
    /// `--branch`
    pub branch: Option<String>,
    /// Called where a folder has to be made: what it gives is kept as long as the folder is.
    pub watch: Option<fn() -> Watch>,
}

/// Whoever removes the folder where this process is killed before it could.
pub type Watch = Arc<dyn Any + Send + Sync>;

/// Where a submission that is no folder came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Source {
    Archive {
        path: String,
        /// `zip`, `tar.gz`, `tar`
        form: String,
    },
    Git {
        /// Without anything that lets one in.
        url: String,
        /// As asked for; none for the repository's own choice.
        branch: Option<String>,
        commit: String,
        /// When it was committed, RFC 3339.
        date: String,
    },
}

impl Source {
    /// Of a repository: which commit it is, its day and its branch.
    pub fn commit(&self, lang: Lang) -> Option<String> {
        let Self::Git { branch, commit, date, .. } = self else { return None };
        let short = commit.get(..12).unwrap_or(commit);
        let branch = branch.as_ref().map(|branch| match lang {
            Lang::En => format!(", branch {branch}"),
            Lang::Es => format!(", rama {branch}"),
        });
        Some(format!("{short} ({date}{})", branch.unwrap_or_default()))
    }
}

/// A [`Source`], and the folder that lives as long as any copy of the submission.
#[derive(Clone, Debug)]
pub struct Handed {
    /// None where it could not be fetched or read.
    pub source: Option<Source>,
    /// The path or URL, for people.
    pub shown: String,
    _folder: Arc<TempDir>,
    /// After the folder: it is told that there is nothing left.
    _watch: Option<Kept>,
}

#[derive(Clone)]
struct Kept(#[expect(dead_code, reason = "kept for when it is dropped")] Watch);

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kept")
    }
}

impl Submission {
    /// Where it is, for people: the folder, archive or URL that was named.
    pub fn place(&self) -> String {
        self.handed.as_ref().map_or_else(|| self.root.display().to_string(), |handed| handed.shown.clone())
    }
}

/// Unpacks or fetches what was named, and reads it.
///
/// # Errors
/// It is not there or not to be read here, or it was interrupted. Nothing is left behind then.
pub async fn take(given: &Given, options: &ReadOptions, cancel: &CancellationToken) -> Result<Submission, TakeError> {
    let mut submission = take_within(given, options, cancel, Caps::default()).await?;
    let now = ::time::OffsetDateTime::now_utc();
    submission.handed_in = match submission.handed.as_ref().and_then(|handed| handed.source.as_ref()) {
        Some(Source::Git { date, .. }) => HandedIn::commit(date, now),
        _ => when::of_last_commit(&submission.root, now).await,
    };
    Ok(submission)
}

async fn take_within(
    given: &Given,
    options: &ReadOptions,
    cancel: &CancellationToken,
    caps: Caps,
) -> Result<Submission, TakeError> {
    let path = PathBuf::from(&given.what);
    let Some(kind) = kind::sort(&given.what, given.branch.as_deref())? else {
        return read(&path, options).map_err(TakeError::from);
    };
    // What an `inspect` left that was killed is not known to any engine.
    temp::remove_abandoned();
    let watch = given.watch.map(|watch| Kept(watch()));
    let folder = temp::folder("submission").map_err(|e| TakeError::disk(&std::env::temp_dir(), &e))?;
    let unpacked = match &kind {
        Kind::Git(url) => match git::fetch(url, folder.path(), caps.bytes, cancel).await {
            Ok((tar, source)) => {
                let into = folder.path().join("files");
                unpack(tar, Form::Tar, into, caps, cancel).await.map(|done| (done, source))
            }
            Err(stop) => Err(stop),
        },
        Kind::Archive(form) => {
            let source = Source::Archive { path: kind::shown(&kind::full(&path)), form: form.name().to_owned() };
            unpack(path.clone(), *form, folder.path().join("files"), caps, cancel).await.map(|done| (done, source))
        }
    };
    let (name, shown) = match &kind {
        Kind::Git(url) => (url.name(), url.shown.clone()),
        _ => (kind::name_of(&path), kind::shown(&kind::full(&path))),
    };
    let (mut submission, source) = match unpacked {
        Ok((Unpacked { root, missed, notices }, source)) => {
            let root = if matches!(kind, Kind::Git(_)) { folder.path().join("files") } else { root };
            let mut submission = read(&root, options)?;
            submission.notices.splice(0..0, notices);
            let inner = |path: PathBuf| Some(path.strip_prefix(&submission.root).ok()?.to_owned());
            submission.not_unpacked = missed.into_iter().filter_map(inner).collect();
            if matches!(kind, Kind::Git(_)) && root.join(".gitmodules").is_file() {
                submission.notices.push(no_submodules());
            }
            (submission, Some(source))
        }
        Err(stop) => {
            let id = if stop.is_our_limit() { "submission.too_large" } else { "submission.archive" };
            let problem = Notice::new(id, Level::Problem, stop.judge(&path)?);
            (Submission { root: folder.path().to_owned(), notices: vec![problem], ..Submission::default() }, None)
        }
    };
    if let (Kind::Archive(form), Some(named)) = (&kind, Form::named(&path))
        && *form != named
    {
        submission.notices.push(wrong_ending(&path, *form));
    }
    // An archive's one folder is the one that its author worked in.
    if submission.root.parent() == folder.path().canonicalize().ok().as_deref() || submission.folder.is_empty() {
        submission.folder.clone_from(&name);
    }
    submission.name = name;
    submission.handed = Some(Handed { source, shown, _folder: Arc::new(folder), _watch: watch });
    Ok(submission)
}

struct Unpacked {
    root: PathBuf,
    missed: Vec<PathBuf>,
    notices: Vec<Notice>,
}

/// Unpacks into the new folder `into`, beside everything else that is going on.
async fn unpack(
    path: PathBuf,
    form: Form,
    into: PathBuf,
    caps: Caps,
    cancel: &CancellationToken,
) -> Result<Unpacked, Stop> {
    let cancel = cancel.clone();
    let work = move || {
        fs::create_dir(&into).map_err(|e| Stop::Write(into.clone(), e))?;
        let packed = path.metadata().map_err(Stop::Read)?.len();
        let mut target = Target::new(&into, caps, packed, cancel);
        match form {
            Form::Zip => zip::unpack(&path, &mut target)?,
            Form::Tar => tar::unpack(&path, false, &mut target)?,
            Form::TarGz => tar::unpack(&path, true, &mut target)?,
        }
        let root = target.finish()?;
        let with_disks = [Why::Disk, Why::Huge].iter().any(|why| target.left_out.contains_key(why));
        if target.files == 0 && !with_disks {
            return Err(Stop::Empty);
        }
        Ok(Unpacked { root, missed: target.missed, notices: stop::left_out(&target.left_out) })
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| Err(Stop::Bug(e.to_string())))
}

fn no_submodules() -> Notice {
    let text = Text::new(
        "the repository's submodules were not fetched: they are no part of what was handed in",
        "no se trajeron los submódulos del repositorio: no son parte de lo entregado",
    );
    Notice::new("submission.submodules", Level::Warning, text)
}

fn wrong_ending(path: &Path, form: Form) -> Notice {
    let (shown, form) = (kind::shown(path), form.name());
    let text = Text::new(
        format!("`{shown}` is a {form} by its content, whatever its name says"),
        format!("`{shown}` es un {form} por su contenido, diga lo que diga su nombre"),
    );
    Notice::new("submission.archive_name", Level::Info, text)
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

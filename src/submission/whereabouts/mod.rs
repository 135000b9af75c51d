//! Where in a submission a fault is: file and line, and what is there. Never guessed: nothing is better than a wrong place.
//!
//! Each file finds places for one kind of evidence: what the compose tool printed, a build's output, a traceback, a name
//! that is dialled, the SQL. Pure but for reading the submission's own files.

mod build;
mod frames;
mod literals;
mod machines;
mod own;
mod refused;
mod sql;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{ComposeFile, ServiceDef, Submission};
use crate::expect::Place;
use crate::sanitize;
use crate::text::Text;

/// A place in the submission where to look, and what is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookAt {
    /// Its file is relative to the submission's root.
    pub place: Place,
    pub what: Text,
}

impl LookAt {
    fn new(file: &Path, line: usize, what: Text) -> Self {
        let line = u32::try_from(line).unwrap_or(u32::MAX);
        Self { place: Place { file: file.display().to_string(), line, column: 1 }, what }
    }
}

/// A submission as places are looked up in it.
#[derive(Clone, Copy)]
pub struct View<'a> {
    submission: &'a Submission,
}

impl<'a> View<'a> {
    pub fn of(submission: &'a Submission) -> Self {
        Self { submission }
    }

    fn compose(self) -> Option<&'a ComposeFile> {
        self.submission.compose.as_ref()
    }

    pub fn service(self, name: &str) -> Option<&'a ServiceDef> {
        self.compose()?.service(name)
    }

    /// The service's own line.
    pub fn at_service(self, name: &str) -> Option<LookAt> {
        let service = self.service(name)?;
        self.checked(&service.at, name, Text::new(format!("service `{name}`"), format!("servicio `{name}`")))
    }

    /// The first of the keys that the service has.
    pub fn at_key(self, name: &str, keys: &[&str]) -> Option<LookAt> {
        let service = self.service(name)?;
        keys.iter().find_map(|key| {
            let what = Text::new(format!("`{key}` of service `{name}`"), format!("`{key}` del servicio `{name}`"));
            self.checked(service.keys.get(*key).filter(|at| self.is_of(service, at))?, key, what)
        })
    }

    /// The key where there is one, else the service's own line.
    pub fn at_key_or_service(self, name: &str, keys: &[&str]) -> Option<LookAt> {
        self.at_key(name, keys).or_else(|| self.at_service(name))
    }

    /// The limit that a service declares, else the service's own line.
    pub fn at_limit(self, name: &str, memory: bool) -> Option<LookAt> {
        let service = self.service(name)?;
        let limit = if memory { &service.memory } else { &service.cpus };
        let declared = limit.as_ref().and_then(|limit| {
            let (key, written) = (limit.spelling.rsplit('.').next().unwrap_or_default(), &limit.written);
            let what = Text::new(
                format!("`{key}: {written}` of service `{name}`"),
                format!("`{key}: {written}` del servicio `{name}`"),
            );
            // Of a quota with its period the value stands for both.
            let at = Some(&limit.at).filter(|at| self.is_of(service, at))?;
            self.checked(at, written.split('/').next().unwrap_or_default(), what)
        });
        declared.or_else(|| self.at_service(name))
    }

    /// A place that our reader noted, with what is said of it. Its line has the key that it is about.
    pub fn noted(self, at: &Place, key: &str, service: Option<&str>, what: Text) -> Option<LookAt> {
        let ours = service.and_then(|name| self.service(name)).is_none_or(|service| self.is_of(service, at));
        if ours && !key.is_empty() { self.checked(at, key, what) } else { None }
    }

    /// A place that a tool gave, which reads each file by itself.
    fn told(self, at: &Place, what: Text) -> Option<LookAt> {
        self.checked(at, "", what)
    }

    /// Whether a place that is noted of a service may be its own. What another file brings bears this file's name, and a line
    /// of that one.
    fn is_of(self, service: &ServiceDef, at: &Place) -> bool {
        if !service.raw["extends"]["file"].is_string() {
            return true;
        }
        let services = self.compose().map(|file| file.services.as_slice()).unwrap_or_default();
        let next = services.iter().map(|other| other.at.line).filter(|line| *line > service.at.line).min();
        at.line >= service.at.line && next.is_none_or(|next| at.line < next)
    }

    /// What a file that is extended brings has places of that file, which are no places of this one: the line must say what
    /// is said of it.
    fn checked(self, at: &Place, says: &str, what: Text) -> Option<LookAt> {
        let line = self.line(Path::new(&at.file), at.line)?;
        line.contains(says).then(|| LookAt { place: at.clone(), what })
    }

    /// A line of a file of the submission, from 1.
    fn line(self, file: &Path, line: u32) -> Option<String> {
        let text = self.text(file)?;
        text.lines().nth(usize::try_from(line).ok()?.checked_sub(1)?).map(str::to_owned)
    }

    /// A text file of the submission; none of what a link leads to outside of it.
    fn text(self, file: &Path) -> Option<String> {
        self.inside(file).and_then(|_| self.submission.code_text(file))
    }

    /// The same of a script of a database, which may be longer than code.
    fn sql_text(self, file: &Path) -> Option<String> {
        super::sql::text(&self.inside(file)?).ok()
    }

    /// Where a file of the submission really is: never outside, whatever a link says.
    fn inside(self, file: &Path) -> Option<PathBuf> {
        let root = self.submission.root.canonicalize().ok()?;
        let real = root.join(file).canonicalize().ok()?;
        (real.starts_with(root) && real.is_file()).then_some(real)
    }
}

/// A line of the student's as it is shown beside its place.
fn shown(line: &str) -> String {
    sanitize::line(line.trim(), 80)
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

//! Requirements files as plain lines of our own: a package's name and which versions of it, and nothing that an installer
//! would run, read or fetch besides.
//!
//! What is handed in may name folders to build (`-e .`), files, addresses and options. None of that reaches a program that
//! would act on it: such lines are left out, and the files that a file names are read here.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

use super::Submission;
use super::paths::{self, Lead};

/// Files that name files; more is no requirements file of a person's.
const MAX_FILES: usize = 20;
const MAX_LINES: usize = 2000;

/// What a build installs, of an index: lines that are wanted, and lines that only say which version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plain {
    pub wanted: Vec<String>,
    pub constraints: Vec<String>,
}

/// `name[extra] >=1,<2 ; marker`.
static SPEC: LazyLock<Regex> = LazyLock::new(|| {
    let version = r"(===|[~=!<>]=|[<>])\s*[A-Za-z0-9][A-Za-z0-9.*+!_-]*";
    let marker = r#"[A-Za-z0-9_.\s'"()<>=!~,-]+"#;
    let name = r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?";
    let pattern = format!(
        r"^{name}\s*(\[[A-Za-z0-9._,\s-]*\])?\s*({version}(\s*,\s*{version})*|\(\s*{version}(\s*,\s*{version})*\s*\))?\s*(;{marker})?$"
    );
    Regex::new(&pattern).expect("a constant pattern, compiled in a test")
});

/// The plain lines of `roots` (as [`super::pip::roots`] has them), whose paths are relative to `context`.
pub fn plain(submission: &Submission, context: &Path, roots: &[String]) -> Plain {
    let mut reading = Reading { submission, plain: Plain::default(), seen: BTreeSet::new() };
    for root in roots {
        reading.line(root, context, false);
    }
    reading.plain
}

struct Reading<'a> {
    submission: &'a Submission,
    plain: Plain,
    /// Files, and what they were read as.
    seen: BTreeSet<(PathBuf, bool)>,
}

impl Reading<'_> {
    fn line(&mut self, line: &str, folder: &Path, constraint: bool) {
        if let Some((file, only)) = named(line) {
            return self.file(file, folder, constraint || only);
        }
        let into = if constraint { &mut self.plain.constraints } else { &mut self.plain.wanted };
        if let Some(spec) = spec(line).filter(|spec| into.len() < MAX_LINES && !into.contains(spec)) {
            into.push(spec);
        }
    }

    fn file(&mut self, named: &str, folder: &Path, constraint: bool) {
        let root = &self.submission.root;
        let Lead::Inside(path) = paths::follow(root, folder, named, None) else { return };
        let is_file = std::fs::symlink_metadata(root.join(&path)).is_ok_and(|about| about.is_file());
        if !is_file || self.seen.len() >= MAX_FILES || !self.seen.insert((path.clone(), constraint)) {
            return;
        }
        let Some(text) = self.submission.code_text(&path) else { return };
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        // A line goes on after a backslash.
        let text = text.replace("\r\n", "\n").replace("\\\n", " ");
        for line in text.lines() {
            self.line(line, &folder, constraint);
        }
    }
}

/// The file of a `-r` or `-c` line, and whether it only constrains.
fn named(line: &str) -> Option<(&str, bool)> {
    let line = line.trim();
    for (option, only) in [("--requirement", false), ("--constraint", true), ("-r", false), ("-c", true)] {
        let Some(rest) = line.strip_prefix(option) else { continue };
        let rest = rest.trim_start_matches(|c: char| c == '=' || c.is_whitespace());
        let file = rest.split(" #").next().unwrap_or_default().trim();
        return (!file.is_empty() && !file.contains("://")).then_some((file, only));
    }
    None
}

/// A line's package and versions, if it is nothing else. Its own options (`--hash`) are no part of it.
fn spec(line: &str) -> Option<String> {
    let line = line.split(" #").next().unwrap_or_default();
    let line = line.split(" --").next().unwrap_or_default().trim();
    let name =
        line.split(['[', '=', '<', '>', '~', '!', ';', '(', ' ']).next().unwrap_or_default().to_ascii_lowercase();
    // Installers take such a name for a file.
    let file = [".whl", ".gz", ".zip", ".tar", ".tgz", ".bz2", ".xz", ".lz", ".zst", ".lzma", ".tbz", ".txz", ".egg"]
        .iter()
        .any(|end| name.ends_with(end));
    (SPEC.is_match(line) && !file).then(|| line.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_a_name_and_its_versions_are_taken() {
        for line in [
            "flask",
            "Flask==2.0.1",
            "flask >= 2, < 3",
            "uvicorn[standard]~=0.15",
            "mysql-connector-python (>=8.0)",
            "pywin32 >= 1.0 ; sys_platform == 'win32'",
            "importlib-metadata==4.8.1; python_version < \"3.8\"",
            "a===1.0+local",
            "numpy==1.2*",
        ] {
            assert_eq!(spec(line).as_deref(), Some(line), "{line}");
        }
        assert_eq!(spec("flask==2.0 --hash=sha256:ab --hash=sha256:cd").as_deref(), Some("flask==2.0"));
        assert_eq!(spec("flask  # the framework").as_deref(), Some("flask"));
    }

    #[test]
    fn nothing_that_would_be_built_read_or_fetched_is_taken() {
        for line in [
            "",
            "# flask",
            "-e .",
            "-e git+https://example.org/x.git#egg=x",
            "--editable=.",
            "--index-url https://example.org/simple",
            "--find-links .",
            "-f .",
            "--no-binary :all:",
            ".",
            "..",
            "./own",
            "own/",
            "/srv/own",
            "~/own",
            "own.whl",
            "own-1.0-py3-none-any.whl",
            "own-1.0.tar.gz",
            "own.zip[x]",
            "C:\\own",
            "file:///srv/own",
            "https://example.org/x.tar.gz",
            "own @ file:///srv/own",
            "own @ .",
            "own@./x",
            "git+ssh://git@example.org/x",
            "$(touch /tmp/x)",
            "${HOME}",
            "flask; import os\0",
            "flask==$(x)",
            "flask==2.0/../..",
        ] {
            assert_eq!(spec(line), None, "{line}");
        }
    }

    #[test]
    fn files_are_read_here_and_only_those_of_the_submission() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret.txt"), "outside==1\n").unwrap();
        fs::create_dir_all(root.join("app/reqs")).unwrap();
        let own = "-e .\n-r reqs/base.txt\r\nflask==2.0.1 \\\n  --hash=sha256:ab\n-c limits.txt\n-r ../../../../etc/hostname\n\
            -r /etc/hostname\n-r link.txt\n-r reqs\n./own\n--requirement=requirements.txt\n";
        fs::write(root.join("app/requirements.txt"), own).unwrap();
        fs::write(root.join("app/reqs/base.txt"), "\u{feff}pymysql\n-r more.txt\n").unwrap();
        fs::write(root.join("app/reqs/more.txt"), "redis<4\nflask==2.0.1\n").unwrap();
        fs::write(root.join("app/limits.txt"), "werkzeug<2.1\n").unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret.txt"), root.join("app/link.txt")).unwrap();
        let submission = Submission { root, ..Submission::default() };
        let roots = ["-r requirements.txt", "gunicorn", "--index-url https://example.org/simple", "-r ../none.txt"];
        let read = plain(&submission, Path::new("app"), &roots.map(str::to_owned));
        assert_eq!(read.wanted, ["pymysql", "redis<4", "flask==2.0.1", "gunicorn"]);
        assert_eq!(read.constraints, ["werkzeug<2.1"]);
    }
}

//! What a build installs with pip, as lines of a requirements file: names and files of its `pip install` lines.
//!
//! Read as data and never run. What a script of the build installs is not seen; then every requirements file of the build's
//! context counts.

use std::path::{Path, PathBuf};

use super::builds::Build;
use super::{Submission, paths};

/// Options of `pip install` that take the next word.
const WITH_VALUE: &[&str] = &[
    "-t",
    "--target",
    "--prefix",
    "--root",
    "--src",
    "--platform",
    "--python-version",
    "--implementation",
    "--abi",
    "--upgrade-strategy",
    "--progress-bar",
    "--no-binary",
    "--only-binary",
    "--trusted-host",
    "--timeout",
    "--retries",
    "--proxy",
    "--cert",
    "--client-cert",
    "--cache-dir",
    "--log",
    "--exists-action",
    "--use-feature",
    "--use-deprecated",
    "--global-option",
    "--install-option",
    "--config-settings",
    "--report",
    "--root-user-action",
    "-e",
    "--editable",
    "-C",
];
/// Options that go along, in their long form.
const PASSED: &[(&str, &str)] = &[
    ("-i", "--index-url"),
    ("--index-url", "--index-url"),
    ("--extra-index-url", "--extra-index-url"),
    ("-f", "--find-links"),
    ("--find-links", "--find-links"),
];
/// What installs the rest: the base's own, and no part of what the app was written for.
const TOOLS: &[&str] = &["pip", "setuptools", "wheel", "pipenv", "poetry", "uv"];

/// The lines of a requirements file that stand for all that a build installs; paths are relative to its context. Empty where
/// nothing is installed with pip.
pub fn roots(submission: &Submission, build: &Build) -> Vec<String> {
    let context = build.context.clone().unwrap_or_default();
    let files = files(submission, &context);
    let mut lines: Vec<String> = Vec::new();
    let mut add = |line: String| {
        if !lines.contains(&line) {
            lines.push(line);
        }
    };
    for run in build.dockerfile.stages.iter().flat_map(|stage| &stage.runs) {
        for words in commands(run) {
            for item in install(&words) {
                match item {
                    Item::Line(line) => add(line),
                    Item::File(flag, named) => {
                        if let Some(file) = find(&files, &named) {
                            add(format!("{flag} {file}"));
                        }
                    }
                }
            }
        }
    }
    if lines.is_empty() {
        lines.extend(files.iter().map(|file| format!("-r {file}")));
    }
    lines
}

/// Requirements files of a context, relative to it, those nearest to its root first.
fn files(submission: &Submission, context: &Path) -> Vec<String> {
    let inside = submission.requirements.iter().filter_map(|path| path.strip_prefix(context).ok());
    // A space ends a path in a requirements file.
    let mut files: Vec<String> = inside
        .filter_map(|path| path.to_str())
        .filter(|path| !path.contains(char::is_whitespace))
        .map(str::to_owned)
        .collect();
    files.sort_by_key(|file| (file.matches('/').count(), file.clone()));
    files
}

/// The file that a build names by its path in the image.
fn find<'f>(files: &'f [String], named: &str) -> Option<&'f str> {
    let wanted = paths::clean(Path::new(named.trim_start_matches('/')));
    let name = wanted.file_name().map(PathBuf::from);
    let same = |file: &&String| Path::new(file.as_str()) == wanted;
    let namesake = |file: &&String| Path::new(file.as_str()).file_name().map(PathBuf::from) == name;
    files.iter().find(same).or_else(|| files.iter().find(namesake)).map(String::as_str)
}

enum Item {
    Line(String),
    /// `-r` or `-c`, and the file.
    File(&'static str, String),
}

/// What a command installs, if it is pip.
fn install(words: &[String]) -> Vec<Item> {
    let is = |word: &String, names: &[&str]| {
        let name = word.rsplit('/').next().unwrap_or(word);
        let plain = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        names.contains(&plain)
    };
    // What comes before it sets a variable, or says who.
    let before =
        words.iter().take_while(|word| is(word, &["sudo", "env", "exec", "time"]) || word.contains('=')).count();
    let words = &words[before..];
    let rest = match words {
        [pip, rest @ ..] if is(pip, &["pip"]) => rest,
        [python, m, pip, rest @ ..] if is(python, &["python"]) && m == "-m" && pip == "pip" => rest,
        _ => return Vec::new(),
    };
    let Some(at) = rest.iter().position(|word| !word.starts_with('-')).filter(|&at| rest[at] == "install") else {
        return Vec::new();
    };
    let mut items = Vec::new();
    let mut words = rest[at + 1..].iter();
    while let Some(word) = words.next() {
        let (option, glued) = match word.split_once('=') {
            Some((option, value)) if option.starts_with("--") => (option, Some(value.to_owned())),
            _ => (word.as_str(), None),
        };
        let mut value = || glued.clone().or_else(|| words.next().cloned());
        let long = PASSED.iter().find(|(short, _)| *short == option).map(|(_, long)| *long);
        match option {
            "-r" | "--requirement" => items.extend(value().map(|file| Item::File("-r", file))),
            "-c" | "--constraint" => items.extend(value().map(|file| Item::File("-c", file))),
            _ if long.is_some() => {
                items.extend(value().map(|url| Item::Line(format!("{} {url}", long.unwrap_or_default()))))
            }
            _ if option.starts_with("-r") && option.len() > 2 => items.push(Item::File("-r", option[2..].to_owned())),
            _ if WITH_VALUE.contains(&option) => drop(value()),
            _ if option.starts_with('-') => {}
            _ => items.extend(requirement(word).map(Item::Line)),
        }
    }
    items
}

/// A word that names a package of an index; none for a path, an address or a shell's variable.
fn requirement(word: &str) -> Option<String> {
    let name: String = word.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).collect();
    let rest = &word[name.len()..];
    // `2>` is no name.
    let starts =
        name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.contains(|c: char| c.is_ascii_alphabetic());
    let file = [".whl", ".gz", ".zip"].iter().any(|end| word.ends_with(end));
    let plain = rest.is_empty() || rest.starts_with(['[', '=', '<', '>', '~', '!', ';', ' ']);
    let tool = TOOLS.contains(&name.to_ascii_lowercase().as_str());
    (starts && plain && !file && !tool && !word.contains(['$', '\n'])).then(|| word.to_owned())
}

/// The simple commands of a `RUN`: of a shell line, or of the JSON form.
fn commands(run: &str) -> Vec<Vec<String>> {
    let mut run = run.trim();
    while let Some((flag, rest)) = run.strip_prefix("--").and_then(|rest| rest.split_once(char::is_whitespace)) {
        tracing::trace!(flag, "a flag of RUN");
        run = rest.trim_start();
    }
    if let Ok(words) = serde_json::from_str::<Vec<String>>(run) {
        return match &words[..] {
            [shell, flag, line] if shell.ends_with("sh") && flag.ends_with('c') => split(line),
            _ => vec![words],
        };
    }
    split(run)
}

/// Words as a shell would take them apart, without expanding anything.
fn split(line: &str) -> Vec<Vec<String>> {
    let (mut all, mut words, mut word) = (Vec::new(), Vec::new(), None::<String>);
    let mut quote = None;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\\', None | Some('"')) => word.get_or_insert_default().extend(chars.next()),
            (c, Some(_)) => word.get_or_insert_default().push(c),
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (';' | '&' | '|' | '(' | ')' | '\n', None) => {
                words.extend(word.take());
                all.push(std::mem::take(&mut words));
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, None) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    all.push(words);
    all.retain(|words| !words.is_empty());
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::submission::dockerfile;

    fn of(dockerfile: &str, files: &[&str]) -> Vec<String> {
        let submission =
            Submission { requirements: files.iter().map(PathBuf::from).collect(), ..Submission::default() };
        let dockerfile = dockerfile::parse(dockerfile, &BTreeMap::new());
        roots(&submission, &Build { context: Some("app".into()), dockerfile, ..Build::default() })
    }

    #[test]
    fn names_and_files_of_pip_lines_are_gathered() {
        let text = "FROM python:3.9\nWORKDIR /srv\nCOPY requirements.txt .\n\
            RUN apt-get update && apt-get install -y gcc flask-doc\n\
            RUN pip install --upgrade pip && pip3 install --no-cache-dir -r /srv/requirements.txt \\\n  -i https://pypi.example.org/simple\n\
            RUN [\"python3\", \"-m\", \"pip\", \"install\", \"mysqlclient==2.0.3\"]\n\
            RUN --mount=type=cache,target=/root/.cache PIP_NO_INPUT=1 /usr/bin/pip3.9 -q install \"flask>=2,<3\" 'uvicorn[standard]' ./own $EXTRA git+https://x/y.git -t /lib gunicorn 2> /tmp/log; echo pip install nothing\n";
        assert_eq!(
            of(text, &["app/requirements.txt", "other/requirements.txt"]),
            [
                "-r requirements.txt",
                "--index-url https://pypi.example.org/simple",
                "mysqlclient==2.0.3",
                "flask>=2,<3",
                "uvicorn[standard]",
                "gunicorn",
            ]
        );
    }

    #[test]
    fn a_file_is_found_where_it_was_copied_from() {
        let text =
            "FROM python\nCOPY src/deps.txt /tmp/\nRUN pip install -r/tmp/deps.txt --requirement=/tmp/none.txt\n";
        assert_eq!(of(text, &["app/src/deps.txt", "app/requirements.txt"]), ["-r src/deps.txt"]);
    }

    #[test]
    fn where_a_script_installs_every_file_counts() {
        let text = "FROM debian\nRUN sh install.sh\n";
        assert_eq!(
            of(text, &["app/b/requirements.txt", "app/requirements.txt"]),
            ["-r requirements.txt", "-r b/requirements.txt"]
        );
        assert!(of("FROM node\nRUN npm install\n", &["db/requirements.txt"]).is_empty());
    }

    #[test]
    fn nonsense_installs_nothing() {
        for run in [
            "pip",
            "pip install",
            "pip install -r",
            "pip download flask",
            "\\",
            "\"",
            "[",
            "[\"pip\"]",
            "--mount",
            "a=b",
            "sudo",
        ] {
            assert!(of(&format!("FROM x\nRUN {run}\n"), &[]).is_empty(), "{run}");
        }
    }
}

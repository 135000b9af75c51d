//! A repository's newest commit, fetched by the `git` program and written as a tar, which is then read as any other is.
//!
//! git never makes a working copy of it: no hook, filter, submodule or link of the repository is followed by anyone, and the
//! size of what comes out is counted as for archives. git reads no configuration but ours and asks for nothing.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::url::GitUrl;
use super::{Source, Stop, TakeError};
use crate::exec::local::Local;
use crate::exec::{Cmd, Output, RunErrorKind, Shell};
use crate::sanitize;

const FETCHING: Duration = Duration::from_secs(180);
const WRITING: Duration = Duration::from_secs(60);
/// What one process of git may hold in memory.
const MEMORY: u64 = 4 << 30;

/// What is kept of our environment: how to reach the host, and by which key.
const KEPT: [&str; 14] = [
    "HOME",
    "USER",
    "LOGNAME",
    "SSH_AUTH_SOCK",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
];

/// Whatever `.gitattributes` says: files as they were committed, all of them.
const ATTRIBUTES: &str = "* -export-ignore -export-subst -text -ident -filter -working-tree-encoding\n";

/// The commit as a tar in `folder`, and where it comes from.
pub(super) async fn fetch(
    url: &GitUrl,
    folder: &Path,
    most: u64,
    cancel: &CancellationToken,
) -> Result<(PathBuf, Source), Stop> {
    for (program, package) in [("git", "git"), ("prlimit", "util-linux"), ("env", "coreutils")] {
        if !in_path(program) {
            return Err(Stop::Other(no_program(program, package)));
        }
    }
    let config = folder.join("gitconfig");
    fs::write(&config, configuration(url)).map_err(|e| Stop::Write(config.clone(), e))?;
    let git = Git { url, config, most, cancel };
    let repository = folder.join("repository.git");
    let dir = repository.display().to_string();
    let branch = url.branch.iter().map(|branch| format!("--branch={branch}"));
    let clone = ["clone", "--bare", "--depth=1", "--single-branch", "--no-tags", "--template="].map(str::to_owned);
    // Progress is for nobody to read: where we are killed, writing it ends git.
    let clone = clone.into_iter().chain(["--no-recurse-submodules".to_owned(), "--progress".to_owned()]).chain(branch);
    git.run(clone.chain(["--".to_owned(), url.whole().to_owned(), dir.clone()]), FETCHING).await?;

    let git_dir = format!("--git-dir={dir}");
    let log = ["log", "-1", "--no-show-signature", "--format=%H %cI", "HEAD", "--"].map(str::to_owned);
    // A repository in which nothing has been committed is one too.
    let head = ["rev-parse", "--verify", "-q", "HEAD"].map(str::to_owned);
    if git.run([git_dir.clone()].into_iter().chain(head), WRITING).await.is_err() {
        let refs = [git_dir.clone(), "for-each-ref".to_owned()];
        if git.run(refs, WRITING).await?.out().trim().is_empty() {
            let heads = ["ls-remote", "--heads", "--", url.whole()].map(str::to_owned);
            let there = git.run(heads, FETCHING).await?.out();
            return Err(if there.trim().is_empty() { Stop::Empty } else { Stop::Other(no_default(url)) });
        }
    }
    let said = git.run([git_dir.clone()].into_iter().chain(log), WRITING).await?.out();
    let (commit, date) = said.trim().split_once(' ').ok_or(Stop::Empty)?;
    let source = Source::Git {
        url: url.shown.clone(),
        branch: url.branch.clone(),
        commit: commit.to_owned(),
        date: date.to_owned(),
    };

    let info = repository.join("info");
    let attributes = fs::create_dir_all(&info).and_then(|()| fs::write(info.join("attributes"), ATTRIBUTES));
    attributes.map_err(|e| Stop::Write(info, e))?;
    let tar = folder.join("commit.tar");
    let archive = ["archive", "--format=tar", "-o"].map(str::to_owned).into_iter();
    let archive = archive.chain([tar.display().to_string(), commit.to_owned(), "--".to_owned()]);
    git.run([git_dir].into_iter().chain(archive), WRITING).await?;
    fs::remove_dir_all(&repository).map_err(|e| Stop::Write(repository, e))?;
    Ok((tar, source))
}

struct Git<'a> {
    url: &'a GitUrl,
    config: PathBuf,
    most: u64,
    cancel: &'a CancellationToken,
}

impl Git<'_> {
    async fn run(&self, args: impl IntoIterator<Item = String>, within: Duration) -> Result<Output, Stop> {
        // Without the signal, git says itself that a file is too large.
        let limits = ["prlimit".to_owned(), format!("--fsize={}", self.most), format!("--as={MEMORY}")];
        let cmd = Cmd::new(limits).args(["--core=0", "env", "--ignore-signal=XFSZ", "git"]).args(args).timeout(within);
        let cmd = Cmd { clean_env: true, env: self.environment(), ..cmd };
        let ran = tokio::select! {
            ran = Local.run(&cmd) => ran,
            () = self.cancel.cancelled() => return Err(Stop::Interrupted),
        };
        match ran {
            Ok(output) if output.ok() => Ok(output),
            Ok(output) => Err(self.explain(&output)),
            Err(error) => {
                let shown = &self.url.shown;
                Err(Stop::Other(match error.kind {
                    RunErrorKind::Timeout(..) => TakeError::ours(
                        format!("could not fetch `{shown}`: no end after {} s", within.as_secs()),
                        format!("no se pudo traer `{shown}`: no terminó en {} s", within.as_secs()),
                    ),
                    other => TakeError::ours(
                        format!("could not fetch `{shown}`: {other}"),
                        format!("no se pudo traer `{shown}`: {other}"),
                    ),
                }))
            }
        }
    }

    fn environment(&self) -> Vec<(String, String)> {
        let kept = KEPT.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)));
        let config = self.config.display().to_string();
        let set = [
            ("LC_ALL", "C"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_ATTR_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", config.as_str()),
            ("GIT_ALLOW_PROTOCOL", "https:ssh:file"),
            ("GIT_TERMINAL_PROMPT", "0"),
            // A program that only fails: nobody is asked, also not by a window.
            ("GIT_ASKPASS", "false"),
            ("SSH_ASKPASS", "false"),
            ("SSH_ASKPASS_REQUIRE", "force"),
            ("GIT_NO_LAZY_FETCH", "1"),
            ("GIT_LFS_SKIP_SMUDGE", "1"),
            ("GIT_OPTIONAL_LOCKS", "0"),
        ];
        kept.chain(set.map(|(name, value)| (name.to_owned(), value.to_owned()))).collect()
    }

    /// Whose fault it is follows from what git says, which it says in English here.
    fn explain(&self, output: &Output) -> Stop {
        // Progress stands on a line of its own, over and over.
        let said = self.url.cleaned(&output.err().replace('\r', "\n"));
        // The URL's own words say nothing.
        let without = said.replace(&self.url.shown, "").replace(self.url.folder().unwrap_or(&self.url.shown), "");
        let has = |words: &[&str]| words.iter().any(|word| without.contains(word));
        if has(&["File too large"]) {
            return Stop::TooLarge(self.most);
        }
        let telling = said.lines().filter(|line| line.starts_with("fatal:") || line.starts_with("error:"));
        let telling = telling.chain(said.lines().rev().take(1)).next().unwrap_or_default();
        let telling = match sanitize::line(telling, 300) {
            empty if empty.is_empty() => format!("git: {}", output.status),
            telling => telling,
        };
        let shown = &self.url.shown;
        let en = format!("could not fetch `{shown}`: {telling}");
        let es = format!("no se pudo traer `{shown}`: {telling}");
        let absent = ["Remote branch", "does not exist", "not found", "does not appear to be a git repository"];
        Stop::Other(if has(&absent) { TakeError::caller(en, es) } else { TakeError::ours(en, es) })
    }
}

/// Our own configuration, in the place of the person's.
fn configuration(url: &GitUrl) -> String {
    let mut text = "[core]\n\thooksPath = /dev/null\n\tfsmonitor = false\n\tbigFileThreshold = 16m\n\
        [fetch]\n\tunpackLimit = 1\n\
        [submodule]\n\trecurse = false\n\
        [protocol]\n\tallow = never\n\
        [protocol \"https\"]\n\tallow = always\n\
        [protocol \"ssh\"]\n\tallow = always\n\
        [protocol \"file\"]\n\tallow = always\n\
        [gc]\n\tauto = 0\n\
        [advice]\n\tdetachedHead = false\n"
        .to_owned();
    // Fetching from another person's repository of this machine runs nothing of it.
    if let Some(folder) = url.folder() {
        let quoted = folder.trim_end_matches('/').replace('\\', "\\\\").replace('"', "\\\"");
        text.push_str(&format!("[safe]\n\tdirectory = \"{quoted}\"\n\tdirectory = \"{quoted}/.git\"\n"));
    }
    text
}

fn in_path(program: &str) -> bool {
    let runs = |file: io::Result<fs::Metadata>| file.is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| runs(dir.join(program).metadata())))
}

/// It has branches, but not the one that it says is its own.
fn no_default(url: &GitUrl) -> TakeError {
    let shown = &url.shown;
    TakeError::caller(
        format!("`{shown}` does not say which of its branches counts: name one with `--branch`"),
        format!("`{shown}` no dice cuál de sus ramas cuenta: indique una con `--branch`"),
    )
}

fn no_program(program: &str, package: &str) -> TakeError {
    TakeError::ours(
        format!(
            "a repository is fetched by the program `{program}`, which is not installed: `apt-get install {package}`"
        ),
        format!(
            "un repositorio se trae con el programa `{program}`, que no está instalado: `apt-get install {package}`"
        ),
    )
}

#[cfg(test)]
mod tests;

//! Repositories on this disk, fetched by the real git.

use std::os::unix::fs::symlink;

use sha2::Digest;

use super::super::*;
use crate::exec::local::Local;
use crate::exec::{Cmd, ShellExt};

const COMPOSE: &str = "services:\n  a:\n    image: x\n";

/// A repository on this disk, made as a person makes one.
struct Repository {
    dir: TempDir,
}

impl Repository {
    async fn new() -> Self {
        let this = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(this.path("")).unwrap();
        this.git(&["init", "--quiet", "--initial-branch=main"]).await;
        this
    }

    /// The same one under another name.
    fn renamed(&self, name: &str) -> String {
        let to = self.dir.path().join(name);
        fs::rename(self.path(""), &to).unwrap();
        format!("file://{}", to.display())
    }

    async fn git(&self, args: &[&str]) -> String {
        let who = ["-c", "user.name=Ana", "-c", "user.email=ana@example.org"];
        let cmd = Cmd::new(["git"]).args(who).args(args.iter().copied()).cwd(self.path("").display().to_string());
        let cmd = cmd.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_COMMITTER_DATE", "2026-11-20T10:00:00-05:00");
        Local.must(&cmd).await.unwrap().out().trim().to_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("work").join(name)
    }

    fn write(&self, name: &str, content: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), content).unwrap();
    }

    async fn commit(&self) -> String {
        self.git(&["add", "--all", "--force"]).await;
        self.git(&["commit", "--quiet", "--message=x"]).await;
        self.git(&["rev-parse", "HEAD"]).await
    }

    fn url(&self) -> String {
        format!("file://{}", self.path("").display().to_string().trim_end_matches('/'))
    }
}

async fn taken(url: &str, branch: Option<&str>, caps: Caps) -> Result<Submission, TakeError> {
    let given = Given { what: url.into(), branch: branch.map(str::to_owned), watch: None };
    take_within(&given, &ReadOptions::default(), &CancellationToken::new(), caps).await
}

fn names(submission: &Submission) -> Vec<String> {
    let all = walkdir::WalkDir::new(&submission.root).min_depth(1).sort_by_file_name().into_iter().map(Result::unwrap);
    let files = all.filter(|entry| !entry.file_type().is_dir());
    files.map(|entry| entry.path().strip_prefix(&submission.root).unwrap().display().to_string()).collect()
}

#[tokio::test]
async fn the_newest_commit_is_read_and_named() {
    let repository = Repository::new().await;
    repository.write("docker-compose.yml", "old");
    repository.commit().await;
    repository.write("docker-compose.yml", COMPOSE);
    let commit = repository.commit().await;
    repository.write("not-committed.yml", COMPOSE);
    let submission = taken(&repository.url(), None, Caps::default()).await.unwrap();
    assert_eq!((submission.name.as_str(), submission.place()), ("work", repository.url()));
    assert_eq!(submission.folder, "work");
    assert_eq!(names(&submission), ["docker-compose.yml"]);
    assert!(submission.compose.is_some() && submission.notices.is_empty(), "{:?}", submission.notices);
    let Handed { source, .. } = submission.handed.as_ref().unwrap();
    let date = "2026-11-20T10:00:00-05:00".to_owned();
    let expected = Source::Git { url: repository.url(), branch: None, commit: commit.clone(), date };
    assert_eq!(source.as_ref(), Some(&expected));
    let shown = expected.commit(Lang::Es).unwrap();
    assert_eq!(shown, format!("{} (2026-11-20T10:00:00-05:00)", &commit[..12]));
    // One folder is the root of an archive, but not of a repository.
    let folder = submission.root.parent().unwrap().to_owned();
    assert_eq!(fs::read_dir(&folder).unwrap().filter(|e| e.as_ref().unwrap().path().is_dir()).count(), 1);
    drop(submission);
    assert!(!folder.exists());
}

#[tokio::test]
async fn a_branch_is_named_in_two_ways() {
    let repository = Repository::new().await;
    repository.write("docker-compose.yml", COMPOSE);
    repository.commit().await;
    repository.git(&["checkout", "--quiet", "-b", "exam/2"]).await;
    repository.write("deep/compose.yml", COMPOSE);
    repository.git(&["rm", "--quiet", "docker-compose.yml"]).await;
    let commit = repository.commit().await;
    repository.git(&["checkout", "--quiet", "main"]).await;
    for (url, branch) in [(format!("{}#exam/2", repository.url()), None), (repository.url(), Some("exam/2"))] {
        let submission = taken(&url, branch, Caps::default()).await.unwrap();
        assert_eq!(names(&submission), ["deep/compose.yml"], "the repository itself is the root");
        let source = submission.handed.unwrap().source.unwrap();
        assert!(source.commit(Lang::En).is_some_and(|said| said.ends_with(", branch exam/2)")));
        assert!(matches!(source, Source::Git { commit: is, .. } if is == commit));
    }
    let error = taken(&repository.url(), Some("none"), Caps::default()).await.unwrap_err();
    assert_eq!(error.fault, Fault::Caller, "{error}");
    assert!(error.text.en.contains("Remote branch none not found") && error.text.es.contains("no se pudo traer"));
}

#[tokio::test]
async fn nothing_of_it_runs_and_files_are_as_they_were_committed() {
    let repository = Repository::new().await;
    let mark = repository.dir.path().join("ran");
    let touch = format!("touch {}", mark.display());
    repository.write(".gitattributes", "* filter=evil ident text eol=crlf\n*.sql export-ignore\nv export-subst\n");
    repository.write("docker-compose.yml", COMPOSE);
    repository.write("init.sql", "select '$Id$';\n");
    repository.write("v", "$Format:%H$");
    symlink("/etc/passwd", repository.path("passwd")).unwrap();
    symlink("init.sql", repository.path("link.sql")).unwrap();
    for key in ["filter.evil.smudge", "filter.evil.process", "core.fsmonitor", "core.sshCommand"] {
        repository.git(&["config", key, &touch]).await;
    }
    repository.git(&["-c", "core.fsmonitor=false", "-c", "filter.evil.process=", "add", "--all"]).await;
    let gitlink = format!("160000,{},module", "1".repeat(40));
    let quiet = ["-c", "core.fsmonitor=false", "-c", "filter.evil.process="];
    repository.git(&[&quiet[..], &["update-index", "--add", "--cacheinfo", &gitlink]].concat()).await;
    repository.git(&[&quiet[..], &["commit", "--quiet", "--message=x"]].concat()).await;
    let _ = fs::remove_file(&mark);
    for hook in ["post-checkout", "post-upload-pack", "pre-receive", "reference-transaction"] {
        let path = repository.path(".git/hooks").join(hook);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\n{touch}\n")).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let submission = taken(&repository.url(), None, Caps::default()).await.unwrap();
    assert!(!mark.exists(), "something of the repository was run");
    let read = |name: &str| fs::read_to_string(submission.root.join(name)).unwrap();
    assert_eq!(read("docker-compose.yml"), COMPOSE);
    assert_eq!(read("init.sql"), "select '$Id$';\n");
    assert_eq!(read("v"), "$Format:%H$");
    assert_eq!(names(&submission), [".gitattributes", "docker-compose.yml", "init.sql", "link.sql", "v"]);
    let said: Vec<&str> = submission.notices.iter().map(|n| n.text.en.as_str()).collect();
    assert!(
        said.iter().any(|text| text.contains("links that lead out of it") && text.contains("`passwd`")),
        "{said:?}"
    );
}

#[tokio::test]
async fn what_is_empty_too_large_or_not_there_is_told_apart() {
    let empty = Repository::new().await;
    let submission = taken(&empty.url(), None, Caps::default()).await.unwrap();
    assert!(submission.problems().any(|p| p.text.en.contains("no file")), "{:?}", submission.notices);
    let noise: String = (0..100_000_u32).map(|n| format!("{:x}", sha2::Sha256::digest(n.to_le_bytes()))).collect();
    let large = Repository::new().await;
    // Too large when it is unpacked, and already when it is fetched.
    for content in ["0".repeat(3 << 20), noise] {
        large.write("large", &content);
        large.commit().await;
        let caps = Caps { bytes: 1 << 20, ..Caps::default() };
        let submission = taken(&large.url(), None, caps).await.unwrap();
        assert!(submission.problems().any(|p| p.text.en.contains("larger than 1 MiB")), "{:?}", submission.notices);
    }
    let error = taken("file:///nowhere/at.git", None, Caps::default()).await.unwrap_err();
    assert_eq!(error.fault, Fault::Caller, "{error}");
    // Nobody listens on this port of this machine: it may be there tomorrow.
    let error = taken("https://ana:t0ken@127.0.0.1:9/x.git", None, Caps::default()).await.unwrap_err();
    assert_eq!(error.fault, Fault::Ours, "{error}");
    assert!(!error.text.en.contains("t0ken") && error.text.en.contains("127.0.0.1"), "{error}");
    let given = Given { what: large.url().into(), branch: None, watch: None };
    let cancel = CancellationToken::new();
    cancel.cancel();
    let error = take(&given, &ReadOptions::default(), &cancel).await.unwrap_err();
    assert_eq!(error.fault, Fault::Interrupted);
}

#[tokio::test]
async fn no_words_of_a_url_or_of_git_make_a_repository_empty() {
    // Its commit is gone.
    let broken = Repository::new().await;
    broken.write("docker-compose.yml", COMPOSE);
    let commit = broken.commit().await;
    fs::remove_file(broken.path(".git/objects").join(&commit[..2]).join(&commit[2..])).unwrap();
    let error = taken(&broken.renamed("HEAD does not exist"), None, Caps::default()).await.unwrap_err();
    assert_eq!(error.fault, Fault::Ours, "{error}");
    let whole = Repository::new().await;
    whole.write("docker-compose.yml", COMPOSE);
    whole.commit().await;
    // Its own branch is not there, another is.
    whole.git(&["symbolic-ref", "HEAD", "refs/heads/none"]).await;
    let url = whole.renamed("HEAD-team");
    let error = taken(&url, None, Caps::default()).await.unwrap_err();
    assert_eq!(error.fault, Fault::Caller, "{error}");
    assert!(error.text.en.contains("name one with `--branch`"), "{error}");
    assert!(taken(&url, Some("main"), Caps::default()).await.unwrap().compose.is_some());
    let empty = Repository::new().await;
    let submission = taken(&empty.renamed("HEAD-empty"), None, Caps::default()).await.unwrap();
    assert!(submission.problems().any(|p| p.text.en.contains("no file")), "{:?}", submission.notices);
}

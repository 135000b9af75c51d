//! Submissions as archives and repositories, as the program is called: what it prints, its exit code, what it leaves.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use assert_cmd::Command;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// A place to hand in from, with a folder for temporary files of its own.
struct Desk {
    dir: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(dir.path().join("tmp")).expect("a folder");
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The reference, in one folder, as people pack it.
    fn zip(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        let mut zip = ZipWriter::new(File::create(&path).expect("a file"));
        for entry in walkdir::WalkDir::new(reference()).into_iter().map(|entry| entry.expect("an entry")) {
            let inner = entry.path().strip_prefix(reference()).expect("inside").display().to_string();
            if entry.file_type().is_file() {
                zip.start_file(format!("entrega/{inner}"), SimpleFileOptions::default()).expect("an entry");
                zip.write_all(&fs::read(entry.path()).expect("a file")).expect("its content");
            }
        }
        zip.finish().expect("a zip");
        path
    }

    fn command(&self, args: &[&OsStr]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_imparcial"));
        command.env("LANG", "C").env_remove("LC_ALL").env("TMPDIR", self.path("tmp")).args(args);
        command
    }

    fn run(&self, args: &[&dyn AsRef<OsStr>]) -> (i32, String, String) {
        let args: Vec<&OsStr> = args.iter().map(|arg| (*arg).as_ref()).collect();
        let output = self.command(&args).output().expect("it runs");
        assert_eq!(fs::read_dir(self.path("tmp")).expect("a folder").count(), 0, "something was left behind");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
    }
}

fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/seed/reference")
}

fn git(dir: &Path, args: &[&str]) {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=Ana", "-c", "user.email=ana@example.org"]).args(args).current_dir(dir);
    command.assert().success();
}

#[test]
fn a_zip_is_inspected_and_planned_as_its_folder_is() {
    let desk = Desk::new();
    let zip = desk.zip("ana maría.zip");
    let (code, out, err) = desk.run(&[&"inspect", &zip]);
    assert_eq!((code, err.as_str()), (0, ""));
    for piece in ["ana maría.zip", "docker-compose.yml", "app = app: ", "given: db/init.sql"] {
        assert!(out.contains(piece), "{piece}\n{out}");
    }
    let (code, out, _) = desk.run(&[&"inspect", &zip, &"--json"]);
    let view: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((code, &view["name"], &view["source"]["form"]), (0, &"ana maría".into(), &"zip".into()));
    assert_eq!(view["path"], zip.canonicalize().expect("it is there").display().to_string());
    let (code, out, err) = desk.run(&[&"plan", &zip, &"--scenario", &"seed"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("ana maría.zip (docker-compose.yml, Vagrantfile)") && out.contains("db-by-name"), "{out}");
}

#[test]
fn a_branch_of_a_repository_is_inspected() {
    let desk = Desk::new();
    let work = desk.path("work");
    fs::create_dir(&work).expect("a folder");
    git(&work, &["init", "--quiet", "--initial-branch=exam"]);
    fs::write(work.join("docker-compose.yml"), "services:\n  a:\n    image: mysql\n").expect("a file");
    git(&work, &["add", "--all"]);
    git(&work, &["commit", "--quiet", "--message=x"]);
    git(desk.dir.path(), &["clone", "--quiet", "--bare", "work", "ana.git"]);
    let url = format!("file://{}", desk.path("ana.git").display());
    let (code, out, err) = desk.run(&[&"inspect", &format!("{url}#exam")]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains(&url) && out.contains(", branch exam)"), "{out}");
    let (code, _, err) = desk.run(&[&"--lang", &"es", &"inspect", &url, &"--branch", &"none"]);
    assert_eq!(code, 2);
    assert!(err.contains("no se pudo traer") && err.contains("Remote branch none not found"), "{err}");
    let (code, _, err) = desk.run(&[&"inspect", &"ext::sh -c id"]);
    assert_eq!(code, 2);
    assert!(err.contains("submissions are not fetched by `ext`"), "{err}");
}

#[test]
fn without_git_it_is_said_and_nobodys_fault() {
    let desk = Desk::new();
    let mut command = desk.command(&["inspect".as_ref(), "https://127.0.0.1:9/x.git".as_ref()]);
    let output = command.env("PATH", desk.path("tmp")).output().expect("it runs");
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("`apt-get install git`"));
}

#[test]
fn an_archive_that_cannot_be_graded_fails_and_a_wrong_path_is_the_callers() {
    let desk = Desk::new();
    let zip = desk.zip("a.zip");
    let whole = fs::read(&zip).expect("a file");
    let cut = desk.path("cut.zip");
    fs::write(&cut, &whole[..whole.len() / 2]).expect("a file");
    let (code, out, _) = desk.run(&[&"inspect", &cut]);
    assert_eq!(code, 1);
    assert!(out.contains("the archive is damaged or cut off"), "{out}");
    let (code, out, _) = desk.run(&[&"--lang", &"es", &"plan", &cut, &"--scenario", &"seed"]);
    assert_eq!(code, 1);
    assert!(out.contains("el paquete está dañado o incompleto"), "{out}");
    let (code, _, err) = desk.run(&[&"plan", &desk.path("none.zip"), &"--scenario", &"seed"]);
    assert_eq!(code, 2);
    assert!(err.contains("there is no folder") && err.contains("none.zip"), "{err}");
    // Graded, it is a record like any other: there is nothing to start.
    let reports = desk.path("reports");
    let (code, out, _) = desk.run(&[&"grade", &cut, &"--scenario", &"seed", &"--reports", &reports, &"-q"]);
    assert_eq!(code, 1);
    assert!(out.contains("the archive is damaged or cut off") && out.contains("cut.zip"), "{out}");
    let record = fs::read_to_string(reports.join("latest/record.json")).expect("a record");
    let record: serde_json::Value = serde_json::from_str(&record).expect("JSON");
    assert_eq!(record["submission"]["name"], "cut");
}

#[test]
fn what_is_too_large_to_be_unpacked_here_is_undecided() {
    let desk = Desk::new();
    let tar = desk.path("many.tar");
    let mut many = tar::Builder::new(File::create(&tar).expect("a file"));
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_size(0);
    for _ in 0..=100_000 {
        many.append_data(&mut header, "folder/", &[][..]).expect("an entry");
    }
    many.into_inner().expect("a tar");
    let reports = desk.path("reports");
    let (code, out, _) = desk.run(&[&"grade", &tar, &"--scenario", &"seed", &"--reports", &reports, &"-q"]);
    assert_eq!(code, 3);
    assert!(out.contains("more than 100000 files and folders") && out.contains("100 undecided"), "{out}");
}

#[test]
fn what_a_killed_one_left_is_gone_within_ten_seconds() {
    let desk = Desk::new();
    // Enough files that it is not done before it is seen to have begun.
    let tar = desk.path("many.tar");
    let mut many = tar::Builder::new(File::create(&tar).expect("a file"));
    for n in 0..30_000 {
        let mut header = tar::Header::new_gnu();
        header.set_size(0);
        many.append_data(&mut header, format!("{n}"), &[][..]).expect("an entry");
    }
    many.into_inner().expect("a tar");
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_imparcial"))
        .arg("inspect")
        .arg(&tar)
        .env("TMPDIR", desk.path("tmp"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let left = || fs::read_dir(desk.path("tmp")).expect("a folder").count();
    while left() == 0 {
        assert!(child.try_wait().expect("a state").is_none(), "it ended before it was killed");
        std::thread::yield_now();
    }
    child.kill().expect("it is there");
    child.wait().expect("it ends");
    // Its reaper is at work already, so that the folder may be gone by now: what counts is that it was there.
    let deadline = Instant::now() + Duration::from_secs(10);
    while left() > 0 {
        assert!(Instant::now() < deadline, "the submission's folder is still there after ten seconds");
        std::thread::sleep(Duration::from_millis(50));
    }
}

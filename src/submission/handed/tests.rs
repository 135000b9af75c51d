//! Archives that are well made, badly made and made to do harm.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;

use ::tar::EntryType;
use sha2::Digest;
use walkdir::WalkDir;

use super::testing::{Tar, Zip};
use super::*;

const COMPOSE: &[u8] = b"services:\n  a:\n    image: x\n";

struct Handed {
    _dir: TempDir,
    path: PathBuf,
}

fn handed(name: &str, bytes: &[u8]) -> Handed {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, bytes).unwrap();
    Handed { _dir: dir, path }
}

async fn taken_within(name: &str, bytes: &[u8], caps: Caps) -> Result<Submission, TakeError> {
    let handed = handed(name, bytes);
    let given = Given { what: handed.path.clone().into(), branch: None, watch: None };
    let taken = take_within(&given, &ReadOptions::default(), &CancellationToken::new(), caps).await;
    assert_eq!(fs::read_dir(handed.path.parent().unwrap()).unwrap().count(), 1, "something was written beside it");
    taken
}

async fn taken(name: &str, bytes: &[u8]) -> Submission {
    taken_within(name, bytes, Caps::default()).await.unwrap()
}

/// Everything below the root by its path: content, or where a link leads.
fn files(submission: &Submission) -> BTreeMap<String, String> {
    let all = WalkDir::new(&submission.root).min_depth(1).into_iter().map(Result::unwrap);
    all.filter(|entry| !entry.file_type().is_dir())
        .map(|entry| {
            let path = entry.path().strip_prefix(&submission.root).unwrap().display().to_string();
            assert!(entry.file_type().is_file() || entry.file_type().is_symlink(), "{path}");
            let content = match entry.file_type().is_symlink() {
                true => format!("-> {}", fs::read_link(entry.path()).unwrap().display()),
                false => fs::read_to_string(entry.path()).unwrap(),
            };
            (path, content)
        })
        .collect()
}

fn names(submission: &Submission) -> Vec<String> {
    files(submission).into_keys().collect()
}

fn said(submission: &Submission) -> String {
    submission.notices.iter().map(|n| format!("{}: {}\n", n.id, n.text.en)).collect()
}

/// What is wrong with an archive that cannot be graded; in both languages.
async fn hopeless(name: &str, bytes: &[u8], caps: Caps) -> String {
    let submission = taken_within(name, bytes, caps).await.unwrap();
    let problem = submission.problems().next().unwrap();
    let large = ["it is larger than", "are more than", "deep in each", "was stopped"]
        .iter()
        .any(|words| problem.text.en.contains(words));
    // Too large is undecided, as for a folder; the rest is its own fault.
    assert_eq!(problem.id, if large { "submission.too_large" } else { "submission.archive" }, "{}", problem.text.en);
    assert!(!problem.text.es.is_empty() && problem.text.es != problem.text.en);
    assert!(submission.compose.is_none() && submission.handed.is_some());
    problem.text.en.clone()
}

#[tokio::test]
async fn archives_of_every_form_are_read_as_their_folder_is() {
    let zip = Zip::default().file("work/docker-compose.yml", COMPOSE).file("work/app/Dockerfile", b"FROM x\n").done();
    let tar = || Tar::default().file("work/docker-compose.yml", COMPOSE).file("work/app/Dockerfile", b"FROM x\n");
    for (name, bytes, form) in [
        ("ana.zip", zip, "zip"),
        ("ana.tar", tar().done(), "tar"),
        ("ana.tar.gz", tar().gz(), "tar.gz"),
        ("ana.TGZ", tar().gz(), "tar.gz"),
    ] {
        let submission = taken(name, &bytes).await;
        assert_eq!((submission.name.as_str(), submission.folder.as_str()), ("ana", "work"));
        assert_eq!(names(&submission), ["app/Dockerfile", "docker-compose.yml"], "the one folder is the root");
        assert_eq!(said(&submission), "", "{name}");
        assert!(submission.compose.as_ref().is_some_and(|file| file.service("a").is_some()));
        assert!(submission.place().ends_with(name));
        let source = submission.handed.as_ref().unwrap().source.clone();
        assert!(matches!(source, Some(Source::Archive { form: is, .. }) if is == form));
    }
}

#[tokio::test]
async fn the_folder_is_ours_alone_and_goes_with_the_submission() {
    let submission = taken("a.zip", &Zip::default().file("docker-compose.yml", COMPOSE).done()).await;
    // Without a folder of its own it is unpacked into one of its name.
    assert_eq!(submission.folder, "a");
    let folder = submission.root.parent().unwrap().to_owned();
    assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    let copy = submission.clone();
    drop(submission);
    assert!(folder.exists());
    drop(copy);
    assert!(!folder.exists());
}

#[tokio::test]
async fn no_entry_comes_to_lie_outside() {
    let outside = ["../out", "a/../../out", "/tmp/imparcial-out", "C:\\out", "c:/out", "..\\out", "\\out", ".."];
    let zip = outside.iter().fold(Zip::default(), |zip, name| zip.file(name, b"x"));
    let zip = zip.entry(b"../folder/", 0o040_755, 0, b"").file("docker-compose.yml", COMPOSE).file("b\\c", b"x").done();
    let submission = taken("a.zip", &zip).await;
    assert_eq!(names(&submission), ["b/c", "docker-compose.yml"]);
    assert!(said(&submission).contains("(9; their names lead out of the archive): `../out`, `a/../../out`"));

    let outside = ["../out", "a/../../out", "/tmp/imparcial-out", "C:/out"];
    let tar = outside.iter().fold(Tar::default(), |tar, name| tar.file(name, b"x"));
    let submission = taken("a.tgz", &tar.file("./docker-compose.yml", COMPOSE).gz()).await;
    assert_eq!(names(&submission), ["docker-compose.yml"]);
    assert!(said(&submission).contains("(4; their names"));
    assert!(!Path::new("/tmp/imparcial-out").exists() && !submission.root.parent().unwrap().join("out").exists());
}

#[tokio::test]
async fn links_lead_inside_or_are_left_out_and_nothing_is_written_through_them() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "of the host").unwrap();
    let out = outside.path().as_os_str().as_bytes();
    let secret = [out, b"/secret"].concat();
    let tar = Tar::default()
        .entry(EntryType::Symlink, b"out", out, b"")
        .file("out/written", b"through")
        .entry(EntryType::Symlink, b"absolute", &secret, b"")
        .entry(EntryType::Symlink, b"up", b"../../etc/passwd", b"")
        .entry(EntryType::Symlink, b"nothing", b"there/is", b"")
        .entry(EntryType::Link, b"hard", &secret, b"")
        .entry(EntryType::Link, b"hard2", b"../../../../etc/passwd", b"")
        .entry(EntryType::Link, b"hard3", b"d/up", b"")
        // Each inside as it is written, together outside.
        .entry(EntryType::Symlink, b"d/up", b"..", b"")
        .entry(EntryType::Symlink, b"climb", b"d/up/../../x", b"")
        .entry(EntryType::Symlink, b"climb2", b"d/up/..", b"")
        .entry(EntryType::Symlink, b"d/up/below", b"../docker-compose.yml", b"")
        .entry(EntryType::Symlink, b"d/good", b"../docker-compose.yml", b"")
        .entry(EntryType::Link, b"twin", b"docker-compose.yml", b"")
        .file("docker-compose.yml", COMPOSE);
    let submission = taken("a.tar", &tar.done()).await;
    let compose = String::from_utf8_lossy(COMPOSE).into_owned();
    let expected = [
        ("d/good", "-> ../docker-compose.yml"),
        ("d/up/below", "-> ../docker-compose.yml"),
        ("docker-compose.yml", &compose),
        ("out/written", "through"),
        ("twin", &compose),
    ];
    let all = files(&submission);
    let all: Vec<(&str, &str)> = all.iter().map(|(path, content)| (path.as_str(), content.as_str())).collect();
    // `d/up` is a folder by the time of its links or a link itself: either way nothing lies below one that leads out.
    assert_eq!(all.iter().filter(|(path, _)| !path.starts_with("d/up")).copied().collect::<Vec<_>>(), {
        expected.iter().filter(|(path, _)| !path.starts_with("d/up")).copied().collect::<Vec<_>>()
    });
    for (path, _) in &all {
        let real = submission.root.join(path).canonicalize().unwrap();
        assert!(real.starts_with(&submission.root), "{path}");
    }
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    assert!(said(&submission).contains("links that lead out of it, or to nothing"), "{}", said(&submission));

    let zip = Zip::default()
        .entry(b"passwd", 0o120_777, 0, b"/etc/passwd")
        .file("passwd/x", b"x")
        .entry(b"good", 0o120_777, 0, b"docker-compose.yml")
        .file("docker-compose.yml", COMPOSE);
    let submission = taken("a.zip", &zip.done()).await;
    assert_eq!(files(&submission)["good"], "-> docker-compose.yml");
    assert_eq!(names(&submission), ["docker-compose.yml", "good", "passwd/x"]);
}

#[tokio::test]
async fn only_regular_files_and_without_special_bits() {
    let tar = Tar::default()
        .entry(EntryType::Fifo, b"pipe", b"", b"")
        .entry(EntryType::Char, b"null", b"", b"")
        .entry(EntryType::Block, b"disk", b"", b"")
        .file("docker-compose.yml", b"old")
        .file("docker-compose.yml", COMPOSE)
        .file("docker-compose.yml/below", b"x")
        .file("__MACOSX/._docker-compose.yml", b"x")
        .file("app/.DS_Store", b"x");
    let submission = taken("a.tar.gz", &tar.gz()).await;
    assert_eq!(names(&submission), ["docker-compose.yml"]);
    assert_eq!(files(&submission)["docker-compose.yml"].as_bytes(), COMPOSE, "the last of a name counts");
    let mode = submission.root.join("docker-compose.yml").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o7022, 0, "{mode:o}");
    assert!(said(&submission).contains("(3; neither files nor folders): `pipe`, `null`, `disk`"));
    assert!(
        said(&submission).contains("(1; no name for a file, or that of something else): `docker-compose.yml/below`")
    );
}

#[tokio::test]
async fn what_windows_packs_may_be_run_and_modes_are_kept() {
    let zip = || Zip::default().file("docker-compose.yml", COMPOSE).file("start.sh", b"#!/bin/sh\n");
    let run = zip().entry(b"run", 0o100_755, 0, b"");
    for (zip, modes) in [(zip().of_windows().done(), [0o755, 0o755]), (run.done(), [0o644, 0o644])] {
        let submission = taken("a.zip", &zip).await;
        let mode = |name: &str| submission.root.join(name).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!([mode("start.sh"), mode("docker-compose.yml")], modes);
        assert!(!submission.root.join("run").exists() || mode("run") == 0o755);
    }
}

#[tokio::test]
async fn hostile_names_are_harmless() {
    let raw: [&[u8]; 6] = [
        b"'quotes\"`$(id)`",
        b"two\nlines",
        "🐳 \u{202e}gpj.exe".as_bytes(),
        b"\x1b[31mred",
        b"::error::x",
        b"not utf-8 \xff\xfe",
    ];
    let tar = raw.iter().fold(Tar::default(), |tar, name| tar.file([b"s/", *name, b".sql"].concat(), b"select 1"));
    let submission = taken("a.tar", &tar.file("s/docker-compose.yml", COMPOSE).done()).await;
    let seen: Vec<OsString> = fs::read_dir(&submission.root).unwrap().map(|e| e.unwrap().file_name()).collect();
    for name in raw {
        assert!(seen.contains(&OsString::from_vec([name, b".sql"].concat())), "{name:?}");
    }
    assert_eq!(submission.sql.len(), raw.len());

    let zip = raw.iter().fold(Zip::default(), |zip, name| zip.file([*name, b".sql"].concat(), b"select 1"));
    let zip =
        zip.file([b"a", &[b'x'; 300][..]].concat(), b"").file(b"nul\0.yml", b"").file("docker-compose.yml", COMPOSE);
    let submission = taken("a.zip", &zip.done()).await;
    assert_eq!(submission.sql.len(), raw.len());
    assert!(submission.sql.contains(&PathBuf::from("not utf-8 \u{a0}■.sql")), "of DOS: {:?}", submission.sql);
    let said = said(&submission);
    assert!(said.contains("(2; no name for a file") && !said.contains('\0'), "{said}");
}

#[tokio::test]
async fn what_grows_too_much_is_stopped_while_it_does() {
    let zeros = vec![0; 3 << 20];
    let small = Caps { bytes: 1 << 20, ..Caps::default() };
    let bomb = Caps { small: 1 << 20, ..Caps::default() };
    for (name, bytes) in [
        ("a.zip", Zip::default().file("zeros", &zeros).done()),
        ("a.tgz", Tar::default().file("zeros", &zeros).gz()),
        // What is left out has to be read past.
        ("b.tgz", Tar::default().file("../zeros", &zeros).gz()),
    ] {
        assert!(hopeless(name, &bytes, small).await.contains("larger than 1 MiB"));
        assert!(hopeless(name, &bytes, bomb).await.contains("unpacking was stopped"), "{name}");
    }
    // A zip that claims to be small.
    let mut lies = Zip::default().file("zeros", &zeros).done();
    let claimed = (zeros.len() as u32).to_le_bytes();
    while let Some(at) = lies.windows(4).position(|w| w == claimed) {
        lies[at..at + 4].copy_from_slice(&[1, 0, 0, 0]);
    }
    let seen = hopeless("a.zip", &lies, small).await;
    assert!(seen.contains("larger than") || seen.contains("damaged"), "{seen}");
    // A name of megabytes would be held in memory.
    let long = Tar::default().entry(EntryType::GNULongName, b"././@LongLink", b"", &zeros).file("x", b"").gz();
    assert!(hopeless("a.tgz", &long, Caps::default()).await.contains("more headers than any file has"));
}

#[tokio::test]
async fn what_is_left_out_of_a_folder_is_left_out_of_an_archive_and_does_not_count() {
    let zeros = vec![0; 3 << 20];
    let caps = Caps { bytes: 1 << 20, small: 1 << 19, entries: 5, ..Caps::default() };
    let zip = Zip::default()
        .file("s/docker-compose.yml", COMPOSE)
        .file("s/vm/node1.VDI", &zeros)
        .file("s/.vagrant/box", &zeros)
        .entry(b"s/.vagrant/", 0o040_755, 0, b"")
        .entry(b"s/.vagrant/link", 0o120_777, 0, b"objects");
    let tar = || {
        Tar::default()
            .file("s/vm/node1.VDI", &zeros)
            .file("s/.vagrant/box", &zeros)
            .entry(EntryType::Directory, b"s/.vagrant/", b"", b"")
            .entry(EntryType::Link, b"s/.vagrant/link", b"s/.vagrant/box", b"")
            .file("s/docker-compose.yml", COMPOSE)
            .file("s/.vagrantfile/x", b"")
    };
    for (name, bytes) in [("a.zip", zip.done()), ("a.tgz", tar().gz()), ("a.tar", tar().done())] {
        let submission = taken_within(name, &bytes, caps).await.unwrap();
        assert!(submission.compose.is_some(), "{name}: {}", said(&submission));
        let left =
            "submission.left_out: left out of what was handed in (1; disks of virtual machines): `s/vm/node1.VDI`\n";
        assert_eq!(said(&submission), left, "{name}");
        assert_eq!(submission.not_unpacked, [Path::new("vm/node1.VDI")]);
        assert!(!submission.root.join(".vagrant").exists());
    }
    // Reading past it has an end too.
    let seen = hopeless("a.tgz", &tar().gz(), Caps { past: 4 << 20, ..caps }).await;
    assert!(seen.contains("larger than 4 MiB"), "{seen}");
    // What is not there because it was left out is not called empty.
    let submission = taken("a.zip", &Zip::default().file("node1.vdi", b"x").done()).await;
    assert!(!said(&submission).contains("there is no file in") && submission.problems().count() == 1);
}

#[tokio::test]
async fn a_file_that_says_it_is_huge_is_left_out() {
    let mut header = ::tar::Header::new_gnu();
    header.set_path("dump.bin").unwrap();
    header.set_size(600 << 20);
    header.set_mode(0o644);
    header.set_cksum();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let zeros = vec![0; 1 << 20];
    std::io::Write::write_all(&mut gz, header.as_bytes()).unwrap();
    for _ in 0..600 {
        std::io::Write::write_all(&mut gz, &zeros).unwrap();
    }
    std::io::Write::write_all(&mut gz, &Tar::default().file("docker-compose.yml", COMPOSE).done()).unwrap();
    let submission = taken("a.tgz", &gz.finish().unwrap()).await;
    assert_eq!(names(&submission), ["docker-compose.yml"]);
    assert!(said(&submission).contains("(1; larger than any file that services need): `dump.bin`"));
}

#[tokio::test]
async fn too_many_and_too_deep_are_stopped() {
    let tar =
        (0..=Caps::default().entries).fold(Tar::default(), |tar, _| tar.entry(EntryType::Directory, b"d/", b"", b""));
    assert!(hopeless("a.tar", &tar.done(), Caps::default()).await.contains("more than 100000 files and folders"));
    let few = Caps { entries: 10, ..Caps::default() };
    let one_name = ["d"; 11].join("/");
    assert!(hopeless("a.tar", &Tar::default().file(&one_name, b"").done(), few).await.contains("more than 10"));
    let zip = (0..11).fold(Zip::default(), |zip, n| zip.file(format!("{n}"), b""));
    assert!(hopeless("a.zip", &zip.done(), few).await.contains("more than 10"));
    // The list of a zip is not even read.
    let mut claims = Zip::default().file("x", b"").done();
    claims.extend(b"PK\x06\x06");
    claims.extend([0; 28]);
    claims.extend(5_000_000_u64.to_le_bytes());
    claims.extend([0; 16]);
    assert!(hopeless("a.zip", &claims, Caps::default()).await.contains("more than 100000"));
    let deep = ["d"; 65].join("/");
    assert!(hopeless("a.zip", &Zip::default().file(deep, b"").done(), Caps::default()).await.contains("64 deep"));
}

#[tokio::test]
async fn what_is_locked_empty_or_cut_off_is_its_own_fault() {
    let locked = Zip::default().entry(b"docker-compose.yml", 0o100_644, 1, COMPOSE).done();
    assert!(hopeless("a.zip", &locked, Caps::default()).await.contains("password"));
    for (name, bytes) in [
        ("a.zip", Zip::default().done()),
        ("a.tgz", Tar::default().gz()),
        ("a.zip", Zip::default().file("__MACOSX/x", b"x").entry(b"folder/", 0o040_755, 0, b"").done()),
    ] {
        assert!(hopeless(name, &bytes, Caps::default()).await.contains("there is no file"), "{name}");
    }
    let digests = (0..600_u32).flat_map(|n| sha2::Sha256::digest(n.to_le_bytes()));
    let noise: Vec<u8> = digests.collect();
    let zip = Zip::default().file("docker-compose.yml", COMPOSE).file("noise", &noise).done();
    let tar = || Tar::default().file("docker-compose.yml", COMPOSE).file("noise", &noise);
    for (name, bytes) in [("a.zip", zip), ("a.tgz", tar().gz()), ("a.tar", tar().done())] {
        for cut in [600, 1700, 5_000, 12_345, 19_000] {
            let seen = hopeless(name, &bytes[..cut], Caps::default()).await;
            assert!(seen.contains("damaged or cut off"), "{name} {cut}: {seen}");
        }
    }
    // A bit that fell over.
    let mut zip = Zip::default().file("docker-compose.yml", COMPOSE).file("noise", &noise).done();
    zip[9_000] ^= 1;
    assert!(hopeless("a.zip", &zip, Caps::default()).await.contains("damaged"));
}

#[tokio::test]
async fn what_is_no_archive_is_the_callers_mistake() {
    for (name, bytes, words) in [
        ("a.zip", &b"<html>please log in</html>"[..], "neither a folder nor an archive"),
        ("a.zip", b"", "neither a folder nor an archive"),
        ("a.rar", b"Rar!\x1a\x07\x01\x00", "(rar)"),
        ("a.zip", b"7z\xbc\xaf\x27\x1c\0\x04", "(7z)"),
        ("docker-compose.yml", COMPOSE, "neither a folder nor an archive"),
    ] {
        let error = taken_within(name, bytes, Caps::default()).await.unwrap_err();
        assert_eq!(error.fault, Fault::Caller);
        assert!(error.text.en.contains(words) && error.text.es.contains("no se pudo leer la entrega"), "{error}");
    }
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gz, &COMPOSE.repeat(40)).unwrap();
    let error = taken_within("a.yml.gz", &gz.finish().unwrap(), Caps::default()).await.unwrap_err();
    assert!(error.text.en.contains("(gzip)"), "{error}");
    let submission = taken("a.zip", &Tar::default().file("docker-compose.yml", COMPOSE).gz()).await;
    assert!(submission.compose.is_some() && said(&submission).contains("is a tar.gz by its content"));
    let given =
        |what: &str, branch: Option<&str>| Given { what: what.into(), branch: branch.map(str::to_owned), watch: None };
    for given in
        [given("/nowhere/a.zip", None), given("/tmp", Some("main")), given("http://h/x", None), given("-x", None)]
    {
        let error = take(&given, &ReadOptions::default(), &CancellationToken::new()).await.unwrap_err();
        assert_eq!(error.fault, Fault::Caller, "{error}");
    }
}

#[tokio::test]
async fn it_can_be_interrupted() {
    let cancel = CancellationToken::new();
    cancel.cancel();
    let handed = handed("a.zip", &Zip::default().file("docker-compose.yml", COMPOSE).done());
    let given = Given { what: handed.path.clone().into(), branch: None, watch: None };
    let error = take(&given, &ReadOptions::default(), &cancel).await.unwrap_err();
    assert_eq!(error.fault, Fault::Interrupted);
}

//! The run's folder on a real disk.

use super::*;
use crate::record::fixture;

fn folder() -> (tempfile::TempDir, RunFolder) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let folder = RunFolder::create(&dir.path().join("reports"), "run-1").expect("made");
    (dir, folder)
}

fn entries(path: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_staged_record_reads_back_as_interrupted() {
    let (_dir, folder) = folder();
    let record = fixture::typical();
    folder.stage(&record).unwrap();
    let back = load(folder.path()).unwrap();
    assert!(back.interrupted, "nothing more may ever be written");
    assert_eq!(back.checks.len(), record.checks.len());
    assert_eq!(back.folder, folder.path().to_string_lossy());
    assert_eq!(entries(folder.path()), ["evidence", "record.json"], "no temporary file is left");
}

#[test]
fn evidence_names_are_safe_and_unique() {
    let (_dir, folder) = folder();
    assert_eq!(folder.evidence(STACK, "app.log", b"one").unwrap(), "evidence/stack/app.log");
    assert_eq!(folder.evidence("page", "App.log", b"two").unwrap(), "evidence/page/App-2.log", "unique in the run");
    assert_eq!(folder.evidence("page", "../../app.log", b"three").unwrap(), "evidence/page/_._app.log");
    assert_eq!(folder.evidence("../../x", "/etc/passwd", b"four").unwrap(), "evidence/_._x/_etc_passwd");
    assert_eq!(fs::read_to_string(folder.path().join("evidence/page/App-2.log")).unwrap(), "two");
    assert_eq!(entries(&folder.path().join("evidence")), ["_._x", "page", "stack"]);
}

#[test]
fn evidence_is_cut_with_both_ends_kept() {
    let (_dir, folder) = folder();
    let mut log = b"first\n".to_vec();
    log.extend(std::iter::repeat_n(b'x', 2 * sanitize::EVIDENCE_LIMIT));
    log.extend(b"\n\x1b[31mlast\x1b[0m\n");
    let name = folder.evidence(STACK, "big.log", &log).unwrap();
    let kept = fs::read_to_string(folder.path().join(name)).unwrap();
    assert!(kept.len() <= sanitize::EVIDENCE_LIMIT + 100);
    assert!(kept.starts_with("first\n") && kept.ends_with("\nlast\n"));
    let said = kept.lines().find(|line| line.contains("bytes left out")).expect("it says so");
    let left_out: usize = said.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap();
    // The colour of the last line is cleaned away after the cut.
    let cleaned = "\x1b[31m\x1b[0m".len();
    assert_eq!(kept.len() - said.len() - "\n\n".len() + left_out + cleaned, log.len(), "{said}");
}

#[test]
fn latest_is_switched_and_stays_relative() {
    let (dir, one) = folder();
    one.link_latest().unwrap();
    let root = dir.path().join("reports");
    let two = RunFolder::create(&root, "run-2").unwrap();
    two.link_latest().unwrap();
    assert_eq!(fs::read_link(root.join("latest")).unwrap(), Path::new("run-2"));
    assert_eq!(entries(&root), ["latest", "run-1", "run-2"]);
}

#[test]
fn a_folder_named_latest_is_not_replaced() {
    let (dir, one) = folder();
    let latest = dir.path().join("reports/latest");
    fs::create_dir(&latest).unwrap();
    let error = one.link_latest().unwrap_err();
    assert!(error.to_string().contains("could not point `latest`"), "{error}");
    assert!(latest.is_dir());
    assert_eq!(entries(&dir.path().join("reports")), ["latest", "run-1"]);
}

#[test]
fn a_run_is_not_written_over_and_bad_names_are_refused() {
    let (dir, _one) = folder();
    let root = dir.path().join("reports");
    let error = RunFolder::create(&root, "run-1").unwrap_err();
    assert!(error.text().en.contains("recorded already"), "{error}");
    for bad in ["", "..", "a/b", "latest", ".hidden"] {
        assert!(RunFolder::create(&root, bad).is_err(), "{bad:?}");
    }
}

#[test]
fn what_cannot_be_written_to_is_found_before_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = RunFolder::create(&file.join("reports"), "run").unwrap_err();
    let text = error.text();
    assert!(text.en.starts_with("could not make the run's folder") && text.en.contains("\nhint: "), "{}", text.en);
    assert!(text.es.contains("\nsugerencia: "), "{}", text.es);
    // A kernel interface takes no files from anyone, root included.
    assert!(RunFolder::create(Path::new("/proc/imparcial"), "run").is_err());
}

#[test]
fn a_full_disk_is_called_that() {
    let full = io::Error::from(io::ErrorKind::StorageFull);
    let error = StoreError::new(Doing::Write, Path::new("reports/x"), full.into());
    assert!(error.text().en.contains("the disk is full"), "{error}");
    assert!(error.text().es.contains("el disco está lleno"));
    // The kernel's own full device.
    let error = write_synced(Path::new("/dev/full"), b"x").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
}

#[test]
fn other_versions_and_other_files_are_told_apart() {
    let (dir, folder) = folder();
    let mut record = fixture::typical();
    record.version = VERSION + 1;
    folder.stage(&record).unwrap();
    let error = load(folder.path()).unwrap_err();
    assert!(matches!(*error.kind, StoreErrorKind::Version(_)));
    assert!(error.to_string().contains("use the newer one"), "{error}");

    fs::write(folder.path().join(RECORD), b"\x7fELF\0\x01").unwrap();
    assert!(matches!(*load(folder.path()).unwrap_err().kind, StoreErrorKind::Format(_)));
    fs::write(folder.path().join(RECORD), b"{\"version\": 1}").unwrap();
    assert!(matches!(*load(folder.path()).unwrap_err().kind, StoreErrorKind::Format(_)));
    let error = load(&dir.path().join("nowhere")).unwrap_err();
    assert!(error.to_string().contains("no run was recorded there"), "{error}");
}

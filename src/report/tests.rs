//! What holds of every format at once: what may not be seen is not there, and hostile output stays text.

use std::fs;
use std::path::Path;

use super::*;
use crate::record::fixture;

const SECRET: &str = "SECRET";

fn every_format(record: &RunRecord) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for format in FORMATS {
        for lang in [Lang::En, Lang::Es] {
            let bytes = (format.render)(record, &grade(record), lang).expect("rendered");
            all.push((format!("{} {lang:?}", format.name), String::from_utf8(bytes).expect("UTF-8")));
        }
    }
    all
}

#[test]
fn what_may_not_be_seen_is_in_no_format() {
    let record = fixture::with_secrets();
    for (format, text) in every_format(&shown_to(&record, Audience::Student)) {
        assert!(!text.contains(SECRET), "{format}: {text}");
        assert!(text.contains("guarded"), "{format}: the check whose details are not shown is itself there");
    }
    for (format, text) in every_format(&shown_to(&record, Audience::AfterDue)) {
        assert!(text.contains("after-SECRET-due") && !text.contains("teacher-SECRET"), "{format}: {text}");
    }
    for (format, text) in every_format(&record) {
        assert!(text.contains("teacher-SECRET"), "{format} would not show it in any case, so this test proves nothing");
    }
}

#[test]
fn machines_are_container_nodes_and_each_box_names_its_node_once_wherever_a_run_is_described() {
    let mut record = fixture::typical();
    record.machines = Some(fixture::machines("centos/7", Some(Text::new("no node is it", "ningún nodo lo es"))));
    for (format, text) in every_format(&record) {
        // Annotations and the strict JUnit have no place for what is of a whole run; the record has the words of data.
        let (nodes, served) = match format.as_str() {
            it if it.starts_with("github-annotations") || it.starts_with("junit-strict") => continue,
            it if it.starts_with("json") => (r#""provider": "docker""#, r#""stand_in": "Debian 12 container""#),
            it if it.ends_with("En") => ("container nodes, not virtual machines", "is served by Debian 12 container"),
            _ => ("nodos en contenedores, no máquinas virtuales", "lo sirve Debian 12 container"),
        };
        let plain = text.split_whitespace().collect::<Vec<_>>().join(" ").replace('\\', "");
        assert!(plain.matches(nodes).count() == 1 && plain.matches(served).count() == 1, "{format}: {plain}");
        assert!(plain.contains("centos/7") && plain.contains("worker2"), "{format}: {plain}");
    }
}

/// Every file below a folder, with what is in it.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
        if entry.is_dir() {
            all.extend(files(&entry));
        } else {
            all.push((entry.display().to_string(), fs::read_to_string(&entry).unwrap()));
        }
    }
    all
}

#[test]
fn the_folder_for_a_student_holds_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(dir.path(), "run-1").unwrap();
    let mut record = fixture::with_secrets();
    record.evidence = vec![folder.evidence("stack", "compose-up.txt", b"of the stack").unwrap()];
    let log = folder.evidence("stack", "service-app.log", SECRET.as_bytes()).unwrap();
    for check in &mut record.checks {
        let said = if check.visibility == "student" && check.details.is_empty() { "open" } else { SECRET };
        check.evidence = vec![folder.evidence(&check.id, &format!("{}.txt", check.id), said.as_bytes()).unwrap()];
    }
    record.checks[0].evidence.extend(["../../../etc/passwd".to_owned(), log.clone()]);
    record.evidence.push(log);
    write_all(&folder, &record, Lang::Es).unwrap();
    // Again, as when a run is graded again for somebody else: nothing stays of what was there.
    fs::create_dir(folder.path().join("student")).unwrap();
    fs::write(folder.path().join("student/left.txt"), SECRET).unwrap();
    let shown = write_for(&folder, &record, Audience::Student, Lang::Es).unwrap();
    assert!(shown.folder.ends_with("run-1/student"), "{}", shown.folder);

    let found = files(&folder.path().join("student"));
    for (name, text) in &found {
        assert!(!text.contains(SECRET) && !name.contains(SECRET), "{name}: {text}");
    }
    let seen = record.checks.iter().filter(|c| c.visibility == "student" && c.details.is_empty()).count();
    assert_eq!(found.len(), 3 + 1 + seen, "three reports, how it came up, and what each check shown has: {found:#?}");
    assert!(found.iter().any(|(name, text)| name.ends_with("evidence/stack/compose-up.txt") && text == "of the stack"));
    assert!(files(folder.path()).iter().any(|(_, text)| text.contains("teacher-SECRET")), "the teacher's are whole");
    let back = crate::record::store::load(&folder.path().join("student")).unwrap();
    assert_eq!((back.audience, back.withheld), (Audience::Student, shown.withheld));
}

#[test]
fn for_the_teacher_nothing_more_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(dir.path(), "run-1").unwrap();
    let shown = write_for(&folder, &fixture::with_secrets(), Audience::Teacher, Lang::En).unwrap();
    assert!(shown.folder.ends_with("run-1") && shown.withheld == crate::record::Withheld::default());
    assert_eq!(files(folder.path()).len(), 0);
}

#[test]
fn hostile_output_is_text_in_every_format() {
    let formats = every_format(&fixture::hostile());
    assert_eq!(formats.len(), 2 * FORMATS.len());
    for (format, text) in formats {
        assert_eq!(text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t')), None, "{format}: controls");
        let moves = |c: &char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{ffff}');
        assert_eq!(text.chars().find(moves), None, "{format}: direction marks and what XML forbids");
        // GitHub takes white space before a command.
        let ours = |line: &str| format.starts_with("github-annotations") && line.contains(" file=");
        let command = text.lines().find(|line| line.trim_start().starts_with("::") && !ours(line));
        assert_eq!(command, None, "{format}: a workflow command");
        for tag in ["##[", "##vso[", "[[ATTACHMENT|/", "[[PROPERTY|"] {
            assert!(!text.contains(tag), "{format}: {tag}");
        }
        // The record keeps what it was given; the engine cuts it before.
        if !format.starts_with("json") {
            assert!(text.len() < 200_000, "{format}: {} bytes with a line of 360 KB twice", text.len());
        }
        if format.starts_with("github ") {
            assert!(!text.contains("<script>"), "{format}: markup");
            // In `<pre>` nothing is Markdown.
            let outside = text.split("<pre>").map(|part| part.split_once("</pre>").map_or(part, |(_, rest)| rest));
            assert!(!outside.collect::<String>().contains("!["), "{format}: an image");
        }
    }
}

#[test]
fn what_a_full_disk_refused_is_kept_elsewhere() {
    let record = RunRecord { run: format!("rescued-{}", std::process::id()), ..fixture::typical() };
    let saved = rescue(&record, Lang::En).unwrap();
    let folder = Path::new(&saved.folder);
    let kept = crate::record::store::load(folder).unwrap();
    let text = fs::read_to_string(folder.join("report.txt")).unwrap();
    let mode = fs::metadata(folder).unwrap().permissions().mode();
    fs::remove_dir_all(folder).unwrap();
    assert_eq!(mode & 0o777, 0o700, "it is the teacher's");
    assert_eq!(grade(&kept), grade(&record));
    assert!(kept.all_evidence().is_empty() && text.contains(&record.run), "{text}");
}

//! Folders as deliveries have them.

use super::*;

const COMPOSE: &str = "services:\n  app: {build: ., ports: ['5000:5000']}\n  db: {image: 'mysql:5.7'}\n";

fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (file, content) in files {
        let path = dir.path().join(file);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        std::fs::write(path, content).expect("a file");
    }
    dir
}

fn seen(files: &[(&str, &[u8])]) -> Submission {
    let dir = folder(files);
    read(dir.path(), &ReadOptions::default()).expect("a submission")
}

fn chosen(submission: &Submission) -> Option<String> {
    submission.compose.as_ref().map(|file| file.path.display().to_string())
}

fn has(submission: &Submission, id: &str, level: Level) -> bool {
    submission.notices.iter().any(|n| n.id == id && n.level == level && !n.text.en.is_empty() && !n.text.es.is_empty())
}

#[test]
fn a_compose_file_of_any_name_in_any_folder() {
    for name in [
        "docker-compose.yml",
        "Exam2/docker_compose.yml",
        "docker-compose/docker-compose.yaml",
        "playbooks/roles/x/files/compose.yml",
        "Dockerfile-compose.yml",
        "docker-swarm.yml",
        "deploy/stack.yml",
        "cosas/servicios.yaml",
        "Docker-Compose.YML",
        "Año 2019/parcial.yml",
    ] {
        let submission = seen(&[(name, COMPOSE.as_bytes()), ("playbook.yml", b"- hosts: all\n"), ("README.md", b"x")]);
        let notices: Vec<_> = submission.notices.iter().filter(|n| n.id != "compose.no_dockerfile").collect();
        assert_eq!(chosen(&submission).as_deref(), Some(name));
        assert!(notices.is_empty(), "{notices:?}");
    }
}

#[test]
fn of_several_one_counts_and_the_notice_says_why() {
    let image_only = b"services: {a: {image: x}, db: {image: mysql}}\n".as_slice();
    let swarm = b"services: {app: {build: .}, db: {image: mysql}}\nnetworks: {n: {driver: overlay}}\n".as_slice();
    for (files, want) in [
        (
            vec![("docker-compose.yml", image_only), ("dev/docker-compose.yml", COMPOSE.as_bytes())],
            "dev/docker-compose.yml",
        ),
        (
            vec![("docker-compose.yml", COMPOSE.as_bytes()), ("old/docker-compose.yml", COMPOSE.as_bytes())],
            "docker-compose.yml",
        ),
        (
            vec![("docker-compose.yml", COMPOSE.as_bytes()), ("docker-compose-dev.yml", COMPOSE.as_bytes())],
            "docker-compose.yml",
        ),
        (
            vec![("a/docker-swarm.yml", COMPOSE.as_bytes()), ("a/docker_compose.yml", COMPOSE.as_bytes())],
            "a/docker_compose.yml",
        ),
        (vec![("docker-compose.yml", swarm), ("x/compose.yml", COMPOSE.as_bytes())], "x/compose.yml"),
        (vec![("docker-compose.yml", b"a: [".as_slice()), ("x/compose.yml", COMPOSE.as_bytes())], "x/compose.yml"),
    ] {
        let submission = seen(&files);
        assert_eq!(chosen(&submission).as_deref(), Some(want));
        assert!(has(&submission, "submission.chosen_compose", Level::Info), "{want}");
        assert_eq!(submission.compose_files.len(), 2);
    }
    let with_override =
        seen(&[("docker-compose.yml", COMPOSE.as_bytes()), ("docker-compose.override.yml", COMPOSE.as_bytes())]);
    assert_eq!(chosen(&with_override).as_deref(), Some("docker-compose.yml"));
    assert!(has(&with_override, "submission.override_file", Level::Info));
}

#[test]
fn two_equals_are_a_problem_and_an_option_settles_it() {
    let dir = folder(&[("a/docker-compose.yml", COMPOSE.as_bytes()), ("b/docker-compose.yml", COMPOSE.as_bytes())]);
    let submission = read(dir.path(), &ReadOptions::default()).expect("a submission");
    assert!(submission.compose.is_none() && submission.compose_error.is_none());
    let said = submission.notices.iter().find(|n| n.id == "submission.ambiguous_compose").expect("a notice");
    assert_eq!(said.level, Level::Problem);
    for text in [&said.text.en, &said.text.es] {
        assert!(
            text.contains("a/docker-compose.yml")
                && text.contains("b/docker-compose.yml")
                && text.contains("--compose-file")
        );
    }
    for path in [PathBuf::from("b/docker-compose.yml"), dir.path().join("b/docker-compose.yml")] {
        let options = ReadOptions { compose_file: Some(path) };
        let submission = read(dir.path(), &options).expect("a submission");
        assert_eq!(chosen(&submission).as_deref(), Some("b/docker-compose.yml"));
    }
    for path in ["c/docker-compose.yml", "/etc/hostname", "../x.yml", "a"] {
        let options = ReadOptions { compose_file: Some(PathBuf::from(path)) };
        let e = read(dir.path(), &options).expect_err(path);
        assert!(e.to_string().contains("--compose-file"));
    }
}

#[test]
fn nothing_to_grade_is_said_plainly() {
    assert!(has(&seen(&[]), "submission.empty", Level::Problem));
    let none = seen(&[("Dockerfile", b"FROM x"), ("playbook.yml", b"- hosts: all"), ("init.sql", b"")]);
    assert!(has(&none, "submission.no_compose", Level::Problem));
    let said = &none.notices.last().expect("a notice").text;
    assert!(said.en.contains("1 × Dockerfile") && said.en.contains("among 3 files"), "{}", said.en);
}

#[test]
fn files_that_cannot_be_read_do_not_panic() {
    let binary: Vec<u8> = (0..=255).cycle().take(5000).collect();
    for bytes in [binary.as_slice(), b"\x00", b"\xFF\xFE", b"\xFF\xFEa", b"", b"\xC3\x28: [", b"\x1f\x8b\x08\x00"] {
        let submission = seen(&[("docker-compose.yml", bytes)]);
        assert!(submission.compose.is_none());
        let error = submission.compose_error.as_ref().expect("an error");
        assert_eq!(error.id, "compose.invalid");
        assert_eq!(error.at.as_ref().expect("a place").file, "docker-compose.yml");
        assert!(has(&submission, "compose.invalid", Level::Problem));
    }
    let huge = vec![b' '; (1 << 20) + 1];
    let submission = seen(&[("docker-compose.yml", &huge)]);
    assert!(submission.compose_error.expect("an error").text.en.contains("larger than"));
}

#[test]
fn latin_1_is_read_and_told() {
    let submission = seen(&[("docker-compose.yml", b"# contrase\xF1a\nservices:\n  a: {image: x}\n")]);
    assert_eq!(chosen(&submission).as_deref(), Some("docker-compose.yml"));
    assert!(has(&submission, "compose.encoding", Level::Warning));
    let with_bom = [b"\xEF\xBB\xBF".as_slice(), COMPOSE.replace('\n', "\r\n").as_bytes()].concat();
    assert!(seen(&[("docker-compose.yml", &with_bom), ("Dockerfile", b"FROM x")]).notices.is_empty());
}

#[test]
fn env_and_extends_are_read_inside_only() {
    let submission = seen(&[
        ("x/docker-compose.yml", b"services:\n  a: {image: 'x:${T}'}\n  b: {extends: {file: ../c.yml, service: b}}\n  c: {image: y, extends: {file: ../../../../../../etc/hostname, service: b}}\n"),
        ("x/.env", b"T=7\n"),
        ("c.yml", b"services: {b: {image: z}}\n"),
    ]);
    let file = submission.compose.as_ref().expect("a compose file");
    assert_eq!(file.services[0].image.as_deref(), Some("x:7"));
    assert_eq!(file.services[1].image.as_deref(), Some("z"));
    assert!(has(&submission, "compose.extends", Level::Warning));
}

#[test]
fn folders_that_are_none() {
    let e = read(Path::new("/nowhere/at/all"), &ReadOptions::default()).expect_err("no folder");
    assert!(e.text.en.contains("/nowhere/at/all") && e.text.es.contains("no existe"));
    let dir = folder(&[("submission.zip", b"PK")]);
    let e = read(&dir.path().join("submission.zip"), &ReadOptions::default()).expect_err("a file");
    assert!(e.text.en.contains("is a file") && e.text.es.contains("es un archivo"));
}

#[test]
fn builds_are_read_with_their_dockerfiles() {
    let submission = seen(&[
        ("x/docker-compose.yml", b"services:\n  a: {build: ../app}\n  b: {build: {context: .., dockerfile: x/Dockerfile.b, args: {V: '9'}}}\n  c: {build: nowhere}\n  d: {build: ../..}\n"),
        ("app/dockerfile", b"FROM python:3.6\n"),
        ("x/Dockerfile.b", b"ARG V=1\nFROM mysql:$V\n"),
    ]);
    assert_eq!(submission.builds["a"].base(), Some("python:3.6"));
    assert_eq!(submission.builds["a"].file.as_deref(), Some(Path::new("app/dockerfile")));
    assert_eq!(submission.builds["b"].base(), Some("mysql:9"));
    assert_eq!(submission.builds["c"].context, None);
    assert_eq!(submission.builds["d"].context, None);
    assert!(has(&submission, "compose.no_build_context", Level::Warning));
    assert!(!has(&submission, "compose.no_dockerfile", Level::Warning));
}

#[test]
fn machines_alone_are_something_to_grade() {
    let submission = seen(&[("Exam2/vagrantfile", b"Vagrant.configure('2') { }"), ("Exam2/old/Vagrantfile", b"")]);
    assert!(has(&submission, "submission.no_compose", Level::Warning), "{:?}", submission.notices);
    assert!(has(&submission, "submission.chosen_vagrantfile", Level::Info));
    assert_eq!(submission.problems().count(), 0);
    let file = submission.vagrantfile.expect("a Vagrantfile");
    assert_eq!(file.path, Path::new("Exam2/vagrantfile"));
    assert!(matches!(file.loaded, Loaded::NotYet) && file.machines().is_empty());
}

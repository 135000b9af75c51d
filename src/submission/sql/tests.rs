//! Which scripts a store is given, over the ways that deliveries have.

use super::*;
use crate::submission::{ReadOptions, read};

fn scripts(files: &[(&str, &str)]) -> Scripts {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (file, content) in files {
        let path = dir.path().join(file);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        std::fs::write(path, content).expect("a file");
    }
    let submission = read(dir.path(), &ReadOptions::default()).expect("a submission");
    let compose = submission.compose.as_ref().expect("a compose file");
    scripts_for(&submission, compose, "db")
}

fn names(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|p| p.display().to_string()).collect()
}

const TABLE: &str = "CREATE TABLE t (a INT);";

#[test]
fn a_folder_or_a_file_bound_to_the_entrypoint() {
    let bound = |source: &str, target: &str| {
        let compose = format!("services: {{db: {{image: mysql, volumes: ['{source}:{target}']}}}}\n");
        scripts(&[
            ("x/docker-compose.yml", &compose),
            ("x/db/b.sql", TABLE),
            ("x/db/a.sql", TABLE),
            ("x/db/c.sh", "x"),
            ("x/db/deeper/z.sql", TABLE),
            ("x/db/notes.txt", "x"),
        ])
    };
    let folder = bound("./db", "/docker-entrypoint-initdb.d/:ro");
    assert_eq!(names(&folder.given), ["x/db/a.sql", "x/db/b.sql"]);
    assert_eq!(names(&folder.shell), ["x/db/c.sh"]);
    assert_eq!(names(&folder.found), ["x/db/deeper/z.sql"]);
    assert_eq!(folder.expected(), folder.given);
    let file = bound("./db/a.sql", "/docker-entrypoint-initdb.d/init.sql");
    assert_eq!(names(&file.given), ["x/db/a.sql"]);
    assert_eq!(names(&bound("../x/db", "/docker-entrypoint-initdb.d").given), ["x/db/a.sql", "x/db/b.sql"]);
    assert!(bound("./db/a.sql", "/docker-entrypoint-initdb.d/readme").given.is_empty());
    let missing = bound("./sql", "/docker-entrypoint-initdb.d");
    assert!(missing.given.is_empty());
    assert!(missing.why[0].en.contains("not handed in") && missing.why[0].es.contains("no se entregó"));
}

#[test]
fn copied_into_the_image() {
    for copy in [
        "COPY init.sql /docker-entrypoint-initdb.d/",
        "ADD ./init.sql /docker-entrypoint-initdb.d",
        "COPY *.sql /docker-entrypoint-initdb.d/",
        "COPY [\"init.sql\", \"/docker-entrypoint-initdb.d/1.sql\"]",
        "WORKDIR /docker-entrypoint-initdb.d\nCOPY init.sql .",
    ] {
        let seen = scripts(&[
            ("docker-compose.yml", "services: {db: {build: ./base}}\n"),
            ("base/Dockerfile", &format!("FROM mysql:5.7\n{copy}\n")),
            ("base/init.sql", TABLE),
        ]);
        assert_eq!(names(&seen.given), ["base/init.sql"], "{copy}");
    }
}

#[test]
fn an_init_file_of_the_server() {
    for command in [
        "--init-file /data/init_1.sql",
        "mysqld --init_file=/data/init_1.sql --x",
        "[mysqld, --init-file=/data/init_1.sql]",
    ] {
        let compose = format!("services: {{db: {{image: mysql, command: {command}, volumes: ['./sql:/data']}}}}\n");
        let seen = scripts(&[("docker-compose.yml", &compose), ("sql/init_1.sql", TABLE)]);
        assert_eq!(names(&seen.given), ["sql/init_1.sql"], "{command}");
    }
}

#[test]
fn what_is_given_to_nobody_is_found() {
    let seen = scripts(&[
        ("docker-compose.yml", "services: {db: {image: mysql}}\n"),
        ("old/dump.sql", "/* x */CREATE\n  TABLE t (a INT);"),
        ("queries.sql", "SELECT 1;"),
        ("dump.sql.gz", "x"),
    ]);
    assert!(seen.given.is_empty());
    assert_eq!(names(&seen.found), ["dump.sql.gz", "old/dump.sql"]);
    assert_eq!(seen.expected(), seen.found);
    assert!(seen.why[0].es.contains("no se le da ningún script"));
}

#[test]
fn of_several_found_what_the_code_names() {
    let compose = ("docker-compose.yml", "services: {db: {image: mysql}}\n");
    let sql = [
        ("other/tienda.sql", "create table if not exists `tienda`.`Ventas` (a int);"),
        ("db/init.sql", "CREATE TABLE shop.Items(a int);"),
    ];
    let named = scripts(&[compose, sql[0], sql[1], ("app.py", "cursor.execute('SELECT * FROM items')")]);
    assert_eq!(names(&named.found), ["db/init.sql"]);
    let other = scripts(&[compose, sql[0], sql[1], ("app.py", "q = 'select * from ventas;'")]);
    assert_eq!(names(&other.found), ["other/tienda.sql"]);
    let neither = scripts(&[compose, sql[0], sql[1], ("app.py", "x")]);
    assert_eq!(names(&neither.found), ["db/init.sql", "other/tienda.sql"]);
}

#[test]
fn scripts_of_old_editors_are_text() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("a.sql");
    std::fs::write(&path, b"INSERT INTO t VALUES ('pe\xF1a');").expect("a file");
    assert_eq!(text(&path).expect("a text"), "INSERT INTO t VALUES ('peña');");
    std::fs::write(&path, b"\x00\x01").expect("a file");
    assert!(text(&path).is_err());
}

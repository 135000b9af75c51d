//! Which service is which, over the shapes that deliveries have.

use super::super::{ReadOptions, read};
use super::*;

struct Seen {
    roles: BTreeMap<String, Binding>,
}

impl Seen {
    fn service(&self, role: &str) -> Option<&str> {
        self.roles[role].service.as_deref()
    }

    fn both(&self) -> (Option<&str>, Option<&str>) {
        (self.service("app"), self.service("db"))
    }
}

fn seed_roles() -> Vec<RoleSpec> {
    let mut roles = default_roles();
    roles[1].image_family = vec!["mysql".to_owned(), "mariadb".to_owned()];
    roles
}

fn bound(services: &str, dockerfiles: &[(&str, &str)], overrides: &[(&str, &str)]) -> Seen {
    let dir = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(dir.path().join("docker-compose.yml"), format!("version: '3'\nservices:\n{services}"))
        .expect("a file");
    for (file, content) in dockerfiles {
        let path = dir.path().join(file);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        std::fs::write(path, content).expect("a file");
    }
    let submission = read(dir.path(), &ReadOptions::default()).expect("a submission");
    let compose = submission.compose.clone().expect("a compose file");
    let overrides: Vec<_> = overrides.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    let family = |reference: &str| {
        plain_family(reference).or_else(|| (image_name(reference) == "httpd").then(|| "httpd".to_owned()))
    };
    let roles = bind(&seed_roles(), &compose, &submission, &family, &overrides);
    for binding in roles.values() {
        assert!(!binding.why.en.is_empty() && !binding.why.es.is_empty());
        assert!(binding.service.is_none() || binding.candidates.is_empty());
    }
    Seen { roles }
}

#[test]
fn names_do_not_matter() {
    for (app, db) in [("app", "db"), ("web", "mysql"), ("python_backend", "bd"), ("db", "app"), ("php", "datbase")] {
        let seen = bound(
            &format!("  {app}: {{build: ., links: [{db}], ports: ['5000:5000']}}\n  {db}: {{image: 'mysql:5.7'}}\n"),
            &[],
            &[],
        );
        assert_eq!(seen.both(), (Some(app), Some(db)));
    }
}

#[test]
fn a_stock_server_beside_the_app_is_not_the_app() {
    let seen = bound(
        "  web: {image: httpd, ports: ['80:80']}\n  pagina: {build: ., ports: ['5000:5000']}\n  db: {image: mysql}\n",
        &[],
        &[],
    );
    assert_eq!(seen.both(), (Some("pagina"), Some("db")));
    let why = &seen.roles["app"].why;
    assert!(why.en.contains("`web` is stock") && why.es.contains("`web`"), "{why:?}");
}

#[test]
fn a_page_that_talks_to_nothing_is_the_app_all_the_same() {
    let seen = bound("  x: {build: .}\n  db: {image: mysql}\n", &[], &[]);
    assert_eq!(seen.both(), (Some("x"), Some("db")));
}

#[test]
fn a_store_may_be_built_too() {
    let docker = [("base/Dockerfile", "FROM mysql:5.7\n"), ("app/Dockerfile", "FROM python:3.6\n")];
    let seen = bound("  a: {build: ./app, depends_on: [b]}\n  b: {build: ./base}\n", &docker, &[]);
    assert_eq!(seen.both(), (Some("a"), Some("b")));
    assert!(seen.roles["db"].why.en.contains("built on `mysql:5.7`"));
}

#[test]
fn of_several_built_the_one_that_talks_to_the_store() {
    for how in [
        "links: [db]",
        "depends_on: [db]",
        "depends_on: {db: {condition: x}}",
        "environment: {DB_URL: 'mysql://r:p@db:3306/x'}",
        "environment: [HOST=db]",
    ] {
        let seen = bound(
            &format!(
                "  proxy: {{build: ./nginx, ports: ['80:80'], links: [api]}}\n  api: {{build: ./api, {how}}}\n  db: {{image: mysql}}\n"
            ),
            &[],
            &[],
        );
        assert_eq!(seen.both(), (Some("api"), Some("db")), "{how}");
    }
    let networks = bound(
        "  proxy: {build: ./n, networks: [front]}\n  api: {build: ./a, networks: [front, back]}\n  db: {image: mysql, networks: [back]}\n",
        &[],
        &[],
    );
    assert_eq!(networks.both(), (Some("api"), Some("db")));
    // The name of a database is no address.
    let named = bound(
        "  a: {build: ./a, environment: {MYSQL_DATABASE: db}}\n  b: {build: ./b, environment: {H: db}}\n  db: {image: mysql}\n",
        &[],
        &[],
    );
    assert_eq!(named.service("app"), Some("b"));
}

#[test]
fn then_the_one_that_publishes_a_port() {
    let seen = bound(
        "  init: {build: ./i, depends_on: [db]}\n  api: {build: ./a, depends_on: [db], ports: [5000]}\n  db: {image: mysql}\n",
        &[],
        &[],
    );
    assert_eq!(seen.service("app"), Some("api"));
    let copies = bound(
        "  w1: {build: ., links: [db], ports: ['1:1']}\n  w2: {build: ., links: [db], ports: ['2:1']}\n  db: {image: mysql}\n",
        &[],
        &[],
    );
    assert_eq!(copies.service("app"), Some("w1"));
}

#[test]
fn two_apps_with_two_databases_are_open_until_a_role_is_named() {
    let services = "  a1: {build: ./a, links: [d1], ports: ['1:1']}\n  a2: {build: ./b, links: [d2], ports: ['2:2']}\n  d1: {image: mysql}\n  d2: {image: mariadb}\n";
    let seen = bound(services, &[], &[]);
    assert_eq!(seen.both(), (None, None));
    assert_eq!(seen.roles["app"].candidates, ["a1", "a2"]);
    assert_eq!(seen.roles["db"].candidates, ["d1", "d2"]);
    assert!(seen.roles["db"].why.en.contains("--role db=d1") && seen.roles["app"].why.es.contains("--role app=a1"));
    assert_eq!(bound(services, &[], &[("db", "d2")]).both(), (Some("a2"), Some("d2")));
    assert_eq!(bound(services, &[], &[("app", "a1"), ("db", "d1")]).both(), (Some("a1"), Some("d1")));
}

#[test]
fn of_several_stores_the_one_in_use() {
    let seen = bound("  app: {build: ., links: [d2]}\n  d1: {image: mysql}\n  d2: {image: mysql}\n", &[], &[]);
    assert_eq!(seen.both(), (Some("app"), Some("d2")));
    assert!(seen.roles["db"].why.en.contains("not `d1`"));
    // phpMyAdmin uses it too, and is no app; what is built decides.
    let admin = bound(
        "  app: {build: ., links: [d2]}\n  pma: {image: phpmyadmin, links: [d1]}\n  d1: {image: mysql}\n  d2: {image: mysql}\n",
        &[],
        &[],
    );
    assert_eq!(admin.both(), (Some("app"), Some("d2")));
}

#[test]
fn a_cache_beside_the_database_is_not_the_database() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let yaml = "services:\n  app: {build: ., links: [db, cache]}\n  cache: {image: redis}\n  db: {image: mysql}\n";
    std::fs::write(dir.path().join("compose.yml"), yaml).expect("a file");
    let submission = read(dir.path(), &ReadOptions::default()).expect("a submission");
    let compose = submission.compose.as_ref().expect("a compose file");
    let roles = bind(&default_roles(), compose, &submission, &plain_family, &[]);
    assert_eq!(roles["db"].service.as_deref(), Some("db"));
    let alone = "services:\n  app: {build: .}\n  cache: {image: redis}\n";
    std::fs::write(dir.path().join("compose.yml"), alone).expect("a file");
    let submission = read(dir.path(), &ReadOptions::default()).expect("a submission");
    let compose = submission.compose.as_ref().expect("a compose file");
    let roles = bind(&default_roles(), compose, &submission, &plain_family, &[]);
    assert_eq!(roles["db"].service.as_deref(), Some("cache"));
}

#[test]
fn a_store_under_an_unknown_name() {
    let seen = bound("  app: {build: .}\n  datos: {image: 'someone/datos', ports: ['32000:3306']}\n", &[], &[]);
    assert_eq!(seen.both(), (Some("app"), Some("datos")));
    let seen = bound("  app: {build: .}\n  x: {image: 'someone/x', volumes: ['datos:/var/lib/mysql']}\n", &[], &[]);
    assert_eq!(seen.service("db"), Some("x"));
}

#[test]
fn another_database_than_was_asked_for() {
    let seen = bound("  app: {build: .}\n  db: {image: 'postgres:9'}\n", &[], &[]);
    assert_eq!(seen.both(), (Some("app"), None));
    let why = &seen.roles["db"].why;
    assert!(why.en.contains("`db` (postgres:9)") && why.es.contains("ningún servicio"));
}

#[test]
fn nothing_built() {
    let php = bound(
        "  web: {image: 'php:7-apache', volumes: ['./src:/var/www/html'], ports: ['80:80']}\n  db: {image: mysql}\n",
        &[],
        &[],
    );
    assert_eq!(php.both(), (Some("web"), Some("db")));
    let hub = bound("  web: {image: 'someone/app:1', ports: ['5000:5000']}\n  db: {image: mysql}\n", &[], &[]);
    assert_eq!(hub.service("app"), Some("web"));
    let stock = bound("  web: {image: httpd, ports: ['80:80']}\n  db: {image: mysql}\n", &[], &[]);
    assert_eq!(stock.service("app"), None);
    assert!(stock.roles["app"].why.en.contains("--role app="));
    let alone = bound("  db: {image: mysql}\n", &[], &[]);
    assert_eq!(alone.both(), (None, Some("db")));
}

#[test]
fn a_named_role_that_is_not_there() {
    let seen = bound("  web: {build: ., container_name: pagina}\n  db: {image: mysql}\n", &[], &[("app", "nadie")]);
    assert_eq!(seen.service("app"), None);
    let why = &seen.roles["app"].why;
    assert!(
        why.en.contains("no service `nadie`")
            && why.en.contains("`web`, `db`")
            && why.es.contains("no hay ningún servicio `nadie`")
    );
    let by_container =
        bound("  web: {build: ., container_name: pagina}\n  db: {image: mysql}\n", &[], &[("app", "pagina")]);
    assert_eq!(by_container.service("app"), Some("web"));
}

#[test]
fn nobody_is_told_from_several() {
    assert!(Binding::none(String::new(), String::new()).nobody());
    assert!(!Binding::open("db", vec!["one".to_owned(), "two".to_owned()]).nobody());
    assert!(!Binding::to("one", String::new(), String::new()).nobody());
}

#[test]
fn images_and_families() {
    for (reference, family) in [
        ("mysql", Some("mysql")),
        ("docker.io/library/mysql:5.7", Some("mysql")),
        ("localhost:5000/mariadb@sha256:00", Some("mariadb")),
        ("bitnami/postgresql:11", Some("postgres")),
        ("docker.elastic.co/elasticsearch/elasticsearch:7.1.1", Some("elasticsearch")),
        ("mysql-client", None),
        ("", None),
    ] {
        assert_eq!(plain_family(reference).as_deref(), family, "{reference}");
    }
}

#[test]
fn log_collectors_that_are_built_are_not_the_app() {
    let docker = [
        ("Database/Dockerfile", "FROM mysql:5.7\n"),
        ("Web/Dockerfile", "FROM php:7-apache\n"),
        ("fluentd/Dockerfile", "FROM fluent/fluentd:v1.3\n"),
    ];
    let services = "  db: {build: ./Database, networks: [o]}\n  web: {build: ./Web, ports: ['8080:80'], networks: [o]}\n  fluentd: {build: ./fluentd, ports: ['24224:24224'], networks: [o]}\n";
    let seen = bound(services, &docker, &[]);
    assert_eq!(seen.both(), (Some("web"), Some("db")));
    assert!(seen.roles["app"].why.en.contains("is no tool beside an app"));
}

#[test]
fn the_code_tells_who_talks_to_the_store() {
    let docker = [
        ("front/Dockerfile", "FROM node\n"),
        ("front/index.js", "fetch('http://api:5000')\n"),
        ("api/Dockerfile", "FROM python\n"),
        ("api/src/app.py", "connect(host='datos', port=3306)\n"),
    ];
    let services = "  front: {build: ./front, ports: ['80:80']}\n  api: {build: ./api, ports: ['5000:5000']}\n  datos: {image: mysql}\n";
    let seen = bound(services, &docker, &[]);
    assert_eq!(seen.both(), (Some("api"), Some("datos")));
    assert!(seen.roles["app"].why.es.contains("en su código"));
    // The whole submission is one's context: the code of another's folder is not its own.
    let services =
        "  front: {build: ., ports: ['80:80']}\n  api: {build: ./api, ports: ['5000:5000']}\n  datos: {image: mysql}\n";
    assert_eq!(bound(services, &docker, &[]).service("app"), Some("api"));
    let services = "  k: {image: 'elastic/kibana:6', volumes: ['./k:/k'], ports: ['5601:5601']}\n  front: {image: 'x/front', volumes: ['./front:/f'], ports: ['80:80']}\n  api: {image: 'x/api', volumes: ['./api:/a'], ports: ['5000:5000']}\n  datos: {image: mysql}\n";
    assert_eq!(bound(services, &docker, &[]).service("app"), Some("api"));
}

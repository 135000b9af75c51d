//! Spellings of the same things, as deliveries have them.

use super::*;

fn parsed(text: &str) -> Parsed {
    parse(Path::new("docker-compose.yml"), text, &BTreeMap::new(), &|_| None).expect("a compose file")
}

fn file(text: &str) -> ComposeFile {
    parsed(text).file
}

fn service(yaml: &str) -> ServiceDef {
    let indented: String = yaml.lines().map(|line| format!("    {line}\n")).collect();
    file(&format!("version: '3'\nservices:\n  s:\n{indented}")).services.remove(0)
}

fn ids(parsed: &Parsed) -> Vec<&str> {
    parsed.notices.iter().map(|n| n.id.as_str()).collect()
}

#[test]
fn the_seed_file() {
    let file = file(
        "version: \"2\"\nservices:\n  app:\n    build: ./app\n    links:\n      - db\n    ports:\n      - \"5000:5000\"\n  db:\n    image: mysql:5.7\n    ports:\n      - \"32000:3306\"\n    environment:\n      MYSQL_ROOT_PASSWORD: root\n    volumes:\n      - ./db:/docker-entrypoint-initdb.d/:ro\n    mem_limit: 20m\n",
    );
    assert_eq!(file.version.as_deref(), Some("2"));
    let app = file.service("app").expect("app");
    assert_eq!(app.build.as_ref().expect("build").context, "./app");
    assert_eq!(app.links, [("db".to_owned(), "db".to_owned())]);
    assert_eq!(app.ports[0].host, Some(5000));
    assert_eq!(app.at, Place { file: "docker-compose.yml".to_owned(), line: 3, column: 3 });
    let db = file.service("db").expect("db");
    assert_eq!(db.environment["MYSQL_ROOT_PASSWORD"].as_deref(), Some("root"));
    assert!(db.mounts[0].bind && db.mounts[0].read_only);
    let memory = db.memory.as_ref().expect("a limit");
    assert_eq!((memory.value, memory.spelling.as_str(), memory.written.as_str()), (20_971_520.0, "mem_limit", "20m"));
    assert_eq!((memory.at.line, memory.at.column), (17, 16));
    assert!(db.networks.contains_key("default"));
}

#[test]
fn limits_in_every_spelling() {
    let memory = |yaml: &str| service(yaml).memory.map(|l| (l.value, l.spelling));
    let cpus = |yaml: &str| service(yaml).cpus.map(|l| (l.value, l.spelling));
    let at = |value: f64, spelling: &str| Some((value, spelling.to_owned()));
    assert_eq!(memory("mem_limit: 20000000"), at(20_000_000.0, "mem_limit"));
    assert_eq!(memory("mem_limit: '20MB'"), at(20_971_520.0, "mem_limit"));
    let deploy = "deploy:\n  resources:\n    limits:\n      memory: 20M\n      cpus: '0.10'";
    assert_eq!(memory(deploy), at(20_971_520.0, "deploy.resources.limits.memory"));
    assert_eq!(cpus(deploy), at(0.1, "deploy.resources.limits.cpus"));
    assert_eq!(cpus("cpus: .1"), at(0.1, "cpus"));
    assert_eq!(cpus("cpu_quota: 10000"), at(0.1, "cpu_quota"));
    assert_eq!(cpus("cpu_quota: '10ms'"), at(0.1, "cpu_quota"));
    assert_eq!(cpus("cpu_quota: 5000\ncpu_period: 50000"), at(0.1, "cpu_quota/cpu_period"));
    assert_eq!(memory("mem_reservation: 20m"), None);
    assert_eq!(memory("deploy: {resources: {reservations: {memory: 20M}}}"), None);
    assert_eq!(memory("environment: [mem_limit=20m]"), None);
    assert_eq!(cpus("cpu_shares: 10\ncpuset: '0'"), None);
    assert_eq!(memory("mem_limit: 0"), None);
    assert_eq!(cpus("cpu_quota: -1"), None);
    let odd = parsed("services:\n  a:\n    image: x\n    mem_limit: poco\n");
    assert_eq!(ids(&odd), ["compose.unreadable_limit"]);
}

#[test]
fn lists_and_maps_say_the_same() {
    for yaml in ["environment:\n  A: b\n  N: 1\n  Y: yes\n  E:", "environment:\n- A=b\n- N=1\n- Y=yes\n- E"] {
        let env = service(yaml).environment;
        assert_eq!(env["A"].as_deref(), Some("b"));
        assert_eq!(env["N"].as_deref(), Some("1"));
        assert_eq!(env["Y"].as_deref(), Some("yes"));
        assert_eq!(env["E"], None);
    }
    assert_eq!(service("depends_on: [db, x]").depends_on, ["db", "x"]);
    assert_eq!(service("depends_on: {db: {condition: service_healthy}}").depends_on, ["db"]);
    assert_eq!(
        service("build: {context: ./a, dockerfile: D, args: [V=1]}").build.expect("b").args["V"].as_deref(),
        Some("1")
    );
    assert_eq!(service("build: {dockerfile: D}").build.expect("b").context, ".");
    assert_eq!(service("links: ['db:alias']").links, [("db".to_owned(), "alias".to_owned())]);
    let networks = service("networks: {back: {aliases: [mysql, bd]}, front: }").networks;
    assert_eq!(networks["back"], ["mysql", "bd"]);
    assert!(networks["front"].is_empty());
    assert!(service("network_mode: host").networks.is_empty());
    assert_eq!(service("logging: {driver: fluentd}").log_driver.as_deref(), Some("fluentd"));
    assert_eq!(service("deploy: {replicas: 3}").replicas, Some(3));
}

#[test]
fn ports_short_long_and_the_base_60_trap() {
    let port = |yaml: &str| {
        let p = service(yaml).ports.remove(0);
        (p.host, p.container)
    };
    assert_eq!(port("ports: ['5000:5000']"), (Some(5000), 5000));
    assert_eq!(port("ports: [5000]"), (None, 5000));
    assert_eq!(port("ports: [{target: 5000, published: 80}]"), (Some(80), 5000));
    assert_eq!(port("ports: [{target: 5000, published: '80'}]"), (Some(80), 5000));
    assert_eq!(port("ports: [22:22]"), (Some(22), 22));
    let trap = parsed("services:\n  a:\n    image: x\n    ports:\n      - 22:22\n      - 5000:5000\n      - '22:22'\n");
    assert_eq!(ids(&trap), ["compose.base60"]);
    assert_eq!(trap.notices[0].at.as_ref().expect("a place").line, 5);
    assert!(trap.notices[0].text.en.contains("1342") && trap.notices[0].text.es.contains("1342"));
}

#[test]
fn mounts_in_the_long_form() {
    let mounts = service("volumes:\n- {type: bind, source: ./sql, target: /x, read_only: true}\n- {type: volume, source: data, target: /y}\n- {type: tmpfs, target: /z}").mounts;
    assert_eq!(mounts.len(), 2);
    assert!(mounts[0].bind && mounts[0].read_only && !mounts[1].bind);
    assert_eq!(mounts[1].source.as_deref(), Some("data"));
}

#[test]
fn the_first_version_has_no_services_key() {
    for head in ["", "version: \"1\"\n", "version: '1.0'\n", "x-common: {a: b}\n"] {
        let file = file(&format!(
            "{head}web:\n  build: .\n  dockerfile: D\n  links: [db]\ndb:\n  image: mysql\n  net: bridge\n"
        ));
        assert_eq!(file.services.len(), 2, "{head}");
        assert_eq!(file.services[0].build.as_ref().expect("b").dockerfile.as_deref(), Some("D"));
        assert_eq!(file.services[1].network_mode.as_deref(), Some("bridge"));
    }
    assert_eq!(file("version: 3\nservices: {a: {image: x}}\n").version.as_deref(), Some("3"));
    assert_eq!(file("version: 3.10\nservices: {a: {image: x}}\n").version.as_deref(), Some("3.10"));
}

#[test]
fn anchors_merges_and_extensions() {
    let file = file(
        "x-base: &base\n  mem_limit: 20m\n  environment: &env {A: '1'}\nservices:\n  a:\n    <<: *base\n    image: x\n  b:\n    <<: *base\n    image: y\n    environment:\n      <<: *env\n      B: '2'\n",
    );
    assert!(file.services.iter().all(|s| s.memory.is_some()));
    assert_eq!(file.services[1].environment.len(), 2);
}

#[test]
fn duplicate_keys_are_told_and_the_last_wins() {
    let twice = parsed("services:\n  a:\n    image: x\n    ports: ['1:1']\n    ports: ['2:2']\n  a2: {image: y}\n");
    assert_eq!(ids(&twice), ["compose.duplicate_key"]);
    assert_eq!(twice.file.services[0].ports[0].host, Some(2));
    assert_eq!(twice.notices[0].at.as_ref().expect("a place").line, 5);
}

#[test]
fn crlf_bom_utf8_names_and_comments() {
    let text =
        "\u{feff}version: '3'\r\n# año\r\nservices:\r\n  aplicación:\r\n    image: x\r\n    container_name: ñandú\r\n";
    let seen = file(text.trim_start_matches('\u{feff}'));
    assert_eq!(seen.services[0].container_name.as_deref(), Some("ñandú"));
    assert_eq!(file(text).services[0].name, "aplicación");
}

#[test]
fn variables_come_from_the_env_file_only() {
    let env = read_env("TAG=5.7\nLIMIT=20m\n");
    let text = "services:\n  a:\n    image: mysql:${TAG}\n    mem_limit: ${LIMIT:-1g}\n    privileged: ${P:-true}\n    command: echo $$HOME $HOME\n";
    let parsed = parse(Path::new("c.yml"), text, &env, &|_| None).expect("a compose file");
    let a = &parsed.file.services[0];
    assert_eq!(a.image.as_deref(), Some("mysql:5.7"));
    assert_eq!(a.memory.as_ref().expect("a limit").value, 20_971_520.0);
    assert_eq!(a.raw["command"], "echo $HOME ");
    assert_eq!(ids(&parsed), ["compose.unset_variable"]);
}

#[test]
fn extends_of_this_file_and_of_another() {
    let common = "web:\n  build: .\n  ports: ['5000:5000']\n  environment: {A: '1', B: '1'}\n  links: [nobody]\n";
    let text = "web:\n  extends: {file: common.yml, service: web}\n  environment: {B: '2'}\n  ports: ['80:80']\nother:\n  extends: web\nlost:\n  image: x\n  extends: {file: ../x.yml, service: y}\n";
    let load = |file: &str| (file == "common.yml").then(|| common.to_owned());
    let parsed = parse(Path::new("c.yml"), text, &BTreeMap::new(), &load).expect("a compose file");
    let web = parsed.file.service("web").expect("web");
    assert_eq!(web.environment["A"].as_deref(), Some("1"));
    assert_eq!(web.environment["B"].as_deref(), Some("2"));
    assert_eq!(web.ports.len(), 2);
    assert!(web.links.is_empty() && web.build.is_some());
    assert_eq!(parsed.file.service("other").expect("other").ports.len(), 2);
    assert_eq!(ids(&parsed), ["compose.extends"]);
}

#[test]
fn tabs_are_told() {
    let text = "services:\n  a:\n    image: x\n    deploy:\n\t    mode: global\n";
    let e = parse(Path::new("c.yml"), text, &BTreeMap::new(), &|_| None).expect_err("a tab");
    assert!(e.text.en.starts_with("c.yml:5:") && e.text.en.contains("a tab") && e.text.es.contains("tabulador"));
}

#[test]
fn circles_end() {
    let parsed = parsed("services:\n  a: {image: x, extends: b}\n  b: {image: y, extends: a}\n");
    assert!(ids(&parsed).contains(&"compose.extends"));
}

#[test]
fn what_is_no_compose_file_says_where() {
    let error = |text: &str| parse(Path::new("d/c.yml"), text, &BTreeMap::new(), &|_| None).expect_err(text);
    let e = error("services:\n  app:\n    image: x\n   ports: [1\n");
    assert_eq!(e.id, "compose.invalid");
    let at = e.at.expect("a place");
    assert!(at.file == "d/c.yml" && at.line >= 4 && at.column >= 1, "{at:?}");
    assert!(e.text.en.contains("not YAML") && e.text.es.contains("no es YAML"));
    let e = error("services:\n<<<<<<< HEAD\n  a: {image: x}\n=======\n  a: {image: y}\n>>>>>>> b\n");
    assert!(e.text.en.contains("merge conflict") && e.text.es.contains("conflicto"));
    assert_eq!(e.at.expect("a place").line, 2);
    for text in ["", "- a\n", "just text", "services:\n", "services: []\n", "version: '3'\n", "services: {a: ", "\0\0"]
    {
        let e = error(text);
        assert!(!e.text.es.is_empty(), "{text}");
    }
}

#[test]
fn odd_shapes_do_not_stop_the_reading() {
    let file = file(
        "services:\n  a:\n  b: text\n  c: [1]\n  d: {image: [x], ports: {a: b}, volumes: 3, build: [], networks: 7, links: {a: b}, deploy: x, environment: 5}\n",
    );
    assert_eq!(file.services.len(), 4);
}

#[test]
fn what_the_tool_prints_is_read_by_the_same_reader() {
    let printed = "networks:\n  default:\n    external: true\nservices:\n  app:\n    build:\n      context: /work/x/app\n    environment:\n      PASS: a$$b\n    links:\n    - db:mysql\n    mem_limit: 20m\n    ports:\n    - published: 5000\n      target: 5000\n    - 127.0.0.1:80:80/tcp\n    cpu_quota: 10000\n  db:\n    image: mysql:5.7\n    volumes:\n    - /work/x/db:/docker-entrypoint-initdb.d:rw\n    - data:/var/lib/mysql:rw\nversion: '3.9'\nvolumes:\n  data: {}\n";
    let file = parse_resolved(printed, Path::new("/work/x")).expect("a compose file");
    let app = file.service("app").expect("app");
    assert_eq!(app.environment["PASS"].as_deref(), Some("a$b"));
    assert_eq!(app.ports.len(), 2);
    assert_eq!(app.cpus.as_ref().expect("cpus").value, 0.1);
    assert_eq!(app.at, Place::default());
    assert_eq!(file.networks["default"]["external"], true);
    assert!(file.volumes.contains_key("data"));
    assert_eq!(file.raw["services"]["db"]["image"], "mysql:5.7");
}

#[test]
fn compose_files_are_told_from_other_yaml() {
    assert!(looks_like_one("services:\n  a: {image: x}\n"));
    assert!(looks_like_one("web:\n  build: .\ndb:\n  image: mysql\n"));
    for text in [
        "- hosts: all\n  tasks: []\n",
        "image: python\nservices:\n  - mysql\nscript: [x]\n",
        "jobs:\n  a: {image: x}\nservices:\n  db: {image: y}\n",
        "apiVersion: v1\nkind: Service\n",
        "services:\n  a: {port: 1}\n",
        "a: b\n",
        "",
        "{{ jinja }}: x",
    ] {
        assert!(!looks_like_one(text), "{text}");
    }
}

//! Every rule, over the spellings in which a file may ask for it.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::submission::{ReadOptions, compose, read};

/// A submission with a few folders and links; the compose file is in `deploy/`.
fn submission(yaml: &str) -> (tempfile::TempDir, Submission) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for folder in ["deploy/sql", "sql", "app"] {
        std::fs::create_dir_all(dir.path().join(folder)).expect("folders");
    }
    std::fs::write(dir.path().join("deploy/docker-compose.yml"), yaml).expect("a file");
    for (target, name) in
        [("/etc", "deploy/e"), ("../../..", "deploy/up"), ("/var/run/docker.sock", "deploy/s"), ("/home/x", "deploy/h")]
    {
        std::os::unix::fs::symlink(target, dir.path().join(name)).expect("a link");
    }
    let submission = read(dir.path(), &ReadOptions::default()).expect("a submission");
    (dir, submission)
}

fn hits(yaml: &str) -> Vec<Hit> {
    let (_dir, submission) = submission(yaml);
    let compose = submission.compose.as_ref().unwrap_or_else(|| panic!("{yaml}: {:?}", submission.notices));
    let hits = judge(&submission, compose, &[]);
    for hit in &hits {
        assert!(!hit.text.en.is_empty() && !hit.text.es.is_empty() && hit.at.line > 0, "{hit:?}");
    }
    hits
}

/// What a service with this key hits.
fn of(yaml: &str) -> Vec<(String, Action)> {
    let file = format!("services:\n  a: {{image: x, {yaml}}}\n  db: {{image: y, container_name: store}}\n");
    hits(&file).into_iter().map(|hit| (hit.rule, hit.action)).collect()
}

fn one(yaml: &str, rule: &str, action: Action) {
    assert_eq!(of(yaml), [(rule.to_owned(), action)], "{yaml}");
}

fn nothing(yaml: &str) {
    assert_eq!(of(yaml), [], "{yaml}");
}

#[test]
fn what_is_refused() {
    for yaml in ["privileged: true", "privileged: 'yes'", "privileged: on", "privileged: '${X:-true}'"] {
        one(yaml, "privileged", Action::Refuse);
    }
    for yaml in [
        "network_mode: host",
        "pid: host",
        "ipc: host",
        "uts: host",
        "userns_mode: host",
        "net: host",
        "cgroup: host",
        "pid: 'container:other'",
    ] {
        one(yaml, "host_namespaces", Action::Refuse);
    }
    one("devices: ['/dev/sda:/dev/sda']", "devices", Action::Refuse);
    one("runtime: nvidia", "devices", Action::Refuse);
    one("cgroup_parent: /", "cgroup_parent", Action::Refuse);
    for yaml in [
        "volumes: ['/var/run/docker.sock:/x']",
        "volumes: ['/run/docker.sock:/x:ro']",
        "volumes: [{type: bind, source: /var/run/docker.sock, target: /x}]",
        "volumes: ['${S:-/var/run/docker.sock}:/x']",
    ] {
        one(yaml, "docker_socket", Action::Refuse);
    }
}

#[test]
fn what_is_stripped() {
    one("cap_add: [SYS_NICE]", "cap_add", Action::Strip);
    one("cap_add: [ALL, NET_ADMIN]", "cap_add", Action::Strip);
    one("security_opt: ['seccomp:unconfined']", "security_opt", Action::Strip);
    one("security_opt: ['no-new-privileges:true', 'apparmor=unconfined']", "security_opt", Action::Strip);
    one("network_mode: 'container:other'", "external", Action::Strip);
    one("volumes_from: ['container:other']", "external", Action::Strip);
    one("external_links: ['other:db']", "external", Action::Strip);
}

#[test]
fn what_is_nobodys_business() {
    for yaml in [
        "privileged: false",
        "network_mode: bridge",
        "network_mode: 'service:db'",
        "network_mode: 'container:store'",
        "pid: 'service:db'",
        "ipc: shareable",
        "cap_drop: [ALL]",
        "cap_add: []",
        "security_opt: ['no-new-privileges:true']",
        "devices: []",
        "volumes_from: [db]",
        "ulimits: {nofile: 1024}",
        "restart: always",
    ] {
        nothing(yaml);
    }
}

#[test]
fn binds_are_judged_where_they_lead() {
    for source in [
        "/",
        "/etc",
        "/etc/passwd",
        "/root/.ssh",
        "/var/run",
        "/run",
        "/var",
        "/var/lib/docker",
        "/home/../etc",
        "/proc",
        "/sys",
        "/dev",
        "/tmp/x.sock",
        "./e",
        "./e/x",
        "up",
        "up/x",
        "../../x",
        "../..",
        "/etc/localtime",
    ] {
        let written = format!("volumes: ['{}{source}:/x']", if source.starts_with(['.', '/']) { "" } else { "./" });
        one(&written, "host_binds", Action::Refuse);
    }
    for source in [
        "./sql",
        "../sql",
        "..",
        "/home/me/data",
        "/data",
        "/mnt/gluster",
        "/var/lib/mysql",
        "/opt",
        "/tmp",
        "~/data",
        "./h",
        "./not/there",
        "datos",
        "/etc/localtime:/etc/localtime:ro",
        "C:\\data",
    ] {
        nothing(&format!("volumes: ['{source}{}']", if source.contains(":ro") { "" } else { ":/x" }));
    }
}

#[test]
fn binds_in_disguise() {
    let file = |device: &str, more: &str| {
        let yaml = format!(
            "services: {{a: {{image: x, volumes: ['vol:/x'], secrets: [s]}}}}\nvolumes: {{vol: {{driver_opts: {{type: none, o: bind, device: '{device}'}}}}}}\nsecrets: {{s: {{file: {more}}}}}\n"
        );
        hits(&yaml).into_iter().map(|hit| hit.rule).collect::<Vec<_>>()
    };
    assert_eq!(file("/etc", "./s.txt"), ["host_binds"]);
    assert_eq!(file("/data", "/etc/shadow"), ["host_binds"]);
    assert_eq!(file("/data", "../../x"), ["host_binds"]);
    assert!(file("/data", "../s.txt").is_empty());
    let disk = hits(
        "services: {a: {image: x, volumes: ['vol:/x']}}\nvolumes: {vol: {driver_opts: {type: ext4, device: /dev/sda1}}}\n",
    );
    assert_eq!(disk[0].rule, "host_binds");
    assert!(
        hits("services: {a: {image: x, volumes: ['vol:/x']}}\nvolumes: {vol: {driver_opts: {type: nfs, device: ':/x'}}}\n")
            .is_empty()
    );
}

#[test]
fn builds_and_files_from_outside() {
    for yaml in [
        "build: ../..",
        "build: /home/me/app",
        "build: {context: .., dockerfile: ../../Dockerfile}",
        "build: up",
        "env_file: /etc/environment",
        "env_file: [.env, ../../x]",
        "extends: {file: ../../c.yml, service: a}",
    ] {
        assert!(of(yaml).contains(&("build_contexts".to_owned(), Action::Refuse)), "{yaml}");
    }
    for yaml in ["build: ..", "build: ../app", "build: https://example.org/x.git", "env_file: ../.env"] {
        nothing(yaml);
    }
    let included = hits("include: [../../c.yml]\nservices: {a: {image: x}}\n");
    assert_eq!((included[0].rule.as_str(), &included[0].service), ("build_contexts", &None));
}

#[test]
fn networks_and_volumes_that_are_not_of_this_file() {
    for def in ["external: true", "external: {name: other}", "external: 'true', name: other", "driver: macvlan"] {
        let seen = hits(&format!("services: {{a: {{image: x, networks: [n]}}}}\nnetworks: {{n: {{{def}}}}}\n"));
        assert_eq!(seen.iter().map(|h| h.rule.as_str()).collect::<Vec<_>>(), ["external"], "{def}");
    }
    let host = hits("services: {a: {image: x, networks: [n]}}\nnetworks: {n: {external: {name: host}}}\n");
    assert_eq!(
        host.iter().map(|h| (h.rule.as_str(), h.action)).collect::<Vec<_>>(),
        [("host_namespaces", Action::Refuse)]
    );
    assert_eq!(hits("services: {a: {image: x}}\nvolumes: {v: {external: true}}\n")[0].rule, "external");
    assert!(hits("services: {a: {image: x}}\nvolumes: {v: {external: false}}\n").is_empty());
}

#[test]
fn places_and_the_scenarios_word() {
    let yaml =
        "services:\n  a:\n    image: x\n    cap_add:\n      - ALL\n    volumes:\n      - ./ok:/y\n      - /etc:/x\n";
    let (_dir, submission) = submission(yaml);
    let compose = submission.compose.as_ref().expect("a compose file");
    let lines: Vec<_> = judge(&submission, compose, &[]).iter().map(|h| (h.rule.clone(), h.at.line)).collect();
    assert_eq!(lines, [("host_binds".to_owned(), 8), ("cap_add".to_owned(), 4)]);
    let actions = [("cap_add".to_owned(), Action::Refuse), ("host_binds".to_owned(), Action::Allow)];
    let said: Vec<_> = judge(&submission, compose, &actions).iter().map(|h| h.action).collect();
    assert_eq!(said, [Action::Allow, Action::Refuse]);
    let notice = judge(&submission, compose, &[])[0].notice();
    assert_eq!((notice.id.as_str(), notice.level), ("policy.host_binds", Level::Problem));
    assert!(notice.text.es.ends_with("(rechazado)"));
}

#[test]
fn the_resolved_file_is_judged_by_the_same_rules() {
    let (_dir, submission) = submission("services: {a: {image: x}}\n");
    let printed = "services:\n  a:\n    build: {context: /work/s/app}\n    volumes:\n    - /work/s/sql:/x:rw\n    - /work/s/deploy/e:/y:rw\n    - /data:/z:rw\n  b:\n    image: x\n    privileged: true\n    links: [a]\nversion: '3'\n";
    let file = compose::parse_resolved(printed, Path::new("/work/s")).expect("a compose file");
    let hits = judge(&submission, &file, &[]);
    assert_eq!(hits.iter().map(|h| h.rule.as_str()).collect::<Vec<_>>(), ["privileged", "host_binds"]);
    assert_eq!(foreign_paths(&file, &file.services[0]), ["/data"]);
    let own = submission.compose.as_ref().expect("a compose file");
    assert!(foreign_paths(own, &own.services[0]).is_empty());
}

#[test]
fn stripping_leaves_nothing_that_points_at_what_is_gone() {
    let yaml = "services:\n  a: {image: x, cap_add: [ALL], links: ['b:bb', c], depends_on: {b: {condition: y}, c: {}}}\n  b: {image: x, privileged: true}\n  c: {image: x, depends_on: [b], security_opt: ['seccomp:unconfined'], networks: [n]}\nnetworks: {n: {external: true, name: other}, m: {driver: macvlan, driver_opts: {parent: eth0}, ipam: {config: [{subnet: 10.1.0.0/24}]}}}\n";
    let (_dir, submission) = submission(yaml);
    let compose = submission.compose.as_ref().expect("a compose file");
    let stripped = strip(compose.raw.clone(), &judge(&submission, compose, &[]));
    assert_eq!(
        stripped,
        json!({
            "services": {
                "a": {"image": "x", "links": ["c"], "depends_on": {"c": {}}},
                "c": {"image": "x", "depends_on": [], "networks": ["n"]},
            },
            "networks": {"n": {}, "m": {"ipam": {"config": [{"subnet": "10.1.0.0/24"}]}}},
        })
    );
    let again =
        compose::parse(Path::new(""), &stripped.to_string(), &BTreeMap::new(), &|_| None).expect("a compose file").file;
    assert_eq!(judge(&submission, &again, &[]), []);
}

#[test]
fn a_stripped_bind_leaves_the_others() {
    let (_dir, submission) = submission("services: {a: {image: x, volumes: ['/etc:/x', './sql:/y']}}\n");
    let compose = submission.compose.as_ref().expect("a compose file");
    let hits = judge(&submission, compose, &[("host_binds".to_owned(), Action::Strip)]);
    assert_eq!(strip(compose.raw.clone(), &hits)["services"]["a"]["volumes"], json!(["./sql:/y"]));
}

#[test]
fn the_table_is_well_formed() {
    for (i, rule) in RULES.iter().enumerate() {
        assert!(!rule.summary.is_empty());
        assert!(RULES[i + 1..].iter().all(|other| other.name != rule.name));
        assert!(super::rule(rule.name).is_some());
    }
}

#[test]
fn what_only_a_lab_contains_is_told_from_what_is_refused_anywhere() {
    let read =
        |text: &str| compose::parse(Path::new(""), text, &BTreeMap::new(), &|_| None).expect("a compose file").file;
    let only = |text: &str, actions: &[(String, Action)]| -> Vec<String> {
        let hits = only_in_a_lab(&Submission::default(), &read(text), actions);
        hits.into_iter().map(|hit| format!("{} {}", hit.rule, hit.text.en)).collect()
    };
    let srv =
        "services:\n  a:\n    image: x\n    volumes: [\"/srv/data:/d\", \"/etc/localtime:/l:ro\", \"./own:/o\"]\n";
    assert_eq!(only(srv, &[]), ["host_binds `a` asks for `/srv/data` of the machine's own system"]);
    let privileged = "services:\n  a:\n    image: x\n    privileged: true\n    cap_add: [NET_ADMIN]\n";
    assert!(only(privileged, &[]).is_empty(), "a lab refuses the one and strips the other as well");
    let allowed = [("privileged".to_owned(), Action::Allow), ("cap_add".to_owned(), Action::Allow)];
    assert_eq!(only(privileged, &allowed).len(), 2, "a scenario allows it for its labs");
    let keys = "services:\n  a:\n    build: {context: ., network: host, ssh: [default]}\n    provider: {type: x}\n\
                volumes:\n  far: {driver_opts: {type: nfs, device: \":/x\"}}\n";
    let said = only(keys, &[]);
    assert_eq!(said.len(), 4, "{said:?}");
    assert!(said.iter().all(|s| s.starts_with("uncontained ")), "{said:?}");
}

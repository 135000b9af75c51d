//! `imparcial plan` as people call it: what is printed where, and the exit codes.

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use imparcial::backend::vagrant::budget;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn plan(scenario: &Path, more: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_imparcial"));
    command
        .current_dir(root())
        .env("LC_ALL", "C")
        .args(["plan", "scenarios/seed/reference", "--scenario"])
        .arg(scenario);
    let output = command.args(more).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn problems_of_the_scenario_are_all_said_and_the_exit_code_is_2() {
    let file = root().join("tests/it/data/invalid/everything-at-once.yaml");
    let (code, stdout, stderr) = plan(&file, &[]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(stderr.contains("everything-at-once.yaml:2:7"), "{stderr}");
    assert!(stderr.contains("everything-at-once.yaml:15:13"), "{stderr}");
    assert!(!stderr.contains('\u{1b}'), "colours where nobody looks: {stderr}");
}

#[test]
fn an_unknown_scenario_names_what_there_is() {
    let (code, stdout, stderr) = plan(Path::new("sead"), &[]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert_eq!(stderr, "error: there is no scenario `sead`: did you mean `seed`?\n");
}

#[test]
fn a_layer_that_the_scenario_has_not_is_a_usage_error() {
    let (code, stdout, stderr) = plan(Path::new("compose-basics"), &["--layers", "machines"]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(stderr.contains("--layers machines: the scenario has no layer `machines`"), "{stderr}");
    assert!(stderr.contains("it has `services`"), "{stderr}");
    let (code, _, stderr) = plan(Path::new("seed"), &["--layers", "machines", "--only", "page"]);
    assert!(code == 2 && stderr.contains("no check of `--only` is of these `--layers`"), "{stderr}");
}

#[test]
fn a_plan_without_machines_names_none_and_one_with_them_only_those() {
    let (code, services, _) = plan(Path::new("seed"), &["--layers", "services"]);
    assert!(code == 0 && services.contains("layers      services\n"), "{services}");
    assert!(services.contains("60 (checks: 14 with points") && !services.contains("machines    "), "{services}");
}

#[test]
fn where_boxes_come_from_is_said_and_only_virtual_machines_are_made_of_them() {
    let of = |more: &[&str]| {
        let all: Vec<&str> = ["--layers", "machines"].iter().chain(more).copied().collect();
        plan(Path::new("seed"), &all)
    };
    let (code, auto, _) = of(&["--provider", "libvirt"]);
    let itself = "centos/7 → itself, where a catalogue has it for libvirt; else";
    // A long line goes on in the next one.
    let on_one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let auto = on_one_line(&auto);
    assert!(code == 0 && auto.contains(&format!("{itself} Debian 12 virtual machine")), "{auto}");
    let (code, pull, _) = of(&["--provider", "libvirt", "--boxes", "pull"]);
    let pull = on_one_line(&pull);
    assert!(code == 0 && pull.contains(&format!("{itself} undecided (`--boxes pull`)")), "{pull}");
    let (code, only, _) = of(&["--provider", "libvirt", "--boxes", "stand-in"]);
    assert!(code == 0 && on_one_line(&only).contains("centos/7 → Debian 12 virtual machine"), "{only}");
    let (code, _, stderr) = of(&["--boxes", "pull"]);
    assert!(code == 2 && stderr.contains("`--boxes pull` needs `--provider libvirt`"), "{stderr}");
}

#[test]
fn a_provider_is_planned_where_its_machines_can_be() {
    let of = |more: &[&str]| {
        let all: Vec<&str> = ["--layers", "machines"].iter().chain(more).copied().collect();
        let (code, out, stderr) = plan(Path::new("seed"), &all);
        (code, out.split_whitespace().collect::<Vec<_>>().join(" "), stderr)
    };
    for (asked, needs) in [
        (&["--provider", "virtualbox"][..], "`--provider virtualbox` needs `--place host`"),
        (&["--provider", "libvirt", "--place", "host"], "`--provider libvirt` needs a lab"),
        (&["--machine-memory-cap", "1GiB"], "`--machine-memory-cap` needs `--provider libvirt`"),
    ] {
        let (code, _, stderr) = of(asked);
        assert!(code == 2 && stderr.contains(needs), "{asked:?}: {stderr}");
    }
    let (code, out, _) = of(&["--provider", "virtualbox", "--place", "host"]);
    assert!(code == 0 && out.contains("this host's own Vagrant and VirtualBox bring up"), "{out}");
    assert!(out.contains("VirtualBox are not looked into"), "{out}");
}

#[test]
fn what_virtual_machines_cannot_have_is_said_before_anybody_waits() {
    let of = |submission: &str, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_imparcial"));
        let folder = format!("tests/it/data/guests/{submission}");
        command.current_dir(root()).env("LC_ALL", "C").args(["plan", &folder]);
        let output = command.args(["--scenario", "tests/it/data/guests/scenario.yaml"]).args(more).output().unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        out.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let free = std::fs::read_to_string("/proc/meminfo").ok().and_then(|said| budget::available(&said)).unwrap();
    if !(4 << 30..64 << 30).contains(&free) {
        eprintln!("of a host with {} free nothing is known beforehand", budget::gib(free));
        return;
    }
    let undecided = "no machine is begun, for want of memory: ";
    let too_large = of("sixty-four-gib", &["--provider", "libvirt"]);
    assert!(too_large.contains("1 virtual machine: with 64.0 GiB of memory, that needs 6"), "{too_large}");
    assert!(too_large.contains(undecided), "{too_large}");
    for more in [&["--provider", "libvirt", "--machine-memory-cap", "512MiB"][..], &["--provider", "docker"]] {
        let fits = of("sixty-four-gib", more);
        assert!(!fits.contains(undecided), "{fits}");
    }
    let own = of("own-provider-block", &["--provider", "libvirt"]);
    assert!(own.contains("what it sets for others is not taken over: `"), "{own}");
}

#[test]
fn a_scenario_that_is_no_text_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let file: PathBuf = dir.path().join("binary.yaml");
    std::fs::write(&file, [0x7f, b'E', b'L', b'F', 0xff, 0x00]).unwrap();
    let (code, _, stderr) = plan(&file, &[]);
    assert_eq!(code, 2);
    assert!(stderr.contains("not a text file in UTF-8"), "{stderr}");
}

const SCENARIO: &str = "\
imparcial: 1
name: small
title: {en: A small one, es: Uno pequeño}
points: 12.5
override: {every_service: {memory: 256MiB, cpus: 1.0}}
roles: {app: {built: true}, db: {image_family: [mysql]}}
checks:
  - {id: page, points: 10, needs: [port], explained_by: [name], http: {url: 'http://{app.published}/'}, expect: {status: 200}}
  - {id: port, points: 2.5, tcp: {role: app, port: 5000}, expect: {connected: true}, eventually: {within: 1m}}
  - {id: name, points: 0, dns: {name: db, from: {inside: app}}, expect: {resolves: true}}
";

#[test]
fn a_date_is_shown_with_who_says_it_and_a_wrong_one_is_a_usage_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("small.yaml");
    std::fs::write(&file, SCENARIO).unwrap();
    let (code, stdout, _) = plan(&file, &["--handed-in", "2022-03-01"]);
    assert_eq!(code, 0);
    assert!(stdout.contains("handed in   2022-03-01 (as told by --handed-in)"), "{stdout}");
    for (date, en, es) in [
        ("soon", "is no date", "no es una fecha"),
        ("2022-02-30", "is no date", "no es una fecha"),
        ("2999-01-01", "is in the future", "está en el futuro"),
    ] {
        for (lang, said) in [("en", en), ("es", es)] {
            let (code, stdout, stderr) = plan(&file, &["--handed-in", date, "--lang", lang]);
            assert_eq!((code, stdout.as_str()), (2, ""));
            assert!(stderr.contains(said), "{stderr}");
        }
    }
}

#[test]
fn a_plan_is_printed_in_the_order_of_running() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("small.yaml");
    std::fs::write(&file, SCENARIO).unwrap();
    let (code, stdout, stderr) = plan(&file, &[]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    insta::assert_snapshot!(stdout.replace(root().to_str().unwrap(), "ROOT"), @r"
    scenario    A small one (small)
    submission  ROOT/scenarios/seed/reference (docker-compose.yml, Vagrantfile)
    app         app: `app` is the only one built from the submission (`./app`)
    db          db: `db` is the only one of `mysql`: image `mysql:5.7`
    points      12.5 (checks: 2 with points, 1 without)
    layers      services
    budgets     fetch 5m, build 5m, ready 90s, check 2m, teardown 30s
    time        all checks at most 2m10s (looking 2m10s, exercises 0s)
    override    256MiB, 1 cpu (only after a death at a limit)

       points  check  kind  within  after (explained by)
    1     2.5  port   tcp   1m
    2       –  name   dns   30s
    3      10  page   http  30s     port (name)
    ");
    let (code, stdout, stderr) = plan(&file, &["--only", "port", "--patience", "12s", "--lang", "es"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    insta::assert_snapshot!(stdout.replace(root().to_str().unwrap(), "ROOT"), @r"
    escenario  Uno pequeño (small)
    entrega    ROOT/scenarios/seed/reference (docker-compose.yml, Vagrantfile)
    app        app: `app` es el único construido desde la entrega (`./app`)
    db         db: `db` es el único de `mysql`: imagen `mysql:5.7`
    puntos     2.5 (comprobaciones: 1 con puntos, 0 sin ellos)
    capas      services
    tiempos    traer 5m, construir 5m, listo 90s, comprobación 2m, desmontar 30s
    duración   todas las comprobaciones a lo sumo 32s (miradas 32s, ejercicios 0s)
    límites    256MiB, 1 cpu (solo tras una muerte por límite)

       puntos  comprobación  tipo  espera  después de (explicado por)
    1     2.5  port          tcp   12s
    ");
}

#[test]
fn exercises_come_last_and_the_longest_wait_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("trip.yaml");
    let scenario = "\
imparcial: 1
name: trip
title: A trip
points: 0
roles: {app: {built: true}, db: {image_family: [mysql]}}
checks:
  - {id: trip, points: 0, needs: [runs], round_trip: {write: {role: db}, read: {page: app}}, expect: {seen: true}}
  - {id: after, points: 0, explained_by: [trip], http: {url: 'http://{app.published}/'}, expect: {status: 200}}
  - id: runs
    points: 0
    container: {role: app}
    expect: {state: running, until_end: true}
    eventually: {within: 1m, attempt_timeout: 5s}
  - {id: valid, points: 0, compose: {}, expect: {valid: true}}
";
    std::fs::write(&file, scenario).unwrap();
    let (code, stdout, _) = plan(&file, &[]);
    assert_eq!(code, 0);
    // 65 s until it runs, 75 s more watched, and one look of 5 s; two exercises of 3 minutes.
    assert!(stdout.contains("all checks at most 8m25s (looking 2m25s, exercises 6m)\n"), "{stdout}");
    let rows = stdout.split("\n\n").nth(1).unwrap();
    let order: Vec<&str> = rows.lines().filter_map(|line| line.split_whitespace().nth(2)).collect();
    let ids: Vec<&str> = order.into_iter().filter(|id| ["trip", "after", "runs", "valid"].contains(id)).collect();
    assert_eq!(ids, ["runs", "valid", "trip", "after"], "{stdout}");
}

#[test]
fn what_the_command_line_names_must_be_in_the_scenario() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("small.yaml");
    std::fs::write(&file, SCENARIO).unwrap();
    let (code, stdout, stderr) = plan(&file, &["--only", "prt", "--role", "ap=web"]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    insta::assert_snapshot!(stderr, @r"
    error: --role ap=web: there is no role `ap`
    help: did you mean `app`?

    error: --role ap=web: the compose file has no service `web`
    help: the services are `app`, `db`

    error: --only prt: the scenario has no check `prt`
    help: did you mean `port`?

    3 problems
    ");
}

#[test]
fn a_submission_that_cannot_be_brought_up_is_said_and_fails() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("docker-compose.yml"), "services:\n  app: [\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_imparcial"));
    command.current_dir(root()).env("LC_ALL", "C").arg("plan").arg(dir.path()).args(["--scenario", "seed"]);
    let output = command.output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stdout.contains("Nothing of it can be brought up:\n  problem: docker-compose.yml:2:8: not a valid"),
        "{stdout}"
    );
    assert!(!stdout.contains("compose-valid"), "a table of what will not run: {stdout}");
}

#[test]
fn a_role_s_service_must_be_in_the_compose_file_before_anything_starts() {
    for (command, more) in [("plan", vec!["-s", "seed"]), ("grade", vec!["-s", "seed"]), ("inspect", vec![])] {
        let mut run = Command::new(env!("CARGO_BIN_EXE_imparcial"));
        run.current_dir(root()).env("LC_ALL", "C").env("DOCKER_HOST", "unix:///nowhere.sock");
        let output = run.args([command, "scenarios/seed/reference", "--role", "app=ap"]).args(more).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{command}: {stderr}");
        let said = "error: --role app=ap: the compose file has no service `ap`\nhelp: did you mean `app`? the services are `app`, `db`\n";
        assert!(stderr.contains(said), "{command}: {stderr}");
    }
}

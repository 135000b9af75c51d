//! Real labs: started, used, taken down, and what happens to those that nobody took down.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{CreateContainerOptionsBuilder, RestartContainerOptionsBuilder};
use imparcial::agent::{AgentError, Look, Sight};
use imparcial::docker::Engine;
use imparcial::exec::{Cmd, RunErrorKind, Shell, ShellExt};
use imparcial::lab::{Lab, LabError, LabSpec, sweep};
use imparcial::owner::{Life, Owner};

use crate::live::{engine, eventually, run_name, spec};

const SOON: Duration = Duration::from_secs(10);

fn submission() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("sql")).unwrap();
    fs::write(dir.path().join("sql/init.sql"), "select 1;\n").unwrap();
    let compose =
        "version: '2.4'\nservices:\n  db: {image: 'still:1'}\n  app:\n    image: still:1\n    links: ['db:mysql']\n";
    fs::write(dir.path().join("docker-compose.yml"), compose).unwrap();
    dir
}

/// Nothing that the engine or the kernel knows bears the run's name any more, and the lab's volumes are gone.
async fn nothing_left(engine: &Engine, run: &str, volumes: &[String]) {
    let left = sweep::left(engine).await.unwrap();
    assert!(left.iter().all(|left| left.run != run), "{left:?}");
    for volume in volumes {
        assert!(engine.docker().inspect_volume(volume).await.is_err(), "the volume {volume} stays");
    }
    for device in fs::read_dir("/sys/block").into_iter().flatten().flatten() {
        let behind = fs::read_to_string(device.path().join("loop/backing_file")).unwrap_or_default();
        let held = behind.contains("imparcial-store") && behind.trim_end().ends_with("(deleted)");
        assert!(!held, "{} holds the files of a lab that is gone", device.path().display());
    }
    for controller in fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
        let folder = controller.path().join("imparcial").join(run);
        assert!(!folder.exists(), "{} stays", folder.display());
    }
}

/// The volumes of a run's lab: nobody named them, so only its inspection knows them. What it may only read is all labs'.
async fn volumes(engine: &Engine, run: &str) -> Vec<String> {
    let options = None::<bollard::query_parameters::InspectContainerOptions>;
    let lab = engine.docker().inspect_container(&format!("imparcial-{run}"), options).await.unwrap();
    let mounts = lab.mounts.unwrap_or_default().into_iter().filter(|m| m.rw == Some(true));
    let volumes: Vec<String> = mounts.filter_map(|m| m.name).collect();
    assert!(!volumes.is_empty(), "a lab's engine has a volume for its images");
    volumes
}

/// An image of two programs, one that sleeps and one that writes, made in the lab of its own files: no registry is needed.
pub(crate) async fn make_still_image(shell: &dyn Shell) {
    let programs = ["/usr/bin/sleep", "/usr/bin/dd"];
    let libraries = shell.must(&Cmd::new(["ldd"]).args(programs)).await.unwrap().out();
    let files =
        libraries.split_whitespace().filter(|word| word.starts_with('/')).map(|word| word.trim_end_matches(':'));
    // A file that is named twice would be a link to itself in the archive.
    let files: BTreeSet<&str> = files.collect();
    let tar = Cmd::new(["tar", "-chf", "/tmp/still.tar"]).args(files);
    shell.must(&tar).await.unwrap();
    let import = ["docker", "import", "-c", "CMD [\"/usr/bin/sleep\", \"1000\"]", "/tmp/still.tar", "still:1"];
    shell.must(&Cmd::new(import)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lab_holds_a_stack_is_looked_at_from_inside_and_leaves_nothing() {
    let Some(host) = engine().await else { return };
    let handed_in = submission();
    let began = Instant::now();
    let lab = Lab::start(spec("whole", handed_in.path())).await.unwrap();
    eprintln!("lab up in {:?}", began.elapsed());
    let shell = lab.shell();

    // The copy, our binary, the address.
    let compose = shell.must(&Cmd::new(["cat", "docker-compose.yml"]).cwd(lab.workdir())).await.unwrap();
    assert!(compose.out().contains("still:1"));
    assert!(lab.address().parse::<std::net::Ipv4Addr>().is_ok_and(|a| !a.is_loopback()), "{}", lab.address());
    shell.must(&Cmd::new(["rm", "sql/init.sql"]).cwd(lab.workdir())).await.unwrap();
    shell.must(&Cmd::new(["touch", "made-by-a-run"]).cwd(lab.workdir())).await.unwrap();
    lab.fresh_copy().await.unwrap();
    let listed = shell.must(&Cmd::new(["find", "."]).cwd(lab.workdir())).await.unwrap().out();
    assert!(listed.contains("./sql/init.sql") && !listed.contains("made-by-a-run"), "{listed}");

    // What all labs share is read here, and written by nobody.
    for (method, path) in [("POST", "imparcial/mysql/blobs/uploads/"), ("DELETE", "imparcial/mysql/manifests/current")]
    {
        let url = format!("{}/v2/{path}", imparcial::lab::registry::MIRROR);
        let ask = Cmd::new(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", method, &url]);
        let answer = shell.must(&ask.timeout(Duration::from_secs(20))).await.unwrap().out();
        assert_eq!(answer, "405", "{method} {url}");
    }

    // A stack in it.
    make_still_image(&*shell).await;
    let up = Cmd::new(["docker-compose", "-p", "x", "up", "-d"]).cwd(lab.workdir()).timeout(Duration::from_secs(120));
    shell.must(&up).await.unwrap();
    let containers = lab.engine().project_containers("x").await.unwrap();
    let services: Vec<&str> = containers.iter().map(|c| c.service.as_str()).collect();
    assert_eq!(services, ["app", "db"]);
    let (app, db) = (&containers[0], &containers[1]);
    assert!(app.running() && db.running());
    assert!(db.names.contains(&"db".to_owned()) && db.names.contains(&"mysql".to_owned()), "{:?}", db.names);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((now - app.started_at).abs() < 60.0, "{}", app.started_at);

    // No swap for what runs in it, whatever the host has.
    for (file, value) in [("memory.swappiness", "0"), ("memory.swap.max", "0")] {
        let find = Cmd::new(["find", "/sys/fs/cgroup", "-path", &format!("*{}*/{file}", db.id)]);
        for path in shell.must(&find).await.unwrap().out().lines() {
            assert_eq!(shell.must(&Cmd::new(["cat", path])).await.unwrap().out().trim(), value, "{path}");
        }
    }

    // A limit of memory is none of what is written: an engine whose files lie in memory (tmpfs) would kill this, and a
    // database as it makes its files.
    for file in ["of=/layer", "of=/volume/file"] {
        let write = ["docker", "run", "--rm", "-m", "32m", "--memory-swap", "32m", "-v", "/volume", "still:1"];
        let write = Cmd::new(write).args(["/usr/bin/dd", "if=/dev/zero", file, "bs=1M", "count=96"]);
        shell.must(&write.timeout(Duration::from_secs(60))).await.unwrap();
    }

    // From inside: names and links as the service has them, which the lab itself does not.
    let began = Instant::now();
    let inside = lab.agents().inside(app).await.unwrap();
    eprintln!("agent inside in {:?}", began.elapsed());
    let address = db.addresses.values().next().unwrap();
    for name in ["db", "mysql", "x_db_1"] {
        let sight = inside.look(Look::Dns { name: name.into() }, SOON).await.unwrap();
        let Sight::Dns { addresses, .. } = &sight else { panic!("{sight:?}") };
        assert_eq!(addresses, std::slice::from_ref(address), "{name}");
    }
    let outside = lab.agents().lab().await.unwrap();
    let sight = outside.look(Look::Dns { name: "mysql".into() }, Duration::from_millis(500)).await.unwrap();
    assert!(!format!("{sight:?}").contains(address.as_str()), "{sight:?}");
    let refused = inside.look(Look::Tcp { host: "mysql".into(), port: 3306, greet_ms: 0 }, SOON).await.unwrap();
    assert!(format!("{refused:?}").contains("connection refused"), "{refused:?}");
    // What would be somebody's machine outside is refused at once: an app that dials it does not hang.
    for host in ["192.168.77.20", "10.1.2.3"] {
        let began = Instant::now();
        let sight = inside.look(Look::Tcp { host: host.into(), port: 3306, greet_ms: 0 }, SOON).await.unwrap();
        assert!(format!("{sight:?}").contains("no route to host"), "{host}: {sight:?}");
        assert!(began.elapsed() < Duration::from_secs(1), "{host}: {:?}", began.elapsed());
    }
    let looks = 200;
    let began = Instant::now();
    for _ in 0..looks {
        assert!(matches!(inside.look(Look::Ping, SOON).await, Ok(Sight::Pong)));
    }
    eprintln!("one look costs {:?}", began.elapsed() / looks);

    drop(inside);
    let at_once = RestartContainerOptionsBuilder::new().t(0).build();
    // After a restart the old place is only `lo`: a new agent stands in the new one.
    lab.engine().docker().restart_container(&app.id, Some(at_once)).await.unwrap();
    let again = lab.engine().container(&app.id).await.unwrap();
    assert!(again.started_at > app.started_at);
    let inside = lab.agents().inside(&again).await.unwrap();
    let sight = inside.look(Look::Dns { name: "db".into() }, SOON).await.unwrap();
    assert!(format!("{sight:?}").contains(address.as_str()), "{sight:?}");
    let agents_inside = || async {
        let count = shell.run(&Cmd::new(["pgrep", "-fc", "^/usr/local/bin/imparcial agent --inside"])).await.unwrap();
        count.out().trim().parse::<usize>().unwrap()
    };
    assert!(eventually(SOON, || async { agents_inside().await == 1 }).await, "the old agent stays");
    // What it was told before no longer holds: that process is not one of the container's.
    let stale = lab.agents().inside(app).await;
    assert!(matches!(stale, Err(AgentError::Start { .. })), "an agent stands where nobody is");

    // Its removal is not held up by agents that stood inside.
    lab.engine().remove(&db.id).await.unwrap();
    assert!(lab.engine().container(&db.id).await.is_err_and(|e| e.is_missing()));

    let volumes = volumes(&host, lab.run()).await;
    let began = Instant::now();
    lab.down().await.unwrap();
    eprintln!("lab down in {:?}", began.elapsed());
    nothing_left(&host, lab.run(), &volumes).await;
    lab.down().await.unwrap();
    let error = shell.run(&Cmd::new(["true"])).await.unwrap_err();
    assert!(matches!(error.kind, RunErrorKind::Gone(_)), "{error}");
    assert!(lab.engine().project_containers("x").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_in_a_lab_ends_with_whoever_waits_for_it() {
    let Some(host) = engine().await else { return };
    let handed_in = submission();
    let lab = Lab::start(spec("commands", handed_in.path())).await.unwrap();
    let shell = lab.shell();
    let began = Instant::now();
    for _ in 0..50 {
        shell.must(&Cmd::new(["true"])).await.unwrap();
    }
    eprintln!("one command in the lab costs {:?}", began.elapsed() / 50);
    let sleeping = |seconds: &'static str| {
        let shell = shell.clone();
        async move { shell.run(&Cmd::new(["pgrep", "-fx", &format!("sleep {seconds}")])).await.unwrap().ok() }
    };
    let error = shell
        .run(&Cmd::new(["sh", "-c", "sleep 4001 & sleep 4001"]).timeout(Duration::from_millis(300)))
        .await
        .unwrap_err();
    assert!(matches!(error.kind, RunErrorKind::Timeout(..)), "{error}");
    assert!(!sleeping("4001").await);
    let waiting = shell.clone();
    let task =
        tokio::spawn(async move { waiting.run(&Cmd::new(["sh", "-c", "sleep 4002 & sleep 4002"])).await.is_ok() });
    assert!(eventually(SOON, || sleeping("4002")).await);
    task.abort();
    assert!(eventually(SOON, || async { !sleeping("4002").await }).await);
    // As after a panic: nobody took it down.
    let run = lab.run().to_owned();
    let volumes = volumes(&host, &run).await;
    drop(lab);
    nothing_left(&host, &run, &volumes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_fails_or_is_given_up_leaves_nothing() {
    let Some(host) = engine().await else { return };
    let handed_in = submission();
    let missing = LabSpec { image: "imparcial-dev-no-such-image".into(), ..spec("noimage", handed_in.path()) };
    let run = missing.run.clone();
    let error = Lab::start(missing).await.err().unwrap();
    assert!(matches!(error, LabError::NotSetUp { .. }), "{error}");
    assert!(error.text().en.contains("imparcial setup"));
    nothing_left(&host, &run, &[]).await;

    let gone = spec("nofolder", Path::new("/no/such/folder"));
    let run = gone.run.clone();
    let error = Lab::start(gone).await.err().unwrap();
    assert!(error.to_string().contains("/no/such/folder"), "{error}");
    nothing_left(&host, &run, &[]).await;

    let given_up = spec("givenup", handed_in.path());
    let run = given_up.run.clone();
    let there = || {
        let (host, name) = (host.clone(), format!("imparcial-{run}"));
        async move { host.container(&name).await.is_ok_and(|lab| lab.running()) }
    };
    let volumes = tokio::select! {
        started = Lab::start(given_up) => panic!("it ended before it was given up: {:?}", started.err()),
        volumes = async {
            assert!(eventually(SOON, there).await);
            volumes(&host, &run).await
        } => volumes,
    };
    nothing_left(&host, &run, &volumes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_takes_what_dead_runs_left_and_nothing_else() {
    let Some(host) = engine().await else { return };
    let dead = {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        Owner { pid, ..Owner::this() }
    };
    assert_eq!(dead.life(), Life::Dead);
    let elsewhere = Owner { boot: "another boot".into(), ..Owner::this() };
    let runs =
        [("dead", &dead, false), ("kept", &dead, true), ("live", &Owner::this(), false), ("far", &elsewhere, false)];
    let mut names = HashMap::new();
    for (what, owner, keep) in runs {
        let run = run_name(what);
        let mut labels = owner.labels(&run);
        if keep {
            labels.insert(imparcial::owner::KEEP.into(), "true".into());
        }
        let body = ContainerCreateBody {
            image: Some("imparcial/lab".into()),
            entrypoint: Some(vec!["sleep".into()]),
            cmd: Some(vec!["1000".into()]),
            labels: Some(labels.clone()),
            ..ContainerCreateBody::default()
        };
        let options = CreateContainerOptionsBuilder::new().name(&format!("imparcial-{run}")).build();
        host.docker().create_container(Some(options), body).await.unwrap();
        let start = None::<bollard::query_parameters::StartContainerOptions>;
        host.docker().start_container(&format!("imparcial-{run}"), start).await.unwrap();
        let volume = bollard::models::VolumeCreateRequest {
            name: Some(format!("imparcial-{run}")),
            labels: Some(labels),
            ..Default::default()
        };
        host.docker().create_volume(volume).await.unwrap();
        names.insert(what, run);
    }

    let removed = sweep(&host).await.unwrap();
    assert!(removed.runs.contains(&names["dead"]), "{removed:?}");
    let left: Vec<String> = sweep::left(&host).await.unwrap().into_iter().map(|left| left.run).collect();
    assert!(!left.contains(&names["dead"]));
    for what in ["kept", "live", "far"] {
        assert!(left.contains(&names[what]), "{what} is gone");
        let removed = sweep::remove_run(&host, &names[what]).await.unwrap();
        assert_eq!((removed.containers, removed.volumes), (1, 1));
        assert_eq!(sweep::remove_run(&host, &names[what]).await.unwrap(), sweep::Removed::default());
        nothing_left(&host, &names[what], &[]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn down_is_a_command_of_a_fresh_process_and_says_what_it_did() {
    let Some(host) = engine().await else { return };
    let handed_in = submission();
    let lab = Lab::start(LabSpec { keep: true, ..spec("down", handed_in.path()) }).await.unwrap();
    let (run, shell) = (lab.run().to_owned(), lab.shell());
    drop(lab);
    let left = sweep::left(&host).await.unwrap();
    assert!(left.iter().any(|left| left.run == run && left.keep && left.running), "a kept lab is gone: {left:?}");
    let down = |args: &[&str]| {
        let output = assert_cmd::Command::new(env!("CARGO_BIN_EXE_imparcial")).args(args).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = tokio::task::block_in_place(|| down(&["--lang", "es", "down", &run]));
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!("retirado: {run}")), "{said}");
    nothing_left(&host, &run, &[]).await;
    let (code, said) = tokio::task::block_in_place(|| down(&["--lang", "en", "down", &run]));
    assert!(code == Some(2) && said.contains(&format!("nothing is left of a run `{run}`")), "{said}");
    // Whoever was still using it notices that its place is gone.
    let error = shell.run(&Cmd::new(["true"])).await.unwrap_err();
    assert!(matches!(error.kind, RunErrorKind::Gone(_)), "{error}");
}

#[test]
fn without_an_engine_it_says_whose_fault_that_is() {
    let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_imparcial"));
    let output = command.args(["--lang", "en", "down"]).env("DOCKER_HOST", "unix:///no/such.sock").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("unix:///no/such.sock") && said.contains("start the Docker engine"), "{said}");
}

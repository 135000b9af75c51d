//! Each kind's rule, on a submission on disk and what a run would have seen of it.

use serde_json::json;

use super::*;
use crate::expect::{Facts, Finding, Place};
use crate::record::fixture;
use crate::stack::ImageState;
use crate::stack::machines::{Playbook, Provisioned, Task};
use crate::submission::machines::{Loaded, MachineDef};
use crate::submission::whereabouts::testing::{COMPOSE, Files};
use crate::text::Text;

/// A run's end, as far as places are read from it.
struct World {
    files: Files,
    refused: String,
    policy: Vec<Hit>,
    by_compose: bool,
    services: BTreeMap<String, Service>,
    roles: BTreeMap<String, Binding>,
    logs: BTreeMap<String, String>,
    vagrantfile: Option<Vagrantfile>,
    machines: Machines,
}

impl World {
    fn of(files: Files) -> Self {
        let bound = |name: &str| Binding { service: Some(name.to_owned()), ..Binding::default() };
        let service = |name: &str| (name.to_owned(), Service { name: name.to_owned(), ..Service::default() });
        Self {
            files,
            refused: String::new(),
            policy: Vec::new(),
            by_compose: true,
            services: BTreeMap::from([service("app"), service("db")]),
            roles: BTreeMap::from([("app".to_owned(), bound("app")), ("db".to_owned(), bound("db"))]),
            logs: BTreeMap::new(),
            vagrantfile: None,
            machines: Machines::default(),
        }
    }

    fn usual() -> Self {
        Self::of(Files::usual(&[]))
    }

    fn printed(mut self, service: &str, log: &str) -> Self {
        self.logs.insert(service.to_owned(), log.to_owned());
        self
    }

    fn left_out(mut self, service: &str, reason: Option<Reason>, log: &str) -> Self {
        let image = ImageState { log: log.to_owned(), ..ImageState::default() };
        let left_out = Some(LeftOut { reason, text: Text::default() });
        let name = service.to_owned();
        self.services.insert(name.clone(), Service { name, image, left_out });
        self
    }

    /// Places of a check that came to `verdict`; the facts that are named did not hold.
    fn places(
        &self,
        verdict: Verdict,
        reason: Option<Reason>,
        asked: &Asked,
        clue: &Clue,
        failed: &[(&str, &str)],
    ) -> Vec<String> {
        let scene = Scene {
            view: View::of(&self.files.submission),
            refused: &self.refused,
            policy: &self.policy,
            stopping: self.policy.iter().filter(|hit| hit.action == Action::Refuse).collect(),
            by_compose: self.by_compose,
            services: &self.services,
            roles: &self.roles,
            logs: &self.logs,
            vagrantfile: self.vagrantfile.as_ref(),
            machines: &self.machines,
        };
        let finding = |(subject, fact): &(&str, &str)| Finding {
            subject: (*subject).to_owned(),
            fact: (*fact).to_owned(),
            expected: String::new(),
            observed: String::new(),
            holds: false,
        };
        let mut check = fixture::check("x", 1, verdict, None);
        check.reason = reason;
        check.findings = failed.iter().map(finding).collect();
        let places = scene.places(asked, clue, &check);
        places.into_iter().map(|look| format!("{}:{}", look.place.file, look.place.line)).collect()
    }

    fn failed(&self, kind: &'static str, roles: &[&str], clue: &Clue, failed: &[(&str, &str)]) -> Vec<String> {
        self.places(Verdict::Fail, None, &asked(kind, roles), clue, failed)
    }
}

fn asked(kind: &'static str, roles: &[&str]) -> Asked {
    Asked { kind, roles: roles.iter().map(|role| (*role).to_owned()).collect(), published: None, fault: "" }
}

fn facts(value: &Value) -> Facts {
    serde_json::from_value(value.clone()).unwrap()
}

fn saw(value: &Value) -> Clue {
    Clue { subjects: vec![(String::new(), facts(value))], ..Clue::default() }
}

const NONE: [&str; 0] = [];
const RAISED: &str = "Traceback (most recent call last):\n  File \"app.py\", line 12, in leer\n    return pymysql.connect(\nOperationalError: x\n";

#[test]
fn only_what_failed_or_is_about_ones_own_files_has_places() {
    let world = World::usual().left_out("app", Some(Reason::Image), "");
    let (asked, clue) = (asked("container", &["app"]), Clue::default());
    let of = |verdict, reason| world.places(verdict, reason, &asked, &clue, &[("", "state")]);
    assert_eq!(of(Verdict::Error, Some(Reason::Image)), ["app/Dockerfile:1"], "what it stands on, nobody has");
    assert_eq!(of(Verdict::Error, Some(Reason::Host)), NONE);
    assert_eq!(of(Verdict::Error, Some(Reason::StandIn)), NONE);
    assert_eq!(of(Verdict::Pass, None), NONE);
    assert_eq!(of(Verdict::Skip, None), NONE);
    let world = World::usual().left_out("db", Some(Reason::Image), "");
    let asked = self::asked("container", &["db"]);
    assert_eq!(world.places(Verdict::Error, Some(Reason::Image), &asked, &clue, &[]), ["docker-compose.yml:11"]);
    let log = "Step 5/8 : RUN pip install     -r requirements.txt\nERROR: Failed building wheel for pymysql\n";
    let world = World::usual().left_out("app", Some(Reason::Age), log);
    let asked = self::asked("container", &["app"]);
    let old = world.places(Verdict::Error, Some(Reason::Age), &asked, &clue, &[]);
    assert_eq!(old, ["app/requirements.txt:2", "app/Dockerfile:6"]);
}

#[test]
fn two_candidates_are_both_named() {
    let mut world = World::usual();
    let candidates = vec!["app".to_owned(), "db".to_owned()];
    world.roles.insert("app".to_owned(), Binding { candidates, ..Binding::default() });
    let of =
        |kind| world.places(Verdict::Error, Some(Reason::Ambiguous), &asked(kind, &["app"]), &Clue::default(), &[]);
    assert_eq!(of("container"), ["docker-compose.yml:3", "docker-compose.yml:10"]);
}

#[test]
fn a_file_that_is_refused_and_a_key_that_is() {
    let mut world = World::usual();
    world.refused = "services.app.ports contains an invalid type, it should be a list".to_owned();
    let invalid = saw(&json!({"valid": false}));
    assert_eq!(world.failed("compose", &[], &invalid, &[("", "valid")]), ["docker-compose.yml:7"]);
    assert_eq!(world.failed("compose", &[], &saw(&json!({"started": false})), &[("", "started")]), NONE);

    let compose = COMPOSE.replace("    build: ./app\n", "    build: ./app\n    privileged: true\n");
    let mut world = World::of(Files::usual(&[("docker-compose.yml", &compose as &str)]));
    let submission = &world.files.submission;
    world.policy = crate::submission::policy::judge(submission, submission.compose.as_ref().unwrap(), &[]);
    assert_eq!(world.failed("policy", &[], &Clue::default(), &[("", "refused")]), ["docker-compose.yml:5"]);
    // What left it out is why it does not run.
    let world = World { ..world.left_out("app", None, "") };
    assert_eq!(world.failed("container", &["app"], &Clue::default(), &[("", "state")]), ["docker-compose.yml:5"]);
}

#[test]
fn an_image_that_is_not_built() {
    let log = "Step 3/8 : WORKDIR /app\n ---> 1\nStep 4/8 : COPY requirements.txt .\nCOPY failed: no such file\n";
    let world = World::usual().left_out("app", None, log);
    let missing = saw(&json!({"state": "missing", "built_from_submission": false}));
    let of = |world: &World, role| world.failed("container", &[role], &missing, &[("", "built_from_submission")]);
    assert_eq!(of(&world, "app"), ["app/Dockerfile:5"]);
    assert_eq!(
        of(&World::usual().left_out("app", None, "?"), "app"),
        ["docker-compose.yml:4"],
        "its `build:` at least"
    );
    assert_eq!(of(&World::usual(), "db"), ["docker-compose.yml:11"], "no `build:` at all");
    assert_eq!(world.failed("container", &["nobody"], &missing, &[("", "state")]), NONE);
}

#[test]
fn a_service_that_does_not_stay_up() {
    let ended = saw(&json!({"state": "exited", "exit_code": 1}));
    let of = |log: &str| World::usual().printed("app", log).failed("container", &["app"], &ended, &[("", "state")]);
    assert_eq!(of(RAISED), ["app/app.py:12"]);
    assert_eq!(of("Listening\nfalta la variable CLAVE\n"), ["app/app.py:17"]);
    assert_eq!(of("python: can't open file 'ap.py': [Errno 2] No such file or directory\n"), ["app/Dockerfile:10"]);
    assert_eq!(of("bye\n"), ["docker-compose.yml:3"]);
    assert_eq!(
        of(&format!("{RAISED}GET / 500\n")),
        ["docker-compose.yml:3"],
        "what it survived is not what it ended for"
    );
    let world = World::usual().printed("app", RAISED);
    let sick = saw(&json!({"state": "running", "health": "unhealthy"}));
    assert_eq!(world.failed("container", &["app"], &sick, &[("", "health")]), NONE, "it did not end");
    let log = "docker-entrypoint.sh: running /docker-entrypoint-initdb.d/init.sql\nERROR 1064 (42000) at line 2: x\n";
    let store = World::usual().printed("db", log).failed("container", &["db"], &ended, &[("", "state")]);
    assert_eq!(store, ["db/init.sql:2"], "a script that ends its server");
    let killed = saw(&json!({"state": "exited", "oom_killed": true}));
    let world = World::usual().printed("app", RAISED);
    assert_eq!(world.failed("container", &["app"], &killed, &[("", "state")]), ["docker-compose.yml:9"]);
}

#[test]
fn each_subject_that_is_not_as_it_should_be_has_its_own_place() {
    let of = |value: Value| Clue {
        subjects: vec![("app".to_owned(), facts(&value)), ("db".to_owned(), facts(&value))],
        ..Clue::default()
    };
    let world = World::usual();
    let twice = of(json!({"fails_at_twice_its_limit": true}));
    let both = ["app", "db"];
    assert_eq!(
        world.failed("container", &both, &twice, &[("app", "fails_at_twice_its_limit")]),
        ["docker-compose.yml:9"]
    );
    let memory = of(json!({"declared_bytes": 0}));
    assert_eq!(world.failed("limits", &both, &memory, &[("db", "declared_bytes")]), ["docker-compose.yml:10"]);
    assert_eq!(
        world.failed("limits", &both, &memory, &[("app", "declared_bytes"), ("db", "declared_bytes")]),
        ["docker-compose.yml:9", "docker-compose.yml:10"]
    );
    let cpus = of(json!({"declared_cpus": 0}));
    assert_eq!(world.failed("limits", &both, &cpus, &[("app", "declared_cpus")]), ["docker-compose.yml:3"]);
}

#[test]
fn a_port_and_a_name_that_is_dialled() {
    let world = World::usual();
    let door = |world: &World, published: Option<&str>, facts: Value, fact: &str| {
        let asked = Asked { published: published.map(str::to_owned), ..asked("tcp", &["app"]) };
        world.places(Verdict::Fail, None, &asked, &saw(&facts), &[("", fact)])
    };
    let of = |published, facts: Value| door(&world, published, facts, "connected");
    let none = json!({"connected": false, "published": false});
    assert_eq!(of(Some("app"), none.clone()), ["docker-compose.yml:7"], "another one, or none");
    assert_eq!(of(Some("db"), none.clone()), ["docker-compose.yml:10"], "it has none");
    assert_eq!(of(None, none), NONE, "another host's");
    assert_eq!(of(Some("app"), json!({"connected": false})), NONE, "nobody looked");
    let closed = json!({"connected": false, "published": true, "address": "not_loopback"});
    assert_eq!(of(Some("app"), closed.clone()), NONE, "`ports` is right, and nothing says what is wrong");
    let alone = World::of(Files::usual(&[("app/app.py", "app.run(host='127.0.0.1')\n")]));
    assert_eq!(door(&alone, Some("app"), closed, "connected"), ["app/app.py:1"]);
    let here = json!({"connected": true, "published": true, "address": "loopback"});
    assert_eq!(door(&alone, Some("app"), here, "address"), ["docker-compose.yml:7"]);

    let dials = |hosts: &[&str]| {
        let dialled = hosts.iter().map(|host| (*host).to_owned()).collect();
        let clue = Clue { dialled, ..saw(&json!({"by_name": false})) };
        world.failed("dials", &["db", "app"], &clue, &[("", "by_name")])
    };
    assert_eq!(dials(&["192.168.1.20"]), ["app/app.py:13"]);
    assert_eq!(dials(&["bd"]), ["docker-compose.yml:6"]);
    assert_eq!(dials(&["10.0.0.1"]), NONE, "made up at run time");
    assert_eq!(dials(&[]), NONE, "nothing wrong was heard");
    let code = "a = connect('192.168.1.20:3306')\nb = connect('192.168.1.20:6379')\n";
    let world = World::of(Files::usual(&[("app/app.py", code)]));
    let tried = json!({"by_name": false, "tried": ["10.0.0.1:6379", "192.168.1.20:3306"]});
    let clue = Clue { dialled: vec!["192.168.1.20".to_owned()], ..saw(&tried) };
    assert_eq!(world.failed("dials", &["db", "app"], &clue, &[("", "by_name")]), ["app/app.py:1"]);
}

#[test]
fn sql_that_was_not_applied() {
    let missing = saw(&json!({"connected": true, "missing_tables": ["reserva.aves"], "missing_rows": []}));
    let of = |world: &World, clue| world.failed("mysql", &["db"], clue, &[("", "missing_tables")]);
    assert_eq!(of(&World::usual(), &missing), ["db/init.sql:4"], "given, and not there");
    let rows = saw(&json!({"missing_tables": [], "missing_rows": ["reserva.aves: 2 | Gallito de roca"]}));
    assert_eq!(of(&World::usual(), &rows), ["db/init.sql:5"]);
    let log = "docker-entrypoint.sh: running /docker-entrypoint-initdb.d/init.sql\nERROR 1064 (42000) at line 2: You have an error\n";
    assert_eq!(of(&World::usual().printed("db", log), &missing), ["db/init.sql:2"], "where it broke off");
    let unmounted = COMPOSE.replace("    volumes:\n      - ./db:/docker-entrypoint-initdb.d\n", "");
    let world = World::of(Files::usual(&[("docker-compose.yml", &unmounted as &str)]));
    assert_eq!(of(&world, &missing), ["docker-compose.yml:10", "db/init.sql:4"]);
    let elsewhere = COMPOSE.replace("docker-entrypoint-initdb.d", "sql");
    let world = World::of(Files::usual(&[("docker-compose.yml", &elsewhere as &str)]));
    assert_eq!(of(&world, &missing), ["docker-compose.yml:12", "db/init.sql:4"]);
    assert_eq!(of(&world, &saw(&json!({"connected": false}))), NONE);
}

#[test]
fn a_page_that_fails_and_one_that_only_lacks_rows() {
    let world = World::usual();
    let of = |world: &World, clue: &Clue| world.failed("page", &["app", "db"], clue, &[("", "rows_shown")]);
    let broken = saw(&json!({"status": 500, "rows_shown": 0, "database_error": false}));
    let later = World::usual().printed("app", RAISED);
    assert_eq!(of(&later, &broken), NONE, "what it printed some time is not about this page");
    let broken = Clue { printed: RAISED.to_owned(), ..broken };
    assert_eq!(of(&world, &broken), ["app/app.py:12"]);
    assert_eq!(of(&world, &saw(&json!({"status": 200, "rows_shown": 0, "database_error": false}))), NONE);
    assert_eq!(of(&world, &saw(&json!({"status": 404}))), NONE);
    assert_eq!(of(&world, &saw(&json!({"status": 500}))), NONE, "nobody says where");
    let unknown = Clue { dialled: vec!["bd".to_owned()], printed: RAISED.to_owned(), ..saw(&json!({"status": 500})) };
    assert_eq!(of(&world, &unknown), ["docker-compose.yml:6", "app/app.py:12"]);
    assert_eq!(of(&World::usual(), &saw(&json!({"rows_shown": 0}))), NONE, "it publishes a port, and nothing answers");
    assert_eq!(World::usual().failed("page", &["db"], &saw(&json!({})), &[]), ["docker-compose.yml:10"], "no port");
}

#[test]
fn rows_that_stand_in_the_code() {
    let of =
        |files| World::of(files).failed("round_trip", &["app", "db"], &saw(&json!({"seen": false})), &[("", "seen")]);
    assert_eq!(of(Files::usual(&[])), ["app/app.py:6"]);
    assert_eq!(of(Files::usual(&[("app/app.py", "x = 1\n")])), NONE, "two files, and neither has them");
}

#[test]
fn places_are_few_and_each_is_named_once() {
    let code: String = (0..9).map(|n| format!("a{n} = '10.0.0.1'\n")).collect();
    let world = World::of(Files::usual(&[("app/app.py", &code as &str)]));
    let clue = Clue { dialled: vec!["10.0.0.1".to_owned(), "10.0.0.1".to_owned()], ..saw(&json!({"by_name": false})) };
    let places = world.failed("dials", &["db", "app"], &clue, &[("", "by_name")]);
    assert_eq!(places, ["app/app.py:1", "app/app.py:2", "app/app.py:3"]);
    let hit = |column: u32| Hit {
        rule: "x".to_owned(),
        service: None,
        action: Action::Refuse,
        text: Text::default(),
        at: Place { file: "docker-compose.yml".to_owned(), line: 4, column },
        keys: ["services", "app", "build"].map(str::to_owned).into(),
    };
    let world = World { policy: vec![hit(1), hit(9)], ..World::usual() };
    assert_eq!(world.failed("policy", &[], &Clue::default(), &[]), ["docker-compose.yml:4"]);
}

#[test]
fn what_policy_refuses_in_a_file_that_is_extended_has_no_line_of_that_file() {
    let base = "services:\n  app:\n    image: x\n\n\n    privileged: true\n";
    let compose = "services:\n  app:\n    extends: {file: base.yml, service: app}\n  db:\n    image: mysql:5.7\n    privileged: true\n    volumes:\n      - ./db:/docker-entrypoint-initdb.d\n";
    let mut world = World::of(Files::of(&[("docker-compose.yml", compose), ("base.yml", base)]));
    let submission = &world.files.submission;
    world.policy = crate::submission::policy::judge(submission, submission.compose.as_ref().unwrap(), &[]);
    world.policy.retain(|hit| hit.service.as_deref() == Some("app"));
    assert_eq!(world.policy.len(), 1);
    assert_eq!(world.failed("policy", &[], &Clue::default(), &[]), ["docker-compose.yml:2"]);
    // Of the whole file no line is known.
    let whole = Hit { service: None, keys: vec!["networks".to_owned()], ..world.policy[0].clone() };
    let world = World { policy: vec![whole], ..world };
    assert_eq!(world.failed("policy", &[], &Clue::default(), &[]), NONE);
}

#[test]
fn what_is_mounted_is_refused_in_its_own_line() {
    let compose = COMPOSE.replace("      - ./db:", "      - /var/run/docker.sock:/var/run/docker.sock\n      - ./db:");
    let mut world = World::of(Files::usual(&[("docker-compose.yml", &compose as &str)]));
    let submission = &world.files.submission;
    world.policy = crate::submission::policy::judge(submission, submission.compose.as_ref().unwrap(), &[]);
    assert_eq!(world.failed("policy", &[], &Clue::default(), &[]), ["docker-compose.yml:13"]);
}

#[tokio::test(start_paused = true)]
async fn a_run_does_not_wait_for_what_takes_too_long() {
    assert_eq!(in_time(|_| 3).await, Some(3));
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let (tell, heard) = std::sync::mpsc::channel();
    let reading = tokio::spawn(in_time(move |late| {
        let _ = wait.recv();
        tell.send(late.load(Ordering::Relaxed))
    }));
    tokio::task::yield_now().await;
    tokio::time::advance(LONGEST).await;
    assert!(reading.await.unwrap().is_none());
    drop(go_on);
    assert_eq!(heard.recv_timeout(Duration::from_secs(20)), Ok(true), "it is told to stop");
}

fn with_machines() -> World {
    let text = "Vagrant.configure(\"2\") do |config|\n  config.vm.define \"a\"\n  config.vm.define \"b\"\nend\n";
    let play = "- hosts: all\n  tasks:\n    - name: x\n      command: y\n";
    let at = |line| Some(Place { file: "Vagrantfile".to_owned(), line, column: 1 });
    let def = |name: &str, line| MachineDef { name: name.to_owned(), at: at(line), ..MachineDef::default() };
    let loaded = Loaded::Machines(vec![def("a", 2), def("b", 3)]);
    World {
        vagrantfile: Some(Vagrantfile { path: "Vagrantfile".into(), loaded }),
        ..World::of(Files::usual(&[("Vagrantfile", text), ("site.yml", play)]))
    }
}

#[test]
fn a_machine_leads_to_its_definition() {
    let (world, clue) = (with_machines(), Clue::default());
    assert_eq!(world.failed("machine", &[], &clue, &[("b", "running"), ("b", "ssh")]), ["Vagrantfile:3"]);
    assert_eq!(
        world.failed("disk", &[], &clue, &[("a", "present"), ("b", "present")]),
        ["Vagrantfile:2", "Vagrantfile:3"]
    );
    // The play formats it, and which line of it should is not known.
    assert_eq!(world.failed("disk", &[], &clue, &[("a", "formatted")]), NONE);
    assert_eq!(world.failed("machine", &[], &clue, &[("c", "running")]), NONE);
}

#[test]
fn what_vagrant_could_not_read_leads_to_its_line() {
    let at = Some(Place { file: "Vagrantfile".to_owned(), line: 4, column: 1 });
    let loaded = Loaded::Refused { text: Text::same("syntax error"), at };
    let vagrantfile = Some(Vagrantfile { path: "Vagrantfile".into(), loaded });
    let world = World { vagrantfile, ..with_machines() };
    assert_eq!(world.failed("vagrantfile", &[], &Clue::default(), &[("", "valid")]), ["Vagrantfile:4"]);
    assert_eq!(with_machines().failed("vagrantfile", &[], &Clue::default(), &[("", "machines")]), NONE);
}

#[test]
fn a_provisioning_leads_to_the_task_that_its_sentence_names() {
    let task = |at: &str| Task { name: "x".to_owned(), at: Some(at.to_owned()), ..Task::default() };
    let world = |said: &str| {
        let play =
            Playbook { tasks: vec![task("site.yml:2")], unfinished: vec![task("site.yml:3")], ..Playbook::default() };
        let why = Some(LeftOut { reason: None, text: Text::same(said) });
        let provisioned = Some(Provisioned { plays: vec![play], why, ..Provisioned::default() });
        World { machines: Machines { provisioned, ..Machines::default() }, ..with_machines() }
    };
    let of = |said: &str| world(said).failed("ansible", &[], &Clue::default(), &[("", "ok")]);
    assert_eq!(of("the task `x` (site.yml:3), module `command`, failed"), ["site.yml:3"]);
    assert_eq!(of("the playbook ran and changed nothing on any machine"), NONE);
}

#[test]
fn what_nobody_starts_again_leads_to_its_service() {
    let seen = |world: &World, fault: &'static str, fact: &str, saw: &Clue| {
        let asked = Asked { fault, ..asked("drill", &["app", "db"]) };
        world.places(Verdict::Fail, None, &asked, saw, &[("", fact)])
    };
    let of = |world: &World, fault: &'static str, fact: &str| seen(world, fault, fact, &Clue::default());
    let world = World::usual();
    assert_eq!(of(&world, "kill", "recovery_time_s"), ["docker-compose.yml:3"]);
    assert_eq!(of(&world, "kill", "acked_lost"), NONE, "its data is no matter of starting");
    assert_eq!(of(&world, "exhaust_memory", "recovery_time_s"), NONE, "it may have been a worker of it that ended");
    let late = saw(&json!({"recovery_time_s": 40.0}));
    assert_eq!(seen(&world, "kill", "recovery_time_s", &late), NONE, "somebody did start it");
    let with = |key: &str| {
        let at = "  app:\n";
        let compose = COMPOSE.replacen(at, &format!("{at}    {key}\n"), 1);
        World::of(Files::usual(&[("docker-compose.yml", &compose)]))
    };
    assert_eq!(of(&with("restart: \"no\""), "kill", "recovery_time_s"), ["docker-compose.yml:4"]);
    assert_eq!(of(&with("restart: always"), "kill", "recovery_time_s"), NONE, "what keeps it away is anywhere");
    assert_eq!(of(&with("deploy: {restart_policy: {condition: any}}"), "kill", "recovery_time_s"), NONE);
    let by_others = World { by_compose: false, ..World::usual() };
    assert_eq!(of(&by_others, "kill", "recovery_time_s"), NONE, "somebody else is charged with it");
}

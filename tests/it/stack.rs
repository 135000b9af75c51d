//! A small stack on the host's engine for tests of probes: a real database, and a page in PHP in front of it.
//!
//! Containers carry compose's labels, so that probes find them as they find a submission's. testcontainers starts and
//! removes them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use imparcial::agent::client::Agents;
use imparcial::docker::Engine;
use imparcial::exec::local::Local;
use imparcial::expect::Facts;
use imparcial::probe::{self, Attempt, Observation, ProbeError};
use imparcial::scenario::tree::{self, Decoder};
use imparcial::stack::{Binding, Config, ImageState, Service, Spot, Stack, StandIn};
use imparcial::submission::{ReadOptions, Submission};
use testcontainers::core::{ContainerPort, Mount};
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, GenericImage, ImageExt};

use super::live;

pub(crate) struct World {
    pub(crate) stack: Arc<Stack>,
    dir: tempfile::TempDir,
    _containers: Vec<ContainerAsync<GenericImage>>,
}

/// What the test's stack is made of.
#[derive(Default)]
pub(crate) struct Recipe<'a> {
    /// Scripts of the submission, by path; those below `sql/` are given to the database.
    pub(crate) sql: &'a [(&'a str, &'a str)],
    /// Environment of the database.
    pub(crate) env: &'a [(&'a str, &'a str)],
    /// Pages of the app, by name; none is no app.
    pub(crate) pages: &'a [(&'a str, &'a str)],
    /// Scripts are there, and nobody gives them to the database.
    pub(crate) forgotten: bool,
}

pub(crate) const ROOT: (&str, &str) = ("MYSQL_ROOT_PASSWORD", "secreto");

impl World {
    pub(crate) async fn up(what: &str, recipe: Recipe<'_>) -> Option<Self> {
        let engine = live::engine().await?;
        let project = format!("imparcial-{}", live::run_name(what));
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for (path, text) in recipe.sql.iter().chain(recipe.pages) {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let volumes = if recipe.forgotten { "" } else { "\n    volumes: [\"./sql:/docker-entrypoint-initdb.d\"]" };
        let compose = format!("services:\n  app:\n    image: x\n  db:\n    image: mysql:5.7{volumes}\n");
        std::fs::write(root.join("docker-compose.yml"), compose).unwrap();
        let mut containers = vec![database(&project, root, &recipe).await];
        if !recipe.pages.is_empty() {
            containers.push(app(&project, root).await);
        }
        let submission = imparcial::submission::read(root, &ReadOptions::default()).unwrap();
        let stack = Arc::new(stack(engine, project, root, submission));
        let world = Self { stack, dir, _containers: containers };
        world.ready(!recipe.pages.is_empty()).await;
        Some(world)
    }

    /// Waits until both answer: the probes under test do not wait.
    async fn ready(&self, app: bool) {
        let answers = |params: &'static str| async move {
            let seen = self.look("tcp", params).await;
            seen.is_ok_and(|o| fact(&o, "connected") == true && fact(&o, "greeted_by") != "nobody")
        };
        let minute = Duration::from_secs(60);
        let db = "{role: db, port: 3306, from: {inside: db}}";
        assert!(live::eventually(minute, || answers(db)).await, "the database does not answer");
        if app {
            assert!(live::eventually(minute, || answers("{role: app}")).await, "the app does not answer");
        }
    }

    /// One look with these parameters.
    pub(crate) async fn look(&self, kind: &str, params: &str) -> Result<Observation, ProbeError> {
        look(&self.stack, kind, params).await
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs statements as root, past every probe.
    pub(crate) async fn sql(&self, statements: &[&str]) -> Vec<Vec<Vec<Option<String>>>> {
        use imparcial::agent::Statement;
        use imparcial::probe::common::Found;
        let minute = Duration::from_secs(60);
        let Found::Here(store) = probe::store::open(&self.stack, "db", minute).await.unwrap() else { panic!() };
        let statements = statements.iter().map(|s| Statement::new(*s)).collect();
        let answers = store.ask(statements, minute).await.unwrap();
        answers
            .into_iter()
            .map(|answer| {
                assert_eq!(answer.error, None);
                answer.rows
            })
            .collect()
    }
}

/// One look at a stack with these parameters.
pub(crate) async fn look(stack: &Arc<Stack>, kind: &str, params: &str) -> Result<Observation, ProbeError> {
    let node = tree::read(params, "test.yaml").unwrap();
    let mut problems = Vec::new();
    let mut decoder = Decoder::new(&node, &mut problems);
    let probe = (probe::kind(kind).unwrap().decode)(&mut decoder);
    decoder.finish();
    assert!(problems.is_empty(), "{problems:?}");
    let attempt = Attempt {
        timeout: Duration::from_secs(20),
        waited: Duration::ZERO,
        within: Duration::from_secs(20),
        last: false,
    };
    probe.unwrap().observe(stack, attempt).await
}

/// A fact of the only subject.
pub(crate) fn fact(observation: &Observation, name: &str) -> serde_json::Value {
    facts(observation).get(name).cloned().unwrap_or_default()
}

pub(crate) fn facts(observation: &Observation) -> &Facts {
    &observation.subjects[0].1
}

async fn database(project: &str, root: &Path, recipe: &Recipe<'_>) -> ContainerAsync<GenericImage> {
    let mut request = GenericImage::new("imparcial/mysql", "latest")
        .with_container_name(format!("{project}-db"))
        .with_network(project)
        .with_labels(labels(project, "db"));
    for (name, value) in recipe.env {
        request = request.with_env_var(*name, *value);
    }
    if !recipe.forgotten && !recipe.sql.is_empty() {
        let scripts = root.join("sql").display().to_string();
        request = request.with_mount(Mount::bind_mount(scripts, "/docker-entrypoint-initdb.d"));
    }
    let secrets = root.join("secrets");
    if secrets.is_dir() {
        request = request.with_mount(Mount::bind_mount(secrets.display().to_string(), "/run/secrets"));
    }
    request.start().await.expect("the image imparcial/mysql is made by `imparcial setup`")
}

/// Apache with PHP and the pages; where the database is comes from its own name.
async fn app(project: &str, root: &Path) -> ContainerAsync<GenericImage> {
    let start = "docker-php-ext-install mysqli >/dev/null && exec apache2-foreground";
    GenericImage::new("imparcial/php", "latest")
        .with_exposed_port(ContainerPort::Tcp(80))
        .with_container_name(format!("{project}-app"))
        .with_network(project)
        .with_labels(labels(project, "app"))
        .with_env_var("DB", format!("{project}-db"))
        .with_mount(Mount::bind_mount(root.join("www").display().to_string(), "/var/www/html"))
        .with_cmd(["sh", "-c", start])
        .start()
        .await
        .expect("the image imparcial/php is made by `imparcial setup`")
}

fn labels(project: &str, service: &str) -> [(String, String); 2] {
    [
        ("com.docker.compose.project".to_owned(), project.to_owned()),
        ("com.docker.compose.service".to_owned(), service.to_owned()),
    ]
}

pub(crate) fn stack(engine: Engine, project: String, root: &Path, submission: Submission) -> Stack {
    let shell = Arc::new(Local);
    let binding = |service: &str| Binding { service: Some(service.to_owned()), ..Binding::default() };
    let stand_in = StandIn { reference: "mysql:5.7".into(), name: "mysql".into(), version: "MariaDB 10.11".into() };
    let service = |name: &str, stand_in: Option<StandIn>| Service {
        name: name.to_owned(),
        image: ImageState { stand_in, ..ImageState::default() },
        left_out: None,
    };
    let home = Spot {
        node: None,
        engine,
        agents: Agents::new(shell.clone(), env!("CARGO_BIN_EXE_imparcial")),
        shell,
        // Where the engine publishes, seen from its containers.
        address: "172.17.0.1".into(),
    };
    Stack {
        ground: home.clone(),
        home,
        others: Vec::new(),
        project,
        workdir: root.display().to_string(),
        compose_dir: root.display().to_string(),
        compose_file: "docker-compose.yml".into(),
        submission: Arc::new(submission),
        left_out: Vec::new(),
        config: Config::default(),
        policy: Vec::new(),
        services: BTreeMap::from([
            ("app".to_owned(), service("app", None)),
            ("db".to_owned(), service("db", Some(stand_in))),
        ]),
        roles: BTreeMap::from([("app".to_owned(), binding("app")), ("db".to_owned(), binding("db"))]),
        judged: Default::default(),
        as_written: BTreeMap::new(),
        overrides: Vec::new(),
        doubts: Vec::new(),
        made: Vec::new(),
        swarm: false,
        unmeshed: Default::default(),
        addressless: Default::default(),
        provisioned: false,
        first_up: None,
        no_services: None,
        machines: Default::default(),
        declared: imparcial::stack::declared::Declaring::default(),
        labels: BTreeMap::new(),
        breaking: Default::default(),
        drills: tokio::sync::Mutex::default(),
        healing: None,
        off: Default::default(),
        notebook: tokio::sync::Mutex::default(),
    }
}

//! Kinds of checks that no shipped scenario uses, and `never`: each passing and failing on the reference, in a lab.

use std::path::Path;
use std::time::Duration;

use imparcial::record::{CheckRecord, RunRecord, Verdict};
use tokio::process::Command;

use super::live;

const SCENARIO: &str = include_str!("data/kinds.yaml");
const COLLECTOR: &str = include_str!("data/collector.py");

/// The app's log goes to a collector too, and each visit into a line that names no query.
const LOGGING: &str = "import itertools, logging, logging.handlers, sys\n\
    lejos = logging.handlers.SysLogHandler((\"logs\", 5140))\n\
    logging.getLogger(\"werkzeug\").addHandler(lejos)\n\
    logging.getLogger(\"werkzeug\").addHandler(logging.StreamHandler())\n\
    visitas = logging.getLogger(\"visitas\")\n\
    visitas.setLevel(logging.INFO)\n\
    visitas.addHandler(lejos)\n\
    visitas.addHandler(logging.StreamHandler(sys.stdout))\n\
    numero = itertools.count()\n\n\n\
    @app.before_request\n\
    def visita():\n    visitas.info(\"visit number %d of the page\", next(numero))\n\n\n";

/// The collector beside the rest.
const SERVICE: &str = "  logs:\n    image: python:3.6\n    command: [python, -u, /logs/collector.py]\n    volumes:\n      - ./logs:/logs\n";

/// A copy of the reference that is the scenario's own: its failures are nobody's stand-in's.
fn folder() -> tempfile::TempDir {
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/seed/reference");
    let dir = tempfile::tempdir().unwrap();
    live::copy(&reference, &dir.path().join("reference"));
    let changed = |file: &str, from: &str, to: &str| {
        let file = dir.path().join("reference").join(file);
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(text.matches(from).count(), 1, "{from}");
        std::fs::write(file, text.replace(from, to)).unwrap();
    };
    changed("app/app.py", "@app.route(\"/\")", &format!("{LOGGING}@app.route(\"/\")"));
    changed("docker-compose.yml", "    build: ./app\n", "    build: ./app\n    depends_on:\n      - logs\n");
    changed("docker-compose.yml", "services:\n", &format!("services:\n{SERVICE}\n"));
    std::fs::create_dir(dir.path().join("reference/logs")).unwrap();
    std::fs::write(dir.path().join("reference/logs/collector.py"), COLLECTOR).unwrap();
    std::fs::write(dir.path().join("scenario.yaml"), SCENARIO).unwrap();
    dir
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_passes_and_fails_on_the_reference() {
    if live::engine().await.is_none() {
        return;
    }
    let dir = folder();
    let output = Command::new(env!("CARGO_BIN_EXE_imparcial"))
        .args(["--lang", "en", "grade", "--patience", "60s", "--role", "logs=logs", "--role", "app=app", "--scenario"])
        .arg(dir.path().join("scenario.yaml"))
        .arg("--reports")
        .arg(dir.path().join("reports"))
        .arg(dir.path().join("reference"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output();
    let output = tokio::time::timeout(Duration::from_secs(400), output).await.unwrap().unwrap();
    let record = std::fs::read(dir.path().join("reports/latest/record.json"));
    let record = record.unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)));
    let record: RunRecord = serde_json::from_slice(&record).unwrap();
    let should = |check: &CheckRecord| match check.id.split('-').next() {
        Some("not") => Verdict::Fail,
        Some("undecided") => Verdict::Error,
        _ => Verdict::Pass,
    };
    let wrong: Vec<String> = record
        .checks
        .iter()
        .filter(|check| check.verdict != should(check))
        .map(|check| format!("{}: {:?} {} {:?}", check.id, check.verdict, check.explanation.en, check.findings))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(record.checks.len() > 15, "{}", record.checks.len());

    let check = |id: &str| record.checks.iter().find(|c| c.id == id).unwrap();
    let never = check("never-a-crash");
    assert!(
        never.elapsed_ms >= 3000 && never.attempts >= 2,
        "watched to the end: {} looks in {} ms",
        never.attempts,
        never.elapsed_ms
    );
    let seen = check("not-never-there");
    assert!(seen.elapsed_ms < 30_000, "a failure ends it: {} ms", seen.elapsed_ms);
    assert!(seen.explanation.en.contains("must never be true"), "{}", seen.explanation.en);
    let silent = &check("undecided-logs-echo").explanation.en;
    assert!(silent.contains("repeats what it is asked"), "{silent}");
    let elsewhere = &check("not-logs-elsewhere").explanation.en;
    assert!(elsewhere.contains("printed") && elsewhere.contains("none of them was at logs"), "{elsewhere}");
    assert_eq!(check("not-file-there").explanation.en, "there is nothing at /app/nothing");
}

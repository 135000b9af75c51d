//! Records for tests: an empty one, a typical one, one with drills, and one whose every text is hostile.

mod drills;

pub use drills::{drilled, drills};

use super::*;
use crate::notice::Level;
use crate::submission::when::By;

/// A record with no checks.
pub fn empty() -> RunRecord {
    RunRecord {
        run: "20261124-204305-ab12".to_owned(),
        folder: "reports/20261124-204305-ab12".to_owned(),
        // Snapshots hold it, whatever this build's is.
        imparcial: "0.1.0".to_owned(),
        started: "2026-11-24T20:43:05Z".to_owned(),
        elapsed_ms: 41_250,
        scenario: ScenarioRecord {
            name: "seed".to_owned(),
            title: Text::new("Exam 2: services", "Parcial 2: servicios"),
            file: "scenarios/seed/scenario.yaml".to_owned(),
            points: 0,
            scale: None,
        },
        submission: SubmissionRecord {
            path: "/home/ana/team-07".to_owned(),
            name: "team-07".to_owned(),
            compose_file: Some("docker/docker-compose.yml".to_owned()),
            vagrantfile: None,
            source: None,
            handed_in: None,
        },
        place: "lab".to_owned(),
        host: vec![("engine".to_owned(), "20.10.24".to_owned()), ("cpus".to_owned(), "2".to_owned())],
        ..RunRecord::empty()
    }
}

/// A check; `cause` is the verdict at the root of a skip.
pub fn check(id: &str, points: u64, verdict: Verdict, cause: Option<Verdict>) -> CheckRecord {
    CheckRecord {
        id: id.to_owned(),
        title: Text::new(format!("Check {id}"), format!("Verificación {id}")),
        kind: "http".to_owned(),
        points,
        at: Place { file: "scenarios/seed/scenario.yaml".to_owned(), line: 40, column: 5 },
        visibility: "student".to_owned(),
        details: String::new(),
        verdict,
        reason: (verdict == Verdict::Error).then_some(Reason::StandIn),
        cause: cause.map(|verdict| Cause { check: "root".to_owned(), verdict }),
        explanation: Text::default(),
        hint: None,
        credit: None,
        drill: None,
        look_at: Vec::new(),
        findings: Vec::new(),
        notes: Vec::new(),
        attempts: 1,
        started_ms: 12_000,
        elapsed_ms: 250,
        evidence: Vec::new(),
    }
}

/// Four machines, of a box and of one that nothing served for.
pub fn machines(name: &str, missing: Option<Text>) -> MachinesRecord {
    let of = |reference: &str, machines: &[&str]| BoxRecord {
        reference: reference.to_owned(),
        machines: machines.iter().map(|m| (*m).to_owned()).collect(),
        stand_in: None,
        taken: None,
        missing: None,
    };
    let node = Some("Debian 12 container".to_owned());
    let served = BoxRecord { stand_in: node, ..of(name, &["master", "worker1", "worker2"]) };
    MachinesRecord { provider: "docker".to_owned(), boxes: vec![served, BoxRecord { missing, ..of(name, &[name]) }] }
}

fn finding(subject: &str, fact: &str, expected: &str, observed: &str, holds: bool) -> Finding {
    Finding {
        subject: subject.to_owned(),
        fact: fact.to_owned(),
        expected: expected.to_owned(),
        observed: observed.to_owned(),
        holds,
    }
}

fn look_at(file: &str, line: u32, what: Text) -> LookAt {
    LookAt { place: Place { file: file.to_owned(), line, column: 3 }, what }
}

/// One of everything: passes, a failure with what it explains, an undecided one, observations, a stand-in, an override.
pub fn typical() -> RunRecord {
    use Verdict::{Error, Fail, Pass, Skip};
    let mut record = empty();
    record.submission.handed_in = Some(HandedIn { date: "2022-03-01".to_owned(), by: By::Given });
    let mut valid = check("compose-valid", 4_000, Pass, None);
    valid.kind = "compose".to_owned();
    valid.at.line = 21;
    valid.findings = vec![finding("", "valid", "true", "true", true)];

    let mut runs = check("db-runs", 6_000, Pass, None);
    runs.title = Text::new("The database runs", "La base de datos se ejecuta");
    runs.notes = vec![Text::new("it restarted once before that", "antes se reinició una vez")];
    runs.evidence = vec!["evidence/stack/service-db.log".to_owned()];

    let mut init = check("init-applied", 15_000, Fail, None);
    init.title = Text::new("init.sql was applied", "Se aplicó init.sql");
    init.kind = "mysql".to_owned();
    init.at.line = 52;
    init.explanation = Text::new(
        "the database has none of the tables that init.sql declares",
        "la base de datos no tiene ninguna de las tablas que init.sql declara",
    );
    init.hint = Some(Text::new(
        "Mount the folder with init.sql at /docker-entrypoint-initdb.d.",
        "Monte la carpeta de init.sql en /docker-entrypoint-initdb.d.",
    ));
    init.findings = vec![
        finding("", "connected", "true", "true", true),
        finding("", "missing_tables", "none", "favorite_colors", false),
    ];
    init.look_at = vec![
        look_at("docker/docker-compose.yml", 12, Text::new("service `db`", "servicio `db`")),
        look_at("docker/db/init.sql", 3, Text::new("creates `favorite_colors`", "crea `favorite_colors`")),
    ];
    init.attempts = 118;
    init.elapsed_ms = 60_010;
    init.evidence =
        vec!["evidence/init-applied/init-applied-facts.json".to_owned(), "evidence/stack/service-db.log".to_owned()];

    let mut page = check("page", 12_000, Skip, Some(Fail));
    page.title = Text::new("The page shows rows", "La página muestra filas");
    page.cause = Some(Cause { check: "init-applied".to_owned(), verdict: Fail });

    let mut memory = check("memory-declared", 5_000, Fail, None);
    memory.kind = "limits".to_owned();
    memory.explanation = Text::new("`db` declares no memory limit", "`db` no declara límite de memoria");
    memory.findings = vec![
        finding("app", "declared_bytes", "≥ 6291456", "20971520", true),
        finding("db", "declared_bytes", "≥ 6291456", "nothing", false),
    ];

    let mut by_name = check("db-by-name", 15_000, Error, None);
    by_name.title = Text::new("The database is reached by its name", "Se llega a la base de datos por su nombre");
    by_name.explanation = Text::new(
        "the app's interpreter is a stand-in (Python 3.11 for python:3.6) and could not import Flask",
        "el intérprete de la aplicación es un sustituto (Python 3.11 por python:3.6) y no pudo importar Flask",
    );

    let mut live = check("page-is-live", 3_000, Skip, Some(Error));
    live.cause = Some(Cause { check: "db-by-name".to_owned(), verdict: Error });

    let mut port = check("database-port", 0, Fail, None);
    port.title = Text::new("The database is published on 32000", "La base de datos se publica en 32000");
    port.explanation = Text::new("nothing listens on port 32000", "nada escucha en el puerto 32000");

    record.checks = vec![valid, runs, init, page, memory, by_name, live, port];
    record.scenario.points = record.checks.iter().map(|c| c.points).sum();
    record.phases = vec![
        PhaseRecord { name: "lab".to_owned(), started_ms: 0, elapsed_ms: 4_100, detail: Text::default() },
        PhaseRecord {
            name: "build".to_owned(),
            started_ms: 4_100,
            elapsed_ms: 9_800,
            detail: Text::new("1 image built, 1 pulled", "1 imagen construida, 1 descargada"),
        },
        PhaseRecord { name: "checks".to_owned(), started_ms: 13_900, elapsed_ms: 24_000, detail: Text::default() },
    ];
    record.notices = vec![Notice {
        id: "compose.duplicate_key".to_owned(),
        level: Level::Warning,
        text: Text::new(
            "`ports` is written twice; the last one counts",
            "`ports` está escrito dos veces; vale el último",
        ),
        at: Some(Place { file: "docker/docker-compose.yml".to_owned(), line: 9, column: 5 }),
        service: Some("app".to_owned()),
    }];
    record.images = vec![
        ImageRecord {
            service: "app".to_owned(),
            reference: "build".to_owned(),
            base: Some("python:3.6".to_owned()),
            stand_in: Some("Python 3.11".to_owned()),
            id: Some("sha256:aa".to_owned()),
            missing: None,
        },
        ImageRecord {
            service: "db".to_owned(),
            reference: "mysql:5.7".to_owned(),
            base: None,
            stand_in: Some("MariaDB 10.11".to_owned()),
            id: Some("sha256:bb".to_owned()),
            missing: None,
        },
    ];
    record.roles = vec![RoleRecord {
        role: "app".to_owned(),
        service: Some("web".to_owned()),
        why: Text::new("built from the submission, publishes 5000", "construido de la entrega, publica 5000"),
    }];
    record.overrides = vec![Text::new(
        "memory 256 MiB and 1 cpu for every service, after `db` died at its 20 MB",
        "memoria de 256 MiB y 1 cpu para cada servicio, tras morir `db` en sus 20 MB",
    )];
    record.evidence =
        vec!["evidence/stack/compose-resolved.yml".to_owned(), "evidence/stack/service-db.log".to_owned()];
    record
}

/// Three criteria that people judge, of 10 points each, pending.
pub fn manual() -> Vec<ManualRecord> {
    let level =
        |name: &str, es: &str, points| LevelRecord { name: name.to_owned(), title: Text::new(name, es), points };
    let levels =
        vec![level("complete", "completo", 10_000), level("partial", "parcial", 5_000), level("missing", "ausente", 0)];
    let criterion = |id: &str, en: &str, es: &str, line| ManualRecord {
        id: id.to_owned(),
        title: Text::new(en, es),
        points: 10_000,
        at: Place { file: "scenarios/seed/scenario.yaml".to_owned(), line, column: 5 },
        visibility: "student".to_owned(),
        levels: levels.clone(),
        mark: None,
    };
    vec![
        criterion("readme", "The README is complete", "El README está completo", 90),
        criterion("wording", "The wording is clear", "La redacción es clara", 91),
        criterion("problems", "Problems found are told", "Se cuentan los problemas encontrados", 92),
    ]
}

/// The typical run of a scenario with criteria and a scale: one marked in part, one pending, one marked with nothing.
pub fn judged() -> RunRecord {
    let mut record = typical();
    record.manual = manual();
    let mark = |level: &str, points, comment: &str| {
        Some(Mark { level: level.to_owned(), points, comment: comment.to_owned() })
    };
    record.manual[0].mark = mark("partial", 5_000, "The names are missing.");
    record.manual[2].mark = mark("missing", 0, "");
    record.scenario.points += 30_000;
    record.scenario.scale = Some(Scale { min: 0, max: 5_000, pass: Some(3_000) });
    record
}

/// The typical run with checks, and details of checks, that a student may not see: all that may not be seen says SECRET.
pub fn with_secrets() -> RunRecord {
    use Verdict::{Fail, Skip};
    let secret = |what: &str| Text::same(format!("SECRET-{what}"));
    let fill = |mut check: CheckRecord| {
        check.explanation = secret("explanation");
        check.hint = Some(secret("hint"));
        check.look_at = vec![look_at("SECRET-file", 1, secret("place"))];
        check.notes = vec![secret("note")];
        check.findings = vec![finding("SECRET-subject", "SECRET-fact", "SECRET-expected", "SECRET-observed", false)];
        check.evidence = vec![format!("evidence/{0}/{0}-SECRET-facts.json", check.id)];
        check
    };
    let mut record = typical();
    let mut after = fill(check("after-SECRET-due", 2_000, Fail, None));
    (after.title, after.visibility) = (secret("title"), "after_due".to_owned());
    let mut teacher = fill(check("teacher-SECRET", 3_000, Fail, None));
    (teacher.title, teacher.kind, teacher.visibility) =
        (secret("title"), "SECRET-kind".to_owned(), "teacher".to_owned());
    let mut behind = check("behind", 1_000, Skip, Some(Fail));
    behind.cause = Some(Cause { check: teacher.id.clone(), verdict: Fail });
    behind.explanation = Text::same(format!("not counted again: it follows from `{}`", teacher.id));
    let mut guarded = fill(check("guarded", 4_000, Fail, None));
    guarded.details = "teacher".to_owned();
    let observed = CheckRecord { id: "guarded-too".to_owned(), points: 0, ..guarded.clone() };
    teacher.drill = Some("SECRET-drill".to_owned());
    guarded.drill = Some("guarded-drill".to_owned());
    record.drills = drills::with_secrets();
    let shared = drills::objective("shared-drill", "shared-back", 0, Fail);
    let later = drills::objective("shared-drill", "shared-SECRET", 0, Fail);
    let later = CheckRecord { visibility: "after_due".to_owned(), ..later };
    record.checks.extend([after, teacher, behind, guarded, observed, shared, later]);
    // What the hidden checks asked for stands in the service's log, which backs one that is seen too.
    let log = "evidence/stack/service-app-SECRET.log".to_owned();
    record.checks.iter_mut().filter(|c| c.id == "db-runs").for_each(|c| c.evidence.push(log.clone()));
    record.evidence.push(log);
    let mut judged = manual();
    (judged[0].title, judged[0].visibility) = (secret("title"), "teacher".to_owned());
    judged[0].mark = Some(Mark { level: "missing".to_owned(), points: 0, comment: "SECRET-comment".to_owned() });
    record.manual = judged;
    let judged = record.manual.iter().map(|c| c.points).sum::<u64>();
    record.scenario.points = record.checks.iter().map(|c| c.points).sum::<u64>() + judged;
    record
}

/// The same run with nothing that failed.
pub fn passed(record: &RunRecord) -> RunRecord {
    let mut record = record.clone();
    record.checks.iter_mut().for_each(|c| (c.verdict, c.cause, c.reason) = (Verdict::Pass, None, None));
    record
}

/// What a submission prints to do harm: colours, NUL, a closed CDATA, commands, tags, direction marks, emoji, markup.
pub const HOSTILE: &str = "\u{1b}[31mred\u{1b}[0m \0 ]]> <b>&amp; \"q\" 'a'\r\n::error file=x::gotcha\n[[ATTACHMENT|/etc/passwd]]\n##[error]x\nשלום \u{202e}evil 👩‍💻 \u{ffff}\u{9b}31m\u{2028}end\n[[PROPERTY|grade=100]] </pre></details><script>x</script> ![i](https://evil.example/i.png)\n| a | b |\n|---|---|\n::stop-commands::x\n  ::add-mask::y\n##vso[task.complete]z";

/// Every text that may come from a submission is hostile, and two checks share an id.
pub fn hostile() -> RunRecord {
    let mut record = typical();
    let nasty = Text::same(HOSTILE);
    record.submission.name = format!("team/../{HOSTILE}");
    record.submission.compose_file = Some(HOSTILE.to_owned());
    record.errors = vec![nasty.clone()];
    record.overrides = vec![nasty.clone()];
    record.notices.iter_mut().for_each(|n| n.text = nasty.clone());
    record.phases.iter_mut().for_each(|p| p.detail = nasty.clone());
    record.roles.iter_mut().for_each(|r| (r.service, r.why) = (Some(HOSTILE.to_owned()), nasty.clone()));
    for image in &mut record.images {
        (image.reference, image.service) = (HOSTILE.to_owned(), HOSTILE.to_owned());
        image.missing = Some(nasty.clone());
    }
    record.submission.vagrantfile = Some(HOSTILE.to_owned());
    record.machines = Some(machines(HOSTILE, Some(nasty.clone())));
    for check in &mut record.checks {
        check.title = nasty.clone();
        check.explanation = nasty.clone();
        check.hint = Some(nasty.clone());
        check.look_at = vec![look_at(HOSTILE, 7, nasty.clone())];
        check.notes = vec![nasty.clone()];
        check.evidence = vec![format!("evidence/{HOSTILE}")];
        check.findings = vec![finding(HOSTILE, HOSTILE, HOSTILE, HOSTILE, false)];
    }
    record.drills = drills::hostile();
    record.checks.iter_mut().take(3).for_each(|check| check.drill = Some(HOSTILE.to_owned()));
    if let Some(finding) = record.checks.first_mut().and_then(|check| check.findings.first_mut()) {
        finding.observed = format!("{}{HOSTILE}", "a line without end ".repeat(20_000));
    }
    let twin = record.checks.first().cloned();
    record.checks.extend(twin);
    record.manual = manual();
    for criterion in &mut record.manual {
        criterion.title = nasty.clone();
        criterion.mark = Some(Mark { level: HOSTILE.to_owned(), points: 0, comment: HOSTILE.to_owned() });
    }
    // Twins of a check's too.
    record.manual[2].id = record.checks[0].id.clone();
    let judged = record.manual.iter().map(|c| c.points).sum::<u64>();
    record.scenario.points = record.checks.iter().map(|c| c.points).sum::<u64>() + judged;
    record
}

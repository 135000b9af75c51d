//! The document against the rules that its consumers live by, on typical and on hostile records.

use super::parsed::{Element, parse};
use super::*;
use crate::grade::grade;
use crate::record::fixture;

fn xml(record: &RunRecord, lang: Lang) -> String {
    String::from_utf8(render(record, &grade(record), lang).expect("rendered")).expect("UTF-8")
}

/// What consumers read, for any record.
fn check_rules(xml: &str) -> Element {
    let legal = |c: char| matches!(c, '\t' | '\n' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    assert_eq!(xml.chars().find(|c| !legal(*c)), None, "what XML 1.0 forbids");
    let root = parse(xml);
    assert_eq!(root.name, "testsuites");
    let mut seen = std::collections::BTreeSet::new();
    let mut totals = [0; 4];
    for suite in &root.children {
        assert_eq!(suite.name, "testsuite", "one level of suites");
        assert!(!suite.get("name").is_empty() && suite.get("id").parse::<u32>().is_ok());
        assert_seconds(suite.get("time"));
        OffsetDateTime::parse(suite.get("timestamp"), &Rfc3339).expect("a time");
        let order: Vec<&str> = suite.children.iter().map(|c| c.name.as_str()).collect();
        assert!(order.iter().skip(1).all(|name| *name == "testcase"), "{order:?}");
        let mut counts = [0; 4];
        for case in suite.all("testcase") {
            counts[0] += 1;
            check_case(case, &mut counts);
            let key = (case.get("classname").to_owned(), case.get("name").to_owned());
            assert!(seen.insert(key.clone()), "twice: {key:?}");
        }
        let said = ["tests", "failures", "errors", "skipped"].map(|name| suite.get(name).parse::<usize>().unwrap());
        assert_eq!(said, counts);
        totals.iter_mut().zip(counts).for_each(|(total, n)| *total += n);
    }
    let said = ["tests", "failures", "errors", "skipped"].map(|name| root.get(name).parse::<usize>().unwrap());
    assert_eq!(said, totals);
    root
}

fn check_case(case: &Element, counts: &mut [usize; 4]) {
    assert!(!case.get("name").is_empty() && !case.get("classname").is_empty() && !case.get("file").is_empty());
    assert!(case.get("line").parse::<u32>().expect("a line") > 0);
    assert_seconds(case.get("time"));
    OffsetDateTime::parse(case.get("timestamp"), &Rfc3339).expect("a time");
    for value in case.attributes.values() {
        assert!(!value.contains('\n') && value.chars().count() <= ATTRIBUTE, "{value}");
    }
    let rank = |name: &str| match name {
        "properties" => 0,
        "failure" | "error" | "skipped" => 1,
        "system-out" => 2,
        "system-err" => 3,
        other => panic!("no consumer knows `{other}`"),
    };
    let order: Vec<i32> = case.children.iter().map(|c| rank(&c.name)).collect();
    assert!(order.windows(2).all(|w| w[0] < w[1]), "order of {:?}", case.children);
    for (n, name) in ["failure", "error", "skipped"].iter().enumerate() {
        counts[n + 1] += case.all(name).count();
    }
    for message in ["failure", "error", "skipped"].iter().filter_map(|name| case.child(name)) {
        assert!(!message.get("message").is_empty() && !message.get("type").is_empty());
    }
    if let Some(out) = case.child("system-out") {
        let tag = |line: &str| line.starts_with("[[ATTACHMENT|") && line.ends_with("]]");
        let tags = out.text.lines().take_while(|line| tag(line)).count();
        let rest: Vec<&str> = out.text.lines().skip(tags).collect();
        assert!(rest.iter().all(|line| !line.to_lowercase().contains("[[attachment|")), "a forged tag: {rest:?}");
    }
}

fn assert_seconds(time: &str) {
    let (whole, rest) = time.split_once('.').expect("a point");
    assert!(whole.parse::<u64>().is_ok() && rest.len() == 3 && rest.parse::<u32>().is_ok(), "{time}");
}

#[test]
fn a_typical_run_keeps_the_rules() {
    let record = fixture::typical();
    let root = check_rules(&xml(&record, Lang::En));
    let suite = &root.children[0];
    assert_eq!(suite.get("name"), "seed.team-07");
    let case = |name: &str| suite.all("testcase").find(|c| c.get("name") == name).expect("the case");

    let init = case("init-applied");
    assert_eq!((init.get("file"), init.get("line")), ("scenarios/seed/scenario.yaml", "52"));
    assert_eq!(init.get("timestamp"), "2026-11-24T20:43:17Z", "the run's start and twelve seconds");
    let failure = init.child("failure").expect("a failure");
    assert_eq!(failure.get("message"), "the database has none of the tables that init.sql declares");
    for piece in ["expected: none", "observed: favorite_colors", "last of 118 looks in 1 min 00 s", "hint: Mount"] {
        assert!(failure.text.contains(piece), "{piece}: {}", failure.text);
    }
    let out = &init.child("system-out").expect("attachments").text;
    let folder = "reports/20261124-204305-ab12/evidence";
    let paths = ["init-applied/init-applied-facts.json", "stack/service-db.log"].map(|path| format!("{folder}/{path}"));
    assert_eq!(*out, paths.each_ref().map(|path| format!("[[ATTACHMENT|{path}]]\n")).concat());
    let properties = init.child("properties").expect("properties");
    let attached: Vec<_> = properties.all("property").filter(|p| p.get("name") == "attachment").collect();
    assert_eq!(attached.iter().map(|p| p.get("value")).collect::<Vec<_>>(), paths);

    let error = case("db-by-name").child("error").expect("ours is an error");
    assert_eq!(error.get("type"), "stand_in");
    assert_eq!(case("page").child("skipped").expect("skipped").get("message"), "init-applied failed");
}

#[test]
fn an_observation_is_never_a_failure() {
    let mut record = fixture::typical();
    record.checks.iter_mut().for_each(|c| c.points = 0);
    let root = check_rules(&xml(&record, Lang::En));
    assert_eq!((root.get("failures"), root.get("errors")), ("0", "0"));
    let port = root.children[0].all("testcase").find(|c| c.get("name") == "database-port").unwrap();
    let out = &port.child("system-out").unwrap().text;
    assert!(out.contains("observation (no points): fail") && out.contains("nothing listens on port 32000"), "{out}");
}

#[test]
fn hostile_output_breaks_nothing_and_forges_nothing() {
    for lang in [Lang::En, Lang::Es] {
        let text = xml(&fixture::hostile(), lang);
        let root = check_rules(&text);
        assert!(!text.contains("\u{1b}") && !text.contains("\n::error"), "{text}");
        let failure = root.children[0].all("testcase").find_map(|c| c.child("failure")).unwrap();
        assert!(failure.text.contains("]]> <b>&amp; \"q\" 'a'\n: :error file=x"), "kept for people: {}", failure.text);
        assert!(failure.text.contains("⟨U+202E⟩evil 👩‍💻 ⟨U+FFFF⟩") && failure.text.contains("שלום"));
        assert!(!text.contains("[[ATTACHMENT|/etc"), "no tag of the submission's");
        assert!(!text.contains("[[ATTACHMENT|reports"), "evidence whose name is not safe has no tag");
    }
}

#[test]
fn a_case_does_not_grow_without_bound() {
    let mut record = fixture::typical();
    record.checks[2].findings[1].observed = "row\n".repeat(100_000);
    let root = check_rules(&xml(&record, Lang::En));
    let longest = root.children[0].all("testcase").filter_map(|c| c.child("failure")).map(|f| f.text.len()).max();
    assert!(longest.unwrap() < 2 * CASE_LIMIT, "{longest:?}");
}

#[test]
fn an_empty_run_and_a_run_with_no_name_are_documents_too() {
    let mut record = fixture::empty();
    record.submission.name = "..".to_owned();
    let root = check_rules(&xml(&record, Lang::En));
    assert_eq!(root.children[0].get("name"), "seed.__");
    assert_eq!((root.get("tests"), root.get("errors")), ("1", "1"), "a run that checked nothing is not green");
    record.errors = vec![crate::text::Text::same("the engine is gone")];
    assert!(xml(&record, Lang::Es).contains(r#"message="the engine is gone""#));
    record.started = "yesterday".to_owned();
    assert!(render(&record, &grade(&record), Lang::En).unwrap_err().message.contains("yesterday"));
}

#[test]
fn the_document_as_it_is() {
    insta::assert_snapshot!("junit_en", xml(&fixture::typical(), Lang::En));
    insta::assert_snapshot!("junit_es", xml(&fixture::typical(), Lang::Es));
}

fn properties(case: &Element) -> std::collections::BTreeMap<&str, &str> {
    let all = case.children.iter().filter(|c| c.name == "properties").flat_map(|c| &c.children);
    all.map(|p| (p.get("name"), p.get("value"))).collect()
}

#[test]
fn an_objective_has_what_its_drill_measured() {
    let text = xml(&fixture::drilled(), Lang::En);
    let root = check_rules(&text);
    let case = |name: &str| root.children[0].all("testcase").find(|c| c.get("name") == name).expect("the case");
    let back = properties(case("app-back"));
    let wanted = [
        ("outcome", "partly"),
        ("earned", "0.75"),
        ("drill", "app-killed"),
        ("fault", "kill"),
        ("hit", "app (web-1)"),
        ("recovery_time_s", "12.412"),
        ("resolution_s", "0.512"),
        ("longest_downtime_s", "12.012"),
        ("held_s", "42.000"),
        ("samples", "120"),
        ("every_ms", "500"),
        ("acknowledged", "312"),
        ("lost", "0"),
        ("unknown", "1"),
        ("cpu_share", "0.062"),
        ("healed", "true"),
    ];
    for (name, value) in wanted {
        assert_eq!(back.get(name), Some(&value), "{name} of {back:?}");
    }
    assert!(!back.contains_key("seed") && back["availability"].starts_with("0.7"), "{back:?}");
    let gone = properties(case("worker-back"));
    assert_eq!((gone["seed"], gone["healed"], gone["every_ms"]), ("42", "false", "1000"));
    for absent in ["recovery_time_s", "resolution_s", "held_s", "acknowledged", "lost", "cpu_share", "earned"] {
        assert!(!gone.contains_key(absent), "{absent} of {gone:?}");
    }
    for name in ["app-back", "worker-back", "db-held"] {
        let out = &case(name).child("system-out").expect("the strip").text;
        assert!(out.contains("██") && out.lines().any(|l| l.trim_start().starts_with('F')), "{name}: {out}");
    }
    assert!(!properties(case("page")).contains_key("drill"));
}

#[test]
fn an_objective_of_a_drill_that_was_not_run_names_it_and_no_more() {
    let mut record = fixture::drilled();
    record.drills.clear();
    let text = xml(&record, Lang::Es);
    let root = check_rules(&text);
    let back = root.children[0].all("testcase").find(|c| c.get("name") == "app-back").unwrap();
    let properties = properties(back);
    assert!(properties["drill"] == "app-killed" && !properties.contains_key("samples"), "{properties:?}");
    assert!(back.child("system-out").is_none());
}

//! Trials of canned records: what starts, what is shown, how it ends. Nothing here starts anything.

use std::cell::RefCell;

use super::*;
use crate::record::fixture;

fn settings(nextest: bool) -> Settings {
    Settings {
        scenario: "seed".to_owned(),
        submission: None,
        reports: tempfile::tempdir().unwrap().keep(),
        skip_live: false,
        nextest: nextest.then(|| "run-id".to_owned()),
        lang: Lang::En,
    }
}

fn listing() -> Listing {
    let ids = fixture::typical().checks.into_iter().map(|c| c.id).collect();
    Listing { ids, longest: Duration::from_secs(20) }
}

/// What was printed, how it ended, and what the engine was asked for, if at all.
struct Seen {
    out: String,
    ended: Ended,
    asked: Option<Vec<String>>,
}

fn seen(args: &[&str], settings: &Settings, done: Result<RunRecord, String>) -> Seen {
    let log = tempfile::NamedTempFile::new().unwrap();
    let path = log.path().to_str().unwrap();
    let args = Arguments::from_iter(["cluster", "--logfile", path, "--color", "never"].iter().chain(args));
    let asked = RefCell::new(None);
    let ended = drive(args, &listing(), settings, |only| {
        asked.replace(Some(only.to_vec()));
        done
    });
    Seen { out: std::fs::read_to_string(log.path()).unwrap(), ended, asked: asked.into_inner() }
}

fn counts(seen: &Seen) -> [u64; 4] {
    let c = &seen.ended.conclusion;
    [c.num_passed, c.num_failed, c.num_ignored, c.num_filtered_out]
}

#[test]
fn listing_starts_nothing() {
    for args in [&["--list"][..], &["--list", "--format", "terse"], &["--list", "--ignored", "--format", "terse"]] {
        let seen = seen(args, &settings(true), Err("must not be asked".to_owned()));
        assert_eq!(seen.asked, None);
        assert_eq!(seen.out.contains("init-applied: test\n"), !args.contains(&"--ignored"), "{}", seen.out);
    }
}

#[test]
fn a_filter_that_nothing_matches_starts_nothing() {
    for args in [&["no-such-check"][..], &["--ignored"], &["--bench"], &["--exact", "pag"]] {
        let seen = seen(args, &settings(false), Err("must not be asked".to_owned()));
        assert_eq!(seen.asked, None, "{args:?}");
        assert!(!seen.ended.conclusion.has_failed());
    }
}

#[test]
fn a_whole_run_shows_every_verdict() {
    let seen = seen(&[], &settings(false), Ok(fixture::typical()));
    assert_eq!(seen.asked, Some(Vec::new()), "all of it");
    assert_eq!(counts(&seen), [2, 3, 3, 0], "{}", seen.out);
    for piece in [
        "test compose-valid   ... ok",
        "test init-applied    ... FAILED",
        "test page            ... ignored (init-applied failed)",
        "test page-is-live    ... ignored (db-by-name could not be decided)",
        "test database-port   ... ignored (no points: nothing listens on port 32000)",
        "the database has none of the tables that init.sql declares",
        "error: the app's interpreter is a stand-in",
        "/evidence/init-applied/init-applied-facts.json",
    ] {
        assert!(seen.out.contains(piece), "no `{piece}` in\n{}", seen.out);
    }
    assert_eq!(seen.ended.exit_code(), ExitCode::from(101));
}

#[test]
fn filters_run_only_what_they_name() {
    let exact = seen(&["--exact", "page"], &settings(false), Ok(fixture::typical()));
    assert_eq!(exact.asked, Some(vec!["page".to_owned()]));
    assert_eq!(
        counts(&exact),
        [0, 1, 0, 7],
        "its root is not among them: nothing else would show that points are lost"
    );
    let some = seen(&["page"], &settings(false), Ok(fixture::typical()));
    assert_eq!(some.asked, Some(vec!["page".to_owned(), "page-is-live".to_owned()]));
    let skip = seen(&["page", "--skip", "live"], &settings(false), Ok(fixture::typical()));
    assert_eq!(skip.asked, Some(vec!["page".to_owned()]));
}

#[test]
fn under_nextest_all_is_run_and_a_skip_fails() {
    let settings = settings(true);
    let first = seen(&["--exact", "page"], &settings, Err("no engine here\ninstall one".to_owned()));
    assert_eq!(first.asked, Some(Vec::new()), "the others want the other checks");
    assert!(first.out.contains("no engine here\ninstall one"), "{}", first.out);
    let second = seen(&["--exact", "compose-valid"], &settings, Ok(fixture::typical()));
    assert_eq!(second.asked, None, "what the first found out is known");
    assert_eq!(counts(&second), [0, 1, 0, 7]);

    let mut other = settings.clone();
    other.nextest = Some("another".to_owned());
    let mut record = fixture::typical();
    let folder = crate::record::RunFolder::create(&other.reports, "run-1").unwrap();
    crate::report::write_all(&folder, &record, Lang::En).unwrap();
    record = folder.named(&record);
    let skip = seen(&["--exact", "page"], &other, Ok(record));
    assert_eq!(counts(&skip), [0, 1, 0, 7]);
    assert!(skip.out.contains("skipped: init-applied failed"), "{}", skip.out);
    let observation = seen(&["--exact", "database-port"], &other, Err("must not be asked".to_owned()));
    assert_eq!((observation.asked.clone(), counts(&observation)), (None, [1, 0, 0, 7]));
}

#[test]
fn no_engine_is_a_failure_that_says_so() {
    let seen = seen(&[], &settings(false), Err("no Docker engine answers\nhint: imparcial setup".to_owned()));
    assert_eq!(counts(&seen), [0, 8, 0, 0]);
    assert_eq!(seen.out.matches("hint: imparcial setup").count(), 1, "{}", seen.out);
    assert_eq!(seen.out.matches("no Docker engine answers").count(), 8);
}

#[test]
fn a_run_without_live_tests_starts_nothing_and_says_why() {
    let mut quiet = settings(false);
    quiet.skip_live = true;
    let plain = seen(&[], &quiet, Err("must not be asked".to_owned()));
    assert_eq!((plain.asked.clone(), counts(&plain)), (None, [0, 0, 8, 0]));
    assert!(plain.out.contains("ignored (IMPARCIAL_SKIP_LIVE is set"), "{}", plain.out);
    quiet.nextest = Some("id".to_owned());
    let listed = seen(&["--list", "--format", "terse", "--ignored"], &quiet, Err(String::new()));
    assert!(listed.out.contains("page: test"), "nextest hears of it while listing: {}", listed.out);
}

#[test]
fn an_interrupted_run_ends_as_that() {
    let mut record = fixture::typical();
    record.interrupted = true;
    record.checks.truncate(2);
    let seen = seen(&[], &settings(false), Ok(record));
    assert_eq!(counts(&seen), [2, 6, 0, 0]);
    assert!(seen.out.contains("the run ended before this was looked at"));
    assert_eq!(seen.ended.exit_code(), ExitCode::from(130));
}

#[test]
fn the_environment_decides() {
    let none = Settings::read(|_| None);
    assert_eq!((none.scenario.as_str(), none.submission, none.skip_live, none.nextest), ("seed", None, false, None));
    assert_eq!(none.reports, PathBuf::from("reports"));
    let set = Settings::read(|name| {
        let value = match name {
            "IMPARCIAL_SCENARIO" => "compose-basics",
            "IMPARCIAL_SUBMISSION" => "/tmp/team",
            "IMPARCIAL_SKIP_LIVE" | "NEXTEST" => "1",
            "NEXTEST_RUN_ID" => "8d0d",
            "LANG" => "es_CO.UTF-8",
            _ => "",
        };
        Some(value.to_owned())
    });
    assert_eq!((set.scenario.as_str(), set.skip_live, set.lang), ("compose-basics", true, Lang::Es));
    assert_eq!((set.submission, set.nextest), (Some(PathBuf::from("/tmp/team")), Some("8d0d".to_owned())));
}

#[test]
fn shipped_scenarios_are_known_without_looking_at_anything_else() {
    for name in ["seed", "compose-basics", "parcial-2-2019", "parcial-3-2018"] {
        let mut asked = settings(false);
        asked.scenario = name.to_owned();
        let known = live::know(&asked).unwrap();
        assert!(
            known.listing.ids.iter().any(|id| ["db-runs", "database-runs"].contains(&id.as_str())),
            "{name}: {:?}",
            known.listing.ids
        );
        assert!(known.listing.longest > Duration::from_secs(600), "a whole run fits: {:?}", known.listing.longest);
    }
    let mut wrong = settings(false);
    wrong.scenario = "sead".to_owned();
    assert!(live::know(&wrong).err().unwrap().contains("did you mean `seed`?"));
}

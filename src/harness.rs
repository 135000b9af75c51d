//! `cargo test --test cluster`: every check of a scenario as a trial of libtest-mimic.
//!
//! The trials are known from the scenario alone, so that listing starts nothing. The engine runs once, before the trials,
//! and only if one of them is wanted; the trials replay its record. All is taken down before the first of them reports.
//!
//! | variable | |
//! | --- | --- |
//! | `IMPARCIAL_SCENARIO` | a scenario's name or file; `seed` |
//! | `IMPARCIAL_SUBMISSION` | the folder, archive or git URL to grade; the scenario's reference |
//! | `IMPARCIAL_REPORTS` | where runs are recorded, JUnit included; `reports` |
//! | `IMPARCIAL_SKIP_LIVE` | `1`: start nothing, and show every trial as ignored |
//!
//! Under cargo-nextest, which starts a process for each trial, the first process runs everything and the others replay its
//! record ([`share`]).

mod live;
mod replay;
mod share;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::{Arguments, Completion, Conclusion, Failed, Trial};

use self::replay::Replay;
use crate::agent;
use crate::lab;
use crate::record::RunRecord;
use crate::text::Lang;

/// What the environment says.
#[derive(Clone, Debug)]
pub struct Settings {
    pub scenario: String,
    pub submission: Option<PathBuf>,
    pub reports: PathBuf,
    pub skip_live: bool,
    /// Under nextest: the run that this process is one trial of.
    pub nextest: Option<String>,
    pub lang: Lang,
}

impl Settings {
    /// Reads the environment through `get`. A variable that is empty is not set.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| get(name).filter(|value| !value.is_empty());
        let nextest = (get("NEXTEST").as_deref() == Some("1"))
            .then(|| get("NEXTEST_RUN_ID").unwrap_or_else(|| format!("pid-{}", std::process::id())));
        Self {
            scenario: get("IMPARCIAL_SCENARIO").unwrap_or_else(|| "seed".to_owned()),
            submission: get("IMPARCIAL_SUBMISSION").map(PathBuf::from),
            reports: get("IMPARCIAL_REPORTS").map_or_else(|| PathBuf::from("reports"), PathBuf::from),
            skip_live: get("IMPARCIAL_SKIP_LIVE").is_some_and(|value| value != "0"),
            nextest,
            lang: Lang::of(get("LC_ALL").or_else(|| get("LC_MESSAGES")).or_else(|| get("LANG")).as_deref()),
        }
    }
}

/// The checks of a scenario, in its order, and the longest that a run of it may take.
#[derive(Clone, Debug)]
pub struct Listing {
    pub ids: Vec<String>,
    pub longest: Duration,
}

/// How a run of the trials ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Ended {
    pub conclusion: Conclusion,
    /// Ctrl-C or SIGTERM ended the engine's run.
    pub interrupted: bool,
}

impl Ended {
    pub fn exit_code(&self) -> ExitCode {
        if self.interrupted {
            ExitCode::from(crate::grade::Conclusion::Interrupted.code())
        } else {
            self.conclusion.exit_code()
        }
    }
}

/// The test target's `main`. Exit codes are libtest's (0, 101), but for 2 where the scenario is wrong and 130 where it was
/// interrupted.
pub fn main() -> ExitCode {
    // A lab gets a copy of this very binary to look through, and a process of it to be removed by.
    if let Some(code) = agent::serve::dispatched().or_else(lab::reaper::dispatched).or_else(lab::dispatched) {
        return code;
    }
    let args = Arguments::from_args();
    let settings = Settings::read(|name| std::env::var(name).ok());
    match live::know(&settings) {
        Ok(known) => drive(args, &known.listing, &settings, |only| live::run(&known, &settings, only)).exit_code(),
        Err(problems) => {
            live::say(&format!("error: the scenario cannot be used: {}", problems.trim_end()));
            ExitCode::from(2)
        }
    }
}

/// Shows the checks as trials. `live` runs the engine on the checks named (all where there are none) to a record that is
/// written and done with, or says why it could not begin; it is called once at most, and only if a trial is wanted.
pub fn drive(
    mut args: Arguments,
    listing: &Listing,
    settings: &Settings,
    live: impl FnOnce(&[String]) -> Result<RunRecord, String>,
) -> Ended {
    // The trials only replay: their order is the scenario's.
    args.test_threads = args.test_threads.or(Some(1));
    let wanted: Vec<String> = trials(listing, settings, None)
        .iter()
        .filter(|trial| !args.is_filtered_out(trial) && !args.is_ignored(trial))
        .map(|trial| trial.name().to_owned())
        .collect();
    if args.list || wanted.is_empty() || settings.skip_live {
        return Ended { conclusion: libtest_mimic::run(&args, trials(listing, settings, None)), interrupted: false };
    }
    let done = match &settings.nextest {
        // The other processes want the other checks, so that all are run.
        Some(run) => share::once(&settings.reports, run, listing.longest, || live(&[])),
        None if wanted.len() == listing.ids.len() => live(&[]),
        None => live(&wanted),
    };
    let interrupted = done.as_ref().is_ok_and(|record| record.interrupted);
    let done = Arc::new(done);
    Ended { conclusion: libtest_mimic::run(&args, trials(listing, settings, Some((&done, &wanted)))), interrupted }
}

/// What came of the one run, for every trial to replay.
type Done = Arc<Result<RunRecord, String>>;

/// A trial for each check; without a record they are only good for listing, or for saying that nothing was started.
fn trials(listing: &Listing, settings: &Settings, done: Option<(&Done, &[String])>) -> Vec<Trial> {
    let nextest = settings.nextest.is_some();
    let trial = |(n, id): (usize, &String)| {
        let (name, lang) = (id.clone(), settings.lang);
        let (done, shown) = done.map_or((None, Vec::new()), |(done, shown)| (Some(done.clone()), shown.to_vec()));
        let trial = Trial::ignorable_test(id, move || match done.as_deref() {
            None => Ok(Completion::ignored_with("IMPARCIAL_SKIP_LIVE is set: nothing was started")),
            Some(Ok(record)) => outcome(replay::of(record, &name, lang, &shown, nextest)),
            // The whole of it once is enough.
            Some(Err(why)) if n > 0 && !nextest => Err(why.lines().next().unwrap_or_default().into()),
            Some(Err(why)) => Err(why.into()),
        });
        // What is ignored while it runs is a pass to nextest; what is listed as ignored is not.
        trial.with_ignored_flag(settings.skip_live && nextest)
    };
    listing.ids.iter().enumerate().map(trial).collect()
}

fn outcome(replay: Replay) -> Result<Completion, Failed> {
    match replay {
        Replay::Pass => Ok(Completion::Completed),
        Replay::Ignore(reason) => Ok(Completion::ignored_with(reason)),
        Replay::Fail(text) => Err(text.into()),
    }
}

#[cfg(test)]
mod tests;

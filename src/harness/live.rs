//! The one real run behind the trials: reads both inputs, plans, calls the engine, writes the reports.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{Listing, Settings};
use crate::engine::prove::{self, Proving};
use crate::engine::{self, Event, RunOptions};
use crate::lab::{Guard, reaper, vagrantfile};
use crate::plan::{self, Options, Plan};
use crate::probe::PROBES;
use crate::record::RunRecord;
use crate::report;
use crate::scenario::{self, Read, diagnostics};
use crate::submission::handed::{self, Given};
use crate::submission::{ReadOptions, Submission};
use crate::text::Text;

/// A scenario that can be planned, and its checks.
pub(super) struct Known {
    file: PathBuf,
    pub(super) listing: Listing,
}

/// Finds and reads the scenario; nothing else is looked at. The error is all of its problems as text.
pub(super) fn know(settings: &Settings) -> Result<Known, String> {
    let file = scenario::locate(&settings.scenario).map_err(|text| text.get(settings.lang).to_owned())?;
    let plan = resolve(scenario::read(&file, &plan::names(PROBES)), Submission::default(), Options::default())?;
    let b = &plan.scenario.budgets;
    let longest = (b.fetch + b.build + b.ready + b.check + b.teardown) * 3;
    let ids = plan.checks.iter().map(|check| check.spec.id.clone()).collect();
    Ok(Known { file, listing: Listing { ids, longest } })
}

/// Grades, with the reports written and everything taken down. The error is for what kept it from beginning.
pub(super) fn run(known: &Known, settings: &Settings, only: &[String]) -> Result<RunRecord, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("could not start the runtime: {error}"))?;
    let done = runtime.block_on(graded(known, settings, only));
    runtime.shutdown_timeout(Duration::from_secs(5));
    done
}

async fn graded(known: &Known, settings: &Settings, only: &[String]) -> Result<RunRecord, String> {
    let folder = match &settings.submission {
        Some(folder) => folder.clone(),
        None => reference(&known.file)?,
    };
    let lang = settings.lang;
    let guard = Guard::watch(move |_| say(Guard::first_word().get(lang)));
    let guard = guard.map_err(|error| format!("could not listen for signals: {error}"))?;
    let cancel = guard.token();
    let given = Given { what: folder.into_os_string(), branch: None, watch: Some(reaper::of_folders) };
    let submission = handed::take(&given, &ReadOptions::default(), &cancel).await;
    let mut submission = submission.map_err(|error| error.text.get(settings.lang).to_owned())?;
    let read = scenario::read(&known.file, &plan::names(PROBES));
    if let Some(scenario) = &read.scenario {
        vagrantfile::load_for(&mut submission, &scenario.layers, &cancel).await;
    }
    let plan = resolve(read, submission, Options { only: only.to_vec(), ..Options::default() })?;
    let proving = Proving { lang: settings.lang, reports: &settings.reports, cancel: &cancel, say: &say };
    prove::first(&plan, &proving).await;
    let options = RunOptions {
        reports: settings.reports.clone(),
        run: engine::run_id(),
        cancel: cancel.clone(),
        progress: Arc::new(move |event| {
            if let Event::Phase(name) | Event::Layer(name) = event {
                say(&format!("imparcial: {}", report::phase(name, lang)));
            }
        }),
        watched: false,
    };
    let done = engine::run(&plan, &options).await;
    let (record, folder) = done.map_err(|error| error.text().get(settings.lang).to_owned())?;
    // The trials say what was found, whether or not it could be written.
    match report::write_all(&folder, &record, settings.lang) {
        Ok(()) => {
            let folder = folder.path().display();
            let text = Text::new(format!("reports are in {folder}"), format!("los informes están en {folder}"));
            say(&format!("imparcial: {}", text.get(lang)));
        }
        Err(error) => say(&format!("error: {}", error.text().get(settings.lang))),
    }
    Ok(folder.named(&record))
}

/// The scenario's own model answer.
fn reference(scenario: &Path) -> Result<PathBuf, String> {
    let folder = scenario.with_file_name("reference");
    let none = || format!("`{}` is not there\nhint: name a folder in IMPARCIAL_SUBMISSION", folder.display());
    if folder.is_dir() { Ok(folder) } else { Err(none()) }
}

fn resolve(read: Read, submission: Submission, options: Options) -> Result<Plan, String> {
    let source = read.source.clone();
    plan::resolve(read, submission, options, PROBES).map_err(|problems| diagnostics::render(&problems, &source, false))
}

/// On stderr: stdout is the trials', which may be JSON. A closed pipe there is nobody's loss.
pub(super) fn say(text: &str) {
    let _ = std::io::stderr().write_all(format!("{text}\n").as_bytes());
}

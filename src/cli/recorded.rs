//! A run that was recorded, as people name it: its folder, its record.json, or its name in the reports' folder.

use std::path::{Path, PathBuf};

use crate::nearest;
use crate::record::{Audience, RunRecord, StoreError, store};
use crate::text::Text;

/// More than these are only counted.
const MAX_RUNS: usize = 5;

/// Why there is no record to go on with.
#[derive(Debug)]
pub(super) enum NotLoaded {
    /// Nothing has this name: which runs there are.
    NotThere(Text),
    Unread(StoreError),
}

impl NotLoaded {
    pub(super) fn text(&self) -> Text {
        match self {
            Self::NotThere(text) => text.clone(),
            Self::Unread(error) => error.text(),
        }
    }
}

/// The record of a run.
///
/// # Errors
/// There is no such run, or its record cannot be read.
pub(super) fn load(reports: &Path, run: &str) -> Result<RunRecord, NotLoaded> {
    let path = find(reports, run);
    if !path.exists() {
        return Err(NotLoaded::NotThere(not_there(reports, run)));
    }
    store::load(&path).map_err(NotLoaded::Unread)
}

/// A path where it is one, else a run's name under the reports' folder.
fn find(reports: &Path, run: &str) -> PathBuf {
    let path = PathBuf::from(run);
    let named = reports.join(run);
    if path.exists() || (run.contains('/') && !named.exists()) { path } else { named }
}

/// There is no such run: which there are, or how to make one.
fn not_there(reports: &Path, run: &str) -> Text {
    let (runs, folder) = (runs(reports), reports.display());
    if runs.is_empty() {
        return Text::new(
            format!(
                "there is no run `{run}`\nhint: none was recorded in `{folder}`: `imparcial grade SUBMISSION --scenario NAME` records one, and `--reports FOLDER` says where others are"
            ),
            format!(
                "no existe la ejecución `{run}`\nsugerencia: en `{folder}` no hay ninguna: `imparcial grade ENTREGA --scenario NOMBRE` registra una, y `--reports CARPETA` dice dónde hay otras"
            ),
        );
    }
    let near = nearest::nearest(run, runs.iter().map(String::as_str));
    let ask = near.map(|near| Text::new(format!("did you mean `{near}`? "), format!("¿quiso decir `{near}`? ")));
    let ask = ask.unwrap_or_default();
    let shown = nearest::names(runs.iter().take(MAX_RUNS).map(String::as_str));
    let (more, mas) = match runs.len().checked_sub(MAX_RUNS) {
        Some(more @ 1..) => (format!(" and {more} more"), format!(" y {more} más")),
        _ => Default::default(),
    };
    Text::new(
        format!("there is no run `{run}`\nhint: {}in `{folder}` there are {shown}{more}", ask.en),
        format!("no existe la ejecución `{run}`\nsugerencia: {}en `{folder}` hay {shown}{mas}", ask.es),
    )
}

/// The runs of a reports' folder, the newest first, as they can be typed; those of a table of mutants are one deeper.
fn runs(reports: &Path) -> Vec<String> {
    let entries =
        walkdir::WalkDir::new(reports).min_depth(1).max_depth(2).sort_by(|a, b| b.file_name().cmp(a.file_name()));
    // What a run's folder holds for others is a part of it, and no run.
    let parts = [Audience::Student, Audience::AfterDue].map(Audience::name);
    let entries = entries.into_iter().filter_entry(|entry| !parts.iter().any(|part| entry.file_name() == *part));
    let folders = entries.flatten().filter(|entry| entry.path().join(store::RECORD).is_file());
    folders.filter_map(|entry| Some(entry.path().strip_prefix(reports).ok()?.to_str()?.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{RunFolder, fixture};
    use crate::report;
    use crate::text::Lang;

    #[test]
    fn a_run_is_found_by_name_and_by_path() {
        let dir = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(dir.path(), "run-1").unwrap();
        report::write_all(&folder, &fixture::typical(), Lang::En).unwrap();
        for run in ["run-1", "latest"] {
            assert_eq!(store::load(&find(dir.path(), run)).unwrap().scenario.name, "seed");
        }
        let path = folder.path().join("record.json");
        assert!(store::load(&find(Path::new("elsewhere"), path.to_str().unwrap())).is_ok());
        assert!(store::load(&find(dir.path(), "run-2")).is_err());
        // One deeper, as the table of mutants has them.
        let mutant = RunFolder::create(&dir.path().join("mutants"), "reads-once").unwrap();
        report::write_all(&mutant, &fixture::typical(), Lang::En).unwrap();
        assert!(store::load(&find(dir.path(), "mutants/reads-once")).is_ok());
    }

    #[test]
    fn a_run_that_is_not_there_names_those_that_are() {
        let dir = tempfile::tempdir().unwrap();
        let said = not_there(dir.path(), "x");
        assert!(said.en.contains("`imparcial grade SUBMISSION --scenario NAME` records one"), "{}", said.en);
        for n in 1..=6 {
            let run = RunFolder::create(dir.path(), &format!("run-{n}")).unwrap();
            report::write_all(&run, &fixture::typical(), Lang::En).unwrap();
            report::write_for(&run, &fixture::typical(), Audience::Student, Lang::En).unwrap();
        }
        let said = not_there(dir.path(), "rum-3").en;
        let folder = dir.path().display();
        let wanted = format!(
            "there is no run `rum-3`\nhint: did you mean `run-3`? in `{folder}` there are `run-6`, `run-5`, `run-4`, `run-3`, `run-2` and 2 more"
        );
        assert_eq!(said, wanted);
    }
}

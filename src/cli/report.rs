//! `imparcial report`: a finished run again, in another format or language, from its record alone.

use std::path::{Path, PathBuf};

use super::{AudienceArg, Ctx, exit, marks, screen};
use crate::grade::grade;
use crate::nearest;
use crate::record::{Audience, RunRecord, shown_to, store};
use crate::report::{self, FORMATS, Format, RenderError, WriteError, terminal};
use crate::text::Text;

/// More than these are only counted.
const MAX_RUNS: usize = 5;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A run's folder, its record.json, or its name in the reports' folder.
    #[arg(default_value = store::LATEST)]
    run: String,
    /// The format to show it in.
    #[arg(long, default_value = terminal::FORMAT.name, value_parser = names())]
    format: String,
    /// Whose eyes it is for: what they may not see is not in it.
    #[arg(long = "for", value_name = "WHO", value_enum, default_value_t = AudienceArg::Teacher)]
    audience: AudienceArg,
    /// What people gave for the scenario's `manual` criteria: a CSV table with the columns submission, criterion, level and, if
    /// need be, comment. Rows of other submissions are passed over. It is shown, and the record stays as it is.
    #[arg(long, value_name = "FILE")]
    marks: Option<PathBuf>,
    /// Where runs are recorded.
    #[arg(long, value_name = "FOLDER", default_value = "reports")]
    reports: PathBuf,
}

fn names() -> clap::builder::PossibleValuesParser {
    let value = |format: &&Format| clap::builder::PossibleValue::new(format.name).help(format.summary);
    FORMATS.iter().map(value).collect::<Vec<_>>().into()
}

pub async fn run(args: Args, ctx: Ctx) -> u8 {
    let path = find(&args.reports, &args.run);
    if !path.exists() {
        eprintln!("error: {}", not_there(&args.reports, &args.run).get(ctx.lang));
        return exit::USAGE;
    }
    let mut record = match store::load(&path) {
        Ok(record) => record,
        Err(error) => {
            eprintln!("error: {}", error.text().get(ctx.lang));
            return exit::USAGE;
        }
    };
    if let Some(file) = &args.marks {
        match marks::read(file, &record.manual, &record.submission.name, ctx) {
            Ok(marks) => marks.apply(&mut record.manual),
            Err(code) => return code,
        }
    }
    let record = shown_to(&record, args.audience.audience());
    let shown = render(&record, &args.format, ctx).map_err(|error| WriteError::from(error).text());
    match shown.and_then(|bytes| screen::put(&bytes).map_err(|error| screen::unwritten(&error))) {
        Ok(()) => exit::OK,
        Err(text) => {
            eprintln!("error: {}", text.get(ctx.lang));
            exit::NOT_GRADED
        }
    }
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

fn render(record: &RunRecord, format: &str, ctx: Ctx) -> Result<Vec<u8>, RenderError> {
    match report::format(format) {
        // On the screen it is as wide as the screen.
        Some(format) if format.name != terminal::FORMAT.name => (format.render)(record, &grade(record), ctx.lang),
        _ => Ok(terminal::show(record, ctx.lang, screen::style()).into_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{RunFolder, fixture};
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

    #[test]
    fn every_format_renders_what_it_wrote() {
        let ctx = Ctx { lang: Lang::Es, quiet: false, verbose: false };
        for format in FORMATS {
            let bytes = render(&fixture::hostile(), format.name, ctx).unwrap();
            assert!(bytes.ends_with(b"\n"), "{}", format.name);
        }
    }
}

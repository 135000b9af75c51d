//! `imparcial report`: a finished run again, in another format or language, from its record alone.

use std::path::{Path, PathBuf};

use super::{AudienceArg, Ctx, exit, screen};
use crate::grade::grade;
use crate::record::{RunRecord, shown_to, store};
use crate::report::{self, FORMATS, Format, RenderError, terminal};

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
    /// Where runs are recorded.
    #[arg(long, value_name = "FOLDER", default_value = "reports")]
    reports: PathBuf,
}

fn names() -> clap::builder::PossibleValuesParser {
    let value = |format: &&Format| clap::builder::PossibleValue::new(format.name).help(format.summary);
    FORMATS.iter().map(value).collect::<Vec<_>>().into()
}

pub async fn run(args: Args, ctx: Ctx) -> u8 {
    let record = match store::load(&find(&args.reports, &args.run)) {
        Ok(record) => shown_to(&record, args.audience.audience()),
        Err(error) => {
            eprintln!("error: {}", error.text().get(ctx.lang));
            return exit::USAGE;
        }
    };
    let shown = render(&record, &args.format, ctx).map_err(|error| error.to_string());
    match shown.and_then(|bytes| screen::put(&bytes).map_err(|error| format!("could not write: {error}"))) {
        Ok(()) => exit::OK,
        Err(error) => {
            eprintln!("error: {error}");
            exit::NOT_GRADED
        }
    }
}

/// A path where it is one, else a run's name under the reports' folder.
fn find(reports: &Path, run: &str) -> PathBuf {
    let path = PathBuf::from(run);
    let named = reports.join(run);
    if !path.exists() && !run.contains('/') { named } else { path }
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
    }

    #[test]
    fn every_format_renders_what_it_wrote() {
        let ctx = Ctx { lang: Lang::Es, quiet: false };
        for format in FORMATS {
            let bytes = render(&fixture::hostile(), format.name, ctx).unwrap();
            assert!(bytes.ends_with(b"\n"), "{}", format.name);
        }
    }
}

//! `imparcial report`: a finished run again, in another format or language, from its record alone.

use std::path::PathBuf;

use super::{AudienceArg, Ctx, exit, marks, recorded, screen};
use crate::grade::grade;
use crate::record::{RunRecord, shown_to, store};
use crate::report::{self, FORMATS, Format, RenderError, WriteError, terminal};

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
    let mut record = match recorded::load(&args.reports, &args.run) {
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
    use crate::record::fixture;
    use crate::text::Lang;

    #[test]
    fn every_format_renders_what_it_wrote() {
        let ctx = Ctx { lang: Lang::Es, quiet: false, verbose: false };
        for format in FORMATS {
            let bytes = render(&fixture::hostile(), format.name, ctx).unwrap();
            assert!(bytes.ends_with(b"\n"), "{}", format.name);
        }
    }
}

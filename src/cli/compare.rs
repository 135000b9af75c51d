//! `imparcial compare`: two runs of one scenario side by side, from their records alone; starts nothing.

use std::io;
use std::path::PathBuf;

use super::recorded::{self, NotLoaded};
use super::{Ctx, exit, screen};
use crate::record::compare::Counts;
use crate::record::store::StoreErrorKind;
use crate::record::{Comparison, RunRecord, compare};
use crate::report::terminal::compared as text;
use crate::report::{RenderError, WriteError, compared as data};

/// Below the help.
const CODES: &str = "Exit code: 0 all that both decided agrees, 1 something differs, 2 the runs are not there or of different scenarios, \
                     3 a record cannot be read or nothing was decided by both.";

#[derive(Debug, clap::Args)]
#[command(after_help = CODES)]
pub struct Args {
    /// A run's folder, its record.json, or its name in the reports' folder.
    #[arg(value_name = "RUN")]
    first: String,
    /// The other run.
    #[arg(value_name = "RUN")]
    second: String,
    /// How to show it.
    #[arg(long, value_enum, default_value_t = FormatArg::Text)]
    format: FormatArg,
    /// Where runs are recorded.
    #[arg(long, value_name = "FOLDER", default_value = "reports")]
    reports: PathBuf,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum FormatArg {
    /// What people read, as in a terminal.
    Text,
    /// The same as data, versioned.
    Json,
}

pub async fn run(args: Args, ctx: Ctx) -> u8 {
    let load = |run: &str| {
        recorded::load(&args.reports, run).map_err(|error| {
            eprintln!("error: {}", error.text().get(ctx.lang));
            code_of(&error)
        })
    };
    // Both are looked for before either is given up, so that two mistakes are told at once.
    let (first, second) = match (load(&args.first), load(&args.second)) {
        (Ok(first), Ok(second)) => (first, second),
        (Err(one), Err(other)) => return one.max(other),
        (Err(code), Ok(_)) | (Ok(_), Err(code)) => return code,
    };
    show(&first, &second, args.format, ctx)
}

fn show(first: &RunRecord, second: &RunRecord, format: FormatArg, ctx: Ctx) -> u8 {
    let compared = match compare(first, second) {
        Ok(compared) => compared,
        Err(error) => {
            eprintln!("error: {}", error.text().get(ctx.lang));
            return exit::USAGE;
        }
    };
    let shown = render(&compared, format, ctx).map_err(|error| WriteError::from(error).text());
    match shown.and_then(|bytes| screen::put(&bytes).map_err(|error| screen::unwritten(&error))) {
        Ok(()) => conclude(compared.counts()),
        Err(text) => {
            eprintln!("error: {}", text.get(ctx.lang));
            exit::NOT_GRADED
        }
    }
}

fn render(compared: &Comparison, format: FormatArg, ctx: Ctx) -> Result<Vec<u8>, RenderError> {
    match format {
        FormatArg::Text => Ok(text::show(compared, ctx.lang, screen::style()).into_bytes()),
        FormatArg::Json => data::json(compared),
    }
}

/// A name that leads to no run is the caller's mistake; a record that is there and cannot be read is not.
fn code_of(error: &NotLoaded) -> u8 {
    match error {
        NotLoaded::NotThere(_) => exit::USAGE,
        NotLoaded::Unread(error) => match &*error.kind {
            StoreErrorKind::Io(error) if error.kind() == io::ErrorKind::NotFound => exit::USAGE,
            StoreErrorKind::Io(_) | StoreErrorKind::Format(_) | StoreErrorKind::Version(_) => exit::NOT_GRADED,
        },
    }
}

/// What nobody decided twice says nothing, and least of all that it agrees.
fn conclude(counts: Counts) -> u8 {
    match counts {
        Counts { differ: 1.., .. } => exit::FAILED,
        Counts { agree: 1.., .. } => exit::OK,
        _ => exit::NOT_GRADED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_outweighs_what_agrees_and_nothing_is_no_agreement() {
        let counts = |agree, differ, one| Counts { agree, differ, one, ..Counts::default() };
        let cases = [
            (counts(4, 0, 3), 0),
            (counts(4, 1, 3), 1),
            (counts(0, 1, 0), 1),
            (counts(0, 0, 3), 3),
            (counts(0, 0, 0), 3),
        ];
        for (counts, code) in cases {
            assert_eq!(conclude(counts), code, "{counts:?}");
        }
    }
}

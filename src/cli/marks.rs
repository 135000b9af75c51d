//! `--marks FILE`: what people gave, read for the one submission that is graded or shown.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::planning::say;
use super::{Ctx, exit};
use crate::record::ManualRecord;
use crate::record::marks::{self, Marks};
use crate::text::{Lang, Text};

/// No table of a class is larger.
const LARGEST: u64 = 16 << 20;

/// The marks of a submission; or, with everything that is wrong said on stderr, the exit code. That the file has none for it is
/// only said.
pub(super) fn read(path: &Path, criteria: &[ManualRecord], submission: &str, ctx: Ctx) -> Result<Marks, u8> {
    let file = path.display();
    let bytes = bytes(path).map_err(|error| {
        let text = Text::new(
            format!("the marks cannot be read from `{file}`: {error}"),
            format!("no se pueden leer las notas de `{file}`: {error}"),
        );
        super::planning::usage(text.get(ctx.lang))
    })?;
    match marks::read(&bytes, criteria, submission) {
        Ok(marks) => {
            if let Some(notice) = marks.notice(submission) {
                let label = if ctx.lang == Lang::Es { "aviso" } else { "warning" };
                say(&format!("{label}: {file}: {}\n", notice.get(ctx.lang)));
            }
            Ok(marks)
        }
        Err(mistakes) => {
            let name = file.to_string();
            for mistake in &mistakes {
                say(&format!("error: {}\n", mistake.show(&name, ctx.lang)));
            }
            let count = mistakes.len();
            let text = Text::new(
                format!("mistakes in the marks: {count}; none of them was used"),
                format!("errores en las notas: {count}; no se usó ninguna"),
            );
            say(&format!("{}\n", text.get(ctx.lang)));
            Err(exit::USAGE)
        }
    }
}

fn bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, "more than 16 MiB"));
    }
    Ok(bytes)
}

//! Standard output as data goes to it: how wide, whether coloured, and a reader that went away.

use std::io::{self, IsTerminal, Write};

use crate::report::terminal::Style;
use crate::text::Text;

/// How texts for people look on standard output: as wide as the terminal up to 120 columns (100 where there is none),
/// coloured on a terminal unless `NO_COLOR` is set to anything.
pub fn style() -> Style {
    let terminal = io::stdout().is_terminal();
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let width = terminal_size::terminal_size().filter(|_| terminal).map(|(width, _)| usize::from(width.0));
    Style { width: width.unwrap_or(Style::default().width).min(120), color: terminal && !no_color }
}

/// Why it could not be written, for people.
pub fn unwritten(error: &io::Error) -> Text {
    Text::new(
        format!("could not write to standard output: {error}"),
        format!("no se pudo escribir en la salida estándar: {error}"),
    )
}

/// Writes to standard output. A reader that has seen enough (`| head`) is no error.
///
/// # Errors
/// What keeps it from being written, such as a full disk behind a redirection.
pub fn put(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

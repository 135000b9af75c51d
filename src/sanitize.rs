//! Everything that a submission prints is hostile: made harmless here before a person, a terminal, an XML reader or a CI
//! system sees it.
//!
//! Nothing is dropped silently but colour: what could do harm is shown (`␀`, `⟨U+202E⟩`, `[ [ATTACHMENT|`), so that a
//! reader of a report sees that it was there.

mod ansi;
mod markup;

pub use markup::{command, command_property, html, markdown};

/// How much of one evidence file is kept, in bytes.
pub const EVIDENCE_LIMIT: usize = 256 * 1024;

/// Text over several lines, for a report: no escape sequences, no control characters but newline and tab, nothing that
/// XML 1.0 forbids, no bidirectional controls, no line that a CI system takes for a command, no attachment tag.
pub fn text(raw: &str) -> String {
    tags(&plain(raw))
}

/// The same on a single line of at most `max` characters: for headings, attributes, table cells.
pub fn line(raw: &str, max: usize) -> String {
    let text = text(raw);
    let mut line = String::new();
    for (n, word) in text.split_whitespace().enumerate() {
        if n > 0 {
            line.push(' ');
        }
        line.push_str(word);
    }
    // Joining lines may have put together what was harmless apart.
    let line = tags(&line);
    if line.chars().count() <= max {
        return line;
    }
    let mut cut: String = line.chars().take(max.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// A file of evidence: readable in any terminal or editor, at most about `limit` bytes, its beginning and its end kept.
/// Tags and commands stay as they were, since nobody interprets them in a file.
pub fn evidence(raw: &[u8], limit: usize) -> String {
    // Cut first, so that a huge log is not cleaned whole.
    cap(&plain(&String::from_utf8_lossy(&cap_bytes(raw, limit))), limit.saturating_add(limit / 2))
}

/// At most about `limit` bytes: the beginning and the end, cut at lines where there are any, and what is left out said.
pub fn cap(text: &str, limit: usize) -> String {
    String::from_utf8_lossy(&cap_bytes(text.as_bytes(), limit)).into_owned()
}

fn cap_bytes(raw: &[u8], limit: usize) -> Vec<u8> {
    if raw.len() <= limit {
        return raw.to_vec();
    }
    let half = limit / 2;
    let (head, _) = raw.split_at(head_end(raw, half));
    let (_, tail) = raw.split_at(tail_start(raw, raw.len() - half));
    let left_out = raw.len() - head.len() - tail.len();
    let mut kept = head.to_vec();
    if !kept.ends_with(b"\n") {
        kept.push(b'\n');
    }
    kept.extend_from_slice(format!("[… {left_out} bytes left out …]\n").as_bytes());
    kept.extend_from_slice(tail);
    kept
}

/// Where a head of at most `at` bytes ends: after a line, unless that would lose more than half; never inside a character.
fn head_end(raw: &[u8], at: usize) -> usize {
    let newline = raw.iter().take(at).rposition(|b| *b == b'\n');
    newline
        .map(|n| n + 1)
        .filter(|end| *end >= at / 2)
        .unwrap_or_else(|| (at.saturating_sub(3)..=at).rev().find(|end| starts_character(raw, *end)).unwrap_or(at))
}

fn tail_start(raw: &[u8], at: usize) -> usize {
    let newline = raw.iter().skip(at).position(|b| *b == b'\n');
    newline
        .map(|n| at + n + 1)
        .filter(|start| *start <= at + (raw.len() - at) / 2)
        .unwrap_or_else(|| (at..raw.len().min(at + 4)).find(|start| starts_character(raw, *start)).unwrap_or(at))
}

fn starts_character(raw: &[u8], at: usize) -> bool {
    raw.get(at).is_none_or(|byte| byte & 0xC0 != 0x80)
}

/// Without its colours and other escape sequences; all else as it was.
pub fn colourless(raw: &str) -> String {
    ansi::strip(raw)
}

/// A file name that is safe anywhere: ASCII letters, digits, `.`, `_`, `-`; no leading dot; 100 characters at most.
pub fn file_name(raw: &str) -> String {
    let mut name = String::new();
    for c in raw.chars() {
        let c = if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' };
        // `a/../b` gives `a_.._b`: dots in a row are not needed by anyone.
        if c == '.' && name.ends_with('.') {
            continue;
        }
        name.push(c);
    }
    let name = name.trim_start_matches(['.', '-']);
    // The end is kept, since it holds the extension.
    let name = name.get(name.len().saturating_sub(100)..).unwrap_or(name).trim_start_matches(['.', '-']);
    if name.is_empty() { "unnamed".to_owned() } else { name.to_owned() }
}

/// Text that goes into a CDATA section as it is: `]]>` is split over two sections, so that every reader joins it again.
pub fn cdata(text: &str) -> String {
    text.replace("]]>", "]]]]><![CDATA[>")
}

/// JSON with what a terminal, an editor or the reader of a log would act upon written as `\u` escapes: the same values to
/// every reader.
pub fn json(document: &str) -> String {
    let mut out = String::with_capacity(document.len());
    let mut before = None;
    for (at, c) in document.char_indices() {
        let after = || document.get(at + 1..).unwrap_or_default();
        // In JSON these stand in strings only; a line of it never begins with `::`.
        let acted_upon = match (before, c) {
            (Some('#'), '#') => true,
            (Some('['), '[') => tag_name(after()),
            _ => named(c) || c == '\u{7f}',
        };
        if acted_upon {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
        before = Some(c);
    }
    out
}

/// No escape sequences, line ends made one kind, controls and bidirectional marks made visible.
fn plain(raw: &str) -> String {
    let stripped = ansi::strip(raw);
    let mut out = String::with_capacity(stripped.len());
    let mut chars = stripped.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' | '\t' => out.push(c),
            // A lone carriage return overprints the line in a terminal: a new line, as progress bars mean it.
            '\r' if chars.peek() == Some(&'\n') => {}
            '\r' => out.push('\n'),
            '\u{0}'..='\u{1f}' => out.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}')),
            '\u{7f}' => out.push('␡'),
            _ if named(c) => out.push_str(&format!("⟨U+{:04X}⟩", u32::from(c))),
            _ => out.push(c),
        }
    }
    out
}

/// Characters shown by their number: C1 controls, bidirectional controls, line separators, non-characters of XML 1.0.
fn named(c: char) -> bool {
    matches!(c,
        '\u{80}'..='\u{9f}'
        | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        | '\u{2028}' | '\u{2029}'
        | '\u{fffe}' | '\u{ffff}')
}

/// What readers of logs and of JUnit files act upon, made inert: attachment and property tags (Jenkins, testmo), workflow
/// commands (GitHub reads `::name` at a line's beginning, `##[` anywhere), `##vso[`, `##teamcity[`.
fn tags(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (n, line) in text.split('\n').enumerate() {
        if n > 0 {
            out.push('\n');
        }
        let start = line.len() - line.trim_start().len();
        let (space, rest) = line.split_at(start);
        out.push_str(space);
        let rest = match rest.strip_prefix("::") {
            Some(command) => {
                out.push_str(": :");
                command
            }
            None => rest,
        };
        let mut before: Option<char> = None;
        for (at, c) in rest.char_indices() {
            let after = rest.get(at..).unwrap_or_default();
            let breaks = match before {
                Some('[') => c == '[' && tag_name(after.get(1..).unwrap_or_default()),
                Some('#') => c == '#' && ["#[", "#vso[", "#teamcity["].iter().any(|p| starts_with_any_case(after, p)),
                _ => false,
            };
            if breaks {
                out.push(' ');
            }
            out.push(c);
            before = Some(c);
        }
    }
    out
}

/// `ATTACHMENT|`, `PROPERTY|` and the like, in any case and with any space.
fn tag_name(after: &str) -> bool {
    let name = after.trim_start().trim_start_matches(|c: char| c.is_ascii_alphabetic() || c == '_');
    name.len() < after.len() && name.trim_start().starts_with('|')
}

fn starts_with_any_case(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests;

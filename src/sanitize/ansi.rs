//! Terminal escape sequences: found and taken out, in their 7-bit and 8-bit forms.

/// The longest string sequence (OSC, DCS …) that is believed; one without an end must not swallow the rest of a log.
const LONGEST: usize = 2048;

/// The text without its escape sequences. An escape that begins none is kept, for the caller to show.
pub(super) fn strip(raw: &str) -> String {
    if !raw.contains(['\u{1b}', '\u{90}', '\u{98}', '\u{9b}', '\u{9d}', '\u{9e}', '\u{9f}']) {
        return raw.to_owned();
    }
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(c) = rest.chars().next() {
        match sequence(rest) {
            Some(length) if length > 0 => rest = rest.get(length..).unwrap_or_default(),
            _ => {
                out.push(c);
                rest = rest.get(c.len_utf8()..).unwrap_or_default();
            }
        }
    }
    out
}

/// How many bytes the sequence takes that `text` begins with, if it begins with one.
fn sequence(text: &str) -> Option<usize> {
    let mut chars = text.chars();
    let (introducer, skip) = match chars.next()? {
        '\u{1b}' => {
            let second = chars.next()?;
            (second, 1 + second.len_utf8())
        }
        // The 8-bit forms, two bytes each in UTF-8.
        c @ '\u{80}'..='\u{9f}' => (char::from_u32(u32::from(c) - 0x40)?, 2),
        _ => return None,
    };
    let body = text.get(skip..)?;
    match introducer {
        '[' => control_sequence(body).map(|n| skip + n),
        ']' | 'P' | 'X' | '^' | '_' => string(body).map(|n| skip + n),
        // Two or three characters: charset choices, cursor keys, reset.
        ' '..='/' => {
            let end = body.find(|c: char| !(' '..='/').contains(&c))?;
            let last = body.get(end..)?.chars().next()?;
            ('0'..='~').contains(&last).then(|| skip + end + last.len_utf8())
        }
        '0'..='~' if text.starts_with('\u{1b}') => Some(skip),
        _ => None,
    }
}

/// Parameters, intermediates and the final character of a CSI.
fn control_sequence(body: &str) -> Option<usize> {
    let mut length = 0;
    for c in body.chars() {
        match c {
            ' '..='?' if length < 64 => length += 1,
            '@'..='~' => return Some(length + 1),
            _ => return None,
        }
    }
    None
}

/// Up to BEL or the string terminator, on the same line.
fn string(body: &str) -> Option<usize> {
    for (at, c) in body.char_indices() {
        match c {
            '\u{7}' => return Some(at + 1),
            '\u{9c}' => return Some(at + 2),
            '\u{1b}' => return body.get(at..)?.starts_with("\u{1b}\\").then_some(at + 2),
            '\n' => return None,
            _ if at > LONGEST => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::strip;

    #[test]
    fn takes_out_colours_titles_and_links() {
        assert_eq!(strip("\u{1b}[1;31mred\u{1b}[0m"), "red");
        assert_eq!(strip("\u{9b}31mred"), "red");
        assert_eq!(strip("\u{1b}]0;title\u{7}after"), "after");
        assert_eq!(strip("\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\"), "link");
        assert_eq!(strip("\u{1b}(Bplain\u{1b}c"), "plain");
    }

    #[test]
    fn an_unended_sequence_swallows_nothing() {
        assert_eq!(strip("\u{1b}]0;no end\nnext line"), "\u{1b}]0;no end\nnext line");
        assert_eq!(strip("\u{1b}[12"), "\u{1b}[12");
        assert_eq!(strip("end\u{1b}"), "end\u{1b}");
        let long = format!("\u{1b}]{}\u{7}", "a".repeat(5000));
        assert!(strip(&long).len() > 5000, "a sequence of 5000 characters is not believed");
    }
}

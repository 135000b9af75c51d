//! What a response says, as text: charset, HTML entities, JSON and the escapes of scripts and printed tuples undone.
//!
//! A page is right when a person sees the row on it, however it was written down; so a page has several readings, and a
//! value counts when one of them has it.

use std::borrow::Cow;

use super::entities;
use super::html::{self, Token};

/// The readings of a page, each folded: lower case, runs of white space as one space.
#[derive(Clone, Debug, Default)]
pub struct PageText {
    readings: Vec<String>,
}

/// Tags that do not separate words.
const INLINE: [&str; 17] = [
    "a", "abbr", "b", "big", "cite", "code", "em", "font", "i", "mark", "q", "s", "small", "span", "strong", "tt", "u",
];

/// More than any page that a person reads.
const MAX_CHARS: usize = 1 << 20;

impl PageText {
    /// Reads a body. The content type is only a hint: pages are often declared wrongly.
    pub fn read(body: &[u8], content_type: Option<&str>) -> Self {
        let mut page = decode(body, content_type);
        if page.len() > MAX_CHARS {
            let cut = (0..=MAX_CHARS).rev().find(|i| page.is_char_boundary(*i)).unwrap_or(0);
            page.truncate(cut);
        }
        let mut readings = vec![];
        if let Some(values) = json_values(&page) {
            readings.push(values);
        }
        let tokens = html::tokens(&page);
        let seen = visible(&tokens);
        // Escaped twice: by the framework, and by the code that it called.
        if seen.contains('&') {
            readings.push(entities::decode(&seen));
        }
        if seen.contains('\\') {
            readings.push(unescape(&seen));
        }
        let written = written(&tokens);
        readings.push(seen);
        readings.push(unescape(&written));
        let mut readings: Vec<String> = readings.iter().map(|text| fold(text)).collect();
        readings.dedup();
        Self { readings }
    }

    pub fn readings(&self) -> &[String] {
        &self.readings
    }

    /// What a visitor reads, capitals and lines as they are.
    pub fn seen(body: &[u8], content_type: Option<&str>) -> String {
        visible(&html::tokens(&decode(body, content_type)))
    }

    /// What a visitor reads, for messages: its beginning, on one line.
    pub fn excerpt(body: &[u8], content_type: Option<&str>) -> String {
        let seen = Self::seen(body, content_type);
        let line = seen.split_whitespace().collect::<Vec<_>>().join(" ");
        match line.char_indices().nth(200) {
            Some((cut, _)) => format!("{}…", &line[..cut]),
            None => line,
        }
    }
}

/// Bytes as text: by the byte-order mark, the header, the page's own `meta`; what is declared UTF-8 and is not is Latin.
pub fn decode(body: &[u8], content_type: Option<&str>) -> String {
    if let Some((encoding, length)) = encoding_rs::Encoding::for_bom(body) {
        return encoding.decode_without_bom_handling(&body[length..]).0.into_owned();
    }
    if let Ok(text) = std::str::from_utf8(body) {
        // Nearly nothing that is not UTF-8 happens to be valid UTF-8, unless it is in a 7-bit code.
        return text.to_owned();
    }
    let head = String::from_utf8_lossy(body.get(..2048).unwrap_or(body)).to_ascii_lowercase();
    let declared = [content_type.unwrap_or_default().to_ascii_lowercase(), head].iter().find_map(|text| {
        let after = text.split_once("charset=")?.1.trim_start_matches(['"', '\'']);
        let label = after.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | ':')).next()?;
        encoding_rs::Encoding::for_label(label.as_bytes())
    });
    let encoding = declared.filter(|e| *e != encoding_rs::UTF_8).unwrap_or(encoding_rs::WINDOWS_1252);
    encoding.decode_without_bom_handling(body).0.into_owned()
}

/// The values of a JSON document, one after the other.
fn json_values(page: &str) -> Option<String> {
    let page = page.trim();
    if !page.starts_with(['{', '[', '"']) {
        return None;
    }
    let mut out = String::new();
    collect(&serde_json::from_str(page).ok()?, &mut out);
    Some(out)
}

fn collect(value: &serde_json::Value, out: &mut String) {
    match value {
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect(item, out)),
        serde_json::Value::Object(entries) => entries.values().for_each(|item| collect(item, out)),
        serde_json::Value::String(text) => {
            // JSON within JSON: an answer that was encoded twice.
            match json_values(text) {
                Some(inner) if !inner.is_empty() => out.push_str(&inner),
                _ => out.push_str(text),
            }
            out.push('\n');
        }
        other => {
            out.push_str(&other.to_string());
            out.push('\n');
        }
    }
}

/// What a visitor reads: texts, and what form fields hold.
fn visible(tokens: &[Token]) -> String {
    let mut out = String::new();
    for token in tokens {
        match token {
            Token::Text(text) => out.push_str(text),
            Token::Open(name, _) | Token::Close(name) if INLINE.contains(&name.as_str()) => {}
            Token::Open(name, _) if name == "input" => {
                out.push(' ');
                out.push_str(token.attribute("value").unwrap_or_default());
                out.push(' ');
            }
            Token::Open(..) | Token::Close(_) => out.push(' '),
            Token::Script(_) => {}
        }
    }
    out
}

/// All that the page carries: attributes and scripts as well, every piece apart.
fn written(tokens: &[Token]) -> String {
    let mut out = String::new();
    for token in tokens {
        match token {
            Token::Text(text) | Token::Script(text) => out.push_str(text),
            Token::Open(_, attributes) => {
                for (_, value) in attributes {
                    out.push('\n');
                    out.push_str(value);
                }
            }
            Token::Close(_) => {}
        }
        out.push('\n');
    }
    out
}

/// Undoes the escapes of JSON, scripts and Python's printed texts: `\u00ed`, `\xc3\xad`, `\"`, `\/`, `\n`.
pub(super) fn unescape(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = &rest[at + 1..];
        let (c, length) = match escape.chars().next() {
            Some('u') => unicode(escape),
            Some('x') => {
                let (bytes, length) = hex_run(&rest[at..]);
                if length == 0 {
                    (Cow::Borrowed("x"), 1)
                } else {
                    let text = match std::str::from_utf8(&bytes) {
                        Ok(text) => text.to_owned(),
                        Err(_) => bytes.iter().map(|b| char::from(*b)).collect(),
                    };
                    (Cow::Owned(text), length - 1)
                }
            }
            Some('n' | 'r' | 't') => (Cow::Borrowed(" "), 1),
            Some(c) => (Cow::Owned(c.to_string()), c.len_utf8()),
            None => (Cow::Borrowed("\\"), 0),
        };
        out.push_str(&c);
        rest = &escape[length..];
    }
    out + rest
}

/// `u00ed` at the beginning, with the second half of a pair where there is one; and its length.
fn unicode(escape: &str) -> (Cow<'static, str>, usize) {
    let unit = |text: &str| u16::from_str_radix(text.get(1..5)?, 16).ok();
    let Some(first) = unit(escape) else { return (Cow::Borrowed("u"), 1) };
    let second =
        escape.get(5..).and_then(|after| after.strip_prefix('\\')).filter(|t| t.starts_with('u')).and_then(unit);
    if let Some(second) = second
        && let Some(Ok(c)) = char::decode_utf16([first, second]).next()
        && u32::from(c) > 0xFFFF
    {
        return (Cow::Owned(c.to_string()), 11);
    }
    let c = char::from_u32(u32::from(first)).unwrap_or('\u{fffd}');
    (Cow::Owned(c.to_string()), 5)
}

/// A run of `\xNN` at the beginning, as bytes; and its length.
fn hex_run(text: &str) -> (Vec<u8>, usize) {
    let mut bytes = Vec::new();
    let mut length = 0;
    while let Some(byte) = text
        .get(length..length + 4)
        .and_then(|piece| piece.strip_prefix("\\x"))
        .and_then(|digits| u8::from_str_radix(digits, 16).ok())
    {
        bytes.push(byte);
        length += 4;
    }
    (bytes, length)
}

/// Lower case, white space of any kind as one space, invisible characters left out.
pub(super) fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut space = false;
    for c in text.chars() {
        if c.is_whitespace() || c.is_control() {
            space = true;
        } else if !matches!(c, '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{feff}') {
            if space && !out.is_empty() {
                out.push(' ');
            }
            space = false;
            out.extend(c.to_lowercase());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(body: &[u8], content_type: &str, value: &str) -> bool {
        PageText::read(body, Some(content_type)).readings().iter().any(|r| r.contains(&fold(value)))
    }

    const ROW: &str = "Colibrí \"pico de hoz\" & Cía";

    #[test]
    fn a_value_is_read_however_it_is_written() {
        let pages: [&[u8]; 9] = [
            "<td>Colibrí &#34;pico de hoz&#34; &amp; Cía</td>".as_bytes(),
            "<td>Colibr&iacute; &quot;pico\n de&nbsp;hoz&quot; &amp;amp; C&iacute;a</td>".as_bytes(),
            r#"[{"n": "Colibr\u00ed \"pico de hoz\" & C\u00eda"}]"#.as_bytes(),
            r#"<script>var d = [{"n": "Colibr\u00ed \"pico de hoz\" \u0026 C\u00eda"}];</script>"#.as_bytes(),
            r#"<pre>((1, 'Colibr\xc3\xad "pico de hoz" & C\xc3\xada'),)</pre>"#.as_bytes(),
            r#"(1, u'Colibr\xed "pico de hoz" & C\xeda')"#.as_bytes(),
            r#""[{\"n\": \"Colibr\\u00ed \\\"pico de hoz\\\" & C\\u00eda\"}]""#.as_bytes(),
            "<input value='Colibrí &quot;pico de hoz&quot; &amp; Cía'>".as_bytes(),
            b"<b>Colibr\xed</b> \"pico de hoz\" & C\xeda",
        ];
        for page in pages {
            assert!(has(page, "text/html; charset=utf-8", ROW), "{}", String::from_utf8_lossy(page));
        }
    }

    #[test]
    fn charsets_are_undone() {
        assert_eq!(decode(b"C\xf3ndor", Some("text/html; charset=ISO-8859-1")), "Cóndor");
        assert_eq!(decode(b"<meta charset='latin1'>C\xf3ndor", None), "<meta charset='latin1'>Cóndor");
        assert_eq!(decode(b"\xef\xbb\xbfa", None), "a");
        assert_eq!(decode(b"\xff\xfea\0\xf3\0", None), "aó");
    }

    #[test]
    fn surrogate_pairs_and_broken_escapes() {
        assert_eq!(unescape(r"\ud83d\udc26 \u00e9 \uZZ \x \"), "🐦 é uZZ x \\");
    }

    #[test]
    fn comments_and_styles_say_nothing() {
        assert!(!has(b"<!-- condor --><style>condor{}</style>", "text/html", "condor"));
    }

    #[test]
    fn words_are_split_by_cells_not_by_letters_in_bold() {
        assert!(has("<td>Ana</td><td>Gómez</td>".as_bytes(), "text/html", "ana gómez"));
        assert!(has("C<b>ón</b>dor".as_bytes(), "text/html", "cóndor"));
    }

    #[test]
    fn an_excerpt_is_one_short_line() {
        assert_eq!(PageText::excerpt(b"<h1>It\n works!</h1>", None), "It works!");
        assert_eq!(PageText::excerpt("á".repeat(500).as_bytes(), None).chars().count(), 201);
    }

    proptest::proptest! {
        #[test]
        fn anything_can_be_read(body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400)) {
            PageText::read(&body, None);
        }

        #[test]
        fn escapes_never_break(text in "([\\\\ux0-9a-f\"n]|ñ)*") {
            unescape(&text);
        }
    }
}

//! Text for documents that are themselves markup: what could be structure there is written so that it is only text.

/// A line for Markdown as GitHub reads it, HTML in it included. A character reference is never structure, so what could be
/// one is written as that; a link is not made of an address that a submission printed.
pub fn markdown(raw: &str, max: usize) -> String {
    let line = super::line(raw, max);
    let mut out = String::with_capacity(line.len() * 2);
    for (at, c) in line.char_indices() {
        let (before, rest) = line.split_at(at);
        let structure =
            matches!(c, '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '<' | '>' | '#' | '|' | '~' | '&' | '$' | '@');
        // At a line's beginning these are lists, rules and headings; elsewhere they are nothing.
        let number = !before.is_empty() && before.bytes().all(|b| b.is_ascii_digit());
        let leads = matches!(c, '+' | '-' | '=') && before.is_empty() || matches!(c, '.' | ')') && number;
        let address = rest.starts_with("://") || (c == '.' && before.to_ascii_lowercase().ends_with("www"));
        if structure || leads || address {
            out.push_str(&format!("&#{};", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

/// Text over several lines for an element of HTML.
pub fn html(raw: &str) -> String {
    super::text(raw).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The message of a workflow command of GitHub's.
pub fn command(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of one.
pub fn command_property(text: &str) -> String {
    command(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn markup_is_text() {
        let cases = [
            ("<script>x</script>", "&#60;script&#62;x&#60;/script&#62;"),
            ("[a](b) ![c]", "&#91;a&#93;(b) !&#91;c&#93;"),
            ("- item", "&#45; item"),
            ("12. item, 3. no", "12&#46; item, 3. no"),
            ("a\n# b", "a &#35; b"),
            ("see https://evil.example and www.evil.example", "see https&#58;//evil.example and www&#46;evil.example"),
            ("a | b `c` @team", "a &#124; b &#96;c&#96; &#64;team"),
            ("&lt;", "&#38;lt;"),
        ];
        for (raw, safe) in cases {
            assert_eq!(markdown(raw, 200), safe);
        }
        assert_eq!(
            html("<b>\u{1b}[1mx</b> & \"y\"\n::error::z"),
            "&lt;b&gt;x&lt;/b&gt; &amp; &quot;y&quot;\n: :error::z"
        );
    }

    #[test]
    fn commands_are_escaped_as_github_reads_them() {
        assert_eq!(command("50%\r\nnext::x, y: z"), "50%25%0D%0Anext::x, y: z");
        assert_eq!(command_property("a:b,c\n%"), "a%3Ab%2Cc%0A%25");
    }

    proptest! {
        /// However odd the text is, what is left of structure is our own references.
        #[test]
        fn no_structure_is_left(raw in any::<String>()) {
            let safe = markdown(&raw, 500);
            let bare = safe.replace("&#", "").replace(';', "");
            prop_assert!(!bare.contains(['<', '>', '[', ']', '`', '*', '|', '&', '#', '\n', '\\']), "{safe:?}");
            prop_assert!(!html(&raw).contains(['<', '>', '"']));
        }

        #[test]
        fn a_command_is_one_line(raw in any::<String>()) {
            prop_assert!(!command(&raw).contains(['\n', '\r']));
            prop_assert!(!command_property(&raw).contains(['\n', '\r', ':', ',']));
        }
    }
}

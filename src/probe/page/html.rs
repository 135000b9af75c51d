//! A forgiving reader of HTML: tags, texts and what scripts hold, in the order of the page.
//!
//! It knows as much as is needed to see what a visitor sees and where a page leads; it never fails.

use super::entities;

/// A piece of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// Between tags, entities undone.
    Text(String),
    /// A tag's name in lower case, its attributes with entities undone.
    Open(String, Vec<(String, String)>),
    Close(String),
    /// What stands inside `script`, as it is.
    Script(String),
}

impl Token {
    /// An attribute of an opening tag.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        match self {
            Self::Open(_, attributes) => attributes.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()),
            _ => None,
        }
    }
}

/// Comments, styles and the doctype are left out.
pub(super) fn tokens(page: &str) -> Vec<Token> {
    let mut out = Vec::new();
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        let (text, tag) = rest.split_at(at);
        push_text(&mut out, text);
        if let Some(comment) = tag.strip_prefix("<!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
        } else if tag.starts_with("<!") || tag.starts_with("<?") {
            rest = tag.find('>').map_or("", |end| &tag[end + 1..]);
        } else if let Some((token, after)) = read_tag(tag) {
            rest = after;
            if let Token::Open(name, _) = &token
                && (name == "script" || name == "style")
            {
                let (inner, after) = until_close(rest, name);
                rest = after;
                let script = name == "script";
                out.push(token);
                if script && !inner.trim().is_empty() {
                    out.push(Token::Script(inner.to_owned()));
                }
                continue;
            }
            out.push(token);
        } else {
            // A lone `<` is text, as a browser takes it.
            push_text(&mut out, "<");
            rest = &tag[1..];
        }
    }
    push_text(&mut out, rest);
    out
}

fn push_text(out: &mut Vec<Token>, text: &str) {
    if !text.is_empty() {
        let text = entities::decode(text);
        match out.last_mut() {
            Some(Token::Text(before)) => before.push_str(&text),
            _ => out.push(Token::Text(text)),
        }
    }
}

/// A tag at the beginning of `tag`, and what comes after it.
fn read_tag(tag: &str) -> Option<(Token, &str)> {
    let inner = tag.strip_prefix('<')?;
    if let Some(closing) = inner.strip_prefix('/') {
        let end = closing.find('>')?;
        return Some((Token::Close(closing[..end].trim().to_ascii_lowercase()), &closing[end + 1..]));
    }
    if !inner.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    let name_end = inner.find(|c: char| c.is_whitespace() || c == '>' || c == '/').unwrap_or(inner.len());
    let name = inner[..name_end].to_ascii_lowercase();
    let mut rest = &inner[name_end..];
    let mut attributes = Vec::new();
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
        if rest.is_empty() {
            return Some((Token::Open(name, attributes), ""));
        }
        if let Some(after) = rest.strip_prefix('>') {
            return Some((Token::Open(name, attributes), after));
        }
        let key_end = rest.find(|c: char| c.is_whitespace() || matches!(c, '=' | '>' | '/')).unwrap_or(rest.len());
        // A stray `=` where a name should be: step over it, or this would never end.
        let key_end = if key_end == 0 { rest.chars().next().map_or(0, char::len_utf8) } else { key_end };
        let key = rest[..key_end].to_ascii_lowercase();
        rest = rest[key_end..].trim_start();
        let mut value = String::new();
        if let Some(after) = rest.strip_prefix('=') {
            let after = after.trim_start();
            let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''));
            let (raw, left) = match quote {
                Some(quote) => after[1..].split_once(quote).unwrap_or((&after[1..], "")),
                None => after.split_at(after.find(|c: char| c.is_whitespace() || c == '>').unwrap_or(after.len())),
            };
            value = entities::decode(raw);
            rest = left;
        }
        attributes.push((key, value));
    }
}

/// What stands before the closing tag of this name, and what comes after that tag.
fn until_close<'a>(text: &'a str, name: &str) -> (&'a str, &'a str) {
    let closes = |at: &usize| text[at + 2..].get(..name.len()).is_some_and(|n| n.eq_ignore_ascii_case(name));
    let Some(at) = text.match_indices("</").map(|(at, _)| at).find(closes) else { return (text, "") };
    let after = text[at..].find('>').map_or("", |end| &text[at + end + 1..]);
    (&text[..at], after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(s: &str) -> Token {
        Token::Text(s.into())
    }

    fn open(name: &str, attributes: &[(&str, &str)]) -> Token {
        Token::Open(name.into(), attributes.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect())
    }

    #[test]
    fn tags_texts_and_scripts_in_order() {
        let page = "<!DOCTYPE html><p class=\"a b\" id=x hidden>Ca&ntilde;&oacute;n</P><!-- <a> --><script>let a = '<b>';</script><style>p{}</style>fin";
        assert_eq!(
            tokens(page),
            [
                open("p", &[("class", "a b"), ("id", "x"), ("hidden", "")]),
                text("Cañón"),
                Token::Close("p".into()),
                open("script", &[]),
                Token::Script("let a = '<b>';".into()),
                open("style", &[]),
                text("fin"),
            ]
        );
    }

    #[test]
    fn what_is_no_tag_is_text() {
        assert_eq!(tokens("3 < 5 & <3"), [text("3 < 5 & <3")]);
        assert_eq!(tokens("<a href='x"), [open("a", &[("href", "x")])]);
        assert_eq!(tokens("<a =>b"), [open("a", &[("=", "")]), text("b")]);
        assert_eq!(tokens("<"), [text("<")]);
        assert_eq!(tokens("<br/>x"), [open("br", &[]), text("x")]);
    }

    #[test]
    fn attributes_are_decoded() {
        let found = tokens("<a href=\"/l?a=1&amp;b=2\">x</a>");
        assert_eq!(found[0].attribute("href"), Some("/l?a=1&b=2"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_to_its_end(page in "\\PC*") {
            tokens(&page);
        }

        #[test]
        fn any_soup_of_tags_is_read_to_its_end(page in "([<>/='\" &;a-cñ!-]|script|</script)*") {
            tokens(&page);
        }
    }
}

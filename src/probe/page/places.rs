//! Where a value stands in a page's text: whole words and whole numbers, not parts of longer ones.

use super::values::{Form, Value};

/// Places of a value that are looked at; a word that is everywhere proves nothing more.
const MAX_PLACES: usize = 64;

/// Where a value stands in a text: beginning and end.
pub(super) fn places(text: &str, value: &Value) -> Vec<(usize, usize)> {
    for form in &value.forms {
        let found: Vec<(usize, usize)> = match form {
            Form::Words(words) => find(text, words).filter(|p| alone(text, *p)).take(MAX_PLACES).collect(),
            Form::Start(words) => find(text, words).filter(|p| starts(text, p.0)).take(MAX_PLACES).collect(),
            Form::Number(number) => find(text, number).filter(|p| whole_number(text, *p)).take(MAX_PLACES).collect(),
            Form::Pieces(pieces) => pieced(text, pieces),
        };
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}

fn find<'a>(text: &'a str, needle: &'a str) -> impl Iterator<Item = (usize, usize)> + 'a {
    text.match_indices(needle).map(|(at, m)| (at, at + m.len()))
}

/// Not in the middle of a longer word.
fn alone(text: &str, (start, end): (usize, usize)) -> bool {
    starts(text, start) && {
        let last = text[..end].chars().next_back();
        let next = text[end..].chars().next();
        !(last.is_some_and(char::is_alphanumeric) && next.is_some_and(char::is_alphanumeric))
    }
}

fn starts(text: &str, start: usize) -> bool {
    let first = text[start..].chars().next();
    let before = text[..start].chars().next_back();
    !(first.is_some_and(char::is_alphanumeric) && before.is_some_and(char::is_alphanumeric))
}

/// Not a part of a longer number.
fn whole_number(text: &str, (start, end): (usize, usize)) -> bool {
    let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    let mut before = text[..start].chars().rev();
    let mut after = text[end..].chars();
    let (b1, b2) = (before.next(), before.next());
    let (a1, a2) = (after.next(), after.next());
    let joins = |c: Option<char>| matches!(c, Some('.' | ','));
    let before = b1.is_some_and(char::is_alphanumeric) || (joins(b1) && digit(b2));
    let after = a1.is_some_and(char::is_alphanumeric) || (joins(a1) && digit(a2));
    !before && !after
}

/// The pieces in their order, with a few characters of any kind between them.
fn pieced(text: &str, pieces: &[String]) -> Vec<(usize, usize)> {
    /// A letter of two bytes, misread twice, is four letters of two bytes each.
    const MAX_GAP: usize = 8;
    let Some((first, rest)) = pieces.split_first() else { return Vec::new() };
    let whole = |(start, mut end): (usize, usize)| {
        for piece in rest {
            let limit = (end + MAX_GAP + piece.len()).min(text.len());
            let limit = (end..=limit).rev().find(|i| text.is_char_boundary(*i))?;
            end += text[end..limit].find(piece.as_str())? + piece.len();
        }
        Some((start, end))
    };
    find(text, first).filter_map(whole).take(MAX_PLACES).collect()
}

//! Values of a row as a page may have them: how much each says by itself, and the ways in which people and frameworks
//! write it.

use super::text::fold;
use crate::probe::store::{Column, Kind};

/// A value to look for.
pub(super) struct Value {
    pub(super) column: usize,
    pub(super) weight: u32,
    /// The ways in which it may be written.
    pub(super) forms: Vec<Form>,
}

pub(super) enum Form {
    /// Whole words.
    Words(String),
    /// The beginning of a long text.
    Start(String),
    /// Its pieces between letters that a wrong charset may have changed.
    Pieces(Vec<String>),
    Number(String),
}

/// The values of a row that say something, the heaviest first.
pub(super) fn values(columns: &[Column], row: &[Option<String>]) -> Vec<Value> {
    let mut out: Vec<Value> = columns
        .iter()
        .zip(row)
        .enumerate()
        .filter_map(|(i, (column, value))| weigh(column, value.as_deref()?, i))
        .collect();
    out.sort_by_key(|v| std::cmp::Reverse(v.weight));
    out
}

pub(super) fn weigh(column: &Column, value: &str, index: usize) -> Option<Value> {
    let (weight, forms) = match column.kind() {
        _ if column.auto_increment => return None,
        Kind::Int | Kind::Decimal | Kind::Float | Kind::Year => weigh_number(value)?,
        Kind::Date | Kind::DateTime => (1, dates(value)?),
        Kind::Time => (1, vec![Form::Words(fold(value.get(..5)?))]),
        Kind::Binary | Kind::Bit | Kind::Other => return None,
        Kind::Text | Kind::Enum | Kind::Set | Kind::Json => weigh_text(value)?,
    };
    Some(Value { column: index, weight, forms })
}

fn weigh_text(value: &str) -> Option<(u32, Vec<Form>)> {
    let text = fold(value);
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let words = text.split_whitespace().count();
    let length = text.chars().count();
    if letters == 0 {
        // A number kept as text: a telephone, a code.
        return weigh_number(&text).or_else(|| (length >= 6).then(|| (1, vec![Form::Words(text)])));
    }
    if length < 3 {
        return None;
    }
    let weight = match (words, letters) {
        (2.., 8..) => 3,
        _ if length >= 10 && letters >= 6 => 3,
        (_, 4..) => 2,
        _ => 1,
    };
    let mut forms = Vec::new();
    if length > 60 {
        let cut = text.char_indices().nth(40).map_or(text.len(), |(at, _)| at);
        forms.push(Form::Start(text[..cut].trim_end().to_owned()));
    }
    if !text.is_ascii() {
        let head = text.char_indices().nth(60).map_or(text.as_str(), |(at, _)| &text[..at]);
        let pieces: Vec<String> =
            head.split(|c: char| !c.is_ascii()).filter(|p| !p.is_empty()).map(str::to_owned).collect();
        if pieces.iter().map(|p| p.chars().filter(char::is_ascii_alphanumeric).count()).sum::<usize>() >= 6 {
            forms.push(Form::Pieces(pieces));
        }
    }
    forms.insert(0, Form::Words(text));
    Some((weight, forms))
}

/// Small numbers are on every page; long ones are codes.
fn weigh_number(value: &str) -> Option<(u32, Vec<Form>)> {
    let (digits, forms) = number_forms(value)?;
    let weight = match digits {
        7.. => 2,
        4.. => 1,
        _ if value.trim_end_matches('0').contains('.') && !value.trim_end_matches('0').ends_with('.') => 1,
        _ => return None,
    };
    Some((weight, forms))
}

/// How many digits say something, and the ways in which people and frameworks write the number.
pub(super) fn number_forms(value: &str) -> Option<(usize, Vec<Form>)> {
    let value = value.trim();
    let (sign, plain) = value.strip_prefix('-').map_or(("", value), |rest| ("-", rest));
    let (whole, fraction) = plain.split_once('.').unwrap_or((plain, ""));
    let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let digits = whole.trim_start_matches('0').len() + fraction.len();
    let grouped = |separator: char| {
        let mut out = String::new();
        for (i, c) in whole.chars().enumerate() {
            if i > 0 && (whole.len() - i) % 3 == 0 {
                out.push(separator);
            }
            out.push(c);
        }
        out
    };
    let mut forms = vec![plain.to_owned()];
    for (whole, point) in [(whole.to_owned(), '.'), (whole.to_owned(), ','), (grouped(','), '.'), (grouped('.'), ',')] {
        for fraction in [fraction.to_owned(), format!("{fraction:0<2}"), format!("{fraction:0<1}")] {
            forms.push(if fraction.is_empty() { whole.clone() } else { format!("{whole}{point}{fraction}") });
        }
    }
    forms.sort();
    forms.dedup();
    Some((digits, forms.into_iter().map(|n| Form::Number(format!("{sign}{n}"))).collect()))
}

/// As people and frameworks write a date.
pub(super) fn dates(value: &str) -> Option<Vec<Form>> {
    const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let mut parts = value.get(..10)?.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let (m, d): (usize, usize) = (month.parse().ok()?, day.parse().ok()?);
    let name = MONTHS.get(m.checked_sub(1)?)?;
    let forms = [
        format!("{year}-{month}-{day}"),
        format!("{day}/{month}/{year}"),
        format!("{month}/{day}/{year}"),
        format!("{day}-{month}-{year}"),
        format!("{d}/{m}/{year}"),
        format!("{day} {name} {year}"),
        format!("{name} {day} {year}"),
        format!("({year}, {m}, {d}"),
    ];
    Some(forms.into_iter().map(Form::Words).collect())
}

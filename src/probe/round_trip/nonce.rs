//! Values that nobody has written before, in the shape that a column takes.

use crate::stack::table::{Column, Kind};

/// Random numbers, good enough for values that nobody else thinks of.
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new() -> Self {
        Self(crate::nonce::number() | 1)
    }

    /// A number below `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) % bound.max(1)
    }

    fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    fn pick(&mut self, letters: &str) -> char {
        let at = usize::try_from(self.below(letters.len() as u64)).unwrap_or(0);
        letters.as_bytes().get(at).copied().map_or('x', char::from)
    }
}

/// How a value is made up: a column may refuse one and take another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Letters and digits; large numbers.
    Free,
    /// As the value that is there: letters for letters, digits for digits, the rest as it is; a number near it.
    Alike,
    /// Letters only, the first a capital.
    Letters,
    /// Capitals only.
    Capitals,
}

pub(super) const STYLES: [Style; 4] = [Style::Free, Style::Alike, Style::Letters, Style::Capitals];

/// No vowels: no word of any language comes of them.
const LETTERS: &str = "bcdfghjkmnpqrstvwxz";
const DIGITS: &str = "23456789";
const LENGTH: u64 = 10;

/// A value for the column, `model` being one that it has; none where the column leaves no room for one.
pub(super) fn value(column: &Column, style: Style, model: Option<&str>, dice: &mut Dice) -> Option<String> {
    match column.kind() {
        Kind::Text => text(column.max_chars, style, model, dice),
        Kind::Int => int(column, style, model, dice),
        Kind::Decimal | Kind::Float => decimal(column, style, model, dice),
        Kind::Date => Some(date(dice)),
        Kind::DateTime => Some(format!("{} 03:04:05", date(dice))),
        _ => None,
    }
}

fn text(max: Option<u64>, style: Style, model: Option<&str>, dice: &mut Dice) -> Option<String> {
    let length = max.unwrap_or(LENGTH).min(LENGTH);
    if style == Style::Alike {
        let model = model?;
        let changed = model.chars().map(|c| match c {
            _ if c.is_ascii_digit() => dice.pick(DIGITS),
            _ if c.is_uppercase() => dice.pick(LETTERS).to_ascii_uppercase(),
            _ if c.is_alphabetic() => dice.pick(LETTERS),
            c => c,
        });
        let text: String = changed.collect();
        let free = text.chars().filter(|c| c.is_alphanumeric()).count();
        return (free >= 3).then_some(text);
    }
    if length < 3 {
        return None;
    }
    let mut out = String::new();
    for i in 0..length {
        let letter = dice.pick(LETTERS);
        out.push(match style {
            Style::Capitals => letter.to_ascii_uppercase(),
            _ if i == 0 => letter.to_ascii_uppercase(),
            Style::Free if i % 3 == 2 => dice.pick(DIGITS),
            _ => letter,
        });
    }
    Some(out)
}

fn int(column: &Column, style: Style, model: Option<&str>, dice: &mut Dice) -> Option<String> {
    if style == Style::Alike {
        let model: i64 = model?.parse().ok()?;
        return Some((model + i64::try_from(dice.between(3, 96)).ok()?).to_string());
    }
    let (low, high) = match (column.data_type.as_str(), column.unsigned()) {
        ("tinyint", false) => (101, 127),
        ("tinyint", true) => (131, 255),
        ("smallint", _) => (10_001, 32_767),
        _ => (1_234_567, 8_388_607),
    };
    (style == Style::Free).then(|| dice.between(low, high).to_string())
}

fn decimal(column: &Column, style: Style, model: Option<&str>, dice: &mut Dice) -> Option<String> {
    let (all, after) = column.digits.unwrap_or((9, 2));
    let after = after.min(2);
    let fraction = |dice: &mut Dice| match after {
        0 => String::new(),
        // The last digit is no zero, or it might not be shown.
        n => format!(".{}", (0..n).map(|_| dice.pick(DIGITS)).collect::<String>()),
    };
    match style {
        Style::Alike => {
            let whole: i64 = model?.split('.').next()?.parse().ok()?;
            Some(format!("{}{}", whole + i64::try_from(dice.between(3, 96)).ok()?, fraction(dice)))
        }
        Style::Free => {
            let whole = all.saturating_sub(column.digits.map_or(2, |(_, scale)| scale)).clamp(1, 6);
            let digits: String = (0..whole).map(|_| dice.pick(DIGITS)).collect();
            Some(digits + &fraction(dice))
        }
        _ => None,
    }
}

/// Of a year in which nobody who is still at school was born.
fn date(dice: &mut Dice) -> String {
    format!("{}-{:02}-{:02}", dice.between(1931, 1969), dice.between(1, 12), dice.between(13, 28))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(kind: &str, max: Option<u64>) -> Column {
        let data_type = kind.split(['(', ' ']).next().unwrap_or_default().to_owned();
        Column { data_type, column_type: kind.to_owned(), max_chars: max, ..Column::default() }
    }

    #[test]
    fn texts_fit_their_column_and_are_never_the_same() {
        let mut dice = Dice::new();
        let c = column("varchar(60)", Some(60));
        let a = value(&c, Style::Free, None, &mut dice).unwrap();
        let b = value(&c, Style::Free, None, &mut dice).unwrap();
        assert_ne!(a, b);
        assert_eq!(a.len(), 10);
        assert!(a.chars().all(|c| c.is_ascii_alphanumeric()), "{a}");
        for max in 3..10 {
            let short = value(&column("char(3)", Some(max)), Style::Free, None, &mut dice).unwrap();
            assert_eq!(short.len() as u64, max);
        }
        assert_eq!(value(&column("char(2)", Some(2)), Style::Free, None, &mut dice), None);
        assert_eq!(value(&column("text", None), Style::Capitals, None, &mut dice).unwrap().to_uppercase().len(), 10);
    }

    #[test]
    fn a_value_alike_keeps_what_a_pattern_may_ask_for() {
        let mut dice = Dice::new();
        let mail = value(&column("varchar(60)", Some(60)), Style::Alike, Some("Ana.gil7@uni.edu"), &mut dice).unwrap();
        let shape: String = mail
            .chars()
            .map(|c| {
                if c.is_uppercase() {
                    'A'
                } else if c.is_alphabetic() {
                    'a'
                } else if c.is_numeric() {
                    '9'
                } else {
                    c
                }
            })
            .collect();
        assert_eq!(shape, "Aaa.aaa9@aaa.aaa");
        assert_eq!(value(&column("varchar(9)", Some(9)), Style::Alike, None, &mut dice), None);
        let near: i64 = value(&column("int", None), Style::Alike, Some("45"), &mut dice).unwrap().parse().unwrap();
        assert!((48..=141).contains(&near));
    }

    #[test]
    fn numbers_fit_their_type() {
        let mut dice = Dice::new();
        for _ in 0..50 {
            let tiny: i64 = value(&column("tinyint", None), Style::Free, None, &mut dice).unwrap().parse().unwrap();
            assert!((101..=127).contains(&tiny));
            let int: i64 = value(&column("int", None), Style::Free, None, &mut dice).unwrap().parse().unwrap();
            assert!(int > 1_000_000 && int < 8_388_608);
            let mut c = column("decimal(6,2)", None);
            c.digits = Some((6, 2));
            let d = value(&c, Style::Free, None, &mut dice).unwrap();
            assert_eq!((d.len(), d.find('.')), (7, Some(4)), "{d}");
            let day = value(&column("date", None), Style::Free, None, &mut dice).unwrap();
            assert_eq!(day.len(), 10);
        }
    }
}

//! Plain scalars typed as YAML 1.1 has them.

use serde_json::{Number, Value};

pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

pub(super) fn is_true(text: &str) -> bool {
    ["true", "yes", "on"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

pub(super) fn typed(text: &str) -> Value {
    if is_null(text) {
        return Value::Null;
    }
    if is_true(text) {
        return Value::Bool(true);
    }
    if ["false", "no", "off"].iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return Value::Bool(false);
    }
    number(text).map_or_else(|| Value::String(text.to_owned()), Value::Number)
}

/// Integers (decimal, octal, hexadecimal, binary, with underscores) and floats with a dot.
fn number(text: &str) -> Option<Number> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if !rest.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let digits = rest.replace('_', "");
    let integer = if let Some(hex) = digits.strip_prefix("0x") {
        i64::from_str_radix(hex, 16).ok()
    } else if let Some(binary) = digits.strip_prefix("0b") {
        i64::from_str_radix(binary, 2).ok()
    } else if digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit()) {
        i64::from_str_radix(&digits[1..], 8).ok()
    } else {
        digits.parse().ok()
    };
    if let Some(n) = integer {
        return Some(Number::from(if negative { -n } else { n }));
    }
    let float = digits.contains('.') && digits.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    let value: f64 = if float { digits.parse().ok()? } else { return None };
    Number::from_f64(if negative { -value } else { value })
}

/// Whether YAML 1.1 reads this plain scalar as a number to the base 60: `22:22` is 1342.
pub fn base60(text: &str) -> Option<u64> {
    let mut parts = text.split(':');
    let first = parts.next()?;
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !plain(first) || first.starts_with('0') || !text.contains(':') {
        return None;
    }
    let mut value: u64 = first.parse().ok()?;
    for part in parts {
        let n: u64 = part.parse().ok()?;
        if !plain(part) || part.len() > 2 || n > 59 {
            return None;
        }
        value = value.checked_mul(60)?.checked_add(n)?;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_60() {
        assert_eq!(base60("22:22"), Some(1342));
        assert_eq!(base60("5000:5000"), None);
        assert_eq!(base60("80:80"), None);
        assert_eq!(base60("3306:33"), Some(198_393));
        assert_eq!(base60("0:22"), None);
        assert_eq!(base60("22"), None);
    }
}

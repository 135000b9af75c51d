//! Sizes, durations and points as people write them.
//!
//! Sizes are Docker's: `20m`, `20MB`, `20MiB` are all 20 × 1024² bytes, as `docker run --memory` and compose read them, so that a
//! scenario's `20MB` is the same number as a student's `mem_limit: 20MB`.

use std::time::Duration;

use super::Milli;

/// Docker's sizes, in bytes: a number, an optional `b`, `k`, `m`, `g`, `t`, with or without `i` and `b`, in any case; always powers of 1024.
pub fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = split(text.trim());
    let number: f64 = decimal(number)?;
    let unit = unit.trim().to_ascii_lowercase();
    let power = match unit.strip_suffix('b').unwrap_or(&unit) {
        "" => 0,
        "k" | "ki" => 1,
        "m" | "mi" => 2,
        "g" | "gi" => 3,
        "t" | "ti" => 4,
        _ => return None,
    };
    let bytes = number * 1024_f64.powi(power);
    // Beyond it an f64 no longer counts single bytes, and no machine has as much.
    (bytes < 9e15).then_some(bytes as u64)
}

/// A duration with its unit: `250ms`, `10s`, `1.5m`, `1m30s`, `2h`. A number without one is refused.
pub fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (number, tail) = split(rest);
        let end = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let seconds = match &tail[..end] {
            "ms" => 0.001,
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        total += decimal(number)? * seconds;
        rest = &tail[end..];
    }
    // A year: longer than any wait, and far from what a clock cannot add.
    (total <= 31_536_000.0).then(|| Duration::from_secs_f64(total))
}

/// Points as a decimal with at most three digits after the point, in thousandths.
pub fn milli(text: &str) -> Option<Milli> {
    let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let digits = |s: &str| s.chars().all(|c| c.is_ascii_digit());
    if whole.is_empty() || whole.len() > 9 || !digits(whole) || !digits(fraction) || fraction.len() > 3 {
        return None;
    }
    let whole: Milli = whole.parse().ok()?;
    let fraction: Milli = format!("{fraction:0<3}").parse().ok()?;
    Some(whole * 1000 + fraction)
}

/// Thousandths as a decimal, without trailing zeros: `12.5`.
pub fn show_milli(points: Milli) -> String {
    let text = format!("{}.{:03}", points / 1000, points % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A duration as it would be written: `250ms`, `90s`, `2m10s`, `5m`.
pub fn show_duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    let whole = |unit: u128| ms.is_multiple_of(unit);
    match ms {
        0 => "0s".to_owned(),
        _ if whole(3_600_000) => format!("{}h", ms / 3_600_000),
        _ if whole(60_000) => format!("{}m", ms / 60_000),
        _ if whole(1000) && ms > 120_000 => format!("{}m{}s", ms / 60_000, ms / 1000 % 60),
        _ if whole(1000) => format!("{}s", ms / 1000),
        _ => format!("{ms}ms"),
    }
}

/// Bytes as it would be written, in the largest unit that is exact: `6MiB`.
pub fn show_bytes(bytes: u64) -> String {
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let exact = units.iter().find(|(_, shift)| bytes > 0 && bytes.trailing_zeros() >= *shift);
    exact.map_or_else(|| format!("{bytes} bytes"), |(unit, shift)| format!("{}{unit}", bytes >> shift))
}

/// A number in front, the rest behind.
fn split(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    text.split_at(end)
}

/// A plain decimal: no sign, no exponent, no `inf`.
fn decimal(text: &str) -> Option<f64> {
    text.starts_with(|c: char| c.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_docker_s() {
        let m = 1024 * 1024;
        for text in ["20m", "20M", "20mb", "20MB", "20MiB", "20 mib", "20480k", "20971520", "20971520b"] {
            assert_eq!(bytes(text), Some(20 * m), "{text}");
        }
        assert_eq!(bytes("1.5g"), Some(1536 * m));
        assert_eq!(bytes("20000000"), Some(20_000_000));
        for text in ["", "m", "20x", "-20m", "20 m m", "1e3", "20mm", "1.2.3m", "99999999999t"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(duration("10s"), Some(Duration::from_secs(10)));
        assert_eq!(duration("5m"), Some(Duration::from_secs(300)));
        assert_eq!(duration("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(duration("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(duration("0s"), Some(Duration::ZERO));
        for text in ["", "10", "s", "-10s", "10 s", "10sec", "10s5", "1d", "99999h"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn points_are_thousandths() {
        assert_eq!(milli("4"), Some(4000));
        assert_eq!(milli("12.5"), Some(12_500));
        assert_eq!(milli("0.125"), Some(125));
        for text in ["", "-1", "0.1234", ".5", "1e3", "1,5", "9999999999"] {
            assert_eq!(milli(text), None, "{text}");
        }
        assert_eq!(show_milli(12_500), "12.5");
        assert_eq!(show_milli(100_000), "100");
        assert_eq!(show_milli(0), "0");
    }

    #[test]
    fn shown_as_written() {
        assert_eq!(show_duration(Duration::from_millis(250)), "250ms");
        assert_eq!(show_duration(Duration::from_secs(90)), "90s");
        assert_eq!(show_duration(Duration::from_secs(130)), "2m10s");
        assert_eq!(show_duration(Duration::from_secs(300)), "5m");
        assert_eq!(show_bytes(6 * 1024 * 1024), "6MiB");
        assert_eq!(show_bytes(20_000_000), "20000000 bytes");
        assert_eq!(show_bytes(0), "0 bytes");
    }
}

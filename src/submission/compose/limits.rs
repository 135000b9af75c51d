//! Declared limits in every spelling, and Docker's byte units.

use super::Reading;
use crate::submission::LimitDef;
use crate::submission::tree::Node;
use crate::text::Text;

/// The engine's period where a quota is given without one, in microseconds.
const DEFAULT_PERIOD: f64 = 100_000.0;

/// Bytes as Docker writes them: `20m`, `20MB`, `20MiB`, `0.5g`, `20000000`. Units are powers of 1024.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_')).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let number: f64 = digits.replace('_', "").parse().ok()?;
    let power = match unit.trim() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        _ => return None,
    };
    let bytes = number * 1024_f64.powi(power);
    // Beyond this it is no size of anything.
    (bytes.is_finite() && bytes < 1e18).then_some(bytes as u64)
}

/// The memory limit: the spelling of the service's own key goes before `deploy`, as with the tool.
pub(super) fn memory(name: &str, service: &Node, reading: &mut Reading) -> Option<LimitDef> {
    for path in [&["mem_limit"][..], &["deploy", "resources", "limits", "memory"]] {
        let Some(node) = service.path(path) else { continue };
        let Some(text) = node.text() else { continue };
        match parse_bytes(text) {
            // 0 is how one says none.
            Some(0) => {}
            Some(bytes) => return Some(limit(bytes as f64, path, text, node, reading)),
            None => unread(name, path, text, node, reading),
        }
    }
    None
}

/// The cpu limit, in cpus.
pub(super) fn cpus(name: &str, service: &Node, reading: &mut Reading) -> Option<LimitDef> {
    for path in [&["cpus"][..], &["deploy", "resources", "limits", "cpus"]] {
        let Some(node) = service.path(path) else { continue };
        let Some(text) = node.text() else { continue };
        match text.trim().parse::<f64>() {
            Ok(value) if value > 0.0 && value.is_finite() => return Some(limit(value, path, text, node, reading)),
            Ok(_) => {}
            Err(_) => unread(name, path, text, node, reading),
        }
    }
    let node = service.get("cpu_quota")?;
    let text = node.text()?;
    let Some(quota) = microseconds(text) else {
        unread(name, &["cpu_quota"], text, node, reading);
        return None;
    };
    if quota <= 0.0 {
        return None;
    }
    let period_node = service.get("cpu_period").filter(|node| !node.is_null());
    let period = period_node.and_then(Node::text).and_then(microseconds).filter(|p| *p > 0.0);
    let (path, written) = match period_node.and_then(Node::text) {
        Some(period) => ("cpu_quota/cpu_period", format!("{text}/{period}")),
        None => ("cpu_quota", text.to_owned()),
    };
    Some(limit(quota / period.unwrap_or(DEFAULT_PERIOD), &[path], &written, node, reading))
}

/// A number is microseconds already; a text may have a unit: `50ms`.
fn microseconds(text: &str) -> Option<f64> {
    let text = text.trim();
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let number: f64 = digits.replace('_', "").parse().ok()?;
    let factor = match unit {
        "" | "us" => 1.0,
        "ns" => 0.001,
        "ms" => 1_000.0,
        "s" => 1_000_000.0,
        _ => return None,
    };
    Some(number * factor)
}

fn limit(value: f64, path: &[&str], written: &str, node: &Node, reading: &Reading) -> LimitDef {
    LimitDef { value, spelling: path.join("."), written: written.to_owned(), at: reading.place(node.at) }
}

fn unread(name: &str, path: &[&str], text: &str, node: &Node, reading: &mut Reading) {
    let key = path.join(".");
    let said = Text::new(
        format!("`{key}: {text}` of `{name}` is no limit that Docker reads (such as `20m` or `0.5`)"),
        format!("`{key}: {text}` de `{name}` no es un límite que Docker entienda (como `20m` o `0.5`)"),
    );
    reading.say("compose.unreadable_limit", node.at, Some(name), said);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_units() {
        for (text, want) in [
            ("20m", 20 << 20),
            ("20M", 20 << 20),
            ("20mb", 20 << 20),
            ("20MiB", 20 << 20),
            ("20 MB", 20 << 20),
            ("20000000", 20_000_000),
            ("20971520b", 20 << 20),
            ("0.5g", 512 << 20),
            ("512k", 512 << 10),
            ("1t", 1 << 40),
        ] {
            assert_eq!(parse_bytes(text), Some(want), "{text}");
        }
        for text in ["", "m", "20x", "-20m", "veinte", "1e999", "99999999999t", "1.2.3m"] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
    }

    #[test]
    fn durations() {
        assert_eq!(microseconds("50ms"), Some(50_000.0));
        assert_eq!(microseconds("10000"), Some(10_000.0));
        assert_eq!(microseconds("x"), None);
    }
}

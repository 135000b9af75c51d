//! Variables in a compose file (`${VAR:-default}`), with what `.env` beside it says and nothing of this host's environment.

use std::collections::BTreeMap;
use std::ops::Range;

use super::Reading;
use crate::submission::tree::{Kind, Node};
use crate::text::Text;

/// Replaces variables in every value; keys are left alone.
pub(super) fn interpolate(node: &mut Node, env: &BTreeMap<String, String>, reading: &mut Reading) {
    let at = node.at;
    match &mut node.kind {
        Kind::List(items) => items.iter_mut().for_each(|item| interpolate(item, env, reading)),
        Kind::Map(entries) => entries.iter_mut().for_each(|(_, value)| interpolate(value, env, reading)),
        Kind::Scalar { text, plain } if text.contains('$') => {
            let (new, problems) = substitute(text, env);
            for problem in problems {
                let (id, said) = describe(problem);
                reading.say(id, at, None, said);
            }
            *text = new;
            // What comes out is a text to the tool, `true` and numbers included.
            *plain = false;
        }
        Kind::Scalar { .. } => {}
    }
}

enum Trouble {
    Unset(String),
    Required(String, String),
    Malformed(String),
}

fn describe(trouble: Trouble) -> (&'static str, Text) {
    match trouble {
        Trouble::Unset(name) => (
            "compose.unset_variable",
            Text::new(
                format!("the variable {name} is set nowhere in the submission and has no default: it is empty"),
                format!("la variable {name} no está definida en la entrega ni tiene valor por defecto: queda vacía"),
            ),
        ),
        Trouble::Required(name, why) => (
            "compose.required_variable",
            Text::new(
                format!("the variable {name} is required and set nowhere in the submission: {why}"),
                format!("la variable {name} es obligatoria y no está definida en la entrega: {why}"),
            ),
        ),
        Trouble::Malformed(text) => (
            "compose.malformed_variable",
            Text::new(
                format!("`{text}` is no variable; a plain dollar sign is written `$$`"),
                format!("`{text}` no es una variable; un signo de dólar se escribe `$$`"),
            ),
        ),
    }
}

fn substitute(text: &str, env: &BTreeMap<String, String>) -> (String, Vec<Trouble>) {
    let mut out = String::with_capacity(text.len());
    let mut troubles = Vec::new();
    let mut rest = text;
    while let Some(i) = rest.find('$') {
        out.push_str(&rest[..i]);
        rest = &rest[i + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        if let Some(inner) = rest.strip_prefix('{').and_then(|braced| closing(braced).map(|end| &braced[..end])) {
            let name_len = name_length(inner);
            if name_len > 0 && (name_len == inner.len() || inner[name_len..].starts_with([':', '-', '?', '+'])) {
                out.push_str(&braced(&inner[..name_len], &inner[name_len..], env, &mut troubles));
                rest = &rest[inner.len() + 2..];
                continue;
            }
        }
        let name_len = name_length(rest);
        if name_len > 0 {
            let name = &rest[..name_len];
            match env.get(name) {
                Some(value) => out.push_str(value),
                None => troubles.push(Trouble::Unset(name.to_owned())),
            }
            rest = &rest[name_len..];
        } else {
            out.push('$');
            troubles.push(Trouble::Malformed(text.to_owned()));
        }
    }
    out.push_str(rest);
    (out, troubles)
}

/// Deeper than anybody writes: what a file nests further is left as it is.
const DEPTH: usize = 16;

/// Where the brace closes that was opened before this text.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 1;
    let mut before = None;
    for (i, c) in text.char_indices() {
        match c {
            '{' if before == Some('$') => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(i);
        }
        if depth > DEPTH || c == '\n' {
            return None;
        }
        before = Some(c);
    }
    None
}

/// The first variable with another inside it: where it stands, and its value.
pub fn nested(text: &str, env: &BTreeMap<String, String>) -> Option<(Range<usize>, String)> {
    let mut from = 0;
    while let Some(i) = text[from..].find('$').map(|i| i + from) {
        let rest = &text[i + 1..];
        from = i + 1;
        if let Some(plain) = rest.strip_prefix('$') {
            // Two are a plain one; what follows is text, and is passed over with it.
            from += 1;
            if let Some(end) = plain.strip_prefix('{').and_then(closing) {
                from += 1 + end;
            }
        } else if let Some(end) = rest.strip_prefix('{').and_then(closing) {
            let whole = i..i + 2 + end + 1;
            if rest[1..=end].contains("${") {
                let (value, troubles) = substitute(&text[whole.clone()], env);
                if troubles.is_empty() {
                    return Some((whole, value));
                }
            }
            from = whole.end;
        }
    }
    None
}

fn name_length(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len())
}

fn braced(name: &str, operator: &str, env: &BTreeMap<String, String>, troubles: &mut Vec<Trouble>) -> String {
    let set = env.get(name);
    let filled = set.filter(|value| !value.is_empty());
    let value = |v: Option<&String>| v.cloned().unwrap_or_default();
    // A default may hold variables of its own.
    let mut inner = |text: &str| {
        let (value, more) = substitute(text, env);
        troubles.extend(more);
        value
    };
    if let Some(default) = operator.strip_prefix(":-") {
        return filled.cloned().unwrap_or_else(|| inner(default));
    }
    if let Some(default) = operator.strip_prefix('-') {
        return set.cloned().unwrap_or_else(|| inner(default));
    }
    if let Some(instead) = operator.strip_prefix(":+") {
        return filled.map(|_| inner(instead)).unwrap_or_default();
    }
    if let Some(instead) = operator.strip_prefix('+') {
        return set.map(|_| inner(instead)).unwrap_or_default();
    }
    let (required, why) = match (operator.strip_prefix(":?"), operator.strip_prefix('?')) {
        (Some(why), _) => (filled, why),
        (_, Some(why)) => (set, why),
        _ => {
            if set.is_none() {
                troubles.push(Trouble::Unset(name.to_owned()));
            }
            return value(set);
        }
    };
    if required.is_none() {
        troubles.push(Trouble::Required(name.to_owned(), why.to_owned()));
    }
    value(required)
}

/// Reads the lines of a `.env` file.
pub fn read_env(text: &str) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    for line in text.lines() {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        if line.starts_with('#') {
            continue;
        }
        let Some((name, value)) = line.split_once('=') else { continue };
        let value = value.trim();
        let quoted = |quote: char| {
            value.strip_prefix(quote).and_then(|rest| rest.split_once(quote)).map(|(inner, _)| inner.to_owned())
        };
        let value = quoted('"')
            .or_else(|| quoted('\''))
            .unwrap_or_else(|| value.split(" #").next().unwrap_or_default().trim_end().to_owned());
        env.insert(name.trim().to_owned(), value);
    }
    env
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env() -> BTreeMap<String, String> {
        read_env("# comment\nPORT=5000\nexport NAME='la base' # x\nEMPTY=\nPASS=\"a#b\"\nPLAIN=x # y\n\nbad line\n")
    }

    #[test]
    fn env_files() {
        let env = env();
        assert_eq!(env["NAME"], "la base");
        assert_eq!(env["PASS"], "a#b");
        assert_eq!(env["PLAIN"], "x");
        assert_eq!(env["EMPTY"], "");
        assert_eq!(env.len(), 5);
    }

    #[test]
    fn every_form_of_a_variable() {
        for (text, want) in [
            ("${PORT}:80", "5000:80"),
            ("$PORT:80", "5000:80"),
            ("${NO:-7}", "7"),
            ("${EMPTY:-7}", "7"),
            ("${EMPTY-7}", ""),
            ("${NO-7}", "7"),
            ("${PORT:+x}${NO:+y}", "x"),
            ("pa$$word", "pa$word"),
            ("${PORT:?must}", "5000"),
            ("${NO:-http://x:1/}", "http://x:1/"),
            ("${NO:-${PORT:-1}}:80", "5000:80"),
            ("${NO:-a${NEITHER:-{b}}", "a{b"),
            ("${PORT:-${NO}}", "5000"),
        ] {
            let (out, troubles) = substitute(text, &env());
            assert_eq!((out.as_str(), troubles.len()), (want, 0), "{text}");
        }
    }

    #[test]
    fn troubles_are_told() {
        for text in ["$NO", "${NO}", "${NO:?why}", "cost: $5", "${", "$", "${a b}"] {
            assert_eq!(substitute(text, &env()).1.len(), 1, "{text}");
        }
        assert_eq!(substitute("ends with $", &env()).0, "ends with $");
    }
}

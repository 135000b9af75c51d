//! What docker compose 2 reads and 1.29 does not, or reads otherwise, written so that both read the same. Lines stay where
//! they are, so that what the tool says of a line is true of the file that was handed in.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

use crate::submission::compose::nested;

/// `no` is a word to the newer tool, and false to the older one.
static RESTART_NO: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^(\s+restart:\s+)no(\s*|\s+#.*)$").expect("a constant pattern"));
/// Left empty, they say nothing to the newer tool.
static EMPTY: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\s+(command|entrypoint):\s*(#.*)?$").expect("a constant pattern"));

/// Whether the tool minds, among others, what [`rewritten`] mends.
pub fn minded(output: &str) -> bool {
    [".restart contains an invalid type", ".command contains an invalid type", ".entrypoint contains an invalid type"]
        .iter()
        .any(|words| output.contains(words))
}

/// The same file with `restart: no` as a word and without empty commands.
pub fn rewritten(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut out = String::with_capacity(text.len() + 16);
    for (i, line) in lines.iter().enumerate() {
        if let Some(found) = RESTART_NO.captures(line) {
            out.push_str(&format!("{}\"no\"{}", &found[1], &found[2]));
        } else if !(EMPTY.is_match(line) && empty(line, &lines[i + 1..])) {
            out.push_str(line);
        }
        out.push('\n');
    }
    out
}

/// Whether no list or map follows below a key.
fn empty(line: &str, below: &[&str]) -> bool {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let next = below.iter().find(|next| !next.trim().is_empty() && !next.trim_start().starts_with('#'));
    next.is_none_or(|next| {
        indent(next) < indent(line) || indent(next) == indent(line) && !next.trim_start().starts_with("- ")
    })
}

/// With variables inside variables' defaults (`${A:-${B:-x}}`), of which the older tool makes half, given their values.
/// None where there are none, or where a value would need quotes that only its place in the file tells.
pub fn unnested(text: &str, env: &BTreeMap<String, String>) -> Option<String> {
    let plain = |value: &str| value.chars().all(|c| c.is_alphanumeric() || "_./:@-".contains(c));
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut any = false;
    while let Some((range, value)) = nested(rest, env) {
        out.push_str(&rest[..range.start]);
        if plain(&value) && !value.is_empty() {
            any = true;
            out.push_str(&value);
        } else {
            out.push_str(&rest[range.clone()]);
        }
        rest = &rest[range.end..];
    }
    out.push_str(rest);
    any.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_the_newer_tool_reads_is_written_for_both() {
        let text = "services:\n  app:\n    restart: no  # never\n    command:\n    entrypoint: # none\n    ports: ['80']\n  \
                    b:\n    command:\n    - a\n    restart: no\n  c:\n    command:\n      # a list\n      - a\n    restart: none\n    entrypoint:\n";
        let want = "services:\n  app:\n    restart: \"no\"  # never\n\n\n    ports: ['80']\n  \
                    b:\n    command:\n    - a\n    restart: \"no\"\n  c:\n    command:\n      # a list\n      - a\n    restart: none\n\n";
        assert_eq!(rewritten(text), want);
    }

    #[test]
    fn the_tools_words_about_them_are_known() {
        assert!(minded("services.app.restart contains an invalid type, it should be a string"));
        assert!(minded("services.app.command contains an invalid type, it should be a string, or an array"));
        assert!(!minded("services.app.ports contains an invalid type, it should be an array"));
    }

    #[test]
    fn variables_inside_variables_get_their_values() {
        let env = BTreeMap::from([("B".to_owned(), "5001".to_owned()), ("Q".to_owned(), "a: b".to_owned())]);
        let told = |text: &str| unnested(text, &env);
        assert_eq!(told("a: ${A:-${B:-x}}:80\nb: ${B}\n").as_deref(), Some("a: 5001:80\nb: ${B}\n"));
        assert_eq!(told("a: ${A:-${C:-x}}").as_deref(), Some("a: x"));
        assert_eq!(told("a: ${B:-${C:-x}} ${C-${Q}}").as_deref(), Some("a: 5001 ${C-${Q}}"));
        assert_eq!(told("a: ${B:-x} $$ $ ${"), None);
        assert_eq!(told("a: $${A:-${B}}"), None);
        assert_eq!(told("a: ${A:-${Q}}"), None);
    }
}

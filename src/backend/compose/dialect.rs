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

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Whether no list or map follows below a key.
fn empty(line: &str, below: &[&str]) -> bool {
    let next = below.iter().find(|next| !next.trim().is_empty() && !next.trim_start().starts_with('#'));
    next.is_none_or(|next| {
        indent(next) < indent(line) || indent(next) == indent(line) && !next.trim_start().starts_with("- ")
    })
}

/// With variables inside variables' defaults (`${A:-${B:-x}}`), of which the older tool makes half, given their values. A
/// variable's value is a word, whatever it looks like: where quotes are not there already the scalar gets them, lest `true`
/// or `22:22` become something else. None where there are none, or none whose place in the file is plain enough.
pub fn unnested(text: &str, env: &BTreeMap<String, String>) -> Option<String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut out = String::with_capacity(text.len() + 16);
    let mut any = false;
    // The column of what a block of text belongs to.
    let mut block: Option<usize> = None;
    for (i, line) in lines.iter().enumerate() {
        let body = line.trim_end();
        block = block.filter(|column| body.is_empty() || indent(body) > *column);
        let mended = if block.is_some() {
            filled(body, env, |_| true)
        } else {
            let (column, at) = place(body);
            let (before, value) = body.split_at(at);
            block = column.filter(|_| BLOCK.is_match(value));
            let own = |column| !goes_on(column, lines.get(i + 1..).unwrap_or_default());
            match value.chars().next() {
                Some('"' | '\'' | '[' | '{') => in_quotes(value, env),
                Some('&' | '*' | '!' | '|' | '>' | '%' | '@' | '`' | '#' | '?') | None => None,
                Some(_) if column.is_some_and(own) => plain(value, env),
                Some(_) => None,
            }
            .map(|value| format!("{before}{value}"))
        };
        any |= mended.is_some();
        out.push_str(mended.as_deref().unwrap_or(body));
        out.push_str(&line[body.len()..]);
    }
    any.then_some(out)
}

/// What stands before a value: the dashes of lists, and a key.
static BEFORE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"^( *)((?:- +)*)((?:"[^"]*"|'[^']*'|[\w./-]+) *: +)?"#).expect("a constant pattern"));
/// The header of a block of text.
static BLOCK: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^(?:[&!]\S* +)*[|>][-+0-9]*\s*(\s#.*)?$").expect("a constant pattern"));

/// The column of a line's key, else of its last dash; none where it has neither. And where its value begins.
fn place(line: &str) -> (Option<usize>, usize) {
    let Some(found) = BEFORE.captures(line) else { return (None, 0) };
    let (indent, dashes) = (found[1].len(), &found[2]);
    let column = match found.get(3) {
        Some(_) => Some(indent + dashes.len()),
        None => dashes.rfind('-').map(|dash| indent + dash),
    };
    (column, found[0].len())
}

/// Whether a plain scalar goes on in the lines below.
fn goes_on(column: usize, below: &[&str]) -> bool {
    let next = below.iter().map(|line| line.trim_end()).find(|line| !line.is_empty());
    next.is_some_and(|next| indent(next) > column && !next.trim_start().starts_with('#'))
}

/// A plain scalar with its variables' values, in quotes.
fn plain(value: &str, env: &BTreeMap<String, String>) -> Option<String> {
    let end = [" #", "\t#"].iter().filter_map(|mark| value.find(mark)).min().unwrap_or(value.len());
    let scalar = value[..end].trim_end();
    // A key that is not known as one.
    if scalar.contains(": ") || scalar.ends_with(':') {
        return None;
    }
    let word = filled(scalar, env, |_| true)?.replace('\\', "\\\\").replace('"', "\\\"");
    Some(format!("\"{word}\"{}", &value[scalar.len()..]))
}

/// The variables that stand in quotes with their values.
fn in_quotes(value: &str, env: &BTreeMap<String, String>) -> Option<String> {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    let mut any = false;
    while let Some(start) = rest.find(['"', '\'']) {
        let (before, quoted) = rest.split_at(start + 1);
        let comment = before.contains(" #");
        let Some(end) = closing(quoted, before.ends_with('"')).filter(|_| !comment) else { break };
        let mended = filled(&quoted[..end], env, |c| !"'\"\\".contains(c));
        any |= mended.is_some();
        out.push_str(before);
        out.push_str(mended.as_deref().unwrap_or(&quoted[..end]));
        out.push_str(&quoted[end..=end]);
        rest = &quoted[end + 1..];
    }
    out.push_str(rest);
    any.then_some(out)
}

/// Where a quoted text ends.
fn closing(text: &str, double: bool) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(i, c)| {
        let ends = !escaped && c == if double { '"' } else { '\'' };
        escaped = double && !escaped && c == '\\';
        ends.then_some(i)
    })
}

/// With the values of the variables that have others inside them, where `fits` takes all of a value and the tool would not
/// read it as a variable again. None where nothing changed.
fn filled(text: &str, env: &BTreeMap<String, String>, fits: impl Fn(char) -> bool) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut any = false;
    while let Some((range, value)) = nested(rest, env) {
        out.push_str(&rest[..range.start]);
        if value.chars().all(|c| c != '$' && !c.is_control() && fits(c)) {
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

    fn told(text: &str) -> Option<String> {
        let values = [("B", "5001"), ("Q", "a: b"), ("S", r#"it's "x" \y"#), ("D", "$HOME"), ("E", "")];
        unnested(text, &values.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
    }

    #[test]
    fn variables_inside_variables_get_their_values() {
        assert_eq!(told("a: ${A:-${B:-x}}:80\nb: ${B}\n").as_deref(), Some("a: \"5001:80\"\nb: ${B}\n"));
        assert_eq!(told("a: ${A:-${C:-x}}").as_deref(), Some("a: \"x\""));
        assert_eq!(told("a: ${B:-${C:-x}} ${C-${D}}").as_deref(), Some("a: \"5001 ${C-${D}}\""));
        assert_eq!(told("a: ${A:-${Q}} # ${A:-${B}}\r\n").as_deref(), Some("a: \"a: b\" # ${A:-${B}}\r\n"));
        assert_eq!(told("- - a=${A:-${S}}").as_deref(), Some(r#"- - "a=it's \"x\" \\y""#));
        assert_eq!(told("  - A: ${A:-${E}}\n    B: x\n").as_deref(), Some("  - A: \"\"\n    B: x\n"));
        for none in ["a: ${B:-x} $$ $ ${", "a: $${A:-${B}}", "a: ${A:-${D}}", "a: b\n# ${A:-${B}}", "a: x # ${A:-${B}}"]
        {
            assert_eq!(told(none), None, "{none}");
        }
    }

    #[test]
    fn a_value_stays_a_word() {
        // Bare, the older tool reads them as a truth value, a number and minutes of an hour.
        let text = "environment:\n  DEBUG: ${DEBUG:-${F:-true}}\nports:\n  - 22:${A:-${F:-22}}\n  - ${A:-${B}}\n";
        let want = "environment:\n  DEBUG: \"true\"\nports:\n  - \"22:22\"\n  - \"5001\"\n";
        assert_eq!(told(text).as_deref(), Some(want));
        assert_eq!(told("p: [\"${A:-${B}}:80\", '${A:-${F:-22}}:22']").as_deref(), Some("p: [\"5001:80\", '22:22']"));
        assert_eq!(told("p: [\n  \"${A:-${B}}\"\n]\n").as_deref(), Some("p: [\n  \"5001\"\n]\n"));
        assert_eq!(told("a: 'x ${A:-${S}}'"), None);
        assert_eq!(told(r#"a: "\" ${A:-${B}}""#).as_deref(), Some(r#"a: "\" 5001""#));
    }

    #[test]
    fn where_quotes_would_be_text_there_are_none() {
        let text = "a: |-\n  b: ${A:-${B}}\n\n  c\nd: ${A:-${B}}\n- >\n  e ${A:-${Q}}\n";
        let want = "a: |-\n  b: 5001\n\n  c\nd: \"5001\"\n- >\n  e a: b\n";
        assert_eq!(told(text).as_deref(), Some(want));
        for none in [
            "a: ${A:-${B}}\n  goes on",
            "a:\n  ${A:-${B}}\n",
            "- x y: ${A:-${B}}",
            "a: &x ${A:-${B}}",
            "a: [${A:-${B}}]",
            "a: \"x\n  ${A:-${B}}\"",
        ] {
            assert_eq!(told(none), None, "{none}");
        }
    }
}

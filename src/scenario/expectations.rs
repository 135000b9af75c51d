//! `expect:` decoded against the facts that a kind can give: literals read by the fact's unit, matchers where a map stands.

use serde_json::{Number, Value};

use super::decoder::{duration_of, number};
use super::tree::{Node, Problem, Yaml};
use super::units;
use crate::expect::{Expectation, FactSpec, Matcher, Unit};
use crate::nearest;

/// The matchers, as written.
pub const MATCHERS: &[&str] = &["ge", "gt", "le", "lt", "contains", "matches", "one_of", "len", "not"];

/// Larger regular expressions than anyone writes are refused; in bytes.
const REGEX_SIZE: usize = 1 << 20;

/// Reads an `expect:`; `kind` is named in messages. Problems are collected, and what can be read is given.
pub fn decode(node: &Node, kind: &str, facts: &[FactSpec], problems: &mut Vec<Problem>) -> Vec<Expectation> {
    if !matches!(node.value, Yaml::Map(_) | Yaml::Null) {
        problems.push(Problem::new(&node.at, format!("`expect` must be a map of facts, not {}", node.describe())));
        return Vec::new();
    }
    let names = || facts.iter().map(|fact| fact.name);
    if node.entries().is_empty() && !facts.is_empty() {
        let problem = Problem::new(&node.at, "this check expects nothing, so it would always pass");
        problems.push(problem.hint(format!("facts of `{kind}`: {}", nearest::names(names()))));
    }
    let mut out = Vec::new();
    for (name, at, value) in node.entries() {
        let Some(fact) = facts.iter().find(|fact| fact.name == name) else {
            let problem = Problem::new(at, format!("`{kind}` gives no fact `{name}`"));
            problems.push(problem.hint(nearest::hint(name, facts.iter().map(|fact| fact.name))));
            continue;
        };
        match matcher(fact, value) {
            Ok(matcher) => out.push(Expectation { fact: name.clone(), matcher, at: at.clone() }),
            Err(found) => problems.extend(found),
        }
    }
    out
}

type Found<T> = Result<T, Vec<Problem>>;

/// A literal is equality; a map is one matcher or several that must all hold.
fn matcher(fact: &FactSpec, node: &Node) -> Found<Matcher> {
    let Yaml::Map(entries) = &node.value else { return Ok(Matcher::Equal(literal(fact, node)?)) };
    let mut all = Vec::new();
    let mut problems = Vec::new();
    if entries.is_empty() {
        problems.push(
            Problem::new(&node.at, "an empty matcher would always hold").hint(nearest::list(MATCHERS.iter().copied())),
        );
    }
    for (name, at, value) in entries {
        match one(fact, name, value) {
            Some(Ok(matcher)) => all.push(matcher),
            Some(Err(found)) => problems.extend(found),
            None => {
                let hint = nearest::hint(name, MATCHERS.iter().copied());
                problems.push(Problem::new(at, format!("unknown matcher `{name}`")).hint(hint));
            }
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    match (all.len(), all.pop()) {
        (1, Some(only)) => Ok(only),
        (_, last) => Ok(Matcher::All(all.into_iter().chain(last).collect())),
    }
}

/// The matcher of that name; `None` if there is none.
fn one(fact: &FactSpec, name: &str, value: &Node) -> Option<Found<Matcher>> {
    Some(match name {
        "ge" => bound(fact, name, value).map(Matcher::Ge),
        "gt" => bound(fact, name, value).map(Matcher::Gt),
        "le" => bound(fact, name, value).map(Matcher::Le),
        "lt" => bound(fact, name, value).map(Matcher::Lt),
        "contains" => contains(fact, value),
        "matches" => matches_regex(fact, value),
        "one_of" => one_of(fact, value),
        "len" => len(fact, value),
        "not" => matcher(fact, value).map(|inner| Matcher::Not(Box::new(inner))),
        _ => return None,
    })
}

fn bound(fact: &FactSpec, name: &str, node: &Node) -> Found<f64> {
    if !matches!(fact.unit, Unit::Number | Unit::Bytes | Unit::Seconds) {
        let problem =
            Problem::new(&node.at, format!("`{name}` compares numbers, and `{}` is {}", fact.name, unit(fact)));
        return refuse(if fact.unit == Unit::List {
            problem.hint("`len: n` counts a list's elements")
        } else {
            problem
        });
    }
    let value = literal(fact, node)?;
    value.as_f64().ok_or_else(|| vec![wrong(fact, node)])
}

fn contains(fact: &FactSpec, node: &Node) -> Found<Matcher> {
    match fact.unit {
        Unit::List => Ok(Matcher::Contains(node.to_json())),
        Unit::Text => match node.text() {
            // Every text contains the empty one.
            Some("") => refuse(Problem::new(&node.at, "every text contains the empty text")),
            Some(text) => Ok(Matcher::Contains(Value::from(text))),
            None => refuse(wrong(fact, node)),
        },
        _ => refuse(Problem::new(
            &node.at,
            format!("`contains` is for texts and lists, and `{}` is {}", fact.name, unit(fact)),
        )),
    }
}

fn matches_regex(fact: &FactSpec, node: &Node) -> Found<Matcher> {
    if fact.unit != Unit::Text {
        return refuse(Problem::new(
            &node.at,
            format!("`matches` is for texts, and `{}` is {}", fact.name, unit(fact)),
        ));
    }
    let Some(text) = node.text() else { return refuse(wrong(fact, node)) };
    match regex::RegexBuilder::new(text).size_limit(REGEX_SIZE).build() {
        Ok(regex) => Ok(Matcher::Matches(regex)),
        Err(error) => {
            let said = error.to_string();
            let last = said.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            refuse(Problem::new(&node.at, format!("this is no regular expression: {last}")))
        }
    }
}

fn one_of(fact: &FactSpec, node: &Node) -> Found<Matcher> {
    let Yaml::List(items) = &node.value else {
        return refuse(Problem::new(&node.at, format!("`one_of` must be a list, not {}", node.describe())));
    };
    if items.is_empty() {
        return refuse(Problem::new(&node.at, "`one_of` nothing never holds"));
    }
    let mut values = Vec::with_capacity(items.len());
    let mut problems = Vec::new();
    for item in items {
        match literal(fact, item) {
            Ok(value) => values.push(value),
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() { Ok(Matcher::OneOf(values)) } else { Err(problems) }
}

fn len(fact: &FactSpec, node: &Node) -> Found<Matcher> {
    if !matches!(fact.unit, Unit::List | Unit::Text) {
        return refuse(Problem::new(
            &node.at,
            format!("`len` is for lists and texts, and `{}` is {}", fact.name, unit(fact)),
        ));
    }
    match node.value {
        Yaml::Int(n) if n >= 0 => Ok(Matcher::HaveLen(n.unsigned_abs())),
        _ => refuse(Problem::new(&node.at, format!("`len` must be a count, not {}", node.describe()))),
    }
}

/// A literal, read by the fact's unit: `6MiB` is bytes where bytes are measured and a text elsewhere.
fn literal(fact: &FactSpec, node: &Node) -> Found<Value> {
    let float = |n: f64| Number::from_f64(n).map(Value::Number);
    let value = match fact.unit {
        Unit::Text => node.text().map(Value::from),
        Unit::Bool => match node.value {
            Yaml::Bool(b) => Some(Value::Bool(b)),
            _ => None,
        },
        Unit::Number => match node.value {
            Yaml::Int(n) => Some(Value::from(n)),
            _ => number(node).and_then(float),
        },
        Unit::Bytes => node.text().and_then(units::bytes).map(Value::from),
        Unit::Seconds => match duration_of(fact.name, node) {
            Ok(duration) => float(duration.as_secs_f64()),
            Err(problem) => return refuse(problem),
        },
        Unit::List => match node.value {
            Yaml::List(_) => Some(node.to_json()),
            _ => None,
        },
    };
    value.ok_or_else(|| vec![wrong(fact, node)])
}

fn refuse<T>(problem: Problem) -> Found<T> {
    Err(vec![problem])
}

fn wrong(fact: &FactSpec, node: &Node) -> Problem {
    let problem = Problem::new(&node.at, format!("`{}` is {}, not {}", fact.name, unit(fact), node.describe()));
    match fact.unit {
        Unit::Bytes => problem.hint("such as `20m`, `6MiB`, or a number of bytes"),
        Unit::List => problem.hint("`[]` for none, `[a, b]`, or a matcher such as `{contains: a}`"),
        _ => problem,
    }
}

fn unit(fact: &FactSpec) -> &'static str {
    match fact.unit {
        Unit::Text => "a text",
        Unit::Bool => "`true` or `false`",
        Unit::Number => "a number",
        Unit::Bytes => "a size in bytes",
        Unit::Seconds => "a duration",
        Unit::List => "a list",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::expect::{Facts, judge};
    use crate::scenario::tree;

    const fn fact(name: &'static str, unit: Unit) -> FactSpec {
        FactSpec { name, unit, summary: "" }
    }

    const FACTS: &[FactSpec] = &[
        fact("status", Unit::Number),
        fact("body", Unit::Text),
        fact("valid", Unit::Bool),
        fact("limit_bytes", Unit::Bytes),
        fact("quiet_for_s", Unit::Seconds),
        fact("missing", Unit::List),
    ];

    fn read(text: &str) -> (Vec<Expectation>, Vec<String>) {
        let node = tree::read(text, "s.yaml").unwrap();
        let mut problems = Vec::new();
        let out = decode(&node, "test", FACTS, &mut problems);
        let show = |p: &Problem| {
            let hint = p.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
            format!("{}:{} {}{hint}", p.at.line, p.at.column, p.message)
        };
        (out, problems.iter().map(show).collect())
    }

    fn holds(expect: &str, name: &str, value: Value) -> bool {
        let (expectations, problems) = read(expect);
        assert_eq!(problems, [""; 0], "{expect}");
        let facts = Facts::from([(name.to_owned(), value)]);
        judge(&expectations, "", &facts).iter().all(|finding| finding.holds)
    }

    #[test]
    fn literals_are_read_by_their_unit() {
        assert!(holds("status: 200", "status", json!(200)));
        assert!(!holds("status: 200", "status", json!(500)));
        assert!(holds("body: no", "body", json!("no")));
        assert!(holds("body: 0755", "body", json!("0755")));
        assert!(holds("valid: true", "valid", json!(true)));
        assert!(holds("limit_bytes: 20m", "limit_bytes", json!(20_971_520)));
        assert!(holds("limit_bytes: 20971520", "limit_bytes", json!(20_971_520)));
        assert!(holds("quiet_for_s: 1500ms", "quiet_for_s", json!(1.5)));
        assert!(holds("missing: []", "missing", json!([])));
        assert!(!holds("missing: []", "missing", json!(["users"])));
        assert!(holds("missing: [a, 1]", "missing", json!(["a", 1])));
    }

    #[test]
    fn matchers_are_read() {
        assert!(holds("limit_bytes: {ge: 6MiB}", "limit_bytes", json!(6 << 20)));
        assert!(!holds("limit_bytes: {gt: 6MiB}", "limit_bytes", json!(6 << 20)));
        assert!(holds("quiet_for_s: {ge: 10s, lt: 1m}", "quiet_for_s", json!(10.0)));
        assert!(!holds("quiet_for_s: {ge: 10s, lt: 1m}", "quiet_for_s", json!(60)));
        assert!(holds("status: {one_of: [200, 204]}", "status", json!(204)));
        assert!(holds("status: {not: {one_of: [200, 204]}}", "status", json!(500)));
        assert!(holds("status: {not: 500}", "status", json!(200)));
        assert!(holds("body: {contains: ana}", "body", json!("hola ana")));
        assert!(holds("body: {matches: '^[a-z ]+$'}", "body", json!("hola ana")));
        assert!(holds("missing: {contains: users}", "missing", json!(["users"])));
        assert!(holds("missing: {len: 2}", "missing", json!(["a", "b"])));
        assert!(holds("missing: {not: {contains: users}}", "missing", json!([])));
    }

    #[test]
    fn every_problem_is_found() {
        let text = "\
statu: 200
status: x
body: [a]
valid: yes
limit_bytes: {ge: 6q}
quiet_for_s: {ge: 10}
missing: {gt: 1, lenn: 2}
";
        assert_eq!(
            read(text).1,
            [
                "1:1 `test` gives no fact `statu` (did you mean `status`?)",
                "2:9 `status` is a number, not the text \"x\"",
                "3:7 `body` is a text, not a list",
                "4:8 `valid` is `true` or `false`, not the text \"yes\"",
                "5:19 `limit_bytes` is a size in bytes, not the text \"6q\" (such as `20m`, `6MiB`, or a number of bytes)",
                "6:19 `quiet_for_s` must be a duration, not the number 10 (a duration needs its unit: `10s` or `10ms`)",
                "7:15 `gt` compares numbers, and `missing` is a list (`len: n` counts a list's elements)",
                "7:18 unknown matcher `lenn` (did you mean `len`?)",
            ]
        );
    }

    #[test]
    fn what_always_or_never_holds_is_refused() {
        let all = "`status`, `body`, `valid`, `limit_bytes`, `quiet_for_s`, `missing`";
        let empty = format!("1:1 this check expects nothing, so it would always pass (facts of `test`: {all})");
        assert_eq!(read("{}").1, [empty.as_str()]);
        assert_eq!(read("").1, [empty.as_str()]);
        assert_eq!(read("status: {one_of: []}").1, ["1:18 `one_of` nothing never holds"]);
        assert_eq!(read("body: {contains: ''}").1, ["1:18 every text contains the empty text"]);
        assert!(read("status: {}").1[0].starts_with("1:9 an empty matcher would always hold"));
        assert!(read("body: {matches: '('}").1[0].starts_with("1:17 this is no regular expression: unclosed group"));
    }
}

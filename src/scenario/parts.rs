//! The smaller parts of a scenario: texts, points, roles, policy, override and patience.

use std::time::Duration;

use super::decoder::Decoder;
use super::tree::{Node, Problem};
use super::units;
use super::{Budgets, Milli, OverrideSpec, Patience, PolicySpec, RoleSpec};
use crate::nearest;
use crate::submission::policy::{self, Action};
use crate::text::Text;

/// What names look like: they become file names, test names and XML attributes.
pub(super) const NAME_FORM: &str = "lower-case letters, digits, `-` and `_`, starting with a letter or digit";

/// Less than this an engine refuses to create a container with.
const LEAST_MEMORY: u64 = 6 << 20;

/// A wait that looks more often measures itself.
const SHORTEST_EVERY: Duration = Duration::from_millis(10);

/// Conditions that may end a wait early.
pub const CONDITIONS: &[&str] = &["exited_for_good", "oom_killed", "restart_loop"];

impl Default for Budgets {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            fetch: seconds(300),
            build: seconds(300),
            ready: seconds(90),
            machines: seconds(180),
            provision: seconds(600),
            check: seconds(120),
            teardown: seconds(30),
        }
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            within: Duration::from_secs(30),
            every: Duration::from_millis(250),
            // A page that is right but slow answers as well as any.
            attempt_timeout: Duration::from_secs(20),
            stable: 1,
            fail_fast_on: Vec::new(),
        }
    }
}

pub(super) fn is_name(name: &str) -> bool {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    name.len() <= 64 && name.chars().all(good) && name.starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// A text for people: `{en: …, es: …}`, or one text for both.
pub fn text(d: &mut Decoder<'_>, key: &'static str, required: bool) -> Option<Text> {
    let node = if required { d.required(key)? } else { d.node(key)? };
    if let Some(text) = node.text() {
        return Some(Text::same(text));
    }
    d.map(key, |inner| {
        let (en, es) = (inner.required_text("en"), inner.required_text("es"));
        Some(Text::new(en?, es?))
    })
}

/// Points: a decimal with up to three digits after the point, never negative.
pub(super) fn points(node: &Node, d: &mut Decoder<'_>) -> Option<Milli> {
    let points = node.text().and_then(units::milli);
    if points.is_none() {
        let found = node.describe();
        let message = format!("points must be a decimal with at most three digits after the point, not {found}");
        d.problem(Problem::new(&node.at, message));
    }
    points
}

pub(super) fn roles(top: &mut Decoder<'_>) -> Vec<RoleSpec> {
    let entries = top.entries("roles");
    let mut out = Vec::with_capacity(entries.len());
    for (name, at, node) in entries {
        if !is_name(name) {
            top.problem(Problem::new(at, format!("`{name}` is no name for a role")).hint(NAME_FORM));
        }
        let role = top.within(node, |d| {
            let built = d.bool_or("built", false);
            let talks_to = d.text("talks_to");
            if let Some(other) = &talks_to {
                let names: Vec<&str> = entries.iter().map(|(other, _, _)| other.as_str()).collect();
                if !names.contains(&other.as_str()) || other == name {
                    let hint = nearest::hint(other, names.into_iter().filter(|other| *other != name.as_str()));
                    d.problem_with("talks_to", format!("`talks_to` names no other role: `{other}`"), Some(&hint));
                }
            }
            let image_family = d.some_texts("image_family").into_iter().map(|(family, _)| family).collect();
            RoleSpec { name: name.clone(), built, talks_to, image_family, at: at.clone() }
        });
        out.push(role);
    }
    out
}

/// What the policy does, by rule: `refuse`, `strip`, `allow`, or `deny_list`, which is what is built in.
pub(super) fn policy(top: &mut Decoder<'_>) -> PolicySpec {
    let mut actions = Vec::new();
    for (rule, at, node) in top.entries("policy") {
        if policy::rule(rule).is_none() {
            let hint = nearest::hint(rule, policy::RULES.iter().map(|rule| rule.name));
            top.problem(Problem::new(at, format!("unknown rule `{rule}`")).hint(hint));
            continue;
        }
        let action = match node.text() {
            Some("refuse") => Action::Refuse,
            Some("strip") => Action::Strip,
            Some("allow") => Action::Allow,
            // Only some paths are denied: the rule's own behaviour.
            Some("deny_list") if rule == "host_binds" => continue,
            _ => {
                let words: &[&str] = if rule == "host_binds" {
                    &["refuse", "strip", "allow", "deny_list"]
                } else {
                    &["refuse", "strip", "allow"]
                };
                let problem = Problem::new(&node.at, format!("`{rule}` must be an action, not {}", node.describe()));
                top.problem(problem.hint(nearest::hint(node.text().unwrap_or_default(), words.iter().copied())));
                continue;
            }
        };
        actions.push((rule.clone(), action));
    }
    PolicySpec { actions }
}

pub(super) fn overrides(d: &mut Decoder<'_>) -> Option<OverrideSpec> {
    d.required("every_service")?;
    d.map("every_service", |d| {
        let (memory, cpus) = (d.bytes("memory"), d.number("cpus"));
        for key in ["memory", "cpus"] {
            d.required(key);
        }
        if memory.is_some_and(|memory| memory < LEAST_MEMORY) {
            d.problem_with("memory", "an engine gives no container less than 6 MiB", None);
        }
        if cpus.is_some_and(|cpus| cpus < 0.01) {
            d.problem_with("cpus", "an engine gives no container less than 0.01 cpus", None);
        }
        Some(OverrideSpec { memory_bytes: memory?, cpus: cpus? })
    })
}

/// Patience as written over what holds otherwise.
pub(super) fn patience(d: &mut Decoder<'_>, usual: &Patience) -> Patience {
    let within = d.duration("within").unwrap_or(usual.within);
    let (every, attempt_timeout) = pace(d, usual);
    let stable = match d.int("stable") {
        None => usual.stable,
        Some(n) => match u32::try_from(n) {
            Ok(n @ 1..=1000) => n,
            _ => {
                d.problem_with("stable", "`stable` must be so many passes in a row, 1 to 1000", None);
                usual.stable
            }
        },
    };
    let conditions = d.texts("fail_fast_on");
    for (condition, at) in &conditions {
        if !CONDITIONS.contains(&condition.as_str()) {
            let hint = nearest::hint(condition, CONDITIONS.iter().copied());
            d.problem(Problem::new(at, format!("unknown condition `{condition}`")).hint(hint));
        }
    }
    let fail_fast_on = if d.has("fail_fast_on") {
        conditions.into_iter().map(|(condition, _)| condition).collect()
    } else {
        usual.fail_fast_on.clone()
    };
    Patience { within, every, attempt_timeout, stable, fail_fast_on }
}

/// How long something must never hold; how often it is looked at goes into `patience`.
pub(super) fn never(d: &mut Decoder<'_>, patience: &mut Patience) -> Option<Duration> {
    d.required("for");
    let budget = d.duration("for");
    (patience.every, patience.attempt_timeout) = pace(d, patience);
    if budget.is_some_and(|budget| budget.is_zero()) {
        d.problem_with("for", "`for` leaves no time to watch", None);
    }
    budget
}

/// How often is looked, and for how long at most.
fn pace(d: &mut Decoder<'_>, usual: &Patience) -> (Duration, Duration) {
    let mut every = d.duration("every").unwrap_or(usual.every);
    if every < SHORTEST_EVERY {
        d.problem_with("every", "`every` must be at least 10ms", None);
        every = usual.every;
    }
    let mut attempt_timeout = d.duration("attempt_timeout").unwrap_or(usual.attempt_timeout);
    if attempt_timeout.is_zero() {
        d.problem_with("attempt_timeout", "`attempt_timeout` leaves no time at all", None);
        attempt_timeout = usual.attempt_timeout;
    }
    (every, attempt_timeout)
}

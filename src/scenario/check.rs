//! One check of the list: the keys that all checks have, and the one key that names its kind.

use std::time::Duration;

use super::decoder::Decoder;
use super::parts;
use super::tree::{Node, Problem, Yaml};
use super::units;
use super::{CheckSpec, Patience, Visibility};
use crate::expect::Place;
use crate::nearest;

/// The keys that a check has whatever its kind; `expect` is decoded later, by the kind's facts.
pub const CHECK_KEYS: &[&str] = &[
    "id",
    "title",
    "points",
    "needs",
    "explained_by",
    "expect",
    "eventually",
    "never",
    "hint",
    "visibility",
    "details",
];

/// What decoding a check needs of the rest.
pub(super) struct CheckDecoder<'a> {
    /// The names of the kinds that there are.
    pub kinds: &'a [&'a str],
    pub patience: &'a Patience,
    /// The budget of a check: it cannot wait longer.
    pub longest: Duration,
}

impl CheckDecoder<'_> {
    /// `None` where it has no id; what else is wrong is noted and given its usual value, a kind that cannot be told
    /// an empty name: so that links to a check that is there are not reported as well.
    pub(super) fn decode(&self, node: &Node, problems: &mut Vec<Problem>) -> Option<CheckSpec> {
        if !matches!(node.value, Yaml::Map(_)) {
            problems.push(Problem::new(&node.at, format!("a check must be a map, not {}", node.describe())));
            return None;
        }
        let mut d = Decoder::new(node, problems);
        let id = d.required_text("id");
        if let Some(id) = id.as_ref().filter(|id| !parts::is_name(id)) {
            d.problem_with("id", format!("`{id}` is no id"), Some(parts::NAME_FORM));
        }
        let title = parts::text(&mut d, "title", false);
        let points = match d.required("points") {
            Some(node) => parts::points(node, &mut d),
            None => None,
        };
        let (needs, explained_by) = (d.some_texts("needs"), d.some_texts("explained_by"));
        let expect = d.node("expect").cloned();
        let patience = d.map("eventually", |inner| Some(parts::patience(inner, self.patience)));
        let both = patience.is_some();
        let mut eventually = patience.unwrap_or_else(|| self.patience.clone());
        let never = d.map("never", |inner| parts::never(inner, &mut eventually));
        if both && d.has("never") {
            let hint = "`never` has `for`, `every` and `attempt_timeout` of its own";
            d.problem_with(
                "never",
                "a check waits for what should be, or watches for what should never be",
                Some(hint),
            );
        }
        if let Some(never) = never.filter(|never| *never > self.longest) {
            let (never, longest) = (units::show_duration(never), units::show_duration(self.longest));
            let message = format!("this check watches for {never}, longer than the budget of a check, {longest}");
            d.problem_with("never", message, Some("raise `budgets: {check: …}`, or watch less"));
        }
        if eventually.within > self.longest {
            let (within, longest) = (units::show_duration(eventually.within), units::show_duration(self.longest));
            let message = format!("this check may wait {within}, longer than the budget of a check, {longest}");
            d.problem_with("eventually", message, Some("raise `budgets: {check: …}`, or wait less"));
        }
        let hint = parts::text(&mut d, "hint", false);
        let visibility = audience(&mut d, "visibility").unwrap_or_default();
        let details = audience(&mut d, "details");
        if details.is_some_and(|details| details < visibility) {
            let hint = "leave `details` out, or show the check to as many";
            d.problem_with("details", "more would see the details than see the check", Some(hint));
        }
        let kind = self.kind(node, &mut d);
        d.finish_knowing(&kind.keys.iter().map(String::as_str).collect::<Vec<_>>());
        let (kind, params) = kind.found.unwrap_or_else(|| (String::new(), Node::new(node.at.clone(), Yaml::Null)));
        Some(CheckSpec {
            id: id?,
            title,
            points: points.unwrap_or_default(),
            needs,
            explained_by,
            kind,
            params,
            expect: expect.unwrap_or_else(|| Node::new(node.at.clone(), Yaml::Null)),
            eventually,
            never,
            credit: None,
            hint,
            visibility,
            details,
            at: node.at.clone(),
        })
    }

    /// The one key that names the kind. A key that is none of the common ones may be a mistyped kind, a mistyped common key,
    /// or a second kind.
    fn kind(&self, node: &Node, d: &mut Decoder<'_>) -> Kind {
        let others: Vec<_> = node.entries().iter().filter(|(key, _, _)| !CHECK_KEYS.contains(&key.as_str())).collect();
        let (known, unknown): (Vec<_>, Vec<_>) = others.into_iter().partition(|(key, _, _)| self.is_kind(key));
        if let Some(((first, _, params), rest)) = known.split_first() {
            for (key, at, _) in rest {
                let problem = Problem::new(at, format!("a check has one kind: `{first}` or `{key}`"));
                d.problem(problem.hint("make two checks of it"));
            }
            let keys = known.iter().map(|(key, _, _)| key.clone()).collect();
            return Kind { found: Some((first.clone(), params.clone())), keys };
        }
        let free: Vec<&str> = CHECK_KEYS.iter().copied().filter(|name| !d.has(name)).collect();
        let mistyped = unknown.iter().find(|(key, _, value)| {
            let map = matches!(value.value, Yaml::Map(_) | Yaml::Null);
            let near_kind = nearest::nearest(key, self.kinds.iter().copied()).is_some();
            near_kind || (map && nearest::nearest(key, free.iter().copied()).is_none())
        });
        match mistyped {
            Some((key, at, _)) => {
                let hint = nearest::hint(key, self.kinds.iter().copied());
                d.problem(Problem::new(at, format!("unknown kind `{key}`")).hint(hint));
                Kind { found: None, keys: vec![key.clone()] }
            }
            None => {
                let problem = Problem::new(&node.at, "this check has no kind: it looks at nothing");
                d.problem(problem.hint(nearest::list(self.kinds.iter().copied())));
                Kind { found: None, keys: Vec::new() }
            }
        }
    }

    fn is_kind(&self, key: &str) -> bool {
        self.kinds.contains(&key)
    }
}

struct Kind {
    found: Option<(String, Node)>,
    /// Keys that were dealt with here.
    keys: Vec<String>,
}

/// The id of a check and its place, whatever else is wrong with it.
fn id_of(node: &Node) -> Option<(String, Place)> {
    let id = node.get("id")?;
    Some((id.text()?.to_owned(), id.at.clone()))
}

/// Notes an id that another has, and remembers one that none has; `what` they are.
pub(super) fn only_one(node: &Node, what: &str, seen: &mut Vec<(String, u32)>, d: &mut Decoder<'_>) {
    let Some((id, at)) = id_of(node) else { return };
    match seen.iter().find(|(other, _)| *other == id) {
        Some((_, line)) => {
            let problem = Problem::new(&at, format!("two {what} have the id `{id}`"));
            d.problem(problem.hint(format!("the other is at line {line}")));
        }
        None => seen.push((id, at.line)),
    }
}

pub(super) fn audience(d: &mut Decoder<'_>, key: &'static str) -> Option<Visibility> {
    let word = d.word(key, &Visibility::ALL.map(Visibility::name))?;
    Visibility::ALL.into_iter().find(|v| v.name() == word)
}

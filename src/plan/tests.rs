//! Scenarios and submissions resolved against each other, with kinds of the tests' own.

use std::path::Path;

use async_trait::async_trait;

use super::*;
use crate::expect::{FactSpec, Unit};
use crate::probe::{Attempt, Observation, ProbeError};
use crate::scenario::{From, read_text};
use crate::stack::Stack;

/// A kind of this test's own: it looks at nothing.
struct Door;

#[async_trait]
impl Probe for Door {
    async fn observe(&self, _: &Arc<Stack>, _: Attempt) -> Result<Observation, ProbeError> {
        Ok(Observation::default())
    }
}

static DOOR: ProbeKind = ProbeKind {
    name: "door",
    summary: "",
    facts: &[FactSpec { name: "open", unit: Unit::Bool, summary: "" }],
    example: "",
    schema: || serde_json::json!({"properties": {"role": {}, "port": {}, "from": {}, "url": {}}}),
    decode: |d| {
        let role = d.role("role")?;
        let (port, from) = (d.port("port"), d.from("from"));
        d.text("url");
        assert!(!role.is_empty() && port != Some(0) && from != From::Inside(String::new()));
        Some(Box::new(Door))
    },
};

static KINDS: &[&ProbeKind] = &[&DOOR];

fn scenario(checks: &str) -> String {
    format!("imparcial: 1\nname: x\ntitle: x\npoints: 0\nroles: {{app: {{}}, db: {{}}}}\nchecks:\n{checks}")
}

fn resolved(text: &str, options: Options) -> Result<Plan, Vec<String>> {
    let read = read_text(text, Path::new("s.yaml"), &names(KINDS));
    let show = |p: Problem| {
        let hint = p.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("{}:{} {}{hint}", p.at.line, p.at.column, p.message)
    };
    resolve(read, Submission::default(), options, KINDS).map_err(|problems| problems.into_iter().map(show).collect())
}

fn problems(checks: &str) -> Vec<String> {
    match resolved(&scenario(checks), Options::default()) {
        Ok(_) => Vec::new(),
        Err(problems) => problems,
    }
}

fn check(id: &str, rest: &str) -> String {
    format!("- {{id: {id}, points: 0, door: {{role: app}}, expect: {{open: true}}{rest}}}\n")
}

fn ids(plan: &Plan) -> Vec<&str> {
    plan.checks.iter().map(|check| check.spec.id.as_str()).collect()
}

#[test]
fn a_good_scenario_gives_a_plan() {
    let text = scenario(&(check("a", "") + &check("b", ", needs: [a]")));
    let plan = resolved(&text, Options::default()).ok().unwrap();
    assert_eq!(ids(&plan), ["a", "b"]);
    assert_eq!((plan.checks[0].kind.name, plan.checks[0].expect.len()), ("door", 1));
    assert_eq!((plan.needs(1), plan.explained_by(1)), (vec![0], vec![]));
}

#[test]
fn order_puts_causes_first_and_otherwise_keeps_the_file_s() {
    let checks = check("a", ", needs: [d]")
        + &check("b", "")
        + &check("c", ", explained_by: [e]")
        + &check("d", "")
        + &check("e", ", needs: [b]");
    let plan = resolved(&scenario(&checks), Options::default()).ok().unwrap();
    let order: Vec<&str> = plan.order().into_iter().map(|i| plan.checks[i].spec.id.as_str()).collect();
    assert_eq!(order, ["b", "d", "a", "e", "c"]);
}

#[test]
fn parameters_roles_and_facts_are_checked_together() {
    let checks = "\
- {id: a, points: 0, door: {rol: app, port: 99999, form: lab}, expect: {opn: true}}
- {id: b, points: 0, door: {role: ap, from: {inside: web}}, expect: {open: 1}}
- {id: c, points: 0, door: {role: app, url: 'http://{dbb.names}/{x}'}}
";
    assert_eq!(
        problems(checks),
        [
            "7:29 unknown key `rol` (did you mean `role`?)",
            "7:52 unknown key `form` (did you mean `from`?)",
            "7:73 `door` gives no fact `opn` (did you mean `open`?)",
            "8:35 the scenario has no role `ap` (did you mean `app`?)",
            "8:54 the scenario has no role `web` (one of `app`, `db`)",
            "8:76 `open` is `true` or `false`, not the number 1",
            "9:3 this check expects nothing, so it would always pass (facts of `door`: `open`)",
            "9:45 the scenario has no role `dbb` (did you mean `db`?)",
        ]
    );
}

#[test]
fn unknown_links_name_the_nearest() {
    let checks = check("app-runs", "")
        + &check("page", ", needs: [app_run], explained_by: [page, nobody, app-runs]")
        + &check("x", ", needs: [page], explained_by: [page]");
    assert_eq!(
        problems(&checks),
        [
            "8:74 `needs` names an unknown check: `app_run` (did you mean `app-runs`?)",
            "8:99 `page` cannot stand in its own `explained_by`",
            "8:105 `explained_by` names an unknown check: `nobody` (it must be the `id` of another check of this scenario)",
            "9:93 `page` stands in `needs` and in `explained_by` (`needs` is enough: without it the check does not run)",
        ]
    );
}

#[test]
fn a_cycle_over_both_kinds_of_link_is_printed() {
    let checks = check("free", "")
        + &check("a", ", needs: [free, b]")
        + &check("b", ", explained_by: [c]")
        + &check("c", ", needs: [a]");
    assert_eq!(
        problems(&checks),
        ["8:77 `needs` and `explained_by` go round in a circle: a → b → c → a (remove one of these links)"]
    );
}

#[test]
fn a_check_that_is_wrong_otherwise_can_still_be_needed() {
    let checks =
        format!("- {{id: a, points: 0, dor: {{role: app}}, expect: {{open: true}}}}\n{}", check("b", ", needs: [a]"));
    assert_eq!(problems(&checks), ["7:22 unknown kind `dor` (did you mean `door`?)"]);
}

#[test]
fn patience_caps_and_only_keeps_what_it_hangs_on() {
    let checks = check("a", ", eventually: {within: 60s}")
        + &check("b", ", explained_by: [a]")
        + &check("c", ", needs: [b]")
        + &check("d", "");
    let options = Options { patience: Some(Duration::from_secs(12)), only: vec!["c".to_owned()], ..Options::default() };
    let plan = resolved(&scenario(&checks), options).ok().unwrap();
    assert_eq!(ids(&plan), ["a", "b", "c"]);
    assert!(plan.checks.iter().all(|check| check.spec.eventually.within == Duration::from_secs(12)));
    assert_eq!(plan.order(), [0, 1, 2]);
}

#[test]
fn what_the_command_line_names_must_be_there() {
    let options = Options {
        roles: vec![("ap".to_owned(), "web".to_owned())],
        only: vec!["aa".to_owned(), "a".to_owned()],
        ..Options::default()
    };
    let found = resolved(&scenario(&(check("a", "") + &check("ab", ""))), options).err().unwrap();
    assert_eq!(
        found,
        [
            "0:0 --role ap=web: there is no role `ap` (did you mean `app`?)",
            "0:0 --only aa: the scenario has no check `aa` (did you mean `ab`?)",
        ]
    );
}

#[test]
fn a_mistake_inside_an_anchor_is_reported_once() {
    let checks = "\
- {id: a, points: 0, door: {role: app}, expect: &e {opn: true}}
- {id: b, points: 0, door: {role: app}, expect: *e}
";
    assert_eq!(problems(checks), ["7:53 `door` gives no fact `opn` (did you mean `open`?)"]);
}

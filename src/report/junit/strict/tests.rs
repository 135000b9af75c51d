//! The strict flavour against the rules of the two schemas, written down anew from them.

use super::super::parsed::{Element, parse};
use super::*;
use crate::grade::grade;
use crate::record::{Audience, Verdict, fixture, shown_to};

/// What a schema says of one element.
struct Rule {
    name: &'static str,
    required: &'static [&'static str],
    optional: &'static [&'static str],
    /// Children in their order, each with how many there may be.
    children: &'static [(&'static str, usize)],
    ordered: bool,
    text: bool,
}

const ANY: usize = usize::MAX;

const fn leaf(name: &'static str, required: &'static [&'static str], optional: &'static [&'static str]) -> Rule {
    Rule { name, required, optional, children: &[], ordered: true, text: true }
}

/// `surefire-test-report.xsd`.
const SUREFIRE: &[Rule] = &[
    Rule {
        name: "testsuite",
        required: &["name", "tests", "errors", "skipped", "failures"],
        optional: &["time", "group"],
        children: &[("properties", ANY), ("testcase", ANY)],
        ordered: true,
        text: false,
    },
    Rule {
        name: "testcase",
        required: &["name", "time"],
        optional: &["classname", "group"],
        children: &[
            ("failure", ANY),
            ("rerunFailure", ANY),
            ("flakyFailure", ANY),
            ("skipped", 1),
            ("error", 1),
            ("rerunError", ANY),
            ("flakyError", ANY),
            ("system-out", 1),
            ("system-err", 1),
        ],
        ordered: true,
        text: false,
    },
    leaf("failure", &["type"], &["message"]),
    leaf("error", &["type"], &["message"]),
    leaf("skipped", &[], &["message"]),
    leaf("system-out", &[], &[]),
    leaf("system-err", &[], &[]),
];

/// Jenkins' `junit-10.xsd`.
const JENKINS: &[Rule] = &[
    Rule {
        name: "testsuite",
        required: &["name", "tests", "failures", "errors"],
        optional: &["group", "time", "skipped", "timestamp", "hostname", "id", "package", "file", "log", "url"],
        children: &[
            ("testsuite", ANY),
            ("properties", ANY),
            ("testcase", ANY),
            ("system-out", ANY),
            ("system-err", ANY),
        ],
        ordered: false,
        text: false,
    },
    Rule {
        name: "testcase",
        required: &["name"],
        optional: &["time", "classname", "group"],
        children: &[("skipped", ANY), ("error", ANY), ("failure", ANY), ("system-out", ANY), ("system-err", ANY)],
        ordered: false,
        text: false,
    },
    leaf("failure", &[], &["type", "message"]),
    leaf("error", &[], &["type", "message"]),
    leaf("skipped", &[], &["type", "message"]),
    leaf("system-out", &[], &[]),
    leaf("system-err", &[], &[]),
];

/// Both have one pattern for times: digits, at most three behind the point.
fn is_time(text: &str) -> bool {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    whole.bytes().chain(rest.bytes()).all(|b| b.is_ascii_digit()) && rest.len() <= 3
}

/// The first thing that a schema has against an element.
fn validate(element: &Element, schema: &[Rule]) -> Result<(), String> {
    let name = element.name.as_str();
    let rule = schema.iter().find(|rule| rule.name == name).ok_or(format!("no element `{name}`"))?;
    if let Some(missing) = rule.required.iter().find(|a| !element.attributes.contains_key(**a)) {
        return Err(format!("`{name}` has no `{missing}`"));
    }
    for (attribute, value) in &element.attributes {
        if !rule.required.iter().chain(rule.optional).any(|a| a == attribute) {
            return Err(format!("`{name}` may not have `{attribute}`"));
        }
        if attribute == "time" && !is_time(value) {
            return Err(format!("`{value}` is no time"));
        }
    }
    if !rule.text && !element.text.trim().is_empty() {
        return Err(format!("text in `{name}`: {}", element.text));
    }
    let mut last = 0;
    for child in &element.children {
        let place = rule.children.iter().position(|(name, _)| *name == child.name);
        let place = place.ok_or(format!("`{}` in `{name}`", child.name))?;
        let count = element.children.iter().filter(|c| c.name == child.name).count();
        if (rule.ordered && place < last) || count > rule.children[place].1 {
            return Err(format!("`{}` in `{name}` out of its order, or too often", child.name));
        }
        last = place;
        validate(child, schema)?;
    }
    Ok(())
}

fn xml(record: &RunRecord, lang: Lang) -> String {
    String::from_utf8(render(record, &grade(record), lang).expect("rendered")).expect("UTF-8")
}

#[test]
fn both_schemas_accept_every_record() {
    let mixed = fixture::typical();
    let records = [
        fixture::passed(&mixed),
        mixed,
        fixture::hostile(),
        fixture::judged(),
        fixture::drilled(),
        fixture::empty(),
        fixture::with_secrets(),
        shown_to(&fixture::with_secrets(), Audience::Student),
    ];
    for (n, record) in records.iter().enumerate() {
        for lang in [Lang::En, Lang::Es] {
            let root = parse(&xml(record, lang));
            assert_eq!(root.name, "testsuite");
            for (schema, name) in [(SUREFIRE, "Surefire"), (JENKINS, "Jenkins")] {
                assert_eq!(validate(&root, schema), Ok(()), "record {n}, {name}");
            }
            let counted = |name: &str| root.children.iter().filter(|c| c.child(name).is_some()).count().to_string();
            assert_eq!(root.get("tests"), root.children.len().to_string());
            assert_eq!(root.get("failures"), counted("failure"));
            assert_eq!(root.get("errors"), counted("error"));
            assert_eq!(root.get("skipped"), counted("skipped"));
        }
    }
}

#[test]
fn the_rules_refuse_what_the_schemas_refuse() {
    let full = (super::super::FORMAT.render)(&fixture::typical(), &grade(&fixture::typical()), Lang::En).unwrap();
    let root = parse(&String::from_utf8(full).unwrap());
    assert_eq!(validate(&root, SUREFIRE), Err("no element `testsuites`".to_owned()));
    assert!(validate(&root.children[0], SUREFIRE).unwrap_err().contains("may not have"));
    let case = root.children[0].all("testcase").next().unwrap();
    assert!(validate(case, JENKINS).unwrap_err().contains("may not have `file`"));
    let wrong = |xml: &str, schema| validate(&parse(xml), schema).unwrap_err();
    assert!(wrong("<testcase name='a'/>", SUREFIRE).contains("no `time`"));
    assert!(wrong("<testcase name='a' time='1.2345'/>", JENKINS).contains("no time"));
    let late = "<testcase name='a' time='1'><system-out/><failure type='x'/></testcase>";
    assert!(wrong(late, SUREFIRE).contains("order"));
    assert_eq!(validate(&parse(late), JENKINS), Ok(()), "Jenkins knows no order");
    assert!(wrong("<testcase name='a' time='1'><properties/></testcase>", JENKINS).contains("`properties`"));
    assert!(wrong("<skipped type='needs'/>", SUREFIRE).contains("may not have `type`"));
}

#[test]
fn it_says_what_the_other_flavour_says() {
    let record = fixture::typical();
    let root = parse(&xml(&record, Lang::En));
    for (check, case) in record.checks.iter().zip(&root.children) {
        let said = ["failure", "error", "skipped"].into_iter().find(|name| case.child(name).is_some());
        let wanted = match check.verdict {
            _ if check.is_observation() && check.verdict != Verdict::Skip => None,
            Verdict::Pass => None,
            Verdict::Fail => Some("failure"),
            Verdict::Error => Some("error"),
            Verdict::Skip => Some("skipped"),
        };
        assert_eq!((case.get("name"), said), (check.id.as_str(), wanted));
    }
    let init = &root.children[2];
    assert!(init.child("failure").unwrap().text.contains("observed: favorite_colors"));
    assert!(init.child("system-out").unwrap().text.starts_with("[[ATTACHMENT|reports/"));
}

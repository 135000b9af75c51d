//! What getters read, and what they say of what they cannot.

use super::*;
use crate::scenario::tree;

fn decode<T>(text: &str, decode: impl FnOnce(&mut Decoder<'_>) -> T) -> (T, Vec<String>) {
    let node = tree::read(text, "s.yaml").unwrap();
    let mut problems = Vec::new();
    let mut decoder = Decoder::new(&node, &mut problems);
    let out = decode(&mut decoder);
    decoder.finish();
    let show = |p: Problem| {
        let hint = p.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("{}:{} {}{hint}", p.at.line, p.at.column, p.message)
    };
    (out, problems.into_iter().map(show).collect())
}

#[test]
fn good_values_are_read() {
    let text = "t: no\nn: 3\nb: true\nm: 20m\nd: 250ms\nl: [a, b]\none: x\nh: {X-A: 1}\nf: {inside: app}\ng: {node: first}\np: 5000\n";
    let ((), problems) = decode(text, |d| {
        assert_eq!(d.text("t").as_deref(), Some("no"));
        assert_eq!(d.int("n"), Some(3));
        assert!(d.bool_or("b", false));
        assert_eq!(d.bytes("m"), Some(20 << 20));
        assert_eq!(d.duration("d"), Some(Duration::from_millis(250)));
        assert_eq!(d.text_list("l"), ["a", "b"]);
        assert_eq!(d.text_list("one"), ["x"]);
        assert_eq!(d.text_map("h"), [("X-A".to_owned(), "1".to_owned())]);
        assert_eq!(d.from("f"), From::Inside("app".to_owned()));
        assert_eq!(d.from("g"), From::Node("first".to_owned()));
        assert_eq!(d.from("absent"), From::Lab);
        assert_eq!(d.port("p"), Some(5000));
        assert_eq!(d.text_or("absent", "x"), "x");
    });
    assert_eq!(problems, [""; 0]);
}

#[test]
fn every_problem_is_collected_with_its_place() {
    let text = "n: x\nb: yes\nd: 10\nm: 20q\nl: [a, {b: c}]\np: 70000\nfrom: labb\nw: 1\n";
    let ((), problems) = decode(text, |d| {
        d.int("n");
        d.bool("b");
        d.duration("d");
        d.bytes("m");
        assert_eq!(d.text_list("l"), ["a"]);
        d.port("p");
        d.from("from");
        d.required_text("with");
    });
    assert_eq!(
        problems,
        [
            "1:4 `n` must be a whole number, not the text \"x\"",
            "2:4 `b` must be `true` or `false`, not the text \"yes\"",
            "3:4 `d` must be a duration, not the number 10 (a duration needs its unit: `10s` or `10ms`)",
            "4:4 `m` must be a size such as `20m` or `256MiB`, not the text \"20q\"",
            "5:8 `l` must be a text or a list of texts, not a map",
            "6:4 `p` must be a port (1 to 65535), not the number 70000",
            "7:7 unknown value `labb` for `from` (did you mean `lab`?)",
            "8:1 unknown key `w` (what else can stand here: `with`)",
            "1:1 `with` is missing",
        ]
    );
}

#[test]
fn a_mistyped_key_names_the_nearest() {
    let ((), problems) = decode("rol: app\n", |d| {
        d.role("role");
    });
    assert_eq!(problems, ["1:1 unknown key `rol` (did you mean `role`?)"]);
}

#[test]
fn one_stands_in_one_place() {
    let from = |text: &str| decode(text, |d| d.from("from"));
    assert_eq!(
        from("from: {node: first, inside: app}\n").1,
        ["1:14 `node` and `inside` are two places to stand (keep one)"]
    );
    assert_eq!(
        from("from: {nod: master}\n").1,
        ["1:8 unknown key `nod` (did you mean `node`?)", "1:7 `inside` is missing"]
    );
}

#[test]
fn roles_are_given_back_with_their_places() {
    let node = tree::read("role: [app, db]\nfrom: {inside: web}\nwrite: {role: store}\n", "s.yaml").unwrap();
    let mut problems = Vec::new();
    let mut d = Decoder::new(&node, &mut problems);
    assert_eq!(d.roles("role"), ["app", "db"]);
    d.from("from");
    d.map("write", |inner| inner.role("role"));
    let named: Vec<_> = d.finish().into_iter().map(|(name, at)| (name, at.line, at.column)).collect();
    let want = [("app", 1, 8), ("db", 1, 13), ("web", 2, 16), ("store", 3, 15)];
    assert_eq!(named, want.map(|(name, line, column)| (name.to_owned(), line, column)));
    assert_eq!(problems, []);
}

#[test]
fn nothing_is_an_empty_map_and_a_list_is_a_problem() {
    assert_eq!(decode("", |d| d.text("x")).1, [""; 0]);
    assert_eq!(decode("[a]", |d| d.text("x")).1, ["1:1 expected a map, found a list"]);
    let (out, problems) = decode("role: []\n", |d| d.roles("role"));
    assert_eq!((out.len(), problems), (0, vec!["1:7 `role` names no role".to_owned()]));
}

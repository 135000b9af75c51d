//! YAML as compose files have it.

use super::*;

fn json(text: &str) -> Value {
    read(text).expect("is YAML").root.to_json()
}

#[test]
fn scalars_are_typed_as_yaml_1_1_has_them() {
    let seen =
        json("a: 0755\nb: yes\nc: 'no'\nd: 1.50\ne: 22:22\nf:\ng: 1_000\nh: 3e2\ni: 10.0.0.1\nj: -3\nk: off\nl: ~\n");
    let want = serde_json::json!({"a": 493, "b": true, "c": "no", "d": 1.5, "e": "22:22", "f": null, "g": 1000,
        "h": "3e2", "i": "10.0.0.1", "j": -3, "k": false, "l": null});
    assert_eq!(seen, want);
}

#[test]
fn anchors_and_merges() {
    let seen = json("x: &x {a: 1, b: 2}\ny: &y {b: 3, c: 4}\nz:\n  <<: [*x, *y]\n  a: 9\nw: *x\n");
    assert_eq!(seen["z"], serde_json::json!({"a": 9, "b": 2, "c": 4}));
    assert_eq!(seen["w"], serde_json::json!({"a": 1, "b": 2}));
}

#[test]
fn the_last_of_duplicate_keys_wins_and_is_told() {
    let tree = read("a: 1\nb: 2\na: 3\n").expect("is YAML");
    assert_eq!(tree.root.to_json(), serde_json::json!({"a": 3, "b": 2}));
    assert_eq!(tree.duplicates, [("a".to_owned(), Mark { line: 3, column: 1 })]);
}

#[test]
fn places_count_from_one() {
    let tree = read("a:\n  - x\n  - {k: v}\n").expect("is YAML");
    let list = tree.root.get("a").expect("a");
    assert_eq!(list.items()[0].at, Mark { line: 2, column: 5 });
    assert_eq!(list.items()[1].get("k").expect("k").at, Mark { line: 3, column: 9 });
}

#[test]
fn errors_have_places_and_nothing_panics() {
    for text in [
        "a: b: c\n",
        "a: [1, 2\n",
        "<<<<<<< HEAD\na: 1\n=======\nb: 2\n",
        "a: *nobody\n",
        "- - -\n  a\n b: c",
        "a: &a [*a]\n",
    ] {
        let e = read(text).expect_err(text);
        assert!(e.at.line >= 1 && e.at.column >= 1 && !e.message.is_empty(), "{text}: {e:?}");
    }
    assert!(read("a: 1\n---\nb: 2\n").is_err());
    assert!(read("").expect("nothing is YAML").root.is_null());
    assert!(read(&"[".repeat(5000)).is_err());
    assert!(read(&"- ".repeat(5000)).is_err());
}

#[test]
fn an_alias_bomb_is_refused_quickly() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..10 {
        let all = vec![format!("*a{}", i - 1); 10].join(", ");
        text.push_str(&format!("a{i}: &a{i} [{all}]\n"));
    }
    assert!(read(&text).expect_err("a bomb").message.contains("too many"));
}

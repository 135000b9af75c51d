//! Where boxes are asked for, what comes of the answers, and what is said of that.

use super::*;

fn def(boxed: &str) -> MachineDef {
    MachineDef { name: "m".into(), boxed: Some(boxed.into()), autostart: true, ..MachineDef::default() }
}

fn with_url(boxed: &str, url: &str) -> MachineDef {
    MachineDef { box_url: true, box_urls: vec![url.into()], ..def(boxed) }
}

fn address(def: &MachineDef) -> Option<String> {
    Wanted::of(def).and_then(|wanted| wanted.address("https://boxes.example/api/"))
}

#[test]
fn a_box_is_asked_for_where_vagrant_would_ask() {
    assert_eq!(address(&def("centos/7")).as_deref(), Some("https://boxes.example/api/centos/7"));
    assert_eq!(address(&with_url("mine", "http://x.example/mine.json")).as_deref(), Some("http://x.example/mine.json"));
    assert_eq!(address(&def("https://x.example/CentOS-7.box")).as_deref(), Some("https://x.example/CentOS-7.box"));
    assert_eq!(address(&def("centos7")), None, "a name alone is of no catalogue");
    assert_eq!(address(&with_url("centos/7", "./centos.box")), None, "its own file counts, not the name");
    for nobody in ["mi caja de siempre", "mybox", "gusztavvargadr/windows-10"] {
        assert!(Wanted::of(&def(nobody)).is_none(), "{nobody}");
    }
}

#[test]
fn a_machine_without_its_box_is_the_submissions_doing_only_where_nobody_knows_the_name() {
    let reason = |no: &Missing, boxed: &str, old| no.left_out(&def(boxed), old).reason;
    assert_eq!(reason(&Missing::Unknown, "somebody/something", Some(false)), None);
    assert_eq!(reason(&Missing::Unknown, "somebody/something", None), Some(Reason::Age), "nobody knows");
    assert_eq!(reason(&Missing::Unknown, "somebody/something", Some(true)), Some(Reason::Age));
    assert_eq!(
        reason(&Missing::Unknown, "centos/77", Some(false)),
        Some(Reason::NotHere),
        "there was one, or may have been"
    );
    assert_eq!(reason(&Missing::Silent("x".into()), "somebody/something", None), Some(Reason::Host));
    assert_eq!(reason(&Missing::NotFetched("x".into()), "centos/7", None), Some(Reason::Host));
    for no in [Missing::NoVersion("9".into()), Missing::OtherProviders(Vec::new()), Missing::NoAddress] {
        assert_eq!(reason(&no, "somebody/something", None), Some(Reason::NotHere), "{no:?}");
    }
    let text = Missing::OtherProviders(vec!["virtualbox".into()]).left_out(&def("centos/7"), None).text;
    assert!(text.en.ends_with("does not have it for libvirt (centos/7; virtualbox)"), "{}", text.en);
}

#[test]
fn stand_ins_are_told_once_for_each_reason() {
    let away = || Err(Missing::Silent("curl: (6) Could not resolve host: vagrantcloud.com".into()));
    let decided = Decided(vec![
        (Wanted::of(&def("centos/7")).unwrap(), away()),
        (Wanted::of(&def("ubuntu/focal64")).unwrap(), away()),
        (Wanted::of(&def("centos7")).unwrap(), Err(Missing::NoAddress)),
    ]);
    let mut log = Log::new(std::sync::Arc::new(|_| {}));
    decided.tell(&mut log);
    let said: Vec<String> = log.end().notices.into_iter().map(|notice| notice.text.en).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    let first = "the box catalogue does not answer: stand-ins (centos/7, ubuntu/focal64; curl: (6) Could not resolve host: vagrantcloud.com)";
    assert_eq!(said[0], first);
    assert!(decided.is_for_lack_of_an_answer() && decided.of(&def("centos/7")).is_some_and(Result::is_err));
}

#[test]
fn what_is_shown_of_an_address_has_no_secret() {
    assert_eq!(shown("https://me:word@x.example/a.box?token=1"), "https://x.example/a.box");
}

#[test]
fn the_words_of_a_failed_fetch_are_its_last() {
    assert_eq!(
        last("An error occurred\n\nThe requested URL returned error: 404\n", "x"),
        "An error occurred The requested URL returned error: 404"
    );
    assert_eq!(last(" \n", "Box: no\n"), "Box: no");
}

//! What hostile output becomes.

use proptest::prelude::*;

use super::*;

#[test]
fn controls_are_shown_and_line_ends_are_one_kind() {
    assert_eq!(text("a\0b\u{8}c\u{7f}"), "a␀b␈c␡");
    assert_eq!(text("one\r\ntwo\rthree\tx"), "one\ntwo\nthree\tx");
    assert_eq!(text("\u{ffff}\u{85}"), "⟨U+FFFF⟩⟨U+0085⟩");
}

#[test]
fn bidirectional_controls_are_shown_and_rtl_text_is_kept() {
    assert_eq!(text("x\u{202e}cod.exe"), "x⟨U+202E⟩cod.exe");
    assert_eq!(text("שלום 👩‍💻 مرحبا"), "שלום 👩‍💻 مرحبا");
}

#[test]
fn commands_of_ci_systems_are_inert() {
    assert_eq!(text("::error::x"), ": :error::x");
    assert_eq!(text("a\n  ::add-mask::b"), "a\n  : :add-mask::b");
    assert_eq!(text("see ##[error]x ##vso[task] ##TeamCity[y"), "see # #[error]x # #vso[task] # #TeamCity[y");
    assert_eq!(text("std::process::exit"), "std::process::exit");
    assert_eq!(text("## heading"), "## heading");
}

#[test]
fn attachment_tags_are_inert_also_when_hidden_by_controls() {
    assert_eq!(text("[[ATTACHMENT|/etc/passwd]]"), "[ [ATTACHMENT|/etc/passwd]]");
    assert_eq!(text("[\u{1b}[0m[attachment|x]]"), "[ [attachment|x]]");
    assert_eq!(text("[[PROPERTY|a=b]]"), "[ [PROPERTY|a=b]]");
    assert_eq!(text("[[1, 2], [3]] [[a]]"), "[[1, 2], [3]] [[a]]");
    assert_eq!(text("[[[ATTACHMENT|x]]"), "[[ [ATTACHMENT|x]]");
}

#[test]
fn a_line_is_one_line_and_short() {
    assert_eq!(line("  a\n b\t c ", 80), "a b c");
    assert_eq!(line("héllo wörld", 8), "héllo w…");
    assert_eq!(line("x [[\nATTACHMENT|y]]", 80), "x [ [ ATTACHMENT|y]]", "joined lines are looked at again");
}

#[test]
fn a_cap_keeps_beginning_and_end() {
    let long: String = (0..1000).map(|n| format!("line {n}\n")).collect();
    let cut = cap(&long, 200);
    assert!(cut.starts_with("line 0\n"), "{cut}");
    assert!(cut.ends_with("line 999\n"), "{cut}");
    assert!(cut.contains("bytes left out"), "{cut}");
    assert!(cut.len() < 300, "{}", cut.len());
    assert_eq!(cap("short", 200), "short");
}

#[test]
fn a_cap_does_not_cut_a_character() {
    let long = "ñ".repeat(501);
    for limit in 20..60 {
        let cut = cap(&long, limit);
        assert!(!cut.contains('\u{fffd}'), "{limit}: {cut}");
    }
}

#[test]
fn evidence_is_bounded_however_hostile() {
    let zeros = vec![0; 4 * EVIDENCE_LIMIT];
    assert!(evidence(&zeros, EVIDENCE_LIMIT).len() < 2 * EVIDENCE_LIMIT);
    assert_eq!(evidence(b"\x1b[31m::error::x\xff\n", 1000), "::error::x\u{fffd}\n");
}

#[test]
fn file_names_are_safe() {
    assert_eq!(file_name("page/body.html"), "page_body.html");
    assert_eq!(file_name("../../etc/passwd"), "_._etc_passwd");
    assert_eq!(file_name(".."), "unnamed");
    assert_eq!(file_name(""), "unnamed");
    assert_eq!(file_name("--help"), "help");
    assert_eq!(file_name("a\0ñ\n"), "a_ _".replace(' ', "_"));
    assert_eq!(file_name(&("x".repeat(300) + ".log")).len(), 100);
    assert!(file_name(&("x".repeat(300) + ".log")).ends_with("x.log"));
}

#[test]
fn cdata_is_joined_again_by_a_reader() {
    assert_eq!(cdata("a]]>b"), "a]]]]><![CDATA[>b");
}

#[test]
fn json_in_a_log_is_no_command() {
    let raw = "##[error]x ###vso[y] [[ATTACHMENT|/etc/passwd]] [[1, 2]]";
    let document = json(&serde_json::to_string(&serde_json::json!([[raw], [[1]]])).unwrap());
    assert!(!document.contains("##") && !document.contains("[[ATT"), "{document}");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&document).unwrap(), serde_json::json!([[raw], [[1]]]));
}

proptest! {
    /// Escaping changes how a document looks, not what it says.
    #[test]
    fn json_says_the_same_and_moves_no_cursor(raw in any::<String>()) {
        let document = json(&serde_json::to_string(&raw).unwrap());
        prop_assert!(!document.chars().any(|c| c.is_control() || named(c)), "{document:?}");
        prop_assert_eq!(serde_json::from_str::<String>(&document).unwrap(), raw);
    }

    /// Whatever is printed: nothing that XML forbids, nothing that moves a cursor, and cleaning twice changes nothing.
    #[test]
    fn cleaned_text_is_clean(raw in any::<String>()) {
        let clean = text(&raw);
        let legal = |c: char| matches!(c, '\n' | '\t' | '\u{20}'..='\u{7e}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
        prop_assert!(clean.chars().all(legal), "{clean:?}");
        prop_assert_eq!(text(&clean), clean);
    }

    #[test]
    fn file_names_hold_no_path(raw in any::<String>()) {
        let name = file_name(&raw);
        prop_assert!(!name.is_empty() && name.len() <= 100 && !name.contains('/') && !name.contains("..") && !name.starts_with('.'));
    }
}

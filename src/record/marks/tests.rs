//! Tables as spreadsheets write them, and every mistake in one with its line.

use super::*;
use crate::record::fixture;

fn criteria() -> Vec<ManualRecord> {
    fixture::manual()
}

fn marks(text: &str) -> Marks {
    read(text.as_bytes(), &criteria(), "team-07").unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

/// By criterion: level, points, comment.
fn given(marks: &Marks) -> Vec<(&str, &str, u64, &str)> {
    marks.given.iter().map(|(id, m)| (id.as_str(), m.level.as_str(), m.points, m.comment.as_str())).collect()
}

fn wrong(text: &str) -> Vec<String> {
    let mistakes = read(text.as_bytes(), &criteria(), "team-07").expect_err(text);
    assert!(mistakes.iter().all(|m| m.text.en != m.text.es && !m.text.es.is_empty()), "{mistakes:?}");
    mistakes.iter().map(|mistake| mistake.show("marks.csv", Lang::En)).collect()
}

const PLAIN: &str = "\
submission,criterion,level,comment
team-07,readme,partial,\"No names, and \"\"odd\"\" wording\"
team-08,readme,nonsense,of somebody else
team-07,problems,missing,
";

#[test]
fn a_class_s_table_gives_each_its_own() {
    let marks = marks(PLAIN);
    let wanted = [("readme", "partial", 5_000, "No names, and \"odd\" wording"), ("problems", "missing", 0, "")];
    assert_eq!(given(&marks), wanted);
    assert_eq!(marks.notice("team-07"), None);
    let mut criteria = criteria();
    marks.apply(&mut criteria);
    let points: Vec<_> = criteria.iter().map(|c| c.mark.as_ref().map(|m| m.points)).collect();
    assert_eq!(points, [Some(5_000), None, Some(0)]);
}

#[test]
fn as_spreadsheets_write_it() {
    let want = marks(PLAIN);
    let semicolons = "\u{feff}Entrega ; CRITERIO;nivel;Comentario;nota\r\nteam-07;readme; Parcial ;\"No names, and \"\"odd\"\" wording\";x\r\nteam-07;problems;missing;;\r\n;;;;\r\n";
    assert_eq!(marks(semicolons), want);
    let tabs = "level\tcriterion\tcomment\tsubmission\npartial\treadme\t\"No names, and \"\"odd\"\" wording\"\tteam-07\nMISSING\tproblems\t\tteam-07";
    assert_eq!(marks(tabs), want);
    assert_eq!(marks(&format!("sep=;\r\n{semicolons}").replace('\u{feff}', "")), want);
    let utf16: Vec<u8> = std::iter::once(0xfeff).chain(PLAIN.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    assert_eq!(read(&utf16, &criteria(), "team-07").unwrap(), want);

    let accents = "entrega;criterio;nivel;comentario\nteam-07;readme;complete;Muy bien: año, señal";
    let (windows, _, lost) = encoding_rs::WINDOWS_1252.encode(accents);
    assert!(!lost && std::str::from_utf8(&windows).is_err());
    assert_eq!(read(&windows, &criteria(), "team-07").unwrap(), marks(accents));
}

#[test]
fn a_comment_of_several_lines_moves_no_line_number() {
    let text = "submission,criterion,level,comment\nteam-07,readme,complete,\"one\ntwo\"\nteam-07,redame,complete,\n";
    assert_eq!(wrong(text), ["marks.csv:4: the scenario has no criterion `redame`: did you mean `readme`?"]);
}

#[test]
fn rows_that_are_still_to_be_filled_in_are_pending() {
    let text = "submission,criterion,level\nteam-07,readme,\nteam-07,problems,complete\nteam-07,wording\n";
    assert_eq!(given(&marks(text)), [("problems", "complete", 10_000, "")]);
}

#[test]
fn every_mistake_is_told_at_once_with_its_line() {
    let text = "\
submission,criterion,level,comment
team-07,redame,complete,
team-07,readme,partail,
team-07,problems,complete,
team-07,problems,missing,
team-07,,complete,
team-07,wording,,a comment, and a comma
team-07,wording,,only a comment
,readme,complete,
team-08,whatever,whatever,
";
    insta::assert_snapshot!(wrong(text).join("\n"), @r#"
    marks.csv:2: the scenario has no criterion `redame`: did you mean `readme`?
    marks.csv:3: `readme` has no level `partail`: did you mean `partial`?
    marks.csv:5: `problems` is marked twice for `team-07`: line 4 has it too
    marks.csv:6: the row names no criterion: one of `readme`, `wording`, `problems`
    marks.csv:7: 5 fields under a header of 4: put text that holds the separator between quotes (")
    marks.csv:8: `wording` has a comment and no level
    marks.csv:9: the row does not say whose it is: `submission` is empty
    "#);
}

#[test]
fn a_table_that_is_none_says_why() {
    let no_level = "submission,criterion,lvel\nteam-07,readme,complete\n";
    assert_eq!(wrong(no_level), ["marks.csv:1: the header has no column `level`: is it `lvel`?"]);
    let two = wrong("criterion,criterio,name\n");
    assert_eq!(two.len(), 3, "{two:?}");
    assert!(two[0].contains("no column `submission` (there are `criterion`, `criterio`, `name`)"), "{two:?}");
    assert_eq!(wrong(" \n"), ["marks.csv: there is nothing in this file"]);
    let open = "submission,criterion,level,comment\nteam-07,readme,complete,\"open\nteam-07,problems,missing,\n";
    assert_eq!(wrong(open)[0], "marks.csv:2: a quote (\") is opened in this row and never closed");
    let none = read(PLAIN.as_bytes(), &[], "team-07").unwrap_err();
    assert!(none[0].text.es.contains("no tiene criterios"), "{none:?}");
}

#[test]
fn where_no_row_is_for_this_submission_it_is_said_and_nothing_is_marked() {
    let text = "submission,criterion,level\nteam-7,readme,complete\nteam-08,redame,x\n";
    let marks = marks(text);
    assert_eq!(given(&marks), []);
    let notice = marks.notice("team-07").unwrap();
    assert!(notice.en.contains("no row of the marks is for `team-07`: did you mean `team-7`?"), "{notice:?}");
    assert!(notice.es.contains("¿quiso decir `team-7`?"), "{notice:?}");
}

proptest::proptest! {
    /// Whatever a file holds, it is read or refused.
    #[test]
    fn no_file_is_too_broken(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let mut text = b"submission,criterion,level\n".to_vec();
        text.extend(&bytes);
        for bytes in [bytes, text] {
            if let Err(mistakes) = read(&bytes, &criteria(), "team-07") {
                proptest::prop_assert!(!mistakes.is_empty());
            }
        }
    }
}

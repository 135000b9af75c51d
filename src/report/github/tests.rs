//! The summary and the annotations as GitHub takes them.

use super::*;
use crate::record::fixture;

fn text(record: &RunRecord, lang: Lang) -> String {
    within(record, lang, LIMIT)
}

#[test]
fn the_summary_as_it_is() {
    insta::assert_snapshot!("summary_en", text(&fixture::typical(), Lang::En));
    insta::assert_snapshot!("summary_es", text(&fixture::typical(), Lang::Es));
    insta::assert_snapshot!("annotations_en", annotations::commands(&fixture::typical(), Lang::En));
}

#[test]
fn it_is_cut_between_two_sections_and_says_so() {
    let mut record = fixture::typical();
    let failed = record.checks[2].clone();
    record.checks.extend((0..100).map(|n| CheckRecord { id: format!("more-{n}"), ..failed.clone() }));
    record.checks.iter_mut().for_each(|c| c.notes = vec![crate::text::Text::same("long ".repeat(4_000))]);
    let whole = sections(&record, &grade(&record), Lang::En);
    assert!(whole.iter().map(String::len).sum::<usize>() > LIMIT, "or nothing is cut");
    for budget in [LIMIT, LIMIT / 3, 20_000] {
        let cut = within(&record, Lang::En, budget);
        assert!(cut.len() <= budget, "{} of {budget}", cut.len());
        let (kept, note) = cut.trim_end().rsplit_once('\n').unwrap();
        assert!(note.contains("sections more would not fit"), "{note}");
        assert!(kept.ends_with("</details>\n"), "{}", &kept[kept.len() - 100..]);
        assert_eq!(kept.matches("<pre>").count(), kept.matches("</pre>").count());
    }
    assert_eq!(within(&record, Lang::En, 10), "", "where there is no room at all, nothing is written");
    let exact: usize =
        sections(&fixture::typical(), &grade(&fixture::typical()), Lang::En).iter().map(String::len).sum();
    assert_eq!(within(&fixture::typical(), Lang::En, exact).len(), exact);
}

#[test]
fn at_most_ten_are_annotated_and_the_worst_first() {
    let mut record = fixture::typical();
    let failed = fixture::check("cheap", 1_000, Verdict::Fail, None);
    record.checks.extend((0..20).map(|n| CheckRecord { id: format!("cheap-{n}"), ..failed.clone() }));
    let commands = annotations::commands(&record, Lang::En);
    let lines: Vec<_> = commands.lines().collect();
    assert_eq!(lines.len(), annotations::MOST);
    assert!(lines[0].starts_with(
        "::error file=/home/ana/team-07/docker/docker-compose.yml,line=12,title=init-applied (-15)%3A init.sql"
    ));
    assert!(lines[0].ends_with("%0Askipped because of it: page"), "{}", lines[0]);
    assert!(lines[1].contains("title=memory-declared") && lines[2].contains("title=cheap-0"));
    assert!(text(&record, Lang::En).contains("annotated are the 10 that cost most, of 23"));
    let few = annotations::commands(&fixture::typical(), Lang::Es);
    assert!(few.lines().last().unwrap().starts_with("::warning "), "undecided is no error: {few}");
}

#[test]
fn an_annotation_stands_at_the_submissions_own_place_where_its_files_are_there() {
    let mut record = fixture::typical();
    let first = |record: &RunRecord| annotations::commands(record, Lang::En).lines().next().unwrap().to_owned();
    assert!(first(&record).starts_with("::error file=/home/ana/team-07/docker/docker-compose.yml,line=12,"));
    let form = "zip".to_owned();
    record.submission.source = Some(crate::submission::handed::Source::Archive { path: "t.zip".to_owned(), form });
    assert!(first(&record).starts_with("::error file=scenarios/seed/scenario.yaml,line=52,"), "an archive's are not");
    assert!(first(&record).contains("look at: docker/docker-compose.yml:12 service `db`"));
}

#[test]
fn every_line_of_the_annotations_is_one_command_of_ours() {
    for lang in [Lang::En, Lang::Es] {
        let commands = annotations::commands(&fixture::hostile(), lang);
        for line in commands.lines() {
            let (properties, message) = line.strip_prefix("::").unwrap().split_once("::").unwrap();
            let (level, properties) = properties.split_once(' ').unwrap();
            assert!(["error", "warning"].contains(&level), "{line}");
            let names: Vec<_> = properties.split(',').map(|p| p.split_once('=').unwrap().0).collect();
            assert_eq!(names, ["file", "line", "title"], "{line}");
            assert!(!message.is_empty());
        }
    }
}

#[test]
fn nothing_of_a_submission_is_structure() {
    let text = text(&fixture::hostile(), Lang::En);
    assert!(!text.contains("<b>") && !text.contains("&amp;amp;&lt;script"), "{text}");
    let tags: std::collections::BTreeSet<_> =
        text.split('<').skip(1).filter_map(|rest| rest.split('>').next()).collect();
    assert_eq!(
        tags.into_iter().collect::<Vec<_>>(),
        ["/details", "/pre", "/summary", "br", "details", "pre", "summary"]
    );
}

#[test]
fn what_people_judge_has_its_own_list_and_no_annotation() {
    let record = fixture::judged();
    let text = text(&record, Lang::Es);
    let list = text.split("### Lo que juzgan personas (3)\n\n").nth(1).unwrap();
    let lines: Vec<_> = list.lines().take(3).collect();
    assert_eq!(
        lines,
        [
            "- readme (+5 de 10) El README está completo: **parcial**. The names are missing.",
            "- wording (pendiente, 10) La redacción es clara",
            "- problems (+0 de 10) Se cuentan los problemas encontrados: **ausente**",
        ]
    );
    assert!(text.contains("15 de 90 puntos obtenidos, 47 perdidos, 18 sin decidir, 10 pendientes"), "{text}");
    assert_eq!(annotations::commands(&record, Lang::En), annotations::commands(&fixture::typical(), Lang::En));
    let open = text_of_passed(&record);
    assert!(open.contains("📝 **"), "all that is open is for people: {open}");
}

fn text_of_passed(record: &RunRecord) -> String {
    text(&fixture::passed(record), Lang::En)
}

#[test]
fn drills_have_a_table_with_their_strips() {
    let table = |lang: Lang| {
        let text = text(&fixture::drilled(), lang);
        let from = text.find(if lang == Lang::En { "### Drills" } else { "### Simulacros" }).expect("a table");
        let until = text.rfind("\nimparcial ").expect("a foot");
        text[from..until].trim_end().to_owned()
    };
    insta::assert_snapshot!("drills_en", table(Lang::En));
    insta::assert_snapshot!("drills_es", table(Lang::Es));
    for row in table(Lang::En).lines().filter(|line| line.starts_with("| ")) {
        assert_eq!(row.matches(" | ").count(), 2, "three columns: {row}");
        assert_eq!(row.matches('`').count() % 2, 0, "{row}");
    }
    let hostile = text(&fixture::hostile(), Lang::En);
    let rows: Vec<_> = hostile.lines().filter(|line| line.starts_with("| ") && line.contains('`')).collect();
    assert_eq!(rows.len(), 3, "a row each, whatever stands in it");
    assert!(rows.iter().all(|row| row.matches('|').count() == 4), "{rows:#?}");
}

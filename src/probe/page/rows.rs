//! Which rows of a database a page shows.
//!
//! Values weigh by how unlikely it is that a page has them by chance: a phrase alone proves its row; a single short word,
//! a number or a date only together with others of the row, close by. Small numbers prove nothing.

use std::collections::BTreeMap;

use super::places::places;
use super::text::{PageText, fold};
use super::values::{Form, Value, dates, number_forms, values, weigh};
use crate::probe::store::{Column, Kind, Table};

/// A row that is on the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Index of the table and of the row in it.
    pub table: usize,
    pub row: usize,
    /// The columns whose values are there, the heaviest first.
    pub columns: Vec<usize>,
}

/// Proves a row.
const ENOUGH: u32 = 3;

/// How far apart, in bytes beside their own length, the values of one row may stand.
const NEAR: usize = 400;

/// Bytes of page that are searched, over all values and readings: more rows than that prove nothing more.
const MAX_SEARCHED: usize = 2 << 30;

/// The rows of these tables that the page shows.
pub fn shown(page: &PageText, tables: &[Table]) -> Vec<Shown> {
    let mut out = Vec::new();
    let size: usize = page.readings().iter().map(String::len).sum();
    // A value has about two forms.
    let mut searches = MAX_SEARCHED / (2 * size).max(1);
    for (t, table) in tables.iter().enumerate() {
        let mut rows: Vec<Vec<Value>> = Vec::new();
        for row in &table.rows {
            let values = values(&table.columns, row);
            let Some(left) = searches.checked_sub(values.len()) else { break };
            searches = left;
            rows.push(values);
        }
        let mut faint = Vec::new();
        for (r, values) in rows.iter().enumerate() {
            let Some((weight, columns)) = page.readings().iter().map(|text| seen(text, values)).max() else { continue };
            let row = Shown { table: t, row: r, columns };
            if weight >= ENOUGH {
                out.push(row);
            } else if weight > 0 && weight == values.iter().map(|v| v.weight).sum::<u32>() {
                // All that such a row has, and still no proof by itself: a first name alone.
                faint.push(row);
            }
        }
        let could = rows.iter().filter(|values| !values.is_empty()).count();
        if faint.len() >= could.min(2) {
            out.extend(faint);
        }
        for (r, column) in listed(page, table, rows.len()) {
            if !out.iter().any(|s| (s.table, s.row) == (t, r)) {
                out.push(Shown { table: t, row: r, columns: vec![column] });
            }
        }
    }
    out.sort_by_key(|s| (s.table, s.row));
    out
}

/// Rows of which a page lists a single column of short words: many of them are no chance where one would be.
fn listed(page: &PageText, table: &Table, rows: usize) -> Vec<(usize, usize)> {
    let mut out = Vec::new();
    for (c, column) in table.columns.iter().enumerate().filter(|(_, c)| c.kind() == Kind::Text) {
        let mut words = BTreeMap::new();
        for (r, row) in table.rows.iter().take(rows).enumerate() {
            let Some(value) = row.get(c).and_then(Option::as_deref) else { continue };
            let word = fold(value);
            let letters = word.chars().filter(|c| c.is_alphabetic()).count();
            if letters >= 3 && weigh(column, value, c).is_some() {
                words.entry(word).or_insert_with(|| (letters, Vec::new())).1.push(r);
            }
        }
        let there: Vec<_> = words.iter().filter(|(word, _)| has_words(page, word)).map(|(_, rows)| rows).collect();
        let all = there.len() == words.len() && there.len() >= 2 && there.iter().all(|(letters, _)| *letters >= 4);
        if there.len() >= 3 || all {
            out.extend(there.iter().flat_map(|(_, rows)| rows).map(|r| (*r, c)));
        }
    }
    out
}

/// A row of these tables could be recognised on a page at all.
pub fn recognisable(tables: &[Table]) -> bool {
    tables.iter().any(|table| table.rows.iter().any(|row| !values(&table.columns, row).is_empty()))
}

/// The page has this value of a column, in any of the ways in which it may be written.
pub fn has_cell(page: &PageText, column: &Column, value: &str) -> bool {
    let forms = match column.kind() {
        Kind::Int | Kind::Decimal | Kind::Float | Kind::Year => number_forms(value).map(|(_, forms)| forms),
        Kind::Date | Kind::DateTime => dates(value),
        _ => None,
    };
    let forms = forms.unwrap_or_else(|| vec![Form::Words(fold(value))]);
    let value = Value { column: 0, weight: ENOUGH, forms };
    page.readings().iter().any(|text| !places(text, &value).is_empty())
}

/// The page has these words.
fn has_words(page: &PageText, words: &str) -> bool {
    has_cell(page, &Column::default(), words)
}

/// The weight of what is seen of a row, and its columns: the heaviest value, and what stands near it.
fn seen(text: &str, values: &[Value]) -> (u32, Vec<usize>) {
    let found: Vec<(&Value, Vec<(usize, usize)>)> =
        values.iter().map(|v| (v, places(text, v))).filter(|(_, places)| !places.is_empty()).collect();
    let Some(((first, anchors), others)) = found.split_first() else { return (0, Vec::new()) };
    let near = |anchor: &(usize, usize)| {
        let mut weight = first.weight;
        let mut columns = vec![first.column];
        for (value, places) in others {
            let close = |p: &&(usize, usize)| p.0 < anchor.1 + NEAR && anchor.0 < p.1 + NEAR;
            if places.iter().find(close).is_some() {
                weight += value.weight;
                columns.push(value.column);
            }
        }
        (weight, columns)
    };
    anchors.iter().map(near).max_by_key(|(weight, _)| *weight).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::table::samples::table;

    fn page(text: &str) -> PageText {
        PageText::read(text.as_bytes(), Some("text/html; charset=utf-8"))
    }

    fn rows_shown(text: &str, tables: &[Table]) -> Vec<usize> {
        shown(&page(text), tables).iter().map(|s| s.row).collect()
    }

    fn birds() -> Vec<Table> {
        vec![table(
            "aves",
            &[("id", "int auto_increment"), ("nombre", "varchar(60)"), ("lugar", "varchar(60)")],
            &[
                &["1", "Barranquero coronado", "Quebrada El Cañizo"],
                &["2", "Cóndor de los Andes", "Páramo de Las Hermosas"],
                &["3", "Colibrí \"pico de hoz\"", "Vereda Peñas Blancas"],
            ],
        )]
    }

    #[test]
    fn phrases_prove_their_rows() {
        let text = "<h1>Aves</h1><li>Barranquero coronado</li><li>CÓNDOR de los&nbsp;Andes</li>";
        assert_eq!(rows_shown(text, &birds()), [0, 1]);
        let s = &shown(&page("<td>Barranquero coronado<td>Quebrada El Cañizo"), &birds())[0];
        assert_eq!(s.columns, [1, 2]);
    }

    #[test]
    fn unrelated_pages_show_nothing() {
        for text in [
            "<html><body><h1>It works!</h1></body></html>",
            "Hello World! 1 2 3",
            "(2003, \"Can't connect to MySQL server on 'db' ([Errno 111] Connection refused)\")",
            "Table 'reserva.aves' doesn't exist",
            "<form><input name=nombre placeholder=nombre><input name=lugar></form>",
            "",
        ] {
            assert_eq!(rows_shown(text, &birds()), Vec::<usize>::new(), "{text}");
        }
    }

    #[test]
    fn a_wrong_charset_is_forgiven() {
        assert_eq!(rows_shown("<li>CÃ³ndor de los Andes</li>", &birds()), [1]);
        assert_eq!(rows_shown("<li>C?ndor de los Andes</li>", &birds()), [1]);
        let mut double = birds();
        double[0].rows[1][1] = Some("CÃ³ndor de los Andes".into());
        assert_eq!(rows_shown("<li>Cóndor de los Andes</li>", &double), [1]);
    }

    #[test]
    fn short_words_count_only_together() {
        let people = [table(
            "personas",
            &[("id", "int"), ("nombre", "varchar(20)")],
            &[&["1", "Ana"], &["2", "Luis"], &["3", "Eva"]],
        )];
        assert_eq!(rows_shown("<li>Ana</li><li>Luis</li>", &people), [0, 1]);
        // One by chance is no proof, and a part of a word is nothing.
        assert_eq!(rows_shown("Bienvenida, Ana", &people), Vec::<usize>::new());
        assert_eq!(rows_shown("Banana, Evaluación, Luisiana", &people), Vec::<usize>::new());
        // The only row that there is.
        let one = [table("personas", &[("id", "int"), ("nombre", "varchar(20)")], &[&["1", "Ana"]])];
        assert_eq!(rows_shown("<li>Ana</li>", &one), [0]);
    }

    #[test]
    fn a_list_of_one_column_is_no_chance() {
        let people = [table(
            "personas",
            &[("nombre", "varchar(20)"), ("ciudad", "varchar(20)"), ("activo", "varchar(2)")],
            &[&["Ana", "Cali", "no"], &["Luis", "Buga", "si"], &["Eva", "Cali", "si"], &["Juan", "Pasto", "no"]],
        )];
        assert_eq!(rows_shown("<li>Ana<li>Luis<li>Eva", &people), [0, 1, 2]);
        assert_eq!(rows_shown("Ana y Luis: si o no", &people), Vec::<usize>::new());
    }

    #[test]
    fn words_of_a_row_must_stand_near_each_other() {
        let people = [table(
            "personas",
            &[("nombre", "varchar(20)"), ("ciudad", "varchar(20)")],
            &[&["Andrea", "Cali"], &["Pedro", "Tuluá"], &["Marta", "Buga"]],
        )];
        assert_eq!(rows_shown("<tr><td>Andrea<td>Cali", &people), [0]);
        let apart = format!("Andrea {} Cali", "x ".repeat(500));
        assert_eq!(rows_shown(&apart, &people), Vec::<usize>::new());
    }

    #[test]
    fn small_numbers_prove_nothing_and_long_ones_a_little() {
        let columns = [("id", "int"), ("saldo", "decimal(10,2)")];
        let small = [table("cuentas", &columns, &[&["1", "12.00"], &["2", "7.00"]])];
        assert_eq!(rows_shown("1 12 2 7", &small), Vec::<usize>::new());
        assert!(!recognisable(&small));

        let large = [table("cuentas", &columns, &[&["1", "1500000.00"], &["2", "2750.50"]])];
        assert!(recognisable(&large));
        for text in ["$1,500,000 y $2,750.50", "1500000.0 / 2750.5", "1.500.000,00 2.750,50", "[1500000.00, 2750.50]"] {
            assert_eq!(rows_shown(text, &large), [0, 1], "{text}");
        }
        assert_eq!(rows_shown("15000001 22750.50 2750.501", &large), Vec::<usize>::new());
    }

    #[test]
    fn dates_help_in_any_form() {
        let t = [table(
            "notas",
            &[("titulo", "varchar(20)"), ("dia", "date")],
            &[&["Parcial", "2024-02-09"], &["Quiz", "2024-03-01"], &["Taller", "2024-04-01"]],
        )];
        for day in
            ["2024-02-09", "09/02/2024", "9/2/2024", "Fri, 09 Feb 2024 00:00:00 GMT", "datetime.date(2024, 2, 9)"]
        {
            assert_eq!(rows_shown(&format!("<td>Parcial<td>{day}"), &t), [0], "{day}");
        }
        assert_eq!(rows_shown("Examen Parcial", &t), Vec::<usize>::new());
    }

    #[test]
    fn long_texts_may_be_cut() {
        let long = "Una historia que empieza así y que sigue por mucho tiempo hasta que al fin termina.";
        let t = [table("blog", &[("texto", "text")], &[&[long]])];
        assert_eq!(rows_shown("<p>Una historia que empieza así y que sigue por…</p>", &t), [0]);
    }

    #[test]
    fn attributes_and_json_show_rows() {
        let t = [table("fotos", &[("ruta", "varchar(99)")], &[&["img/condor-andino.jpg"]])];
        assert_eq!(rows_shown("<img src='/static/img/condor-andino.jpg'>", &t), [0]);
        let json = r#"[{"nombre": "Colibr\u00ed \"pico de hoz\""}]"#;
        let found = shown(&PageText::read(json.as_bytes(), Some("application/json")), &birds());
        assert_eq!(found.iter().map(|s| s.row).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn a_fresh_value_is_found_as_a_whole() {
        assert!(has_words(&page("<li>Kx7Qw2Zp</li>"), "kx7qw2zp"));
        assert!(!has_words(&page("<li>aKx7Qw2Zp</li>"), "Kx7Qw2Zp"));
    }

    proptest::proptest! {
        #[test]
        fn any_page_and_any_row_can_be_compared(text in "\\PC{0,80}", value in "\\PC{0,70}") {
            let t = [table("t", &[("a", "varchar(80)"), ("b", "decimal"), ("c", "date")], &[&[&value, &value, &value]])];
            shown(&page(&text), &t);
        }
    }
}

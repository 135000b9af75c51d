//! Which rows of a database a page shows.
//!
//! Values weigh by how unlikely it is that a page has them by chance: a phrase alone proves its row; a single short word,
//! a number or a date only together with others of the row, close by. Small numbers prove nothing.

use std::collections::BTreeMap;

use super::text::{PageText, fold};
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

/// Places of a value that are looked at; a word that is everywhere proves nothing more.
const MAX_PLACES: usize = 64;

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

struct Value {
    column: usize,
    weight: u32,
    /// The ways in which it may be written.
    forms: Vec<Form>,
}

enum Form {
    /// Whole words.
    Words(String),
    /// The beginning of a long text.
    Start(String),
    /// Its pieces between letters that a wrong charset may have changed.
    Pieces(Vec<String>),
    Number(String),
}

/// The values of a row that say something, the heaviest first.
fn values(columns: &[Column], row: &[Option<String>]) -> Vec<Value> {
    let mut out: Vec<Value> = columns
        .iter()
        .zip(row)
        .enumerate()
        .filter_map(|(i, (column, value))| weigh(column, value.as_deref()?, i))
        .collect();
    out.sort_by_key(|v| std::cmp::Reverse(v.weight));
    out
}

fn weigh(column: &Column, value: &str, index: usize) -> Option<Value> {
    let (weight, forms) = match column.kind() {
        _ if column.auto_increment => return None,
        Kind::Int | Kind::Decimal | Kind::Float | Kind::Year => weigh_number(value)?,
        Kind::Date | Kind::DateTime => (1, dates(value)?),
        Kind::Time => (1, vec![Form::Words(fold(value.get(..5)?))]),
        Kind::Binary | Kind::Bit | Kind::Other => return None,
        Kind::Text | Kind::Enum | Kind::Set | Kind::Json => weigh_text(value)?,
    };
    Some(Value { column: index, weight, forms })
}

fn weigh_text(value: &str) -> Option<(u32, Vec<Form>)> {
    let text = fold(value);
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let words = text.split_whitespace().count();
    let length = text.chars().count();
    if letters == 0 {
        // A number kept as text: a telephone, a code.
        return weigh_number(&text).or_else(|| (length >= 6).then(|| (1, vec![Form::Words(text)])));
    }
    if length < 3 {
        return None;
    }
    let weight = match (words, letters) {
        (2.., 8..) => 3,
        _ if length >= 10 && letters >= 6 => 3,
        (_, 4..) => 2,
        _ => 1,
    };
    let mut forms = Vec::new();
    if length > 60 {
        let cut = text.char_indices().nth(40).map_or(text.len(), |(at, _)| at);
        forms.push(Form::Start(text[..cut].trim_end().to_owned()));
    }
    if !text.is_ascii() {
        let head = text.char_indices().nth(60).map_or(text.as_str(), |(at, _)| &text[..at]);
        let pieces: Vec<String> =
            head.split(|c: char| !c.is_ascii()).filter(|p| !p.is_empty()).map(str::to_owned).collect();
        if pieces.iter().map(|p| p.chars().filter(char::is_ascii_alphanumeric).count()).sum::<usize>() >= 6 {
            forms.push(Form::Pieces(pieces));
        }
    }
    forms.insert(0, Form::Words(text));
    Some((weight, forms))
}

/// Small numbers are on every page; long ones are codes.
fn weigh_number(value: &str) -> Option<(u32, Vec<Form>)> {
    let (digits, forms) = number_forms(value)?;
    let weight = match digits {
        7.. => 2,
        4.. => 1,
        _ if value.trim_end_matches('0').contains('.') && !value.trim_end_matches('0').ends_with('.') => 1,
        _ => return None,
    };
    Some((weight, forms))
}

/// How many digits say something, and the ways in which people and frameworks write the number.
fn number_forms(value: &str) -> Option<(usize, Vec<Form>)> {
    let value = value.trim();
    let (sign, plain) = value.strip_prefix('-').map_or(("", value), |rest| ("-", rest));
    let (whole, fraction) = plain.split_once('.').unwrap_or((plain, ""));
    let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let digits = whole.trim_start_matches('0').len() + fraction.len();
    let grouped = |separator: char| {
        let mut out = String::new();
        for (i, c) in whole.chars().enumerate() {
            if i > 0 && (whole.len() - i) % 3 == 0 {
                out.push(separator);
            }
            out.push(c);
        }
        out
    };
    let mut forms = vec![plain.to_owned()];
    for (whole, point) in [(whole.to_owned(), '.'), (whole.to_owned(), ','), (grouped(','), '.'), (grouped('.'), ',')] {
        for fraction in [fraction.to_owned(), format!("{fraction:0<2}"), format!("{fraction:0<1}")] {
            forms.push(if fraction.is_empty() { whole.clone() } else { format!("{whole}{point}{fraction}") });
        }
    }
    forms.sort();
    forms.dedup();
    Some((digits, forms.into_iter().map(|n| Form::Number(format!("{sign}{n}"))).collect()))
}

/// As people and frameworks write a date.
fn dates(value: &str) -> Option<Vec<Form>> {
    const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let mut parts = value.get(..10)?.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let (m, d): (usize, usize) = (month.parse().ok()?, day.parse().ok()?);
    let name = MONTHS.get(m.checked_sub(1)?)?;
    let forms = [
        format!("{year}-{month}-{day}"),
        format!("{day}/{month}/{year}"),
        format!("{month}/{day}/{year}"),
        format!("{day}-{month}-{year}"),
        format!("{d}/{m}/{year}"),
        format!("{day} {name} {year}"),
        format!("{name} {day} {year}"),
        format!("({year}, {m}, {d}"),
    ];
    Some(forms.into_iter().map(Form::Words).collect())
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

/// Where a value stands in a text: beginning and end.
fn places(text: &str, value: &Value) -> Vec<(usize, usize)> {
    for form in &value.forms {
        let found: Vec<(usize, usize)> = match form {
            Form::Words(words) => find(text, words).filter(|p| alone(text, *p)).take(MAX_PLACES).collect(),
            Form::Start(words) => find(text, words).filter(|p| starts(text, p.0)).take(MAX_PLACES).collect(),
            Form::Number(number) => find(text, number).filter(|p| whole_number(text, *p)).take(MAX_PLACES).collect(),
            Form::Pieces(pieces) => pieced(text, pieces),
        };
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}

fn find<'a>(text: &'a str, needle: &'a str) -> impl Iterator<Item = (usize, usize)> + 'a {
    text.match_indices(needle).map(|(at, m)| (at, at + m.len()))
}

/// Not in the middle of a longer word.
fn alone(text: &str, (start, end): (usize, usize)) -> bool {
    starts(text, start) && {
        let last = text[..end].chars().next_back();
        let next = text[end..].chars().next();
        !(last.is_some_and(char::is_alphanumeric) && next.is_some_and(char::is_alphanumeric))
    }
}

fn starts(text: &str, start: usize) -> bool {
    let first = text[start..].chars().next();
    let before = text[..start].chars().next_back();
    !(first.is_some_and(char::is_alphanumeric) && before.is_some_and(char::is_alphanumeric))
}

/// Not a part of a longer number.
fn whole_number(text: &str, (start, end): (usize, usize)) -> bool {
    let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    let mut before = text[..start].chars().rev();
    let mut after = text[end..].chars();
    let (b1, b2) = (before.next(), before.next());
    let (a1, a2) = (after.next(), after.next());
    let joins = |c: Option<char>| matches!(c, Some('.' | ','));
    let before = b1.is_some_and(char::is_alphanumeric) || (joins(b1) && digit(b2));
    let after = a1.is_some_and(char::is_alphanumeric) || (joins(a1) && digit(a2));
    !before && !after
}

/// The pieces in their order, with a few characters of any kind between them.
fn pieced(text: &str, pieces: &[String]) -> Vec<(usize, usize)> {
    /// A letter of two bytes, misread twice, is four letters of two bytes each.
    const MAX_GAP: usize = 8;
    let Some((first, rest)) = pieces.split_first() else { return Vec::new() };
    let whole = |(start, mut end): (usize, usize)| {
        for piece in rest {
            let limit = (end + MAX_GAP + piece.len()).min(text.len());
            let limit = (end..=limit).rev().find(|i| text.is_char_boundary(*i))?;
            end += text[end..limit].find(piece.as_str())? + piece.len();
        }
        Some((start, end))
    };
    find(text, first).filter_map(whole).take(MAX_PLACES).collect()
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

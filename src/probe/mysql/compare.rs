//! The tables that a database should hold against those that it holds: in any order, with whatever else is there.

use std::collections::HashMap;

use crate::stack::table::{Column, Kind, Table};

/// What is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Missing {
    /// `schema.table`.
    pub(super) tables: Vec<String>,
    /// A few of the rows, as people read them, and how many more.
    pub(super) rows: Vec<String>,
}

/// Rows that are named; of more, only their number is given.
const NAMED: usize = 5;

/// Compares. `made_up` is the schema that stands for any.
pub(super) fn missing(declared: &[Table], held: &[Table], made_up: Option<&str>) -> Missing {
    let mut out = Missing::default();
    for table in declared {
        let any = made_up == Some(table.schema.as_str());
        let same = |t: &&Table| {
            t.name.eq_ignore_ascii_case(&table.name) && (any || t.schema.eq_ignore_ascii_case(&table.schema))
        };
        // Of several of that name, the fullest.
        let Some(there) = held.iter().filter(same).max_by_key(|t| t.total) else {
            out.tables.push(if any { table.name.clone() } else { table.full_name() });
            continue;
        };
        rows(table, there, &mut out.rows);
    }
    out
}

fn rows(declared: &Table, held: &Table, out: &mut Vec<String>) {
    let cut = |t: &Table| (t.rows.len() as u64) < t.total;
    if cut(declared) || cut(held) {
        if held.total < declared.total {
            out.push(format!("{}: {} of {} rows", held.full_name(), declared.total - held.total, declared.total));
        }
        return;
    }
    let strict = absent(declared, held, |_, column| !column.stamped);
    if strict.is_empty() {
        return;
    }
    // Values that were made at the moment of writing are others on every server: NOW() and UUID().
    let loose = absent(declared, held, |i, column| !column.stamped && !made_at_once(declared, i, column));
    if loose.is_empty() {
        return;
    }
    for row in loose.iter().take(NAMED) {
        out.push(format!("{}: {}", held.full_name(), show(row)));
    }
    if loose.len() > NAMED {
        out.push(format!("{}: and {} more", held.full_name(), loose.len() - NAMED));
    }
}

/// The declared rows that are not held, by the columns that both have and that `counts`.
fn absent<'a>(declared: &'a Table, held: &Table, counts: impl Fn(usize, &Column) -> bool) -> Vec<&'a [Option<String>]> {
    let pairs: Vec<(usize, usize)> = declared
        .columns
        .iter()
        .enumerate()
        .filter(|(i, column)| counts(*i, column))
        .filter_map(|(i, column)| Some((i, held.column(&column.name)?.0)))
        .collect();
    let mut there: HashMap<Vec<Option<&str>>, usize> = HashMap::new();
    for row in &held.rows {
        let key = pairs.iter().map(|(_, h)| row.get(*h).and_then(|v| v.as_deref())).collect();
        *there.entry(key).or_default() += 1;
    }
    let mut gone = Vec::new();
    for row in &declared.rows {
        let key: Vec<Option<&str>> = pairs.iter().map(|(d, _)| row.get(*d).and_then(|v| v.as_deref())).collect();
        match there.get_mut(&key) {
            Some(left) if *left > 0 => *left -= 1,
            _ => gone.push(row.as_slice()),
        }
    }
    gone
}

/// A column of moments or of made-up identifiers.
fn made_at_once(table: &Table, index: usize, column: &Column) -> bool {
    let uuid = |value: &str| value.len() == 36 && value.bytes().filter(|b| *b == b'-').count() == 4;
    match column.kind() {
        Kind::Date | Kind::DateTime | Kind::Time | Kind::Year => true,
        Kind::Text => table.rows.iter().all(|row| row.get(index).and_then(|v| v.as_deref()).is_some_and(uuid)),
        _ => false,
    }
}

fn show(row: &[Option<String>]) -> String {
    let value = |v: &Option<String>| match v {
        None => "NULL".to_owned(),
        Some(v) if v.chars().count() > 40 => format!("{}…", v.chars().take(40).collect::<String>()),
        Some(v) => v.clone(),
    };
    format!("({})", row.iter().map(value).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::table::samples::table;

    const COLUMNS: [(&str, &str); 2] = [("id", "int"), ("nombre", "varchar(60)")];

    fn birds(rows: &[&[&str]]) -> Table {
        table("aves", &COLUMNS, rows)
    }

    #[test]
    fn what_is_there_in_any_order_and_with_more_is_complete() {
        let declared = [birds(&[&["1", "Ana"], &["2", "-"]])];
        let held = [table("otra", &[], &[]), birds(&[&["3", "x"], &["2", "-"], &["1", "Ana"]])];
        assert_eq!(missing(&declared, &held, None), Missing::default());
    }

    #[test]
    fn missing_tables_and_rows_are_named() {
        let declared = [birds(&[&["1", "Ana"], &["2", "-"]]), table("otra", &[], &[])];
        let found = missing(&declared, &[birds(&[&["1", "Ana"]])], None);
        assert_eq!(found.tables, ["s.otra"]);
        assert_eq!(found.rows, ["s.aves: (2, NULL)"]);
    }

    #[test]
    fn a_row_counts_as_often_as_it_is_declared() {
        let log = |rows: &[&[&str]]| table("log", &[("texto", "text")], rows);
        let found = missing(&[log(&[&["a"], &["a"], &["a"]])], &[log(&[&["a"]])], None);
        assert_eq!(found.rows, ["s.log: (a)", "s.log: (a)"]);
    }

    #[test]
    fn many_rows_are_counted() {
        let all: Vec<Vec<String>> = (0..9).map(|i| vec![i.to_string(), "x".into()]).collect();
        let rows: Vec<Vec<&str>> = all.iter().map(|r| r.iter().map(String::as_str).collect()).collect();
        let rows: Vec<&[&str]> = rows.iter().map(Vec::as_slice).collect();
        let found = missing(&[birds(&rows)], &[birds(&[])], None);
        assert_eq!(found.rows.len(), 6);
        assert_eq!(found.rows[5], "s.aves: and 4 more");
    }

    #[test]
    fn moments_of_writing_are_not_compared() {
        let columns = [("id", "int"), ("creado", "datetime"), ("clave", "char(36)")];
        let uuid = |n: u8| format!("{n:08}-0000-0000-0000-000000000000");
        let declared = table("t", &columns, &[&["1", "2024-01-01 00:00:00", &uuid(1)]]);
        let held = table("t", &columns, &[&["1", "2024-01-01 00:00:07", &uuid(2)]]);
        assert_eq!(missing(std::slice::from_ref(&declared), &[held], None), Missing::default());
        let other = table("t", &columns, &[&["2", "2024-01-01 00:00:07", &uuid(2)]]);
        assert_eq!(missing(&[declared], &[other], None).rows.len(), 1);
    }

    #[test]
    fn a_made_up_schema_stands_for_any() {
        let mut declared = birds(&[&["1", "Ana"]]);
        declared.schema = "made_up".into();
        let held = [birds(&[&["1", "Ana"]])];
        assert_eq!(missing(std::slice::from_ref(&declared), &held, Some("made_up")), Missing::default());
        assert_eq!(missing(std::slice::from_ref(&declared), &held, None).tables, ["made_up.aves"]);
        assert_eq!(missing(&[declared], &[], Some("made_up")).tables, ["aves"]);
    }

    #[test]
    fn cut_tables_are_compared_by_their_number() {
        let mut declared = birds(&[&["1", "Ana"]]);
        declared.total = 50_000;
        let mut held = birds(&[&["7", "Eva"]]);
        held.total = 50_000;
        assert_eq!(missing(std::slice::from_ref(&declared), &[held.clone()], None), Missing::default());
        held.total = 49_998;
        assert_eq!(missing(&[declared], &[held], None).rows, ["s.aves: 2 of 50000 rows"]);
    }
}

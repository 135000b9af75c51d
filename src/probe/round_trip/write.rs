//! A fresh row, or a fresh value in a row that is there, and how to undo it.
//!
//! A fresh row is a copy of one that the page shows with a few values made up: so it obeys what the table asks for
//! (NOT NULL, types, enumerations, foreign keys), and passes the filters and joins of the page.

use serde_json::{Value, json};

use super::nonce::{self, Dice, STYLES, Style};
use crate::agent::Statement;
use crate::stack::table::{Column, Kind, Table, quote};

/// A value that was made up, and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cell {
    pub(super) table: String,
    pub(super) column: Column,
    pub(super) value: String,
}

/// Something to be written.
#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) run: Statement,
    pub(super) undo: Statement,
    pub(super) cells: Vec<Cell>,
}

/// A table to write into: its row to start from, and the columns that the page shows, the likeliest first.
#[derive(Clone, Debug)]
pub(super) struct Target<'a> {
    pub(super) table: &'a Table,
    pub(super) row: Option<usize>,
    pub(super) columns: Vec<usize>,
}

/// Ways to insert a fresh row, in the order in which to try them: a server refuses what its constraints forbid.
pub(super) fn inserts(target: &Target<'_>, dice: &mut Dice) -> Vec<Write> {
    let fresh = fresh_columns(target);
    let mut sets = vec![fresh.clone()];
    sets.extend(fresh.iter().filter(|_| fresh.len() > 1).map(|c| vec![*c]));
    sets.truncate(5);
    let mut out = Vec::new();
    for style in STYLES {
        for set in &sets {
            out.extend(insert(target, set, style, dice));
        }
    }
    out
}

/// Ways to change a value that the page shows.
pub(super) fn updates(target: &Target<'_>, dice: &mut Dice) -> Vec<Write> {
    let fresh = fresh_columns(target);
    STYLES
        .iter()
        .flat_map(|style| fresh.iter().filter_map(|c| update(target, *c, *style, dice)).collect::<Vec<_>>())
        .collect()
}

/// The shown columns that can hold a made-up value: texts before numbers before dates, keys of others last.
fn fresh_columns(target: &Target<'_>) -> Vec<usize> {
    let rank = |column: &Column| match column.kind() {
        _ if column.auto_increment || column.generated || column.references.is_some() => None,
        Kind::Text => Some(0),
        Kind::Decimal | Kind::Float | Kind::Int => Some(1),
        Kind::Date | Kind::DateTime => Some(2),
        _ => None,
    };
    let mut out: Vec<(u8, usize)> =
        target.columns.iter().filter_map(|i| Some((rank(target.table.columns.get(*i)?)?, *i))).collect();
    out.sort_by_key(|(rank, _)| *rank);
    // A row of made-up numbers beside made-up texts proves nothing more, and breaks more rules.
    let best = out.first().map(|(rank, _)| *rank);
    let strong = out.iter().filter(|(rank, _)| Some(*rank) == best).map(|(_, i)| *i);
    strong.take(6).collect()
}

fn insert(target: &Target<'_>, set: &[usize], style: Style, dice: &mut Dice) -> Option<Write> {
    let table = target.table;
    let model = |i: usize| table.rows.get(target.row?)?.get(i)?.as_deref();
    let mut made: Vec<(usize, String)> = Vec::new();
    for i in set {
        made.push((*i, nonce::value(table.columns.get(*i)?, style, model(*i), dice)?));
    }
    // Of each unique key, something must be new.
    for key in &table.uniques {
        let columns: Vec<(usize, &Column)> = key.iter().filter_map(|name| table.column(name)).collect();
        if columns.iter().any(|(i, c)| c.auto_increment || made.iter().any(|(m, _)| m == i)) {
            continue;
        }
        let free = columns.iter().find(|(_, c)| c.references.is_none()).or(columns.first());
        let (i, column) = free?;
        let styles = [Style::Free, Style::Alike];
        made.push((*i, styles.iter().find_map(|style| nonce::value(column, *style, model(*i), dice))?));
    }
    let written: Vec<(usize, &Column)> =
        table.columns.iter().enumerate().filter(|(i, c)| writes(c) || made.iter().any(|(m, _)| m == i)).collect();
    let names: Vec<String> = written.iter().map(|(_, c)| quote(&c.name)).collect();
    let mut values: Vec<Value> = Vec::new();
    let sql = if target.row.is_some() {
        let picked: Vec<String> = written
            .iter()
            .map(|(i, c)| match made.iter().find(|(m, _)| m == i) {
                Some((_, value)) => {
                    values.push(json!(value));
                    "?".to_owned()
                }
                None => quote(&c.name),
            })
            .collect();
        let (place, keys) = this_row(table, target.row?)?;
        values.extend(keys);
        let (into, from) = (table.quoted(), table.quoted());
        format!(
            "INSERT INTO {into} ({}) SELECT {} FROM {from} WHERE {place} LIMIT 1",
            names.join(", "),
            picked.join(", ")
        )
    } else {
        // Nothing to copy from: only what must be there.
        let needed: Vec<(usize, &Column)> = written
            .into_iter()
            .filter(|(i, c)| made.iter().any(|(m, _)| m == i) || (!c.nullable && c.default.is_none()))
            .collect();
        let names: Vec<String> = needed.iter().map(|(_, c)| quote(&c.name)).collect();
        for (i, column) in &needed {
            let own = made.iter().find(|(m, _)| m == i).map(|(_, v)| v.clone());
            values.push(json!(own.or_else(|| plain(column, dice))?));
        }
        let marks = vec!["?"; needed.len()];
        format!("INSERT INTO {} ({}) VALUES ({})", table.quoted(), names.join(", "), marks.join(", "))
    };
    // By the value that nobody else has.
    let (by, value) = made.iter().find(|(i, _)| set.contains(i))?;
    let column = table.columns.get(*by)?;
    let undo = format!("DELETE FROM {} WHERE {} = ? LIMIT 1", table.quoted(), quote(&column.name));
    let undo = Statement::with(undo, vec![json!(value)]);
    let cells = made
        .iter()
        .filter(|(i, _)| set.contains(i))
        .filter_map(|(i, value)| Some(cell(table, table.columns.get(*i)?, value)))
        .collect();
    Some(Write { run: Statement::with(sql, values), undo, cells })
}

fn update(target: &Target<'_>, column: usize, style: Style, dice: &mut Dice) -> Option<Write> {
    let (table, row) = (target.table, target.row?);
    let own = table.columns.get(column)?;
    let old = table.rows.get(row)?.get(column)?.clone();
    let value = nonce::value(own, style, old.as_deref(), dice)?;
    let (place, keys) = this_row(table, row)?;
    // Columns that stamp themselves stay as they are.
    let kept: String = table
        .columns
        .iter()
        .filter(|c| c.stamped && c.name != own.name)
        .map(|c| format!(", {0} = {0}", quote(&c.name)))
        .collect();
    let (into, name) = (table.quoted(), quote(&own.name));
    let set = format!("UPDATE {into} SET {name} = ?{kept}");
    let run = Statement::with(format!("{set} WHERE {place} LIMIT 1"), [vec![json!(value)], keys].concat());
    // The key may be what was changed: the made-up value finds the row as well.
    let undo = Statement::with(format!("{set} WHERE {name} = ? LIMIT 1"), vec![json!(old), json!(value)]);
    Some(Write { run, undo, cells: vec![cell(table, own, &value)] })
}

fn cell(table: &Table, column: &Column, value: &str) -> Cell {
    Cell { table: table.full_name(), column: column.clone(), value: value.to_owned() }
}

/// What a copy of a row has of its own.
fn writes(column: &Column) -> bool {
    !column.auto_increment && !column.generated && !column.stamped
}

/// A condition that only this row meets, and its values: its key, else everything that it has.
fn this_row(table: &Table, row: usize) -> Option<(String, Vec<Value>)> {
    let row = table.rows.get(row)?;
    let key: Vec<(usize, &Column)> = match table.uniques.first() {
        Some(key) => key.iter().filter_map(|name| table.column(name)).collect(),
        None => Vec::new(),
    };
    let whole = |i: &usize| row.get(*i).is_some_and(Option::is_some);
    let columns: Vec<(usize, &Column)> = if !key.is_empty() && key.iter().all(|(i, _)| whole(i)) {
        key
    } else {
        let exact = |c: &Column| !matches!(c.kind(), Kind::Binary | Kind::Float | Kind::Json | Kind::Bit | Kind::Other);
        table.columns.iter().enumerate().filter(|(_, c)| exact(c)).collect()
    };
    if columns.is_empty() {
        return None;
    }
    let place: Vec<String> = columns.iter().map(|(_, c)| format!("{} <=> ?", quote(&c.name))).collect();
    Some((place.join(" AND "), columns.iter().map(|(i, _)| json!(row.get(*i).cloned().flatten())).collect()))
}

/// A value that a column must have and nobody looks at.
fn plain(column: &Column, dice: &mut Dice) -> Option<String> {
    match column.kind() {
        Kind::Enum | Kind::Set => column.column_type.split('\'').nth(1).map(str::to_owned),
        Kind::Int | Kind::Decimal | Kind::Float | Kind::Bit => Some("1".to_owned()),
        Kind::Year => Some("2001".to_owned()),
        Kind::Time => Some("03:04:05".to_owned()),
        Kind::Json => Some("{}".to_owned()),
        Kind::Text if column.max_chars.is_some_and(|n| n < 3) => Some("x".to_owned()),
        Kind::Binary => Some("x".to_owned()),
        _ => nonce::value(column, Style::Free, None, dice),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::table::samples::table;

    fn birds() -> Table {
        let mut t = table(
            "aves",
            &[
                ("id", "int auto_increment"),
                ("nombre", "varchar(30) not null"),
                ("envergadura", "int not null"),
                ("lugar", "char(3) not null"),
                ("visto", "timestamp"),
            ],
            &[&["1", "Cóndor de los Andes", "320", "PLH", "2024-01-01 00:00:00"]],
        );
        t.uniques = vec![vec!["id".into()], vec!["nombre".into()]];
        t.columns[3].references = Some(("s".into(), "lugares".into(), "codigo".into()));
        t.columns[4].stamped = true;
        t
    }

    #[test]
    fn a_fresh_row_is_a_copy_with_a_new_name() {
        let t = birds();
        let target = Target { table: &t, row: Some(0), columns: vec![1, 2, 3] };
        let first = &inserts(&target, &mut Dice::new())[0];
        assert_eq!(
            first.run.sql,
            "INSERT INTO `s`.`aves` (`nombre`, `envergadura`, `lugar`) SELECT ?, `envergadura`, `lugar` FROM `s`.`aves` WHERE `id` <=> ? LIMIT 1"
        );
        assert_eq!(first.run.values[1], json!("1"));
        assert_eq!(first.undo.sql, "DELETE FROM `s`.`aves` WHERE `nombre` = ? LIMIT 1");
        assert_eq!(first.undo.values[0], first.run.values[0]);
        assert_eq!(first.cells.len(), 1);
        assert_eq!((first.cells[0].table.as_str(), first.cells[0].column.name.as_str()), ("s.aves", "nombre"));
    }

    #[test]
    fn every_unique_key_gets_something_new() {
        let mut t = table("u", &[("codigo", "int not null"), ("nombre", "varchar(20)")], &[&["7", "Ana"]]);
        t.uniques = vec![vec!["codigo".into()]];
        let first = &inserts(&Target { table: &t, row: Some(0), columns: vec![1] }, &mut Dice::new())[0];
        assert!(first.run.sql.contains("SELECT ?, ? FROM"), "{}", first.run.sql);
        assert_eq!(first.cells.len(), 1);
        assert!(first.undo.sql.contains("`nombre` = ?"));
    }

    #[test]
    fn an_empty_table_gets_what_must_be_there() {
        let mut t = table(
            "t",
            &[("id", "int auto_increment"), ("a", "varchar(20) not null"), ("b", "int not null"), ("c", "text")],
            &[],
        );
        t.columns[2].nullable = false;
        let first = &inserts(&Target { table: &t, row: None, columns: vec![1, 3] }, &mut Dice::new())[0];
        assert_eq!(first.run.sql, "INSERT INTO `s`.`t` (`a`, `b`, `c`) VALUES (?, ?, ?)");
        assert_eq!(first.run.values[1], json!("1"));
        assert!(updates(&Target { table: &t, row: None, columns: vec![1] }, &mut Dice::new()).is_empty());
    }

    #[test]
    fn a_changed_value_is_put_back_and_stamps_stay() {
        let t = birds();
        let first = &updates(&Target { table: &t, row: Some(0), columns: vec![1] }, &mut Dice::new())[0];
        assert_eq!(first.run.sql, "UPDATE `s`.`aves` SET `nombre` = ?, `visto` = `visto` WHERE `id` <=> ? LIMIT 1");
        assert_eq!(first.undo.values, [json!("Cóndor de los Andes"), json!(first.cells[0].value)]);
    }

    #[test]
    fn without_a_key_the_whole_row_is_its_key() {
        let t = table("t", &[("a", "varchar(20)"), ("f", "float"), ("b", "date")], &[&["x", "0.1", "-"]]);
        let (place, values) = this_row(&t, 0).unwrap();
        assert_eq!(place, "`a` <=> ? AND `b` <=> ?");
        assert_eq!(values, [json!("x"), json!(null)]);
    }

    #[test]
    fn numbers_are_written_where_there_is_no_text() {
        let mut t = table("cuentas", &[("id", "int auto_increment"), ("saldo", "decimal(10,2)")], &[&["1", "1500.00"]]);
        t.uniques = vec![vec!["id".into()]];
        let target = Target { table: &t, row: Some(0), columns: vec![1] };
        let first = &updates(&target, &mut Dice::new())[0];
        assert_eq!(first.cells[0].column.name, "saldo");
        assert!(first.cells[0].value.parse::<f64>().is_ok());
    }
}

//! What a MySQL server says of its own tables, read from `information_schema` alike on every version and brand.

use std::time::Duration;

use super::open::Store;
use crate::agent::{ResultSet, Statement};
use crate::probe::ProbeError;
use crate::stack::table::{Column, Kind, Table, quote};

/// Tables that are read at most; more are not made by hand.
const MAX_TABLES: usize = 80;
/// Rows of a table that pages are compared with: the first, and of a larger one the last as well.
const FIRST_ROWS: u64 = 500;
const LAST_ROWS: u64 = 100;

/// How much of each table is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// Enough to recognise a page.
    Some,
    /// All, up to the limit of a look.
    All,
}

const WHERE: &str = "WHERE table_schema NOT IN ('information_schema', 'performance_schema', 'sys')";

/// Each brand has its own, and what the other understands is slow there; a server that is older knows no such constraint.
const MARIADB_CHECKS: &str =
    "SELECT constraint_schema AS s, table_name AS t, check_clause AS c FROM information_schema.check_constraints";
const MYSQL_CHECKS: &str = "SELECT tc.table_schema AS s, tc.table_name AS t, cc.check_clause AS c FROM information_schema.check_constraints cc \
     JOIN information_schema.table_constraints tc ON tc.constraint_schema = cc.constraint_schema \
     AND tc.constraint_name = cc.constraint_name WHERE tc.constraint_type = 'CHECK'";

/// The tables that somebody made, with their rows; in the order of their names.
pub async fn read(store: &Store, rows: Rows, timeout: Duration) -> Result<Vec<Table>, ProbeError> {
    let statements = [
        format!("SELECT table_schema AS s, table_name AS t FROM information_schema.tables {WHERE} AND table_type = 'BASE TABLE' ORDER BY 1, 2"),
        format!(
            "SELECT table_schema AS s, table_name AS t, column_name AS c, data_type AS d, column_type AS ct, is_nullable AS n, \
             column_default AS df, extra AS e, character_maximum_length AS l, numeric_precision AS p, numeric_scale AS sc \
             FROM information_schema.columns {WHERE} ORDER BY table_schema, table_name, ordinal_position"
        ),
        "SELECT k.table_schema AS s, k.table_name AS t, k.column_name AS c, k.constraint_name AS k, tc.constraint_type AS ty, \
             k.referenced_table_schema AS rs, k.referenced_table_name AS rt, k.referenced_column_name AS rc \
             FROM information_schema.key_column_usage k JOIN information_schema.table_constraints tc \
             ON tc.constraint_schema = k.constraint_schema AND tc.constraint_name = k.constraint_name \
             AND tc.table_schema = k.table_schema AND tc.table_name = k.table_name \
             WHERE k.table_schema NOT IN ('information_schema', 'performance_schema', 'sys', 'mysql') \
             ORDER BY k.table_schema, k.table_name, tc.constraint_type, k.constraint_name, k.ordinal_position"
            .to_owned(),
        if store.version.contains("MariaDB") { MARIADB_CHECKS } else { MYSQL_CHECKS }.to_owned(),
    ];
    let answers = store.ask(statements.into_iter().map(Statement::new).collect(), timeout).await?;
    let [tables, columns, keys, checks] = answers.as_slice() else {
        return Err(ProbeError::ours("the server left out an answer", "el servidor omitió una respuesta"));
    };
    for answer in [tables, columns] {
        if let Some(error) = &answer.error {
            return Err(ProbeError::ours(
                format!("the server's own description could not be read: {error}"),
                format!("no se pudo leer la descripción del propio servidor: {error}"),
            ));
        }
    }
    let checks = Some(checks).filter(|answer| answer.error.is_none());
    let mut out = describe(tables, columns, keys, checks);
    out.truncate(MAX_TABLES);
    fill(store, &mut out, rows, timeout).await?;
    Ok(out)
}

/// A cell of an answer.
fn cell(row: &[Option<String>], i: usize) -> &str {
    row.get(i).and_then(Option::as_deref).unwrap_or_default()
}

fn describe(tables: &ResultSet, columns: &ResultSet, keys: &ResultSet, checks: Option<&ResultSet>) -> Vec<Table> {
    let mut out: Vec<Table> = tables
        .rows
        .iter()
        .map(|row| Table { schema: cell(row, 0).to_owned(), name: cell(row, 1).to_owned(), ..Table::default() })
        .filter(|table| table.schema != "mysql" || !is_system(&table.name))
        .collect();
    let find = |out: &mut Vec<Table>, row: &[Option<String>]| {
        out.iter().position(|t| t.schema == cell(row, 0) && t.name == cell(row, 1))
    };
    for row in &columns.rows {
        if let Some(at) = find(&mut out, row) {
            out[at].columns.push(column(row));
        }
    }
    let mut unique: Option<(usize, String)> = None;
    for row in &keys.rows {
        let Some(at) = find(&mut out, row) else { continue };
        let (name, key, kind) = (cell(row, 2).to_owned(), cell(row, 3).to_owned(), cell(row, 4));
        match kind {
            "FOREIGN KEY" => {
                let to = (cell(row, 5).to_owned(), cell(row, 6).to_owned(), cell(row, 7).to_owned());
                if let Some(column) = out[at].columns.iter_mut().find(|c| c.name == name) {
                    column.references = Some(to);
                }
            }
            "PRIMARY KEY" | "UNIQUE" => {
                if unique.as_ref() != Some(&(at, key.clone())) {
                    let new = Vec::new();
                    if kind == "UNIQUE" {
                        out[at].uniques.push(new)
                    } else {
                        out[at].uniques.insert(0, new)
                    }
                    unique = Some((at, key));
                }
                let last = if kind == "UNIQUE" { out[at].uniques.last_mut() } else { out[at].uniques.first_mut() };
                if let Some(last) = last {
                    last.push(name);
                }
            }
            _ => {}
        }
    }
    for row in checks.iter().flat_map(|c| &c.rows) {
        if let Some(at) = find(&mut out, row) {
            let clause = cell(row, 2).to_owned();
            // How MariaDB says JSON.
            let json = clause.strip_prefix("json_valid(").and_then(|c| c.strip_suffix(')'));
            if let Some(name) = json.map(|c| c.trim_matches('`').to_owned())
                && let Some(column) = out[at].columns.iter_mut().find(|c| c.name == name)
            {
                column.data_type = "json".to_owned();
            } else {
                out[at].checks.push(clause);
            }
        }
    }
    out
}

fn column(row: &[Option<String>]) -> Column {
    let extra = cell(row, 7).to_ascii_lowercase();
    let default = row.get(6).cloned().flatten().filter(|d| d != "NULL");
    let now = |text: &str| {
        let text = text.to_ascii_lowercase();
        ["current_timestamp", "now()", "curdate", "current_date", "uuid()"].iter().any(|f| text.contains(f))
    };
    Column {
        name: cell(row, 2).to_owned(),
        data_type: cell(row, 3).to_ascii_lowercase(),
        column_type: cell(row, 4).to_owned(),
        nullable: cell(row, 5) == "YES",
        auto_increment: extra.contains("auto_increment"),
        // MySQL 8 says "DEFAULT_GENERATED" of a default that is an expression.
        generated: ["virtual", "stored", "persistent"].iter().any(|word| extra.contains(word)),
        stamped: extra.contains("on update") || default.as_deref().is_some_and(now),
        default,
        max_chars: cell(row, 8).parse().ok(),
        digits: cell(row, 9).parse().ok().map(|p| (p, cell(row, 10).parse().unwrap_or(0))),
        references: None,
    }
}

async fn fill(store: &Store, tables: &mut [Table], rows: Rows, timeout: Duration) -> Result<(), ProbeError> {
    if tables.is_empty() {
        return Ok(());
    }
    let select = |table: &Table| {
        let columns: Vec<String> = table.columns.iter().map(selected).collect();
        format!("SELECT {} FROM {}", columns.join(", "), table.quoted())
    };
    let mut statements = Vec::new();
    for table in tables.iter() {
        statements.push(Statement::new(format!("SELECT COUNT(*) FROM {}", table.quoted())));
        let limit = if rows == Rows::Some { format!(" LIMIT {FIRST_ROWS}") } else { String::new() };
        statements.push(Statement::new(select(table) + &limit));
    }
    let mut answers = store.ask(statements, timeout).await?.into_iter();
    let mut longer = Vec::new();
    for (at, table) in tables.iter_mut().enumerate() {
        let count = answers.next().unwrap_or_default();
        table.total = count.rows.first().and_then(|row| cell(row, 0).parse().ok()).unwrap_or(0);
        table.rows.extend(answers.next().unwrap_or_default().rows);
        let key: Vec<String> =
            table.uniques.first().iter().flat_map(|k| k.iter().map(|c| format!("{} DESC", quote(c)))).collect();
        if rows == Rows::Some && table.total > FIRST_ROWS && !key.is_empty() {
            let last = LAST_ROWS.min(table.total - FIRST_ROWS);
            let statement = format!("{} ORDER BY {} LIMIT {last}", select(table), key.join(", "));
            longer.push((at, Statement::new(statement)));
        }
    }
    if longer.is_empty() {
        return Ok(());
    }
    let (at, statements): (Vec<usize>, Vec<Statement>) = longer.into_iter().unzip();
    for (at, answer) in at.into_iter().zip(store.ask(statements, timeout).await?) {
        tables[at].rows.extend(answer.rows);
    }
    Ok(())
}

/// Bytes are compared by their sum: pictures in a table need not travel.
fn selected(column: &Column) -> String {
    let name = quote(&column.name);
    if column.kind() == Kind::Binary { format!("MD5({name})") } else { name }
}

/// Tables that the server itself keeps in `mysql`, on any version and brand.
fn is_system(name: &str) -> bool {
    const NAMES: [&str; 42] = [
        "column_stats",
        "columns_priv",
        "component",
        "db",
        "default_roles",
        "engine_cost",
        "event",
        "func",
        "general_log",
        "global_grants",
        "global_priv",
        "gtid_executed",
        "gtid_slave_pos",
        "help_category",
        "help_keyword",
        "help_relation",
        "help_topic",
        "host",
        "index_stats",
        "innodb_index_stats",
        "innodb_table_stats",
        "ndb_binlog_index",
        "password_history",
        "plugin",
        "proc",
        "procs_priv",
        "proxies_priv",
        "role_edges",
        "roles_mapping",
        "server_cost",
        "servers",
        "slow_log",
        "table_stats",
        "tables_priv",
        "time_zone",
        "time_zone_leap_second",
        "time_zone_name",
        "time_zone_transition",
        "time_zone_transition_type",
        "transaction_registry",
        "user",
        "user_attributes",
    ];
    NAMES.contains(&name)
        || name.starts_with("replication_")
        || name.starts_with("slave_")
        || name.starts_with("innodb_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(rows: &[&[&str]]) -> ResultSet {
        let rows = rows.iter().map(|row| row.iter().map(|v| (*v != "-").then(|| (*v).to_owned())).collect()).collect();
        ResultSet { rows, ..ResultSet::default() }
    }

    #[test]
    fn a_description_becomes_tables() {
        let tables = set(&[&["mysql", "user"], &["mysql", "notas"], &["tienda", "linea"], &["tienda", "pedido"]]);
        let columns = set(&[
            &["tienda", "linea", "id", "int", "int(11)", "NO", "-", "auto_increment", "-", "10", "0"],
            &["tienda", "linea", "pedido", "int", "int(11)", "NO", "-", "", "-", "10", "0"],
            &["tienda", "linea", "datos", "longtext", "longtext", "YES", "NULL", "", "4294967295", "-", "-"],
            &[
                "tienda",
                "linea",
                "creado",
                "timestamp",
                "timestamp",
                "NO",
                "current_timestamp()",
                "on update current_timestamp()",
                "-",
                "-",
                "-",
            ],
            &["tienda", "linea", "total", "decimal", "decimal(8,2)", "YES", "-", "VIRTUAL GENERATED", "-", "8", "2"],
            &["tienda", "linea", "nuevo", "datetime", "datetime", "YES", "now()", "DEFAULT_GENERATED", "-", "-", "-"],
            &["tienda", "pedido", "a", "char", "char(3)", "NO", "'x'", "", "3", "-", "-"],
            &["tienda", "pedido", "b", "char", "char(3)", "NO", "-", "", "3", "-", "-"],
        ]);
        let keys = set(&[
            &["tienda", "linea", "pedido", "fk", "FOREIGN KEY", "tienda", "pedido", "id"],
            &["tienda", "linea", "id", "PRIMARY", "PRIMARY KEY", "-", "-", "-"],
            &["tienda", "pedido", "a", "ab", "UNIQUE", "-", "-", "-"],
            &["tienda", "pedido", "b", "ab", "UNIQUE", "-", "-", "-"],
        ]);
        let checks = set(&[&["tienda", "linea", "json_valid(`datos`)"], &["tienda", "linea", "`total` > 0"]]);
        let out = describe(&tables, &columns, &keys, Some(&checks));
        let names: Vec<String> = out.iter().map(Table::full_name).collect();
        assert_eq!(names, ["mysql.notas", "tienda.linea", "tienda.pedido"]);
        let linea = &out[1];
        assert!(linea.columns[0].auto_increment);
        assert_eq!(linea.columns[1].references, Some(("tienda".into(), "pedido".into(), "id".into())));
        assert_eq!(linea.columns[2].kind(), Kind::Json);
        assert_eq!(linea.columns[2].default, None);
        assert!(linea.columns[3].stamped);
        assert!(linea.columns[4].generated);
        assert!(linea.columns[5].stamped && !linea.columns[5].generated);
        assert_eq!(linea.columns[4].digits, Some((8, 2)));
        assert_eq!(linea.checks, ["`total` > 0"]);
        assert_eq!(linea.uniques, [["id"]]);
        assert_eq!(out[2].uniques, [["a", "b"]]);
        assert_eq!(out[2].columns[0].max_chars, Some(3));
    }
}

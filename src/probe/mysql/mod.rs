//! `mysql`: a query at a role's own server, or whether it holds what the submission's SQL declares.

mod compare;
mod scratch;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;
use tokio::time::Instant;

use super::common::here;
use super::store::{self, Said, Store, schema};
use super::{Attempt, Observation, Probe, ProbeError, ProbeKind};
use crate::agent::Statement;
use crate::expect::{FactSpec, Facts, Unit};
use crate::scenario::tree::Decoder;
use crate::stack::Stack;
use crate::stack::declared::Declaration;
use crate::stack::table::quote;
use crate::text::Text;

pub static KIND: ProbeKind = ProbeKind {
    name: "mysql",
    summary: "A query at a role's own MySQL server, or a comparison with what the submission's SQL declares",
    facts: &[
        FactSpec { name: "connected", unit: Unit::Bool, summary: "the server answered at its container's own address" },
        FactSpec { name: "rows", unit: Unit::List, summary: "of `query`: one text a row, columns apart by ` | `" },
        FactSpec { name: "columns", unit: Unit::List, summary: "of `query`: the columns' names" },
        FactSpec {
            name: "missing_tables",
            unit: Unit::List,
            summary: "of `compare_with`: declared tables that are not there",
        },
        FactSpec {
            name: "missing_rows",
            unit: Unit::List,
            summary: "of `compare_with`: declared rows that are not there",
        },
        FactSpec {
            name: "rows_present",
            unit: Unit::Bool,
            summary: "of `compare_with`: some table that somebody made has a row",
        },
    ],
    example: "{id: init-applied, points: 8, mysql: {role: db, compare_with: submission_sql}, expect: {missing_tables: [], missing_rows: []}}",
    schema: || {
        json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["role"],
            "properties": {
                "role": {"type": "string", "description": "whose server is asked"},
                "query": {"type": "string", "description": "one statement that only reads"},
                "database": {"type": "string", "description": "the schema that the query is meant in"},
                "compare_with": {"enum": ["submission_sql"], "description": "instead of `query`: what the submission's own SQL files declare"}
            },
            "oneOf": [{"required": ["query"]}, {"required": ["compare_with"]}]
        })
    },
    decode: |d| decode(d).map(|probe| Box::new(probe) as Box<dyn Probe>),
};

struct Mysql {
    role: String,
    what: What,
}

enum What {
    Query { sql: String, database: Option<String> },
    Compare,
}

fn decode(d: &mut Decoder<'_>) -> Option<Mysql> {
    let role = d.role("role");
    let sql = d.text("query");
    let database = d.text("database");
    let compare = d.word("compare_with", &["submission_sql"]);
    let what = match (sql, compare) {
        (Some(sql), None) => What::Query { sql, database },
        (None, Some(_)) => What::Compare,
        (Some(_), Some(_)) => {
            d.problem_with("compare_with", "`query` and `compare_with` are two checks", Some("write one for each"));
            return None;
        }
        (None, None) => {
            if !d.has("query") && !d.has("compare_with") {
                d.problem_with("query", "`query` or `compare_with` is missing", None);
            }
            return None;
        }
    };
    Some(Mysql { role: role?, what })
}

/// Begins to find out what the submission's SQL declares for a role's store, in the background; the first call counts.
/// To be called as soon as the store's container has been created: it takes as long as a first start of the server.
pub fn start_declaring(stack: &Arc<Stack>, role: &str) {
    let (with, role) = (stack.clone(), role.to_owned());
    stack.declared.start(async move { scratch::declare(&with, &role).await });
}

#[async_trait]
impl Probe for Mysql {
    fn roles(&self) -> Vec<String> {
        vec![self.role.clone()]
    }

    fn begin(&self, stack: &Arc<Stack>) {
        if matches!(self.what, What::Compare) {
            start_declaring(stack, &self.role);
        }
    }

    fn before_visits(&self) -> bool {
        matches!(self.what, What::Compare)
    }

    async fn observe(&self, stack: &Arc<Stack>, attempt: Attempt) -> Result<Observation, ProbeError> {
        let until = Instant::now() + attempt.timeout;
        // Where nobody began it, it begins now.
        self.begin(stack);
        let store = here!(store::open(stack, &self.role, attempt.timeout).await?, absent);
        match &self.what {
            What::Query { sql, database } => query(&store, sql, database.as_deref(), attempt).await,
            What::Compare => {
                let Ok(declared) = tokio::time::timeout_at(until, stack.declared.get()).await else {
                    return Err(ProbeError::ours(
                        "what the submission's SQL declares is still being found out on a scratch server",
                        "todavía se está averiguando en un servidor de prueba qué declara el SQL de la entrega",
                    ));
                };
                let declared = declared.ok_or_else(|| {
                    ProbeError::ours(
                        "the scratch server for the submission's SQL was lost",
                        "se perdió el servidor de prueba para el SQL de la entrega",
                    )
                })?;
                compare(&store, &declared, attempt).await
            }
        }
    }
}

fn absent(why: Text) -> Result<Observation, ProbeError> {
    let facts = Facts::from([("connected".to_owned(), json!(false))]);
    Ok(Observation { explanation: Some(why), ..Observation::of(facts) })
}

/// The statement has a mistake of its own: the scenario's, not the submission's.
const SYNTAX: u16 = 1064;

async fn query(store: &Store, sql: &str, database: Option<&str>, attempt: Attempt) -> Result<Observation, ProbeError> {
    let name = |n: &str| {
        store.container.env.iter().find_map(|pair| pair.strip_prefix(n)?.strip_prefix('=').map(str::to_owned))
    };
    let database = database.map(str::to_owned).or_else(|| name("MYSQL_DATABASE")).or_else(|| name("MARIADB_DATABASE"));
    // Old servers know no such transaction, and go on without one.
    let mut statements = vec![Statement::new("SET SESSION TRANSACTION READ ONLY")];
    statements.extend(database.map(|d| Statement::new(format!("USE {}", quote(&d)))));
    statements.push(Statement::new(sql));
    let answers = match store.say(statements, attempt.timeout).await? {
        Said::Answer(answers, _) => answers,
        Said::Denied(message) | Said::Nothing(message) => return absent(Text::same(message)),
    };
    let answer = answers.into_iter().next_back().unwrap_or_default();
    let mut facts = Facts::from([("connected".to_owned(), json!(true))]);
    if let Some(error) = answer.error {
        if answer.error_code == Some(SYNTAX) {
            return Err(ProbeError::ours(
                format!("the scenario's query is refused: {error}"),
                format!("la consulta del escenario es rechazada: {error}"),
            ));
        }
        let explanation = Text::new(format!("the server says: {error}"), format!("el servidor dice: {error}"));
        return Ok(Observation { explanation: Some(explanation), ..Observation::of(facts) });
    }
    let row =
        |row: &Vec<Option<String>>| row.iter().map(|v| v.as_deref().unwrap_or("NULL")).collect::<Vec<_>>().join(" | ");
    facts.insert("rows".to_owned(), json!(answer.rows.iter().map(row).collect::<Vec<_>>()));
    facts.insert("columns".to_owned(), json!(answer.columns));
    Ok(Observation::of(facts))
}

async fn compare(store: &Store, declared: &Declaration, attempt: Attempt) -> Result<Observation, ProbeError> {
    let held = schema::read(store, schema::Rows::All, attempt.timeout).await?;
    let present = held.iter().any(|table| table.total > 0);
    let mut notes = Vec::new();
    let mut explanation = None;
    let missing = match declared {
        Declaration::Unknown { reason, text } => return Err(ProbeError { reason: *reason, text: text.clone() }),
        Declaration::Broken(text) => {
            explanation = Some(text.clone());
            compare::Missing { tables: vec![text.en.clone()], rows: Vec::new() }
        }
        Declaration::Tables { tables, scripts, made_up } if !tables.is_empty() => {
            let all = scripts.join(", ");
            let rows: u64 = tables.iter().map(|t| t.total).sum();
            let count = tables.len();
            notes.push(Text::new(
                format!("declared: {count} tables, {rows} rows ({all})"),
                format!("declarado: {count} tablas, {rows} filas ({all})"),
            ));
            let missing = compare::missing(tables, &held, made_up.as_deref());
            if !missing.tables.is_empty() {
                let (list, all) = (missing.tables.join(", "), if all.is_empty() { "SQL".to_owned() } else { all });
                explanation = Some(Text::new(
                    format!("{all} creates {list}, and the database does not have it: the script was not applied"),
                    format!("{all} crea {list}, y la base de datos no lo tiene: el script no se aplicó"),
                ));
            } else if !missing.rows.is_empty() {
                explanation = Some(Text::new(
                    "the tables are there, but rows that the scripts insert are not",
                    "las tablas están, pero faltan filas que los scripts insertan",
                ));
            }
            missing
        }
        Declaration::Tables { .. } | Declaration::Nothing => {
            let made = held.iter().any(|table| !table.columns.is_empty());
            explanation = (!present).then(|| {
                Text::new(
                    "the submission has no SQL that fills the database, and the database is empty",
                    "la entrega no tiene SQL que llene la base de datos, y la base de datos está vacía",
                )
            });
            compare::Missing {
                tables: if made { Vec::new() } else { vec!["a table of its own".to_owned()] },
                rows: if present { Vec::new() } else { vec!["any row".to_owned()] },
            }
        }
    };
    let facts = Facts::from([
        ("connected".to_owned(), json!(true)),
        ("missing_tables".to_owned(), json!(missing.tables)),
        ("missing_rows".to_owned(), json!(missing.rows)),
        ("rows_present".to_owned(), json!(present)),
    ]);
    Ok(Observation { explanation, notes, ..Observation::of(facts) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::tree;

    fn problems(text: &str) -> Vec<String> {
        let node = tree::read(text, "s.yaml").unwrap();
        let mut problems = Vec::new();
        let mut d = Decoder::new(&node, &mut problems);
        decode(&mut d);
        d.finish();
        problems.into_iter().map(|p| p.message).collect()
    }

    #[test]
    fn it_asks_or_compares() {
        assert_eq!(problems("{role: db, query: SELECT 1}"), Vec::<String>::new());
        assert_eq!(problems("{role: db, compare_with: submission_sql}"), Vec::<String>::new());
        assert_eq!(problems("{role: db}"), ["`query` or `compare_with` is missing"]);
        assert_eq!(
            problems("{role: db, query: x, compare_with: submission_sql}"),
            ["`query` and `compare_with` are two checks"]
        );
    }
}

//! `page`: the page of a role shows rows that are in the database of another.

mod blame;
mod entities;
mod html;
pub mod links;
mod places;
pub mod rows;
pub mod text;
pub mod trouble;
mod values;
pub mod walk;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;
use tokio::time::Instant;

use self::text::PageText;
use self::walk::{Page, Reach, Walk, Walked};
use super::common::{Found, here, player};
use super::store::{self, schema};
use super::{Attempt, Observation, Probe, ProbeError, ProbeKind, SETTLED, dials};
use crate::docker::Container;
use crate::expect::{FactSpec, Facts, Unit};
use crate::scenario::tree::Decoder;
use crate::stack::Stack;
use crate::stack::table::Table;
use crate::text::Text;

pub static KIND: ProbeKind = ProbeKind {
    name: "page",
    summary: "The page of a role shows rows of a database",
    facts: &[
        FactSpec {
            name: "status",
            unit: Unit::Number,
            summary: "of the page that shows rows, else of the first that answered",
        },
        FactSpec { name: "rows_shown", unit: Unit::Number, summary: "rows of the database that are on it" },
        FactSpec { name: "url", unit: Unit::Text, summary: "where" },
        FactSpec {
            name: "database_error",
            unit: Unit::Bool,
            summary: "it prints a database's error instead, whatever its status",
        },
    ],
    example: "{id: page, points: 7, page: {role: app, rows_of: db}, expect: {status: 200, rows_shown: {ge: 1}}}",
    schema: || {
        json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["role", "rows_of"],
            "properties": {
                "role": {"type": "string", "description": "whose page it is"},
                "rows_of": {"type": "string", "description": "the role of the database"},
                "follow": {
                    "type": "object",
                    "additionalProperties": false,
                    "properties": {
                        "redirects": {"type": "boolean", "default": true},
                        "links": {"type": "integer", "minimum": 0, "maximum": 10, "default": 10,
                                  "description": "links of the first page that are followed while no row is shown"}
                    }
                },
                "paths": {"type": "array", "items": {"type": "string"}, "description": "tried last: `/list`"}
            }
        })
    },
    decode: |d| decode(d).map(|probe| Box::new(probe) as Box<dyn Probe>),
};

/// Of the application's log, where its page is no good.
const LOG_LINES: usize = 80;
/// Where a store of the MySQL family listens.
const STORE_PORT: u16 = 3306;
/// Links that are followed at most, whatever is asked for.
const MAX_LINKS: usize = 10;

struct PageProbe {
    role: String,
    rows_of: String,
    reach: Reach,
}

fn decode(d: &mut Decoder<'_>) -> Option<PageProbe> {
    let role = d.role("role");
    let rows_of = d.role("rows_of");
    let paths = d.some_texts("paths").into_iter().map(|(path, _)| path).collect();
    let follow = d.map("follow", |f| {
        let redirects = f.bool_or("redirects", true);
        let links = f.int("links").unwrap_or(10);
        if !(0..=10).contains(&links) {
            f.problem_with("links", "`links` must be a number from 0 to 10", None);
        }
        Some((redirects, usize::try_from(links).unwrap_or(0).min(MAX_LINKS)))
    });
    let (redirects, links) = follow.unwrap_or((true, MAX_LINKS));
    Some(PageProbe { role: role?, rows_of: rows_of?, reach: Reach { redirects, links, paths } })
}

#[async_trait]
impl Probe for PageProbe {
    fn roles(&self) -> Vec<String> {
        vec![self.role.clone(), self.rows_of.clone()]
    }

    fn visits(&self) -> bool {
        true
    }

    async fn observe(&self, stack: &Arc<Stack>, attempt: Attempt) -> Result<Observation, ProbeError> {
        let until = Instant::now() + attempt.timeout;
        let app: Container = here!(player(stack, &self.role).await?, absent);
        let since = stack.now_at(stack.spot_of(&app)).await;
        // A database that cannot be looked into matters only if the page itself is as it should be.
        let before = held(stack, &self.rows_of, attempt).await;
        let tables = match &before {
            Ok(Found::Here(tables)) => tables.as_slice(),
            _ => &[],
        };
        let containers = stack.containers().await?;
        let agent = stack.home.agents.lab().await?;
        let mut walk = Walk::new(stack, &self.role, &containers, &agent, until);
        if !walk.has_doors() {
            let service = &app.service;
            return absent(Text::new(
                format!("service {service} publishes no port, so its page cannot be seen"),
                format!("el servicio {service} no publica ningún puerto, así que su página no se puede ver"),
            ));
        }
        let walked = walk.walk(tables, &self.reach).await?;
        let Some(page) = &walked.page else {
            let why = walked.nothing.clone().unwrap_or_default();
            return absent(Text::new(format!("nothing answers at {why}"), format!("nada responde en {why}")));
        };
        let mut observation = observation(page, &walked, tables);
        let good = (200..300).contains(&page.status) && page.database_error().is_none();
        if !good {
            // A framework hides the reason from the visitor; the application's own log has it.
            let said = match page.database_error() {
                Some(error) => {
                    let seen = PageText::seen(&page.response.body, page.response.content_type());
                    Some(trouble::sentence(&seen).unwrap_or(error))
                }
                None => trouble::in_log(&stack.spot_of(&app).engine.logs(&app.id, None, Some(LOG_LINES)).await?),
            };
            // What it printed before or prints later is not about this page.
            observation.printed =
                stack.spot_of(&app).engine.logs(&app.id, Some(since), Some(LOG_LINES)).await.unwrap_or_default();
            if let Found::Here(store) = player(stack, &self.rows_of).await? {
                // What was heard of it names the cause; what it says itself is a help, and may be missing.
                let heard = dials::hear(stack, &app, &store, &containers, STORE_PORT, attempt.timeout).await;
                let heard = heard.ok().flatten();
                if let Some(heard) = &heard {
                    (observation.dialled, observation.ports) = blame::to_blame(heard, &store.names);
                }
                let dialled = heard.map(|heard| heard.dialled);
                if attempt.waited >= dials::DETOUR && dialled.as_ref().is_some_and(dials::Dialled::astray) {
                    observation.conditions.push(SETTLED.to_owned());
                }
                let cause = dialled.and_then(|dialled| dialled.trouble(&store.names));
                observation.explanation = match (cause, said) {
                    (Some(cause), said) => Some(cause_text(page, &cause, said.as_deref())),
                    (None, Some(error)) => Some(trouble_text(page, &error, &store.names)),
                    (None, None) => observation.explanation,
                };
            } else if let Some(error) = said {
                observation.explanation = Some(trouble_text(page, &error, &[]));
            }
            return Ok(observation);
        }
        match before? {
            Found::Absent(why) => observation.explanation = Some(why),
            Found::Here(tables) if page.shown.is_empty() && !rows::recognisable(&tables) => {
                return Err(nothing_to_recognise(&tables));
            }
            Found::Here(tables) => {
                let after = here!(held(stack, &self.rows_of, attempt).await?, absent);
                unchanged(&tables, &after, page)?;
            }
        }
        if page.has_rows() {
            let found = json!({"url": page.url.as_str()});
            stack.notebook.lock().await.insert(notebook_key(&self.role), found);
        }
        Ok(observation)
    }
}

/// Under which the notebook has where a role's rows are shown: `{url}`.
pub fn notebook_key(role: &str) -> String {
    format!("page:{role}")
}

async fn held(stack: &Stack, role: &str, attempt: Attempt) -> Result<Found<Vec<Table>>, ProbeError> {
    match store::open(stack, role, attempt.timeout).await? {
        Found::Here(store) => Ok(Found::Here(schema::read(&store, schema::Rows::Some, attempt.timeout).await?)),
        Found::Absent(why) => Ok(Found::Absent(why)),
    }
}

fn absent(why: Text) -> Result<Observation, ProbeError> {
    let facts = Facts::from([("rows_shown".to_owned(), json!(0))]);
    Ok(Observation { explanation: Some(why), ..Observation::of(facts) })
}

/// Looking must change nothing: what was seen of tables that it changed proves nothing.
fn unchanged(before: &[Table], after: &[Table], page: &Page) -> Result<(), ProbeError> {
    for (i, table) in before.iter().enumerate() {
        let now = after.iter().find(|t| t.full_name() == table.full_name()).map_or(0, |t| t.total);
        let matters = page.shown.is_empty() || page.shown.iter().any(|s| s.table == i);
        if matters && now != table.total {
            let (name, was, url) = (table.full_name(), table.total, &page.url);
            return Err(ProbeError::unproven(
                format!("looking at {url} changed {name} from {was} rows to {now}, so what it shows proves nothing"),
                format!("mirar {url} cambió {name} de {was} filas a {now}, así que lo que muestra no prueba nada"),
            ));
        }
    }
    Ok(())
}

fn nothing_to_recognise(tables: &[Table]) -> ProbeError {
    if tables.iter().all(|t| t.total == 0) {
        return ProbeError::unproven(
            "the page answers, and the database has no row that it could show",
            "la página responde, y la base de datos no tiene ninguna fila que pudiera mostrar",
        );
    }
    ProbeError::unproven(
        "the page answers, and no row of the database has a value that would be recognised on it (only small numbers)",
        "la página responde, y ninguna fila de la base de datos tiene un valor que pudiera reconocerse en ella (solo números pequeños)",
    )
}

fn observation(page: &Page, walked: &Walked, tables: &[Table]) -> Observation {
    let error = page.database_error();
    let facts = Facts::from([
        ("status".to_owned(), json!(page.status)),
        ("rows_shown".to_owned(), json!(page.shown.len())),
        ("url".to_owned(), json!(page.url.as_str())),
        ("database_error".to_owned(), json!(error.is_some())),
    ]);
    let (url, status) = (&page.url, page.status);
    let said = PageText::excerpt(&page.response.body, page.response.content_type());
    let explanation = if !(200..300).contains(&status) {
        Some(Text::new(format!("{url} answers {status}: {said}"), format!("{url} responde {status}: {said}")))
    } else if page.shown.is_empty() {
        let count = walked.looked.len();
        Some(Text::new(
            format!(
                "{url} answers {status} and shows no row of the database ({count} pages were looked at); it says: {said}"
            ),
            format!(
                "{url} responde {status} y no muestra ninguna fila de la base de datos (se miraron {count} páginas); dice: {said}"
            ),
        ))
    } else {
        None
    };
    let mut notes = Vec::new();
    if let Some(first) = page.shown.first() {
        let table = tables.get(first.table).map(Table::full_name).unwrap_or_default();
        let count = page.shown.len();
        notes.push(Text::new(
            format!("{url} shows {count} rows, of {table}"),
            format!("{url} muestra {count} filas, de {table}"),
        ));
        if page.fetched {
            notes.push(Text::new(
                "the rows are in what a script of the page fetches: a visitor sees them only where the browser can reach that address",
                "las filas están en lo que pide un script de la página: el visitante solo las ve si su navegador alcanza esa dirección",
            ));
        }
    }
    let walk = (walked.looked.join("\n") + "\n").into_bytes();
    let evidence = vec![("page.txt".to_owned(), page.response.evidence()), ("walk.txt".to_owned(), walk)];
    Observation { explanation, notes, evidence, ..Observation::of(facts) }
}

/// Whom the application was heard to dial, with what it says itself of that, if anything.
fn cause_text(page: &Page, cause: &Text, said: Option<&str>) -> Text {
    let (url, status) = (&page.url, page.status);
    let said = said.map(|error| format!(" ({error})")).unwrap_or_default();
    Text::new(
        format!("{url} answers {status}: {}{said}", cause.en),
        format!("{url} responde {status}: {}{said}", cause.es),
    )
}

/// A database's error in words; whom the application dialled, where the error names it. `names` are the store's own.
fn trouble_text(page: &Page, error: &str, names: &[String]) -> Text {
    let (url, status) = (&page.url, page.status);
    let Some(host) = trouble::dialled(error) else {
        return Text::new(
            format!("{url} answers {status}, and the database's error is: {error}"),
            format!("{url} responde {status}, y el error de la base de datos es: {error}"),
        );
    };
    match names.first() {
        Some(name) if !names.iter().any(|n| n.eq_ignore_ascii_case(host)) => Text::new(
            format!("{url} answers {status}: the app dials `{host}`, and your database is `{name}` ({error})"),
            format!(
                "{url} responde {status}: la aplicación llama a `{host}`, y su base de datos es `{name}` ({error})"
            ),
        ),
        _ => Text::new(
            format!("{url} answers {status}: the app dials `{host}`, and no server lets it in there ({error})"),
            format!(
                "{url} responde {status}: la aplicación llama a `{host}`, y allí ningún servidor la atiende ({error})"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::tree;

    fn decoded(text: &str) -> (Option<PageProbe>, Vec<String>) {
        let node = tree::read(text, "s.yaml").unwrap();
        let mut problems = Vec::new();
        let mut d = Decoder::new(&node, &mut problems);
        let probe = decode(&mut d);
        d.finish();
        (probe, problems.into_iter().map(|p| p.message).collect())
    }

    #[test]
    fn how_far_it_goes_is_written_or_ten_links() {
        let (probe, problems) = decoded("{role: app, rows_of: db, follow: {links: 3}, paths: [/list]}");
        assert!(problems.is_empty());
        let reach = probe.unwrap().reach;
        assert_eq!((reach.redirects, reach.links, reach.paths), (true, 3, vec!["/list".to_owned()]));
        assert_eq!(decoded("{role: app, rows_of: db}").0.unwrap().reach.links, 10);
        assert_eq!(decoded("{role: app, rows_of: db, follow: {links: 11}}").1.len(), 1);
    }

    #[test]
    fn an_error_names_whom_the_app_dials() {
        let url = url::Url::parse("http://x/").unwrap();
        let response = super::super::visit::Response {
            url: url.clone(),
            status: 500,
            headers: vec![],
            body: vec![],
            elapsed_s: 0.0,
        };
        let page = Page { url, status: 500, response, text: PageText::default(), shown: vec![], fetched: false };
        let names = ["db".to_owned(), "x_db_1".to_owned()];
        let said = |error: &str| trouble_text(&page, error, &names).en;
        let text = said("Can't connect to MySQL server on '192.168.1.20' (111)");
        assert!(text.contains("the app dials `192.168.1.20`, and your database is `db`"), "{text}");
        let text = said("Can't connect to MySQL server on 'DB:3306' (111)");
        assert!(text.contains("the app dials `DB`, and no server lets it in there"), "{text}");
        let text = said("Access denied for user 'root'@'172.18.0.3'");
        assert!(text.ends_with("the database's error is: Access denied for user 'root'@'172.18.0.3'"), "{text}");
    }
}

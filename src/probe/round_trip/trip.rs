//! The exercise: something fresh is written into the database and looked for on the page; then it is undone.
//!
//! A fresh row first, then a fresh value in a row that the page shows, then both with the application started anew. What
//! the page shows by then, it has from the database.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};
use url::Url;

use super::nonce::Dice;
use super::restart;
use super::write::{self, Cell, Target, Write};
use crate::agent::Statement;
use crate::agent::client::Agent;
use crate::probe::ProbeError;
use crate::probe::common::{Found, Published, published};
use crate::probe::page::text::PageText;
use crate::probe::page::walk::{Reach, Walk, Walked};
use crate::probe::page::{notebook_key, rows};
use crate::probe::store::{self, Store, schema};
use crate::probe::visit::Got;
use crate::stack::Stack;
use crate::stack::table::Table;
use crate::text::Text;

/// A page that is cached for 5 s showed a fresh row after 7 s.
const SHOWN_WITHIN: Duration = Duration::from_secs(8);
/// A row that a live page shows is there at the next visit; after this the second way is tried beside the first.
const ROW_ALONE: Duration = Duration::from_secs(2);
/// After a restart nothing is cached.
const AFTER_RESTART: Duration = Duration::from_secs(5);
const EVERY: Duration = Duration::from_millis(250);
const ATTEMPT: Duration = Duration::from_secs(20);
/// Tables that are written to where the page shows rows of many, or of none that could be recognised.
const MAX_TABLES: usize = 6;

/// What came of it, kept in the notebook for the check that asks for the other half.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Trip {
    /// `insert` or `update`, and where, without a restart.
    pub(super) live: Option<Sighting>,
    /// The application was started anew to see; and what was seen then.
    pub(super) restarted: bool,
    pub(super) later: Option<Sighting>,
    /// Why nothing could be seen, where there is more to say than that it was not.
    pub(super) why: Option<Text>,
    pub(super) notes: Vec<Text>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Sighting {
    pub(super) how: String,
    /// `reserva.aves.nombre at http://…/`.
    pub(super) place: String,
    pub(super) after_s: f64,
}

/// Something that stands in the database now.
struct Standing {
    how: &'static str,
    write: Write,
}

/// Runs the exercise; with `restart`, to its end.
pub(super) async fn run(stack: &Arc<Stack>, db: &str, app: &str, restart: bool) -> Result<Trip, ProbeError> {
    let store = match store::open(stack, db, ATTEMPT).await? {
        Found::Here(store) => store,
        Found::Absent(why) => return Ok(Trip { why: Some(why), ..Trip::default() }),
    };
    let tables = schema::read(&store, schema::Rows::Some, ATTEMPT).await?;
    if tables.is_empty() {
        return Err(ProbeError::unproven(
            "there is no table to write a fresh row into",
            "no hay ninguna tabla en la que escribir una fila nueva",
        ));
    }
    let agent = stack.home.agents.lab().await?;
    let mut eyes = match Eyes::open(stack, app, &agent, &tables).await? {
        Found::Here(eyes) => eyes,
        Found::Absent(why) => return Ok(Trip { why: Some(why), ..Trip::default() }),
    };
    let mut standing = Vec::new();
    let mut trip = Trip::default();
    let tried = write_and_look(stack, &store, &tables, &mut eyes, &mut standing, &mut trip, restart).await;
    // Whatever happened, what was written is taken back.
    trip.notes.extend(undo(&store, &standing).await);
    tried.map(|()| trip)
}

async fn write_and_look(
    stack: &Arc<Stack>,
    store: &Store,
    tables: &[Table],
    eyes: &mut Eyes<'_>,
    standing: &mut Vec<Standing>,
    trip: &mut Trip,
    restart: bool,
) -> Result<(), ProbeError> {
    let targets = targets(tables, &eyes.shown);
    let mut dice = Dice::new();
    let mut refused = None;
    for target in &targets {
        match try_all(store, write::inserts(target, &mut dice)).await? {
            Ok(write) => standing.push(Standing { how: "insert", write }),
            Err(message) => refused = message.or(refused),
        }
    }
    if !standing.is_empty() {
        trip.live = eyes.watch(standing, ROW_ALONE).await?;
    }
    if trip.live.is_none() {
        for target in &targets {
            match try_all(store, write::updates(target, &mut dice)).await? {
                Ok(write) => standing.push(Standing { how: "update", write }),
                Err(message) => refused = message.or(refused),
            }
        }
        if standing.is_empty() {
            let why = refused.unwrap_or_else(|| "no column can hold a made-up value".to_owned());
            return Err(ProbeError::unproven(
                format!("nothing fresh can be written into the tables: {why}"),
                format!("no se puede escribir nada nuevo en las tablas: {why}"),
            ));
        }
        trip.live = eyes.watch(standing, SHOWN_WITHIN).await?;
    }
    if trip.live.is_none() && restart {
        trip.restarted = true;
        match restart::all_but(stack, &store.container.service).await? {
            Found::Absent(why) => trip.why = Some(why),
            Found::Here(()) => {
                if eyes.wait_for_answer().await? {
                    trip.later = eyes.watch(standing, AFTER_RESTART).await?;
                } else {
                    trip.why = Some(Text::new(
                        "the page did not answer any more after the application was started anew",
                        "la página ya no respondió después de reiniciar la aplicación",
                    ));
                }
            }
        }
    }
    Ok(())
}

/// Where to write: the tables whose rows the page shows; where none could be recognised, all of them.
fn targets<'a>(tables: &'a [Table], shown: &[rows::Shown]) -> Vec<Target<'a>> {
    let mut out: Vec<(usize, Target<'a>)> = Vec::new();
    for (t, table) in tables.iter().enumerate() {
        let mine: Vec<&rows::Shown> = shown.iter().filter(|s| s.table == t).collect();
        let mut columns: Vec<usize> = Vec::new();
        for column in mine.iter().flat_map(|s| &s.columns) {
            if !columns.contains(column) {
                columns.push(*column);
            }
        }
        let mut row = mine.first().map(|s| s.row);
        if shown.is_empty() {
            columns = (0..table.columns.len()).collect();
            row = (!table.rows.is_empty()).then_some(0);
        }
        if !columns.is_empty() {
            out.push((mine.len(), Target { table, row, columns }));
        }
    }
    out.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    out.into_iter().map(|(_, target)| target).take(MAX_TABLES).collect()
}

/// The first of these that the server takes, or the last reason why it takes none.
async fn try_all(store: &Store, writes: Vec<Write>) -> Result<Result<Write, Option<String>>, ProbeError> {
    let mut refused = None;
    for write in writes {
        let answers = store.ask(vec![write.run.clone()], ATTEMPT).await?;
        match answers.into_iter().next() {
            Some(answer) if answer.error.is_none() && answer.affected > 0 => return Ok(Ok(write)),
            Some(answer) => refused = answer.error.or(refused),
            None => {}
        }
    }
    Ok(Err(refused))
}

/// Takes back what stands, the last first. What could not be is said.
async fn undo(store: &Store, standing: &[Standing]) -> Vec<Text> {
    let mut notes = Vec::new();
    for Standing { write, .. } in standing.iter().rev() {
        let cell = write.cells.first();
        let left = cell.map(|c| {
            let name = crate::stack::table::quote(&c.column.name);
            let table = c.table.split_once('.').map_or_else(String::new, |(s, t)| {
                format!("{}.{}", crate::stack::table::quote(s), crate::stack::table::quote(t))
            });
            Statement::with(format!("SELECT COUNT(*) FROM {table} WHERE {name} = ?"), vec![serde_json::json!(c.value)])
        });
        let statements = std::iter::once(write.undo.clone()).chain(left).collect();
        let done = match store.ask(statements, ATTEMPT).await {
            Ok(answers) => {
                let refused = answers.iter().any(|a| a.error.is_some());
                let left = answers.get(1).and_then(|a| a.rows.first()?.first()?.clone());
                !refused && left.is_none_or(|n| n == "0")
            }
            Err(_) => false,
        };
        if !done {
            let table = cell.map(|c| c.table.clone()).unwrap_or_default();
            notes.push(Text::new(
                format!("what was written into {table} could not be taken back"),
                format!("lo que se escribió en {table} no se pudo deshacer"),
            ));
        }
    }
    notes
}

/// The pages on which to look.
struct Eyes<'a> {
    stack: &'a Stack,
    app: &'a str,
    agent: &'a Agent,
    /// One where rows are shown; else all that answered.
    urls: Vec<Url>,
    /// What the port of each led to when they were found.
    doors: Vec<Option<Published>>,
    shown: Vec<rows::Shown>,
}

impl<'a> Eyes<'a> {
    async fn open(
        stack: &'a Stack,
        app: &'a str,
        agent: &'a Agent,
        tables: &[Table],
    ) -> Result<Found<Self>, ProbeError> {
        let containers = stack.containers().await?;
        let mut eyes = Self { stack, app, agent, urls: Vec::new(), doors: Vec::new(), shown: Vec::new() };
        let mut walk = Walk::new(stack, app, &containers, agent, Instant::now() + ATTEMPT);
        if !walk.has_doors() {
            return Ok(Found::Absent(Text::new(
                format!("{app} publishes no port, so its page cannot be seen"),
                format!("{app} no publica ningún puerto, así que su página no se puede ver"),
            )));
        }
        // Where rows were shown before, as the page's own check went there.
        let known = stack.notebook.lock().await.get(&notebook_key(app)).cloned().unwrap_or_default();
        let path = known["url"].as_str().and_then(|url| Url::parse(url).ok()).map(|url| {
            let query = url.query().map(|q| format!("?{q}")).unwrap_or_default();
            format!("{}{query}", url.path())
        });
        let reach = Reach { redirects: true, links: 10, paths: path.into_iter().collect() };
        let Walked { page, nothing, answered, .. } = walk.walk(tables, &reach).await?;
        match page {
            Some(page) if page.has_rows() => {
                eyes.shown = page.shown;
                eyes.urls = vec![page.url];
            }
            _ => eyes.urls = answered,
        }
        if eyes.urls.is_empty() {
            let why = nothing.unwrap_or_else(|| "no page answers well".to_owned());
            return Ok(Found::Absent(Text::new(
                format!("there is no page to look at: {why}"),
                format!("no hay página que mirar: {why}"),
            )));
        }
        let doors = published(&containers);
        let door = |url: &Url| doors.iter().find(|d| Some(d.host) == url.port_or_known_default()).cloned();
        eyes.doors = eyes.urls.iter().map(door).collect();
        Ok(Found::Here(eyes))
    }

    /// Looks until one of the fresh values is seen, or time is over.
    async fn watch(&self, standing: &[Standing], within: Duration) -> Result<Option<Sighting>, ProbeError> {
        let began = Instant::now();
        loop {
            let last = began.elapsed() >= within;
            for url in &self.urls {
                let containers = Vec::new();
                let mut walk = Walk::new(self.stack, self.app, &containers, self.agent, Instant::now() + ATTEMPT);
                let Got::Response(response) = walk.get(url, true).await? else { continue };
                let text = PageText::read(&response.body, response.content_type());
                if let Some((how, cell)) = seen(&text, standing) {
                    let place = format!("{}.{} at {url}", cell.table, cell.column.name);
                    let after_s = began.elapsed().as_secs_f64();
                    return Ok(Some(Sighting { how: how.to_owned(), place, after_s }));
                }
            }
            if last {
                return Ok(None);
            }
            sleep(EVERY).await;
        }
    }

    /// The page answers again, within a minute of its start; at another port where the engine chose a new one.
    async fn wait_for_answer(&mut self) -> Result<bool, ProbeError> {
        let until = Instant::now() + Duration::from_secs(60);
        while Instant::now() < until {
            self.find_doors_again().await?;
            for url in &self.urls {
                let mut walk = Walk::new(self.stack, self.app, &[], self.agent, Instant::now() + ATTEMPT);
                if let Got::Response(response) = walk.get(url, true).await?
                    && response.status < 500
                {
                    return Ok(true);
                }
            }
            sleep(EVERY).await;
        }
        Ok(false)
    }

    async fn find_doors_again(&mut self) -> Result<(), ProbeError> {
        let now = published(&self.stack.containers().await?);
        for (url, door) in self.urls.iter_mut().zip(&self.doors) {
            let same =
                |d: &&Published| door.as_ref().is_some_and(|o| (&d.service, d.container) == (&o.service, o.container));
            if let Some(new) = now.iter().find(same) {
                url.set_port(Some(new.host)).ok();
            }
        }
        Ok(())
    }
}

/// The first fresh value that the page shows.
fn seen<'s>(text: &PageText, standing: &'s [Standing]) -> Option<(&'static str, &'s Cell)> {
    let all = standing.iter().flat_map(|s| s.write.cells.iter().map(|c| (s.how, c)));
    all.into_iter().find(|(_, cell)| rows::has_cell(text, &cell.column, &cell.value))
}

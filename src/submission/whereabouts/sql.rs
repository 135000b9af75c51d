//! Where in the submission's SQL something is: the statement that a server refused, what creates a table, what fills it.

use std::path::PathBuf;
use std::sync::LazyLock;

use regex::Regex;

use super::{LookAt, View, shown};
use crate::submission::sql::{self, Scripts};
use crate::text::Text;

/// Fewer letters are no value that stands for a row.
const SHORTEST: usize = 5;
/// Longer ones are no values that a page would hold as they are.
const LONGEST: usize = 120;
/// Of all scripts together.
const MAX_VALUES: usize = 200;
const MAX_BYTES: usize = 64 << 20;

static RUNNING: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"running /docker-entrypoint-initdb\.d/(\S+)\s*$").expect("a constant pattern"));
static REFUSED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"ERROR \d+ \(\w+\) at line (\d+)").expect("a constant pattern"));
static VALUE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"'((?:[^'\\]|\\.|'')*)'").expect("a constant pattern"));
static INSERT: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?i)\binsert\b").expect("a constant pattern"));

impl View<'_> {
    /// The scripts of a service that stores data.
    pub fn scripts(self, store: &str) -> Scripts {
        self.compose().map(|compose| sql::scripts_for(self.submission, compose, store)).unwrap_or_default()
    }

    /// The statement that the store's entrypoint broke off at: its log names the script, and the line of it. Where the
    /// log names none, the only script that there is.
    pub fn refused_statement(self, scripts: &Scripts, log: &str) -> Option<LookAt> {
        let mut running: Option<&str> = None;
        let mut refused = None;
        for line in log.lines() {
            if let Some(name) = RUNNING.captures(line).and_then(|c| c.get(1)) {
                running = Some(name.as_str());
            } else if let Some(number) = REFUSED.captures(line).and_then(|c| c.get(1)) {
                refused = Some((running, number.as_str().parse::<u32>().ok()?));
            }
        }
        let (script, line) = refused?;
        let named =
            |path: &&PathBuf| path.file_name().is_some_and(|name| Some(name.to_string_lossy().as_ref()) == script);
        let file = match (script, scripts.given.as_slice()) {
            (None, [only]) => only,
            (None, _) => return None,
            (Some(_), given) => given.iter().find(named)?,
        };
        let text = self.sql_text(file)?;
        let said = shown(text.lines().nth(usize::try_from(line).ok()?.checked_sub(1)?)?);
        let what = Text::new(
            format!("the server refuses the statement that begins here: `{said}`"),
            format!("el servidor rechaza la instrucción que empieza aquí: `{said}`"),
        );
        Some(LookAt::new(file, usize::try_from(line).ok()?, what))
    }

    /// The texts of the scripts that are expected; each is long, and asked for more than once.
    pub fn read(self, scripts: &Scripts) -> Vec<(PathBuf, String)> {
        let mut left = MAX_BYTES;
        let texts = scripts.expected().iter().filter_map(|file| Some((file.clone(), self.sql_text(file)?)));
        let fits = |(_, text): &(PathBuf, String)| {
            left = left.saturating_sub(text.len());
            left > 0
        };
        texts.take_while(fits).collect()
    }

    /// What creates a table; its name may have its schema before it.
    pub fn creates(self, scripts: &[(PathBuf, String)], table: &str) -> Option<LookAt> {
        let what = Text::new(format!("creates `{table}`"), format!("crea `{table}`"));
        statement(scripts, r"create\s+(?:temporary\s+)?table\s+(?:if\s+not\s+exists\s+)?", table, what)
    }

    /// What fills a table.
    pub fn fills(self, scripts: &[(PathBuf, String)], table: &str) -> Option<LookAt> {
        let what = Text::new(format!("fills `{table}`"), format!("llena `{table}`"));
        statement(scripts, r"(?:insert|replace)\s+(?:ignore\s+)?into\s+", table, what)
    }

    /// The first file that is to fill the database.
    pub fn script(self, scripts: &Scripts) -> Option<LookAt> {
        let file = scripts.expected().first()?;
        let what = Text::new("the SQL that is to be given to the database", "el SQL que debe darse a la base de datos");
        Some(LookAt::new(file, 1, what))
    }

    /// Texts that the scripts write into tables.
    pub fn values(self, scripts: &Scripts) -> Vec<String> {
        let texts = self.read(scripts);
        let inserted = texts.iter().filter_map(|(_, text)| Some(&text[INSERT.find(text)?.start()..]));
        let values = inserted.flat_map(|text| VALUE.captures_iter(text));
        let values = values.filter_map(|c| Some(c.get(1)?.as_str().replace("''", "'")));
        let tells = |v: &String| v.len() <= LONGEST && v.chars().filter(|c| c.is_alphabetic()).count() >= SHORTEST;
        values.filter(tells).take(MAX_VALUES).collect()
    }
}

/// The first statement of a kind about a table that is no comment.
fn statement(scripts: &[(PathBuf, String)], verb: &str, table: &str, what: Text) -> Option<LookAt> {
    let name = regex::escape(table.rsplit('.').next()?);
    let statement = Regex::new(&format!(r#"(?i)\b{verb}(?:[`"]?\w+[`"]?\s*\.\s*)?[`"]?{name}(?:[`"\s(;]|$)"#)).ok()?;
    scripts.iter().find_map(|(file, text)| {
        let commented = |at: usize| {
            let line = text[..at].rsplit('\n').next().unwrap_or_default().trim_start();
            line.starts_with("--") || line.starts_with('#') || line.starts_with("/*")
        };
        let at = statement.find_iter(text).map(|found| found.start()).find(|at| !commented(*at))?;
        Some(LookAt::new(file, text[..at].matches('\n').count() + 1, what.clone()))
    })
}

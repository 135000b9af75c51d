//! The rows as they are written, decoded strictly: a row that could not fail is refused.

use std::collections::{BTreeMap, BTreeSet};

use imparcial::lab::catalogue::Catalogue;
use regex::Regex;
use serde::Deserialize;

/// The smallest table there is; the tests make its mistakes.
pub(super) const EXAMPLE: &str = "
sources:
  hub: {title: Docker Hub, url: 'https://hub.docker.com/_/redis'}
starts:
  - id: redis-runs
    image: redis
    ready: {log: Ready}
    promises:
      - id: redis-answers
        says: It answers.
        source: hub
        see: [{run: [redis-cli, ping], shows: PONG}]
";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    pub(super) sources: BTreeMap<String, Source>,
    pub(super) starts: Vec<Start>,
}

/// Where the fact can be read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    pub(super) title: String,
    pub(super) url: String,
}

/// A container of a stand-in, and what is looked at in it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Start {
    pub(super) id: String,
    pub(super) image: String,
    #[serde(default)]
    pub(super) env: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) files: Vec<File>,
    /// The image's own where it is empty.
    #[serde(default)]
    pub(super) command: Vec<String>,
    #[serde(default)]
    pub(super) user: Option<String>,
    /// Once ready it is stopped, started again, and ready again.
    #[serde(default)]
    pub(super) again: bool,
    #[serde(default)]
    pub(super) ready: Option<Look>,
    pub(super) promises: Vec<Promise>,
}

/// A file that is put into the container before it starts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) path: String,
    #[serde(default)]
    pub(super) text: String,
    /// Of what is packed: its bytes.
    #[serde(default)]
    pub(super) hex: String,
    #[serde(default)]
    pub(super) runs: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Promise {
    pub(super) id: String,
    pub(super) says: String,
    pub(super) source: String,
    /// One after the other.
    pub(super) see: Vec<Look>,
    /// What is so instead, where the stand-in cannot keep it; `see` then shows the difference itself.
    #[serde(default)]
    pub(super) not_kept: Option<String>,
    /// What is seen holds a line for which a failing check is undecided.
    #[serde(default)]
    pub(super) undecided: bool,
}

/// One look: exactly one of the first six says where.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Look {
    /// A command in the container, as root unless `user` says otherwise.
    pub(super) run: Option<Vec<String>>,
    /// What the container printed.
    pub(super) log: Option<String>,
    /// The status that the container ends with.
    pub(super) ends: Option<i64>,
    /// From outside: `:80/path`.
    pub(super) http: Option<String>,
    pub(super) tcp: Option<Tcp>,
    pub(super) sql: Option<Sql>,
    /// A place in the image's settings: `/Config/User`.
    pub(super) image: Option<String>,

    pub(super) user: Option<String>,
    /// Of a command; 0 where nothing is said.
    pub(super) status: Option<i64>,
    /// Patterns that what was seen has, and has not.
    pub(super) shows: Option<String>,
    pub(super) hides: Option<String>,
}

/// Bytes sent from outside, and the first that come back.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tcp {
    pub(super) port: u16,
    #[serde(default)]
    pub(super) text: String,
    #[serde(default)]
    pub(super) hex: String,
}

/// A question asked from outside, over TCP.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sql {
    pub(super) user: String,
    #[serde(default)]
    pub(super) password: Option<String>,
    #[serde(default)]
    pub(super) database: Option<String>,
    pub(super) ask: String,
}

impl Table {
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let table: Self = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        table.check()?;
        Ok(table)
    }

    fn check(&self) -> Result<(), String> {
        let images: BTreeSet<&str> = Catalogue::shipped().stand_ins.iter().map(|e| e.name.as_str()).collect();
        let mut ids = BTreeSet::new();
        let mut used = BTreeSet::new();
        for start in &self.starts {
            let id = &start.id;
            let new = ids.insert(id.as_str());
            need(new && images.contains(start.image.as_str()), id, "its id is taken, or there is no such stand-in")?;
            need(!start.promises.is_empty(), id, "promises nothing")?;
            if let Some(look) = &start.ready {
                look.check().map_err(|problem| format!("{id}: ready: {problem}"))?;
            }
            for promise in &start.promises {
                let id = &promise.id;
                need(ids.insert(id), id, "its id is taken")?;
                need(!promise.says.is_empty() && !promise.see.is_empty(), id, "says or sees nothing")?;
                need(self.sources.contains_key(&promise.source), id, "its source is not in the list")?;
                used.insert(promise.source.as_str());
                for look in &promise.see {
                    look.check().map_err(|problem| format!("{id}: {problem}"))?;
                }
            }
        }
        let unread = self.sources.keys().find(|source| !used.contains(source.as_str()));
        unread.map_or(Ok(()), |source| Err(format!("{source}: a source of nothing")))
    }
}

fn need(holds: bool, id: &str, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("{id}: {what}")) }
}

impl Look {
    fn check(&self) -> Result<(), String> {
        let places = [
            self.run.is_some(),
            self.log.is_some(),
            self.ends.is_some(),
            self.http.is_some(),
            self.tcp.is_some(),
            self.sql.is_some(),
            self.image.is_some(),
        ];
        if places.iter().filter(|there| **there).count() != 1 {
            return Err("looks at nothing, or at several things".into());
        }
        for pattern in [&self.shows, &self.hides, &self.log].into_iter().flatten() {
            Regex::new(pattern).map_err(|error| error.to_string())?;
        }
        // A command fails by its status, a log by its pattern; all else needs one.
        let silent = self.http.is_some() || self.tcp.is_some() || self.sql.is_some() || self.image.is_some();
        if silent && self.shows.is_none() && self.hides.is_none() {
            return Err("expects nothing".into());
        }
        if self.run.as_ref().is_some_and(|argv| argv.last().is_some_and(|last| last == "ping")) && self.shows.is_none()
        {
            return Err("a ping that expects nothing".into());
        }
        Ok(())
    }

    /// Whether somebody outside of the container looks.
    pub(super) fn outside(&self) -> bool {
        self.http.is_some() || self.tcp.is_some() || self.sql.is_some()
    }
}

/// Bytes of hexadecimal digits; blanks and line ends do not count.
pub(super) fn bytes(hex: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u8> = hex.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let pair = |pair: &[u8]| {
        let text = std::str::from_utf8(pair).map_err(|error| error.to_string())?;
        u8::from_str_radix(text, 16).map_err(|_| format!("{text} is no byte"))
    };
    digits.chunks(2).map(pair).collect()
}

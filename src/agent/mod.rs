//! The agent: our own binary inside a lab, standing where a probe has to look from.
//!
//! `imparcial agent` reads length-framed JSON requests on standard input and answers on standard output. It looks and
//! reports; it holds no expectation, no answer and no verdict. It is started by a [`crate::exec::Shell`] in the lab; with
//! `--inside PID` it first joins that process's network namespace and takes the container's own hosts and resolv.conf,
//! so that names and links resolve as the service itself resolves them.

mod allocate;
pub mod client;
pub(crate) mod clock;
mod connection;
pub(crate) mod dial;
pub mod dials;
pub(crate) mod exhaust;
mod join;
pub mod looks;
pub mod serve;
mod shell;
#[cfg(test)]
mod tests;
mod wire;

pub use client::{Agent, AgentError, Agents};
pub use looks::block::BlockSeen;
pub use looks::inside::ProcessSeen;
pub use looks::path::{PathSeen, Root};
pub use shell::AgentShell;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where our own executable lies in a lab, and in its machines.
pub const BINARY: &str = "/usr/local/bin/imparcial";

/// One look. `timeout_ms` bounds it inside the agent; the caller bounds it again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    pub id: u64,
    pub timeout_ms: u64,
    pub look: Look,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Look {
    Ping,
    /// A plain GET (or other method). Redirects are not followed; a page's walk asks again.
    Http {
        method: String,
        url: String,
        headers: Vec<(String, String)>,
        /// What is sent with it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<String>,
        max_bytes: usize,
    },
    /// Connects and reads what the other side says first, for `greet_ms` at most.
    Tcp {
        host: String,
        port: u16,
        greet_ms: u64,
    },
    /// Resolves a name as the place resolves it.
    Dns {
        name: String,
    },
    /// Runs statements on one connection; the answer has a result set per statement.
    Mysql {
        host: String,
        port: u16,
        login: Login,
        statements: Vec<Statement>,
        /// Leaves out what comes after a statement that was refused.
        stop_at_error: bool,
        /// Rows that are kept of each statement's answer.
        max_rows: usize,
    },
    /// Reads small files (cgroup counters). A missing one is absent from the answer.
    Files {
        paths: Vec<String>,
    },
    /// Begins to listen in every network namespace that an engine makes in its folder, until the agent ends.
    Listen {
        folder: String,
    },
    /// What was heard in the namespace of that name.
    Dials {
        namespace: String,
    },
    /// What is at a path below a root, and the beginning of a plain file.
    Path {
        root: Root,
        path: String,
        max_bytes: usize,
    },
    /// A block device of this place, and what its first bytes say that it holds.
    Block {
        device: String,
    },
    /// The kernel's name for the machine that a container is, by a process of it.
    Hostname {
        pid: i64,
        container: String,
    },
    /// What runs in the process namespace of a container's first process.
    Processes {
        pid: i64,
        container: String,
    },
}

/// Who to be at a MySQL server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    pub user: String,
    pub password: String,
    pub database: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Statement {
    pub sql: String,
    /// Bound to `?` in order.
    #[serde(default)]
    pub values: Vec<Value>,
}

impl Statement {
    /// A statement without values.
    pub fn new(sql: impl Into<String>) -> Self {
        Self { sql: sql.into(), values: Vec::new() }
    }

    pub fn with(sql: impl Into<String>, values: Vec<Value>) -> Self {
        Self { sql: sql.into(), values }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answer {
    pub id: u64,
    pub sight: Sight,
}

/// What was seen. "Connection refused" is a sight; `Unable` is for what the agent itself could not do.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sight {
    Pong,
    Http {
        status: u16,
        headers: Vec<(String, String)>,
        #[serde(with = "wire::bytes")]
        body: Vec<u8>,
        truncated: bool,
        elapsed_ms: u64,
    },
    Tcp {
        connected: bool,
        /// The one that was connected to, or the last that refused.
        address: Option<String>,
        greeting: Vec<u8>,
        /// How the other side hung up while it was listened to: `closed`, `connection reset`.
        closed: Option<String>,
        refused: Option<String>,
        elapsed_ms: u64,
    },
    Dns {
        addresses: Vec<String>,
        error: Option<String>,
    },
    Mysql {
        results: Vec<ResultSet>,
        server_version: String,
    },
    Files {
        contents: BTreeMap<String, String>,
    },
    Listening,
    /// None where nothing was heard of that namespace at all.
    Dials {
        seen: Option<dials::Dials>,
    },
    Path {
        seen: Option<PathSeen>,
    },
    /// None where the kernel has no such device.
    Block {
        seen: Option<BlockSeen>,
    },
    Hostname {
        name: String,
    },
    Processes {
        all: Vec<ProcessSeen>,
    },
    /// The other side said no or nothing: refused, reset, no such name, access denied, timeout.
    No {
        stage: String,
        message: String,
        code: Option<u16>,
        elapsed_ms: u64,
    },
    /// The agent could not look at all.
    Unable {
        message: String,
    },
}

/// Rows of one statement, every value as text as MySQL prints it (NULL is none, bytes that are no text are `0x…`);
/// `error` where it was refused.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ResultSet {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Option<String>>>,
    /// There were more rows than were asked for.
    pub truncated: bool,
    pub affected: u64,
    pub error: Option<String>,
    pub error_code: Option<u16>,
}

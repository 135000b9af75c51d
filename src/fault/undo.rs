//! What undoes a fault: a command and the proof that it is undone, both as data. Whoever reads it can do it, any number of
//! times: what the proof says is so already is not done again.

use serde::{Deserialize, Serialize};

use crate::exec::Cmd;
use crate::text::Text;

/// Where a command runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum At {
    /// The lab, or the host where there is none.
    Ground,
    /// A machine, by its name.
    Node(String),
}

/// One step of an undoing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undo {
    pub at: At,
    pub run: Cmd,
    pub proof: Proof,
    /// What is put back, for people: `container app_1 is started`.
    pub what: Text,
}

/// A command whose answer says that it is undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    pub run: Cmd,
    /// Its status is 0, or is not.
    pub ok: bool,
    /// What it prints then, without blanks around; nothing is asked of it where this is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub says: Option<String>,
}

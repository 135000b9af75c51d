//! What happened in a run: the record in the middle. Everything that people and dashboards read is made from it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::drill::DrillRecord;
use crate::expect::{Finding, Place};
use crate::notice::{Notice, Reason};
use crate::submission::handed::Source;
use crate::submission::when::HandedIn;
use crate::submission::whereabouts::LookAt;
use crate::text::Text;

pub mod audience;
pub mod compare;
#[cfg(test)]
pub mod fixture;
pub mod manual;
pub mod marks;
pub mod store;

pub use audience::{Audience, Withheld, shown_to};
pub use compare::{Comparison, OtherScenario, compare};
pub use manual::{LevelRecord, ManualRecord, Mark, Scale};
pub use store::{RunFolder, StoreError};

/// The version of `record.json`; raised when a reader of the old one would misread the new.
pub const VERSION: u32 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Pass,
    /// The submission's fault.
    Fail,
    /// imparcial, the host, a stand-in or time: it could not be told.
    Error,
    /// Something that it stands on did not pass; `cause` says what.
    Skip,
}

/// The root that a skip stands behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The check at the root.
    pub check: String,
    /// Its verdict: lost where it is `fail`, undecided where it is `error`.
    pub verdict: Verdict,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CheckRecord {
    pub id: String,
    pub title: Text,
    pub kind: String,
    /// Points in 1/1000.
    pub points: u64,
    /// Where the scenario asks for it.
    pub at: Place,
    /// Who sees it: `student`, `after_due`, `teacher`.
    pub visibility: String,
    /// Who sees what was looked for and seen, where that is fewer.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub details: String,
    pub verdict: Verdict,
    pub reason: Option<Reason>,
    pub cause: Option<Cause>,
    /// One sentence: what was wrong, or could not be told. Empty for a pass.
    pub explanation: Text,
    pub hint: Option<Text>,
    /// Points in 1/1000 that a failure earns all the same: what was measured lies between the objective and the bound at which
    /// nothing is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit: Option<u64>,
    /// The drill that it is an objective of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill: Option<String>,
    /// Of a failure, and of an error that is about the submission's own files: where in it to look, best first, three at
    /// most. Paths are relative to its root. Empty where it is not sure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub look_at: Vec<LookAt>,
    pub findings: Vec<Finding>,
    /// What was seen besides, for people: where the page was, restarts counted.
    pub notes: Vec<Text>,
    pub attempts: u32,
    /// Since the run began, in milliseconds.
    pub started_ms: u64,
    pub elapsed_ms: u64,
    /// Files in the run's folder, best first.
    pub evidence: Vec<String>,
}

impl CheckRecord {
    /// Worth no points: shown, never counted.
    pub fn is_observation(&self) -> bool {
        self.points == 0
    }
}

/// A phase of the run with its time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PhaseRecord {
    pub name: String,
    pub started_ms: u64,
    pub elapsed_ms: u64,
    /// What was done, or why it stopped.
    pub detail: Text,
}

/// A service's image and where it came from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ImageRecord {
    pub service: String,
    /// As asked for (`mysql:5.7`), or `build`.
    pub reference: String,
    /// The base that a build stands on.
    pub base: Option<String>,
    /// The stand-in's product and version (`MariaDB 10.11`), where one served.
    pub stand_in: Option<String>,
    pub id: Option<String>,
    /// Why there is none.
    pub missing: Option<Text>,
}

/// What serves for the boxes of a submission's machines.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MachinesRecord {
    /// `docker`: container nodes, not virtual machines.
    pub provider: String,
    /// Machines of one box together, in the Vagrantfile's order.
    pub boxes: Vec<BoxRecord>,
}

/// A box and what served for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoxRecord {
    /// As asked for (`centos/7`).
    pub reference: String,
    pub machines: Vec<String>,
    /// What ran in its place (`Debian 12 container`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stand_in: Option<String>,
    /// The version of the box itself, and where it came from, where no stand-in was needed (`2004.01, https://…`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken: Option<String>,
    /// Why nothing did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<Text>,
}

/// Which service a role was bound to, and why.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RoleRecord {
    pub role: String,
    pub service: Option<String>,
    pub why: Text,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ScenarioRecord {
    pub name: String,
    pub title: Text,
    pub file: String,
    /// Those of checks and of criteria together.
    pub points: u64,
    /// What a mark is given on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SubmissionRecord {
    pub path: String,
    pub name: String,
    pub compose_file: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vagrantfile: Option<String>,
    /// The archive or the commit, where it was no folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// When it was handed in, where anything says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handed_in: Option<HandedIn>,
}

/// One run, from planning to the end of clean-up: `record.json` is this, with the grade beside it. Points are whole
/// thousandths everywhere in it (2500 is 2.5 points), times milliseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunRecord {
    pub version: u32,
    pub run: String,
    /// The run's folder as the caller named it (`reports/2026…`), set by [`RunFolder`]; reports name files by it.
    #[serde(default)]
    pub folder: String,
    /// For whom it is: nothing in it is for fewer.
    #[serde(default, skip_serializing_if = "Audience::is_teacher")]
    pub audience: Audience,
    /// What is not in it for that reason.
    #[serde(default, skip_serializing_if = "Withheld::is_none")]
    pub withheld: Withheld,
    pub imparcial: String,
    /// RFC 3339, UTC, whole seconds.
    pub started: String,
    pub elapsed_ms: u64,
    pub scenario: ScenarioRecord,
    pub submission: SubmissionRecord,
    /// `lab`, `host` or `attached`, and what is claimed of it.
    pub place: String,
    /// The compose project that was there already, where the run attached to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    pub host: Vec<(String, String)>,
    pub phases: Vec<PhaseRecord>,
    pub notices: Vec<Notice>,
    pub images: Vec<ImageRecord>,
    /// Where machines were brought up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machines: Option<MachinesRecord>,
    pub roles: Vec<RoleRecord>,
    /// Overrides that were applied, in words.
    pub overrides: Vec<Text>,
    /// In the scenario's order.
    pub checks: Vec<CheckRecord>,
    /// In the order in which they were run; those of which nothing was run are absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drills: Vec<DrillRecord>,
    /// What people judge, in the scenario's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub manual: Vec<ManualRecord>,
    /// Ctrl-C or SIGTERM ended it early.
    pub interrupted: bool,
    /// Errors of ours or the host's that were not about one check.
    pub errors: Vec<Text>,
    /// Files in the run's folder that back it, besides those of checks.
    pub evidence: Vec<String>,
}

impl RunRecord {
    /// A record of this version with nothing in it yet.
    pub fn empty() -> Self {
        let scenario =
            ScenarioRecord { name: String::new(), title: Text::default(), file: String::new(), points: 0, scale: None };
        let submission = SubmissionRecord {
            path: String::new(),
            name: String::new(),
            compose_file: None,
            vagrantfile: None,
            source: None,
            handed_in: None,
        };
        Self {
            version: VERSION,
            run: String::new(),
            folder: String::new(),
            audience: Audience::default(),
            withheld: Withheld::default(),
            imparcial: env!("CARGO_PKG_VERSION").to_owned(),
            started: String::new(),
            elapsed_ms: 0,
            scenario,
            submission,
            place: String::new(),
            project: None,
            host: Vec::new(),
            phases: Vec::new(),
            notices: Vec::new(),
            images: Vec::new(),
            machines: None,
            roles: Vec::new(),
            overrides: Vec::new(),
            checks: Vec::new(),
            drills: Vec::new(),
            manual: Vec::new(),
            interrupted: false,
            errors: Vec::new(),
            evidence: Vec::new(),
        }
    }

    /// Every file of evidence that it names, once.
    pub fn all_evidence(&self) -> BTreeSet<&str> {
        let of_checks = self.checks.iter().flat_map(|check| &check.evidence);
        self.evidence.iter().chain(of_checks).map(String::as_str).collect()
    }
}

//! The scenario as its author wrote it: read strictly, every problem at once, with its place.
//!
//! What a kind's parameters mean is decoded later, by the kind's row (see `probe`), from the [`Node`] kept here.

mod bases;
mod check;
pub mod decoder;
pub mod diagnostics;
pub mod drills;
pub mod expectations;
pub mod from;
mod locate;
mod manual;
mod parts;
mod raw;
mod read;
mod serving;
pub mod tree;
pub mod units;

use std::path::PathBuf;
use std::time::Duration;

use crate::expect::Place;
use crate::submission::policy::Action;
use crate::text::Text;

pub use crate::submission::bind::RoleSpec;
pub use bases::{Base, REFERENCE, bases};
pub use check::CHECK_KEYS;
pub use decoder::Decoder;
pub use from::From;
pub use locate::locate;
pub use manual::{LevelSpec, ManualSpec, ScaleSpec};
pub use parts::{CONDITIONS, text as text_for_people};
pub use read::{LAYERS, Read, read, read_text};
pub use serving::{On, Serving, With};
pub use tree::{Node, Problem, sorted};

/// Points, in integers of 1/1000.
pub type Milli = u64;

#[derive(Clone, Debug)]
pub struct Scenario {
    pub file: PathBuf,
    pub name: String,
    pub title: Text,
    pub points: Milli,
    pub layers: Vec<String>,
    /// Where the services are brought up where there are machines as well.
    pub serving: Serving,
    pub budgets: Budgets,
    pub policy: PolicySpec,
    pub roles: Vec<RoleSpec>,
    pub overrides: Option<OverrideSpec>,
    pub checks: Vec<CheckSpec>,
    /// What people judge, beside the checks.
    pub manual: Vec<ManualSpec>,
    /// What a mark is given on; none is given without it.
    pub scale: Option<ScaleSpec>,
    /// What the statement itself demands, so that dying of it is not held against anyone (20 MB).
    pub demanded_memory_bytes: Option<u64>,
}

impl Scenario {
    /// Texts for people that are there in one language only, as `seed.yaml:23 hint of page`: half of the readers do not
    /// understand them.
    pub fn in_one_language(&self) -> Vec<String> {
        let file = self.file.display();
        let mut all = Vec::new();
        if self.title.en == self.title.es {
            all.push(format!("{file} title"));
        }
        for check in &self.checks {
            for (name, text) in [("title", &check.title), ("hint", &check.hint)] {
                if text.as_ref().is_some_and(|text| text.en == text.es) {
                    all.push(format!("{file}:{} {name} of {}", check.at.line, check.id));
                }
            }
        }
        for criterion in &self.manual {
            let levels = criterion.levels.iter().filter_map(|level| Some(("level", level.title.as_ref()?)));
            for (name, text) in std::iter::once(("title", &criterion.title)).chain(levels) {
                if text.en == text.es {
                    all.push(format!("{file}:{} {name} of {}", criterion.at.line, criterion.id));
                }
            }
        }
        all
    }
}

/// Each phase has its own clock, so that a slow pull does not eat the patience of a check.
#[derive(Clone, Debug)]
pub struct Budgets {
    pub fetch: Duration,
    pub build: Duration,
    pub ready: Duration,
    /// Until all machines answer.
    pub machines: Duration,
    /// One run of all provisioners of all machines.
    pub provision: Duration,
    pub check: Duration,
    pub teardown: Duration,
}

/// What the static policy does with each kind of hit; names are those of `submission::policy`.
#[derive(Clone, Debug, Default)]
pub struct PolicySpec {
    /// Overrides of the built-in action, by rule name.
    pub actions: Vec<(String, Action)>,
}

/// Limits under which behaviour is judged, after a death by limit or silence at it.
#[derive(Clone, Debug)]
pub struct OverrideSpec {
    pub memory_bytes: u64,
    pub cpus: f64,
}

/// How long a check may take to hold: a deadline, never a count of attempts.
#[derive(Clone, Debug)]
pub struct Patience {
    pub within: Duration,
    pub every: Duration,
    pub attempt_timeout: Duration,
    /// So many passes in a row.
    pub stable: u32,
    /// Conditions that end the wait early: `exited_for_good`, `oom_killed`, `restart_loop`.
    pub fail_fast_on: Vec<String>,
}

/// Who may see a check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Visibility {
    #[default]
    Student,
    AfterDue,
    Teacher,
}

impl Visibility {
    /// From the widest to the narrowest.
    pub const ALL: [Self; 3] = [Self::Student, Self::AfterDue, Self::Teacher];

    /// As it is written in a scenario.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Student => "student",
            Self::AfterDue => "after_due",
            Self::Teacher => "teacher",
        }
    }
}

/// Points that fall from all, where what is measured is `full`, to none at `none`: in seconds, or a share.
#[derive(Clone, Debug, PartialEq)]
pub struct CreditSpec {
    pub fact: String,
    pub full: f64,
    pub none: f64,
}

impl CreditSpec {
    /// Of so many points, those that a measured value earns.
    pub fn earned(&self, points: Milli, measured: f64) -> Milli {
        let left = ((self.none - measured) / (self.none - self.full)).clamp(0.0, 1.0);
        (points as f64 * left).round() as Milli
    }
}

/// A check as written; `plan` resolves it.
#[derive(Clone, Debug)]
pub struct CheckSpec {
    pub id: String,
    pub title: Option<Text>,
    pub points: Milli,
    pub needs: Vec<(String, Place)>,
    pub explained_by: Vec<(String, Place)>,
    pub kind: String,
    pub params: Node,
    pub expect: Node,
    pub eventually: Patience,
    /// What is expected must never hold, for so long; `eventually.within` is then how long it may take to be watched at all.
    pub never: Option<Duration>,
    /// How a part of the points is earned by what misses the objective.
    pub credit: Option<CreditSpec>,
    pub hint: Option<Text>,
    /// Who sees the check.
    pub visibility: Visibility,
    /// Who sees what it looks for and saw, where that is said.
    pub details: Option<Visibility>,
    pub at: Place,
}

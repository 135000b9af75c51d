//! What a bring-up gathers besides what it brings up: its phases, notices and evidence.

use tokio::time::Instant;

use super::getting::{Step, Told};
use crate::notice::Notice;

/// Gathers while a layer is brought up, and tells of each phase as it begins and as it ends.
pub struct Log {
    began: Instant,
    told: Told,
    phase: Option<(String, Instant)>,
    gathered: Gathered,
}

/// What was gathered.
#[derive(Debug, Default)]
pub struct Gathered {
    pub notices: Vec<Notice>,
    /// Name and content for the run's folder.
    pub evidence: Vec<(String, Vec<u8>)>,
    /// Phase name, seconds since the bring-up began, seconds taken.
    pub phases: Vec<(String, f64, f64)>,
}

impl Log {
    pub fn new(told: Told) -> Self {
        Self { began: Instant::now(), told, phase: None, gathered: Gathered::default() }
    }

    /// Ends the phase before and begins the next.
    pub fn phase(&mut self, name: &str) {
        self.end_phase();
        (self.told)(Step::Phase(name));
        self.phase = Some((name.to_owned(), Instant::now()));
    }

    pub fn notices(&mut self) -> &mut Vec<Notice> {
        &mut self.gathered.notices
    }

    /// Keeps a file for the run's folder.
    pub fn keep(&mut self, name: impl Into<String>, content: impl Into<Vec<u8>>) {
        self.gathered.evidence.push((name.into(), content.into()));
    }

    /// The files that are kept until now.
    pub fn kept(&self) -> &[(String, Vec<u8>)] {
        &self.gathered.evidence
    }

    /// Ends the last phase.
    pub fn end(mut self) -> Gathered {
        self.end_phase();
        self.gathered
    }

    fn end_phase(&mut self) {
        if let Some((name, started)) = self.phase.take() {
            (self.told)(Step::Ended(&name));
            let at = (started - self.began).as_secs_f64();
            self.gathered.phases.push((name, at, started.elapsed().as_secs_f64()));
        }
    }
}

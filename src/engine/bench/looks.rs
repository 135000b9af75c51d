//! What single looks cost, at a stack that is ready: no waiting, no quiet times, no exercises.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::time::Instant;

use crate::engine::eventually::findings;
use crate::engine::live::Live;
use crate::engine::schedule::Looker;
use crate::plan::Plan;
use crate::probe::{Attempt, Phase, settled_last};
use crate::stack::Stack;
use crate::text::Text;
use crate::time::Clock;

/// Looks in a row, as the figure to reach has it.
pub const ROW: usize = 25;
/// Looks of each check.
const EACH: usize = 10;
/// Rows that the median is of.
const ROWS: usize = 5;

/// Seconds.
#[derive(Clone, Debug, Default)]
pub struct Looks {
    /// By kind, every look.
    pub kinds: BTreeMap<&'static str, Vec<f64>>,
    /// [`ROW`] looks one after another.
    pub row: Vec<f64>,
    /// [`ROW`] looks side by side, as a run makes them.
    pub beside: Vec<f64>,
}

pub(super) struct Looking<'a> {
    plan: &'a Plan,
    live: Live<'a>,
    /// The checks that look at the running stack, in their order.
    checks: Vec<usize>,
}

impl<'a> Looking<'a> {
    pub(super) fn at(stack: Arc<Stack>, plan: &'a Plan, progress: &'a crate::engine::Progress) -> Self {
        let phases = plan.phases();
        // What is decided by reading costs nothing here and would flatter the median.
        let checks = plan.order().into_iter().filter(|&i| phases[i] == Phase::Look).collect();
        Self { plan, live: Live::new(plan, stack, progress, None, Clock::start()), checks }
    }

    pub(super) async fn all(&self) -> Result<Looks, Text> {
        let mut looks = Looks::default();
        for _ in 0..EACH {
            for &check in &self.checks {
                let took = self.once(check).await?;
                looks.kinds.entry(self.plan.checks[check].kind.name).or_default().push(took);
            }
        }
        let row: Vec<usize> = self.checks.iter().copied().cycle().take(ROW).collect();
        for _ in 0..ROWS {
            looks.row.push(self.these(&row).await?);
            let began = Instant::now();
            try_join_all(row.iter().map(|&check| self.once(check))).await?;
            looks.beside.push(began.elapsed().as_secs_f64());
        }
        Ok(looks)
    }

    /// One after another.
    pub(super) async fn these(&self, checks: &[usize]) -> Result<f64, Text> {
        let began = Instant::now();
        for &check in checks {
            self.once(check).await?;
        }
        Ok(began.elapsed().as_secs_f64())
    }

    /// One look and its judgement. One that does not hold ends the measuring: another thing would be measured.
    async fn once(&self, check: usize) -> Result<f64, Text> {
        let planned = &self.plan.checks[check];
        let patience = &planned.spec.eventually;
        let attempt =
            Attempt { timeout: patience.attempt_timeout, waited: Duration::ZERO, within: patience.within, last: false };
        let expect: Vec<_> = planned.expect.iter().filter(|e| !settled_last(e)).cloned().collect();
        let began = Instant::now();
        let seen = self.live.look(check, attempt).await.map_err(|e| e.text)?;
        let findings = findings(&expect, &seen);
        let took = began.elapsed().as_secs_f64();
        match findings.iter().find(|f| !f.holds) {
            None => Ok(took),
            Some(finding) => {
                let id = &planned.spec.id;
                Err(Text::new(
                    format!("{id} does not hold at the ready stack: {} is {}", finding.fact, finding.observed),
                    format!("{id} no se cumple con todo en marcha: {} es {}", finding.fact, finding.observed),
                ))
            }
        }
    }
}

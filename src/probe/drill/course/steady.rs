//! What a drill starts from: so many looks in a row that pass.

use std::time::Duration;

use tokio::time::Instant;

use super::{Drill, Sampler, passing};
use crate::probe::ProbeError;
use crate::probe::drill::world::World;
use crate::text::Text;

impl<W: World + 'static> Drill<'_, W> {
    /// Whether so many looks in a row that were begun since `from` pass, in time.
    pub(super) async fn steady(&self, sampler: &Sampler, from: u64, stable: usize) -> bool {
        let until = Instant::now() + self.patience(sampler, stable);
        sampler.until(until, |samples| passing(samples, from) >= stable).await
    }

    /// Looks that were made rarer by their price need longer to be so many.
    fn patience(&self, sampler: &Sampler, stable: usize) -> Duration {
        let looks = Duration::from_millis(sampler.every_ms()) * (stable as u32 + 1) + self.course.timeout;
        self.course.steady_within.max(looks)
    }

    /// Why not.
    pub(super) fn not_steady(&mut self, sampler: &Sampler, stable: usize) -> Result<(), ProbeError> {
        let samples = &self.went.samples;
        let (unable, why) = sampler.unable();
        if let Some(why) = why.filter(|_| samples.is_empty() || unable as usize > samples.len()) {
            return Err(why);
        }
        let said = samples.iter().rev().find(|s| !s.ok).map(|s| s.said.clone()).unwrap_or_default();
        let s = self.patience(sampler, stable).as_secs();
        self.went.unsteady = Some(Text::new(
            format!("what the drill starts from did not hold within {s} s, so nothing was broken: {said}"),
            format!("el estado del que parte el simulacro no se dio en {s} s, así que no se rompió nada: {said}"),
        ));
        Ok(())
    }
}

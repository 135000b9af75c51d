//! A course for machines that are slower than those it was written for.

use std::time::Duration;

use super::Course;

impl Course {
    /// For machines on which everything takes `by` times as long. How long the fault lasts and what is watched afterwards are no
    /// bounds, and stay.
    pub(in crate::probe::drill) fn stretched(&self, by: f64) -> Self {
        let times = |time: Duration| time.mul_f64(by);
        Self {
            timeout: times(self.timeout),
            steady_within: times(self.steady_within),
            within: times(self.within),
            ..self.clone()
        }
    }
}

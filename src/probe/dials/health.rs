//! The engine's health checks of an app: what they ask for and dial is not the app's.

use crate::docker::Container;

/// As many results as an engine keeps.
const KEPT: usize = 5;
/// The engine says when a check began and ended; its packets may be a little later.
const TRAIL: f64 = 0.1;

/// Times of an app, in seconds of the epoch.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Health {
    /// A check ran.
    pub checks: Vec<(f64, f64)>,
    /// One may have run: before the first result that is still kept, and from when the next is due.
    pub doubtful: Vec<(f64, f64)>,
}

impl Health {
    pub(super) fn of(app: &Container) -> Self {
        let log = &app.health_checks;
        let checks = log.iter().map(|(from, to)| (*from, *to + TRAIL)).collect();
        let mut doubtful = Vec::new();
        if let Some((from, _)) = log.first().filter(|_| log.len() >= KEPT) {
            doubtful.push((f64::NEG_INFINITY, *from));
        }
        if let Some(every) = app.health_every {
            let last = log.last().map_or(0.0, |(_, to)| *to);
            doubtful.push((last.max(app.started_at) + every, f64::INFINITY));
        }
        Self { checks, doubtful }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_is_not_in_the_log_may_have_run() {
        let mut app = Container { started_at: 100.0, ..Container::default() };
        assert_eq!(Health::of(&app), Health::default(), "it has none");
        app.health_every = Some(2.0);
        assert_eq!(Health::of(&app).doubtful, [(102.0, f64::INFINITY)]);
        app.health_checks = vec![(102.0, 102.5), (104.5, 105.0)];
        let health = Health::of(&app);
        assert_eq!(health.checks, [(102.0, 102.6), (104.5, 105.1)]);
        assert_eq!(health.doubtful, [(107.0, f64::INFINITY)], "every check so far is known");
        app.health_checks.extend([(107.0, 107.5), (109.5, 110.0), (112.0, 112.5)]);
        assert_eq!(Health::of(&app).doubtful, [(f64::NEG_INFINITY, 102.0), (114.5, f64::INFINITY)]);
        app.started_at = 120.0;
        assert_eq!(Health::of(&app).doubtful[1], (122.0, f64::INFINITY), "the log may be of an earlier start");
    }
}

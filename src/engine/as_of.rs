//! An old delivery that fails for what was published since: tried once more with the packages of its day.
//!
//! Asked of each failure in its log: only what an installed package or the installer says may be time's doing, and only of a
//! delivery that is more than half a year older than the run. What fails with the packages of that day as well stays
//! undecided where such a message is its cause, and is judged as ever where it is not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::backend::Site;
use crate::backend::compose::as_of::{AsOf, Then, packages};
use crate::backend::compose::unbuilt::last_line;
use crate::backend::origin::{self, Origin};
use crate::notice::Reason;
use crate::plan::{Place, Plan};
use crate::stack::{LeftOut, Stack};
use crate::submission::when::HandedIn;
use crate::text::Text;
use crate::time::Clock;

/// What is known of an old delivery's packages, and whether they have been tried.
pub(super) struct Trial {
    handed_in: HandedIn,
    site: Site,
    /// By service; found out when first asked for.
    then: Mutex<BTreeMap<String, Then>>,
    /// Set where it is worth another try: all looking ends then.
    again: CancellationToken,
    /// The services that are tried with other packages; none in the first try.
    with: Option<BTreeSet<String>>,
}

/// Whether a failure is time's doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    No,
    /// It may be, and the packages of that day are others.
    TryAgain,
    Undecided(Text),
}

impl Trial {
    /// None where the delivery is not known to be old, or what it was built with is not ours to say.
    pub(super) fn of(plan: &Plan, site: &Site, clock: Clock) -> Option<Self> {
        if matches!(plan.options.place, Place::Attached(_)) {
            return None;
        }
        let handed_in = plan.submission.handed_in.clone().filter(|it| it.is_old(clock.began()))?;
        let again = CancellationToken::new();
        Some(Self { handed_in, site: site.clone(), then: Mutex::default(), again, with: None })
    }

    /// Ends when another try is worth it.
    pub(super) async fn wanted(&self) {
        self.again.cancelled().await;
    }

    pub(super) fn wants_another(&self) -> bool {
        self.again.is_cancelled()
    }

    /// What the other try is made with; from then on nothing is tried again.
    pub(super) async fn begin(&mut self) -> Arc<AsOf> {
        let mut as_of = AsOf::default();
        for (service, then) in self.then.lock().await.iter() {
            if let Then::Other(pins, said) = then {
                as_of.pins.insert(service.clone(), pins.clone());
                as_of.said.push(said.clone());
            }
        }
        self.again = CancellationToken::new();
        self.with = Some(as_of.pins.keys().cloned().collect());
        Arc::new(as_of)
    }

    /// Judges the images that could not be had, by their builds' logs.
    pub(super) async fn judge_builds(&self, stack: &mut Stack) {
        let open = |reason| matches!(reason, None | Some(Reason::StandIn | Reason::Host));
        let missing = |l: &LeftOut| open(l.reason);
        let failed: Vec<(String, String)> = stack
            .services
            .values()
            .filter(|s| s.left_out.as_ref().is_some_and(missing) && s.image.missing.is_some())
            .map(|s| (s.name.clone(), s.image.log.clone()))
            .collect();
        for (service, log) in failed {
            let mut answer = self.ask(stack, &service, origin::of_build(&log)).await;
            let missing = stack.services.get(&service).and_then(|s| s.image.missing.as_ref());
            if answer == Answer::No && missing.is_some_and(|it| is_ours(it, &service, self.with.as_ref())) {
                answer = Answer::Undecided(self.not_built(&service, &last_line(&log)));
            }
            if let Answer::Undecided(text) = answer
                && let Some(it) = stack.services.get_mut(&service)
            {
                let left_out = LeftOut { reason: Some(Reason::Age), text };
                it.image.missing = Some(left_out.clone());
                it.left_out = Some(left_out);
            }
        }
    }

    /// Whether what a running service's log says last is time's doing.
    pub(super) async fn ask_of_run(&self, stack: &Stack, service: &str, log: &str) -> Answer {
        self.ask(stack, service, origin::of_run(log)).await
    }

    /// Whether what was said last, by whom, is time's doing.
    async fn ask(&self, stack: &Stack, service: &str, said: Option<(Origin, &str)>) -> Answer {
        let Some((origin, line)) = said else { return Answer::No };
        if origin == Origin::Gone {
            return Answer::Undecided(self.said(service, line, None));
        }
        let mut known = self.then.lock().await;
        if !known.contains_key(service) {
            let then = packages(&self.site, stack, service, self.handed_in.day(), &self.handed_in.until()).await;
            known.insert(service.to_owned(), then);
        }
        let then = known.get(service).unwrap_or(&Then::Nothing);
        let with = self.with.as_ref().map(|with| with.contains(service));
        match judge(then, origin, with) {
            Judged::No => Answer::No,
            // A stack goes in its own time, and its volumes and nets are on every node: another would start on its ruins. What
            // the provisioning started nobody would start again.
            Judged::TryAgain if stack.swarm || stack.provisioned => Answer::Undecided(self.said(service, line, None)),
            Judged::TryAgain => {
                self.again.cancel();
                Answer::TryAgain
            }
            Judged::Undecided(more) => Answer::Undecided(self.said(service, line, more.as_ref())),
        }
    }

    fn not_built(&self, service: &str, line: &str) -> Text {
        let (line, day) = (crate::sanitize::line(line, 300), self.handed_in.day());
        Text::new(
            format!(
                "undecided: handed in on {day}, and {service} does not build with the packages of that day: {line}"
            ),
            format!("sin decidir: se entregó el {day} y {service} no se construye con los paquetes de ese día: {line}"),
        )
    }

    fn said(&self, service: &str, line: &str, more: Option<&Text>) -> Text {
        let (line, day) = (crate::sanitize::line(line, 300), self.handed_in.day());
        let more = more.map(|more| Text::new(format!(" ({})", more.en), format!(" ({})", more.es))).unwrap_or_default();
        Text::new(
            format!("undecided: handed in on {day}, and {service} fails by what is installed in it{}: {line}", more.en),
            format!(
                "sin decidir: se entregó el {day} y {service} falla por lo que se instala en él{}: {line}",
                more.es
            ),
        )
    }
}

/// Whether a build failed with packages that we chose, which is no word on what was handed in, whatever its log says: pip may
/// not find them together, or not for this Python.
fn is_ours(missing: &LeftOut, service: &str, with: Option<&BTreeSet<String>>) -> bool {
    missing.reason.is_none() && with.is_some_and(|with| with.contains(service))
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Judged {
    No,
    TryAgain,
    /// And what is to be said besides.
    Undecided(Option<Text>),
}

/// `with`: whether the service has that day's packages in this try; none in the first.
fn judge(then: &Then, origin: Origin, with: Option<bool>) -> Judged {
    match (then, origin, with) {
        (_, Origin::Gone, _) => Judged::Undecided(None),
        (Then::Other(..), _, None) => Judged::TryAgain,
        // Whether an index can be reached decides nothing.
        (Then::Unknown(why), ..) => Judged::Undecided(Some(why.clone())),
        // The submission's own code asks for it, and that day's packages do not have it.
        (_, Origin::AboutPackage, _) => Judged::No,
        // As it was installed then, so it fails now: no doing of time's.
        (Then::Same, Origin::Package, _) => Judged::No,
        (Then::Other(..), _, Some(true)) => Judged::Undecided(Some(Text::new(
            "also with the packages of that day",
            "también con los paquetes de ese día",
        ))),
        (Then::Nothing | Then::Same | Then::Other(..), ..) => Judged::Undecided(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn other() -> Then {
        Then::Other(vec![("werkzeug".to_owned(), "2.0.3".to_owned())], Text::default())
    }

    #[test]
    fn other_packages_are_tried_once() {
        for origin in [Origin::Package, Origin::Installer, Origin::AboutPackage] {
            assert_eq!(judge(&other(), origin, None), Judged::TryAgain);
        }
        let Judged::Undecided(Some(more)) = judge(&other(), Origin::Package, Some(true)) else { panic!("undecided") };
        assert!(more.en.contains("also with"));
        assert_eq!(judge(&other(), Origin::Package, Some(false)), Judged::Undecided(None), "not tried with them");
    }

    #[test]
    fn own_code_is_not_excused_by_age() {
        for then in [Then::Nothing, Then::Same] {
            assert_eq!(judge(&then, Origin::AboutPackage, None), Judged::No);
        }
        assert_eq!(judge(&other(), Origin::AboutPackage, Some(true)), Judged::No);
        assert_eq!(judge(&Then::Same, Origin::Package, None), Judged::No, "it was so then, too");
    }

    #[test]
    fn what_cannot_be_found_out_decides_nothing() {
        let unknown = Then::Unknown(Text::same("no index"));
        for origin in [Origin::Package, Origin::Installer, Origin::AboutPackage] {
            for with in [None, Some(false)] {
                assert_eq!(judge(&unknown, origin, with), Judged::Undecided(Some(Text::same("no index"))));
            }
        }
    }

    #[test]
    fn a_build_that_fails_with_packages_of_ours_fails_nobody() {
        let text = Text::same("ERROR: ResolutionImpossible");
        let failed = LeftOut { reason: None, text: text.clone() };
        let with = BTreeSet::from(["app".to_owned()]);
        assert!(is_ours(&failed, "app", Some(&with)));
        assert!(!is_ours(&failed, "db", Some(&with)), "built as it was handed in");
        assert!(!is_ours(&failed, "app", None), "the first try");
        assert!(!is_ours(&LeftOut { reason: Some(Reason::Host), text }, "app", Some(&with)), "it has a reason");
    }

    #[test]
    fn what_has_gone_is_undecided_and_not_tried() {
        for then in [Then::Nothing, Then::Same, other()] {
            assert_eq!(judge(&then, Origin::Gone, None), Judged::Undecided(None));
        }
    }
}

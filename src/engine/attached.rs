//! What a run does not decide of a stack that was up before it came: what only a bring-up shows, and what would disturb it.

use super::schedule::Outcome;
use super::settle::Raw;
use crate::notice::{Level, Notice, Reason};
use crate::plan::{Attached, Place, Plan};
use crate::probe::{MACHINES, Phase, ProbeError};
use crate::stack::Stack;
use crate::submission::Submission;
use crate::text::Text;

/// Why a check is not looked at; none where it is.
pub(super) fn refused(plan: &Plan, stack: &Stack, check: usize) -> Option<ProbeError> {
    let Place::Attached(to) = &plan.options.place else { return None };
    let check = &plan.checks[check];
    // There are no machines beside a project that is up; the look itself says so, with or without `--allow-exercises`.
    if check.probe.layer() == MACHINES {
        return None;
    }
    let facts: Vec<&str> = check.expect.iter().map(|e| e.fact.as_str()).collect();
    let doubt = || {
        let services = check.probe.roles().into_iter().filter_map(|role| stack.playing(&role).map(str::to_owned));
        let all = services.flat_map(|service| facts.iter().filter_map(move |fact| stack.doubt(&service, fact)));
        all.cloned().collect::<Vec<_>>().into_iter().next()
    };
    let text = why(check.kind.name, check.probe.phase(), &facts, to.exercises).or_else(doubt)?;
    Some(ProbeError { reason: Reason::NotHere, text })
}

/// Keeps what was refused from being lost for what would have explained its failure.
pub(super) fn mark(plan: &Plan, stack: &Stack, outcomes: &mut [Outcome]) {
    for (check, outcome) in outcomes.iter_mut().enumerate() {
        if let (Raw::Error(reason), Some(_)) = (outcome.raw, refused(plan, stack, check)) {
            outcome.raw = Raw::Refused(reason);
        }
    }
}

/// By what a check asks for alone.
fn why(kind: &str, phase: Phase, facts: &[&str], exercises: bool) -> Option<Text> {
    let asks = |fact: &str| kind == "compose" && facts.contains(&fact);
    if asks("recreated") {
        return Some(Text::new(
            "attached: the stack is not brought up, so what a second `up` changes is not seen",
            "adjunto: la pila no se levanta, así que no se ve qué cambia un segundo `up`",
        ));
    }
    if asks("started") {
        return Some(Text::new(
            "attached: the stack was up already, so what its first `up` started was not seen",
            "adjunto: la pila ya estaba en marcha, así que no se vio qué arrancó su primer `up`",
        ));
    }
    if kind == "command" && !exercises {
        return Some(Text::new(
            "attached: this runs a command in a service, which may change it; `--allow-exercises` lets it",
            "adjunto: esto ejecuta una orden dentro de un servicio, que puede cambiarlo; `--allow-exercises` lo permite",
        ));
    }
    (phase >= Phase::Exercise && !exercises).then(|| {
        Text::new(
            "attached: this writes into the stack or starts services of it anew; `--allow-exercises` lets it",
            "adjunto: esto escribe en la pila o reinicia servicios suyos; `--allow-exercises` lo permite",
        )
    })
}

/// What is said of the project before it is looked at.
pub(super) fn notices(to: &Attached, submission: &Submission) -> Vec<Notice> {
    let project = &to.project;
    let name = crate::sanitize::line(&project.name, 80);
    let disturbed = if to.exercises {
        (
            "exercises write into it, and may restart its services",
            "los ejercicios escriben en él y pueden reiniciar sus servicios",
        )
    } else {
        ("nothing of it was created, started, stopped or removed", "nada suyo se creó, arrancó, detuvo ni retiró")
    };
    let mut notices = vec![Notice::new(
        "attached.as_found",
        Level::Info,
        Text::new(
            format!(
                "project {name} was looked at as it was found; {}; a scratch database server of imparcial's own may have run beside it",
                disturbed.0
            ),
            format!(
                "el proyecto {name} se observó tal como estaba; {}; junto a él pudo funcionar un servidor de prueba del propio imparcial",
                disturbed.1
            ),
        ),
    )];
    let file = submission.root.join(submission.compose_path());
    if !project.is_of(&file) {
        let folder = project.folder.iter().filter(|_| project.files.is_empty());
        let from: Vec<String> = project.files.iter().chain(folder).map(|path| path.display().to_string()).collect();
        let from = crate::sanitize::line(&from.join(", "), 200);
        let file = crate::sanitize::line(&file.to_string_lossy(), 200);
        let text = if from.is_empty() {
            Text::new(
                format!(
                    "nothing says that project {name} was brought up from {file}, whose policy and limits are judged"
                ),
                format!(
                    "nada indica que el proyecto {name} se haya levantado desde {file}, cuya política y límites se juzgan"
                ),
            )
        } else {
            Text::new(
                format!("project {name} was brought up from {from}, and the policy and limits of {file} are judged"),
                format!("el proyecto {name} se levantó desde {from}, y se juzgan la política y los límites de {file}"),
            )
        };
        notices.push(Notice::new("attached.another_file", Level::Warning, text));
    }
    notices
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::projects::Project;
    use crate::submission::ComposeFile;

    #[test]
    fn what_only_a_bring_up_shows_is_never_decided_and_exercises_when_they_may() {
        let open = |kind, phase, facts: &[&str], exercises| why(kind, phase, facts, exercises).is_none();
        for exercises in [false, true] {
            assert!(!open("compose", Phase::Exercise, &["recreated"], exercises));
            assert!(!open("compose", Phase::Look, &["started"], exercises));
            assert!(open("compose", Phase::Static, &["valid"], exercises));
            assert!(open("container", Phase::Look, &["state", "until_end"], exercises));
            assert_eq!(open("round_trip", Phase::Exercise, &["seen"], exercises), exercises);
        }
    }

    #[test]
    fn another_file_than_the_one_that_is_judged_is_said() {
        let compose = Some(ComposeFile { path: "docker-compose.yml".into(), ..ComposeFile::default() });
        let submission = Submission { root: "/s".into(), compose, ..Submission::default() };
        let of = |files: &[&str]| {
            let files = files.iter().map(Into::into).collect();
            let project = Project { name: "exam".into(), folder: Some("/t".into()), files, running: 1, containers: 1 };
            let ids = notices(&Attached { project, exercises: false }, &submission).into_iter().map(|n| n.id);
            ids.collect::<Vec<_>>()
        };
        assert_eq!(of(&["/s/docker-compose.yml"]), ["attached.as_found"]);
        assert_eq!(of(&["/t/docker-compose.yml"]), ["attached.as_found", "attached.another_file"]);
    }
}

//! Why an image is not there: who or what kept it from being pulled or built, in words for people.

use std::path::PathBuf;

use crate::backend::{Request, blame};
use crate::notice::Reason;
use crate::stack::{LeftOut, StandIn};
use crate::submission::ServiceDef;
use crate::text::Text;

/// An image that no registry here has. A one-word name that is no official image, without `build:` and with a Dockerfile
/// beside it, exists in no registry at all: the submission forgot to build it.
pub fn nowhere(reference: &str, official: bool, request: &Request) -> LeftOut {
    let one_word = !reference.contains('/');
    if one_word && !official && !request.submission.dockerfiles.is_empty() {
        return LeftOut {
            reason: None,
            text: Text::new(
                format!(
                    "no registry has an image `{reference}`, and the service has no `build:` for the Dockerfile that was handed in"
                ),
                format!(
                    "ningún registro tiene una imagen `{reference}` y el servicio no lleva `build:` para el Dockerfile entregado"
                ),
            ),
        };
    }
    LeftOut {
        reason: Some(Reason::Image),
        text: Text::new(
            format!(
                "no registry can be reached from here and there is no stand-in for `{reference}`: run again where it can be pulled"
            ),
            format!(
                "desde aquí no se alcanza ningún registro y no hay sustituta para `{reference}`: repita donde se pueda descargar"
            ),
        ),
    }
}

pub fn not_under(service: &str, why: &Text) -> LeftOut {
    let text = Text::new(
        format!("the packages of the day it was handed in could not be put under {service}: {}", why.en),
        format!("no se pudieron poner bajo {service} los paquetes del día en que se entregó: {}", why.es),
    );
    LeftOut { reason: Some(Reason::Age), text }
}

/// What was left out of the run's copy and is named in a build's Dockerfile or output.
pub fn not_copied(left_out: &[PathBuf], log: &str, dockerfile: &str) -> Option<String> {
    let named = |path: &&PathBuf| {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        // A folder of git's is named by its program.
        let name = if name == ".git" { "git".to_owned() } else { name };
        !name.is_empty() && (log.contains(&name) || dockerfile.contains(&name))
    };
    left_out.iter().find(named).map(|path| crate::sanitize::line(&path.to_string_lossy(), 200))
}

/// Why a build failed, and whose doing it was.
pub fn refused(
    service: &ServiceDef,
    log: &str,
    dockerfile: &str,
    stand_in: Option<&StandIn>,
    disk_full: bool,
) -> LeftOut {
    let name = &service.name;
    if blame::needs_newer_frontend(dockerfile) {
        return LeftOut {
            reason: Some(Reason::NotHere),
            text: Text::new(
                format!("the Dockerfile of {name} uses a syntax that needs a newer builder than the lab's"),
                format!(
                    "el Dockerfile de {name} usa una sintaxis que pide un constructor más nuevo que el del laboratorio"
                ),
            ),
        };
    }
    if let Some(line) = blame::unpulled_line(log) {
        return LeftOut {
            reason: Some(Reason::Image),
            text: Text::new(
                format!("the image that {name} is built on could not be pulled: {line}"),
                format!("no se pudo descargar la imagen sobre la que se construye {name}: {line}"),
            ),
        };
    }
    if let Some(line) = blame::disk_line(log).filter(|_| disk_full).or_else(|| log.lines().rev().find(|l| killed(l))) {
        return LeftOut {
            reason: Some(Reason::Host),
            text: Text::new(
                format!("the build of {name} ran out of the host's disk or memory: {line}"),
                format!("a la construcción de {name} le faltó disco o memoria del anfitrión: {line}"),
            ),
        };
    }
    if let Some(line) =
        blame::network_line(log).or(blame::host_line(log).filter(|line| disk_full || blame::disk_line(line).is_none()))
    {
        return LeftOut {
            reason: Some(Reason::Host),
            text: Text::new(
                format!("the build of {name} could not reach what it installs: {line}"),
                format!("la construcción de {name} no alcanzó lo que instala: {line}"),
            ),
        };
    }
    if let (Some(stand_in), Some(line)) = (stand_in, blame::version_line(log)) {
        return LeftOut {
            reason: Some(Reason::StandIn),
            text: Text::new(
                format!(
                    "the build of {name} stands on {} in place of {}: {line}",
                    stand_in.version, stand_in.reference
                ),
                format!(
                    "la construcción de {name} se apoya en {} en lugar de {}: {line}",
                    stand_in.version, stand_in.reference
                ),
            ),
        };
    }
    let line = last_line(log);
    LeftOut {
        reason: None,
        text: Text::new(
            format!("the image of {name} does not build: {line}"),
            format!("la imagen de {name} no se construye: {line}"),
        ),
    }
}

/// Builds have no limit of their own: what kills one of their steps is the host.
fn killed(line: &str) -> bool {
    line.contains("returned a non-zero code: 137") || line.contains("did not complete successfully: exit code: 137")
}

/// The last line that says something.
pub fn last_line(log: &str) -> String {
    let useful = |line: &&str| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with("Service '") && !line.starts_with("[notice]")
    };
    let service = log.lines().rev().find(|l| l.trim_start().starts_with("Service '"));
    let line = log.lines().rev().find(useful).or(service).unwrap_or("it printed nothing");
    crate::sanitize::line(line, 300)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_that_the_host_ends_is_the_hosts() {
        let service = ServiceDef { name: "app".to_owned(), ..ServiceDef::default() };
        for log in [
            "OSError: [Errno 28] No space left on device\nThe command '/bin/sh -c pip install flask' returned a non-zero code: 1",
            "The command '/bin/sh -c make' returned a non-zero code: 137",
        ] {
            assert_eq!(refused(&service, log, "FROM x", None, true).reason, Some(Reason::Host), "{log}");
        }
        let own = "The command '/bin/sh -c false' returned a non-zero code: 1";
        assert_eq!(refused(&service, own, "FROM x", None, true).reason, None);
        let printed = "No space left on device\nThe command '/bin/sh -c false' returned a non-zero code: 1";
        assert_eq!(refused(&service, printed, "FROM x", None, false).reason, None, "the disk is not full");
    }

    #[test]
    fn what_was_left_out_of_the_copy_is_not_missed_by_the_submission() {
        let left_out = [PathBuf::from("data/dump.sql"), PathBuf::from(".git")];
        let found = |log: &str, dockerfile: &str| not_copied(&left_out, log, dockerfile);
        assert_eq!(found("COPY failed: data/dump.sql: not found", "FROM x").as_deref(), Some("data/dump.sql"));
        assert_eq!(found("", "FROM x\nRUN git rev-parse HEAD").as_deref(), Some(".git"));
        assert_eq!(found("a typo", "FROM x\nRUN flase"), None);
    }

    #[test]
    fn the_last_line_is_the_builds_own_and_not_the_tools() {
        assert_eq!(
            last_line("Step 4\nCOPY failed: x\nService 'app' failed to build : Build failed\n"),
            "COPY failed: x"
        );
        assert_eq!(last_line(""), "it printed nothing");
    }
}

//! In which order images are made: one that stands on what another service builds comes after it.
//!
//! The compose tool does not look at `FROM`: it builds by `depends_on`, and pulls what is not there yet. Where a student's
//! machine still had the base from a build before, a fresh one would not; that is nobody's fault that a check asks about.

use crate::submission::{ServiceDef, Submission};

/// Services in turns: each turn's stand on nothing of the same turn or of a later one. Those that stand on one another in a
/// circle come last, together, and their builds say what is wrong.
pub fn turns<'a>(services: &[&'a ServiceDef], submission: &Submission) -> Vec<Vec<&'a ServiceDef>> {
    let mut left: Vec<&ServiceDef> = services.to_vec();
    let mut turns = Vec::new();
    while !left.is_empty() {
        let ready = |s: &ServiceDef| !left.iter().any(|other| stands_on(s, other, submission));
        let (turn, rest): (Vec<_>, Vec<_>) = left.iter().copied().partition(|s| ready(s));
        if turn.is_empty() {
            turns.push(rest);
            break;
        }
        turns.push(turn);
        left = rest;
    }
    turns
}

/// Whether `service` is built `FROM`, or copies from, or simply runs, the image that `other` builds.
pub fn stands_on(service: &ServiceDef, other: &ServiceDef, submission: &Submission) -> bool {
    let (Some(made), true) = (other.image.as_deref(), other.build.is_some() && other.name != service.name) else {
        return false;
    };
    match &service.build {
        Some(_) => submission
            .builds
            .get(&service.name)
            .is_some_and(|b| b.dockerfile.bases().iter().any(|b| same(Some(b), made))),
        None => same(service.image.as_deref(), made),
    }
}

/// Whether two references name one image: without a tag it is `latest`.
pub fn same(reference: Option<&str>, other: &str) -> bool {
    let plain = |r: &str| r.trim_end_matches(":latest").to_owned();
    reference.is_some_and(|r| plain(r) == plain(other))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::submission;

    fn names(dockerfiles: &[(&str, &str)], compose: &str) -> Vec<Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in dockerfiles {
            fs::create_dir_all(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join("Dockerfile"), text).unwrap();
        }
        fs::write(folder.path().join("docker-compose.yml"), compose).unwrap();
        let submission = submission::read(folder.path(), &submission::ReadOptions::default()).unwrap();
        let services: Vec<&ServiceDef> = submission.compose.as_ref().unwrap().services.iter().collect();
        turns(&services, &submission).iter().map(|turn| turn.iter().map(|s| s.name.clone()).collect()).collect()
    }

    #[test]
    fn what_a_service_stands_on_is_built_first() {
        let compose = "services:\n  app: {build: ./app}\n  worker: {image: team/base}\n  db: {image: mysql}\n  base: {build: ./base, image: team/base:latest}\n";
        let dockerfiles = [("app", "FROM team/base\n"), ("base", "FROM python:3.6\n")];
        assert_eq!(names(&dockerfiles, compose), [vec!["db", "base"], vec!["app", "worker"]]);
    }

    #[test]
    fn an_image_that_is_copied_from_counts_and_a_circle_ends() {
        let compose =
            "services:\n  a: {build: ./a, image: team/a}\n  b: {build: ./b, image: team/b}\n  c: {build: ./c}\n";
        let circle = [("a", "FROM team/b\n"), ("b", "FROM team/a\n"), ("c", "FROM python:3.6\n")];
        assert_eq!(names(&circle, compose), [vec!["c"], vec!["a", "b"]]);
        let staged =
            [("a", "FROM python:3.6\n"), ("b", "FROM redis\nCOPY --from=team/a /x /x\n"), ("c", "FROM redis\n")];
        assert_eq!(names(&staged, compose), [vec!["a", "c"], vec!["b"]]);
    }
}

//! The catalogue of stand-ins (`vagrant/catalogue.yaml`): which image can serve for which reference, and which names
//! are official images at all. Pure.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::stack::StandIn;

/// Parts of a tag that ask for a system which no Debian can be.
const OTHER_SYSTEMS: [&str; 3] = ["alpine", "windowsservercore", "nanoserver"];

/// One stand-in.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub name: String,
    /// The image that it is built on: `base`, or another entry's name.
    pub base: String,
    /// What roles are bound by.
    pub family: String,
    /// What really runs.
    pub product: String,
    pub version: String,
    /// Patterns, `*` for anything, on `repository:tag`.
    references: Vec<String>,
    /// What set-up puts into the registry.
    pub tags: Vec<String>,
}

impl Entry {
    /// `MariaDB 10.11`.
    pub fn shown(&self) -> String {
        format!("{} {}", self.product, self.version)
    }
}

/// Every stand-in, and the names of all official images.
#[derive(Clone, Debug)]
pub struct Catalogue {
    pub stand_ins: Vec<Entry>,
    official: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    stand_ins: Vec<Entry>,
    official: String,
}

static SHIPPED: LazyLock<Catalogue> = LazyLock::new(|| {
    // A catalogue that does not read is a mistake of ours that the tests below find; an empty one says so plainly.
    Catalogue::read(include_str!("../../vagrant/catalogue.yaml")).unwrap_or_else(|error| {
        tracing::error!(%error, "the catalogue of stand-ins cannot be read");
        Catalogue { stand_ins: Vec::new(), official: BTreeSet::new() }
    })
});

impl Catalogue {
    /// The one that this program was built with.
    pub fn shipped() -> &'static Self {
        &SHIPPED
    }

    /// Reads a catalogue.
    ///
    /// # Errors
    /// With the parser's words and the line.
    pub fn read(yaml: &str) -> Result<Self, String> {
        let written: Written = serde_saphyr::from_str(yaml).map_err(|error| error.to_string())?;
        let official = written.official.split_whitespace().map(str::to_owned).collect();
        Ok(Self { stand_ins: written.stand_ins, official })
    }

    /// The entry that can serve for an image reference.
    pub fn entry_for(&self, reference: &str) -> Option<&Entry> {
        let reference = Reference::parse(reference)?;
        if reference.digest || OTHER_SYSTEMS.iter().any(|system| reference.tag.contains(system)) {
            return None;
        }
        let name = format!("{}:{}", reference.repository, reference.tag);
        self.stand_ins.iter().find(|entry| entry.references.iter().any(|pattern| matches(pattern, &name)))
    }

    /// What would serve for an image reference where no registry answers.
    pub fn stand_in_for(&self, reference: &str) -> Option<StandIn> {
        self.entry_for(reference).map(|entry| StandIn {
            reference: reference.to_owned(),
            name: entry.name.clone(),
            version: entry.shown(),
        })
    }

    /// The family of a reference (`mysql` of `mariadb:10`), whatever its tag.
    pub fn family_of(&self, reference: &str) -> Option<String> {
        let repository = Reference::parse(reference)?.repository;
        let known = |entry: &&Entry| entry.references.iter().any(|p| p.split(':').next() == Some(repository.as_str()));
        self.stand_ins.iter().find(known).map(|entry| entry.family.clone())
    }

    /// Whether a name is one of Docker's official images (`mongo`), with or without a stand-in. A tag, `library/` and
    /// the registry's own name do not matter.
    pub fn is_official(&self, name: &str) -> bool {
        Reference::parse(name).is_some_and(|reference| self.official.contains(&reference.repository))
    }
}

/// An image reference of docker.io, made plain: `docker.io/library/mysql` is `mysql:latest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// `mysql`, `bitnami/mysql`.
    pub(crate) repository: String,
    pub(crate) tag: String,
    pub(crate) digest: bool,
}

impl Reference {
    /// None where it is no reference, or one of another registry.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (name, digest) = match text.trim().split_once('@') {
            Some((name, _)) => (name, true),
            None => (text.trim(), false),
        };
        // A colon before the last slash belongs to a registry's port.
        let (path, tag) = match name.rsplit_once(':') {
            Some((path, tag)) if !tag.contains('/') => (path, tag),
            _ => (name, "latest"),
        };
        let mut path = path;
        if let Some((first, rest)) = path.split_once('/') {
            if matches!(first, "docker.io" | "index.docker.io" | "registry-1.docker.io" | "registry.hub.docker.com") {
                path = rest;
            } else if first.contains(['.', ':']) || first == "localhost" {
                return None;
            }
        }
        let repository = path.strip_prefix("library/").unwrap_or(path);
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/".contains(c);
        let whole = !repository.is_empty() && repository.chars().all(plain) && !tag.is_empty();
        whole.then(|| Self { repository: repository.to_owned(), tag: tag.to_owned(), digest })
    }

    /// Where a mirror of docker.io has it.
    pub(crate) fn path(&self) -> String {
        if self.repository.contains('/') { self.repository.clone() } else { format!("library/{}", self.repository) }
    }
}

/// Whether `text` is what a pattern says, `*` for any run of characters.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text
            .strip_prefix(start)
            .is_some_and(|left| (0..=left.len()).any(|at| left.is_char_boundary(at) && matches(rest, &left[at..]))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(reference: &str) -> Option<&'static str> {
        Catalogue::shipped().entry_for(reference).map(|entry| entry.name.as_str())
    }

    #[test]
    fn what_deliveries_ask_for_has_a_stand_in() {
        let asked = [
            ("python:3.6", "python"),
            ("python", "python"),
            ("python:3", "python"),
            ("python:3.8-buster", "python"),
            ("python:3.6-slim", "python-slim"),
            ("python:3.9-slim-bullseye", "python-slim"),
            ("docker.io/library/mysql:5.7", "mysql"),
            ("library/mysql", "mysql"),
            ("mysql:8.0.33", "mysql"),
            ("mariadb:10", "mysql"),
            ("php:7.2-apache", "php"),
            ("php:apache", "php"),
            ("php:7.2-fpm", "php-fpm"),
            ("php:7.4", "php-cli"),
            ("php", "php-cli"),
            ("php:8.1-cli-buster", "php-cli"),
            ("nginx:1.21", "nginx"),
            ("httpd", "httpd"),
            ("redis:5", "redis"),
            ("debian:buster", "debian"),
        ];
        for (reference, entry) in asked {
            assert_eq!(name(reference), Some(entry), "{reference}");
        }
    }

    #[test]
    fn what_no_debian_can_be_has_none() {
        let asked = [
            "python:3.6-alpine",
            "python:3.7-alpine3.12",
            "redis:alpine",
            "mysql@sha256:0000",
            "python:3.6@sha256:0000",
            "python:2.7",
            "python:2",
            "php:7.2-fpm-alpine",
            "nginx:alpine",
            // Debian has none.
            "mongo",
            "mongo:4",
            "postgres:15-alpine",
            "bitnami/mysql:5.7",
            "localhost:5000/python:3.6",
            "registry.example.com/python:3.6",
            "",
            "Python:3.6",
        ];
        for reference in asked {
            assert_eq!(name(reference), None, "{reference}");
        }
    }

    #[test]
    fn a_stand_in_says_what_it_is() {
        let stand_in = Catalogue::shipped().stand_in_for("mysql:5.7").expect("mysql has a stand-in");
        let expected = StandIn { reference: "mysql:5.7".into(), name: "mysql".into(), version: "MariaDB 10.11".into() };
        assert_eq!(stand_in, expected);
    }

    #[test]
    fn families_do_not_hang_on_the_tag() {
        let catalogue = Catalogue::shipped();
        assert_eq!(catalogue.family_of("mariadb:10-alpine").as_deref(), Some("mysql"));
        assert_eq!(catalogue.family_of("mysql@sha256:00").as_deref(), Some("mysql"));
        assert_eq!(catalogue.family_of("postgres:9.6").as_deref(), Some("postgres"));
        assert_eq!(catalogue.family_of("nobody/app"), None);
    }

    #[test]
    fn official_names_are_told_from_made_up_ones() {
        let catalogue = Catalogue::shipped();
        for official in ["mongo", "adminer", "wordpress:php8.2", "library/mysql", "docker.io/library/ubuntu:18.04"] {
            assert!(catalogue.is_official(official), "{official}");
        }
        for other in ["myapp", "app_flask", "user/mysql", "ghcr.io/library/mysql"] {
            assert!(!catalogue.is_official(other), "{other}");
        }
    }

    #[test]
    fn every_entry_is_whole() {
        let catalogue = Catalogue::shipped();
        for entry in &catalogue.stand_ins {
            let known = entry.base == "base" || catalogue.stand_ins.iter().any(|other| other.name == entry.base);
            assert!(known, "{}: no base {}", entry.name, entry.base);
            for tag in &entry.tags {
                let found = catalogue.entry_for(tag).map(|e| e.name.clone());
                assert_eq!(found.as_ref(), Some(&entry.name), "{tag}");
            }
            for pattern in &entry.references {
                let repository = pattern.split(':').next().unwrap_or_default();
                assert!(catalogue.is_official(repository), "{pattern}");
            }
        }
    }

    #[test]
    fn patterns() {
        assert!(matches("python:3*-slim*", "python:3.6-slim"));
        assert!(matches("a*b*c", "aXXbYYc"));
        assert!(!matches("a*b", "abX"));
        assert!(matches("*", ""));
        assert!(!matches("python:3.*", "python:3"));
    }
}

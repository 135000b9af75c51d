//! Which service plays which role: found by what services do, not by their names, and explained as a person would.
//!
//! Stores are found first, by the family of their image (their own or the one that they are built on); then what was built
//! from the submission. *Talks to the store* only chooses among several. Where nothing tells two apart, nothing is bound:
//! the candidates are named, and `--role` decides.

mod app;
mod code;
mod store;

use std::collections::BTreeMap;

use super::{ComposeFile, ServiceDef, Submission};
use crate::expect::Place;
use crate::text::Text;

/// What a role is found by.
#[derive(Clone, Debug, Default)]
pub struct RoleSpec {
    pub name: String,
    /// Built from the submission.
    pub built: bool,
    /// Chooses among several that fit.
    pub talks_to: Option<String>,
    /// `mysql`, `mariadb`, …: the image's family.
    pub image_family: Vec<String>,
    pub at: Place,
}

/// Which services could play a role, and which does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Binding {
    pub service: Option<String>,
    pub why: Text,
    /// More than one fits and nothing tells them apart.
    pub candidates: Vec<String>,
}

impl Binding {
    fn to(service: &str, en: String, es: String) -> Self {
        Self { service: Some(service.to_owned()), why: Text { en, es }, candidates: Vec::new() }
    }

    fn none(en: String, es: String) -> Self {
        Self { service: None, why: Text { en, es }, candidates: Vec::new() }
    }

    /// No service of the file fits, and none is named.
    pub fn nobody(&self) -> bool {
        self.service.is_none() && self.candidates.is_empty()
    }

    /// Several that nothing tells apart.
    fn open(role: &str, candidates: Vec<String>) -> Self {
        let (first, all) = (candidates.first().cloned().unwrap_or_default(), list(&candidates));
        let why = Text::new(
            format!("{all} fit equally well, and nothing tells them apart; say which with `--role {role}={first}`"),
            format!("{all} sirven por igual, y nada los distingue; diga cuál con `--role {role}={first}`"),
        );
        Self { service: None, why, candidates }
    }
}

/// The family of an image reference (`mysql` of `mysql:5.7` and of `bitnami/mysql`), if the catalogue knows it.
pub type Family<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Binds every role. `overrides` are the pairs of `--role app=web`.
pub fn bind(
    specs: &[RoleSpec],
    compose: &ComposeFile,
    submission: &Submission,
    family: Family<'_>,
    overrides: &[(String, String)],
) -> BTreeMap<String, Binding> {
    let view = View { specs, compose, submission, family };
    let mut bound: BTreeMap<String, Binding> = BTreeMap::new();
    for (role, wanted) in overrides {
        bound.insert(role.clone(), view.named(role, wanted));
    }
    // Whoever is named is not looked for; stores come first, because talking to them is what chooses among apps.
    for spec in specs.iter().filter(|spec| !spec.image_family.is_empty()) {
        if !bound.contains_key(&spec.name) {
            let binding = view.store(spec, &bound);
            bound.insert(spec.name.clone(), binding);
        }
    }
    for spec in specs.iter().filter(|spec| spec.image_family.is_empty()) {
        if !bound.contains_key(&spec.name) {
            let binding = view.app(spec, &bound);
            bound.insert(spec.name.clone(), binding);
        }
    }
    bound
}

/// The service that a `--role` names: by its own name, or by its container's.
pub fn named<'c>(compose: &'c ComposeFile, wanted: &str) -> Option<&'c ServiceDef> {
    let by_container = |s: &&ServiceDef| s.container_name.as_deref() == Some(wanted);
    compose.service(wanted).or_else(|| compose.services.iter().find(by_container))
}

/// The roles that are looked for where no scenario says otherwise: an app and its database.
pub fn default_roles() -> Vec<RoleSpec> {
    let families = ["mysql", "mariadb", "percona", "postgres", "mongo", "redis"];
    vec![
        RoleSpec { name: "app".to_owned(), built: true, talks_to: Some("db".to_owned()), ..RoleSpec::default() },
        RoleSpec {
            name: "db".to_owned(),
            image_family: families.iter().map(ToString::to_string).collect(),
            ..RoleSpec::default()
        },
    ]
}

/// The families of the usual stores, by the image's name alone: for where no catalogue is at hand.
pub fn plain_family(reference: &str) -> Option<String> {
    const NAMES: [(&str, &str); 10] = [
        ("mysql", "mysql"),
        ("mysql-server", "mysql"),
        ("mariadb", "mariadb"),
        ("percona", "percona"),
        ("percona-server", "percona"),
        ("postgres", "postgres"),
        ("postgresql", "postgres"),
        ("mongo", "mongo"),
        ("redis", "redis"),
        ("elasticsearch", "elasticsearch"),
    ];
    let name = image_name(reference);
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, family)| (*family).to_owned())
}

/// `mysql` of `docker.io/library/mysql:5.7@sha256:…`.
pub fn image_name(reference: &str) -> &str {
    let reference = reference.split('@').next().unwrap_or_default();
    let last = reference.rsplit('/').next().unwrap_or_default();
    last.split(':').next().unwrap_or_default()
}

struct View<'a> {
    specs: &'a [RoleSpec],
    compose: &'a ComposeFile,
    submission: &'a Submission,
    family: Family<'a>,
}

impl View<'_> {
    /// `--role app=web`: the service, or the one whose container has this name.
    fn named(&self, role: &str, wanted: &str) -> Binding {
        match named(self.compose, wanted) {
            Some(service) => Binding::to(
                &service.name,
                format!("`--role {role}={wanted}` says so"),
                format!("lo dice `--role {role}={wanted}`"),
            ),
            None => {
                let all = list(&self.compose.services.iter().map(|s| s.name.clone()).collect::<Vec<_>>());
                Binding::none(
                    format!("`--role {role}={wanted}`: there is no service `{wanted}`; the services are {all}"),
                    format!("`--role {role}={wanted}`: no hay ningún servicio `{wanted}`; los servicios son {all}"),
                )
            }
        }
    }

    /// The family of what a service runs: of its image, or of what it is built on.
    fn family_of(&self, service: &ServiceDef) -> Option<String> {
        if service.build.is_some() {
            let build = self.submission.builds.get(&service.name)?;
            return self.family_of_image(build.base()?);
        }
        self.family_of_image(service.image.as_deref()?)
    }

    /// What the catalogue says; of what it does not know (`bitnami/mysql`), the name.
    fn family_of_image(&self, reference: &str) -> Option<String> {
        (self.family)(reference).or_else(|| plain_family(reference))
    }

    /// As a person names an image: `mysql:5.7`, or what it is built on.
    fn image_of(&self, service: &ServiceDef) -> Text {
        let build = self.submission.builds.get(&service.name);
        if service.build.is_some() {
            return match build.and_then(|build| build.base()) {
                Some(base) => Text::new(format!("built on `{base}`"), format!("construido sobre `{base}`")),
                None => Text::new("built from the submission", "construido desde la entrega"),
            };
        }
        let image = service.image.as_deref().unwrap_or("?");
        Text::new(format!("image `{image}`"), format!("imagen `{image}`"))
    }

    /// Whether any role wants a family that this service is of: then it is a store, though it may be built.
    fn is_store(&self, service: &ServiceDef) -> bool {
        let family = self.family_of(service);
        family.is_some_and(|family| self.specs.iter().any(|spec| spec.image_family.contains(&family)))
    }
}

/// How a service says that it uses another one; the stronger, the greater.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Talk {
    Link,
    DependsOn,
    /// The variable that names it.
    Variable(String),
}

impl Talk {
    fn describe(&self, store: &str) -> Text {
        match self {
            Self::Link => Text::new(format!("links to `{store}`"), format!("tiene un enlace (`links`) a `{store}`")),
            Self::DependsOn => Text::new(format!("depends on `{store}`"), format!("depende de `{store}`")),
            Self::Variable(name) => {
                Text::new(format!("names `{store}` in {name}"), format!("nombra a `{store}` en {name}"))
            }
        }
    }
}

/// Whether and how a service says in the compose file that it uses another.
fn talks(service: &ServiceDef, store: &ServiceDef) -> Option<Talk> {
    if service.links.iter().any(|(target, _)| *target == store.name) {
        return Some(Talk::Link);
    }
    if service.depends_on.contains(&store.name) {
        return Some(Talk::DependsOn);
    }
    let mut names: Vec<&str> = vec![&store.name];
    names.extend(store.container_name.as_deref());
    names.extend(store.networks.values().flatten().map(String::as_str));
    let word = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let mentions = |value: &str| value.split(|c: char| !word(c)).any(|token| names.contains(&token));
    // `MYSQL_DATABASE: db` and the like are no address.
    let address =
        |name: &str| !["DATABASE", "DB_NAME", "_DB", "USER", "PASS", "PASSWORD"].iter().any(|end| name.ends_with(end));
    let (name, _) = service
        .environment
        .iter()
        .find(|(name, value)| address(&name.to_ascii_uppercase()) && value.as_deref().is_some_and(mentions))?;
    Some(Talk::Variable(name.clone()))
}

/// Whether two services are on a network that not every service is on.
fn share_a_network(compose: &ComposeFile, a: &ServiceDef, b: &ServiceDef) -> bool {
    let everywhere = |network: &str| compose.services.iter().all(|s| s.networks.contains_key(network));
    a.networks.keys().any(|network| b.networks.contains_key(network) && !everywhere(network))
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;

//! The store: a service whose image, or what it is built on, is of the family that is asked for.

use std::collections::BTreeMap;

use super::{Binding, RoleSpec, View, image_name, list, talks};
use crate::submission::ServiceDef;

impl View<'_> {
    pub(super) fn store(&self, spec: &RoleSpec, bound: &BTreeMap<String, Binding>) -> Binding {
        let free = |s: &&ServiceDef| !bound.values().any(|b| b.service.as_deref() == Some(&s.name));
        let of_family = |s: &&ServiceDef| self.family_of(s).is_some_and(|family| spec.image_family.contains(&family));
        let mut candidates: Vec<&ServiceDef> = self.compose.services.iter().filter(free).filter(of_family).collect();
        if candidates.is_empty() {
            candidates =
                self.compose.services.iter().filter(free).filter(|s| acts_like(s, &spec.image_family)).collect();
        }
        // A cache beside a database is not the database.
        let cache = |s: &ServiceDef| self.family_of(s).as_deref() == Some("redis");
        if candidates.iter().any(|s| !cache(s)) {
            candidates.retain(|s| !cache(s));
        }
        let (first, more) = match candidates.split_first() {
            None => return self.no_store(spec),
            Some((only, [])) => {
                let how = self.image_of(only);
                let many = spec.image_family.len() > 3;
                let all = list(&spec.image_family);
                let (en, es) = match many {
                    true => ("database".to_owned(), "la única base de datos".to_owned()),
                    false => (format!("one of {all}"), format!("el único de {all}")),
                };
                return Binding::to(
                    &only.name,
                    format!("`{}` is the only {en}: {}", only.name, how.en),
                    format!("`{}` es {es}: {}", only.name, how.es),
                );
            }
            Some((first, more)) => (*first, more),
        };
        // Of several, the one that something built from the submission uses, or any other service if nothing built does.
        let users = |store: &ServiceDef, built_only: bool| {
            let others = self.compose.services.iter().filter(|s| s.name != store.name && !self.is_store(s));
            let fits = |s: &&ServiceDef| !built_only || s.build.is_some();
            others.filter(fits).find_map(|s| Some((s, talks(s, store)?)))
        };
        for built_only in [true, false] {
            let used: Vec<_> = candidates.iter().filter_map(|s| Some((*s, users(s, built_only)?))).collect();
            if let [(store, (user, talk))] = used.as_slice() {
                let how = talk.describe(&store.name);
                let rest: Vec<String> =
                    candidates.iter().filter(|s| s.name != store.name).map(|s| s.name.clone()).collect();
                return Binding::to(
                    &store.name,
                    format!(
                        "of several, `{}` is the one in use: `{}` {}; not {}",
                        store.name,
                        user.name,
                        how.en,
                        list(&rest)
                    ),
                    format!(
                        "de varios, `{}` es el que se usa: `{}` {}; no {}",
                        store.name,
                        user.name,
                        how.es,
                        list(&rest)
                    ),
                );
            }
            if !used.is_empty() {
                break;
            }
        }
        let names = std::iter::once(&first).chain(more).map(|s| s.name.clone()).collect();
        Binding::open(&spec.name, names)
    }

    fn no_store(&self, spec: &RoleSpec) -> Binding {
        let wanted = list(&spec.image_family);
        let all: Vec<String> = self
            .compose
            .services
            .iter()
            .map(|s| match (&s.build, &s.image) {
                (None, Some(image)) => format!("`{}` ({image})", s.name),
                _ => format!("`{}`", s.name),
            })
            .collect();
        let all = all.join(", ");
        Binding::none(
            format!("no service is one of {wanted}; the services are {all}"),
            format!("ningún servicio es de {wanted}; los servicios son {all}"),
        )
    }
}

/// A store under a name that no catalogue knows: it serves the family's port, or keeps its files or scripts where the family does.
fn acts_like(service: &ServiceDef, families: &[String]) -> bool {
    families.iter().any(|family| {
        let (port, folder) = match family.as_str() {
            "mysql" | "mariadb" | "percona" => (3306, "/var/lib/mysql"),
            "postgres" => (5432, "/var/lib/postgresql"),
            "mongo" => (27017, "/data/db"),
            "redis" => (6379, "/data"),
            _ => return false,
        };
        let serves = service.ports.iter().any(|p| p.container == port) || service.expose.contains(&port);
        let keeps = service.mounts.iter().any(|m| m.target.starts_with(folder) && folder != "/data");
        let named = service.image.as_deref().is_some_and(|image| image_name(image).contains(family.as_str()));
        let scripts = service.mounts.iter().any(|m| m.target.starts_with(crate::submission::sql::ENTRYPOINT));
        serves || keeps || (named && (scripts || service.ports.is_empty())) || (scripts && families.len() == 1)
    })
}

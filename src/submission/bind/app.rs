//! The app: what was built from the submission. Only where nothing is built, what runs the submission's files all the same.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Binding, RoleSpec, Talk, View, list, share_a_network, talks};
use crate::submission::ServiceDef;
use crate::submission::paths::{self, Lead};
use crate::text::Text;

impl View<'_> {
    pub(super) fn app(&self, spec: &RoleSpec, bound: &BTreeMap<String, Binding>) -> Binding {
        let taken = |s: &ServiceDef| bound.values().any(|b| b.service.as_deref() == Some(&s.name));
        let free: Vec<&ServiceDef> = self.compose.services.iter().filter(|s| !taken(s) && !self.is_store(s)).collect();
        let built: Vec<&ServiceDef> = free.iter().copied().filter(|s| s.build.is_some()).collect();
        let stores = self.stores(spec, bound);
        match built.as_slice() {
            [] => self.not_built(spec, &free, &stores),
            [only] => self.only(only, &free, &stores),
            _ => self.among(spec, built, &stores),
        }
    }

    /// The services that the app is expected to talk to: the one that was bound, or those that could be.
    fn stores(&self, spec: &RoleSpec, bound: &BTreeMap<String, Binding>) -> Vec<&ServiceDef> {
        let Some(binding) = spec.talks_to.as_ref().and_then(|role| bound.get(role)) else { return Vec::new() };
        let names = binding.service.iter().chain(&binding.candidates);
        names.filter_map(|name| self.compose.service(name)).collect()
    }

    fn only(&self, app: &ServiceDef, free: &[&ServiceDef], stores: &[&ServiceDef]) -> Binding {
        let from = from(app);
        let talk = talk(app, stores).map(|(store, talk)| talk.describe(&store.name)).unwrap_or_default();
        let and = |en: &str| if en.is_empty() { String::new() } else { format!(" {en}") };
        let stock: Vec<String> =
            free.iter().filter(|s| s.build.is_none() && !s.ports.is_empty()).map(|s| s.name.clone()).collect();
        let not = |text: &str| if stock.is_empty() { String::new() } else { format!("; {} {text}", list(&stock)) };
        Binding::to(
            &app.name,
            format!(
                "`{}` is the only one built from the submission{}{}{}",
                app.name,
                and(&from.en),
                if talk.en.is_empty() { String::new() } else { format!(", and {}", talk.en) },
                not("is stock")
            ),
            format!(
                "`{}` es el único construido desde la entrega{}{}{}",
                app.name,
                and(&from.es),
                if talk.es.is_empty() { String::new() } else { format!(", y {}", talk.es) },
                not("no es propio")
            ),
        )
    }

    /// Of several that are built: who talks to the store, then who publishes a port, then whether they are one build.
    fn among(&self, spec: &RoleSpec, built: Vec<&ServiceDef>, stores: &[&ServiceDef]) -> Binding {
        let all = built.clone();
        let mut left = built;
        let mut why = Vec::new();
        let mut narrow = |left: &mut Vec<&ServiceDef>, fits: &dyn Fn(&ServiceDef) -> bool, reason: Text| {
            let some: Vec<&ServiceDef> = left.iter().copied().filter(|s| fits(s)).collect();
            if !some.is_empty() && some.len() < left.len() {
                *left = some;
                why.push(reason);
            }
        };
        narrow(
            &mut left,
            &|s| !self.is_tool(s),
            Text::new("is no tool beside an app", "no es una herramienta auxiliar"),
        );
        let store = stores.first().map(|s| s.name.as_str()).unwrap_or_default();
        let said = Text::new(format!("talks to `{store}`"), format!("habla con `{store}`"));
        narrow(&mut left, &|s| talk(s, stores).is_some(), said.clone());
        if left.len() > 1 && !left.iter().any(|s| talk(s, stores).is_some()) {
            let said = Text::new(format!("names `{store}` in its code"), format!("nombra a `{store}` en su código"));
            narrow(&mut left, &|s| self.code_names(s, stores).is_some(), said);
            let near = |s: &ServiceDef| stores.iter().any(|store| share_a_network(self.compose, s, store));
            let said = Text::new(format!("shares a network with `{store}`"), format!("comparte una red con `{store}`"));
            narrow(&mut left, &near, said);
        }
        narrow(&mut left, &|s| !s.ports.is_empty(), Text::new("publishes a port", "publica un puerto"));
        // A job that fills the database depends on it too, and serves nothing.
        let serves = |s: &ServiceDef| {
            let build = self.submission.builds.get(&s.name);
            let stage = build.and_then(|build| build.dockerfile.stage(build.target.as_deref()));
            !s.expose.is_empty() || stage.is_some_and(|stage| !stage.expose.is_empty())
        };
        if left.iter().all(|s| s.ports.is_empty()) {
            narrow(&mut left, &serves, Text::new("exposes a port", "expone un puerto"));
        }
        let Some(first) = left.first() else { return Binding::open(&spec.name, names(&all)) };
        if left.len() > 1 {
            if !left.iter().all(|s| same_build(s, first)) {
                return Binding::open(&spec.name, names(&left));
            }
            why.push(Text::new(
                format!("{} are one and the same build, and it is the first", list(&names(&left))),
                format!("{} son una misma construcción, y es el primero", list(&names(&left))),
            ));
        }
        let rest: Vec<String> = all.iter().filter(|s| s.name != first.name).map(|s| s.name.clone()).collect();
        let join = |pick: fn(&Text) -> &str, and: &str| why.iter().map(pick).collect::<Vec<_>>().join(and);
        Binding::to(
            &first.name,
            format!(
                "`{}` is built from the submission and {}; {} built too",
                first.name,
                join(|t| &t.en, " and "),
                are(&rest)
            ),
            format!(
                "`{}` está construido desde la entrega y {}; también se {}: {}",
                first.name,
                join(|t| &t.es, " y "),
                if rest.len() == 1 { "construye" } else { "construyen" },
                list(&rest)
            ),
        )
    }

    /// Nothing is built: the one that runs files of the submission, or the one image of its own that publishes a port.
    fn not_built(&self, spec: &RoleSpec, free: &[&ServiceDef], stores: &[&ServiceDef]) -> Binding {
        let none = |en: &str, es: &str| Binding::none(en.to_owned(), es.to_owned());
        if free.is_empty() {
            return none(
                "no service is left that could be it: nothing is built from the submission",
                "no queda ningún servicio que pueda serlo: nada se construye desde la entrega",
            );
        }
        let own_files = |s: &&ServiceDef| {
            let inside = |path: &str| {
                let folder = self.compose.path.parent().unwrap_or(Path::new(""));
                let lead = paths::follow(&self.submission.root, folder, path, self.compose.workdir.as_deref());
                matches!(lead, Lead::Inside(_))
            };
            s.mounts.iter().any(|mount| mount.bind && mount.source.as_deref().is_some_and(inside))
        };
        let own_image = |s: &&ServiceDef| s.image.as_deref().is_some_and(|image| (self.family)(image).is_none());
        let publishes = |s: &&ServiceDef| !s.ports.is_empty();
        let talking = |s: &&ServiceDef| talk(s, stores).is_some();
        let naming = |s: &&ServiceDef| self.code_names(s, stores).is_some();
        let no_tool = |s: &&ServiceDef| !self.is_tool(s);
        type Fits<'a> = &'a dyn Fn(&&ServiceDef) -> bool;
        let ways: [(Fits<'_>, Text); 2] = [
            (&own_files, Text::new("it runs files of the submission", "ejecuta archivos de la entrega")),
            (&own_image, Text::new("its image is no stock one", "su imagen no es de las comunes")),
        ];
        for (fits, reason) in ways {
            let all: Vec<&ServiceDef> = free.iter().copied().filter(fits).collect();
            let mut left = all.clone();
            for more in [&no_tool as Fits<'_>, &publishes, &talking, &naming] {
                let some: Vec<&ServiceDef> = left.iter().copied().filter(more).collect();
                if left.len() > 1 && !some.is_empty() {
                    left = some;
                }
            }
            match left.as_slice() {
                [] => {}
                [only] => {
                    return Binding::to(
                        &only.name,
                        format!("nothing is built from the submission; `{}` comes nearest: {}", only.name, reason.en),
                        format!("nada se construye desde la entrega; lo más cercano es `{}`: {}", only.name, reason.es),
                    );
                }
                several => return Binding::open(&spec.name, names(several)),
            }
        }
        let (names, role) = (list(&names(free)), &spec.name);
        Binding::none(
            format!(
                "nothing is built from the submission, and {names} run stock images only; if one of them is it, say so with `--role {role}=NAME`"
            ),
            format!(
                "nada se construye desde la entrega, y {names} solo usan imágenes comunes; si es uno de ellos, dígalo con `--role {role}=NOMBRE`"
            ),
        )
    }
}

fn talk<'a>(service: &ServiceDef, stores: &[&'a ServiceDef]) -> Option<(&'a ServiceDef, Talk)> {
    stores.iter().find_map(|store| Some((*store, talks(service, store)?)))
}

fn from(service: &ServiceDef) -> Text {
    match &service.build {
        Some(build) => Text::new(format!("(`{}`)", build.context), format!("(`{}`)", build.context)),
        None => Text::default(),
    }
}

fn same_build(a: &ServiceDef, b: &ServiceDef) -> bool {
    match (&a.build, &b.build) {
        (Some(a), Some(b)) => (&a.context, &a.dockerfile, &a.target) == (&b.context, &b.dockerfile, &b.target),
        _ => false,
    }
}

fn names(services: &[&ServiceDef]) -> Vec<String> {
    services.iter().map(|s| s.name.clone()).collect()
}

fn are(names: &[String]) -> String {
    format!("{} {}", list(names), if names.len() == 1 { "is" } else { "are" })
}

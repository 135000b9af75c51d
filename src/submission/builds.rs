//! What each service is built from: its context in the submission and its Dockerfile, read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::dockerfile::{self, Dockerfile};
use super::paths::{self, Lead};
use super::read::load;
use super::{ComposeFile, ServiceDef};
use crate::notice::{Level, Notice};
use crate::text::Text;

/// A service's build, as far as it can be read.
#[derive(Clone, Debug, Default)]
pub struct Build {
    /// Relative to the submission's root. None: outside of it, or not there.
    pub context: Option<PathBuf>,
    /// The Dockerfile, relative to the submission's root; none if it is not there.
    pub file: Option<PathBuf>,
    pub dockerfile: Dockerfile,
    /// The stage that is built.
    pub target: Option<String>,
}

impl Build {
    /// The image that it stands on.
    pub fn base(&self) -> Option<&str> {
        self.dockerfile.base(self.target.as_deref())
    }
}

/// The builds of every service that has one; what is missing is said.
pub(super) fn read(root: &Path, compose: &ComposeFile, notices: &mut Vec<Notice>) -> BTreeMap<String, Build> {
    let folder = compose.path.parent().unwrap_or(Path::new(""));
    compose.services.iter().filter_map(|s| Some((s.name.clone(), one(root, folder, s, notices)?))).collect()
}

fn one(root: &Path, folder: &Path, service: &ServiceDef, notices: &mut Vec<Notice>) -> Option<Build> {
    let def = service.build.as_ref()?;
    let mut build = Build { target: def.target.clone(), ..Build::default() };
    let mut say = |id: &str, en: String, es: String| {
        let mut said = Notice::new(id, Level::Warning, Text { en, es });
        said.at = Some(def.at.clone());
        said.service = Some(service.name.clone());
        notices.push(said);
    };
    if def.context.contains("://") || def.context.starts_with("git@") {
        return Some(build);
    }
    let context = match paths::follow(root, folder, &def.context, None) {
        Lead::Inside(context) if root.join(&context).is_dir() => context,
        // Outside is the policy's to say.
        Lead::Machine(_) | Lead::Beyond(_) => return Some(build),
        Lead::Inside(_) => {
            let (name, context) = (&service.name, &def.context);
            say(
                "compose.no_build_context",
                format!("`{name}` is built from `{context}`, a folder that was not handed in"),
                format!("`{name}` se construye desde `{context}`, una carpeta que no se entregó"),
            );
            return Some(build);
        }
    };
    let named = def.dockerfile.as_deref();
    // The builder takes a `dockerfile` in small letters where none is named.
    let names: &[&str] = if let Some(name) = &named { &[name] } else { &["Dockerfile", "dockerfile"] };
    let found = names.iter().find_map(|name| Some((*name, load(root, &context, name)?)));
    match found {
        Some((name, text)) => {
            build.dockerfile = dockerfile::parse(&text, &def.args);
            build.file = Some(paths::clean(&context.join(name)));
        }
        None if service.raw.pointer("/build/dockerfile_inline").is_some() => {
            let text = service.raw["build"]["dockerfile_inline"].as_str().unwrap_or_default();
            build.dockerfile = dockerfile::parse(text, &def.args);
        }
        None => {
            let (service, name, context) = (&service.name, named.unwrap_or("Dockerfile"), &def.context);
            say(
                "compose.no_dockerfile",
                format!("`{service}` is built from `{context}`, where there is no `{name}`"),
                format!("`{service}` se construye desde `{context}`, donde no hay `{name}`"),
            );
        }
    }
    build.context = Some(context);
    Some(build)
}

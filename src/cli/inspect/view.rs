//! What `inspect` says of a submission, as data: the JSON is this, the text is made from it.

use std::path::PathBuf;

use serde::Serialize;

use super::machines::VagrantfileView;
use crate::expect::Place;
use crate::notice::{Level, Notice};
use crate::submission::bind::{self, Binding, Family, RoleSpec};
use crate::submission::handed::Source;
use crate::submission::policy::{self, Action};
use crate::submission::sql::{self, Scripts};
use crate::submission::{ComposeFile, LimitDef, PortDef, ServiceDef, Submission};
use crate::text::Text;

/// The version of the JSON; raised when a reader of the old one would misread the new.
const VERSION: u32 = 1;

#[derive(Debug, Serialize)]
pub(super) struct View {
    pub(super) version: u32,
    pub(super) name: String,
    pub(super) path: String,
    /// The archive or the commit, where it was no folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<Source>,
    /// The one that counts.
    pub(super) compose_file: Option<PathBuf>,
    pub(super) compose_version: Option<String>,
    /// Every one that was found.
    pub(super) compose_files: Vec<PathBuf>,
    pub(super) dockerfiles: Vec<PathBuf>,
    pub(super) requirements: Vec<PathBuf>,
    pub(super) sql: Vec<PathBuf>,
    pub(super) services: Vec<ServiceView>,
    /// The Vagrantfile that counts, and its machines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) vagrantfile: Option<VagrantfileView>,
    pub(super) roles: Vec<RoleView>,
    pub(super) scripts: Option<ScriptsView>,
    pub(super) policy: Vec<HitView>,
    pub(super) notices: Vec<Notice>,
}

#[derive(Debug, Serialize)]
pub(super) struct ServiceView {
    pub(super) name: String,
    pub(super) at: Place,
    pub(super) image: Option<String>,
    /// The build's context, as written.
    pub(super) build: Option<String>,
    pub(super) dockerfile: Option<PathBuf>,
    /// The image that the build stands on.
    pub(super) base: Option<String>,
    /// As a person writes them: `5000:5000`.
    pub(super) ports: Vec<String>,
    pub(super) memory: Option<LimitView>,
    pub(super) cpus: Option<LimitView>,
    /// Paths of the machine that it binds; a lab makes them empty.
    pub(super) host_paths: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct LimitView {
    /// Bytes of memory, or cpus.
    pub(super) value: f64,
    pub(super) spelling: String,
    pub(super) written: String,
    pub(super) at: Place,
}

#[derive(Debug, Serialize)]
pub(super) struct RoleView {
    pub(super) role: String,
    pub(super) service: Option<String>,
    pub(super) why: Text,
    pub(super) candidates: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct ScriptsView {
    pub(super) store: String,
    /// Given to the store's entrypoint.
    pub(super) given: Vec<PathBuf>,
    pub(super) shell: Vec<PathBuf>,
    /// Not given to anybody.
    pub(super) found: Vec<PathBuf>,
    pub(super) why: Vec<Text>,
}

#[derive(Debug, Serialize)]
pub(super) struct HitView {
    pub(super) rule: String,
    /// `refuse`, `strip` or `allow`, where no scenario says otherwise.
    pub(super) action: &'static str,
    pub(super) service: Option<String>,
    pub(super) text: Text,
    pub(super) at: Place,
}

impl View {
    pub(super) fn of(
        submission: &Submission,
        roles: &[RoleSpec],
        overrides: &[(String, String)],
        family: Family<'_>,
    ) -> Self {
        let compose = submission.compose.as_ref();
        let path = submission.compose_path();
        let bound = compose.map(|file| bind::bind(roles, file, submission, family, overrides)).unwrap_or_default();
        let store = roles.iter().find(|spec| !spec.image_family.is_empty()).and_then(|spec| bound.get(&spec.name));
        let store = store.and_then(|binding| binding.service.clone());
        let scripts = compose.zip(store).map(|(file, store)| {
            let Scripts { given, shell, found, why } = sql::scripts_for(submission, file, &store);
            ScriptsView { store, given, shell, found, why }
        });
        let hits = compose.map(|file| policy::judge(submission, file, &[])).unwrap_or_default();
        Self {
            version: VERSION,
            name: submission.name.clone(),
            path: submission.place(),
            source: submission.handed.as_ref().and_then(|handed| handed.source.clone()),
            compose_file: (!path.as_os_str().is_empty()).then_some(path),
            compose_version: compose.and_then(|file| file.version.clone()),
            compose_files: submission.compose_files.clone(),
            dockerfiles: submission.dockerfiles.clone(),
            requirements: submission.requirements.clone(),
            sql: submission.sql.clone(),
            services: compose
                .map(|file| file.services.iter().map(|s| ServiceView::of(submission, file, s)).collect())
                .unwrap_or_default(),
            vagrantfile: submission
                .vagrantfile
                .as_ref()
                .map(|file| VagrantfileView::of(file, &submission.vagrantfiles)),
            roles: bound.into_iter().map(|(role, binding)| RoleView::of(role, binding)).collect(),
            scripts,
            policy: hits
                .into_iter()
                .map(|hit| HitView {
                    action: word(hit.action),
                    rule: hit.rule,
                    service: hit.service,
                    text: hit.text,
                    at: hit.at,
                })
                .collect(),
            notices: submission.notices.clone(),
        }
    }

    /// There is nothing here that could be graded.
    pub(super) fn is_hopeless(&self) -> bool {
        let refused = self.vagrantfile.as_ref().is_some_and(|file| file.is_refused());
        let machines = self.vagrantfile.is_some() && !refused;
        refused
            || (self.services.is_empty() && !machines)
            || self.notices.iter().any(|notice| notice.level == Level::Problem)
    }
}

impl ServiceView {
    fn of(submission: &Submission, compose: &ComposeFile, service: &ServiceDef) -> Self {
        let build = submission.builds.get(&service.name);
        Self {
            name: service.name.clone(),
            at: service.at.clone(),
            image: service.image.clone(),
            build: service.build.as_ref().map(|build| build.context.clone()),
            dockerfile: build.and_then(|build| build.file.clone()),
            base: build.and_then(|build| build.base()).map(str::to_owned),
            ports: service.ports.iter().map(port).collect(),
            memory: service.memory.as_ref().map(LimitView::of),
            cpus: service.cpus.as_ref().map(LimitView::of),
            host_paths: policy::foreign_paths(compose, service),
        }
    }
}

impl LimitView {
    fn of(limit: &LimitDef) -> Self {
        Self {
            value: limit.value,
            spelling: limit.spelling.clone(),
            written: limit.written.clone(),
            at: limit.at.clone(),
        }
    }
}

impl RoleView {
    fn of(role: String, binding: Binding) -> Self {
        Self { role, service: binding.service, why: binding.why, candidates: binding.candidates }
    }
}

fn port(port: &PortDef) -> String {
    let ip = port.host_ip.as_ref().map(|ip| format!("{ip}:")).unwrap_or_default();
    let host = port.host.map(|host| format!("{host}:")).unwrap_or_default();
    let udp = if port.udp { "/udp" } else { "" };
    format!("{ip}{host}{}{udp}", port.container)
}

fn word(action: Action) -> &'static str {
    match action {
        Action::Refuse => "refuse",
        Action::Strip => "strip",
        Action::Allow => "allow",
    }
}

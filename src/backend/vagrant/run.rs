//! Vagrant, run in the lab: with a deadline, and with all that it said until then.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bollard::models::ContainerSummary;
use bollard::query_parameters::ListContainersOptionsBuilder;

use super::{Ground, nodes, output, virtualbox};
use crate::backend::compose::pull::by_engine;
use crate::backend::{BackendError, Site};
use crate::exec::{Cmd, RunError, RunErrorKind, ShellExt};
use crate::notice::Reason;
use crate::stack::LeftOut;
use crate::stack::machines::Node;
use crate::text::Text;

/// Lines of a run that was ended: what it said last.
const KEPT: usize = 4000;

/// The image of the nodes comes from a registry on this host.
const FETCHED_WITHIN: Duration = Duration::from_secs(300);

/// How a run of Vagrant went.
#[derive(Clone, Debug, Default)]
pub struct Ran {
    /// None: it was ended before it ended.
    pub status: Option<i32>,
    /// Not since its time was over, but since going on was pointless.
    pub cut: bool,
    /// What it printed, cleaned.
    pub text: String,
}

/// Vagrant, whose words are read by no person.
pub(super) fn plain() -> Cmd {
    let quiet = Cmd::new(["vagrant"]).env("LANG", "C.UTF-8");
    quiet.env("VAGRANT_CHECKPOINT_DISABLE", "1").env("VAGRANT_NO_COLOR", "1")
}

/// With the boxes and the home Vagrantfile of a lab.
pub(super) fn at_home(vagrant: Cmd) -> Cmd {
    vagrant.env("HOME", "/root").env("VAGRANT_HOME", "/root/.vagrant.d")
}

/// Runs Vagrant in the submission's copy.
pub(crate) async fn vagrant(
    ground: &Ground<'_>,
    args: &[&str],
    env: &[(&str, &str)],
    budget: Duration,
) -> Result<Ran, BackendError> {
    vagrant_until(ground, args, env, budget, std::future::pending()).await
}

/// The same, and it is ended as soon as `pointless` is over: what waits for a machine that is no more would wait for hours.
pub(super) async fn vagrant_until(
    ground: &Ground<'_>,
    args: &[&str],
    env: &[(&str, &str)],
    budget: Duration,
    pointless: impl Future<Output = ()>,
) -> Result<Ran, BackendError> {
    let mut cmd = plain().args(args.iter().copied()).cwd(&ground.dir).timeout(budget);
    cmd = cmd.env("VAGRANT_VAGRANTFILE", &ground.file);
    if ground.own {
        // Vagrant goes where these lead, whatever folder it is started in: to a project of the user's, with machines of its own.
        cmd = cmd.env("VAGRANT_CWD", &ground.dir).env("VAGRANT_DOTFILE_PATH", virtualbox::KEPT);
        // As the file was read: `vm.disk` makes nothing without it.
        cmd = cmd.env("VAGRANT_EXPERIMENTAL", "disks");
    } else {
        cmd = at_home(cmd);
        cmd.clean_env = true;
    }
    for (name, value) in env {
        cmd = cmd.env(*name, *value);
    }
    let lines = Arc::new(Mutex::new(VecDeque::<String>::new()));
    let kept = lines.clone();
    let said = Arc::new(move |line: &str| {
        if let Ok(mut lines) = kept.lock() {
            lines.push_back(line.to_owned());
            if lines.len() > KEPT {
                lines.pop_front();
            }
        }
    });
    // Who does not wait for it any more has ended it.
    let ran = tokio::select! {
        ran = ground.site.shell.follow(&cmd, said) => Some(ran),
        () = pointless => None,
    };
    let cut = ran.is_none();
    match ran {
        Some(Ok(output)) => Ok(Ran { status: Some(output.status), cut, text: output::clean(output.both().as_bytes()) }),
        None | Some(Err(RunError { kind: RunErrorKind::Timeout(..), .. })) => {
            let lines: Vec<String> = lines.lock().map(|lines| lines.iter().cloned().collect()).unwrap_or_default();
            let lines = lines.join("\n");
            Ok(Ran { status: None, cut, text: output::clean(lines.as_bytes()) })
        }
        Some(Err(error)) => Err(error.into()),
    }
}

/// Brings up every machine that `vagrant up` starts and that can be had.
pub(super) async fn up(
    ground: &Ground<'_>,
    provider: &str,
    nodes: &[Node],
    budget: Duration,
) -> Result<Ran, BackendError> {
    let provider = format!("--provider={provider}");
    let mut args = vec!["up", "--no-provision", &provider];
    if nodes.iter().any(|node| node.left_out.is_some()) {
        let wanted: Vec<&str> =
            nodes.iter().filter(|node| node.left_out.is_none() && node.def.autostart).map(Node::name).collect();
        if wanted.is_empty() {
            return Ok(Ran { status: Some(1), ..Ran::default() });
        }
        // A name that Vagrant would take for an option is no name to it: then all are tried.
        if wanted.iter().all(|name| !name.starts_with('-')) {
            args.extend(wanted);
        }
    }
    vagrant(ground, &args, &[], budget).await
}

/// Notes which machines are there, and why the others are not.
pub(super) async fn mark(
    site: &Site,
    nodes: &mut [Node],
    nonce: &str,
    up: &Ran,
    budget: Duration,
) -> Result<(), BackendError> {
    let all = listed(site).await?;
    let alone = nodes.len() == 1 || up.status != Some(0);
    for node in nodes.iter_mut() {
        let own = all.iter().find(|container| {
            let label = container.labels.as_ref().and_then(|labels| labels.get(nodes::MACHINE));
            label.and_then(|label| label.strip_prefix(nonce)) == Some(node.def.name.as_str())
        });
        node.container = own.and_then(|container| container.id.clone());
        if node.left_out.is_some() {
            continue;
        }
        let said = output::error_of(&up.text, node.name(), alone && node.container.is_none());
        // Of one that was ended, who was ready by then is known by Vagrant's own words.
        if up.status.is_none() && !was_ready(&up.text, node.name()) {
            node.left_out = Some(late(node.name(), budget));
        } else if said.is_some() || node.container.is_none() {
            node.left_out = Some(nodes::blame(&node.def, said.as_deref()));
        }
    }
    Ok(())
}

/// By Vagrant's own words.
pub(super) fn was_ready(said: &str, machine: &str) -> bool {
    // What it says last, after the name and the networks: of one that only answers, nothing is known yet.
    said.contains(&format!("==> {machine}: Machine not provisioned because"))
}

async fn listed(site: &Site) -> Result<Vec<ContainerSummary>, BackendError> {
    let filters = HashMap::from([("label".to_owned(), vec![nodes::MACHINE.to_owned()])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let all = site.engine.docker().list_containers(Some(options)).await;
    Ok(all.map_err(|e| site.engine.explain("list the machines' containers", &e))?)
}

/// Ids of the machines' containers.
pub(super) async fn containers(site: &Site) -> Result<Vec<String>, BackendError> {
    Ok(listed(site).await?.into_iter().filter_map(|container| container.id).collect())
}

pub(super) fn late(machine: &str, budget: Duration) -> LeftOut {
    let s = budget.as_secs();
    LeftOut {
        reason: Some(Reason::Host),
        text: Text::new(format!("{machine} was not ready after {s} s"), format!("{machine} no estuvo lista en {s} s")),
    }
}

/// The image of the nodes, from the lab's registry.
pub(super) async fn pull(site: &Site, image: &str) -> Result<(), BackendError> {
    let pulled = by_engine(&site.engine, image, FETCHED_WITHIN, None).await?;
    if pulled.ok() {
        return Ok(());
    }
    let why = pulled.err();
    Err(BackendError::Other(Text::new(
        format!("could not fetch the image of the machines, {image}: {why}"),
        format!("no se pudo traer la imagen de las máquinas, {image}: {why}"),
    )))
}

/// How many cpus the lab has.
pub(super) async fn cores(site: &Site) -> f64 {
    let asked = site.shell.must(&Cmd::new(["nproc"]).timeout(Duration::from_secs(10))).await;
    asked.ok().and_then(|said| said.out().trim().parse().ok()).unwrap_or(1.0)
}

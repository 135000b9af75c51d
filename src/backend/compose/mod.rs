//! The compose backend: a compose file in, services out, however many of them can be had. One page.
//!
//! The file as handed in is what runs. Where something of it may not or cannot run here (a stripped key, the log driver of a
//! collector that is not there), a resolved copy with that one change runs instead, and the change is said.

pub mod as_of;
pub mod attached;
pub mod clash;
pub mod dialect;
pub mod edit;
pub mod hosted;
pub mod images;
pub mod newer;
pub mod order;
pub mod pressure;
pub mod pull;
pub mod resolve;
pub mod start;
pub mod tool;
pub mod unbuilt;
mod uv;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tokio::sync::Mutex;

use super::log::{Gathered, Log};
use super::{BackendError, Request, Site, Up};
use crate::exec::{Cmd, Shell, ShellExt};
use crate::stack::{Config, LeftOut, Service, Stack};
use crate::submission::policy::{self, Action};
use crate::submission::{ComposeFile, bind, compose};
use crate::text::Text;

use tool::Tool;

/// Brings the submission's services up. What does not come up is in the stack, with the reason; it is no error.
pub async fn up(site: &Site, request: &Request) -> Result<Up, BackendError> {
    let mut log = Log::new(request.told.clone());
    let own = request.submission.compose.clone().unwrap_or_default();
    if site.hosting.is_some() {
        readable(request)?;
        hosted::admit(request, &own)?;
    }
    let (mut tool, mut stack, read) = read(site, request, &own, &mut log).await?;
    let Some((file, text)) = read else { return Ok(up_with(stack, log)) };
    if site.hosting.is_some() {
        hosted::admit(request, &file)?;
    }
    if refused_role(&stack) {
        return Ok(up_with(stack, log));
    }
    let changes = edit::changes(&file, &stack.policy);
    let left_out: Vec<String> =
        stack.services.values().filter(|s| s.left_out.is_some()).map(|s| s.name.clone()).collect();
    let names = site.hosting.as_ref().map(|h| hosted::Names::of(&file, &request.sources, &h.project));
    let confine = |value| match (&site.hosting, &names) {
        (Some(hosting), Some(names)) => hosted::confine(value, &stack.policy, names, hosting, &folder(request)),
        _ => value,
    };
    stack.overrides.extend(request.as_of.iter().flat_map(|as_of| as_of.said.clone()));
    if !changes.is_empty() || site.hosting.is_some() {
        tool = edit::write(&text, &changes, confine, &tool, site.shell.as_ref()).await?;
        stack.overrides.extend(changes.iter().map(|c| c.said.clone()));
    }
    if site.hosting.is_some() {
        clash::check(&site.engine, &file, &left_out).await?;
    } else {
        stack.made = edit::prepare_host_paths(&left_out, &file, site.shell.as_ref(), log.notices()).await?;
    }

    log.phase("images");
    let wanted: Vec<_> =
        file.services.iter().filter(|s| stack.services.get(&s.name).is_some_and(|s| s.left_out.is_none())).collect();
    for (name, state) in images::all(&wanted, &tool, site.shell.as_ref(), &site.engine, request, names.as_ref()).await?
    {
        if !state.log.is_empty() {
            log.keep(format!("image-{name}.txt"), state.log.clone());
        }
        if let Some(service) = stack.services.get_mut(&name) {
            service.left_out.clone_from(&state.missing);
            service.image = state;
        }
    }

    log.phase("start");
    start::start(site, request, &tool, &file, &mut stack, &mut log).await?;
    Ok(up_with(stack, log))
}

/// The stack of a submission without services: machines are looked at all the same.
pub fn nothing(site: &Site, request: &Request, why: Option<LeftOut>) -> Up {
    let tool = Tool::none(site.shell.clone(), site.workdir.clone());
    let mut stack = empty(site, request, &tool);
    stack.no_services = why;
    Up { stack, notices: Vec::new(), evidence: Vec::new(), phases: Vec::new() }
}

/// What the compose tool makes of the file, judged and bound: the stack before anything of it is there. No file, and the
/// reason in the stack, where the tool refuses it.
pub(in crate::backend) async fn read(
    site: &Site,
    request: &Request,
    own: &ComposeFile,
    log: &mut Log,
) -> Result<(Tool, Stack, Option<(ComposeFile, String)>), BackendError> {
    let tool = find_tool(site, request, own).await?;
    log.phase("resolve");
    let resolved = resolve::resolve(tool, site.shell.as_ref()).await?;
    log.notices().extend(resolved.notices);
    let tool = resolved.tool;
    let mut stack = empty(site, request, &tool);
    if !resolved.valid {
        log.keep("compose-config.txt", resolved.output.clone());
        stack.config.message = as_handed_in(&why_refused(&resolved.output), &site.workdir);
        stack.config.for_newer = newer::only(&resolved.output);
        return Ok((tool, stack, None));
    }
    let file = match compose::parse_resolved(&resolved.output, Path::new(&site.workdir)) {
        Ok(file) => file,
        // The tool took it and we cannot read the tool: ours.
        Err(notice) => return Err(BackendError::Other(notice.text)),
    };
    log.keep("compose-resolved.yml", resolved.output.clone());
    stack.config = Config { valid: true, resolved: file.clone(), ..Config::default() };

    stack.policy = policy_hits(request, own, &file);
    stack.roles = bind::bind(&request.roles, &file, &request.submission, &request.family, &request.bound);
    for binding in stack.roles.values_mut() {
        binding.why = said_as_handed_in(&binding.why, &site.workdir);
    }
    for hit in &mut stack.policy {
        hit.text = said_as_handed_in(&hit.text, &site.workdir);
    }
    stack.services = file
        .services
        .iter()
        .map(|s| (s.name.clone(), Service { name: s.name.clone(), ..Service::default() }))
        .collect();
    leave_out_refused(&mut stack);
    Ok((tool, stack, Some((file, resolved.output))))
}

/// Evidence before the stack goes: every service's log and what the engine says of its container.
pub async fn collect(stack: &Stack) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let Ok(containers) = stack.containers().await else { return files };
    for container in containers {
        if let Ok(log) = stack.spot_of(&container).engine.logs(&container.id, None, Some(2000)).await {
            files.push((format!("service-{}.log", container.service), log.into_bytes()));
        }
        if let Ok(inspect) = stack.spot_of(&container).engine.docker().inspect_container(&container.id, None).await
            && let Ok(json) = serde_json::to_vec_pretty(&inspect)
        {
            files.push((format!("service-{}.inspect.json", container.service), json));
        }
    }
    files
}

/// Takes the services down; those of a compose project with their volumes. A stack goes in its own time, and is never brought
/// up again here.
pub async fn down(stack: &Stack) -> Result<(), BackendError> {
    if stack.swarm {
        let remove = Cmd::new(["docker", "stack", "rm", &stack.project]).timeout(Duration::from_secs(60));
        stack.home.shell.must(&remove).await?;
        return Ok(());
    }
    let tool = tool_of(stack).await?;
    tool.down().await?;
    Ok(())
}

/// Takes everything down and puts every folder back to what it was before, so that it can be brought up anew.
pub async fn start_over(site: &Site, stack: &Stack) -> Result<(), BackendError> {
    // A scratch server may still be reading the scripts.
    let _ = tokio::time::timeout(Duration::from_secs(90), stack.declared.get()).await;
    down(stack).await?;
    emptied(stack.home.shell.as_ref(), &stack.made).await?;
    fresh_copy(site).await
}

/// Makes folders empty again that were so before anything was brought up: a data folder would be taken for an old one.
async fn emptied(shell: &dyn Shell, folders: &[String]) -> Result<(), BackendError> {
    for path in folders {
        shell
            .must(&Cmd::new(["find", path, "-xdev", "-mindepth", "1", "-delete"]).timeout(Duration::from_secs(60)))
            .await?;
    }
    Ok(())
}

/// The tool as it was used for this stack.
pub async fn tool_of(stack: &Stack) -> Result<Tool, BackendError> {
    let tool = Tool::find(
        stack.home.shell.clone(),
        stack.compose_dir.clone(),
        stack.compose_file.clone(),
        stack.project.clone(),
    )
    .await?;
    Ok(tool)
}

async fn find_tool(site: &Site, request: &Request, own: &ComposeFile) -> Result<Tool, BackendError> {
    let path = handed_in(request, own);
    let file = format!("{}/{path}", site.workdir);
    let dir = file.rsplit_once('/').map_or_else(|| site.workdir.clone(), |(dir, _)| dir.to_owned());
    let project = site.hosting.as_ref().map_or_else(|| folder(request), |hosting| hosting.project.clone());
    Ok(Tool::find(site.shell.clone(), dir, file, project).await?)
}

/// An unreadable file is still the file that was handed in: the tool says what it makes of it.
fn handed_in(request: &Request, own: &ComposeFile) -> String {
    let path = if own.path.as_os_str().is_empty() {
        request.submission.compose_files.first().cloned().unwrap_or_default()
    } else {
        own.path.clone()
    };
    path.to_string_lossy().into_owned()
}

/// The project as the student's own tool would name it.
fn folder(request: &Request) -> String {
    let path = handed_in(request, request.submission.compose.as_ref().unwrap_or(&ComposeFile::default()));
    let folder = path
        .rsplit_once('/')
        .map_or(request.submission.folder.as_str(), |(dir, _)| dir.rsplit('/').next().unwrap_or(dir));
    tool::project_name(folder)
}

/// On the host nothing is given to the tool that the policy could not judge first.
fn readable(request: &Request) -> Result<(), BackendError> {
    match &request.submission.compose_error {
        Some(notice) => Err(BackendError::Other(Text::new(
            format!("a file that cannot be judged before it runs needs a lab: {}", notice.text.en),
            format!("un archivo que no se puede juzgar antes de usarlo necesita un laboratorio: {}", notice.text.es),
        ))),
        None => Ok(()),
    }
}

fn empty(site: &Site, request: &Request, tool: &Tool) -> Stack {
    Stack {
        ground: site.ground.clone(),
        home: site.spot(),
        others: Vec::new(),
        project: tool.project.clone(),
        swarm: false,
        unmeshed: Default::default(),
        addressless: Default::default(),
        provisioned: false,
        workdir: site.workdir.clone(),
        compose_dir: tool.dir.clone(),
        compose_file: tool.file.clone(),
        submission: request.submission.clone(),
        left_out: request.left_out.clone(),
        config: Config::default(),
        policy: Vec::new(),
        services: BTreeMap::new(),
        roles: BTreeMap::new(),
        judged: request.judged.clone(),
        as_written: BTreeMap::new(),
        overrides: Vec::new(),
        doubts: Vec::new(),
        made: Vec::new(),
        first_up: None,
        no_services: None,
        machines: Default::default(),
        declared: crate::stack::declared::Declaring::default(),
        labels: site.hosting.as_ref().map(|h| h.labels.clone()).unwrap_or_default(),
        healing: None,
        off: std::sync::RwLock::default(),
        breaking: std::sync::Arc::default(),
        drills: Mutex::default(),
        notebook: Mutex::default(),
    }
}

/// Hits on what we read ourselves have places; the resolved file may show more (`extends`, anchors).
fn policy_hits(request: &Request, own: &ComposeFile, resolved: &ComposeFile) -> Vec<policy::Hit> {
    let mut hits = policy::judge(&request.submission, own, &request.policy);
    for hit in policy::judge(&request.submission, resolved, &request.policy) {
        if !hits.iter().any(|h| h.rule == hit.rule && h.service == hit.service) {
            hits.push(hit);
        }
    }
    hits
}

fn leave_out_refused(stack: &mut Stack) {
    for hit in stack.policy.iter().filter(|h| h.action == Action::Refuse) {
        if let Some(service) = hit.service.as_ref().and_then(|s| stack.services.get_mut(s)) {
            service.left_out = Some(LeftOut { reason: None, text: hit.text.clone() });
        }
    }
}

/// Whether a hit stops a service that points hang on, the app or its store: then nothing of the layer is started.
pub fn refused_role(stack: &Stack) -> bool {
    stack.policy.iter().any(|hit| stack.is_stopped_by(hit))
}

pub(in crate::backend) fn up_with(stack: Stack, log: Log) -> Up {
    let Gathered { notices, evidence, phases } = log.end();
    Up { stack, notices, evidence, phases }
}

/// Paths of the lab as the student knows them.
fn as_handed_in(text: &str, workdir: &str) -> String {
    text.replace(&format!("{workdir}/"), "./").replace(workdir, ".")
}

fn said_as_handed_in(text: &Text, workdir: &str) -> Text {
    Text::new(as_handed_in(&text.en, workdir), as_handed_in(&text.es, workdir))
}

/// What the tool says of a file that it refuses, its lines made one: the place alone would not say what is wrong there.
fn why_refused(output: &str) -> String {
    let lines: Vec<&str> = output.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    let from = lines.iter().position(|l| l.starts_with("ERROR")).unwrap_or_default();
    crate::sanitize::line(lines[from..].join(" ").trim_start_matches("ERROR: "), 400)
}

/// Puts the copy of the submission back to what was handed in: an `up` leaves files behind, and machines may write there.
pub async fn fresh_copy(site: &Site) -> Result<(), BackendError> {
    let (pristine, shell) = (pristine(site), site.ground.shell.as_ref());
    let bound = Duration::from_secs(60);
    shell.must(&Cmd::new(["rm", "-rf", "--one-file-system", "--", &site.workdir]).timeout(bound)).await?;
    shell.must(&Cmd::new(["cp", "-a", "-T", "--", &pristine, &site.workdir]).timeout(bound)).await?;
    Ok(())
}

/// Keeps the submission as it was sent, before anything of it runs.
pub async fn keep_pristine(site: &Site) -> Result<(), BackendError> {
    let copy = Cmd::new(["cp", "-a", "-T", "--", &site.workdir, &pristine(site)]).timeout(Duration::from_secs(60));
    site.ground.shell.must(&copy).await?;
    Ok(())
}

/// In a lab, out of its machines' reach, which have the copy itself.
fn pristine(site: &Site) -> String {
    match site.hosting {
        Some(_) => format!("{}.pristine", site.workdir),
        None => "/run/imparcial/pristine".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_one_line_with_the_students_own_paths() {
        let said = "ERROR: yaml.scanner.ScannerError: mapping values are not allowed here\n  in \"/work/submission/docker-compose.yml\", line 15, column 10\n";
        let text = as_handed_in(&why_refused(said), "/work/submission");
        assert_eq!(
            text,
            "yaml.scanner.ScannerError: mapping values are not allowed here in \"./docker-compose.yml\", line 15, column 10"
        );
        assert_eq!(why_refused(""), "");
    }
}

//! Provider `virtualbox`: the user's own Vagrant and VirtualBox, with `--place host`. The machines are brought up, provisioned
//! and destroyed by the same code; what only a container's host can see of them stays undecided.
//!
//! No machine of ours has VirtualBox: `tests/it/virtualbox.rs` runs all of this with Vagrant's own plugin, and with a tool that
//! writes down what it is told in VirtualBox's place.

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::run::Ran;
use super::{Ground, Request, nodes, output, run};
use crate::backend::log::Log;
use crate::backend::{BackendError, Site};
use crate::exec::{Cmd, ShellExt};
use crate::notice::Reason;
use crate::stack::LeftOut;
use crate::stack::machines::{Machines, Node, Provisioned};
use crate::submission::machines::{MachineDef, Vagrantfile};
use crate::text::Text;

pub(super) const NAME: &str = "virtualbox";
/// Where Vagrant keeps which machines are this folder's, below it.
pub(super) const KEPT: &str = ".vagrant";
/// Four machines are taken away one after another.
const DESTROYED_WITHIN: Duration = Duration::from_secs(300);
/// Which machines run: Vagrant asks VirtualBox about one after another, on a host that just brought them all up.
const TOLD_WITHIN: Duration = Duration::from_secs(300);
/// Whatever is asked of the host besides.
const ASKED: Duration = Duration::from_secs(20);

/// Brings the machines up as the submission has them.
pub(super) async fn up(
    site: &Site,
    file: &Vagrantfile,
    defs: &[MachineDef],
    request: &Request,
    log: &mut Log,
) -> Result<Machines, BackendError> {
    for program in ["vagrant", "VBoxManage"] {
        let found = site.shell.run(&Cmd::new(["which", program]).timeout(ASKED)).await?;
        if !found.ok() {
            let text = Text::new(
                format!(
                    "this machine has no `{program}`: install Vagrant and VirtualBox, or let a lab bring the machines up"
                ),
                format!(
                    "esta máquina no tiene `{program}`: instale Vagrant y VirtualBox, o deje que un laboratorio levante las máquinas"
                ),
            );
            return Ok(Machines { left_out: Some(super::not_here(text)), ..Machines::default() });
        }
    }
    let ground = ground(site, file);
    // A copy has no such folder, but may have a link of that name: what it leads to would name machines that are not this run's.
    site.shell.must(&Cmd::new(["rm", "-rf", "--", &kept(&ground)]).timeout(ASKED)).await?;
    let mut nodes: Vec<Node> = defs.iter().map(|def| Node { def: def.clone(), ..Node::default() }).collect();
    let said = each_up(&ground, &mut nodes, request.up).await?;
    log.keep("vagrant-up.txt", said);
    let status = run::vagrant(&ground, &["status", "--machine-readable"], &[], TOLD_WITHIN).await?;
    for node in &mut nodes {
        node.virtual_machine = is_running(&status.text, node.name());
        if !node.virtual_machine && node.left_out.is_none() {
            node.left_out = Some(not_running(&node.def, status.status.is_some()));
        }
    }
    let asked = defs.iter().any(|def| !def.provisioners.is_empty());
    let mut provisioned = None;
    if asked && nodes.iter().any(Node::is_up) {
        log.phase("provision");
        let ran = run::vagrant(&ground, &["provision"], &[], request.provision).await?;
        log.keep("vagrant-provision.txt", ran.text.clone());
        provisioned = Some(Provisioned {
            ok: ran.status == Some(0),
            output: ran.text,
            why: Some(unseen()),
            ..Provisioned::default()
        });
    }
    Ok(Machines { provider: NAME.to_owned(), nodes, provisioned, ..Machines::default() })
}

/// One after another, each by its name, in the file's order. With VirtualBox Vagrant begins one after another anyway, and gives all of them
/// up at the first that fails, without a word about which one that was. What all said, together.
async fn each_up(ground: &Ground<'_>, nodes: &mut [Node], budget: Duration) -> Result<String, BackendError> {
    let ends = Instant::now() + budget;
    let provider = format!("--provider={NAME}");
    let mut said = String::new();
    for node in nodes.iter_mut().filter(|node| node.def.autostart) {
        let left = ends.saturating_duration_since(Instant::now());
        let name = on_the_command_line(node.name());
        let ran = if left.is_zero() {
            Ran::default()
        } else {
            run::vagrant(ground, &["up", "--no-provision", &provider, &name], &[], left).await?
        };
        node.left_out = why_not(&node.def, &ran, budget);
        said.push_str(&ran.text);
    }
    Ok(said)
}

/// A name that Vagrant would take for an option is given as the pattern that only it matches.
fn on_the_command_line(machine: &str) -> String {
    if machine.starts_with('-') { format!("/^{machine}$/") } else { machine.to_owned() }
}

/// Why one machine is not up, from the run that was only about it.
fn why_not(def: &MachineDef, ran: &Ran, budget: Duration) -> Option<LeftOut> {
    match ran.status {
        Some(0) => None,
        Some(_) => Some(blame(def, output::error_of(&ran.text, &def.name, true).as_deref())),
        None => Some(run::late(&def.name, budget)),
    }
}

/// Here nothing stands in for anything: what is no mistake of the file itself is this host's. That goes for what VBoxManage refuses, too:
/// which options it knows, which ranges it allows, whether there is room or a name is taken are a matter of the host that it is on.
fn blame(def: &MachineDef, said: Option<&str>) -> LeftOut {
    let LeftOut { reason, text } = nodes::blame(def, said.map(heart));
    LeftOut { reason: reason.map(|_| Reason::Host), text }
}

/// Of a machine that is not among those that run; `told`, Vagrant said in time which ones do.
fn not_running(def: &MachineDef, told: bool) -> LeftOut {
    if told || !def.autostart {
        return blame(def, None);
    }
    let (machine, s) = (&def.name, TOLD_WITHIN.as_secs());
    let text = Text::new(
        format!("whether {machine} still runs is not known: `vagrant status` was not done after {s} s"),
        format!("no se sabe si {machine} sigue en marcha: `vagrant status` no terminó en {s} s"),
    );
    LeftOut { reason: Some(Reason::Host), text }
}

/// What VBoxManage itself said, where Vagrant has words and commands around it.
fn heart(said: &str) -> &str {
    said.rsplit_once("Stderr: ").map(|(_, own)| own).filter(|own| !own.trim().is_empty()).unwrap_or(said)
}

/// Takes them away again.
pub(super) async fn destroy(site: &Site, file: &Vagrantfile) -> Result<(), BackendError> {
    let ground = ground(site, file);
    // Also where there was no Vagrant to bring anything up.
    if known(&ground).await?.is_empty() {
        return Ok(());
    }
    let ran = run::vagrant(&ground, &["destroy", "--force"], &[], DESTROYED_WITHIN).await?;
    let left = known(&ground).await?;
    if left.is_empty() {
        return Ok(());
    }
    // The folder goes in a moment, and with it all that Vagrant knows of them.
    let left = left.iter().map(|(name, id)| format!("{name} ({id})")).collect::<Vec<_>>().join(", ");
    let why = ran.text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let why = crate::sanitize::line(why, 200);
    Err(BackendError::Other(Text::new(
        format!(
            "VirtualBox still has machines of this run, {left}: `VBoxManage controlvm ID poweroff` and `VBoxManage unregistervm ID --delete` \
             remove one; Vagrant said last: {why}"
        ),
        format!(
            "VirtualBox todavía tiene máquinas de esta ejecución, {left}: `VBoxManage controlvm ID poweroff` y \
             `VBoxManage unregistervm ID --delete` eliminan una; lo último que dijo Vagrant: {why}"
        ),
    )))
}

/// The machines that Vagrant made in this folder: name, and VirtualBox's id.
async fn known(ground: &Ground<'_>) -> Result<Vec<(String, String)>, BackendError> {
    let all = format!("{}/machines", kept(ground));
    // That there is no such folder is an answer.
    let ask = Cmd::new(["grep", "-rsH", "--include=id", "", &all]).timeout(ASKED);
    Ok(ids(&ground.site.shell.run(&ask).await?.out(), &all))
}

/// `…/.vagrant/machines/master/virtualbox/id:95868d2b-…`.
fn ids(said: &str, below: &str) -> Vec<(String, String)> {
    let of = |line: &str| {
        let (name, id) = line.strip_prefix(below)?.strip_prefix('/')?.split_once("/virtualbox/id:")?;
        Some((crate::sanitize::line(name, 60), crate::sanitize::line(id, 60)))
    };
    said.lines().filter_map(of).collect()
}

fn kept(ground: &Ground<'_>) -> String {
    format!("{}/{KEPT}", ground.dir)
}

/// The run's copy, which nobody else works in.
fn ground<'a>(site: &'a Site, file: &Vagrantfile) -> Ground<'a> {
    let below = file.path.parent().unwrap_or(Path::new("")).to_string_lossy();
    let dir = if below.is_empty() { site.workdir.clone() } else { format!("{}/{below}", site.workdir) };
    Ground { dir, own: true, ..Ground::of(site, file) }
}

/// `1700000000,master,state,running`.
fn is_running(status: &str, machine: &str) -> bool {
    status.lines().any(|line| line.split(',').skip(1).eq([machine, "state", "running"]))
}

/// Only a lab's controller writes down what its plays do.
fn unseen() -> LeftOut {
    LeftOut {
        reason: Some(Reason::NotHere),
        text: Text::new(
            "what Ansible does on this host's own virtual machines is not read; vagrant-provision.txt has it",
            "lo que hace Ansible en las máquinas virtuales de este anfitrión no se lee; está en vagrant-provision.txt",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_runs_where_vagrant_says_so_of_it() {
        let status =
            "1700000000,master,state,running\n1700000000,w1,state,poweroff\n1700000000,w1,state-human-short,running\n";
        assert!(is_running(status, "master") && !is_running(status, "w1") && !is_running(status, "mast"));
    }

    #[test]
    fn of_a_machine_that_came_up_nothing_is_known_where_vagrant_does_not_answer() {
        let def = |autostart| MachineDef { name: "w1".into(), autostart, ..MachineDef::default() };
        let said = |autostart, told| {
            let LeftOut { reason, text } = not_running(&def(autostart), told);
            (reason, text.en)
        };
        let (reason, text) = said(true, false);
        assert!(reason == Some(Reason::Host) && text.contains("whether w1 still runs is not known"), "{text}");
        let (reason, text) = said(true, true);
        assert!(reason == Some(Reason::Host) && text.contains("Vagrant did not say why"), "{text}");
        for told in [true, false] {
            let (reason, text) = said(false, told);
            assert!(reason.is_none() && text.contains("autostart: false"), "{text}");
        }
    }

    fn left(status: Option<i32>, said: &str) -> Option<LeftOut> {
        let def = MachineDef { name: "w1".into(), autostart: true, ..MachineDef::default() };
        why_not(&def, &Ran { status, text: said.to_owned(), ..Ran::default() }, Duration::from_secs(90))
    }

    #[test]
    fn what_only_the_host_can_mend_is_the_hosts() {
        for said in [
            "VBoxManage: error: VT-x is not available (VERR_VMX_NO_VMX)",
            "The box 'centos/7' could not be found or\ncould not be accessed in the remote catalog.",
            "The IP address configured for the host-only network is not within the\nallowed ranges. Please update the address used to be within the allowed\n\
             ranges and run the command again.\n\n  Address: 10.0.15.10\n  Ranges: 192.168.56.0/21",
            "The specified host network collides with a non-hostonly network!",
            "VirtualBox is complaining that the kernel module is not loaded.",
            "A VirtualBox machine with the name 'w1' already exists.",
            "",
        ] {
            let left = left(Some(1), &format!("==> w1: Booting VM...\n{said}\n")).expect("it is not up");
            assert_eq!(left.reason, Some(Reason::Host), "{said}");
            assert!(said.lines().next().is_none_or(|line| left.text.en.contains(line)), "{}", left.text.en);
        }
    }

    #[test]
    fn one_that_answers_too_late_is_nobodys_fault_and_a_missing_folder_is_the_files() {
        let late =
            left(None, "==> w1: Waiting for machine to boot.\nThe host path of the shared folder is missing: x\n");
        let late = late.expect("it is not up");
        assert_eq!((late.reason, late.text.en.as_str()), (Some(Reason::Host), "w1 was not ready after 90 s"));
        let own = left(Some(1), "* The host path of the shared folder is missing: ./x\n").expect("it is not up");
        assert_eq!(own.reason, None);
        assert!(left(Some(0), "==> w1: Machine booted and ready!\n").is_none());
    }

    #[test]
    fn what_vboxmanage_said_is_shown_whatever_stands_before_it() {
        let command = "x".repeat(400);
        let said =
            format!("Command: [\"{command}\"]\n\nStderr: VBoxManage: error: Could not find a controller named 'IDE'\n");
        let refused = left(Some(1), &said).expect("it is not up");
        let want = "w1 could not be brought up: VBoxManage: error: Could not find a controller named 'IDE'";
        assert_eq!((refused.reason, refused.text.en.as_str()), (Some(Reason::Host), want));
        assert_eq!(heart("Command: x\n\nStderr: \n"), "Command: x\n\nStderr: \n");
    }

    #[test]
    fn the_machines_of_a_folder_are_read() {
        let said = "/w/.vagrant/machines/master/virtualbox/id:95868d2b\n/w/.vagrant/machines/a/docker/id:77\n";
        assert_eq!(ids(said, "/w/.vagrant/machines"), [("master".to_owned(), "95868d2b".to_owned())]);
        assert_eq!((on_the_command_line("-x").as_str(), on_the_command_line("w1").as_str()), ("/^-x$/", "w1"));
    }
}

//! Provider `virtualbox`: the user's own Vagrant and VirtualBox, with `--place host`. The machines are brought up, provisioned
//! and destroyed by the same code; what only a container's host can see of them stays undecided.
//!
//! Written, and tried on no machine yet: no machine of ours has VirtualBox.

use std::path::Path;
use std::time::Duration;

use super::{Ground, Request, nodes, output, run};
use crate::backend::log::Log;
use crate::backend::{BackendError, Site};
use crate::exec::Cmd;
use crate::notice::Reason;
use crate::stack::LeftOut;
use crate::stack::machines::{Machines, Node, Provisioned};
use crate::submission::machines::{MachineDef, Vagrantfile};
use crate::text::Text;

pub(super) const NAME: &str = "virtualbox";
/// Four machines are taken away one after another.
const DESTROYED_WITHIN: Duration = Duration::from_secs(300);

/// Brings the machines up as the submission has them.
pub(super) async fn up(
    site: &Site,
    file: &Vagrantfile,
    defs: &[MachineDef],
    request: &Request,
    log: &mut Log,
) -> Result<Machines, BackendError> {
    for program in ["vagrant", "VBoxManage"] {
        let found = site.shell.run(&Cmd::new(["which", program]).timeout(Duration::from_secs(20))).await?;
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
    let mut nodes: Vec<Node> = defs.iter().map(|def| Node { def: def.clone(), ..Node::default() }).collect();
    let ran = run::up(&ground, NAME, &nodes, request.up).await?;
    log.keep("vagrant-up.txt", ran.text.clone());
    let status = run::vagrant(&ground, &["status", "--machine-readable"], &[], Duration::from_secs(60)).await?;
    let alone = nodes.len() == 1 || ran.status != Some(0);
    for node in &mut nodes {
        node.virtual_machine = is_running(&status.text, node.name());
        if !node.virtual_machine {
            let said = output::error_of(&ran.text, node.name(), alone);
            node.left_out = Some(nodes::blame(&node.def, said.as_deref()));
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

/// Takes them away again.
pub(super) async fn destroy(site: &Site, file: &Vagrantfile) -> Result<(), BackendError> {
    run::vagrant(&ground(site, file), &["destroy", "--force"], &[], DESTROYED_WITHIN).await.map(drop)
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
}

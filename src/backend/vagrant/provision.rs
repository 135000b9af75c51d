//! Every provisioner of every machine, in the file's order, and what came of it.

use std::time::Duration;

use super::ansible::{self, Log};
use super::{FOLDER, Ground, blame, ends, run};
use crate::backend::BackendError;
use crate::docker::exec::ExecSpec;
use crate::exec::{Cmd, ShellExt};
use crate::notice::Reason;
use crate::stack::LeftOut;
use crate::stack::machines::{Node, Playbook, Provisioned};
use crate::submission::Submission;
use crate::text::Text;

/// Where our callback plugin writes: in the lab, whose controller most playbooks run on.
const LOG: &str = "/run/imparcial/ansible.jsonl";
/// And in a node that is its own controller (`ansible_local`).
const LOG_OF_NODE: &str = "/var/log/imparcial-ansible.jsonl";
const CALLBACKS: &str = "/usr/local/share/imparcial/ansible/callback";
/// What serves a box's packages and services on a node, and writes down what a play does.
pub(crate) const STAND_IN: [(&str, &str); 2] =
    [("IMPARCIAL_ANSIBLE_LOG", LOG), ("ANSIBLE_CALLBACK_PLUGINS", CALLBACKS)];
/// Until a log is read.
const SOON: Duration = Duration::from_secs(20);

/// Runs `vagrant provision`: Vagrant goes through the machines in the file's order.
pub(super) async fn run(
    ground: &Ground<'_>,
    submission: &Submission,
    nodes: &[Node],
    again: bool,
    budget: Duration,
) -> Result<Provisioned, BackendError> {
    forget(ground, nodes).await?;
    let mut env = vec![STAND_IN[0], STAND_IN[1], ("ANSIBLE_NOCOLOR", "1"), ("PYTHONUNBUFFERED", "1")];
    // Half of a task's time goes into copying its module first, and into asking what Python a node has: all nodes have the same,
    // and none asks for a terminal before it lets somebody become root. Of what a machine of its own box has nothing is known.
    if nodes.iter().all(|node| node.taken.is_none()) {
        env.extend([("ANSIBLE_PIPELINING", "True"), ("ANSIBLE_PYTHON_INTERPRETER", "/usr/bin/python3")]);
    }
    let ended = ends::any(ground.site, nodes);
    let ran = run::vagrant_until(ground, &["provision"], &env, budget, ended).await?;
    let hung = ran.status.is_none().then(|| ran.text.lines().next_back().unwrap_or_default().to_owned());
    let now = time::OffsetDateTime::now_utc();
    let (plays, unread) = plays(ground, nodes).await?;
    let ended_s = now.unix_timestamp() as f64;
    let done = Provisioned { ok: ran.status == Some(0), hung, ended_s, output: ran.text, plays, why: None };
    let old = submission.is_old(now);
    // What was going on when we ended it says nothing of how it would have gone on.
    let why = match unread.or_else(|| ran.cut.then(cut)) {
        Some(ours) => Some(ours),
        None => blame::why(&blame::Seen { nodes, provisioned: &done, old, again }),
    };
    Ok(Provisioned { why, ..done })
}

/// Whose doing that is, whoever looks at the machine says.
fn cut() -> LeftOut {
    host(
        "provisioning was ended since a machine had ended".to_owned(),
        "el aprovisionamiento se terminó porque una máquina había terminado".to_owned(),
    )
}

fn host(en: String, es: String) -> LeftOut {
    LeftOut { reason: Some(Reason::Host), text: Text::new(en, es) }
}

/// Machines that are their own controllers.
fn controllers(nodes: &[Node]) -> impl Iterator<Item = &Node> {
    nodes.iter().filter(|node| node.def.is_controller()).filter(|node| node.container.is_some() || node.guest.is_some())
}

async fn forget(ground: &Ground<'_>, nodes: &[Node]) -> Result<(), BackendError> {
    ground.site.shell.must(&Cmd::new(["rm", "-f", LOG]).timeout(SOON)).await?;
    for node in controllers(nodes).filter(|node| node.is_up()) {
        in_node(ground, node, &["rm", "-f", LOG_OF_NODE]).await?;
    }
    Ok(())
}

/// What the plays did, and why not all of that is known.
async fn plays(ground: &Ground<'_>, nodes: &[Node]) -> Result<(Vec<Playbook>, Option<LeftOut>), BackendError> {
    let most = (ansible::MOST_BYTES + 1).to_string();
    let read = Cmd::new(["head", "-c", &most, LOG]).timeout(SOON);
    // A play on the controller can put anything in its place; what cannot be read says nothing.
    let own = ground.site.shell.run(&read).await.unwrap_or_default();
    let roots = [ground.dir.as_str(), FOLDER, "/vagrant"];
    let mut plays = ansible::read(&Log { bytes: &own.stdout, on_node: None, roots: &roots });
    let mut unread = None;
    for node in controllers(nodes) {
        let bytes = match in_node(ground, node, &["head", "-c", &most, LOG_OF_NODE]).await {
            Ok(bytes) => bytes,
            // It may be no more: how it ended is looked at next.
            Err(error) if node.guest.is_some() => {
                let (name, said) = (node.name(), crate::sanitize::line(&error.to_string(), 200));
                unread = Some(host(
                    format!("what `ansible_local` did on machine {name} could not be read: {said}"),
                    format!("no se pudo leer lo que hizo `ansible_local` en la máquina {name}: {said}"),
                ));
                continue;
            }
            Err(error) => return Err(error),
        };
        plays.extend(ansible::read(&Log { bytes: &bytes, on_node: Some(node.name()), roots: &roots }));
    }
    Ok((plays, unread))
}

/// What a command prints in a node; nothing where it could not be started.
async fn in_node(ground: &Ground<'_>, node: &Node, argv: &[&str]) -> Result<Vec<u8>, BackendError> {
    if let Some(guest) = &node.guest {
        return Ok(guest.shell.run(&Cmd::new(argv.iter().copied()).timeout(SOON)).await?.stdout);
    }
    let Some(container) = &node.container else { return Ok(Vec::new()) };
    let argv = argv.iter().map(|word| (*word).to_owned()).collect();
    let spec = ExecSpec { argv, user: Some("root".to_owned()), ..ExecSpec::default() };
    let Ok(mut exec) = ground.site.engine.exec(container, &spec).await? else { return Ok(Vec::new()) };
    let mut out = Vec::new();
    let reading = async {
        while let Some((error, piece)) = exec.next().await {
            if !error {
                out.extend_from_slice(&piece);
            }
            // Its programs are the node's own: they may print without end.
            if out.len() > ansible::MOST_BYTES {
                break;
            }
        }
    };
    // A node that says nothing more has nothing more to say.
    let _ = tokio::time::timeout(SOON, reading).await;
    Ok(out)
}

//! Every provisioner of every machine, in the file's order, and what came of it.

use std::time::Duration;

use super::{Ground, run};
use crate::backend::BackendError;
use crate::exec::{Cmd, ShellExt};
use crate::stack::machines::{Node, Provisioned};

/// Where the callback plugin writes, in the lab.
const LOG: &str = "/run/imparcial/ansible.jsonl";
const SHARE: &str = "/usr/local/share/imparcial/ansible";

/// Runs `vagrant provision`.
pub(super) async fn run(ground: &Ground<'_>, nodes: &[Node], budget: Duration) -> Result<Provisioned, BackendError> {
    let shell = ground.site.shell.as_ref();
    shell.must(&Cmd::new(["rm", "-f", LOG]).timeout(Duration::from_secs(10))).await?;
    let (callbacks, actions) = (format!("{SHARE}/callback"), format!("{SHARE}/action"));
    let env = [
        ("IMPARCIAL_ANSIBLE_LOG", LOG),
        ("ANSIBLE_CALLBACK_PLUGINS", callbacks.as_str()),
        ("ANSIBLE_CALLBACKS_ENABLED", "imparcial"),
        ("ANSIBLE_ACTION_PLUGINS", actions.as_str()),
        ("ANSIBLE_NOCOLOR", "1"),
        ("PYTHONUNBUFFERED", "1"),
    ];
    let ran = run::vagrant(ground, &["provision"], &env, budget).await?;
    let _ = nodes;
    Ok(Provisioned { ok: ran.status == Some(0), output: ran.text, ..Provisioned::default() })
}

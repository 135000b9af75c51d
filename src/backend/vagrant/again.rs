//! The same provisioners once more: on machines that are as they should be, nothing changes.

use std::time::Duration;

use super::{Ground, provision};
use crate::backend::{BackendError, Site};
use crate::stack::Stack;
use crate::stack::machines::Provisioned;
use crate::text::Text;

/// Provisions every machine again.
pub async fn again(stack: &Stack, within: Duration) -> Result<Provisioned, BackendError> {
    let Some(file) = &stack.submission.vagrantfile else {
        return Err(BackendError::Other(Text::new("there is no Vagrantfile", "no hay Vagrantfile")));
    };
    let site = Site {
        engine: stack.engine.clone(),
        shell: stack.shell.clone(),
        agents: stack.agents.clone(),
        address: stack.address.clone(),
        workdir: stack.workdir.clone(),
        hosting: None,
    };
    provision::run(&Ground::of(&site, file), &stack.submission, &stack.machines.nodes, true, within).await
}

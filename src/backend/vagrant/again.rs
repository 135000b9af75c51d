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
    let site = Site::new(stack.ground.clone(), stack.ground.clone(), stack.workdir.clone(), None);
    provision::run(&Ground::of(&site, file), &stack.submission, &stack.machines.nodes, true, within).await
}
